// Convolution forward and backward by data: the ABI's entry points. The loop cores do the work; epilogue.h and
// norm_map.h say what is done for the norms beside the convolution.
#include "conv/conv_core.h"
#include "conv/epilogue.h"
#include "conv/merge_sums.h"

namespace EK_ISA {

int conv_weight_scratch(int dtype, const int* geometry);  // conv_backward_weight.cpp

namespace {

// Room for the coefficients of a norm that changes nothing. A residual or a ReLU without a norm goes with that one.
int identity_norm_size(const Geometry& g) { return kCoefficients * g.o; }

// Scratch: what the core needs, and behind it the sums.
template <class Core, class T> SumsMemory take_sums(const Pass<T>& p, const Core& core, Scratch& scratch) {
  const int channels = p.o * p.groups;
  return {scratch.take<double>(SumsMemory::elements(core.parts(), channels)), core.parts(), channels};
}
template <class T> int scratch_with_sums(const Pass<T>& p, Scratch scratch) {
  with_core(p, scratch, [&](const auto& core) { take_sums(p, core, scratch); });
  return scratch.bytes();
}

constexpr int kZeroedTogether = 1 << 15;  // sums that one job sets to zero: 256 KiB
void zero_sums(const SumsMemory& sums) {
  parallel_blocks(static_cast<int>(SumsMemory::elements(sums.parts, sums.channels)), kZeroedTogether,
                  [&](int begin, int end) { zero_run(sums.first + begin, end - begin); });
}

// Runs a pass. If its epilogue takes sums, use(sums) sees them afterwards.
template <class T, class F>
void run_with_sums(const Pass<T>& p, const NormMap<T>& prologue, Epilogue<T> epilogue, Scratch scratch, const F& use) {
  with_core(p, scratch, [&](const auto& core) {
    if (!epilogue.takes_sums()) return core.run(prologue, epilogue);
    epilogue.memory = take_sums(p, core, scratch);
    zero_sums(epilogue.memory);
    core.run(prologue, epilogue);
    use(epilogue.memory);
  });
}

template <class T>
void forward(const Geometry& g, const Pass<T>& p, const NormMap<T>& prologue, const Epilogue<T>& epilogue, double* mean,
             double* m2, Scratch scratch) {
  run_with_sums(p, prologue, epilogue, scratch, [&](const SumsMemory& sums) {
    const Layout layout(g.n, g.o, g.out[0] * g.out[1] * g.out[2], g.y_format);
    merge_statistics(sums, static_cast<const T*>(p.y), layout, mean, m2);
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
    if (which == 0) scratch.take<T>(identity_norm_size(g));
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
    T* const identity_norm = scratch.take<T>(identity_norm_size(g));
    if (!y_norm && (residual || y_relu > 0)) {
      ek_batch_norm_coefficients(dtype, g.o, 0, nullptr, nullptr, nullptr, nullptr, y_relu, nullptr, nullptr,
                                 identity_norm);
      y_norm = identity_norm;
    }
    const NormMap<T> prologue{Map::forward, static_cast<const T*>(x_norm), nullptr, g.c, x_relu};
    const NormMap<T> norm{residual ? Map::residual : Map::forward, static_cast<const T*>(y_norm),
                          static_cast<const T*>(residual), g.o, y_relu > 0};
    const Finish finish = y_norm ? Finish::norm : y_mean ? Finish::statistics : Finish::none;
    const Epilogue<T> epilogue{{static_cast<const T*>(bias)}, {nullptr}, finish, norm, {}};
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
    const NormMap<T> prologue{Map::training, static_cast<const T*>(dy_norm), static_cast<const T*>(dy_x), g.o, dy_relu};
    const MaskGradient<T> gradient{norm, raw, static_cast<const T*>(x_limited), g.c, x_relu};
    const Epilogue<T> epilogue{
        {nullptr}, {static_cast<const T*>(plus)}, norm ? Finish::gradient : Finish::none, {}, gradient};
    const Pass<T> p = backward_pass(g, static_cast<const T*>(dy), static_cast<const T*>(w), static_cast<T*>(dx));
    if (!p.empty())
      run_with_sums(p, prologue, epilogue, Scratch(scratch),
                    [&](const SumsMemory& sums) { add_gradient_sums(sums, sum_dx, sum_dx_xmu); });
    if (norm) {
      const Layout layout(g.n, g.c, g.in[0] * g.in[1] * g.in[2], g.x_format);
      check_gradient_sums(raw, static_cast<const T*>(dx), norm, layout, sum_dx, sum_dx_xmu);
    }
  })
  return EK_OK;
}

}  // namespace EK_ISA
