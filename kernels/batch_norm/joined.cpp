// The gradient of a norm's input, added to the gradient that other paths have brought to the same input, in one pass.
// For channels last; the other gradient may be a slice of the channels of a wider tensor.
#include "batch_norm/map.h"
#include "simd/strip.h"
#include "types.h"

namespace EK_ISA {

template <class T> struct Joined {
  const T *x, *dy, *norm, *plus;
  T* dx;
  int c;
  ptrdiff_t plus_pitch;

  template <bool relu, bool streams> void rows(int begin, int end) const {
    for (int r = begin; r < end; r++) {
      const ptrdiff_t at = static_cast<ptrdiff_t>(r) * c;
      const T* other = plus + r * plus_pitch;
      for_vectors<T>(0, c, [&](auto v) {
        const Coefficients<vec<T>> k = coefficients_at(norm, c, v.i, v.count);
        v.template write<streams>(dx + at,
                                  map_step<Map::training, relu>(v.read(x + at), v.read(dy + at), k) + v.read(other));
      });
    }
    if constexpr (streams) stream_fence();
  }
  template <bool relu> void run(int all) const {
    const bool streams = can_stream(dx, static_cast<int64_t>(all) * c, c);
    const int some = ceil_div(2 * tile_elements, c), blocks = ceil_div(all, some);
    // Blocks are visited from the last to the first: what the pass before this one has written last is still in a
    // cache.
    parallel_for(blocks, [&](int job, int) {
      const int begin = (blocks - 1 - job) * some, end = all - begin < some ? all : begin + some;
      if (streams) rows<relu, has_stream>(begin, end);
      else rows<relu, false>(begin, end);
    });
  }
};

int ek_batch_norm_backward_joined(int dtype, const void* x, const void* dy, int rows, int c, const void* norm, int relu,
                                  const void* plus, int plus_pitch, void* dx) {
  EK_DISPATCH_FLOAT(dtype, {
    const Joined<T> joined{static_cast<const T*>(x),
                           static_cast<const T*>(dy),
                           static_cast<const T*>(norm),
                           static_cast<const T*>(plus),
                           static_cast<T*>(dx),
                           c,
                           plus_pitch};
    if (relu) joined.template run<true>(rows);
    else joined.template run<false>(rows);
  })
  return EK_OK;
}

}  // namespace EK_ISA
