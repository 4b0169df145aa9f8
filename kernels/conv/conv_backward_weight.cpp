// Convolution backward by weights and bias: the ABI's entry point. The loop cores do the work.
#include "conv/conv_core.h"
#include "conv/norm_map.h"

namespace EK_ISA {
namespace {

template <class T> int scratch_bytes(const Geometry& g) {
  const T* none = nullptr;
  const Pass<T> p = forward_pass<T>(g, none, none, nullptr);
  if (p.empty()) return 64;
  Scratch scratch(nullptr);
  with_weight_core(p, none, scratch, [](const auto&) {});
  return scratch.bytes();
}

template <class T>
void backward_weight(const Geometry& g, const T* x, const NormMap<T>& prologue, const T* dy,
                     const NormMap<T>& gradient_prologue, T* dw, T* dbias, void* memory) {
  const T* none = nullptr;
  const Pass<T> p = forward_pass<T>(g, x, none, nullptr);
  if (p.empty()) {
    zero_run(dw, p.w_group * p.groups);
    if (dbias) zero_run(dbias, g.o);
    return;
  }
  Scratch scratch(memory);
  with_weight_core(p, dy, scratch, [&](const auto& core) { core.run(prologue, gradient_prologue, dw, dbias); });
}

}  // namespace

int conv_weight_scratch(int dtype, const int* geometry) {
  EK_DISPATCH_FLOAT(dtype, return scratch_bytes<T>(Geometry(geometry));)
}

int ek_conv_backward_weight(int dtype, const int* geometry, const void* x, const void* x_norm, int x_relu,
                            const void* dy, const void* dy_x, const void* dy_norm, int dy_relu, void* dw, void* dbias,
                            void* scratch) {
  const Geometry g(geometry);
  if (!g.valid()) return EK_BAD_ARGUMENT;
  EK_DISPATCH_FLOAT(dtype, {
    const NormMap<T> prologue{Map::forward, static_cast<const T*>(x_norm), nullptr, g.c, x_relu};
    const NormMap<T> gradient_prologue{Map::training, static_cast<const T*>(dy_norm), static_cast<const T*>(dy_x), g.o,
                                       dy_relu};
    backward_weight(g, static_cast<const T*>(x), prologue, static_cast<const T*>(dy), gradient_prologue,
                    static_cast<T*>(dw), static_cast<T*>(dbias), scratch);
  })
  return EK_OK;
}

}  // namespace EK_ISA
