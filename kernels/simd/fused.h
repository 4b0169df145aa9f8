// a·b + c with one rounding, on every machine: where results must be those of machines with the instruction.
#pragma once
#include "simd/vec.h"

namespace EK_ISA {

#if EK_VECTOR_BYTES == 16 && !defined(__ARM_FEATURE_FMA)
// x + y rounded to odd: an inexact sum gets an odd last bit. Then rounding once more gives what rounding once would
// have given (Boldo and Melquiond 2008).
EK_INLINE vec<double> add_to_odd(vec<double> x, vec<double> y) {
  const vec<double> sum = x + y, back = sum - x, error = (x - (sum - back)) + (y - back);
  const ivec<double> bits = (ivec<double>)sum, moved = (error != 0.0) & ((bits & 1) == 0);
  const ivec<double> outward = (error > 0.0) == (sum > 0.0);
  return (vec<double>)(bits + (moved & ((outward & 2) - 1)));
}
EK_INLINE vec<float> fused(vec<float> a, vec<float> b, vec<float> c) {
  constexpr int half = lanes<double>;
  float as[2 * half], bs[2 * half], cs[2 * half];
  store(as, a);
  store(bs, b);
  store(cs, c);
  // The product of two floats is exact in double.
  for (int i = 0; i < 2 * half; i += half) narrow(as + i, add_to_odd(widen(as + i) * widen(bs + i), widen(cs + i)));
  return load(as);
}
// For values well inside the range of exponents. high + low = a·b exactly (Dekker 1971).
EK_INLINE vec<double> fused(vec<double> a, vec<double> b, vec<double> c) {
  const auto split = [](vec<double> v) EK_INLINE_LAMBDA {
    const vec<double> t = v * 134217729.0;
    return t - (t - v);
  };
  const vec<double> high = a * b, a1 = split(a), b1 = split(b), a2 = a - a1, b2 = b - b1;
  const vec<double> low = a2 * b2 - (((high - a1 * b1) - a2 * b1) - a1 * b2);
  const vec<double> rest = c + low, rest_back = rest - c;
  const vec<double> rest_error = (c - (rest - rest_back)) + (low - rest_back);
  const vec<double> sum = high + rest, sum_back = sum - high;
  const vec<double> sum_error = (high - (sum - sum_back)) + (rest - sum_back);
  return sum + add_to_odd(rest_error, sum_error);
}
#endif

}  // namespace EK_ISA
