// Walks the elements of a dense output and of N strided operands of the same shape in chunks, so that binary and where
// need only loops over operands that are dense or constant.
#pragma once
#include "types.h"

namespace EK_ISA {

constexpr int max_axes = 16;         // after merging; EK_BAD_ARGUMENT beyond
constexpr int chunk_elements = 512;  // elements gathered at once from an operand with other strides
constexpr int short_row = 64;        // rows shorter than this are gathered together

// One operand of a walk.
struct strided {
  const char* data;
  int ndim;
  const int* shape;
  const int64_t* strides;

  // Elements first … first + count − 1, the first of which is at `offset`.
  template <class T> void gather(int64_t offset, int first, int count, char* to) const {
    T* out = reinterpret_cast<T*>(to);
    const int row = shape[ndim - 1];
    const int64_t step = strides[ndim - 1];
    // An odometer over the outer axes; dividing for every row would cost more than a short row itself.
    int index[max_axes];
    for (int axis = ndim - 1, i = first; axis >= 0; i /= shape[axis--]) index[axis] = axis > 0 ? i % shape[axis] : i;
    const T* from = reinterpret_cast<const T*>(data) + offset;
    for (int left = count;;) {
      const int run = row - index[ndim - 1] < left ? row - index[ndim - 1] : left;
      if (step == 1) {
        for (int j = 0; j < run; j++) out[j] = from[j];
      } else {
        for (int j = 0; j < run; j++) out[j] = from[j * step];
      }
      out += run;
      left -= run;
      if (left == 0) return;
      from -= index[ndim - 1] * step;
      index[ndim - 1] = 0;
      for (int axis = ndim - 2;; axis--) {
        from += strides[axis];
        if (++index[axis] < shape[axis]) break;
        from -= strides[axis] * shape[axis];
        index[axis] = 0;
      }
    }
  }
};

template <int N> struct broadcast {
  const char* data[N];
  int size[N];  // bytes of an element
  int ndim = 0;
  int shape[max_axes];
  int64_t strides[N][max_axes];
  bool dense[N], constant[N];  // over the whole shape

  // Drops axes of length 1 and merges neighbours that all operands walk as one. False: too many axes are left.
  bool init(int axes, const int* full_shape, const int* const (&full_strides)[N]) {
    for (int axis = 0; axis < axes; axis++) {
      const int length = full_shape[axis];
      if (length == 1) continue;
      bool merge = ndim > 0;
      for (int k = 0; k < N; k++)
        merge = merge && strides[k][ndim - 1] == static_cast<int64_t>(full_strides[k][axis]) * length;
      if (merge) {
        shape[ndim - 1] *= length;
      } else {
        if (ndim == max_axes) return false;
        shape[ndim++] = length;
      }
      for (int k = 0; k < N; k++) strides[k][ndim - 1] = full_strides[k][axis];
    }
    if (ndim == 0) {
      shape[ndim++] = 1;
      for (int k = 0; k < N; k++) strides[k][0] = 1;
    }
    for (int k = 0; k < N; k++) {
      dense[k] = constant[k] = true;
      for (int64_t axis = ndim - 1, step = 1; axis >= 0; step *= shape[axis--]) {
        dense[k] = dense[k] && strides[k][axis] == step;
        constant[k] = constant[k] && strides[k][axis] == 0;
      }
    }
    return true;
  }

  int elements() const {
    int n = 1;
    for (int axis = 0; axis < ndim; axis++) n *= shape[axis];
    return n;
  }

  // body(pointers[N], steps[N], begin, count): elements begin … begin + count − 1 of the output; step 0: one value for
  // all.
  template <class F> void run(const F& body) const {
    parallel_blocks(elements(), tile_elements, [&](int begin, int end) {
      alignas(64) char buffers[N][chunk_elements * 8];
      const int row = shape[ndim - 1];
      for (int i = begin; i < end;) {
        const int column = i % row;
        const bool gather_rows = row < short_row;
        int count = gather_rows || end - i < row - column ? end - i : row - column;
        bool direct[N];
        for (int k = 0; k < N; k++) {
          const int64_t step = strides[k][ndim - 1];
          direct[k] = dense[k] || constant[k] || (!gather_rows && (step == 0 || step == 1));
          if (!direct[k] && count > chunk_elements) count = chunk_elements;
        }
        const char* pointers[N];
        int steps[N];
        for (int k = 0; k < N; k++) {
          if (direct[k]) {
            pointers[k] = data[k] + offset(k, i) * size[k];
            steps[k] = constant[k] ? 0 : dense[k] ? 1 : static_cast<int>(strides[k][ndim - 1]);
          } else {
            gather(k, i, count, buffers[k]);
            pointers[k] = buffers[k];
            steps[k] = 1;
          }
        }
        body(pointers, steps, i, count);
        i += count;
      }
    });
  }

 private:
  int64_t offset(int k, int i) const {
    int64_t sum = 0;
    for (int axis = ndim - 1; axis > 0; axis--) {
      sum += strides[k][axis] * (i % shape[axis]);
      i /= shape[axis];
    }
    return sum + strides[k][0] * i;
  }

  void gather(int k, int first, int count, char* to) const {
    const strided from{data[k], ndim, shape, strides[k]};
    switch (size[k]) {
      case 1: return from.gather<uint8_t>(offset(k, first), first, count, to);
      case 2: return from.gather<uint16_t>(offset(k, first), first, count, to);
      case 4: return from.gather<uint32_t>(offset(k, first), first, count, to);
      default: return from.gather<uint64_t>(offset(k, first), first, count, to);
    }
  }
};

}  // namespace EK_ISA
