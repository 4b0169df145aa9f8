// How the loops of batch norm see a tensor (n, c, s), and how it is cut into blocks. There are two ways.
//   planes  The tensor consists of planes: runs of s values of one channel. Neighbouring channels with short planes
//           are computed together, as a group.
//   rows    The tensor is a matrix. Column v belongs to channel v / div % mod. This is for channels last, for 2-D
//           tensors, and for contiguous ones with a small s. Short rows are joined into one that fills whole vectors.
// Blocks depend on the shape alone, so that every number of threads gives the same sums.
#pragma once
#include "kernel.h"
#include "simd/strip.h"

namespace EK_ISA {

constexpr int kShortPlane = 32;   // elements of a plane; if it is shorter, the tensor is seen as rows
constexpr int kLongPlane = 1024;  // elements of a plane; if it is shorter, neighbouring channels are a group
// Elements of a channel that are summed together. If its planes are shorter, they come from several images.
constexpr int kTogether = 256;
constexpr int kGroupElements = 1 << 17;  // elements of a group that fits a cache, of x and of dy each
constexpr int kGroupRun = 256;           // elements of such a group that lie side by side in memory, at least
// The same for a group that does not fit: as many as are wanted.
constexpr int kLongGroupRun = has_prefetch ? 8192 : 1 << 16;
constexpr int kGroup = 64;  // planes of a group at most
// Elements that a block should have: few enough to give work to many threads, enough to pay for loading the numbers of
// its channels.
constexpr int kBlockElements = 1 << 15;
constexpr int kBlocks = 64;     // blocks of rows of a large tensor: more blocks would be more sums to merge
constexpr int kColumns = 1024;  // columns of a block of rows at most
// Floats in a vector of the widest machine. It is used on every machine, so that all have the same blocks.
constexpr int kVector = 64 / sizeof(float);
constexpr int kRowColumns = 64;  // columns of joined rows at least
constexpr int kBlockRows = 128;  // rows of a block at least: a block leaves two sums for each column

struct Layout {
  bool planes;
  bool fits;  // whether a group of planes fits a cache
  int n, c, s, format;
  int64_t tensor_elements;  // elements of the whole tensor, if this is a part of one
  // For planes: channels of a group, groups; images of a block, elements of a part of a plane, parts.
  int group, groups, images, part, parts;
  // For rows.
  int64_t rows;
  int columns, div, mod, block_rows, block_columns;
  int joined, left;  // rows of c that are joined into one; rows of c at the end, too few for a joined row
  int row_blocks, column_blocks;

  Layout(int n_, int c_, int s_, int format_)
      : fits(false), n(n_), c(c_), s(s_), format(format_), tensor_elements(static_cast<int64_t>(n_) * c_ * s_) {
    planes = format == EK_CONTIGUOUS && s >= kShortPlane;
    if (planes) {
      part = s < 2 * kBlockElements ? s : kBlockElements, parts = ceil_div(s, part);
      const int64_t fitting = kGroupElements / count();
      // Without prefetches (WebAssembly) the tensor is read in its order: there short runs that lie far apart cost more
      // than a second pass.
      fits = has_prefetch && (s >= kLongPlane || fitting * s >= kGroupRun);
      group = !fits ? ceil_div(kLongGroupRun, s) : s >= kLongPlane ? 1 : static_cast<int>(fitting);
      group = group > kGroup ? kGroup : group;
      if (group > c) group = c > 0 ? c : 1;
      groups = ceil_div(c, group);
      const int64_t image = static_cast<int64_t>(group) * s;
      images = parts > 1 || kBlockElements < image ? 1 : static_cast<int>(kBlockElements / image);
      if (images > n) images = n;
      return;
    }
    div = 1, mod = c, joined = 1, left = 0, rows = static_cast<int64_t>(n) * s, columns = c;
    if (format == EK_CONTIGUOUS && s > 1) rows = n, columns = c * s, div = s;
    else {
      int join = 1;
      while (c * join % kVector || c * join < kRowColumns) join *= 2;
      if (c * join <= kColumns && rows >= 4 * join)
        joined = join, left = static_cast<int>(rows % join), rows /= join, columns = c * join;
    }
    block_columns = columns <= kColumns ? columns : div >= kColumns ? div : kColumns / div * div;
    const int64_t share = tensor_elements / kBlocks, least = kBlockElements, most = 4 * least;
    const int64_t elements = share < least ? least : share < most ? share : most;
    const int64_t wanted = elements / block_columns < kBlockRows ? kBlockRows : elements / block_columns;
    block_rows = static_cast<int>(wanted < rows ? wanted : rows > 0 ? rows : 1);
    row_blocks = static_cast<int>((rows + block_rows - 1) / block_rows),
    column_blocks = ceil_div(columns, block_columns);
  }

  bool empty() const { return n == 0 || c == 0 || s == 0; }
  // blocks: partial sums of each channel. jobs: blocks × groups of planes, or blocks of rows × blocks of columns.
  int blocks() const { return empty() ? 0 : planes ? ceil_div(n, images) * parts : row_blocks + (left ? 1 : 0); }
  int jobs() const { return empty() ? 0 : planes ? blocks() * groups : row_blocks * column_blocks + (left ? 1 : 0); }

  int64_t count() const { return static_cast<int64_t>(n) * s; }
  // The place of element i (0 … n·s − 1) of a channel.
  ptrdiff_t place(int channel, int64_t i) const {
    if (format == EK_CHANNELS_LAST || s == 1) return static_cast<ptrdiff_t>(i) * c + channel;
    return (static_cast<ptrdiff_t>(i / s) * c + channel) * s + static_cast<ptrdiff_t>(i % s);
  }

  // A function that calls body(place) for all elements of a channel.
  auto each_of(int channel) const {
    return [this, channel](const auto& body) {
      const ptrdiff_t step = place(channel, 1) - place(channel, 0);
      for (int i = 0; i < n; i++) {
        const ptrdiff_t at = place(channel, static_cast<int64_t>(i) * s);
        for (int j = 0; j < s; j++) body(at + j * step);
      }
    };
  }

  // ---- planes
  int first_channel(int g) const { return g * group; }
  int channels(int g) const { return c - g * group < group ? c - g * group : group; }
  ptrdiff_t image() const { return static_cast<ptrdiff_t>(c) * s; }
  // The number of images whose runs of a channel are summed together.
  int at_once() const { return s < kTogether ? ceil_div(kTogether, s) : 1; }
  // Elements from a run to the memory to prefetch: the runs of the next images, or of the next channels.
  template <class T> ptrdiff_t ahead() const {
    const int together = at_once() * group * s;
    return fits && s <= kAhead<T> ? ceil_div(kAhead<T>, together) * at_once() * image() : kAhead<T>;
  }
  // Calls body(channel, first element, length, images) for the runs of a block of a group. A call covers the runs of up
  // to `most` images.
  template <class F> EK_INLINE void each_run(int g, int block, int most, const F& body) const {
    const int start = block % parts * part, from = first_channel(g), to = from + channels(g),
              length = s - start < part ? s - start : part;
    const int first = block / parts * images, last = n - first < images ? n : first + images;
    for (int i = first; i < last; i += most)
      for (int channel = from; channel < to; channel++)
        body(channel, i * image() + static_cast<ptrdiff_t>(channel) * s + start, length,
             last - i < most ? last - i : most);
  }

  // ---- rows
  int channel(int column) const { return column / div % mod; }
  // Room for one number per column of a block, in whole vectors of any machine.
  int block_room() const { return ceil_div(block_columns, kVector) * kVector; }
  struct Block {
    ptrdiff_t at, pitch;
    int rows, column, columns;
    int partial;  // the index of its partial sums
  };
  Block block(int job) const {
    if (job == row_blocks * column_blocks) return {static_cast<ptrdiff_t>(rows) * columns, c, left, 0, c, row_blocks};
    const int row_block = job / column_blocks, column = job % column_blocks * block_columns;
    const int64_t row = static_cast<int64_t>(row_block) * block_rows;
    return {static_cast<ptrdiff_t>(row) * columns + column,
            columns,
            static_cast<int>(rows - row < block_rows ? rows - row : block_rows),
            column,
            columns - column < block_columns ? columns - column : block_columns,
            row_block};
  }
};

}  // namespace EK_ISA
