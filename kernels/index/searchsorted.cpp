// Where values belong in sorted ones: a binary search for each, with PyTorch's comparisons (BucketizationUtils.h),
// which say where NaN goes.
#include "types.h"

namespace EK_ISA {

template <class T>
static void search(const T* sorted, int step, const int64_t* order, const T* values, int64_t* out, int rows, int n,
                   int count, bool right) {
  parallel_blocks(rows * count, 1024, [=](int begin, int end) {
    for (int i = begin; i < end; i++) {
      const ptrdiff_t row = static_cast<ptrdiff_t>(i / count) * step;
      const T value = values[i];
      int low = 0, high = n;
      while (low < high) {
        const int middle = low + (high - low) / 2;
        const T at = sorted[row + (order ? order[row + middle] : middle)];
        if (right ? !(at > value) : !(at >= value)) low = middle + 1;
        else high = middle;
      }
      out[i] = low;
    }
  });
}

EK_API int ek_searchsorted(int dtype, const void* sorted, int step, const void* order, const void* values, void* out,
                           int rows, int n, int count, int right) {
  if (rows == 0 || count == 0) return EK_OK;
  if (order)
    for (ptrdiff_t i = 0, all = step == 0 ? n : static_cast<ptrdiff_t>(rows) * n; i < all; i++) {
      const int64_t at = static_cast<const int64_t*>(order)[i];
      if (at < 0 || at >= n) return EK_BAD_INDEX;
    }
  if (dtype == EK_BOOL) dtype = EK_UINT8;
  EK_DISPATCH_NUMBER(dtype,
                     search(static_cast<const T*>(sorted), step, static_cast<const int64_t*>(order),
                            static_cast<const T*>(values), static_cast<int64_t*>(out), rows, n, count, right != 0);)
  return EK_OK;
}

}  // namespace EK_ISA
