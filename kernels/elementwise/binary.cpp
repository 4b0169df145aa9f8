// Functions of two operands: ek_binary with broadcasting, ek_binary_scalar. The list of them is binary.def, their
// formulas are in binary_ops.h; here are the loops, and the choice of one for an operation and a dtype.
#include "elementwise/binary_ops.h"
#include "elementwise/broadcast.h"
#include "simd/strip.h"

namespace EK_ISA {

// op on dense operands; a step of 0 repeats the first element, or vector, instead. One of the two is set.
using vectors_loop = void (*)(const void* a, int a_step, const void* b, int b_step, void* out, int vectors,
                              double alpha);
// False: an integer was divided by 0.
using scalars_loop = bool (*)(const void* a, int a_step, const void* b, int b_step, void* out, int n);
struct binary_loop {
  vectors_loop vectors = nullptr;
  scalars_loop scalars = nullptr;
};

template <class T, class Op>
static void run_vectors(const void* a, int a_step, const void* b, int b_step, void* out, int vectors, double alpha) {
  constexpr int L = lanes<T>;
  const T *x = static_cast<const T*>(a), *y = static_cast<const T*>(b);
  const T scale = convert_scalar<T>(alpha);
  for (int i = 0; i < vectors; i++, x += a_step * L, y += b_step * L) {
    if constexpr (Op::is_test)
      store_mask<T>(static_cast<uint8_t*>(out) + static_cast<ptrdiff_t>(i) * L,
                    Op::template apply<T>(load(x), load(y)));
    else store(static_cast<T*>(out) + static_cast<ptrdiff_t>(i) * L, Op::template apply<T>(load(x), load(y), scale));
  }
}

template <class T, class Op>
static bool run_scalars(const void* a, int a_step, const void* b, int b_step, void* out, int n) {
  const T *x = static_cast<const T*>(a), *y = static_cast<const T*>(b);
  T* const to = static_cast<T*>(out);
  bool ok = true;
  for (int i = 0; i < n; i++) ok = Op::apply(x[i * a_step], y[i * b_step], &to[i]) && ok;
  return ok;
}

template <class T, class Op> static binary_loop loop_of() {
  if constexpr (Op::of == unit::vector) return {run_vectors<T, Op>, nullptr};
  else if constexpr (Op::of == unit::scalar) return {nullptr, run_scalars<T, Op>};
  else return {};
}

template <class T> static int find_loop(int op, double alpha, binary_loop* loop) {
  if (alpha != 1 && op == EK_BINARY_add) return *loop = loop_of<T, op_add_scaled>(), EK_OK;
  if (alpha != 1 && op == EK_BINARY_sub) return *loop = loop_of<T, op_sub_scaled>(), EK_OK;
  switch (op) {
#define EK_BINARY(name, of_floats, of_integers, of_bools)       \
  case EK_BINARY_##name:                                        \
    if constexpr (is_float<T>) *loop = loop_of<T, of_floats>(); \
    else *loop = loop_of<T, of_integers>();                     \
    return loop->vectors || loop->scalars ? EK_OK : EK_BAD_DTYPE;
#define EK_TEST(name, ...) EK_BINARY(name, op_##name, op_##name, op_##name)
#include "elementwise/binary.def"
#undef EK_BINARY
#undef EK_TEST
  }
  return EK_BAD_ARGUMENT;
}

static int find_loop_of_bool(int op, double alpha, binary_loop* loop) {
  if (alpha == 0 && op == EK_BINARY_add) return *loop = loop_of<uint8_t, op_first>(), EK_OK;
  switch (op) {
#define EK_BINARY(name, of_floats, of_integers, of_bools) \
  case EK_BINARY_##name: *loop = loop_of<uint8_t, of_bools>(); return loop->vectors ? EK_OK : EK_BAD_DTYPE;
#define EK_TEST(name, ...) EK_BINARY(name, op_##name, op_##name, op_##name)
#include "elementwise/binary.def"
#undef EK_BINARY
#undef EK_TEST
  }
  return EK_BAD_ARGUMENT;
}

// Whether an operation writes bool.
static bool is_test(int op) {
  switch (op) {
#define EK_BINARY(...)
#define EK_TEST(name, ...) case EK_BINARY_##name:
#include "elementwise/binary.def"
#undef EK_BINARY
#undef EK_TEST
    return true;
  }
  return false;
}

// The exponents of everyday use, each exact or faster than pow; empty: none of them.
template <class T> static binary_loop loop_for_power(double exponent) {
  return exponent == 2     ? loop_of<T, op_square>()
         : exponent == 3   ? loop_of<T, op_cube>()
         : exponent == -1  ? loop_of<T, op_reciprocal>()
         : exponent == 0.5 ? loop_of<T, op_root>()
                           : binary_loop{};
}

static int size_of(int dtype) {
  return dtype == EK_FLOAT64 || dtype == EK_INT64 ? 8 : dtype == EK_UINT8 || dtype == EK_BOOL ? 1 : 4;
}
static int output_size(int op, int dtype) { return is_test(op) ? 1 : size_of(dtype); }

static int find_loop(int op, int dtype, double alpha, binary_loop* loop) {
  if (dtype == EK_BOOL) return find_loop_of_bool(op, alpha, loop);
  int status = EK_OK;
  EK_DISPATCH_NUMBER(dtype, status = find_loop<T>(op, alpha, loop);)
  return status;
}

static bool run(const binary_loop& loop, int size, int out_size, const void* a, int a_step, const void* b, int b_step,
                void* out, int n, double alpha) {
  if (loop.scalars) return loop.scalars(a, a_step, b, b_step, out, n);
  const strip_in in[] = {{a, size, a_step}, {b, size, b_step}};
  run_strip(n, EK_VECTOR_BYTES / size, in, {out, out_size},
            [&](const void* const* p, const int* step, void* to, int count) {
    loop.vectors(p[0], step[0], p[1], step[1], to, count, alpha);
  });
  return true;
}

EK_API int ek_binary(int op, int dtype, const void* a, const void* b, void* out, int ndim, const int* shape,
                     const int* a_strides, const int* b_strides, double alpha) {
  binary_loop loop;
  if (const int status = find_loop(op, dtype, alpha, &loop)) return status;
  broadcast<2> walk;
  walk.data[0] = static_cast<const char*>(a);
  walk.data[1] = static_cast<const char*>(b);
  walk.size[0] = walk.size[1] = size_of(dtype);
  if (!walk.init(ndim, shape, {a_strides, b_strides})) return EK_BAD_ARGUMENT;
  char* const to = static_cast<char*>(out);
  const int size = size_of(dtype), out_size = output_size(op, dtype);
  int failed = 0;
  walk.run([&](const char* const* p, const int* step, int begin, int n) {
    if (!run(loop, size, out_size, p[0], step[0], p[1], step[1], to + static_cast<ptrdiff_t>(begin) * out_size, n,
             alpha))
      __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
  });
  return failed ? EK_BAD_ARGUMENT : EK_OK;
}

EK_API int ek_binary_scalar(int op, int dtype, const void* x, double s, int reverse, void* out, int n, double alpha) {
  binary_loop loop;
  if (const int status = find_loop(op, dtype, alpha, &loop)) return status;
  alignas(8) char scalar[8] = {};
  if (dtype == EK_BOOL) {
    scalar[0] = s != 0;
  } else {
    EK_DISPATCH_NUMBER(dtype, {
      const T value = convert_scalar<T>(s);
      __builtin_memcpy(scalar, &value, sizeof value);
    })
  }
  if (op == EK_BINARY_pow && !reverse) {
    binary_loop fast;
    if (dtype == EK_FLOAT32) fast = loop_for_power<float>(s);
    if (dtype == EK_FLOAT64) fast = loop_for_power<double>(s);
    if (fast.vectors) loop = fast;
  }
  const char* const from = static_cast<const char*>(x);
  char* const to = static_cast<char*>(out);
  const int size = size_of(dtype), out_size = output_size(op, dtype);
  int failed = 0;
  parallel_blocks(n, tile_elements, [&](int begin, int end) {
    const char* dense = from + static_cast<ptrdiff_t>(begin) * size;
    char* const part = to + static_cast<ptrdiff_t>(begin) * out_size;
    const bool ok = reverse ? run(loop, size, out_size, scalar, 0, dense, 1, part, end - begin, alpha)
                            : run(loop, size, out_size, dense, 1, scalar, 0, part, end - begin, alpha);
    if (!ok) __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
  });
  return failed ? EK_BAD_ARGUMENT : EK_OK;
}

}  // namespace EK_ISA
