// What the arithmetic of the benchmarks is held against: fused multiply-adds on registers alone, on so many threads at
// once. `fma_peak THREADS MILLISECONDS` prints GFLOP/s (float32; a multiply-add counts as two). bench/fma_peak.ts
// compiles and runs it.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>
#include "simd/vec.h"

using namespace EK_ISA;
using Clock = std::chrono::steady_clock;

// Independent sums: more than latency × units, fewer than registers.
constexpr int kChains = EK_VECTOR_BYTES == 64 ? 24 : 12;
constexpr int kBatch = 10000;

static double gflops(double milliseconds) {
  vec<float> sums[kChains] = {}, a = splat(0.5f), b = splat(1.0f);
  long batches = 0;
  const auto start = Clock::now();
  double ms = 0;
  for (; ms < milliseconds; batches++) {
    for (int i = 0; i < kBatch; i++) {
#pragma GCC unroll 24
      for (int k = 0; k < kChains; k++) sums[k] = sums[k] * a + b;
    }
    ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  }
  volatile float sink = 0;
  for (const auto& s : sums) sink = sink + s[0];
  return 2.0 * kChains * lanes<float> * kBatch * batches / ms / 1e6;
}

int main(int, char** arguments) {
  std::this_thread::sleep_for(std::chrono::milliseconds(300));  // threads of a contender may still spin
  const int threads = std::atoi(arguments[1]);
  const double milliseconds = std::atof(arguments[2]);
  std::vector<double> each(threads);
  std::vector<std::thread> pool;
  for (int i = 0; i < threads; i++)
    pool.emplace_back([&, i] {  // the best of three: others may take the machine for a moment
      for (int turn = 0; turn < 3; turn++) each[i] = std::max(each[i], gflops(milliseconds / 3));
    });
  for (auto& thread : pool) thread.join();
  double sum = 0;
  for (double one : each) sum += one;
  std::printf("%f\n", sum);
}
