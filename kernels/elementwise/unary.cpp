// Functions of one operand. The formulas are in unary_ops.h.
#include "elementwise/unary_ops.h"
#include "simd/strip.h"

namespace EK_ISA {

template <class T, class Op> static int map(const void* x, void* out, int n, double p0, double p1) {
  const T* const from = static_cast<const T*>(x);
  T* const to = static_cast<T*>(out);
  const T p = convert<T>(p0), q = convert<T>(p1);
  parallel_blocks(n, tile_elements, [=](int begin, int end) {
    for_vectors<T>(begin, end, [=](auto at) { at.write(to, Op::template apply<T>(at.read(from), p, q)); });
  });
  return EK_OK;
}

template <class T, class F> static int test(const void* x, void* out, int n, F is) {
  parallel_blocks(n, tile_elements, [=](int begin, int end) {
    const T* __restrict from = static_cast<const T*>(x);
    uint8_t* __restrict to = static_cast<uint8_t*>(out);
    for (int i = begin; i < end; i++) to[i] = is(from[i]);
  });
  return EK_OK;
}

template <class T> static int unary(int op, const void* x, void* out, int n, double p, double q) {
#define EK_CASE(NAME, name) case EK_UNARY_##NAME: return map<T, name##_op>(x, out, n, p, q);
  switch (op) {
    EK_CASE(NEG, neg)
    EK_CASE(ABS, abs)
    EK_CASE(SIGN, sign)
    EK_CASE(SQUARE, square)
    EK_CASE(RELU, relu)
    EK_CASE(CLAMP, clamp)
    case EK_UNARY_LOGICAL_NOT: return test<T>(x, out, n, [](T v) { return v == T(0); });
    case EK_UNARY_IS_NAN: return test<T>(x, out, n, [](T v) { return v != v; });
    case EK_UNARY_IS_FINITE: return test<T>(x, out, n, [](T v) { return v - v == T(0); });
  }
  if constexpr (is_float<T>) {
    switch (op) {
      EK_CASE(SQRT, sqrt)
      EK_CASE(RSQRT, rsqrt)
      EK_CASE(RECIPROCAL, reciprocal)
      EK_CASE(EXP, exp)
      EK_CASE(EXPM1, expm1)
      EK_CASE(LOG, log)
      EK_CASE(LOG1P, log1p)
      EK_CASE(SIN, sin)
      EK_CASE(COS, cos)
      EK_CASE(TANH, tanh)
      EK_CASE(ERF, erf)
      EK_CASE(FLOOR, floor)
      EK_CASE(CEIL, ceil)
      EK_CASE(ROUND, round)
      EK_CASE(SIGMOID, sigmoid)
      EK_CASE(LOG_SIGMOID, log_sigmoid)
      EK_CASE(LEAKY_RELU, leaky_relu)
      EK_CASE(ELU, elu)
      EK_CASE(SELU, selu)
      EK_CASE(GELU, gelu)
      EK_CASE(GELU_TANH, gelu_tanh)
      EK_CASE(SILU, silu)
      EK_CASE(SOFTPLUS, softplus)
      EK_CASE(HARD_SIGMOID, hard_sigmoid)
      EK_CASE(HARD_SWISH, hard_swish)
      EK_CASE(MISH, mish)
    }
    return EK_BAD_ARGUMENT;
  } else {
    switch (op) {
      EK_CASE(FLOOR, identity)
      EK_CASE(CEIL, identity)
      EK_CASE(ROUND, identity)
    }
    return op >= 0 && op <= EK_UNARY_IS_FINITE ? EK_BAD_DTYPE : EK_BAD_ARGUMENT;
  }
#undef EK_CASE
}

EK_API int ek_unary(int op, int dtype, const void* x, void* out, int n, double p0, double p1) {
  const bool test = op == EK_UNARY_LOGICAL_NOT || op == EK_UNARY_IS_NAN || op == EK_UNARY_IS_FINITE;
  if (dtype == EK_BOOL && test) dtype = EK_UINT8;
  EK_DISPATCH_NUMBER(dtype, return unary<T>(op, x, out, n, p0, p1);)
  return EK_OK;
}

}  // namespace EK_ISA
