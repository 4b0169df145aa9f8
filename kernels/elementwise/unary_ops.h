// Each function of unary.def and its derivative, as what a loop computes on a vector; and what formulas share. Loops
// are in unary.cpp and unary_backward.cpp.
#pragma once
#include "simd/inverse.h"
#include "types.h"

namespace EK_ISA {

// ---- for several formulas -------------------------------------------------------------------------------------------
// Integers wrap around.
template <class T> EK_INLINE vec<T> negated(vec<T> x) { return (vec<T>)(-(vec<wrapping<T>>)x); }

// Klambauer et al. 2017.
template <class T> constexpr T selu_alpha = T(1.6732632423543772848170429916717);
template <class T> constexpr T selu_scale = T(1.0507009873554804934193349852946);

template <class T> constexpr T gelu_slope = T(1.5957691216057307118);  // 2·√(2/π)
template <class T> constexpr T gelu_cubic = T(0.044715);

// ---- the words of unary.def -----------------------------------------------------------------------------------------
enum dtypes { floats, numbers };
// What a derivative reads of the function's input x and result y.
enum reads { reads_nothing = 0, reads_x = 1, reads_y = 2 };

#define EK_UNARY(name, taken, formula, read, derivative)                                                           \
  struct name##_op {                                                                                               \
    static constexpr bool is_test = false;                                                                         \
    template <class T> static constexpr bool takes = taken == numbers || is_float<T>;                              \
    template <class T> static EK_INLINE vec<T> apply(vec<T> x, [[maybe_unused]] T p, [[maybe_unused]] T q) formula \
  };                                                                                                               \
  struct name##_derivative {                                                                                       \
    static constexpr int reads = read;                                                                             \
    template <class T>                                                                                             \
    static EK_INLINE vec<T> apply([[maybe_unused]] vec<T> x, [[maybe_unused]] vec<T> y, [[maybe_unused]] vec<T> g, \
                                  [[maybe_unused]] T p, [[maybe_unused]] T q) derivative                           \
  };
#define EK_TEST(name, formula)                                                \
  struct name##_op {                                                          \
    static constexpr bool is_test = true;                                     \
    template <class T> static constexpr bool takes = true;                    \
    template <class T> static EK_INLINE ivec<T> apply(vec<T> x, T, T) formula \
  };
#include "elementwise/unary.def"
#undef EK_UNARY
#undef EK_TEST

}  // namespace EK_ISA
