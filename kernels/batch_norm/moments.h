// The moments of a set of numbers, and how those of two sets are merged. M2 is Σ(x − mean)².
#pragma once
#include "simd/vec.h"

namespace EK_ISA {

struct Moments {
  double count, mean, m2;

  // δ = mean_b − mean_a; mean = mean_a + δ·n_b/n; M2 = M2_a + M2_b + δ²·n_a·n_b/n (Chan, Golub & LeVeque 1983).
  void merge(const Moments& b) {
    if (b.count == 0) return;
    if (count == 0) {
      *this = b;
      return;
    }
    const double n = count + b.count, delta = b.mean - mean;
    if (delta - delta == 0) {
      mean += delta * (b.count / n);
      m2 += b.m2 + delta * delta * (count * (b.count / n));
    } else {  // a mean is infinite or NaN: an infinity keeps its sign, two of opposite sign make NaN
      mean += b.mean;
      m2 = __builtin_nan("");
    }
    count = n;
  }
};

// 1/√(biased variance + eps).
inline double inverse_std(double m2, double count, double eps) { return 1 / __builtin_sqrt(m2 / count + eps); }

}  // namespace EK_ISA
