// A loop core whose lanes are output pixels. Its tiles are output channels × pixels. Input planes are packed with zeros
// as padding and then seen as one long row, so that a tap of the kernel is that row at an offset. Few channels waste no
// lanes: this core is best for few output channels in a group, depthwise included. conv_core.h chooses.
//
// The padding at the right of a row is also the padding at the left of the next row, so the pitch of rows is width +
// padding. Outputs that fall between two rows are computed and dropped. Packing removes the stride: a plane is packed
// as stride_d × stride_h × stride_w parts, and neighbouring outputs read neighbouring values of the same part.
#pragma once
#include "conv/channel_lanes.h"

namespace EK_ISA {

// Pixels that cuts take as the least of a row, and elements that tiles read behind the last pixel at most.
template <class T> constexpr int kLeastColumns = 16 * order_lanes<T>;
template <class T>
constexpr int kReadBehind = wide_vectors * lanes<T> > order_lanes<T> ? wide_vectors* lanes<T> : order_lanes<T>;

// The layout of a packed plane: [part d][part h][part w][depth][row][pitch].
template <class T> struct PixelPlanes {
  int depths, rows, pitch;       // of a part
  int flat;                      // outputs of a block, with those between its rows
  ptrdiff_t part, plane, image;  // elements of each

  static int reach(const Axis& a) { return a.reach < 0 ? -1 : a.reach / a.stride; }
  // Finds which of `columns` columns of a part lie inside the input: lo … hi − 1.
  static void inside(const Axis& a, int start, int part, int columns, int& lo, int& hi) {
    const int first = a.offset + (start * a.stride + part) * a.unit, step = a.stride * a.unit;
    lo = first >= 0 ? 0 : ceil_div(-first, step), hi = first >= a.in_size ? 0 : ceil_div(a.in_size - first, step);
    lo = lo < columns ? lo : columns, hi = hi < lo ? lo : hi < columns ? hi : columns;
  }

  PixelPlanes(const Pass<T>& p, const Blocks& b, int channels) {
    const Axis& w = p.axis[2];
    const int columns = b.columns + reach(w);
    depths = 1 + reach(p.axis[0]), rows = b.rows + reach(p.axis[1]), pitch = columns;
    if (b.over_columns == 1) {
      int least = columns, most = b.columns;
      for (int f = 0; f < w.stride; f++) {
        int lo, hi;
        inside(w, 0, f, columns, lo, hi);
        least = lo < least ? lo : least, most = hi > most ? hi : most;
      }
      pitch = columns - least > most ? columns - least : most;
    }
    flat = (b.rows - 1) * pitch + b.columns;
    part = static_cast<ptrdiff_t>(depths) * rows * pitch;
    plane = part * p.axis[0].stride * p.axis[1].stride * p.axis[2].stride;
    // Behind the last plane there is the right padding of its last row, and what the last tile reads behind its pixels.
    image = plane * channels + columns + kReadBehind<T>;
  }
  // The offset of a tap in a plane.
  ptrdiff_t offset(const Pass<T>& p, int d, int h, int w) const {
    const Axis &ad = p.axis[0], &ah = p.axis[1], &aw = p.axis[2];
    const int xd = ad.shift + d * ad.spacing, xh = ah.shift + h * ah.spacing, xw = aw.shift + w * aw.spacing;
    const int f = (xd % ad.stride * ah.stride + xh % ah.stride) * aw.stride + xw % aw.stride;
    return f * part + (static_cast<ptrdiff_t>(xd / ad.stride) * rows + xh / ah.stride) * pitch + xw / aw.stride;
  }
  // Writes the offsets of all taps, in the order of each_tap.
  void offsets(const Pass<T>& p, int* out) const {
    each_tap(p, [&](int d, int h, int c, int w) { *out++ = static_cast<int>(c * plane + offset(p, d, h, w)); });
  }
  // The loop over the kernel's rows is outside that over channels, so that rows that read only padding can be left out.
  template <class F> static void each_tap(const Pass<T>& p, const F& body) {
    for (int d = 0; d < p.axis[0].taps; d++)
      for (int h = 0; h < p.axis[1].taps; h++)
        for (int c = 0; c < p.c; c++)
          for (int w = 0; w < p.axis[2].taps; w++) body(d, h, c, w);
  }
};

// Packs `channels` planes of one image, from `channel` on.
template <class T, class Prologue>
void pack_planes(const Pass<T>& p, const PixelPlanes<T>& planes, const Block& b, int image, int channel, int channels,
                 const Prologue& prologue, T* out) {
  const Axis &ad = p.axis[0], &ah = p.axis[1], &aw = p.axis[2];
  zero_run(out, planes.image);
  const int all = p.c * p.groups, columns = b.columns + planes.reach(aw), step = aw.stride * aw.unit;
  const bool last = p.x_format == EK_CHANNELS_LAST;
  const ptrdiff_t volume = p.in_volume();
  const ptrdiff_t pixel = last ? all : 1, plane = last ? 1 : volume, first = image * volume * all + channel * plane;
  for (int fd = 0; fd < ad.stride; fd++)
    for (int fh = 0; fh < ah.stride; fh++)
      for (int fw = 0; fw < aw.stride; fw++, out += planes.part) {
        int lo, hi;
        planes.inside(aw, b.column, fw, columns, lo, hi);
        if (lo == hi) continue;
        const int iw = aw.offset + ((b.column + lo) * aw.stride + fw) * aw.unit;
        for (int d = 0; d < planes.depths; d++)
          for (int h = 0; h < b.rows + planes.reach(ah); h++) {
            const int id = ad.offset + ((b.depth + d) * ad.stride + fd) * ad.unit,
                      ih = ah.offset + ((b.row + h) * ah.stride + fh) * ah.unit;
            if (id < 0 || id >= ad.in_size || ih < 0 || ih >= ah.in_size) continue;
            const ptrdiff_t position = (static_cast<ptrdiff_t>(id) * ah.in_size + ih) * aw.in_size + iw;
            Run run{hi - lo, channel, 1, first + position * pixel, step * pixel, plane};
            T* to = out + (static_cast<ptrdiff_t>(d) * planes.rows + h) * planes.pitch + lo;
            if (last) copy_transposed(p.x + run.first, run.pixel, run.pixels, channels, to, planes.plane);
            for (int c = 0; c < channels; c++, to += planes.plane, run.channel++, run.first += plane) {
              if (!last) {
                const T* from = p.x + run.first;
                if (step == 1) copy_run(to, from, hi - lo);
                else
                  for (int j = 0; j < hi - lo; j++) to[j] = from[j * step];
              }
              prologue.plane(to, run);
            }
          }
      }
}

// out[i·out_pitch + pixel] = Σ over k: w[k][i] · x[offsets[k] + pixel], for M channels i and V·lanes pixels.
template <class T, int M, int V>
__attribute__((noinline)) void pixel_tile(const T* x, const int* offsets, int n, const T* w, T* out,
                                          ptrdiff_t out_pitch) {
  vec<T> acc[M][V] = {};
  for (int k = 0; k < n; k++, w += M) outer<T, M, V>(acc, w, 1, 0, x + offsets[k], 0, 1);
#pragma GCC unroll 16
  for (int i = 0; i < M; i++)
#pragma GCC unroll 16
    for (int v = 0; v < V; v++) store(out + i * out_pitch + v * lanes<T>, acc[i][v]);
}

// float64 has no core but channel_lanes.h: it serves checks, where code size and build time matter more than speed.
template <class T> constexpr bool has_pixel_lanes = sizeof(T) == 4;

template <class T> struct PixelLanes {
  // A phase, and where its taps begin in `offsets` and in the weights.
  struct Phase {
    Pass<T> pass;
    int first_tap;
  };
  Pass<T> p;
  int group_chunk, chunks;  // a job computes a chunk of groups: one group may be less than a cache line
  Blocks blocks;
  PixelPlanes<T> planes;
  size_t out_pitch, packed_size, out_size;
  T *weights, *workers;
  Phase* phases;
  int* offsets;

  static int choose_groups(const Pass<T>& p) {
    const int groups = ceil_div(64 / static_cast<int>(sizeof(T)), p.c);
    return groups < p.groups ? groups : p.groups;
  }
  static Blocks choose(const Pass<T>& p, int group_chunk) {
    Blocks b = choose_blocks(p, static_cast<ptrdiff_t>(p.c) * group_chunk, kPackedBytes / static_cast<int>(sizeof(T)),
                             ceil_div(kConvJobs, ceil_div(p.groups, group_chunk)), kLeastColumns<T>);
    b.images = 1, b.over_images = p.n;  // images are not joined: one image fills many tiles
    return b;
  }
  static double cost(const Pass<T>& p) {
    const Blocks b = choose(p, choose_groups(p));
    const PixelPlanes<T> planes(p, b, 1);
    const double in = p.c * static_cast<double>(p.in_volume()), out = static_cast<double>(p.o) * p.out_volume();
    double moved = (in + out) / 4;
    if (p.x_format == EK_CHANNELS_LAST) moved += in;
    if (p.y_format == EK_CHANNELS_LAST) moved += out;
    const double per_image = static_cast<double>(b.over_depth) * b.over_rows * b.over_columns;
    // The factor 1.1 is for unaligned loads.
    return per_image * ceil_div(planes.flat, order_lanes<T>) * p.kernel_size() * p.c * p.o * 1.1 + moved;
  }

  PixelLanes(const Pass<T>& pass, Scratch& scratch)
      : p(pass), group_chunk(choose_groups(pass)), chunks(ceil_div(pass.groups, group_chunk)),
        blocks(choose(pass, group_chunk)), planes(pass, blocks, pass.c * group_chunk) {
    constexpr int tile = wide_vectors * lanes<T>;
    out_pitch = ceil_div(planes.flat, tile) * tile;
    packed_size = static_cast<size_t>(planes.image);
    out_size = out_pitch * p.o * group_chunk;
    weights = scratch.take<T>(static_cast<size_t>(p.kernel_size()) * p.c * p.o * p.groups);
    offsets = scratch.take<int>(static_cast<size_t>(p.kernel_size()) * p.c);
    phases = scratch.take<Phase>(p.phases());
    workers = scratch.take<T>((packed_size + out_size) * worker_count());
  }

  int parts() const { return blocks.count(); }

  template <class Prologue, class Epilogue> void run(const Prologue& prologue, const Epilogue& epilogue) const {
    int tap = 0;
    for (int f = 0; f < p.phases(); f++) {
      phases[f] = {p.phase(f), tap};
      planes.offsets(phases[f].pass, offsets + tap * p.c);
      tap += phases[f].pass.taps();
    }
    parallel_for(p.groups, [&](int group, int) {
      for (int f = 0; f < p.phases(); f++)
        pack_weights(phases[f].pass, group, weights + weights_of(group, phases[f].first_tap));
    });
    parallel_for(blocks.count() * chunks, [&](int job, int worker) {
      const Block whole = blocks(p, job / chunks);
      const auto part = epilogue.part(job / chunks);
      const int group = job % chunks * group_chunk,
                groups = p.groups - group < group_chunk ? p.groups - group : group_chunk;
      T* packed = workers + worker * (packed_size + out_size);
      T* out = packed + packed_size;
      pack_planes(p, planes, whole, whole.image, group * p.c, groups * p.c, prologue, packed);
      for (int f = 0; f < p.phases(); f++) {
        const Pass<T>& q = phases[f].pass;
        Block b = whole;  // a phase may have fewer rows and columns
        b.rows = b.row + b.rows < q.axis[1].count ? b.rows : q.axis[1].count - b.row;
        b.columns = b.column + b.columns < q.axis[2].count ? b.columns : q.axis[2].count - b.column;
        if (b.depth >= q.axis[0].count || b.rows <= 0 || b.columns <= 0) continue;
        for (int g = 0; g < groups; g++)
          compute(phases[f], b, packed + g * p.c * planes.plane, weights + weights_of(group + g, phases[f].first_tap),
                  out + g * p.o * out_pitch);
        // Whole rows of the tensor lie side by side, so they are one run.
        const bool joined = p.phases() == 1 && b.columns == q.axis[2].out_size;
        if (joined) close_gaps(b, groups * p.o, out);
        for (int h = 0; h < b.rows; h += joined ? b.rows : 1) {
          Run run = q.output_run(b, b.image, b.row + h, group * p.o, groups * p.o);
          if (joined) run.pixels *= b.rows;
          T* row = out + h * planes.pitch;
          Run one = run;
          one.channels = 1;
          for (int c = 0; c < run.channels; c++, one.channel++, one.first += one.plane)
            part.plane(row + c * out_pitch, one);
          write(run, row);
        }
      }
    });
  }

  ptrdiff_t weights_of(int group, int tap) const {
    return (static_cast<ptrdiff_t>(group) * p.kernel_size() + tap) * p.c * p.o;
  }

  // Computes out[channel][pixel]: the outputs of a block and a group.
  void compute(const Phase& phase, const Block& b, const T* packed, const T* weight, T* out) const {
    const Pass<T>& q = phase.pass;
    const int* at = offsets + phase.first_tap * p.c;
    const int k = q.taps() * p.c, flat = (b.rows - 1) * planes.pitch + b.columns;
    even_parts(p.o, wide_rows, [&](int begin, int size) {
      with_const<wide_rows>(size, [&](auto M) {
        constexpr int m = decltype(M)::value;
        const T* w = weight + static_cast<ptrdiff_t>(begin) * k;
        even_parts(ceil_div(flat, lanes<T>), wide_vectors, [&](int first, int vectors) {
          int skipped = 0, taps = k;
          if (q.axis[0].taps == 1) {
            const int row = b.row + first * lanes<T> / planes.pitch, end = (first + vectors) * lanes<T>;
            int tap, last;
            q.axis[1].taps_inside(row, b.row + ((end < flat ? end : flat) - 1) / planes.pitch, tap, last);
            skipped = tap * p.c * q.axis[2].taps, taps = (last - tap) * p.c * q.axis[2].taps;
          }
          with_const<wide_vectors>(vectors, [&](auto V) {
            pixel_tile<T, m, decltype(V)::value>(packed + first * lanes<T>, at + skipped, taps, w + skipped * m,
                                                 out + begin * out_pitch + first * lanes<T>,
                                                 static_cast<ptrdiff_t>(out_pitch));
          });
        });
      });
    });
  }

  // Removes the dropped outputs between a block's rows, by moving the rows together.
  void close_gaps(const Block& b, int channels, T* out) const {
    for (int c = 0; c < channels; c++, out += out_pitch)
      for (int h = 1; h < b.rows && planes.pitch > b.columns; h++) {
        const T* from = out + h * planes.pitch;
        T* to = out + h * b.columns;
        int j = 0;
        for (; j + lanes<T> <= b.columns; j += lanes<T>) store(to + j, load(from + j));
        if (j < b.columns) store_n(to + j, load_n(from + j, b.columns - j), b.columns - j);
      }
  }

  // out[tile of channels][tap][channel of the tile], the taps of a phase in the order of each_tap
  void pack_weights(const Pass<T>& q, int group, T* out) const {
    even_parts(p.o, wide_rows, [&](int begin, int size) {
      const T* from = p.w + group * p.w_group + begin * p.w_out;
      planes.each_tap(q, [&](int d, int h, int c, int w) {
        for (int i = 0; i < size; i++) *out++ = from[i * p.w_out + c * p.w_in + q.tap(d, h, w)];
      });
    });
  }

  void write(const Run& run, const T* out) const {
    T* to = p.y + run.first;
    if (run.plane == 1)
      return copy_transposed(out, static_cast<ptrdiff_t>(out_pitch), run.channels, run.pixels, to, run.pixel);
    for (int c = 0; c < run.channels; c++, to += run.plane, out += out_pitch) {
      if (run.pixel == 1) copy_run(to, out, run.pixels);
      else
        for (int j = 0; j < run.pixels; j++) to[j * run.pixel] = out[j];
    }
  }
};

}  // namespace EK_ISA
