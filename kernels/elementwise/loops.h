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

// Whether a function writes bool.
inline bool is_test(int op) {
  switch (op) {
#define EK_UNARY(...)
#define EK_TEST(name, ...) case EK_UNARY_##name:
#include "elementwise/unary.def"
#undef EK_UNARY
#undef EK_TEST
    return true;
  }
  return false;
}

}  // namespace EK_ISA
