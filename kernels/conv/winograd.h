// Loop core for kernels of 3x3 and stride 1: Winograd's minimal filtering F(2x2, 3x3), 16 products for 2x2 outputs instead of 36
// (Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016, section 4.1). conv_core.h chooses; the gradient of the
// weights is in winograd_weight.h.
//
// With d a patch of 4x4 inputs and g a kernel, Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A: the inner product over input channels is a matrix product
// for each of 16 points, and the transforms, which are sums and differences, happen in the cache beside it.
#pragma once
#include "conv/channel_lanes.h"

namespace EK_ISA {

constexpr int kPoints = 16;                   // of a transformed patch
constexpr int kTransformedBytes = 512 << 10;  // of a block's patches: they stay in L2 beside the products
constexpr int kTileRun = 28;                  // tiles of a row whose outputs stay in L1

// The transforms of a line; that of a square is the one of its lines after that of its columns.
template <class V> EK_INLINE void input_line(V a, V b, V c, V d, V* out) { out[0] = a - c, out[1] = b + c, out[2] = c - b, out[3] = b - d; }  // Bᵀ
template <class V> EK_INLINE void output_line(V a, V b, V c, V d, V* out) { out[0] = a + b + c, out[1] = b - c - d; }                        // Aᵀ
template <class V> EK_INLINE void weight_line(V a, V b, V c, V* out) {                                                                      // G
  const V ends = a + c;
  out[0] = a, out[1] = (ends + b) * 0.5f, out[2] = (ends - b) * 0.5f, out[3] = c;
}

// Elements between points of so many elements each: the lines of one place of all points are in different sets of the L1 cache.
template <class T> constexpr ptrdiff_t point_pitch(ptrdiff_t elements) {
  constexpr ptrdiff_t page = 4096 / sizeof(T), line = 64 / sizeof(T);
  return (elements + page - 1) / page * page + 5 * line;
}

// The patches under a row of tiles: out[point·pitch + tile·out_pixel + channel], from rows of packed pixels, whose channels are whole vectors.
template <class T>
inline void transform_input(const T* x, ptrdiff_t row, ptrdiff_t pixel, int tiles, int channels, T* out, ptrdiff_t pitch, ptrdiff_t out_pixel) {
  for (int c = 0; c < channels; c += lanes<T>) {
    vec<T> column[4][4];
    const T* from = x + c;
    T* to = out + c;
    const auto next = [&](vec<T>* lines) {
      input_line(load(from), load(from + row), load(from + 2 * row), load(from + 3 * row), lines);
      from += pixel;
    };
    next(column[0]), next(column[1]);
    for (int t = 0; t < tiles; t++, to += out_pixel) {
      next(column[2]), next(column[3]);
#pragma GCC unroll 4
      for (int i = 0; i < 4; i++) {
        vec<T> line[4];
        input_line(column[0][i], column[1][i], column[2][i], column[3][i], line);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) store(to + (4 * i + j) * pitch, line[j]);
        column[0][i] = column[2][i], column[1][i] = column[3][i];
      }
    }
  }
}

// Two rows of outputs from the products of a row of tiles: out[row·out_row + pixel·width + channel].
template <class T>
inline void transform_output(const T* products, ptrdiff_t pitch, int tiles, int width, T* out, ptrdiff_t out_row) {
  for (int t = 0; t < tiles; t++)
    for (int v = 0; v < width; v += lanes<T>) {
      const T* from = products + t * width + v;
      vec<T> line[4][2];
#pragma GCC unroll 4
      for (int i = 0; i < 4; i++, from += 4 * pitch) output_line(load(from), load(from + pitch), load(from + 2 * pitch), load(from + 3 * pitch), line[i]);
      T* to = out + 2 * t * width + v;
#pragma GCC unroll 2
      for (int j = 0; j < 2; j++) {
        vec<T> y[2];
        output_line(line[0][j], line[1][j], line[2][j], line[3][j], y);
        store(to + j * width, y[0]), store(to + out_row + j * width, y[1]);
      }
    }
}

template <class T> struct Winograd {
  Pass<T> p;
  Pass<T> tiles;  // the same pass, of which an output is a tile; for the geometry of its input
  Blocks blocks;
  PackedGrid grid;
  static constexpr int width = outer_vectors * lanes<T>;
  static constexpr int some = ceil_div(kWeightRun, 9);  // input channels whose weights are packed together
  int o_blocks, chunks, per_chunk;  // blocks of output channels: a job does a chunk of them
  ptrdiff_t pixel;                  // between packed pixels, and between transformed patches
  ptrdiff_t patches, products;      // between points
  size_t packed_size, transformed_size, product_size, out_size;
  T *weights, *workers;
  int* places;

  static Pass<T> of_tiles(const Pass<T>& p) {
    Pass<T> tiles = p;
    for (int d = 1; d < 3; d++) tiles.axis[d].count = ceil_div(p.axis[d].count, 2), tiles.axis[d].stride = 2, tiles.axis[d].reach = 3;
    return tiles;
  }
  // Whether the pass is of this kind, and cheaper here than where products are formed tap by tap, padding left out. Costs are in vector
  // operations, as measured: weights come from memory, and here 16 of each 9 are packed; a transform of a vector of channels of a tile takes about 60.
  static bool suits(const Pass<T>& p) {
    const auto line = [](const Axis& a) { return a.taps == 3 && a.phases == 1 && a.stride == 1 && a.unit == 1 && a.spacing == 1 && a.shift == 0; };
    if (p.groups > 1 || !p.axis[0].pointwise() || p.axis[0].count > 1 || !line(p.axis[1]) || !line(p.axis[2])) return false;
    const auto products = [](const Axis& a) {
      double sum = 0;
      for (int t = 0, begin, end; t < 3; t++) a.outputs_inside(t, 0, a.count, begin, end), sum += end - begin;
      return sum;
    };
    const auto vectors = [](int channels) { return static_cast<double>(ceil_div(channels, lanes<T>)); };
    const double o = p.o > lanes<T> ? outer_vectors * ceil_div(p.o, outer_vectors * lanes<T>) : 1, all_weights = static_cast<double>(p.c) * p.o;
    const double in_tiles = static_cast<double>(p.n) * ceil_div(p.axis[1].count, 2) * ceil_div(p.axis[2].count, 2);
    const double direct = p.n * products(p.axis[1]) * products(p.axis[2]) * p.c * o + 75 * all_weights;
    const double here = in_tiles * (kPoints * p.c * (o < 2 ? 2 : o) + 60 * (vectors(p.c) + vectors(p.o))) + 125 * all_weights;
    return 1.05 * here < direct;
  }
  static Blocks choose(const Pass<T>& tiles) {
    const int most = kTransformedBytes / static_cast<int>(sizeof(T)) / kPoints / tiles.c;
    return pixel_blocks(tiles, most > outer_rows ? most : outer_rows);
  }

  Winograd(const Pass<T>& pass, Scratch& scratch) : p(pass), tiles(of_tiles(pass)), blocks(choose(tiles)), grid(tiles, blocks) {
    o_blocks = ceil_div(p.o, width);
    pixel = ceil_div(p.c, lanes<T>) * lanes<T>;
    if (pixel * sizeof(T) >= 512 && pixel * sizeof(T) % 256 == 0) pixel += 64 / sizeof(T);
    const int count = blocks.images * blocks.rows * blocks.columns, jobs = blocks.count(), wanted = ceil_div(kConvJobs, jobs > 0 ? jobs : 1);
    per_chunk = ceil_div(o_blocks, wanted < o_blocks ? wanted : o_blocks), chunks = ceil_div(o_blocks, per_chunk);
    patches = point_pitch<T>(count * pixel), products = point_pitch<T>(static_cast<ptrdiff_t>(count) * width);
    packed_size = static_cast<size_t>(grid.image) * blocks.images * pixel + 64 / sizeof(T);
    transformed_size = kPoints * patches, product_size = kPoints * products, out_size = static_cast<size_t>(4) * kTileRun * width;
    weights = scratch.take<T>(static_cast<size_t>(kPoints) * p.c * width * o_blocks);
    places = scratch.take<int>(some * 9);
    workers = scratch.take<T>((worker_size() + static_cast<size_t>(some) * 9 * width) * worker_count());
  }
  size_t worker_size() const { return packed_size + transformed_size + product_size + out_size; }

  int parts() const { return blocks.count(); }

  template <class Prologue, class Epilogue> void run(const Prologue& prologue, const Epilogue& epilogue) const {
    transform_weights();
    parallel_for(blocks.count() * chunks, [&](int job, int worker) {
      const int chunk = job % chunks, index = job / chunks;
      const Block b = blocks(tiles, index);
      const auto part = epilogue.part(index);
      T* packed = workers + worker * worker_size();
      T* transformed = packed + packed_size;
      T* product = transformed + transformed_size;
      T* out = product + product_size;
      pack_rows(tiles, grid, b, 0, p.c, pixel, prologue, packed);
      for (int i = 0; i < b.images; i++)
        for (int r = 0; r < b.rows; r++)
          transform_input(packed + (i * grid.image + 2 * r * grid.row) * pixel, grid.row * pixel, pixel, b.columns, p.c,
                          transformed + (i * b.rows + r) * b.columns * pixel, patches, pixel);
      const int next = job + worker_count(), next_index = next / chunks;
      Ahead<T> ahead;
      if (next_index != index && next_index < blocks.count()) ahead = memory_under(tiles, blocks(tiles, next_index), 0, p.c);
      const int end = (chunk + 1) * per_chunk < o_blocks ? (chunk + 1) * per_chunk : o_blocks;
      for (int block = chunk * per_chunk; block < end; block++) {
        multiply(block, b.images * b.rows * b.columns, transformed, product, ahead);
        for (int i = 0; i < b.images; i++)
          for (int r = 0; r < b.rows; r++)
            even_parts(b.columns, kTileRun, [&](int column, int count) {
              const Block run{b.image + i, 1, b.depth, 2 * (b.row + r), 2, 2 * (b.column + column), 2 * count};
              transform_output(product + ((i * b.rows + r) * b.columns + column) * width, products, count, width, out, run.columns * width);
              finish(run, block, part, out);
            });
      }
      stream_fence();
    });
  }

  // out[point][tile][width] of a block of output channels
  void multiply(int block, int count, const T* x, T* out, Ahead<T>& ahead) const {
    const int none = 0;
    const T* w = weights + static_cast<ptrdiff_t>(block) * kPoints * p.c * width;
    for (int k = 0; k < kPoints; k++, x += patches, w += static_cast<ptrdiff_t>(p.c) * width, out += products) {
      const TapRows<T> rows{&none, 1, 1, p.c, 0, w, 0};
      even_parts(count, outer_rows, [&](int first, int size) {
        with_const<outer_rows>(size, [&](auto M) {
          channel_tile<T, decltype(M)::value, outer_vectors>(x + first * pixel, pixel, rows, out + static_cast<ptrdiff_t>(first) * width, width, ahead);
        });
      });
    }
  }

  // Two rows of outputs, out[row][column][width], of which the last of either may lie beyond the tensor.
  template <class Epilogue> void finish(Block b, int block, const Epilogue& part, T* out) const {
    const int o = block * width, channels = p.o - o < width ? p.o - o : width, row = b.columns * width;
    if (b.column + b.columns > p.axis[2].count) b.columns--;
    for (int h = 0; h < b.rows && b.row + h < p.axis[1].count; h++, out += row) {
      const Run run = p.output_run(b, b.image, b.row + h, o, channels);
      part.channels(out, width, run);
      copy_out(out, width, run, p.y, p.out_elements());
    }
  }

  // weights[block of output channels][point][c][width], zero beyond the last channel
  void transform_weights() const {
    for (int h = 0; h < 3; h++)
      for (int w = 0; w < 3; w++)
        for (int c = 0; c < some; c++) places[c * 9 + p.tap(0, h, w)] = ((h * 3 + w) * some + c) * width;
    const int parts = ceil_div(p.c, some);
    T* buffers = workers + worker_size() * worker_count();
    parallel_for(o_blocks * parts, [&](int job, int worker) {
      const int first = job % parts * some, count = p.c - first < some ? p.c - first : some, block = job / parts;
      T* buffer = buffers + static_cast<ptrdiff_t>(worker) * some * 9 * width;
      gather_weights(p, places, 0, block * width, width, first, count, buffer);
      T* out = weights + (static_cast<ptrdiff_t>(block) * kPoints * p.c + first) * width;
      for (int i = 0; i < count * width; i += lanes<T>) {
        vec<T> column[3][4];
#pragma GCC unroll 3
        for (int j = 0; j < 3; j++) {
          const T* from = buffer + j * some * width + i;
          weight_line(load(from), load(from + 3 * some * width), load(from + 6 * some * width), column[j]);
        }
#pragma GCC unroll 4
        for (int r = 0; r < 4; r++) {
          vec<T> line[4];
          weight_line(column[0][r], column[1][r], column[2][r], line);
#pragma GCC unroll 4
          for (int j = 0; j < 4; j++) store(out + static_cast<ptrdiff_t>(4 * r + j) * p.c * width + i, line[j]);
        }
      }
    });
  }
};

}  // namespace EK_ISA
