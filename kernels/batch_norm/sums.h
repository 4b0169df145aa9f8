// Two sums over the values of a channel, a and b, for statistics and for the backward pass:
//   statistics     a = Σ(x − pivot), b = Σ(x − pivot)², all in double
//   backward       a = Σg, b = Σg·(x − mean); x − mean in the tensor's type, as in forward, the sums in double
//   backward_relu  the same, with g = 0 where the ReLU was closed
#pragma once
#include "batch_norm/map.h"

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

// The sum of a vector's lanes. It adds halves: one addition after the other would take as long as a short run.
EK_INLINE double sum_tree(vec<double> v) {
  double part[lanes<double>];
  __builtin_memcpy(part, &v, sizeof v);
#pragma GCC unroll 8
  for (int half = lanes<double> / 2; half > 0; half /= 2)
#pragma GCC unroll 8
    for (int i = 0; i < half; i++) part[i] += part[i + half];
  return part[0];
}

// The lanes of a vector of T, summed in double.
template <class T> struct Wide {
  static constexpr int parts = sizeof(double) / sizeof(T);
  vec<double> v[parts];
  static EK_INLINE void widen_to(vec<double> (&to)[parts], vec<T> x) {
    if constexpr (parts == 1) to[0] = x;
    else {
      typename vec_of<T>::half halves[2];
      __builtin_memcpy(halves, &x, sizeof x);
      to[0] = widen(halves[0]), to[1] = widen(halves[1]);
    }
  }
  EK_INLINE void add(vec<T> x) {
    vec<double> wide[parts];
    widen_to(wide, x);
#pragma GCC unroll 2
    for (int i = 0; i < parts; i++) v[i] += wide[i];
  }
  EK_INLINE void add_product(vec<T> x, vec<T> y) {
    vec<double> a[parts], b[parts];
    widen_to(a, x), widen_to(b, y);
#pragma GCC unroll 2
    for (int i = 0; i < parts; i++) v[i] += a[i] * b[i];
  }
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
  EK_INLINE double sum() const { return sum_tree(parts == 1 ? v[0] : v[0] + v[parts - 1]); }
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

template <Sum mode, class U>
EK_INLINE void sum_step(vec<U> x, vec<U> g, const Known<vec<U>>& k, Wide<U>& a, Wide<U>& b) {
  if constexpr (mode == Sum::statistics) {
    const vec<U> d = x - k.hi;
    a.add(d), b.add_product(d, d);
  } else {
    const vec<U> d = (x - k.hi) - k.lo;
    if constexpr (mode == Sum::backward_relu) g = where_open(g, d * k.scale + k.shift, k.top);
    a.add(g), b.add_product(g, d);
  }
}

// Sums `runs` runs of n neighbours of one channel, which lie `step` elements apart. Memory is prefetched `ahead`
// elements before its use. dy is not read for statistics.
template <Sum mode, class T, class U = SumType<mode, T>>
EK_INLINE void sum_runs(const T* x, const T* dy, int n, int runs, ptrdiff_t step, ptrdiff_t ahead,
                        const Known<U>& known, Wide<U>& sum_a, Wide<U>& sum_b) {
  constexpr int L = lanes<U>;
  constexpr int chains = mode == Sum::statistics ? 4 : 2;  // independent sums, which hide the latency of additions
  constexpr bool backward = mode != Sum::statistics;
  const Known<vec<U>> k = splat_known<U>(known);
  Wide<U> a[chains] = {}, b[chains] = {};
  for (int r = 0; r < runs; r++, x += step, dy += backward ? step : 0) {
    const auto whole = [&](int i, int chain) EK_INLINE_LAMBDA {
      if (has_prefetch && (chain * L) % line_of<T> == 0) {
        prefetch(x + i + ahead);
        if constexpr (backward) prefetch(dy + i + ahead);
      }
      sum_step<mode, U>(fetch<U>(x + i), backward ? fetch<U>(dy + i) : vec<U>{}, k, a[chain], b[chain]);
    };
    int i = 0;
    for (; n - i >= chains * L; i += chains * L)
#pragma GCC unroll 16
      for (int j = 0; j < chains; j++) whole(i + j * L, j);
    for (; n - i >= L; i += L) whole(i, 0);
    if (i < n) {  // the lanes behind the end hold the pivot, or a gradient of 0: they add 0
      ivec<U> lane;
      for (int j = 0; j < L; j++) lane[j] = j;
      const vec<U> tail = fetch_n<U>(x + i, n - i);
      sum_step<mode, U>(lane < n - i ? tail : k.hi, backward ? fetch_n<U>(dy + i, n - i) : vec<U>{}, k, a[chains - 1],
                        b[chains - 1]);
    }
  }
#pragma GCC unroll 16
  for (int j = 0; j < chains; j++) sum_a.add(a[j]), sum_b.add(b[j]);
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
