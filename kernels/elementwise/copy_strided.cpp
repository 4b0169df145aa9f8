// Copies between two strided arrays: permutations, slices, broadcasts, and the change of memory format.
#include "elementwise/broadcast.h"
#include "simd/copy.h"

namespace EK_ISA {

struct axis {
  int length;
  int64_t from, to;  // strides
};

// Axes in the order of the output's strides, largest first, neighbours merged where both arrays walk them as one. -1:
// too many.
static int normalize(int ndim, const int* shape, const int* x_strides, const int* out_strides, axis* axes) {
  auto magnitude = [](int64_t v) { return v < 0 ? -v : v; };
  int count = 0;
  for (int i = 0; i < ndim; i++) {
    if (shape[i] == 1) continue;
    if (count == 2 * max_axes) return -1;
    const axis a = {shape[i], x_strides[i], out_strides[i]};
    int j = count++;
    for (; j > 0 && magnitude(axes[j - 1].to) < magnitude(a.to); j--) axes[j] = axes[j - 1];
    axes[j] = a;
  }
  int last = 0;
  for (int i = 1; i < count; i++) {
    if (axes[last].from == axes[i].from * axes[i].length && axes[last].to == axes[i].to * axes[i].length) {
      axes[last] = {axes[last].length * axes[i].length, axes[i].from, axes[i].to};
    } else {
      axes[++last] = axes[i];
    }
  }
  return count == 0 ? 0 : last + 1;
}

// Offsets of the i-th combination of the given axes' indices.
struct offsets {
  int64_t from = 0, to = 0;
};
static offsets at(const axis* axes, int count, int i) {
  offsets sum;
  for (int k = count - 1; k > 0; k--) {
    const int j = i % axes[k].length;
    i /= axes[k].length;
    sum.from += axes[k].from * j;
    sum.to += axes[k].to * j;
  }
  if (count > 0) sum.from += axes[0].from * i, sum.to += axes[0].to * i;
  return sum;
}
static int combinations(const axis* axes, int count) {
  int n = 1;
  for (int k = 0; k < count; k++) n *= axes[k].length;
  return n;
}

// Rows along the innermost axis; step 1 on both sides is a block copy.
template <class T> static void copy_rows(const T* x, T* out, const axis* axes, int count) {
  const axis row = axes[count - 1];
  const int rows = combinations(axes, count - 1);
  auto copy = [&](offsets o, int begin, int end) {
    const T* __restrict from = x + o.from + begin * row.from;
    T* __restrict to = out + o.to + begin * row.to;
    const int n = end - begin;
    if (row.from == 1 && row.to == 1) {
      for (int i = 0; i < n; i++) to[i] = from[i];
    } else if (row.to == 1) {
      for (int i = 0; i < n; i++) to[i] = from[i * row.from];
    } else {
      for (int i = 0; i < n; i++) to[i * row.to] = from[i * row.from];
    }
  };
  if (row.length >= tile_elements) {
    const int parts = ceil_div(row.length, tile_elements);
    parallel_for(rows * parts, [&](int tile, int) {
      const int begin = tile % parts * tile_elements, left = row.length - begin;
      copy(at(axes, count - 1, tile / parts), begin, begin + (left < tile_elements ? left : tile_elements));
    });
  } else {
    // Short rows out of wider ones are asked for some rows before: no hardware foresees them.
    const int asked = count > 1 && row.from == 1 && row.length <= 8 * line_of<T> ? row.length : 0;
    const int64_t step = asked > 0 ? 16 * axes[count - 2].from : 0;
    parallel_blocks(rows, ceil_div(tile_elements, row.length), [&](int begin, int end) {
      for (int i = begin; i < end; i++) {
        const offsets o = at(axes, count - 1, i);
        for (int j = 0; j < asked; j += line_of<T>) prefetch(x + o.from + step + j);
        copy(o, 0, row.length);
      }
    });
  }
}

// Axis `read` has step 1 in x, axis `write` has step 1 in out: tiles of the plane of the two. Elements of 4 and 8 bytes
// pass through vector registers, as floats, which moving does not change.
template <class T> struct carrier {
  using type = T;
};
template <> struct carrier<uint32_t> {
  using type = float;
};
template <> struct carrier<uint64_t> {
  using type = double;
};

template <class T>
static void transpose_tile(const T* x, T* out, int64_t x_step, int64_t out_step, int reads, int writes) {
  using C = typename carrier<T>::type;
  if constexpr (sizeof(T) >= 4) {
    copy_transposed(reinterpret_cast<const C*>(x), static_cast<ptrdiff_t>(x_step), writes, reads,
                    reinterpret_cast<C*>(out), static_cast<ptrdiff_t>(out_step));
  } else {
    for (int r = 0; r < reads; r++)
      for (int w = 0; w < writes; w++) out[r * out_step + w] = x[w * x_step + r];
  }
}
template <class T> static void transpose(const T* x, T* out, axis* axes, int count, int read) {
  const axis r = axes[read], w = axes[count - 1];
  for (int k = read; k < count - 2; k++) axes[k] = axes[k + 1];
  const int planes = combinations(axes, count - 2);
  constexpr int area = 4096;
  const int w_tile = w.length < 64 ? w.length : r.length < 64 ? ceil_div(area, r.length) : 64;
  const int r_tile = ceil_div(area, w_tile);
  const int r_tiles = ceil_div(r.length, r_tile), w_tiles = ceil_div(w.length, w_tile);
  parallel_for(planes * r_tiles * w_tiles, [&](int tile, int) {
    const offsets o = at(axes, count - 2, tile / (r_tiles * w_tiles));
    const int r0 = tile / w_tiles % r_tiles * r_tile, w0 = tile % w_tiles * w_tile;
    const int reads = r.length - r0 < r_tile ? r.length - r0 : r_tile;
    const int writes = w.length - w0 < w_tile ? w.length - w0 : w_tile;
    transpose_tile(x + o.from + r0 + w0 * w.from, out + o.to + r0 * r.to + w0, w.from, r.to, reads, writes);
  });
}

EK_API int ek_copy_strided(int size, const void* x, void* out, int ndim, const int* shape, const int* x_strides,
                           const int* out_strides) {
  for (int i = 0; i < ndim; i++)
    if (shape[i] == 0) return EK_OK;
  axis axes[2 * max_axes];
  int count = normalize(ndim, shape, x_strides, out_strides, axes);
  if (count < 0) return EK_BAD_ARGUMENT;
  if (count == 0) axes[count++] = {1, 1, 1};
  int read = -1;
  if (axes[count - 1].to == 1 && axes[count - 1].from != 1)
    for (int k = 0; k < count - 1; k++)
      if (axes[k].from == 1) read = k;
  EK_DISPATCH_SIZE(size, {
    const T* const from = static_cast<const T*>(x);
    T* const to = static_cast<T*>(out);
    if (read >= 0) transpose(from, to, axes, count, read);
    else copy_rows(from, to, axes, count);
  })
  return EK_OK;
}

EK_API int ek_copy_blocks(const double* table, int count) {
  for (const double* row = table; row < table + 3 * count; row += 3) {
    const auto address = [row](int column) { return reinterpret_cast<void*>(static_cast<uintptr_t>(row[column])); };
    __builtin_memcpy(address(1), address(0), static_cast<size_t>(row[2]));
  }
  return EK_OK;
}

}  // namespace EK_ISA
