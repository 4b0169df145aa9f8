// A block of a product c = op(a)·op(b), whose operands are packed block by block. Products of whole matrices (gemm.cpp)
// and the steps of recurrent layers are made of such blocks.
#pragma once
#include "parallel.h"
#include "simd/copy.h"
#include "simd/tile.h"

namespace EK_ISA {

constexpr int kDepth = 256;    // steps of the reduction in a packed block: kDepth × 32 columns of b stay in L1
constexpr int kColumns = 512;  // columns of a block of c at most: kDepth × kColumns of b stay in L2
constexpr EK_INLINE int round_up(int n, int unit) { return ceil_div(n, unit) * unit; }

// A worker packs strips of outer_rows × kDepth of a, about 96 rows in all, and kDepth × kColumns of b. All strips are
// multiplied by a panel of b while that is in L1: of a strip less is read for each product than of a panel.
constexpr int kStrips = 96 / outer_rows;
// Elements between rows of packed a: not a power of two, or rows would share cache sets.
constexpr int kPitch = kDepth + 16;

template <class T> constexpr int kStrip = round_up(outer_rows, lanes<T>) * kPitch;
template <class T> size_t packed_a() { return static_cast<size_t>(kStrips) * kStrip<T>; }

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
      even_parts(rows, kStrips * outer_rows, [&](int from, int many) {
        // Calls body(row, size, packed) for each strip.
        const auto each_strip = [&](const auto& body) {
          T* packed = pa;
          even_parts(many, outer_rows, [&](int begin, int size) {
            body(i0 + from + begin, size, packed);
            packed += kStrip<T>;
          });
        };
        each_strip([&](int i, int size, T* to) {
          if (transpose_a)
            for (int p = 0; p < depth; p++) copy_run(to + p * P, a + static_cast<ptrdiff_t>(k0 + p) * m + i, size);
          else
            for (int r = 0; r < size; r++) copy_run(to + r * kPitch, a + static_cast<ptrdiff_t>(i + r) * k + k0, depth);
        });
        for (int j = 0; j < columns; j += W)
          each_strip([&](int i, int size, const T* from) {
            with_const<outer_rows>(size, [&](auto M) {
              tile<decltype(M)::value, V>(from, panels + j * depth, depth, k0 == 0, i, j0 + j);
            });
          });
      });
      k0 += depth;
    } while (k0 < k);
  }
};

}  // namespace EK_ISA
