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

// Runs the arguments with T = float or double. Any other dtype is EK_BAD_DTYPE.
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
