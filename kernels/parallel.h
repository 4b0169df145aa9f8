// parallel_for: runs tile 0 … tiles−1, on all worker threads. The tiles are the caller's and must not depend on the
// number of threads; what a tile computes must not depend on the worker. That is what makes results equal for any
// thread count.
#pragma once
#include "simd/vec.h"

extern "C" {
// Defined in native/parallel.cpp; a WebAssembly build runs the tiles in order.
void ek_parallel_run(int tiles, void (*body)(const void* context, int tile, int worker), const void* context);
int ek_parallel_workers(void);
}

namespace EK_ISA {
// Upper bound of `worker` + 1, for sizing scratch that each worker has for itself.
EK_INLINE int worker_count() {
#ifdef __wasm__
  return 1;
#else
  return ek_parallel_workers();
#endif
}

// body(int tile, int worker)
template <class F> inline void parallel_for(int tiles, const F& body) {
#ifndef __wasm__
  if (tiles > 1) {
    ek_parallel_run(tiles, [](const void* f, int tile, int worker) { (*static_cast<const F*>(f))(tile, worker); },
                    &body);
    return;
  }
#endif
  for (int tile = 0; tile < tiles; tile++) body(tile, 0);
}

constexpr EK_INLINE int ceil_div(int a, int b) { return (a + b - 1) / b; }
// Where a part of n things begins that are split into `parts`, as equal as possible.
constexpr EK_INLINE int part_begin(int n, int part, int parts) {
  return static_cast<int>(static_cast<int64_t>(n) * part / parts);
}

// Splits n elements into blocks of `block` and runs body(begin, end) on each.
template <class F> inline void parallel_blocks(int n, int block, const F& body) {
  parallel_for(ceil_div(n, block), [&](int tile, int) {
    const int begin = tile * block;
    body(begin, n - begin < block ? n : begin + block);
  });
}
}  // namespace EK_ISA
