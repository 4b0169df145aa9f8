// Gradients of functions of one operand: the loop over vectors, and the choice of it. The derivatives are in unary.def.
#include "elementwise/loops.h"
#include "elementwise/unary_ops.h"
#include "simd/strip.h"

namespace EK_ISA {

template <class T, class Op>
static void run(const void* x, const void* y, const void* g, void* dx, int vectors, double p0, double p1) {
  const T p = static_cast<T>(p0), q = static_cast<T>(p1);
  for (ptrdiff_t i = 0; i < static_cast<ptrdiff_t>(vectors) * lanes<T>; i += lanes<T>) {
    vec<T> xs = {}, ys = {};
    if constexpr ((Op::reads & reads_x) != 0) xs = load(static_cast<const T*>(x) + i);
    if constexpr ((Op::reads & reads_y) != 0) ys = load(static_cast<const T*>(y) + i);
    store(static_cast<T*>(dx) + i, Op::template apply<T>(xs, ys, load(static_cast<const T*>(g) + i), p, q));
  }
}

template <class T> static gradient_loop find_loop(int op) {
  switch (op) {
#define EK_UNARY(name, ...) \
  case EK_UNARY_##name: return run<T, name##_derivative>;
#define EK_TEST(...)
#include "elementwise/unary.def"
#undef EK_UNARY
#undef EK_TEST
  }
  return nullptr;
}

gradient_loop find_gradient_loop(int op, int dtype) {
  return dtype == EK_FLOAT32 ? find_loop<float>(op) : dtype == EK_FLOAT64 ? find_loop<double>(op) : nullptr;
}

EK_API int ek_unary_backward(int op, int dtype, const void* x, const void* y, const void* g, void* dx, int n, double p0,
                             double p1) {
  int size = 0;
  EK_DISPATCH_FLOAT(dtype, size = sizeof(T);)
  const gradient_loop loop = find_gradient_loop(op, dtype);
  if (!loop) return EK_BAD_ARGUMENT;
  parallel_blocks(n, tile_elements, [=](int begin, int end) {
    const auto part = [=](const void* p) {
      return strip_in{static_cast<const char*>(p) + static_cast<ptrdiff_t>(begin) * size, size, 1};
    };
    const strip_in in[] = {part(x), part(y), part(g)};
    run_strip(end - begin, EK_VECTOR_BYTES / size, in,
              {static_cast<char*>(dx) + static_cast<ptrdiff_t>(begin) * size, size},
              [=](const void* const* from, const int*, void* to, int vectors) {
      loop(from[0], from[1], from[2], to, vectors, p0, p1);
    });
  });
  return EK_OK;
}

}  // namespace EK_ISA
