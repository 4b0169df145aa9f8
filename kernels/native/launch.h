// Kernels run in the order of their launch, beside the JavaScript that launches the next ones. With one thread there is
// nothing to run beside: they run at once.
#pragma once
#include <cstdint>

using KernelCall = int (*)(const double* arguments);
constexpr int kMaxArguments = 24;

// Returns the status of a kernel that is awaited, or has run at once; else EK_OK. `name` and `call` must live on;
// `arguments` are copied.
int launch(const char* name, KernelCall call, const double* arguments, int count, bool is_awaited);
// The number of launches so far.
uint64_t launched();
// How many of them have run.
uint64_t done();
// Returns once so many of them have run.
void finish(uint64_t launches);
// A kernel that nobody awaited and that did not return EK_OK, once.
struct Refusal {
  const char* name;
  int status;
};
Refusal take_refusal();
