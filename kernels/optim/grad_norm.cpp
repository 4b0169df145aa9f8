// The norm of all gradients of a table, and their scaling: for clipping by norm or by value, and for unscaling. The
// steps of optimizers are in optim.cpp.
#include "optim/table.h"
#include "simd/math.h"
#include "simd/lane_sum.h"

namespace EK_ISA {

enum class norm_kind { count, sum, square, power, max };

// Σ|g|^p in double, or max|g|, which is NaN if a gradient is. p = 0 counts the gradients that are not 0.
template <class T, norm_kind kind> static double norm_of(const T* g, int n, double p) {
  auto term = [&](vec<double> x) -> vec<double> {
    const vec<double> a = abs<double>(x);
    if (kind == norm_kind::count) return x == 0.0 ? vec<double>{} : splat(1.0);
    if (kind == norm_kind::square) return x * x;
    if (kind == norm_kind::power) return pow<double>(a, splat(p));
    return a;
  };
  auto join = [](vec<double> a, vec<double> b) { return kind == norm_kind::max ? max_nan(a, b) : a + b; };
  // The lanes are those of a LaneSum.
  vec<double> all[LaneSum::parts] = {};
  int i = 0;
  for (; n - i >= kSumLanes; i += kSumLanes)
#pragma GCC unroll 8
    for (int v = 0; v < LaneSum::parts; v++) all[v] = join(all[v], term(widen(g + i + v * lanes<double>)));
  double lane[kSumLanes] = {};  // |0|^p = 0 for p > 0, and 0 adds nothing to a maximum
  for (int j = 0; j < n - i; j++) lane[j] = static_cast<double>(g[i + j]);
  for (int v = 0; v < LaneSum::parts; v++) {
    const vec<double> last = term(load(lane + v * lanes<double>));
    store(lane + v * lanes<double>, join(all[v], last));
  }
  double result = lane[0];
  for (int j = 1; j < kSumLanes; j++)
    result = kind == norm_kind::max ? (lane[j] > result || lane[j] != lane[j] ? lane[j] : result) : result + lane[j];
  return result;
}

template <class T, norm_kind kind> static void grad_norm(const parameter_table& table, double p, double* result) {
  // Consecutive tiles form a group, which leaves a partial sum. The number of groups does not depend on the threads.
  constexpr int groups = 64;
  double partial[groups] = {};
  const int used = table.tiles < groups ? table.tiles : groups;
  auto join = [](double a, double b) { return kind == norm_kind::max ? (b > a || b != b ? b : a) : a + b; };
  parallel_for(used, [&](int group, int) {
    const int64_t first = static_cast<int64_t>(table.tiles) * group / used;
    const int64_t last = static_cast<int64_t>(table.tiles) * (group + 1) / used;
    table.walk(static_cast<int>(first), static_cast<int>(last), [&](const table_row& row, int begin, int end) {
      partial[group] = join(partial[group], norm_of<T, kind>(pointer<T>(row.gradient) + begin, end - begin, p));
    });
  });
  *result = 0;
  for (int group = 0; group < used; group++) *result = join(*result, partial[group]);
}

EK_API int ek_optim_grad_norm(int dtype, const double* table, int count, double p, double* result) {
  if (!(p >= 0)) return EK_BAD_ARGUMENT;
  const parameter_table t(table, count);
  EK_DISPATCH_FLOAT(dtype, {
    if (p == 0) grad_norm<T, norm_kind::count>(t, p, result);
    else if (p == 1) grad_norm<T, norm_kind::sum>(t, p, result);
    else if (p == 2) grad_norm<T, norm_kind::square>(t, p, result);
    else if (p == real<double>::inf) grad_norm<T, norm_kind::max>(t, p, result);
    else grad_norm<T, norm_kind::power>(t, p, result);
  })
  return EK_OK;
}

EK_API int ek_optim_grad_scale(int dtype, const double* table, int count, double scale, double limit) {
  const parameter_table t(table, count);
  EK_DISPATCH_FLOAT(dtype, {
    const T s = static_cast<T>(scale), high = static_cast<T>(limit), low = -high;
    t.for_each([&](const table_row& row, int begin, int end) {
      T* const g = pointer<T>(row.gradient);
      for_vectors<T>(begin, end, [&](auto at) { at.write(g, max<T>(min<T>(at.read(g) * s, high), low)); });
    });
  })
  return EK_OK;
}

}  // namespace EK_ISA
