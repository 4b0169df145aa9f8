// softmax and log-softmax along the middle axis, and their gradients. Sums are in double. Vectors run along the axis if
// it is the innermost one, and across the columns otherwise.
#include "reduce/columns.h"
#include "simd/lane_sum.h"
#include "simd/math.h"

namespace EK_ISA {

template <class T> EK_INLINE T max_lanes(vec<T> v) {
  T m = v[0];
  for (int i = 1; i < lanes<T>; i++) m = v[i] > m ? v[i] : m;
  return m;
}

// With m = max x and s = Σ e^(x − m): y = e^(x − m)/s, or log y = x − m − log s. This is for one row.
template <class T, bool logarithm> static void softmax_row(const T* x, T* y, int n) {
  const T inf = real<T>::inf;
  vec<T> top = splat(-inf);  // it may miss a NaN, which makes the sum NaN, and so the whole row
  for_vectors<T>(0, n, [&](auto at) { top = greater(at.read(x, -inf), top); });
  const T m = max_lanes<T>(top);
  LaneSum sums = {};
  // Lanes behind the row add e^−inf = 0. If m = −inf they add NaN, but then the row's own values do so, too.
  for_lanes<T>(n, [&](auto at, auto first) {
    const vec<T> e = exp<T>(at.read(x, -inf) - m);
    if (!logarithm) at.write(y, e);
    sums.from<T>(first.value).add(e);
  });
  const double sum = sums.sum();
  const T s = static_cast<T>(logarithm ? log<double>(splat(sum))[0] : sum);
  for_vectors<T>(0, n, [&](auto at) { at.write(y, logarithm ? (at.read(x) - m) - s : at.read(y) / s); });
}

constexpr int columns_at_once = 64;  // columns that are computed together: their numbers are on the stack

template <class T, bool logarithm> static void softmax_columns(const T* x, T* y, int n, int64_t inner, int columns) {
  T m[columns_at_once], shift[columns_at_once], e[columns_at_once];
  double sum[columns_at_once];
  for (int j = 0; j < columns_at_once; j++) m[j] = -real<T>::inf, sum[j] = 0, e[j] = 0;
  for (int k = 0; k < n; k++) {
    const T* from = x + k * inner;
    for (int j = 0; j < columns; j++) m[j] = from[j] > m[j] ? from[j] : m[j];
  }
  for (int k = 0; k < n; k++) {
    const T* from = x + k * inner;
    for_vectors<T>(0, columns, [&](auto at) { store(e + at.i, exp<T>(at.read(from) - load(m + at.i))); });
    for (int j = 0; j < columns; j++) sum[j] += static_cast<double>(e[j]);
    if (!logarithm)
      for (int j = 0; j < columns; j++) y[k * inner + j] = e[j];
  }
  for (int j = 0; j < columns_at_once; j += lanes<double>) {
    const vec<double> s = load(sum + j);
    narrow(shift + j, logarithm ? log<double>(s) : s);
  }
  for (int k = 0; k < n; k++) {
    const T* from = (logarithm ? x : y) + k * inner;
    T* to = y + k * inner;
    for (int j = 0; j < columns; j++) to[j] = logarithm ? (from[j] - m[j]) - shift[j] : from[j] / shift[j];
  }
}

// softmax: dx = y·(g − Σ g·y); log-softmax: dx = g − e^y·Σ g.
template <class T, bool logarithm> static void softmax_backward_row(const T* y, const T* g, T* dx, int n) {
  LaneSum sums = {};
  for_lanes<T>(n, [&](auto at, auto first) {
    const auto to = sums.from<T>(first.value);
    if (logarithm) to.add(at.read(g));
    else to.add_product(at.read(g), at.read(y));
  });
  const T s = static_cast<T>(sums.sum());
  for_vectors<T>(0, n, [&](auto at) {
    const vec<T> ys = at.read(y), gs = at.read(g);
    at.write(dx, logarithm ? gs - exp<T>(ys) * s : ys * (gs - s));
  });
}

template <class T, bool logarithm>
static void softmax_backward_columns(const T* y, const T* g, T* dx, int n, int64_t inner, int columns) {
  double sum[columns_at_once] = {};
  T s[columns_at_once];
  for (int k = 0; k < n; k++) {
    const T *ys = y + k * inner, *gs = g + k * inner;
    for (int j = 0; j < columns; j++)
      sum[j] += logarithm ? static_cast<double>(gs[j]) : static_cast<double>(gs[j]) * static_cast<double>(ys[j]);
  }
  for (int j = 0; j < columns_at_once; j++) s[j] = static_cast<T>(sum[j]);
  for (int k = 0; k < n; k++) {
    const int64_t row = k * inner;
    for_vectors<T>(0, columns, [&](auto at) {
      const vec<T> ys = at.read(y + row), gs = at.read(g + row), sums = load(s + at.i);
      at.write(dx + row, logarithm ? gs - exp<T>(ys) * sums : ys * (gs - sums));
    });
  }
}

// Calls body(offset, columns) for each row, or for each panel of columns. A tile has a quarter of the usual elements,
// because exp takes longer than a copy.
template <class F> static void for_rows(int outer, int n, int inner, const F& body) {
  for_columns(outer, n, inner, columns_at_once, tile_elements / 4,
              [=](int64_t o, int first, int columns) { body(o * n * inner + first, columns); });
}

template <class T, bool logarithm> static int softmax(const T* x, T* y, int outer, int n, int inner) {
  for_rows(outer, n, inner, [=](int64_t at, int columns) {
    if (inner == 1) softmax_row<T, logarithm>(x + at, y + at, n);
    else softmax_columns<T, logarithm>(x + at, y + at, n, inner, columns);
  });
  return EK_OK;
}
template <class T, bool logarithm>
static int softmax_backward(const T* y, const T* g, T* dx, int outer, int n, int inner) {
  for_rows(outer, n, inner, [=](int64_t at, int columns) {
    if (inner == 1) softmax_backward_row<T, logarithm>(y + at, g + at, dx + at, n);
    else softmax_backward_columns<T, logarithm>(y + at, g + at, dx + at, n, inner, columns);
  });
  return EK_OK;
}

EK_API int ek_softmax(int log, int dtype, const void* x, void* out, int outer, int n, int inner) {
  if (outer == 0 || n == 0 || inner == 0) return EK_OK;
  EK_DISPATCH_FLOAT(dtype, {
    const auto run = log ? softmax<T, true> : softmax<T, false>;
    return run(static_cast<const T*>(x), static_cast<T*>(out), outer, n, inner);
  })
  return EK_OK;
}
EK_API int ek_softmax_backward(int log, int dtype, const void* y, const void* g, void* dx, int outer, int n,
                               int inner) {
  if (outer == 0 || n == 0 || inner == 0) return EK_OK;
  EK_DISPATCH_FLOAT(dtype, {
    const auto run = log ? softmax_backward<T, true> : softmax_backward<T, false>;
    return run(static_cast<const T*>(y), static_cast<const T*>(g), static_cast<T*>(dx), outer, n, inner);
  })
  return EK_OK;
}

}  // namespace EK_ISA
