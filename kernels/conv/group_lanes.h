// A loop core whose lanes are output channels of several groups: for groups of 1 (depthwise), 2, 4 or 8 channels, with
// both tensors channels last. It goes through the tensors in their order, one unit of rows of outputs after the other,
// so that memory is read and written in long runs. The rows of input that a unit reads stay in L2 until the last unit
// has read them. Depthwise reads them where they are. What must be mapped or spread first is packed, once, into a ring
// of rows [row][place in the group][pixel][channel]: in the plane of place i, each lane holds channel i of its own
// group, so that a tap is a product of two vectors. Nothing is padded: taps that would read padding are left out.
// conv_core.h chooses.
#pragma once
#include "conv/pack.h"
#include "simd/tile.h"

namespace EK_ISA {

// Outputs of a tile, and taps of a row of the kernel that it takes: what fits into registers.
constexpr int group_rows = has_fused ? 8 : 6, group_taps = 3;
// Rows of outputs that a part has at least: the parts at both sides of a border pack the same rows of input.
constexpr int kLeastRows = 8;
// Channels whose outputs are computed and stored together: two cache lines of float.
constexpr int kStepChannels = 32;
// Channels of a job: as many pixels lie within a page of memory.
constexpr int kMostChannels = 256, kLeastChannels = 64;
// Bytes of a job's ring: it stays in L2.
constexpr int kRingBytes = 512 << 10;
constexpr int kPieceBytes = 8 << 10;  // of pixels that are packed and mapped together: they stay in L1

// A row of input that a row of the kernel is multiplied with, for one place in the group: where its pixel 0 lies, and
// where the weights are, from those of the first vector on.
template <class T> struct GroupLine {
  const T* x;
  ptrdiff_t w;
};

// Positions along a row that a tile reads outside of the image, at each end, at most.
constexpr int group_clip = 3;

// What a tile reads of a row of input, in elements from its pixel 0 on: where tap 0 of output 0 is, and how far outputs
// and taps are apart. Of the positions that lie a tap apart, from there on, begin … end − 1 are in the image.
struct GroupReads {
  ptrdiff_t x, step, tap_step;
  int begin, end;
};

// out[i·out_pitch + lane] = Σ over lines l and taps t: lines[l].x[reads.x + i·step + t·tap_step + lane] ·
// w[lines[l].w + t·L + lane], for M outputs and K taps, and the same for the next vectors of channels. What is not in
// the image is left out. S: step is S·tap_step, and a vector of x is loaded once for all outputs, of which up to
// group_clip at each end may be left out; 0: any steps, and with M > 1 nothing may be left out. add: adds the sums to
// what `out` holds.
template <class T, int M, int K, int S>
__attribute__((noinline)) void group_tile(const GroupLine<T>* lines, int count, const GroupReads& reads, const T* w,
                                          ptrdiff_t w_vector, int vectors, bool add, T* out, ptrdiff_t out_pitch) {
  constexpr int L = lanes<T>, positions = (M - 1) * S + K;
  const ptrdiff_t step = reads.step, tap_step = reads.tap_step;
  const int begin = reads.begin, end = reads.end;
  ptrdiff_t x = reads.x;
  for (int v = 0; v < vectors; v++, x += L, w += w_vector, out += L) {
    vec<T> acc[M] = {};
    if (add)
#pragma GCC unroll 16
      for (int i = 0; i < M; i++) acc[i] = load(out + i * out_pitch);
    for (int l = 0; l < count; l++) {
      const T* from = lines[l].x + x;
      vec<T> wv[K];
#pragma GCC unroll 16
      for (int t = 0; t < K; t++) wv[t] = load(w + lines[l].w + t * L);
      if constexpr (S == 0) {
#pragma GCC unroll 16
        for (int t = 0; t < K; t++) {
          if (M == 1 && (t < begin || t >= end)) continue;
#pragma GCC unroll 16
          for (int i = 0; i < M; i++) acc[i] = multiply_add(load(from + i * step + t * tap_step), wv[t], acc[i]);
        }
      } else {
#pragma GCC unroll 32
        for (int at = 0; at < positions; at++, from += tap_step) {
          if ((at < group_clip && at < begin) || (at >= positions - group_clip && at >= end)) continue;
          vec<T> one = load(from);
          pin(one);
#pragma GCC unroll 16
          for (int t = 0; t < K; t++)
            if (at >= t && (at - t) % S == 0 && (at - t) / S < M) {
              vec<T>& sum = acc[(at - t) / S];
              sum = multiply_add(one, wv[t], sum);
            }
        }
      }
    }
#pragma GCC unroll 16
    for (int i = 0; i < M; i++) store(out + i * out_pitch, acc[i]);
  }
}

// planes[i][lane] = v[the lane of place i in the group of `lane`], for groups of G.
template <class T, int G, int i = 0, int... I>
EK_INLINE void spread_lanes(vec<T> v, T* planes, ptrdiff_t plane, Indices<I...> all) {
  store(planes, __builtin_shufflevector(v, v, (I / G * G + i)...));
  if constexpr (i + 1 < G) spread_lanes<T, G, i + 1>(v, planes + plane, plane, all);
}

// The most channels of a group that this core takes.
template <class T> constexpr int kLargestGroup = order_lanes<T> / 2;

// Rows of outputs that are computed together, or a part of one row. Rows are counted through all images and depths.
struct RowUnit {
  int row, rows, column, columns;
};

// How a pass is cut into jobs and units, and where rows of input are, for this core and for group_lanes_weight.h.
template <class T> struct GroupRows {
  static constexpr int L = lanes<T>;
  Pass<T> p;
  int group, channels;
  int planes, over_planes, over_rows, over_columns, unit_rows,
      unit_pixels;                      // units, over (image, depth), rows, columns
  int parts, per_chunk, chunks;         // parts of the units; channels of a chunk; chunks. A job is one of each
  int kept, width;                      // rows of the ring, and pixels of a row
  ptrdiff_t pitch, plane, row, volume;  // elements between pixels, planes and rows of the ring, and in a job's ring

  explicit GroupRows(const Pass<T>& pass, int jobs)
      : p(pass), group(pass.c), channels(pass.c * pass.groups), planes(pass.n * pass.axis[0].out_size) {
    const Axis &ad = p.axis[0], &ah = p.axis[1], &aw = p.axis[2];
    const int pixels = ah.out_size * aw.out_size;
    over_planes = planes, over_rows = 1, over_columns = ceil_div(aw.out_size, kRunPixels);
    if (2 * pixels <= kRunPixels && flat()) over_planes = ceil_div(planes, kRunPixels / pixels);
    else if (pixels > kRunPixels)
      over_rows = over_columns > 1 ? ah.out_size : ceil_div(ah.out_size, kRunPixels / aw.out_size);
    const int joined = ceil_div(planes, over_planes);
    unit_rows = joined * ceil_div(ah.out_size, over_rows);
    unit_pixels = unit_rows * ceil_div(aw.out_size, over_columns);
    // The number of inputs that so many outputs read.
    const auto span = [](const Axis& a, int outputs) {
      const int inputs = (a.extent(ceil_div(outputs - 1, a.phases) + 1) - 1) * a.unit + 1;
      return inputs < 1 ? 1 : inputs < a.in_size ? inputs : a.in_size;
    };
    kept = joined > 1 ? joined * ah.in_size : flat() ? span(ah, unit_rows) : span(ad, 1) * ah.in_size;
    kept = kept > 1 ? kept : 1, width = over_columns > 1 ? span(aw, ceil_div(aw.out_size, over_columns)) : aw.in_size;

    parts = ceil_div(units(), ceil_div(kLeastRows, unit_rows));
    const auto chunk = [&](int count) { return ceil_div(ceil_div(channels, count), kStepChannels) * kStepChannels; };
    chunks = 1;
    while (chunk(chunks) > kLeastChannels && (chunk(chunks) > kMostChannels || chunks * parts < jobs ||
                                              ring_size(chunk(chunks)) * sizeof(T) > kRingBytes))
      chunks++;
    per_chunk = chunk(chunks), chunks = ceil_div(channels, per_chunk);
    parts = parts < ceil_div(jobs, chunks) ? parts : ceil_div(jobs, chunks);
    pitch = per_chunk, plane = pitch * width, row = plane * group, volume = row * kept;
  }
  size_t ring_size(int chunk) const { return static_cast<size_t>(chunk) * width * group * kept; }

  static bool suits(const Pass<T>& p) {
    return p.groups > 1 && p.c == p.o && p.c <= kLargestGroup<T> && order_lanes<T> % p.c == 0 &&
           p.x_format == EK_CHANNELS_LAST && p.y_format == EK_CHANNELS_LAST;
  }

  // Whether there is one depth only.
  bool flat() const { return p.axis[0].in_size == 1 && p.axis[0].out_size == 1; }
  int units() const { return over_planes * over_rows * over_columns; }
  RowUnit unit(int index) const {
    const int h = index % over_rows, w = index / over_rows % over_columns, i = index / (over_columns * over_rows);
    const int height = p.axis[1].out_size, width = p.axis[2].out_size, first = part_begin(planes, i, over_planes),
              top = part_begin(height, h, over_rows), left = part_begin(width, w, over_columns);
    return {first * height + top,
            (part_begin(planes, i + 1, over_planes) - first - 1) * height + part_begin(height, h + 1, over_rows) - top,
            left, part_begin(width, w + 1, over_columns) - left};
  }
  int channels_of(int chunk) const {
    const int left = channels - chunk * per_chunk;
    return left < per_chunk ? left : per_chunk;
  }
  // Pixels of a chunk that are packed and mapped together.
  int piece_pixels() const { return kPieceBytes / static_cast<int>(sizeof(T)) / per_chunk; }
  // Calls body(unit, run) for the units of a part, in order. The run is that of the unit's outputs of a chunk.
  template <class F> void each_unit(int part, int chunk, const F& body) const {
    for (int i = part_begin(units(), part, parts); i < part_begin(units(), part + 1, parts); i++) {
      const RowUnit u = unit(i);
      body(u, Run{u.rows * u.columns, chunk * per_chunk, channels_of(chunk),
                  (static_cast<ptrdiff_t>(u.row) * p.axis[2].out_size + u.column) * channels + chunk * per_chunk,
                  channels, 1});
    }
  }

  // A row of outputs: its image, depth and row.
  struct Place {
    int image, depth, row;
  };
  Place place(int row) const {
    const int plane = row / p.axis[1].out_size, depths = p.axis[0].out_size;
    return {plane / depths, plane % depths, row % p.axis[1].out_size};
  }
  int input(int image, int depth, int row) const {
    return (image * p.axis[0].in_size + depth) * p.axis[1].in_size + row;
  }
  // The first and the last row of input that a row of outputs may read. Both ascend with the row of outputs.
  int first_input(int row) const {
    const Place at = place(row);
    return input(at.image, near(p.axis[0], at.depth, 0), flat() ? near(p.axis[1], at.row, 0) : 0);
  }
  int last_input(int row) const {
    const Axis &ad = p.axis[0], &ah = p.axis[1];
    const Place at = place(row);
    return input(at.image, near(ad, at.depth, ad.reach), flat() ? near(ah, at.row, ah.reach) : ah.in_size - 1);
  }
  // The input nearest to the packed position that lies `reach` behind the first one that an output reads.
  static int near(const Axis& a, int output, int reach) {
    const int at = a.offset + (output / a.phases * a.stride + reach) * a.unit;
    return at < 0 ? 0 : at < a.in_size ? at : a.in_size - 1;
  }

  // Whether rows of input can be read where they are.
  template <class Prologue> bool direct(const Prologue& prologue) const {
    return group == 1 && prologue.none() && channels % L == 0;
  }

  // Packs a row of input into the ring, from a column on.
  template <class Prologue> void pack(int index, int column, int chunk, const Prologue& prologue, T* ring) const {
    const int n = channels_of(chunk), all = p.axis[2].in_size;
    even_parts(all - column < width ? all - column : width, piece_pixels(), [&](int first, int pixels) {
      const Run run{pixels,   chunk * per_chunk,
                    n,        (static_cast<ptrdiff_t>(index) * all + column + first) * channels + chunk * per_chunk,
                    channels, 1};
      T* out = ring + index % kept * row + first * pitch;
      prologue.each_read([&](const T* other) EK_INLINE_LAMBDA {
        for (int j = 0; j < pixels; j++) prefetch_pixel(other, run, j, n);
      });
      copy_in(p.x, run, out, pitch);
      prologue.channels(out, pitch, run);
      if (group == 2) spread<2>(out, pixels, n);
      if (group == 4) spread<4>(out, pixels, n);
      if (group == 8) spread<8>(out, pixels, n);
    });
  }
  template <int G> void spread(T* out, int pixels, int n) const {
    for (int j = 0; j < pixels; j++, out += pitch)
      if constexpr (G <= L)
        for (int c = 0; c < n; c += L) spread_lanes<T, G>(load(out + c), out + c, plane, indices<L>{});
      else  // all lanes are channels of one group (NEON)
        for (int c = 0; c < n; c += G) {
          T values[G];
          copy_run(values, out + c, G);
          for (int i = 0; i < G; i++)
            for (int l = 0; l < G; l += L) store(out + c + i * plane + l, splat(values[i]));
        }
  }
};

// The rows of input that a job reads: in the tensor, or in its ring. Elements lie `pitch` apart.
template <class T> struct GroupInput {
  const GroupRows<T>& rows;
  int chunk;
  T* ring;  // null: the tensor itself
  ptrdiff_t pitch;
  int column = -1, left = 0;  // of the outputs whose input is ready, and the first column of that
  int ready = 0, fresh = 0;   // the rows before `ready` are; those from `fresh` on became so for the last unit

  template <class Prologue>
  GroupInput(const GroupRows<T>& r, int chunk, const Prologue& prologue, T* ring)
      : rows(r), chunk(chunk), ring(r.direct(prologue) ? nullptr : ring), pitch(this->ring ? r.pitch : r.channels) {}

  // Makes the rows ready that a unit reads.
  template <class Prologue> void prepare(const RowUnit& u, const Prologue& prologue) {
    if (rows.p.in_volume() == 0) return;
    if (u.column != column) column = u.column, left = rows.near(rows.p.axis[2], column, 0), ready = 0;
    const int first = rows.first_input(u.row), last = rows.last_input(u.row + u.rows - 1);
    fresh = ready > first ? ready : first, ready = last >= fresh ? last + 1 : fresh;
    for (int i = fresh; ring && i < ready; i++) rows.pack(i, left, chunk, prologue, ring);
  }
  // Prefetches n channels of the fresh rows, from channel c of the chunk on: each pixel of many channels lies in a page
  // of its own, and the hardware prefetches within pages only. Always inlined, because GCC drops calls of a function
  // that only prefetches.
  EK_INLINE void prefetch(int c, int n) const {
    if (ring) return;
    const int all = rows.p.axis[2].in_size, columns = all - left < rows.width ? all - left : rows.width;
    for (int i = fresh; i < ready; i++) {
      const T* x = row(i) + left * pitch + c;
      for (int j = 0; j < columns; j++, x += pitch)
        for (int l = 0; l < n; l += line_of<T>) __builtin_prefetch(x + l);
    }
  }
  // Where pixel 0 of a row lies.
  const T* row(int index) const {
    return ring ? ring + index % rows.kept * rows.row - left * pitch
                : rows.p.x + static_cast<ptrdiff_t>(index) * rows.p.axis[2].in_size * pitch + chunk * rows.per_chunk;
  }
};

// The outputs of a row for which all taps along the row read an input, or lie at most `slack` taps beside the image:
// begin … end − 1.
struct Inside {
  int begin, end;

  explicit Inside(const Axis& a, int slack = 0) : begin(0), end(a.count) {
    const int beside = slack * a.spacing * a.unit;
    while (begin < end && a.input_of(begin, 0) < -beside) begin++;
    while (end > begin && a.input_of(end - 1, a.taps - 1) >= a.in_size + beside) end--;
  }
};

template <class T> struct GroupLanes {
  static constexpr int L = lanes<T>;
  using Tile = void (*)(const GroupLine<T>*, int, const GroupReads&, const T*, ptrdiff_t, int, bool, T*, ptrdiff_t);
  // A phase, and where its taps begin in the weights.
  struct Phase {
    Pass<T> pass;
    int first_tap;
    Inside inside;
  };
  // A row of outputs of one phase, and the lines that it reads.
  struct Row {
    const Phase* phase;
    GroupLine<T>* lines;
    int count;
  };
  Pass<T> p;
  GroupRows<T> cut;
  ptrdiff_t n;  // products for one output of each phase
  size_t out_size, unit_rows;
  T *weights, *workers;
  Phase* phases;
  Row* rows;
  GroupLine<T>* lines;

  GroupLanes(const Pass<T>& pass, Scratch& scratch)
      : p(pass), cut(pass, kConvJobs), n(static_cast<ptrdiff_t>(pass.kernel_size()) * pass.c) {
    out_size = static_cast<size_t>(cut.unit_pixels) * kStepChannels;
    unit_rows = static_cast<size_t>(cut.unit_rows) * p.axis[2].phases;
    weights = scratch.take<T>(n * cut.chunks * cut.per_chunk);
    phases = scratch.take<Phase>(p.phases());
    rows = scratch.take<Row>(unit_rows * worker_count());
    lines = scratch.take<GroupLine<T>>(unit_rows * most_lines() * worker_count());
    workers = scratch.take<T>((cut.volume + out_size) * worker_count());
  }

  int parts() const { return cut.parts; }
  size_t most_lines() const { return static_cast<size_t>(p.geometry.kernel[0]) * p.geometry.kernel[1] * p.c; }

  template <class Prologue, class Epilogue> void run(const Prologue& prologue, const Epilogue& epilogue) const {
    int tap = 0;
    for (int f = 0; f < p.phases(); f++) {
      const Pass<T> q = p.phase(f);
      phases[f] = {q, tap, Inside(q.axis[2], shared_stride(q.axis[2]) ? group_clip : 0)};
      tap += q.taps();
    }
    const int vectors = ceil_div(cut.channels, L);
    parallel_for(vectors, [&](int v, int) { pack_weights(v, weights + v * n * L); });
    parallel_for(cut.parts * cut.chunks, [&](int job, int worker) {
      const int chunk = job % cut.chunks;
      const auto part = epilogue.part(job / cut.chunks);
      T* out = workers + worker * (cut.volume + out_size);
      GroupInput<T> input(cut, chunk, prologue, out + out_size);
      Row* plan = rows + worker * unit_rows;
      const T* w = weights + n * chunk * cut.per_chunk;
      cut.each_unit(job / cut.chunks, chunk, [&](const RowUnit& u, const Run& all) {
        input.prepare(u, prologue);
        list_rows(u, input, plan, lines + worker * unit_rows * most_lines());
        const auto channels_from = [&](int c) {
          const int left = all.channels - c;
          return Run{all.pixels,    all.channel + c, left < kStepChannels ? left : kStepChannels,
                     all.first + c, all.pixel,       1};
        };
        for (int c = 0; c < all.channels; c += kStepChannels) {
          const Run run = channels_from(c);
          if (c + kStepChannels < all.channels) {
            const Run next = channels_from(c + kStepChannels);
            input.prefetch(c + kStepChannels, next.channels);
            prefetch_out(next, p.y, p.out_elements());
            part.prefetch(next);
          }
          for (int r = 0; r < u.rows; r++)
            compute(plan + r * p.axis[2].phases, u.column, u.columns, c, input.pitch, ceil_div(run.channels, L),
                    w + c * n, out + static_cast<ptrdiff_t>(r) * u.columns * kStepChannels);
          part.channels(out, kStepChannels, run);
          copy_out(out, kStepChannels, run, p.y, p.out_elements());
        }
      });
      stream_fence();
    });
  }

  // Lists the lines of a unit's rows. Lines that read only padding are left out.
  void list_rows(const RowUnit& u, const GroupInput<T>& input, Row* plan, GroupLine<T>* next) const {
    const int over_w = p.axis[2].phases;
    for (int r = u.row; r < u.row + u.rows; r++) {
      const typename GroupRows<T>::Place at = cut.place(r);
      const int fd = at.depth % p.axis[0].phases, fh = at.row % p.axis[1].phases;
      for (int f = 0; f < over_w; f++, plan++) {
        const Phase& phase = phases[(fd * p.axis[1].phases + fh) * over_w + f];
        const Axis &ad = phase.pass.axis[0], &ah = phase.pass.axis[1];
        const int od = at.depth / ad.phases, oh = at.row / ah.phases, taps = phase.pass.axis[2].taps;
        int front, back, top, bottom;
        ad.taps_inside(od, od, front, back), ah.taps_inside(oh, oh, top, bottom);
        *plan = {&phase, next, 0};
        for (int d = front; d < back; d++)
          for (int h = top; h < bottom; h++) {
            const T* x = input.row(cut.input(at.image, ad.input_of(od, d), ah.input_of(oh, h)));
            for (int i = 0; i < p.c; i++)
              *next++ = {x + i * cut.plane,
                         (static_cast<ptrdiff_t>(phase.first_tap + (d * ah.taps + h) * taps) * p.c + i * taps) * L};
          }
        plan->count = static_cast<int>(next - plan->lines);
      }
    }
  }

  // Computes out[column][channel] for `columns` outputs of a row of the tensor, from `column` on, and for `vectors`
  // vectors of channels, from channel c of the chunk on.
  void compute(const Row* row, int column, int columns, int c, ptrdiff_t pitch, int vectors, const T* w, T* out) const {
    const int over = p.axis[2].phases;
    const ptrdiff_t out_pitch = static_cast<ptrdiff_t>(over) * kStepChannels;
    for (int f = 0; f < over; f++, row++) {
      const Phase& phase = *row->phase;
      const Axis& a = phase.pass.axis[2];
      const int begin = ceil_div(column - f, over), end = ceil_div(column + columns - f, over);
      const auto tiles = [&](int first, int size, int stride) {
        T* to = out + (f - column) * static_cast<ptrdiff_t>(kStepChannels) + first * out_pitch;
        bool add = false;
        even_parts(a.taps > 0 ? a.taps : 1, group_taps, [&](int tap, int taps) {
          const int at = a.input_of(first, tap), apart = a.taps > 1 ? a.spacing * a.unit : 1;
          const GroupReads reads{at * pitch + c, a.stride * a.unit * pitch, apart * pitch,
                                 at < 0 ? ceil_div(-at, apart) : 0,
                                 at < a.in_size ? ceil_div(a.in_size - at, apart) : 0};
          tiles_of(taps, stride)[size - 1](row->lines, a.taps > 0 ? row->count : 0, reads, w + tap * L, n * L, vectors,
                                           add, to, out_pitch);
          add = true;
        });
      };
      const auto one_by_one = [&](int first, int last) {
        for (int i = first; i < last; i++) tiles(i, 1, 0);
      };
      const int lo = phase.inside.begin < end ? phase.inside.begin : end, left = lo > begin ? lo : begin;
      const int hi = phase.inside.end < end ? phase.inside.end : end, right = hi > left ? hi : left;
      one_by_one(begin, left);
      even_parts(right - left, group_rows, [&](int first, int size) { tiles(left + first, size, shared_stride(a)); });
      one_by_one(right, end);
    }
  }

  // The stride, in taps, of outputs that share vectors of x in a tile; 0: they share none.
  static int shared_stride(const Axis& a) { return a.taps > 1 && a.spacing == 1 && a.stride <= 2 ? a.stride : 0; }
  // The tiles of a number of taps, by outputs − 1.
  static const Tile* tiles_of(int taps, int stride) {
    constexpr auto all = indices<group_rows>{};
    if (taps <= 1) return tiles_of<1, 0>(all);
    if (taps == 2) return stride == 1 ? tiles_of<2, 1>(all) : stride == 2 ? tiles_of<2, 2>(all) : tiles_of<2, 0>(all);
    return stride == 1 ? tiles_of<3, 1>(all) : stride == 2 ? tiles_of<3, 2>(all) : tiles_of<3, 0>(all);
  }
  template <int K, int S, int... I> static const Tile* tiles_of(Indices<I...>) {
    static constexpr Tile tiles[] = {group_tile<T, I + 1, K, S>...};
    return tiles;
  }

  // Packs the weights of vector v as out[phase][depth][row][place][tap of a row][lane].
  void pack_weights(int v, T* out) const {
    const int first = v * L, used = cut.channels - first < L ? cut.channels - first : L;
    for (int f = 0; f < p.phases(); f++) {
      const Pass<T>& q = phases[f].pass;
      for (int d = 0; d < q.axis[0].taps; d++)
        for (int h = 0; h < q.axis[1].taps; h++)
          for (int i = 0; i < p.c; i++)
            for (int t = 0; t < q.axis[2].taps; t++, out += L) {
              const T* from = p.w + i * p.w_in + q.tap(d, h, t);
              for (int l = 0; l < L; l++)
                out[l] = l < used ? from[(first + l) / p.o * p.w_group + (first + l) % p.o * p.w_out] : 0;
            }
    }
  }
};

}  // namespace EK_ISA
