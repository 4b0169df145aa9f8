// The Node-API addon: the kernel table, addresses of ArrayBuffers, weak references, the number of threads. Pointers travel as numbers
// (addresses are below 2^53), the same as in WebAssembly; TypeScript keeps the buffers alive across a call.
#include <node_api.h>

#include <cstdint>
#include <cstdio>

#include "dispatch.h"

extern "C" int ek_parallel_workers(void);
extern "C" void ek_parallel_resize(int workers);

static napi_value make_int(napi_env env, int value) {
  napi_value result;
  napi_create_int32(env, value, &result);
  return result;
}

static bool read_numbers(napi_env env, napi_callback_info info, size_t count, double* out, const char* name) {
  napi_value argv[24];
  size_t argc = count;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  for (size_t i = 0; i < count; i++)
    if (argc < count || napi_get_value_double(env, argv[i], &out[i]) != napi_ok) {
      char text[128];
      std::snprintf(text, sizeof text, "%s: argument %zu of %zu is not a number", name, i + 1, count);
      napi_throw_type_error(env, nullptr, text);
      return false;
    }
  return true;
}

#include "../generated/addon_calls.inc"

static napi_value address_of(napi_env env, napi_callback_info info) {
  napi_value argv[1], result;
  size_t argc = 1, length;
  void* data;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  if (argc < 1 || napi_get_arraybuffer_info(env, argv[0], &data, &length) != napi_ok) {
    napi_throw_type_error(env, nullptr, "addressOf: expected an ArrayBuffer");
    return nullptr;
  }
  napi_create_double(env, static_cast<double>(reinterpret_cast<uintptr_t>(data)), &result);
  return result;
}

// Weak references that also end while a synchronous loop runs, as numbers.
static napi_value weak_reference(napi_env env, napi_callback_info info) {
  napi_value argv[1], result;
  size_t argc = 1;
  napi_ref reference;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  if (argc < 1 || napi_create_reference(env, argv[0], 0, &reference) != napi_ok) {
    napi_throw_type_error(env, nullptr, "weakReference: expected an object");
    return nullptr;
  }
  napi_create_double(env, static_cast<double>(reinterpret_cast<uintptr_t>(reference)), &result);
  return result;
}

static napi_ref read_reference(napi_env env, napi_callback_info info, const char* name) {
  double number;
  if (!read_numbers(env, info, 1, &number, name)) return nullptr;
  return reinterpret_cast<napi_ref>(static_cast<uintptr_t>(number));
}

static napi_value is_collected(napi_env env, napi_callback_info info) {
  const napi_ref reference = read_reference(env, info, "isCollected");
  if (!reference) return nullptr;
  napi_value object, result;
  napi_get_reference_value(env, reference, &object);
  napi_get_boolean(env, object == nullptr, &result);
  return result;
}

static napi_value drop_reference(napi_env env, napi_callback_info info) {
  if (const napi_ref reference = read_reference(env, info, "dropReference")) napi_delete_reference(env, reference);
  return nullptr;
}

static napi_value get_num_threads(napi_env env, napi_callback_info) { return make_int(env, ek_parallel_workers()); }

static napi_value set_num_threads(napi_env env, napi_callback_info info) {
  double count;
  if (read_numbers(env, info, 1, &count, "setNumThreads")) ek_parallel_resize(static_cast<int>(count));
  return nullptr;
}

static void define(napi_env env, napi_value exports, const char* name, napi_callback call) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, call, nullptr, &function);
  napi_set_named_property(env, exports, name, function);
}

NAPI_MODULE_INIT() {
  if (!kernels) {
    napi_throw_error(env, nullptr, "this addon holds no kernels for this processor, or none of the EVENKEEL_ISA asked for");
    return nullptr;
  }
  for (const auto& entry : kAddonFunctions) define(env, exports, entry.name, entry.call);
  define(env, exports, "addressOf", address_of);
  define(env, exports, "weakReference", weak_reference);
  define(env, exports, "isCollected", is_collected);
  define(env, exports, "dropReference", drop_reference);
  define(env, exports, "getNumThreads", get_num_threads);
  define(env, exports, "setNumThreads", set_num_threads);
  return exports;
}
