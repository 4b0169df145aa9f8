// The sum of neighbours, in double: element i of a run goes to lane i mod kSumLanes, however wide the vectors are
// (simd/order.h).
#pragma once
#include "simd/order.h"
#include "simd/strip.h"

namespace EK_ISA {

// So many lanes hide the latency of additions, and those of two sums fit the registers of every machine.
constexpr int kSumLanes = has_fused ? 16 : 8;

// The lanes of a vector of T as vectors of double.
template <class T> constexpr int widened = sizeof(double) / sizeof(T);
template <class T> EK_INLINE void widen_to(vec<double> (&to)[widened<T>], vec<T> x) {
  if constexpr (widened<T> == 1) to[0] = x;
  else {
    typename vec_of<T>::half halves[2];
    __builtin_memcpy(halves, &x, sizeof x);
    to[0] = widen(halves[0]), to[1] = widen(halves[1]);
  }
}

// Sums in double, one for each lane of a vector of T, wherever they are.
template <class T> struct WideSums {
  vec<double>* v;
  EK_INLINE void add(vec<T> x) const {
    vec<double> wide[widened<T>];
    widen_to<T>(wide, x);
#pragma GCC unroll 2
    for (int i = 0; i < widened<T>; i++) v[i] += wide[i];
  }
  EK_INLINE void add_product(vec<T> x, vec<T> y) const {
    vec<double> a[widened<T>], b[widened<T>];
    widen_to<T>(a, x), widen_to<T>(b, y);
#pragma GCC unroll 2
    for (int i = 0; i < widened<T>; i++) v[i] = multiply_add(a[i], b[i], v[i]);
  }
};

struct LaneSum {
  static constexpr int parts = kSumLanes / lanes<double>;
  vec<double> v[parts];

  // The lanes from `first` on, as those that a vector of T is added to.
  template <class T> EK_INLINE WideSums<T> from(int first) { return {v + first / lanes<double>}; }
  // Adds halves, first of vectors and then of lanes: one addition after the other would take as long as a short run.
  EK_INLINE double sum() const {
    LaneSum s = *this;
#pragma GCC unroll 8
    for (int half = parts / 2; half > 0; half /= 2)
#pragma GCC unroll 8
      for (int i = 0; i < half; i++) s.v[i] += s.v[i + half];
    double lane[lanes<double>];
    __builtin_memcpy(lane, &s, sizeof lane);
#pragma GCC unroll 8
    for (int half = lanes<double> / 2; half > 0; half /= 2)
#pragma GCC unroll 8
      for (int i = 0; i < half; i++) lane[i] += lane[i + half];
    return lane[0];
  }
};

// The sum of N lanes, one after the other. lanes_from(l) is the vector of those from l on.
template <class T, int N, class F> EK_INLINE T sum_in_order(const F& lanes_from) {
  T lane[N], sum = 0;
  for (int l = 0; l < N; l += lanes<T>) store(lane + l, lanes_from(l));
  for (const T one : lane) sum += one;
  return sum;
}

// Calls body(at, first) for all vectors of 0 … n − 1. first.value: the lane that the vector's first element goes to.
template <class T, class F> EK_INLINE void for_lanes(int n, const F& body) {
  constexpr int L = lanes<T>;
  int i = 0;
  for (; n - i >= kSumLanes; i += kSumLanes)
    each_const<kSumLanes, L>([&](auto first) EK_INLINE_LAMBDA { body(whole<T>{i + first.value}, first); });
  if (i == n) return;
  each_const<kSumLanes, L>([&](auto first) EK_INLINE_LAMBDA {
    const int left = n - i - first.value;
    if (left >= L) body(whole<T>{i + first.value}, first);
    else if (left > 0) body(partial<T>{i + first.value, left}, first);
  });
}

}  // namespace EK_ISA
