// Minimum and maximum with their positions, and the k largest or smallest values of a row.
#include "reduce/columns.h"

namespace EK_ISA {

// Whether b replaces a in the search for the extreme. NaN comes before any number. An equal value does not replace the
// first one.
template <bool largest, class T> EK_INLINE bool before(T b, T a) {
  return largest ? (b > a) | ((b != b) & (a == a)) : (b < a) | ((b != b) & (a == a));
}

constexpr int columns_at_once = 128;  // columns whose extremes and positions are on the stack

template <bool largest, class T>
static void arg_reduce(const T* x, T* values, int64_t* indices, int outer, int n, int inner) {
  for_columns(outer, n, inner, columns_at_once, tile_elements, [=](int64_t o, int first, int columns) EK_INLINE_LAMBDA {
    const T* from = x + o * n * inner + first;
    T best[columns_at_once];
    int32_t index[columns_at_once];
    for (int j = 0; j < columns; j++) best[j] = from[j], index[j] = 0;
    for (int k = 1; k < n; k++) {
      from += inner;
      for (int j = 0; j < columns; j++) {
        const bool take = before<largest>(from[j], best[j]);
        best[j] = take ? from[j] : best[j];
        index[j] = take ? k : index[j];
      }
    }
    const int64_t to = o * inner + first;
    for (int j = 0; j < columns; j++) {
      if (values) values[to + j] = best[j];
      indices[to + j] = index[j];
    }
  });
}

EK_API int ek_arg_reduce(int op, int dtype, const void* x, void* values, void* indices, int outer, int n, int inner) {
  if (n == 0 || (op != EK_REDUCE_MIN && op != EK_REDUCE_MAX)) return EK_BAD_ARGUMENT;
  if (outer == 0 || inner == 0) return EK_OK;
  EK_DISPATCH_NUMBER(dtype == EK_BOOL ? EK_UINT8 : dtype, {
    const auto run = op == EK_REDUCE_MAX ? arg_reduce<true, T> : arg_reduce<false, T>;
    run(static_cast<const T*>(x), static_cast<T*>(values), static_cast<int64_t*>(indices), outer, n, inner);
  })
  return EK_OK;
}

// ---- topk -----------------------------------------------------------------------------------------------------------
// A total order of positions: by value, with NaN as the largest, and then by position. So the result does not depend on
// the algorithm.
template <class T> struct ranking {
  const T* row;
  bool largest;
  EK_INLINE bool ahead(int a, int b) const {
    const T x = row[a], y = row[b];
    const bool more = (x > y) | ((x != x) & (y == y)), less = (y > x) | ((y != y) & (x == x));
    if (more | less) return largest ? more : less;
    return a < b;
  }
};

// Restores the heap below `root`. The worst position is on top.
template <class T> static void sift(const ranking<T>& order, int* heap, int size, int root) {
  const int moving = heap[root];
  for (int child; (child = 2 * root + 1) < size; root = child) {
    if (child + 1 < size && order.ahead(heap[child], heap[child + 1])) child++;
    if (!order.ahead(moving, heap[child])) break;
    heap[root] = heap[child];
  }
  heap[root] = moving;
}

EK_API int ek_topk_scratch(int n) { return n * 4 * worker_count(); }

// A heap holds the k best positions so far, with the worst of them on top. Heapsort then puts the best one first.
EK_API int ek_topk(int dtype, const void* x, void* values, void* indices, int outer, int n, int k, int largest,
                   void* scratch) {
  if (k < 0 || k > n) return EK_BAD_ARGUMENT;
  if (k == 0) return EK_OK;
  EK_DISPATCH_NUMBER(dtype, parallel_for(outer, [&](int o, int worker) {
    const ranking<T> order = {static_cast<const T*>(x) + static_cast<int64_t>(o) * n, largest != 0};
    int* const heap = static_cast<int*>(scratch) + static_cast<int64_t>(worker) * n;
    for (int i = 0; i < k; i++) heap[i] = i;
    for (int root = k / 2 - 1; root >= 0; root--) sift(order, heap, k, root);
    for (int i = k; i < n; i++) {
      if (!order.ahead(i, heap[0])) continue;
      heap[0] = i;
      sift(order, heap, k, 0);
    }
    for (int size = k - 1; size > 0; size--) {
      const int worst = heap[0];
      heap[0] = heap[size];
      heap[size] = worst;
      sift(order, heap, size, 0);
    }
    for (int i = 0; i < k; i++) {
      static_cast<T*>(values)[static_cast<int64_t>(o) * k + i] = order.row[heap[i]];
      static_cast<int64_t*>(indices)[static_cast<int64_t>(o) * k + i] = heap[i];
    }
  });)
  return EK_OK;
}

}  // namespace EK_ISA
