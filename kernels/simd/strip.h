// Walks through an array in vectors: whole ones, and then the rest. With for_vectors the body is written once and
// compiled twice, for whole vectors and for the rest. With run_strip it is compiled once, for whole vectors, and the
// rest passes through buffers: this is for the many bodies of the elementwise families.
#pragma once
#include "simd/vec.h"

namespace EK_ISA {

// Results of more bytes than this are stored past the caches. They would push out what is still needed there, and would
// largely be pushed out themselves before anybody reads them. Measured with a chain of layers, each of which reads what
// the one before has written, and 32 MiB of cache: such stores were 7 % faster at 8 MiB, 12 % faster at 25 MiB, and
// slower below 5 MiB.
constexpr int64_t kStreamBytes = 8 << 20;
// Whether a part of a result of `elements` elements is stored past the caches: if the result is large, and the stores
// fill whole lines, since each part of one would go to memory by itself. The part's runs of whole vectors begin at
// multiples of `step` elements from `out` on.
template <class T> inline bool can_stream(const T* out, int64_t elements, ptrdiff_t step = 0) {
  return has_stream && elements * static_cast<int64_t>(sizeof(T)) >= kStreamBytes && step % line_of<T> == 0 &&
         reinterpret_cast<uintptr_t>(out) % 64 == 0;
}

// The place of a vector in an array, a whole one or the rest. read and write take any array of the same shape.
template <class T> struct whole {
  int i;
  static constexpr bool is_whole = true;
  static constexpr int count = lanes<T>;
  EK_INLINE vec<T> read(const T* p) const { return load(p + i); }
  EK_INLINE vec<T> read(const T* p, T) const { return load(p + i); }
  template <bool streams = false> EK_INLINE void write(T* p, vec<T> v) const {
    if constexpr (streams) stream(p + i, v);
    else store(p + i, v);
  }
};
template <class T> struct partial {
  static constexpr bool is_whole = false;
  int i, count;
  EK_INLINE vec<T> read(const T* p) const { return load_n(p + i, count); }
  // The lanes behind the end hold `fill` instead of 0.
  EK_INLINE vec<T> read(const T* p, T fill) const {
    const vec<T> v = load_n(p + i, count);
    ivec<T> lane;
    for (int j = 0; j < lanes<T>; j++) lane[j] = j;
    return lane < count ? v : splat(fill);
  }
  template <bool streams = false> EK_INLINE void write(T* p, vec<T> v) const { store_n(p + i, v, count); }
};

// Calls body(at) for all vectors of begin … end − 1.
template <class T, class F> EK_INLINE void for_vectors(int begin, int end, const F& body) {
  int i = begin;
  for (; end - i >= lanes<T>; i += lanes<T>) body(whole<T>{i});
  if (i < end) body(partial<T>{i, end - i});
}

// Stores the mask of a test: one byte for each lane, 0 or 1.
template <class T> EK_INLINE void store_mask(uint8_t* out, ivec<T> mask) {
  const bvec<T> bits = __builtin_convertvector(mask, bvec<T>) & 1;
  __builtin_memcpy(out, &bits, sizeof bits);
}

// An operand and a result of run_strip, with elements of `size` bytes. An operand with step 0 is a single element,
// which is used for all.
struct strip_in {
  const void* data;
  int size, step;
};
struct strip_out {
  void* data;
  int size;
};

// Fills a vector with one element.
inline void fill_vector(char* to, const void* element, int size) {
  const auto fill = [&](auto value) {
    __builtin_memcpy(&value, element, sizeof value);
    const auto all = splat(value);
    __builtin_memcpy(to, &all, sizeof all);
  };
  switch (size) {
    case 1: return fill(uint8_t{});
    case 2: return fill(int16_t{});
    case 4: return fill(float{});
    default: return fill(double{});
  }
}
// Copies n bytes, and sets those behind them to 0, up to the end of a vector.
inline void fill_part(char* to, const char* from, int n) {
  if (n % 4 == 0) return store(reinterpret_cast<float*>(to), load_n(reinterpret_cast<const float*>(from), n / 4));
  for (int i = 0; i < EK_VECTOR_BYTES; i++) to[i] = i < n ? from[i] : 0;
}

// Runs loop(in[N], steps[N], out, vectors) on n elements. A loop computes `vectors` vectors of `lanes` elements. A step
// is in vectors, 1 or 0: a single element for all comes as a vector that is filled with it.
template <int N, class Loop>
inline void run_strip(int n, int lanes, const strip_in (&in)[N], const strip_out& out, const Loop& loop) {
  alignas(64) char values[N][64], result[64];
  const void* from[N];
  int steps[N];
  for (int k = 0; k < N; k++) {
    from[k] = in[k].data, steps[k] = in[k].step;
    if (steps[k]) continue;
    fill_vector(values[k], in[k].data, in[k].size);
    from[k] = values[k];
  }
  const int whole = n / lanes, rest = n % lanes;
  if (whole) loop(from, steps, out.data, whole);
  if (!rest) return;
  bool in_place = false;
  for (int k = 0; k < N; k++) in_place = in_place || in[k].data == out.data;
  if (whole && !in_place) {  // the last vector overlaps its neighbour
    for (int k = 0; k < N; k++)
      if (steps[k]) from[k] = static_cast<const char*>(in[k].data) + static_cast<ptrdiff_t>(n - lanes) * in[k].size;
    return loop(from, steps, static_cast<char*>(out.data) + static_cast<ptrdiff_t>(n - lanes) * out.size, 1);
  }
  for (int k = 0; k < N; k++) {
    if (!steps[k]) continue;
    fill_part(values[k], static_cast<const char*>(in[k].data) + static_cast<ptrdiff_t>(whole) * lanes * in[k].size,
              rest * in[k].size);
    from[k] = values[k];
  }
  loop(from, steps, result, 1);
  char* to = static_cast<char*>(out.data) + static_cast<ptrdiff_t>(whole) * lanes * out.size;
  const int bytes = rest * out.size;
  if (bytes % 4 == 0)
    return store_n(reinterpret_cast<float*>(to), load(reinterpret_cast<const float*>(result)), bytes / 4);
  for (int i = 0; i < bytes; i++) to[i] = result[i];
}

}  // namespace EK_ISA
