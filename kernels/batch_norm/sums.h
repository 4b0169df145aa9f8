// Sums over the values of a channel, for statistics and for the backward pass:
//   statistics: a = Σ(x − pivot), b = Σ(x − pivot)², all in double;  backward: a = Σg, b = Σg·(x − mean), where relu masks g, in short chains
//   of the tensor's own type that are flushed into double: what 16 additions round is lost among the roundings of the data.
#pragma once
#include "kernel.h"

namespace EK_ISA {

enum class Sum { statistics, backward, backward_relu };

// The type that is computed in.
template <Sum mode, class T> struct SumTypeOf { using type = T; };
template <class T> struct SumTypeOf<Sum::statistics, T> { using type = double; };
template <Sum mode, class T> using SumType = typename SumTypeOf<mode, T>::type;

// A vector of T as a vector of U, and one whose lanes behind the first n are 0.
template <class U, class T> EK_INLINE vec<U> fetch(const T* p) {
  if constexpr (sizeof(U) == sizeof(T)) return load(p);
  else return widen(p);
}
template <class U, class T> EK_INLINE vec<U> fetch_n(const T* p, int n) {
  if constexpr (sizeof(U) == sizeof(T)) return load_n(p, n);
  else {
    vec<U> v = {};
    for (int i = 0; i < n; i++) v[i] = p[i];
    return v;
  }
}

constexpr int kChain = 16;  // numbers added before a flush

// What is known of one channel, or of a vector of channels: the pivot, or the mean as hi + lo, and for relu the forward's y = x̃·scale + shift.
template <class V> struct Known {
  V hi, lo, scale, shift;
};
template <class T> EK_INLINE Known<vec<T>> splat_known(const Known<T>& k) {
  return {splat<T>(k.hi), splat<T>(k.lo), splat<T>(k.scale), splat<T>(k.shift)};
}

template <Sum mode, class V> EK_INLINE void sum_step(V x, V g, const Known<V>& k, V& a, V& b) {
  if constexpr (mode == Sum::statistics) {
    const V d = x - k.hi;
    a += d, b += d * d;
  } else {
    const V d = (x - k.hi) - k.lo;
    if constexpr (mode == Sum::backward_relu) g = d * k.scale + k.shift > 0 ? g : V{};
    a += g, b += g * d;
  }
}

// A vector of T summed in double.
template <class T> struct Wide {
  static constexpr int parts = sizeof(double) / sizeof(T);
  vec<double> v[parts];
  EK_INLINE void add(vec<T> x) {
    if constexpr (parts == 1) v[0] += x;
    else {
      typename vec_of<T>::half halves[2];
      __builtin_memcpy(halves, &x, sizeof x);
      v[0] += __builtin_convertvector(halves[0], vec<double>);
      v[1] += __builtin_convertvector(halves[1], vec<double>);
    }
  }
  // Adds to as many doubles in memory.
  static EK_INLINE void add_to(double* to, vec<T> x) {
    Wide wide;
#pragma GCC unroll 2
    for (int i = 0; i < parts; i++) wide.v[i] = load(to + i * lanes<double>);
    wide.add(x);
#pragma GCC unroll 2
    for (int i = 0; i < parts; i++) store(to + i * lanes<double>, wide.v[i]);
  }
  double sum() const { return parts == 1 ? sum_lanes<double>(v[0]) : sum_lanes<double>(v[0] + v[parts - 1]); }
};

// n neighbours of one channel. dy is not read for statistics.
template <Sum mode, class T, class U = SumType<mode, T>>
EK_INLINE void sum_run(const T* x, const T* dy, int n, const Known<U>& known, Wide<U>& sum_a, Wide<U>& sum_b) {
  constexpr int L = lanes<U>, chains = 4;
  constexpr bool backward = mode != Sum::statistics;
  const Known<vec<U>> k = splat_known<U>(known);
  int i = 0;
  while (n - i >= L) {
    vec<U> a[chains] = {}, b[chains] = {};
    const int end = n - i < kChain * L ? n : i + kChain * L;
    for (; end - i >= chains * L; i += chains * L)
#pragma GCC unroll 16
      for (int j = 0; j < chains; j++) sum_step<mode>(fetch<U>(x + i + j * L), backward ? fetch<U>(dy + i + j * L) : vec<U>{}, k, a[j], b[j]);
    for (; end - i >= L; i += L) sum_step<mode>(fetch<U>(x + i), backward ? fetch<U>(dy + i) : vec<U>{}, k, a[0], b[0]);
    sum_a.add((a[0] + a[1]) + (a[2] + a[3]));
    sum_b.add((b[0] + b[1]) + (b[2] + b[3]));
  }
  if (i == n) return;
  // The lanes behind the end hold the pivot, or a gradient of 0.
  vec<U> a = {}, b = {}, tail = fetch_n<U>(x + i, n - i);
  ivec<U> lane;
  for (int j = 0; j < L; j++) lane[j] = j;
  tail = lane < n - i ? tail : k.hi;
  sum_step<mode>(tail, backward ? fetch_n<U>(dy + i, n - i) : vec<U>{}, k, a, b);
  sum_a.add(a);
  sum_b.add(b);
}

// Columns of a matrix: a[j] += …, b[j] += … down `rows` rows; hi, lo, scale, shift: a value for each column. The arrays are padded to whole vectors.
template <class U> struct KnownColumns {
  const U *hi, *lo, *scale, *shift;
};
// V vectors of columns, of which the last has n values: neighbours in memory are read one after the other.
template <Sum mode, int V, class T, class U = SumType<mode, T>>
EK_INLINE void sum_panel(const T* x, const T* dy, ptrdiff_t pitch, int rows, int n, const KnownColumns<U>& columns, int j, double* sum_a, double* sum_b) {
  constexpr int L = lanes<U>;
  constexpr bool backward = mode != Sum::statistics;
  Known<vec<U>> k[V];
  vec<U> a[V] = {}, b[V] = {};
#pragma GCC unroll 4
  for (int v = 0; v < V; v++) {
    k[v].hi = load(columns.hi + j + v * L);
    if constexpr (backward) k[v].lo = load(columns.lo + j + v * L);
    if constexpr (mode == Sum::backward_relu) k[v].scale = load(columns.scale + j + v * L), k[v].shift = load(columns.shift + j + v * L);
  }
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) {
      const ptrdiff_t at = r * pitch + j + v * L;
      const bool whole = V > 1 || n == L;
      const vec<U> vx = whole ? fetch<U>(x + at) : fetch_n<U>(x + at, n), vg = !backward ? vec<U>{} : whole ? fetch<U>(dy + at) : fetch_n<U>(dy + at, n);
      sum_step<mode>(vx, vg, k[v], a[v], b[v]);
    }
#pragma GCC unroll 4
  for (int v = 0; v < V; v++) Wide<U>::add_to(sum_a + j + v * L, a[v]), Wide<U>::add_to(sum_b + j + v * L, b[v]);
}
template <Sum mode, class T, class U = SumType<mode, T>>
EK_INLINE void sum_rows(const T* x, const T* dy, ptrdiff_t pitch, int rows, int columns, const KnownColumns<U>& known, double* sum_a, double* sum_b) {
  constexpr int L = lanes<U>, V = 4;
  for (int r = 0; r < rows; r += kChain) {
    const int count = rows - r < kChain ? rows - r : kChain;
    const T *px = x + r * pitch, *pg = mode == Sum::statistics ? nullptr : dy + r * pitch;
    int j = 0;
    for (; j + V * L <= columns; j += V * L) sum_panel<mode, V>(px, pg, pitch, count, L, known, j, sum_a, sum_b);
    for (; j < columns; j += L) sum_panel<mode, 1>(px, pg, pitch, count, columns - j < L ? columns - j : L, known, j, sum_a, sum_b);
  }
}

}  // namespace EK_ISA
