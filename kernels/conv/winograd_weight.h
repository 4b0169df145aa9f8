// The gradient of the weights for kernels of 3x3 and stride 1, by the transforms of winograd.h. With a tile e of 2x2
// gradients of the output, dg = Gᵀ[Σ (Bᵀ d B) ⊙ (A e Aᵀ)]G. The sum goes over all tiles: for each point it is a matrix
// product, input channels × output channels.
#pragma once
#include "conv/partial_gradients.h"
#include "conv/winograd.h"

namespace EK_ISA {

constexpr int kWinogradChunk = 64;  // channels of x and of dy of a job at most: the 16 matrices of products stay in L2
constexpr int kWinogradTiles = 64;  // tiles of a block, which stay in L2 beside them

// A.
template <class V> EK_INLINE void gradient_line(V a, V b, V* out) {
  out[0] = a, out[1] = a + b, out[2] = a - b, out[3] = -b;
}
// Gᵀ.
template <class V> EK_INLINE void weight_gradient_line(V a, V b, V c, V d, V* out) {
  const V sum = (b + c) * 0.5f;
  out[0] = a + sum, out[1] = (b - c) * 0.5f, out[2] = sum + d;
}

// Transforms a row of tiles of `width` channels: out[point·pitch + tile·width + channel].
template <class T>
inline void transform_gradient(const T* g, ptrdiff_t row, int tiles, int width, T* out, ptrdiff_t pitch) {
  for (int t = 0; t < tiles; t++)
    for (int v = 0; v < width; v += lanes<T>) {
      const T* from = g + 2 * t * width + v;
      T* to = out + t * width + v;
      vec<T> column[2][4];
#pragma GCC unroll 2
      for (int j = 0; j < 2; j++) gradient_line(load(from + j * width), load(from + row + j * width), column[j]);
#pragma GCC unroll 4
      for (int i = 0; i < 4; i++, to += 4 * pitch) {
        vec<T> line[4];
        gradient_line(column[0][i], column[1][i], line);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) store(to + j * pitch, line[j]);
      }
    }
}

// out[i·out_row + channel] = Σ over the tiles: x[tile·pitch + i] · g[tile·V·lanes + channel]. add: adds it to what
// `out` holds.
template <class T, int M, int V>
__attribute__((noinline)) void point_weight_tile(const T* x, ptrdiff_t pitch, const T* g, int count, bool add, T* out,
                                                 ptrdiff_t out_row, Prefetch<T>& ahead) {
  vec<T> acc[M][V] = {};
  ahead.during(
      [&](const auto& prefetch_next) { outer<T, M, V>(acc, x, 1, pitch, g, V * lanes<T>, count, prefetch_next); });
  put_tile<T, M, V>(acc, add, out, out_row);
}

template <class T> struct WinogradWeight : PartialGradients<T> {
  using Base = PartialGradients<T>;
  using Base::p, Base::dy, Base::c_chunk, Base::o_chunk;
  using typename Base::Job;
  static constexpr int width = outer_vectors * lanes<T>;
  Pass<T> tiles;
  Blocks blocks;
  PackedGrid grid;
  int count;                     // tiles of a block
  ptrdiff_t patches, gradients;  // elements between points
  size_t packed_size, gradient_size, patch_size, transformed_size, sum_size;
  T* workers;

  WinogradWeight(const Pass<T>& pass, const T* g, Scratch& scratch)
      : Base(pass, g), tiles(Winograd<T>::of_tiles(pass)), blocks(pixel_blocks(tiles, kWinogradTiles)),
        grid(tiles, blocks) {
    const auto chunk = [](int n, int unit) { return ceil_div(ceil_div(n, ceil_div(n, kWinogradChunk)), unit) * unit; };
    Base::cut(chunk(p.c, order_lanes<T>), chunk(p.o, order_width<T>), blocks.count() > 0 ? blocks.count() : 1);
    Base::take(scratch);
    count = blocks.images * blocks.rows * blocks.columns;
    patches = point_pitch<T>(static_cast<ptrdiff_t>(count) * c_chunk),
    gradients = point_pitch<T>(static_cast<ptrdiff_t>(count) * o_chunk);
    packed_size = static_cast<size_t>(grid.image) * blocks.images * c_chunk + 64 / sizeof(T),
    gradient_size = static_cast<size_t>(4) * count * o_chunk;
    patch_size = kPoints * patches, transformed_size = kPoints * gradients,
    sum_size = static_cast<size_t>(kPoints) * c_chunk * o_chunk;
    workers = scratch.take<T>(worker_size() * worker_count());
  }
  size_t worker_size() const { return packed_size + gradient_size + patch_size + transformed_size + sum_size; }

  template <class Prologue, class GradientPrologue>
  void run(const Prologue& prologue, const GradientPrologue& gradient_prologue, T* dw, T* dbias) const {
    Base::run(dw, dbias, [&](int number, int worker, const Job& job, T* out, double* bias_sums) {
      T* packed = workers + worker * worker_size();
      T* gradient = packed + packed_size;
      T* patch = gradient + gradient_size;
      T* transformed = patch + patch_size;
      T* sums = transformed + transformed_size;
      const int begin = Base::first_block(job.split), end = Base::first_block(job.split + 1);
      for (int index = begin; index < end; index++) {
        const Block b = blocks(tiles, index);
        const int here = b.images * b.rows * b.columns;
        pack_rows(tiles, grid, b, job.c, job.c_count, c_chunk, prologue, packed);
        pack_gradient(b, job, gradient_prologue, gradient);
        for (int i = 0; i < b.images * b.rows; i++)
          transform_input(packed + (i / b.rows * grid.image + i % b.rows * 2 * grid.row) * c_chunk, grid.row * c_chunk,
                          c_chunk, b.columns, job.c_count, patch + static_cast<ptrdiff_t>(i) * b.columns * c_chunk,
                          patches, c_chunk);
        for (int o = 0; o < job.o_count; o += width)
          for (int i = 0; i < b.images * b.rows; i++)
            transform_gradient(gradient + (4 * o * here + static_cast<ptrdiff_t>(i) * 4 * b.columns * width),
                               2 * b.columns * width, b.columns, width,
                               transformed + (static_cast<ptrdiff_t>(o) * here + i * b.columns * width), gradients);
        PrefetchList<T> ahead;
        Base::with_next(number, job, index,
                        [&](int next, const Job& of) { add_memory(next, of, prologue, gradient_prologue, ahead); });
        ahead.pace(static_cast<double>(kPoints) * here * ceil_div(job.c_count, outer_rows) *
                   ceil_div(job.o_count, width));
        for (int k = 0; k < kPoints; k++)
          for (int o = 0; o < job.o_count; o += width) {
            const T* g = transformed + k * gradients + static_cast<ptrdiff_t>(o) * here;
            // Point 5 of a transformed tile is the sum of its 4 gradients.
            if (bias_sums && k == 5)
              add_pixels(g, width, here, job.o_count - o < width ? job.o_count - o : width, bias_sums + o);
            even_parts(job.c_count, outer_rows, [&](int c, int size) {
              with_const<outer_rows>(size, [&](auto M) {
                point_weight_tile<T, decltype(M)::value, outer_vectors>(
                    patch + k * patches + c, c_chunk, g, here, index > begin,
                    sums + (static_cast<ptrdiff_t>(k) * c_chunk + c) * o_chunk + o, o_chunk, ahead.now());
              });
            });
          }
      }
      transform_sums(job, sums, out);
    });
  }

  // Adds the memory that a block of a job reads.
  template <class Prologue, class GradientPrologue>
  void add_memory(int index, const Job& job, const Prologue& prologue, const GradientPrologue& gradient_prologue,
                  PrefetchList<T>& ahead) const {
    const Block b = blocks(tiles, index), outputs = Winograd<T>::outputs_of(b);
    add_inputs(tiles, b, job.c, job.c_count, prologue, ahead);
    ahead.add(memory_of_outputs(p, dy, outputs, job.o, job.o_count));
    add_beside_outputs(p, outputs, job.o, job.o_count, gradient_prologue, ahead);
  }

  // Packs out[panel of channels][image][two rows for each row of tiles][column][width], with zeros outside the tensor.
  template <class Map> void pack_gradient(const Block& b, const Job& job, const Map& map, T* out) const {
    const int rows = 2 * b.rows, columns = 2 * b.columns, volume = b.images * rows * columns;
    const int h = 2 * b.row, w = 2 * b.column,
              width_here = p.axis[2].count - w < columns ? p.axis[2].count - w : columns;
    if (h + rows > p.axis[1].count || width_here < columns) zero_run(out, static_cast<ptrdiff_t>(volume) * o_chunk);
    for (int i = 0; i < b.images; i++)
      for (int r = 0; r < rows && h + r < p.axis[1].count; r++) {
        const Run run = p.output_run({b.image + i, 1, 0, h + r, 1, w, width_here}, b.image + i, h + r, job.o,
                                     job.o_count);
        pack_panels(dy, run, width, volume, (i * rows + r) * columns, map, out);
      }
  }

  // Transforms the sums of the points into out[tap][c of the chunk][o of the chunk].
  void transform_sums(const Job& job, const T* sums, T* out) const {
    const ptrdiff_t point = static_cast<ptrdiff_t>(c_chunk) * o_chunk;
    for (ptrdiff_t i = 0; i < job.c_count * static_cast<ptrdiff_t>(o_chunk); i += lanes<T>) {
      vec<T> column[4][3];
#pragma GCC unroll 4
      for (int j = 0; j < 4; j++) {
        const T* from = sums + i + j * point;
        weight_gradient_line(load(from), load(from + 4 * point), load(from + 8 * point), load(from + 12 * point),
                             column[j]);
      }
#pragma GCC unroll 3
      for (int r = 0; r < 3; r++) {
        vec<T> line[3];
        weight_gradient_line(column[0][r], column[1][r], column[2][r], column[3][r], line);
#pragma GCC unroll 3
        for (int j = 0; j < 3; j++) store(out + (3 * r + j) * point + i, line[j]);
      }
    }
  }
};

}  // namespace EK_ISA
