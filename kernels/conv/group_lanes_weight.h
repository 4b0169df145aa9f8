// The gradient of the weights with channels of several groups in the lanes: the counterpart of group_lanes.h, whose
// planes it uses. An accumulator belongs to a tap and a place in the group, and adds products of vectors over the
// pixels.
#pragma once
#include "conv/partial_gradients.h"
#include "conv/group_lanes.h"

namespace EK_ISA {

constexpr int group_lines = EK_VECTOR_BYTES == 16 ? 2 : 3;  // lines of a tile: what fits into registers

// The products of U neighbouring outputs with N lines of K taps: acc[l][t] += Σ over u: x[line l, u·stride + t] ·
// dy[u]. The windows of the outputs share vectors of x. S: the stride; 0: any `stride`, with a single tap.
template <class T, int N, int K, int S, int U>
EK_INLINE void group_products(vec<T> (&acc)[N][K], const T* const (&from)[N], ptrdiff_t stride, const T* dy) {
  constexpr int L = lanes<T>, step = S ? S : 1;
  vec<T> g[U];
#pragma GCC unroll 16
  for (int u = 0; u < U; u++) g[u] = load(dy + u * L);
#pragma GCC unroll 16
  for (int l = 0; l < N; l++) {
#pragma GCC unroll 16
    for (int at = 0; at < (U - 1) * step + K; at++) {
      vec<T> v = load(from[l] + (S ? at : at * stride) * L);
      if (K > 1) pin(v);
#pragma GCC unroll 16
      for (int t = 0; t < K; t++)
        if (at >= t && (at - t) % step == 0 && (at - t) / step < U)
          acc[l][t] = multiply_add(v, g[(at - t) / step], acc[l][t]);
    }
  }
}
// out[l·out_line + t·L + lane] += Σ over the rows and columns of outputs: the products above.
template <class T, int N, int K, int S>
__attribute__((noinline)) void group_weight_tile(const T* x, ptrdiff_t x_row, ptrdiff_t stride, const int* lines,
                                                 const T* dy, int rows, int columns, T* out, ptrdiff_t out_line) {
  constexpr int L = lanes<T>, U = 4;
  vec<T> acc[N][K] = {};
  for (int h = 0; h < rows; h++) {
    const T* from[N];
#pragma GCC unroll 16
    for (int l = 0; l < N; l++) from[l] = x + h * x_row + lines[l];
    int j = 0;
    for (; j + U <= columns; j += U, dy += U * L) {
      group_products<T, N, K, S, U>(acc, from, stride, dy);
#pragma GCC unroll 16
      for (int l = 0; l < N; l++) from[l] += U * stride * L;
    }
    for (; j < columns; j++, dy += L) {
      group_products<T, N, K, S, 1>(acc, from, stride, dy);
#pragma GCC unroll 16
      for (int l = 0; l < N; l++) from[l] += stride * L;
    }
  }
#pragma GCC unroll 16
  for (int l = 0; l < N; l++)
#pragma GCC unroll 16
    for (int t = 0; t < K; t++) store(out + l * out_line + t * L, load(out + l * out_line + t * L) + acc[l][t]);
}

// A job is a split of the blocks × a chunk of vectors. It leaves a partial gradient [vector][line][tap][lane].
template <class T> struct GroupLanesWeight {
  static constexpr int L = lanes<T>;
  Pass<T> p;  // the forward pass; p.y is not used
  const T* dy;
  GroupPlanes<T> planes;
  GroupLines<T> lines;
  int splits, band;  // band: rows of outputs that are computed together, because the packed rows that they read fit L1
  size_t gradient_size, dy_size;
  T *partials, *packed, *gradients;
  double* bias_partials;
  int* offsets;

  GroupLanesWeight(const Pass<T>& pass, const T* g, Scratch& scratch) : p(pass), dy(g), planes(pass), lines(pass) {
    const int wanted = ceil_div(kConvJobs, planes.chunks);
    splits = wanted < planes.blocks.count() ? wanted : planes.blocks.count();
    gradient_size = static_cast<size_t>(p.taps()) * p.c * planes.vectors * L;
    band = 1;
    while (band < planes.blocks.rows && planes.packed_bytes(p, band + 1, planes.blocks.columns) <= kPlaneBytes) band++;
    dy_size = static_cast<size_t>(planes.blocks.images) * band * planes.blocks.columns * L;
    partials = scratch.take<T>(gradient_size * splits);
    bias_partials = scratch.take<double>(static_cast<size_t>(planes.channels) * splits);
    offsets = scratch.take<int>(lines.count);
    packed = scratch.take<T>(planes.size() * worker_count());
    gradients = scratch.take<T>(dy_size * worker_count());
  }

  template <class Prologue, class GradientPrologue>
  void run(const Prologue& prologue, const GradientPrologue& gradient_prologue, T* dw, T* dbias) const {
    const ptrdiff_t length = static_cast<ptrdiff_t>(p.taps()) * p.c * L;  // elements of a vector's gradient
    lines.offsets(p, planes, offsets);
    const Blocks& blocks = planes.blocks;
    parallel_for(splits * planes.chunks, [&](int job, int worker) {
      const int split = job / planes.chunks, chunk = job % planes.chunks;
      T* x = packed + worker * planes.size();
      T* g = gradients + worker * dy_size;
      T* out = partials + split * gradient_size;
      double* sums = bias_partials + static_cast<size_t>(split) * planes.channels;
      planes.each_vector(chunk, [&](int v, bool, bool) {
        zero_run(out + v * length, length);
        for (int l = 0; dbias && l < planes.lanes_of(v); l++) sums[v * L + l] = 0;
      });
      const int begin = part_begin(blocks.count(), split, splits), end = part_begin(blocks.count(), split + 1, splits);
      for (int index = begin; index < end; index++) {
        const Block b = blocks(p, index);
        planes.each_vector(chunk, [&](int v, bool is_first, bool) {
          int top = 0;  // the first row that is not packed yet
          even_parts(b.rows, band, [&](int row, int rows) {
            const Block some{b.image, b.images, b.depth, b.row + row, rows, b.column, b.columns};
            const int bottom = p.axis[1].extent(row + rows), pixels = rows * b.columns;
            planes.pack(p, b, 0, b.images, top, bottom, v, is_first, prologue, x), top = bottom;
            each_gradient_run(p, some, v * L, planes.lanes_of(v), [&](int pixel, const Run& run) {
              planes.pack_vector(dy, run, gradient_prologue, is_first ? rows * p.axis[2].count * run.pixel : 0,
                                 g + pixel * L);
            });
            if (dbias) add_pixels(g, L, b.images * pixels, planes.lanes_of(v), sums + v * L);
            for (int i = 0; i < b.images; i++)
              tiles(some, x + (i * planes.grid.image + row * p.axis[1].stride * planes.grid.row) * L,
                    g + static_cast<ptrdiff_t>(i) * pixels * L, out + v * length);
          });
        });
      }
    });
    parallel_for(planes.vectors, [&](int v, int) { merge(v, dw); });
    if (dbias) merge_bias(bias_partials, splits, planes.channels, dbias);
  }

  void tiles(const Block& b, const T* x, const T* g, T* out) const {
    const ptrdiff_t row = planes.grid.row * p.axis[1].stride * L, out_line = lines.taps * L;
    const int stride = p.axis[2].stride;
    even_parts(lines.count, group_lines, [&](int line, int count) {
      with_const<group_lines>(count, [&](auto N) {
        constexpr int n = decltype(N)::value;
        for (int tap = 0; tap < lines.taps; tap += group_taps) {
          const int left = lines.taps - tap;
          const auto tile = lines.taps == 1 ? group_weight_tile<T, n, 1, 0>
                            : left >= 3 ? (stride == 1 ? group_weight_tile<T, n, 3, 1> : group_weight_tile<T, n, 3, 2>)
                            : left == 2 ? (stride == 1 ? group_weight_tile<T, n, 2, 1> : group_weight_tile<T, n, 2, 2>)
                                        : group_weight_tile<T, n, 1, 0>;
          tile(x + tap * L, row, stride, offsets + line, g, b.rows, b.columns, out + line * out_line + tap * L,
               out_line);
        }
      });
    });
  }

  // Writes dw[o][place][tap] of a vector of outputs: the sum over the splits, one after the other.
  void merge(int v, T* dw) const {
    const int length = p.taps() * p.c;
    const T* from = partials + static_cast<size_t>(v) * length * L;
    int line = 0;
    lines.each_line(p, [&](int, int, int, int place) {
      for (int t = 0; t < lines.taps; t++, from += L) {
        vec<T> s = load(from);
        for (int split = 1; split < splits; split++) s += load(from + split * gradient_size);
        const int tap = line / p.c * lines.taps + t;
        for (int l = 0; l < planes.lanes_of(v); l++)
          dw[static_cast<ptrdiff_t>(v * L + l) * length + place * p.taps() + tap] = s[l];
      }
      line++;
    });
  }
};

}  // namespace EK_ISA
