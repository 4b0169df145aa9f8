// Epilogues that add: a number to each channel, or a tensor.
#pragma once
#include "conv/map.h"

namespace EK_ISA {

// y += bias
template <class T> struct AddBias {
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

// y += x
template <class T> struct AddTensor {
  const T* x;  // optional, in the format of y

  template <class F> EK_INLINE void each_read(const F& body) const {
    if (x) body(x);
  }
  EK_INLINE void channels(T* values, ptrdiff_t pitch, const Run& run) const {
    if (x) add_channels(values, pitch, run);
  }
  EK_INLINE void plane(T* values, const Run& run) const {
    if (x) add_plane(values, run);
  }

 private:
  __attribute__((noinline)) void add_channels(T* values, ptrdiff_t pitch, const Run& run) const {
    for (int i = 0; i < run.pixels; i++, values += pitch) {
      if (run.plane == 1) prefetch_pixel(x, run, i + kSoon, run.channels);
      for (int j = 0; j < run.channels; j += lanes<T>) {
        const int n = run.channels - j < lanes<T> ? run.channels - j : lanes<T>;
        const vec<T> more = channels_at(x, run, i, j, n);
        if (n == lanes<T>) store(values + j, load(values + j) + more);
        else store_n(values + j, load_n(values + j, n) + more, n);
      }
    }
  }
  __attribute__((noinline)) void add_plane(T* values, const Run& run) const {
    for (int i = 0; i < run.pixels; i += lanes<T>) {
      const int n = run.pixels - i < lanes<T> ? run.pixels - i : lanes<T>;
      const vec<T> more = pixels_at(x, run, i, n);
      if (n == lanes<T>) store(values + i, load(values + i) + more);
      else store_n(values + i, load_n(values + i, n) + more, n);
    }
  }
};

}  // namespace EK_ISA
