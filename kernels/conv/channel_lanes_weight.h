// The gradient of the weights with output channels in the lanes. For each tap it is a matrix product, input channels ×
// output channels, summed over the pixels for which the tap reads an input. The counterpart with pixels in the lanes is
// pixel_lanes_weight.h.
//
// A block of pixels of x and of dy is packed in panels, [panel][pixel][channel], so that a tile reads both densely. If
// x is channels last and needs no map, it is read where it lies. Lists say which pixels of x and dy meet under a tap,
// so that neither padding nor the ends of short rows cost anything.
#pragma once
#include "conv/partial_gradients.h"

namespace EK_ISA {

// Pixels of a block: a panel of dy stays in L1 beside one of x. Rows of 7, 14, 28, 56 or 112 pixels fill a block.
constexpr int kBlockPixels = 224;
constexpr int kPartialBytes = 300 << 10;  // bytes of a job's gradient at most: it stays in L2
constexpr int kMapped = 16;               // pixels that are copied and mapped together, in a buffer in L1

// A pixel of x and the pixel of packed dy that it meets under a tap. x counts in the packed block or, if x is not
// packed, from the block's first image on.
struct PixelPair {
  int x, dy;
};

// out[i][channel] = Σ over the pairs: x[pair.x·x_pitch + i] · dy[pair.dy·V·lanes + channel]. add: adds it to what `out`
// holds.
template <class T, int M, int V>
__attribute__((noinline)) void channel_weight_tile(const T* x, ptrdiff_t x_pitch, const T* dy, const PixelPair* pairs,
                                                   int count, bool add, T* out, ptrdiff_t out_row, Prefetch<T>& ahead) {
  vec<T> acc[M][V] = {};
  ahead.during([&](const auto& prefetch_next) {
    for (int k = 0; k < count; k++)
      outer<T, M, V>(acc, x + pairs[k].x * x_pitch, 1, 0, dy + static_cast<ptrdiff_t>(pairs[k].dy) * (V * lanes<T>), 0,
                     1, prefetch_next);
  });
  put_tile<T, M, V>(acc, add, out, out_row);
}

template <class T> struct ChannelLanesWeight : PartialGradients<T> {
  using Base = PartialGradients<T>;
  using Base::p, Base::given, Base::dy, Base::exchanged, Base::c_chunk, Base::o_chunk, Base::splits, Base::first_block;
  using typename Base::Job;
  // A block of x, whose pixels lie `pixel` elements apart. 0: it is packed in panels.
  struct Input {
    const T* at;
    ptrdiff_t pixel;
  };
  Blocks blocks;
  PackedGrid grid;
  int vectors, width;
  // joined: neighbouring taps of a row that are treated as one run, if there are few channels; otherwise 1. runs: how
  // many such runs the kernel has.
  int joined, runs;
  int pixels;          // of a block of dy
  ptrdiff_t x_pixels;  // of a packed block of x
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

  // The panels, what a whole vector reads behind them, and the buffer in which values are mapped.
  size_t packed_size() const { return static_cast<size_t>(x_pixels + kMapped) * c_chunk + line_of<T>; }
  // The channels of a tile that cuts count with: as many or twice as many as `width`.
  int counted_width() const { return p.o > order_lanes<T> ? order_width<T> : order_lanes<T>; }
  bool is_direct(int parts) const { return exchanged && parts == 1 && p.o % counted_width() == 0; }

  // Chooses the cut that moves the least memory, and returns how many elements it moves. Each chunk of one operand
  // packs the other operand again, and each split writes a partial gradient and reads it.
  double choose_chunks() {
    vectors = p.o > lanes<T> ? outer_vectors : 1, width = vectors * lanes<T>;
    joined = p.c <= outer_rows && p.axis[2].spacing == 1 ? p.axis[2].taps : 1, runs = p.taps() / joined;
    const double all = static_cast<double>(p.n) * p.axis[0].count * p.axis[1].count * p.axis[2].count;
    // The cost of an element of x: 1 to pack it, less to read it where it lies.
    const bool may_join = p.c <= order_rows && p.axis[2].spacing == 1 && p.axis[2].taps > 1;
    const double again = p.x_format == EK_CHANNELS_LAST && !may_join ? 0.25 : 1;
    const int tiles_c = ceil_div(p.c, order_rows), tiles_o = ceil_div(p.o, counted_width()),
              count = blocks.count() > 0 ? blocks.count() : 1;
    double least = 0;
    int best_c = p.c, best_o = p.o;
    for (int cs = 1; cs <= tiles_c; cs *= 2)
      for (int os = 1; os <= tiles_o; os *= 2) {
        const int c = ceil_div(p.c, cs), o = ceil_div(tiles_o, os) * counted_width(),
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
  // map: the prologue of p.x; gradient_map: that of the other operand.
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
        PrefetchList<T> ahead;
        Base::with_next(index, job, i,
                        [&](int next, const Job& of) { add_memory(next, of, map, gradient_map, ahead); });
        double products = 0;
        for (int r = 0; r < runs; r++) products += count[r];
        ahead.pace(products * ceil_div(job.c_count * joined, outer_rows) * ceil_div(job.o_count, width));
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
             PrefetchList<T>& ahead) const {
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

  // sums[c] += Σ over the pixels of a block of x, which is dy (exchanged).
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

  // Adds the memory that a block of a job reads.
  template <class Map, class GradientMap>
  void add_memory(int index, const Job& job, const Map& map, const GradientMap& gradient_map,
                  PrefetchList<T>& ahead) const {
    const Block b = blocks(p, index);
    const int o = job.group * p.o + job.o;
    add_inputs(p, b, job.group * p.c + job.c, job.c_count, map, ahead);
    if (exchanged) return add_inputs(given, b, o, job.o_count, gradient_map, ahead);
    ahead.add(memory_of_outputs(p, dy, b, o, job.o_count));
    add_beside_outputs(p, b, o, job.o_count, gradient_map, ahead);
  }

  // Lists the pixels of a block that meet in each run: pair[run][0 … count[run] − 1].
  void list_pairs(const Block& b, bool in_place, PixelPair* pair, int* count) const {
    const Axis &ad = p.axis[0], &ah = p.axis[1], &aw = p.axis[2];
    const ptrdiff_t image = in_place ? p.in_volume() : grid.image;
    const ptrdiff_t down = ah.stride * (in_place ? static_cast<ptrdiff_t>(ah.unit) * aw.in_size : grid.row),
                    right = aw.stride * (in_place ? aw.unit : 1);
    const auto first = [&](int d, int h,
                           int w) -> ptrdiff_t {  // the pixel that a tap of the block's first output reads
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

  // Packs out[panel][pixel][channel]. Only runs of joined taps read padding, so otherwise it is not written.
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

  // Packs out[panel][pixel][channel].
  template <class Map> void pack_gradient(const Block& b, int channel, int channels, const Map& map, T* out) const {
    const auto pack = [&](const T* from, ptrdiff_t pixel, const Run& run) {
      pack_panels(from, run, width, b.images * b.rows * b.columns, pixel, map, out);
    };
    if (exchanged)
      each_packed_row(given, grid, b, channel, channels,
                      [&](ptrdiff_t pixel, int, int, int, const Run& run) { pack(given.x, pixel, run); });
    else each_gradient_run(p, b, channel, channels, [&](int pixel, const Run& run) { pack(dy, pixel, run); });
  }

  // Packs a run into out[panel of up to outer_rows channels][pixel][channel], from `pixel` on. Values that are mapped
  // or transposed pass through `buffer`.
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
