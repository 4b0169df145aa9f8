// Runs of one length that lie element by element beside each other, taken apart and put together: each vector of one
// side takes elements of 2 or 3 vectors of the other one, in as many rounds as the number of runs has such factors.
#pragma once
#include "simd/copy.h"

namespace EK_ISA {

// Which element of R vectors, one behind the other, is lane i of result m: taking apart, every R-th; putting together,
// one of each vector in turn.
template <int R, bool apart> constexpr int dealt(int lanes, int m, int i) {
  return apart ? R * i + m : (m * lanes + i) % R * lanes + (m * lanes + i) / R;
}
// Puts those elements into v that are in vector k; with the first one, those of vector 0.
template <int R, bool apart, int m, int k, class V, int... I> EK_INLINE V take_dealt(V v, V next, Indices<I...>) {
  constexpr int n = sizeof...(I);
  constexpr auto index = [](int i) {
    const int at = dealt<R, apart>(n, m, i), vector = at / n;
    return vector == k ? n + at % n : k == 1 && vector == 0 ? at % n : i;
  };
  return __builtin_shufflevector(v, next, index(I)...);
}
template <int R, bool apart, int m, class V> EK_INLINE V deal(const V* r, int step) {
  constexpr indices<sizeof(V) / sizeof(r[0][0])> all{};
  const V v = take_dealt<R, apart, m, 1>(r[0], r[step], all);
  if constexpr (R == 2) return v;
  else return take_dealt<R, apart, m, 2>(v, r[2 * step], all);
}
// N vectors of runs beside each other become a vector of each, if apart, or the other way.
template <int N, bool apart, int left = N, class V> EK_INLINE void deal_all(V (&r)[N]) {
  if constexpr (left > 1) {
    constexpr int R = left % 2 == 0 ? 2 : 3, groups = N / R;
    static_assert(left % R == 0);
    V next[N];
#pragma GCC unroll 8
    for (int k = 0; k < groups; k++) {
      const V* const from = r + (apart ? R * k : k);
      V* const to = next + (apart ? k : R * k);
      constexpr int from_step = apart ? 1 : groups, to_step = apart ? groups : 1;
      to[0] = deal<R, apart, 0>(from, from_step);
      to[to_step] = deal<R, apart, 1>(from, from_step);
      if constexpr (R == 3) to[2 * to_step] = deal<R, apart, 2>(from, from_step);
    }
#pragma GCC unroll 16
    for (int k = 0; k < N; k++) r[k] = next[k];
    deal_all<N, apart, left / R>(r);
  }
}

// N runs of n elements: run j begins at apart[places[j]], and has every N-th element of `beside` from the j-th one on.
// Copies the one to the other: not inlined, since each is long.
template <int N, class T>
__attribute__((noinline)) void separate_runs(const T* beside, int n, T* apart, const int64_t* places) {
  constexpr int L = lanes<T>;
  if (n < L) {
    for (int i = 0; i < n; i++)
      for (int j = 0; j < N; j++) apart[places[j] + i] = beside[i * N + j];
    return;
  }
  for (int begin = 0; begin < n; begin += L) {
    const int i = begin + L <= n ? begin : n - L;  // the last vectors overlap their neighbours
    vec<T> r[N];
#pragma GCC unroll 16
    for (int j = 0; j < N; j++) r[j] = load(beside + i * N + j * L);
    deal_all<N, true>(r);
#pragma GCC unroll 16
    for (int j = 0; j < N; j++) store(apart + places[j] + i, r[j]);
  }
}
template <int N, class T>
__attribute__((noinline)) void interleave_runs(const T* apart, int n, T* beside, const int64_t* places) {
  constexpr int L = lanes<T>;
  if (n < L) {
    for (int i = 0; i < n; i++)
      for (int j = 0; j < N; j++) beside[i * N + j] = apart[places[j] + i];
    return;
  }
  for (int begin = 0; begin < n; begin += L) {
    const int i = begin + L <= n ? begin : n - L;
    vec<T> r[N];
#pragma GCC unroll 16
    for (int j = 0; j < N; j++) r[j] = load(apart + places[j] + i);
    deal_all<N, false>(r);
#pragma GCC unroll 16
    for (int j = 0; j < N; j++) store(beside + i * N + j * L, r[j]);
  }
}

}  // namespace EK_ISA
