// The thread pool behind parallel_for, for native builds. One pool per process; workers take tiles from an atomic counter,
// spin briefly after a job, because the next one usually follows within microseconds, and then sleep.
// Thread count: OMP_NUM_THREADS, else the number of cores; setNumThreads() changes it at any time between calls.
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif

namespace {

constexpr int kSpins = 20000;  // about 200 µs: longer than the gap between two kernels of a training step, which is up to 130
constexpr int kMaxWorkers = 256;
constexpr unsigned kClosed = 1u << 31;

inline void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// The processors that threads may run on. A scheduler may wake a worker on the one that the caller is busy on, and leave both there while
// others are idle: seen on virtual machines for seconds, at half the speed.
#if defined(__linux__)
class Processors {
 public:
  Processors() { known_ = sched_getaffinity(0, sizeof all_, &all_) == 0; }
  static int current() { return sched_getcpu(); }
  // Moves this thread away from one, for good, if so many threads can have one each.
  void leave(int processor, int threads) const {
    if (!known_ || CPU_COUNT(&all_) < threads) return;
    cpu_set_t others = all_;
    CPU_CLR(processor, &others);
    sched_setaffinity(0, sizeof others, &others);
  }

 private:
  cpu_set_t all_;
  bool known_;
};
#else
struct Processors {
  static int current() { return -1; }
  void leave(int, int) const {}
};
#endif

using Body = void (*)(const void*, int, int);

class Pool {
 public:
  Pool() {
    const char* text = std::getenv("OMP_NUM_THREADS");
    const int wanted = text ? std::atoi(text) : 0;
    resize(wanted > 0 ? wanted : static_cast<int>(std::thread::hardware_concurrency()));
  }

  int workers() const { return workers_; }

  void resize(int workers) {
    std::lock_guard<std::mutex> only(run_);
    workers = workers < 1 ? 1 : workers > kMaxWorkers ? kMaxWorkers : workers;
    if (workers == workers_) return;
    stop();
    workers_ = workers;
    stopping_ = false;
    for (int worker = 1; worker < workers; worker++)
      threads_.emplace_back([this, worker, seen = generation_.load()]() mutable { loop(worker, seen); });
  }

  void run(int tiles, Body body, const void* context) {
    if (inside_ || workers_ == 1) {
      for (int tile = 0; tile < tiles; tile++) body(context, tile, worker_);
      return;
    }
    std::lock_guard<std::mutex> only(run_);  // two JavaScript threads may call at once
    body_ = body;
    context_ = context;
    tiles_ = tiles;
    caller_.store(Processors::current(), std::memory_order_relaxed);
    next_.store(0, std::memory_order_relaxed);
    joined_.fetch_and(~kClosed, std::memory_order_release);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      generation_.fetch_add(1, std::memory_order_release);
    }
    if (sleeping_.load(std::memory_order_acquire) > 0) wake_.notify_all();
    work(0);
    // Close the job instead of waiting for every worker: one that still sleeps must not delay a job that is done.
    joined_.fetch_or(kClosed, std::memory_order_acq_rel);
    while (joined_.load(std::memory_order_acquire) != kClosed) relax();
  }

 private:
  void work(int worker) {
    inside_ = true;
    worker_ = worker;
    for (int tile; (tile = next_.fetch_add(1, std::memory_order_relaxed)) < tiles_;) body_(context_, tile, worker);
    inside_ = false;
    worker_ = 0;
  }

  void loop(int worker, unsigned seen) {
    for (;;) {
      for (int spin = 0; generation_.load(std::memory_order_acquire) == seen && spin < kSpins; spin++) relax();
      if (generation_.load(std::memory_order_acquire) == seen) {
        std::unique_lock<std::mutex> lock(mutex_);
        sleeping_.fetch_add(1, std::memory_order_release);
        wake_.wait(lock, [&] { return generation_.load(std::memory_order_acquire) != seen; });
        sleeping_.fetch_sub(1, std::memory_order_release);
      }
      seen = generation_.load(std::memory_order_acquire);
      if (stopping_) return;
      const int caller = caller_.load(std::memory_order_relaxed);
      if (caller >= 0 && Processors::current() == caller) processors_.leave(caller, workers_);
      if (!(joined_.fetch_add(1, std::memory_order_acq_rel) & kClosed)) work(worker);
      joined_.fetch_sub(1, std::memory_order_release);
    }
  }

  void stop() {
    stopping_ = true;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }

  static thread_local bool inside_;
  static thread_local int worker_;

  const Processors processors_;
  std::mutex run_, mutex_;
  std::condition_variable wake_;
  std::vector<std::thread> threads_;
  std::atomic<unsigned> generation_{0};
  std::atomic<int> next_{0}, sleeping_{0};
  std::atomic<int> caller_{-1};  // the processor of the thread whose job it is
  std::atomic<unsigned> joined_{kClosed};  // workers inside the present job, and whether it still takes any
  std::atomic<bool> stopping_{false};
  Body body_ = nullptr;
  const void* context_ = nullptr;
  int tiles_ = 0;
  int workers_ = 0;
};

thread_local bool Pool::inside_ = false;
thread_local int Pool::worker_ = 0;

Pool& pool() {
  static Pool* instance = new Pool();  // never destroyed: workers may still sleep in it when the process ends
  return *instance;
}

}  // namespace

extern "C" void ek_parallel_run(int tiles, Body body, const void* context) { pool().run(tiles, body, context); }
extern "C" int ek_parallel_workers(void) { return pool().workers(); }
extern "C" void ek_parallel_resize(int workers) { pool().resize(workers); }
