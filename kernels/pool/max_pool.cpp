// Maximum pooling with indices, forward and backward. As in PyTorch, the first of equal maxima is taken, and NaN comes
// before all numbers. If a norm's values are pooled, each value is normalized when it is read.
#include "batch_norm/map.h"
#include "pool/window.h"

namespace EK_ISA {
namespace {

template <class T> struct Best {
  vec<T> value;
  ivec<T> index;
  EK_INLINE void take(vec<T> x, ivec<T> at) {
    const ivec<T> better = (x > value) | (x != x);
    value = better ? x : value;
    index = better ? at : index;
  }
};

template <class T> EK_INLINE Best<T> nothing() { return {splat(limits<T>::min), ivec<T>{} - 1}; }

// Takes the first tap, also if it is −inf.
template <class T> EK_INLINE void start(Best<T>& best, vec<T> x, ivec<T> at) {
  best.value = x;
  best.index = at;
}

template <class T> EK_INLINE void put(const Best<T>& best, int n, T* y, int64_t* indices) {
  store_some(y, best.value, n);
  if (indices)
    for (int i = 0; i < n; i++) indices[i] = best.index[i];
}

template <class T> EK_INLINE ivec<T> splat_index(ptrdiff_t i) {
  return ivec<T>{} + static_cast<decltype(+ivec<T>{}[0])>(i);
}

// What happens to values before they are compared: nothing, or a norm. plane(channel) gives the function for the values
// of one channel, channels(channel, n) that for n channels from one on.
template <class T> struct AsTheyAre {
  EK_INLINE vec<T> operator()(vec<T> x) const { return x; }
  AsTheyAre plane(int) const { return {}; }
  EK_INLINE AsTheyAre channels(int, int) const { return {}; }
};
template <class T> struct Normalized {
  const T* norm;  // (kCoefficients, c)
  int c, relu;
  struct Values {
    Coefficients<vec<T>> k;
    vec<T> low, top;
    EK_INLINE vec<T> operator()(vec<T> x) const {
      return lesser(top, greater(low, map_step<Map::forward, false>(x, vec<T>{}, k)));
    }
  };
  Values plane(int channel) const { return values(splat_coefficients(norm, c, channel)); }
  EK_INLINE Values channels(int channel, int n) const { return values(coefficients_at(norm, c, channel, n)); }

 private:
  EK_INLINE Values values(const Coefficients<vec<T>>& k) const {
    const T none = static_cast<T>(__builtin_nan(""));
    return {k, relu ? vec<T>{} : splat(none), relu ? k.top : splat(none)};
  }
};

// Pools one plane. The lanes are neighbouring outputs of a row. Outputs whose windows reach into the padding are
// computed one at a time.
template <class T, class V> void max_plane(const PoolGeometry& g, const T* x, const V& value, T* y, int64_t* indices) {
  const PoolAxis& a = g.axis[2];
  int begin, end;
  a.inner(begin, end);
  ivec<T> steps;
  for (int l = 0; l < lanes<T>; l++) steps[l] = l * a.stride;
  for (int od = 0; od < g.axis[0].out; od++)
    for (int oh = 0; oh < g.axis[1].out; oh++) {
      const Window d = g.axis[0].window(od), h = g.axis[1].window(oh);
      const auto some = [&](int j, int n, const Window& w, int stride) EK_INLINE_LAMBDA {
        Best<T> best = nothing<T>();
        bool first = true;
        g.taps(d, h, w, [&](ptrdiff_t at) EK_INLINE_LAMBDA {
          const vec<T> v = value(load_strided(x + at, stride, n));
          const ivec<T> index = splat_index<T>(at) + steps;
          if (first) start(best, v, index);
          else best.take(v, index);
          first = false;
        });
        put(best, n, y + j, indices ? indices + j : nullptr);
      };
      const auto edge = [&](int from, int to) {
        for (int j = from; j < to; j++) some(j, 1, a.window(j), 1);
      };
      edge(0, begin);
      const auto inner = [&](int j, int n)
                             EK_INLINE_LAMBDA { some(j, n, {j * a.stride - a.padding, a.kernel, a.kernel}, a.stride); };
      const auto pairs = [&](int j, int n) EK_INLINE_LAMBDA { some(j, n, {j * 2 - a.padding, a.kernel, a.kernel}, 2); };
      if (a.stride == 2) vectors<T>(begin, end, pairs);
      else vectors<T>(begin, end, inner);
      edge(end, a.out);
      y += a.out;
      if (indices) indices += a.out;
    }
}

// Pools some channels of one image, channels last. The lanes are channels.
template <class T, class N>
void max_channels(const PoolGeometry& g, const T* x, const N& norm, int channel, int channels, T* y, int64_t* indices) {
  g.outputs([&](const Window& d, const Window& h, const Window& w, ptrdiff_t place) {
    vectors<T>(0, channels, [&](int c, int n) {
      const auto value = norm.channels(channel + c, n);
      Best<T> best = nothing<T>();
      bool first = true;
      g.taps(d, h, w, [&](ptrdiff_t at) {
        const vec<T> v = value(load_some(x + at * g.c + c, n));
        if (first) start(best, v, splat_index<T>(at));
        else best.take(v, splat_index<T>(at));
        first = false;
      });
      put(best, n, y + place * g.c + c, indices ? indices + place * g.c + c : nullptr);
    });
  });
}

template <class T, class N> void max_pool(const PoolGeometry& g, const T* x, const N& norm, T* y, int64_t* indices) {
  g.each_job([&](ptrdiff_t in, ptrdiff_t out, int channels, int) {
    int64_t* index = indices ? indices + out : nullptr;
    const int channel = g.channel_at(in);
    if (g.format == EK_CONTIGUOUS) max_plane(g, x + in, norm.plane(channel), y + out, index);
    else max_channels(g, x + in, norm, channel, channels, y + out, index);
  });
}

// dx[index of output] += dy[output], one output after the other.
template <class T> void max_pool_backward(const PoolGeometry& g, const T* dy, const int64_t* indices, T* dx) {
  const ptrdiff_t in_volume = g.in_volume(), out_volume = g.out_volume();
  g.each_job([&](ptrdiff_t in, ptrdiff_t out, int channels, int pixel) {
    T* to = dx + in;
    const T* from = dy + out;
    const int64_t* index = indices + out;
    if (channels == pixel) zero_run(to, in_volume * pixel);
    else
      for (ptrdiff_t i = 0; i < in_volume; i++) zero_run(to + i * pixel, channels);
    for (ptrdiff_t i = 0; i < out_volume; i++, from += pixel, index += pixel)
      for (int k = 0; k < channels; k++)
        if (index[k] >= 0) to[static_cast<ptrdiff_t>(index[k]) * pixel + k] += from[k];
  });
}

}  // namespace

int ek_max_pool(int dtype, const int* geometry, const void* x, const void* x_norm, int x_relu, void* y, void* indices) {
  const PoolGeometry g(geometry);
  if (!g.valid()) return EK_BAD_ARGUMENT;
  const auto run = [&](auto type, const auto& norm) {
    using T = decltype(type);
    max_pool(g, static_cast<const T*>(x), norm, static_cast<T*>(y), static_cast<int64_t*>(indices));
  };
  // Positions have the size of the elements, so uint8 is none of these.
  if (dtype == EK_INT32) return run(int32_t{}, AsTheyAre<int32_t>{}), EK_OK;
  if (dtype == EK_INT64) return run(int64_t{}, AsTheyAre<int64_t>{}), EK_OK;
  EK_DISPATCH_FLOAT(dtype, {
    if (x_norm) run(T{}, Normalized<T>{static_cast<const T*>(x_norm), g.c, x_relu});
    else run(T{}, AsTheyAre<T>{});
  })
  return EK_OK;
}

int ek_max_pool_backward(int dtype, const int* geometry, const void* dy, const void* indices, void* dx) {
  const PoolGeometry g(geometry);
  if (!g.valid()) return EK_BAD_ARGUMENT;
  EK_DISPATCH_FLOAT(dtype, max_pool_backward(g, static_cast<const T*>(dy), static_cast<const int64_t*>(indices),
                                             static_cast<T*>(dx));)
  return EK_OK;
}

}  // namespace EK_ISA
