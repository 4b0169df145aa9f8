// What kernels are held against: how fast the machine is just now, with so many threads at once. Reads lines
// "THREADS BYTES" and answers each with "GFLOP/s GB/s GB/s CACHE": of fused multiply-adds on registers alone (float32;
// a multiply-add counts as two); of a copy larger than the last cache (bytes read and written); of a copy that reads
// and writes BYTES in all, which caches may hold; the bytes of the last cache. bench/machine.ts compiles and asks it.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <unistd.h>
#include <vector>
#include "simd/vec.h"

using namespace EK_ISA;

// Independent sums: more than latency × units, fewer than registers.
constexpr int kChains = EK_VECTOR_BYTES == 64 ? 24 : 12;
constexpr int kBatch = 10000;
constexpr int kPiece = 1 << 16;  // floats that are copied between two looks at the clock
constexpr double kTurn = 4;      // milliseconds
constexpr int kTurns = 3;

// Work per second, in units of 1e9, of the best of some turns: others may take the machine for a moment.
template <class F> static double best_rate(const F& work) {
  using Clock = std::chrono::steady_clock;
  double best = 0;
  for (int turn = 0; turn < kTurns; turn++) {
    const auto start = Clock::now();
    double done = 0, ms = 0;
    while (ms < kTurn) {
      done += work();
      ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    }
    best = std::max(best, done / ms / 1e6);
  }
  return best;
}

static double multiply_adds() {
  vec<float> sums[kChains] = {};
  const vec<float> a = splat(0.5f), b = splat(1.0f);
  const double rate = best_rate([&] {
    for (int i = 0; i < kBatch; i++) {
#pragma GCC unroll 24
      for (int k = 0; k < kChains; k++) sums[k] = multiply_add(sums[k], a, b);
    }
    return 2.0 * kChains * lanes<float> * kBatch;
  });
  volatile float sink = 0;
  for (const auto& s : sums) sink = sink + s[0];
  return rate;
}

// A part of the memory that is copied, one piece after the other and over again.
struct Region {
  float *from, *to;
  int64_t count;  // floats, a multiple of four vectors
  int64_t at = 0;
};

template <bool streams> static double copy_piece(Region& region) {
  const int64_t begin = region.at >= region.count ? 0 : region.at, end = std::min(begin + kPiece, region.count);
  for (int64_t i = begin; i < end; i += 4 * lanes<float>) {
    vec<float> v[4];
    for (int k = 0; k < 4; k++) v[k] = load<float>(region.from + i + k * lanes<float>);
    for (int k = 0; k < 4; k++) {
      float* const to = region.to + i + k * lanes<float>;
      if (streams) stream(to, v[k]);
      else store(to, v[k]);
    }
  }
  if (streams) stream_fence();
  region.at = end;
  return 2.0 * sizeof(float) * static_cast<double>(end - begin);
}

static double copies(Region& region) {
  const double plain = best_rate([&] { return copy_piece<false>(region); });
  return std::max(plain, best_rate([&] { return copy_piece<true>(region); }));
}

// The sum of what each of so many threads reaches, while all of them run.
template <class F> static double on_threads(int threads, const F& rate) {
  std::vector<double> each(threads);
  std::vector<std::thread> pool;
  for (int i = 0; i < threads; i++) pool.emplace_back([&, i] { each[i] = rate(i); });
  for (auto& thread : pool) thread.join();
  double sum = 0;
  for (double one : each) sum += one;
  return sum;
}

static int64_t last_cache() {
#ifdef _SC_LEVEL3_CACHE_SIZE
  if (const long bytes = sysconf(_SC_LEVEL3_CACHE_SIZE); bytes > 0) return bytes;
#endif
  return 32 << 20;
}

int main() {
  const int64_t cache = last_cache(), multiple = 4 * lanes<float>;
  const int64_t whole = std::min<int64_t>(std::max<int64_t>(2 * cache, 64 << 20), 512 << 20) / sizeof(float);
  float* memory[2];
  for (auto& half : memory) {
    half = static_cast<float*>(std::aligned_alloc(64, whole * sizeof(float)));
    std::fill(half, half + whole, 1.0f);
  }
  int threads;
  double bytes;
  while (std::scanf("%d %lf", &threads, &bytes) == 2) {
    const int64_t apart = whole / threads / multiple * multiple;
    const auto copy = [&](int64_t count) {
      return on_threads(threads, [&](int i) {
        Region region = {memory[0] + i * apart, memory[1] + i * apart, count};
        return copies(region);
      });
    };
    const double gflops = on_threads(threads, [](int) { return multiply_adds(); });
    const double large = copy(apart);
    const int64_t part = static_cast<int64_t>(bytes / (2 * sizeof(float) * threads)) / multiple * multiple;
    const double alike = part >= apart || part == 0 ? large : copy(part);
    std::printf("%f %f %f %lld\n", gflops, large, alike, static_cast<long long>(cache));
    std::fflush(stdout);
  }
}
