// Between tensors and the buffers of the loop cores, in either memory format: where the rows of a block lie, and how
// runs of them are copied.
#pragma once
#include "conv/geometry.h"
#include "conv/map.h"
#include "scratch.h"
#include "simd/copy.h"
#include "simd/strip.h"

namespace EK_ISA {

constexpr int kConvJobs = 32;            // jobs that a pass should have at least: work for many threads
constexpr int kPackedBytes = 256 << 10;  // bytes of a packed block of input: it stays in L2 beside a block of weights
// Pixels of a run of outputs. The run stays in L1, and is long enough to pay for what an epilogue does once per run.
constexpr int kRunPixels = 112;

// The layout of a packed block of input, in pixels: [image][depth][row][column].
struct PackedGrid {
  ptrdiff_t row, plane, image;  // pixels of each

  template <class T> PackedGrid(const Pass<T>& p, const Blocks& b) {
    row = p.axis[2].extent(b.columns), plane = row * p.axis[1].extent(b.rows), image = plane * p.axis[0].extent(1);
  }
  // The distance from a block's first pixel to the pixel that a tap of its first output reads.
  template <class T> ptrdiff_t tap(const Pass<T>& p, int d, int h, int w) const {
    const auto at = [&](int i, int t) { return p.axis[i].shift + t * p.axis[i].spacing; };
    return at(0, d) * plane + at(1, h) * row + at(2, w);
  }
};

// Calls row(pixel, columns, lo, hi, run) for each row of a packed block. The row begins at `pixel` and has `columns`
// columns. The columns lo … hi − 1 are `run` in the tensor; the others are padding, which is all of them if lo == hi.
// top … bottom − 1: which rows of each image and depth; by default all of them.
template <class T, class F>
EK_INLINE void each_packed_row(const Pass<T>& p, const PackedGrid& grid, const Block& b, int channel, int channels,
                               const F& row, int top = 0, int bottom = -1) {
  const Axis &ad = p.axis[0], &ah = p.axis[1], &aw = p.axis[2];
  const int all = p.c * p.groups;
  const bool last = p.x_format == EK_CHANNELS_LAST;
  const ptrdiff_t volume = p.in_volume(), pixel = last ? all : 1, plane = last ? 1 : volume;
  const int columns = aw.extent(b.columns), first = aw.offset + b.column * aw.stride * aw.unit;
  const int lo = first >= 0 ? 0 : ceil_div(-first, aw.unit) < columns ? ceil_div(-first, aw.unit) : columns;
  const int end = first >= aw.in_size ? 0 : ceil_div(aw.in_size - first, aw.unit);
  const int hi = end < lo ? lo : end < columns ? end : columns;
  for (int i = 0; i < b.images; i++)
    for (int d = 0; d < ad.extent(1); d++)
      for (int h = top; h < (bottom < 0 ? ah.extent(b.rows) : bottom); h++) {
        const int id = ad.offset + (b.depth * ad.stride + d) * ad.unit,
                  ih = ah.offset + (b.row * ah.stride + h) * ah.unit;
        const bool outside = id < 0 || id >= ad.in_size || ih < 0 || ih >= ah.in_size;
        const ptrdiff_t position = (static_cast<ptrdiff_t>(id) * ah.in_size + ih) * aw.in_size + first + lo * aw.unit;
        const Run run{hi - lo,         channel,
                      channels,        (b.image + i) * volume * all + position * pixel + channel * plane,
                      aw.unit * pixel, plane};
        row(i * grid.image + d * grid.plane + h * grid.row, columns, lo, outside ? lo : hi, run);
      }
}

// Cuts the outputs of a block in one image, of all phases, into units of up to `most` neighbouring pixels: whole rows
// of the tensor if the block has whole rows, otherwise parts of one row. Calls unit(depth, row, rows, column, columns,
// run) for each.
template <class T, class F>
EK_INLINE void each_output_unit(const Pass<T>& p, const Block& b, int image, int channel, int channels, int most,
                                const F& unit) {
  const Axis &ad = p.axis[0], &ah = p.axis[1], &aw = p.axis[2];
  const int all = p.o * p.groups;
  const bool last = p.y_format == EK_CHANNELS_LAST;
  const ptrdiff_t volume = p.out_volume(), pixel = last ? all : 1, plane = last ? 1 : volume;
  const int left = aw.output(b.column), width = aw.output(b.column + b.columns) - left;
  const int top = ah.output(b.row), height = ah.output(b.row + b.rows) - top;
  const bool whole = width == aw.out_size && width <= most;
  for (int d = ad.output(b.depth); d < ad.output(b.depth + 1); d++)
    even_parts(height, whole ? most / width : 1, [&](int row, int rows) {
      const int groups = most / aw.phases > 0 ? most / aw.phases : 1;  // groups of one output of each phase
      even_parts(ceil_div(width, aw.phases), whole ? aw.out_size : groups, [&](int group, int some) {
        const int column = group * aw.phases, end = column + some * aw.phases,
                  columns = (end < width ? end : width) - column;
        const ptrdiff_t position = (static_cast<ptrdiff_t>(d) * ah.out_size + top + row) * aw.out_size + left + column;
        unit(d, top + row, rows, left + column, columns,
             Run{rows * columns, channel, channels,
                 (b.image + image) * volume * all + position * pixel + channel * plane, pixel, plane});
      });
    });
}

// Copies a run out of the tensor x: channel c of pixel j goes to out[j·pitch + c].
template <class T> EK_INLINE void copy_in(const T* x, const Run& run, T* out, ptrdiff_t pitch) {
  const T* from = x + run.first;
  if (run.plane == 1 && run.pixel == pitch && run.channels == pitch)
    copy_run(out, from, static_cast<int>(run.pixels * pitch));
  else if (run.plane == 1)
    for (int j = 0; j < run.pixels; j++) copy_run(out + j * pitch, from + j * run.pixel, run.channels);
  else if (run.pixel == 1) copy_transposed(from, run.plane, run.channels, run.pixels, out, pitch);
  else
    for (int j = 0; j < run.pixels; j++)
      for (int c = 0; c < run.channels; c++) out[j * pitch + c] = from[j * run.pixel + c * run.plane];
}

// Whether pixels that lie so far apart fall into so few sets of a cache that they push each other out.
template <class T> bool meet_in_cache(ptrdiff_t pixel) { return pixel * sizeof(T) % 4096 == 0; }
// Whether a run of an output of `elements` elements is stored past the caches. If its pixels meet in the cache, the
// output may be half as large as otherwise.
template <class T> bool streams_out(const Run& run, const T* y, int64_t elements) {
  return run.plane == 1 && run.channels % line_of<T> == 0 &&
         can_stream(y + run.first, meet_in_cache<T>(run.pixel) ? 2 * elements : elements, run.pixel);
}

// Copies a run into the tensor y of `elements` elements: values[j·pitch + c] is channel c of pixel j. A job that calls
// this ends with stream_fence().
template <class T> inline void copy_out(const T* values, ptrdiff_t pitch, const Run& run, T* y, int64_t elements) {
  T* to = y + run.first;
  if (streams_out(run, y, elements)) {
    for (int j = 0; j < run.pixels; j++)
      for (int c = 0; c < run.channels; c += lanes<T>) stream(to + j * run.pixel + c, load(values + j * pitch + c));
  } else if (run.plane == 1 && run.channels % lanes<T> == 0) {
    for (int j = 0; j < run.pixels; j++)
      for (int c = 0; c < run.channels; c += lanes<T>) store(to + j * run.pixel + c, load(values + j * pitch + c));
  } else if (run.plane == 1) {
    for (int j = 0; j < run.pixels; j++) copy_run(to + j * run.pixel, values + j * pitch, run.channels);
  } else if (run.pixel == 1) {
    copy_transposed(values, pitch, run.pixels, run.channels, to, run.plane);
  } else {
    for (int c = 0; c < run.channels; c++)
      for (int j = 0; j < run.pixels; j++) to[c * run.plane + j * run.pixel] = values[j * pitch + c];
  }
}
// Prefetches the cache lines that copy_out will write. The hardware does not foresee lines that lie this far apart.
// Always inlined, because GCC drops calls of a function that only prefetches.
template <class T> EK_INLINE void prefetch_out(const Run& run, T* y, int64_t elements) {
  if (run.plane != 1 || streams_out(run, y, elements)) return;
  for (int j = 0; j < run.pixels; j++)
    for (int c = 0; c < run.channels; c += 64 / sizeof(T)) __builtin_prefetch(y + run.first + j * run.pixel + c, 1);
}

// Packs and maps a block's rows, with pixels `pixel` elements apart, and writes zeros for the padding.
template <class T, class Map>
inline void pack_rows(const Pass<T>& p, const PackedGrid& grid, const Block& b, int channel, int channels,
                      ptrdiff_t pixel, const Map& map, T* out) {
  each_packed_row(p, grid, b, channel, channels, [&](ptrdiff_t first, int columns, int lo, int hi, const Run& run) {
    T* to = out + first * pixel;
    zero_run(to, lo * pixel);
    zero_run(to + hi * pixel, (columns - hi) * pixel);
    if (lo == hi) return;
    copy_in(p.x, run, to + lo * pixel, pixel);
    map.channels(to + lo * pixel, pixel, run);
  });
}

// Packs a run of x into panels of `width` channels, from pixel `pixel` of each panel on, and maps it. The layout of
// `out` is [panel][pixel][channel], with `volume` pixels in a panel. Lanes behind the last channel are 0.
template <class T, class Map>
inline void pack_panels(const T* x, const Run& run, int width, ptrdiff_t volume, ptrdiff_t pixel, const Map& map,
                        T* out) {
  const int whole = run.channels / width * width;
  if (run.plane == 1 && whole > 0) copy_panels(out, volume, pixel, x + run.first, run.pixel, run.pixels, whole, width);
  for (int c = 0; c < run.channels; c += width) {
    T* to = out + c * volume + pixel * width;
    const Run part{run.pixels, run.channel + c, c < whole ? width : run.channels - whole, run.first + c * run.plane,
                   run.pixel,  run.plane};
    if (c == whole) zero_run(to, static_cast<ptrdiff_t>(run.pixels) * width);
    if (c == whole || run.plane != 1) copy_in(x, part, to, width);
    map.channels(to, width, part);
  }
}

}  // namespace EK_ISA
