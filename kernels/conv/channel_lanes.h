// Loop core whose lanes are output channels: a tile of pixels × channels, over input rows packed channels last and zero
// padded, so that one kernel row of a pixel is a contiguous run. Best when a group has many output channels.
// The other core is pixel_lanes.h; conv_core.h chooses.
#pragma once
#include "conv/geometry.h"
#include "conv/map.h"
#include "scratch.h"
#include "simd/copy.h"
#include "simd/strip.h"
#include "simd/tile.h"

namespace EK_ISA {

constexpr int kConvJobs = 32;            // wanted, so that many threads have work
constexpr int kPackedBytes = 256 << 10;  // of a block of input: it stays in L2 beside a block of weights

// A block of packed input, in pixels: [image][depth][row][column].
struct PackedGrid {
  ptrdiff_t row, plane, image;  // sizes

  template <class T> PackedGrid(const Pass<T>& p, const Blocks& b) {
    row = p.axis[2].extent(b.columns), plane = row * p.axis[1].extent(b.rows), image = plane * p.axis[0].extent(1);
  }
  // From an output's first pixel to the one under a tap.
  template <class T> ptrdiff_t tap(const Pass<T>& p, int d, int h, int w) const {
    return d * p.axis[0].spacing * plane + h * p.axis[1].spacing * row + w * p.axis[2].spacing;
  }
};

// Where the runs of one output lie in a packed block whose pixels have all channels of a group.
template <class T> struct ChannelRows {
  PackedGrid grid;
  int run, runs, run_taps;  // length, number, and how many taps of a row join into one run
  ptrdiff_t pixel;

  ChannelRows(const Pass<T>& p, const Blocks& b) : grid(p, b) {
    // Pixels a power of two apart would meet in the same few sets of the L1 cache.
    const bool spread = p.c * sizeof(T) >= 512 && p.c * sizeof(T) % 256 == 0;
    pixel = spread ? p.c + static_cast<int>(64 / sizeof(T)) : p.c;
    const bool joined = p.axis[2].taps <= 1 || (p.axis[2].spacing == 1 && !spread);
    run_taps = joined ? p.axis[2].taps : 1;
    run = run_taps * p.c, runs = run ? p.taps() / run_taps : 0;
  }
  // offsets[runs], in the order of the taps.
  void offsets(const Pass<T>& p, int* out) const {
    for (int d = 0; d < p.axis[0].taps; d++)
      for (int h = 0; h < p.axis[1].taps; h++)
        for (int w = 0; w < p.axis[2].taps; w += run_taps) *out++ = static_cast<int>(grid.tap(p, d, h, w) * pixel);
  }
};

// row(pixel, columns, lo, hi, run) for each row of a packed block: it begins at `pixel` and has so many columns, of which lo … hi are
// `run` in the tensor, and the others, or all where lo == hi, padding.
template <class T, class F>
EK_INLINE void each_packed_row(const Pass<T>& p, const PackedGrid& grid, const Block& b, int channel, int channels, const F& row) {
  const Axis &ad = p.axis[0], &ah = p.axis[1], &aw = p.axis[2];
  const int all = p.c * p.groups;
  const bool last = p.x_format == EK_CHANNELS_LAST;
  const ptrdiff_t volume = p.in_volume(), pixel = last ? all : 1, plane = last ? 1 : volume;
  const int columns = aw.extent(b.columns), first = aw.offset + b.column * aw.stride * aw.unit;
  const int lo = first >= 0 ? 0 : ceil_div(-first, aw.unit) < columns ? ceil_div(-first, aw.unit) : columns;
  const int end = first >= aw.in_size ? 0 : ceil_div(aw.in_size - first, aw.unit), hi = end < lo ? lo : end < columns ? end : columns;
  for (int i = 0; i < b.images; i++)
    for (int d = 0; d < ad.extent(1); d++)
      for (int h = 0; h < ah.extent(b.rows); h++) {
        const int id = ad.offset + (b.depth * ad.stride + d) * ad.unit, ih = ah.offset + (b.row * ah.stride + h) * ah.unit;
        const bool outside = id < 0 || id >= ad.in_size || ih < 0 || ih >= ah.in_size;
        const ptrdiff_t position = (static_cast<ptrdiff_t>(id) * ah.in_size + ih) * aw.in_size + first + lo * aw.unit;
        const Run run{hi - lo, channel, channels, (b.image + i) * volume * all + position * pixel + channel * plane, aw.unit * pixel, plane};
        row(i * grid.image + d * grid.plane + h * grid.row, columns, lo, outside ? lo : hi, run);
      }
}

// out[j·pitch + c] = channel c of pixel j of a run in the tensor x.
template <class T> EK_INLINE void copy_in(const T* x, const Run& run, T* out, ptrdiff_t pitch) {
  const T* from = x + run.first;
  if (run.plane == 1 && run.pixel == pitch) copy_run(out, from, static_cast<int>(run.pixels * pitch));
  else if (run.plane == 1)
    for (int j = 0; j < run.pixels; j++) copy_run(out + j * pitch, from + j * run.pixel, run.channels);
  else if (run.pixel == 1) copy_transposed(from, run.plane, run.channels, run.pixels, out, pitch);
  else
    for (int j = 0; j < run.pixels; j++)
      for (int c = 0; c < run.channels; c++) out[j * pitch + c] = from[j * run.pixel + c * run.plane];
}

// The same back: values[j·pitch + c] go to their places in the tensor y of `elements` elements. next: so many channels behind these come
// next; no hardware foresees lines that far apart. A job that has stored ends with stream_fence().
template <class T> inline void copy_out(const T* values, ptrdiff_t pitch, const Run& run, T* y, int64_t elements, int next) {
  T* to = y + run.first;
  if (run.plane == 1 && run.channels % lanes<T> == 0 && can_stream(to, elements, run.pixel)) {
    for (int j = 0; j < run.pixels; j++)
      for (int c = 0; c < run.channels; c += lanes<T>) stream(to + j * run.pixel + c, load(values + j * pitch + c));
  } else if (run.plane == 1) {
    for (int j = 0; j < run.pixels; j++) {
      for (int c = 0; c < next; c += 64 / sizeof(T)) __builtin_prefetch(to + j * run.pixel + run.channels + c, 1);
      copy_run(to + j * run.pixel, values + j * pitch, run.channels);
    }
  } else if (run.pixel == 1) {
    copy_transposed(values, pitch, run.pixels, run.channels, to, run.plane);
  } else {
    for (int c = 0; c < run.channels; c++)
      for (int j = 0; j < run.pixels; j++) to[c * run.plane + j * run.pixel] = values[j * pitch + c];
  }
}

// Packs a run in panels of `width` channels, out[panel][pixel][channel] with `volume` pixels each, from `pixel` on, and maps them. Lanes
// beyond the last channel are 0.
template <class T, class Map>
inline void pack_panels(const T* x, const Run& run, int width, ptrdiff_t volume, ptrdiff_t pixel, const Map& map, T* out) {
  const int whole = run.channels / width * width;
  if (run.plane == 1 && whole > 0) copy_panels(out, volume, pixel, x + run.first, run.pixel, run.pixels, whole, width);
  for (int c = 0; c < run.channels; c += width) {
    T* to = out + c * volume + pixel * width;
    const Run part{run.pixels, run.channel + c, c < whole ? width : run.channels - whole, run.first + c * run.plane, run.pixel, run.plane};
    if (c == whole) zero_run(to, static_cast<ptrdiff_t>(run.pixels) * width);
    if (c == whole || run.plane != 1) copy_in(x, part, to, width);
    map.channels(to, width, part);
  }
}

// Packs a group's input under block b, pixels `pitch` apart, zero where it is padding, and applies the prologue to what is not.
template <class T, class Prologue>
void pack_channels(const Pass<T>& p, const PackedGrid& grid, const Block& b, int group, ptrdiff_t pitch, const Prologue& prologue, T* out) {
  each_packed_row(p, grid, b, group * p.c, p.c, [&](ptrdiff_t pixel, int columns, int lo, int hi, const Run& run) {
    T* to = out + pixel * pitch;
    zero_run(to, lo * pitch);
    zero_run(to + hi * pitch, (columns - hi) * pitch);
    if (lo == hi) return;
    copy_in(p.x, run, to + lo * pitch, pitch);
    prologue.channels(to + lo * pitch, pitch, run);
  });
}

// out[tap][c][width]: the weights of output channels o … o + width of one group, zero beyond the group.
template <class T> void pack_channel_weights(const Pass<T>& p, int group, int o, int width, T* out) {
  const int used = p.o - o < width ? p.o - o : width, taps = p.taps(), dense = p.dense_taps();
  if (used < width) zero_run(out, static_cast<ptrdiff_t>(taps) * p.c * width);
  const T* w = p.w + group * p.w_group + o * p.w_out;
  if (dense && taps == 1 && p.w_in == 1) return copy_transposed(w, p.w_out, used, p.c, out, width);
  if (dense) {
    const ptrdiff_t step = static_cast<ptrdiff_t>(p.c) * width;  // the kernel's positions, first to last or last to first
    for (int c = 0; c < p.c; c++)
      copy_transposed(w + c * p.w_in, p.w_out, used, taps, out + c * width + (dense < 0 ? (taps - 1) * step : 0), dense * step);
    return;
  }
  for (int d = 0; d < p.axis[0].taps; d++)
    for (int h = 0; h < p.axis[1].taps; h++)
      for (int v = 0; v < p.axis[2].taps; v++, out += p.c * width)
        for (int c = 0; c < p.c; c++)
          for (int i = 0; i < used; i++) out[c * width + i] = w[i * p.w_out + c * p.w_in + p.tap(d, h, v)];
}

// out[pixel][V·lanes] = Σ over runs r and positions q: a[pixel·a_pixel + offsets[r] + q] · w[r][q][V·lanes]
template <class T, int M, int V>
__attribute__((noinline)) void channel_tile(const T* a, ptrdiff_t a_pixel, const int* offsets, int runs, int run, const T* w, T* out) {
  constexpr int W = V * lanes<T>;
  vec<T> acc[M][V] = {};
  for (int r = 0; r < runs; r++, w += static_cast<ptrdiff_t>(run) * W) outer<T, M, V>(acc, a + offsets[r], a_pixel, 1, w, W, run);
#pragma GCC unroll 16
  for (int i = 0; i < M; i++)
#pragma GCC unroll 16
    for (int v = 0; v < V; v++) store(out + i * W + v * lanes<T>, acc[i][v]);
}

template <class T> struct ChannelLanes {
  Pass<T> p;
  Blocks blocks;
  ChannelRows<T> rows;
  int vectors, width, o_blocks, chunks, per_chunk;  // blocks of output channels; a job does a chunk of them
  size_t weights_size, packed_size, row_size;
  T *weights, *workers;
  int* offsets;

  static Blocks choose(const Pass<T>& p) {
    return choose_blocks(p, p.c, kPackedBytes / static_cast<int>(sizeof(T)), ceil_div(kConvJobs, p.groups), outer_rows);
  }

  // Vector operations for the whole pass and group, beside which all else is small; for choosing between the cores.
  static double cost(const Pass<T>& p) {
    const double pixels = static_cast<double>(p.axis[0].count) * p.axis[1].count * p.axis[2].count;
    double moved = 0;  // transposing costs about one operation for each element
    if (p.x_format == EK_CONTIGUOUS) moved += p.c * static_cast<double>(p.in_volume());
    if (p.y_format == EK_CONTIGUOUS) moved += p.o * pixels;
    return pixels * p.taps() * p.c * ceil_div(p.o, lanes<T>) + moved;
  }

  ChannelLanes(const Pass<T>& pass, Scratch& scratch) : p(pass), blocks(choose(pass)), rows(pass, blocks) {
    vectors = p.o > lanes<T> ? outer_vectors : 1, width = vectors * lanes<T>, o_blocks = ceil_div(p.o, width);
    const int jobs = blocks.count() * p.groups;
    chunks = jobs >= kConvJobs ? 1 : ceil_div(kConvJobs, jobs ? jobs : 1) < o_blocks ? ceil_div(kConvJobs, jobs ? jobs : 1) : o_blocks;
    per_chunk = ceil_div(o_blocks, chunks), chunks = ceil_div(o_blocks, per_chunk);
    weights_size = static_cast<size_t>(p.taps()) * p.c * width;
    packed_size = static_cast<size_t>(rows.grid.image) * blocks.images * rows.pixel + 64 / sizeof(T);
    row_size = static_cast<size_t>(blocks.columns) * width;
    weights = scratch.take<T>(weights_size * o_blocks * p.groups);
    offsets = scratch.take<int>(rows.runs);
    workers = scratch.take<T>((packed_size + row_size) * worker_count());
  }

  int parts() const { return blocks.count(); }

  template <class Prologue, class Epilogue> void run(const Prologue& prologue, const Epilogue& epilogue) const {
    rows.offsets(p, offsets);
    parallel_for(o_blocks * p.groups, [&](int i, int) {
      pack_channel_weights(p, i / o_blocks, i % o_blocks * width, width, weights + i * weights_size);
    });
    parallel_for(blocks.count() * p.groups * chunks, [&](int job, int worker) {
      const int chunk = job % chunks, group = job / chunks % p.groups;
      const int index = job / (chunks * p.groups);
      const Block b = blocks(p, index);
      const auto part = epilogue.part(index);
      T* packed = workers + worker * (packed_size + row_size);
      T* out = packed + packed_size;
      pack_channels(p, rows.grid, b, group, rows.pixel, prologue, packed);
      const int end = (chunk + 1) * per_chunk < o_blocks ? (chunk + 1) * per_chunk : o_blocks;
      for (int o = chunk * per_chunk; o < end; o++)
        for (int i = 0; i < b.images; i++)
          for (int h = 0; h < b.rows; h++) {
            const T* a = packed + (i * rows.grid.image + h * p.axis[1].stride * rows.grid.row) * rows.pixel;
            const T* w = weights + (static_cast<size_t>(group) * o_blocks + o) * weights_size;
            if (vectors == 1) row<1>(b, b.row + h, a, w, out);
            else row<outer_vectors>(b, b.row + h, a, w, out);
            const int left = p.o - o * width;
            const Run run = p.output_run(b, b.image + i, b.row + h, group * p.o + o * width, left < width ? left : width);
            part.channels(out, width, run);
            copy_out(out, width, run, p.y, p.out_elements(), o + 1 < end ? width : 0);
          }
      stream_fence();
    });
  }

  // One row of outputs, without the kernel's rows that see only padding.
  template <int V> void row(const Block& b, int h, const T* a, const T* w, T* out) const {
    const ptrdiff_t pixel = p.axis[2].stride * rows.pixel;
    int first = 0, last = p.axis[1].taps;
    if (p.axis[0].taps == 1) p.axis[1].taps_inside(h, h, first, last);
    const int each = p.taps() ? rows.runs / (p.axis[0].taps * p.axis[1].taps) : 0;
    const int runs = p.axis[0].taps == 1 ? (last - first) * each : rows.runs;
    w += static_cast<ptrdiff_t>(first) * each * rows.run * V * lanes<T>;
    even_parts(b.columns, outer_rows, [&](int begin, int size) {
      with_const<outer_rows>(size, [&](auto M) {
        channel_tile<T, decltype(M)::value, V>(a + begin * pixel, pixel, offsets + first * each, runs, rows.run, w, out + begin * V * lanes<T>);
      });
    });
  }
};

}  // namespace EK_ISA
