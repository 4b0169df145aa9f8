// From an ek_dtype to a C++ type: dispatch macros beside EK_DISPATCH_FLOAT, and conversion between numbers. bool is uint8_t with
// values 0 and 1; where it needs other arithmetic than uint8, a kernel says so before it dispatches.
#pragma once
#include "kernel.h"

// Runs the arguments with T = the number type of dtype; bool and anything else is EK_BAD_DTYPE.
#define EK_DISPATCH_NUMBER(dtype, ...)                           \
  switch (dtype) {                                               \
    case EK_FLOAT32: { using T = float; __VA_ARGS__ } break;     \
    case EK_FLOAT64: { using T = double; __VA_ARGS__ } break;    \
    case EK_INT32: { using T = int32_t; __VA_ARGS__ } break;     \
    case EK_INT64: { using T = int64_t; __VA_ARGS__ } break;     \
    case EK_UINT8: { using T = uint8_t; __VA_ARGS__ } break;     \
    default: return EK_BAD_DTYPE;                                \
  }

// Runs the arguments with T = an unsigned integer of `size` bytes, for kernels that only move elements.
#define EK_DISPATCH_SIZE(size, ...)                              \
  switch (size) {                                                \
    case 1: { using T = uint8_t; __VA_ARGS__ } break;            \
    case 2: { using T = uint16_t; __VA_ARGS__ } break;           \
    case 4: { using T = uint32_t; __VA_ARGS__ } break;           \
    case 8: { using T = uint64_t; __VA_ARGS__ } break;           \
    default: return EK_BAD_ARGUMENT;                             \
  }

namespace EK_ISA {

template <class T> constexpr bool is_float = static_cast<T>(0.5) != 0;
template <class T> struct limits;
template <> struct limits<int32_t> { static constexpr int32_t min = INT32_MIN, max = INT32_MAX; };
template <> struct limits<int64_t> { static constexpr int64_t min = INT64_MIN, max = INT64_MAX; };
template <> struct limits<uint8_t> { static constexpr uint8_t min = 0, max = UINT8_MAX; };
template <> struct limits<float> { static constexpr float min = -__builtin_inff(), max = __builtin_inff(); };
template <> struct limits<double> { static constexpr double min = -__builtin_inf(), max = __builtin_inf(); };

// C's conversion, but a float outside an integer's range saturates and NaN gives 0; C leaves both undefined.
template <class To, class From> EK_INLINE To convert(From x) {
  if constexpr (is_float<From> && !is_float<To>) {
    // The upper limit plus one is a power of two, so it exists in From, which max itself may not.
    constexpr From above = static_cast<From>(limits<To>::max / 2 + 1) * 2, below = static_cast<From>(limits<To>::min);
    return x >= above ? limits<To>::max : x > below ? static_cast<To>(x) : x == x ? limits<To>::min : To(0);
  } else {
    return static_cast<To>(x);
  }
}

// Elements of one tile of parallel work: enough to outweigh handing it out, few enough to stay in the second-level cache.
constexpr int tile_elements = 16384;

}  // namespace EK_ISA
