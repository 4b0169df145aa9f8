// How work along the middle axis of (outer, n, inner) is cut into columns: for what walks along the axis, and keeps a
// few numbers for each column on the stack meanwhile.
#pragma once
#include "types.h"

namespace EK_ISA {

// Calls body(o, first, columns) for panels of at most `width` columns of inner, in parallel. A tile has about
// `elements` elements. Short columns need an inlined body (EK_INLINE_LAMBDA): a call took up to 20 % of their time.
template <class F> inline void for_columns(int outer, int n, int inner, int width, int elements, const F& body) {
  const int panels = ceil_div(inner, width);
  const int64_t work = static_cast<int64_t>(n) * (inner < width ? inner : width);
  const int block = work >= elements ? 1 : static_cast<int>(elements / work);
  parallel_blocks(outer * panels, block, [=](int begin, int end) {
    for (int i = begin; i < end; i++) {
      const int first = i % panels * width, left = inner - first;
      body(i / panels, first, left < width ? left : width);
    }
  });
}

}  // namespace EK_ISA
