// Gradient of the weights with output channels in the lanes: a tile of (kernel row × channel) run × channels, reduced over pixels.
// The input is packed as for the forward pass (channel_lanes.h), so that the run of a tap lies under every pixel.
// Counterpart: pixel_lanes_weight.h.
#pragma once
#include "conv/channel_lanes.h"

namespace EK_ISA {

constexpr int kLargeGradient = 512 << 10;  // bytes

// acc[i][channel] += Σ over images, rows, pixels: x[i + …] · dy[… + channel]; acc has a row for each position of the run.
template <class T, int M, int V>
__attribute__((noinline)) void channel_weight_tile(const T* x, ptrdiff_t x_image, ptrdiff_t x_row, ptrdiff_t x_pixel, const T* dy,
                                                   ptrdiff_t dy_image, ptrdiff_t dy_pixel, int images, int rows, int columns, T* out, ptrdiff_t out_row) {
  vec<T> acc[M][V];
#pragma GCC unroll 16
  for (int i = 0; i < M; i++)
#pragma GCC unroll 16
    for (int v = 0; v < V; v++) acc[i][v] = load(out + i * out_row + v * lanes<T>);
  for (int n = 0; n < images; n++)
    for (int h = 0; h < rows; h++)
      outer<T, M, V>(acc, x + n * x_image + h * x_row, 1, x_pixel, dy + n * dy_image + h * columns * dy_pixel, dy_pixel, columns);
#pragma GCC unroll 16
  for (int i = 0; i < M; i++)
#pragma GCC unroll 16
    for (int v = 0; v < V; v++) store(out + i * out_row + v * lanes<T>, acc[i][v]);
}

// A job is a split of the blocks × a group × a chunk of output channels; it leaves a partial gradient [tap][c][chunk].
template <class T> struct ChannelLanesWeight {
  Pass<T> p;  // the forward pass; p.y is not used
  const T* dy;
  Blocks blocks;
  ChannelRows<T> rows;
  int vectors, width, chunk, chunks, splits;
  size_t partial_size, packed_size, dy_size;
  T *partials, *workers;
  double* bias_partials;  // [split][o]
  int* offsets;

  ChannelLanesWeight(const Pass<T>& pass, const T* g, Scratch& scratch)
      : p(pass), dy(g), blocks(choose_blocks(pass, pass.c, kPackedBytes / 2 / static_cast<int>(sizeof(T)), kConvJobs, 2 * outer_rows)),
        rows(pass, blocks) {
    vectors = p.o > lanes<T> ? outer_vectors : 1, width = vectors * lanes<T>;
    const int o_blocks = ceil_div(p.o, width), count = blocks.count();
    const double whole = static_cast<double>(p.taps()) * p.c * o_blocks * width * p.groups * sizeof(T);
    // Splits cost a partial gradient each, chunks pack the input again. A small gradient is split; a large one is cut into
    // chunks first, and split no further than a few jobs need.
    const bool large = whole > kLargeGradient;
    int per_chunk = large && o_blocks > 2 ? 2 : o_blocks < 8 ? o_blocks : 8;
    while (per_chunk > 1 && static_cast<size_t>(p.taps()) * p.c * per_chunk * width * sizeof(T) > kLargeGradient) per_chunk /= 2;  // stays in L2
    const int wanted = large ? ceil_div(kConvJobs / 2, p.groups * ceil_div(o_blocks, per_chunk)) : kConvJobs;
    splits = wanted < count ? wanted : count;
    chunk = per_chunk * width, chunks = ceil_div(o_blocks, per_chunk);
    partial_size = static_cast<size_t>(p.taps()) * p.c * chunk;
    packed_size = static_cast<size_t>(rows.image) * blocks.images + 64 / sizeof(T);
    dy_size = static_cast<size_t>(blocks.images) * blocks.rows * blocks.columns * chunk;
    partials = scratch.take<T>(partial_size * chunks * p.groups * splits);
    bias_partials = scratch.take<double>(static_cast<size_t>(p.o) * p.groups * splits);
    offsets = scratch.take<int>(rows.runs);
    workers = scratch.take<T>((packed_size + dy_size) * worker_count());
  }

  T* partial(int split, int group, int part) const {
    return partials + ((static_cast<size_t>(split) * p.groups + group) * chunks + part) * partial_size;
  }

  template <class Prologue, class GradientPrologue>
  void run(const Prologue& prologue, const GradientPrologue& gradient_prologue, T* dw, T* dbias) const {
    rows.offsets(p, offsets);
    parallel_for(splits * p.groups * chunks, [&](int job, int worker) {
      const int part = job % chunks, group = job / chunks % p.groups, split = job / (chunks * p.groups);
      T* packed = workers + worker * (packed_size + dy_size);
      T* gradient = packed + packed_size;
      T* out = partial(split, group, part);
      zero_run(out, static_cast<ptrdiff_t>(partial_size));
      const int first = group * p.o + part * chunk, left = p.o - part * chunk, channels = left < chunk ? left : chunk;
      double* sums = bias_partials + static_cast<size_t>(split) * p.o * p.groups + first;
      for (int c = 0; c < channels; c++) sums[c] = 0;
      const int begin = static_cast<int>(static_cast<int64_t>(blocks.count()) * split / splits);
      const int end = static_cast<int>(static_cast<int64_t>(blocks.count()) * (split + 1) / splits);
      for (int index = begin; index < end; index++) {
        const Block b = blocks(p, index);
        pack_channels(p, rows, b, group, prologue, packed);
        pack_gradient(b, first, channels, gradient_prologue, gradient);
        const ptrdiff_t pixels = static_cast<ptrdiff_t>(b.images) * b.rows * b.columns;
        for (int o = 0; o < channels; o += width) {
          const T* g = gradient + o * pixels;
          if (dbias) add_pixels(g, static_cast<int>(pixels), channels - o < width ? channels - o : width, sums + o);
          if (vectors == 1) tiles<1>(b, packed, g, out + o);
          else tiles<outer_vectors>(b, packed, g, out + o);
        }
      }
    });
    merge(dw, dbias);
  }

  template <int V> void tiles(const Block& b, const T* packed, const T* gradient, T* out) const {
    const ptrdiff_t pixel = p.axis[2].stride * rows.pixel, row = p.axis[1].stride * rows.row;
    const ptrdiff_t dy_row = static_cast<ptrdiff_t>(b.columns) * width;
    const int each = rows.runs / (p.axis[0].taps * p.axis[1].taps);
    for (int r = 0; r < rows.runs; r++, out += static_cast<ptrdiff_t>(rows.run) * chunk) {
      int first, last;  // rows of outputs under which this row of the kernel finds an input
      p.axis[1].outputs_inside(r / each % p.axis[1].taps, b.row, b.row + b.rows, first, last);
      if (first == last) continue;
      const T* x = packed + offsets[r] + (first - b.row) * row;
      const T* g = gradient + (first - b.row) * dy_row;
      even_parts(rows.run, outer_rows, [&](int begin, int size) {
        with_const<outer_rows>(size, [&](auto M) {
          channel_weight_tile<T, decltype(M)::value, V>(x + begin, rows.image, row, pixel, g, b.rows * dy_row, width, b.images,
                                                        last - first, b.columns, out + begin * static_cast<ptrdiff_t>(chunk), chunk);
        });
      });
    }
  }

  // out[block of channels][pixel][width]: what a tile reads is contiguous.
  template <class Map> void pack_gradient(const Block& b, int channel, int channels, const Map& map, T* out) const {
    const Axis &ah = p.axis[1], &aw = p.axis[2];
    const int all = p.o * p.groups;
    const bool last = p.y_format == EK_CHANNELS_LAST;
    const ptrdiff_t volume = p.out_volume(), pixel = last ? all : 1, plane = last ? 1 : volume;
    for (int o = 0; o < channels; o += width) {
      const int used = channels - o < width ? channels - o : width;
      for (int i = 0; i < b.images; i++)
        for (int h = 0; h < b.rows; h++, out += static_cast<ptrdiff_t>(b.columns) * width) {
          const ptrdiff_t position = (static_cast<ptrdiff_t>(b.depth) * ah.count + b.row + h) * aw.count + b.column;
          const Run run{b.columns, channel + o, used, (b.image + i) * volume * all + position * pixel + (channel + o) * plane, pixel, plane};
          const T* from = dy + run.first;
          if (used < width) zero_run(out, static_cast<ptrdiff_t>(b.columns) * width);
          if (last)
            for (int j = 0; j < b.columns; j++) copy_run(out + j * width, from + j * pixel, used);
          else
            copy_transposed(from, volume, used, b.columns, out, width);
          map.channels(out, width, run);
        }
    }
  }

  void add_pixels(const T* g, int pixels, int channels, double* sums) const {
    for (int c = 0; c < channels; c += lanes<T>) {
      vec<T> s = {};
      for (int j = 0; j < pixels; j++) s += load(g + static_cast<ptrdiff_t>(j) * width + c);
      for (int l = 0; l < lanes<T> && c + l < channels; l++) sums[c + l] += s[l];
    }
  }

  // dw[o][c][tap] = Σ partials [tap][c][o], split by split.
  void merge(T* dw, T* dbias) const {
    constexpr int L = lanes<T>, block = 256;  // of (c, tap), transposed through the stack
    const int taps = p.taps(), all = p.c * taps, blocks = ceil_div(all, block), lanes_per_chunk = chunk / L;
    parallel_for(p.groups * chunks * lanes_per_chunk * blocks, [&](int job, int) {
      const int begin = job % blocks * block, o = job / blocks % lanes_per_chunk * L;
      const int part = job / (blocks * lanes_per_chunk) % chunks, group = job / (blocks * lanes_per_chunk * chunks);
      const int left = p.o - part * chunk - o, n = all - begin < block ? all - begin : block;
      if (left <= 0) return;
      T sums[block * L];
      for (int i = 0, c = begin / taps, t = begin % taps; i < n; i++) {
        const ptrdiff_t place = (static_cast<ptrdiff_t>(t) * p.c + c) * chunk + o;
        vec<T> s = load(partial(0, group, part) + place);
        for (int split = 1; split < splits; split++) s += load(partial(split, group, part) + place);
        store(sums + i * L, s);
        if (++t == taps) t = 0, c++;
      }
      copy_transposed(sums, L, n, left < L ? left : L, dw + group * p.w_group + (part * chunk + o) * p.w_out + begin, p.w_out);
    });
    if (dbias) merge_bias(bias_partials, splits, p.o * p.groups, dbias);
  }

  static void merge_bias(const double* partials, int splits, int channels, T* dbias) {
    for (int c = 0; c < channels; c++) {
      double s = 0;
      for (int split = 0; split < splits; split++) s += partials[static_cast<size_t>(split) * channels + c];
      dbias[c] = static_cast<T>(s);
    }
  }
};

}  // namespace EK_ISA
