// Windows of planes as columns (im2col), and the sums of columns back into planes (col2im). A plane is (H, W), its
// columns are (KH, KW, OH, OW). Each row of a result is written by one thread, and sums have the order of the window's
// elements, so they do not depend on the threads.
#include "simd/copy.h"
#include "types.h"

namespace EK_ISA {
namespace {

struct WindowAxis {
  int size, out, kernel, stride, padding, dilation;
  // Where the element k of the window at position 0 reads.
  int start(int k) const { return k * dilation - padding; }
  // The positions first … stop − 1 read inside of the plane with the element k of their windows.
  int first(int k) const {
    const int at = start(k);
    return at >= 0 ? 0 : limited((-at + stride - 1) / stride);
  }
  int stop(int k) const {
    const int left = size - start(k);
    return left <= 0 ? 0 : limited((left + stride - 1) / stride);
  }
  int limited(int position) const { return position < out ? position : out; }
  // The position whose window reads i with its element k; −1: none.
  int reader(int i, int k) const {
    const int at = i - start(k);
    return at < 0 || at % stride != 0 || at / stride >= out ? -1 : at / stride;
  }
};

struct Geometry {
  int planes;
  WindowAxis height, width;
  explicit Geometry(const int* g)
      : planes(g[0]), height{g[1], g[3], g[5], g[7], g[9], g[11]}, width{g[2], g[4], g[6], g[8], g[10], g[12]} {}
};

int rows_of(int length) { return length < tile_elements ? tile_elements / length : 1; }

template <class T> void unfold(const Geometry& g, const T* x, T* columns) {
  const WindowAxis height = g.height, width = g.width;
  parallel_blocks(g.planes * height.kernel * width.kernel * height.out, rows_of(width.out), [=](int begin, int end) {
    for (int row = begin; row < end; row++) {
      const int oy = row % height.out, window = row / height.out;
      const int kj = window % width.kernel, ki = window / width.kernel % height.kernel;
      const ptrdiff_t plane = window / width.kernel / height.kernel;
      T* const to = columns + static_cast<ptrdiff_t>(row) * width.out;
      const int first = width.first(kj), stop = width.stop(kj), y = oy * height.stride + height.start(ki);
      if (y < 0 || y >= height.size || first >= stop) {
        zero_run(to, width.out);
        continue;
      }
      const T* const from = x + (plane * height.size + y) * width.size;
      zero_run(to, first);
      if (width.stride == 1) copy_run(to + first, from + first + width.start(kj), stop - first);
      else
        for (int ox = first; ox < stop; ox++) to[ox] = from[ox * width.stride + width.start(kj)];
      zero_run(to + stop, width.out - stop);
    }
  });
}

template <class T> void fold(const Geometry& g, const T* columns, T* y) {
  const WindowAxis height = g.height, width = g.width;
  parallel_blocks(g.planes * height.size, rows_of(width.size), [=](int begin, int end) {
    for (int row = begin; row < end; row++) {
      const int i = row % height.size;
      const ptrdiff_t plane = row / height.size;
      T* const to = y + static_cast<ptrdiff_t>(row) * width.size;
      zero_run(to, width.size);
      for (int ki = 0; ki < height.kernel; ki++) {
        const int oy = height.reader(i, ki);
        if (oy < 0) continue;
        for (int kj = 0; kj < width.kernel; kj++) {
          const int first = width.first(kj), stop = width.stop(kj);
          if (first >= stop) continue;
          const T* const from = columns +
                                (((plane * height.kernel + ki) * width.kernel + kj) * height.out + oy) * width.out;
          if (width.stride == 1) add_run(to + first + width.start(kj), from + first, stop - first);
          else
            for (int ox = first; ox < stop; ox++) to[ox * width.stride + width.start(kj)] += from[ox];
        }
      }
    }
  });
}

}  // namespace

EK_API int ek_unfold(int dtype, const int* geometry, const void* x, void* columns) {
  const Geometry g(geometry);
  EK_DISPATCH_FLOAT(dtype, unfold(g, static_cast<const T*>(x), static_cast<T*>(columns));)
  return EK_OK;
}

EK_API int ek_fold(int dtype, const int* geometry, const void* columns, void* y) {
  const Geometry g(geometry);
  EK_DISPATCH_FLOAT(dtype, fold(g, static_cast<const T*>(columns), static_cast<T*>(y));)
  return EK_OK;
}

}  // namespace EK_ISA
