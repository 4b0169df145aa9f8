// Conversion between dtypes. The loops are plain: the compilers vectorize conversions of mixed widths better than a
// vocabulary of equal ones can say it.
#include "types.h"

namespace EK_ISA {

template <class From, class To> static void cast(const void* x, void* out, int n) {
  parallel_blocks(n, tile_elements, [=](int begin, int end) {
    const From* __restrict from = static_cast<const From*>(x);
    To* __restrict to = static_cast<To*>(out);
    for (int i = begin; i < end; i++) to[i] = convert<To>(from[i]);
  });
}

template <class From> static int cast_from(int to, const void* x, void* out, int n) {
  if (to == EK_BOOL) {
    parallel_blocks(n, tile_elements, [=](int begin, int end) {
      const From* __restrict from = static_cast<const From*>(x);
      uint8_t* __restrict bits = static_cast<uint8_t*>(out);
      for (int i = begin; i < end; i++) bits[i] = from[i] != 0;
    });
    return EK_OK;
  }
  EK_DISPATCH_NUMBER(to, cast<From, T>(x, out, n);)
  return EK_OK;
}

EK_API int ek_cast(int from, int to, const void* x, void* out, int n) {
  EK_DISPATCH_NUMBER(from == EK_BOOL ? EK_UINT8 : from, return cast_from<T>(to, x, out, n);)
  return EK_OK;
}

}  // namespace EK_ISA
