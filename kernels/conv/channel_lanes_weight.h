// Gradient of the weights with output channels in the lanes: a matrix product for each tap, input channels × output
// channels, reduced over the pixels at which the tap finds an input. Counterpart: pixel_lanes_weight.h.
//
// A block of pixels is packed in panels of x and of dy, [a tile's channels][pixel][channel], so that a tile reads both
// densely; x that needs no map is read where it lies if its channels are last. Lists say which pixels meet under a tap,
// so that neither padding nor the ends of short rows cost anything.
#pragma once
#include "conv/channel_lanes.h"

namespace EK_ISA {

// A panel of dy stays in L1 beside one of x; rows of 7, 14, 28, 56 or 112 fill it.
constexpr int kBlockPixels = 224;
constexpr int kPartialBytes = 300 << 10;  // of a job's gradient: it stays in L2
constexpr int kMapped = 16;               // pixels that are mapped together
// wanted; fewer than elsewhere, since more of them leave more partial gradients to be merged.
constexpr int kWeightJobs = 16;

// A pixel of x, in its packed block or from the block's first image on, and the one of packed dy that it meets.
struct PixelPair {
  int x, dy;
};

// A tile goes to its place, or is added to what is there.
template <class T, int M, int V> EK_INLINE void put_tile(vec<T> (&acc)[M][V], bool add, T* out, ptrdiff_t out_row) {
  // All loads before the stores: rows a multiple of 4 KiB apart look like the same memory to the processor.
  if (add)
#pragma GCC unroll 16
    for (int i = 0; i < M; i++)
#pragma GCC unroll 16
      for (int v = 0; v < V; v++) acc[i][v] += load(out + i * out_row + v * lanes<T>);
#pragma GCC unroll 16
  for (int i = 0; i < M; i++)
#pragma GCC unroll 16
    for (int v = 0; v < V; v++) store(out + i * out_row + v * lanes<T>, acc[i][v]);
}

// out[i][channel] (+)= Σ over pairs: x[pair.x·x_pitch + i] · dy[pair.dy·V·lanes + channel]. add: to what `out` holds.
template <class T, int M, int V>
__attribute__((noinline)) void channel_weight_tile(const T* x, ptrdiff_t x_pitch, const T* dy, const PixelPair* pairs,
                                                   int count, bool add, T* out, ptrdiff_t out_row, Ahead<T>& ahead) {
  vec<T> acc[M][V] = {};
  ahead.during([&](const auto& ask) {
    for (int k = 0; k < count; k++)
      outer<T, M, V>(acc, x + pairs[k].x * x_pitch, 1, 0, dy + static_cast<ptrdiff_t>(pairs[k].dy) * (V * lanes<T>), 0,
                     1, ask);
  });
  put_tile<T, M, V>(acc, add, out, out_row);
}

// run(pixel, run) for what is contiguous in a block of dy, of which it begins at `pixel`. p: a forward pass.
template <class T, class F>
EK_INLINE void each_gradient_run(const Pass<T>& p, const Block& b, int channel, int channels, const F& body) {
  for (int i = 0; i < b.images; i++)
    each_output_unit(p, b, i, channel, channels, b.rows * b.columns,
                     [&](int, int row, int, int column, int, const Run& run) {
      body((i * b.rows + row - b.row) * b.columns + column - b.column, run);
    });
}

// sums[c] += Σ over pixels: g[pixel·pitch + c]
template <class T> inline void add_pixels(const T* g, ptrdiff_t pitch, int pixels, int channels, double* sums) {
  for (int c = 0; c < channels; c += lanes<T>) {
    const int n = channels - c < lanes<T> ? channels - c : lanes<T>;
    vec<T> s = {};
    for (int j = 0; j < pixels; j++) s += load_some(g + j * pitch + c, n);
    for (int l = 0; l < n; l++) sums[c + l] += s[l];
  }
}

// dbias[c] = Σ over splits of partials[split][c]
template <class T> inline void merge_bias(const double* partials, int splits, int channels, T* dbias) {
  for (int c = 0; c < channels; c++) {
    double s = 0;
    for (int split = 0; split < splits; split++) s += partials[static_cast<size_t>(split) * channels + c];
    dbias[c] = static_cast<T>(s);
  }
}

// The cut of a gradient of the weights in jobs, the partial gradients that they leave, and how those become the
// gradient.
template <class T> struct PartialGradients {
  Pass<T> given, p;  // the forward pass; y is not used
  const T* dy;
  // p.x is dy, p.c counts outputs and p.o inputs, and what is said of x, dy, c and o below is meant so.
  bool exchanged = false;
  bool direct = false;  // a job's gradient is a part of dw as it is
  int c_chunk, c_chunks, o_chunk, o_chunks, blocks_cut, splits;
  size_t partial_size;
  T* partials;
  double* bias_partials;  // [split][output]

  // A split of the blocks × a group × a chunk of input channels × a chunk of output channels. It leaves a partial
  // gradient [tap][c of the chunk][o of the chunk].
  struct Job {
    // part: of [group][chunk of c][chunk of o]; c and o: within the group.
    int split, part, group, c, c_count, o, o_count;
  };

  PartialGradients(const Pass<T>& pass, const T* gradient) : given(pass), p(pass), dy(gradient) {}

  // Where dw is a product of two matrices, its factors may change places: for kernels of one tap without padding. p
  // becomes the pass over dy.
  bool may_exchange() const {
    bool unpadded = true;
    for (const Axis& a : p.axis) unpadded = unpadded && a.offset == 0;
    return p.taps() == 1 && unpadded && p.x_format == EK_CHANNELS_LAST && p.y_format == EK_CHANNELS_LAST;
  }
  void exchange() {
    p.x = dy, p.c = given.o, p.o = given.c, p.w_in = given.w_out, p.w_out = given.w_in;
    for (Axis& a : p.axis) a.in_size = a.count, a.unit = 1;
    exchanged = true;
  }
  void restore() { p = given, exchanged = false; }

  // Chunks of so many channels, and splits so that there are kWeightJobs jobs, of at least a block each.
  void cut(int c, int o, int blocks) {
    c_chunk = c, c_chunks = ceil_div(p.c, c), o_chunk = o, o_chunks = ceil_div(p.o, o);
    const int wanted = ceil_div(kWeightJobs, parts());
    blocks_cut = blocks, splits = wanted < blocks ? wanted : blocks,
    partial_size = static_cast<size_t>(p.taps()) * c * o;
  }
  void take(Scratch& scratch) {
    if (!direct)
      partials = scratch.take<T>(partial_size * (splits > 1 ? static_cast<size_t>(parts()) * splits : worker_count()));
    bias_partials = scratch.take<double>(static_cast<size_t>(outputs()) * p.groups * splits);
  }

  int first_block(int split) const { return part_begin(blocks_cut, split, splits); }
  int parts() const { return p.groups * c_chunks * o_chunks; }
  int outputs() const { return exchanged ? p.c : p.o; }            // of the convolution, in a group
  ptrdiff_t out_row() const { return direct ? p.w_in : o_chunk; }  // between input channels of a job's gradient
  Job job_of(int index) const {
    const int part = index % parts(), o = part % o_chunks * o_chunk, c = part / o_chunks % c_chunks * c_chunk;
    return {index / parts(),
            part,
            part / (o_chunks * c_chunks),
            c,
            p.c - c < c_chunk ? p.c - c : c_chunk,
            o,
            p.o - o < o_chunk ? p.o - o : o_chunk};
  }

  // body(block, job) for what this worker will probably read after a block of a job: the next one, or the first of its
  // next job.
  template <class F> void with_next(int index, const Job& job, int block, const F& body) const {
    const int next = index + worker_count();
    if (block + 1 < first_block(job.split + 1)) body(block + 1, job);
    else if (next < splits * parts()) body(first_block(job_of(next).split), job_of(next));
  }

  // body(index, worker, job, gradient, bias sums of the job's outputs or null) leaves each job's gradient and adds to
  // its sums.
  template <class F> void run(T* dw, T* dbias, const F& body) const {
    parallel_for(splits * parts(), [&](int index, int worker) {
      const Job job = job_of(index);
      T* out = direct ? dw + job.group * p.w_group + job.c * p.w_in + job.o
                      : partials + (splits > 1 ? index : worker) * partial_size;
      const int first = exchanged ? job.c : job.o, count = exchanged ? job.c_count : job.o_count;
      const bool sums_bias = dbias && (exchanged ? job.o : job.c) == 0;
      double* sums = sums_bias
                         ? bias_partials + (static_cast<size_t>(job.split) * p.groups + job.group) * outputs() + first
                         : nullptr;
      for (int i = 0; sums && i < count; i++) sums[i] = 0;
      body(index, worker, job, out, sums);
      for (int slice = 0; splits == 1 && !direct && slice < slices(); slice++) merge(job, slice, out, dw);
    });
    if (splits > 1)
      parallel_for(parts() * slices(), [&](int index, int) {
        const int part = index / slices();
        merge(job_of(part), index % slices(), partials + part * partial_size, dw);
      });
    if (dbias) merge_bias(bias_partials, splits, outputs() * p.groups, dbias);
  }

 private:
  // dw[o][c][tap] = Σ over splits of [tap][c][o], one split after the other; `partial`: of the first. A slice is a
  // square of outputs and places (c, tap), added up on the stack; from there it is transposed, unless it is exchanged.
  static constexpr int kSlice = 64;
  int slices() const { return ceil_div(o_chunk, kSlice) * ceil_div(c_chunk * p.taps(), kSlice); }
  void merge(const Job& job, int slice, const T* partial, T* dw) const {
    constexpr int L = lanes<T>;
    const int taps = p.taps(), across = ceil_div(o_chunk, kSlice), o = slice % across * kSlice,
              begin = slice / across * kSlice;
    const int outputs = job.o_count - o < kSlice ? job.o_count - o : kSlice, places = job.c_count * taps - begin,
              n = places < kSlice ? places : kSlice;
    if (outputs <= 0 || n <= 0) return;
    const size_t step = partial_size * parts();
    T sums[kSlice * kSlice];
    for (int i = 0, c = begin / taps, t = begin % taps; i < n; i++) {
      const T* from = partial + (static_cast<ptrdiff_t>(t) * c_chunk + c) * o_chunk + o;
      for (int v = 0; v < outputs; v += L) {
        vec<T> s = load(from + v);
        for (int split = 1; split < splits; split++) s += load(from + v + split * step);
        store(sums + i * kSlice + v, s);
      }
      if (++t == taps) t = 0, c++;
    }
    T* to = dw + job.group * p.w_group + (job.o + o) * p.w_out;
    if (!exchanged) return copy_transposed(sums, kSlice, n, outputs, to + job.c * taps + begin, p.w_out);
    for (int i = 0; i < n; i++) copy_run(to + (job.c + begin + i) * p.w_in, sums + i * kSlice, outputs);
  }
};

template <class T> struct ChannelLanesWeight : PartialGradients<T> {
  using Base = PartialGradients<T>;
  using Base::p, Base::given, Base::dy, Base::exchanged, Base::c_chunk, Base::o_chunk, Base::splits, Base::first_block;
  using typename Base::Job;
  // A block of x: pixels `pixel` apart, or packed in panels where that is 0.
  struct Input {
    const T* at;
    ptrdiff_t pixel;
  };
  Blocks blocks;
  PackedGrid grid;
  int vectors, width;
  int joined, runs;  // taps of a row that are one run of few channels, or 1; runs of the kernel
  int pixels;        // of a block
  ptrdiff_t x_pixels;
  T *packed, *gradients;
  PixelPair* pairs;
  int* counts;

  ChannelLanesWeight(const Pass<T>& pass, const T* g, Scratch& scratch)
      : Base(pass, g), blocks(pixel_blocks(pass, kBlockPixels)), grid(pass, blocks) {
    const double moved = choose_chunks();
    if (Base::may_exchange()) {
      Base::exchange();
      if (!(choose_chunks() < moved)) Base::restore(), choose_chunks();
    }
    pixels = blocks.images * blocks.rows * blocks.columns, x_pixels = grid.image * blocks.images;
    Base::direct = is_direct(splits);
    Base::take(scratch);
    const size_t workers = worker_count();
    packed = scratch.take<T>(packed_size() * workers);
    gradients = scratch.take<T>(static_cast<size_t>(pixels) * o_chunk * workers);
    pairs = scratch.take<PixelPair>(static_cast<size_t>(pixels) * runs * workers);
    counts = scratch.take<int>(runs * workers);
  }

  // Panels, what a whole vector reads behind them, and the buffer through which their values come.
  size_t packed_size() const { return static_cast<size_t>(x_pixels + kMapped) * c_chunk + line_of<T>; }
  bool is_direct(int parts) const { return exchanged && parts == 1 && p.o % width == 0; }

  // The cut that moves the least memory: with each chunk the other operand is packed again, with each split goes a
  // partial gradient. Returns how many elements it moves.
  double choose_chunks() {
    vectors = p.o > lanes<T> ? outer_vectors : 1, width = vectors * lanes<T>;
    joined = p.c <= outer_rows && p.axis[2].spacing == 1 ? p.axis[2].taps : 1, runs = p.taps() / joined;
    const double all = static_cast<double>(p.n) * p.axis[0].count * p.axis[1].count * p.axis[2].count;
    // X is read where it lies, or packed.
    const double again = p.x_format == EK_CHANNELS_LAST && joined == 1 ? 0.25 : 1;
    const int tiles_c = ceil_div(p.c, outer_rows), tiles_o = ceil_div(p.o, width),
              count = blocks.count() > 0 ? blocks.count() : 1;
    double least = 0;
    int best_c = p.c, best_o = p.o;
    for (int cs = 1; cs <= tiles_c; cs *= 2)
      for (int os = 1; os <= tiles_o; os *= 2) {
        const int c = ceil_div(p.c, cs), o = ceil_div(tiles_o, os) * width,
                  wanted = ceil_div(kWeightJobs, p.groups * cs * os);
        const int parts = wanted < count ? wanted : count;
        const bool fits = static_cast<double>(p.taps()) * c * o * sizeof(T) <= kPartialBytes;
        const double merged = is_direct(parts) ? 0 : 2.0 * parts;
        const double moved = (all * (again * p.c * os + static_cast<double>(p.o) * cs) +
                              merged * p.taps() * p.c * p.o) *
                             (fits ? 1 : 4);
        if (least > 0 && moved >= least) continue;
        least = moved, best_c = c, best_o = o;
      }
    Base::cut(best_c, best_o, count);
    return least;
  }

  template <class Prologue, class GradientPrologue>
  void run(const Prologue& prologue, const GradientPrologue& gradient_prologue, T* dw, T* dbias) const {
    if (exchanged) reduce(gradient_prologue, prologue, dw, dbias);
    else reduce(prologue, gradient_prologue, dw, dbias);
  }
  // The maps are those of p.x and of dy.
  template <class Map, class GradientMap>
  void reduce(const Map& map, const GradientMap& gradient_map, T* dw, T* dbias) const {
    const int all = p.c * p.groups;
    const bool in_place = map.none() && joined == 1 && p.x_format == EK_CHANNELS_LAST;
    Base::run(dw, dbias, [&](int index, int worker, const Job& job, T* out, double* sums) {
      T* x = packed + worker * packed_size();
      T* g = gradients + static_cast<size_t>(worker) * pixels * o_chunk;
      PixelPair* pair = pairs + static_cast<size_t>(worker) * pixels * runs;
      int* count = counts + worker * runs;
      const int begin = first_block(job.split), end = first_block(job.split + 1);
      for (int i = begin; i < end; i++) {
        const Block b = blocks(p, i);
        const int channel = job.group * p.c + job.c;
        if (!in_place) pack_input(b, channel, job.c_count, map, x + x_pixels * c_chunk + line_of<T>, x);
        const Input input = in_place ? Input{p.x + b.image * p.in_volume() * all + channel, all} : Input{x, 0};
        pack_gradient(b, job.group * p.o + job.o, job.o_count, gradient_map, g);
        list_pairs(b, in_place, pair, count);
        const int here = b.images * b.rows * b.columns;
        AheadOf<T> ahead;
        Base::with_next(index, job, i, [&](int next, const Job& of) { expect(next, of, map, gradient_map, ahead); });
        double asks = 0;
        for (int r = 0; r < runs; r++) asks += count[r];
        ahead.pace(asks * ceil_div(job.c_count * joined, outer_rows) * ceil_div(job.o_count, width));
        if (sums && exchanged) add_rows(input, b, job.c_count, sums);
        for (int o = 0; o < job.o_count; o += width, g += here * width) {
          if (sums && !exchanged)
            add_pixels(g, width, here, job.o_count - o < width ? job.o_count - o : width, sums + o);
          if (vectors == 1) tiles<1>(job, input, g, pair, count, i > begin, out + o, ahead);
          else tiles<outer_vectors>(job, input, g, pair, count, i > begin, out + o, ahead);
        }
        g = gradients + static_cast<size_t>(worker) * pixels * o_chunk;
      }
    });
  }

  template <int V>
  void tiles(const Job& job, const Input& x, const T* g, const PixelPair* pair, const int* count, bool add, T* out,
             AheadOf<T>& ahead) const {
    const ptrdiff_t row = Base::out_row();
    even_parts(job.c_count, outer_rows, [&](int c, int size) {
      for (int r = 0; r < runs; r++) {
        if (!count[r] && add) continue;
        even_parts(size * joined, outer_rows, [&](int begin, int rows) {
          with_const<outer_rows>(rows, [&](auto M) {
            channel_weight_tile<T, decltype(M)::value, V>(
                x.at + (x.pixel ? c : c * x_pixels) + begin, x.pixel ? x.pixel : size, g,
                pair + static_cast<ptrdiff_t>(r) * pixels, count[r], add,
                out + (static_cast<ptrdiff_t>(r) * joined * c_chunk + c + begin) * row, row, ahead.now());
          });
        });
      }
    });
  }

  // sums[c] += Σ over the pixels of a block of x, which is exchanged.
  void add_rows(const Input& x, const Block& b, int channels, double* sums) const {
    if (!x.pixel)
      return even_parts(channels, outer_rows, [&](int c, int size) {
        add_pixels(x.at + c * x_pixels, size, b.images * b.rows * b.columns, size, sums + c);
      });
    for (int i = 0; i < b.images; i++)
      for (int r = 0; r < b.rows; r++) {
        const ptrdiff_t first = i * p.in_volume() +
                                (static_cast<ptrdiff_t>(b.depth) * p.axis[1].count + b.row + r) * p.axis[2].count +
                                b.column;
        add_pixels(x.at + first * x.pixel, x.pixel, b.columns, channels, sums);
      }
  }

  // What a block of a job reads.
  template <class Map, class GradientMap>
  void expect(int index, const Job& job, const Map& map, const GradientMap& gradient_map, AheadOf<T>& ahead) const {
    const Block b = blocks(p, index);
    const int o = job.group * p.o + job.o;
    add_inputs(p, b, job.group * p.c + job.c, job.c_count, map, ahead);
    if (exchanged) return add_inputs(given, b, o, job.o_count, gradient_map, ahead);
    ahead.add(memory_beside(p, dy, b, o, job.o_count));
    add_beside(p, b, o, job.o_count, gradient_map, ahead);
  }

  // pair[run][…], count[run]: the pixels of a block that meet in each run.
  void list_pairs(const Block& b, bool in_place, PixelPair* pair, int* count) const {
    const Axis &ad = p.axis[0], &ah = p.axis[1], &aw = p.axis[2];
    const ptrdiff_t image = in_place ? p.in_volume() : grid.image;
    const ptrdiff_t down = ah.stride * (in_place ? static_cast<ptrdiff_t>(ah.unit) * aw.in_size : grid.row),
                    right = aw.stride * (in_place ? aw.unit : 1);
    const auto first = [&](int d, int h, int w) -> ptrdiff_t {  // under a tap of the block's first output
      if (!in_place) return grid.tap(p, d, h, w);
      return (static_cast<ptrdiff_t>(ad.input_of(b.depth, d)) * ah.in_size + ah.input_of(b.row, h)) * aw.in_size +
             aw.input_of(b.column, w);
    };
    for (int d = 0; d < ad.taps; d++)
      for (int h = 0; h < ah.taps; h++)
        for (int w = 0; w < aw.taps; w += joined, pair += pixels) {
          int depth, depths, row, rows, column = b.column, columns = b.column + b.columns;
          ad.outputs_inside(d, b.depth, b.depth + 1, depth, depths);
          ah.outputs_inside(h, b.row, b.row + b.rows, row, rows);
          if (joined == 1) aw.outputs_inside(w, b.column, b.column + b.columns, column, columns);
          const ptrdiff_t tap = first(d, h, w);
          PixelPair* next = pair;
          for (int i = 0; depth < depths && i < b.images; i++)
            for (int r = row - b.row; r < rows - b.row; r++)
              for (int j = column - b.column; j < columns - b.column; j++)
                *next++ = {static_cast<int>(tap + i * image + r * down + j * right), (i * b.rows + r) * b.columns + j};
          *count++ = static_cast<int>(next - pair);
        }
  }

  // out[panel][pixel][channel]; only runs of joined taps read padding.
  template <class Map>
  void pack_input(const Block& b, int channel, int channels, const Map& map, T* buffer, T* out) const {
    each_packed_row(p, grid, b, channel, channels, [&](ptrdiff_t pixel, int columns, int lo, int hi, const Run& run) {
      if (joined > 1) {
        zero_run(out + pixel * channels, lo * channels);
        zero_run(out + (pixel + hi) * channels, (columns - hi) * channels);
      }
      if (lo == hi) return;
      copy_in_panels(run, pixel + lo, map, buffer, out);
    });
  }

  // out[panel][pixel][channel]
  template <class Map> void pack_gradient(const Block& b, int channel, int channels, const Map& map, T* out) const {
    const auto pack = [&](const T* from, ptrdiff_t pixel, const Run& run) {
      pack_panels(from, run, width, b.images * b.rows * b.columns, pixel, map, out);
    };
    if (exchanged)
      each_packed_row(given, grid, b, channel, channels,
                      [&](ptrdiff_t pixel, int, int, int, const Run& run) { pack(given.x, pixel, run); });
    else each_gradient_run(p, b, channel, channels, [&](int pixel, const Run& run) { pack(dy, pixel, run); });
  }

  // out[panel of up to outer_rows channels][pixel][channel], from `pixel` on. What is not copied as it is passes
  // through `buffer`.
  template <class Map> void copy_in_panels(const Run& run, ptrdiff_t pixel, const Map& map, T* buffer, T* out) const {
    if (run.plane == 1 && map.none())
      return copy_panels(out, x_pixels, pixel, p.x + run.first, run.pixel, run.pixels, run.channels, outer_rows);
    for (int j = 0; j < run.pixels; j += kMapped) {
      Run part = run;
      part.pixels = run.pixels - j < kMapped ? run.pixels - j : kMapped, part.first += j * run.pixel;
      copy_in(p.x, part, buffer, run.channels);
      map.channels(buffer, run.channels, part);
      copy_panels(out, x_pixels, pixel + j, buffer, run.channels, part.pixels, run.channels, outer_rows);
    }
  }
};

}  // namespace EK_ISA
