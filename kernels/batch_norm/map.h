// The elementwise passes of normalization, with numbers for each channel and x̃ = (x − hi) − lo, mean = hi + lo: a float cannot hold a
// mean far from 0 as exactly as its data are spread.
//   forward:     y = x̃·scale + shift
//   residual:    y = x̃·scale + shift + g
//   training:    dx = ((g + a) + x̃·b)·scale
//   weighted:    dx = ((g·shift + a) + x̃·b)·scale, for weights that differ within what is normalized together
//   evaluation:  dx = g·scale
// relu: forward max(y, 0); backward g counts where the forward's y, computed again by the same operations, was above 0.
#pragma once
#include "kernel.h"

namespace EK_ISA {

enum class Map { forward, residual, training, weighted, evaluation };

template <class V> struct Coefficients {
  V hi, lo, scale, shift, a, b;
};
constexpr int kCoefficients = 6;

template <Map map, bool relu, class V> EK_INLINE V map_step(V x, V g, const Coefficients<V>& k) {
  const V d = (x - k.hi) - k.lo;
  if constexpr (map == Map::forward || map == Map::residual) {
    V y = d * k.scale + k.shift;
    if constexpr (map == Map::residual) y += g;
    if constexpr (relu) return greater(V{}, y);
    return y;
  } else {
    if constexpr (relu) g = d * k.scale + k.shift > 0 ? g : V{};
    if constexpr (map == Map::evaluation) return g * k.scale;
    if constexpr (map == Map::weighted) return ((g * k.shift + k.a) + d * k.b) * k.scale;
    return ((g + k.a) + d * k.b) * k.scale;
  }
}

// streams: results go past the caches; then `out` and every run or row of it begin where a vector may be streamed to.
template <Map map, bool relu, class T, bool streams = false> struct Mapping {
  static constexpr int L = lanes<T>;
  static constexpr bool reads_x = map != Map::evaluation || relu, reads_dy = map != Map::forward;

  static EK_INLINE void whole(const T* x, const T* dy, T* out, ptrdiff_t at, const Coefficients<vec<T>>& k) {
    const vec<T> result = map_step<map, relu>(reads_x ? load(x + at) : vec<T>{}, reads_dy ? load(dy + at) : vec<T>{}, k);
    if constexpr (streams) stream(out + at, result);
    else store(out + at, result);
  }
  static EK_INLINE void partial(const T* x, const T* dy, T* out, ptrdiff_t at, int n, const Coefficients<vec<T>>& k) {
    store_n(out + at, map_step<map, relu>(reads_x ? load_n(x + at, n) : vec<T>{}, reads_dy ? load_n(dy + at, n) : vec<T>{}, k), n);
  }

  // n neighbours of one channel.
  static EK_INLINE void run(const T* x, const T* dy, T* out, ptrdiff_t at, int n, const Coefficients<T>& one) {
    const Coefficients<vec<T>> k = {splat<T>(one.hi), splat<T>(one.lo), splat<T>(one.scale), splat<T>(one.shift), splat<T>(one.a), splat<T>(one.b)};
    int i = 0;
    for (; i + L <= n; i += L) whole(x, dy, out, at + i, k);
    if (i < n) partial(x, dy, out, at + i, n - i, k);
  }

  // V vectors of columns down the rows, of which the last has n values: neighbours in memory are visited one after the other.
  template <int V>
  static EK_INLINE void strip(const T* x, const T* dy, T* out, ptrdiff_t at, ptrdiff_t pitch, int rows, int n, const T* k, int stride) {
    Coefficients<vec<T>> one[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) {
      const T* from = k + v * L;
      one[v] = {load(from), load(from + stride), load(from + 2 * stride), load(from + 3 * stride), load(from + 4 * stride), load(from + 5 * stride)};
    }
    for (int r = 0; r < rows; r++, at += pitch)
#pragma GCC unroll 4
      for (int v = 0; v < V; v++)
        if (V > 1 || n == L) whole(x, dy, out, at + v * L, one[v]);
        else partial(x, dy, out, at, n, one[v]);
  }
  // Rows of `columns` values; k: an array for each coefficient, `stride` apart, padded to whole vectors.
  static EK_INLINE void rows(const T* x, const T* dy, T* out, ptrdiff_t at, ptrdiff_t pitch, int rows, int columns, const T* k, int stride) {
    constexpr int panel = 16, V = 4;  // rows at a time, so that a page is used while it is near
    for (int r = 0; r < rows; r += panel) {
      const int count = rows - r < panel ? rows - r : panel;
      const ptrdiff_t from = at + r * pitch;
      int j = 0;
      for (; j + V * L <= columns; j += V * L) strip<V>(x, dy, out, from + j, pitch, count, L, k + j, stride);
      for (; j < columns; j += L) strip<1>(x, dy, out, from + j, pitch, count, columns - j < L ? columns - j : L, k + j, stride);
    }
  }
};

}  // namespace EK_ISA
