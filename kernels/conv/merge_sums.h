// From the sums of an output's parts (part_sums.h) to what the norm beside the convolution is given: mean and M2 of
// every channel, or the two sums for its backward. Parts are merged in their order.
#pragma once
#include "batch_norm/passes.h"
#include "conv/part_sums.h"

namespace EK_ISA {

constexpr int kMergedChannels = 64;  // channels that one job merges

// The Moments of a vector of channels, which have equal counts.
struct MomentsOfChannels {
  double count = 0;
  vec<double> mean = {}, m2 = {};

  void merge(double n, vec<double> b_mean, vec<double> b_m2) {  // as Moments::merge
    if (count == 0) {
      count = n, mean = b_mean, m2 = b_m2;
      return;
    }
    const double all = count + n, share = n / all;
    const vec<double> delta = b_mean - mean;
    const ivec<double> is_finite = delta - delta == 0;
    mean += is_finite ? delta * share : b_mean;
    m2 = is_finite ? m2 + (b_m2 + delta * delta * (count * share)) : splat<double>(__builtin_nan(""));
    count = all;
  }
};

// Mean and M2 of every channel of y. They are taken again from y itself where the squares left the range of T, or where
// too many digits cancelled.
template <class T>
void merge_statistics(const SumsMemory& sums, const T* y, const Layout& layout, double* mean, double* m2) {
  parallel_blocks(layout.c, kMergedChannels, [&](int begin, int end) {
    for (int channel = begin; channel < end; channel += lanes<double>) {
      const int n = end - channel < lanes<double> ? end - channel : lanes<double>;
      const auto read = [&](const double* of) { return load_some(of + channel, n); };
      MomentsOfChannels total;
      vec<double> squares = {}, shift = {};
      for (int part = 0; part < sums.parts; part++) {
        const PartSums<const double> s = sums.part<const double>(part);
        const double count = s.count[channel];
        if (count == 0) continue;
        const vec<double> a = read(s.a), b = read(s.b), off = a * (a / count);
        squares += b, shift += off;
        total.merge(count, read(s.pivot) + a / count, b - off);
      }
      for (int l = 0; l < n; l++) {
        const bool in_range = squares[l] - squares[l] == 0 &&
                              squares[l] > total.count * (sizeof(T) == 4 ? 1e-30 : kSmallestSquare);
        Moments one{total.count, total.mean[l], total.m2[l]};
        if (!in_range || !(one.m2 * kCancelled<T> >= shift[l]))
          one = moments(y, total.count, 0, {0, __builtin_nan("")}, layout.each_of(channel + l));
        mean[channel + l] = one.mean, m2[channel + l] = one.m2;
      }
    }
  });
}

// Adds the sums of all parts to Σg and Σg·(x − mean) of every channel.
inline void add_gradient_sums(const SumsMemory& sums, double* sum_g, double* sum_g_xmu) {
  parallel_blocks(sums.channels, kMergedChannels, [&](int begin, int end) {
    for (int part = 0; part < sums.parts; part++) {
      const PartSums<const double> s = sums.part<const double>(part);
      for (int channel = begin; channel < end; channel++)
        sum_g[channel] += s.a[channel], sum_g_xmu[channel] += s.b[channel];
    }
  });
}
// Takes sums that left the range of T again, from the masked gradient dx.
template <class T>
void check_gradient_sums(const T* x, const T* dx, const T* norm, const Layout& layout, double* sum_g,
                         double* sum_g_xmu) {
  for (int channel = 0; channel < layout.c; channel++) {
    if (sum_g_xmu[channel] - sum_g_xmu[channel] == 0) continue;
    const double mean = static_cast<double>(norm[channel]) + norm[layout.c + channel];
    const Pair exact = exact_sums<Sum::backward>(x, dx, mean, {}, layout.each_of(channel));
    sum_g[channel] = exact.a, sum_g_xmu[channel] = exact.b;
  }
}

}  // namespace EK_ISA
