// The pointwise part of one step of a recurrent layer, for one sample, and its gradient: all gates in one pass over
// the h hidden values. The products with the weights, before and after, are in recurrent.cpp.
#pragma once
#include "simd/math.h"
#include "simd/strip.h"

namespace EK_ISA {

// dy + dh, where dy may be missing.
template <class T, class At> EK_INLINE vec<T> sum_of(const At& at, const T* dy, const T* dh) {
  return dy ? at.read(dy) + at.read(dh) : at.read(dh);
}

// i, f, o = σ(gates), g = tanh(gates), in place; c = f·c₀ + i·g; h = o·tanh c.
template <class T> inline void lstm_cell(T* gates, const T* c0, T* c, T* out, int h) {
  for_vectors<T>(0, h, [=](auto at) {
    const vec<T> i = sigmoid<T>(at.read(gates)), f = sigmoid<T>(at.read(gates + h)),
                 g = tanh<T>(at.read(gates + 2 * h)), o = sigmoid<T>(at.read(gates + 3 * h)),
                 now = f * at.read(c0) + i * g;
    at.write(gates, i);
    at.write(gates + h, f);
    at.write(gates + 2 * h, g);
    at.write(gates + 3 * h, o);
    at.write(c, now);
    at.write(out, o * tanh<T>(now));
  });
}
// With dh = dy + dh: dc = dc + dh·o·(1 − tanh²c); dc becomes dc·f.
template <class T>
inline void lstm_cell_backward(const T* gates, const T* c0, const T* c, const T* dy, const T* dh, T* dc, T* dgates,
                               int h) {
  for_vectors<T>(0, h, [=](auto at) {
    const vec<T> i = at.read(gates), f = at.read(gates + h), g = at.read(gates + 2 * h), o = at.read(gates + 3 * h),
                 bent = tanh<T>(at.read(c));
    const vec<T> d = sum_of(at, dy, dh);
    const vec<T> dnow = at.read(dc) + d * o * (T(1) - bent * bent);
    at.write(dgates, dnow * g * i * (T(1) - i));
    at.write(dgates + h, dnow * at.read(c0) * f * (T(1) - f));
    at.write(dgates + 2 * h, dnow * i * (T(1) - g * g));
    at.write(dgates + 3 * h, d * bent * o * (T(1) - o));
    at.write(dc, dnow * f);
  });
}

// r, z = σ(gates + hidden), m = tanh(gates + r·hidden), in place of the gates; h = (h₀ − m)·z + m.
template <class T> inline void gru_cell(T* gates, const T* hidden, const T* h0, T* out, int h) {
  for_vectors<T>(0, h, [=](auto at) {
    const vec<T> r = sigmoid<T>(at.read(gates) + at.read(hidden)),
                 z = sigmoid<T>(at.read(gates + h) + at.read(hidden + h)),
                 m = tanh<T>(at.read(gates + 2 * h) + r * at.read(hidden + 2 * h));
    at.write(gates, r);
    at.write(gates + h, z);
    at.write(gates + 2 * h, m);
    at.write(out, (at.read(h0) - m) * z + m);
  });
}
// With dh = dy + dh: gradients of gates and hidden; dh becomes dh·z, to which the product with the weights is added.
template <class T>
inline void gru_cell_backward(const T* gates, const T* hidden, const T* h0, const T* dy, T* dh, T* dgates, T* dhidden,
                              int h) {
  for_vectors<T>(0, h, [=](auto at) {
    const vec<T> r = at.read(gates), z = at.read(gates + h), m = at.read(gates + 2 * h);
    const vec<T> d = sum_of(at, dy, dh);
    const vec<T> dm = d * (T(1) - z) * (T(1) - m * m), dr = dm * at.read(hidden + 2 * h) * r * (T(1) - r),
                 dz = d * (at.read(h0) - m) * z * (T(1) - z);
    at.write(dgates, dr);
    at.write(dgates + h, dz);
    at.write(dgates + 2 * h, dm);
    at.write(dhidden, dr);
    at.write(dhidden + h, dz);
    at.write(dhidden + 2 * h, dm * r);
    at.write(dh, d * z);
  });
}

// h = tanh(gates), or max(gates, 0), where NaN stays NaN.
template <class T> inline void rnn_cell(bool relu, const T* gates, T* out, int h) {
  for_vectors<T>(0, h, [=](auto at) {
    const vec<T> x = at.read(gates);
    at.write(out, relu ? (x <= T(0) ? vec<T>{} : x) : tanh<T>(x));
  });
}
template <class T> inline void rnn_cell_backward(bool relu, const T* y, const T* dy, const T* dh, T* dgates, int h) {
  for_vectors<T>(0, h, [=](auto at) {
    const vec<T> out = at.read(y);
    const vec<T> d = sum_of(at, dy, dh);
    at.write(dgates, relu ? (out <= T(0) ? vec<T>{} : d) : d * (T(1) - out * out));
  });
}

}  // namespace EK_ISA
