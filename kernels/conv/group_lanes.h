// A loop core whose lanes are output channels of several groups: for groups of 1 (depthwise), 2, 4 or 8 channels, with
// both tensors channels last. It computes one vector of channels after the other. Rows of input are packed into planes
// [row][place in the group][pixel][lane]: in the plane of place i, each lane holds channel i of its own group, so that
// a tap is a product of two vectors. A row is packed when the first output needs it, and is in L1 for all that need it.
// conv_core.h chooses.
#pragma once
#include "conv/pack.h"
#include "simd/tile.h"

namespace EK_ISA {

// Outputs of a tile, and taps of a row of the kernel that it takes: what fits into registers.
constexpr int group_rows = has_fused ? 8 : 6, group_taps = 3;
// Bytes of the packed rows that one row of outputs reads: they stay in L1.
constexpr int kPlaneBytes = 32 << 10;
// Bytes of a block's planes at most. They stay in L2, beside the lines of the tensor that several vectors share.
constexpr int kBlockBytes = 4096 * kOrderBytes;

// out[i·out_pitch + lane] = Σ over lines l and taps t: x[lines[l] + (i·stride + t)·L + lane] · w[l][t][lane], for M
// outputs and K taps. A vector of x is loaded once for all outputs. S: the stride; 0: any `stride`, with a single tap.
// w_line: elements between lines of w. add: adds the sums to what `out` holds.
template <class T, int M, int K, int S>
__attribute__((noinline)) void group_tile(const T* x, ptrdiff_t stride, const int* lines, int count, const T* w,
                                          ptrdiff_t w_line, bool add, T* out, ptrdiff_t out_pitch) {
  constexpr int L = lanes<T>, step = S ? S : 1;
  vec<T> acc[M] = {};
  if (add)
#pragma GCC unroll 16
    for (int i = 0; i < M; i++) acc[i] = load(out + i * out_pitch);
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
        if (at >= t && (at - t) % step == 0 && (at - t) / step < M) {
          vec<T>& sum = acc[(at - t) / step];
          sum = multiply_add(v, wv[t], sum);
        }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < M; i++) store(out + i * out_pitch, acc[i]);
}

// planes[i][lane] = v[the lane of place i in the group of `lane`], for groups of G.
template <class T, int G, int i = 0, int... I>
EK_INLINE void spread_lanes(vec<T> v, T* planes, ptrdiff_t plane, Indices<I...> all) {
  store(planes, __builtin_shufflevector(v, v, (I / G * G + i)...));
  if constexpr (i + 1 < G) spread_lanes<T, G, i + 1>(v, planes + plane, plane, all);
}

// The most channels of a group that this core takes.
template <class T> constexpr int kLargestGroup = order_lanes<T> / 2;

// How a pass is cut into blocks and packed, for this core and for group_lanes_weight.h.
template <class T> struct GroupPlanes {
  static constexpr int L = lanes<T>;
  int group, channels, vectors;  // channels of a group; channels and vectors of the tensor
  Blocks blocks;
  int per_chunk, chunks;  // vectors of a job; chunks of vectors
  PackedGrid grid;
  ptrdiff_t plane;  // elements between the planes of a row

  explicit GroupPlanes(const Pass<T>& p)
      : group(p.c), channels(p.c * p.groups), vectors(ceil_div(channels, L)), blocks(choose(p)), grid(p, blocks) {
    const int all = ceil_div(channels, order_lanes<T>), most = most_chunks(all);
    const int wanted = ceil_div(kConvJobs, blocks.count() > 0 ? blocks.count() : 1);
    const int each = ceil_div(all, wanted < most ? wanted : most);
    per_chunk = each * kOrderVectors, chunks = ceil_div(all, each);
    plane = grid.row * L, grid.row *= group, grid.plane *= group, grid.image *= group;
  }

  static bool suits(const Pass<T>& p) {
    return p.groups > 1 && p.c == p.o && p.c <= kLargestGroup<T> && order_lanes<T> % p.c == 0 &&
           p.x_format == EK_CHANNELS_LAST && p.y_format == EK_CHANNELS_LAST;
  }
  // A chunk has several vectors of order_lanes: while one is computed, the memory of the next is prefetched.
  static int most_chunks(int all) { return ceil_div(all, 4); }
  // Bytes of the packed rows that `rows` rows of outputs read.
  static double packed_bytes(const Pass<T>& p, int rows, int columns) {
    return static_cast<double>(kOrderBytes) * p.c * p.axis[0].extent(1) * p.axis[1].extent(rows) *
           p.axis[2].extent(columns);
  }
  // The block that packs the fewest bytes for an output; bytes count twice if the rows that one row of outputs reads do
  // not fit into L1. A quarter of the usual number of blocks is enough: neighbouring blocks pack their common rows
  // twice.
  static Blocks choose(const Pass<T>& p) {
    const Axis &ah = p.axis[1], &aw = p.axis[2];
    const int wanted = ceil_div(kConvJobs / 4, most_chunks(ceil_div(p.c * p.groups, order_lanes<T>)));
    Blocks best{};
    double least = 0;
    for (int parts = 1; parts <= ceil_div(aw.count, group_rows); parts++) {
      const int columns = ceil_div(aw.count, parts);
      const int others = p.n * p.axis[0].count * parts,
                most = ceil_div(ah.count, others > 0 ? ceil_div(wanted, others) : 1);
      int rows = 1;
      while (rows < most && packed_bytes(p, rows + 1, columns) <= kBlockBytes) rows++;
      const double packed = packed_bytes(p, rows, columns),
                   each = packed / (rows * columns) * (packed_bytes(p, 1, columns) > kPlaneBytes ? 2 : 1);
      if (least > 0 && each >= least) continue;
      const bool joins = rows == ah.count && parts == 1 && p.axis[0].count == 1 && packed > 0;
      least = each, best = equal_blocks(p, joins ? static_cast<int>(kPlaneBytes / packed) : 1, rows, columns);
    }
    return best;
  }
  size_t size() const { return static_cast<size_t>(grid.image) * blocks.images * L; }
  int lanes_of(int vector) const { return channels - vector * L < L ? channels - vector * L : L; }

  // Calls body(vector, is_first, is_last) for each vector of a chunk.
  template <class F> void each_vector(int chunk, const F& body) const {
    const int begin = chunk * per_chunk, end = begin + per_chunk < vectors ? begin + per_chunk : vectors;
    for (int v = begin; v < end; v++) body(v, v == begin, v + 1 == end);
  }

  // Packs one vector of channels of x or dy: out[pixel][lane]. Prefetches the next vector, and what lies `ahead`
  // elements further on.
  template <class Map> static void pack_vector(const T* x, const Run& run, const Map& map, ptrdiff_t ahead, T* out) {
    const T* from = x + run.first;
    if (run.channels == L)
      for (int j = 0; j < run.pixels; j++, from += run.pixel) {
        __builtin_prefetch(from + L, 0, 2);
        if (ahead) __builtin_prefetch(from + ahead, 0, 2);
        store(out + j * L, load(from));
      }
    else
      for (int j = 0; j < run.pixels; j++, from += run.pixel) store(out + j * L, load_n(from, run.channels));
    map.channels(out, L, run);
  }

  // Packs the rows top … bottom − 1 of some of a block's images. All vectors of a job have the same padding, so it is
  // zeroed for the first vector only. Nobody has prefetched the memory of the first vector, so it prefetches its own
  // next row.
  template <class Prologue>
  void pack(const Pass<T>& p, Block b, int image, int images, int top, int bottom, int vector, bool first,
            const Prologue& prologue, T* out) const {
    b.image += image, b.images = images;
    const ptrdiff_t ahead = first ? p.axis[1].unit * static_cast<ptrdiff_t>(p.axis[2].in_size) * channels : 0;
    each_packed_row(p, grid, b, vector * L, lanes_of(vector),
                    [&](ptrdiff_t pixel, int columns, int lo, int hi, const Run& run) {
      T* row = out + (image * grid.image + pixel) * L;
      for (int i = 0; first && i < group; i++)
        zero_run(row + i * plane, lo * L), zero_run(row + i * plane + hi * L, (columns - hi) * L);
      if (lo == hi) return;
      T* to = row + lo * L;
      if constexpr (L < kLargestGroup<T>)
        if (group > L) return pack_group(p.x, run, prologue, to);
      pack_vector(p.x, run, prologue, ahead, to);
      if (group == 2) spread<2>(to, run.pixels);
      if (group == 4) spread<4>(to, run.pixels);
      if (group == 8) spread<8>(to, run.pixels);
    }, top, bottom);
  }
  // A group of more channels than a vector has lanes (NEON): all lanes are channels of it.
  template <class Map> void pack_group(const T* x, const Run& run, const Map& map, T* out) const {
    const int behind = run.channel % group;  // the vector's first channel in its group
    for (int j = 0; j < run.pixels; j++, out += L) {
      T values[kLargestGroup<T>];
      const Run one{1, run.channel - behind, group, run.first - behind + j * run.pixel, run.pixel, run.plane};
      copy_run(values, x + one.first, group);
      map.channels(values, group, one);
      for (int i = 0; i < group; i++) store(out + i * plane, splat(values[i]));
    }
  }
  template <int G> void spread(T* planes, int pixels) const {
    if constexpr (G <= L)
      for (int j = 0; j < pixels; j++, planes += L) spread_lanes<T, G>(load(planes), planes, plane, indices<L>{});
  }
};

// The kernel as lines of neighbouring taps, which a tile can take together. A line is a row of the kernel, or a single
// tap if the kernel is dilated or the stride is above 2. There is one such line for every place in the group.
template <class T> struct GroupLines {
  int taps, each, count;  // taps of a line; lines of a row of the kernel; lines of the kernel

  explicit GroupLines(const Pass<T>& p) {
    const bool row = p.axis[2].taps > 1 && p.axis[2].spacing == 1 && p.axis[2].stride <= 2;
    taps = row ? p.axis[2].taps : 1, each = p.axis[2].taps / taps * p.c, count = each * p.axis[0].taps * p.axis[1].taps;
  }
  // Calls body(d, h, w, place) for each line, in order.
  template <class F> void each_line(const Pass<T>& p, const F& body) const {
    for (int d = 0; d < p.axis[0].taps; d++)
      for (int h = 0; h < p.axis[1].taps; h++)
        for (int w = 0; w < p.axis[2].taps; w += taps)
          for (int i = 0; i < p.c; i++) body(d, h, w, i);
  }
  void offsets(const Pass<T>& p, const GroupPlanes<T>& planes, int* out) const {
    each_line(p, [&](int d, int h, int w, int i) {
      *out++ = static_cast<int>(planes.grid.tap(p, d, h, w) * lanes<T> + i * planes.plane);
    });
  }
};

template <class T> struct GroupLanes {
  static constexpr int L = lanes<T>;
  using Tile = void (*)(const T*, ptrdiff_t, const int*, int, const T*, ptrdiff_t, bool, T*, ptrdiff_t);
  // A phase, and where its lines begin in `offsets` and its taps in the weights.
  struct Phase {
    Pass<T> pass;
    GroupLines<T> lines;
    int first_line, first_tap;
    // Tiles by columns − 1: most for group_taps taps of a line, or for all if it has fewer; rest for the taps that are
    // left.
    const Tile *most, *rest;
  };
  // A row of outputs of one phase, without the lines that read only padding. It is the same for all vectors of channels
  // and all images.
  struct Row {
    const Phase* phase;
    const int* lines;
    int count;
    ptrdiff_t x, w;
  };
  Pass<T> p;
  GroupPlanes<T> planes;
  ptrdiff_t n;  // products for one output of each phase
  size_t out_size;
  T *weights, *workers;
  Phase* phases;
  Row* rows;
  int* offsets;

  GroupLanes(const Pass<T>& pass, Scratch& scratch)
      : p(pass), planes(pass), n(static_cast<ptrdiff_t>(pass.kernel_size()) * pass.c) {
    out_size = static_cast<size_t>(kRunPixels > p.axis[2].phases ? kRunPixels : p.axis[2].phases) * L;
    weights = scratch.take<T>(n * planes.vectors * L);
    offsets = scratch.take<int>(n);
    phases = scratch.take<Phase>(p.phases());
    rows = scratch.take<Row>(rows_size() * worker_count());
    workers = scratch.take<T>((planes.size() + out_size) * worker_count());
  }

  int parts() const { return planes.blocks.count(); }
  size_t rows_size() const { return static_cast<size_t>(planes.blocks.rows) * p.phases(); }

  template <class Prologue, class Epilogue> void run(const Prologue& prologue, const Epilogue& epilogue) const {
    int line = 0, tap = 0;
    for (int f = 0; f < p.phases(); f++) {
      const Pass<T> q = p.phase(f);
      const GroupLines<T> lines(q);
      phases[f] = {q, lines, line, tap, tiles_of(lines.taps), tiles_of(lines.taps % group_taps)};
      phases[f].lines.offsets(q, planes, offsets + line);
      line += phases[f].lines.count, tap += q.taps();
    }
    parallel_for(planes.vectors, [&](int v, int) { pack_weights(v, weights + v * n * L); });
    parallel_for(planes.blocks.count() * planes.chunks, [&](int job, int worker) {
      const int index = job / planes.chunks;
      const Block b = planes.blocks(p, index);
      const auto part = epilogue.part(index);
      T* packed = workers + worker * (planes.size() + out_size);
      T* out = packed + planes.size();
      Row* plan = rows + worker * rows_size();
      list_rows(b, plan);
      planes.each_vector(job % planes.chunks, [&](int v, bool is_first, bool is_last) {
        for (int i = 0; i < b.images; i++) {
          int top = 0;  // the first row that is not packed yet
          each_output_unit(p, b, i, v * L, planes.lanes_of(v), kRunPixels,
                           [&](int d, int row, int rows, int column, int columns, const Run& run) {
            const int bottom = p.axis[1].extent((row + rows - 1) / p.axis[1].phases - b.row + 1);
            if (top < bottom) planes.pack(p, b, i, 1, top, bottom, v, is_first, prologue, packed), top = bottom;
            for (int r = 0; r < rows; r++)
              compute(row_of(plan, b, d, row + r), column / p.axis[2].phases - b.column, columns,
                      packed + i * planes.grid.image * L, weights + v * n * L,
                      out + static_cast<ptrdiff_t>(r) * columns * L);
            part.channels(out, L, run);
            copy_out(out, L, run, p.y, p.out_elements());
            Run next = run;
            next.first += L * run.plane;
            if (!is_last) prefetch_out(next, p.y, p.out_elements());
          });
        }
      });
      stream_fence();
    });
  }

  Row* row_of(Row* plan, const Block& b, int d, int row) const {
    const Axis &ad = p.axis[0], &ah = p.axis[1];
    return plan + (static_cast<ptrdiff_t>(d - ad.output(b.depth)) * b.rows * ah.phases + row - b.row * ah.phases) *
                      p.axis[2].phases;
  }
  void list_rows(const Block& b, Row* plan) const {
    const Axis &ad = p.axis[0], &ah = p.axis[1], &aw = p.axis[2];
    for (int d = ad.output(b.depth); d < ad.output(b.depth + 1); d++)
      for (int row = ah.output(b.row); row < ah.output(b.row + b.rows); row++)
        for (int f = 0; f < aw.phases; f++) {
          const Phase& phase = phases[(d % ad.phases * ah.phases + row % ah.phases) * aw.phases + f];
          const int h = row / ah.phases, each = phase.lines.each;
          int first = 0, last = phase.pass.axis[0].taps * phase.pass.axis[1].taps;
          if (phase.pass.axis[0].taps == 1) phase.pass.axis[1].taps_inside(h, h, first, last);
          row_of(plan, b, d, row)[f] = {
              &phase, offsets + phase.first_line + first * each, (last - first) * each,
              (h - b.row) * ah.stride * planes.grid.row * L,
              (static_cast<ptrdiff_t>(phase.first_tap) * p.c + first * each * phase.lines.taps) * L};
        }
  }

  // Computes out[output][lane]: `columns` outputs of a row of the tensor, from column `column` of each phase on.
  void compute(const Row* row, int column, int columns, const T* packed, const T* weight, T* out) const {
    const Axis& aw = p.axis[2];
    const ptrdiff_t step = aw.stride * L, out_pitch = static_cast<ptrdiff_t>(aw.phases) * L;
    for (int f = 0; f < aw.phases && f < columns; f++, row++) {
      const Phase& phase = *row->phase;
      const int taps = phase.lines.taps;
      const T *x = packed + row->x + column * step, *w = weight + row->w;
      even_parts(ceil_div(columns - f, aw.phases), group_rows, [&](int begin, int size) {
        int tap = 0;
        do {
          (tap > 0 && taps - tap < group_taps ? phase.rest : phase.most)[size - 1](
              x + begin * step + tap * L, aw.stride, row->lines, row->count, w + tap * L,
              static_cast<ptrdiff_t>(taps) * L, tap > 0, out + f * L + begin * out_pitch, out_pitch);
          tap += group_taps;
        } while (tap < taps);
      });
    }
  }

  const Tile* tiles_of(int taps) const {
    const bool dense = p.axis[2].stride == 1;
    constexpr auto all = indices<group_rows>{};
    if (taps <= 1) return tiles_of<1, 0>(all);
    if (taps == 2) return dense ? tiles_of<2, 1>(all) : tiles_of<2, 2>(all);
    return dense ? tiles_of<3, 1>(all) : tiles_of<3, 2>(all);
  }
  template <int K, int S, int... I> static const Tile* tiles_of(Indices<I...>) {
    static constexpr Tile tiles[] = {group_tile<T, I + 1, K, S>...};
    return tiles;
  }

  // Packs the weights of vector v as out[phase][line][tap][lane].
  void pack_weights(int v, T* out) const {
    const int first = v * L, used = planes.lanes_of(v);
    for (int f = 0; f < p.phases(); f++) {
      const Pass<T>& q = phases[f].pass;
      phases[f].lines.each_line(q, [&](int d, int h, int w, int i) {
        for (int t = 0; t < phases[f].lines.taps; t++, out += L) {
          const T* from = p.w + i * p.w_in + q.tap(d, h, w + t);
          for (int l = 0; l < L; l++)
            out[l] = l < used ? from[(first + l) / p.o * p.w_group + (first + l) % p.o * p.w_out] : 0;
        }
      });
    }
  }
};

}  // namespace EK_ISA
