// Sum, product, minimum, maximum and logical reductions. Means and variances are in moments.cpp, and the positions of
// minimum and maximum in arg_reduce.cpp.
#include "reduce/panel.h"

namespace EK_ISA {

// A reduction is given by the type A that accumulates, its first value, and a step. Sums and products of floats
// accumulate in double, and are rounded to float once, at the end.
template <class T> struct sum_of {
  using A = wide_sum<T>;
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

// A reduction of one dtype: its loops over `n` accumulators. The code below that cuts the work is the same for all
// reductions, and compiled once.
struct reduction {
  int element, accumulator;  // bytes
  void (*start)(void* a, int n);
  void (*add)(void* a, const void* x, int64_t pitch, int rows, int n);  // `rows` rows of x, `pitch` elements apart
  void (*merge)(void* a, const void* b, int n);
  void (*finish)(const void* a, void* out, int n);
};

template <class T, class Op> struct loops {
  using A = typename Op::A;
  static void start(void* sums, int n) {
    A* a = static_cast<A*>(sums);
    for (int j = 0; j < n; j++) a[j] = Op::start;
  }
  static void add(void* sums, const void* x, int64_t pitch, int rows, int n) {
    A* __restrict a = static_cast<A*>(sums);
    const T* r0 = static_cast<const T*>(x);
    for (; rows >= 4; rows -= 4, r0 += 4 * pitch) {  // the accumulators are read and written once for four rows
      const T *r1 = r0 + pitch, *r2 = r1 + pitch, *r3 = r2 + pitch;
      for (int j = 0; j < n; j++) {
        const A upper = Op::step(static_cast<A>(r0[j]), static_cast<A>(r1[j]));
        const A lower = Op::step(static_cast<A>(r2[j]), static_cast<A>(r3[j]));
        a[j] = Op::step(a[j], Op::step(upper, lower));
      }
    }
    for (; rows > 0; rows--, r0 += pitch)
      for (int j = 0; j < n; j++) a[j] = Op::step(a[j], static_cast<A>(r0[j]));
  }
  static void merge(void* sums, const void* others, int n) {
    A* __restrict a = static_cast<A*>(sums);
    const A* __restrict b = static_cast<const A*>(others);
    for (int j = 0; j < n; j++) a[j] = Op::step(a[j], b[j]);
  }
  static void finish(const void* sums, void* out, int n) {
    const A* __restrict a = static_cast<const A*>(sums);
    T* __restrict to = static_cast<T*>(out);
    for (int j = 0; j < n; j++) to[j] = static_cast<T>(a[j]);
  }
  static constexpr reduction all = {sizeof(T), sizeof(A), start, add, merge, finish};
};

struct accumulators {
  alignas(64) char bytes[panel_width * 8];
};

static void reduce(const reduction& r, const void* x, void* out, int outer, int n, int inner) {
  const panels p(outer, n, inner);
  for_panels<accumulators>(p, outer, [&](int o, int panel, int split, accumulators& result) {
    const int columns = p.columns(panel), first = p.first_row(split);
    const char* const from = static_cast<const char*>(x) + (o * p.slice + panel * panel_width) * r.element;
    const auto row = [&](int i) { return from + i * static_cast<int64_t>(p.width) * r.element; };
    r.start(result.bytes, columns);
    r.add(result.bytes, row(first), p.width, p.first_row(split + 1) - first, columns);
    if (split == p.splits - 1) r.add(result.bytes, row(p.rows), 0, 1, p.rest);
  }, [&](int o, int panel, accumulators* parts, int splits) {
    char* a = parts[0].bytes;
    const int columns = p.columns(panel);
    for (int split = 1; split < splits; split++) r.merge(a, parts[split].bytes, columns);
    fold(p.group, inner,
         [&](int to, int from, int length) { r.merge(a + to * r.accumulator, a + from * r.accumulator, length); });
    char* to = static_cast<char*>(out) + (static_cast<int64_t>(o) * inner + panel * panel_width) * r.element;
    r.finish(a, to, p.group > 1 ? inner : columns);
  });
}

EK_API int ek_reduce(int op, int dtype, const void* x, void* out, int outer, int n, int inner) {
  if (op < 0 || op > EK_REDUCE_ALL) return EK_BAD_ARGUMENT;
  const bool logical = op == EK_REDUCE_ANY || op == EK_REDUCE_ALL, extreme = op == EK_REDUCE_MIN || op == EK_REDUCE_MAX;
  if (logical != (dtype == EK_BOOL) && !(extreme && dtype == EK_BOOL)) return EK_BAD_DTYPE;
  if (extreme && n == 0) return EK_BAD_ARGUMENT;
  if (outer == 0 || inner == 0) return EK_OK;
  const reduction* r = nullptr;
  if (op == EK_REDUCE_ANY) r = &loops<uint8_t, any_of<uint8_t>>::all;
  else if (op == EK_REDUCE_ALL) r = &loops<uint8_t, all_of<uint8_t>>::all;
  else
    EK_DISPATCH_NUMBER(dtype == EK_BOOL ? EK_UINT8 : dtype, switch (op) {
      case EK_REDUCE_SUM: r = &loops<T, sum_of<T>>::all; break;
      case EK_REDUCE_PROD: r = &loops<T, product_of<T>>::all; break;
      case EK_REDUCE_MIN: r = &loops<T, min_of<T>>::all; break;
      default: r = &loops<T, max_of<T>>::all;
    })
  reduce(*r, x, out, outer, n, inner);
  return EK_OK;
}

}  // namespace EK_ISA
