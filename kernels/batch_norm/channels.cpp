// The steps of batch norm between its passes over a tensor: a few numbers for each channel, computed in double.
#include "batch_norm/moments.h"
#include "kernel.h"

namespace EK_ISA {

int ek_batch_norm_combine(int parts, int c, int pitch, const double* counts, const double* means, const double* m2s,
                          double* count, double* mean, double* m2) {
  const auto place = [&](int part) { return static_cast<ptrdiff_t>(part) * pitch; };
  double total = 0;
  for (int part = 0; part < parts; part++) total += counts[place(part)];
  for (int i = 0; i < c; i++) {
    Moments all{0, 0, 0};
    for (int part = 0; part < parts; part++) {
      const ptrdiff_t at = place(part);
      all.merge({counts[at], means[at + i], m2s[at + i]});
    }
    mean[i] = all.mean;
    m2[i] = all.m2;
  }
  *count = total;
  return EK_OK;
}

int ek_batch_norm_update_running(int dtype, int c, double count, const double* mean, const double* m2, double momentum,
                                 const void* tracked, void* running_mean, void* running_var) {
  const double f = momentum == momentum ? momentum : 1 / static_cast<double>(*static_cast<const int64_t*>(tracked));
  EK_DISPATCH_FLOAT(dtype, {
    T* means = static_cast<T*>(running_mean);
    T* variances = static_cast<T*>(running_var);
    for (int i = 0; i < c; i++) {
      if (means) means[i] = static_cast<T>((1 - f) * means[i] + f * mean[i]);
      if (variances) variances[i] = static_cast<T>((1 - f) * variances[i] + f * (m2[i] / (count - 1)));
    }
  })
  return EK_OK;
}

int ek_batch_norm_count(void* tracked) {
  ++*static_cast<int64_t*>(tracked);
  return EK_OK;
}

int ek_batch_norm_from_running(int dtype, int c, const void* running_mean, const void* running_var, double eps,
                               double* mean, double* invstd) {
  EK_DISPATCH_FLOAT(dtype, {
    const T *means = static_cast<const T*>(running_mean), *variances = static_cast<const T*>(running_var);
    for (int i = 0; i < c; i++) {
      mean[i] = means[i];
      invstd[i] = 1 / __builtin_sqrt(variances[i] + eps);
    }
  })
  return EK_OK;
}

int ek_batch_norm_parameter_gradients(int dtype, int c, const double* invstd, const double* sum_dy,
                                      const double* sum_dy_xmu, void* dweight, void* dbias) {
  EK_DISPATCH_FLOAT(dtype, {
    for (int i = 0; i < c; i++) {
      if (dweight) static_cast<T*>(dweight)[i] = static_cast<T>(invstd[i] * sum_dy_xmu[i]);
      if (dbias) static_cast<T*>(dbias)[i] = static_cast<T>(sum_dy[i]);
    }
  })
  return EK_OK;
}

}  // namespace EK_ISA
