// From an ek_dtype to a C++ type: dispatch macros beside EK_DISPATCH_FLOAT (kernel.h), and conversion between numbers.
// bool is uint8_t with the values 0 and 1. A kernel that computes bool in another way than uint8 tests for it before it
// dispatches.
#pragma once
#include "kernel.h"

// Runs the arguments with T = the type of a number dtype. Any other dtype, also bool, is EK_BAD_DTYPE.
#define EK_DISPATCH_NUMBER(dtype, ...)          \
  switch (dtype) {                              \
    EK_CASE_OF(EK_FLOAT32, float, __VA_ARGS__)  \
    EK_CASE_OF(EK_FLOAT64, double, __VA_ARGS__) \
    EK_CASE_OF(EK_INT32, int32_t, __VA_ARGS__)  \
    EK_CASE_OF(EK_INT64, int64_t, __VA_ARGS__)  \
    EK_CASE_OF(EK_UINT8, uint8_t, __VA_ARGS__)  \
    default: return EK_BAD_DTYPE;               \
  }

// Runs the arguments with T = an unsigned integer of `size` bytes, for kernels that only move elements.
#define EK_DISPATCH_SIZE(size, ...)      \
  switch (size) {                        \
    EK_CASE_OF(1, uint8_t, __VA_ARGS__)  \
    EK_CASE_OF(2, uint16_t, __VA_ARGS__) \
    EK_CASE_OF(4, uint32_t, __VA_ARGS__) \
    EK_CASE_OF(8, uint64_t, __VA_ARGS__) \
    default: return EK_BAD_ARGUMENT;     \
  }

namespace EK_ISA {

template <class T> constexpr bool is_float = static_cast<T>(0.5) != 0;
template <class T> struct limits;
template <> struct limits<int32_t> {
  static constexpr int32_t min = INT32_MIN, max = INT32_MAX;
};
template <> struct limits<int64_t> {
  static constexpr int64_t min = INT64_MIN, max = INT64_MAX;
};
template <> struct limits<uint8_t> {
  static constexpr uint8_t min = 0, max = UINT8_MAX;
};
template <> struct limits<float> {
  static constexpr float min = -__builtin_inff(), max = __builtin_inff();
};
template <> struct limits<double> {
  static constexpr double min = -__builtin_inf(), max = __builtin_inf();
};

// Converts as PyTorch does on x86, on every machine (C leaves a float outside an integer's range undefined). NaN, or a
// float outside the range of int32 or int64, becomes the most negative number. uint8 is the low byte of such an
// integer, as in a conversion between integers.
template <class To, class From> EK_INLINE To convert(From x) {
  if constexpr (is_float<From> && !is_float<To>) {
    if constexpr (sizeof(To) == 1) {
      // A float outside int32 is a multiple of 256, and the low byte of the most negative int32 is 0, too: int32 is
      // enough.
      if constexpr (sizeof(From) == 4) return static_cast<To>(convert<int32_t>(x));
      else return static_cast<To>(convert<int64_t>(x));
    } else {
      // The lower limit is a power of two, so From can represent it; it may not be able to represent the upper limit.
      constexpr From below = static_cast<From>(limits<To>::min);
      return x >= below && x < -below ? static_cast<To>(x) : limits<To>::min;
    }
  } else {
    return static_cast<To>(x);
  }
}

// The type in which values of T are summed: double for float, so that errors do not add up; for integers one that wraps
// around.
template <class T> struct wide_sum_of {
  using type = wrapping<T>;
};
template <> struct wide_sum_of<float> {
  using type = double;
};
template <class T> using wide_sum = typename wide_sum_of<T>::type;

// Converts a number that is combined with tensors of T. For integers only its low bits count, as in a conversion
// between integers.
template <class T> EK_INLINE T convert_scalar(double x) {
  if constexpr (is_float<T>) return static_cast<T>(x);
  else return static_cast<T>(convert<int64_t>(x));
}

// The number of T that is nearest to a limit, which may be infinite.
template <class T> EK_INLINE T convert_limit(double x) {
  if constexpr (is_float<T>) {
    return static_cast<T>(x);
  } else {
    const double above = static_cast<double>(limits<T>::max / 2 + 1) * 2;
    return x >= above ? limits<T>::max : x > static_cast<double>(limits<T>::min) ? static_cast<T>(x) : limits<T>::min;
  }
}

// Elements in a tile of parallel work: enough to outweigh the cost of handing it out, few enough to stay in L2.
constexpr int tile_elements = 16384;

}  // namespace EK_ISA
