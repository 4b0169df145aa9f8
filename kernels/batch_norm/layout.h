// How the batch-norm loops see a tensor. Planes: runs of s values of one channel, lanes along the run. Rows: a matrix whose
// columns are (virtual) channels, lanes across them; column v belongs to channel v / div % mod. Rows serve channels last, 2-D
// tensors and contiguous ones with a small s; several short rows are joined into one that fills whole vectors.
#pragma once
#include "kernel.h"
#include "simd/copy.h"

namespace EK_ISA {

constexpr int kShortPlane = 64;         // below, lanes run across channels
constexpr int kBlockElements = 1 << 15;  // wanted of a block: small enough to spread, large enough to pay for its parameters
constexpr int kColumns = 2048;          // at most, of a block of rows

struct Layout {
  bool planes;
  int n, c, s;
  // Planes: blocks of images × parts of a plane, for each channel.
  int images, part;
  // Rows.
  int64_t rows;
  int columns, div, mod, block_rows, block_columns, joined, left;  // left: rows of c that fill no joined row
  int row_blocks, column_blocks;

  Layout(int n_, int c_, int s_, int format) : n(n_), c(c_), s(s_) {
    planes = format == EK_CONTIGUOUS && s >= kShortPlane;
    if (planes) {
      part = s < 2 * kBlockElements ? s : kBlockElements;
      images = part < s ? 1 : kBlockElements / s < 1 ? 1 : kBlockElements / s < n ? kBlockElements / s : n;
      return;
    }
    constexpr int unit = 64 / sizeof(double);  // the same for every machine, so that all give the same blocks
    div = 1, mod = c, joined = 1, left = 0, rows = static_cast<int64_t>(n) * s, columns = c;
    if (format == EK_CONTIGUOUS && s > 1) rows = n, columns = c * s, div = s;
    else {
      int common = unit;
      while (c % common) common /= 2;
      const int join = 2 * unit / common;  // whole vectors of float too
      if (c * join <= kColumns && rows >= 4 * join) joined = join, left = static_cast<int>(rows % join), rows /= join, columns = c * join;
    }
    block_columns = columns <= kColumns ? columns : div >= kColumns ? div : kColumns / div * div;
    const int64_t wanted = kBlockElements / block_columns < 8 ? 8 : kBlockElements / block_columns;
    block_rows = static_cast<int>(wanted < rows ? wanted : rows > 0 ? rows : 1);
    row_blocks = static_cast<int>((rows + block_rows - 1) / block_rows), column_blocks = ceil_div(columns, block_columns);
  }

  int parts() const { return ceil_div(s, part); }
  int channel(int column) const { return column / div % mod; }
  bool empty() const { return n == 0 || c == 0 || s == 0; }
  // Partial results for each channel.
  int blocks() const { return empty() ? 0 : planes ? ceil_div(n, images) * parts() : row_blocks + (left ? 1 : 0); }
  int jobs() const { return empty() ? 0 : planes ? blocks() * c : row_blocks * column_blocks + (left ? 1 : 0); }

  // A block of one channel's planes: body(first element, length), plane by plane.
  template <class F> EK_INLINE void each_run(int block, int channel, const F& body) const {
    const int first = block / parts() * images, start = block % parts() * part;
    const int length = s - start < part ? s - start : part;
    for (int i = first; i < n && i < first + images; i++) body((static_cast<ptrdiff_t>(i) * c + channel) * s + start, length);
  }
  // A block of rows: body(first element, pitch, rows, first column, columns), the columns cut into strips of at most `strip`.
  template <class F> EK_INLINE void each_strip(int job, int strip, const F& body) const {
    const bool tail = job == row_blocks * column_blocks;  // rows left over by joining
    const int width = tail ? c : columns, row_block = tail ? 0 : job / column_blocks, column_block = tail ? 0 : job % column_blocks;
    const int64_t row = tail ? rows * joined : static_cast<int64_t>(row_block) * block_rows;
    const int count = tail ? left : static_cast<int>(rows - row < block_rows ? rows - row : block_rows);
    const int begin = column_block * block_columns, end = tail ? c : begin + block_columns < columns ? begin + block_columns : columns;
    for (int j = begin; j < end; j += strip) body(static_cast<ptrdiff_t>(row) * width + j, width, count, j, end - j < strip ? end - j : strip);
  }
  // The block of partial results that a job of rows adds to.
  int block_of(int job) const { return job == row_blocks * column_blocks ? row_blocks : job / column_blocks; }
};

}  // namespace EK_ISA
