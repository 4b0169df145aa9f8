// What each unary operation and its derivative compute on a vector. Loops are in unary.cpp and unary_backward.cpp.
// Formulas and the values at kinks are PyTorch's (aten/src/ATen/native/cpu/Activation.cpp,
// tools/autograd/derivatives.yaml).
#pragma once
#include "simd/math.h"
#include "types.h"

namespace EK_ISA {

// ---- forward: x and the two parameters p, q -------------------------------------------------------------------------
#define EK_UNARY(name, ...)                                                                                  \
  struct name##_op {                                                                                         \
    static constexpr bool is_test = false;                                                                   \
    template <class T> static EK_INLINE vec<T> apply(vec<T> x, [[maybe_unused]] T p, [[maybe_unused]] T q) { \
      __VA_ARGS__                                                                                            \
    }                                                                                                        \
  };

// Any number type; integers wrap around.
template <class T> EK_INLINE vec<T> negated(vec<T> x) { return (vec<T>)(-(vec<wrapping<T>>)x); }
EK_UNARY(neg, return negated<T>(x);)
EK_UNARY(abs, if constexpr (is_float<T>) return abs<T>(x); else return x < T(0) ? negated<T>(x) : x;)
// As PyTorch's: 0 for NaN.
EK_UNARY(sign, const vec<T> zero = {}, one = splat(T(1)); return (x > T(0) ? one : zero) - (x < T(0) ? one : zero);)
EK_UNARY(square, const auto u = (vec<wrapping<T>>)x; return (vec<T>)(u * u);)
EK_UNARY(relu, return x <= T(0) ? vec<T>{} : x;)
// min(max(x, p), q), so that q wins where the bounds cross; NaN stays.
EK_UNARY(clamp, x = x < p ? splat(p) : x; return x > q ? splat(q) : x;)
using hardtanh_op = clamp_op;  // the other derivative on the bounds
EK_UNARY(identity, return x;)

// float and double.
EK_UNARY(sqrt, return sqrt(x);)
EK_UNARY(rsqrt, return T(1) / sqrt(x);)
EK_UNARY(reciprocal, return T(1) / x;)
EK_UNARY(exp, return exp<T>(x);)
EK_UNARY(expm1, return expm1<T>(x);)
EK_UNARY(log, return log<T>(x);)
EK_UNARY(log1p, return log1p<T>(x);)
EK_UNARY(sin, return sin<T>(x);)
EK_UNARY(cos, return cos<T>(x);)
EK_UNARY(tanh, return tanh<T>(x);)
EK_UNARY(erf, return erf<T>(x);)
EK_UNARY(floor, return floor<T>(x);)
EK_UNARY(ceil, return ceil<T>(x);)
EK_UNARY(round, return rint<T>(x);)
EK_UNARY(sigmoid, return sigmoid<T>(x);)
// log σ(x) = min(x, 0) − log(1 + e^−|x|)
EK_UNARY(log_sigmoid, return (x > T(0) ? vec<T>{} : x) - log1p<T>(exp<T>(-abs<T>(x)));)
EK_UNARY(leaky_relu, return x > T(0) ? x : x * p;)
EK_UNARY(elu, return x > T(0) ? x : p * expm1<T>(x);)
// Klambauer et al. 2017.
template <class T> constexpr T selu_alpha = T(1.6732632423543772848170429916717);
template <class T> constexpr T selu_scale = T(1.0507009873554804934193349852946);
EK_UNARY(selu, return x > T(0) ? selu_scale<T> * x : (selu_scale<T> * selu_alpha<T>)*expm1<T>(x);)
// x·Φ(x)
EK_UNARY(gelu, return x * normal_distribution<T>(x).cdf;)
// x·½·(1 + tanh u) = x·σ(2u), u = √(2/π)·(x + 0.044715·x³); the second form does not cancel for x < 0.
template <class T> constexpr T gelu_slope = T(1.5957691216057307118);  // 2·√(2/π)
template <class T> constexpr T gelu_cubic = T(0.044715);
EK_UNARY(gelu_tanh, return x * sigmoid<T>(gelu_slope<T> * (x + gelu_cubic<T> * x * x * x));)
EK_UNARY(silu, return x * sigmoid<T>(x);)
// log(1 + e^(βx))/β, and x itself where βx > threshold. p = β, q = threshold.
EK_UNARY(softplus, const vec<T> z = x * p; return z > q ? x : log1p<T>(exp<T>(z)) / p;)
EK_UNARY(hard_sigmoid, return min<T>(max<T>(x + T(3), T(0)), T(6)) / T(6);)
EK_UNARY(hard_swish, return x * min<T>(max<T>(x + T(3), T(0)), T(6)) / T(6);)

// mish = x·tanh(log(1 + e^x)); with e = e^x and m = e·(e + 2) the hyperbolic tangent is m/(m + 2). From x = 20 on it is
// 1, and the limit keeps m finite.
template <class T> struct mish_parts {
  vec<T> e, m;
};
template <class T> EK_INLINE mish_parts<T> split_mish(vec<T> x) {
  const vec<T> e = exp<T>(min<T>(x, T(20)));
  return {e, e * (e + T(2))};
}
EK_UNARY(mish, const vec<T> m = split_mish<T>(x).m; return x * (m / (m + T(2)));)
#undef EK_UNARY

// Any number type, to bool.
#define EK_TEST(name, expression)                                                            \
  struct name##_op {                                                                         \
    static constexpr bool is_test = true;                                                    \
    template <class T> static EK_INLINE ivec<T> apply(vec<T> x, T, T) { return expression; } \
  };
EK_TEST(logical_not, x == T(0))
EK_TEST(is_nan, x != x)
EK_TEST(is_finite, x - x == T(0))
#undef EK_TEST

// ---- derivative: dx from the input x, the output y and the gradient g of the output ---------------------------------
// An operation names what it reads; the rest is not loaded.
enum reads { reads_none = 0, reads_x = 1, reads_y = 2 };
#define EK_DERIVATIVE(name, what, ...)                                                                             \
  struct name##_derivative {                                                                                       \
    static constexpr int reads = what;                                                                             \
    template <class T>                                                                                             \
    static EK_INLINE vec<T> apply([[maybe_unused]] vec<T> x, [[maybe_unused]] vec<T> y, [[maybe_unused]] vec<T> g, \
                                  [[maybe_unused]] T p, [[maybe_unused]] T q) {                                    \
      __VA_ARGS__                                                                                                  \
    }                                                                                                              \
  };

EK_DERIVATIVE(zero, reads_none, return vec<T>{};)  // of the piecewise constant functions
EK_DERIVATIVE(neg, reads_none, return -g;)
EK_DERIVATIVE(abs, reads_x, return g * sign_op::apply<T>(x, p, q);)
// In the order in which nothing overflows before the result does.
EK_DERIVATIVE(square, reads_x, return T(2) * (g * x);)
EK_DERIVATIVE(sqrt, reads_y, return g / (T(2) * y);)
// In the order in which a large y does not overflow with a small g.
EK_DERIVATIVE(rsqrt, reads_y, return T(-0.5) * g * y * y * y;)
EK_DERIVATIVE(reciprocal, reads_y, return -g * y * y;)
EK_DERIVATIVE(exp, reads_y, return g * y;)
EK_DERIVATIVE(expm1, reads_y, return g * (y + T(1));)
EK_DERIVATIVE(log, reads_x, return g / x;)
EK_DERIVATIVE(log1p, reads_x, return g / (x + T(1));)
EK_DERIVATIVE(sin, reads_x, return g * cos<T>(x);)
EK_DERIVATIVE(cos, reads_x, return -g * sin<T>(x);)
EK_DERIVATIVE(tanh, reads_y, return g * (T(1) - y * y);)
EK_DERIVATIVE(erf, reads_x, return g * (T(1.1283791670955125739) * exp<T>(-x * x));)  // 2/√π
EK_DERIVATIVE(sigmoid, reads_y, return g * ((T(1) - y) * y);)
EK_DERIVATIVE(log_sigmoid, reads_x, return g * sigmoid<T>(-x);)
EK_DERIVATIVE(relu, reads_y, return y <= T(0) ? vec<T>{} : g;)
EK_DERIVATIVE(leaky_relu, reads_x, return x > T(0) ? g : g * p;)
EK_DERIVATIVE(elu, reads_x, return x > T(0) ? g : g * (p * exp<T>(x));)
EK_DERIVATIVE(selu, reads_x, return g * (x > T(0) ? splat(selu_scale<T>) : (selu_scale<T> * selu_alpha<T>)*exp<T>(x));)
// Φ(x) + x·φ(x)
EK_DERIVATIVE(gelu, reads_x, const normal<T> n = normal_distribution<T>(x); return g * (n.cdf + x * n.pdf);)
// With s = σ(2u): s + x·s·(1 − s)·(2u)′.
EK_DERIVATIVE(gelu_tanh, reads_x, const vec<T> square = x * x;
              const vec<T> s = sigmoid<T>(gelu_slope<T> * (x + gelu_cubic<T> * square * x));
              return g * (s + x * s * (T(1) - s) * (gelu_slope<T> * (T(1) + T(3) * gelu_cubic<T> * square)));)
EK_DERIVATIVE(silu, reads_x, const vec<T> s = sigmoid<T>(x); return g * (s * (T(1) + x * (T(1) - s)));)
EK_DERIVATIVE(softplus, reads_x, const vec<T> z = x * p; return z > q ? g : g * sigmoid<T>(z);)
EK_DERIVATIVE(hardtanh, reads_y, return ((y > p) & (y < q)) ? g : vec<T>{};)
// 1 on the bounds too.
EK_DERIVATIVE(clamp, reads_x, return ((x >= p) & (x <= q)) ? g : vec<T>{};)
EK_DERIVATIVE(hard_sigmoid, reads_x, return ((x > T(-3)) & (x < T(3))) ? g / T(6) : vec<T>{};)
EK_DERIVATIVE(hard_swish, reads_x, return x <= T(-3) ? vec<T>{} : x >= T(3) ? g : g * (x / T(3) + T(0.5));)
// t = tanh(softplus x): t + x·σ(x)·(1 − t²), where 1 − t² = 4·(m + 1)/(m + 2)² and σ(x) = e/(1 + e), m + 1 = (1 + e)².
EK_DERIVATIVE(mish, reads_x, const mish_parts<T> s = split_mish<T>(x); const vec<T> d = T(1) / (s.m + T(2));
              return g * (s.m * d + min<T>(x, T(20)) * (T(4) * s.e * (T(1) + s.e)) * d * d);)
#undef EK_DERIVATIVE

}  // namespace EK_ISA
