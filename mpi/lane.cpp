#include "lane.h"

#include <sched.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>

namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

constexpr int kNotice = 7;               // the tag of notices
constexpr double kSilence = 1;           // seconds that a rank waits before it tells the others
constexpr double kGrace = 5;             // seconds that JavaScript has to end the process after an error
constexpr int kEager = 2000;             // tests of a request before the processor is given to others
constexpr int kPatient = kEager + 2000;  // and before the thread sleeps between tests

const char* const kind_names[] = {"allReduce", "allGather", "reduceScatter",      "broadcast",
                                  "barrier",   "newGroup",  "destroyProcessGroup"};
const char* const dtype_names[] = {"float32", "float64", "int32", "int64", "uint8", "bool"};
const char* const operation_names[] = {"sum", "mean", "min", "max", "product"};
const MPI_Datatype types[] = {MPI_FLOAT, MPI_DOUBLE, MPI_INT32_T, MPI_INT64_T, MPI_UINT8_T, MPI_UINT8_T};
const MPI_Op operations[] = {MPI_SUM, MPI_SUM, MPI_MIN, MPI_MAX, MPI_PROD};

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

void Lane::start(double timeout, uint64_t (*kernels_done)()) {
  timeout_ = timeout;
  kernels_done_ = kernels_done;
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
  for (int i = 0; i < kEager && completed() < place && !has_failed(); i++) {}
  std::unique_lock<std::mutex> lock(mutex_);
  progressed_.wait(lock, [&] { return completed() >= place || has_failed(); });
  return completed() >= place;
}

std::string Lane::error() {
  taken_ = true;
  std::lock_guard<std::mutex> lock(mutex_);
  return error_;
}

void Lane::end() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ending_ = true;
    queued_.notify_one();
  }
  thread_.join();
}

// ---- the lane's own thread ------------------------------------------------------------------------------------------

void Lane::open() {
  int provided;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  MPI_Comm local;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &local);
  MPI_Comm_rank(local, &local_rank);
  MPI_Comm_size(local, &local_size);
  MPI_Comm_free(&local);
  char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length;
  MPI_Get_library_version(text, &length);
  version.assign(text, length);
  version.resize(version.find_first_of(",\n") == std::string::npos ? version.size() : version.find_first_of(",\n"));
  Group world;
  MPI_Comm_dup(MPI_COMM_WORLD, &world.comm);
  MPI_Comm_dup(MPI_COMM_WORLD, &notices_);
  for (int i = 0; i < size; i++) world.ranks.push_back(i);
  groups_.push_back(world);
  heard_.resize(size);
  is_crowded_ = local_size > sysconf(_SC_NPROCESSORS_ONLN);
}

void Lane::loop() {
  open();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    opened_ = true;
    progressed_.notify_all();
  }
  for (bool is_open = true; is_open;) {
    std::unique_ptr<Call> call;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      // A rank that computes for long still hears what the others say.
      queued_.wait(lock, [this] { return !queue_.empty() || ending_; });
      if (queue_.empty()) break;
      call = std::move(queue_.front());
      queue_.pop_front();
    }
    const bool is_last = call->entry.kind == kDestroy;
    if (!carry_out(*call)) break;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      completed_.fetch_add(1, std::memory_order_release);
      progressed_.notify_all();
    }
    is_open = !is_last;
  }
  int is_finalized;
  MPI_Finalized(&is_finalized);
  if (is_finalized) return;
  if (!has_failed()) {  // the process ends without destroyProcessGroup: others may wait for it
    Entry goodbye = last_;
    goodbye.is_goodbye = 1;
    tell(goodbye, groups_[0].ranks);
    MPI_Request request;
    MPI_Ibarrier(notices_, &request);
    const auto start = Clock::now();
    for (int done = 0; !done && seconds_since(start) < timeout_;) {
      MPI_Test(&request, &done, MPI_STATUS_IGNORE);
      if (!done) pause(kPatient);
      else {
        hear();
        MPI_Finalize();
        return;
      }
    }
    std::fprintf(stderr,
                 "rank %d has ended without destroyProcessGroup(), and the others have not; its last call was %s\n",
                 rank, last_.text().c_str());
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  // JavaScript throws the error; where it is busy or hangs, the job ends from here.
  const auto start = Clock::now();
  while (!taken_ && !ending_ && seconds_since(start) < kGrace) pause(kPatient);
  if (!taken_) std::fprintf(stderr, "%s\n", error_.c_str());
  const auto taken = Clock::now();
  while (!ending_ && seconds_since(taken) < kGrace) pause(kPatient);
  std::fflush(stderr);
  MPI_Abort(MPI_COMM_WORLD, 1);
}

void Lane::fail(const std::string& text) {
  std::lock_guard<std::mutex> lock(mutex_);
  error_ = text;
  failed_.store(true, std::memory_order_release);
  progressed_.notify_all();
}

void Lane::pause(int round) const {
  if (round < kEager && !is_crowded_) return;
  if (round < kPatient) {
    sched_yield();
    return;
  }
  usleep(50);
}

bool Lane::carry_out(Call& call) {
  for (int round = 0; kernels_done_ && kernels_done_() < call.after; round++) pause(round);
  Group& group = groups_[call.entry.group];
  call.entry.number = ++group.calls;
  last_ = call.entry;
  if (!agree(call, group)) return false;
  const MPI_Datatype type = types[call.entry.dtype];
  const MPI_Op op = operations[call.entry.operation];
  const void* const send = call.send == call.receive ? MPI_IN_PLACE : call.send;
  MPI_Request request = MPI_REQUEST_NULL;
  std::vector<int> places;
  for (int total = 0, i = 0; i < static_cast<int>(call.counts.size()); total += call.counts[i++])
    places.push_back(total);
  switch (call.entry.kind) {
    case kAllReduce: MPI_Iallreduce(send, call.receive, call.count, type, op, group.comm, &request); break;
    case kAllGather:
      if (call.counts.empty())
        MPI_Iallgather(call.send, call.count, type, call.receive, call.count, type, group.comm, &request);
      else
        MPI_Iallgatherv(call.send, call.count, type, call.receive, call.counts.data(), places.data(), type, group.comm,
                        &request);
      break;
    case kReduceScatter:
      MPI_Ireduce_scatter(call.send, call.receive, call.counts.data(), type, op, group.comm, &request);
      break;
    case kBroadcast: MPI_Ibcast(call.receive, call.count, type, call.entry.root, group.comm, &request); break;
    case kBarrier: break;  // the agreement is one
    case kNewGroup: make_group(call, group); return true;
    case kDestroy:
      hear();
      MPI_Finalize();
      return true;
  }
  if (!finish(request, call, group, false)) return false;
  if (call.entry.operation == kMean && (call.entry.kind == kAllReduce || call.entry.kind == kReduceScatter))
    scale(call);
  return true;
}

void Lane::make_group(Call& call, Group& world) {
  Group made;
  MPI_Group all, part;
  MPI_Comm_group(world.comm, &all);
  MPI_Group_incl(all, static_cast<int>(call.ranks.size()), call.ranks.data(), &part);
  MPI_Comm_create(world.comm, part, &made.comm);
  MPI_Group_free(&all), MPI_Group_free(&part);
  made.ranks = call.ranks;
  groups_.push_back(made);
}

void Lane::scale(const Call& call) const {
  const double by = 1.0 / static_cast<double>(groups_[call.entry.group].ranks.size());
  const int count = call.entry.kind == kAllReduce ? call.count : call.counts[0];
  if (call.entry.dtype == 0) {
    auto* x = static_cast<float*>(call.receive);
    for (int i = 0; i < count; i++) x[i] = static_cast<float>(x[i] * by);
  } else {
    auto* x = static_cast<double*>(call.receive);
    for (int i = 0; i < count; i++) x[i] *= by;
  }
}

// Whether all ranks have made the same call: two numbers that both are least where they are equal.
bool Lane::agree(Call& call, Group& group) {
  const uint64_t own = hash(call.entry);
  uint64_t least[2] = {own, ~own};
  MPI_Request request;
  MPI_Iallreduce(MPI_IN_PLACE, least, 2, MPI_UINT64_T, MPI_MIN, group.comm, &request);
  if (!finish(request, call, group, true)) return false;
  if (least[0] == own && least[1] == ~own && least[0] == ~least[1]) return true;
  std::vector<Entry> all(group.ranks.size());
  MPI_Allgather(&call.entry, sizeof(Entry), MPI_BYTE, all.data(), sizeof(Entry), MPI_BYTE, group.comm);
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
  bool has_told = false;
  for (int round = 0;; round++) {
    int done;
    MPI_Test(&request, &done, MPI_STATUS_IGNORE);
    if (done) return true;
    pause(round);
    if (round % 256 != 255) continue;
    hear();
    for (const int other : group.ranks)
      if (is_agreement && heard_[other].is_goodbye) {
        fail("rank " + std::to_string(other) + " has ended, and " + call.entry.text() +
             " waits for it; its last call was " + heard_[other].text());
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
  for (const int other : group.ranks) {
    if (other == rank) continue;
    const Entry& entry = heard_[other];
    if (entry.number == call.entry.number && entry.group == call.entry.group) present.push_back(other);
    else missing.push_back(other);
    if (entry.number > 0 && entry.group != call.entry.group && !entry.is_goodbye)
      elsewhere += "\n  rank " + std::to_string(other) + " waits in " + entry.text();
  }
  char span[32];
  std::snprintf(span, sizeof span, "%g s", timeout_);
  std::string text = call.entry.text() + " has not been completed within " + span + ": ";
  if (missing.empty()) return text + "all ranks have called it, and the connection does not answer";
  present.push_back(rank);
  return text + list(missing) + (missing.size() == 1 ? " has" : " have") + " not called it, " + list(present) +
         (present.size() == 1 ? " waits" : " wait") + elsewhere;
}

void Lane::tell(const Entry& entry, const std::vector<int>& ranks) {
  told_.push_back(entry);
  for (const int other : ranks) {
    if (other == rank) continue;
    MPI_Request request;
    MPI_Isend(&told_.back(), sizeof(Entry), MPI_BYTE, other, kNotice, notices_, &request);
    MPI_Request_free(&request);
  }
}

void Lane::hear() {
  for (int is_there = 1; is_there;) {
    MPI_Status status;
    MPI_Iprobe(MPI_ANY_SOURCE, kNotice, notices_, &is_there, &status);
    if (is_there)
      MPI_Recv(&heard_[status.MPI_SOURCE], sizeof(Entry), MPI_BYTE, status.MPI_SOURCE, kNotice, notices_,
               MPI_STATUS_IGNORE);
  }
}
