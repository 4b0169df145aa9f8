// The operations of binary.def: on vectors of any number type where the machine has vectors for it, else on scalars.
// Loops, broadcasting and the choice by dtype are in binary.cpp.
#pragma once
#include "elementwise/unary_ops.h"
#include "simd/inverse.h"
#include "types.h"

namespace EK_ISA {

// What an operation is applied to at a time.
enum class unit { nothing, vector, scalar };
// Where there is no operation.
struct none {
  static constexpr unit of = unit::nothing;
};

#define EK_ARITHMETIC(name, expression)                                                                             \
  struct op_##name {                                                                                                \
    static constexpr unit of = unit::vector;                                                                        \
    static constexpr bool is_test = false;                                                                          \
    template <class T>                                                                                              \
    static EK_INLINE vec<T> apply([[maybe_unused]] vec<T> a, [[maybe_unused]] vec<T> b, [[maybe_unused]] T alpha) { \
      return expression;                                                                                            \
    }                                                                                                               \
  };
// Of integers that wrap around.
#define EK_WRAPPING(name, expression)                                                \
  struct op_##name {                                                                 \
    static constexpr unit of = unit::vector;                                         \
    static constexpr bool is_test = false;                                           \
    template <class T> static EK_INLINE vec<T> apply(vec<T> x, vec<T> y, T factor) { \
      using U = wrapping<T>;                                                         \
      [[maybe_unused]] const vec<U> a = (vec<U>)x, b = (vec<U>)y;                    \
      [[maybe_unused]] const U alpha = static_cast<U>(factor);                       \
      return (vec<T>)(expression);                                                   \
    }                                                                                \
  };
#define EK_BINARY(...)
#define EK_TEST(name, formula)                                                    \
  struct op_##name {                                                              \
    static constexpr unit of = unit::vector;                                      \
    static constexpr bool is_test = true;                                         \
    template <class T> static EK_INLINE ivec<T> apply(vec<T> a, vec<T> b) formula \
  };
#include "elementwise/binary.def"
#undef EK_BINARY
#undef EK_TEST

EK_WRAPPING(add, a + b)
EK_WRAPPING(sub, a - b)
EK_WRAPPING(add_scaled, a + alpha * b)
EK_WRAPPING(sub_scaled, a - alpha * b)
EK_WRAPPING(mul, (a * b))
EK_ARITHMETIC(div, a / b)
EK_ARITHMETIC(maximum, max_nan(a, b))
EK_ARITHMETIC(minimum, min_nan(a, b))
EK_ARITHMETIC(pow, pow<T>(a, b))
EK_ARITHMETIC(first, a)
EK_ARITHMETIC(trunc_divide, trunc_op::apply<T>(a / b, T(0), T(0)))
EK_ARITHMETIC(atan2, atan2<T>(a, b))
EK_ARITHMETIC(hypot, hypot<T>(a, b))
EK_ARITHMETIC(copysign, flip_sign<T>(abs<T>(a), sign_bit<T>(b)))
EK_ARITHMETIC(bitwise_and, (a & b))
EK_ARITHMETIC(bitwise_or, (a | b))
EK_ARITHMETIC(bitwise_xor, (a ^ b))
// pow with a constant exponent; the exponent is b, but need not be read.
EK_ARITHMETIC(square, (a * a))
EK_ARITHMETIC(cube, a * a * a)
EK_ARITHMETIC(reciprocal, T(1) / a)
// pow(−0, ½) = +0 and pow(−inf, ½) = +inf, where a root would give −0 and NaN.
EK_ARITHMETIC(root, a == -real<T>::inf ? splat<T>(real<T>::inf) : sqrt(a + T(0)))
#undef EK_ARITHMETIC
#undef EK_WRAPPING

// ---- scalars: apply(a, b, &result) is false where the result does not exist -----------------------------------------
// Wrapping arithmetic, for which C++ has only the unsigned types; int64 holds the other two types' products.
template <class T> EK_INLINE T wrapping_mul(T a, T b) {
  return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}
template <class T> EK_INLINE T wrapping_neg(T a) { return static_cast<T>(uint64_t{0} - static_cast<uint64_t>(a)); }

// Truncating; the most negative number divided by −1 wraps.
struct op_int_div {
  static constexpr unit of = unit::scalar;
  template <class T> static EK_INLINE bool apply(T a, T b, T* result) {
    *result = b == 0 ? T(0) : b == static_cast<T>(-1) && T(-1) < T(0) ? wrapping_neg(a) : static_cast<T>(a / b);
    return b != 0;
  }
};

// The greatest common divisor (Euclid's algorithm), never negative but for the most negative number.
struct op_gcd {
  static constexpr unit of = unit::scalar;
  template <class T> static EK_INLINE bool apply(T a, T b, T* result) {
    using U = wrapping<T>;
    U x = static_cast<U>(a < T(0) ? wrapping_neg(a) : a), y = static_cast<U>(b < T(0) ? wrapping_neg(b) : b);
    while (y != 0) {
      const U rest = static_cast<U>(x % y);
      x = y;
      y = rest;
    }
    *result = static_cast<T>(x);
    return true;
  }
};

// Rounded down, where that truncates towards 0.
struct op_int_floor_div {
  static constexpr unit of = unit::scalar;
  template <class T> static EK_INLINE bool apply(T a, T b, T* result) {
    if (!op_int_div::apply(a, b, result)) return false;
    const bool minus_one = b == static_cast<T>(-1) && T(-1) < T(0);
    if ((a < T(0)) != (b < T(0)) && !minus_one && a % b != 0) *result = static_cast<T>(*result - 1);
    return true;
  }
};

// Beyond the number of bits nothing is left; a negative number keeps its sign. As in PyTorch, a negative shift is one
// beyond.
struct op_left_shift {
  static constexpr unit of = unit::scalar;
  template <class T> static EK_INLINE bool apply(T a, T b, T* result) {
    const bool beyond = b < T(0) || static_cast<uint64_t>(b) >= 8 * sizeof(T);
    *result = beyond ? T(0) : static_cast<T>(static_cast<uint64_t>(a) << static_cast<uint64_t>(b));
    return true;
  }
};
struct op_right_shift {
  static constexpr unit of = unit::scalar;
  template <class T> static EK_INLINE bool apply(T a, T b, T* result) {
    constexpr int bits = 8 * static_cast<int>(sizeof(T));
    const bool beyond = b < T(0) || static_cast<uint64_t>(b) >= bits;
    // The sign bit fills up from above; without a sign 0 does.
    *result = !beyond ? static_cast<T>(a >> b) : T(-1) < T(0) ? static_cast<T>(a >> (bits - 1)) : T(0);
    return true;
  }
};

// By repeated squaring. A negative exponent gives the integer part of 1/a^|b|: 0 unless a = ±1 (as PyTorch).
struct op_int_pow {
  static constexpr unit of = unit::scalar;
  template <class T> static EK_INLINE bool apply(T a, T b, T* result) {
    if (b < T(0)) {
      *result = a == T(1) ? T(1) : a == static_cast<T>(-1) ? (b % 2 ? a : T(1)) : T(0);
      return true;
    }
    T power = 1;
    for (; b != 0; b = static_cast<T>(b / 2), a = wrapping_mul(a, a))
      if (b % 2) power = wrapping_mul(power, a);
    *result = power;
    return true;
  }
};

// fmod for finite a and finite b ≠ 0, exactly: long division in binary, on the mantissas as integers.
template <class T> inline T exact_remainder(T a, T b) {
  using B = typename real<T>::unsigned_int;
  constexpr int mantissa = real<T>::mantissa;
  constexpr B hidden = B{1} << mantissa;
  auto split = [](T x, B* m) {
    B bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    bits &= ~(B{1} << (8 * sizeof(T) - 1));
    const int exponent = static_cast<int>(bits >> mantissa);
    *m = bits & (hidden - 1);
    if (exponent > 0) *m |= hidden;
    return exponent > 0 ? exponent : 1;
  };
  B m, d;
  const int a_exponent = split(a, &m), b_exponent = split(b, &d);
  if (a == T(0) || a_exponent < b_exponent) return a;
  m %= d;
  for (int e = a_exponent; e > b_exponent; e--) {
    m <<= 1;
    if (m >= d) m -= d;
  }
  // The result is m with b's exponent; normalize.
  int e = b_exponent;
  while (m != 0 && m < hidden && e > 1) m <<= 1, e--;
  const B bits = m < hidden ? m : (m - hidden) | (static_cast<B>(e) << mantissa);
  T result;
  __builtin_memcpy(&result, &bits, sizeof result);
  return a < T(0) ? -result : result;
}

// The same for all numbers, as C's fmod; of integers the remainder of a division that truncates.
struct op_fmod {
  static constexpr unit of = unit::scalar;
  template <class T> static EK_INLINE bool apply(T a, T b, T* result) {
    if constexpr (is_float<T>) {
      if (a - a != T(0) || b != b || b == T(0)) *result = real<T>::nan;
      else *result = b - b != T(0) ? a : exact_remainder(a, b);
      return true;
    } else {
      if (b == 0) return *result = 0, false;
      *result = b == static_cast<T>(-1) && T(-1) < T(0) ? T(0) : static_cast<T>(a % b);
      return true;
    }
  }
};

// floor(a/b) of the exact quotient, not of the rounded one: what is divided is a without its remainder (Python's //, as
// in PyTorch).
struct op_floor_divide {
  static constexpr unit of = unit::scalar;
  template <class T> static EK_INLINE bool apply(T a, T b, T* result) {
    if (b == T(0)) return *result = a / b, true;
    T rest;
    op_fmod::apply(a, b, &rest);
    T quotient = (a - rest) / b;
    if (rest != T(0) && (b < T(0)) != (rest < T(0))) quotient -= T(1);
    if (quotient == T(0)) return *result = static_cast<T>(__builtin_copysign(0.0, static_cast<double>(a / b))), true;
    T whole = quotient;
    if (quotient - quotient == T(0) && __builtin_fabs(static_cast<double>(quotient)) < 0x1p52) {
      whole = static_cast<T>(static_cast<int64_t>(quotient));
      if (whole > quotient) whole -= T(1);
    }
    *result = quotient - whole > T(0.5) ? whole + T(1) : whole;
    return true;
  }
};

// a − b·floor(a/b): the sign of the divisor (Python's %, torch.remainder).
struct op_remainder {
  static constexpr unit of = unit::scalar;
  template <class T> static EK_INLINE bool apply(T a, T b, T* result) {
    if constexpr (is_float<T>) {
      T r;
      if (a - a != T(0) || b != b || b == T(0)) r = real<T>::nan;
      else if (b - b != T(0)) r = a;  // b infinite
      else r = exact_remainder(a, b);
      *result = r != T(0) && (r < T(0)) != (b < T(0)) ? r + b : r;
      return true;
    } else {
      if (b == 0) return *result = 0, false;
      const T r = b == static_cast<T>(-1) && T(-1) < T(0) ? T(0) : static_cast<T>(a % b);
      *result = r != 0 && (r < T(0)) != (b < T(0)) ? static_cast<T>(r + b) : r;
      return true;
    }
  }
};

}  // namespace EK_ISA
