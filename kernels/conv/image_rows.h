// A loop core for small images. Its lanes are output channels, as in channel_lanes.h, but a tile is one output pixel of
// several images × channels. The rows of small images would not fill a tile of neighbouring pixels. Padding, a large
// part of small images, costs nothing here: a tap reads an input for all pixels of a tile, or for none. conv_core.h
// chooses.
#pragma once
#include "conv/channel_lanes.h"

namespace EK_ISA {

constexpr int kSmallImage = 100;  // pixels of an image at most

template <class T> struct ImageRows {
  // A phase, and where its rows begin in `offsets` and its taps in the weights.
  struct Phase {
    Pass<T> pass;
    int first_row, first_tap;
  };
  Pass<T> p;
  ChannelWeights<T> weights;
  int groups, per_group;  // groups of images, and images of a group, which are computed together
  ptrdiff_t image;        // elements between packed images
  T *packed, *workers;
  Phase* phases;
  int* offsets;

  static int tile_of(int n) { return n / ceil_div(n, order_rows); }
  // Whether tiles of images are larger than tiles of a row's pixels.
  static bool suits(const Pass<T>& p) {
    return p.axis[0].pointwise() && p.axis[0].count == 1 && p.in_volume() <= kSmallImage && p.kernel_size() > 1 &&
           p.n > 1 && tile_of(p.n) >= tile_of(p.axis[2].count);
  }

  ImageRows(const Pass<T>& pass, Scratch& scratch)
      : p(pass), weights(pass, scratch), groups(ceil_div(pass.n, order_rows)), per_group(ceil_div(pass.n, groups)) {
    groups = ceil_div(p.n, per_group);
    image = p.in_volume() * p.c + 64 / sizeof(T);  // not a power of two: images would share sets of the cache
    packed = scratch.take<T>(static_cast<size_t>(image) * p.n * p.groups);
    workers = scratch.take<T>(static_cast<size_t>(per_group) * weights.width * worker_count());
    phases = scratch.take<Phase>(p.phases());
    offsets = scratch.take<int>(static_cast<size_t>(p.phases()) * p.geometry.kernel[1]);
  }

  int parts() const { return groups; }

  template <class Prologue, class Epilogue> void run(const Prologue& prologue, const Epilogue& epilogue) const {
    list_phases();
    weights.prepare(p);
    const int all = p.c * p.groups, pixels = static_cast<int>(p.in_volume());
    const bool last = p.x_format == EK_CHANNELS_LAST;
    parallel_for(p.n * p.groups, [&](int job, int) {
      const int i = job / p.groups, channel = job % p.groups * p.c;
      const ptrdiff_t pixel = last ? all : 1, plane = last ? 1 : pixels;
      const Run run{pixels, channel, p.c, static_cast<ptrdiff_t>(i) * pixels * all + channel * plane, pixel, plane};
      T* to = packed + job * image;
      copy_in(p.x, run, to, p.c);
      prologue.channels(to, p.c, run);
    });
    // `together`: groups of images that a job computes.
    const int jobs = p.groups * weights.blocks, together = weights.by_job ? groups : 1;
    parallel_for(groups / together * jobs, [&](int job, int worker) {
      const int block = job % weights.blocks, group = job / weights.blocks % p.groups, index = job / jobs;
      const T* w = weights.of(p, group, block, worker);
      T* out = workers + static_cast<size_t>(worker) * per_group * weights.width;
      Prefetch<T> ahead;
      if (weights.by_job && job + worker_count() < jobs) ahead = weights.memory_of_block(p, job + worker_count());
      // Half of all taps: at the edges of small images many taps read padding.
      if (weights.vectors > 1)
        ahead.pace(static_cast<double>(groups) * p.kernel_size() * p.axis[1].count * p.axis[2].count * p.c / 2);
      for (int i = index; i < index + together; i++) outputs(i, group, block, w, out, epilogue.part(i), ahead);
      stream_fence();
    });
  }

  // Computes the outputs of a group of images and a block of channels.
  template <class Epilogue>
  void outputs(int index, int group, int block, const T* weight, T* out, const Epilogue& part,
               Prefetch<T>& ahead) const {
    const int first = index * per_group, images = p.n - first < per_group ? p.n - first : per_group,
              o = block * weights.width;
    const int channels = p.o - o < weights.width ? p.o - o : weights.width, all = p.o * p.groups;
    const bool last = p.y_format == EK_CHANNELS_LAST;
    const ptrdiff_t volume = p.out_volume(), pixel = last ? all : 1, plane = last ? 1 : volume;
    for (int h = 0; h < p.axis[1].out_size; h++)
      for (int w = 0; w < p.axis[2].out_size; w++) {
        const ptrdiff_t place = (first * all * volume) + (h * p.axis[2].out_size + w) * pixel +
                                (group * p.o + o) * plane;
        const Run run{images, group * p.o + o, channels, place, all * volume, plane};
        prefetch_out(run, p.y, p.out_elements());
        compute(h, w, weight, images, packed + (static_cast<ptrdiff_t>(first) * p.groups + group) * image, out, ahead);
        part.channels(out, weights.width, run);
        copy_out(out, weights.width, run, p.y, p.out_elements());
      }
  }

  void list_phases() const {
    int row = 0, tap = 0;
    for (int f = 0; f < p.phases(); f++) {
      phases[f] = {p.phase(f), row, tap};
      const Axis& a = phases[f].pass.axis[1];
      for (int t = 0; t < a.taps; t++) offsets[row++] = t * a.spacing * a.unit * p.axis[2].in_size * p.c;
      tap += phases[f].pass.taps();
    }
  }

  // Computes out[image][width] for the output pixel (h, w).
  void compute(int h, int w, const T* weight, int images, const T* x, T* out, Prefetch<T>& ahead) const {
    const Phase& phase = phases[h % p.axis[1].phases * p.axis[2].phases + w % p.axis[2].phases];
    const Axis &ah = phase.pass.axis[1], &aw = phase.pass.axis[2];
    const int j = h / ah.phases, i = w / aw.phases, step = aw.spacing * aw.unit;
    int top, bottom, left, right;
    ah.taps_inside(j, j, top, bottom), aw.taps_inside(i, i, left, right);
    const ptrdiff_t tap = static_cast<ptrdiff_t>(p.c) * weights.width;
    TapRows<T> k{offsets + phase.first_row,
                 bottom - top,
                 right - left,
                 p.c,
                 static_cast<ptrdiff_t>(step) * p.c,
                 weight + phase.first_tap * tap + (top * aw.taps + left) * tap,
                 aw.taps * tap};
    if (k.taps > 0 && step == 1) k.run *= k.taps, k.taps = 1;
    const T* a = k.rows > 0 && k.taps > 0
                     ? x + (static_cast<ptrdiff_t>(ah.input_of(j, top)) * p.axis[2].in_size + aw.input_of(i, left)) *
                               p.c
                     : x;
    const ptrdiff_t a_image = image * p.groups;
    even_parts(images, outer_rows, [&](int first, int size) {
      with_const<outer_rows>(size, [&](auto M) {
        constexpr int m = decltype(M)::value;
        T* to = out + static_cast<ptrdiff_t>(first) * weights.width;
        if (weights.vectors == 1) channel_tile<T, m, 1>(a + first * a_image, a_image, k, to, weights.width, ahead);
        else channel_tile<T, m, outer_vectors>(a + first * a_image, a_image, k, to, weights.width, ahead);
      });
    });
  }
};

}  // namespace EK_ISA
