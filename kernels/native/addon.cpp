// The Node-API addon: kernels, addresses of ArrayBuffers, weak references, the number of threads. JavaScript passes
// pointers as numbers, as it does to WebAssembly; addresses are below 2^53. TypeScript keeps the buffers alive during a
// call.
#include <node_api.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <thread>

#include "dispatch.h"
#include "launch.h"

extern "C" int ek_parallel_workers(void);
extern "C" void ek_parallel_resize(int workers);

static napi_value make_int(napi_env env, int value) {
  napi_value result;
  napi_create_int32(env, value, &result);
  return result;
}

static bool read_numbers(napi_env env, napi_callback_info info, size_t count, double* out, const char* name) {
  napi_value argv[kMaxArguments];
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

struct AddonKernel {
  const char* name;
  KernelCall call;
  int count;    // the number of arguments
  int waiting;  // one of the enum below; or the index of the dtype's argument: a kernel of integers is then awaited
  int ndim;     // the index of the argument that is the number of axes, or -1
};
enum { kRunsAtOnce = -1, kRunsLater = -2, kIsAwaited = -3 };
constexpr int kAxes = 16;  // no kernel refuses a tensor with so many axes

#include "../generated/addon_calls.inc"

static napi_value call_kernel(napi_env env, napi_callback_info info) {
  void* data;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data);
  const AddonKernel& kernel = *static_cast<const AddonKernel*>(data);
  double a[kMaxArguments];
  if (!read_numbers(env, info, kernel.count, a, kernel.name)) return nullptr;
  const int waiting = kernel.waiting;
  if (waiting == kRunsAtOnce) return make_int(env, kernel.call(a));
  const bool is_of_integers = waiting >= 0 && a[waiting] != avx512::EK_FLOAT32 && a[waiting] != avx512::EK_FLOAT64;
  const bool has_many_axes = kernel.ndim >= 0 && a[kernel.ndim] > kAxes;
  return make_int(
      env, launch(kernel.name, kernel.call, a, kernel.count, is_of_integers || has_many_axes || waiting == kIsAwaited));
}

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

// A weak reference, as a number. Unlike JavaScript's own, it also ends while a synchronous loop runs.
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

static napi_value make_count(napi_env env, uint64_t count) {
  napi_value result;
  napi_create_double(env, static_cast<double>(count), &result);
  return result;
}
static napi_value get_launched(napi_env env, napi_callback_info) { return make_count(env, launched()); }
static napi_value get_done(napi_env env, napi_callback_info) { return make_count(env, done()); }

static napi_value finish_launches(napi_env env, napi_callback_info info) {
  double launches;
  if (read_numbers(env, info, 1, &launches, "finish")) finish(static_cast<uint64_t>(launches));
  return nullptr;
}

// A launch that ends when another thread has come to a place, or never will: kernels behind it wait for communication.
static int await_place(const double* a) {
  return wait_elsewhere(reinterpret_cast<WaitForPlace>(static_cast<uintptr_t>(a[0])), static_cast<uint64_t>(a[1]))
             ? avx512::EK_OK
             : avx512::EK_ABANDONED;
}

static napi_value launch_await_place(napi_env env, napi_callback_info info) {
  double a[2];
  if (read_numbers(env, info, 2, a, "awaitPlace")) launch("awaitPlace", await_place, a, 2, false);
  return nullptr;
}

// The address of the function that says how many launches have run, for other addons.
static napi_value get_done_function(napi_env env, napi_callback_info) {
  return make_count(env, reinterpret_cast<uintptr_t>(&done));
}

static napi_value take_late_refusal(napi_env env, napi_callback_info) {
  const Refusal refusal = take_refusal();
  if (refusal.status == 0) return nullptr;
  napi_value result, name;
  napi_create_array_with_length(env, 2, &result);
  napi_create_string_utf8(env, refusal.name, NAPI_AUTO_LENGTH, &name);
  napi_set_element(env, result, 0, name);
  napi_set_element(env, result, 1, make_int(env, refusal.status));
  return result;
}

static void define(napi_env env, napi_value exports, const char* name, napi_callback call, const void* data = nullptr) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, call, const_cast<void*>(data), &function);
  napi_set_named_property(env, exports, name, function);
}

NAPI_MODULE_INIT() {
  if (!kernels) {
    napi_throw_error(env, nullptr,
                     "this addon holds no kernels for this processor, or none of the EVENKEEL_ISA asked for");
    return nullptr;
  }
  // Kernels that still wait use memory that goes with the environment. Node.js tells hooks apart by function and
  // argument; the argument is there because the addon may be loaded several times.
  napi_add_env_cleanup_hook(env, [](void* own) {
    finish(launched());
    delete static_cast<char*>(own);
  }, new char);
  for (const auto& kernel : kAddonKernels) define(env, exports, kernel.name, call_kernel, &kernel);
  define(env, exports, "addressOf", address_of);
  define(env, exports, "weakReference", weak_reference);
  define(env, exports, "isCollected", is_collected);
  define(env, exports, "dropReference", drop_reference);
  define(env, exports, "launched", get_launched);
  define(env, exports, "done", get_done);
  define(env, exports, "doneFunction", get_done_function);
  define(env, exports, "awaitPlace", launch_await_place);
  define(env, exports, "finish", finish_launches);
  define(env, exports, "takeRefusal", take_late_refusal);
  define(env, exports, "getNumThreads", get_num_threads);
  define(env, exports, "setNumThreads", set_num_threads);
  return exports;
}
