// parallel_for runs the tiles 0 … tiles − 1 of a kernel on all worker threads. The kernel chooses the tiles, which must
// not depend on the number of threads. What a tile computes must not depend on the worker that runs it. So results are
// the same for any number of threads.
#pragma once
#include "simd/vec.h"

extern "C" {
// Defined in native/parallel.cpp; a WebAssembly build runs the tiles in order.
void ek_parallel_run(int tiles, void (*body)(const void* context, int tile, int worker), const void* context);
int ek_parallel_workers(void);
}

namespace EK_ISA {
// The number of workers, at most: `worker` is below it. It sizes scratch of which each worker has its own part.
EK_INLINE int worker_count() {
#ifdef __wasm__
  return 1;
#else
  return ek_parallel_workers();
#endif
}

// Calls body(int tile, int worker) for each tile.
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
// n things are split into `parts` parts, as equal as possible: where part `part` begins.
constexpr EK_INLINE int part_begin(int n, int part, int parts) {
  return static_cast<int>(static_cast<int64_t>(n) * part / parts);
}

// Splits n elements into blocks of `block` elements, and calls body(begin, end) for each, in parallel.
template <class F> inline void parallel_blocks(int n, int block, const F& body) {
  parallel_for(ceil_div(n, block), [&](int tile, int) {
    const int begin = tile * block;
    body(begin, n - begin < block ? n : begin + block);
  });
}
}  // namespace EK_ISA
