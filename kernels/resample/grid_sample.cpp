// Samples of x (N, C, spatial…) at the places that a grid names (N, places, coordinates), and their gradients. Each
// place reads a window of 1, 2 or 4 positions along each axis; the taps of an axis, which a block of places has at a
// time, are computed with vectors. A sample adds up the products of the axes' taps. Lanes run along places in
// contiguous tensors, and along channels in channels-last ones. Coordinates are treated as PyTorch does
// (GridSamplerKernel.cpp).
#include "scratch.h"
#include "simd/lane_sum.h"
#include "simd/math.h"
#include "types.h"

namespace EK_ISA {
namespace {

constexpr int block = 32;  // places whose taps are computed together; a multiple of the lanes

struct Geometry {
  int n, c, dims, size[3], places, mode, padding, align, format;
  explicit Geometry(const int* g)
      : n(g[0]), c(g[1]), dims(g[2]), size{g[3], g[4], g[5]}, places(g[6]), mode(g[7]), padding(g[8]), align(g[9]),
        format(g[10]) {}
  ptrdiff_t volume() const { return static_cast<ptrdiff_t>(size[0]) * size[1] * size[2]; }
  // Elements from one channel of a tensor of `count` positions to the next, and from one position to the next.
  ptrdiff_t channel_step(ptrdiff_t count) const { return format == EK_CHANNELS_LAST ? 1 : count; }
  int step() const { return format == EK_CHANNELS_LAST ? c : 1; }
};
// Lanes run along the channels of channels-last tensors, unless there are too few to fill a vector.
template <class T> bool runs_along_channels(const Geometry& g) {
  return g.format == EK_CHANNELS_LAST && g.c >= order_lanes<T> / 2;
}

template <class T> using Lane = typename vec_of<T>::lane_int;

// Coordinates of −1 … 1 as positions of an axis, with the slope of the one by the other.
template <class T> struct Axis {
  T last, scale, offset, low, span;
  bool is_empty;
  int padding;
  Axis(int size, bool align, int pad)
      : last(static_cast<T>(size - 1)), scale(static_cast<T>(align ? size - 1 : size) / 2),
        offset(static_cast<T>(align ? 0 : 0.5)), low(-offset), span(static_cast<T>(2 * (align ? size - 1 : size))),
        is_empty(align && size <= 1), padding(pad) {}

  EK_INLINE vec<T> place(vec<T> coordinate) const { return (coordinate + 1) * scale - offset; }
  // What the padding makes of a place. slope, which is multiplied, may be null. Beyond the ends there is no slope.
  EK_INLINE vec<T> pad(vec<T> at, vec<T>* slope) const {
    if (padding == EK_GRID_ZEROS) return at;
    if (padding == EK_GRID_REFLECTION) {
      if (is_empty) {
        if (slope) *slope = vec<T>{};
        return vec<T>{};
      }
      const vec<T> from = at - low, distance = abs<T>(from), turns = floor<T>(distance / span);
      const vec<T> rest = distance - turns * span, back = span - rest;
      const ivec<T> turned = rest > back;
      if (slope) *slope = (turned != (from < 0)) ? -*slope : *slope;
      at = (turned ? back : rest) + low;
    }
    if (slope) *slope = ((at > 0) & (at < last)) ? *slope : vec<T>{};
    return lesser(greater(at, vec<T>{}), splat<T>(last));  // NaN becomes 0
  }
};

// The taps of a block of places along one axis: the position times the axis's stride, and 0 where there is none;
// whether there is one, −1 or 0; the weight, and if it is sloped its derivative by the coordinate.
template <class T, int K, bool sloped> struct Taps {
  ivec<T> at[K][block / lanes<T>], inside[K][block / lanes<T>];
  vec<T> weight[K][block / lanes<T>], slope[sloped ? K : 1][block / lanes<T>];

  EK_INLINE void set(int k, int i, vec<T> position, const Axis<T>& axis, int stride, vec<T> w, vec<T> s) {
    inside[k][i] = (position >= 0) & (position <= axis.last);
    const vec<T> limited = inside[k][i] ? position : vec<T>{};
    at[k][i] = __builtin_convertvector(limited, ivec<T>) * static_cast<Lane<T>>(stride);
    weight[k][i] = w;
    if (sloped) slope[k][i] = s;
  }
  void fill(const T* coordinates, const Axis<T>& axis, int stride) {
    const vec<T> zero = {}, one = splat<T>(1);
    for (int i = 0; i < block / lanes<T>; i++) {
      vec<T> place = axis.place(load(coordinates + i * lanes<T>)), unit = splat<T>(axis.scale);
      if constexpr (K == 1) {
        place = axis.pad(place, nullptr);
        set(0, i, nearest(place), axis, stride, place != place ? place : one, zero);
      } else if constexpr (K == 2) {
        place = axis.pad(place, &unit);
        const vec<T> first = floor<T>(place), t = place - first;
        set(0, i, first, axis, stride, one - t, -unit);
        set(1, i, first + 1, axis, stride, t, unit);
      } else {
        const vec<T> first = floor<T>(place), t = place - first;
        const vec<T> distance[4] = {t + 1, t, one - t, one - t + 1};
        for (int k = 0; k < 4; k++) {
          const bool is_far = k == 0 || k == 3;
          const vec<T> x = distance[k], slope = cubic_slope(x, is_far) * unit;
          set(k, i, axis.pad(first + static_cast<T>(k - 1), nullptr), axis, stride, cubic(x, is_far),
              k < 2 ? slope : -slope);
        }
      }
    }
  }

 private:
  static constexpr T a = static_cast<T>(-0.75);
  // The weight at a distance of 0 … 1, or of 1 … 2 if it is far, and its derivative.
  static EK_INLINE vec<T> cubic(vec<T> x, bool is_far) {
    return is_far ? ((x * a - 5 * a) * x + 8 * a) * x - 4 * a : ((a + 2) * x - (a + 3)) * x * x + 1;
  }
  static EK_INLINE vec<T> cubic_slope(vec<T> x, bool is_far) {
    return is_far ? (3 * a * x - 10 * a) * x + 8 * a : (3 * (a + 2) * x - 2 * (a + 3)) * x;
  }
  // Halves go to the even neighbour. Beyond what an integer holds nothing is left to round, and nothing is inside.
  static EK_INLINE vec<T> nearest(vec<T> x) {
    const vec<T> down = floor<T>(x), rest = x - down;
    const vec<T> even = 2 * floor<T>(down * static_cast<T>(0.5));
    const ivec<T> up = (rest > static_cast<T>(0.5)) | ((rest == static_cast<T>(0.5)) & (even != down));
    return up ? down + 1 : down;
  }
};

constexpr int power(int k, int dims) { return dims == 0 ? 1 : k * power(k, dims - 1); }

// The taps of a block of places: along each axis, and their products. A tap is at an element, counted from the
// channel's first one; where there is none it is at 0, and not inside.
template <class T, int K, int D, bool sloped = false> struct Block {
  static constexpr int N = power(K, D), parts = block / lanes<T>;
  Taps<T, K, sloped> axis[D];
  ivec<T> at[N][parts], inside[N][parts];
  vec<T> weight[N][parts];
  int count;

  Block() = default;
  Block(const Geometry& g, const T* grid, int n, int begin) { fill(g, grid, n, begin); }
  void fill(const Geometry& g, const T* grid, int n, int begin) {
    count = g.places - begin < block ? g.places - begin : block;
    const T* const from = grid + (static_cast<ptrdiff_t>(n) * g.places + begin) * D;
    T coordinates[block] = {};
    // The first coordinate of a place is that of the last axis: x before y before z.
    for (int d = 0, stride = g.step(); d < D; d++) {
      const int size = g.size[2 - d];
      for (int j = 0; j < count; j++) coordinates[j] = from[j * D + d];
      axis[d].fill(coordinates, Axis<T>(size, g.align, g.padding), stride);
      stride *= size;
    }
    for (int k = 0; k < N; k++)
      for (int i = 0; i < parts; i++) {
        const int first = k % K;
        at[k][i] = axis[0].at[first][i], inside[k][i] = axis[0].inside[first][i];
        weight[k][i] = axis[0].weight[first][i];
        for (int d = 1, rest = k / K; d < D; d++, rest /= K) {
          const int tap = rest % K;
          at[k][i] += axis[d].at[tap][i];
          inside[k][i] &= axis[d].inside[tap][i];
          weight[k][i] *= axis[d].weight[tap][i];
        }
      }
  }
  // The derivative of the weight of tap k by the coordinate of an axis.
  EK_INLINE vec<T> slope(int k, int along, int i) const {
    vec<T> s = splat<T>(1);
    for (int d = 0, rest = k; d < D; d++, rest /= K) {
      const int tap = rest % K;
      s *= (d == along ? axis[d].slope : axis[d].weight)[tap][i];
    }
    return s;
  }
  // What tap k of the places of part i reads of a channel; 0 where there is nothing.
  EK_INLINE vec<T> read(const T* channel, int k, int i) const {
    const vec<T> read = gather(channel, reinterpret_cast<const Lane<T>*>(&at[k][i]), lanes<T>);
    return inside[k][i] ? read : vec<T>{};
  }
  // Of one place: the element, whether there is one, the weight.
  EK_INLINE Lane<T> at_of(int k, int j) const { return reinterpret_cast<const Lane<T>*>(at[k])[j]; }
  EK_INLINE bool is_inside(int k, int j) const { return reinterpret_cast<const Lane<T>*>(inside[k])[j] != 0; }
  EK_INLINE T weight_of(int k, int j) const { return reinterpret_cast<const T*>(weight[k])[j]; }
};

// A tile has several blocks, which read a channel one after the other: it is in the nearest cache then.
template <class T, int K, int D> void sample(const Geometry& g, const T* x, const T* grid, T* y) {
  constexpr int L = lanes<T>, most = 64 / power(K, D) < 16 ? 64 / power(K, D) : 16;
  const int tiles = ceil_div(g.places, most * block), step = g.step();
  const ptrdiff_t volume = g.volume();
  parallel_for(g.n * tiles, [&](int tile, int) {
    const int n = tile / tiles, begin = tile % tiles * most * block;
    const int left = ceil_div(g.places - begin, block), blocks = left < most ? left : most;
    Block<T, K, D> all[most];
    for (int b = 0; b < blocks; b++) all[b].fill(g, grid, n, begin + b * block);
    const T* const image = x + n * g.c * volume;
    T* const first = y + static_cast<ptrdiff_t>(n) * g.c * g.places + static_cast<ptrdiff_t>(begin) * step;
    const auto place_of = [=](int b) { return first + static_cast<ptrdiff_t>(b) * block * step; };
    if (runs_along_channels<T>(g)) {
      for (int b = 0; b < blocks; b++) {
        const Block<T, K, D>& taps = all[b];
        for (int j = 0; j < taps.count; j++) {
          T* const to = place_of(b) + static_cast<ptrdiff_t>(j) * g.c;
          for (int c = 0; c < g.c; c += L) {
            const int some = g.c - c < L ? g.c - c : L;
            vec<T> s = {};
            for (int k = 0; k < taps.N; k++) {
              const T w = taps.weight_of(k, j);
              if (taps.is_inside(k, j)) s += load_some(image + taps.at_of(k, j) + c, some) * w;
              else s += w * 0;  // NaN stays
            }
            store_some(to + c, s, some);
          }
        }
      }
      return;
    }
    for (int c = 0; c < g.c; c++) {
      const T* const channel = image + c * g.channel_step(volume);
      for (int b = 0; b < blocks; b++) {
        const Block<T, K, D>& taps = all[b];
        T* const to = place_of(b) + c * g.channel_step(g.places);
        for (int i = 0; i * L < taps.count; i++) {
          vec<T> s = {};
          for (int k = 0; k < taps.N; k++) s += taps.read(channel, k, i) * taps.weight[k][i];
          const int some = taps.count - i * L < L ? taps.count - i * L : L;
          if (step == 1) store_some(to + i * L, s, some);
          else
            for (int l = 0; l < some; l++) to[static_cast<ptrdiff_t>(i * L + l) * step] = s[l];
        }
      }
    }
  });
}

// dx: a tile has some channels of one image, so that nobody else writes there.
constexpr int channels_of_tile = 16;
template <class T, int K, int D> void add_back(const Geometry& g, const T* dy, const T* grid, T* dx) {
  const int parts = ceil_div(g.c, channels_of_tile), step = g.step();
  const ptrdiff_t volume = g.volume();
  parallel_for(g.n * parts, [&](int tile, int) {
    const int n = tile / parts, first = tile % parts * channels_of_tile;
    const int stop = g.c - first < channels_of_tile ? g.c : first + channels_of_tile;
    T* const image = dx + n * g.c * volume;
    for (int begin = 0; begin < g.places; begin += block) {
      const Block<T, K, D> taps(g, grid, n, begin);
      const T* const from = dy + static_cast<ptrdiff_t>(n) * g.c * g.places + static_cast<ptrdiff_t>(begin) * step;
      if (runs_along_channels<T>(g)) {
        for (int j = 0; j < taps.count; j++) {
          const T* const row = from + static_cast<ptrdiff_t>(j) * g.c;
          for (int k = 0; k < taps.N; k++) {
            if (!taps.is_inside(k, j)) continue;
            T* const to = image + taps.at_of(k, j);
            const vec<T> w = splat(taps.weight_of(k, j));
            for (int c = first; c < stop; c += lanes<T>) {
              const int some = stop - c < lanes<T> ? stop - c : lanes<T>;
              store_some(to + c, load_some(to + c, some) + load_some(row + c, some) * w, some);
            }
          }
        }
        continue;
      }
      if (g.format == EK_CHANNELS_LAST) {
        for (int k = 0; k < taps.N; k++)
          for (int j = 0; j < taps.count; j++) {
            if (!taps.is_inside(k, j)) continue;
            const T w = taps.weight_of(k, j), *const pixel = from + static_cast<ptrdiff_t>(j) * step;
            T* const to = image + taps.at_of(k, j);
            for (int c = first; c < stop; c++) to[c] += w * pixel[c];
          }
        continue;
      }
      for (int c = first; c < stop; c++) {
        T* const channel = image + c * volume;
        const T* const row = from + static_cast<ptrdiff_t>(c) * g.places;
        for (int k = 0; k < taps.N; k++)
          for (int j = 0; j < taps.count; j++)
            if (taps.is_inside(k, j)) channel[taps.at_of(k, j)] += taps.weight_of(k, j) * row[j];
      }
    }
  });
}

// dgrid = Σ over taps of the slope times Σ over channels of dy·x.
template <class T, int K, int D>
void grid_gradient(const Geometry& g, const T* dy, const T* x, const T* grid, T* dgrid) {
  constexpr int L = lanes<T>;
  const int blocks = ceil_div(g.places, block), step = g.step();
  const ptrdiff_t volume = g.volume();
  parallel_for(g.n * blocks, [&](int tile, int) {
    const int n = tile / blocks, begin = tile % blocks * block;
    const Block<T, K, D, true> taps(g, grid, n, begin);
    const T* const image = x + n * g.c * volume;
    const T* const from = dy + static_cast<ptrdiff_t>(n) * g.c * g.places + static_cast<ptrdiff_t>(begin) * step;
    vec<T> dots[taps.N][taps.parts] = {};
    if (runs_along_channels<T>(g)) {
      for (int j = 0; j < taps.count; j++) {
        const T* const row = from + static_cast<ptrdiff_t>(j) * g.c;
        for (int k = 0; k < taps.N; k++) {
          if (!taps.is_inside(k, j)) continue;
          const T* const pixel = image + taps.at_of(k, j);
          dots[k][j / L][j % L] = sum_in_order<T, order_lanes<T>>([=](int l) {
            vec<T> s = {};
            for (int c = l; c < g.c; c += order_lanes<T>) {
              const int some = g.c - c < L ? g.c - c : L;
              s = multiply_add(load_some(pixel + c, some), load_some(row + c, some), s);
            }
            return s;
          });
        }
      }
    } else {
      for (int c = 0; c < g.c; c++) {
        const T* const channel = image + c * g.channel_step(volume);
        const T* const row = from + c * g.channel_step(g.places);
        for (int i = 0; i * L < taps.count; i++) {
          const int some = taps.count - i * L < L ? taps.count - i * L : L;
          vec<T> gradient = {};
          if (step == 1) gradient = load_some(row + i * L, some);
          else
            for (int l = 0; l < some; l++) gradient[l] = row[static_cast<ptrdiff_t>(i * L + l) * step];
          for (int k = 0; k < taps.N; k++) dots[k][i] += taps.read(channel, k, i) * gradient;
        }
      }
    }
    T* const to = dgrid + (static_cast<ptrdiff_t>(n) * g.places + begin) * D;
    for (int d = 0; d < D; d++)
      for (int i = 0; i * L < taps.count; i++) {
        vec<T> s = {};
        for (int k = 0; k < taps.N; k++) s += taps.slope(k, d, i) * dots[k][i];
        for (int l = 0; l < L && i * L + l < taps.count; l++) to[(i * L + l) * D + d] = s[l];
      }
  });
}

// Calls f<T, K, D>() for the mode and the number of dimensions.
#define EK_DISPATCH_GRID(g, dtype, f, ...)                            \
  {                                                                   \
    const int taps = (g).mode * 10 + (g).dims;                        \
    EK_DISPATCH_FLOAT(dtype, switch (taps) {                          \
      case EK_GRID_BILINEAR * 10 + 2: f<T, 2, 2>(__VA_ARGS__); break; \
      case EK_GRID_BILINEAR * 10 + 3: f<T, 2, 3>(__VA_ARGS__); break; \
      case EK_GRID_NEAREST * 10 + 2: f<T, 1, 2>(__VA_ARGS__); break;  \
      case EK_GRID_NEAREST * 10 + 3: f<T, 1, 3>(__VA_ARGS__); break;  \
      case EK_GRID_BICUBIC * 10 + 2: f<T, 4, 2>(__VA_ARGS__); break;  \
      default: return EK_BAD_ARGUMENT;                                \
    })                                                                \
  }

}  // namespace

EK_API int ek_grid_sample(int dtype, const int* geometry, const void* x, const void* grid, void* y) {
  const Geometry g(geometry);
  EK_DISPATCH_GRID(g, dtype, sample, g, static_cast<const T*>(x), static_cast<const T*>(grid), static_cast<T*>(y))
  return EK_OK;
}

EK_API int ek_grid_sample_backward(int dtype, const int* geometry, const void* dy, const void* grid, void* dx) {
  const Geometry g(geometry);
  EK_DISPATCH_GRID(g, dtype, add_back, g, static_cast<const T*>(dy), static_cast<const T*>(grid), static_cast<T*>(dx))
  return EK_OK;
}

EK_API int ek_grid_sample_backward_grid(int dtype, const int* geometry, const void* dy, const void* x, const void* grid,
                                        void* dgrid) {
  const Geometry g(geometry);
  EK_DISPATCH_GRID(g, dtype, grid_gradient, g, static_cast<const T*>(dy), static_cast<const T*>(x),
                   static_cast<const T*>(grid), static_cast<T*>(dgrid))
  return EK_OK;
}

}  // namespace EK_ISA
