// PyTorch's generator for the cpu, MT19937 (Matsumoto and Nishimura 1998). The words of a block follow from those of
// the block before; each is tempered when it is drawn. A saved generator is a block and the number of its words that
// have been drawn.
#pragma once
#include "kernel.h"

namespace EK_ISA {

constexpr int kBlock = 624, kShift = 397;
using word = uint32_t;
constexpr int kPadded = kBlock + 16;  // vectors may reach behind the end of a block

// Computes the block `next` from the block `last`, which gets one more word behind its end.
inline void twist(word* last, word* next) {
  constexpr int L = lanes<word>, first = kBlock - kShift;
  const auto twisted = [&](int i, const word* partner) {
    const vec<word> following = load(last + i + 1);
    const vec<word> mixed = (load(last + i) & 0x80000000u) | (following & 0x7fffffffu);
    store(next + i, load(partner) ^ (mixed >> 1) ^ ((vec<word>{} - (following & 1u)) & 0x9908b0dfu));
  };
  for (int i = 0; i < first; i += L) twisted(i, last + i + kShift);
  last[kBlock] = next[0];
  for (int i = first; i < kBlock; i += L) twisted(i, next + i - first);
}

EK_INLINE vec<word> tempered(vec<word> y) {
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

// Blocks in their order.
class Blocks {
  alignas(64) word words_[2][kPadded] = {};
  int present_ = 0;

 public:
  explicit Blocks(const word* block) { __builtin_memcpy(words_[0], block, kBlock * sizeof(word)); }
  const word* words() const { return words_[present_]; }
  void next() {
    twist(words_[present_], words_[1 - present_]);
    present_ = 1 - present_;
  }
  void save(word* block) const { __builtin_memcpy(block, words(), kBlock * sizeof(word)); }
};

// What is drawn from a block on, of which `used` words have been drawn.
class Stream {
  Blocks blocks_;
  alignas(64) word drawn_[kBlock];
  int used_;
  void temper() {
    for (int i = 0; i < kBlock; i += lanes<word>) store(drawn_ + i, tempered(load(blocks_.words() + i)));
  }

 public:
  Stream(const word* block, int used) : blocks_(block), used_(used) { temper(); }
  void take(word* out, int count) {
    while (count > 0) {
      if (used_ == kBlock) {
        blocks_.next();
        temper();
        used_ = 0;
      }
      const int some = count < kBlock - used_ ? count : kBlock - used_;
      __builtin_memcpy(out, drawn_ + used_, static_cast<size_t>(some) * sizeof(word));
      out += some, used_ += some, count -= some;
    }
  }
  int used() const { return used_; }
  void save(word* block) const { blocks_.save(block); }
};

constexpr int kTile = 1 << 14, kMostTiles = 256;
// n elements in tiles of a multiple of 16: of so many.
inline int drawn_at_once(int n) {
  const int least = ceil_div(ceil_div(n, kMostTiles), 16) * 16;
  return least > kTile ? least : kTile;
}
inline int tiles_of(int n) { return ceil_div(n, drawn_at_once(n)); }

// Draws `each` words for every one of n elements: calls fill(stream, begin, end) for parts of them. Returns how many
// words of the block that `state` holds then have been drawn. With several threads one walk finds the blocks at which
// the tiles begin, which takes a fraction of the time of the rest.
template <class F> int draw(word* state, int used, int each, int n, void* scratch, const F& fill) {
  if (n == 0) return used;
  const int size = drawn_at_once(n), tiles = ceil_div(n, size);
  if (tiles == 1 || worker_count() == 1) {
    Stream stream(state, used);
    fill(stream, 0, n);
    stream.save(state);
    return stream.used();
  }
  word* const starts = static_cast<word*>(scratch);
  const auto place = [=](int element) { return used + static_cast<int64_t>(element) * each; };
  Blocks blocks(state);
  int64_t block = 0;
  const auto walk = [&](int64_t to) {
    for (; block < to; block++) blocks.next();
  };
  for (int tile = 0; tile < tiles; tile++) {
    walk(place(tile * size) / kBlock);
    blocks.save(starts + tile * kBlock);
  }
  const int64_t last = (place(n) - 1) / kBlock;
  walk(last);
  blocks.save(state);
  parallel_for(tiles, [&](int tile, int) {
    const int begin = tile * size, end = n - begin < size ? n : begin + size;
    Stream stream(starts + tile * kBlock, static_cast<int>(place(begin) % kBlock));
    fill(stream, begin, end);
  });
  return static_cast<int>(place(n) - last * kBlock);
}

}  // namespace EK_ISA
