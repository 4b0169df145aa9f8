// The two places in a convolution where other work can join in. A prologue changes the input while a block of it is
// packed; an epilogue changes the output before it is stored. Both are maps: they work in place on runs of values that
// lie in L1. Maps do not store into tensors, and they do not know the memory format.
//
// Prologue: sees every packed value that comes from the tensor, and never the padding around it. A value that is packed
// several times is mapped each time. Forward has a prologue for x, backward by data has one for dy, and backward by
// weights has one for each of the two.
// Epilogue: sees every element of the output exactly once. Forward and backward by data have one.
#pragma once
#include "simd/vec.h"

namespace EK_ISA {

// Some pixels of the channels channel, channel + 1, …, and their places in the tensor, in either memory format: channel
// channel + c of pixel i is the element first + i·pixel + c·plane.
struct Run {
  int pixels, channel, channels;
  ptrdiff_t first, pixel, plane;
};

// The map that changes nothing. It shows the members that every map has; a loop core calls either `channels` or
// `plane`.
struct Identity {
  // Epilogues only: the map for one part of the output. Parts are blocks of pixels, a core has `parts()` of them, and
  // they depend on the shape alone. The runs of a channel in a part are mapped one after the other, in an order that
  // depends on the shape alone. So an epilogue can sum in a slot for each (part, channel) without a lock, and the sums
  // are the same for any number of threads.
  Identity part(int) const { return {}; }
  // The lanes are channels: channel c of pixel i is values[i·pitch + c]. A map does not touch what lies behind the last
  // channel.
  template <class T> EK_INLINE void channels(T*, ptrdiff_t, const Run&) const {}
  // The lanes are pixels of one channel: pixel i is values[i].
  template <class T> EK_INLINE void plane(T*, const Run&) const {}
  // Calls body(x) for each further tensor that the map reads, at the places of the run.
  template <class F> EK_INLINE void each_read(const F&) const {}
  // Epilogues only: prefetches what `channels` will read for a run.
  EK_INLINE void prefetch(const Run&) const {}
  // Prologues only: whether the map changes nothing, so that values need not be copied for it.
  bool none() const { return true; }
};

// n values that lie `step` apart. The lanes behind them are 0.
template <class T> EK_INLINE vec<T> load_apart(const T* from, ptrdiff_t step, int n) {
  if (step == 1) return load_some(from, n);
  vec<T> v = {};
  for (int l = 0; l < n; l++) v[l] = from[l * step];
  return v;
}
// What a map reads of a further tensor x at the places of a run: n channels of pixel i, from channel c of the run on;
// or n pixels of one channel, from pixel i on.
template <class T> EK_INLINE vec<T> channels_at(const T* x, const Run& run, int i, int c, int n) {
  return load_apart(x + run.first + i * run.pixel + c * run.plane, run.plane, n);
}
template <class T> EK_INLINE vec<T> pixels_at(const T* x, const Run& run, int i, int n) {
  return load_apart(x + run.first + i * run.pixel, run.pixel, n);
}
// Prefetches n channels of pixel i, in a tensor that is channels last. The hardware does not foresee rows that lie this
// far apart. Always inlined, because GCC drops calls of a function that only prefetches.
template <class T> EK_INLINE void prefetch_pixel(const T* x, const Run& run, int i, int n) {
  const T* at = x + run.first + i * run.pixel;
  for (int j = 0; j < n; j += line_of<T>) __builtin_prefetch(at + j);
}
constexpr int kSoon = 12;  // pixels between the prefetch and the use: a step in a loop over pixels is short

}  // namespace EK_ISA
