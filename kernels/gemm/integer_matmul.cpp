// Matrix products of integers. Rows of the result are split over threads, and each is a sum of rows of b.
#include "parallel.h"
#include "types.h"

namespace EK_ISA {

template <class T>
static void multiply(int batch, int m, int n, int k, const T* a, int a_step, const T* b, int b_step, T* c) {
  using U = wrapping<T>;
  constexpr int rows_at_once = 4;
  parallel_blocks(batch * m, rows_at_once, [=](int begin, int end) {
    for (int row = begin; row < end; row++) {
      const int matrix = row / m;
      const T* const left = a + static_cast<ptrdiff_t>(matrix) * a_step + static_cast<ptrdiff_t>(row % m) * k;
      const T* const right = b + static_cast<ptrdiff_t>(matrix) * b_step;
      T* const to = c + static_cast<ptrdiff_t>(row) * n;
      for (int j = 0; j < n; j++) to[j] = 0;
      for (int i = 0; i < k; i++) {
        const U factor = static_cast<U>(left[i]);
        const T* const from = right + static_cast<ptrdiff_t>(i) * n;
        for (int j = 0; j < n; j++)
          to[j] = static_cast<T>(static_cast<U>(to[j]) + static_cast<U>(factor * static_cast<U>(from[j])));
      }
    }
  });
}

EK_API int ek_integer_matmul(int dtype, int batch, int m, int n, int k, const void* a, int a_step, const void* b,
                             int b_step, void* c) {
  if (dtype == EK_FLOAT32 || dtype == EK_FLOAT64) return EK_BAD_DTYPE;
  EK_DISPATCH_NUMBER(dtype, multiply(batch, m, n, k, static_cast<const T*>(a), a_step, static_cast<const T*>(b), b_step,
                                     static_cast<T*>(c));)
  return EK_OK;
}

}  // namespace EK_ISA
