// Functions of one operand. The formulas are in unary_ops.h.
#include "elementwise/loops.h"
#include "elementwise/unary_ops.h"
#include "simd/strip.h"

namespace EK_ISA {

template <class T, class Op> static void run(const void* x, void* out, int vectors, double p0, double p1) {
  const T* from = static_cast<const T*>(x);
  const T p = convert_limit<T>(p0), q = convert_limit<T>(p1);
  for (int i = 0; i < vectors; i++, from += lanes<T>) {
    const auto y = Op::template apply<T>(load(from), p, q);
    if constexpr (Op::is_test) store_mask<T>(static_cast<uint8_t*>(out) + static_cast<ptrdiff_t>(i) * lanes<T>, y);
    else store(static_cast<T*>(out) + static_cast<ptrdiff_t>(i) * lanes<T>, y);
  }
}

template <class T> static int find_loop(int op, unary_loop* loop) {
#define EK_CASE(NAME, name) \
  case EK_UNARY_##NAME: *loop = run<T, name##_op>; return EK_OK;
  switch (op) {
    EK_CASE(NEG, neg)
    EK_CASE(ABS, abs)
    EK_CASE(SIGN, sign)
    EK_CASE(SQUARE, square)
    EK_CASE(RELU, relu)
    EK_CASE(CLAMP, clamp)
    EK_CASE(HARDTANH, hardtanh)
    EK_CASE(LOGICAL_NOT, logical_not)
    EK_CASE(IS_NAN, is_nan)
    EK_CASE(IS_FINITE, is_finite)
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

unary_loop find_unary_loop(int op, int dtype) {
  unary_loop loop = nullptr;
  if (dtype == EK_FLOAT32) find_loop<float>(op, &loop);
  else if (dtype == EK_FLOAT64) find_loop<double>(op, &loop);
  return loop;
}

EK_API int ek_unary(int op, int dtype, const void* x, void* out, int n, double p0, double p1) {
  const bool test = is_test(op);
  if (dtype == EK_BOOL && test) dtype = EK_UINT8;
  unary_loop loop = nullptr;
  int status = EK_OK, size = 0;
  EK_DISPATCH_NUMBER(dtype, status = find_loop<T>(op, &loop); size = sizeof(T);)
  if (status) return status;
  const int out_size = test ? 1 : size;
  parallel_blocks(n, tile_elements, [=](int begin, int end) {
    const strip_in in[] = {{static_cast<const char*>(x) + static_cast<ptrdiff_t>(begin) * size, size, 1}};
    run_strip(end - begin, EK_VECTOR_BYTES / size, in,
              {static_cast<char*>(out) + static_cast<ptrdiff_t>(begin) * out_size, out_size},
              [=](const void* const* from, const int*, void* to, int vectors) { loop(from[0], to, vectors, p0, p1); });
  });
  return EK_OK;
}

}  // namespace EK_ISA
