// What has come so far along the middle axis: products, the largest and the smallest with their positions, logarithms
// of sums of exponentials, and sums in the tensor's own precision.
#include "reduce/columns.h"
#include "simd/math.h"

namespace EK_ISA {
namespace {

// Each keeps a state of type A, and says whether an element is the one that counts.
template <class T> struct Sum {
  using A = wrapping<T>;
  static constexpr A begin = 0;
  static EK_INLINE bool step(A& s, T x) { return s = static_cast<A>(s + static_cast<A>(x)), true; }
};
template <class T> struct Product {
  using A = wide_sum<T>;
  static constexpr A begin = 1;
  static EK_INLINE bool step(A& s, T x) { return s = static_cast<A>(s * static_cast<A>(x)), true; }
};
// Of equal values the last one counts; so it does of NaN, before all numbers. Returns whether x is the new one.
template <class T, bool LARGEST> struct Extremum {
  using A = T;
  static constexpr A begin = LARGEST ? limits<T>::min : limits<T>::max;
  static EK_INLINE bool step(A& s, T x) {
    const bool is_new = x != x || (LARGEST ? x >= s : x <= s);
    if (is_new) s = x;
    return is_new;
  }
};
template <class T> using Largest = Extremum<T, true>;
template <class T> using Smallest = Extremum<T, false>;
// log(e^s + e^x), from the greater of the two.
template <class T> struct LogSum {
  using A = double;
  static constexpr A begin = limits<double>::min;
  static EK_INLINE bool step(A& s, T value) {
    const A x = static_cast<A>(value);
    const A high = x != x || x > s ? x : s, low = x != x || x > s ? s : x;
    const bool is_endless = high == low && (high == limits<double>::max || high == limits<double>::min);
    s = is_endless ? high : high + log1p<double>(exp<double>(splat(low - high)))[0];
    return true;
  }
};

template <class T, class Step> void cumulate(const T* x, T* out, int64_t* indices, int outer, int n, int inner) {
  constexpr int columns_at_once = 128;  // columns whose states are on the stack
  for_columns(outer, n, inner, columns_at_once, tile_elements, [=](int64_t o, int first, int columns) {
    typename Step::A state[columns_at_once];
    int64_t place[columns_at_once];
    for (int j = 0; j < columns; j++) state[j] = Step::begin, place[j] = 0;
    for (int k = 0; k < n; k++) {
      const int64_t at = (o * n + k) * inner + first;
      for (int j = 0; j < columns; j++) {
        if (Step::step(state[j], x[at + j])) place[j] = k;
        out[at + j] = static_cast<T>(state[j]);
      }
      if (indices)
        for (int j = 0; j < columns; j++) indices[at + j] = place[j];
    }
  });
}

}  // namespace

EK_API int ek_cumulate(int op, int dtype, const void* x, void* out, void* indices, int outer, int n, int inner) {
  if (outer == 0 || n == 0 || inner == 0) return EK_OK;
  if (dtype == EK_BOOL && (op == EK_CUMULATE_MAX || op == EK_CUMULATE_MIN)) dtype = EK_UINT8;
#define EK_CUMULATE_CASE(value, Step)                                                                              \
  case value:                                                                                                      \
    cumulate<T, Step<T>>(static_cast<const T*>(x), static_cast<T*>(out), static_cast<int64_t*>(indices), outer, n, \
                         inner);                                                                                   \
    break;
  if (op == EK_CUMULATE_LOG_SUM) {
    EK_DISPATCH_FLOAT(dtype, cumulate<T, LogSum<T>>(static_cast<const T*>(x), static_cast<T*>(out),
                                                    static_cast<int64_t*>(indices), outer, n, inner);)
    return EK_OK;
  }
  EK_DISPATCH_NUMBER(dtype, switch (op) {
    EK_CUMULATE_CASE(EK_CUMULATE_SUM, Sum)
    EK_CUMULATE_CASE(EK_CUMULATE_PROD, Product)
    EK_CUMULATE_CASE(EK_CUMULATE_MAX, Largest)
    EK_CUMULATE_CASE(EK_CUMULATE_MIN, Smallest)
    default: return EK_BAD_ARGUMENT;
  })
#undef EK_CUMULATE_CASE
  return EK_OK;
}

}  // namespace EK_ISA
