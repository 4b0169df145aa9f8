// Which inputs an output of a pooling reads, axis by axis; and loads of strided values along a row of outputs.
#pragma once
#include "simd/copy.h"
#include "simd/tile.h"
#include "types.h"

namespace EK_ISA {

// The inputs of an output along one axis.
struct Window {
  // It reads first, first + dilation, …, `count` inputs. full: how many positions it has with those in the padding;
  // PyTorch counts these without dilation.
  int first, count, full;
};

struct PoolAxis {
  int in, out, kernel, stride, padding, dilation;
  bool adaptive;

  Window window(int i) const {
    if (adaptive) {
      const int begin = static_cast<int>(static_cast<int64_t>(i) * in / out);
      const int end = static_cast<int>((static_cast<int64_t>(i + 1) * in + out - 1) / out);
      return {begin, end - begin, end - begin};
    }
    const int start = i * stride - padding;
    // The usual case, without divisions.
    if (start >= 0 && start + (kernel - 1) * dilation < in && start + kernel <= in + padding)
      return {start, kernel, kernel};
    const int skipped = start < 0 ? ceil_div(-start, dilation) : 0;
    const int first = start + skipped * dilation, fits = in > first ? ceil_div(in - first, dilation) : 0;
    const int left = kernel - skipped < fits ? kernel - skipped : fits;
    const int end = start + kernel < in + padding ? start + kernel : in + padding;  // beyond the padding nothing counts
    return {first, left < 0 ? 0 : left, end - start};
  }
  // Finds the outputs whose windows lie inside the input: begin … end − 1. They are at equal distances.
  void inner(int& begin, int& end) const {
    begin = end = 0;
    if (adaptive) return;
    const int room = in + padding - dilation * (kernel - 1) - 1;  // the last start inside, plus the padding
    end = room < 0 ? 0 : room / stride + 1 < out ? room / stride + 1 : out;
    begin = ceil_div(padding, stride) < end ? ceil_div(padding, stride) : end;
  }
};

struct PoolGeometry {
  int n, c, format;
  PoolAxis axis[3];

  explicit PoolGeometry(const int* g) : n(g[0]), c(g[1]), format(g[20]) {
    for (int d = 0; d < 3; d++) {
      const int in = g[2 + d], out = g[5 + d];
      if (!g[21]) axis[d] = {in, out, g[8 + d], g[11 + d], g[14 + d], g[17 + d], false};
      else if (out > 0 && in % out == 0) axis[d] = {in, out, in / out, in / out, 0, 1, false};  // equal windows
      else axis[d] = {in, out, 1, 1, 0, 1, true};
    }
  }
  bool valid() const {
    if (n < 0 || c < 0) return false;
    for (const PoolAxis& a : axis)
      if (a.in < 0 || a.out < 0 || a.padding < 0 || (a.out > 0 && (a.kernel < 1 || a.stride < 1 || a.dilation < 1)))
        return false;
    return true;
  }
  ptrdiff_t in_volume() const { return static_cast<ptrdiff_t>(axis[0].in) * axis[1].in * axis[2].in; }
  // The first channel of what begins at a place of the input.
  int channel_at(ptrdiff_t place) const {
    return static_cast<int>((format == EK_CONTIGUOUS ? place / in_volume() : place) % c);
  }
  ptrdiff_t out_volume() const { return static_cast<ptrdiff_t>(axis[0].out) * axis[1].out * axis[2].out; }
  // Calls body(place in the input, place in the output, channels, elements between pixels) for each part of the tensor,
  // in parallel. Only one job writes to a part. Contiguous: a part is a plane, which is one channel of an image.
  // Channels last: it is a chunk of channels of an image.
  template <class F> void each_job(const F& body) const {
    const ptrdiff_t in = in_volume(), out = out_volume();
    if (format == EK_CONTIGUOUS) {  // a job computes several small planes
      const int block = in + out < tile_elements ? static_cast<int>(tile_elements / (in + out + 1)) + 1 : 1;
      return parallel_blocks(n * c, block, [&](int begin, int end) {
        for (int plane = begin; plane < end; plane++) body(plane * in, plane * out, 1, 1);
      });
    }
    const int chunk = c < 64 ? c : 64, chunks = c ? ceil_div(c, chunk) : 0;
    parallel_for(n * chunks, [&](int job, int) {
      const int image = job / chunks, first = job % chunks * chunk;
      body(image * in * c + first, image * out * c + first, c - first < chunk ? c - first : chunk, c);
    });
  }

  // Whether every input belongs to exactly one window, so that gradients need not be added up.
  bool tiled() const {
    for (const PoolAxis& a : axis)
      if (a.adaptive || a.kernel != a.stride || a.padding || a.dilation != 1 || a.in != a.out * a.kernel) return false;
    return true;
  }
  // Calls body(d, h, w, position of the output) for every output pixel.
  template <class F> EK_INLINE void outputs(const F& body) const {
    ptrdiff_t place = 0;
    for (int d = 0; d < axis[0].out; d++)
      for (int h = 0; h < axis[1].out; h++) {
        const Window wd = axis[0].window(d), wh = axis[1].window(h);
        for (int w = 0; w < axis[2].out; w++) body(wd, wh, axis[2].window(w), place++);
      }
  }
  // Calls body(position of the input) for every tap of a window, in order.
  template <class F> EK_INLINE void taps(const Window& d, const Window& h, const Window& w, const F& body) const {
    for (int i = 0; i < d.count; i++)
      for (int j = 0; j < h.count; j++) {
        const ptrdiff_t row = (static_cast<ptrdiff_t>(d.first + i * axis[0].dilation) * axis[1].in + h.first +
                               j * axis[1].dilation) *
                              axis[2].in;
        for (int k = 0; k < w.count; k++) body(row + w.first + k * axis[2].dilation);
      }
  }
};

// a[0], a[2], …, b[1], b[3], …
template <class V, int... I> EK_INLINE V every_other(V a, V b, Indices<I...>) {
  constexpr int n = sizeof...(I);
  return __builtin_shufflevector(a, b, (2 * I < n ? 2 * I : 2 * I + 1)...);
}
// Every second lane of a and then of b, from lane `first` on.
template <int first, class V, int... I> EK_INLINE V half_of(V a, V b, Indices<I...>) {
  return __builtin_shufflevector(a, b, (2 * I + first)...);
}
// p[0] + p[1], p[2] + p[3], …
template <class T> EK_INLINE vec<T> add_pairs(const T* p) {
  const vec<T> a = load(p), b = load(p + lanes<T>);
  return half_of<0>(a, b, indices<lanes<T>>{}) + half_of<1>(a, b, indices<lanes<T>>{});
}
// The lower or upper half of the lanes of a and b, alternating.
template <bool high, class V, int... I> EK_INLINE V interleave(V a, V b, Indices<I...>) {
  constexpr int n = sizeof...(I);
  return __builtin_shufflevector(a, b, ((high ? n / 2 : 0) + I / 2 + (I % 2 ? n : 0))...);
}

// p[2i] = p[2i + 1] = v[i], for i < n.
template <class T> EK_INLINE void store_twice(T* p, vec<T> v, int n) {
  constexpr int L = lanes<T>;
  const vec<T> low = interleave<false>(v, v, indices<L>{}), high = interleave<true>(v, v, indices<L>{});
  if (n == L) {
    store(p, low);
    store(p + L, high);
  } else {
    store_n(p, low, 2 * n < L ? 2 * n : L);
    if (2 * n > L) store_n(p + L, high, 2 * n - L);
  }
}

// Loads p[0], p[stride], …: n values (1 … lanes). It reads nothing behind the last.
template <class T> EK_INLINE vec<T> load_strided(const T* p, int stride, int n) {
  constexpr int L = lanes<T>;
  if (stride == 1) return n == L ? load(p) : load_n(p, n);
  if (stride == 2 && n == L) return every_other(load(p), load(p + L - 1), indices<L>{});
  if (stride == 2 && EK_VECTOR_BYTES == 64) {
    const int last = 2 * n - 1;  // values to read
    return every_other(load_n(p, last < L ? last : L), last < L ? vec<T>{} : load_n(p + L - 1, last - L + 1),
                       indices<L>{});
  }
  vec<T> v = {};
  for (int i = 0; i < n; i++) v[i] = p[i * stride];
  return v;
}

// Calls body(j, n) for the vectors of begin … end − 1. All are whole, and the last may overlap its neighbour; but if
// there are fewer values than lanes, there is one vector with n values.
template <class T, class F> EK_INLINE void vectors(int begin, int end, const F& body) {
  constexpr int L = lanes<T>;
  int j = begin;
  for (; j + L <= end; j += L) body(j, L);
  if (j == end) return;
  if (end - begin >= L) body(end - L, L);
  else body(j, end - j);
}

}  // namespace EK_ISA
