// Launches of kernels. Kernels run in the order of their launch, while JavaScript goes on and launches the next ones.
// With one thread a kernel runs at once.
#pragma once
#include <cstdint>

using KernelCall = int (*)(const double* arguments);
constexpr int kMaxArguments = 24;

// Returns the status of a kernel that is awaited or runs at once, otherwise EK_OK. `name` and `call` must live until
// the kernel has run; `arguments` are copied.
int launch(const char* name, KernelCall call, const double* arguments, int count, bool is_awaited);
// The number of launches so far.
uint64_t launched();
// The number of launches that have run.
uint64_t done();
// Returns when so many launches have run.
void finish(uint64_t launches);
// A kernel that nobody awaited and that did not return EK_OK. take_refusal() returns the first one, and forgets it.
struct Refusal {
  const char* name;
  int status;
};
Refusal take_refusal();
// Waits within a launch for what another thread does, and lets JavaScript, which would spin, sleep meanwhile. `wait`
// returns when the other thread has come to a place, from 1; false: it never will.
using WaitForPlace = bool (*)(uint64_t place);
bool wait_elsewhere(WaitForPlace wait, uint64_t place);
