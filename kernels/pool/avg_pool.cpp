// Average pooling, forward and backward.
#include "pool/window.h"

namespace EK_ISA {
namespace {

struct Divisor {
  int include_pad, fixed;
  // 0 for a window outside the input.
  template <class T> T scale(const Window& d, const Window& h, const Window& w) const {
    const double inside = static_cast<double>(d.count) * h.count * w.count;
    if (inside == 0) return 0;
    return static_cast<T>(1 / (fixed ? fixed : include_pad ? static_cast<double>(d.full) * h.full * w.full : inside));
  }
};

template <class T> T sum_run(const T* x, int n, int step) {
  T s = 0;
  int i = 0;
  if (step == 1 && n >= lanes<T>) {
    vec<T> v = {};
    for (; i + lanes<T> <= n; i += lanes<T>) v += load(x + i);
    s = sum_lanes<T>(v);
  }
  for (; i < n; i++) s += x[i * step];
  return s;
}

// One plane of (n, c): lanes are neighbouring outputs of a row where windows are inside; else one output at a time.
template <class T> void avg_plane(const PoolGeometry& g, const Divisor& divisor, const T* x, T* y) {
  const PoolAxis& a = g.axis[2];
  int begin, end;
  a.inner(begin, end);
  if (a.kernel > 2 * lanes<T> && end - begin < lanes<T>) begin = end;  // long windows: lanes along the window
  for (int od = 0; od < g.axis[0].out; od++)
    for (int oh = 0; oh < g.axis[1].out; oh++) {
      const Window d = g.axis[0].window(od), h = g.axis[1].window(oh);
      const auto one = [&](int j) {
        const Window w = a.window(j), first{w.first, w.count ? 1 : 0, 1};
        T s = 0;
        g.taps(d, h, first, [&](ptrdiff_t at) { s += sum_run(x + at, w.count, a.dilation); });
        y[j] = s * divisor.scale<T>(d, h, w);
      };
      for (int j = 0; j < begin; j++) one(j);
      const vec<T> scale = splat(divisor.scale<T>(d, h, {0, a.kernel, a.kernel}));
      with_stride(a.stride, [&](auto S) {
        const int stride = decltype(S)::value ? decltype(S)::value : a.stride;
        vectors<T>(begin, end, [&](int j, int n) EK_INLINE_LAMBDA {
          vec<T> s = {};
          g.taps(d, h, {j * stride - a.padding, a.kernel, a.kernel}, [&](ptrdiff_t at) EK_INLINE_LAMBDA { s += load_strided(x + at, stride, n); });
          s *= scale;
          if (n == lanes<T>) store(y + j, s);
          else store_n(y + j, s, n);
        });
      });
      for (int j = end; j < a.out; j++) one(j);
      y += a.out;
    }
}

// Some channels of one image, channels last.
template <class T> void avg_channels(const PoolGeometry& g, const Divisor& divisor, const T* x, int channels, T* y) {
  g.outputs([&](const Window& d, const Window& h, const Window& w, ptrdiff_t place) {
    const vec<T> scale = splat(divisor.scale<T>(d, h, w));
    vectors<T>(0, channels, [&](int c, int n) {
      vec<T> s = {};
      if (n == lanes<T>) {
        g.taps(d, h, w, [&](ptrdiff_t at) { s += load(x + at * g.c + c); });
        store(y + place * g.c + c, s * scale);
      } else {
        g.taps(d, h, w, [&](ptrdiff_t at) { s += load_n(x + at * g.c + c, n); });
        store_n(y + place * g.c + c, s * scale, n);
      }
    });
  });
}

// dx[2j] = dx[2j + 1] = v[j]
template <class T> EK_INLINE void store_twice(T* dx, vec<T> v, int n) {
  constexpr int L = lanes<T>;
  const vec<T> low = interleave<false>(v, v, indices<L>{}), high = interleave<true>(v, v, indices<L>{});
  if (n == L) {
    store(dx, low);
    store(dx + L, high);
  } else {
    store_n(dx, low, 2 * n < L ? 2 * n : L);
    if (2 * n > L) store_n(dx + L, high, 2 * n - L);
  }
}

template <class T> void avg_plane_backward(const PoolGeometry& g, const Divisor& divisor, const T* dy, T* dx) {
  const PoolAxis &ad = g.axis[0], &ah = g.axis[1], &aw = g.axis[2];
  if (g.tiled() && aw.kernel == 2) {
    const vec<T> scale = splat(divisor.scale<T>(ad.window(0), ah.window(0), aw.window(0)));
    for (int d = 0; d < ad.in; d++)
      for (int h = 0; h < ah.in; h++, dx += aw.in) {
        const T* from = dy + (static_cast<ptrdiff_t>(d / ad.kernel) * ah.out + h / ah.kernel) * aw.out;
        vectors<T>(0, aw.out, [&](int j, int n) {
          store_twice(dx + 2 * j, (n == lanes<T> ? load(from + j) : load_n(from + j, n)) * scale, n);
        });
      }
    return;
  }
  zero_run(dx, g.in_volume());
  g.outputs([&](const Window& d, const Window& h, const Window& w, ptrdiff_t place) {
    const T v = dy[place] * divisor.scale<T>(d, h, w);
    g.taps(d, h, w, [&](ptrdiff_t at) { dx[at] += v; });
  });
}

template <class T> void avg_channels_backward(const PoolGeometry& g, const Divisor& divisor, const T* dy, int channels, T* dx) {
  if (g.tiled()) {
    g.outputs([&](const Window& d, const Window& h, const Window& w, ptrdiff_t place) {
      const vec<T> scale = splat(divisor.scale<T>(d, h, w));
      vectors<T>(0, channels, [&](int c, int n) {
        const vec<T> v = (n == lanes<T> ? load(dy + place * g.c + c) : load_n(dy + place * g.c + c, n)) * scale;
        g.taps(d, h, w, [&](ptrdiff_t at) {
          if (n == lanes<T>) store(dx + at * g.c + c, v);
          else store_n(dx + at * g.c + c, v, n);
        });
      });
    });
    return;
  }
  if (channels == g.c) zero_run(dx, g.in_volume() * g.c);
  else
    for (ptrdiff_t i = 0; i < g.in_volume(); i++) zero_run(dx + i * g.c, channels);
  g.outputs([&](const Window& d, const Window& h, const Window& w, ptrdiff_t place) {
    const T scale = divisor.scale<T>(d, h, w);
    const T* from = dy + place * g.c;
    g.taps(d, h, w, [&](ptrdiff_t at) {
      T* to = dx + at * g.c;
      for (int c = 0; c < channels; c++) to[c] += from[c] * scale;
    });
  });
}

// plane(job's source, target) or channels(source, number, target), with `from` and `to` elements in a plane of either.
template <class T, class Plane, class Channels>
void each_job(const PoolGeometry& g, const T* x, ptrdiff_t from, T* y, ptrdiff_t to, const Plane& plane, const Channels& channels) {
  parallel_for(g.jobs(), [&](int job, int) {
    if (g.format == EK_CONTIGUOUS) return plane(x + job * from, y + job * to);
    const int chunks = ceil_div(g.c, g.chunk()), image = job / chunks, c = job % chunks * g.chunk();
    channels(x + image * from * g.c + c, g.c - c < g.chunk() ? g.c - c : g.chunk(), y + image * to * g.c + c);
  });
}

}  // namespace

int ek_avg_pool(int dtype, const int* geometry, int count_include_pad, int divisor, const void* x, void* y) {
  const PoolGeometry g(geometry);
  if (!g.valid()) return EK_BAD_ARGUMENT;
  const Divisor by{count_include_pad, divisor};
  EK_DISPATCH_FLOAT(dtype, each_job(g, static_cast<const T*>(x), g.in_volume(), static_cast<T*>(y), g.out_volume(),
                                    [&](const T* from, T* to) { avg_plane(g, by, from, to); },
                                    [&](const T* from, int channels, T* to) { avg_channels(g, by, from, channels, to); });)
  return EK_OK;
}

int ek_avg_pool_backward(int dtype, const int* geometry, int count_include_pad, int divisor, const void* dy, void* dx) {
  const PoolGeometry g(geometry);
  if (!g.valid()) return EK_BAD_ARGUMENT;
  const Divisor by{count_include_pad, divisor};
  EK_DISPATCH_FLOAT(dtype, each_job(g, static_cast<const T*>(dy), g.out_volume(), static_cast<T*>(dx), g.in_volume(),
                                    [&](const T* from, T* to) { avg_plane_backward(g, by, from, to); },
                                    [&](const T* from, int channels, T* to) { avg_channels_backward(g, by, from, channels, to); });)
  return EK_OK;
}

}  // namespace EK_ISA
