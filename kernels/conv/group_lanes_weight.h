// The gradient of the weights with channels of several groups in the lanes: the counterpart of group_lanes.h, whose
// units of rows it uses. An accumulator belongs to a tap and a place in the group, and adds products of vectors over
// the pixels of a unit.
#pragma once
#include "conv/partial_gradients.h"
#include "conv/group_lanes.h"

namespace EK_ISA {

constexpr int group_lines = EK_VECTOR_BYTES == 16 ? 2 : 3;  // lines of a tile: what fits into registers

// Some taps of a row of the kernel: where they read x for output j, and which of the outputs read an input with all of
// them. Distances are in elements.
struct GroupTaps {
  ptrdiff_t first, step, tap_step;  // output 0 and tap 0; between outputs; between taps
  Inside inside;
};

// The products of U neighbouring outputs with N lines of K taps: acc[l][t] += Σ over u: x[line l, output u, tap t] ·
// dy[u]. S: outputs lie S taps apart, and their windows share vectors of x; 0: any distance. Of the taps, first …
// last − 1 read an input. from[l] is null if the line reads only padding.
template <class T, int N, int K, int S, int U>
EK_INLINE void group_products(vec<T> (&acc)[N][K], const T* const (&from)[N], const GroupTaps& taps, const T* dy,
                              ptrdiff_t dy_pitch, int first = 0, int last = K) {
  vec<T> g[U];
#pragma GCC unroll 16
  for (int u = 0; u < U; u++) g[u] = load(dy + u * dy_pitch);
#pragma GCC unroll 16
  for (int l = 0; l < N; l++) {
    if (!from[l]) continue;
    if constexpr (S == 0) {
#pragma GCC unroll 16
      for (int u = 0; u < U; u++)
#pragma GCC unroll 16
        for (int t = 0; t < K; t++)
          if (t >= first && t < last)
            acc[l][t] = multiply_add(load(from[l] + u * taps.step + t * taps.tap_step), g[u], acc[l][t]);
    } else {
      const T* at_x = from[l];
#pragma GCC unroll 16
      for (int at = 0; at < (U - 1) * S + K; at++, at_x += taps.tap_step) {
        vec<T> v = load(at_x);
        pin(v);
#pragma GCC unroll 16
        for (int t = 0; t < K; t++)
          if (at >= t && (at - t) % S == 0 && (at - t) / S < U) acc[l][t] = multiply_add(v, g[(at - t) / S], acc[l][t]);
      }
    }
  }
}
// out[l·out_line + t·L + lane] += Σ over rows of outputs: the products above. lines: those of a row lie `all` apart.
template <class T, int N, int K, int S>
__attribute__((noinline)) void group_weight_tile(const T* const* lines, int all, ptrdiff_t x, const GroupTaps& taps,
                                                 const Axis& axis, int tap, const T* dy, ptrdiff_t dy_pitch, int rows,
                                                 int column, int columns, T* out, ptrdiff_t out_line) {
  constexpr int L = lanes<T>, U = 4;
  vec<T> acc[N][K] = {};
  for (int h = 0; h < rows; h++, lines += all) {
    const T* from[N];
    int j = column;
    const auto products = [&](auto width, auto stride, int first, int last) EK_INLINE_LAMBDA {
#pragma GCC unroll 16
      for (int l = 0; l < N; l++) from[l] = lines[l] ? lines[l] + x + taps.first + j * taps.step : nullptr;
      group_products<T, N, K, decltype(stride)::value, decltype(width)::value>(acc, from, taps, dy, dy_pitch, first,
                                                                               last);
      j += decltype(width)::value, dy += decltype(width)::value * dy_pitch;
    };
    const auto at_border = [&](int end) EK_INLINE_LAMBDA {
      while (j < end) {
        int first, last;
        axis.taps_inside(j, j, first, last);
        products(Const<1>{}, Const<0>{}, first - tap, last - tap);
      }
    };
    const int end = column + columns;
    at_border(taps.inside.begin < end ? taps.inside.begin : end);
    while (j + U <= end && j + U <= taps.inside.end) products(Const<U>{}, Const<S>{}, 0, K);
    at_border(end);
  }
#pragma GCC unroll 16
  for (int l = 0; l < N; l++)
#pragma GCC unroll 16
    for (int t = 0; t < K; t++) store(out + l * out_line + t * L, load(out + l * out_line + t * L) + acc[l][t]);
}

// A job leaves a partial gradient [vector][depth][row][place][tap of a row][lane].
template <class T> struct GroupLanesWeight {
  static constexpr int L = lanes<T>;
  Pass<T> p;  // the forward pass; p.y is not used
  const T* dy;
  GroupRows<T> cut;
  int all;  // lines of the kernel
  size_t gradient_size, dy_size, lines_size;
  T *partials, *workers;
  double* bias_partials;
  const T** lines;

  GroupLanesWeight(const Pass<T>& pass, const T* g, Scratch& scratch) : p(pass), dy(g), cut(pass, kConvJobs) {
    all = p.axis[0].taps * p.axis[1].taps * p.c;
    gradient_size = static_cast<size_t>(p.taps()) * p.c * cut.chunks * cut.per_chunk;
    dy_size = static_cast<size_t>(cut.unit_pixels) * cut.per_chunk;
    lines_size = static_cast<size_t>(cut.unit_rows) * all;
    partials = scratch.take<T>(gradient_size * cut.parts);
    bias_partials = scratch.take<double>(static_cast<size_t>(cut.channels) * cut.parts);
    workers = scratch.take<T>((cut.volume + dy_size) * worker_count());
    lines = scratch.take<const T*>(lines_size * worker_count());
  }

  template <class Prologue, class GradientPrologue>
  void run(const Prologue& prologue, const GradientPrologue& gradient_prologue, T* dw, T* dbias) const {
    const ptrdiff_t length = static_cast<ptrdiff_t>(p.taps()) * p.c * L;  // elements of a vector's gradient
    const bool direct = gradient_prologue.none() && cut.channels % L == 0;
    parallel_for(cut.parts * cut.chunks, [&](int job, int worker) {
      const int part = job / cut.chunks, chunk = job % cut.chunks, n = cut.channels_of(chunk),
                first = chunk * cut.per_chunk;
      T* g = workers + worker * (cut.volume + dy_size);
      GroupInput<T> input(cut, chunk, prologue, g + dy_size);
      const T** list = lines + worker * lines_size;
      T* out = partials + part * gradient_size + first / L * length;
      double* sums = bias_partials + static_cast<size_t>(part) * cut.channels + first;
      zero_run(out, ceil_div(n, L) * length);
      for (int c = 0; dbias && c < n; c++) sums[c] = 0;
      cut.each_unit(part, chunk, [&](const RowUnit& u, const Run& run) {
        input.prepare(u, prologue);
        list_lines(u, input, list);
        if (!direct) {
          even_parts(run.pixels, cut.piece_pixels(), [&](int begin, int pixels) {
            Run some = run;
            some.first += begin * run.pixel, some.pixels = pixels;
            copy_in(dy, some, g + begin * cut.pitch, cut.pitch);
            gradient_prologue.channels(g + begin * cut.pitch, cut.pitch, some);
          });
        }
        const T* from = direct ? dy + run.first : g;
        const ptrdiff_t pitch = direct ? run.pixel : cut.pitch;
        if (dbias) add_pixels(from, pitch, run.pixels, n, sums);
        for (int c = 0; c < n; c += L) {
          if (c % line_of<T> == 0 && c + line_of<T> < n) {
            input.prefetch(c + line_of<T>, 1);
            for (int j = 0; direct && j < run.pixels; j++) __builtin_prefetch(from + j * pitch + c + line_of<T>);
          }
          tiles(u, list, c, input.pitch, from + c, pitch, out + c / L * length);
        }
      });
    });
    parallel_for(ceil_div(cut.channels, L), [&](int v, int) { merge(v, dw); });
    if (dbias) merge_bias(bias_partials, cut.parts, cut.channels, dbias);
  }

  // Lists [row][line]: where pixel 0 of the row of input lies that a line reads; null if it reads only padding.
  void list_lines(const RowUnit& u, const GroupInput<T>& input, const T** next) const {
    const Axis &ad = p.axis[0], &ah = p.axis[1];
    for (int r = u.row; r < u.row + u.rows; r++) {
      const typename GroupRows<T>::Place at = cut.place(r);
      for (int d = 0; d < ad.taps; d++)
        for (int h = 0; h < ah.taps; h++) {
          const int id = ad.input_of(at.depth, d), ih = ah.input_of(at.row, h);
          const bool inside = id >= 0 && id < ad.in_size && ih >= 0 && ih < ah.in_size;
          const T* x = inside ? input.row(cut.input(at.image, id, ih)) : nullptr;
          for (int i = 0; i < p.c; i++) *next++ = x ? x + i * cut.plane : nullptr;
        }
    }
  }

  void tiles(const RowUnit& u, const T* const* list, int c, ptrdiff_t x_pitch, const T* g, ptrdiff_t pitch,
             T* out) const {
    const Axis& a = p.axis[2];
    const int stride = a.spacing == 1 ? a.stride : 0;
    const Inside inside(a);
    even_parts(all, group_lines, [&](int line, int count) {
      with_const<group_lines>(count, [&](auto N) {
        constexpr int n = decltype(N)::value;
        for (int tap = 0; tap < a.taps; tap += group_taps) {
          const int left = a.taps - tap;
          const GroupTaps taps{a.input_of(0, tap) * x_pitch, a.stride * a.unit * x_pitch, a.spacing * a.unit * x_pitch,
                               inside};
          const auto tile = left == 1   ? group_weight_tile<T, n, 1, 0>
                            : left == 2 ? (stride == 1   ? group_weight_tile<T, n, 2, 1>
                                           : stride == 2 ? group_weight_tile<T, n, 2, 2>
                                                         : group_weight_tile<T, n, 2, 0>)
                                        : (stride == 1   ? group_weight_tile<T, n, 3, 1>
                                           : stride == 2 ? group_weight_tile<T, n, 3, 2>
                                                         : group_weight_tile<T, n, 3, 0>);
          tile(list + line, all, c, taps, a, tap, g, pitch, u.rows, u.column, u.columns,
               out + (line * a.taps + tap) * L, a.taps * L);
        }
      });
    });
  }

  // Writes dw[o][place][tap] of a vector of outputs: the sum over the parts, one after the other.
  void merge(int v, T* dw) const {
    const int taps = p.axis[2].taps, length = p.taps() * p.c,
              used = cut.channels - v * L < L ? cut.channels - v * L : L;
    const T* from = partials + static_cast<size_t>(v) * length * L;
    for (int line = 0; line < all; line++)
      for (int t = 0; t < taps; t++, from += L) {
        vec<T> s = load(from);
        for (int part = 1; part < cut.parts; part++) s += load(from + part * gradient_size);
        for (int l = 0; l < used; l++)
          dw[static_cast<ptrdiff_t>(v * L + l) * length + line % p.c * p.taps() + line / p.c * taps + t] = s[l];
      }
  }
};

}  // namespace EK_ISA
