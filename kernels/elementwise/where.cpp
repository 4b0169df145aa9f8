// Selection by a condition, with broadcasting.
#include "elementwise/broadcast.h"
#include "simd/strip.h"

namespace EK_ISA {

// Elements are moved as integers of their size; steps are in vectors, 0 or 1.
template <class T> static void select(const void* const* p, const int* step, void* out, int vectors) {
  constexpr int L = lanes<T>;
  const uint8_t* condition = static_cast<const uint8_t*>(p[0]);
  const T *a = static_cast<const T*>(p[1]), *b = static_cast<const T*>(p[2]);
  T* to = static_cast<T*>(out);
  const int condition_step = step[0] * L, a_step = step[1] * L, b_step = step[2] * L;
  for (int i = 0; i < vectors; i++, condition += condition_step, a += a_step, b += b_step) {
    const ivec<T> chosen = widen_bytes<T>(condition) != 0;
    store(to + static_cast<ptrdiff_t>(i) * L, chosen ? load(a) : load(b));
  }
}

EK_API int ek_where(int size, const void* condition, const void* a, const void* b, void* out, int ndim,
                    const int* shape, const int* condition_strides, const int* a_strides, const int* b_strides) {
  broadcast<3> walk;
  walk.data[0] = static_cast<const char*>(condition);
  walk.data[1] = static_cast<const char*>(a);
  walk.data[2] = static_cast<const char*>(b);
  walk.size[0] = 1;
  walk.size[1] = walk.size[2] = size;
  if (!walk.init(ndim, shape, {condition_strides, a_strides, b_strides})) return EK_BAD_ARGUMENT;
  void (*loop)(const void* const*, const int*, void*, int) = nullptr;
  switch (size) {
    case 1: loop = select<uint8_t>; break;
    case 2: loop = select<int16_t>; break;
    case 4: loop = select<int32_t>; break;
    case 8: loop = select<int64_t>; break;
    default: return EK_BAD_ARGUMENT;
  }
  walk.run([&](const char* const* p, const int* step, int begin, int n) {
    const strip_in in[] = {{p[0], 1, step[0]}, {p[1], size, step[1]}, {p[2], size, step[2]}};
    run_strip(n, EK_VECTOR_BYTES / size, in, {static_cast<char*>(out) + static_cast<ptrdiff_t>(begin) * size, size},
              loop);
  });
  return EK_OK;
}

}  // namespace EK_ISA
