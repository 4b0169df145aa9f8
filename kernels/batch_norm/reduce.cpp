// The two reductions of batch norm over a tensor, in double, block by block; blocks are merged in their order.
// Both keep two sums for each channel and know one number of it beforehand, so they share their loops.
#include "batch_norm/layout.h"
#include "batch_norm/moments.h"
#include "scratch.h"

namespace EK_ISA {
namespace {

constexpr int D = lanes<double>;
constexpr int kVectors = EK_VECTOR_BYTES == 64 ? 8 : 4;  // of doubles in a strip: with their sums they fit the registers
constexpr int kStrip = kVectors * D;

// D values as doubles.
template <class T> EK_INLINE vec<double> load_double(const T* p) {
  if constexpr (sizeof(T) == sizeof(double)) return load(p);
  else {
    typedef T half __attribute__((vector_size(EK_VECTOR_BYTES / 2)));
    half v;
    __builtin_memcpy(&v, p, sizeof v);
    return __builtin_convertvector(v, vec<double>);
  }
}
template <class T> EK_INLINE vec<double> load_double(const T* p, int n) {
  if (n == D) return load_double(p);
  vec<double> v = {};
  for (int i = 0; i < n; i++) v[i] = p[i];
  return v;
}

// Statistics: a = Σ(x − pivot), b = Σ(x − pivot)².  Backward: a = Σdy, b = Σdy·(x − mean).  `known` is the pivot or mean.
template <class T, bool backward> struct Sums {
  const T *x, *dy;

  EK_INLINE void step(vec<double> vx, vec<double> vdy, vec<double> known, vec<double>& a, vec<double>& b) const {
    const vec<double> centred = vx - known;
    if (backward) a += vdy, b += vdy * centred;
    else a += centred, b += centred * centred;
  }

  // n neighbours of one channel.
  void run(ptrdiff_t at, int n, double known, double& sum_a, double& sum_b) const {
    constexpr int chains = 4;  // hide the latency of the additions
    const vec<double> k = splat(known);
    vec<double> a[chains] = {}, b[chains] = {};
    const T *px = x + at, *pg = backward ? dy + at : px;
    int i = 0;
    for (; i + chains * D <= n; i += chains * D)
#pragma GCC unroll 16
      for (int j = 0; j < chains; j++) step(load_double(px + i + j * D), load_double(pg + i + j * D), k, a[j], b[j]);
    for (; i + D <= n; i += D) step(load_double(px + i), load_double(pg + i), k, a[0], b[0]);
    sum_a += sum_lanes<double>((a[0] + a[1]) + (a[2] + a[3]));
    sum_b += sum_lanes<double>((b[0] + b[1]) + (b[2] + b[3]));
    for (; i < n; i++) {
      const double centred = px[i] - known;
      sum_a += backward ? pg[i] : centred;
      sum_b += backward ? pg[i] * centred : centred * centred;
    }
  }

  // V vectors of columns, the last with n values, down the rows.
  template <int V>
  void strip(ptrdiff_t at, ptrdiff_t pitch, int rows, int n, const double* known, double* sum_a, double* sum_b) const {
    vec<double> k[V], a[V] = {}, b[V] = {};
#pragma GCC unroll 16
    for (int v = 0; v < V; v++) k[v] = load(known + v * D);
    for (int r = 0; r < rows; r++, at += pitch)
#pragma GCC unroll 16
      for (int v = 0; v < V; v++) {
        const vec<double> vx = v + 1 < V ? load_double(x + at + v * D) : load_double(x + at + v * D, n);
        const vec<double> vg = !backward ? vx : v + 1 < V ? load_double(dy + at + v * D) : load_double(dy + at + v * D, n);
        step(vx, vg, k[v], a[v], b[v]);
      }
#pragma GCC unroll 16
    for (int v = 0; v < V; v++) store(sum_a + v * D, a[v]), store(sum_b + v * D, b[v]);
  }
  void strip(ptrdiff_t at, ptrdiff_t pitch, int rows, int columns, const double* known, double* sum_a, double* sum_b) const {
    if (columns == kStrip) return strip<kVectors>(at, pitch, rows, D, known, sum_a, sum_b);
    for (int j = 0; j < columns; j += D)
      strip<1>(at + j, pitch, rows, columns - j < D ? columns - j : D, known + j, sum_a + j, sum_b + j);
  }
};

// Moments from shifted sums. With an infinity or NaN among the numbers the mean is what a plain sum gives; at(i): number i.
template <class F> Moments moments(double count, double pivot, double a, double b, int n, const F& at) {
  Moments m{count, pivot + a / count, b - a * (a / count)};
  if (m.m2 < 0) m.m2 = 0;  // rounding
  if (a - a == 0) return m;
  double sum = 0;
  for (int i = 0; i < n; i++) sum += at(i);
  return {count, sum / count, __builtin_nan("")};
}

template <class T> void stats(const T* x, const Layout& layout, double* mean, double* m2, void* scratch) {
  Scratch part(scratch);
  const int c = layout.c, blocks = layout.blocks();
  Moments* partial = part.take<Moments>(static_cast<size_t>(blocks) * c);
  const Sums<T, false> sums{x, nullptr};
  parallel_for(layout.jobs(), [&](int job, int) {
    if (layout.planes) {
      const int channel = job % c;
      Moments all{0, 0, 0};
      layout.each_run(job / c, channel, [&](ptrdiff_t at, int n) {
        const double pivot = x[at];
        double a = 0, b = 0;
        sums.run(at, n, pivot, a, b);
        all.merge(moments(n, pivot, a, b, n, [&](int i) { return static_cast<double>(x[at + i]); }));
      });
      partial[job] = all;
      return;
    }
    Moments* out = partial + static_cast<ptrdiff_t>(layout.block_of(job)) * c;
    // Columns are visited in order, and a channel's first one clears its result.
    layout.each_strip(job, kStrip, [&](ptrdiff_t at, ptrdiff_t pitch, int rows, int column, int columns) {
      double pivot[kStrip] = {}, a[kStrip], b[kStrip];
      for (int i = 0; i < columns; i++) pivot[i] = x[at + i];
      sums.strip(at, pitch, rows, columns, pivot, a, b);
      for (int i = 0; i < columns; i++) {
        const int v = column + i, channel = layout.channel(v);
        const Moments m = moments(rows, pivot[i], a[i], b[i], rows, [&](int r) { return static_cast<double>(x[at + i + r * pitch]); });
        if (v % layout.div == 0 && v < layout.div * layout.mod) out[channel] = m;
        else out[channel].merge(m);
      }
    });
  });
  for (int i = 0; i < c; i++) {
    Moments all{0, 0, 0};
    for (int block = 0; block < blocks; block++) all.merge(partial[static_cast<ptrdiff_t>(block) * c + i]);
    mean[i] = all.mean;
    m2[i] = all.m2;
  }
}

template <class T>
void backward_reduce(const T* x, const T* dy, const Layout& layout, const double* mean, double* sum_dy, double* sum_dy_xmu, void* scratch) {
  Scratch part(scratch);
  struct Pair { double a, b; };
  const int c = layout.c, blocks = layout.blocks();
  Pair* partial = part.take<Pair>(static_cast<size_t>(blocks) * c);
  const Sums<T, true> sums{x, dy};
  parallel_for(layout.jobs(), [&](int job, int) {
    if (layout.planes) {
      const int channel = job % c;
      Pair all{0, 0};
      layout.each_run(job / c, channel, [&](ptrdiff_t at, int n) { sums.run(at, n, mean[channel], all.a, all.b); });
      partial[job] = all;
      return;
    }
    Pair* out = partial + static_cast<ptrdiff_t>(layout.block_of(job)) * c;
    layout.each_strip(job, kStrip, [&](ptrdiff_t at, ptrdiff_t pitch, int rows, int column, int columns) {
      double known[kStrip] = {}, a[kStrip], b[kStrip];
      for (int i = 0; i < columns; i++) known[i] = mean[layout.channel(column + i)];
      sums.strip(at, pitch, rows, columns, known, a, b);
      for (int i = 0; i < columns; i++) {
        const int v = column + i, channel = layout.channel(v);
        if (v % layout.div == 0 && v < layout.div * layout.mod) out[channel] = {a[i], b[i]};
        else out[channel].a += a[i], out[channel].b += b[i];
      }
    });
  });
  for (int i = 0; i < c; i++) {
    Pair all{0, 0};
    for (int block = 0; block < blocks; block++) all.a += partial[static_cast<ptrdiff_t>(block) * c + i].a, all.b += partial[static_cast<ptrdiff_t>(block) * c + i].b;
    sum_dy[i] = all.a;
    sum_dy_xmu[i] = all.b;
  }
}

}  // namespace

int ek_batch_norm_scratch(int n, int c, int s, int format) {
  Scratch part(nullptr);
  part.take<Moments>(static_cast<size_t>(Layout(n, c, s, format).blocks()) * c);
  return part.bytes();
}

int ek_batch_norm_stats(int dtype, const void* x, int n, int c, int s, int format, double* mean, double* m2, void* scratch) {
  EK_DISPATCH_FLOAT(dtype, stats(static_cast<const T*>(x), Layout(n, c, s, format), mean, m2, scratch);)
  return EK_OK;
}

int ek_batch_norm_backward_reduce(int dtype, const void* x, const void* dy, int n, int c, int s, int format, const double* mean,
                                  double* sum_dy, double* sum_dy_xmu, void* scratch) {
  EK_DISPATCH_FLOAT(dtype, backward_reduce(static_cast<const T*>(x), static_cast<const T*>(dy), Layout(n, c, s, format), mean,
                                           sum_dy, sum_dy_xmu, scratch);)
  return EK_OK;
}

}  // namespace EK_ISA
