// Convolution forward and backward by data: the ABI's entry points. The work is in the loop cores, and what is done for
// the norms around in norm_maps.h.
#include "conv/conv_core.h"
#include "conv/norm_maps.h"

namespace EK_ISA {

int conv_weight_scratch(int dtype, const int* geometry);  // conv_backward_weight.cpp

namespace {

// Of the norm that changes nothing, of which a residual and a ReLU without a norm are part.
int own_norm_size(const Geometry& g) { return kCoefficients * g.o; }

// The sums of a pass's parts behind what its core needs.
template <class T> int scratch_with_sums(const Pass<T>& p, Scratch scratch) {
  with_core(p, scratch,
            [&](const auto& core) { scratch.take<PartSums>(static_cast<size_t>(core.parts()) * p.o * p.groups); });
  return scratch.bytes();
}

template <class T> void zero_sums(PartSums* sums, size_t count) {
  parallel_blocks(static_cast<int>(count), 1 << 13, [&](int begin, int end) {
    for (int i = begin; i < end; i++) sums[i] = {0, 0, 0, 0};
  });
}

// Runs a pass, after which use(sums, parts) sees what the epilogue has summed, if it does.
template <class T, class F>
void run_with_sums(const Pass<T>& p, const Normalizing<T>& prologue, Finishing<T> epilogue, Scratch scratch,
                   const F& use) {
  const bool wants = epilogue.what == Finish::statistics || epilogue.what == Finish::gradient;
  with_core(p, scratch, [&](const auto& core) {
    const size_t count = static_cast<size_t>(core.parts()) * p.o * p.groups;
    PartSums* sums = wants ? scratch.take<PartSums>(count) : nullptr;
    if (wants) zero_sums<T>(sums, count);
    epilogue.sums = sums;
    core.run(prologue, epilogue);
    if (wants) use(sums, core.parts());
  });
}

template <class T>
void forward(const Geometry& g, const Pass<T>& p, const Normalizing<T>& prologue, const Finishing<T>& epilogue,
             double* mean, double* m2, Scratch scratch) {
  run_with_sums(p, prologue, epilogue, scratch, [&](const PartSums* sums, int parts) {
    const Layout layout(g.n, g.o, g.out[0] * g.out[1] * g.out[2], g.y_format);
    merge_statistics(sums, parts, static_cast<const T*>(p.y), layout, mean, m2);
  });
}

}  // namespace

int ek_conv_scratch(int which, int dtype, const int* geometry) {
  const Geometry g(geometry);
  if (!g.valid()) return -1;
  if (which == 2) return conv_weight_scratch(dtype, geometry);
  int bytes = 64;
  EK_DISPATCH_FLOAT(dtype, {
    const T* none = nullptr;
    const Pass<T> p = which == 0 ? forward_pass<T>(g, none, none, nullptr) : backward_pass<T>(g, none, none, nullptr);
    Scratch scratch(nullptr);
    if (which == 0) scratch.take<T>(own_norm_size(g));
    if (!p.empty()) bytes = scratch_with_sums(p, scratch);
  })
  return bytes;
}

int ek_conv(int dtype, const int* geometry, const void* x, const void* x_norm, int x_relu, const void* w,
            const void* bias, void* y, double* y_mean, double* y_m2, const void* y_norm, const void* residual,
            double y_relu, void* memory) {
  const Geometry g(geometry);
  if (!g.valid()) return EK_BAD_ARGUMENT;
  EK_DISPATCH_FLOAT(dtype, {
    const Pass<T> p = forward_pass(g, static_cast<const T*>(x), static_cast<const T*>(w), static_cast<T*>(y));
    if (p.empty()) return EK_OK;
    Scratch scratch(memory);
    T* const own_norm = scratch.take<T>(own_norm_size(g));
    if (!y_norm && (residual || y_relu > 0)) {
      ek_batch_norm_coefficients(dtype, g.o, 0, nullptr, nullptr, nullptr, nullptr, y_relu, nullptr, nullptr, own_norm);
      y_norm = own_norm;
    }
    const Normalizing<T> prologue{Map::forward, static_cast<const T*>(x_norm), nullptr, g.c, x_relu};
    const Finish what = y_norm ? Finish::norm : y_mean ? Finish::statistics : Finish::values;
    const Finishing<T> epilogue{what,
                                static_cast<const T*>(bias),
                                nullptr,
                                static_cast<const T*>(y_norm),
                                static_cast<const T*>(residual),
                                g.o,
                                y_relu > 0};
    forward(g, p, prologue, epilogue, y_mean, y_m2, scratch);
  })
  return EK_OK;
}

int ek_conv_backward_data(int dtype, const int* geometry, const void* dy, const void* dy_x, const void* dy_norm,
                          int dy_relu, const void* w, void* dx, const void* x, const void* x_norm, int x_relu,
                          const void* x_limited, const void* plus, double* sum_dx, double* sum_dx_xmu, void* scratch) {
  const Geometry g(geometry);
  if (!g.valid()) return EK_BAD_ARGUMENT;
  if (x_norm)
    for (int i = 0; i < g.c; i++) sum_dx[i] = sum_dx_xmu[i] = 0;
  EK_DISPATCH_FLOAT(dtype, {
    const T *norm = static_cast<const T*>(x_norm), *raw = static_cast<const T*>(x);
    const Normalizing<T> prologue{Map::training, static_cast<const T*>(dy_norm), static_cast<const T*>(dy_x), g.o,
                                  dy_relu};
    const Finishing<T> epilogue{
        norm ? Finish::gradient : Finish::values, nullptr, nullptr, norm, raw, g.c, x_relu, static_cast<const T*>(plus),
        static_cast<const T*>(x_limited)};
    const Pass<T> p = backward_pass(g, static_cast<const T*>(dy), static_cast<const T*>(w), static_cast<T*>(dx));
    if (!p.empty())
      run_with_sums(p, prologue, epilogue, Scratch(scratch),
                    [&](const PartSums* sums, int parts) { add_gradient_sums(sums, parts, g.c, sum_dx, sum_dx_xmu); });
    if (norm) {
      const Layout layout(g.n, g.c, g.in[0] * g.in[1] * g.in[2], g.x_format);
      check_gradient_sums(raw, static_cast<const T*>(dx), norm, layout, sum_dx, sum_dx_xmu);
    }
  })
  return EK_OK;
}

}  // namespace EK_ISA
