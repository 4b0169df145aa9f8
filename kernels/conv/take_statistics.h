// An epilogue that takes the statistics of the output for the norm behind the convolution. It changes no value. The
// sums of a channel in a part are shifted by a pivot, the first value there: it is as close to the mean as the values
// are to each other.
#pragma once
#include "conv/part_sums.h"
#include "simd/strip.h"

namespace EK_ISA {

template <class T> struct TakeStatistics {
  PartSums<double> sums;

  void channels(const T* values, ptrdiff_t pitch, const Run& run) const {
    int j = 0;
    for (; j + 2 * lanes<T> <= run.channels; j += 2 * lanes<T>)
      sum_strip<2>(values + j, pitch, run.pixels, run.channel + j, lanes<T>);
    for (; j < run.channels; j += lanes<T>)
      sum_strip<1>(values + j, pitch, run.pixels, run.channel + j,
                   run.channels - j < lanes<T> ? run.channels - j : lanes<T>);
  }
  __attribute__((noinline)) void plane(const T* values, const Run& run) const {
    if (sums.count[run.channel] == 0) sums.pivot[run.channel] = finite_or_zero(values[0]);
    const vec<T> pivot = splat<T>(static_cast<T>(sums.pivot[run.channel]));
    LaneSum a{}, b{};
    for_lanes<T>(run.pixels, [&](auto at, auto first) EK_INLINE_LAMBDA {
      const vec<T> d = at.read(values, pivot[0]) - pivot;
      a.template from<T>(first.value).add(d), b.template from<T>(first.value).add_product(d, d);
    });
    sums.add(run, a, b);
  }

 private:
  // V vectors of channels from `channel` on; the last vector has n channels.
  template <int V>
  __attribute__((noinline)) void sum_strip(const T* values, ptrdiff_t pitch, int pixels, int channel, int n) const {
    constexpr int L = lanes<T>;
    double* pivots = sums.pivot + channel;
    if (sums.count[channel] == 0)
      for (int l = 0; l < (V - 1) * L + n; l++) pivots[l] = finite_or_zero(values[l]);
    const auto read = [&](const T* at) { return V > 1 || n == L ? load(at) : load_n(at, n); };
    vec<T> pivot[V] = {};
    Wide<T> a[V] = {}, b[V] = {};
#pragma GCC unroll 2
    for (int v = 0; v < V; v++) {
      alignas(64) T p[L] = {};
      for (int l = 0; l < (V > 1 ? L : n); l++) p[l] = static_cast<T>(pivots[v * L + l]);
      pivot[v] = load(p);
    }
    for (int i = 0; i < pixels;) {
      vec<T> chain_a[V] = {}, chain_b[V] = {};
      for (const int end = pixels - i < kChain ? pixels : i + kChain; i < end; i++, values += pitch)
#pragma GCC unroll 2
        for (int v = 0; v < V; v++) {
          const vec<T> d = read(values + v * L) - pivot[v];
          chain_a[v] += d, chain_b[v] = multiply_add(d, d, chain_b[v]);
        }
#pragma GCC unroll 2
      for (int v = 0; v < V; v++) a[v].add(chain_a[v]), b[v].add(chain_b[v]);
    }
#pragma GCC unroll 2
    for (int v = 0; v < V; v++) sums.add_lanes(channel + v * L, V > 1 ? L : n, pixels, a[v], b[v]);
  }
};

}  // namespace EK_ISA
