// Filling tensors with a constant or an arithmetic progression. Random numbers are drawn elsewhere.
#include "types.h"

namespace EK_ISA {

template <class T> static void fill(T* out, int n, T value) {
  parallel_blocks(n, tile_elements, [=](int begin, int end) {
    for (int i = begin; i < end; i++) out[i] = value;
  });
}

EK_API int ek_fill(int dtype, void* out, int n, double value) {
  if (dtype == EK_BOOL) {
    fill(static_cast<uint8_t*>(out), n, static_cast<uint8_t>(value != 0));
    return EK_OK;
  }
  EK_DISPATCH_NUMBER(dtype, fill(static_cast<T*>(out), n, convert_scalar<T>(value));)
  return EK_OK;
}

// start + i·step in double; with an integral start and step, int64 computes in 64 bits, where 2^53 is no limit.
EK_API int ek_arange(int dtype, void* out, int n, double start, double step) {
  EK_DISPATCH_NUMBER(dtype, {
    T* const to = static_cast<T*>(out);
    const int64_t start64 = convert<int64_t>(start), step64 = convert<int64_t>(step);
    const bool exact = sizeof(T) == 8 && !is_float<T> && static_cast<double>(start64) == start &&
                       static_cast<double>(step64) == step;
    parallel_blocks(n, tile_elements, [=](int begin, int end) {
      if (exact) {
        for (int i = begin; i < end; i++) to[i] = static_cast<T>(start64 + i * step64);
      } else {
        for (int i = begin; i < end; i++) to[i] = convert_scalar<T>(start + i * step);
      }
    });
  })
  return EK_OK;
}

}  // namespace EK_ISA
