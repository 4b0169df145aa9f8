// There is one table of kernels for each instruction set. `kernels` points to the best one that this processor can run.
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
