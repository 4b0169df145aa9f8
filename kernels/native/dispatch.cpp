// Chooses, when the addon is loaded, the build of the kernels for this processor. EVENKEEL_ISA=baseline|avx2|avx512
// restricts the choice, so that every build can be tested on one machine.
#include "dispatch.h"

#include <cstdlib>
#include <cstring>

namespace baseline {
#include "../include/evenkeel.h"
}
namespace avx2 {
#include "../include/evenkeel.h"
}
namespace neon {
#include "../include/evenkeel.h"
}

namespace {
#if defined(__x86_64__)
const KernelTable baseline_table = {
#define EK_FUNCTION(name) &baseline::name,
#include "../generated/functions.inc"
#undef EK_FUNCTION
};
const KernelTable avx2_table = {
#define EK_FUNCTION(name) &avx2::name,
#include "../generated/functions.inc"
#undef EK_FUNCTION
};
const KernelTable avx512_table = {
#define EK_FUNCTION(name) &avx512::name,
#include "../generated/functions.inc"
#undef EK_FUNCTION
};

const KernelTable* choose() {
  const char* wanted = std::getenv("EVENKEEL_ISA");
  const bool any = !wanted || !*wanted;
  __builtin_cpu_init();
  if ((any || !std::strcmp(wanted, "avx512")) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return &avx512_table;
  if ((any || std::strcmp(wanted, "baseline")) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return &avx2_table;
  return &baseline_table;
}
#elif defined(__aarch64__)
const KernelTable neon_table = {
#define EK_FUNCTION(name) &neon::name,
#include "../generated/functions.inc"
#undef EK_FUNCTION
};
const KernelTable* choose() { return &neon_table; }
#else
const KernelTable baseline_table = {
#define EK_FUNCTION(name) &baseline::name,
#include "../generated/functions.inc"
#undef EK_FUNCTION
};
const KernelTable* choose() { return &baseline_table; }
#endif
}  // namespace

const KernelTable* kernels = choose();
