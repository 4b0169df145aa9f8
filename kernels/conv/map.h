// The seams of a convolution: what happens to its input while a block of it is packed (prologue), and to its output before it is
// stored (epilogue). Either is a Map, called on a run that lies in L1, in one of the two layouts the loop cores use.
// Stores and formats are not its business.
#pragma once
#include "simd/vec.h"

namespace EK_ISA {

struct Identity {
  // pixels × channels values, `pitch` apart, of channels channel, channel + 1, …
  template <class T> EK_INLINE void channels(T*, int, ptrdiff_t, int, int) const {}
  // `pixels` values of one channel.
  template <class T> EK_INLINE void plane(T*, int, int) const {}
};

template <class T> struct Bias {
  const T* bias;  // optional

  // Whole vectors: beyond `channels` the pitch leaves room for them.
  EK_INLINE void channels(T* run, int pixels, ptrdiff_t pitch, int channel, int channels) const {
    if (!bias) return;
    for (int c = 0; c < channels; c += lanes<T>) {
      const int left = channels - c;
      const vec<T> b = left < lanes<T> ? load_n(bias + channel + c, left) : load(bias + channel + c);
      for (int i = 0; i < pixels; i++) store(run + i * pitch + c, load(run + i * pitch + c) + b);
    }
  }
  EK_INLINE void plane(T* run, int pixels, int channel) const {
    if (!bias) return;
    const vec<T> b = splat(bias[channel]);
    int i = 0;
    for (; i + lanes<T> <= pixels; i += lanes<T>) store(run + i, load(run + i) + b);
    if (i < pixels) store_n(run + i, load_n(run + i, pixels - i) + b, pixels - i);
  }
};

}  // namespace EK_ISA
