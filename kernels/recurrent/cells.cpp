// The pointwise part of one step of a recurrent layer, and its gradient: all gates in one pass over (n, h). The matrix
// products before and after are gemm's.
#include "kernel.h"
#include "parallel.h"
#include "simd/math.h"
#include "simd/strip.h"

namespace EK_ISA {

// Calls body(row, at) for all vectors of all rows, in parallel. A tile has about 2048 elements: exp takes long.
template <class T, class F> static void for_cells(int n, int h, const F& body) {
  const int rows = h < 2048 ? 2048 / h : 1;
  parallel_blocks(n, rows, [&](int begin, int end) {
    for (int row = begin; row < end; row++) for_vectors<T>(0, h, [&](auto at) { body(static_cast<int64_t>(row), at); });
  });
}

// i, f, o = σ(gates), g = tanh(gates), in place; c = f·c₀ + i·g; h = o·tanh c.
template <class T> static void lstm_cell(T* gates, const T* c0, T* c, T* out, int n, int h) {
  for_cells<T>(n, h, [=](int64_t row, auto at) {
    T* own = gates + row * 4 * h;
    const int64_t cell = row * h;
    const vec<T> i = sigmoid<T>(at.read(own)), f = sigmoid<T>(at.read(own + h)), g = tanh<T>(at.read(own + 2 * h)),
                 o = sigmoid<T>(at.read(own + 3 * h)), now = f * at.read(c0 + cell) + i * g;
    at.write(own, i);
    at.write(own + h, f);
    at.write(own + 2 * h, g);
    at.write(own + 3 * h, o);
    at.write(c + cell, now);
    at.write(out + cell, o * tanh<T>(now));
  });
}
// With dh = dy + dh: dc = dc + dh·o·(1 − tanh²c); dc becomes dc·f.
template <class T>
static void lstm_cell_backward(const T* gates, const T* c0, const T* c, const T* dy, const T* dh, T* dc, T* dgates,
                               int n, int h) {
  for_cells<T>(n, h, [=](int64_t row, auto at) {
    const T* own = gates + row * 4 * h;
    T* to = dgates + row * 4 * h;
    const int64_t cell = row * h;
    const vec<T> i = at.read(own), f = at.read(own + h), g = at.read(own + 2 * h), o = at.read(own + 3 * h),
                 bent = tanh<T>(at.read(c + cell));
    const vec<T> d = dy ? at.read(dy + cell) + at.read(dh + cell) : at.read(dh + cell);
    const vec<T> dnow = at.read(dc + cell) + d * o * (T(1) - bent * bent);
    at.write(to, dnow * g * i * (T(1) - i));
    at.write(to + h, dnow * at.read(c0 + cell) * f * (T(1) - f));
    at.write(to + 2 * h, dnow * i * (T(1) - g * g));
    at.write(to + 3 * h, d * bent * o * (T(1) - o));
    at.write(dc + cell, dnow * f);
  });
}

// r, z = σ(gates + hidden), m = tanh(gates + r·hidden), in place of the gates; h = (h₀ − m)·z + m.
template <class T> static void gru_cell(T* gates, const T* hidden, const T* h0, T* out, int n, int h) {
  for_cells<T>(n, h, [=](int64_t row, auto at) {
    T* own = gates + row * 3 * h;
    const T* part = hidden + row * 3 * h;
    const int64_t cell = row * h;
    const vec<T> r = sigmoid<T>(at.read(own) + at.read(part)), z = sigmoid<T>(at.read(own + h) + at.read(part + h)),
                 m = tanh<T>(at.read(own + 2 * h) + r * at.read(part + 2 * h));
    at.write(own, r);
    at.write(own + h, z);
    at.write(own + 2 * h, m);
    at.write(out + cell, (at.read(h0 + cell) - m) * z + m);
  });
}
// With dh = dy + dh: gradients of gates and hidden; dh becomes dh·z, to which the product with the weights is added.
template <class T>
static void gru_cell_backward(const T* gates, const T* hidden, const T* h0, const T* dy, T* dh, T* dgates, T* dhidden,
                              int n, int h) {
  for_cells<T>(n, h, [=](int64_t row, auto at) {
    const int64_t first = row * 3 * h, cell = row * h;
    const T* own = gates + first;
    const vec<T> r = at.read(own), z = at.read(own + h), m = at.read(own + 2 * h);
    const vec<T> d = dy ? at.read(dy + cell) + at.read(dh + cell) : at.read(dh + cell);
    const vec<T> dm = d * (T(1) - z) * (T(1) - m * m), dr = dm * at.read(hidden + first + 2 * h) * r * (T(1) - r),
                 dz = d * (at.read(h0 + cell) - m) * z * (T(1) - z);
    at.write(dgates + first, dr);
    at.write(dgates + first + h, dz);
    at.write(dgates + first + 2 * h, dm);
    at.write(dhidden + first, dr);
    at.write(dhidden + first + h, dz);
    at.write(dhidden + first + 2 * h, dm * r);
    at.write(dh + cell, d * z);
  });
}

// h = tanh(gates), or max(gates, 0), where NaN stays NaN.
template <class T> static void rnn_cell(bool relu, const T* gates, T* out, int n, int h) {
  for_cells<T>(n, h, [=](int64_t row, auto at) {
    const vec<T> x = at.read(gates + row * h);
    at.write(out + row * h, relu ? (x <= T(0) ? vec<T>{} : x) : tanh<T>(x));
  });
}
template <class T>
static void rnn_cell_backward(bool relu, const T* y, const T* dy, const T* dh, T* dgates, int n, int h) {
  for_cells<T>(n, h, [=](int64_t row, auto at) {
    const int64_t cell = row * h;
    const vec<T> out = at.read(y + cell);
    const vec<T> d = dy ? at.read(dy + cell) + at.read(dh + cell) : at.read(dh + cell);
    at.write(dgates + cell, relu ? (out <= T(0) ? vec<T>{} : d) : d * (T(1) - out * out));
  });
}

EK_API int ek_lstm_cell(int dtype, void* gates, const void* c0, void* c, void* out, int n, int h) {
  if (n == 0 || h == 0) return EK_OK;
  EK_DISPATCH_FLOAT(dtype, lstm_cell(static_cast<T*>(gates), static_cast<const T*>(c0), static_cast<T*>(c),
                                     static_cast<T*>(out), n, h);)
  return EK_OK;
}
EK_API int ek_lstm_cell_backward(int dtype, const void* gates, const void* c0, const void* c, const void* dy,
                                 const void* dh, void* dc, void* dgates, int n, int h) {
  if (n == 0 || h == 0) return EK_OK;
  EK_DISPATCH_FLOAT(
      dtype, lstm_cell_backward(static_cast<const T*>(gates), static_cast<const T*>(c0), static_cast<const T*>(c),
                                static_cast<const T*>(dy), static_cast<const T*>(dh), static_cast<T*>(dc),
                                static_cast<T*>(dgates), n, h);)
  return EK_OK;
}
EK_API int ek_gru_cell(int dtype, void* gates, const void* hidden, const void* h0, void* out, int n, int h) {
  if (n == 0 || h == 0) return EK_OK;
  EK_DISPATCH_FLOAT(dtype, gru_cell(static_cast<T*>(gates), static_cast<const T*>(hidden), static_cast<const T*>(h0),
                                    static_cast<T*>(out), n, h);)
  return EK_OK;
}
EK_API int ek_gru_cell_backward(int dtype, const void* gates, const void* hidden, const void* h0, const void* dy,
                                void* dh, void* dgates, void* dhidden, int n, int h) {
  if (n == 0 || h == 0) return EK_OK;
  EK_DISPATCH_FLOAT(dtype, gru_cell_backward(static_cast<const T*>(gates), static_cast<const T*>(hidden),
                                             static_cast<const T*>(h0), static_cast<const T*>(dy), static_cast<T*>(dh),
                                             static_cast<T*>(dgates), static_cast<T*>(dhidden), n, h);)
  return EK_OK;
}
EK_API int ek_rnn_cell(int relu, int dtype, const void* gates, void* out, int n, int h) {
  if (n == 0 || h == 0) return EK_OK;
  EK_DISPATCH_FLOAT(dtype, rnn_cell(relu != 0, static_cast<const T*>(gates), static_cast<T*>(out), n, h);)
  return EK_OK;
}
EK_API int ek_rnn_cell_backward(int relu, int dtype, const void* y, const void* dy, const void* dh, void* dgates, int n,
                                int h) {
  if (n == 0 || h == 0) return EK_OK;
  EK_DISPATCH_FLOAT(dtype, rnn_cell_backward(relu != 0, static_cast<const T*>(y), static_cast<const T*>(dy),
                                             static_cast<const T*>(dh), static_cast<T*>(dgates), n, h);)
  return EK_OK;
}

}  // namespace EK_ISA
