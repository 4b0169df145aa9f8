// An epilogue of backward by data, for the norm before the convolution (and the ReLU between them). It sets the
// gradient to 0 where the ReLU was closed, and takes the sums that the norm's backward needs: Σg and Σg·(x − mean).
#pragma once
#include "conv/part_sums.h"

namespace EK_ISA {

template <class T> struct MaskGradient {
  const T *norm, *x;  // the norm's coefficients (kCoefficients, c), and its input
  const T* limited;   // optional: the ReLU's output, if more than norm(x) went into the ReLU
  int c, relu;        // relu: 0 if there is no ReLU, and so no mask
  PartSums<double> sums = {};

  template <class F> EK_INLINE void each_read(const F& body) const {
    body(x);
    if (limited) body(limited);
  }
  void channels(T* values, ptrdiff_t pitch, const Run& run) const {
    if (relu && limited) mask_channels<true>(values, pitch, run);
    else mask_channels<false>(values, pitch, run);
  }
  void plane(T* values, const Run& run) const {
    if (relu && limited) mask_plane<true>(values, run);
    else mask_plane<false>(values, run);
  }

 private:
  // given: the ReLU's output is read; otherwise it is computed again from x.
  template <bool given> void mask_channels(T* values, ptrdiff_t pitch, const Run& run) const {
    int j = 0;
    if (run.plane == 1) {
      // Two neighbouring vectors together: of each pixel whole cache lines are read.
      for (; j + 2 * lanes<T> <= run.channels; j += 2 * lanes<T>) mask_strip<2, given>(values, pitch, run, j);
      for (; j + lanes<T> <= run.channels; j += lanes<T>) mask_strip<1, given>(values, pitch, run, j);
    }
    for (; j < run.channels; j += lanes<T>) {
      const int n = run.channels - j < lanes<T> ? run.channels - j : lanes<T>;
      const Coefficients<vec<T>> k = coefficients_at(norm, c, run.channel + j, n);
      Wide<T> a{}, b{};
      for (int i = 0; i < run.pixels;) {
        vec<T> chain_a = {}, chain_b = {};
        for (const int end = run.pixels - i < kChain ? run.pixels : i + kChain; i < end; i++) {
          T* at = values + i * pitch + j;
          const vec<T> y = given ? channels_at(limited, run, i, j, n) : vec<T>{};
          store_n(at, mask<given>(load_n(at, n), channels_at(x, run, i, j, n), y, k, chain_a, chain_b), n);
        }
        a.add(chain_a), b.add(chain_b);
      }
      sums.add_lanes(run.channel + j, n, run.pixels, a, b);
    }
  }
  // V whole vectors of channels, from channel j of the run on, in a tensor that is channels last.
  template <int V, bool given>
  __attribute__((noinline)) void mask_strip(T* values, ptrdiff_t pitch, const Run& run, int j) const {
    constexpr int L = lanes<T>;
    Coefficients<vec<T>> k[V];
    Wide<T> a[V] = {}, b[V] = {};
#pragma GCC unroll 2
    for (int v = 0; v < V; v++) k[v] = coefficients_at(norm, c, run.channel + j + v * L, L);
    const T *from = x + run.first + j, *y = given ? limited + run.first + j : nullptr;
    T* at = values + j;
    const ptrdiff_t pixel = run.pixel;
    for (int i = 0; i < run.pixels;) {
      vec<T> chain_a[V] = {}, chain_b[V] = {};
      for (const int end = run.pixels - i < kChain ? run.pixels : i + kChain; i < end;
           i++, from += pixel, at += pitch) {
        prefetch_pixel(x + j, run, i + kSoon, V * L);
        if constexpr (given) prefetch_pixel(limited + j, run, i + kSoon, V * L);
#pragma GCC unroll 2
        for (int v = 0; v < V; v++) {
          const vec<T> out = given ? load(y + v * L) : vec<T>{};
          store(at + v * L, mask<given>(load(at + v * L), load(from + v * L), out, k[v], chain_a[v], chain_b[v]));
        }
        if constexpr (given) y += pixel;
      }
#pragma GCC unroll 2
      for (int v = 0; v < V; v++) a[v].add(chain_a[v]), b[v].add(chain_b[v]);
    }
#pragma GCC unroll 2
    for (int v = 0; v < V; v++) sums.add_lanes(run.channel + j + v * L, L, run.pixels, a[v], b[v]);
  }
  template <bool given> __attribute__((noinline)) void mask_plane(T* values, const Run& run) const {
    const Coefficients<vec<T>> k = splat_coefficients(norm, c, run.channel);
    LaneSum a{}, b{};
    for_lanes<T>(run.pixels, [&](auto at, auto first) EK_INLINE_LAMBDA {
      vec<T> sum_a = {}, sum_b = {};
      const vec<T> y = given ? pixels_at(limited, run, at.i, at.count) : vec<T>{};
      at.write(values, mask<given>(at.read(values), pixels_at(x, run, at.i, at.count), y, k, sum_a, sum_b));
      a.template from<T>(first.value).add(sum_a), b.template from<T>(first.value).add(sum_b);
    });
    sums.add(run, a, b);
  }
  // Masks the gradient g, and adds it to the sums a and b. y: the ReLU's output, if it is given. Lanes without a value
  // must hold a gradient of 0.
  template <bool given>
  EK_INLINE vec<T> mask(vec<T> g, vec<T> x, vec<T> y, const Coefficients<vec<T>>& k, vec<T>& a, vec<T>& b) const {
    const vec<T> d = (x - k.hi) - k.lo;
    if (given || relu) g = where_open(g, given ? y : multiply_add(d, k.scale, k.shift), k.top);
    a += g, b = multiply_add(g, d, b);
    return g;
  }
};

}  // namespace EK_ISA
