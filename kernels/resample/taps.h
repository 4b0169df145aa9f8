// The taps of resampling along one axis: where each position of the result reads, and with which weights. Positions are
// computed as PyTorch does (UpSample.h, UpSampleKernel.cpp), in the type of the tensor: of antialiased windows, too,
// whose centres do not know of aligned corners. A position reads a window of neighbours. Taps that PyTorch clamps to an
// end are added up there. The transposed taps, which are those of the gradient, are windows as well, because windows
// move in one direction only.
#pragma once
#include "scratch.h"
#include "simd/math.h"
#include "types.h"

namespace EK_ISA {

// Rounds down; what is too large for an int does not occur.
template <class T> EK_INLINE int floor_int(T x) {
  const int i = static_cast<int>(x);
  return x < i ? i - 1 : i;
}
template <class T> EK_INLINE T absolute(T x) { return x < 0 ? -x : x; }

// A resampling along an axis of `in` positions to one of `out`.
template <class T> struct AxisMap {
  int in, out, mode;
  bool align, antialias;
  T scale;              // the distance of neighbouring positions of the result, in positions of x
  float nearest_scale;  // the same for nearest neighbours, which are those of float32 for every type
  T support;            // antialias: half of a window

  AxisMap(int in_size, int out_size, int mode_, bool align_, bool antialias_, double factor)
      : in(in_size), out(out_size), mode(mode_), align(align_), antialias(antialias_) {
    if (align && mode >= EK_RESAMPLE_LINEAR) scale = out > 1 ? static_cast<T>(in - 1) / (out - 1) : 0;
    else scale = factor > 0 ? static_cast<T>(1 / factor) : static_cast<T>(in) / out;
    nearest_scale = factor > 0 ? static_cast<float>(1 / factor) : static_cast<float>(in) / out;
    const T half = mode == EK_RESAMPLE_LANCZOS ? 3 : mode == EK_RESAMPLE_CUBIC ? 2 : 1;
    support = scale >= 1 ? half * scale : half;
  }
  // At least as many as any position reads.
  int most() const {
    const int n = mode == EK_RESAMPLE_AREA     ? in / out + 2
                  : antialias                  ? 2 * static_cast<int>(support + 1) + 1
                  : mode == EK_RESAMPLE_CUBIC  ? 4
                  : mode == EK_RESAMPLE_LINEAR ? 2
                                               : 1;
    return n < in ? n : in;
  }

  // The windows without weights: the first position and how many there are.
  struct Window {
    int first, count;
  };
  // The place between positions of x that a position of the result stands for; antialias counts from the edge of
  // position 0 instead of its centre. Inlined, it might be rounded once where a window begins and twice where it is
  // weighed.
  __attribute__((noinline)) T place(int i) const {
    if (antialias) return scale * (i + static_cast<T>(0.5));
    if (align) return scale * i;
    const T at = scale * (i + static_cast<T>(0.5)) - static_cast<T>(0.5);
    return mode == EK_RESAMPLE_LINEAR && at < 0 ? 0 : at;
  }
  EK_INLINE int limited(int i) const { return i < 0 ? 0 : i < in ? i : in - 1; }
  int nearest(int i) const {
    if (mode == EK_RESAMPLE_NEAREST && in == out) return i;
    if (mode == EK_RESAMPLE_NEAREST && out == 2 * in) return i >> 1;
    if (mode == EK_RESAMPLE_NEAREST) return limited(static_cast<int>(static_cast<float>(i) * nearest_scale));
    return limited(static_cast<int>(static_cast<float>((i + 0.5) * nearest_scale)));
  }
  int base(T at) const {
    const int i = floor_int(at);
    return i < in ? i : in - 1;
  }
  Window window(int i) const {
    if (mode < EK_RESAMPLE_LINEAR) return {nearest(i), 1};
    if (mode == EK_RESAMPLE_AREA) {
      const int first = static_cast<int>(static_cast<int64_t>(i) * in / out);
      return {first, static_cast<int>((static_cast<int64_t>(i + 1) * in + out - 1) / out) - first};
    }
    if (antialias) {
      const T half = static_cast<T>(0.5), center = place(i);
      const int first = limited(static_cast<int>(center - support + half));
      const int stop = static_cast<int>(center + support + half);
      return {first, (stop < in ? stop : in) - first};
    }
    const int b = mode == EK_RESAMPLE_LINEAR && in == out ? i : base(place(i));
    if (mode == EK_RESAMPLE_LINEAR) return {b, b + 1 < in && in != out ? 2 : 1};
    const int first = limited(b - 1), last = limited(b + 2);
    return {first, last - first + 1};
  }

  // The weights of a window. A = −0.75 without antialias and −0.5 with it, as in PyTorch.
  static T cubic(T x, T a) {  // the weight at the distance x of 0 … 2
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  }
  static T sinc(T x) {
    const T at = x * static_cast<T>(3.14159265358979323846);
    return x == 0 ? 1 : sin<T>(splat(at))[0] / at;
  }
  T antialiased(T x) const {  // the weight at the distance x ≥ 0
    if (mode == EK_RESAMPLE_LINEAR) return x < 1 ? 1 - x : 0;
    if (mode == EK_RESAMPLE_CUBIC) return x < 2 ? cubic(x, static_cast<T>(-0.5)) : 0;
    return x < 3 ? sinc(x) * sinc(x / 3) : 0;
  }
  void weigh(int i, const Window& w, T* weights) const {
    if (mode < EK_RESAMPLE_LINEAR) {
      weights[0] = 1;
    } else if (mode == EK_RESAMPLE_AREA) {
      for (int k = 0; k < w.count; k++) weights[k] = static_cast<T>(1) / w.count;
    } else if (antialias) {
      const T half = static_cast<T>(0.5), center = place(i), inverse = scale >= 1 ? 1 / scale : 1;
      T sum = 0;
      for (int k = 0; k < w.count; k++) {
        weights[k] = antialiased(absolute((k + w.first - center + half) * inverse));
        sum += weights[k];
      }
      if (sum != 0)
        for (int k = 0; k < w.count; k++) weights[k] /= sum;
    } else {
      const T at = mode == EK_RESAMPLE_LINEAR && in == out ? i : place(i), rest = at - base(at);
      const T t = rest < 0 ? 0 : rest > 1 ? 1 : rest;
      if (mode == EK_RESAMPLE_LINEAR) {
        weights[0] = w.count == 2 ? 1 - t : 1;
        if (w.count == 2) weights[1] = t;
        return;
      }
      const T a = static_cast<T>(-0.75), each[4] = {cubic(1 + t, a), cubic(t, a), cubic(1 - t, a), cubic(2 - t, a)};
      for (int k = 0; k < w.count; k++) weights[k] = 0;
      for (int k = 0; k < 4; k++) weights[limited(base(at) - 1 + k) - w.first] += each[k];
    }
  }
};

// The taps of all positions, forward or transposed: tap k of position j has its place and weight at k·n + j.
template <class T> struct Taps {
  using Place = typename vec_of<T>::lane_int;
  int n = 0, most = 0;  // positions; taps of the one that has most
  int* count = nullptr;
  Place* place = nullptr;  // behind the last tap: `size`, the number of positions that are read
  T* weight = nullptr;

  // Takes its memory from the scratch, and fills it unless this only measures.
  Taps(const AxisMap<T>& map, bool transposed, Scratch& scratch, bool measure) {
    n = transposed ? map.in : map.out;
    most = transposed ? most_readers(map) : map.most();
    const size_t all = static_cast<size_t>(n) * most;
    count = scratch.take<int>(n);
    place = scratch.take<Place>(all);
    weight = scratch.take<T>(all);
    T* const own = scratch.take<T>(map.most());
    if (measure) return;
    const int size = transposed ? map.out : map.in;
    for (size_t i = 0; i < all; i++) place[i] = size, weight[i] = 0;
    for (int j = 0; j < n; j++) count[j] = 0;
    for (int i = 0; i < map.out; i++) {
      const auto window = map.window(i);
      map.weigh(i, window, own);
      for (int k = 0; k < window.count; k++) {
        const int j = transposed ? window.first + k : i;
        const size_t at = static_cast<size_t>(count[j]++) * n + j;
        place[at] = transposed ? i : window.first + k;
        weight[at] = own[k];
      }
    }
  }

 private:
  // How many positions of the result read one of x, at most. Both ends of the windows only move on.
  static int most_readers(const AxisMap<T>& map) {
    int most = 0;
    for (int i = 0, low = 0, high = 0; i < map.in; i++) {
      while (high < map.out && map.window(high).first <= i) high++;
      for (; low < high; low++) {
        const auto w = map.window(low);
        if (w.first + w.count > i) break;
      }
      if (high - low > most) most = high - low;
    }
    return most;
  }
};

// The windows of images of bytes, with weights of 16 bits, of which as many are behind the point as the largest allows.
// They are made of those of double, as PyTorch's are.
struct ByteTaps {
  int n, most, bits = 0;
  int *first, *count, *weight;  // those of position j begin at weight[j·most]

  ByteTaps(const AxisMap<double>& map, Scratch& scratch, bool measure) : n(map.out), most(map.most()) {
    const size_t all = static_cast<size_t>(n) * most;
    first = scratch.take<int>(n);
    count = scratch.take<int>(n);
    weight = scratch.take<int>(all);
    double* const exact = scratch.take<double>(all);
    if (measure) return;
    double largest = 0;
    for (int j = 0; j < n; j++) {
      const auto window = map.window(j);
      first[j] = window.first, count[j] = window.count;
      double* const own = exact + static_cast<size_t>(j) * most;
      map.weigh(j, window, own);
      for (int k = 0; k < window.count; k++) largest = own[k] > largest ? own[k] : largest;
    }
    while (bits < 22 && static_cast<int>(0.5 + largest * (1 << (bits + 1))) < 1 << 15) bits++;
    for (int j = 0; j < n; j++)
      for (int k = 0; k < count[j]; k++) {
        const double units = exact[static_cast<size_t>(j) * most + k] * (1 << bits);
        weight[static_cast<size_t>(j) * most + k] = static_cast<int>(units < 0 ? units - 0.5 : units + 0.5);
      }
  }
};

}  // namespace EK_ISA
