// The two elementwise passes of batch norm: normalizing, and the gradient of the input. Both are
//   out = (g − a − ((x − mean) · b)) · scale + shift
// with per-channel numbers, so they share their loops; forward has g = x − mean and b = a = 0.
// Centring is (x − hi) − lo with mean = hi + lo: a float cannot hold a mean far from 0 as exactly as its data are spread.
#include "batch_norm/layout.h"

namespace EK_ISA {
namespace {

constexpr int kStripVectors = 4;

template <class T> struct Coefficients {
  T hi, lo, scale, shift, a, b;
};

enum class Kind { forward, training, evaluation };

// What one channel's coefficients are made of.
template <class T> struct Source {
  const double *mean, *invstd, *sum_dy, *sum_dy_xmu;
  const T *weight, *bias;
  double count;

  Coefficients<T> operator()(int c) const {
    Coefficients<T> k{};
    const double m = mean ? mean[c] : 0;
    k.hi = static_cast<T>(m);
    k.lo = k.hi - k.hi == 0 ? static_cast<T>(m - static_cast<double>(k.hi)) : 0;
    k.scale = static_cast<T>(invstd[c] * (weight ? static_cast<double>(weight[c]) : 1.0));
    k.shift = bias ? bias[c] : 0;
    if (sum_dy) k.a = static_cast<T>(sum_dy[c] / count), k.b = static_cast<T>(invstd[c] * invstd[c] * (sum_dy_xmu[c] / count));
    return k;
  }
};

// V: vec<T> or T.
template <Kind kind, class V> EK_INLINE V value(V x, V g, V hi, V lo, V scale, V shift, V a, V b) {
  if (kind == Kind::forward) return ((x - hi) - lo) * scale + shift;
  if (kind == Kind::evaluation) return g * scale;
  return ((g - a) - ((x - hi) - lo) * b) * scale;
}

template <class T, Kind kind> struct Apply {
  const T *x, *dy;
  T* out;

  // One vector of n values at `at`.
  EK_INLINE void step(ptrdiff_t at, int n, vec<T> hi, vec<T> lo, vec<T> scale, vec<T> shift, vec<T> a, vec<T> b) const {
    constexpr bool reads_x = kind != Kind::evaluation, reads_dy = kind != Kind::forward;
    if (n == lanes<T>) {
      const vec<T> vx = reads_x ? load(x + at) : vec<T>{}, vg = reads_dy ? load(dy + at) : vec<T>{};
      store(out + at, value<kind>(vx, vg, hi, lo, scale, shift, a, b));
    } else {
      const vec<T> vx = reads_x ? load_n(x + at, n) : vec<T>{}, vg = reads_dy ? load_n(dy + at, n) : vec<T>{};
      store_n(out + at, value<kind>(vx, vg, hi, lo, scale, shift, a, b), n);
    }
  }

  void run(ptrdiff_t at, int n, const Coefficients<T>& k) const {
    const vec<T> hi = splat(k.hi), lo = splat(k.lo), scale = splat(k.scale), shift = splat(k.shift), a = splat(k.a), b = splat(k.b);
    int i = 0;
    for (; i + lanes<T> <= n; i += lanes<T>) step(at + i, lanes<T>, hi, lo, scale, shift, a, b);
    if (i < n) step(at + i, n - i, hi, lo, scale, shift, a, b);
  }

  // V vectors of columns down the rows, the last with n values.
  template <int V> void strip(ptrdiff_t at, ptrdiff_t pitch, int rows, int n, const T (&k)[6][kStripVectors * lanes<T>], int column) const {
    vec<T> v[6][V];
#pragma GCC unroll 16
    for (int i = 0; i < 6; i++)
#pragma GCC unroll 16
      for (int j = 0; j < V; j++) v[i][j] = load(k[i] + column + j * lanes<T>);
    for (int r = 0; r < rows; r++, at += pitch)
#pragma GCC unroll 16
      for (int j = 0; j < V; j++)
        step(at + j * lanes<T>, j + 1 < V ? lanes<T> : n, v[0][j], v[1][j], v[2][j], v[3][j], v[4][j], v[5][j]);
  }

  void operator()(const Layout& layout, const Source<T>& source) const {
    constexpr int L = lanes<T>, S = kStripVectors * L;
    parallel_for(layout.jobs(), [&](int job, int) {
      if (layout.planes) {
        const int channel = job % layout.c;
        const Coefficients<T> k = source(channel);
        layout.each_run(job / layout.c, channel, [&](ptrdiff_t at, int n) { run(at, n, k); });
        return;
      }
      layout.each_strip(job, S, [&](ptrdiff_t at, ptrdiff_t pitch, int rows, int column, int columns) {
        T k[6][S] = {};
        for (int i = 0; i < columns; i++) {
          const Coefficients<T> one = source(layout.channel(column + i));
          k[0][i] = one.hi, k[1][i] = one.lo, k[2][i] = one.scale, k[3][i] = one.shift, k[4][i] = one.a, k[5][i] = one.b;
        }
        if (columns == S) return strip<kStripVectors>(at, pitch, rows, L, k, 0);
        for (int j = 0; j < columns; j += L) strip<1>(at + j, pitch, rows, columns - j < L ? columns - j : L, k, j);
      });
    });
  }
};

}  // namespace

int ek_batch_norm_apply(int dtype, const void* x, int n, int c, int s, int format, const double* mean, const double* invstd,
                        const void* weight, const void* bias, void* y) {
  const Layout layout(n, c, s, format);
  EK_DISPATCH_FLOAT(dtype, {
    const Source<T> source{mean, invstd, nullptr, nullptr, static_cast<const T*>(weight), static_cast<const T*>(bias), 0};
    Apply<T, Kind::forward>{static_cast<const T*>(x), nullptr, static_cast<T*>(y)}(layout, source);
  })
  return EK_OK;
}

int ek_batch_norm_backward_apply(int dtype, const void* x, const void* dy, int n, int c, int s, int format, double count,
                                 const double* mean, const double* invstd, const void* weight, const double* sum_dy,
                                 const double* sum_dy_xmu, void* dx) {
  const Layout layout(n, c, s, format);
  EK_DISPATCH_FLOAT(dtype, {
    const Source<T> source{sum_dy ? mean : nullptr, invstd, sum_dy, sum_dy_xmu, static_cast<const T*>(weight), nullptr, count};
    const T *from = static_cast<const T*>(x), *gradient = static_cast<const T*>(dy);
    if (sum_dy) Apply<T, Kind::training>{from, gradient, static_cast<T*>(dx)}(layout, source);
    else Apply<T, Kind::evaluation>{from, gradient, static_cast<T*>(dx)}(layout, source);
  })
  return EK_OK;
}

}  // namespace EK_ISA
