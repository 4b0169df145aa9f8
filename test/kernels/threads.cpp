// Launches from several threads at once and jobs of many tiles, for ThreadSanitizer: every kernel must have run in
// order when it is waited for, and no two threads may work in the same place. `.ci/run` builds it with
// kernels/native/parallel.cpp.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>
#include <vector>

#include "native/launch.h"

extern "C" {
void ek_parallel_run(int tiles, void (*body)(const void* context, int tile, int worker), const void* context);
void ek_parallel_resize(int workers);
}

namespace {

constexpr int kTiles = 37, kRounds = 3000, kWrong = 5;
long places[8][8];  // one a worker, apart from each other

long next(long x) { return static_cast<long>(static_cast<unsigned long>(x) * 3 + 1); }

// arguments: the address of kTiles numbers, and the status to return.
int step(const double* arguments) {
  long* const x = reinterpret_cast<long*>(static_cast<uintptr_t>(arguments[0]));
  ek_parallel_run(kTiles, [](const void* numbers, int tile, int worker) {
    places[worker][0]++;
    long* const x = const_cast<long*>(static_cast<const long*>(numbers));
    x[tile] = next(x[tile]);
  }, x);
  return static_cast<int>(arguments[1]);
}

int count_wrong(int caller) {
  int wrong = 0;
  std::vector<long> x(kTiles, caller), expected(kTiles, caller);
  for (int i = 0; i < kRounds; i++) {
    const bool is_awaited = i % 13 == 0;
    const double arguments[] = {static_cast<double>(reinterpret_cast<uintptr_t>(x.data())), i % 97 ? 0.0 : kWrong};
    const int status = launch("step", step, arguments, 2, is_awaited);
    if (is_awaited && status != static_cast<int>(arguments[1])) wrong++;
    for (auto& value : expected) value = next(value);
    if (i % 31 == 0) {
      finish(launched());
      if (x != expected) wrong++;
      take_refusal();
    }
    if (i % 501 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // workers go to sleep
  }
  finish(launched());
  return x == expected ? wrong : wrong + 1;
}

}  // namespace

int main() {
  int failures = 0;
  for (const int workers : {2, 3, 4, 1, 2}) {
    ek_parallel_resize(workers);
    std::atomic<int> wrong{0};
    std::vector<std::thread> callers;
    // With one thread kernels run in their callers, which all are worker 0.
    for (int caller = 0; caller < (workers == 1 ? 1 : 3); caller++)
      callers.emplace_back([caller, &wrong] { wrong += count_wrong(caller); });
    for (auto& caller : callers) caller.join();
    std::printf("%d workers, %d callers: %d wrong\n", workers, static_cast<int>(callers.size()), wrong.load());
    failures += wrong;
  }
  return failures > 0;
}
