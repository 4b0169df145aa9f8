// Resampling along two axes of (outer, height, width, inner): each element of the result is a weighted sum of elements
// of x. First the rows that a row of the result reads are added up, with vectors along the row; then the taps of each
// column. Lanes run along columns if inner is 1, and along inner otherwise. The gradient is the same with transposed
// taps, so every sum has one order.
#include "resample/bytes.h"
#include "simd/copy.h"

namespace EK_ISA {
namespace {

struct Geometry {
  int outer, height, width, out_height, out_width, inner, mode, align, antialias, transposed;
  explicit Geometry(const int* g)
      : outer(g[0]), height(g[1]), width(g[2]), out_height(g[3]), out_width(g[4]), inner(g[5]), mode(g[6]), align(g[7]),
        antialias(g[8]), transposed(g[9]) {}
};

// The parts of the scratch.
template <class T> struct Plan {
  const Geometry& g;
  Scratch scratch;
  Taps<T> rows, columns;
  ptrdiff_t row_length;  // of a sum of rows, with a zero behind it, which taps read that are not there
  T* sums;
  Plan(const Geometry& geometry, double scale_h, double scale_w, void* base)
      : g(geometry), scratch(base),
        rows(AxisMap<T>(g.height, g.out_height, g.mode, g.align, g.antialias, scale_h), g.transposed, scratch, !base),
        columns(AxisMap<T>(g.width, g.out_width, g.mode, g.align, g.antialias, scale_w), g.transposed, scratch, !base),
        row_length((static_cast<ptrdiff_t>(from_width()) * g.inner + 2 * lanes<T> - 1) / lanes<T> * lanes<T>),
        sums(scratch.take<T>(row_length * worker_count())) {}
  int from_height() const { return g.transposed ? g.out_height : g.height; }
  int from_width() const { return g.transposed ? g.out_width : g.width; }
};

// to = Σ weight·row over the taps of row i.
template <class T> void add_rows(const Taps<T>& taps, int i, const T* x, ptrdiff_t length, T* to) {
  const int count = taps.count[i], n = taps.n;
  const auto row = [&](int k) { return x + taps.place[static_cast<size_t>(k) * n + i] * length; };
  const auto weight = [&](int k) { return taps.weight[static_cast<size_t>(k) * n + i]; };
  if (count == 0) return zero_run(to, length);
  if (count == 1 && weight(0) == 1) return copy_run(to, row(0), static_cast<int>(length));
  // Four taps at a time stay in registers.
  for (int k = 0; k < count; k += 4) {
    const int m = count - k < 4 ? count - k : 4;
    const T *const a = row(k), *const b = row(m > 1 ? k + 1 : k), *const c = row(m > 2 ? k + 2 : k),
                   *const d = row(m > 3 ? k + 3 : k);
    const vec<T> wa = splat(weight(k)), wb = splat(weight(m > 1 ? k + 1 : k)), wc = splat(weight(m > 2 ? k + 2 : k)),
                 wd = splat(weight(m > 3 ? k + 3 : k));
    const bool first = k == 0;
    for (ptrdiff_t j = 0; j < length; j += lanes<T>) {
      const int some = length - j < lanes<T> ? static_cast<int>(length - j) : lanes<T>;
      vec<T> s = load_some(a + j, some) * wa;
      if (!first) s += load_some(to + j, some);
      if (m > 1) s += load_some(b + j, some) * wb;
      if (m > 2) s += load_some(c + j, some) * wc;
      if (m > 3) s += load_some(d + j, some) * wd;
      store_some(to + j, s, some);
    }
  }
}

// The columns of a row, if inner is 1. Behind the last element of x there is a 0, for taps that are not there.
template <class T> void combine_columns(const Taps<T>& taps, const T* x, T* y) {
  constexpr int L = lanes<T>;
  const int n = taps.n;
  for (int j = 0; j < n; j += L) {
    const int some = n - j < L ? n - j : L;
    vec<T> s = {};
    for (int k = 0; k < taps.most; k++) {
      const size_t at = static_cast<size_t>(k) * n + j;
      s += gather(x, taps.place + at, some) * load_some(taps.weight + at, some);
    }
    store_some(y + j, s, some);
  }
}

template <class T> void combine_pixels(const Taps<T>& taps, const T* x, int inner, T* y) {
  const int n = taps.n;
  for (int j = 0; j < n; j++, y += inner) {
    const int count = taps.count[j];
    for (int c = 0; c < inner; c += lanes<T>) {
      const int some = inner - c < lanes<T> ? inner - c : lanes<T>;
      vec<T> s = {};
      for (int k = 0; k < count; k++) {
        const size_t at = static_cast<size_t>(k) * n + j;
        s += load_some(x + taps.place[at] * inner + c, some) * splat(taps.weight[at]);
      }
      store_some(y + c, s, some);
    }
  }
}

template <class T> void resample(const Plan<T>& plan, const T* x, T* y) {
  const Geometry& g = plan.g;
  const Taps<T>&rows = plan.rows, &columns = plan.columns;
  const int height = rows.n, inner = g.inner;
  const ptrdiff_t from_length = static_cast<ptrdiff_t>(plan.from_width()) * inner;
  const ptrdiff_t to_length = static_cast<ptrdiff_t>(columns.n) * inner;
  const bool along_rows = g.width == 1 && g.out_width == 1;
  const int block = to_length < tile_elements ? static_cast<int>(tile_elements / to_length) : 1;
  const int total = g.outer * height;
  parallel_for(ceil_div(total, block), [&](int tile, int worker) {
    T* const sums = plan.sums + worker * plan.row_length;
    for (int row = tile * block; row < total && row < (tile + 1) * block; row++) {
      const T* const from = x + static_cast<ptrdiff_t>(row / height) * plan.from_height() * from_length;
      T* const to = y + row * to_length;
      if (along_rows) {
        add_rows(rows, row % height, from, from_length, to);
        continue;
      }
      add_rows(rows, row % height, from, from_length, sums);
      if (inner == 1) {
        sums[from_length] = 0;
        combine_columns(columns, sums, to);
      } else {
        combine_pixels(columns, sums, inner, to);
      }
    }
  });
}

// Nearest neighbours of elements of any type: rows are copied, the same one again from where it has been written.
template <class T> void pick(const Geometry& g, double scale_h, double scale_w, int* columns, const T* x, T* y) {
  const AxisMap<float> rows(g.height, g.out_height, g.mode, false, false, scale_h);
  const AxisMap<float> along(g.width, g.out_width, g.mode, false, false, scale_w);
  for (int j = 0; j < g.out_width; j++) columns[j] = along.nearest(j) * g.inner;
  const int inner = g.inner, to_length = g.out_width * inner, total = g.outer * g.out_height;
  const ptrdiff_t from_length = static_cast<ptrdiff_t>(g.width) * inner;
  parallel_blocks(total, to_length < tile_elements ? tile_elements / to_length : 1, [=](int begin, int end) {
    const T* before = nullptr;
    for (int row = begin; row < end; row++) {
      const int outer = row / g.out_height, i = row % g.out_height;
      const T* const from = x + (static_cast<ptrdiff_t>(outer) * g.height + rows.nearest(i)) * from_length;
      T* const to = y + static_cast<ptrdiff_t>(row) * to_length;
      if (from == before) copy_run(to, to - to_length, to_length);
      else if (inner == 1)
        for (int j = 0; j < to_length; j++) to[j] = from[columns[j]];
      else
        for (int j = 0; j < g.out_width; j++)
          copy_run(to + static_cast<ptrdiff_t>(j) * inner, from + columns[j], inner);
      before = from;
    }
  });
}

bool is_pick(const Geometry& g) { return g.mode < EK_RESAMPLE_LINEAR && !g.transposed; }
bool is_of_bytes(const Geometry& g, int dtype) { return dtype == EK_UINT8 && !is_pick(g) && !g.transposed; }

ByteResampling of_bytes(const Geometry& g, double scale_h, double scale_w, void* base) {
  return ByteResampling(g.outer, g.height, g.width, g.inner,
                        AxisMap<double>(g.height, g.out_height, g.mode, g.align, g.antialias, scale_h),
                        AxisMap<double>(g.width, g.out_width, g.mode, g.align, g.antialias, scale_w), base);
}

}  // namespace

EK_API int ek_resample_scratch(int dtype, const int* geometry, double scale_h, double scale_w) {
  const Geometry g(geometry);
  if (is_pick(g)) {
    Scratch scratch(nullptr);
    scratch.take<int>(g.out_width);
    return scratch.bytes();
  }
  if (is_of_bytes(g, dtype)) return of_bytes(g, scale_h, scale_w, nullptr).bytes();
  EK_DISPATCH_FLOAT(dtype, return Plan<T>(g, scale_h, scale_w, nullptr).scratch.bytes();)
  return 0;
}

EK_API int ek_resample(int dtype, const int* geometry, double scale_h, double scale_w, const void* x, void* y,
                       void* scratch) {
  const Geometry g(geometry);
  if (g.mode < EK_RESAMPLE_NEAREST || g.mode > EK_RESAMPLE_AREA) return EK_BAD_ARGUMENT;
  if (is_pick(g)) {
    int* const columns = Scratch(scratch).take<int>(g.out_width);
    EK_DISPATCH_NUMBER(dtype, pick(g, scale_h, scale_w, columns, static_cast<const T*>(x), static_cast<T*>(y));)
    return EK_OK;
  }
  if (is_of_bytes(g, dtype)) {
    of_bytes(g, scale_h, scale_w, scratch).run(static_cast<const uint8_t*>(x), static_cast<uint8_t*>(y));
    return EK_OK;
  }
  EK_DISPATCH_FLOAT(dtype,
                    { resample(Plan<T>(g, scale_h, scale_w, scratch), static_cast<const T*>(x), static_cast<T*>(y)); })
  return EK_OK;
}

}  // namespace EK_ISA
