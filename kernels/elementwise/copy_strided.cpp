// Copies between two strided arrays: permutations, slices, broadcasts, and the change of memory format.
#include "elementwise/broadcast.h"
#include "simd/interleave.h"

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

// Offsets of a combination of indices of the given axes: of the i-th one at first, then one after the other.
struct offsets {
  int64_t from = 0, to = 0;
};
class walk {
 public:
  walk(const axis* axes, int count, int i) : axes_(axes), count_(count) {
    for (int k = count - 1; k >= 0; i /= axes[k--].length) {
      index_[k] = k > 0 ? i % axes[k].length : i;
      at_.from += axes[k].from * index_[k];
      at_.to += axes[k].to * index_[k];
    }
  }
  offsets at() const { return at_; }
  void next() {
    for (int k = count_ - 1; k >= 0; k--) {
      at_.from += axes_[k].from, at_.to += axes_[k].to;
      if (++index_[k] < axes_[k].length) return;
      at_.from -= axes_[k].from * axes_[k].length, at_.to -= axes_[k].to * axes_[k].length;
      index_[k] = 0;
    }
  }

 private:
  const axis* axes_;
  int count_, index_[2 * max_axes];
  offsets at_;
};
static offsets at(const axis* axes, int count, int i) { return walk(axes, count, i).at(); }
static int combinations(const axis* axes, int count) {
  int n = 1;
  for (int k = 0; k < count; k++) n *= axes[k].length;
  return n;
}

// Calls body(offsets, begin, end) in parallel for pieces of a row, of whose elements each stands for `weight` of them,
// for all combinations of the outer axes.
template <class F> static void each_row(const axis* outer, int count, int length, int weight, const F& body) {
  const int rows = combinations(outer, count), block = ceil_div(tile_elements, weight);
  if (length >= block) {
    const int parts = ceil_div(length, block);
    parallel_for(rows * parts, [&](int tile, int) {
      const int begin = tile % parts * block, left = length - begin;
      body(at(outer, count, tile / parts), begin, begin + (left < block ? left : block));
    });
  } else {
    parallel_blocks(rows, ceil_div(block, length), [&](int begin, int end) {
      walk position(outer, count, begin);
      for (int i = begin; i < end; i++, position.next()) body(position.at(), 0, length);
    });
  }
}

// Rows along the innermost axis; step 1 on both sides is a block copy.
template <class T> static void copy_rows(const T* x, T* out, const axis* axes, int count) {
  const axis row = axes[count - 1];
  // Short rows out of wider ones are asked for some rows before: no hardware foresees them.
  const int asked = count > 1 && row.from == 1 && row.length <= 8 * line_of<T> ? row.length : 0;
  const int64_t step = asked > 0 ? 16 * axes[count - 2].from : 0;
  each_row(axes, count - 1, row.length, 1, [&](offsets o, int begin, int end) {
    const T* __restrict from = x + o.from + begin * row.from;
    T* __restrict to = out + o.to + begin * row.to;
    const int n = end - begin;
    for (int j = 0; j < asked; j += line_of<T>) prefetch(from + step + j);
    if (row.from == 1 && row.to == 1) {
      for (int i = 0; i < n; i++) to[i] = from[i];
    } else if (row.to == 1) {
      for (int i = 0; i < n; i++) to[i] = from[i * row.from];
    } else {
      for (int i = 0; i < n; i++) to[i * row.to] = from[i * row.from];
    }
  });
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

// A few positions that one array has beside each other: where the other one has them.
struct group {
  static constexpr int most = 9;
  int count = 1;
  int64_t at[most] = {};

  // Makes it of the innermost axes of `near` but for `along`; those that are left are `outer`, so many.
  int take(const axis* axes, int total, int along, int64_t axis::* near, int64_t axis::* far, axis* outer) {
    bool taken[2 * max_axes] = {};
    for (int k = total - 1; k >= 0; k--) {
      const axis& a = axes[k];
      if (k == along || taken[k] || a.*near != count || a.length > most / count) continue;
      for (int i = count; i < count * a.length; i++) at[i] = at[i % count] + i / count * (a.*far);
      count *= a.length;
      taken[k] = true;
      k = total;
    }
    int left = 0;
    for (int k = 0; k < total; k++)
      if (k != along && !taken[k]) outer[left++] = axes[k];
    return left;
  }
};

template <class T>
static void transpose_tile(const T* x, T* out, int64_t x_step, int64_t out_step, int reads, int writes) {
  if constexpr (is_float<T>) {
    copy_transposed(x, static_cast<ptrdiff_t>(x_step), writes, reads, out, static_cast<ptrdiff_t>(out_step));
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

// Copies runs along an axis if they are a few that x, if separating, or out has element by element beside each other.
// False: they are not.
template <bool separating, class T>
static bool copy_groups(const T* x, T* out, const axis* axes, int count, int along) {
  constexpr int shortest = 16;
  if constexpr (is_float<T>) {
    constexpr auto near = separating ? &axis::from : &axis::to, far = separating ? &axis::to : &axis::from;
    const int length = axes[along].length;
    axis outer[2 * max_axes];
    group g;
    const int left = g.take(axes, count, along, near, far, outer);
    if (length < shortest || axes[along].*near != g.count) return false;
    void (*copy)(const T*, int, T*, const int64_t*) = nullptr;
    switch (g.count) {
      case 2: copy = separating ? separate_runs<2, T> : interleave_runs<2, T>; break;
      case 3: copy = separating ? separate_runs<3, T> : interleave_runs<3, T>; break;
      case 4: copy = separating ? separate_runs<4, T> : interleave_runs<4, T>; break;
      case 8: copy = separating ? separate_runs<8, T> : interleave_runs<8, T>; break;
      case 9: copy = separating ? separate_runs<9, T> : interleave_runs<9, T>; break;
      default: return false;
    }
    const int x_step = separating ? g.count : 1, out_step = separating ? 1 : g.count;
    each_row(outer, left, length, g.count, [&](offsets o, int begin, int end) {
      copy(x + o.from + begin * x_step, end - begin, out + o.to + begin * out_step, g.at);
    });
    return true;
  }
  return false;
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
    using C = typename carrier<T>::type;
    const C* const from = static_cast<const C*>(x);
    C* const to = static_cast<C*>(out);
    if (read < 0) copy_rows(from, to, axes, count);
    else if (!copy_groups<true>(from, to, axes, count, count - 1) && !copy_groups<false>(from, to, axes, count, read))
      transpose(from, to, axes, count, read);
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
