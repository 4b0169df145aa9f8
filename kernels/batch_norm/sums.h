// Two sums over the values of a channel, a and b, for statistics and for the backward pass:
//   statistics     a = Σ(x − pivot), b = Σ(x − pivot)², all in double
//   backward       a = Σg, b = Σg·(x − mean); x − mean in the tensor's type, as in forward, the sums in double
//   backward_relu  the same, with g = 0 where the ReLU was closed
#pragma once
#include "batch_norm/map.h"
#include "simd/lane_sum.h"

namespace EK_ISA {

enum class Sum { statistics, backward, backward_relu };

// The type in which the terms are computed.
template <Sum mode, class T> struct SumTypeOf {
  using type = T;
};
template <class T> struct SumTypeOf<Sum::statistics, T> {
  using type = double;
};
template <Sum mode, class T> using SumType = typename SumTypeOf<mode, T>::type;

// Loads a vector of T as a vector of U. fetch_n: the lanes behind the first n are 0.
template <class U, class T> EK_INLINE vec<U> fetch(const T* p) {
  if constexpr (sizeof(U) == sizeof(T)) return load(p);
  else return widen(p);
}
template <class U, class T> EK_INLINE vec<U> fetch_n(const T* p, int n) {
  if constexpr (sizeof(U) == sizeof(T)) return load_n(p, n);
  else {
    const vec<T> v = load_n(p, n);
    typename vec_of<T>::half low;
    __builtin_memcpy(&low, &v, sizeof low);
    return widen(low);
  }
}

// A pivot, from the first of some numbers: differences from one that is not finite would all be NaN.
template <class T> EK_INLINE double finite_or_zero(T first) {
  return first - first == 0 ? static_cast<double>(first) : 0;
}

// The numbers of a channel, or of a vector of channels, that its sums need: hi is the pivot, or hi + lo is the mean.
// For relu the forward's y is x̃·scale + shift, and its limit is top.
template <class V> struct Known {
  V hi, lo, scale, shift, top = {};
};
// How many of these numbers a sum reads: the first ones.
template <Sum mode> constexpr int kKnown = mode == Sum::statistics ? 1 : mode == Sum::backward ? 2 : 5;
template <class T> EK_INLINE Known<vec<T>> splat_known(const Known<T>& k) {
  return {splat<T>(k.hi), splat<T>(k.lo), splat<T>(k.scale), splat<T>(k.shift), splat<T>(k.top)};
}

// Sums of the lanes of a vector of T, in double.
template <class T> struct Wide {
  static constexpr int parts = widened<T>;
  vec<double> v[parts];
  EK_INLINE void add(vec<T> x) { WideSums<T>{v}.add(x); }
  EK_INLINE void add_product(vec<T> x, vec<T> y) { WideSums<T>{v}.add_product(x, y); }
  EK_INLINE void add(const Wide& other) {
#pragma GCC unroll 2
    for (int i = 0; i < parts; i++) v[i] += other.v[i];
  }
  static EK_INLINE Wide from(const double* p) {
    Wide w;
#pragma GCC unroll 2
    for (int i = 0; i < parts; i++) w.v[i] = load(p + i * lanes<double>);
    return w;
  }
  EK_INLINE void put(double* p) const {
#pragma GCC unroll 2
    for (int i = 0; i < parts; i++) store(p + i * lanes<double>, v[i]);
  }
};

// to[i] += x[i] for the first n lanes.
template <class T> EK_INLINE void add_to(double* to, vec<T> x, int n) {
  if (n == lanes<T>) {
    Wide<T> sum = Wide<T>::from(to);
    sum.add(x);
    sum.put(to);
  } else {
    for (int i = 0; i < n; i++) to[i] += x[i];
  }
}

// Adds a vector's terms to two sums.
template <Sum mode, class U, class S>
EK_INLINE void sum_step(vec<U> x, vec<U> g, const Known<vec<U>>& k, S&& a, S&& b) {
  if constexpr (mode == Sum::statistics) {
    const vec<U> d = x - k.hi;
    a.add(d), b.add_product(d, d);
  } else {
    const vec<U> d = (x - k.hi) - k.lo;
    if constexpr (mode == Sum::backward_relu) g = where_open(g, multiply_add(d, k.scale, k.shift), k.top);
    a.add(g), b.add_product(g, d);
  }
}

// Sums `runs` runs of n neighbours of one channel, which lie `step` elements apart. Memory is prefetched `ahead`
// elements before its use. dy is not read for statistics.
template <Sum mode, class T, class U = SumType<mode, T>>
EK_INLINE void sum_runs(const T* x, const T* dy, int n, int runs, ptrdiff_t step, ptrdiff_t ahead,
                        const Known<U>& known, LaneSum& sum_a, LaneSum& sum_b) {
  constexpr bool backward = mode != Sum::statistics;
  const Known<vec<U>> k = splat_known<U>(known);
  LaneSum a = sum_a, b = sum_b;
  for (int r = 0; r < runs; r++, x += step, dy += backward ? step : 0)
    for_lanes<U>(n, [&](auto at, auto first) EK_INLINE_LAMBDA {
      const auto to_a = a.template from<U>(first.value), to_b = b.template from<U>(first.value);
      if constexpr (at.is_whole) {
        if (has_prefetch && first.value % line_of<T> == 0) {
          prefetch(x + at.i + ahead);
          if constexpr (backward) prefetch(dy + at.i + ahead);
        }
        sum_step<mode, U>(fetch<U>(x + at.i), backward ? fetch<U>(dy + at.i) : vec<U>{}, k, to_a, to_b);
      } else {  // the lanes behind the end hold the pivot, or a gradient of 0: they add 0
        ivec<U> lane;
        for (int j = 0; j < lanes<U>; j++) lane[j] = j;
        const vec<U> tail = fetch_n<U>(x + at.i, at.count);
        sum_step<mode, U>(lane < at.count ? tail : k.hi, backward ? fetch_n<U>(dy + at.i, at.count) : vec<U>{}, k, to_a,
                          to_b);
      }
    });
  sum_a = a, sum_b = b;
}

// Adds R rows of a matrix to the sums a and b of its columns. known, sums: the numbers and the sums of the columns,
// interleaved. A call walks along the rows, so that memory is read in its order; the sums stay in L1.
template <Sum mode, int R, class T, class U = SumType<mode, T>>
EK_INLINE void sum_band(const T* x, const T* dy, ptrdiff_t pitch, ptrdiff_t ahead, int columns, const U* known,
                        double* sums) {
  constexpr int L = lanes<U>;
  constexpr bool backward = mode != Sum::statistics;
  const auto step = [&](int j, const auto& read) EK_INLINE_LAMBDA {
    Known<vec<U>> k = {load(known), {}, {}, {}};
    if constexpr (backward) k.lo = load(known + L);
    if constexpr (mode == Sum::backward_relu)
      k.scale = load(known + 2 * L), k.shift = load(known + 3 * L), k.top = load(known + 4 * L);
    Wide<U> a = Wide<U>::from(sums), b = Wide<U>::from(sums + L);
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
      const ptrdiff_t at = r * pitch + j;
      if (has_prefetch && j % line_of<T> == 0) {
        prefetch(x + at + ahead);
        if constexpr (backward) prefetch(dy + at + ahead);
      }
      sum_step<mode, U>(read(x + at), backward ? read(dy + at) : vec<U>{}, k, a, b);
    }
    a.put(sums), b.put(sums + L);
    known += kKnown<mode> * L, sums += 2 * L;
  };
  int j = 0;
  for (; j + L <= columns; j += L) step(j, [](const T* p) { return fetch<U>(p); });
  if (j < columns) step(j, [&](const T* p) { return fetch_n<U>(p, columns - j); });
}
template <Sum mode, class T, class U = SumType<mode, T>>
EK_INLINE void sum_rows(const T* x, const T* dy, ptrdiff_t pitch, int rows, int columns, const U* known, double* sums) {
  constexpr int R = mode == Sum::statistics ? 4 : 2;               // with dy there are also 4 streams of memory
  const ptrdiff_t dy_pitch = mode == Sum::statistics ? 0 : pitch;  // dy is null for statistics, and stays null
  const ptrdiff_t ahead = rows_ahead<T>(columns) * pitch;
  int r = 0;
  for (; r + R <= rows; r += R) sum_band<mode, R>(x + r * pitch, dy + r * dy_pitch, pitch, ahead, columns, known, sums);
  for (; r < rows; r++) sum_band<mode, 1>(x + r * pitch, dy + r * dy_pitch, pitch, ahead, columns, known, sums);
}

}  // namespace EK_ISA
