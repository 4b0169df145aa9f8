// The passes of batch norm over a tensor: sums, maps, and both together. If a group of channels fits a cache, sums and
// map are computed for one group after the other, so that memory is read once. Otherwise the sums of all blocks come
// first. Both ways give the same bits.
#pragma once
#include "batch_norm/layout.h"
#include "batch_norm/map.h"
#include "batch_norm/moments.h"
#include "batch_norm/sums.h"
#include "scratch.h"

namespace EK_ISA {

template <bool b> struct Truth {
  static constexpr bool value = b;
};
// Calls f(Truth<is>), where `is` has become a constant.
template <class F> EK_INLINE void with_truth(bool is, const F& f) {
  if (is) f(Truth<true>{});
  else f(Truth<false>{});
}

// The two sums of a channel (sums.h).
struct Pair {
  double a, b;
};

// The numbers that a caller gives for each channel; they become the coefficients of a map.
template <class T> struct Channels {
  const double *mean, *invstd;
  const T *weight, *bias;
  const double *sum_dy, *sum_dy_xmu;
  double count;
  T top = 0;  // the limit of a ReLU, NaN if it is infinite

  Coefficients<T> operator()(int c) const {
    Coefficients<T> k{};
    const double m = mean ? mean[c] : 0,
                 scale = (invstd ? invstd[c] : 1) * (weight ? static_cast<double>(weight[c]) : 1.0);
    k.hi = static_cast<T>(m);
    k.lo = k.hi - k.hi == 0 ? static_cast<T>(m - static_cast<double>(k.hi)) : 0;
    k.scale = static_cast<T>(scale);
    k.shift = bias ? bias[c] : 0;
    k.top = top;
    if (sum_dy)
      k.a = static_cast<T>(-sum_dy[c] / count), k.b = static_cast<T>(-invstd[c] * invstd[c] * (sum_dy_xmu[c] / count));
    return k;
  }
  Known<T> known(int c) const {
    const Coefficients<T> k = (*this)(c);
    return {k.hi, k.lo, k.scale, k.shift, k.top};
  }
};

// What the sums of a channel's statistics need: a pivot, taken from the channel's first number.
template <class T> EK_INLINE Known<double> pivot(T first) { return {finite_or_zero(first), 0, 0, 0}; }

// The sums of one channel, number by number and all in double: for channels whose terms leave the range of their type.
// each(body) calls body(place) for all numbers of the channel.
template <Sum mode, class T, class E>
Pair exact_sums(const T* x, const T* dy, double centre, const Known<SumType<mode, T>>& k, const E& each) {
  Pair sums{0, 0};
  each([&](ptrdiff_t at) {
    const double d = x[at] - centre;
    using U = SumType<mode, T>;
    const U y = multiply_add<U>(static_cast<U>(x[at] - k.hi) - k.lo, k.scale, k.shift);
    const bool dead = mode == Sum::backward_relu && !(y > 0 && !(y >= k.top));
    const double g = mode == Sum::statistics ? d : dead ? 0.0 : static_cast<double>(dy[at]);
    sums.a += g, sums.b += g * d;
  });
  return sums;
}

constexpr double kSmallestSquare = 1e-280;  // a smaller sum of squares may have lost bits to underflow
// M2 is the sum of squares around the pivot minus a shift. The shift may be this many times M2: so much cancels. Float
// data do not show the two digits that a factor of 100 costs.
template <class T> constexpr double kCancelled = sizeof(T) == sizeof(double) ? 4 : 100;

// The moments of n numbers from their sums. They are computed again from the numbers if squares left the range of
// double, or if the pivot was so far from the mean that m2 below would cancel.
template <class T, class E> Moments moments(const T* x, double n, double pivot, Pair sums, const E& each) {
  const double shift = sums.a * (sums.a / n), m2 = sums.b - shift;
  if (sums.b - sums.b == 0 && sums.b > n * kSmallestSquare && m2 * kCancelled<T> >= shift)
    return {n, pivot + sums.a / n, m2};
  double lowest = __builtin_inf(), highest = -__builtin_inf();
  each([&](ptrdiff_t at) { lowest = x[at] < lowest ? x[at] : lowest, highest = x[at] > highest ? x[at] : highest; });
  if (sums.b == 0 && lowest == highest) return {n, lowest, 0};
  const double mean = exact_sums<Sum::statistics>(x, x, 0, {}, each).a / n;
  const Pair exact = exact_sums<Sum::statistics>(x, x, mean, {}, each);
  // With an infinity or NaN among the numbers, the mean is what their sum gives.
  return exact.b - exact.b == 0 ? Moments{n, mean + exact.a / n, exact.b - exact.a * (exact.a / n)}
                                : Moments{n, mean, __builtin_nan("")};
}

// ---- planes: a group of channels ------------------------------------------------------------------------------------
template <Sum mode, class T, class U = SumType<mode, T>>
void sum_planes(const Layout& layout, int g, int block, const T* x, const T* dy, const Known<U>* known, Pair* sums) {
  const int first = layout.first_channel(g), channels = layout.channels(g);
  for (int i = 0; i < channels; i++) sums[i] = {0, 0};
  layout.each_run(g, block, layout.at_once(), [&](int channel, ptrdiff_t at, int n, int runs) {
    const int i = channel - first;
    LaneSum a = {}, b = {};
    sum_runs<mode, T>(x + at, mode == Sum::statistics ? nullptr : dy + at, n, runs, layout.image(),
                      layout.template ahead<T>(), known[i], a, b);
    sums[i].a += a.sum(), sums[i].b += b.sum();
  });
}
template <Map map, bool relu, class T>
void map_planes(const Layout& layout, int g, int block, const T* x, const T* dy, T* out, const Coefficients<T>* k) {
  const int first = layout.first_channel(g);
  const auto run = [&](auto streams) {
    layout.each_run(g, block, 1, [&](int channel, ptrdiff_t at, int n, int) {
      Mapping<map, relu, T, streams.value>::run(x, dy, out, at, n, layout.template ahead<T>(), k[channel - first]);
    });
  };
  if (can_stream(out, layout.tensor_elements)) {
    run(Truth<has_stream>{});
    stream_fence();
  } else {
    run(Truth<false>{});
  }
}

// ---- a whole tensor -------------------------------------------------------------------------------------------------

// The scratch of a call: partial sums, totals, and for rows up to kCoefficients numbers of every column, one block of
// columns after the other.
struct Work {
  Pair *partial, *total;
  double* columns;  // doubles or floats
  Work(Scratch part, const Layout& layout) {
    partial = part.take<Pair>(static_cast<size_t>(layout.blocks()) * layout.c);
    total = part.take<Pair>(layout.c);
    columns = part.take<double>(
        layout.planes ? 0 : static_cast<size_t>(kCoefficients) * layout.column_blocks * layout.block_room());
    bytes = part.bytes();
  }
  // The numbers of a block's columns, `many` for each.
  template <class U> U* of_block(const Layout& layout, const Layout::Block& block, int many) const {
    return reinterpret_cast<U*>(columns) +
           static_cast<ptrdiff_t>(block.column / layout.block_columns) * layout.block_room() * many;
  }
  int bytes;
};

// Writes the first `many` numbers of each channel to all of its columns, interleaved. numbers(channel) returns a struct
// that begins with them.
template <class U, int many, class F> void fill_columns(const Layout& layout, const Work& work, const F& numbers) {
  U* const columns = reinterpret_cast<U*>(work.columns);
  const ptrdiff_t room = static_cast<ptrdiff_t>(layout.block_room()) * many;
  for (int channel = 0; channel < layout.mod; channel++) {
    const auto of = numbers(channel);
    U values[sizeof of / sizeof(U)];
    __builtin_memcpy(values, &of, sizeof of);
    for (int first = channel * layout.div; first < layout.columns; first += layout.mod * layout.div) {
      // A block holds whole runs of a channel.
      const int block = first / layout.block_columns, from = first - block * layout.block_columns;
      for (int v = from; v < from + layout.div; v++)
        for (int i = 0; i < many; i++) columns[block * room + interleaved<U>(v, many, i)] = values[i];
    }
  }
}

// Sums the whole tensor into work.total. known(channel) returns the numbers that the sums of a channel need.
template <Sum mode, class T, class F, class U = SumType<mode, T>>
void sum_tensor(const Layout& layout, const Work& work, const T* x, const T* dy, const F& known) {
  const int c = layout.c;
  if (layout.planes) {
    parallel_for(layout.jobs(), [&](int job, int) {
      const int g = job % layout.groups, block = job / layout.groups, first = layout.first_channel(g);
      Known<U> k[kGroup];
      for (int i = 0; i < layout.channels(g); i++) k[i] = known(first + i);
      sum_planes<mode, T>(layout, g, block, x, dy, k, work.partial + static_cast<ptrdiff_t>(block) * c + first);
    });
  } else {
    fill_columns<U, kKnown<mode>>(layout, work, known);
    parallel_for(layout.jobs(), [&](int job, int) {
      const Layout::Block block = layout.block(job);
      alignas(64) double sums[2 * (kColumns + kVector)] = {};
      sum_rows<mode, T>(x + block.at, mode == Sum::statistics ? nullptr : dy + block.at, block.pitch, block.rows,
                        block.columns, work.template of_block<U>(layout, block, kKnown<mode>), sums);
      // Columns are visited in order; the first column of a channel sets its sums, the others add to them.
      Pair* out = work.partial + static_cast<ptrdiff_t>(block.partial) * c;
      for (int i = 0, v = block.column, channel = layout.channel(v), run = v % layout.div; i < block.columns;
           i++, v++) {
        const double a = sums[interleaved<U>(i, 2, 0)], b = sums[interleaved<U>(i, 2, 1)];
        if (run == 0 && v < layout.div * layout.mod) out[channel] = {a, b};
        else out[channel].a += a, out[channel].b += b;
        if (++run == layout.div) run = 0, channel = channel + 1 == layout.mod ? 0 : channel + 1;
      }
    });
  }
  for (int i = 0; i < c; i++) work.total[i] = {0, 0};
  for (int block = 0; block < layout.blocks(); block++)
    for (int i = 0; i < c; i++) {
      const Pair& p = work.partial[static_cast<ptrdiff_t>(block) * c + i];
      work.total[i].a += p.a, work.total[i].b += p.b;
    }
}

// Maps the whole tensor. channels(channel) returns the coefficients of a channel. Blocks are visited from the last to
// the first: what the pass before this one has read last is still in a cache.
template <Map map, bool relu, class T, class F>
void map_tensor(const Layout& layout, const Work& work, const T* x, const T* dy, T* out, const F& channels) {
  if (layout.planes) {
    parallel_for(layout.jobs(), [&](int job, int) {
      const int reversed = layout.jobs() - 1 - job, g = reversed % layout.groups, first = layout.first_channel(g);
      Coefficients<T> k[kGroup];
      for (int i = 0; i < layout.channels(g); i++) k[i] = channels(first + i);
      map_planes<map, relu, T>(layout, g, reversed / layout.groups, x, dy, out, k);
    });
    return;
  }
  fill_columns<T, kCoefficients>(layout, work, channels);
  parallel_for(layout.jobs(), [&](int job, int) {
    const Layout::Block block = layout.block(layout.jobs() - 1 - job);
    const T* k = work.template of_block<T>(layout, block, kCoefficients);
    // Whether a block is aligned depends on where it begins, and on the pitch.
    if (can_stream(out + block.at, layout.tensor_elements, block.pitch)) {
      Mapping<map, relu, T, has_stream>::rows(x, dy, out, block.at, block.pitch, block.rows, block.columns, k);
      stream_fence();
    } else {
      Mapping<map, relu, T>::rows(x, dy, out, block.at, block.pitch, block.rows, block.columns, k);
    }
  });
}

// Whether sums and map are computed for one group after the other: if a group fits a cache, and every thread gets its
// share. Without has_prefetch nothing fits; naming it here lets the compiler drop that code for WebAssembly.
inline bool by_groups(const Layout& layout) {
  return has_prefetch && layout.planes && layout.fits &&
         (layout.groups % worker_count() == 0 || layout.groups >= 4 * worker_count());
}

// Sums and then maps one group of planes after the other. Between the two, finish(channel, sums) may write numbers that
// `channels` reads.
template <Sum mode, Map map, bool relu, class T, class K, class F, class U = SumType<mode, T>>
void sum_and_map_groups(const Layout& layout, const T* x, const T* dy, T* out, const Channels<T>& channels,
                        const K& known, const F& finish) {
  parallel_for(layout.groups, [&](int g, int) {
    const int first = layout.first_channel(g), count = layout.channels(g), blocks = layout.blocks();
    Known<U> before[kGroup];
    Pair total[kGroup] = {}, part[kGroup];
    for (int i = 0; i < count; i++) before[i] = known(first + i);
    for (int block = 0; block < blocks; block++) {
      sum_planes<mode, T>(layout, g, block, x, dy, before, part);
      for (int i = 0; i < count; i++) total[i].a += part[i].a, total[i].b += part[i].b;
    }
    Coefficients<T> k[kGroup];
    for (int i = 0; i < count; i++) {
      finish(first + i, total[i]);
      k[i] = channels(first + i);
    }
    for (int block = blocks - 1; block >= 0; block--) map_planes<map, relu, T>(layout, g, block, x, dy, out, k);
  });
}

}  // namespace EK_ISA
