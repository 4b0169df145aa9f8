// The lane of communication: carries out collectives in the order of their calls, beside the kernels and beside
// JavaScript. A thread of its own does this, or whichever thread waits for a result: it has nothing else to do, and
// handing a call over and its end back takes longer than a small call. Only one thread at a time calls MPI.
#pragma once
#include <mpi.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

enum Kind { kAllReduce, kAllGather, kReduceScatter, kBroadcast, kBarrier, kNewGroup, kDestroy };
enum Operation { kSum, kMean, kMin, kMax, kProduct };

// A call as the ranks must agree on it, and as errors name it. It travels as bytes.
struct Entry {
  int32_t kind = kBarrier, dtype = 0, operation = 0, root = 0, group = 0, is_goodbye = 0;
  int64_t count = 0;   // elements that each rank gives; 0 where ranks may differ; of a new group a hash of its ranks
  int64_t number = 0;  // of the call, counted per group from 1
  char label[104] = {};
  std::string text() const;
};

struct Call {
  Entry entry;
  const void* send = nullptr;
  void* receive = nullptr;
  int count = 0;                         // elements that this rank gives
  std::vector<int> counts;               // elements of each rank of the group, where they may differ
  std::vector<int> ranks;                // of a new group
  uint64_t after = 0;                    // the number of kernel launches that must have run before
  uint64_t (*kernels_done)() = nullptr;  // how many have run; null where kernels run when they are called
  bool is_awaited = false;               // whoever has called it is about to wait for it
};

// How many pieces of all-reduces a rank has given, reduced and taken since the start, as ranks of one machine see it of
// each other, on a line of the caches of its own.
struct alignas(64) Progress {
  std::atomic<uint64_t> given, reduced, taken;
};

struct Group {
  MPI_Comm comm = MPI_COMM_NULL;
  std::vector<int> ranks;  // of the world
  int rank = -1;           // this process's place among them
  int64_t calls = 0;       // so far

  // Of ranks on one machine: memory that they share. Null: there is none.
  Progress* shared = nullptr;  // of each rank
  char* places = nullptr;      // for pieces of what ranks give, and of results
  uint64_t pieces = 0;         // so far
};

// What a rank of a small group says of a call: the entry, and behind it what it gives, where that is little.
constexpr size_t kLittle = 16384;
struct Packet {
  Entry entry;
  char payload[kLittle];
};

// What a look at a call that is under way has found.
enum class Look { kFailed, kNothing, kMoved, kDone };

struct Notice {
  Entry entry;
  std::vector<MPI_Request> requests;
};

class Lane {
 public:
  // Starts MPI.
  void start(double timeout);
  // Takes a call; returns its place in the lane, from 1.
  uint64_t add(std::unique_ptr<Call> call);
  // Waits until so many calls are complete, and carries out what nobody does. False where one has failed.
  bool wait(uint64_t place);
  uint64_t completed() const { return completed_.load(std::memory_order_acquire); }
  bool has_failed() const { return failed_.load(std::memory_order_acquire); }
  // What has failed; whoever asks takes it upon himself to end the process.
  std::string error();
  // Says that the process is about to end with an exit code, and returns at once: its last words come first.
  void leave(int exit_code);
  // Waits until the process may end, and its memory may go: when all calls are over, and all ranks have come so far.
  void end();

  int rank = 0, size = 1, local_rank = 0, local_size = 1;
  std::string version;

 private:
  void loop();
  bool open();
  void serve();
  bool is_free() const;
  void listen(std::unique_lock<std::mutex>& lock);
  void advance(std::unique_lock<std::mutex>& lock);
  bool carry_out(Call& call);
  bool agree(const Call& call, Group& group);
  bool exchange(const Call& call, Group& group, size_t payload);
  bool is_one_call(const std::vector<Entry>& all, const Group& group);
  bool combine(const Call& call, const Group& group);
  bool reduce_shared(const Call& call, Group& group);
  bool share(Group& group);
  bool transfer(const Call& call, Group& group, int from, int count);
  template <class F> bool await(const F& look, const Call& call, const Group& group, bool is_agreement, double least);
  bool finish(std::vector<MPI_Request>& requests, const Call& call, const Group& group, bool is_agreement);
  bool succeeds(int status, const Entry& entry);
  void part();
  bool have_all_left() const;
  bool has_sent();
  bool is_done_with_calls(bool is_destroyed);
  [[noreturn]] void give_up();
  [[noreturn]] void abort(int exit_code);
  void hear();
  void tell(const Entry& entry, const std::vector<int>& ranks);
  void fail(const std::string& text);
  bool make_group(Call& call, Group& world);
  void divide(const Call& call, void* sums, int count) const;
  void note(const char* state);
  void move_to_waiter() const;
  static void nap(double seconds);
  void pause(int round, double waited, double least) const;
  std::string lateness(const Call& call, const Group& group) const;

  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable queued_, progressed_;
  std::deque<std::unique_ptr<Call>> queue_;
  uint64_t added_ = 0;
  bool is_busy_ = false;         // a thread is in MPI
  bool is_over_ = false;         // no more calls are carried out
  bool is_for_waiters_ = false;  // MPI lets other threads than the lane's own call it
  std::atomic<uint64_t> completed_{0};
  std::atomic<int> waiting_{0};          // threads that wait for the lane: their processors are free
  std::atomic<int> free_processor_{-1};  // that of the thread that has begun to wait last
  std::atomic<bool> failed_{false}, ending_{false}, taken_{false}, opened_{false};
  std::atomic<int> exit_code_{0};
  std::string error_;
  double timeout_ = 30;
  bool is_crowded_ = false;  // more ranks than processors on this machine

  // What MPI reads and writes until a call is complete, which a rank that ends by an error does not wait for.
  uint64_t least_[2] = {0, 0};
  std::vector<Entry> all_;
  std::vector<int> places_;

  std::vector<Group> groups_;
  std::vector<Packet> packets_;  // of the present call, by rank of its group
  MPI_Comm notices_ = MPI_COMM_NULL;
  std::vector<Entry> heard_;  // by rank of the world: the last notice
  std::deque<Notice> told_;   // what is being sent
  Entry last_;
  char* ledger_ = nullptr;  // a file in memory, in which the launcher finds this rank's last call, however it has ended
};
