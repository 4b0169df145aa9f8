// The sums that an epilogue takes: two for each channel of each part of an output (map.h says what a part is).
// merge_sums.h turns those of all parts into results.
#pragma once
#include "batch_norm/sums.h"
#include "conv/map.h"

namespace EK_ISA {

// Values that are added in their own type before their sum goes to a double: a longer chain would lose digits, a
// shorter one costs more conversions.
constexpr int kChain = 8;

// The sums of one part, each an array over the channels: how many values, and a and b as in batch_norm/sums.h.
template <class Double> struct PartSums {
  Double *count, *pivot, *a, *b;

  // Adds the sums of a run of one channel.
  void add(const Run& run, const LaneSum& more_a, const LaneSum& more_b) const {
    count[run.channel] += run.pixels, a[run.channel] += more_a.sum(), b[run.channel] += more_b.sum();
  }
  // Adds the sums of `pixels` pixels of n channels, from `channel` on. It writes to those channels only: other threads
  // may be at work on their neighbours.
  template <class T> void add_lanes(int channel, int n, int pixels, Wide<T> more_a, Wide<T> more_b) const {
    for (int l = 0; l < n; l++) count[channel + l] += pixels;
    if (n == lanes<T>) {
      more_a.add(Wide<T>::from(a + channel)), more_a.put(a + channel);
      more_b.add(Wide<T>::from(b + channel)), more_b.put(b + channel);
      return;
    }
    alignas(64) double sum_a[lanes<T>], sum_b[lanes<T>];
    more_a.put(sum_a), more_b.put(sum_b);
    for (int l = 0; l < n; l++) a[channel + l] += sum_a[l], b[channel + l] += sum_b[l];
  }
};

// The memory of the sums of all parts: (part, 4, channel).
struct SumsMemory {
  double* first;
  int parts, channels;

  static size_t elements(int parts, int channels) { return static_cast<size_t>(parts) * 4 * channels; }
  template <class Double = double> PartSums<Double> part(int index) const {
    Double* at = first + static_cast<ptrdiff_t>(index) * 4 * channels;
    return {at, at + channels, at + 2 * channels, at + 3 * channels};
  }
};

}  // namespace EK_ISA
