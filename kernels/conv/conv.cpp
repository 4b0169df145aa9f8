// Convolution forward and backward by data: the ABI's entry points. The work is in the loop cores.
#include "conv/conv_core.h"

namespace EK_ISA {

int conv_weight_scratch(int dtype, const int* geometry);  // conv_backward_weight.cpp

int ek_conv_scratch(int which, int dtype, const int* geometry) {
  const Geometry g(geometry);
  if (!g.valid()) return -1;
  if (which == 2) return conv_weight_scratch(dtype, geometry);
  int bytes = 64;
  EK_DISPATCH_FLOAT(dtype, {
    const T* none = nullptr;
    const auto grow = [&](const Pass<T>& p) {
      const int size = p.empty() ? 0 : pass_scratch(p);
      bytes = size < 0 || bytes < 0 ? -1 : size > bytes ? size : bytes;
    };
    if (which == 0) grow(forward_pass<T>(g, none, none, nullptr));
    else backward_passes<T>(g, none, none, static_cast<T*>(nullptr), grow);
  })
  return bytes;
}

int ek_conv(int dtype, const int* geometry, const void* x, const void* w, const void* bias, void* y, void* scratch) {
  const Geometry g(geometry);
  if (!g.valid()) return EK_BAD_ARGUMENT;
  EK_DISPATCH_FLOAT(dtype, {
    const Pass<T> p = forward_pass(g, static_cast<const T*>(x), static_cast<const T*>(w), static_cast<T*>(y));
    if (!p.empty()) run_pass(p, Identity{}, Bias<T>{static_cast<const T*>(bias)}, scratch);
  })
  return EK_OK;
}

int ek_conv_backward_data(int dtype, const int* geometry, const void* dy, const void* w, void* dx, void* scratch) {
  const Geometry g(geometry);
  if (!g.valid()) return EK_BAD_ARGUMENT;
  EK_DISPATCH_FLOAT(dtype, {
    backward_passes(g, static_cast<const T*>(dy), static_cast<const T*>(w), static_cast<T*>(dx),
                    [&](const Pass<T>& p) { run_pass(p, Identity{}, Bias<T>{nullptr}, scratch); });
  })
  return EK_OK;
}

}  // namespace EK_ISA
