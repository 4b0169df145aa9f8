// The Node-API addon of the lane. Pointers travel as numbers, as in the kernels' addon; TypeScript keeps the memory
// alive until a call is complete.
#include <node_api.h>

#include <cstdlib>

#include "lane.h"

namespace {

Lane* lane = nullptr;  // outlives every environment: MPI can be started once in a process

double number_of(napi_env env, napi_value value) {
  double number = 0;
  napi_get_value_double(env, value, &number);
  return number;
}
napi_value make_number(napi_env env, double number) {
  napi_value result;
  napi_create_double(env, number, &result);
  return result;
}
napi_value make_text(napi_env env, const std::string& text) {
  napi_value result;
  napi_create_string_utf8(env, text.data(), text.size(), &result);
  return result;
}
std::vector<int> ints_of(napi_env env, napi_value array) {
  uint32_t length = 0;
  bool is_array = false;
  napi_is_array(env, array, &is_array);
  if (is_array) napi_get_array_length(env, array, &length);
  std::vector<int> result(length);
  for (uint32_t i = 0; i < length; i++) {
    napi_value value;
    napi_get_element(env, array, i, &value);
    result[i] = static_cast<int>(number_of(env, value));
  }
  return result;
}
template <size_t N> bool arguments(napi_env env, napi_callback_info info, napi_value (&argv)[N], const char* name) {
  size_t argc = N;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  if (argc == N) return true;
  napi_throw_type_error(env, nullptr, (std::string(name) + ": expected " + std::to_string(N) + " arguments").c_str());
  return false;
}
template <class T> T* pointer_of(napi_env env, napi_value value) {
  return reinterpret_cast<T*>(static_cast<uintptr_t>(number_of(env, value)));
}

// start(timeout in seconds): starts MPI, and says who this process is.
napi_value start(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  if (!arguments(env, info, argv, "start")) return nullptr;
  if (lane) {
    napi_throw_error(env, nullptr, "MPI can be started once in a process");
    return nullptr;
  }
  lane = new Lane();
  lane->start(number_of(env, argv[0]));
  if (lane->has_failed()) {
    napi_throw_error(env, nullptr, lane->error().c_str());
    return nullptr;
  }
  napi_value result;
  napi_create_object(env, &result);
  const auto set = [&](const char* name, napi_value value) { napi_set_named_property(env, result, name, value); };
  set("rank", make_number(env, lane->rank));
  set("worldSize", make_number(env, lane->size));
  set("localRank", make_number(env, lane->local_rank));
  set("localWorldSize", make_number(env, lane->local_size));
  set("version", make_text(env, lane->version));
  bool (*const wait)(uint64_t) = [](uint64_t place) { return lane->wait(place); };
  set("wait", make_number(env, static_cast<double>(reinterpret_cast<uintptr_t>(wait))));
  // Twice: where the process comes to its end by itself, before the memory of tensors goes, which calls still use; and
  // after process.exit(), which calls no such hooks. Registered after MPI's own functions, it is called before them.
  napi_add_env_cleanup_hook(env, [](void*) { lane->end(); }, nullptr);
  std::atexit([] { lane->end(); });
  return result;
}

// add(kind, group, dtype, operation, root, send, receive, count, counts or ranks, launches that must have run before,
// address of the function that counts those that have, label, whether the caller is about to wait): the place in the
// lane.
napi_value add(napi_env env, napi_callback_info info) {
  napi_value argv[13];
  if (!arguments(env, info, argv, "add")) return nullptr;
  auto call = std::make_unique<Call>();
  Entry& entry = call->entry;
  entry.kind = static_cast<int>(number_of(env, argv[0]));
  entry.group = static_cast<int>(number_of(env, argv[1]));
  entry.dtype = static_cast<int>(number_of(env, argv[2]));
  entry.operation = static_cast<int>(number_of(env, argv[3]));
  entry.root = static_cast<int>(number_of(env, argv[4]));
  call->send = pointer_of<void>(env, argv[5]);
  call->receive = pointer_of<void>(env, argv[6]);
  call->count = static_cast<int>(number_of(env, argv[7]));
  auto& list = entry.kind == kNewGroup ? call->ranks : call->counts;
  list = ints_of(env, argv[8]);
  entry.count = entry.kind == kAllGather && !list.empty() ? 0 : call->count;
  if (entry.kind == kNewGroup)
    for (const int rank : list) entry.count = entry.count * 1000003 % 2147483647 + rank + 1;
  call->after = static_cast<uint64_t>(number_of(env, argv[9]));
  call->kernels_done = pointer_of<uint64_t()>(env, argv[10]);
  size_t length;
  napi_get_value_string_utf8(env, argv[11], entry.label, sizeof entry.label, &length);
  napi_get_value_bool(env, argv[12], &call->is_awaited);
  return make_number(env, static_cast<double>(lane->add(std::move(call))));
}

// leave(exit code): the process is about to end.
napi_value leave(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  if (arguments(env, info, argv, "leave")) lane->leave(static_cast<int>(number_of(env, argv[0])));
  return nullptr;
}

// wait(place): true once the call is complete, false where it, or one before it, has failed.
napi_value wait(napi_env env, napi_callback_info info) {
  napi_value argv[1], result;
  if (!arguments(env, info, argv, "wait")) return nullptr;
  napi_get_boolean(env, lane->wait(static_cast<uint64_t>(number_of(env, argv[0]))), &result);
  return result;
}

napi_value completed(napi_env env, napi_callback_info) {
  return make_number(env, static_cast<double>(lane->completed()));
}

// The text of what has failed, or null.
napi_value error(napi_env env, napi_callback_info) {
  napi_value null;
  napi_get_null(env, &null);
  return lane && lane->has_failed() ? make_text(env, lane->error()) : null;
}

napi_value address_of(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  void* data;
  size_t length;
  if (!arguments(env, info, argv, "addressOf")) return nullptr;
  if (napi_get_arraybuffer_info(env, argv[0], &data, &length) != napi_ok) {
    napi_throw_type_error(env, nullptr, "addressOf: expected an ArrayBuffer");
    return nullptr;
  }
  return make_number(env, static_cast<double>(reinterpret_cast<uintptr_t>(data)));
}

void define(napi_env env, napi_value exports, const char* name, napi_callback call) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, call, nullptr, &function);
  napi_set_named_property(env, exports, name, function);
}

}  // namespace

NAPI_MODULE_INIT() {
  define(env, exports, "start", start);
  define(env, exports, "add", add);
  define(env, exports, "leave", leave);
  define(env, exports, "wait", wait);
  define(env, exports, "completed", completed);
  define(env, exports, "error", error);
  define(env, exports, "addressOf", address_of);
  return exports;
}
