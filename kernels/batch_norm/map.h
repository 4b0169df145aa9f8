// The elementwise passes of normalization, with numbers for each channel. x̃ is x minus the mean: x̃ = (x − hi) − lo,
// where mean = hi + lo. One float would not hold a mean far from 0 as exactly as data with a small spread need it.
//   forward:     y = x̃·scale + shift
//   residual:    y = x̃·scale + shift + g
//   training:    dx = ((g + a) + x̃·b)·scale
//   weighted:    dx = ((g·shift + a) + x̃·b)·scale, for weights that differ within what is normalized together
//   evaluation:  dx = g·scale
// relu: forward limits y to 0 … top. Backward takes g where the forward's y was between these limits, and 0 elsewhere;
// it computes that y again, by the same operations. A top of NaN is no limit, because no comparison with it holds.
#pragma once
#include "kernel.h"

namespace EK_ISA {

enum class Map { forward, residual, training, weighted, evaluation };

template <class V> struct Coefficients {
  V hi, lo, scale, shift, a, b, top = {};
};
constexpr int kCoefficients = 7;

// Numbers of columns lie interleaved, so that they are read as one stream: for each vector of columns there are `many`
// vectors, one for each number. This is the place of number i of a column.
template <class U> constexpr int interleaved(int column, int many, int i) {
  return (column / lanes<U> * many + i) * lanes<U> + column % lanes<U>;
}

// Loads the coefficients of n channels, or of one channel into all lanes. norm: the coefficients of all channels
// (kCoefficients, c), as ek_batch_norm_coefficients writes them.
template <class T> EK_INLINE Coefficients<vec<T>> coefficients_at(const T* norm, int c, int channel, int n) {
  const auto at = [&](int i) {
    return n < lanes<T> ? load_n(norm + static_cast<ptrdiff_t>(i) * c + channel, n)
                        : load(norm + static_cast<ptrdiff_t>(i) * c + channel);
  };
  return {at(0), at(1), at(2), at(3), at(4), at(5), at(6)};
}
template <class T> EK_INLINE Coefficients<vec<T>> splat_coefficients(const T* norm, int c, int channel) {
  const auto at = [&](int i) { return splat<T>(norm[static_cast<ptrdiff_t>(i) * c + channel]); };
  return {at(0), at(1), at(2), at(3), at(4), at(5), at(6)};
}

// Whether a ReLU with the limit `top` and the output y lets the gradient through.
template <class V> EK_INLINE auto is_open(V y, V top) { return (y > 0) & ~(y >= top); }
// g where the ReLU lets the gradient through, and 0 elsewhere.
template <class V> EK_INLINE V where_open(V g, V y, V top) {
  const auto open = is_open(y, top);
#if EK_VECTOR_BYTES == 64
  return open ? loaded(g) : V{};
#else
  return (V)(open & (decltype(open))g);
#endif
}

template <Map map, bool relu, class V> EK_INLINE V map_step(V x, V g, const Coefficients<V>& k) {
  const V d = (x - k.hi) - k.lo;
  if constexpr (map == Map::forward || map == Map::residual) {
    V y = multiply_add(d, k.scale, k.shift);
    if constexpr (map == Map::residual) y += g;
    if constexpr (relu) return lesser(k.top, greater(V{}, y));
    return y;
  } else {
    if constexpr (relu) g = where_open(g, multiply_add(d, k.scale, k.shift), k.top);
    if constexpr (map == Map::evaluation) return g * k.scale;
    if constexpr (map == Map::weighted) return multiply_add(d, k.b, multiply_add(g, k.shift, k.a)) * k.scale;
    return multiply_add(d, k.b, g + k.a) * k.scale;
  }
}

// streams: results are stored past the caches. `out` and every row of it must then be aligned to a vector.
template <Map map, bool relu, class T, bool streams = false> struct Mapping {
  static constexpr int L = lanes<T>;
  static constexpr bool reads_x = map != Map::evaluation || relu, reads_dy = map != Map::forward;

  static EK_INLINE void whole(const T* x, const T* dy, T* out, ptrdiff_t at, const Coefficients<vec<T>>& k) {
    const vec<T> result = map_step<map, relu>(reads_x ? load(x + at) : vec<T>{}, reads_dy ? load(dy + at) : vec<T>{},
                                              k);
    if constexpr (streams) stream(out + at, result);
    else store(out + at, result);
  }
  static EK_INLINE void partial(const T* x, const T* dy, T* out, ptrdiff_t at, int n, const Coefficients<vec<T>>& k) {
    store_n(out + at,
            map_step<map, relu>(reads_x ? load_n(x + at, n) : vec<T>{}, reads_dy ? load_n(dy + at, n) : vec<T>{}, k),
            n);
  }

  // Prefetches what will be read and written at a place.
  static EK_INLINE void prefetch_at(const T* x, const T* dy, T* out, ptrdiff_t at) {
    if constexpr (reads_x) prefetch(x + at);
    if constexpr (reads_dy) prefetch(dy + at);
    if constexpr (!streams) prefetch_write(out + at);
  }

  // Maps n neighbours of one channel. Memory is prefetched `ahead` elements before its use.
  static EK_INLINE void run(const T* x, const T* dy, T* out, ptrdiff_t at, int n, ptrdiff_t ahead,
                            const Coefficients<T>& one) {
    const Coefficients<vec<T>> k = {splat<T>(one.hi), splat<T>(one.lo), splat<T>(one.scale), splat<T>(one.shift),
                                    splat<T>(one.a),  splat<T>(one.b),  splat<T>(one.top)};
    constexpr int line = line_of<T>;
    int i = 0;
    if constexpr (streams) {  // up to the first aligned vector of `out`
      const int head = static_cast<int>(-at & (L - 1));
      i = head < n ? head : n;
      if (i > 0) Mapping<map, relu, T>::partial(x, dy, out, at, i, k);
    }
    for (; i + line <= n; i += line) {
      prefetch_at(x, dy, out, at + i + ahead);
#pragma GCC unroll 8
      for (int v = 0; v < line; v += L) whole(x, dy, out, at + i + v, k);
    }
    if constexpr (L < line)
      for (; i + L <= n; i += L) whole(x, dy, out, at + i, k);
    if (i < n) partial(x, dy, out, at + i, n - i, k);
  }

  // Maps rows of `columns` values, one after the other. k: the coefficients of the columns, interleaved.
  static EK_INLINE void rows(const T* x, const T* dy, T* out, ptrdiff_t at, ptrdiff_t pitch, int rows, int columns,
                             const T* k) {
    constexpr int R = EK_VECTOR_BYTES == 16 ? 2 : 1;
    const ptrdiff_t ahead = rows_ahead<T>(columns) * pitch;
    int r = 0;
    for (; r + R <= rows; r += R, at += R * pitch) band<R>(x, dy, out, at, pitch, ahead, columns, k);
    if (r < rows) band<1>(x, dy, out, at, pitch, ahead, columns, k);
  }

 private:
  // Maps R rows together, which load the coefficients once. With narrow vectors those loads are half of all loads. Wide
  // vectors wait for memory, which is faster with one stream.
  template <int R>
  static EK_INLINE void band(const T* x, const T* dy, T* out, ptrdiff_t at, ptrdiff_t pitch, ptrdiff_t ahead,
                             int columns, const T* k) {
    const auto numbers = [&]() -> Coefficients<vec<T>> {
      return {load(k),         load(k + L),     load(k + 2 * L), load(k + 3 * L),
              load(k + 4 * L), load(k + 5 * L), load(k + 6 * L)};
    };
    int j = 0;
    for (; j + L <= columns; j += L, k += kCoefficients * L) {
      const Coefficients<vec<T>> together = numbers();
#pragma GCC unroll 2
      for (int r = 0; r < R; r++) {
        if (has_prefetch && j % line_of<T> == 0) prefetch_at(x, dy, out, at + r * pitch + j + ahead);
        whole(x, dy, out, at + r * pitch + j, together);
      }
    }
    if (j < columns)
      for (int r = 0; r < R; r++) partial(x, dy, out, at + r * pitch + j, columns - j, numbers());
  }
};

}  // namespace EK_ISA
