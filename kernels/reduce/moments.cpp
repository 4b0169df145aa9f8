// Mean and M2 = Σ(x − mean)² along the middle axis: var and std of any tensor. Batch norm's statistics, which also know formats,
// are in batch_norm/.
#include "reduce/panel.h"

namespace EK_ISA {

constexpr int block_rows = 64;  // read twice; 32 KB of floats, so the second time from the first-level cache

struct moment_columns {
  double rows;  // in each column
  alignas(64) double mean[panel_width];
  alignas(64) double m2[panel_width];
};

// (count, mean, m2) of the union of two sets (Chan, Golub, LeVeque 1983), for `columns` pairs of sets at once:
// mean += δ·c₂/c, m2 += m2₂ + δ²·c₁·c₂/c, δ = mean₂ − mean₁, c = c₁ + c₂.
static void merge(int columns, double count1, double* mean1, double* m21, double count2, const double* mean2, const double* m22) {
  const double total = count1 + count2;
  if (count2 == 0) return;
  const double weight = count2 / total, cross = count1 * weight;
  for (int j = 0; j < columns; j++) {
    const double delta = mean2[j] - mean1[j];
    mean1[j] += delta * weight;
    m21[j] += m22[j] + delta * delta * cross;
  }
}

template <class T> static int reduce_moments(const void* x, double* mean, double* m2, int outer, int n, int inner) {
  const panels p(outer, n, inner);
  auto part = [&](int o, int panel, int split, moment_columns& result) {
    const int columns = p.columns(panel);
    const T* const from = static_cast<const T*>(x) + o * p.slice + panel * panel_width;
    result.rows = 0;
    for (int j = 0; j < columns; j++) result.mean[j] = result.m2[j] = 0;
    for (int row = p.first_row(split), end = p.first_row(split + 1); row < end;) {
      const int rows = end - row < block_rows ? end - row : block_rows;
      const T* const block = from + static_cast<int64_t>(row) * p.width;
      moment_columns b;
      for (int j = 0; j < columns; j++) b.mean[j] = b.m2[j] = 0;
      for (int r = 0; r < rows; r++)
        for (int j = 0; j < columns; j++) b.mean[j] += static_cast<double>(block[static_cast<int64_t>(r) * p.width + j]);
      for (int j = 0; j < columns; j++) b.mean[j] /= rows;
      for (int r = 0; r < rows; r++) {
        for (int j = 0; j < columns; j++) {
          const double d = static_cast<double>(block[static_cast<int64_t>(r) * p.width + j]) - b.mean[j];
          b.m2[j] += d * d;
        }
      }
      merge(columns, result.rows, result.mean, result.m2, rows, b.mean, b.m2);
      result.rows += rows;
      row += rows;
    }
  };
  auto finish = [&](int o, int panel, moment_columns* parts, int splits) {
    moment_columns& a = parts[0];
    const int columns = p.columns(panel);
    for (int split = 1; split < splits; split++) {
      merge(columns, a.rows, a.mean, a.m2, parts[split].rows, parts[split].mean, parts[split].m2);
      a.rows += parts[split].rows;
    }
    // Groups of a row may hold different counts once some are folded, and the elements behind the last row are sets of one.
    double counts[panel_width];
    for (int g = 0; g < p.group; g++) counts[g] = a.rows;
    const T* rest = static_cast<const T*>(x) + o * p.slice + static_cast<int64_t>(p.rows) * p.width;
    for (int g = 0; g * inner < p.rest; g++) {
      for (int i = 0; i < inner; i++) {
        const double value = static_cast<double>(rest[g * inner + i]), zero = 0;
        merge(1, counts[g], a.mean + g * inner + i, a.m2 + g * inner + i, 1, &value, &zero);
      }
      counts[g] += 1;
    }
    fold(p.group, inner, [&](int, int from, int length) {
      for (int g = 0, h = from / inner; g * inner < length; g++, h++) {
        merge(inner, counts[g], a.mean + g * inner, a.m2 + g * inner, counts[h], a.mean + h * inner, a.m2 + h * inner);
        counts[g] += counts[h];
      }
    });
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
