// The loops of functions of one operand and of their derivatives, for kernels that have made the operand themselves. p,
// q: the parameters of the function.
#pragma once
#include "kernel.h"

namespace EK_ISA {

// op on whole vectors.
using unary_loop = void (*)(const void* x, void* out, int vectors, double p, double q);
// The derivative on whole vectors.
using gradient_loop = void (*)(const void* x, const void* y, const void* g, void* dx, int vectors, double p, double q);

// For float32 and float64; null where there is none.
unary_loop find_unary_loop(int op, int dtype);
gradient_loop find_gradient_loop(int op, int dtype);

inline bool is_test(int op) { return op == EK_UNARY_LOGICAL_NOT || op == EK_UNARY_IS_NAN || op == EK_UNARY_IS_FINITE; }

}  // namespace EK_ISA
