// Resampling images of bytes as PyTorch and Pillow do: the columns first, then the rows, with weights of 16 bits, and
// rounded to bytes after each. Sums are integers, so their order does not matter. Columns are added up for 16 rows at a
// time, whose bytes lie beside each other: lanes run along them.
#pragma once
#include "resample/taps.h"
#include "simd/interleave.h"

namespace EK_ISA {

class ByteResampling {
 public:
  ByteResampling(int outer, int height, int width, int inner, const AxisMap<double>& rows,
                 const AxisMap<double>& columns, void* base)
      : outer_(outer), height_(height), width_(width), inner_(inner), scratch_(base), rows_(rows, scratch_, !base),
        columns_(columns, scratch_, !base), pitch_(static_cast<ptrdiff_t>(worker_bytes())),
        gathered_(scratch_.take<uint8_t>(pitch_ * worker_count())),
        between_(
            scratch_.take<uint8_t>(is_wider() && is_higher() ? static_cast<size_t>(outer) * height * length() : 0)) {}
  int bytes() const { return scratch_.bytes(); }

  void run(const uint8_t* x, uint8_t* y) const {
    if (is_wider()) resample_columns(x, is_higher() ? between_ : y);
    if (is_higher()) resample_rows(is_wider() ? between_ : x, y);
    if (!is_wider() && !is_higher()) __builtin_memcpy(y, x, static_cast<size_t>(outer_) * height_ * length());
  }

 private:
  static constexpr int group = 16, L = lanes<int32_t>, vectors = group / L;
  using Bytes = uint8_t __attribute__((vector_size(group)));
  using Ints = vec<int32_t>;

  // Whether an axis has another size; otherwise nothing is done along it.
  bool is_wider() const { return columns_.n != width_; }
  bool is_higher() const { return rows_.n != height_; }
  int length() const { return columns_.n * inner_; }  // of a row of the result
  // 16 rows of x, and of the result, beside each other.
  size_t worker_bytes() const { return static_cast<size_t>(group) * (width_ + columns_.n) * inner_; }

  static EK_INLINE Ints load_bytes(const uint8_t* p) { return widen_bytes<int32_t>(p) & 255; }
  // Sums of weighted bytes as bytes.
  template <int n> static EK_INLINE void store_bytes(const Ints (&sums)[n], int bits, uint8_t* to) {
    alignas(64) int32_t rounded[n * L];
#pragma GCC unroll 16
    for (int v = 0; v < n; v++) {
      const Ints units = sums[v] >> bits, least = units < 0 ? Ints{} : units;
      store(rounded + v * L, least > 255 ? Ints{} + 255 : least);
    }
    for (int i = 0; i < n * L; i++) to[i] = static_cast<uint8_t>(rounded[i]);
  }
  // to = Σ weights·x over `count` of x, `step` apart, for n vectors.
  template <int n>
  static EK_INLINE void add_up(const uint8_t* x, ptrdiff_t step, const int* weights, int count, int bits, uint8_t* to) {
    Ints sums[n];
#pragma GCC unroll 16
    for (int v = 0; v < n; v++) sums[v] = Ints{} + (1 << bits >> 1);
    for (int k = 0; k < count; k++, x += step)
#pragma GCC unroll 16
      for (int v = 0; v < n; v++) sums[v] += load_bytes(x + v * L) * weights[k];
    store_bytes(sums, bits, to);
  }

  // 16 rows of 16 bytes, each at row(r), become 16 rows of their first, second, … bytes, at to(i).
  template <class F, class G> static EK_INLINE void transpose_bytes(const F& row, const G& to) {
    Bytes r[group];
#pragma GCC unroll 16
    for (int i = 0; i < group; i++) __builtin_memcpy(&r[i], row(i), group);
    deal_all<group, false>(r);
#pragma GCC unroll 16
    for (int i = 0; i < group; i++) __builtin_memcpy(to(i), &r[i], group);
  }

  void resample_columns(const uint8_t* x, uint8_t* y) const {
    const int from_length = width_ * inner_, to_length = length(), total = outer_ * height_;
    parallel_for(ceil_div(total, group), [&](int tile, int worker) {
      const int first = tile * group;
      uint8_t* const from = gathered_ + worker * pitch_;
      uint8_t* const to = from + group * from_length;
      // The rows of the tile; the last one again where there are fewer.
      const auto row = [&](int r) { return static_cast<ptrdiff_t>(first + r < total ? first + r : total - 1); };
      if (from_length >= group) {
        for (int begin = 0; begin < from_length; begin += group) {
          const int i = begin + group <= from_length ? begin : from_length - group;
          transpose_bytes([&](int r) { return x + row(r) * from_length + i; },
                          [&](int j) { return from + (i + j) * group; });
        }
      } else {
        for (int i = 0; i < from_length; i++)
          for (int r = 0; r < group; r++) from[i * group + r] = x[row(r) * from_length + i];
      }
      for (int j = 0; j < columns_.n; j++)
        for (int c = 0; c < inner_; c++)
          add_up<vectors>(from + (static_cast<ptrdiff_t>(columns_.first[j]) * inner_ + c) * group, group * inner_,
                          columns_.weight + static_cast<ptrdiff_t>(j) * columns_.most, columns_.count[j], columns_.bits,
                          to + (j * inner_ + c) * group);
      if (to_length >= group) {
        for (int begin = 0; begin < to_length; begin += group) {
          const int i = begin + group <= to_length ? begin : to_length - group;
          transpose_bytes([&](int j) { return to + (i + j) * group; },
                          [&](int r) { return y + row(r) * to_length + i; });
        }
      } else {
        for (int i = 0; i < to_length; i++)
          for (int r = 0; r < group; r++) y[row(r) * to_length + i] = to[i * group + r];
      }
    });
  }

  void resample_rows(const uint8_t* x, uint8_t* y) const {
    const int length = this->length(), total = outer_ * rows_.n;
    parallel_blocks(total, length < tile_elements ? tile_elements / length : 1, [&](int begin, int end) {
      for (int row = begin; row < end; row++) {
        const int i = row % rows_.n;
        const uint8_t* const from = x + (static_cast<ptrdiff_t>(row / rows_.n) * height_ + rows_.first[i]) * length;
        const int* const weights = rows_.weight + static_cast<ptrdiff_t>(i) * rows_.most;
        uint8_t* const to = y + static_cast<ptrdiff_t>(row) * length;
        const int count = rows_.count[i], bits = rows_.bits;
        int j = 0;
        for (; j + 4 * L <= length; j += 4 * L) add_up<4>(from + j, length, weights, count, bits, to + j);
        for (; j + L <= length; j += L) add_up<1>(from + j, length, weights, count, bits, to + j);
        if (j < length && length >= L) {
          j = length - L;
          add_up<1>(from + j, length, weights, count, bits, to + j);
          j = length;
        }
        for (; j < length; j++) {
          int sum = 1 << bits >> 1;
          for (int k = 0; k < count; k++) sum += from[static_cast<ptrdiff_t>(k) * length + j] * weights[k];
          sum >>= bits;
          to[j] = static_cast<uint8_t>(sum < 0 ? 0 : sum > 255 ? 255 : sum);
        }
      }
    });
  }

  int outer_, height_, width_, inner_;
  Scratch scratch_;
  ByteTaps rows_, columns_;
  ptrdiff_t pitch_;
  uint8_t *gathered_, *between_;
};

}  // namespace EK_ISA
