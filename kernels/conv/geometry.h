// What a convolution computes, axis by axis, for all loop cores and both directions. This file has no loops over
// tensors and takes no memory.
//
// Forward and backward by data are the same pass over different axes. In forward, tap t of output j reads the input
// j·stride − padding + t·dilation. Backward by data of stride s has s phases along each axis. In phase r, the element
// r + j·s of dx receives dy at (r + padding − k·dilation)/s + j, for each kernel position k for which that is a whole
// number. All phases read the same packed block.
#pragma once
#include "conv/map.h"
#include "kernel.h"

namespace EK_ISA {

struct Geometry {
  int n, c, o, groups, in[3], out[3], kernel[3], stride[3], padding[3], dilation[3], x_format, y_format;

  explicit Geometry(const int* g) : n(g[0]), c(g[1]), o(g[2]), groups(g[3]), x_format(g[22]), y_format(g[23]) {
    for (int d = 0; d < 3; d++) {
      in[d] = g[4 + d], out[d] = g[7 + d], kernel[d] = g[10 + d];
      stride[d] = g[13 + d], padding[d] = g[16 + d], dilation[d] = g[19 + d];
    }
  }
  bool valid() const {
    if (n < 0 || c < 1 || o < 1 || groups < 1 || c % groups || o % groups) return false;
    for (int d = 0; d < 3; d++)
      if (in[d] < 0 || out[d] < 0 || kernel[d] < 1 || stride[d] < 1 || padding[d] < 0 || dilation[d] < 1) return false;
    return true;
  }
  int kernel_size() const { return kernel[0] * kernel[1] * kernel[2]; }
};

inline int gcd(int a, int b) { return b == 0 ? a : gcd(b, a % b); }

// One axis of a pass, for the outputs of one phase: j·phases + phase, where j < count. The packed position X holds the
// input offset + X·unit. Tap t of output j reads X = j·stride + shift + t·spacing, and is the kernel position kernel +
// t·kernel_step. The members above the line are the same for all phases.
struct Axis {
  // reach: the last X that output 0 reads, in any phase; −1 if there is none.
  int in_size, out_size, phases, offset, unit, stride, reach;
  // ----
  int phase, count, taps, kernel, kernel_step, shift, spacing;

  // The first output in the tensor of a block that begins at output j of each phase.
  int output(int j) const { return j * phases < out_size ? j * phases : out_size; }
  // The number of packed positions that n neighbouring outputs of each phase read.
  int extent(int n) const { return reach < 0 ? 0 : (n - 1) * stride + reach + 1; }
  int input_of(int output, int tap) const { return offset + (output * stride + shift + tap * spacing) * unit; }
  // Finds the taps begin … end − 1 that read an input for at least one of the outputs first … last. The other taps read
  // only padding.
  void taps_inside(int first, int last, int& begin, int& end) const {
    begin = 0, end = taps;
    while (begin < end && input_of(last, begin) < 0) begin++;
    while (begin < end && input_of(first, end - 1) >= in_size) end--;
  }
  // Finds those of the outputs first … last − 1 for which a tap reads an input: begin … end − 1.
  void outputs_inside(int tap, int first, int last, int& begin, int& end) const {
    begin = first, end = last;
    while (begin < end && input_of(begin, tap) < 0) begin++;
    while (begin < end && input_of(end - 1, tap) >= in_size) end--;
  }
  // Whether output j reads input j and nothing else.
  bool pointwise() const {
    return taps == 1 && offset == 0 && unit == 1 && phases == 1 && in_size == count && out_size == count;
  }
};

inline Axis forward_axis(const Geometry& g, int d) {
  const int unit = g.kernel[d] > 1 ? gcd(g.stride[d], g.dilation[d]) : g.stride[d],
            spacing = g.kernel[d] > 1 ? g.dilation[d] / unit : 0;
  return {g.in[d],
          g.out[d],
          1,
          -g.padding[d],
          unit,
          g.stride[d] / unit,
          (g.kernel[d] - 1) * spacing,
          0,
          g.out[d],
          g.kernel[d],
          0,
          1,
          0,
          spacing};
}

inline Axis backward_axis(const Geometry& g, int d, int phase) {
  const int s = g.stride[d], dilation = g.dilation[d], common = gcd(s, dilation);
  Axis axis{g.out[d],
            g.in[d],
            s,
            0,
            1,
            1,
            -1,
            phase,
            g.in[d] > phase ? ceil_div(g.in[d] - phase, s) : 0,
            0,
            0,
            -s / common,
            0,
            dilation / common};
  // Tap 0 is the last kernel position: then the inputs ascend with the taps.
  const auto input_of = [&](int r, int k) { return (r + g.padding[d] - k * dilation) / s; };
  const auto each = [&](const auto& body) {
    for (int r = 0; r < s; r++) {
      int taps = 0, last = 0, first = -1;
      for (int k = 0; k < g.kernel[d]; k++)
        if ((r + g.padding[d] - k * dilation) % s == 0) taps++, last = k, first = first < 0 ? k : first;
      if (taps > 0) body(r, taps, input_of(r, last), input_of(r, first), last);
    }
  };
  bool any = false;
  each([&](int, int, int low, int, int) { axis.offset = any && axis.offset < low ? axis.offset : low, any = true; });
  each([&](int r, int taps, int low, int high, int last) {
    axis.reach = high - axis.offset > axis.reach ? high - axis.offset : axis.reach;
    if (r == phase) axis.taps = taps, axis.kernel = last, axis.shift = low - axis.offset;
  });
  return axis;
}

// A block of outputs: images × rows × columns, at one depth. The number of blocks depends on the shape alone.
struct Block {
  int image, images, depth, row, rows, column, columns;
};

struct Blocks {
  int images, rows, columns;                             // of a full block; rows and columns of each phase
  int over_images, over_depth, over_rows, over_columns;  // the number of blocks along each axis
  int count() const { return over_images * over_depth * over_rows * over_columns; }

  template <class P> Block operator()(const P& pass, int index) const {
    const auto part = [](int i, int size, int total) { return total - i * size < size ? total - i * size : size; };
    const int w = index % over_columns, h = index / over_columns % over_rows;
    const int d = index / (over_columns * over_rows) % over_depth, n = index / (over_columns * over_rows * over_depth);
    return {n * images,
            part(n, images, pass.n),
            d,
            h * rows,
            part(h, rows, pass.axis[1].count),
            w * columns,
            part(w, columns, pass.axis[2].count)};
  }
};

// What a loop core runs: y = epilogue(w ∗ prologue(x)). c and o are the input and output channels of one group. w_out,
// w_in and w_group are the strides of w between output channels, input channels and groups. Backward by data has dy as
// x and dx as y.
template <class T> struct Pass {
  Geometry geometry;
  const T *x, *w;
  T* y;
  int n, groups, c, o, x_format, y_format;
  Axis axis[3];
  ptrdiff_t w_out, w_in, w_group;

  int taps() const { return axis[0].taps * axis[1].taps * axis[2].taps; }
  int kernel_size() const { return geometry.kernel_size(); }  // the sum of the taps of all phases
  ptrdiff_t in_volume() const { return static_cast<ptrdiff_t>(axis[0].in_size) * axis[1].in_size * axis[2].in_size; }
  ptrdiff_t out_volume() const {
    return static_cast<ptrdiff_t>(axis[0].out_size) * axis[1].out_size * axis[2].out_size;
  }
  int64_t out_elements() const { return static_cast<int64_t>(n) * o * groups * out_volume(); }
  bool empty() const { return n == 0 || axis[0].count == 0 || axis[1].count == 0 || axis[2].count == 0; }

  int phases() const { return axis[0].phases * axis[1].phases * axis[2].phases; }
  // The same pass for the outputs of one phase. A pass itself describes phase 0, of which no phase has more outputs.
  Pass phase(int index) const {
    Pass p = *this;
    if (phases() == 1) return p;
    for (int d = 2; d >= 0; index /= axis[d].phases, d--)
      p.axis[d] = backward_axis(geometry, d, index % axis[d].phases);
    return p;
  }
  // The place in the tensor of one row of a block's outputs of this phase.
  Run output_run(const Block& b, int image, int row, int channel, int channels) const {
    const auto at = [](const Axis& a, int i) { return a.phase + static_cast<ptrdiff_t>(i) * a.phases; };
    const int all = o * groups;
    const bool last = y_format == EK_CHANNELS_LAST;
    const ptrdiff_t volume = out_volume(), pixel = last ? all : 1, plane = last ? 1 : volume;
    const ptrdiff_t position = (at(axis[0], b.depth) * axis[1].out_size + at(axis[1], row)) * axis[2].out_size +
                               at(axis[2], b.column);
    return {
        b.columns, channel, channels, image * volume * all + position * pixel + channel * plane, axis[2].phases * pixel,
        plane};
  }
  // The position of tap (d, h, w) in the kernel's volume.
  int tap(int d, int h, int w) const {
    const auto at = [&](int i, int t) { return axis[i].kernel + t * axis[i].kernel_step; };
    return (at(0, d) * geometry.kernel[1] + at(1, h)) * geometry.kernel[2] + at(2, w);
  }

  // Whether every output reads one input, and in the same order: the kernel is 1x1x1 and the stride is 1.
  bool reads_once() const { return axis[0].pointwise() && axis[1].pointwise() && axis[2].pointwise(); }
  // Such a pass sees its volume as one long row, and the whole batch as one if both tensors are channels last.
  void flatten() {
    if (!reads_once()) return;
    int size = axis[2].count;
    for (int d = 0; d < 2; d++) size *= axis[d].count, axis[d].in_size = axis[d].out_size = axis[d].count = 1;
    if (x_format == EK_CHANNELS_LAST && y_format == EK_CHANNELS_LAST) size *= n, n = 1;
    axis[2].in_size = axis[2].out_size = axis[2].count = size;
  }
};

template <class T> Pass<T> forward_pass(const Geometry& g, const T* x, const T* w, T* y) {
  const int kernel = g.kernel_size(), c = g.c / g.groups, o = g.o / g.groups;
  Pass<T> p{g,
            x,
            w,
            y,
            g.n,
            g.groups,
            c,
            o,
            g.x_format,
            g.y_format,
            {forward_axis(g, 0), forward_axis(g, 1), forward_axis(g, 2)},
            static_cast<ptrdiff_t>(c) * kernel,
            kernel,
            static_cast<ptrdiff_t>(o) * c * kernel};
  p.flatten();
  return p;
}
template <class T> Pass<T> backward_pass(const Geometry& g, const T* dy, const T* w, T* dx) {
  const int kernel = g.kernel_size(), c = g.c / g.groups, o = g.o / g.groups;
  Pass<T> p{g,
            dy,
            w,
            dx,
            g.n,
            g.groups,
            o,
            c,
            g.y_format,
            g.x_format,
            {backward_axis(g, 0, 0), backward_axis(g, 1, 0), backward_axis(g, 2, 0)},
            kernel,
            static_cast<ptrdiff_t>(c) * kernel,
            static_cast<ptrdiff_t>(o) * c * kernel};
  p.flatten();
  return p;
}

// The largest blocks whose packed input has at most `budget` elements, so that there are at least `wanted` blocks. A
// row is cut only if a single one is too long. Images are joined only if a block has whole images.
template <class P> Blocks choose_blocks(const P& p, ptrdiff_t channels, ptrdiff_t budget, int wanted, int min_columns) {
  const Axis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
  const auto packed = [&](int rows, int columns) {
    return channels * d.extent(1) * h.extent(rows) * static_cast<ptrdiff_t>(w.extent(columns));
  };
  Blocks b{1, 1, w.count, 0, d.count, 0, 0};
  const auto blocks = [&] {
    b.over_images = ceil_div(p.n, b.images), b.over_rows = ceil_div(h.count, b.rows),
    b.over_columns = ceil_div(w.count, b.columns);
    return b.count();
  };
  const auto halve = [](int n, int unit) { return ceil_div(ceil_div(n, 2), unit) * unit; };
  while (b.columns > 2 * min_columns &&
         (packed(1, b.columns) > budget || (h.count * p.n * d.count < wanted && blocks() < wanted)))
    b.columns = halve(b.columns, min_columns);
  if (b.columns >= w.count) {
    b.columns = w.count;
    while (b.rows < h.count && packed(b.rows + 1, w.count) <= budget) b.rows++;
    if (b.rows == h.count && d.count == 1)
      while (b.images < p.n && packed(b.rows, w.count) * (b.images + 1) <= budget) b.images++;
  }
  while (blocks() < wanted && b.images > 1) b.images = halve(b.images, 1);
  while (blocks() < wanted && b.rows > 2) b.rows = halve(b.rows, 1);
  b.images = ceil_div(p.n, b.over_images), b.rows = ceil_div(h.count, b.over_rows);  // equal parts
  blocks();
  return b;
}

// Blocks of at most this many images, rows and columns, as equal as possible.
template <class P> Blocks equal_blocks(const P& p, int images, int rows, int columns) {
  const auto parts = [](int n, int& size) {
    size = size < 1 ? 1 : size;
    const int count = ceil_div(n, size);
    if (count > 0) size = ceil_div(n, count);
    return count;
  };
  const int n = parts(p.n, images), h = parts(p.axis[1].count, rows), w = parts(p.axis[2].count, columns);
  return {images, rows, columns, n, p.axis[0].count, h, w};
}

// Blocks of at most `pixels` outputs: whole rows if they fit, and whole images if those fit.
template <class P> Blocks pixel_blocks(const P& p, int pixels) {
  const int height = p.axis[1].count, width = p.axis[2].count;
  if (width > pixels) return equal_blocks(p, 1, 1, pixels);
  if (height * static_cast<double>(width) > pixels || p.axis[0].count > 1)
    return equal_blocks(p, 1, width > 0 ? pixels / width : 1, width);
  return equal_blocks(p, height * width > 0 ? pixels / (height * width) : 1, height, width);
}

}  // namespace EK_ISA
