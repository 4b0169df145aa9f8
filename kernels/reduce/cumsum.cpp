// Running sums along the middle axis, from its beginning or from its end.
#include "reduce/columns.h"

namespace EK_ISA {

template <class T> static void cumsum(const T* x, T* out, int outer, int n, int inner, bool reverse) {
  using A = wide_sum<T>;
  constexpr int columns_at_once = 128;  // columns whose sums are on the stack
  for_columns(outer, n, inner, columns_at_once, tile_elements, [=](int64_t o, int first, int columns) {
    const int64_t start = o * n * inner + first + (reverse ? static_cast<int64_t>(n - 1) * inner : 0);
    const int64_t step = reverse ? -static_cast<int64_t>(inner) : inner;
    A sum[columns_at_once] = {};
    for (int k = 0; k < n; k++) {
      const T* from = x + start + k * step;
      T* to = out + start + k * step;
      for (int j = 0; j < columns; j++) {
        sum[j] = static_cast<A>(sum[j] + static_cast<A>(from[j]));
        to[j] = static_cast<T>(sum[j]);
      }
    }
  });
}

EK_API int ek_cumsum(int dtype, const void* x, void* out, int outer, int n, int inner, int reverse) {
  if (outer == 0 || n == 0 || inner == 0) return EK_OK;
  EK_DISPATCH_NUMBER(dtype, cumsum(static_cast<const T*>(x), static_cast<T*>(out), outer, n, inner, reverse != 0);)
  return EK_OK;
}

}  // namespace EK_ISA
