// A loop core for kernels of 3x3 and stride 1. Winograd's minimal filtering F(2x2, 3x3) computes a tile of 2x2 outputs
// with 16 products instead of 36 (Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016,
// section 4.1). conv_core.h chooses. The gradient of the weights is in winograd_weight.h.
//
// With a patch d of 4x4 inputs and a kernel g, the tile is Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A. A transformed patch has 16
// points. For each point, the sum over the input channels is a matrix product, tiles × output channels. The transforms
// are sums and differences of values that are in the cache.
#pragma once
#include "conv/channel_lanes.h"

namespace EK_ISA {

constexpr int kPoints = 16;                    // points of a transformed patch
constexpr int kTransformedBytes = 512 << 10;   // bytes of a block's patches: they stay in L2 beside the products
constexpr int kFewTiles = 32;                  // tiles of a block at least: each block reads all weights from memory
constexpr int kTileRun = 28;                   // tiles of a row whose outputs are computed together, and stay in L1
constexpr int kProductTiles = 9 * order_rows;  // tiles whose products stay in L2 beside the weights of a point

// The transforms of one line. A square is transformed by transforming its columns, and then the lines of the result.
// Bᵀ.
template <class V> EK_INLINE void input_line(V a, V b, V c, V d, V* out) {
  out[0] = a - c, out[1] = b + c, out[2] = c - b, out[3] = b - d;
}
// Aᵀ.
template <class V> EK_INLINE void output_line(V a, V b, V c, V d, V* out) { out[0] = a + b + c, out[1] = b - c - d; }
// G.
template <class V> EK_INLINE void weight_line(V a, V b, V c, V* out) {
  const V ends = a + c;
  out[0] = a, out[1] = (ends + b) * 0.5f, out[2] = (ends - b) * 0.5f, out[3] = c;
}

// Elements from one point to the next, if a point has `elements` elements. A transform writes the same place of all
// points; with this distance those cache lines fall into different sets of L1.
template <class T> constexpr ptrdiff_t point_pitch(ptrdiff_t elements) {
  constexpr ptrdiff_t page = 4096 / sizeof(T), line = 64 / sizeof(T);
  return (elements + page - 1) / page * page + 5 * line;
}

// Transforms the patches of a row of tiles: out[point·pitch + tile·out_pixel + channel]. x: packed pixels, whose
// channels are padded to whole vectors.
template <class T>
inline void transform_input(const T* x, ptrdiff_t row, ptrdiff_t pixel, int tiles, int channels, T* out,
                            ptrdiff_t pitch, ptrdiff_t out_pixel) {
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

// Transforms the products of a row of tiles into two rows of outputs: out[row·out_row + pixel·width + channel].
template <class T>
inline void transform_output(const T* products, ptrdiff_t pitch, int tiles, int width, T* out, ptrdiff_t out_row) {
  for (int t = 0; t < tiles; t++)
    for (int v = 0; v < width; v += lanes<T>) {
      const T* from = products + t * width + v;
      vec<T> line[4][2];
#pragma GCC unroll 4
      for (int i = 0; i < 4; i++, from += 4 * pitch)
        output_line(load(from), load(from + pitch), load(from + 2 * pitch), load(from + 3 * pitch), line[i]);
      T* to = out + 2 * t * width + v;
#pragma GCC unroll 2
      for (int j = 0; j < 2; j++) {
        vec<T> y[2];
        output_line(line[0][j], line[1][j], line[2][j], line[3][j], y);
        store(to + j * width, y[0]), store(to + out_row + j * width, y[1]);
      }
    }
}

// There are two orders. By blocks: all weights are transformed first; then a job transforms a block of inputs and
// multiplies it with the weights. By outputs, if there are fewer patches than weights: all patches are transformed
// first; then a job transforms the weights of a block of output channels and multiplies all patches with them, so that
// the transformed weights stay in the worker's cache.
template <class T> struct Winograd {
  Pass<T> p;
  Pass<T> tiles;  // the same pass with tiles as outputs: for the geometry of the input
  static constexpr int width = outer_vectors * lanes<T>;
  static constexpr int together = ceil_div(kWeightRun, 9);  // input channels whose weights are packed together
  int o_blocks, chunks, per_chunk;                          // blocks of output channels; a job computes a chunk of them
  bool by_outputs;
  Blocks inputs, blocks;  // blocks of tiles that are transformed together; that are multiplied together
  PackedGrid grid;
  ptrdiff_t pixel;                            // elements between packed pixels, and between transformed patches
  ptrdiff_t patches, products, weight_pitch;  // elements between points
  size_t packed_size, transformed_size, product_size, out_size, weight_size;
  // weights: all of them, or by outputs one block for each worker. transformed: by outputs all patches; by blocks they
  // are among a worker's buffers.
  T *weights, *transformed, *workers;
  int* places;

  static Pass<T> of_tiles(const Pass<T>& p) {
    Pass<T> tiles = p;
    for (int d = 1; d < 3; d++)
      tiles.axis[d].count = ceil_div(p.axis[d].count, 2), tiles.axis[d].stride = 2, tiles.axis[d].reach = 3;
    return tiles;
  }
  // The outputs of a block of tiles. The last row and column may lie outside the tensor.
  static Block outputs_of(const Block& b) {
    return {b.image, b.images, b.depth, 2 * b.row, 2 * b.rows, 2 * b.column, 2 * b.columns};
  }
  // Whether the pass has such a kernel, and is cheaper here than tap by tap without the padding. Costs are in vector
  // operations, as measured. 75 (direct), 60 (by outputs) and 125 (by blocks) are the cost of a weight, which comes
  // from memory; by blocks, 16 transformed weights are written to memory for each 9. Transforming a vector of channels
  // of a tile costs about 60.
  static bool suits(const Pass<T>& p) {
    const auto line = [](const Axis& a) {
      return a.taps == 3 && a.phases == 1 && a.stride == 1 && a.unit == 1 && a.spacing == 1 && a.shift == 0;
    };
    if (p.groups > 1 || !p.axis[0].pointwise() || p.axis[0].count > 1 || !line(p.axis[1]) || !line(p.axis[2]))
      return false;
    const auto products = [](const Axis& a) {
      double sum = 0;
      for (int t = 0, begin, end; t < 3; t++) a.outputs_inside(t, 0, a.count, begin, end), sum += end - begin;
      return sum;
    };
    const auto vectors = [](int channels) { return static_cast<double>(ceil_div(channels, order_lanes<T>)); };
    const double o = p.o > order_lanes<T> ? outer_vectors * ceil_div(p.o, order_width<T>) : 1,
                 all_weights = static_cast<double>(p.c) * p.o;
    const double direct = p.n * products(p.axis[1]) * products(p.axis[2]) * p.c * o + 75 * all_weights;
    const double here = count_tiles(p) * (kPoints * p.c * (o < 2 ? 2 : o) + 60 * (vectors(p.c) + vectors(p.o))) +
                        (is_by_outputs(p) ? 60 : 125) * all_weights;
    return 1.05 * here < direct;
  }
  static Blocks choose(const Pass<T>& tiles) {
    const int most = kTransformedBytes / static_cast<int>(sizeof(T)) / kPoints / tiles.c;
    return pixel_blocks(tiles, most > kFewTiles ? most : kFewTiles);
  }
  static int count_tiles(const Blocks& b) { return b.images * b.rows * b.columns; }
  static double count_tiles(const Pass<T>& p) {
    return static_cast<double>(p.n) * ceil_div(p.axis[1].count, 2) * ceil_div(p.axis[2].count, 2);
  }
  // If the transformed patches take no more memory than the transformed weights would, and there are enough jobs.
  static bool is_by_outputs(const Pass<T>& p) { return p.o > (kFewJobs - 1) * order_width<T> && count_tiles(p) <= p.o; }

  Winograd(const Pass<T>& pass, Scratch& scratch)
      : p(pass), tiles(of_tiles(pass)), o_blocks(ceil_div(p.o, width)), by_outputs(is_by_outputs(p)),
        inputs(choose(tiles)), blocks(by_outputs ? pixel_blocks(tiles, kProductTiles) : inputs), grid(tiles, inputs) {
    pixel = ceil_div(p.c, lanes<T>) * lanes<T>;
    if (pixel * sizeof(T) >= 512 && pixel * sizeof(T) % 256 == 0) pixel += 64 / sizeof(T);
    const int jobs = blocks.count(), wanted = ceil_div(kConvJobs, jobs > 0 ? jobs : 1);
    per_chunk = ceil_div(o_blocks, wanted < o_blocks ? wanted : o_blocks), chunks = ceil_div(o_blocks, per_chunk);
    patches = point_pitch<T>((by_outputs ? static_cast<int>(count_tiles(p)) : count_tiles(inputs)) * pixel);
    products = point_pitch<T>(static_cast<ptrdiff_t>(count_tiles(blocks)) * width);
    packed_size = static_cast<size_t>(grid.image) * inputs.images * pixel + 64 / sizeof(T);
    transformed_size = kPoints * patches, product_size = kPoints * products,
    out_size = static_cast<size_t>(4) * kTileRun * width;
    weight_pitch = point_pitch<T>(static_cast<ptrdiff_t>(p.c) * width),
    weight_size = static_cast<size_t>(kPoints) * weight_pitch;
    const int count = worker_count();
    weights = scratch.take<T>(weight_size * (by_outputs ? count : o_blocks));
    transformed = scratch.take<T>(by_outputs ? transformed_size : 0);
    places = scratch.take<int>(together * 9);
    workers = scratch.take<T>(worker_size() * count);
  }
  size_t worker_size() const {
    return packed_size + (by_outputs ? 0 : transformed_size) + product_size + out_size +
           static_cast<size_t>(together) * 9 * width;
  }

  int parts() const { return blocks.count(); }

  template <class Prologue, class Epilogue> void run(const Prologue& prologue, const Epilogue& epilogue) const {
    list_places();
    if (by_outputs) run_by_outputs(prologue, epilogue);
    else run_by_blocks(prologue, epilogue);
  }

 private:
  struct Buffers {
    T *packed, *transformed, *product, *out, *weights;
  };
  Buffers buffers(int worker) const {
    T* packed = workers + worker * worker_size();
    T* product = packed + packed_size + (by_outputs ? 0 : transformed_size);
    return {packed, packed + packed_size, product, product + product_size, product + product_size + out_size};
  }

  template <class Prologue, class Epilogue>
  void run_by_blocks(const Prologue& prologue, const Epilogue& epilogue) const {
    const int groups = ceil_div(p.c, together);
    parallel_for(o_blocks * groups, [&](int job, int worker) {
      transform_weights(job / groups, job % groups, buffers(worker).weights, weights + job / groups * weight_size);
    });
    parallel_for(blocks.count() * chunks, [&](int job, int worker) {
      const int chunk = job % chunks, index = job / chunks;
      const Block b = blocks(tiles, index);
      const auto part = epilogue.part(index);
      const Buffers own = buffers(worker);
      transform_inputs(b, prologue, own.packed, own.transformed);
      const int next = job + worker_count(), next_index = next / chunks;
      PrefetchList<T> ahead;
      if (next_index < blocks.count()) {  // the memory that this worker's next job will probably read
        const int o = next % chunks * per_chunk * width, most = per_chunk * width;
        if (next_index != index) add_inputs(tiles, blocks(tiles, next_index), 0, p.c, prologue, ahead);
        add_beside_outputs(p, outputs_of(blocks(tiles, next_index)), o, p.o - o < most ? p.o - o : most, epilogue,
                           ahead);
      }
      const int end = (chunk + 1) * per_chunk < o_blocks ? (chunk + 1) * per_chunk : o_blocks;
      ahead.pace((end - chunk * per_chunk) * prefetches(b));
      for (int block = chunk * per_chunk; block < end; block++)
        outputs(b, block, own.transformed, weights + block * weight_size, own, part, ahead);
      stream_fence();
    });
  }

  template <class Prologue, class Epilogue>
  void run_by_outputs(const Prologue& prologue, const Epilogue& epilogue) const {
    parallel_for(inputs.count(), [&](int job, int worker) {
      const Block b = inputs(tiles, job);
      transform_inputs(b, prologue, buffers(worker).packed, transformed + first_tile(b) * pixel);
    });
    parallel_for(o_blocks, [&](int block, int worker) {
      const Buffers own = buffers(worker);
      T* w = weights + worker * weight_size;
      for (int i = 0; i < ceil_div(p.c, together); i++) transform_weights(block, i, own.weights, w);
      PrefetchList<T> ahead;
      const int o = (block + worker_count()) * width;
      if (o < p.o) ahead.add(memory_of_weights(p, 0, o, width));
      ahead.pace(blocks.count() * prefetches(blocks(tiles, 0)));
      for (int index = 0; index < blocks.count(); index++) {
        const Block b = blocks(tiles, index);
        outputs(b, block, transformed + first_tile(b) * pixel, w, own, epilogue.part(index), ahead);
      }
      stream_fence();
    });
  }
  // The number of prefetches that fit into multiplying a block of tiles with a block of channels.
  double prefetches(const Block& b) const {
    return static_cast<double>(kPoints) * p.c * ceil_div(b.images * b.rows * b.columns, outer_rows);
  }
  // The index of a block's first tile, in the order of a tensor. The tiles of a block are neighbours.
  ptrdiff_t first_tile(const Block& b) const {
    return (static_cast<ptrdiff_t>(b.image) * tiles.axis[1].count + b.row) * tiles.axis[2].count + b.column;
  }

  // Packs the inputs of a block and transforms its patches, one after the other.
  template <class Prologue> void transform_inputs(const Block& b, const Prologue& prologue, T* packed, T* out) const {
    pack_rows(tiles, grid, b, 0, p.c, pixel, prologue, packed);
    for (int i = 0; i < b.images; i++)
      for (int r = 0; r < b.rows; r++)
        transform_input(packed + (i * grid.image + 2 * r * grid.row) * pixel, grid.row * pixel, pixel, b.columns, p.c,
                        out + (i * b.rows + r) * b.columns * pixel, patches, pixel);
  }

  // Computes a block of outputs of a block of channels, from transformed patches and weights.
  template <class Epilogue>
  void outputs(const Block& b, int block, const T* x, const T* w, const Buffers& own, const Epilogue& part,
               PrefetchList<T>& ahead) const {
    multiply(b.images * b.rows * b.columns, x, w, own.product, ahead);
    for (int i = 0; i < b.images; i++)
      for (int r = 0; r < b.rows; r++)
        even_parts(b.columns, kTileRun, [&](int column, int count) {
          const Block run{b.image + i, 1, b.depth, 2 * (b.row + r), 2, 2 * (b.column + column), 2 * count};
          transform_output(own.product + ((i * b.rows + r) * b.columns + column) * width, products, count, width,
                           own.out, run.columns * width);
          finish(run, block, part, own.out);
        });
  }

  // Multiplies: out[point][tile][width], for a block of output channels.
  void multiply(int count, const T* x, const T* w, T* out, PrefetchList<T>& ahead) const {
    const int none = 0;
    for (int k = 0; k < kPoints; k++, x += patches, w += weight_pitch, out += products) {
      const TapRows<T> rows{&none, 1, 1, p.c, 0, w, 0};
      even_parts(count, outer_rows, [&](int first, int size) {
        with_const<outer_rows>(size, [&](auto M) {
          channel_tile<T, decltype(M)::value, outer_vectors>(
              x + first * pixel, pixel, rows, out + static_cast<ptrdiff_t>(first) * width, width, ahead.now());
        });
      });
    }
  }

  // Maps and stores two rows of outputs, out[row][column][width]. The last row and column may lie outside the tensor.
  template <class Epilogue> void finish(Block b, int block, const Epilogue& part, T* out) const {
    const int o = block * width, channels = p.o - o < width ? p.o - o : width, row = b.columns * width;
    if (b.column + b.columns > p.axis[2].count) b.columns--;
    for (int h = 0; h < b.rows && b.row + h < p.axis[1].count; h++, out += row) {
      const Run run = p.output_run(b, b.image, b.row + h, o, channels);
      part.channels(out, width, run);
      copy_out(out, width, run, p.y, p.out_elements());
    }
  }

  void list_places() const {
    for (int h = 0; h < 3; h++)
      for (int w = 0; w < 3; w++)
        for (int c = 0; c < together; c++) places[c * 9 + p.tap(0, h, w)] = ((h * 3 + w) * together + c) * width;
  }
  // Packs and transforms the weights of a block of output channels and of `together` input channels, the group-th such
  // ones: out[point][c][width], with zeros behind the last output channel.
  void transform_weights(int block, int group, T* buffer, T* out) const {
    const int first = group * together, count = p.c - first < together ? p.c - first : together;
    gather_weights(p, places, 0, block * width, width, first, count, buffer);
    out += static_cast<ptrdiff_t>(first) * width;
    for (int i = 0; i < count * width; i += lanes<T>) {
      vec<T> column[3][4];
#pragma GCC unroll 3
      for (int j = 0; j < 3; j++) {
        const T* from = buffer + j * together * width + i;
        weight_line(load(from), load(from + 3 * together * width), load(from + 6 * together * width), column[j]);
      }
#pragma GCC unroll 4
      for (int r = 0; r < 4; r++) {
        vec<T> line[4];
        weight_line(column[0][r], column[1][r], column[2][r], line);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) store(out + (4 * r + j) * weight_pitch + i, line[j]);
      }
    }
  }
};

}  // namespace EK_ISA
