// Cuts the scratch memory that the caller gives into parts. The same code computes its size (with a null base) and
// hands out the parts, so the two cannot disagree.
#pragma once
#include "simd/vec.h"

namespace EK_ISA {
class Scratch {
 public:
  explicit Scratch(void* base) : base_(base ? (reinterpret_cast<uintptr_t>(base) + 63) & ~uintptr_t{63} : 0) {}
  // A part of `count` elements, aligned to a cache line.
  template <class T> T* take(size_t count) {
    T* part = reinterpret_cast<T*>(base_ + used_);
    used_ += (count * sizeof(T) + 63) & ~size_t{63};
    return part;
  }
  // The bytes that the caller must give: what was taken, and room to align the base. −1: too many for an int.
  int bytes() const { return used_ + 64 > 0x7fffffff ? -1 : static_cast<int>(used_ + 64); }

 private:
  uintptr_t base_;
  size_t used_ = 0;
};
}  // namespace EK_ISA
