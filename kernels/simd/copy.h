// Copies runs and transposes small matrices: what packing routines are made of.
#pragma once
#include "simd/vec.h"

namespace EK_ISA {

template <class T> EK_INLINE void copy_run(T* out, const T* x, int n) {
  constexpr int L = lanes<T>;
  int i = 0;
  for (; i + L <= n; i += L) store(out + i, load(x + i));
  if (i == n) return;
  if (n >= L) store(out + n - L, load(x + n - L));  // the last vector overlaps its neighbour
  else store_n(out, load_n(x, n), n);
}

// Splits rows of n values into panels of at most `most` values, as equal as possible, the longer ones first. Value i of
// a panel of `size` values that begins at value `begin` goes to out[begin·volume + (first + row)·size + i]. x is read
// in its order.
template <class T>
inline void copy_panels(T* out, ptrdiff_t volume, ptrdiff_t first, const T* x, ptrdiff_t x_pitch, int rows, int n,
                        int most) {
  constexpr int L = lanes<T>;
  if (n <= most && x_pitch == n) return copy_run(out + first * n, x, rows * n);
  const int panels = (n + most - 1) / most, shorter = n / panels, longer = n % panels;
  const auto copy_row = [&](int row, const auto& copy) {
    const T* from = x + row * x_pitch;
    int begin = 0;
    for (int i = 0, size = shorter + 1; i < longer; i++, begin += size)
      copy(out + begin * volume + (first + row) * size, from + begin, size);
    for (; begin < n; begin += shorter) copy(out + begin * volume + (first + row) * shorter, from + begin, shorter);
  };
  // Without fast masked stores, short runs are copied as whole vectors. The next row, or the next panel, then writes
  // over what was written behind the run. The last row is copied exactly.
  const bool is_short = EK_VECTOR_BYTES < 64 && shorter + (longer > 0) <= L && 2 * shorter >= L;
  int row = 0;
  for (; is_short && row < rows - 1; row++) copy_row(row, [](T* to, const T* from, int) { store(to, load(from)); });
  for (; row < rows; row++) copy_row(row, [](T* to, const T* from, int size) { copy_run(to, from, size); });
}

template <class T> EK_INLINE void zero_run(T* out, ptrdiff_t n) {
  constexpr int L = lanes<T>;
  ptrdiff_t i = 0;
  for (; i + L <= n; i += L) store(out + i, vec<T>{});
  for (; i < n; i++) out[i] = 0;
}

template <class T> EK_INLINE void add_run(T* out, const T* x, int n) {
  constexpr int L = lanes<T>;
  int i = 0;
  for (; i + L <= n; i += L) store(out + i, load(out + i) + load(x + i));
  if (i < n) store_n(out + i, load_n(out + i, n - i) + load_n(x + i, n - i), n - i);
}

template <int... I> struct Indices {};
#if defined(__clang__)
template <class, int... I> using IndicesOf = Indices<I...>;
template <int N> using indices = __make_integer_seq<IndicesOf, int, N>;
#else
template <int N> using indices = Indices<__integer_pack(N)...>;
#endif

// Exchanges one bit of the lane's number with the choice between a and b; this is one half of the result.
template <int bit, bool high, class V, int... I> EK_INLINE V exchange(V a, V b, Indices<I...>) {
  constexpr int n = sizeof...(I);
  return high ? __builtin_shufflevector(a, b, ((I & bit) ? n + I : I + bit)...)
              : __builtin_shufflevector(a, b, ((I & bit) ? n + I - bit : I)...);
}

// Transposes a lanes × lanes matrix in registers: the bits of the lane's number and of the row's number change places,
// one bit at a time.
template <class T, int bit = 1> EK_INLINE void transpose(vec<T> (&r)[lanes<T>]) {
  if constexpr (bit < lanes<T>) {
#pragma GCC unroll 16
    for (int i = 0; i < lanes<T>; i++) {
      if (i & bit) continue;
      const vec<T> a = r[i], b = r[i + bit];
      r[i] = exchange<bit, false>(a, b, indices<lanes<T>>{});
      r[i + bit] = exchange<bit, true>(a, b, indices<lanes<T>>{});
    }
    transpose<T, 2 * bit>(r);
  }
}

// to(j)[i] = x[i·x_pitch + j] for i < rows, j < columns.
template <class T, class F>
EK_INLINE void transpose_to(const T* x, ptrdiff_t x_pitch, int rows, int columns, const F& to) {
  constexpr int L = lanes<T>;
  // If there are enough rows or columns for a whole square, the last square overlaps its neighbour.
  const int last_row = rows < L ? 0 : rows - L, last_column = columns < L ? 0 : columns - L;
  for (int row = 0; row < rows; row += L)
    for (int column = 0; column < columns; column += L) {
      const int i = row < last_row ? row : last_row, j = column < last_column ? column : last_column;
      const T* from = x + i * x_pitch + j;
      const int m = rows - i < L ? rows - i : L, n = columns - j < L ? columns - j : L;
      if (m == L && n == L) {
        vec<T> r[L];
#pragma GCC unroll 16
        for (int k = 0; k < L; k++) r[k] = load(from + k * x_pitch), __builtin_prefetch(from + k * x_pitch + 4 * L);
        transpose<T>(r);
#pragma GCC unroll 16
        for (int k = 0; k < L; k++) store(to(j + k) + i, r[k]);
      } else if (EK_VECTOR_BYTES == 64 && m * n > 2 * L) {  // masked loads and stores cost no more than whole ones
        vec<T> r[L];
        for (int k = 0; k < L; k++) r[k] = k < m ? load_n(from + k * x_pitch, n) : vec<T>{};
        transpose<T>(r);
        for (int k = 0; k < n; k++) {
          if (m == L) store(to(j + k) + i, r[k]);
          else store_n(to(j + k) + i, r[k], m);
        }
      } else {
        for (int k = 0; k < n; k++)
          for (int l = 0; l < m; l++) to(j + k)[i + l] = from[l * x_pitch + k];
      }
    }
}

// out[j·out_pitch + i] = x[i·x_pitch + j] for i < rows, j < columns.
template <class T>
inline void copy_transposed(const T* x, ptrdiff_t x_pitch, int rows, int columns, T* out, ptrdiff_t out_pitch) {
  if (rows == 1 && out_pitch == 1) return copy_run(out, x, columns);
  if (columns == 1 && x_pitch == 1) return copy_run(out, x, rows);
  transpose_to(x, x_pitch, rows, columns, [=](int j) { return out + j * out_pitch; });
}

}  // namespace EK_ISA
