// Matrix products c = op(a)·op(b), for every combination of transposes. A job computes one block of c with its whole
// reduction. It packs its operands block by block into the worker's scratch. If several jobs need the same blocks of b,
// b is packed once before all jobs. Convolution shares only the register tile with this file (simd/tile.h).
#include "gemm/block.h"
#include "kernel.h"
#include "scratch.h"

namespace EK_ISA {
namespace {

// Rows of a block of c at most: packing b again for each such block costs 1/504 of the arithmetic.
constexpr int kRows = 504;
constexpr int kJobs = 32;  // jobs that a product should have: work for many threads; the cut depends on the shape alone
// Elements of b at most that are packed once for all jobs: they stay in the last cache.
constexpr int kShared = 1 << 20;

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
