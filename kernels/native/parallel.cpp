// The threads of the native addon. They run kernels in the order of their launch (launch.h), one kernel at a time, on
// whatever thread comes first. All threads share the tiles of that kernel (parallel.h). A JavaScript thread that waits
// for kernels is one of the threads. A thread that has nothing to do first spins, because the next job usually comes
// within microseconds, and then sleeps. The number of threads is OMP_NUM_THREADS, or else the number of processors;
// setNumThreads() changes it at any time.
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif

#include "launch.h"

namespace {

// How often a thread looks for work before it sleeps: about 200 µs. The gap between two kernels of a training step is
// up to 130 µs.
constexpr int kSpins = 20000;
constexpr int kMaxWorkers = 256;
constexpr uint64_t kDepth = 64;  // launches that may wait; with so many, JavaScript helps until half of them have run
// How often in succession a worker meets JavaScript on its processor before it leaves: JavaScript may move on
// meanwhile.
constexpr int kMeetings = 3;
constexpr unsigned kClosed = 1u << 31;  // the bit of `joined_` that says that a job takes no more workers

inline void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// The processors that threads may run on. A scheduler may wake a worker on the processor that the caller is busy on,
// and leave both there while others are idle. On virtual machines that has been seen for seconds, at half the speed.
#if defined(__linux__)
class Processors {
 public:
  Processors() : ranks_(1) {
    known_ = sched_getaffinity(0, sizeof all_, &all_) == 0;
    // torchrun's name, and those of Open MPI and MPICH.
    for (const char* name : {"LOCAL_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"})
      if (const char* text = std::getenv(name)) ranks_ = std::atoi(text) > ranks_ ? std::atoi(text) : ranks_;
  }
  static int current() { return sched_getcpu(); }
  // Moves this thread away from a processor, for good, if there are enough processors for `threads` threads, and as
  // many of each other rank on this machine. Else a thread that may not move waits for seconds behind those of others.
  void leave(int processor, int threads) const {
    if (!known_ || CPU_COUNT(&all_) < static_cast<int64_t>(threads) * ranks_) return;
    cpu_set_t others = all_;
    CPU_CLR(processor, &others);
    sched_setaffinity(0, sizeof others, &others);
  }

 private:
  cpu_set_t all_;
  bool known_;
  int ranks_;
};
#else
struct Processors {
  static int current() { return -1; }
  void leave(int, int) const {}
};
#endif

using Body = void (*)(const void*, int, int);

// The refusal that a launching thread has not been told yet: the first one, if there are several.
struct Refusals {
  std::atomic<const char*> name{nullptr};
  std::atomic<int> status{0};

  void add(const char* kernel, int what) {
    if (name) return;
    status = what;
    name = kernel;
  }
  Refusal take() {
    const int what = status;
    const char* kernel = name.exchange(nullptr);
    return {kernel, kernel ? what : 0};
  }
};

struct Launch {
  const char* name;
  KernelCall call;
  int* status;  // where the status goes if somebody waits for it, otherwise null
  Refusals* refusals;
  double arguments[kMaxArguments];
};

class Pool {
 public:
  Pool() {
    const char* text = std::getenv("OMP_NUM_THREADS");
    const int wanted = text ? std::atoi(text) : 0;
    resize(wanted > 0 ? wanted : static_cast<int>(std::thread::hardware_concurrency()));
  }

  int workers() const { return workers_; }

  void resize(int workers) {
    std::lock_guard<std::mutex> only(launching_);
    attend(launched());
    std::lock_guard<std::shared_mutex> alone(at_once_);
    workers = workers < 1 ? 1 : workers > kMaxWorkers ? kMaxWorkers : workers;
    if (workers == workers_) return;
    stop();
    workers_ = workers;
    stopping_ = false;
    for (int worker = 1; worker < workers; worker++)
      threads_.emplace_back([this, worker, seen = generation_.load()] { loop(worker, seen); });
  }

  int launch(const char* name, KernelCall call, const double* arguments, int count, bool is_awaited) {
    if (workers_ == 1) {
      std::shared_lock<std::shared_mutex> together(at_once_);
      if (workers_ == 1) return call(arguments);
    }
    uint64_t ticket;
    int status = 0;
    {
      std::unique_lock<std::mutex> only(launching_);  // two JavaScript threads may launch at once
      if (workers_ == 1) {                            // another thread has changed it since the test above
        only.unlock();
        return launch(name, call, arguments, count, is_awaited);
      }
      ticket = launched();
      if (ticket - done() >= kDepth) attend(ticket - kDepth / 2);
      Launch& to = queue_[ticket % kDepth];
      to.name = name;
      to.call = call;
      to.status = is_awaited ? &status : nullptr;
      to.refusals = &refusals_;
      std::memcpy(to.arguments, arguments, count * sizeof *arguments);
      publish();
      launched_.store(ticket + 1);
    }
    if (sleeping_.load() > 0) wake();
    if (is_awaited) attend(ticket + 1);
    return status;
  }

  uint64_t launched() const { return launched_.load(std::memory_order_acquire); }
  uint64_t done() const { return done_.load(std::memory_order_acquire); }

  // Takes part in the work until so many launches have run.
  void attend(uint64_t launches) {
    std::unique_lock<std::mutex> place(caller_place_, std::defer_lock);
    unsigned seen = generation_.load(std::memory_order_relaxed) - 1;
    while (done() < launches) {
      publish();
      if (!place.owns_lock() && !place.try_lock()) std::this_thread::yield();
      else if (!execute(launches) && !join(seen)) rest(launches);
    }
  }

  bool wait_elsewhere(WaitForPlace wait, uint64_t place) {
    wait_.store(wait);
    awaited_.store(place);
    const bool is_there = wait(place);
    awaited_.store(0);
    return is_there;
  }

  Refusal take_refusal() { return refusals_.take(); }

  void run(int tiles, Body body, const void* context) {
    if (inside_ || workers_ == 1) {
      for (int tile = 0; tile < tiles; tile++) body(context, tile, worker_);
      return;
    }
    body_ = body;
    context_ = context;
    tiles_ = tiles;
    next_.store(0, std::memory_order_relaxed);
    joined_.fetch_and(~kClosed, std::memory_order_release);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      generation_.fetch_add(1, std::memory_order_release);
    }
    if (sleeping_.load(std::memory_order_acquire) > 0) wake_.notify_all();
    work();
    // The job is closed, and only the workers inside it are waited for: a worker that still sleeps must not delay it.
    joined_.fetch_or(kClosed, std::memory_order_acq_rel);
    while (joined_.load(std::memory_order_acquire) != kClosed) relax();
  }

 private:
  void work() {
    inside_ = true;
    for (int tile; (tile = next_.fetch_add(1, std::memory_order_relaxed)) < tiles_;) body_(context_, tile, worker_);
    inside_ = false;
  }

  // Takes part in the present job. Returns false if it is the one that this thread has seen already. A closed job takes
  // no more workers.
  bool join(unsigned& seen) {
    const unsigned generation = generation_.load(std::memory_order_acquire);
    if (generation == seen) return false;
    seen = generation;
    avoid_launcher();
    if (!(joined_.fetch_add(1, std::memory_order_acq_rel) & kClosed)) work();
    joined_.fetch_sub(1, std::memory_order_release);
    return true;
  }

  // A moment without work. A launch that waits for another thread has nothing to share: the processor is that thread's.
  void rest(uint64_t launches) {
    const uint64_t place = awaited_.load();
    // Read in this order: the launch that waits is one of those that the caller needs.
    if (place > 0 && done() < launches) wait_.load()(place);
    else relax();
  }

  // Runs launched kernels, up to the first `launches`. Returns false if there is none, or if another thread runs them.
  bool execute(uint64_t launches) {
    if (!is_pending() || executing_.load(std::memory_order_relaxed) || executing_.exchange(true)) return false;
    for (uint64_t at; (at = done_.load(std::memory_order_relaxed)) < launches && at < launched();) {
      const Launch& next = queue_[at % kDepth];
      avoid_launcher();
      const int status = next.call(next.arguments);
      if (next.status) *next.status = status;
      else if (status != 0) next.refusals->add(next.name, status);
      done_.store(at + 1);
    }
    executing_.store(false);
    if (is_pending() && sleeping_.load() > 0) wake();
    return true;
  }

  bool is_pending() const { return done_.load() != launched_.load(); }
  bool is_idle(unsigned seen) const {
    return !stopping_ && generation_.load(std::memory_order_acquire) == seen && (executing_.load() || !is_pending());
  }

  void publish() {
    const int now = Processors::current();
    if (launcher_.load(std::memory_order_relaxed) != now) launcher_.store(now, std::memory_order_relaxed);
  }
  // Is called before each piece of work, and moves a worker away from JavaScript's processor (see Processors).
  void avoid_launcher() const {
    if (worker_ == 0) return;  // a JavaScript thread
    const int taken = launcher_.load(std::memory_order_relaxed);
    met_ = taken >= 0 && Processors::current() == taken ? met_ + 1 : 0;
    if (met_ < kMeetings) return;
    met_ = 0;
    processors_.leave(taken, workers_);
  }

  void loop(int worker, unsigned seen) {
    worker_ = worker;
    for (;;) {
      for (int spin = 0; is_idle(seen) && spin < kSpins; spin++) relax();
      if (is_idle(seen)) {
        std::unique_lock<std::mutex> lock(mutex_);
        sleeping_.fetch_add(1);
        wake_.wait(lock, [&] { return !is_idle(seen); });
        sleeping_.fetch_sub(1);
      }
      if (stopping_) return;
      if (!execute(UINT64_MAX)) join(seen);
    }
  }

  // Wakes all that sleep. Taking the mutex makes sure that a thread which has just found no work is really asleep by
  // now.
  void wake() {
    { std::lock_guard<std::mutex> lock(mutex_); }
    wake_.notify_all();
  }

  // A worker may be anywhere in its loop, also between a look at `stopping_` and falling asleep: it looks again there.
  void stop() {
    stopping_ = true;
    wake();
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }

  static thread_local bool inside_;  // whether this thread runs a tile
  static thread_local int met_;      // how often in succession it was on the processor of JavaScript
  static thread_local Refusals
      refusals_;                    // lives longer than the thread's launches, for which a thread waits at its end
  static thread_local int worker_;  // its number; 0: a JavaScript thread, of which one at a time works

  const Processors processors_;
  std::mutex launching_;     // is held during a launch
  std::mutex caller_place_;  // is held by the JavaScript thread that works as worker 0
  std::mutex mutex_;         // protects falling asleep and waking
  // Is held in common by those who run a kernel at once, and exclusively by who changes the number of threads.
  std::shared_mutex at_once_;
  std::condition_variable wake_;
  std::vector<std::thread> threads_;
  std::atomic<int> workers_{0};
  std::atomic<bool> stopping_{false};
  std::atomic<int> sleeping_{0};

  // The queue of launches. Of `launched_` launches the first `done_` have run.
  alignas(128) Launch queue_[kDepth];
  alignas(128) std::atomic<uint64_t> launched_{0}, done_{0};
  std::atomic<bool> executing_{false};
  std::atomic<int> launcher_{-1};  // the processor on which JavaScript was seen last
  // What the present launch waits for, and how; 0: it computes.
  std::atomic<uint64_t> awaited_{0};
  std::atomic<WaitForPlace> wait_{nullptr};

  // The present job.
  alignas(128) std::atomic<unsigned> generation_{0};
  std::atomic<int> next_{0};
  std::atomic<unsigned> joined_{kClosed};  // workers inside the present job, and the bit kClosed
  Body body_ = nullptr;
  const void* context_ = nullptr;
  int tiles_ = 0;
};

thread_local bool Pool::inside_ = false;
thread_local int Pool::met_ = 0;
thread_local Refusals Pool::refusals_;
thread_local int Pool::worker_ = 0;

Pool& pool() {
  static Pool* instance = new Pool();  // is never destroyed: workers may still sleep in it when the process ends
  return *instance;
}

}  // namespace

int launch(const char* name, KernelCall call, const double* arguments, int count, bool is_awaited) {
  return pool().launch(name, call, arguments, count, is_awaited);
}
uint64_t launched() { return pool().launched(); }
uint64_t done() { return pool().done(); }
void finish(uint64_t launches) { pool().attend(launches); }
Refusal take_refusal() { return pool().take_refusal(); }
bool wait_elsewhere(WaitForPlace wait, uint64_t place) { return pool().wait_elsewhere(wait, place); }

extern "C" void ek_parallel_run(int tiles, Body body, const void* context) { pool().run(tiles, body, context); }
extern "C" int ek_parallel_workers(void) { return pool().workers(); }
extern "C" void ek_parallel_resize(int workers) { pool().resize(workers); }
