// Walks an array in vectors: whole ones, then the rest. The body is written once and compiled for both.
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

}  // namespace EK_ISA
