// Tells for which instruction set the kernels were compiled.
#include "kernel.h"

namespace EK_ISA {
int ek_isa(void) {
#if defined(__wasm__)
  return EK_WASM;
#elif defined(__AVX512F__)
  return EK_AVX512;
#elif defined(__AVX2__)
  return EK_AVX2;
#elif defined(__aarch64__)
  return EK_NEON;
#else
  return EK_BASELINE;
#endif
}
}  // namespace EK_ISA
