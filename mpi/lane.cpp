#include "lane.h"

#include <fcntl.h>
#include <sys/mman.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
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
// Tests of a request between which the thread does not sleep, while another thread has given its processor for that,
// and while the processors may be busy. It never yields: on Linux whoever yields loses a slice of time to threads that
// spin, and ten thousand yields are half a minute.
constexpr int kEager = 20000, kHasty = 20;
constexpr int kShortNaps = 500;  // tests after which sleeping becomes longer

const char* const kind_names[] = {"allReduce", "allGather", "reduceScatter",      "broadcast",
                                  "barrier",   "newGroup",  "destroyProcessGroup"};
const char* const dtype_names[] = {"float32", "float64", "int32", "int64", "uint8", "bool"};
const char* const operation_names[] = {"sum", "mean", "min", "max", "product"};
const MPI_Datatype types[] = {MPI_FLOAT, MPI_DOUBLE, MPI_INT32_T, MPI_INT64_T, MPI_UINT8_T, MPI_UINT8_T};
MPI_Op operations[] = {MPI_SUM, MPI_SUM, MPI_MIN, MPI_MAX, MPI_PROD};
MPI_Op float_operations[] = {MPI_SUM, MPI_SUM, MPI_OP_NULL, MPI_OP_NULL, MPI_PROD};  // min and max: see `extreme`

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
  queue_.push_back(std::move(call));
  queued_.notify_one();
  return ++added_;
}

bool Lane::wait(uint64_t place) {
  if (completed() >= place) return true;
  waiting_++;
  {
    std::unique_lock<std::mutex> lock(mutex_);
    progressed_.wait(lock, [&] { return completed() >= place || has_failed(); });
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
  leave(exit_code_);
  thread_.join();
}

// ---- the lane's own thread ------------------------------------------------------------------------------------------

bool Lane::open() {
  const auto is_done = [this](int status) { return succeeds(status, Entry()); };
  int provided;
  if (!is_done(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided))) return false;
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
  groups_.push_back(world);
  heard_.resize(size);
  is_crowded_ = local_size > sysconf(_SC_NPROCESSORS_ONLN);
  ledger_ = open_ledger(rank);
  note("has made no call yet");
  return true;
}

void Lane::loop() {
#if defined(__linux__)
  prctl(PR_SET_TIMERSLACK, 1);  // else a nap of 10 µs takes 60
#endif
  if (!open()) return;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    opened_ = true;
    progressed_.notify_all();
  }
  while (const auto call = next()) {
    if (call->entry.kind == kDestroy) {
      last_ = call->entry;
      break;
    }
    if (!carry_out(*call)) break;
    note("has completed");
    {
      std::lock_guard<std::mutex> lock(mutex_);
      completed_.fetch_add(1, std::memory_order_release);
    }
    progressed_.notify_all();
  }
  if (has_failed()) give_up();
  part();
}

// The next call; null when the process ends. Whoever ends by an error leaves calls behind.
std::unique_ptr<Call> Lane::next() {
  for (int round = 0;; round++) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      const auto is_something = [this] { return !queue_.empty() || ending_; };
      // MPI needs to be called now and then, to send what it has taken over.
      if (queued_.wait_for(lock, std::chrono::milliseconds(round < 20 ? 1 : 50), is_something)) {
        if (exit_code_ != 0 || queue_.empty()) return nullptr;
        auto call = std::move(queue_.front());
        queue_.pop_front();
        return call;
      }
    }
    hear();
  }
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
    if (done) break;
    hear();
    pause(kEager);
    if (exit_code_ != 0 && !is_failing) is_failing = true, failing = Clock::now();
    if (is_failing && seconds_since(failing) > kFarewell) abort(exit_code_);
    if (!is_failing && !is_destroyed && seconds_since(start) > timeout_) {
      std::fprintf(stderr, "rank %d has ended without destroyProcessGroup(), and others have not ended\n", rank);
      abort(1);
    }
  }
  hear();
  MPI_Finalize();
}

// The end of the job by what has failed. JavaScript throws the error; where it is busy or hangs, it is shown here.
void Lane::give_up() {
  const auto start = Clock::now();
  while (!taken_ && !ending_ && seconds_since(start) < kGrace) pause(kEager);
  if (!taken_) std::fprintf(stderr, "%s\n", error_.c_str());
  const auto taken = Clock::now();
  while (!ending_ && seconds_since(taken) < kGrace) pause(kEager);
  abort(exit_code_ != 0 ? exit_code_.load() : 1);
}

void Lane::abort(int exit_code) {
  std::fflush(stderr);
  usleep(static_cast<useconds_t>(kLastWords * 1e6));
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  _exit(exit_code);
}

// What the launcher finds where the rank has been killed.
void Lane::note(const char* state) {
  if (ledger_) std::snprintf(ledger_, kLedger, "%s %s", state, last_.number > 0 ? last_.text().c_str() : "");
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

void Lane::pause(int round) const {
  const int eager = is_crowded_ ? 0 : waiting_ > 0 ? kEager : kHasty;
  if (round >= eager) usleep(round < eager + kShortNaps ? 10 : 50);
}

bool Lane::carry_out(Call& call) {
  for (int round = 0; call.kernels_done && call.kernels_done() < call.after; round++) {
    if (exit_code_ != 0) return false;
    pause(round);
  }
  Group& group = groups_[call.entry.group];
  call.entry.number = ++group.calls;
  last_ = call.entry;
  note("is in");
  if (!agree(call, group)) return false;
  const Entry& entry = call.entry;
  if (entry.kind == kBarrier) return true;  // the agreement is one
  if (entry.kind == kNewGroup) return make_group(call, group);
  std::vector<int> places;
  int total = call.count;
  if (!call.counts.empty()) {
    total = 0;
    for (const int count : call.counts) places.push_back(total), total += count;
  }
  if (total == 0) return true;
  const MPI_Datatype type = types[entry.dtype];
  const MPI_Op op = (type == MPI_FLOAT || type == MPI_DOUBLE ? float_operations : operations)[entry.operation];
  const void* const send = call.send == call.receive ? MPI_IN_PLACE : call.send;
  MPI_Request request = MPI_REQUEST_NULL;
  int status = MPI_SUCCESS;
  if (entry.kind == kAllReduce) status = MPI_Iallreduce(send, call.receive, call.count, type, op, group.comm, &request);
  else if (entry.kind == kReduceScatter)
    status = MPI_Ireduce_scatter(call.send, call.receive, call.counts.data(), type, op, group.comm, &request);
  else if (entry.kind == kBroadcast)
    status = MPI_Ibcast(call.receive, call.count, type, entry.root, group.comm, &request);
  else if (call.counts.empty())
    status = MPI_Iallgather(call.send, call.count, type, call.receive, call.count, type, group.comm, &request);
  else
    status = MPI_Iallgatherv(call.send, call.count, type, call.receive, call.counts.data(), places.data(), type,
                             group.comm, &request);
  if (!succeeds(status, entry) || !finish(request, call, group, false)) return false;
  if (entry.operation == kMean && (entry.kind == kAllReduce || entry.kind == kReduceScatter)) divide(call);
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
  groups_.push_back(made);
  return succeeds(status, call.entry);
}

void Lane::divide(const Call& call) const {
  const auto by = groups_[call.entry.group].ranks.size();
  const int count = call.entry.kind == kAllReduce ? call.count : call.counts[0];
  const auto each = [&](auto* x) {
    for (int i = 0; i < count; i++) x[i] /= static_cast<std::remove_reference_t<decltype(*x)>>(by);
  };
  if (types[call.entry.dtype] == MPI_FLOAT) each(static_cast<float*>(call.receive));
  else each(static_cast<double*>(call.receive));
}

// Whether all ranks have made the same call: two numbers that both are least where they are equal.
bool Lane::agree(Call& call, Group& group) {
  const uint64_t own = hash(call.entry);
  uint64_t least[2] = {own, ~own};
  MPI_Request request;
  if (!succeeds(MPI_Iallreduce(MPI_IN_PLACE, least, 2, MPI_UINT64_T, MPI_MIN, group.comm, &request), call.entry) ||
      !finish(request, call, group, true))
    return false;
  if (least[0] == own && least[1] == ~own && least[0] == ~least[1]) return true;
  std::vector<Entry> all(group.ranks.size());
  if (!succeeds(MPI_Iallgather(&call.entry, sizeof(Entry), MPI_BYTE, all.data(), sizeof(Entry), MPI_BYTE, group.comm,
                               &request),
                call.entry) ||
      !finish(request, call, group, true))
    return false;
  std::string text = "the ranks have called different collectives:";
  std::vector<bool> is_named(all.size());
  for (size_t i = 0; i < all.size(); i++) {
    if (is_named[i]) continue;
    std::vector<int> alike;
    for (size_t j = i; j < all.size(); j++)
      if (hash(all[j]) == hash(all[i])) alike.push_back(group.ranks[j]), is_named[j] = true;
    text += "\n  " + list(alike) + ": " + all[i].text();
  }
  fail(text);
  return false;
}

// Waits for a request, and hears meanwhile what becomes of the other ranks.
bool Lane::finish(MPI_Request request, const Call& call, const Group& group, bool is_agreement) {
  const auto start = Clock::now();
  auto left = start;
  int leaver = -1;
  bool has_told = false;
  for (int round = 0;; round++) {
    int done;
    if (!succeeds(MPI_Test(&request, &done, MPI_STATUS_IGNORE), call.entry)) return false;
    if (done) return true;
    if (exit_code_ != 0) return false;
    pause(round);
    if (round % 256 != 255) continue;
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
  const auto is_sent = [](Notice& notice) {
    int done;
    MPI_Testall(static_cast<int>(notice.requests.size()), notice.requests.data(), &done, MPI_STATUSES_IGNORE);
    return done != 0;
  };
  while (!told_.empty() && is_sent(told_.front())) told_.pop_front();
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
