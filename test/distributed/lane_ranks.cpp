// The lane under sanitizers: several ranks, on each of which threads wait for calls while others are added; so it is
// the lane's own thread that carries a call out, or any of those. `lane_ranks` is run by mpirun (.ci/run).
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "lane.h"

namespace {

constexpr int kCalls = 1500;
constexpr size_t kUnderWay = 30, kWaiters = 4;
// Elements: in one packet, in shared memory, and several pieces of that.
constexpr int kSizes[] = {1, 100, 5000, 200000};

struct Sum {
  uint64_t place;
  std::vector<float> values;
  float expected = 0;
};

[[noreturn]] void end(const Lane& lane, const char* what) {
  std::printf("rank %d: %s\n", lane.rank, what);
  std::fflush(stdout);
  std::abort();
}

std::unique_ptr<Sum> add(Lane& lane, int number, int size, bool is_awaited) {
  auto sum = std::make_unique<Sum>();
  sum->values.assign(size, static_cast<float>(lane.rank + number));
  for (int rank = 0; rank < lane.size; rank++) sum->expected += static_cast<float>(rank + number);
  auto call = std::make_unique<Call>();
  call->entry.kind = kAllReduce;
  call->entry.operation = kSum;
  call->entry.count = size;
  call->count = size;
  call->send = call->receive = sum->values.data();
  call->is_awaited = is_awaited;
  sum->place = lane.add(std::move(call));
  return sum;
}

}  // namespace

int main() {
  // MPI calls exit(): the lane lives as long as the process.
  Lane& lane = *new Lane;
  lane.start(60);
  if (lane.has_failed()) end(lane, lane.error().c_str());
  std::mt19937 alike(7), own(lane.rank + 1);  // what all ranks decide alike, and what each for itself
  std::vector<std::unique_ptr<Sum>> under_way;
  std::vector<std::thread> waiters;
  const auto wait = [&](uint64_t place) {
    if (!lane.wait(place)) end(lane, lane.error().c_str());
  };
  for (int i = 0; i < kCalls; i++) {
    const int size = kSizes[alike() % (i % 50 == 0 ? 4 : 3)];
    under_way.push_back(add(lane, i % 100, size, alike() % 2));
    const uint64_t place = under_way.back()->place;
    if (own() % 3 == 0) waiters.emplace_back([&wait, place] { wait(place); });
    if (own() % 4 == 0) wait(place);
    if (own() % 64 == 0) usleep(own() % 5000);
    const bool is_last = i + 1 == kCalls;
    if (waiters.size() > kWaiters || is_last) {
      for (auto& waiter : waiters) waiter.join();
      waiters.clear();
    }
    if (under_way.size() > kUnderWay || is_last) {
      wait(under_way.back()->place);
      for (const auto& sum : under_way)
        for (const float value : sum->values)
          if (value != sum->expected) end(lane, "a sum is wrong");
      under_way.clear();
    }
  }
  auto last = std::make_unique<Call>();
  last->entry.kind = kDestroy;
  lane.add(std::move(last));
  lane.end();
}
