// Mean and M2 = Σ(x − mean)² along the middle axis: for var and std of any tensor. The statistics of batch norm are in
// batch_norm/.
#include "reduce/panel.h"

namespace EK_ISA {

constexpr int block_rows = 64;  // rows that are read twice together: 32 KB of floats, which are in L1 the second time

struct moment_columns {
  alignas(64) double count[panel_width];
  alignas(64) double mean[panel_width];
  alignas(64) double m2[panel_width];
};

// Merges (count, mean, m2) of two sets (Chan, Golub, LeVeque 1983): mean += δ·c₂/c, m2 += m2₂ + δ²·c₁·c₂/c, where δ =
// mean₂ − mean₁ and c = c₁ + c₂. It does so for `columns` pairs of sets, from column i of a and column k of b on.
static void merge(int columns, moment_columns& a, int i, const moment_columns& b, int k) {
  for (int j = 0; j < columns; j++) {
    const double total = a.count[i + j] + b.count[k + j], weight = total > 0 ? b.count[k + j] / total : 0;
    const double delta = b.mean[k + j] - a.mean[i + j];
    a.mean[i + j] += delta * weight;
    // In this order an overflow of δ² is not multiplied with the 0 of an empty set, which would give NaN.
    a.m2[i + j] += b.m2[k + j] + delta * (delta * (a.count[i + j] * weight));
    a.count[i + j] = total;
  }
}

template <class T> static int reduce_moments(const void* x, double* mean, double* m2, int outer, int n, int inner) {
  const panels p(outer, n, inner);
  auto part = [&](int o, int panel, int split, moment_columns& result) {
    const int columns = p.columns(panel);
    const T* const from = static_cast<const T*>(x) + o * p.slice + panel * panel_width;
    for (int j = 0; j < columns; j++) result.count[j] = result.mean[j] = result.m2[j] = 0;
    for (int row = p.first_row(split), end = p.first_row(split + 1); row < end;) {
      const int rows = end - row < block_rows ? end - row : block_rows;
      const T* const block = from + static_cast<int64_t>(row) * p.width;
      moment_columns b;
      for (int j = 0; j < columns; j++) b.mean[j] = b.m2[j] = 0, b.count[j] = rows;
      for (int r = 0; r < rows; r++)
        for (int j = 0; j < columns; j++)
          b.mean[j] += static_cast<double>(block[static_cast<int64_t>(r) * p.width + j]);
      for (int j = 0; j < columns; j++) b.mean[j] /= rows;
      for (int r = 0; r < rows; r++) {
        for (int j = 0; j < columns; j++) {
          const double d = static_cast<double>(block[static_cast<int64_t>(r) * p.width + j]) - b.mean[j];
          b.m2[j] += d * d;
        }
      }
      merge(columns, result, 0, b, 0);
      row += rows;
    }
  };
  auto finish = [&](int o, int panel, moment_columns* parts, int splits) {
    moment_columns& a = parts[0];
    const int columns = p.columns(panel);
    for (int split = 1; split < splits; split++) merge(columns, a, 0, parts[split], 0);
    // Each element behind the last row is a set of its own.
    moment_columns rest;
    const T* from = static_cast<const T*>(x) + o * p.slice + static_cast<int64_t>(p.rows) * p.width;
    for (int j = 0; j < p.rest; j++) rest.count[j] = 1, rest.mean[j] = static_cast<double>(from[j]), rest.m2[j] = 0;
    merge(p.rest, a, 0, rest, 0);
    fold(p.group, inner, [&](int to, int from, int length) { merge(length, a, to, a, from); });
    const int64_t to = static_cast<int64_t>(o) * inner + panel * panel_width;
    for (int j = 0, outputs = p.group > 1 ? inner : columns; j < outputs; j++) {
      mean[to + j] = n == 0 ? __builtin_nan("") : a.mean[j];
      m2[to + j] = a.m2[j];
    }
  };
  for_panels<moment_columns>(p, outer, part, finish);
  return EK_OK;
}

EK_API int ek_reduce_moments(int dtype, const void* x, double* mean, double* m2, int outer, int n, int inner) {
  if (outer == 0 || inner == 0) return EK_OK;
  EK_DISPATCH_FLOAT(dtype, return reduce_moments<T>(x, mean, m2, outer, n, inner);)
  return EK_OK;
}

}  // namespace EK_ISA
