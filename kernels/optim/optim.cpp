// The steps of optimizers, over all parameters of a group. The formulas are those of torch/optim/{sgd,adam,rmsprop}.py,
// in the form for single tensors. The order of operations is the same, so that trajectories agree up to rounding.
#include "optim/table.h"
#include "simd/math.h"
#include "simd/strip.h"

namespace EK_ISA {

struct sgd_options {
  double lr, momentum, dampening, weight_decay;
  bool nesterov, maximize, first;
};

// g = ±g + weight_decay·p; buf = first ? g : momentum·buf + (1 − dampening)·g; g = nesterov ? g + momentum·buf : buf; p
// −= lr·g.
template <class T> static void sgd(const parameter_table& table, const sgd_options& o) {
  const T lr = T(o.lr), momentum = T(o.momentum), fresh = T(1 - o.dampening), decay = T(o.weight_decay);
  table.for_each([&](const table_row& row, int begin, int end) {
    T *const p = pointer<T>(row.parameter), *const buf = pointer<T>(row.state[0]);
    const T* const grad = pointer<T>(row.gradient);
    for_vectors<T>(begin, end, [&](auto at) {
      const vec<T> old = at.read(p);
      vec<T> g = at.read(grad);
      if (o.maximize) g = -g;
      if (o.weight_decay != 0) g = g + decay * old;
      if (o.momentum != 0) {
        const vec<T> b = o.first ? g : momentum * at.read(buf) + fresh * g;
        at.write(buf, b);
        g = o.nesterov ? g + momentum * b : b;
      }
      at.write(p, old - lr * g);
    });
  });
}

EK_API int ek_optim_sgd(int dtype, const double* table, int count, double lr, double momentum, double dampening,
                        double weight_decay, int nesterov, int maximize, int first) {
  const sgd_options options = {lr, momentum, dampening, weight_decay, nesterov != 0, maximize != 0, first != 0};
  EK_DISPATCH_FLOAT(dtype, sgd<T>(parameter_table(table, count), options);)
  return EK_OK;
}

struct adam_options {
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled, amsgrad, maximize;
  double step;
};

// With m = exp_avg, v = exp_avg_sq: m += (1 − β₁)·(g − m); v = β₂·v + (1 − β₂)·g²; v̂ = amsgrad ? max(v̂, v) : v;
// p −= lr/(1 − β₁ᵗ) · m/(√v̂/√(1 − β₂ᵗ) + eps). Weight decay: decoupled p *= 1 − lr·weight_decay, else g +=
// weight_decay·p.
template <class T> static void adam(const parameter_table& table, const adam_options& o) {
  auto power = [](double base, double exponent) { return pow<double>(splat(base), splat(exponent))[0]; };
  const double correction1 = 1 - power(o.beta1, o.step), correction2 = 1 - power(o.beta2, o.step);
  const T step_size = T(o.lr / correction1), root2 = T(__builtin_sqrt(correction2)), eps = T(o.eps);
  const T fresh1 = T(1 - o.beta1), beta2 = T(o.beta2), fresh2 = T(1 - o.beta2);
  const T keep = T(1 - o.lr * o.weight_decay), decay = T(o.weight_decay);
  table.for_each([&](const table_row& row, int begin, int end) {
    T *const p = pointer<T>(row.parameter), *const avg = pointer<T>(row.state[0]),
             *const avg_sq = pointer<T>(row.state[1]), *const max_sq = pointer<T>(row.state[2]);
    const T* const grad = pointer<T>(row.gradient);
    for_vectors<T>(begin, end, [&](auto at) {
      vec<T> x = at.read(p), g = at.read(grad);
      if (o.maximize) g = -g;
      if (o.weight_decay != 0) {
        if (o.decoupled) x = x * keep;
        else g = g + decay * x;
      }
      vec<T> m = at.read(avg), v = at.read(avg_sq);
      m = m + fresh1 * (g - m);
      v = beta2 * v + fresh2 * g * g;
      at.write(avg, m);
      at.write(avg_sq, v);
      if (o.amsgrad) {
        v = max_nan(at.read(max_sq), v);
        at.write(max_sq, v);
      }
      at.write(p, x - step_size * (m / (sqrt(v) / root2 + eps)));
    });
  });
}

EK_API int ek_optim_adam(int dtype, const double* table, int count, double lr, double beta1, double beta2, double eps,
                         double weight_decay, int decoupled, int amsgrad, int maximize, double step) {
  const adam_options options = {lr, beta1, beta2, eps, weight_decay, decoupled != 0, amsgrad != 0, maximize != 0, step};
  EK_DISPATCH_FLOAT(dtype, adam<T>(parameter_table(table, count), options);)
  return EK_OK;
}

struct rmsprop_options {
  double lr, alpha, eps, weight_decay, momentum;
  bool centered, maximize;
};

// v = α·v + (1 − α)·g²; centered: a += (1 − α)·(g − a), d = √(v − a²) + eps, else d = √v + eps; with momentum:
// b = momentum·b + g/d, p −= lr·b; else p −= lr·g/d.
template <class T> static void rmsprop(const parameter_table& table, const rmsprop_options& o) {
  const T lr = T(o.lr), alpha = T(o.alpha), fresh = T(1 - o.alpha), eps = T(o.eps), decay = T(o.weight_decay),
          momentum = T(o.momentum);
  table.for_each([&](const table_row& row, int begin, int end) {
    T *const p = pointer<T>(row.parameter), *const avg_sq = pointer<T>(row.state[0]),
             *const buf = pointer<T>(row.state[1]), *const avg = pointer<T>(row.state[2]);
    const T* const grad = pointer<T>(row.gradient);
    for_vectors<T>(begin, end, [&](auto at) {
      const vec<T> x = at.read(p);
      vec<T> g = at.read(grad);
      if (o.maximize) g = -g;
      if (o.weight_decay != 0) g = g + decay * x;
      vec<T> v = alpha * at.read(avg_sq) + fresh * g * g;
      at.write(avg_sq, v);
      if (o.centered) {
        vec<T> a = at.read(avg);
        a = a + fresh * (g - a);
        at.write(avg, a);
        v = v - a * a;
      }
      g = g / (sqrt(v) + eps);
      if (o.momentum > 0) {
        g = momentum * at.read(buf) + g;
        at.write(buf, g);
      }
      at.write(p, x - lr * g);
    });
  });
}

EK_API int ek_optim_rmsprop(int dtype, const double* table, int count, double lr, double alpha, double eps,
                            double weight_decay, double momentum, int centered, int maximize) {
  const rmsprop_options options = {lr, alpha, eps, weight_decay, momentum, centered != 0, maximize != 0};
  EK_DISPATCH_FLOAT(dtype, rmsprop<T>(parameter_table(table, count), options);)
  return EK_OK;
}

}  // namespace EK_ISA
