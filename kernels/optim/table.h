// The table of an optimizer's parameters, and one parallel loop over all of them: every row is cut into tiles of a
// fixed size, and the tiles of all rows are shared out among the threads.
#pragma once
#include "types.h"

namespace EK_ISA {

// Addresses and a count, as doubles. They are exact, because addresses are below 2^53.
struct table_row {
  double parameter, gradient, state[3], elements;
};

template <class T> EK_INLINE T* pointer(double address) {
  return reinterpret_cast<T*>(static_cast<uintptr_t>(address));
}

struct parameter_table {
  const table_row* rows;
  int count;
  int tiles = 0;

  parameter_table(const double* table, int count_) : rows(reinterpret_cast<const table_row*>(table)), count(count_) {
    for (int i = 0; i < count; i++) tiles += tiles_of(i);
  }
  int tiles_of(int row) const { return ceil_div(static_cast<int>(rows[row].elements), tile_elements); }

  // Calls body(row, begin, end) for the tiles first … last − 1, in order.
  template <class F> void walk(int first, int last, const F& body) const {
    int row = 0, before = 0;
    for (int tile = first; tile < last; tile++) {
      while (tile - before >= tiles_of(row)) before += tiles_of(row++);
      const int begin = (tile - before) * tile_elements, n = static_cast<int>(rows[row].elements);
      body(rows[row], begin, n - begin < tile_elements ? n : begin + tile_elements);
    }
  }
  template <class F> void for_each(const F& body) const {
    parallel_for(tiles, [&](int tile, int) { walk(tile, tile + 1, body); });
  }
};

}  // namespace EK_ISA
