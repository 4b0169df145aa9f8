// What a convolution does for the norms beside it (batch_norm/): its prologue carries out a pending norm, or forms the
// gradient of one's input, while values are packed; its epilogue carries out the norm that follows with a residual and
// a ReLU, or leaves the statistics of its output for it, or, in backward by data, the masked gradient and the sums that
// the backward of the norm before it needs. The arithmetic is batch_norm/map.h's.
#pragma once
#include "batch_norm/passes.h"
#include "conv/map.h"

namespace EK_ISA {

constexpr int kMergedChannels = 64;  // whose parts one job merges
constexpr int kChain = 8;            // values that are added in their own type before the sum goes to a double

// A second tensor at the places of a run: n channels from c on of pixel i, or n pixels from i on.
template <class T> EK_INLINE vec<T> channels_at(const T* x, const Run& run, int i, int c, int n) {
  const T* from = x + run.first + i * run.pixel + c * run.plane;
  if (run.plane == 1) return n < lanes<T> ? load_n(from, n) : load(from);
  vec<T> v = {};
  for (int l = 0; l < n; l++) v[l] = from[l * run.plane];
  return v;
}
template <class T> EK_INLINE vec<T> pixels_at(const T* x, const Run& run, int i, int n) {
  const T* from = x + run.first + i * run.pixel;
  if (run.pixel == 1) return n < lanes<T> ? load_n(from, n) : load(from);
  vec<T> v = {};
  for (int l = 0; l < n; l++) v[l] = from[l * run.pixel];
  return v;
}

// y = norm(x) on x; with `other` norm(x) + other; or the gradient of a norm's input on that of its output, where the
// input is `other`.
template <class T> struct Normalizing {
  Map map;                // forward, residual or training
  const T *norm, *other;  // norm: optional, (kCoefficients, c)
  int c, relu;

  bool none() const { return !norm; }
  template <class F> EK_INLINE void each_read(const F& body) const {
    if (norm && other) body(other);
  }

  template <class F> EK_INLINE void with_map(const F& body) const {
    if (relu) with_map<true>(body);
    else with_map<false>(body);
  }
  template <bool relu, class F> EK_INLINE void with_map(const F& body) const {
    if (map == Map::training)
      body([](vec<T> v, vec<T> x, const Coefficients<vec<T>>& k) { return map_step<Map::training, relu>(x, v, k); });
    else if (map == Map::residual)
      body([](vec<T> v, vec<T> x, const Coefficients<vec<T>>& k) { return map_step<Map::residual, relu>(v, x, k); });
    else
      body(
          [](vec<T> v, vec<T>, const Coefficients<vec<T>>& k) { return map_step<Map::forward, relu>(v, vec<T>{}, k); });
  }

  __attribute__((noinline)) void channels(T* values, ptrdiff_t pitch, const Run& run) const {
    if (!norm) return;
    with_map([&](const auto& map) {
      for (int j = 0; j < run.channels; j += lanes<T>) {
        const int n = run.channels - j < lanes<T> ? run.channels - j : lanes<T>;
        const Coefficients<vec<T>> k = coefficients_at(norm, c, run.channel + j, n);
        T* at = values + j;
        for (int i = 0; i < run.pixels; i++, at += pitch) {
          const vec<T> x = other ? channels_at(other, run, i, j, n) : vec<T>{};
          if (n == lanes<T>) store(at, map(load(at), x, k));
          else store_n(at, map(load_n(at, n), x, k), n);
        }
      }
    });
  }
  __attribute__((noinline)) void plane(T* values, const Run& run) const {
    if (!norm) return;
    const Coefficients<vec<T>> k = splat_coefficients(norm, c, run.channel);
    with_map([&](const auto& map) {
      for (int i = 0; i < run.pixels; i += lanes<T>) {
        const int n = run.pixels - i < lanes<T> ? run.pixels - i : lanes<T>;
        const vec<T> x = other ? pixels_at(other, run, i, n) : vec<T>{};
        if (n == lanes<T>) store(values + i, map(load(values + i), x, k));
        else store_n(values + i, map(load_n(values + i, n), x, k), n);
      }
    });
  }
};

// Room for the sums of a channel of a part of the output.
struct PartSums {
  double numbers[4];
};
// The sums of a part: of how many values, and a, b as in batch_norm/sums.h; each an array over the c channels.
template <class Double> struct SumArrays {
  Double *n, *pivot, *a, *b;

  template <class Room>
  SumArrays(Room* room, int part, int c)
      : n(room[static_cast<ptrdiff_t>(part) * c].numbers), pivot(n + c), a(pivot + c), b(a + c) {}
};

enum class Finish { values, statistics, norm, gradient };

// Epilogue: y += bias; then the norm of y, with `other` norm(y) + other; or the sums of y's statistics; or, with `plus`
// added, the gradient masked where the ReLU behind the norm was closed, whose input is `other`, and its sums. What the
// ReLU was of follows from `other`, or its output is `limited`.
template <class T> struct Finishing {
  Finish what;
  const T* bias;   // optional
  PartSums* sums;  // of statistics and gradient; (parts, c), zeros
  const T *norm, *other;
  int c, relu;
  const T *plus = nullptr, *limited = nullptr;

  Finishing part(int index) const {
    Finishing f = *this;
    if (sums) f.sums += static_cast<ptrdiff_t>(index) * c;
    return f;
  }
  template <class F> EK_INLINE void each_read(const F& body) const {
    const T* const all[] = {other, plus, limited};
    for (const T* x : all)
      if (x) body(x);
  }
  EK_INLINE void expect(const Run& run) const {
    if (run.plane != 1) return;
    each_read([&](const T* x) __attribute__((always_inline)) {
      for (int i = 0; i < run.pixels; i++) expect(x, run, i, run.channels);
    });
  }
  EK_INLINE void channels(T* values, ptrdiff_t pitch, const Run& run) const {
    Bias<T>{bias}.channels(values, pitch, run);
    if (plus) add_channels(values, pitch, run);
    if (what == Finish::norm) normalizing().channels(values, pitch, run);
    else if (what == Finish::gradient) mask_channels(values, pitch, run);
    else if (what == Finish::statistics) sum_channels(values, pitch, run);
  }
  EK_INLINE void plane(T* values, const Run& run) const {
    Bias<T>{bias}.plane(values, run);
    if (plus) add_plane(values, run);
    if (what == Finish::norm) normalizing().plane(values, run);
    else if (what == Finish::gradient) mask_plane(values, run);
    else if (what == Finish::statistics) sum_plane(values, run);
  }

 private:
  Normalizing<T> normalizing() const { return {other ? Map::residual : Map::forward, norm, other, c, relu}; }

  SumArrays<double> arrays() const { return {sums, 0, c}; }

  // Sums are shifted by a value of the part itself, which is as close to its mean as its numbers are spread.
  static T finite(T first) { return first - first == 0 ? first : 0; }

  void sum_channels(const T* values, ptrdiff_t pitch, const Run& run) const {
    int j = 0;
    for (; j + 2 * lanes<T> <= run.channels; j += 2 * lanes<T>)
      sum_strip<2>(values + j, pitch, run.pixels, run.channel + j, lanes<T>);
    for (; j < run.channels; j += lanes<T>)
      sum_strip<1>(values + j, pitch, run.pixels, run.channel + j,
                   run.channels - j < lanes<T> ? run.channels - j : lanes<T>);
  }
  // V vectors of channels, of the last of which `n` are there.
  template <int V>
  __attribute__((noinline)) void sum_strip(const T* values, ptrdiff_t pitch, int pixels, int channel, int n) const {
    constexpr int L = lanes<T>;
    const SumArrays<double> s = arrays();
    double* pivots = s.pivot + channel;
    if (s.n[channel] == 0)
      for (int l = 0; l < (V - 1) * L + n; l++) pivots[l] = static_cast<double>(finite(values[l]));
    const auto read = [&](const T* at) { return V > 1 || n == L ? load(at) : load_n(at, n); };
    vec<T> pivot[V] = {};
    Wide<T> a[V] = {}, b[V] = {};
#pragma GCC unroll 2
    for (int v = 0; v < V; v++) {
      alignas(64) T p[L] = {};
      for (int l = 0; l < (V > 1 ? L : n); l++) p[l] = static_cast<T>(pivots[v * L + l]);
      pivot[v] = load(p);
    }
    for (int i = 0; i < pixels;) {
      vec<T> chain_a[V] = {}, chain_b[V] = {};
      for (const int end = pixels - i < kChain ? pixels : i + kChain; i < end; i++, values += pitch)
#pragma GCC unroll 2
        for (int v = 0; v < V; v++) {
          const vec<T> d = read(values + v * L) - pivot[v];
          chain_a[v] += d, chain_b[v] += d * d;
        }
#pragma GCC unroll 2
      for (int v = 0; v < V; v++) a[v].add(chain_a[v]), b[v].add(chain_b[v]);
    }
#pragma GCC unroll 2
    for (int v = 0; v < V; v++) add_lanes(channel + v * L, V > 1 ? L : n, pixels, a[v], b[v]);
  }
  __attribute__((noinline)) void sum_plane(const T* values, const Run& run) const {
    const SumArrays<double> s = arrays();
    if (s.n[run.channel] == 0) s.pivot[run.channel] = static_cast<double>(finite(values[0]));
    const vec<T> pivot = splat<T>(static_cast<T>(s.pivot[run.channel]));
    Wide<T> a{}, b{};
    for_vectors<T>(0, run.pixels, [&](auto at) {
      const vec<T> d = at.read(values, pivot[0]) - pivot;
      a.add(d), b.add_product(d, d);
    });
    add_sum(run, a, b);
  }

  __attribute__((noinline)) void add_channels(T* values, ptrdiff_t pitch, const Run& run) const {
    for (int i = 0; i < run.pixels; i++, values += pitch) {
      if (run.plane == 1) expect(plus, run, i + kSoon, run.channels);
      for (int j = 0; j < run.channels; j += lanes<T>) {
        const int n = run.channels - j < lanes<T> ? run.channels - j : lanes<T>;
        const vec<T> g = channels_at(plus, run, i, j, n);
        if (n == lanes<T>) store(values + j, load(values + j) + g);
        else store_n(values + j, load_n(values + j, n) + g, n);
      }
    }
  }
  __attribute__((noinline)) void add_plane(T* values, const Run& run) const {
    for (int i = 0; i < run.pixels; i += lanes<T>) {
      const int n = run.pixels - i < lanes<T> ? run.pixels - i : lanes<T>;
      const vec<T> g = pixels_at(plus, run, i, n);
      if (n == lanes<T>) store(values + i, load(values + i) + g);
      else store_n(values + i, load_n(values + i, n) + g, n);
    }
  }
  static constexpr int kSoon = 12;  // pixels until a loop comes to what it asks for
  // Asks for n channels of pixel i: they lie in rows apart, which no hardware foresees. Always inlined, or GCC drops
  // the calls.
  EK_INLINE static void expect(const T* x, const Run& run, int i, int n) {
    const T* at = x + run.first + i * run.pixel;
    for (int j = 0; j < n; j += line_of<T>) __builtin_prefetch(at + j);
  }

  void mask_channels(T* values, ptrdiff_t pitch, const Run& run) const {
    if (relu && limited) mask_channels<true>(values, pitch, run);
    else mask_channels<false>(values, pitch, run);
  }
  template <bool given> void mask_channels(T* values, ptrdiff_t pitch, const Run& run) const {
    int j = 0;
    if (run.plane == 1) {
      // Neighbouring vectors together: each pixel is then a few whole cache lines.
      for (; j + 2 * lanes<T> <= run.channels; j += 2 * lanes<T>) mask_strip<2, given>(values, pitch, run, j);
      for (; j + lanes<T> <= run.channels; j += lanes<T>) mask_strip<1, given>(values, pitch, run, j);
    }
    for (; j < run.channels; j += lanes<T>) {
      const int n = run.channels - j < lanes<T> ? run.channels - j : lanes<T>;
      const Coefficients<vec<T>> k = coefficients_at(norm, c, run.channel + j, n);
      Wide<T> a{}, b{};
      for (int i = 0; i < run.pixels; i++) {
        vec<T> sum_a = {}, sum_b = {};
        T* at = values + i * pitch + j;
        const vec<T> y = given ? channels_at(limited, run, i, j, n) : vec<T>{};
        store_n(at, mask<given>(load_n(at, n), channels_at(other, run, i, j, n), y, k, sum_a, sum_b), n);
        a.add(sum_a), b.add(sum_b);
      }
      add_lanes(run.channel + j, n, run.pixels, a, b);
    }
  }
  template <int V, bool given>
  __attribute__((noinline)) void mask_strip(T* values, ptrdiff_t pitch, const Run& run, int j) const {
    constexpr int L = lanes<T>;
    Coefficients<vec<T>> k[V];
    Wide<T> a[V] = {}, b[V] = {};
#pragma GCC unroll 2
    for (int v = 0; v < V; v++) k[v] = coefficients_at(norm, c, run.channel + j + v * L, L);
    const T *x = other + run.first + j, *y = given ? limited + run.first + j : nullptr;
    T* at = values + j;
    const ptrdiff_t pixel = run.pixel;
    for (int i = 0; i < run.pixels;) {
      vec<T> chain_a[V] = {}, chain_b[V] = {};
      for (const int end = run.pixels - i < kChain ? run.pixels : i + kChain; i < end; i++, x += pixel, at += pitch) {
        expect(other + j, run, i + kSoon, V * L);
        if constexpr (given) expect(limited + j, run, i + kSoon, V * L);
#pragma GCC unroll 2
        for (int v = 0; v < V; v++) {
          const vec<T> out = given ? load(y + v * L) : vec<T>{};
          store(at + v * L, mask<given>(load(at + v * L), load(x + v * L), out, k[v], chain_a[v], chain_b[v]));
        }
        if constexpr (given) y += pixel;
      }
#pragma GCC unroll 2
      for (int v = 0; v < V; v++) a[v].add(chain_a[v]), b[v].add(chain_b[v]);
    }
#pragma GCC unroll 2
    for (int v = 0; v < V; v++) add_lanes(run.channel + j + v * L, L, run.pixels, a[v], b[v]);
  }
  void mask_plane(T* values, const Run& run) const {
    if (relu && limited) mask_plane<true>(values, run);
    else mask_plane<false>(values, run);
  }
  template <bool given> __attribute__((noinline)) void mask_plane(T* values, const Run& run) const {
    const Coefficients<vec<T>> k = splat_coefficients(norm, c, run.channel);
    Wide<T> a{}, b{};
    for (int i = 0; i < run.pixels; i += lanes<T>) {
      const int n = run.pixels - i < lanes<T> ? run.pixels - i : lanes<T>;
      vec<T> sum_a = {}, sum_b = {};
      const vec<T> y = given ? pixels_at(limited, run, i, n) : vec<T>{};
      const vec<T> g = mask<given>(n == lanes<T> ? load(values + i) : load_n(values + i, n),
                                   pixels_at(other, run, i, n), y, k, sum_a, sum_b);
      if (n == lanes<T>) store(values + i, g);
      else store_n(values + i, g, n);
      a.add(sum_a), b.add(sum_b);
    }
    add_sum(run, a, b);
  }
  // y: the ReLU's output where it is given. Lanes without a value hold a gradient of 0.
  template <bool given>
  EK_INLINE vec<T> mask(vec<T> g, vec<T> x, vec<T> y, const Coefficients<vec<T>>& k, vec<T>& a, vec<T>& b) const {
    const vec<T> d = (x - k.hi) - k.lo;
    if (given || relu) g = where_open(g, given ? y : d * k.scale + k.shift, k.top);
    a += g, b += g * d;
    return g;
  }

  void add_sum(const Run& run, const Wide<T>& a, const Wide<T>& b) const {
    const SumArrays<double> s = arrays();
    s.n[run.channel] += run.pixels, s.a[run.channel] += a.sum(), s.b[run.channel] += b.sum();
  }
  // Other threads may be at the neighbouring channels.
  void add_lanes(int channel, int n, int pixels, Wide<T> a, Wide<T> b) const {
    const SumArrays<double> s = arrays();
    for (int l = 0; l < n; l++) s.n[channel + l] += pixels;
    if (n == lanes<T>) {
      a.add(Wide<T>::from(s.a + channel)), a.put(s.a + channel);
      b.add(Wide<T>::from(s.b + channel)), b.put(s.b + channel);
      return;
    }
    alignas(64) double sum_a[lanes<T>], sum_b[lanes<T>];
    a.put(sum_a), b.put(sum_b);
    for (int l = 0; l < n; l++) s.a[channel + l] += sum_a[l], s.b[channel + l] += sum_b[l];
  }
};

// Several channels' Moments, of equal counts.
struct MomentsOfChannels {
  double count = 0;
  vec<double> mean = {}, m2 = {};

  void merge(double n, vec<double> b_mean, vec<double> b_m2) {  // as Moments::merge
    if (count == 0) {
      count = n, mean = b_mean, m2 = b_m2;
      return;
    }
    const double all = count + n, share = n / all;
    const vec<double> delta = b_mean - mean;
    const ivec<double> is_finite = delta - delta == 0;
    mean += is_finite ? delta * share : b_mean;
    m2 = is_finite ? m2 + (b_m2 + delta * delta * (count * share)) : splat<double>(__builtin_nan(""));
    count = all;
  }
};

// Mean and M2 of every channel of y from the sums of its parts. They are taken again from y where squares left the
// range of T, or cancelled.
template <class T>
void merge_statistics(const PartSums* sums, int parts, const T* y, const Layout& layout, double* mean, double* m2) {
  const int c = layout.c;
  parallel_blocks(c, kMergedChannels, [&](int begin, int end) {
    for (int channel = begin; channel < end; channel += lanes<double>) {
      const int n = end - channel < lanes<double> ? end - channel : lanes<double>;
      const auto read = [&](const double* of) {
        return n == lanes<double> ? load(of + channel) : load_n(of + channel, n);
      };
      MomentsOfChannels total;
      vec<double> squares = {}, shift = {};
      for (int part = 0; part < parts; part++) {
        const SumArrays<const double> s(sums, part, c);
        const double count = s.n[channel];
        if (count == 0) continue;
        const vec<double> a = read(s.a), b = read(s.b), off = a * (a / count);
        squares += b, shift += off;
        total.merge(count, read(s.pivot) + a / count, b - off);
      }
      for (int l = 0; l < n; l++) {
        const bool in_range = squares[l] - squares[l] == 0 &&
                              squares[l] > total.count * (sizeof(T) == 4 ? 1e-30 : kSmallestSquare);
        Moments one{total.count, total.mean[l], total.m2[l]};
        if (!in_range || !(one.m2 * kCancelled<T> >= shift[l]))
          one = moments(y, total.count, 0, {0, __builtin_nan("")}, layout.each_of(channel + l));
        mean[channel + l] = one.mean, m2[channel + l] = one.m2;
      }
    }
  });
}

// Adds a pass's parts to Σg and Σg·(x − mean) of every channel.
inline void add_gradient_sums(const PartSums* sums, int parts, int c, double* sum_g, double* sum_g_xmu) {
  parallel_blocks(c, kMergedChannels, [&](int begin, int end) {
    for (int part = 0; part < parts; part++) {
      const SumArrays<const double> s(sums, part, c);
      for (int channel = begin; channel < end; channel++)
        sum_g[channel] += s.a[channel], sum_g_xmu[channel] += s.b[channel];
    }
  });
}
// Takes sums that left the type's range again, from the masked gradient in dx.
template <class T>
void check_gradient_sums(const T* x, const T* dx, const T* norm, const Layout& layout, double* sum_g,
                         double* sum_g_xmu) {
  for (int channel = 0; channel < layout.c; channel++) {
    if (sum_g_xmu[channel] - sum_g_xmu[channel] == 0) continue;
    const double mean = static_cast<double>(norm[channel]) + norm[layout.c + channel];
    const Pair exact = exact_sums<Sum::backward>(x, dx, mean, {}, layout.each_of(channel));
    sum_g[channel] = exact.a, sum_g_xmu[channel] = exact.b;
  }
}

}  // namespace EK_ISA
