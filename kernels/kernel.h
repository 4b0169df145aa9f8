// Every kernel file includes this header: the ABI, in the namespace of the instruction set that is compiled. Kernel
// files include no header of the C++ library, because they are also compiled for WebAssembly, without a library.
#pragma once
#ifndef EK_ISA
#error "compile with -DEK_ISA=<baseline|avx2|avx512|neon|wasm>"
#endif
#include "parallel.h"
#include "simd/vec.h"

#ifdef __wasm__
#define EK_API extern "C"  // exported by their plain names, although they are defined inside the namespace
#endif
namespace EK_ISA {
#include "include/evenkeel.h"
}

// A case of a dispatch macro: runs the arguments with T = type.
#define EK_CASE_OF(value, type, ...) \
  case value: {                      \
    using T = type;                  \
    __VA_ARGS__                      \
  } break;

// Runs the arguments with T = float or double. Any other dtype is EK_BAD_DTYPE.
#define EK_DISPATCH_FLOAT(dtype, ...)           \
  switch (dtype) {                              \
    EK_CASE_OF(EK_FLOAT32, float, __VA_ARGS__)  \
    EK_CASE_OF(EK_FLOAT64, double, __VA_ARGS__) \
    default: return EK_BAD_DTYPE;               \
  }
