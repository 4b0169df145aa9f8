// Tangent, inverse trigonometric and hyperbolic functions, powers of 2, logarithms to other bases, erfc and the inverse
// of erf, made of what math.h has. Results are within 4 ulp.
#pragma once
#include "simd/math.h"

namespace EK_ISA {

// ---- arctangents ----------------------------------------------------------------------------------------------------
// atan a for a ≥ 0. With r of at most tan π/8: a itself, or atan a = π/4 + atan((a − 1)/(a + 1)) = π/2 − atan(1/a); and
// atan r = r + r·z·p(z), z = r².
template <class T> EK_INLINE vec<T> atan_positive(vec<T> a) {
  const ivec<T> far = a > T(2.41421356237309504880), near = a <= T(0.41421356237309504880);
  vec<T> r = near ? a : (a - T(1)) / (a + T(1));
  r = far ? T(-1) / a : r;
  const vec<T> z = r * r, tail = r * z * polynomial<T>(z, real<T>::atan);
  // Half or a quarter of a turn in two parts, of which the small one joins the tail.
  const vec<T> parts = far ? splat(T(1)) : near ? vec<T>{} : splat(T(0.5));
  return parts * real<T>::half_pi_high + (r + (tail + parts * real<T>::half_pi_low));
}
template <class T> EK_INLINE vec<T> atan(vec<T> x) { return flip_sign<T>(atan_positive<T>(abs<T>(x)), sign_bit<T>(x)); }

// The root of 1 − a² as √((1 − a)·(1 + a)), which is exact to a few roundings also near 1; NaN beyond 1.
template <class T> EK_INLINE vec<T> asin(vec<T> x) {
  const vec<T> a = abs<T>(x);
  return flip_sign<T>(atan_positive<T>(a / sqrt((T(1) - a) * (T(1) + a))), sign_bit<T>(x));
}
// acos x = 2·atan √((1 − x)/(1 + x))
template <class T> EK_INLINE vec<T> acos(vec<T> x) { return T(2) * atan_positive<T>(sqrt((T(1) - x) / (T(1) + x))); }
// The angle of the point (x, y).
template <class T> EK_INLINE vec<T> atan2(vec<T> y, vec<T> x) {
  const vec<T> a = abs<T>(y), b = abs<T>(x);
  vec<T> ratio = a / b;
  ratio = a == b ? splat(T(1)) : ratio;  // infinities
  ratio = ((a == T(0)) & (b == T(0))) ? vec<T>{} : ratio;
  ratio = ((a != a) | (b != b)) ? splat(real<T>::nan) : ratio;
  const vec<T> angle = atan_positive<T>(ratio);
  const vec<T> left = T(2) * real<T>::half_pi_high - (angle - T(2) * real<T>::half_pi_low);
  return flip_sign<T>(sign_bit<T>(x) != 0 ? left : angle, sign_bit<T>(y));
}

template <class T> EK_INLINE vec<T> tan(vec<T> x) {
  const angle<T> a = reduce_angle<T>(x);
  return flip_sign<T>(sine_of<T>(a.r, a.quadrant) / sine_of<T>(a.r, a.quadrant + 1), sign_bit<T>(x));
}

// ---- hyperbolic functions -------------------------------------------------------------------------------------------
// ½·e^a for a so large that e^a may overflow: in two factors.
template <class T> EK_INLINE vec<T> half_exp(vec<T> a) {
  const vec<T> root = exp<T>(T(0.5) * a);
  return (T(0.5) * root) * root;
}
// With t = e^|x| − 1: sinh|x| = ½·(t + t/(t + 1)).
template <class T> EK_INLINE vec<T> sinh(vec<T> x) {
  const vec<T> a = abs<T>(x), t = expm1<T>(min<T>(a, real<T>::exp_max - T(1)));
  const vec<T> y = a > real<T>::exp_max - T(2) ? half_exp<T>(a) : T(0.5) * (t + t / (t + T(1)));
  return flip_sign<T>(y, sign_bit<T>(x));
}
template <class T> EK_INLINE vec<T> cosh(vec<T> x) {
  const vec<T> a = abs<T>(x), e = exp<T>(min<T>(a, real<T>::exp_max - T(1)));
  return a > real<T>::exp_max - T(2) ? half_exp<T>(a) : T(0.5) * e + T(0.5) / e;
}

// From here on 1 is nothing beside x².
template <class T> constexpr T huge_root = sizeof(T) == 8 ? T(1e8) : T(1e4);
template <class T> constexpr T ln2 = T(0.69314718055994530942);
// log(a + √(a² + 1)), without what cancels for a small a.
template <class T> EK_INLINE vec<T> asinh(vec<T> x) {
  const vec<T> a = abs<T>(x), b = min<T>(a, huge_root<T>), square = b * b;
  const vec<T> y = log1p<T>(b + square / (T(1) + sqrt(T(1) + square)));
  return flip_sign<T>(a > huge_root<T> ? log<T>(a) + ln2<T> : y, sign_bit<T>(x));
}
// With t = x − 1: log(x + √(x² − 1)) = log(1 + t + √(t·(2 + t))); NaN below 1.
template <class T> EK_INLINE vec<T> acosh(vec<T> x) {
  const vec<T> t = min<T>(x - T(1), huge_root<T>);
  const vec<T> y = x > huge_root<T> ? log<T>(x) + ln2<T> : log1p<T>(t + sqrt(t * (T(2) + t)));
  return x < T(1) ? splat(real<T>::nan) : y;
}
template <class T> EK_INLINE vec<T> atanh(vec<T> x) {
  const vec<T> a = abs<T>(x);
  return flip_sign<T>(T(0.5) * log1p<T>(T(2) * a / (T(1) - a)), sign_bit<T>(x));
}

// ---- other bases ----------------------------------------------------------------------------------------------------
// 2^x = 2^n·e^(r·ln 2), where n is the nearest integer and r = x − n exactly.
template <class T> EK_INLINE vec<T> exp2(vec<T> x) {
  const vec<T> c = max<T>(min<T>(x, real<T>::bias + T(2)), -(real<T>::bias + real<T>::mantissa + T(3)));
  const vec<T> n = rint<T>(c), y = exp<T>((c - n) * ln2<T>);
  if constexpr (has_scale<T>) return scale(y, n);
  const vec<T> half = to_integer_bits<T>(n * T(0.5)), rest = to_integer_bits<T>(n - (half - real<T>::round));
  return y * exp2_of_bits<T>(half) * exp2_of_bits<T>(rest);
}
// x = 2^k·m: k + log m / ln 2, which is exact for powers of 2.
template <class T> EK_INLINE vec<T> log2(vec<T> x) {
  const log_parts<T> l = split_log<T>(x);
  return log_ends<T>(x, l.k + log_sum<T>(vec<T>{}, l.m - T(1), vec<T>{}) * T(1.44269504088896340736));
}
// k·log10 2 + log m / ln 10; the products of k with the first part of log10 2 are exact, so that powers of 10 are (the
// form of fdlibm's e_log10.c).
template <class T> EK_INLINE vec<T> log10(vec<T> x) {
  const log_parts<T> l = split_log<T>(x);
  const vec<T> low = log_sum<T>(vec<T>{}, l.m - T(1), vec<T>{}) * T(0.43429448190325182765);
  return log_ends<T>(x, l.k * real<T>::log10_2_high + (l.k * real<T>::log10_2_low + low));
}

// ---- erfc -----------------------------------------------------------------------------------------------------------
// 1 − erf x, with full relative precision in the upper tail: x² is computed with what rounding takes from it.
template <class T> EK_INLINE vec<T> erfc(vec<T> x) {
  const vec<T> a = min<T>(abs<T>(x), real<T>::erfc_max);
  const two<T> square = product<T>(a, a);
  const vec<T> far = erfc_far<T>(a, exp_sum<T>(-square.high, -square.low));
  return a < T(1) ? T(1) - erf_near<T>(x) : x < T(0) ? T(2) - far : far;
}

// The root of a² + b², without overflow in between; infinite where a or b is, also beside NaN.
template <class T> EK_INLINE vec<T> hypot(vec<T> a, vec<T> b) {
  const vec<T> x = abs<T>(a), y = abs<T>(b);
  const vec<T> large = x > y ? x : y, small = x > y ? y : x, ratio = small / large;
  vec<T> root = large * sqrt(T(1) + ratio * ratio);
  root = large == T(0) ? large : root;
  root = ((x != x) | (y != y)) ? splat(real<T>::nan) : root;
  return ((x == real<T>::inf) | (y == real<T>::inf)) ? splat(real<T>::inf) : root;
}

// ---- the inverse of erf ----------------------------------------------------------------------------------------------
// erf⁻¹ y: a rational approximation, as PyTorch's, and two steps of Newton's method.
template <class T> EK_INLINE vec<T> erfinv(vec<T> y) {
  static constexpr T a[] = {T(0.886226899), T(-1.645349621), T(0.914624893), T(-0.140543331)};
  static constexpr T b[] = {T(1), T(-2.118377725), T(1.442710462), T(-0.329097515), T(0.012229801)};
  static constexpr T c[] = {T(-1.970840454), T(-1.624906493), T(3.429567803), T(1.641345311)};
  static constexpr T d[] = {T(1), T(3.543889200), T(1.637067800)};
  const vec<T> size = abs<T>(y), z = y * y, far = sqrt(-log<T>((T(1) - size) * T(0.5)));
  const vec<T> near = size * polynomial<T>(z, a) / polynomial<T>(z, b);
  vec<T> x = size <= T(0.7) ? near : polynomial<T>(far, c) / polynomial<T>(far, d);
  for (int i = 0; i < 2; i++) {
    // Near 1 the difference of what is left to 1, which has more digits.
    const vec<T> difference = size <= T(0.7) ? erf<T>(x) - size : (T(1) - size) - erfc<T>(x);
    x -= difference / (T(1.1283791670955125739) * exp<T>(-x * x));
  }
  x = size == T(1) ? splat(real<T>::inf) : size > T(1) ? splat(real<T>::nan) : x;
  return flip_sign<T>(x, sign_bit<T>(y));
}

}  // namespace EK_ISA
