// The two register tiles of matrix products and convolutions: `outer` and `dot`. Their accumulators, M × V or M × N
// vectors, stay in registers for a whole reduction. The caller packs the operands, and does what it wants with the
// result.
#pragma once
#include "simd/order.h"

namespace EK_ISA {

// The largest tiles that fit into the registers. `outer` holds rows × vectors accumulators, the vectors of b and one
// broadcast number of a. `dot` holds rows × columns accumulators, a vector for each column, and one more.
#if EK_VECTOR_BYTES == 64
constexpr int outer_rows = 14, wide_rows = 6, wide_vectors = 4, dot_rows = 6, dot_columns = 4;  // 32 registers
#elif EK_VECTOR_BYTES == 32
constexpr int outer_rows = 6, wide_rows = 6, wide_vectors = 2, dot_rows = 3, dot_columns = 4;  // 16 registers
#else
// Accumulators take 8 of the 16 registers: with more, WebAssembly engines would spill.
constexpr int outer_rows = 4, wide_rows = 2, wide_vectors = 4, dot_rows = 2, dot_columns = 4;
#endif
constexpr int outer_vectors = 2;
// The rows and the columns that cuts and costs count with (simd/order.h).
constexpr int order_rows = has_fused ? 14 : outer_rows;
template <class T> constexpr int order_width = outer_vectors * order_lanes<T>;

// Calls f(Const<n>) for 1 <= n <= N: the size of a tile becomes a constant.
template <int N, class F> EK_INLINE void with_const(int n, const F& f) {
  if constexpr (N > 1) {
    if (n < N) return with_const<N - 1>(n, f);
  }
  f(Const<N>{});
}

// Splits n into the fewest parts of at most `most`, as equal as possible, and calls body(begin, size) for each.
template <class F> EK_INLINE void even_parts(int n, int most, const F& body) {
  if (n <= most) {  // no division
    if (n > 0) body(0, n);
    return;
  }
  const int parts = (n + most - 1) / most;
  for (int p = 0, begin = 0; p < parts; p++) {
    const int size = (n - begin + parts - p - 1) / (parts - p);
    body(begin, size);
    begin += size;
  }
}

// Keeps a loaded vector in its register. GCC would load it again for each product.
template <class V> EK_INLINE void pin(V& v) {
#if defined(__x86_64__)
  asm("" : "+v"(v));
#else
  (void)v;
#endif
}

// acc[i][v][lane] += Σ over k: a[i·a_row + k·a_step] · b[k·b_step + v·lanes + lane]. Each step also calls beside().
template <class T, int M, int V, class F>
EK_INLINE void outer(vec<T> (&acc)[M][V], const T* a, ptrdiff_t a_row, ptrdiff_t a_step, const T* b, ptrdiff_t b_step,
                     int n, const F& beside) {
  for (int k = 0; k < n; k++, a += a_step, b += b_step) {
    beside();
    vec<T> bv[V];
#pragma GCC unroll 16
    for (int v = 0; v < V; v++) bv[v] = load(b + v * lanes<T>);
#pragma GCC unroll 16
    for (int i = 0; i < M; i++) {
      const vec<T> s = splat(a[i * a_row]);
#pragma GCC unroll 16
      for (int v = 0; v < V; v++) acc[i][v] = multiply_add(s, bv[v], acc[i][v]);
    }
  }
}

template <class T, int M, int V>
EK_INLINE void outer(vec<T> (&acc)[M][V], const T* a, ptrdiff_t a_row, ptrdiff_t a_step, const T* b, ptrdiff_t b_step,
                     int n) {
  outer<T, M, V>(acc, a, a_row, a_step, b, b_step, n, [] {});
}

// acc[i][j][lane] += Σ over p, in steps of order_lanes: a[i·a_row + p + lane] · b[b_offset[j] + p + lane].
template <class T, int M, int N>
EK_INLINE void dot(vec<T> (&acc)[M][N], const T* a, ptrdiff_t a_row, const T* b, const int (&b_offset)[N], int n) {
  for (int p = 0; p < n; p += order_lanes<T>) {
    vec<T> bv[N];
#pragma GCC unroll 16
    for (int j = 0; j < N; j++) bv[j] = load(b + b_offset[j] + p);
#pragma GCC unroll 16
    for (int i = 0; i < M; i++) {
      const vec<T> av = load(a + i * a_row + p);
#pragma GCC unroll 16
      for (int j = 0; j < N; j++) acc[i][j] = multiply_add(av, bv[j], acc[i][j]);
    }
  }
}

}  // namespace EK_ISA
