// Average pooling, forward and backward, in two steps. First the rows of input that a row of outputs reads are added up
// to one row of sums; then the sums within each window are added up. Backward is the same in reverse: a row of
// gradients is spread to a row of sums, and that row is added to all rows of the input. Both steps compute with
// vectors. The same code serves both formats: a contiguous plane is an image with one channel. If a norm's values are
// pooled, runs of a row are normalized before they are added.
#include "conv/norm_map.h"
#include "pool/window.h"
#include "simd/lane_sum.h"

namespace EK_ISA {
namespace {

constexpr int kSums = 4096;  // values in the rows of sums, which are on the stack: 16 KiB of floats stay in L1

struct Divisor {
  int include_pad, fixed;
  // The factor of a window. It is 0 for a window outside the input.
  template <class T> T scale(const Window& d, const Window& h, const Window& w) const {
    const double inside = static_cast<double>(d.count) * h.count * w.count;
    if (inside == 0) return 0;
    return static_cast<T>(1 / (fixed ? fixed : include_pad ? static_cast<double>(d.full) * h.full * w.full : inside));
  }
};

// Sums n neighbours: those that fill whole cache lines along the lanes of a line, however wide the vectors are, so that
// every machine adds in the same order; then the lanes and the rest one after the other.
template <class T> T sum_run(const T* x, int n) {
  constexpr int line = line_of<T>;
  const int whole = n / line * line;
  T s = 0;
  if (whole)
    s = sum_in_order<T, line>([=](int l) {
      vec<T> v = {};
      for (int i = l; i < whole; i += line) v += load(x + i);
      return v;
    });
  for (int i = whole; i < n; i++) s += x[i];
  return s;
}

// out = a + b, and out may be a or b. The last vector overlaps its neighbour, so it is computed before that one is
// stored.
template <class T> EK_INLINE void add_runs(T* out, const T* a, const T* b, int n) {
  constexpr int L = lanes<T>;
  if (n < L) return store_n(out, load_n(a, n) + load_n(b, n), n);
  const vec<T> last = load(a + n - L) + load(b + n - L);
  for (int i = 0; i + L <= n; i += L) store(out + i, load(a + i) + load(b + i));
  store(out + n - L, last);
}

// Pools some channels of one image, from `channel` on. pitch: elements between pixels, 1 for a plane.
template <class T> struct Average {
  const PoolGeometry& g;
  const Divisor& divisor;
  int channel, channels, pitch;
  NormMap<T> norm = {};  // what happens to the values that forward reads

  const PoolAxis& columns() const { return g.axis[2]; }
  bool dense() const { return channels == pitch; }  // the values of a row lie side by side

  // The columns of the input that the outputs begin … end − 1 read.
  struct Span {
    int first, count;
  };
  Span span(int begin, int end) const {
    const PoolAxis& a = columns();
    const auto inside = [&](int i) { return i < 0 ? 0 : i > a.in ? a.in : i; };
    if (a.adaptive)
      return {a.window(begin).first, a.window(end - 1).first + a.window(end - 1).count - a.window(begin).first};
    const int first = inside(begin * a.stride - a.padding);
    const int stop = inside((end - 1) * a.stride - a.padding + (a.kernel - 1) * a.dilation + 1);
    return {first, stop > first ? stop - first : 0};
  }

  // Cuts a row of outputs into parts whose columns fit into a row of sums, and calls body(begin, end) for each. A part
  // of one output may be too large for it.
  template <class F> void parts(const F& body) const {
    const PoolAxis& a = columns();
    if (a.in <= kSums / channels) return body(0, a.out);
    const int window = a.adaptive ? a.in / a.out + 2 : (a.kernel - 1) * a.dilation + 1,
              step = a.adaptive ? window : a.stride;
    const int room = kSums / channels - window, size = room > 0 ? room / step + 1 : 1;
    for (int begin = 0; begin < a.out; begin += size) body(begin, a.out - begin < size ? a.out : begin + size);
  }

  // Calls body(window in depth, first row, rows, number of the first row in the volume) for rows of outputs that are
  // computed together.
  template <class F> void row_groups(const F& body) const {
    if (g.out_volume() == 0) return;
    const int height = g.axis[1].out, fit = kSums / (columns().in * channels + 1);
    const int most = fit < 1 ? 1 : fit < height ? fit : height;
    for (int depth = 0; depth < g.axis[0].out; depth++)
      for (int row = 0; row < height; row += most)
        body(g.axis[0].window(depth), row, height - row < most ? height - row : most, depth * height + row);
  }

  // The window of a column. Where sums of several rows lie side by side, columns are counted on.
  Window window_of(int j) const {
    const PoolAxis& a = columns();
    return j < a.out ? a.window(j) : Window{j * a.kernel, a.kernel, a.kernel};
  }
  // The factor of a window. It is computed again only if the window's size changes.
  struct Scale {
    const Average& average;
    const Window &d, &h;
    Window last{0, -1, -1};
    T factor = 0;
    Scale(const Average& a, const Window& depth, const Window& height) : average(a), d(depth), h(height) {}
    EK_INLINE T operator()(const Window& w) {
      if (w.count != last.count || w.full != last.full) factor = average.divisor.template scale<T>(d, h, w);
      last = w;
      return factor;
    }
  };

  // Rows of outputs with windows of equal height. They read rows × depths × heights runs of `length` elements.
  struct Runs {
    ptrdiff_t place, row, depth, height;  // of the first run; from one row, depth, height to the next
    int rows, depths, heights, length;
    int sums;  // the place in the rows of sums
  };
  template <class F> EK_INLINE void each_run(const Window& d, int row, int rows, const Span& s, const F& body) const {
    const PoolAxis& a = g.axis[1];
    const int runs = dense() ? 1 : s.count, whole = s.count * channels;
    const ptrdiff_t line = static_cast<ptrdiff_t>(columns().in) * pitch;
    int lo, hi;
    a.inner(lo, hi);
    for (int r = row, n = 1; r < row + rows; r += n) {
      n = r < lo || r >= hi ? 1 : (hi < row + rows ? hi : row + rows) - r;
      const Window h = a.window(r);
      const ptrdiff_t place = (static_cast<ptrdiff_t>(d.first) * a.in + h.first) * line +
                              static_cast<ptrdiff_t>(s.first) * pitch;
      for (int p = 0; p < runs; p++)
        body(Runs{place + p * pitch, a.stride * line, g.axis[0].dilation * a.in * line, a.dilation * line, n, d.count,
                  h.count, whole / runs, (r - row) * whole + p * (whole / runs)});
    }
  }

  // ---- forward ----------------------------------------------------------------------------------------------------
  // Returns the values of whole pixels: x itself, or their normalized values, which are written to `to`.
  const T* values(const T* x, int length, T* to) const {
    if (norm.none()) return x;
    copy_run(to, x, length);
    if (pitch == 1) norm.plane(to, {length, channel, 1, 0, 1, 0});
    else norm.channels(to, channels, {length / channels, channel, channels, 0, channels, 1});
    return to;
  }

  // Adds up the rows of the windows, for the columns of `s`: sums[row][pixel][channel].
  void add_rows(const T* x, const Window& d, int row, int rows, const Span& s, T* sums) const {
    alignas(64) T normalized[kSums + lanes<T>];
    each_run(d, row, rows, s, [&](const Runs& run) {
      for (int r = 0; r < run.rows; r++) {
        const T* const from = x + run.place + r * run.row;
        T* to = sums + run.sums + r * s.count * channels;
        if (run.depths * run.heights == 0) {
          zero_run(to, run.length);
          continue;
        }
        const T* before = values(from, run.length, to);
        if (run.depths * run.heights == 1 && before != to) copy_run(to, before, run.length);
        for (int i = 0, tap = 0; i < run.depths; i++)
          for (int j = 0; j < run.heights; j++) {
            if (tap++ == 0) continue;
            add_runs(to, before, values(from + i * run.depth + j * run.height, run.length, normalized), run.length);
            before = to;
          }
      }
    });
  }

  // Computes the outputs begin … end − 1 of a plane, from sums that begin at column `first`.
  void combine_columns(const T* sums, int first, const Window& d, const Window& h, int begin, int end, T* y) const {
    const PoolAxis& a = columns();
    int lo, hi;
    a.inner(lo, hi);
    if (end > a.out) hi = end;  // sums of several rows lie side by side
    lo = lo < begin ? begin : lo, hi = hi > end ? end : hi;
    // With large windows and few outputs, the lanes run along the window instead (sum_run).
    if (hi < lo || (a.kernel > 2 * line_of<T> && a.dilation == 1 && hi - lo < line_of<T>)) hi = lo = end;
    const auto one = [&](int j) {
      const Window w = window_of(j);
      const T* from = sums + w.first - first;
      T s = 0;
      if (a.dilation == 1) s = sum_run(from, w.count);
      else
        for (int k = 0; k < w.count; k++) s += from[k * a.dilation];
      y[j] = s * divisor.scale<T>(d, h, w);
    };
    for (int j = begin; j < lo; j++) one(j);
    const vec<T> scale = splat(divisor.scale<T>(d, h, {0, a.kernel, a.kernel}));
    const T* from = sums - a.padding - first;
    const bool pairs = a.kernel == 2 && a.stride == 2 && a.dilation == 1;
    vectors<T>(lo, hi, [&](int j, int n) EK_INLINE_LAMBDA {
      vec<T> s = {};
      if (pairs && n == lanes<T>) s = add_pairs(from + 2 * j);
      else
        for (int k = 0; k < a.kernel; k++) s += load_strided(from + j * a.stride + k * a.dilation, a.stride, n);
      store_some(y + j, s * scale, n);
    });
    for (int j = hi; j < end; j++) one(j);
  }

  // The same with several channels. If there are fewer channels than lanes, a whole vector also writes to the next
  // pixel, which is computed afterwards.
  void combine_pixels(const T* sums, int first, const Window& d, const Window& h, int begin, int end, T* y) const {
    const int whole = channels < lanes<T> && dense() ? lanes<T> : channels;
    Scale scale(*this, d, h);
    for (int j = begin; j < end; j++) {
      const Window w = window_of(j);
      const vec<T> by = splat(scale(w));
      const T* from = sums + static_cast<ptrdiff_t>(w.first - first) * channels;
      vectors<T>(0, j + lanes<T> < end ? whole : channels, [&](int c, int n) EK_INLINE_LAMBDA {
        vec<T> s = {};
        for (int k = 0; k < w.count; k++) s += load(from + k * columns().dilation * channels + c);
        store_some(y + static_cast<ptrdiff_t>(j) * pitch + c, s * by, n);
      });
    }
  }

  void forward(const T* x, T* y) const {
    alignas(64) T sums[kSums + lanes<T>];
    const bool tiled = g.tiled();
    row_groups([&](const Window& d, int row, int rows, int number) {
      T* to = y + static_cast<ptrdiff_t>(number) * columns().out * pitch;
      parts([&](int begin, int end) {
        const Span s = span(begin, end);
        const int length = s.count * channels;
        if (length > kSums) return forward_tap_by_tap(x, d, g.axis[1].window(row), begin, to);
        add_rows(x, d, row, rows, s, sums);
        // If windows tile the input, the sums of several rows lie side by side, as their outputs do.
        const int runs = tiled ? 1 : rows, stop = tiled && rows > 1 ? rows * end : end;
        for (int r = 0; r < runs; r++) {
          const Window h = g.axis[1].window(row + r);
          T* run = to + static_cast<ptrdiff_t>(r) * columns().out * pitch;
          if (pitch == 1) combine_columns(sums + r * length, s.first, d, h, begin, stop, run);
          else combine_pixels(sums + r * length, s.first, d, h, begin, stop, run);
        }
      });
    });
  }
  // One output, whose window is too wide for a row of sums.
  void forward_tap_by_tap(const T* x, const Window& d, const Window& h, int j, T* y) const {
    const Window w = columns().window(j);
    const T scale = divisor.scale<T>(d, h, w);
    T* const to = y + static_cast<ptrdiff_t>(j) * pitch;
    for (int c = 0; c < channels; c += lanes<T>) {
      const int n = channels - c < lanes<T> ? channels - c : lanes<T>;
      vec<T> s = {};
      const auto add = [&](const auto& value) {
        g.taps(d, h, w, [&](ptrdiff_t at) { s += value(load_n(x + at * pitch + c, n)); });
      };
      if (norm.none()) add([](vec<T> v) { return v; });
      else
        norm.with_step([&](const auto& step) {
          const Coefficients<vec<T>> k = coefficients_at(norm.norm, norm.c, channel + c, n);
          add([&](vec<T> v) { return step(v, vec<T>{}, k); });
        });
      store_n(to + c, s * scale, n);
    }
  }

  // ---- backward ---------------------------------------------------------------------------------------------------
  // Spreads the gradients of the outputs begin … end − 1 to sums[pixel][channel]. alone: windows do not overlap, so
  // that gradients are stored; otherwise they are added.
  void spread(const T* dy, int first, const Window& d, const Window& h, int begin, int end, bool alone, T* sums) const {
    const PoolAxis& a = columns();
    if (alone && pitch == 1 && a.kernel == 2) {
      const vec<T> scale = splat(divisor.scale<T>(d, h, {0, 2, 2}));
      return vectors<T>(begin, end, [&](int j, int n) EK_INLINE_LAMBDA {
        store_twice(sums + 2 * j - first, load_some(dy + j, n) * scale, n);
      });
    }
    int lo = 0, hi = 0;
    if (pitch == 1 && a.stride == 1 && !alone) a.inner(lo, hi);
    lo = lo < begin ? begin : lo, hi = hi > end ? end : hi;
    if (hi - lo >= lanes<T>) {  // the k-th taps of neighbouring outputs are neighbours
      const vec<T> scale = splat(divisor.scale<T>(d, h, {0, a.kernel, a.kernel}));
      hi -= (hi - lo) % lanes<T>;
      for (int k = 0; k < a.kernel; k++) {
        T* to = sums - a.padding - first + k * a.dilation;
        for (int j = lo; j < hi; j += lanes<T>) store(to + j, load(to + j) + load(dy + j) * scale);
      }
    } else {
      lo = hi = begin;
    }
    Scale scale_of(*this, d, h);
    for (int j = begin; j < end; j++) {
      if (j == lo) j = hi;
      if (j == end) break;
      const Window w = window_of(j);
      const T scale = scale_of(w);
      const T* from = dy + static_cast<ptrdiff_t>(j) * pitch;
      T* to = sums + static_cast<ptrdiff_t>(w.first - first) * channels;
      if (pitch == 1) {
        for (int k = 0; k < w.count; k++) to[k * a.dilation] = (alone ? T(0) : to[k * a.dilation]) + *from * scale;
      } else if (alone) {
        vectors<T>(0, channels, [&](int c, int n) EK_INLINE_LAMBDA {
          const vec<T> v = load_some(from + c, n) * scale;
          for (int k = 0; k < w.count; k++) store(to + k * channels + c, v);  // the next tap overwrites what spills
        });
      } else {
        for (int k = 0; k < w.count; k++)
          for (int c = 0; c < channels; c++) to[k * a.dilation * channels + c] += from[c] * scale;
      }
    }
  }

  // Stores sums to all rows of the windows in dx, or adds them.
  void put_rows(const T* sums, const Window& d, int row, int rows, const Span& s, bool alone, T* dx) const {
    each_run(d, row, rows, s, [&](const Runs& run) {
      for (int r = 0; r < run.rows; r++) {
        const T* from = sums + run.sums + r * s.count * channels;
        for (int i = 0; i < run.depths; i++)
          for (int j = 0; j < run.heights; j++) {
            T* to = dx + run.place + r * run.row + i * run.depth + j * run.height;
            if (alone) copy_run(to, from, run.length);
            else add_runs(to, to, from, run.length);
          }
      }
    });
  }

  void backward(const T* dy, T* dx) const {
    alignas(64) T sums[kSums + lanes<T>];
    const bool alone = g.tiled();
    if (!alone) {
      if (dense()) zero_run(dx, g.in_volume() * channels);
      else
        for (ptrdiff_t i = 0; i < g.in_volume(); i++) zero_run(dx + i * pitch, channels);
    }
    row_groups([&](const Window& d, int row, int rows, int number) {
      const T* from = dy + static_cast<ptrdiff_t>(number) * columns().out * pitch;
      parts([&](int begin, int end) {
        const Span s = span(begin, end);
        const int length = s.count * channels, runs = alone ? 1 : rows, stop = alone && rows > 1 ? rows * end : end;
        if (length > kSums) return backward_tap_by_tap(from, d, g.axis[1].window(row), begin, dx, alone);
        if (!alone) zero_run(sums, static_cast<ptrdiff_t>(length) * rows);
        for (int r = 0; r < runs; r++)
          spread(from + static_cast<ptrdiff_t>(r) * columns().out * pitch, s.first, d, g.axis[1].window(row + r), begin,
                 stop, alone, sums + r * length);
        put_rows(sums, d, row, rows, s, alone, dx);
      });
    });
  }
  void backward_tap_by_tap(const T* dy, const Window& d, const Window& h, int j, T* dx, bool alone) const {
    const Window w = columns().window(j);
    const T scale = divisor.scale<T>(d, h, w);
    g.taps(d, h, w, [&](ptrdiff_t at) {
      for (int c = 0; c < channels; c++)
        dx[at * pitch + c] = (alone ? T(0) : dx[at * pitch + c]) + dy[static_cast<ptrdiff_t>(j) * pitch + c] * scale;
    });
  }
};

// Calls body(pooling, place in the input, place in the output, channels, elements between pixels) for each part of the
// tensor, in parallel. If windows tile the input, all images and planes are seen as one tall image, which may be cut
// between any two rows of windows. by_channel: the channel matters, so that contiguous planes are not joined.
template <class F> void each_job(const PoolGeometry& g, bool by_channel, const F& body) {
  if (!g.tiled() || g.axis[0].kernel != 1 || (by_channel && g.format == EK_CONTIGUOUS))
    return g.each_job([&](ptrdiff_t in, ptrdiff_t out, int channels, int pitch) { body(g, in, out, channels, pitch); });
  const int pixel = g.format == EK_CHANNELS_LAST ? g.c : 1,
            rows = (g.format == EK_CHANNELS_LAST ? g.n : g.n * g.c) * g.axis[0].out * g.axis[1].out;
  const ptrdiff_t in = static_cast<ptrdiff_t>(g.axis[1].kernel) * g.axis[2].in * pixel,
                  out = static_cast<ptrdiff_t>(g.axis[2].out) * pixel;
  parallel_blocks(rows, in < tile_elements ? static_cast<int>(tile_elements / (in + 1)) + 1 : 1,
                  [&](int begin, int end) {
    PoolGeometry part = g;
    part.axis[0].in = part.axis[0].out = 1;
    part.axis[1].out = end - begin, part.axis[1].in = part.axis[1].out * g.axis[1].kernel;
    body(part, begin * in, begin * out, pixel, pixel);
  });
}

}  // namespace

int ek_avg_pool(int dtype, const int* geometry, int count_include_pad, int divisor, const void* x, const void* x_norm,
                int x_relu, void* y) {
  const PoolGeometry g(geometry);
  if (!g.valid()) return EK_BAD_ARGUMENT;
  const Divisor by{count_include_pad, divisor};
  EK_DISPATCH_FLOAT(dtype, {
    const NormMap<T> norm{Map::forward, static_cast<const T*>(x_norm), nullptr, g.c, x_relu};
    each_job(g, !norm.none(), [&](const PoolGeometry& part, ptrdiff_t in, ptrdiff_t out, int channels, int pitch) {
      Average<T>{part, by, g.channel_at(in), channels, pitch, norm}.forward(static_cast<const T*>(x) + in,
                                                                            static_cast<T*>(y) + out);
    });
  })
  return EK_OK;
}

int ek_avg_pool_backward(int dtype, const int* geometry, int count_include_pad, int divisor, const void* dy, void* dx) {
  const PoolGeometry g(geometry);
  if (!g.valid()) return EK_BAD_ARGUMENT;
  const Divisor by{count_include_pad, divisor};
  EK_DISPATCH_FLOAT(
      dtype, each_job(g, false, [&](const PoolGeometry& part, ptrdiff_t in, ptrdiff_t out, int channels, int pitch) {
    Average<T>{part, by, 0, channels, pitch}.backward(static_cast<const T*>(dy) + out, static_cast<T*>(dx) + in);
  });)
  return EK_OK;
}

}  // namespace EK_ISA
