// What may decide about the order of additions: the lanes of a sum, a cut into parts, the choice of an algorithm. With
// fused multiply-adds it is the same for every instruction set, that of the widest vectors, and so all of them give the
// same bits. Without them results differ in any case, and a machine's own lanes are faster.
#pragma once
#include "simd/vec.h"

namespace EK_ISA {

constexpr int kOrderBytes = has_fused ? 64 : EK_VECTOR_BYTES;
template <class T> constexpr int order_lanes = kOrderBytes / static_cast<int>(sizeof(T));
constexpr int kOrderVectors = kOrderBytes / EK_VECTOR_BYTES;  // vectors that hold these lanes

}  // namespace EK_ISA
