// One table of kernels per instruction set; `kernels` points to the best that this processor runs.
#pragma once

namespace avx512 {
#include "../include/evenkeel.h"
}

struct KernelTable {
#define EK_FUNCTION(name) decltype(&avx512::name) name;
#include "../generated/functions.inc"
#undef EK_FUNCTION
};

extern const KernelTable* kernels;
