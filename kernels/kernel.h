// What every kernel file includes: the ABI inside the namespace of the instruction set that this build is for.
// Kernel files include no C++ library header: they are also compiled freestanding for WebAssembly.
#pragma once
#ifndef EK_ISA
#error "compile with -DEK_ISA=<baseline|avx2|avx512|neon|wasm>"
#endif
#include "parallel.h"
#include "simd/vec.h"

#ifdef __wasm__
#define EK_API extern "C"
#endif
namespace EK_ISA {
#include "include/evenkeel.h"
}
// In a WebAssembly build the functions are extern "C" (defined inside the namespace all the same).

// Runs `body` with T = float or double; anything else is EK_BAD_DTYPE.
#define EK_DISPATCH_FLOAT(dtype, ...) \
  switch (dtype) {                    \
    case EK_FLOAT32: {                \
      using T = float;                \
      __VA_ARGS__                     \
    } break;                          \
    case EK_FLOAT64: {                \
      using T = double;               \
      __VA_ARGS__                     \
    } break;                          \
    default: return EK_BAD_DTYPE;     \
  }
