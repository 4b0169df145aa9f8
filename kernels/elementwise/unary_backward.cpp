// Gradients of functions of one operand. The derivatives are in unary_ops.h.
#include "elementwise/unary_ops.h"
#include "simd/strip.h"

namespace EK_ISA {

struct unary_gradient {
  const void *x, *y, *g;
  void* dx;
  int n;
  double p, q;
};

template <class T, class Op> static int map(const unary_gradient& a) {
  const T *const x = static_cast<const T*>(a.x), *const y = static_cast<const T*>(a.y), *const g = static_cast<const T*>(a.g);
  T* const dx = static_cast<T*>(a.dx);
  const T p = convert<T>(a.p), q = convert<T>(a.q);
  parallel_blocks(a.n, tile_elements, [=](int begin, int end) {
    for_vectors<T>(begin, end, [=](auto at) {
      vec<T> xs = {}, ys = {};
      if constexpr ((Op::reads & reads_x) != 0) xs = at.read(x);
      if constexpr ((Op::reads & reads_y) != 0) ys = at.read(y);
      at.write(dx, Op::template apply<T>(xs, ys, at.read(g), p, q));
    });
  });
  return EK_OK;
}

template <class T> static int unary_backward(int op, const unary_gradient& a) {
#define EK_CASE(NAME, name) case EK_UNARY_##NAME: return map<T, name##_derivative>(a);
  switch (op) {
    EK_CASE(NEG, neg)
    EK_CASE(ABS, abs)
    EK_CASE(SIGN, zero)
    EK_CASE(SQUARE, square)
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
    EK_CASE(FLOOR, zero)
    EK_CASE(CEIL, zero)
    EK_CASE(ROUND, zero)
    EK_CASE(SIGMOID, sigmoid)
    EK_CASE(LOG_SIGMOID, log_sigmoid)
    EK_CASE(RELU, relu)
    EK_CASE(LEAKY_RELU, leaky_relu)
    EK_CASE(ELU, elu)
    EK_CASE(SELU, selu)
    EK_CASE(GELU, gelu)
    EK_CASE(GELU_TANH, gelu_tanh)
    EK_CASE(SILU, silu)
    EK_CASE(SOFTPLUS, softplus)
    EK_CASE(CLAMP, clamp)
    EK_CASE(HARD_SIGMOID, hard_sigmoid)
    EK_CASE(HARD_SWISH, hard_swish)
    EK_CASE(MISH, mish)
  }
#undef EK_CASE
  return EK_BAD_ARGUMENT;
}

EK_API int ek_unary_backward(int op, int dtype, const void* x, const void* y, const void* g, void* dx, int n, double p0,
                             double p1) {
  const unary_gradient a = {x, y, g, dx, n, p0, p1};
  EK_DISPATCH_FLOAT(dtype, return unary_backward<T>(op, a);)
  return EK_OK;
}

}  // namespace EK_ISA
