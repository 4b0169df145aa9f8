// Functions of one operand: the loop over vectors, and the choice of it. The formulas are in unary.def.
#include "elementwise/loops.h"
#include "elementwise/unary_ops.h"
#include "simd/strip.h"

namespace EK_ISA {

template <class T, class Op> static void run(const void* x, void* out, int vectors, double p0, double p1) {
  const T* from = static_cast<const T*>(x);
  const T p = convert_limit<T>(p0), q = convert_limit<T>(p1);
  for (int i = 0; i < vectors; i++, from += lanes<T>) {
    const auto y = Op::template apply<T>(load(from), p, q);
    if constexpr (Op::is_test) store_mask<T>(static_cast<uint8_t*>(out) + static_cast<ptrdiff_t>(i) * lanes<T>, y);
    else store(static_cast<T*>(out) + static_cast<ptrdiff_t>(i) * lanes<T>, y);
  }
}

template <class T> static int find_loop(int op, unary_loop* loop) {
  switch (op) {
#define EK_UNARY(name, ...)                                                     \
  case EK_UNARY_##name:                                                         \
    if constexpr (name##_op::takes<T>) return *loop = run<T, name##_op>, EK_OK; \
    else return EK_BAD_DTYPE;
#define EK_TEST(...) EK_UNARY(__VA_ARGS__)
#include "elementwise/unary.def"
#undef EK_UNARY
#undef EK_TEST
  }
  return EK_BAD_ARGUMENT;
}

unary_loop find_unary_loop(int op, int dtype) {
  unary_loop loop = nullptr;
  if (dtype == EK_FLOAT32) find_loop<float>(op, &loop);
  else if (dtype == EK_FLOAT64) find_loop<double>(op, &loop);
  return loop;
}

EK_API int ek_unary(int op, int dtype, const void* x, void* out, int n, double p0, double p1) {
  const bool test = is_test(op);
  if (dtype == EK_BOOL && test) dtype = EK_UINT8;
  unary_loop loop = nullptr;
  int status = EK_OK, size = 0;
  EK_DISPATCH_NUMBER(dtype, status = find_loop<T>(op, &loop); size = sizeof(T);)
  if (status) return status;
  const int out_size = test ? 1 : size;
  parallel_blocks(n, tile_elements, [=](int begin, int end) {
    const strip_in in[] = {{static_cast<const char*>(x) + static_cast<ptrdiff_t>(begin) * size, size, 1}};
    run_strip(end - begin, EK_VECTOR_BYTES / size, in,
              {static_cast<char*>(out) + static_cast<ptrdiff_t>(begin) * out_size, out_size},
              [=](const void* const* from, const int*, void* to, int vectors) { loop(from[0], to, vectors, p0, p1); });
  });
  return EK_OK;
}

}  // namespace EK_ISA
