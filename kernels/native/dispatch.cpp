// Chooses the instruction set when the addon is loaded: the best one that the addon was built with (EK_WITH_…) and that
// this processor has. EVENKEEL_ISA=baseline|avx2|avx512 asks for one of them, so that all can be tested on one machine.
#include "dispatch.h"

#include <cstdlib>
#include <cstring>

#define EK_FUNCTION(name) &EK_NAMESPACE::name,

#ifdef EK_WITH_BASELINE
#define EK_NAMESPACE baseline
namespace baseline {
#include "../include/evenkeel.h"
}
static const KernelTable baseline_table = {
#include "../generated/functions.inc"
};
#undef EK_NAMESPACE
#endif

#ifdef EK_WITH_AVX2
#define EK_NAMESPACE avx2
namespace avx2 {
#include "../include/evenkeel.h"
}
static const KernelTable avx2_table = {
#include "../generated/functions.inc"
};
#undef EK_NAMESPACE
#endif

#ifdef EK_WITH_AVX512
#define EK_NAMESPACE avx512
static const KernelTable avx512_table = {
#include "../generated/functions.inc"
};
#undef EK_NAMESPACE
#endif

#ifdef EK_WITH_NEON
#define EK_NAMESPACE neon
namespace neon {
#include "../include/evenkeel.h"
}
static const KernelTable neon_table = {
#include "../generated/functions.inc"
};
#undef EK_NAMESPACE
#endif

// Null if the addon has no kernels for this processor. Loading then fails with a message.
static const KernelTable* choose() {
  const char* wanted = std::getenv("EVENKEEL_ISA");
  [[maybe_unused]] const auto allowed = [&](const char* name) {
    return !wanted || !*wanted || !std::strcmp(wanted, name);
  };
#if defined(__x86_64__)
  __builtin_cpu_init();
#endif
#ifdef EK_WITH_AVX512
  if (allowed("avx512") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return &avx512_table;
#endif
#ifdef EK_WITH_AVX2
  if (allowed("avx2") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &avx2_table;
#endif
#ifdef EK_WITH_BASELINE
  if (allowed("baseline")) return &baseline_table;
#endif
#ifdef EK_WITH_NEON
  if (allowed("neon")) return &neon_table;
#endif
  return nullptr;
}

const KernelTable* kernels = choose();
