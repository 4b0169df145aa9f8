// Padding along up to three axes at once, and its gradient. A row is the innermost axis with what lies inside it. The
// middle of a padded row is a copy of a row; its ends are a value, or the row's own values. Backward computes each row
// of dx from the rows that read it, in their order, so that the sums do not depend on the threads.
#include "simd/copy.h"
#include "types.h"

namespace EK_ISA {
namespace {

struct Axis {
  int in, before, after;
  int out() const { return in + before + after; }
  // The positions first … stop − 1 of the result are the middle: they read their own place. There may be none.
  int first() const { return before < 0 ? 0 : before < out() ? before : out(); }
  int stop() const {
    const int end = after > 0 ? before + in : out();
    return end > first() ? end : first();
  }

  // Where a position of the result reads; −1: nowhere.
  template <int mode> EK_INLINE int source(int p) const {
    const int i = p - before;
    if constexpr (mode == EK_PAD_REFLECT) return i < 0 ? -i : i >= in ? 2 * (in - 1) - i : i;
    if constexpr (mode == EK_PAD_REPLICATE) return i < 0 ? 0 : i >= in ? in - 1 : i;
    if constexpr (mode == EK_PAD_CIRCULAR) {  // what is left after cutting goes around
      const int low = before < 0 ? -before : 0, high = after < 0 ? in + after : in;
      int at = i;
      while (at < low) at += high - low;
      while (at >= high) at -= high - low;
      return at;
    }
    return i < 0 || i >= in ? -1 : i;
  }
  // Calls body(p) for each position of the result that reads i, in their order.
  template <int mode, class F> EK_INLINE void readers(int i, const F& body) const {
    const int middle = i + before, end = out();
    if constexpr (mode != EK_PAD_CONSTANT)
      for (int p = 0; p < first(); p++)
        if (source<mode>(p) == i) body(p);
    if (middle >= first() && middle < stop()) body(middle);
    if constexpr (mode != EK_PAD_CONSTANT)
      for (int p = stop(); p < end; p++)
        if (source<mode>(p) == i) body(p);
  }
};

struct Geometry {
  int outer, inner;
  Axis axis[3];
  explicit Geometry(const int* g) : outer(g[0]), inner(g[10]) {
    for (int i = 0; i < 3; i++) axis[i] = {g[1 + i], g[4 + i], g[7 + i]};
  }
  // Calls body(o, i, j) for each row, where the axes before the row have so many positions.
  template <class F> void each_row(int depth, int height, int length, const F& body) const {
    const int rows = length < tile_elements ? tile_elements / (length > 0 ? length : 1) : 1;
    parallel_blocks(outer * depth * height, rows, [=](int begin, int end) {
      int o = begin / height / depth, i = begin / height % depth, j = begin % height;
      for (int row = begin; row < end; row++) {
        body(o, i, j);
        if (++j < height) continue;
        j = 0;
        if (++i < depth) continue;
        i = 0, o++;
      }
    });
  }
};

// Ends are a few positions long. The compilers would make loops of vectors of them, whose beginning costs more than the
// loop; they do not if the place may change behind their back.
EK_INLINE int opaque(int i) {
  asm("" : "+r"(i));
  return i;
}

// The ends of a row: positions begin … end − 1 of the result.
template <int mode, class T>
EK_INLINE void pad_end(const Axis& a, const T* x, int inner, T value, int begin, int end, T* y) {
  if constexpr (mode == EK_PAD_CONSTANT) {
    const int first = begin * inner, count = (end - begin) * inner;
    if (count < lanes<T>)
      for (int i = 0; i < count; i++) y[opaque(first + i)] = value;
    else
      for (int i = 0; i < count; i++) y[first + i] = value;
  } else if (inner == 1) {
    for (int p = begin; p < end; p++) y[p] = x[opaque(a.source<mode>(p))];
  } else {
    for (int p = begin; p < end; p++)
      copy_run(y + static_cast<ptrdiff_t>(p) * inner, x + static_cast<ptrdiff_t>(a.source<mode>(p)) * inner, inner);
  }
}

template <int mode, class T> void pad(const Geometry& g, T value, const T* x, T* y) {
  // Copies: a store through y might change what is read through a reference.
  const Axis depth = g.axis[0], height = g.axis[1], width = g.axis[2];
  const int inner = g.inner, length = width.out() * inner, first = width.first(), stop = width.stop();
  g.each_row(depth.out(), height.out(), length, [=](int o, int d, int h) EK_INLINE_LAMBDA {
    T* const to = y + ((static_cast<ptrdiff_t>(o) * depth.out() + d) * height.out() + h) * length;
    const int i = depth.template source<mode>(d), j = height.template source<mode>(h);
    if (i < 0 || j < 0) return pad_end<mode>(width, x, inner, value, 0, width.out(), to);
    const T* const from = x + ((static_cast<ptrdiff_t>(o) * depth.in + i) * height.in + j) * width.in * inner;
    pad_end<mode>(width, from, inner, value, 0, first, to);
    if (stop > first)
      copy_run(to + static_cast<ptrdiff_t>(first) * inner, from + static_cast<ptrdiff_t>(first - width.before) * inner,
               (stop - first) * inner);
    pad_end<mode>(width, from, inner, value, stop, width.out(), to);
  });
}

template <int mode, class T> void pad_backward(const Geometry& g, const T* dy, T* dx) {
  const Axis depth = g.axis[0], height = g.axis[1], width = g.axis[2];
  const int inner = g.inner, length = width.in * inner, out_length = width.out() * inner;
  const int first = width.first(), stop = width.stop(), count = (stop - first) * inner;
  const int place = (first - width.before) * inner;  // of the middle in a row of dx
  const auto add_end = [=](const T* from, int begin, int end, T* to) {
    for (int p = begin; p < end; p++) {
      const int i = width.template source<mode>(p);
      if (inner == 1) to[opaque(i)] += from[p];
      else add_run(to + static_cast<ptrdiff_t>(i) * inner, from + static_cast<ptrdiff_t>(p) * inner, inner);
    }
  };
  g.each_row(depth.in, height.in, length, [=](int o, int i, int j) EK_INLINE_LAMBDA {
    T* const to = dx + ((static_cast<ptrdiff_t>(o) * depth.in + i) * height.in + j) * length;
    bool is_empty = true;
    depth.template readers<mode>(i, [&](int d) {
      height.template readers<mode>(j, [&](int h) {
        const T* const from = dy + ((static_cast<ptrdiff_t>(o) * depth.out() + d) * height.out() + h) * out_length;
        const T* const middle = from + static_cast<ptrdiff_t>(first) * inner;
        if (!is_empty) {
          add_run(to + place, middle, count);
        } else if (count > 0) {
          zero_run(to, place);
          copy_run(to + place, middle, count);
          zero_run(to + place + count, length - place - count);
        } else {
          zero_run(to, length);
        }
        is_empty = false;
        if (mode == EK_PAD_CONSTANT) return;
        add_end(from, 0, first, to);
        add_end(from, stop, width.out(), to);
      });
    });
    if (is_empty) zero_run(to, length);
  });
}

// Calls body with the mode as a constant.
template <int mode> struct Mode {
  static constexpr int value = mode;
};
template <class F> int with_mode(int mode, const F& body) {
  switch (mode) {
    case EK_PAD_CONSTANT: body(Mode<EK_PAD_CONSTANT>{}); break;
    case EK_PAD_REFLECT: body(Mode<EK_PAD_REFLECT>{}); break;
    case EK_PAD_REPLICATE: body(Mode<EK_PAD_REPLICATE>{}); break;
    case EK_PAD_CIRCULAR: body(Mode<EK_PAD_CIRCULAR>{}); break;
    default: return EK_BAD_ARGUMENT;
  }
  return EK_OK;
}

}  // namespace

EK_API int ek_pad(int dtype, int mode, const int* geometry, double value, const void* x, void* y) {
  const Geometry g(geometry);
  const int moved = dtype == EK_BOOL ? EK_UINT8 : dtype;
  EK_DISPATCH_NUMBER(moved, return with_mode(mode, [&](auto m) {
    pad<decltype(m)::value>(g, convert_scalar<T>(value), static_cast<const T*>(x), static_cast<T*>(y));
  });)
  return EK_OK;
}

EK_API int ek_pad_backward(int dtype, int mode, const int* geometry, const void* dy, void* dx) {
  const Geometry g(geometry);
  EK_DISPATCH_FLOAT(dtype, return with_mode(mode, [&](auto m) {
    pad_backward<decltype(m)::value>(g, static_cast<const T*>(dy), static_cast<T*>(dx));
  });)
  return EK_OK;
}

}  // namespace EK_ISA
