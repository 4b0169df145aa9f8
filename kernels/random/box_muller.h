// Normals from uniform numbers, 16 at a time: with u the first half of them and v the second one,
// √(−2·ln(1 − u))·cos(2πv) and √(−2·ln(1 − u))·sin(2πv). In float every step rounds as PyTorch's AVX2 kernel does, with
// the polynomials of Cephes, so that results are PyTorch's to the last bit.
#pragma once
#include "simd/fused.h"
#include "simd/math.h"
#include "simd/strip.h"

namespace EK_ISA {

constexpr double kTwoPi = 6.28318530717958647693;

// The logarithm of Cephes for numbers of (0, 1].
EK_INLINE vec<float> cephes_log(vec<float> value) {
  using V = vec<float>;
  using I = ivec<float>;
  const auto all = [](float x) EK_INLINE_LAMBDA { return splat(x); };
  // value = m·2^e with m in [½, 1), moved to [√½ − 1, √2 − 1].
  const I bits = (I)value;
  const V m = (V)((bits & 0x007fffff) | 0x3f000000);
  const I low = m < 0.70710678118654752440f;
  const V e = __builtin_convertvector((bits >> 23) - 126 + low, V);
  const V x = (m - 1.0f) + (low ? m : V{});
  const V z = x * x;
  V y = fused(all(7.0376836292e-2f), x, all(-1.151461031e-1f));
  y = fused(y, x, all(1.167699874e-1f));
  y = fused(y, x, all(-1.2420140846e-1f));
  y = fused(y, x, all(1.4249322787e-1f));
  y = fused(y, x, all(-1.6668057665e-1f));
  y = fused(y, x, all(2.0000714765e-1f));
  y = fused(y, x, all(-2.4999993993e-1f));
  y = fused(y, x, all(3.3333331174e-1f));
  y = y * x;
  y = fused(y, z, e * -2.12194440e-4f);
  y = fused(z, all(-0.5f), y);
  return fused(e, all(0.693359375f), x + y);
}

template <class T> struct two_normals {
  vec<T> first, second;
};
EK_INLINE two_normals<float> normals_of(vec<float> u, vec<float> v, float mean, float std) {
  using V = vec<float>;
  using I = ivec<float>;
  const auto all = [](float x) EK_INLINE_LAMBDA { return splat(x); };
  const V radius = sqrt(-2.0f * cephes_log(1.0f - u));
  const V theta = v * static_cast<float>(kTwoPi);
  // theta = x + octant·π/4 with an even octant, so |x| ≤ π/4.
  const I octant = (__builtin_convertvector(theta * 1.27323954473516f, I) + 1) & ~1;
  const V turns = __builtin_convertvector(octant, V);
  V x = fused(turns, all(-0.78515625f), theta);
  x = fused(turns, all(-2.4187564849853515625e-4f), x);
  x = fused(turns, all(-3.77489497744594108e-8f), x);
  const V z = x * x;
  V c = fused(all(2.443315711809948e-5f), z, all(-1.388731625493765e-3f));
  c = fused(c, z, all(4.166664568298827e-2f)) * z;
  c = fused(c, z, z * -0.5f) + 1.0f;
  V s = fused(all(-1.9515295891e-4f), z, all(8.3321608736e-3f));
  s = fused(s, z, all(-1.6666654611e-1f)) * z;
  s = fused(s, x, x);
  const I swaps = (octant & 2) != 0;
  using U = real<float>::unsigned_vec;
  const I sine_sign = (I)((U)(octant & 4) << 29), cosine_sign = (I)((U)(~(octant - 2) & 4) << 29);
  const V cosine = flip_sign<float>(swaps ? s : c, cosine_sign), sine = flip_sign<float>(swaps ? c : s, sine_sign);
  return {fused(radius * cosine, all(std), all(mean)), fused(radius * sine, all(std), all(mean))};
}
EK_INLINE two_normals<double> normals_of(vec<double> u, vec<double> v, double mean, double std) {
  const vec<double> radius = sqrt(-2.0 * log<double>(1.0 - u));
  const angle<double> theta = reduce_angle<double>(v * kTwoPi);
  const vec<double> cosine = sine_of<double>(theta.r, theta.quadrant + 1);
  const vec<double> sine = sine_of<double>(theta.r, theta.quadrant);
  return {fused(radius * cosine, splat(std), splat(mean)), fused(radius * sine, splat(std), splat(mean))};
}

// Numbers that box_muller turns into normals at once.
template <class T> constexpr int kPairs = 16;
#if EK_VECTOR_BYTES == 64
template <> constexpr int kPairs<float> = 32;
#endif

// Turns the first kPairs<T> of `count` numbers, a multiple of 16, into normals.
template <class T> EK_INLINE void box_muller(const T* units, int, T* out, T mean, T std) {
  for (int i = 0; i < 8; i += lanes<T>) {
    const two_normals<T> both = normals_of(load(units + i), load(units + 8 + i), mean, std);
    store(out + i, both.first);
    store(out + 8 + i, both.second);
  }
}
#if EK_VECTOR_BYTES == 64
// A vector holds the halves of two blocks.
EK_INLINE void box_muller(const float* units, int count, float* out, float mean, float std) {
  const vec<float> a = load(units), b = load(units + 16);
  const vec<float> u = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
  const vec<float> v = __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
  const two_normals<float> both = normals_of(u, v, mean, std);
  store(out, __builtin_shufflevector(both.first, both.second, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23));
  if (count < 32) return;
  store(out + 16,
        __builtin_shufflevector(both.first, both.second, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31));
}
#endif

}  // namespace EK_ISA
