// How a reduction over the middle axis of (outer, n, inner) is cut into work. A slice x[o] is seen as a matrix, whose
// rows are added up elementwise into accumulators. If the inner axis is large, a row of the matrix is cut into panels.
// If it is small, several consecutive k form a row, and the accumulators are folded at the end. So one loop serves all
// shapes. The cut depends on the shape alone, never on the number of threads.
#pragma once
#include "types.h"

namespace EK_ISA {

constexpr int panel_width = 128;  // accumulators of a panel: 1 KB of doubles, and a multiple of every vector
constexpr int max_splits = 16;    // parts of a panel's rows at most; rows are split if outer·panels gives too few tiles

struct panels {
  int inner;
  int group;      // consecutive k in a row
  int width;      // elements of a row: group·inner
  int rows;       // full rows of x[o]
  int rest;       // elements behind the full rows, less than one row
  int count;      // panels of a row; 1 if a row has several k
  int splits;     // parts of a panel's rows
  int64_t slice;  // elements of x[o]

  panels(int outer, int n, int inner_) : inner(inner_) {
    group = panel_width / inner;
    group = group < 1 ? 1 : group > n ? n : group;
    if (group < 1) group = 1;
    width = group * inner;
    rows = n / group;
    rest = n % group * inner;
    count = ceil_div(width, panel_width);
    slice = static_cast<int64_t>(n) * inner;
    const int64_t work = static_cast<int64_t>(rows) * (width < panel_width ? width : panel_width);
    splits = static_cast<int64_t>(outer) * count >= max_splits ? 1 : static_cast<int>(work / tile_elements);
    splits = splits < 1 ? 1 : splits > max_splits ? max_splits : splits;
  }

  int columns(int panel) const {
    const int left = width - panel * panel_width;
    return left < panel_width ? left : panel_width;
  }
  int first_row(int split) const { return part_begin(rows, split, splits); }
};

// Calls part(o, panel, split, P&) for every part, and finish(o, panel, parts, splits) once per panel, with its parts in
// order. P is the result of a part: some KB, on the stack.
template <class P, class Part, class Finish>
inline void for_panels(const panels& p, int outer, const Part& part, const Finish& finish) {
  if (p.splits == 1) {
    const int64_t work = static_cast<int64_t>(p.rows + 1) * p.columns(0);
    const int block = work >= tile_elements ? 1 : static_cast<int>(tile_elements / work);
    parallel_blocks(outer * p.count, block, [&](int begin, int end) {
      P result;
      for (int i = begin; i < end; i++) {
        part(i / p.count, i % p.count, 0, result);
        finish(i / p.count, i % p.count, &result, 1);
      }
    });
    return;
  }
  P parts[max_splits];
  for (int i = 0; i < outer * p.count; i++) {
    parallel_for(p.splits, [&](int split, int) { part(i / p.count, i % p.count, split, parts[split]); });
    finish(i / p.count, i % p.count, parts, p.splits);
  }
}

// Merges `group` groups of `inner` neighbouring accumulators into the first, in a fixed tree of merge(to, from,
// length).
template <class F> EK_INLINE void fold(int group, int inner, const F& merge) {
  while (group > 1) {
    const int half = (group + 1) / 2;
    merge(0, half * inner, (group - half) * inner);
    group = half;
  }
}

}  // namespace EK_ISA
