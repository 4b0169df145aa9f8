// The gradient of the weights with pixels in the lanes. Its tiles are output channels × taps. Each accumulator is a
// vector over pixels, whose lanes are added up at the very end. Planes of x are packed as in pixel_lanes.h. The
// gradient of the output is packed with the same pitch, and with zeros where the rows of x have their padding. The
// counterpart with channels in the lanes is channel_lanes_weight.h.
#pragma once
#include "conv/partial_gradients.h"
#include "conv/pixel_lanes.h"
#include "simd/lane_sum.h"

namespace EK_ISA {

// out[i·out_row + j·order_lanes + lane] += Σ over the images and over every order_lanes-th pixel p from `lane` on:
// dy[i·dy_row + p] · x[offsets[j] + p]. Each vector of lanes goes through all pixels by itself, so that its sums stay
// in registers.
template <class T, int M, int N>
__attribute__((noinline)) void pixel_weight_tile(const T* dy, ptrdiff_t dy_image, ptrdiff_t dy_row, const T* x,
                                                 ptrdiff_t x_image, const int* offsets, int images, int pixels, T* out,
                                                 ptrdiff_t out_row) {
  int offset[N];
#pragma GCC unroll 16
  for (int j = 0; j < N; j++) offset[j] = offsets[j];
  for (int v = 0; v < kOrderVectors; v++, dy += lanes<T>, x += lanes<T>, out += lanes<T>) {
    vec<T> acc[M][N];
#pragma GCC unroll 16
    for (int i = 0; i < M; i++)
#pragma GCC unroll 16
      for (int j = 0; j < N; j++) acc[i][j] = load(out + i * out_row + j * order_lanes<T>);
    for (int n = 0; n < images; n++) dot<T, M, N>(acc, dy + n * dy_image, dy_row, x + n * x_image, offset, pixels);
#pragma GCC unroll 16
    for (int i = 0; i < M; i++)
#pragma GCC unroll 16
      for (int j = 0; j < N; j++) store(out + i * out_row + j * order_lanes<T>, acc[i][j]);
  }
}

// A job is a split of the blocks × a chunk of groups. It leaves a partial gradient [o][c][tap].
template <class T> struct PixelLanesWeight {
  Pass<T> p;  // the forward pass; p.y is not used
  const T* dy;
  int group_chunk, chunks, splits;
  Blocks blocks;
  PixelPlanes<T> planes;
  int k;
  size_t row_size, packed_size, dy_size, sum_size;
  T *partials, *workers;
  double* bias_partials;
  int* offsets;

  static Blocks choose(const Pass<T>& p, int group_chunk) {
    return choose_blocks(p, static_cast<ptrdiff_t>(p.c) * group_chunk, kPackedBytes / 2 / static_cast<int>(sizeof(T)),
                         kConvJobs, kLeastColumns<T>);
  }
  // Of an image. The lanes of each sum are added up once for each split, which takes as long as kSumCost steps of it,
  // as measured: with small images that is most of the work.
  static double cost(const Pass<T>& p) {
    constexpr int kSumCost = 20;
    const int count = choose(p, PixelLanes<T>::choose_groups(p)).count(),
              splits = kConvJobs < count ? kConvJobs : count;
    return PixelLanes<T>::cost(p) + static_cast<double>(kSumCost) * splits / (p.n > 0 ? p.n : 1) * p.taps() * p.c * p.o;
  }

  PixelLanesWeight(const Pass<T>& pass, const T* g, Scratch& scratch)
      : p(pass), dy(g), group_chunk(PixelLanes<T>::choose_groups(pass)), chunks(ceil_div(pass.groups, group_chunk)),
        blocks(choose(pass, group_chunk)), planes(pass, blocks, pass.c * group_chunk) {
    k = p.taps() * p.c;
    splits = kConvJobs < blocks.count() ? kConvJobs : blocks.count();
    row_size = static_cast<size_t>(ceil_div(planes.flat, order_lanes<T>)) * order_lanes<T>;
    packed_size = static_cast<size_t>(planes.image) * blocks.images;
    dy_size = row_size * p.o * group_chunk * blocks.images;
    sum_size = static_cast<size_t>(k) * order_lanes<T> * p.o * group_chunk;
    partials = scratch.take<T>(static_cast<size_t>(k) * p.o * p.groups * splits);
    bias_partials = scratch.take<double>(static_cast<size_t>(p.o) * p.groups * splits);
    offsets = scratch.take<int>(k);
    workers = scratch.take<T>((packed_size + dy_size + sum_size) * worker_count());
  }

  template <class Prologue, class GradientPrologue>
  void run(const Prologue& prologue, const GradientPrologue& gradient_prologue, T* dw, T* dbias) const {
    planes.offsets(p, offsets);
    const ptrdiff_t whole = static_cast<ptrdiff_t>(k) * p.o * p.groups;
    parallel_for(splits * chunks, [&](int job, int worker) {
      const int split = job / chunks, group = job % chunks * group_chunk;
      const int groups = p.groups - group < group_chunk ? p.groups - group : group_chunk;
      const int channel = group * p.o, channels = groups * p.o;
      T* packed = workers + worker * (packed_size + dy_size + sum_size);
      T* gradient = packed + packed_size;
      T* sums = gradient + dy_size;
      double* bias_sums = bias_partials + static_cast<size_t>(split) * p.o * p.groups + channel;
      zero_run(sums, static_cast<ptrdiff_t>(sum_size));
      for (int c = 0; c < channels; c++) bias_sums[c] = 0;
      const int begin = part_begin(blocks.count(), split, splits), end = part_begin(blocks.count(), split + 1, splits);
      const ptrdiff_t dy_image = static_cast<ptrdiff_t>(row_size) * p.o * group_chunk;
      for (int index = begin; index < end; index++) {
        const Block b = blocks(p, index);
        const int flat = (b.rows - 1) * planes.pitch + b.columns;
        for (int i = 0; i < b.images; i++) {
          pack_planes(p, planes, b, b.image + i, group * p.c, groups * p.c, prologue, packed + i * planes.image);
          pack_gradient(b, b.image + i, channel, channels, gradient_prologue, gradient + i * dy_image);
        }
        for (int i = 0; dbias && i < b.images; i++)
          for (int c = 0; c < channels; c++) bias_sums[c] += add_row(gradient + i * dy_image + c * row_size, flat);
        for (int g = 0; g < groups; g++)
          tiles(b, flat, dy_image, packed + g * p.c * planes.plane, gradient + g * p.o * row_size,
                sums + static_cast<ptrdiff_t>(g) * p.o * k * order_lanes<T>);
      }
      T* out = partials + split * whole + static_cast<ptrdiff_t>(channel) * k;
      const T* sum = sums;
      for (int o = 0; o < channels; o++, out += k)
        planes.each_tap(p, [&](int d, int h, int c, int w) {
          out[c * p.w_in + p.tap(d, h, w)] = sum_in_order<T, order_lanes<T>>([=](int l) { return load(sum + l); });
          sum += order_lanes<T>;
        });
    });
    parallel_blocks(static_cast<int>(whole), 4096, [&](int begin, int end) {  // adds one split after the other
      for (int i = begin; i < end; i++) {
        T s = partials[i];
        for (int split = 1; split < splits; split++) s += partials[split * whole + i];
        dw[i] = s;
      }
    });
    if (dbias) merge_bias(bias_partials, splits, p.o * p.groups, dbias);
  }

  void tiles(const Block& b, int flat, ptrdiff_t dy_image, const T* x, const T* g, T* sums) const {
    even_parts(k, dot_columns, [&](int tap, int taps) {
      with_const<dot_columns>(taps, [&](auto N) {
        even_parts(p.o, dot_rows, [&](int o, int size) {
          with_const<dot_rows>(size, [&](auto M) {
            pixel_weight_tile<T, decltype(M)::value, decltype(N)::value>(
                g + o * row_size, dy_image, static_cast<ptrdiff_t>(row_size), x, planes.image, offsets + tap, b.images,
                flat, sums + (static_cast<ptrdiff_t>(o) * k + tap) * order_lanes<T>,
                static_cast<ptrdiff_t>(k) * order_lanes<T>);
          });
        });
      });
    });
  }

  // Packs out[channel][row·pitch + column], with zeros between the rows and behind the last.
  template <class Map>
  void pack_gradient(const Block& b, int image, int channel, int channels, const Map& map, T* out) const {
    const Axis &ah = p.axis[1], &aw = p.axis[2];
    const int all = p.o * p.groups;
    const bool last = p.y_format == EK_CHANNELS_LAST;
    const ptrdiff_t volume = p.out_volume(), pixel = last ? all : 1, plane = last ? 1 : volume;
    if (planes.pitch > b.columns || static_cast<int>(row_size) > planes.pitch * b.rows || b.rows < blocks.rows)
      zero_run(out, static_cast<ptrdiff_t>(row_size) * channels);
    for (int h = 0; h < b.rows; h++) {
      const ptrdiff_t position = (static_cast<ptrdiff_t>(b.depth) * ah.count + b.row + h) * aw.count + b.column;
      T* to = out + h * planes.pitch;
      Run run{b.columns, channel, 1, image * volume * all + position * pixel + channel * plane, pixel, plane};
      if (last) copy_transposed(dy + run.first, pixel, b.columns, channels, to, static_cast<ptrdiff_t>(row_size));
      for (int c = 0; c < channels; c++, to += row_size, run.channel++, run.first += plane) {
        if (!last) copy_run(to, dy + run.first, b.columns);
        map.plane(to, run);
      }
    }
  }

  static T add_row(const T* g, int n) {
    return sum_in_order<T, order_lanes<T>>([=](int l) {
      vec<T> s = {};
      for (int i = l; i < n; i += order_lanes<T>) s += load(g + i);
      return s;
    });
  }
};

}  // namespace EK_ISA
