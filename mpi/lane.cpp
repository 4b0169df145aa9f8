#include "lane.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#if defined(__linux__)
#include <sched.h>
#include <sys/prctl.h>
#endif
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>

namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

constexpr int kNotice = 7;          // the tag of notices
constexpr double kSilence = 1;      // seconds that a rank waits before it tells the others
constexpr double kGrace = 5;        // seconds that JavaScript has to end the process after an error
constexpr double kFarewell = 2;     // seconds that a rank that ends by an error gives the others to end, too
constexpr double kSettling = 0.5;   // seconds in which a call ends that a rank has completed and then left
constexpr double kLastWords = 0.3;  // seconds for what is written on stderr before the job ends
constexpr size_t kLedger = 512;     // bytes of a ledger
constexpr int kPacket = 8;          // the tag of packets
constexpr size_t kFew = 8;          // ranks of a group in which each sends its packets to each
constexpr size_t kPiece = 1 << 20;  // bytes that are reduced at a time: they stay in the caches
// Tests of a request between which the thread does not sleep, while another thread has given its processor for that,
// and while the processors may be busy. It never yields: on Linux whoever yields loses a slice of time to threads that
// spin, and ten thousand yields are half a minute.
constexpr int kEager = 2000, kHasty = 20;
constexpr double kNap = 10e-6;  // seconds of a short sleep
// Between two looks at messages while there is no call: soon after one, and later at most.
constexpr std::chrono::milliseconds kShortTick(1), kLongTick(64);
// The longest sleep, while another thread waits, and while it may compute: waking up takes time away from that.
constexpr double kAwaitedNap = 100e-6, kLongNap = 1e-3;
// The sleep while MPI moves data and nobody waits: the buffers of a connection hold what comes meanwhile. Over TCP naps
// of 10 µs take 70 ms of a processor for 47 MB, these 40, in the same time.
constexpr double kMovingNap = 50e-6;
constexpr size_t kPlace = 1 << 18;  // bytes of a place in shared memory: all of them stay in a processor's cache
constexpr uint64_t kPlaces = 2;     // of each rank: while one is read, the other is filled

const char* const kind_names[] = {"allReduce", "allGather", "reduceScatter",      "broadcast",
                                  "barrier",   "newGroup",  "destroyProcessGroup"};
const char* const dtype_names[] = {"float32", "float64", "int32", "int64", "uint8", "bool"};
const char* const operation_names[] = {"sum", "mean", "min", "max", "product"};
constexpr size_t sizes[] = {4, 8, 4, 8, 1, 1};
const MPI_Datatype types[] = {MPI_FLOAT, MPI_DOUBLE, MPI_INT32_T, MPI_INT64_T, MPI_UINT8_T, MPI_UINT8_T};
MPI_Op operations[] = {MPI_SUM, MPI_SUM, MPI_MIN, MPI_MAX, MPI_PROD};
MPI_Op float_operations[] = {MPI_SUM, MPI_SUM, MPI_OP_NULL, MPI_OP_NULL, MPI_PROD};  // min and max: see `extreme`

MPI_Op operation_of(const Entry& entry) {
  const bool is_float = types[entry.dtype] == MPI_FLOAT || types[entry.dtype] == MPI_DOUBLE;
  return (is_float ? float_operations : operations)[entry.operation];
}

// Bytes that each rank gives, or the largest part; the same on all ranks that agree.
size_t bytes_of(const Call& call) {
  const bool is_uneven = call.entry.kind == kAllGather && !call.counts.empty();
  const int most = is_uneven ? *std::max_element(call.counts.begin(), call.counts.end()) : call.count;
  return call.entry.kind <= kBroadcast ? most * sizes[call.entry.dtype] : 0;
}

// Elements of the result of a reduction on this rank.
int results_of(const Call& call) { return call.entry.kind == kReduceScatter ? call.counts[0] : call.count; }

// The first element of each rank in the result of an uneven all-gather.
std::vector<int> places_of(const Call& call) {
  std::vector<int> places(call.counts.size());
  for (size_t i = 1; i < places.size(); i++) places[i] = places[i - 1] + call.counts[i - 1];
  return places;
}

char* moved(const void* memory, size_t bytes) { return static_cast<char*>(const_cast<void*>(memory)) + bytes; }

std::string list(const std::vector<int>& ranks) {
  std::string text;
  for (const int rank : ranks) text += (text.empty() ? "" : ", ") + std::to_string(rank);
  return (ranks.size() == 1 ? "rank " : "ranks ") + text;
}

// FNV-1a.
uint64_t hash(const Entry& entry) {
  uint64_t h = 14695981039346656037ull;
  const auto* bytes = reinterpret_cast<const unsigned char*>(&entry);
  for (size_t i = 0; i < sizeof entry; i++) h = (h ^ bytes[i]) * 1099511628211ull;
  return h;
}

// The minimum or maximum of floats. A NaN of any rank is the result on all of them; MPI's own operations lose it, or
// not, as ranks happen to be paired.
template <bool is_max> void extreme(void* in, void* inout, int* count, MPI_Datatype* type) {
  const auto combine = [&](const auto* x, auto* y) {
    for (int i = 0; i < *count; i++)
      if (x[i] != x[i] || (is_max ? x[i] > y[i] : x[i] < y[i])) y[i] = x[i];
  };
  if (*type == MPI_FLOAT) combine(static_cast<float*>(in), static_cast<float*>(inout));
  else combine(static_cast<double*>(in), static_cast<double*>(inout));
}

// Ends the process where MPI does not come back from a call that cannot be asked whether it is done.
class Watch {
 public:
  Watch(double seconds, const char* what) {
    thread_ = std::thread([this, seconds, what] {
      std::unique_lock<std::mutex> lock(mutex_);
      if (over_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return is_over_; })) return;
      std::fprintf(stderr, "evenkeel: %s within %g s\n", what, seconds);
      std::fflush(stderr);
      _exit(1);
    });
  }
  ~Watch() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      is_over_ = true;
    }
    over_.notify_one();
    thread_.join();
  }

 private:
  std::mutex mutex_;
  std::condition_variable over_;
  bool is_over_ = false;
  std::thread thread_;
};

// While it lives, naps of the thread take as long as they should: else one of 10 µs takes 60.
class Punctual {
#if defined(__linux__)
 public:
  Punctual() { prctl(PR_SET_TIMERSLACK, 1); }
  ~Punctual() { prctl(PR_SET_TIMERSLACK, slack_); }

 private:
  const int slack_ = prctl(PR_GET_TIMERSLACK);
#endif
};

// The memory in which a rank notes its calls, where a launcher has named a folder for that.
char* open_ledger(int rank) {
  const char* const folder = std::getenv("EVENKEEL_LEDGER");
  if (!folder) return nullptr;
  const int file = open((std::string(folder) + "/" + std::to_string(rank)).c_str(), O_RDWR | O_CREAT, 0600);
  if (file < 0) return nullptr;  // on another host
  void* const memory = ftruncate(file, kLedger) == 0
                           ? mmap(nullptr, kLedger, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
                           : MAP_FAILED;
  close(file);
  return memory == MAP_FAILED ? nullptr : static_cast<char*>(memory);
}

}  // namespace

std::string Entry::text() const {
  std::string text = std::string(kind_names[kind]) + " no. " + std::to_string(number);
  if (group > 0) text += " of group " + std::to_string(group);
  if (kind <= kBroadcast) {
    text += std::string(" (") + (kind == kAllReduce || kind == kReduceScatter ? operation_names[operation] : "");
    if (text.back() != '(') text += ", ";
    text += (count > 0 ? std::to_string(count) + " " : "") + dtype_names[dtype];
    if (kind == kBroadcast) text += ", from rank " + std::to_string(root);
    text += ")";
  }
  if (label[0]) text += std::string(" for ") + label;
  return text;
}

// ---- called by JavaScript's thread ----------------------------------------------------------------------------------

void Lane::start(double timeout) {
  timeout_ = timeout;
  thread_ = std::thread([this] { loop(); });
  std::unique_lock<std::mutex> lock(mutex_);
  progressed_.wait(lock, [this] { return opened_.load() || failed_.load(); });
}

uint64_t Lane::add(std::unique_ptr<Call> call) {
  std::lock_guard<std::mutex> lock(mutex_);
  const bool is_left = call->is_awaited && is_for_waiters_;
  queue_.push_back(std::move(call));
  // Where nobody waits after all, the lane's thread finds it when it looks the next time.
  if (!is_left) queued_.notify_one();
  return ++added_;
}

bool Lane::wait(uint64_t place) {
  if (completed() >= place) return true;
#if defined(__linux__)
  free_processor_ = sched_getcpu();
#endif
  waiting_++;
  {
    const Punctual punctual;
    std::unique_lock<std::mutex> lock(mutex_);
    while (completed() < place && !has_failed()) {
      if (is_for_waiters_ && is_free()) advance(lock);
      else progressed_.wait(lock);
    }
  }
  waiting_--;
  return completed() >= place;
}

std::string Lane::error() {
  taken_ = true;
  std::lock_guard<std::mutex> lock(mutex_);
  return error_;
}

void Lane::leave(int exit_code) {
  std::lock_guard<std::mutex> lock(mutex_);
  exit_code_ = exit_code;
  ending_ = true;
  queued_.notify_one();
}

void Lane::end() {
  if (!thread_.joinable()) return;
  // MPI_Abort may call exit().
  if (thread_.get_id() == std::this_thread::get_id()) return;
  leave(exit_code_);
  thread_.join();
}

// ---- the lane's own thread ------------------------------------------------------------------------------------------

bool Lane::open() {
  const auto is_done = [this](int status) { return succeeds(status, Entry()); };
  {
    const Watch watch(timeout_, "MPI has not started, because not all ranks have called initProcessGroup(),");
    int provided;
    if (!is_done(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided))) return false;
    is_for_waiters_ = provided >= MPI_THREAD_SERIALIZED;
  }
  // Communicators inherit it.
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  MPI_Comm local;
  if (!is_done(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &local))) return false;
  MPI_Comm_rank(local, &local_rank);
  MPI_Comm_size(local, &local_size);
  MPI_Comm_free(&local);
  char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length;
  MPI_Get_library_version(text, &length);
  version.assign(text, length);
  if (const size_t end = version.find_first_of(",\n"); end != std::string::npos) version.resize(end);
  Group world;
  if (!is_done(MPI_Comm_dup(MPI_COMM_WORLD, &world.comm)) || !is_done(MPI_Comm_dup(MPI_COMM_WORLD, &notices_)) ||
      !is_done(MPI_Op_create(extreme<false>, true, &float_operations[kMin])) ||
      !is_done(MPI_Op_create(extreme<true>, true, &float_operations[kMax])))
    return false;
  for (int i = 0; i < size; i++) world.ranks.push_back(i);
  world.rank = rank;
  if (!share(world)) return false;
  groups_.push_back(world);
  heard_.resize(size);
  is_crowded_ = local_size > sysconf(_SC_NPROCESSORS_ONLN);
  ledger_ = open_ledger(rank);
  note("has made no call yet");
  return true;
}

void Lane::loop() {
  const Punctual punctual;
  if (!open()) return;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    opened_ = true;
    progressed_.notify_all();
  }
  serve();
  if (has_failed()) give_up();
  part();
}

// Carries out what nobody waits for, until the last call, a failure or the end of the process.
void Lane::serve() {
  std::unique_lock<std::mutex> lock(mutex_);
  const auto is_something = [this] { return !is_busy_ && (is_over_ || ending_ || !queue_.empty()); };
  for (auto tick = kShortTick;;) {
    if (!queued_.wait_for(lock, tick, is_something)) {
      // MPI needs to be called now and then, to send what it has taken over.
      if (!is_busy_) listen(lock);
      tick = std::min(2 * tick, kLongTick);
      continue;
    }
    if (!is_free() || exit_code_ != 0) break;
    advance(lock);
    tick = kShortTick;
  }
  // From here on this thread is alone with MPI.
  is_over_ = true;
  const bool is_destroyed = !queue_.empty() && queue_.front()->entry.kind == kDestroy;
  if (is_destroyed && exit_code_ == 0 && !has_failed()) last_ = queue_.front()->entry;
}

// Whether there is a call that nobody carries out. The last one, kDestroy, is the end of the lane's own thread.
bool Lane::is_free() const {
  return !is_busy_ && !is_over_ && !queue_.empty() && queue_.front()->entry.kind != kDestroy;
}

void Lane::listen(std::unique_lock<std::mutex>& lock) {
  is_busy_ = true;
  lock.unlock();
  hear();
  lock.lock();
  is_busy_ = false;
  progressed_.notify_all();
}

// Carries out the first call of the queue.
void Lane::advance(std::unique_lock<std::mutex>& lock) {
  auto call = std::move(queue_.front());
  queue_.pop_front();
  is_busy_ = true;
  lock.unlock();
  const bool is_done = carry_out(*call);
  if (is_done) note("has completed");
  else call.release();  // MPI may still work on it
  lock.lock();
  is_busy_ = false;
  if (is_done) completed_.fetch_add(1, std::memory_order_release);
  else is_over_ = true;
  progressed_.notify_all();
  if (is_over_ || ending_ || !queue_.empty()) queued_.notify_one();
}

bool Lane::is_done_with_calls(bool is_destroyed) {
  std::lock_guard<std::mutex> lock(mutex_);
  return completed() + is_destroyed == added_;
}

// The end of a rank that has called destroyProcessGroup(), or has not: it tells the others, which have no more to
// expect of it, and waits until all have come so far.
void Lane::part() {
  const bool is_destroyed = last_.kind == kDestroy;
  Entry goodbye = last_;
  goodbye.is_goodbye = 1;
  tell(goodbye, groups_[0].ranks);
  note(is_destroyed ? "has called destroyProcessGroup()" : "has ended without destroyProcessGroup() after");
  MPI_Request request;
  MPI_Ibarrier(notices_, &request);
  const auto start = Clock::now();
  auto failing = start;
  // Calls that are under way cannot be taken back.
  const bool is_clean = is_done_with_calls(is_destroyed);
  for (bool is_failing = false;;) {
    int done;
    if (MPI_Test(&request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS) abort(1);
    if (done && !is_clean) abort(exit_code_);
    hear();
    // MPI wants every message received before it ends.
    if (done && has_sent() && have_all_left()) break;
    nap(kLongNap);
    if (exit_code_ != 0 && !is_failing) is_failing = true, failing = Clock::now();
    if (is_failing && seconds_since(failing) > kFarewell) abort(exit_code_);
    if (!is_failing && !is_destroyed && seconds_since(start) > timeout_) {
      std::fprintf(stderr, "rank %d has ended without destroyProcessGroup(), and others have not ended\n", rank);
      abort(1);
    }
  }
  const Watch watch(timeout_, "all ranks have come to their end, and MPI_Finalize() has not returned");
  MPI_Finalize();
}

bool Lane::have_all_left() const {
  for (const int other : groups_[0].ranks)
    if (other != rank && !heard_[other].is_goodbye) return false;
  return true;
}

// Whether all notices so far are on their way; forgets those that are.
bool Lane::has_sent() {
  while (!told_.empty()) {
    auto& requests = told_.front().requests;
    int done;
    MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE);
    if (!done) return false;
    told_.pop_front();
  }
  return true;
}

// The end of the job by what has failed. JavaScript throws the error; where it is busy or hangs, it is shown here.
void Lane::give_up() {
  const auto start = Clock::now();
  while (!taken_ && !ending_ && seconds_since(start) < kGrace) nap(kLongNap);
  if (!taken_) std::fprintf(stderr, "%s\n", error_.c_str());
  const auto taken = Clock::now();
  while (!ending_ && seconds_since(taken) < kGrace) nap(kLongNap);
  abort(exit_code_ != 0 ? exit_code_.load() : 1);
}

void Lane::abort(int exit_code) {
  // mpirun may be out of reach for other hosts, which it waits for: the launcher then ends it.
  if (ledger_) ledger_[kLedger - 1] = 1;
  std::fflush(stderr);
  nap(kLastWords);
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  _exit(exit_code);
}

// What the launcher finds where the rank has been killed.
void Lane::note(const char* state) {
  if (ledger_) std::snprintf(ledger_, kLedger - 1, "%s %s", state, last_.number > 0 ? last_.text().c_str() : "");
}

void Lane::fail(const std::string& text) {
  std::lock_guard<std::mutex> lock(mutex_);
  error_ = text;
  failed_.store(true, std::memory_order_release);
  progressed_.notify_all();
}

bool Lane::succeeds(int status, const Entry& entry) {
  if (status == MPI_SUCCESS) return true;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length;
  MPI_Error_string(status, text, &length);
  fail((entry.number > 0 ? entry.text() : std::string("the start")) + " has failed in MPI: " + text);
  return false;
}

// Moves to the processor of the thread that waits. The scheduler does not know that it is free for this: it puts the
// lanes of two ranks on one processor, where they wait for each other.
void Lane::move_to_waiter() const {
#if defined(__linux__)
  const int processor = free_processor_;
  if (processor < 0 || sched_getcpu() == processor) return;
  cpu_set_t all, one;
  CPU_ZERO(&one);
  CPU_SET(processor, &one);
  if (sched_getaffinity(0, sizeof all, &all) != 0) return;
  sched_setaffinity(0, sizeof one, &one);
  sched_setaffinity(0, sizeof all, &all);
#endif
}

void Lane::nap(double seconds) { usleep(static_cast<useconds_t>(seconds * 1e6)); }

// A moment between two looks at what others do. What they may take long for is looked at less and less often: sleeping
// adds an eighth to that.
void Lane::pause(int round, double waited, double least) const {
  const bool is_awaited = waiting_ > 0;
  if (is_awaited && !is_crowded_ && std::this_thread::get_id() == thread_.get_id()) move_to_waiter();
  if (round < (is_crowded_ ? 0 : is_awaited ? kEager : kHasty)) return;
  nap(std::clamp(waited / 8, is_awaited ? kNap : least, is_awaited ? kAwaitedNap : kLongNap));
}

bool Lane::carry_out(Call& call) {
  const auto start = Clock::now();
  for (int round = 0; call.kernels_done && call.kernels_done() < call.after; round++) {
    if (exit_code_ != 0) return false;
    pause(round, seconds_since(start), kNap);
  }
  Group& group = groups_[call.entry.group];
  call.entry.number = ++group.calls;
  last_ = call.entry;
  note("is in");
  const size_t bytes = bytes_of(call);
  const bool is_few = group.ranks.size() <= kFew;
  const bool is_little = is_few && bytes <= kLittle;
  if (is_few ? !exchange(call, group, is_little ? bytes : 0) : !agree(call, group)) return false;
  const Entry& entry = call.entry;
  if (entry.kind == kBarrier) return true;  // the agreement is one
  if (entry.kind == kNewGroup) return make_group(call, group);
  if (bytes == 0) return true;
  const bool is_mean = entry.operation == kMean;
  if (is_little) {
    if (!combine(call, group)) return false;
    if (is_mean) divide(call, call.receive, results_of(call));
  } else if (group.shared && entry.kind == kAllReduce) {
    return reduce_shared(call, group);
  } else {
    const int piece = entry.kind == kAllReduce ? static_cast<int>(kPiece / sizes[entry.dtype]) : call.count;
    int from = 0;
    do {
      const int count = std::min(piece, call.count - from);
      if (!transfer(call, group, from, count)) return false;
      // While they are in the caches.
      if (is_mean) {
        char* const x = moved(call.receive, from * sizes[entry.dtype]);
        divide(call, x, entry.kind == kAllReduce ? count : results_of(call));
      }
      from += count;
    } while (from < call.count);
  }
  return true;
}

// Carries out an all-reduce among ranks of one machine, through memory that they share: MPI lets the kernel copy from
// one to the other, which takes six times as long. A piece of the elements at a time, each rank gives the parts of the
// others to its place, reduces its own part, in the order of ranks, from everybody's places, and takes the others'
// results from there.
bool Lane::reduce_shared(const Call& call, Group& group) {
  const Entry& entry = call.entry;
  const size_t size = sizes[entry.dtype];
  const MPI_Datatype type = types[entry.dtype];
  const MPI_Op op = operation_of(entry);
  const int own = group.rank, ranks = static_cast<int>(group.ranks.size());
  const int64_t piece = kPlace / size;
  // Numbers of pieces, which count on from call to call.
  const uint64_t first = group.pieces, end = first + (call.count + piece - 1) / piece;
  group.pieces = end;
  Progress& mine = group.shared[own];
  uint64_t given = first, reduced = first, taken = first;
  const auto all_have = [&](std::atomic<uint64_t> Progress::* what, uint64_t pieces) {
    for (int i = 0; i < ranks; i++)
      if ((group.shared[i].*what).load(std::memory_order_acquire) < pieces) return false;
    return true;
  };
  struct Part {
    size_t skipped;  // bytes of the tensor
    char* place;
    int count;
  };
  // What a rank reduces of a piece, and where a rank has it.
  const auto part_of = [&](uint64_t number, int reducer, int owner) {
    const int64_t from = (number - first) * piece, count = std::min(piece, call.count - from);
    const int64_t begin = count * reducer / ranks, stop = count * (reducer + 1) / ranks;
    char* const place = group.places + (owner * kPlaces + number % kPlaces) * kPlace + begin * size;
    return Part{(from + begin) * size, place, static_cast<int>(stop - begin)};
  };
  const auto give = [&] {
    for (int i = 0; i < ranks; i++) {
      if (i == own) continue;
      const Part part = part_of(given, i, own);
      std::memcpy(part.place, moved(call.send, part.skipped), part.count * size);
    }
    mine.given.store(++given, std::memory_order_release);
  };
  const auto reduce = [&] {
    const Part result = part_of(reduced, own, own);
    const size_t bytes = result.count * size;
    for (int i = 0; i < ranks; i++) {
      const char* const x = i == own ? moved(call.send, result.skipped) : part_of(reduced, own, i).place;
      if (i == 0) std::memcpy(result.place, x, bytes);
      else if (!succeeds(MPI_Reduce_local(x, result.place, result.count, type, op), entry)) return false;
    }
    if (entry.operation == kMean) divide(call, result.place, result.count);
    std::memcpy(moved(call.receive, result.skipped), result.place, bytes);
    mine.reduced.store(++reduced, std::memory_order_release);
    return true;
  };
  const auto take = [&] {
    for (int i = 0; i < ranks; i++) {
      if (i == own) continue;
      const Part part = part_of(taken, i, i);
      std::memcpy(moved(call.receive, part.skipped), part.place, part.count * size);
    }
    mine.taken.store(++taken, std::memory_order_release);
  };
  const auto look = [&] {
    const uint64_t before = given + reduced + taken;
    // A place is free when all have taken what it held.
    if (given < end && (given < kPlaces || all_have(&Progress::taken, given + 1 - kPlaces))) give();
    if (reduced < given && all_have(&Progress::given, reduced + 1) && !reduce()) return Look::kFailed;
    if (taken < reduced && all_have(&Progress::reduced, taken + 1)) take();
    if (taken == end) return Look::kDone;
    return given + reduced + taken > before ? Look::kMoved : Look::kNothing;
  };
  return await(look, call, group, false, kNap);
}

// Makes memory that all ranks of a group can reach, where they are few, and on one machine. Without it MPI carries
// their calls out.
bool Lane::share(Group& group) {
#if defined(__linux__)
  const int ranks = static_cast<int>(group.ranks.size());
  if (ranks == 1 || group.ranks.size() > kFew) return true;
  const auto is_done = [this](int status) { return succeeds(status, last_); };
  MPI_Comm near;
  int count;
  if (!is_done(MPI_Comm_split_type(group.comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &near))) return false;
  MPI_Comm_size(near, &count);
  MPI_Comm_free(&near);
  const size_t header = 4096, bytes = header + ranks * kPlaces * kPlace;
  static_assert(kFew * sizeof(Progress) <= header);
  // No file of a name: nothing is left behind, however the ranks end.
  const int own = group.rank == 0 && count == ranks ? memfd_create("evenkeel", MFD_CLOEXEC) : -1;
  // It has its pages from here on: who finds none later is killed.
  const bool is_made = own >= 0 && posix_fallocate(own, 0, bytes) == 0;
  struct stat of = {};
  if (is_made) fstat(own, &of);
  int64_t made[4] = {getpid(), is_made ? own : -1, static_cast<int64_t>(of.st_dev), static_cast<int64_t>(of.st_ino)};
  if (!is_done(MPI_Bcast(made, 4, MPI_INT64_T, 0, group.comm))) return false;
  const std::string path = "/proc/" + std::to_string(made[0]) + "/fd/" + std::to_string(made[1]);
  const int file = made[1] < 0 ? -1 : ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  // In another container that number may be another process's, and the file another one.
  const bool is_that = file >= 0 && fstat(file, &of) == 0 && static_cast<int64_t>(of.st_dev) == made[2] &&
                       static_cast<int64_t>(of.st_ino) == made[3];
  void* const memory = is_that ? mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) : MAP_FAILED;
  if (file >= 0) close(file);
  int is_there = memory != MAP_FAILED;
  if (!is_done(MPI_Allreduce(MPI_IN_PLACE, &is_there, 1, MPI_INT, MPI_MIN, group.comm))) return false;
  if (own >= 0) close(own);
  if (is_there) {
    // Zeros, as new memory holds them, are numbers of no pieces.
    group.shared = static_cast<Progress*>(memory);
    group.places = static_cast<char*>(memory) + header;
  } else if (memory != MAP_FAILED) {
    munmap(memory, bytes);
  }
#else
  (void)group;
#endif
  return true;
}

// Carries out a call on elements from one on, by MPI's own algorithm.
bool Lane::transfer(const Call& call, Group& group, int from, int count) {
  const Entry& entry = call.entry;
  const MPI_Datatype type = types[entry.dtype];
  const MPI_Op op = operation_of(entry);
  const MPI_Comm comm = group.comm;
  places_ = places_of(call);
  std::vector<MPI_Request> request(1);
  int status;
  if (entry.kind == kAllReduce) {
    const size_t skipped = from * sizes[entry.dtype];
    const void* const send = call.send == call.receive ? MPI_IN_PLACE : moved(call.send, skipped);
    status = MPI_Iallreduce(send, moved(call.receive, skipped), count, type, op, comm, &request[0]);
  } else if (entry.kind == kReduceScatter) {
    status = MPI_Ireduce_scatter(call.send, call.receive, call.counts.data(), type, op, comm, &request[0]);
  } else if (entry.kind == kBroadcast) {
    status = MPI_Ibcast(call.receive, count, type, entry.root, comm, &request[0]);
  } else if (call.counts.empty()) {
    status = MPI_Iallgather(call.send, count, type, call.receive, count, type, comm, &request[0]);
  } else {
    status = MPI_Iallgatherv(call.send, count, type, call.receive, call.counts.data(), places_.data(), type, comm,
                             &request[0]);
  }
  return succeeds(status, entry) && finish(request, call, group, false);
}

// Computes the result of a call from what the packets of all ranks have brought, in the order of ranks.
bool Lane::combine(const Call& call, const Group& group) {
  const Entry& entry = call.entry;
  const size_t size = sizes[entry.dtype];
  if (entry.kind == kBroadcast) {
    std::memcpy(call.receive, packets_[entry.root].payload, call.count * size);
    return true;
  }
  if (entry.kind == kAllGather) {
    const std::vector<int> places = places_of(call);
    for (size_t i = 0; i < group.ranks.size(); i++) {
      const size_t place = places.empty() ? i * call.count : places[i];
      const size_t count = places.empty() ? call.count : call.counts[i];
      std::memcpy(moved(call.receive, place * size), packets_[i].payload, count * size);
    }
    return true;
  }
  const bool is_part = entry.kind == kReduceScatter;
  const int count = results_of(call);
  const size_t skipped = is_part ? group.rank * count * size : 0;
  std::memcpy(call.receive, packets_[0].payload + skipped, count * size);
  for (size_t i = 1; i < group.ranks.size(); i++) {
    void* const payload = packets_[i].payload + skipped;
    const int status = MPI_Reduce_local(payload, call.receive, count, types[entry.dtype], operation_of(entry));
    if (!succeeds(status, entry)) return false;
  }
  return true;
}

bool Lane::make_group(Call& call, Group& world) {
  Group made;
  MPI_Group all, part;
  MPI_Comm_group(world.comm, &all);
  MPI_Group_incl(all, static_cast<int>(call.ranks.size()), call.ranks.data(), &part);
  const int status = MPI_Comm_create(world.comm, part, &made.comm);
  MPI_Group_free(&all), MPI_Group_free(&part);
  made.ranks = call.ranks;
  for (size_t i = 0; i < made.ranks.size(); i++)
    if (made.ranks[i] == rank) made.rank = static_cast<int>(i);
  const bool is_made = succeeds(status, call.entry) && (made.rank < 0 || share(made));
  groups_.push_back(made);
  return is_made;
}

// Makes means of sums.
void Lane::divide(const Call& call, void* sums, int count) const {
  const auto by = groups_[call.entry.group].ranks.size();
  const auto each = [&](auto* x) {
    for (int i = 0; i < count; i++) x[i] /= static_cast<std::remove_reference_t<decltype(*x)>>(by);
  };
  if (types[call.entry.dtype] == MPI_FLOAT) each(static_cast<float*>(sums));
  else each(static_cast<double*>(sums));
}

// Whether all ranks have made the same call; each sends it to each, and what it gives along with it.
bool Lane::exchange(const Call& call, Group& group, size_t payload) {
  const size_t size = group.ranks.size();
  if (packets_.size() < size) packets_.resize(size);
  Packet& own = packets_[group.rank];
  own.entry = call.entry;
  if (call.entry.kind == kAllGather) payload = call.count * sizes[call.entry.dtype] * (payload > 0);
  if (call.entry.kind == kBroadcast && call.entry.root != group.rank) payload = 0;
  if (payload > 0) std::memcpy(own.payload, call.send, payload);
  std::vector<MPI_Request> requests;
  const auto add = [&](const auto& start) {
    requests.push_back(MPI_REQUEST_NULL);
    return succeeds(start(&requests.back()), call.entry);
  };
  // A rank that has made another call may send more or less than this one expects.
  for (size_t i = 0; i < size; i++)
    if (static_cast<int>(i) != group.rank && !add([&](MPI_Request* request) {
      return MPI_Irecv(&packets_[i], sizeof(Packet), MPI_BYTE, i, kPacket, group.comm, request);
    }))
      return false;
  for (size_t i = 0; i < size; i++)
    if (static_cast<int>(i) != group.rank && !add([&](MPI_Request* request) {
      return MPI_Isend(&own, sizeof(Entry) + payload, MPI_BYTE, i, kPacket, group.comm, request);
    }))
      return false;
  if (!finish(requests, call, group, true)) return false;
  std::vector<Entry> all;
  for (size_t i = 0; i < size; i++) all.push_back(packets_[i].entry);
  return is_one_call(all, group);
}

// The same where there are many ranks: two numbers that both are least where they are equal.
bool Lane::agree(const Call& call, Group& group) {
  const uint64_t own = hash(call.entry);
  least_[0] = own, least_[1] = ~own;
  std::vector<MPI_Request> request(1);
  if (!succeeds(MPI_Iallreduce(MPI_IN_PLACE, least_, 2, MPI_UINT64_T, MPI_MIN, group.comm, &request[0]), call.entry) ||
      !finish(request, call, group, true))
    return false;
  if (least_[0] == own && least_[1] == ~own && least_[0] == ~least_[1]) return true;
  all_.resize(group.ranks.size());
  const int status = MPI_Iallgather(&call.entry, sizeof(Entry), MPI_BYTE, all_.data(), sizeof(Entry), MPI_BYTE,
                                    group.comm, &request[0]);
  return succeeds(status, call.entry) && finish(request, call, group, true) && is_one_call(all_, group);
}

bool Lane::is_one_call(const std::vector<Entry>& all, const Group& group) {
  const auto is_alike = [&](size_t i, size_t j) { return std::memcmp(&all[i], &all[j], sizeof(Entry)) == 0; };
  bool is_one = true;
  for (size_t i = 1; i < all.size(); i++) is_one = is_one && is_alike(0, i);
  if (is_one) return true;
  std::string text = "the ranks have called different collectives:";
  std::vector<bool> is_named(all.size());
  for (size_t i = 0; i < all.size(); i++) {
    if (is_named[i]) continue;
    std::vector<int> alike;
    for (size_t j = i; j < all.size(); j++)
      if (is_alike(i, j)) alike.push_back(group.ranks[j]), is_named[j] = true;
    text += "\n  " + list(alike) + ": " + all[i].text();
  }
  fail(text);
  return false;
}

// Waits for requests.
bool Lane::finish(std::vector<MPI_Request>& requests, const Call& call, const Group& group, bool is_agreement) {
  const auto look = [&] {
    int done;
    const int count = static_cast<int>(requests.size());
    if (!succeeds(MPI_Testall(count, requests.data(), &done, MPI_STATUSES_IGNORE), call.entry)) return Look::kFailed;
    return done ? Look::kDone : Look::kNothing;
  };
  return await(look, call, group, is_agreement, is_agreement ? kNap : kMovingNap);
}

// Waits until a look finds that all is done, and hears meanwhile what becomes of the other ranks.
template <class F>
bool Lane::await(const F& look, const Call& call, const Group& group, bool is_agreement, double least) {
  auto start = Clock::now();
  auto left = start;
  int leaver = -1;
  bool has_told = false;
  for (int round = 0;; round++) {
    const Look found = look();
    if (found == Look::kFailed) return false;
    if (found == Look::kDone) return true;
    if (exit_code_ != 0) return false;
    // Nobody is late as long as something moves.
    if (found == Look::kMoved) start = Clock::now(), round = 0;
    // Where all have come, every look moves data.
    pause(round, is_agreement ? seconds_since(start) : 0, least);
    if (round % 64 != 63) continue;
    hear();
    if (is_agreement && leaver < 0) {
      for (const int other : group.ranks)
        if (heard_[other].is_goodbye) leaver = other;
      left = Clock::now();
    }
    if (leaver >= 0 && seconds_since(left) > kSettling) {
      const Entry& last = heard_[leaver];
      const bool is_destroyed = last.kind == kDestroy;
      fail("rank " + std::to_string(leaver) + (is_destroyed ? " has called destroyProcessGroup()" : " has ended") +
           ", and " + call.entry.text() + " waits for it" +
           (is_destroyed || last.number == 0 ? "" : "; its last call was " + last.text()));
      return false;
    }
    const double waited = seconds_since(start);
    if (waited > kSilence && !has_told) tell(call.entry, group.ranks), has_told = true;
    if (waited > timeout_) {
      fail(lateness(call, group));
      return false;
    }
  }
}

std::string Lane::lateness(const Call& call, const Group& group) const {
  std::vector<int> missing, present;
  std::string elsewhere;
  for (const int each : group.ranks) {
    const Entry& entry = each == rank ? call.entry : heard_[each];
    const bool is_here = entry.number == call.entry.number && entry.group == call.entry.group;
    (is_here ? present : missing).push_back(each);
    if (!is_here && entry.number > 0 && entry.group != call.entry.group && !entry.is_goodbye)
      elsewhere += "\n  rank " + std::to_string(each) + " waits in " + entry.text();
  }
  char span[32];
  std::snprintf(span, sizeof span, "%g s", timeout_);
  std::string text = call.entry.text() + " has not been completed within " + span + ": ";
  if (missing.empty()) return text + "all ranks have called it, and the connection does not answer";
  return text + list(missing) + (missing.size() == 1 ? " has" : " have") + " not called it, " + list(present) +
         (present.size() == 1 ? " waits" : " wait") + elsewhere;
}

void Lane::tell(const Entry& entry, const std::vector<int>& ranks) {
  has_sent();
  told_.push_back({entry, {}});
  Notice& notice = told_.back();
  for (const int other : ranks) {
    if (other == rank) continue;
    notice.requests.emplace_back();
    MPI_Isend(&notice.entry, sizeof(Entry), MPI_BYTE, other, kNotice, notices_, &notice.requests.back());
  }
}

void Lane::hear() {
  for (int is_there = 1; is_there;) {
    MPI_Status status;
    if (MPI_Iprobe(MPI_ANY_SOURCE, kNotice, notices_, &is_there, &status) != MPI_SUCCESS) return;
    if (is_there)
      MPI_Recv(&heard_[status.MPI_SOURCE], sizeof(Entry), MPI_BYTE, status.MPI_SOURCE, kNotice, notices_,
               MPI_STATUS_IGNORE);
  }
}
