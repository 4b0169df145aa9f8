// Loop core whose lanes are output channels of several groups, for groups of 1 (depthwise), 2, 4 or 8 channels where both tensors are
// channels last. A vector of channels at a time, input is packed to planes [place in the group][pixel][lane]: in the plane of place i
// each lane holds channel i of its own group, so that a tap is a product of vectors. conv_core.h chooses.
#pragma once
#include "conv/channel_lanes.h"

namespace EK_ISA {

constexpr int group_rows = EK_VECTOR_BYTES == 16 ? 6 : 8, group_taps = 3;  // of a tile: outputs, and taps of a row of the kernel
constexpr int kPlaneBytes = 32 << 10;                                      // of a block's planes: they stay in L1

// out[i][lane] (+)= Σ over lines l and taps t: x[lines[l] + (i·stride + t)·L + lane] · w[l][t][lane], for M outputs and K taps. A vector of x
// is loaded once for all. S: the stride; 0 means `stride`, of a single tap. w_line: step between lines of w. add: to what `out` holds.
template <class T, int M, int K, int S>
__attribute__((noinline)) void group_tile(const T* x, ptrdiff_t stride, const int* lines, int count, const T* w, ptrdiff_t w_line, bool add, T* out) {
  constexpr int L = lanes<T>, step = S ? S : 1;
  vec<T> acc[M] = {};
  if (add)
#pragma GCC unroll 16
    for (int i = 0; i < M; i++) acc[i] = load(out + i * L);
  for (int l = 0; l < count; l++, w += w_line) {
    const T* from = x + lines[l];
    vec<T> wv[K];
#pragma GCC unroll 16
    for (int t = 0; t < K; t++) wv[t] = load(w + t * L);
#pragma GCC unroll 32
    for (int at = 0; at < (M - 1) * step + K; at++) {
      vec<T> v = load(from + (S ? at : at * stride) * L);
      if (K > 1) pin(v);
#pragma GCC unroll 16
      for (int t = 0; t < K; t++)
        if (at >= t && (at - t) % step == 0 && (at - t) / step < M) acc[(at - t) / step] += v * wv[t];
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < M; i++) store(out + i * L, acc[i]);
}

// planes[i][lane] = v[the lane of place i in the same group of G]
template <class T, int G, int i = 0, int... I> EK_INLINE void spread_lanes(vec<T> v, T* planes, ptrdiff_t plane, Indices<I...> all) {
  store(planes, __builtin_shufflevector(v, v, (I / G * G + i)...));
  if constexpr (i + 1 < G) spread_lanes<T, G, i + 1>(v, planes + plane, plane, all);
}

// How a pass is cut and packed, for this core and its counterpart.
template <class T> struct GroupPlanes {
  static constexpr int L = lanes<T>;
  int group, channels, vectors;  // channels of a group, and in all
  Blocks blocks;
  int per_chunk, chunks;  // vectors of a job
  PackedGrid grid;
  ptrdiff_t plane;  // size

  explicit GroupPlanes(const Pass<T>& p)
      : group(p.c), channels(p.c * p.groups), vectors(ceil_div(channels, L)),
        blocks(choose(p)), grid(p, blocks) {
    // A few vectors at least: the next one's memory is fetched during each.
    const int wanted = ceil_div(kConvJobs, blocks.count() > 0 ? blocks.count() : 1), most = ceil_div(vectors, 4);
    per_chunk = ceil_div(vectors, wanted < most ? wanted : most), chunks = ceil_div(vectors, per_chunk);
    plane = grid.image * blocks.images * L;
  }

  static bool suits(const Pass<T>& p) {
    return p.groups > 1 && p.c == p.o && p.c < L && L % p.c == 0 && p.x_format == EK_CHANNELS_LAST && p.y_format == EK_CHANNELS_LAST;
  }
  // The block that packs least for each output.
  static Blocks choose(const Pass<T>& p) {
    const Axis &ad = p.axis[0], &ah = p.axis[1], &aw = p.axis[2];
    const int budget = kPlaneBytes / (EK_VECTOR_BYTES * p.c * (ad.taps ? ad.extent(1) : 1));
    Blocks best{};
    double least = 0;
    for (int parts = 1; parts <= ceil_div(aw.count, group_rows); parts++) {
      const int columns = ceil_div(aw.count, parts);
      int rows = 1;
      while (rows < ah.count && ah.extent(rows + 1) * aw.extent(columns) <= budget) rows++;
      const double packed = static_cast<double>(ah.extent(rows)) * aw.extent(columns), each = packed / (rows * columns) + (packed > budget);
      if (least > 0 && each >= least) continue;
      const bool joins = rows == ah.count && parts == 1 && ad.count == 1 && packed > 0;
      least = each, best = equal_blocks(p, joins ? static_cast<int>(budget / packed) : 1, rows, columns);
    }
    return best;
  }
  size_t size() const { return static_cast<size_t>(plane) * group; }
  int lanes_of(int vector) const { return channels - vector * L < L ? channels - vector * L : L; }

  // body(vector, whether it is the last) for each of a chunk.
  template <class F> void each_vector(int chunk, const F& body) const {
    const int end = (chunk + 1) * per_chunk < vectors ? (chunk + 1) * per_chunk : vectors;
    for (int v = chunk * per_chunk; v < end; v++) body(v, v + 1 == end);
  }

  // One vector of channels, for the output or its gradient or the input: out[pixel][lane], of which the next vector is fetched.
  template <class Map> static void pack_vector(const T* x, const Run& run, const Map& map, T* out) {
    const T* from = x + run.first;
    if (run.channels == L)
      for (int j = 0; j < run.pixels; j++, from += run.pixel) {
        __builtin_prefetch(from + L, 0, 2);
        store(out + j * L, load(from));
      }
    else
      for (int j = 0; j < run.pixels; j++, from += run.pixel) store(out + j * L, load_n(from, run.channels));
    map.channels(out, L, run);
  }

  // Into planes that were zero: what a block has of padding, all its vectors have.
  template <class Prologue> void pack(const Pass<T>& p, const Block& b, int vector, const Prologue& prologue, T* out) const {
    each_packed_row(p, grid, b, vector * L, lanes_of(vector), [&](ptrdiff_t pixel, int, int lo, int hi, const Run& run) {
      if (lo == hi) return;
      T* to = out + (pixel + lo) * L;
      pack_vector(p.x, run, prologue, to);
      if (group == 2) spread<2>(to, run.pixels);
      if (group == 4) spread<4>(to, run.pixels);
      if (group == 8) spread<8>(to, run.pixels);
    });
  }
  template <int G> void spread(T* planes, int pixels) const {
    if constexpr (G < L)
      for (int j = 0; j < pixels; j++, planes += L) spread_lanes<T, G>(load(planes), planes, plane, indices<L>{});
  }
};

// A kernel seen as lines of neighbouring taps that one tile takes: its rows, or single taps where it is dilated or the stride is large; each
// line once for every place in the group.
template <class T> struct GroupLines {
  int taps, each, count;  // taps of a line; lines of a row of the kernel; lines in all

  explicit GroupLines(const Pass<T>& p) {
    const bool row = p.axis[2].spacing == 1 && p.axis[2].stride <= 2;
    taps = row ? p.axis[2].taps : 1, each = p.axis[2].taps / taps * p.c, count = each * p.axis[0].taps * p.axis[1].taps;
  }
  // body(d, h, w, place) for each line in order.
  template <class F> void each_line(const Pass<T>& p, const F& body) const {
    for (int d = 0; d < p.axis[0].taps; d++)
      for (int h = 0; h < p.axis[1].taps; h++)
        for (int w = 0; w < p.axis[2].taps; w += taps)
          for (int i = 0; i < p.c; i++) body(d, h, w, i);
  }
  void offsets(const Pass<T>& p, const GroupPlanes<T>& planes, int* out) const {
    each_line(p, [&](int d, int h, int w, int i) { *out++ = static_cast<int>(planes.grid.tap(p, d, h, w) * lanes<T> + i * planes.plane); });
  }
};

template <class T> struct GroupLanes {
  static constexpr int L = lanes<T>;
  using Tile = void (*)(const T*, ptrdiff_t, const int*, int, const T*, ptrdiff_t, bool, T*);
  Pass<T> p;
  GroupPlanes<T> planes;
  GroupLines<T> lines;
  ptrdiff_t n;  // products of one output
  T *weights, *workers;
  int* offsets;

  GroupLanes(const Pass<T>& pass, Scratch& scratch) : p(pass), planes(pass), lines(pass), n(static_cast<ptrdiff_t>(pass.taps()) * pass.c) {
    weights = scratch.take<T>(n * planes.vectors * L);
    offsets = scratch.take<int>(lines.count);
    workers = scratch.take<T>((planes.size() + group_rows * L) * worker_count());
  }

  int parts() const { return planes.blocks.count(); }

  template <class Prologue, class Epilogue> void run(const Prologue& prologue, const Epilogue& epilogue) const {
    lines.offsets(p, planes, offsets);
    parallel_for(planes.vectors, [&](int v, int) { pack_weights(v, weights + v * n * L); });
    parallel_for(planes.blocks.count() * planes.chunks, [&](int job, int worker) {
      const int index = job / planes.chunks;
      const Block b = planes.blocks(p, index);
      const auto part = epilogue.part(index);
      T* packed = workers + worker * (planes.size() + group_rows * L);
      T* out = packed + planes.size();
      zero_run(packed, static_cast<ptrdiff_t>(planes.size()));
      planes.each_vector(job % planes.chunks, [&](int v, bool is_last) {
        planes.pack(p, b, v, prologue, packed);
        even_parts(b.columns, group_rows, [&](int begin, int size) { strip(b, v, is_last, begin, size, packed, weights + v * n * L, out, part); });
      });
      stream_fence();
    });
  }

  // Some columns of a block, row by row, without the kernel's rows that see only padding.
  template <class Epilogue>
  void strip(const Block& b, int v, bool is_last, int begin, int size, const T* packed, const T* w, T* out, const Epilogue& epilogue) const {
    const ptrdiff_t step = p.axis[2].stride * L, w_line = lines.taps * L;
    const Tile most = tile_of(size, lines.taps < group_taps ? lines.taps : group_taps), rest = tile_of(size, lines.taps % group_taps);
    for (int i = 0; i < b.images; i++)
      for (int h = 0; h < b.rows; h++) {
        int first = 0, last = p.axis[1].taps;
        if (p.axis[0].taps == 1) p.axis[1].taps_inside(b.row + h, b.row + h, first, last);
        const int skipped = first * lines.each, count = p.axis[0].taps == 1 ? (last - first) * lines.each : lines.count;
        const T* x = packed + (i * planes.grid.image + h * p.axis[1].stride * planes.grid.row) * L + begin * step;
        const T* row = w + skipped * w_line;
        int tap = 0;
        do {
          (lines.taps - tap < group_taps && tap > 0 ? rest : most)(x + tap * L, p.axis[2].stride, offsets + skipped, count, row + tap * L, w_line, tap > 0, out);
          tap += group_taps;
        } while (tap < lines.taps);
        Run run = p.output_run(b, b.image + i, b.row + h, v * L, planes.lanes_of(v));
        run.first += begin * run.pixel, run.pixels = size;
        epilogue.channels(out, L, run);
        copy_out(out, L, run, p.y, p.out_elements(), is_last ? 0 : L);
      }
  }

  Tile tile_of(int rows, int taps) const {
    Tile tile = nullptr;
    with_const<group_rows>(rows, [&](auto M) {
      constexpr int m = decltype(M)::value;
      if (taps <= 1) tile = group_tile<T, m, 1, 0>;
      else if (taps == 2) tile = p.axis[2].stride == 1 ? group_tile<T, m, 2, 1> : group_tile<T, m, 2, 2>;
      else tile = p.axis[2].stride == 1 ? group_tile<T, m, 3, 1> : group_tile<T, m, 3, 2>;
    });
    return tile;
  }

  // out[line][tap][lane] of vector v.
  void pack_weights(int v, T* out) const {
    const int first = v * L, used = planes.lanes_of(v);
    lines.each_line(p, [&](int d, int h, int w, int i) {
      for (int t = 0; t < lines.taps; t++, out += L) {
        const T* from = p.w + i * p.w_in + p.tap(d, h, w + t);
        for (int l = 0; l < L; l++) out[l] = l < used ? from[(first + l) / p.o * p.w_group + (first + l) % p.o * p.w_out] : 0;
      }
    });
  }
};

}  // namespace EK_ISA
