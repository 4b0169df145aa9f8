// Running sums along the middle axis, from its beginning or from its end.
#include "types.h"

namespace EK_ISA {

template <class T> static void cumsum(const T* x, T* out, int outer, int n, int inner, bool reverse) {
  using A = wide_sum<T>;
  constexpr int columns_at_once = 128;
  const int panels = ceil_div(inner, columns_at_once);
  const int64_t work = static_cast<int64_t>(n) * (inner < columns_at_once ? inner : columns_at_once);
  parallel_blocks(outer * panels, work >= tile_elements ? 1 : static_cast<int>(tile_elements / work),
                  [=](int begin, int end) {
    for (int i = begin; i < end; i++) {
      const int64_t o = i / panels, first = i % panels * columns_at_once;
      const int columns = inner - first < columns_at_once ? static_cast<int>(inner - first) : columns_at_once;
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
    }
  });
}

EK_API int ek_cumsum(int dtype, const void* x, void* out, int outer, int n, int inner, int reverse) {
  if (outer == 0 || n == 0 || inner == 0) return EK_OK;
  EK_DISPATCH_NUMBER(dtype, cumsum(static_cast<const T*>(x), static_cast<T*>(out), outer, n, inner, reverse != 0);)
  return EK_OK;
}

}  // namespace EK_ISA
