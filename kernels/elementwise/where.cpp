// Selection by a condition, with broadcasting.
#include "elementwise/broadcast.h"

namespace EK_ISA {

template <class T> static void select(const char* const* p, const int* step, T* out, int n) {
  const uint8_t* condition = reinterpret_cast<const uint8_t*>(p[0]);
  const T *a = reinterpret_cast<const T*>(p[1]), *b = reinterpret_cast<const T*>(p[2]);
  // Both values are read before one is chosen: without a branch the loop vectorizes.
  auto loop = [&](auto at) {
    for (int i = 0; i < n; i++) {
      const T x = a[at(i, step[1])], y = b[at(i, step[2])];
      out[i] = condition[at(i, step[0])] ? x : y;
    }
  };
  if (step[0] && step[1] && step[2]) {
    loop([](int i, int) { return i; });
  } else {
    loop([](int i, int s) { return i * s; });
  }
}

EK_API int ek_where(int size, const void* condition, const void* a, const void* b, void* out, int ndim, const int* shape,
                    const int* condition_strides, const int* a_strides, const int* b_strides) {
  broadcast<3> walk;
  walk.data[0] = static_cast<const char*>(condition);
  walk.data[1] = static_cast<const char*>(a);
  walk.data[2] = static_cast<const char*>(b);
  walk.size[0] = 1;
  walk.size[1] = walk.size[2] = size;
  if (!walk.init(ndim, shape, {condition_strides, a_strides, b_strides})) return EK_BAD_ARGUMENT;
  EK_DISPATCH_SIZE(size, walk.run([&](const char* const* p, const int* step, int begin, int n) {
    select(p, step, static_cast<T*>(out) + begin, n);
  });)
  return EK_OK;
}

}  // namespace EK_ISA
