// Reads, writes and adds along the middle axis of (outer, n, inner), at positions from an int64 tensor. Reads split
// their output between threads. Writes split their destination, so that each element receives its terms in the order of
// the index.
#include "reduce/columns.h"

namespace EK_ISA {

// Notes whether any tile met an index outside [0, n).
struct index_check {
  int bad = 0;
  EK_INLINE bool valid(int64_t i, int n) {
    if (i >= 0 && i < n) return true;
    __atomic_store_n(&bad, 1, __ATOMIC_RELAXED);
    return false;
  }
  int status() const { return bad ? EK_BAD_INDEX : EK_OK; }
};

template <class T>
static int index_select(const T* x, const int64_t* index, T* out, int outer, int n, int count, int inner) {
  index_check check;
  // Indices are checked even if nothing is read.
  if (outer == 0 || inner == 0) {
    for (int k = 0; k < count; k++) check.valid(index[k], n);
    return check.status();
  }
  // A tile is some rows of the output, or a part of a long row.
  const int parts = ceil_div(inner, tile_elements), rows = inner < tile_elements ? tile_elements / inner : 1;
  parallel_blocks(outer * count * parts, rows, [&](int begin, int end) {
    for (int i = begin; i < end; i++) {
      const int row = i / parts, first = i % parts * tile_elements;
      const int length = inner - first < tile_elements ? inner - first : tile_elements;
      const int64_t k = index[row % count];
      if (!check.valid(k, n)) return;
      const T* __restrict from = x + (static_cast<int64_t>(row / count) * n + k) * inner + first;
      T* __restrict to = out + static_cast<int64_t>(row) * inner + first;
      for (int j = 0; j < length; j++) to[j] = from[j];
    }
  });
  return check.status();
}

EK_API int ek_index_select(int size, const void* x, const void* index, void* out, int outer, int n, int count,
                           int inner) {
  if (count == 0) return EK_OK;
  EK_DISPATCH_SIZE(size, return index_select(static_cast<const T*>(x), static_cast<const int64_t*>(index),
                                             static_cast<T*>(out), outer, n, count, inner);)
  return EK_OK;
}

// Floats are added in their own precision, each term to what is there, as in PyTorch.
template <class T> EK_INLINE T add(T a, T b) {
  if constexpr (is_float<T>) return a + b;
  else return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));  // wraps
}

// Calls put(T& to, T from) for each element that is written. A tile has a range of destination rows, and walks through
// the whole index: reading the index is cheap beside moving rows. If an index is bad, nothing is written.
template <class T, class F>
static int write_rows(const T* x, const int64_t* index, T* out, int outer, int n, int count, int inner, const F& put) {
  index_check check;
  for (int k = 0; k < count; k++)
    if (!check.valid(index[k], n)) return check.status();
  const int64_t work = static_cast<int64_t>(count) * inner;
  int ranges = work < 4 * tile_elements ? 1 : 8;
  if (ranges > n) ranges = n;
  parallel_for(outer * ranges, [=](int tile, int) {
    const int o = tile / ranges, range = tile % ranges;
    const int64_t low = static_cast<int64_t>(n) * range / ranges, high = static_cast<int64_t>(n) * (range + 1) / ranges;
    for (int k = 0; k < count; k++) {
      if (index[k] < low || index[k] >= high) continue;
      const T* __restrict from = x + (static_cast<int64_t>(o) * count + k) * inner;
      T* __restrict to = out + (static_cast<int64_t>(o) * n + index[k]) * inner;
      for (int j = 0; j < inner; j++) put(to[j], from[j]);
    }
  });
  return EK_OK;
}

EK_API int ek_index_add(int dtype, const void* x, const void* index, void* out, int outer, int n, int count,
                        int inner) {
  if (count == 0) return EK_OK;
  EK_DISPATCH_NUMBER(
      dtype, return write_rows(static_cast<const T*>(x), static_cast<const int64_t*>(index), static_cast<T*>(out),
                               outer, n, count, inner, [](T& to, T from) { to = add(to, from); });)
  return EK_OK;
}

EK_API int ek_index_put(int size, const void* x, const void* index, void* out, int outer, int n, int count, int inner) {
  if (count == 0) return EK_OK;
  EK_DISPATCH_SIZE(
      size, return write_rows(static_cast<const T*>(x), static_cast<const int64_t*>(index), static_cast<T*>(out), outer,
                              n, count, inner, [](T& to, T from) { to = from; });)
  return EK_OK;
}

EK_API int ek_index_positions(const void* index, void* positions, int ndim, const int* shape, const int* index_strides,
                              const int* ramp, int n, int step, int wrap, int accumulate) {
  int total = 1;
  for (int d = 0; d < ndim; d++) total *= shape[d];
  if (total == 0) return EK_OK;
  const int64_t* const from = static_cast<const int64_t*>(index);
  int64_t* const to = static_cast<int64_t*>(positions);
  const int last = ndim - 1, length = ndim > 0 ? shape[last] : 1;
  const int64_t index_step = ndim > 0 ? index_strides[last] : 0, ramp_step = ndim > 0 ? ramp[last] : 0;
  index_check check;
  parallel_blocks(total / length, length < tile_elements ? tile_elements / length : 1, [&](int begin, int end) {
    for (int row = begin; row < end; row++) {
      int64_t at = 0, base = 0;
      for (int d = last - 1, rest = row; d >= 0; rest /= shape[d], d--) {
        at += static_cast<int64_t>(rest % shape[d]) * index_strides[d];
        base += static_cast<int64_t>(rest % shape[d]) * ramp[d];
      }
      int64_t* const line = to + static_cast<int64_t>(row) * length;
      for (int i = 0; i < length; i++) {
        int64_t k = from[at + i * index_step];
        if (wrap && k < 0) k += n;
        if (!check.valid(k, n)) return;
        const int64_t position = base + i * ramp_step + k * step;
        line[i] = accumulate ? line[i] + position : position;
      }
    }
  });
  return check.status();
}

template <class T> static int gather(const T* x, const int64_t* index, T* out, int outer, int n, int count, int inner) {
  index_check check;
  const int rows = inner < tile_elements ? tile_elements / inner : 1;
  parallel_blocks(outer * count, rows, [&](int begin, int end) {
    for (int row = begin; row < end; row++) {
      const T* from = x + static_cast<int64_t>(row / count) * n * inner;
      const int64_t* k = index + static_cast<int64_t>(row) * inner;
      T* to = out + static_cast<int64_t>(row) * inner;
      for (int i = 0; i < inner; i++) {
        if (!check.valid(k[i], n)) return;
        to[i] = from[k[i] * inner + i];
      }
    }
  });
  return check.status();
}

EK_API int ek_gather(int size, const void* x, const void* index, void* out, int outer, int n, int count, int inner) {
  if (outer == 0 || count == 0 || inner == 0) return EK_OK;
  EK_DISPATCH_SIZE(size, return gather(static_cast<const T*>(x), static_cast<const int64_t*>(index),
                                       static_cast<T*>(out), outer, n, count, inner);)
  return EK_OK;
}

// Calls put(T& to, T from) for each element. A tile has a slice o and a range of i; no other tile writes there.
template <class T, class F>
static int scatter(const T* x, const int64_t* index, T* out, int outer, int n, int count, int inner, const F& put) {
  index_check check;
  constexpr int width = 256;  // columns of a tile
  for_columns(outer, count, inner, width, tile_elements, [&](int64_t o, int first, int columns) EK_INLINE_LAMBDA {
    T* to = out + o * n * inner;
    for (int k = 0; k < count; k++) {
      const int64_t at = (o * count + k) * inner;
      for (int i = first; i < first + columns; i++) {
        const int64_t row = index[at + i];
        if (!check.valid(row, n)) return;
        put(to[row * inner + i], x[at + i]);
      }
    }
  });
  return check.status();
}

EK_API int ek_scatter_add(int dtype, const void* x, const void* index, void* out, int outer, int n, int count,
                          int inner) {
  if (outer == 0 || count == 0 || inner == 0) return EK_OK;
  EK_DISPATCH_NUMBER(
      dtype, return scatter(static_cast<const T*>(x), static_cast<const int64_t*>(index), static_cast<T*>(out), outer,
                            n, count, inner, [](T& to, T from) EK_INLINE_LAMBDA { to = add(to, from); });)
  return EK_OK;
}

EK_API int ek_scatter_reduce(int op, int dtype, const void* x, const void* index, void* out, int outer, int n,
                             int count, int inner) {
  if (outer == 0 || count == 0 || inner == 0) return EK_OK;
  if (dtype == EK_BOOL && op != EK_REDUCE_PROD) dtype = EK_UINT8;
#define EK_SCATTER(value, combined)                                                                              \
  case value:                                                                                                    \
    return scatter(static_cast<const T*>(x), static_cast<const int64_t*>(index), static_cast<T*>(out), outer, n, \
                   count, inner, [](T& to, T from) EK_INLINE_LAMBDA { to = combined; });
  EK_DISPATCH_NUMBER(dtype, switch (op) {
    EK_SCATTER(EK_REDUCE_PROD, (static_cast<T>(static_cast<wrapping<T>>(to) * static_cast<wrapping<T>>(from))))
    EK_SCATTER(EK_REDUCE_MIN, min_nan(to, from))
    EK_SCATTER(EK_REDUCE_MAX, max_nan(to, from))
    default: return EK_BAD_ARGUMENT;
  })
#undef EK_SCATTER
  return EK_OK;
}

}  // namespace EK_ISA
