// Batch norm over a tensor: statistics and apply, and the two steps of the backward pass. Each step is a kernel; so are
// the two pairs, which a caller takes that has nothing to do between the steps.
#include "batch_norm/passes.h"

namespace EK_ISA {
namespace {

// The limit of a ReLU as maps take it (map.h): NaN instead of an infinite one.
template <class T> T top_of(double relu) { return static_cast<T>(relu < __builtin_inf() ? relu : __builtin_nan("")); }

// Without eps a constant channel becomes its bias, in training, as in PyTorch.
inline double batch_invstd(double m2, double count, double eps) {
  return m2 == 0 && eps == 0 ? 0 : inverse_std(m2, count, eps);
}

// The numbers of each channel, as the entry points are given them.
template <class T>
Channels<T> channels_of(const double* mean, const double* invstd, const void* weight, const void* bias, double relu) {
  return {mean, invstd,         static_cast<const T*>(weight), static_cast<const T*>(bias), nullptr, nullptr,
          0,    top_of<T>(relu)};
}

template <class T> void stats(const T* x, const Layout& layout, double* mean, double* m2, void* scratch) {
  if (layout.empty()) return;
  const Work work(Scratch(scratch), layout);
  const auto known = [&](int channel) { return pivot(x[layout.place(channel, 0)]); };
  sum_tensor<Sum::statistics, T>(layout, work, x, nullptr, known);
  for (int i = 0; i < layout.c; i++) {
    const Moments m = moments(x, static_cast<double>(layout.count()), known(i).hi, work.total[i], layout.each_of(i));
    mean[i] = m.mean, m2[i] = m.m2;
  }
}

template <bool relu, class T>
void forward(const T* x, const Layout& layout, double eps, const T* weight, const T* bias, T top, double* mean,
             double* m2, double* invstd, T* y, void* scratch) {
  if (layout.empty()) return;
  const Channels<T> channels{mean, invstd, weight, bias, nullptr, nullptr, 0, top};
  const double count = static_cast<double>(layout.count());
  if (by_groups(layout)) {
    const auto known = [&](int channel) { return pivot(x[layout.place(channel, 0)]); };
    sum_and_map_groups<Sum::statistics, Map::forward, relu, T>(layout, x, nullptr, y, channels, known,
                                                               [&](int channel, Pair sums) {
      const Moments m = moments(x, count, known(channel).hi, sums, layout.each_of(channel));
      mean[channel] = m.mean, m2[channel] = m.m2, invstd[channel] = batch_invstd(m.m2, count, eps);
    });
    return;
  }
  stats(x, layout, mean, m2, scratch);
  for (int i = 0; i < layout.c; i++) invstd[i] = batch_invstd(m2[i], count, eps);
  map_tensor<Map::forward, relu, T>(layout, Work(Scratch(scratch), layout), x, nullptr, y, channels);
}

// The sums, computed again in double if they left the range of the type.
template <Sum mode, class T>
Pair checked(const Layout& layout, int channel, const T* x, const T* dy, const Channels<T>& channels, Pair sums) {
  return sums.b - sums.b == 0
             ? sums
             : exact_sums<mode>(x, dy, channels.mean[channel], channels.known(channel), layout.each_of(channel));
}

template <bool relu, class T>
void backward_reduce(const T* x, const T* dy, const Layout& layout, const Channels<T>& channels, double* sum_dy,
                     double* sum_dy_xmu, void* scratch) {
  constexpr Sum mode = relu ? Sum::backward_relu : Sum::backward;
  for (int i = 0; i < layout.c; i++) sum_dy[i] = sum_dy_xmu[i] = 0;
  if (layout.empty()) return;
  const Work work(Scratch(scratch), layout);
  sum_tensor<mode, T>(layout, work, x, dy, [&](int channel) { return channels.known(channel); });
  for (int i = 0; i < layout.c; i++) {
    const Pair sums = checked<mode>(layout, i, x, dy, channels, work.total[i]);
    sum_dy[i] = sums.a, sum_dy_xmu[i] = sums.b;
  }
}

template <bool relu, class T>
void backward(const T* x, const T* dy, const Layout& layout, const Channels<T>& before, double* sum_dy,
              double* sum_dy_xmu, T* dx, void* scratch) {
  constexpr Sum mode = relu ? Sum::backward_relu : Sum::backward;
  if (layout.empty()) return;
  Channels<T> channels = before;
  channels.sum_dy = sum_dy, channels.sum_dy_xmu = sum_dy_xmu, channels.count = static_cast<double>(layout.count());
  if (by_groups(layout)) {
    const auto known = [&](int channel) { return before.known(channel); };
    sum_and_map_groups<mode, Map::training, relu, T>(layout, x, dy, dx, channels, known, [&](int channel, Pair sums) {
      const Pair p = checked<mode>(layout, channel, x, dy, before, sums);
      sum_dy[channel] = p.a, sum_dy_xmu[channel] = p.b;
    });
    return;
  }
  backward_reduce<relu>(x, dy, layout, before, sum_dy, sum_dy_xmu, scratch);
  map_tensor<Map::training, relu, T>(layout, Work(Scratch(scratch), layout), x, dy, dx, channels);
}

}  // namespace

// Runs `body` with T, and with `is_relu` as a constant.
#define EK_DISPATCH(...)               \
  EK_DISPATCH_FLOAT(dtype, if (relu) { \
    constexpr bool is_relu = true;     \
    __VA_ARGS__                        \
  } else {                             \
    constexpr bool is_relu = false;    \
    __VA_ARGS__                        \
  })

int ek_batch_norm_scratch(int n, int c, int s, int format) {
  const Layout layout(n, c, s, format);
  return Work(Scratch(nullptr), layout).bytes;
}

int ek_batch_norm_stats(int dtype, const void* x, int n, int c, int s, int format, double* mean, double* m2,
                        void* scratch) {
  EK_DISPATCH_FLOAT(dtype, stats(static_cast<const T*>(x), Layout(n, c, s, format), mean, m2, scratch);)
  return EK_OK;
}

int ek_batch_norm_coefficients(int dtype, int c, double count, const double* mean, const double* invstd,
                               const void* weight, const void* bias, double relu, const double* sum_dy,
                               const double* sum_dy_xmu, void* coefficients) {
  EK_DISPATCH_FLOAT(dtype, {
    auto channels = channels_of<T>(mean, invstd, weight, bias, relu);
    channels.sum_dy = sum_dy, channels.sum_dy_xmu = sum_dy_xmu, channels.count = count;
    T* out = static_cast<T*>(coefficients);
    for (int i = 0; i < c; i++) {
      const Coefficients<T> k = channels(i);
      const T values[kCoefficients] = {k.hi, k.lo, k.scale, k.shift, k.a, k.b, k.top};
      for (int j = 0; j < kCoefficients; j++) out[static_cast<ptrdiff_t>(j) * c + i] = values[j];
    }
  })
  return EK_OK;
}

int ek_batch_norm_apply(int dtype, const void* x, int n, int c, int s, int format, const double* mean,
                        const double* invstd, const void* weight, const void* bias, double relu, const void* residual,
                        void* y, void* scratch) {
  const Layout layout(n, c, s, format);
  if (layout.empty()) return EK_OK;
  EK_DISPATCH({
    const auto channels = channels_of<T>(mean, invstd, weight, bias, relu);
    const Work work(Scratch(scratch), layout);
    const T *from = static_cast<const T*>(x), *added = static_cast<const T*>(residual);
    if (added) map_tensor<Map::residual, is_relu, T>(layout, work, from, added, static_cast<T*>(y), channels);
    else map_tensor<Map::forward, is_relu, T>(layout, work, from, nullptr, static_cast<T*>(y), channels);
  })
  return EK_OK;
}

int ek_batch_norm_forward(int dtype, const void* x, int n, int c, int s, int format, double eps, const void* weight,
                          const void* bias, double relu, double* mean, double* m2, double* invstd, void* y,
                          void* scratch) {
  const Layout layout(n, c, s, format);
  EK_DISPATCH(forward<is_relu>(static_cast<const T*>(x), layout, eps, static_cast<const T*>(weight),
                               static_cast<const T*>(bias), top_of<T>(relu), mean, m2, invstd, static_cast<T*>(y),
                               scratch);)
  return EK_OK;
}

int ek_batch_norm_backward_reduce(int dtype, const void* x, const void* dy, int n, int c, int s, int format,
                                  const double* mean, const double* invstd, const void* weight, const void* bias,
                                  double relu, double* sum_dy, double* sum_dy_xmu, void* scratch) {
  const Layout layout(n, c, s, format);
  EK_DISPATCH({
    const auto channels = channels_of<T>(mean, invstd, weight, bias, relu);
    backward_reduce<is_relu>(static_cast<const T*>(x), static_cast<const T*>(dy), layout, channels, sum_dy, sum_dy_xmu,
                             scratch);
  })
  return EK_OK;
}

int ek_batch_norm_backward_apply(int dtype, const void* x, const void* dy, int n, int c, int s, int format,
                                 double count, const double* mean, const double* invstd, const void* weight,
                                 const void* bias, double relu, const double* sum_dy, const double* sum_dy_xmu,
                                 void* dx, void* scratch) {
  const Layout layout(n, c, s, format);
  if (layout.empty()) return EK_OK;
  EK_DISPATCH({
    auto channels = channels_of<T>(mean, invstd, weight, bias, relu);
    channels.sum_dy = sum_dy, channels.sum_dy_xmu = sum_dy_xmu, channels.count = count;
    const Work work(Scratch(scratch), layout);
    const T *from = static_cast<const T*>(x), *gradient = static_cast<const T*>(dy);
    if (sum_dy) map_tensor<Map::training, is_relu, T>(layout, work, from, gradient, static_cast<T*>(dx), channels);
    else map_tensor<Map::evaluation, is_relu, T>(layout, work, from, gradient, static_cast<T*>(dx), channels);
  })
  return EK_OK;
}

int ek_batch_norm_backward(int dtype, const void* x, const void* dy, int n, int c, int s, int format,
                           const double* mean, const double* invstd, const void* weight, const void* bias, double relu,
                           double* sum_dy, double* sum_dy_xmu, void* dx, void* scratch) {
  const Layout layout(n, c, s, format);
  EK_DISPATCH({
    const auto channels = channels_of<T>(mean, invstd, weight, bias, relu);
    backward<is_relu>(static_cast<const T*>(x), static_cast<const T*>(dy), layout, channels, sum_dy, sum_dy_xmu,
                      static_cast<T*>(dx), scratch);
  })
  return EK_OK;
}

int ek_batch_norm_invstd(int c, double count, const double* m2, double eps, double* invstd) {
  for (int i = 0; i < c; i++) invstd[i] = batch_invstd(m2[i], count, eps);
  return EK_OK;
}

}  // namespace EK_ISA
