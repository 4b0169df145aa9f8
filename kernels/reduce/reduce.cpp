// Sum, product, extremes and logical reductions. Means and variances are in moments.cpp, positions of extremes in
// arg_reduce.cpp.
#include "reduce/panel.h"

namespace EK_ISA {

// An operation: the type that accumulates, its neutral element, and the step. Floating-point sums and products accumulate in
// double: with 53 bits the rounding of float sums happens once, at the end.
template <class T> struct wide { using type = T; };
template <> struct wide<float> { using type = double; };

template <class T> struct sum_of {
  using A = typename wide<T>::type;
  static constexpr A start = 0;
  static EK_INLINE A step(A a, A b) { return a + b; }
};
template <> struct sum_of<int32_t> {  // wraps, which C++ grants to unsigned numbers only
  using A = uint32_t;
  static constexpr A start = 0;
  static EK_INLINE A step(A a, A b) { return a + b; }
};
template <> struct sum_of<int64_t> {
  using A = uint64_t;
  static constexpr A start = 0;
  static EK_INLINE A step(A a, A b) { return a + b; }
};
template <class T> struct product_of {
  using A = typename sum_of<T>::A;
  static constexpr A start = 1;
  static EK_INLINE A step(A a, A b) { return static_cast<A>(a * b); }
};
template <class T> struct max_of {
  using A = T;
  static constexpr A start = limits<T>::min;
  static EK_INLINE A step(A a, A b) {
    const A m = b > a ? b : a;
    return b != b ? b : m;
  }
};
template <class T> struct min_of {
  using A = T;
  static constexpr A start = limits<T>::max;
  static EK_INLINE A step(A a, A b) {
    const A m = b < a ? b : a;
    return b != b ? b : m;
  }
};
template <class T> struct any_of {
  using A = T;
  static constexpr A start = 0;
  static EK_INLINE A step(A a, A b) { return (a | b) != 0; }
};
template <class T> struct all_of {
  using A = T;
  static constexpr A start = 1;
  static EK_INLINE A step(A a, A b) { return (a != 0) & (b != 0); }
};

template <class A> struct accumulators {
  alignas(64) A sum[panel_width];
};

template <class T, class Op> static int reduce(const void* x, void* out, int outer, int n, int inner) {
  using A = typename Op::A;
  const panels p(outer, n, inner);
  auto part = [&](int o, int panel, int split, accumulators<A>& result) {
    A* __restrict a = result.sum;
    const int columns = p.columns(panel);
    const T* const from = static_cast<const T*>(x) + o * p.slice + panel * panel_width;
    for (int j = 0; j < columns; j++) a[j] = Op::start;
    int row = p.first_row(split);
    const int end = p.first_row(split + 1);
    const int64_t pitch = p.width;
    for (; row + 4 <= end; row += 4) {  // four rows for one read and write of the accumulators
      const T *r0 = from + row * pitch, *r1 = r0 + pitch, *r2 = r1 + pitch, *r3 = r2 + pitch;
      for (int j = 0; j < columns; j++) {
        const A upper = Op::step(static_cast<A>(r0[j]), static_cast<A>(r1[j]));
        const A lower = Op::step(static_cast<A>(r2[j]), static_cast<A>(r3[j]));
        a[j] = Op::step(a[j], Op::step(upper, lower));
      }
    }
    for (; row < end; row++) {
      const T* r = from + row * pitch;
      for (int j = 0; j < columns; j++) a[j] = Op::step(a[j], static_cast<A>(r[j]));
    }
    if (split == p.splits - 1)
      for (int j = 0; j < p.rest; j++) a[j] = Op::step(a[j], static_cast<A>(from[p.rows * pitch + j]));
  };
  auto finish = [&](int o, int panel, accumulators<A>* parts, int splits) {
    A* a = parts[0].sum;
    const int columns = p.columns(panel);
    for (int split = 1; split < splits; split++)
      for (int j = 0; j < columns; j++) a[j] = Op::step(a[j], parts[split].sum[j]);
    fold(p.group, inner, [&](int to, int from, int length) {
      for (int j = 0; j < length; j++) a[to + j] = Op::step(a[to + j], a[from + j]);
    });
    T* to = static_cast<T*>(out) + static_cast<int64_t>(o) * inner + panel * panel_width;
    for (int j = 0, outputs = p.group > 1 ? inner : columns; j < outputs; j++) to[j] = static_cast<T>(a[j]);
  };
  for_panels<accumulators<A>>(p, outer, part, finish);
  return EK_OK;
}

EK_API int ek_reduce(int op, int dtype, const void* x, void* out, int outer, int n, int inner) {
  if (op < 0 || op > EK_REDUCE_ALL) return EK_BAD_ARGUMENT;
  const bool logical = op == EK_REDUCE_ANY || op == EK_REDUCE_ALL, extreme = op == EK_REDUCE_MIN || op == EK_REDUCE_MAX;
  if (logical != (dtype == EK_BOOL) && !(extreme && dtype == EK_BOOL)) return EK_BAD_DTYPE;
  if (extreme && n == 0) return EK_BAD_ARGUMENT;
  if (outer == 0 || inner == 0) return EK_OK;
  if (op == EK_REDUCE_ANY) return reduce<uint8_t, any_of<uint8_t>>(x, out, outer, n, inner);
  if (op == EK_REDUCE_ALL) return reduce<uint8_t, all_of<uint8_t>>(x, out, outer, n, inner);
  EK_DISPATCH_NUMBER(dtype == EK_BOOL ? EK_UINT8 : dtype, switch (op) {
    case EK_REDUCE_SUM: return reduce<T, sum_of<T>>(x, out, outer, n, inner);
    case EK_REDUCE_PROD: return reduce<T, product_of<T>>(x, out, outer, n, inner);
    case EK_REDUCE_MIN: return reduce<T, min_of<T>>(x, out, outer, n, inner);
    default: return reduce<T, max_of<T>>(x, out, outer, n, inner);
  })
  return EK_OK;
}

}  // namespace EK_ISA
