// Matrix products c = op(a)·op(b), for every combination of transposes. A job computes one block of c with its whole
// reduction. It packs its operands block by block into the worker's scratch. If several jobs need the same blocks of b,
// b is packed once before all jobs. Convolution shares only the register tile with this file (simd/tile.h).
#include "kernel.h"
#include "scratch.h"
#include "simd/copy.h"
#include "simd/tile.h"

namespace EK_ISA {
namespace {

constexpr int kDepth = 256;    // steps of the reduction in a packed block: kDepth × 32 columns of b stay in L1
constexpr int kColumns = 512;  // columns of a block of c at most: kDepth × kColumns of b stay in L2
constexpr int kRows =
    504;  // rows of a block of c at most: packing b again for each such block costs 1/504 of the arithmetic
constexpr int kJobs = 32;  // jobs that a product should have: work for many threads; the cut depends on the shape alone
constexpr int kShared = 1
                        << 20;  // elements of b at most that are packed once for all jobs: they stay in the last cache

constexpr int round_up(int n, int unit) { return ceil_div(n, unit) * unit; }

struct Blocks {
  int rows, columns, vectors;
  bool shares_b;
};

template <class T> Blocks choose_blocks(int batch, int m, int n, int k) {
  const int vectors = n > lanes<T> ? outer_vectors : 1, width = vectors * lanes<T>;
  const bool shares_b = batch == 1 && static_cast<int64_t>(n) * k <= kShared;
  // The rows of a block pay for packing b, unless b is shared; its columns pay for packing a.
  const int least_rows = (shares_b ? 1 : 4) * outer_rows;
  int rows = kRows < m ? kRows : m, columns = kColumns < n ? kColumns : n;
  while (batch * ceil_div(m, rows) * ceil_div(n, columns) < kJobs) {
    if (rows >= 2 * least_rows && (shares_b || rows >= columns / 2)) rows = round_up(ceil_div(rows, 2), outer_rows);
    else if (columns >= 2 * width) columns = round_up(ceil_div(columns, 2), width);
    else break;
  }
  return {rows, round_up(columns, width), vectors, shares_b && m > rows};
}

// A worker packs outer_rows × kDepth of a and kDepth × kColumns of b.
constexpr int kPitch = kDepth +
                       16;  // elements between rows of packed a: not a power of two, or rows would share cache sets

template <class T> size_t packed_a() { return static_cast<size_t>(round_up(outer_rows, lanes<T>)) * kPitch; }

template <class T> struct Gemm {
  const T *a, *b, *bias;
  T* c;
  int m, n, k, transpose_a, transpose_b, accumulate;

  // Packs op(b)[k0 …][j0 …] as out[panel of columns][k][width], with zeros behind column n.
  template <int V> void pack_b(int k0, int depth, int j0, int columns, T* out) const {
    constexpr int W = V * lanes<T>;
    for (int j = 0; j < columns; j += W, out += depth * W) {
      const int used = n - j0 - j < W ? n - j0 - j : W;
      if (used < W) zero_run(out, depth * W);
      if (transpose_b) {
        copy_transposed(b + static_cast<ptrdiff_t>(j0 + j) * k + k0, k, used, depth, out, W);
      } else {
        const T* from = b + static_cast<ptrdiff_t>(k0) * n + j0 + j;
        for (int p = 0; p < depth; p++) copy_run(out + p * W, from + static_cast<ptrdiff_t>(p) * n, used);
      }
    }
  }

  // Computes a tile of c at (i, j). The first block of the reduction starts from the bias and, to accumulate, from c;
  // every other block adds to c.
  template <int M, int V>
  __attribute__((noinline)) void tile(const T* pa, const T* pb, int depth, bool first, int i, int j) const {
    constexpr int L = lanes<T>;
    vec<T> acc[M][V] = {};
    if (transpose_a) outer<T, M, V>(acc, pa, 1, round_up(outer_rows, L), pb, V * L, depth);
    else outer<T, M, V>(acc, pa, kPitch, 1, pb, V * L, depth);
#pragma GCC unroll 16
    for (int v = 0; v < V; v++) {
      const int left = n - j - v * L;
      if (left <= 0) break;
      T* out = c + static_cast<ptrdiff_t>(i) * n + j + v * L;
      const T* plus = first && bias ? bias + j + v * L : nullptr;
      const bool add = !first || accumulate;
      if (left >= L) {
#pragma GCC unroll 16
        for (int r = 0; r < M; r++, out += n) {
          vec<T> s = acc[r][v];
          if (plus) s += load(plus);
          if (add) s += load(out);
          store(out, s);
        }
      } else {
#pragma GCC unroll 16
        for (int r = 0; r < M; r++, out += n) {
          vec<T> s = acc[r][v];
          if (plus) s += load_n(plus, left);
          if (add) s += load_n(out, left);
          store_n(out, s, left);
        }
      }
    }
  }

  // Packs all of b: one block of the reduction after the other, each as pack_b packs it.
  template <int V> void share_b(T* shared) const {
    const int chunks = ceil_div(n, kColumns);
    parallel_for(ceil_div(k, kDepth) * chunks, [&](int job, int) {
      const int k0 = job / chunks * kDepth, j0 = job % chunks * kColumns;
      const int depth = k - k0 < kDepth ? k - k0 : kDepth, columns = n - j0 < kColumns ? n - j0 : kColumns;
      pack_b<V>(k0, depth, j0, columns, shared + place_of<V>(k0, depth, j0));
    });
  }
  template <int V> ptrdiff_t place_of(int k0, int depth, int j0) const {
    return static_cast<ptrdiff_t>(k0) * round_up(n, V * lanes<T>) + static_cast<ptrdiff_t>(j0) * depth;
  }

  // Computes a block of c. shared: b as share_b packs it, or null.
  template <int V> void block(int i0, int rows, int j0, int columns, const T* shared, T* pa, T* pb) const {
    constexpr int W = V * lanes<T>, P = round_up(outer_rows, lanes<T>);
    int k0 = 0;
    do {
      const int depth = k - k0 < kDepth ? k - k0 : kDepth;
      const T* panels = pb;
      if (shared) panels = shared + place_of<V>(k0, depth, j0);
      else pack_b<V>(k0, depth, j0, columns, pb);
      even_parts(rows, outer_rows, [&](int begin, int size) {
        const int i = i0 + begin;
        if (transpose_a)
          for (int p = 0; p < depth; p++) copy_run(pa + p * P, a + static_cast<ptrdiff_t>(k0 + p) * m + i, size);
        else
          for (int r = 0; r < size; r++) copy_run(pa + r * kPitch, a + static_cast<ptrdiff_t>(i + r) * k + k0, depth);
        with_const<outer_rows>(size, [&](auto M) {
          for (int j = 0; j < columns; j += W)
            tile<decltype(M)::value, V>(pa, panels + j * depth, depth, k0 == 0, i, j0 + j);
        });
      });
      k0 += depth;
    } while (k0 < k);
  }
};

// The scratch: what the workers pack into, and all of b if it is shared.
template <class T> struct Packed {
  size_t each;
  T *workers, *shared;

  Packed(const Blocks& blocks, int n, int k, Scratch* scratch) : each(packed_a<T>()) {
    const int width = blocks.vectors * lanes<T>;
    if (!blocks.shares_b) each += static_cast<size_t>(round_up(n < kColumns ? n : kColumns, width)) * kDepth;
    workers = scratch->take<T>(each * worker_count());
    shared = blocks.shares_b ? scratch->take<T>(static_cast<size_t>(round_up(n, width)) * k) : nullptr;
  }
};

template <class T>
void gemm(int transpose_a, int transpose_b, int batch, int m, int n, int k, const T* a, int a_step, const T* b,
          int b_step, const T* bias, T* c, int accumulate, void* scratch) {
  const Blocks blocks = choose_blocks<T>(batch, m, n, k);
  Scratch parts(scratch);
  const Packed<T> packed(blocks, n, k, &parts);
  with_const<outer_vectors>(blocks.vectors, [&](auto vectors) {
    constexpr int V = decltype(vectors)::value;
    if (blocks.shares_b)
      Gemm<T>{a, b, bias, c, m, n, k, transpose_a, transpose_b, accumulate}.template share_b<V>(packed.shared);
    const int row_blocks = ceil_div(m, blocks.rows), column_blocks = ceil_div(n, blocks.columns);
    parallel_for(batch * row_blocks * column_blocks, [&](int job, int worker) {
      const int index = job / (row_blocks * column_blocks);
      const int i = job / column_blocks % row_blocks * blocks.rows, j = job % column_blocks * blocks.columns;
      const Gemm<T> one{a + static_cast<ptrdiff_t>(index) * a_step,
                        b + static_cast<ptrdiff_t>(index) * b_step,
                        bias,
                        c + static_cast<ptrdiff_t>(index) * m * n,
                        m,
                        n,
                        k,
                        transpose_a,
                        transpose_b,
                        accumulate};
      const int rows = m - i < blocks.rows ? m - i : blocks.rows;
      const int columns = n - j < blocks.columns ? n - j : blocks.columns;
      T* pa = packed.workers + packed.each * worker;
      one.template block<V>(i, rows, j, columns, packed.shared, pa, pa + packed_a<T>());
    });
  });
}

}  // namespace

int ek_gemm_scratch(int dtype, int batch, int m, int n, int k) {
  Scratch part(nullptr);
  if (batch > 0 && m > 0 && n > 0) EK_DISPATCH_FLOAT(dtype, Packed<T>(choose_blocks<T>(batch, m, n, k), n, k, &part);)
  return part.bytes();
}

int ek_gemm(int dtype, int transpose_a, int transpose_b, int batch, int m, int n, int k, const void* a, int a_step,
            const void* b, int b_step, const void* bias, void* c, int accumulate, void* scratch) {
  if (batch <= 0 || m <= 0 || n <= 0) return EK_OK;
  EK_DISPATCH_FLOAT(dtype, gemm<T>(transpose_a, transpose_b, batch, m, n, k, static_cast<const T*>(a), a_step,
                                   static_cast<const T*>(b), b_step, static_cast<const T*>(bias), static_cast<T*>(c),
                                   accumulate, scratch);)
  return EK_OK;
}

}  // namespace EK_ISA
