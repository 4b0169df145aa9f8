// Vector exp, log, trigonometric, error and power functions for float and double. One source serves both types and all
// instruction sets, and needs no C library. Results are within 2 ulp for float and within 4 ulp for double, at every
// argument, also denormals, ±0, ±inf and NaN; test/kernels/math.test.ts measures it. Activations that use these
// functions are in elementwise/.
//
// The polynomials are our own minimax fits, made by scripts/fit_coefficients.py. Nothing here needs fused
// multiply-adds: they save steps.
#pragma once
#include "simd/math_constants.h"
#include "simd/vec.h"

namespace EK_ISA {

template <class T> EK_INLINE ivec<T> bits_of(vec<T> x) { return (ivec<T>)x; }
template <class T> EK_INLINE vec<T> from_bits(ivec<T> x) { return (vec<T>)x; }
template <class T> EK_INLINE ivec<T> sign_bit(vec<T> x) { return bits_of<T>(x) & real<T>::sign; }
template <class T> EK_INLINE vec<T> abs(vec<T> x) { return from_bits<T>(bits_of<T>(x) & ~real<T>::sign); }
template <class T> EK_INLINE vec<T> flip_sign(vec<T> x, ivec<T> sign) { return from_bits<T>(bits_of<T>(x) ^ sign); }
template <class T> EK_INLINE vec<T> min(vec<T> x, T limit) { return lesser(splat<T>(limit), x); }  // NaN stays
template <class T> EK_INLINE vec<T> max(vec<T> x, T limit) { return greater(splat<T>(limit), x); }
template <class T> EK_INLINE ivec<T> is_zero(vec<T> x) { return x == T(0); }

template <class T, int n> EK_INLINE vec<T> polynomial(vec<T> x, const T (&c)[n]) {
  vec<T> sum = splat<T>(c[n - 1]);
  for (int i = n - 2; i >= 0; i--) sum = multiply_add(sum, x, splat<T>(c[i]));
  return sum;
}

// ---- rounding -------------------------------------------------------------------------------------------------------
// Adding 1.5·2^mantissa rounds the fraction away, half to even. The integer is then in the low bits.
template <class T> EK_INLINE vec<T> to_integer_bits(vec<T> x) { return x + real<T>::round; }
template <class T> EK_INLINE vec<T> to_integer_bits(vec<T> x, T times) {
  return multiply_add(x, splat(times), splat<T>(real<T>::round));
}

template <class T> EK_INLINE vec<T> rint(vec<T> x) {
  const vec<T> a = abs<T>(x), big = splat<T>(real<T>::two_mantissa);
  // From 2^mantissa on every number is an integer; the comparison is false for NaN, which stays.
  return a < big ? flip_sign<T>((a + big) - big, sign_bit<T>(x)) : x;
}
template <class T> EK_INLINE vec<T> floor(vec<T> x) {
  const vec<T> r = rint<T>(x);
  return r > x ? r - T(1) : r;
}
template <class T> EK_INLINE vec<T> ceil(vec<T> x) {
  const vec<T> r = rint<T>(x);
  return flip_sign<T>(abs<T>(r < x ? r + T(1) : r), sign_bit<T>(x));  // ceil(−0.5) = −0
}

// ---- exp ------------------------------------------------------------------------------------------------------------
// 2^n from to_integer_bits(n). The shift drops all bits but n, and n becomes the exponent.
template <class T> EK_INLINE vec<T> exp2_of_bits(vec<T> t) {
  using U = typename real<T>::unsigned_vec;
  return from_bits<T>(
      (ivec<T>)(((U)t << real<T>::mantissa) + static_cast<typename real<T>::unsigned_int>(real<T>::one)));
}

// x + x_low = n·ln 2 + r + lost, where |r| ≤ ln 2 / 2 and `lost` is what rounding took from r. e^(r + lost) − 1 = r +
// tail, where tail = lost + r²·p(r).
template <class T> struct exp_parts {
  vec<T> n, r, tail;
};
template <class T> EK_INLINE exp_parts<T> split_exp(vec<T> x, vec<T> x_low) {
  const vec<T> n = to_integer_bits<T>(x, real<T>::log2_e) - real<T>::round;
  const vec<T> high = multiply_add(n, splat<T>(-real<T>::ln2_high), x),
               low = multiply_add(n, splat<T>(-real<T>::ln2_low), x_low);
  const vec<T> r = high + low, lost = low - (r - high);
  return {n, r, multiply_add(r * r, polynomial<T>(r, real<T>::exp), lost)};
}

// e^(x + x_low), where x_low is smaller than a rounding of x.
template <class T> EK_INLINE vec<T> exp_sum(vec<T> x, vec<T> x_low) {
  const exp_parts<T> e = split_exp<T>(max<T>(min<T>(x, real<T>::exp_max), real<T>::exp_min), x_low);
  const vec<T> sum = T(1) + e.r, lost = e.r - (sum - T(1));
  const vec<T> y = sum + (lost + e.tail);
  if constexpr (has_scale<T>) return scale(y, e.n);
  // 2^n in two factors: n itself may lie outside the exponents of T, where the result overflows or is denormal.
  const vec<T> half = to_integer_bits<T>(e.n, T(0.5));
  const vec<T> rest = to_integer_bits<T>(e.n - (half - real<T>::round));
  return y * exp2_of_bits<T>(half) * exp2_of_bits<T>(rest);
}
template <class T> EK_INLINE vec<T> exp(vec<T> x) { return exp_sum<T>(x, vec<T>{}); }

// e^x − 1 = 2·(2^(n−1)·(r + tail) + (2^(n−1) − 1/2)); the second term is 0 for n = 0, so nothing cancels near 0.
template <class T> EK_INLINE vec<T> expm1(vec<T> x) {
  const exp_parts<T> e = split_exp<T>(max<T>(min<T>(x, real<T>::exp_max), real<T>::expm1_min), vec<T>{});
  const vec<T> s = exp2_of_bits<T>(to_integer_bits<T>(e.n - T(1)));
  const vec<T> y = T(2) * multiply_add(s, e.r + e.tail, s - T(0.5));
  return abs<T>(x) < real<T>::epsilon ? x : y;  // keeps −0 and denormals
}

// tanh|x| = y = t / (t + 2), where t = expm1(2|x|). Rounding takes `lost` from t + 2. Because 1/(t + 2) = (1 − y)/2,
// that changes y by y·lost·(1 − y)/2, which matters only for a small t.
template <class T> EK_INLINE vec<T> tanh(vec<T> x) {
  const vec<T> t = expm1<T>(T(2) * min<T>(abs<T>(x), real<T>::tanh_max));
  const vec<T> sum = t + T(2), lost = t < T(2) ? t - (sum - T(2)) : vec<T>{}, y = t / sum;
  return flip_sign<T>(multiply_add(y * (y - T(1)), T(0.5) * lost, y), sign_bit<T>(x));
}

// 1 / (1 + e^−x). For x < 0 it is computed as e^x / (1 + e^x), which is right down to the denormals. What rounding
// takes from 1 + e is corrected as in tanh.
template <class T> EK_INLINE vec<T> sigmoid(vec<T> x) {
  const vec<T> e = exp<T>(-abs<T>(x)), sum = T(1) + e, lost = e - (sum - T(1));
  const ivec<T> negative = x < T(0);
  const vec<T> y = (negative ? e : splat<T>(T(1))) / sum;
  return multiply_add(y * (negative ? y - T(1) : -y), lost, y);
}

// ---- log ------------------------------------------------------------------------------------------------------------
// x = 2^k·m, where m is in [√½, √2), for 0 < x < inf.
template <class T> struct log_parts {
  vec<T> k, m;
};
template <class T> EK_INLINE log_parts<T> split_log(vec<T> x) {
  using U = typename real<T>::unsigned_vec;
  const ivec<T> tiny = x < real<T>::min_normal;
  x = tiny ? x * real<T>::two_mantissa : x;
  // Exponents are counted from √½ instead of from 1, so that one ends and the next begins at √2.
  const U u = (U)x + static_cast<typename real<T>::unsigned_int>(real<T>::one - real<T>::sqrt_half);
  const vec<T> m = from_bits<T>((ivec<T>)(u & real<T>::mantissa_mask) + real<T>::sqrt_half);
  // An integer becomes a float without a conversion: with the exponent of 2^mantissa, the lowest bit of the mantissa
  // is 1.
  const vec<T> biased = from_bits<T>((ivec<T>)(u >> real<T>::mantissa) | real<T>::two_mantissa_bits);
  const vec<T> k = biased - (real<T>::two_mantissa + real<T>::bias);
  return {tiny ? k - T(real<T>::mantissa) : k, m};
}

// k·ln 2 + log(1 + f) + c. With s = f/(2 + f): log(1 + f) = 2 atanh s = 2s + s·z·p(z), z = s²; and 2s is written as
// f − f²/2 + s·f²/2, which keeps the leading term exact (the form of fdlibm's e_log.c).
template <class T> EK_INLINE vec<T> log_sum(vec<T> k, vec<T> f, vec<T> c) {
  const vec<T> s = f / (T(2) + f), z = s * s, square = T(0.5) * f * f;
  const vec<T> tail = s * multiply_add(z, polynomial<T>(z, real<T>::log), square);
  const vec<T> low = multiply_add(k, splat<T>(real<T>::ln2_low), c);
  return multiply_add(k, splat<T>(real<T>::ln2_high), f - (square - (tail + low)));
}

// The values of a logarithm at and outside the ends of its domain [0, inf].
template <class T> EK_INLINE vec<T> log_ends(vec<T> x, vec<T> y) {
  y = x == T(0) ? splat<T>(-real<T>::inf) : y;
  y = x < T(0) ? splat<T>(real<T>::nan) : y;
  return x < real<T>::inf ? y : x == real<T>::inf ? x : splat<T>(real<T>::nan);
}

template <class T> EK_INLINE vec<T> log(vec<T> x) {
  const log_parts<T> l = split_log<T>(x);
  return log_ends<T>(x, log_sum<T>(l.k, l.m - T(1), vec<T>{}));
}

// log(1 + x) = log u + (1 + x − u)/u, u = 1 + x rounded; where u needs no scaling, f = x itself is exact.
template <class T> EK_INLINE vec<T> log1p(vec<T> x) {
  const vec<T> u = T(1) + x;
  const log_parts<T> l = split_log<T>(u);
  const vec<T> lost = x < T(1) ? x - (u - T(1)) : T(1) - (u - x);
  const ivec<T> direct = is_zero<T>(l.k);
  const vec<T> y = log_sum<T>(l.k, direct ? x : l.m - T(1), direct ? vec<T>{} : lost / u);
  return log_ends<T>(u, abs<T>(x) < real<T>::epsilon ? x : y);  // keeps −0
}

// ---- erf ------------------------------------------------------------------------------------------------------------
// |z| < 1: erf z = z + z·p(z²). |z| ≥ 1: erfc|z| = e^(−z²)·q(t)/(|z| + 3), t = (|z| − 4)/(|z| + 3).
template <class T> EK_INLINE vec<T> erf_near(vec<T> z) {
  return multiply_add(z, polynomial<T>(z * z, real<T>::erf), z);
}
template <class T> EK_INLINE vec<T> erfc_far(vec<T> z, vec<T> exp_minus_square) {
  const vec<T> a = min<T>(abs<T>(z), real<T>::erfc_max), d = T(1) / (a + T(3));
  return exp_minus_square * d * polynomial<T>((a - T(4)) * d, real<T>::erfcx);
}

template <class T> EK_INLINE vec<T> erf(vec<T> x) {
  const vec<T> a = abs<T>(x), far = T(1) - erfc_far<T>(a, exp<T>(-x * x));
  return flip_sign<T>(a < T(1) ? erf_near<T>(a) : far, sign_bit<T>(x));
}

// ---- exact products -------------------------------------------------------------------------------------------------
// high + low = a·b exactly (Dekker 1971): both are split into halves of so few bits that products of halves are exact.
template <class T> struct two {
  vec<T> high, low;
};
template <class T> EK_INLINE two<T> product(vec<T> a, vec<T> b) {
  const vec<T> a1 = from_bits<T>(bits_of<T>(a) & real<T>::upper_half), a2 = a - a1;
  const vec<T> b1 = from_bits<T>(bits_of<T>(b) & real<T>::upper_half), b2 = b - b1;
  const vec<T> high = a * b;
  return {high, (((a1 * b1 - high) + a1 * b2) + a2 * b1) + a2 * b2};
}
// high + low = a + b exactly, for |a| ≥ |b| or a = 0.
template <class T> EK_INLINE two<T> fast_sum(vec<T> a, vec<T> b) {
  const vec<T> high = a + b;
  return {high, b - (high - a)};
}

// The normal distribution: cdf(x) = ½·erfc(−x/√2), with full relative precision in the lower tail, and pdf(x).
template <class T> struct normal {
  vec<T> cdf, pdf;
};
template <class T> EK_INLINE normal<T> normal_distribution(vec<T> x) {
  const vec<T> a = min<T>(abs<T>(x), real<T>::normal_max), z = a * T(0.70710678118654752440);
  const two<T> square = product<T>(a, a);
  const vec<T> e = exp_sum<T>(T(-0.5) * square.high, T(-0.5) * square.low);
  const vec<T> far = T(0.5) * erfc_far<T>(z, e), near = T(0.5) * erf_near<T>(z);
  const vec<T> upper = z < T(1) ? T(0.5) + near : T(1) - far;
  const vec<T> lower = z < T(1) ? T(0.5) - near : far;
  return {x < T(0) ? lower : upper, e * T(0.39894228040143267794)};
}

// ---- sin, cos -------------------------------------------------------------------------------------------------------
// |x| = n·π/2 + r, |r| ≤ π/4; `quadrant` has n in its two low bits.
template <class T> struct angle {
  vec<T> r;
  ivec<T> quadrant;
};

// Reduces one number (Payne and Hanek 1983). x = m·2^e, and of the product m·(2/π) only the bits of weight 2 to 2^−188
// are computed, because whole turns do not matter. It is for numbers that are too large for reduce_angle's own method,
// and for inf and NaN.
inline __attribute__((noinline)) double reduce_huge_angle(double x, int* quadrant) {
  int64_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  const int exponent = static_cast<int>(bits >> 52);
  *quadrant = 0;
  if (exponent == 2047) return x - x;
  const uint64_t m = (static_cast<uint64_t>(bits) & 0xfffffffffffffu) | 0x10000000000000u;
  const uint32_t m_low = static_cast<uint32_t>(m), m_high = static_cast<uint32_t>(m >> 32);
  // The window of 2/π starts at bit e − 2; six words, the most significant first. Negative positions are zeros.
  const int first = exponent - 1075 - 2;
  auto word = [&](int i) -> uint64_t { return i < 0 ? 0u : two_over_pi[i]; };
  const int shift = first & 31, start = (first - shift) / 32;
  uint32_t window[6], product[6];
  for (int i = 0; i < 6; i++)
    window[i] = static_cast<uint32_t>((((word(start + i) << 32) | word(start + i + 1)) << shift) >> 32);
  uint64_t carry = 0;
  for (int i = 5; i >= 0; i--) {
    const uint64_t low = static_cast<uint64_t>(window[i]) * m_low;
    const uint64_t high = i < 5 ? static_cast<uint64_t>(window[i + 1]) * m_high : 0;
    const uint64_t sum = carry + (low & 0xffffffffu) + (high & 0xffffffffu);
    product[i] = static_cast<uint32_t>(sum);
    carry = (sum >> 32) + (low >> 32) + (high >> 32);
  }
  // Two bits of quadrant, then the fraction of a quarter turn, read as a signed number in [−½, ½).
  const uint64_t top = (static_cast<uint64_t>(product[0]) << 32) | product[1];
  const uint64_t next = (static_cast<uint64_t>(product[2]) << 32) | product[3];
  const int64_t fraction = static_cast<int64_t>((top << 2) | (next >> 62));
  *quadrant = static_cast<int>((top >> 62) + (fraction < 0 ? 1 : 0));
  const double turn = static_cast<double>(fraction) * 0x1p-64 + static_cast<double>(next << 2) * 0x1p-128;
  return turn * 1.57079632679489661923;
}

// Cody and Waite (1980). π/2 is split into pieces of so few bits that each n·piece is exact.
template <class T> EK_INLINE angle<T> reduce_angle(vec<T> x) {
  const vec<T> a = abs<T>(x), t = to_integer_bits<T>(a, T(0.63661977236758134308)), n = t - real<T>::round;
  angle<T> result = {a, bits_of<T>(t)};
  for (const T piece : real<T>::half_pi) result.r = multiply_add(n, splat<T>(-piece), result.r);
  const ivec<T> moderate = a < real<T>::angle_max;  // false for NaN
  if (any(~moderate)) {
    for (int i = 0; i < lanes<T>; i++) {
      if (moderate[i]) continue;
      int quadrant;
      result.r[i] = static_cast<T>(reduce_huge_angle(static_cast<double>(a[i]), &quadrant));
      result.quadrant[i] = quadrant;
    }
  }
  return result;
}

// sin(r + quadrant·π/2): ± sin r = r + r³·p(r²) or ± cos r = 1 − r²/2 + r⁴·q(r²).
template <class T> EK_INLINE vec<T> sine_of(vec<T> r, ivec<T> quadrant) {
  const vec<T> z = r * r;
  const vec<T> s = multiply_add(r * z, polynomial<T>(z, real<T>::sin), r);
  const vec<T> c = T(1) - multiply_add(z * -z, polynomial<T>(z, real<T>::cos), T(0.5) * z);
  using U = typename real<T>::unsigned_vec;
  const ivec<T> sign = (ivec<T>)((U)(quadrant & 2) << (8 * static_cast<int>(sizeof(T)) - 2));
  return flip_sign<T>((quadrant & 1) == 0 ? s : c, sign);
}
template <class T> EK_INLINE vec<T> sin(vec<T> x) {
  const angle<T> a = reduce_angle<T>(x);
  return flip_sign<T>(sine_of<T>(a.r, a.quadrant), sign_bit<T>(x));
}
template <class T> EK_INLINE vec<T> cos(vec<T> x) {
  const angle<T> a = reduce_angle<T>(x);
  return sine_of<T>(a.r, a.quadrant + 1);
}

// ---- pow ------------------------------------------------------------------------------------------------------------
// a^y for 0 < a < inf and |y| ≤ pow_y_max. An error of δ in y·log a is a relative error of δ in the result, so the
// logarithm must have about 11 bits (8 for float) more than the result.
constexpr double pow_y_max = 0x1p64;  // |log a| ≥ 2^−53 for a ≠ 1: with a larger |y| the result is 0, 1 or inf

EK_INLINE vec<double> pow_positive(vec<double> a, vec<double> y) {
  using T = double;
  using V = vec<double>;
  const log_parts<T> l = split_log<T>(a);
  // s = f/(2 + f) = s + s_low
  const V f = l.m - 1.0;
  const two<T> d = fast_sum<T>(splat(2.0), f);
  const V s = f / d.high;
  const two<T> sd = product<T>(s, d.high);
  const V s_low = (((f - sd.high) - sd.low) - s * d.low) / d.high;
  // z = s²; log m = s·(2 + z·(2/3 + z·p(z)))
  two<T> z = product<T>(s, s);
  z.low += 2.0 * s * s_low;
  two<T> c = fast_sum<T>(splat(0x1.5555555555555p-1), z.high * polynomial<T>(z.high, log_tail));
  c.low += 0x1.5555555555555p-55;
  two<T> u = product<T>(z.high, c.high);
  u.low += z.high * c.low + z.low * c.high;
  two<T> v = fast_sum<T>(splat(2.0), u.high);
  v.low += u.low;
  two<T> log_m = product<T>(s, v.high);
  log_m.low += s * v.low + s_low * v.high;
  // log a = k·ln 2 + log m; |log m| < ln 2 / 2, so k = 0 or the first term is the larger.
  const two<T> sum = fast_sum<T>(l.k * real<T>::ln2_high, log_m.high);
  const two<T> log_a = fast_sum<T>(sum.high, sum.low + (l.k * real<T>::ln2_low + log_m.low));
  const two<T> p = product<T>(y, log_a.high);
  const V low = p.low + y * log_a.low;
  return exp_sum<T>(p.high, abs<T>(p.high) < 1000.0 ? low : V{});
}
// float: in double, half a vector at a time.
EK_INLINE vec<float> pow_positive(vec<float> a, vec<float> y) {
  constexpr int half = lanes<double>;
  float as[2 * half], ys[2 * half];
  store(as, a);
  store(ys, y);
  for (int i = 0; i < 2 * half; i += half) narrow(as + i, exp<double>(widen(ys + i) * log<double>(widen(as + i))));
  return load(as);
}

// All special cases of C's pow (C17 F.10.4.4).
template <class T> EK_INLINE vec<T> pow(vec<T> x, vec<T> y) {
  const vec<T> a = abs<T>(x), zero = vec<T>{}, one = splat<T>(T(1)), inf = splat<T>(real<T>::inf);
  const ivec<T> edge = (a == zero) | (a == inf);
  vec<T> r = pow_positive(edge ? one : a, max<T>(min<T>(y, T(pow_y_max)), T(-pow_y_max)));
  r = edge ? ((a == zero) == (y < T(0)) ? inf : zero) : r;
  const vec<T> half = y * T(0.5);
  const ivec<T> integer = rint<T>(y) == y, odd = integer & (rint<T>(half) != half);
  r = ((x < T(0)) & ~integer & ~edge) ? splat<T>(real<T>::nan) : r;
  r = flip_sign<T>(r, sign_bit<T>(x) & odd);
  r = ((x != x) | (y != y)) ? x + y : r;
  return ((y == zero) | (x == one)) ? one : r;
}

}  // namespace EK_ISA
