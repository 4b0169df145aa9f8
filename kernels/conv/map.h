// The seams of a convolution: what happens to its input while a block of it is packed (prologue), and to its output
// before it is stored (epilogue). Either is a map, called on runs of values that lie in L1; stores and formats are not
// its business.
//
// Prologue: sees every packed value that comes from the tensor, never the padding around it. A value may be packed, and
// so mapped, several times. Forward has one for x, backward by data one for dy, backward by weights one for each.
// Epilogue: sees every element of the output once, in forward and in backward by data, phases of a stride included.
#pragma once
#include "simd/vec.h"

namespace EK_ISA {

// A run: channels channel, channel + 1, … of some pixels, and where its values come from, or go to: channel channel + c
// of pixel i is element first + i·pixel + c·plane of the tensor, whatever its format.
struct Run {
  int pixels, channel, channels;
  ptrdiff_t first, pixel, plane;
};

// A map is a class with the members of this one, of which a loop core uses either of the last two.
struct Identity {
  // The map of one part of the output. Parts are blocks of pixels, `parts()` of them in a core, and depend on the shape
  // alone; all runs of one channel in a part are seen one after the other, in an order that depends on the shape alone.
  // So what an epilogue sums in a slot for each (part, channel) needs no lock, and is equal for any number of threads.
  // Epilogues only.
  Identity part(int) const { return {}; }
  // Lanes are channels: channel c of pixel i is values[i·pitch + c]. What lies beyond the last channel is not the
  // map's.
  template <class T> EK_INLINE void channels(T*, ptrdiff_t, const Run&) const {}
  // Lanes are pixels, of one channel: values[i].
  template <class T> EK_INLINE void plane(T*, const Run&) const {}
  // body(x) for each further tensor of which the map reads the same places.
  template <class F> EK_INLINE void each_read(const F&) const {}
  // Asks for those of a run. Epilogues only.
  EK_INLINE void expect(const Run&) const {}
  // Whether values stay as they are, so that nobody need copy them for this map. Prologues only.
  bool none() const { return true; }
};

template <class T> struct Bias {
  const T* bias;  // optional

  EK_INLINE void channels(T* values, ptrdiff_t pitch, const Run& run) const {
    if (!bias) return;
    for (int c = 0; c < run.channels; c += lanes<T>) {
      const int left = run.channels - c;
      if (left < lanes<T>) {
        const vec<T> b = load_n(bias + run.channel + c, left);
        for (int i = 0; i < run.pixels; i++)
          store_n(values + i * pitch + c, load_n(values + i * pitch + c, left) + b, left);
      } else {
        const vec<T> b = load(bias + run.channel + c);
        for (int i = 0; i < run.pixels; i++) store(values + i * pitch + c, load(values + i * pitch + c) + b);
      }
    }
  }
  EK_INLINE void plane(T* values, const Run& run) const {
    if (!bias) return;
    const vec<T> b = splat(bias[run.channel]);
    int i = 0;
    for (; i + lanes<T> <= run.pixels; i += lanes<T>) store(values + i, load(values + i) + b);
    if (i < run.pixels) store_n(values + i, load_n(values + i, run.pixels - i) + b, run.pixels - i);
  }
};

}  // namespace EK_ISA
