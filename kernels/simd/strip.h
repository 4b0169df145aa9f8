// Walks an array in vectors: whole ones, then the rest. for_vectors: the body is written once and compiled for both.
// run_strip: it is compiled once, for whole vectors, and the rest passes through buffers; for the many bodies of the
// elementwise families.
#pragma once
#include "simd/vec.h"

namespace EK_ISA {

// Above this size a result pushes out of the caches what is still wanted there, and is itself largely gone before it is
// read. In a chain of layers that each read what the one before wrote, with 32 MiB of cache, stores past it were 7 %
// faster at 8 MiB and 12 % at 25, and slower below 5.
constexpr int64_t kStreamBytes = 8 << 20;
// Whether a part of a result is stored past the caches: of a large one, where its runs of whole vectors begin at
// multiples of `step` from `out` on; a store past the caches must be aligned.
template <class T> inline bool can_stream(const T* out, int64_t elements, ptrdiff_t step = 0) {
  return has_stream && elements * static_cast<int64_t>(sizeof(T)) >= kStreamBytes && step % lanes<T> == 0 &&
         reinterpret_cast<uintptr_t>(out) % EK_VECTOR_BYTES == 0;
}

// Where in an array a vector lies. read and write reach that place in any array of the same shape.
template <class T> struct whole {
  int i;
  static constexpr int count = lanes<T>;
  EK_INLINE vec<T> read(const T* p) const { return load(p + i); }
  EK_INLINE vec<T> read(const T* p, T) const { return load(p + i); }
  template <bool streams = false> EK_INLINE void write(T* p, vec<T> v) const {
    if constexpr (streams) stream(p + i, v);
    else store(p + i, v);
  }
};
template <class T> struct partial {
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

// body(at) for begin … end − 1.
template <class T, class F> EK_INLINE void for_vectors(int begin, int end, const F& body) {
  int i = begin;
  for (; end - i >= lanes<T>; i += lanes<T>) body(whole<T>{i});
  if (i < end) body(partial<T>{i, end - i});
}

// Where the mask of a test goes: one byte, 0 or 1, for each lane.
template <class T> EK_INLINE void store_mask(uint8_t* out, ivec<T> mask) {
  const bvec<T> bits = __builtin_convertvector(mask, bvec<T>) & 1;
  __builtin_memcpy(out, &bits, sizeof bits);
}

// An operand or result of run_strip: `size` bytes an element; an operand with step 0 is one element, for all.
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
// The first n bytes; those behind them are 0, to the end of a vector.
inline void fill_part(char* to, const char* from, int n) {
  if (n % 4 == 0) return store(reinterpret_cast<float*>(to), load_n(reinterpret_cast<const float*>(from), n / 4));
  for (int i = 0; i < EK_VECTOR_BYTES; i++) to[i] = i < n ? from[i] : 0;
}

// loop(in[N], steps[N], out, vectors): vectors of `lanes` elements; steps are in vectors, 1 or 0. One element for all
// comes as a vector of it.
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
