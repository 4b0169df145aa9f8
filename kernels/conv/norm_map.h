// A norm as a map (map.h) on the values of a convolution. As a prologue it normalizes the input, or turns the gradient
// of a norm's output into that of its input, while values are packed. As an epilogue it normalizes the output. The
// arithmetic is in batch_norm/map.h.
#pragma once
#include "batch_norm/map.h"
#include "conv/map.h"

namespace EK_ISA {

// Map::forward:  v = norm(v)
// Map::residual: v = norm(v) + other
// Map::training: v = the gradient of the norm's input, from v, the gradient of its output; `other` is that input
template <class T> struct NormMap {
  Map map;         // one of these three
  const T* norm;   // the norm's coefficients (kCoefficients, c); null: the map changes nothing
  const T* other;  // a tensor like the one that is mapped
  int c, relu;

  bool none() const { return !norm; }
  template <class F> EK_INLINE void each_read(const F& body) const {
    if (norm && other) body(other);
  }

  // Calls body(step), where step(v, other, coefficients) computes one vector.
  template <class F> EK_INLINE void with_step(const F& body) const {
    if (relu) with_step<true>(body);
    else with_step<false>(body);
  }

  __attribute__((noinline)) void channels(T* values, ptrdiff_t pitch, const Run& run) const {
    if (!norm) return;
    with_step([&](const auto& step) {
      for (int j = 0; j < run.channels; j += lanes<T>) {
        const int n = run.channels - j < lanes<T> ? run.channels - j : lanes<T>;
        const Coefficients<vec<T>> k = coefficients_at(norm, c, run.channel + j, n);
        T* at = values + j;
        for (int i = 0; i < run.pixels; i++, at += pitch) {
          const vec<T> x = other ? channels_at(other, run, i, j, n) : vec<T>{};
          if (n == lanes<T>) store(at, step(load(at), x, k));
          else store_n(at, step(load_n(at, n), x, k), n);
        }
      }
    });
  }
  __attribute__((noinline)) void plane(T* values, const Run& run) const {
    if (!norm) return;
    const Coefficients<vec<T>> k = splat_coefficients(norm, c, run.channel);
    with_step([&](const auto& step) {
      for (int i = 0; i < run.pixels; i += lanes<T>) {
        const int n = run.pixels - i < lanes<T> ? run.pixels - i : lanes<T>;
        const vec<T> x = other ? pixels_at(other, run, i, n) : vec<T>{};
        if (n == lanes<T>) store(values + i, step(load(values + i), x, k));
        else store_n(values + i, step(load_n(values + i, n), x, k), n);
      }
    });
  }

 private:
  template <bool relu, class F> EK_INLINE void with_step(const F& body) const {
    if (map == Map::training)
      body([](vec<T> v, vec<T> x, const Coefficients<vec<T>>& k) { return map_step<Map::training, relu>(x, v, k); });
    else if (map == Map::residual)
      body([](vec<T> v, vec<T> x, const Coefficients<vec<T>>& k) { return map_step<Map::residual, relu>(v, x, k); });
    else
      body(
          [](vec<T> v, vec<T>, const Coefficients<vec<T>>& k) { return map_step<Map::forward, relu>(v, vec<T>{}, k); });
  }
};

}  // namespace EK_ISA
