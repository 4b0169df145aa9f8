// Walks an array in vectors: whole ones, then the rest. for_vectors: the body is written once and compiled for both. run_strip:
// it is compiled once, for whole vectors, and the rest passes through buffers; for the many bodies of the elementwise families.
#pragma once
#include "simd/vec.h"

namespace EK_ISA {

// Where in an array a vector lies. read and write reach that place in any array of the same shape.
template <class T> struct whole {
  int i;
  static constexpr int count = lanes<T>;
  EK_INLINE vec<T> read(const T* p) const { return load(p + i); }
  EK_INLINE vec<T> read(const T* p, T) const { return load(p + i); }
  EK_INLINE void write(T* p, vec<T> v) const { store(p + i, v); }
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
  EK_INLINE void write(T* p, vec<T> v) const { store_n(p + i, v, count); }
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

// loop(in[N], steps[N], out, vectors): vectors of `lanes` elements; steps are in vectors, 1 or 0. One element for all comes as a
// vector of it.
template <int N, class Loop> inline void run_strip(int n, int lanes, const strip_in (&in)[N], const strip_out& out, const Loop& loop) {
  alignas(64) char values[N][64], result[64];
  const void* from[N];
  int steps[N];
  for (int k = 0; k < N; k++) {
    from[k] = in[k].data, steps[k] = in[k].step;
    if (steps[k]) continue;
    for (int i = 0; i < lanes * in[k].size; i++) values[k][i] = static_cast<const char*>(in[k].data)[i % in[k].size];
    from[k] = values[k];
  }
  const int whole = n / lanes, rest = n % lanes;
  if (whole) loop(from, steps, out.data, whole);
  if (!rest) return;
  for (int k = 0; k < N; k++) {
    if (!steps[k]) continue;
    const char* last = static_cast<const char*>(in[k].data) + static_cast<ptrdiff_t>(whole) * lanes * in[k].size;
    for (int i = 0; i < lanes * in[k].size; i++) values[k][i] = i < rest * in[k].size ? last[i] : 0;
    from[k] = values[k];
  }
  loop(from, steps, result, 1);
  char* to = static_cast<char*>(out.data) + static_cast<ptrdiff_t>(whole) * lanes * out.size;
  for (int i = 0; i < rest * out.size; i++) to[i] = result[i];
}

}  // namespace EK_ISA
