// The kernel ABI: every function that TypeScript may call, on every device.
//
// A restricted header, read by scripts/generate_abi.ts, which makes the TypeScript table, the Node-API marshalling, the
// per-instruction-set tables and the WebAssembly export list from it. Rules: one declaration per function, returning
// int (a status, or a size where the name ends in _scratch); parameters are int, double, or pointers to void, int or
// double (int64 tensor data travels as void*). A pointer documented as optional may be null. No function allocates,
// throws or keeps a pointer; the caller provides outputs and scratch. Tensors are dense; `format` says in which order.
//
// Lines that begin with //: say how many bytes each pointer must have behind it; `?`: it may be null, as where no bytes
// are wanted. They are for the checked build (test/checked). sizeof(dtype) is that of an element; strided: the bytes
// between the first and the last element that strides reach; steps(count, step, n): (count − 1)·step + n; rows, blocks:
// tables of addresses, which are looked up too.
//
// TypeScript sees kernels as launches (src/device/generated/launches.ts): functions of tensors by name. A pointer is an
// operand, which may be left out where the notation has `?`; one to const int is an array of integers; a table is an
// array of rows; scratch is found by the launch. So are the dtype (of the first operand whose size it decides) and what
// `//: given` lines say in terms of operands. The ints that follow are truth values.
//: flags reverse, largest, log, transpose_a, transpose_b, accumulate, wrap, count_include_pad
//: flags centred, centered, nesterov, maximize, first, decoupled
//: flags amsgrad, relu, x_relu, dy_relu
//
// Kernels may run later than they are called, in order. Where the status is more than a check of what TypeScript has
// made sure of, the call returns when they have run: those declared EK_AWAITED, those of integers, and those of more
// than 16 axes.
#ifndef EK_API
#define EK_API
#endif
#define EK_AWAITED

enum ek_status { EK_OK, EK_BAD_DTYPE, EK_BAD_ARGUMENT, EK_BAD_INDEX };
enum ek_dtype { EK_FLOAT32, EK_FLOAT64, EK_INT32, EK_INT64, EK_UINT8, EK_BOOL };
// contiguous: (N, C, spatial…); channels_last: (N, spatial…, C).
enum ek_format { EK_CONTIGUOUS, EK_CHANNELS_LAST };
enum ek_isa { EK_BASELINE, EK_AVX2, EK_AVX512, EK_NEON, EK_WASM };

// The functions of elementwise/unary.def and binary.def, in their order.
#define EK_TEST(...) EK_UNARY(__VA_ARGS__)
#define EK_UNARY(name, ...) EK_UNARY_##name,
enum ek_unary {
#include "elementwise/unary.def"
};
#undef EK_UNARY
#undef EK_TEST
#define EK_TEST(...) EK_BINARY(__VA_ARGS__)
#define EK_BINARY(name, ...) EK_BINARY_##name,
enum ek_binary {
#include "elementwise/binary.def"
};
#undef EK_BINARY
#undef EK_TEST
enum ek_reduction { EK_REDUCE_SUM, EK_REDUCE_PROD, EK_REDUCE_MIN, EK_REDUCE_MAX, EK_REDUCE_ANY, EK_REDUCE_ALL };

// ---- machine --------------------------------------------------------------------------------------------------------
EK_API int ek_isa(void);

// ---- elementwise (elementwise/) -------------------------------------------------------------------------------------
// out[i] = value, converted to dtype.
//: out: n*sizeof(dtype)
//: given n = out.size
EK_API int ek_fill(int dtype, void* out, int n, double value);
// out[i] = start + i·step, computed in double (int64: exactly, in 64 bits).
//: out: n*sizeof(dtype)
//: given n = out.size
EK_API int ek_arange(int dtype, void* out, int n, double start, double step);
// out[i] = (to) x[i], C conversion rules; to bool: x != 0; float to integer truncates, and what an integer cannot hold,
// NaN too, becomes its most negative number, for uint8 the low byte of that of int64. Numbers that binary_scalar, fill
// and arange are given wrap into integers.
//: x: n*sizeof(from); out: n*sizeof(to)
//: given n = x.size
EK_API int ek_cast(int from, int to, const void* x, void* out, int n);
// Copies elements of `size` bytes between two strided arrays of the same shape; strides in elements, may be 0 (x) or
// negative. The innermost contiguous runs are copied as blocks.
//: x: strided(ndim, shape, x_strides, size); out: strided(ndim, shape, out_strides, size);
//: shape, x_strides, out_strides: 4*ndim
//: given size = x.itemSize
EK_API int ek_copy_strided(int size, const void* x, void* out, int ndim, const int* shape, const int* x_strides,
                           const int* out_strides);
// Copies `count` blocks of bytes, none of which another of them overlaps: rows of 3 doubles, the addresses from and to
// and a number of bytes.
//: table: blocks(table, count)
EK_API int ek_copy_blocks(const double* table, int count);
// out[i] = op(x[i]). p0, p1: the parameters p and q of elementwise/unary.def, where op has any; limits may be ±inf.
// Tests write bool (1 byte). In place (out == x) is allowed.
//: x: n*sizeof(dtype); out: n*unary_size(op, dtype)
//: given n = x.size
EK_API int ek_unary(int op, int dtype, const void* x, void* out, int n, double p0, double p1);
// dx[i] = g[i]·op′ at i, for every differentiable unary op, float32 and float64. x: the forward's input, y: its output;
// both must be given. dx may alias g.
//: x, y, g, dx: n*sizeof(dtype)
//: given n = dx.size
EK_API int ek_unary_backward(int op, int dtype, const void* x, const void* y, const void* g, void* dx, int n, double p0,
                             double p1);
// out = op(a, b) over a common shape; strides in elements, 0 where an operand is broadcast; out is dense in the order
// of `shape`. add and sub: a ± alpha·b. Comparisons and logical ops write bool. Integer div truncates toward zero,
// remainder has the divisor's sign (both: EK_BAD_ARGUMENT on an integer division by 0). pow on integers wraps. max/min
// propagate NaN. out may be a or b where that operand is not broadcast.
//: a: strided(ndim, shape, a_strides, sizeof(dtype)); b: strided(ndim, shape, b_strides, sizeof(dtype));
//: out: product(ndim, shape)*binary_size(op, dtype); shape, a_strides, b_strides: 4*ndim
EK_API int ek_binary(int op, int dtype, const void* a, const void* b, void* out, int ndim, const int* shape,
                     const int* a_strides, const int* b_strides, double alpha);
// out = op(x, s), or op(s, x) when reverse; same rules as ek_binary.
//: x: n*sizeof(dtype); out: n*binary_size(op, dtype)
//: given n = x.size
EK_API int ek_binary_scalar(int op, int dtype, const void* x, double s, int reverse, void* out, int n, double alpha);
// out = condition ? a : b, broadcast as ek_binary; size: bytes of an element of a, b and out; condition: bool.
//: condition: strided(ndim, shape, condition_strides, 1); a: strided(ndim, shape, a_strides, size);
//: b: strided(ndim, shape, b_strides, size); out: product(ndim, shape)*size;
//: shape, condition_strides, a_strides, b_strides: 4*ndim
//: given size = a.itemSize
EK_API int ek_where(int size, const void* condition, const void* a, const void* b, void* out, int ndim,
                    const int* shape, const int* condition_strides, const int* a_strides, const int* b_strides);

// ---- reductions over the middle axis of (outer, n, inner) (reduce/) -------------------------------------------------
// sum, prod: the dtype itself (int32, uint8, bool are summed by the caller as int64); float sums are accumulated in
// double by fixed blocks. any, all: bool in, bool out. min, max propagate NaN; n = 0: EK_BAD_ARGUMENT.
//: x: outer*n*inner*sizeof(dtype); out: outer*inner*sizeof(dtype)
EK_API int ek_reduce(int op, int dtype, const void* x, void* out, int outer, int n, int inner);
// mean and M2 = Σ(x − mean)², both float64, two passes over each tile merged in double (Chan et al. 1983).
//: x: outer*n*inner*sizeof(dtype); mean, m2: outer*inner*8
EK_API int ek_reduce_moments(int dtype, const void* x, double* mean, double* m2, int outer, int n, int inner);
// min or max with its index (int64, the first of equals; NaN wins). values is optional.
//: x: outer*n*inner*sizeof(dtype); values?: outer*inner*sizeof(dtype); indices: outer*inner*8
EK_API int ek_arg_reduce(int op, int dtype, const void* x, void* values, void* indices, int outer, int n, int inner);
//: x, out: outer*n*inner*sizeof(dtype)
EK_API int ek_cumsum(int dtype, const void* x, void* out, int outer, int n, int inner, int reverse);
// The k largest (or smallest) of each row of (outer, n), sorted; ties: lower index first; NaN counts as largest.
// scratch: n ints for each worker thread (ek_topk_scratch bytes).
EK_API int ek_topk_scratch(int n);
//: x: outer*n*sizeof(dtype); values: outer*k*sizeof(dtype); indices: outer*k*8; scratch: ek_topk_scratch(n)
EK_API int ek_topk(int dtype, const void* x, void* values, void* indices, int outer, int n, int k, int largest,
                   void* scratch);
// softmax, or log-softmax, along the middle axis; float32 and float64. Backward takes the forward's output.
//: x, out: outer*n*inner*sizeof(dtype)
EK_API int ek_softmax(int log, int dtype, const void* x, void* out, int outer, int n, int inner);
//: y, g, dx: outer*n*inner*sizeof(dtype)
EK_API int ek_softmax_backward(int log, int dtype, const void* y, const void* g, void* dx, int outer, int n, int inner);

// ---- indexing along the middle axis (index/) ------------------------------------------------------------------------
// Index tensors are int64; an index outside [0, n) gives EK_BAD_INDEX, also where nothing would be moved, and leaves
// the output unspecified. out (outer, count, inner) = x (outer, n, inner) at index[count], elements of `size` bytes.
//: x: outer*n*inner*size; index: count*8; out: outer*count*inner*size
//: given size = x.itemSize
EK_API EK_AWAITED int ek_index_select(int size, const void* x, const void* index, void* out, int outer, int n,
                                      int count, int inner);
// out (outer, n, inner) += x (outer, count, inner) at index[count]; in index order, so repeated indices are
// deterministic.
//: x: outer*count*inner*sizeof(dtype); index: count*8; out: outer*n*inner*sizeof(dtype)
EK_API EK_AWAITED int ek_index_add(int dtype, const void* x, const void* index, void* out, int outer, int n, int count,
                                   int inner);
// out (outer, n, inner) = x (outer, count, inner) at index[count]; of repeated indices the last one counts. Nothing is
// written where one is bad.
//: x: outer*count*inner*size; index: count*8; out: outer*n*inner*size
//: given size = x.itemSize
EK_API EK_AWAITED int ek_index_put(int size, const void* x, const void* index, void* out, int outer, int n, int count,
                                   int inner);
// positions[i] (+)= step·index[i] + Σ ramp[d]·coordinate d of i, over a shape, which the positions fill densely; the
// index has strides, in elements. wrap: indices from -n on are legal and count from the end.
//: index: strided(ndim, shape, index_strides, 8); positions: product(ndim, shape)*8;
//: shape, index_strides: 4*ndim; ramp?: 4*ndim
EK_API EK_AWAITED int ek_index_positions(const void* index, void* positions, int ndim, const int* shape,
                                         const int* index_strides, const int* ramp, int n, int step, int wrap,
                                         int accumulate);
// out (outer, count, inner)[o][k][i] = x[o][index[o][k][i]][i].
//: x: outer*n*inner*size; index: outer*count*inner*8; out: outer*count*inner*size
//: given size = x.itemSize
EK_API EK_AWAITED int ek_gather(int size, const void* x, const void* index, void* out, int outer, int n, int count,
                                int inner);
// out[o][index[o][k][i]][i] += x[o][k][i].
//: x: outer*count*inner*sizeof(dtype); index: outer*count*inner*8; out: outer*n*inner*sizeof(dtype)
EK_API EK_AWAITED int ek_scatter_add(int dtype, const void* x, const void* index, void* out, int outer, int n,
                                     int count, int inner);

// ---- matrix product (gemm/) -----------------------------------------------------------------------------------------
// c[i] (m, n) = op(a[i]) (m, k) · op(b[i]) (k, n) + bias (n), row-major, for i < batch; float32 and float64.
// Transposed: a is stored (k, m), b (n, k). a_step, b_step: elements between matrices of the batch (0: shared). bias is
// optional. accumulate: c += … instead.
EK_API int ek_gemm_scratch(int dtype, int batch, int m, int n, int k);
//: a: steps(batch, a_step, m*k)*sizeof(dtype); b: steps(batch, b_step, k*n)*sizeof(dtype); bias?: n*sizeof(dtype);
//: c: batch*m*n*sizeof(dtype); scratch: ek_gemm_scratch(dtype, batch, m, n, k)
EK_API int ek_gemm(int dtype, int transpose_a, int transpose_b, int batch, int m, int n, int k, const void* a,
                   int a_step, const void* b, int b_step, const void* bias, void* c, int accumulate, void* scratch);

// ---- convolution, 1-D to 3-D (conv/) --------------------------------------------------------------------------------
// geometry, 24 ints: N, C, O, groups; input D, H, W; output D, H, W; kernel D, H, W; stride D, H, W; padding before D,
// H, W; dilation D, H, W; format of x; format of y. Lower ranks have 1 (stride, dilation 1, padding 0) in the leading
// places. The padding behind follows from the output's size. w is (O, C/groups, KD, KH, KW), dense. bias (O) is
// optional. Scratch: bytes, a multiple of 64; which: 0 forward, 1 backward_data, 2 backward_weight.
//
// A convolution does the work of the batch norms beside it. A norm is its coefficients (7, channels), in dtype, from
// ek_batch_norm_coefficients; null: there is none. x_norm: x stands for norm(x), with x_relu within the limits of its
// ReLU.
//: let CONV_X = geometry[0]*geometry[1]*geometry[4]*geometry[5]*geometry[6]
//: let CONV_Y = geometry[0]*geometry[2]*geometry[7]*geometry[8]*geometry[9]
//: let CONV_W = geometry[2]*(geometry[1]/geometry[3])*geometry[10]*geometry[11]*geometry[12]
//: let CONV_C = geometry[1]
//: let CONV_O = geometry[2]
//: geometry: 24*4
EK_API int ek_conv_scratch(int which, int dtype, const int* geometry);
// y_mean, y_m2 (O, optional): the statistics of y, as ek_batch_norm_stats has them up to rounding; or y is norm(conv) +
// residual, both optional, the residual in the format of y, limited by a ReLU as ek_batch_norm_apply has it, the norm's
// own where there is one.
//: geometry: 24*4; x: CONV_X*sizeof(dtype); x_norm?: 7*CONV_C*sizeof(dtype); w: CONV_W*sizeof(dtype);
//: bias?: CONV_O*sizeof(dtype); y: CONV_Y*sizeof(dtype); y_mean?, y_m2?: CONV_O*8; y_norm?: 7*CONV_O*sizeof(dtype);
//: residual?: CONV_Y*sizeof(dtype); scratch: ek_conv_scratch(0, dtype, geometry)
EK_API int ek_conv(int dtype, const int* geometry, const void* x, const void* x_norm, int x_relu, const void* w,
                   const void* bias, void* y, double* y_mean, double* y_m2, const void* y_norm, const void* residual,
                   double y_relu, void* scratch);
// dx = the gradient of the input; every element of dx is written. With dy_norm, dy stands for the gradient of the input
// dy_x (in the format of dy) of a norm in training whose output's gradient it is. plus (optional) is added to dx. With
// x_norm, dx is 0 where the ReLU behind norm(x) was closed, and its sums are left as ek_batch_norm_backward_reduce has
// them; x_limited (optional): that ReLU's output, where more was added to norm(x). x, x_limited and plus are in the
// format of dx.
//: geometry: 24*4; dy: CONV_Y*sizeof(dtype); dy_x?: CONV_Y*sizeof(dtype); dy_norm?: 7*CONV_O*sizeof(dtype);
//: w: CONV_W*sizeof(dtype); dx: CONV_X*sizeof(dtype); x?: CONV_X*sizeof(dtype); x_norm?: 7*CONV_C*sizeof(dtype);
//: x_limited?, plus?: CONV_X*sizeof(dtype); sum_dx?, sum_dx_xmu?: CONV_C*8;
//: scratch: ek_conv_scratch(1, dtype, geometry)
EK_API int ek_conv_backward_data(int dtype, const int* geometry, const void* dy, const void* dy_x, const void* dy_norm,
                                 int dy_relu, const void* w, void* dx, const void* x, const void* x_norm, int x_relu,
                                 const void* x_limited, const void* plus, double* sum_dx, double* sum_dx_xmu,
                                 void* scratch);
// dw (O, C/groups, K…) and, when not null, dbias (O).
//: geometry: 24*4; x: CONV_X*sizeof(dtype); x_norm?: 7*CONV_C*sizeof(dtype); dy: CONV_Y*sizeof(dtype);
//: dy_x?: CONV_Y*sizeof(dtype); dy_norm?: 7*CONV_O*sizeof(dtype); dw: CONV_W*sizeof(dtype);
//: dbias?: CONV_O*sizeof(dtype); scratch: ek_conv_scratch(2, dtype, geometry)
EK_API int ek_conv_backward_weight(int dtype, const int* geometry, const void* x, const void* x_norm, int x_relu,
                                   const void* dy, const void* dy_x, const void* dy_norm, int dy_relu, void* dw,
                                   void* dbias, void* scratch);

// ---- pooling, 1-D to 3-D (pool/) ------------------------------------------------------------------------------------
// geometry, 22 ints: N, C; input D, H, W; output D, H, W; kernel D, H, W; stride D, H, W; padding D, H, W; dilation D,
// H, W; format; adaptive. Adaptive: window i covers floor(i·in/out) … ceil((i+1)·in/out). Indices (int64): the flat
// position in the input's spatial volume of each maximum (first of equals; NaN wins), in the layout of y; optional in
// the forward. With x_norm, x stands for norm(x), with x_relu within the limits of its ReLU; see the convolution.
//: let POOL_X = geometry[0]*geometry[1]*geometry[2]*geometry[3]*geometry[4]
//: let POOL_Y = geometry[0]*geometry[1]*geometry[5]*geometry[6]*geometry[7]
//: let POOL_C = geometry[1]
//: geometry: 22*4; x: POOL_X*sizeof(dtype); x_norm?: 7*POOL_C*sizeof(dtype); y: POOL_Y*sizeof(dtype);
//: indices?: POOL_Y*8
EK_API int ek_max_pool(int dtype, const int* geometry, const void* x, const void* x_norm, int x_relu, void* y,
                       void* indices);
//: geometry: 22*4; dy: POOL_Y*sizeof(dtype); indices: POOL_Y*8; dx: POOL_X*sizeof(dtype)
EK_API int ek_max_pool_backward(int dtype, const int* geometry, const void* dy, const void* indices, void* dx);
// divisor: 0 = the window's size, with padding counted if count_include_pad; otherwise that number.
//: geometry: 22*4; x: POOL_X*sizeof(dtype); x_norm?: 7*POOL_C*sizeof(dtype); y: POOL_Y*sizeof(dtype)
EK_API int ek_avg_pool(int dtype, const int* geometry, int count_include_pad, int divisor, const void* x,
                       const void* x_norm, int x_relu, void* y);
//: geometry: 22*4; dy: POOL_Y*sizeof(dtype); dx: POOL_X*sizeof(dtype)
EK_API int ek_avg_pool_backward(int dtype, const int* geometry, int count_include_pad, int divisor, const void* dy,
                                void* dx);

// ---- batch normalization, cut at its communication points (batch_norm/) ---------------------------------------------
// x: (n, c, s) contiguous or (n, s, c) channels last; float32 or float64. Statistics are float64, one per channel.
// relu: y is limited to 0 … relu, which may be infinite; 0: it is not.
EK_API int ek_batch_norm_scratch(int n, int c, int s, int format);
// mean = Σx / (n·s), m2 = Σ(x − mean)²; sums are shifted by a pivot and merged in double in a fixed order.
//: x: n*c*s*sizeof(dtype); mean, m2: c*8; scratch: ek_batch_norm_scratch(n, c, s, format)
//: given n = x.shape[0]; c = x.shape[1]; s = spatialSize(x); format = x.formatCode
EK_API int ek_batch_norm_stats(int dtype, const void* x, int n, int c, int s, int format, double* mean, double* m2,
                               void* scratch);
// Merges `parts` triples (counts (parts), means (parts, c), m2s (parts, c)) in order (Chan et al. 1983); parts with
// count 0 are as if absent.
//: counts: parts*8; means, m2s: parts*c*8; count: 8; mean, m2: c*8
//: given parts = counts.size; c = mean.size
EK_API int ek_batch_norm_combine(int parts, int c, const double* counts, const double* means, const double* m2s,
                                 double* count, double* mean, double* m2);
// invstd = 1/√(m2/count + eps), or 0 where both terms are 0.
//: m2, invstd: c*8
//: given c = m2.size
EK_API int ek_batch_norm_invstd(int c, double count, const double* m2, double eps, double* invstd);
// running ← (1 − f)·running + f·batch, with the unbiased variance m2/(count − 1). f = momentum, or, when momentum is
// NaN, 1 / tracked[0] (int64). running_mean and running_var are optional.
//: mean, m2: c*8; tracked?: 8; running_mean?, running_var?: c*sizeof(dtype)
//: given c = mean.size
EK_API int ek_batch_norm_update_running(int dtype, int c, double count, const double* mean, const double* m2,
                                        double momentum, const void* tracked, void* running_mean, void* running_var);
// tracked[0] (int64) += 1.
//: tracked: 8
EK_API int ek_batch_norm_count(void* tracked);
// mean, invstd (float64) from running statistics: invstd = 1/√(running_var + eps).
//: running_mean, running_var: c*sizeof(dtype); mean, invstd: c*8
//: given c = runningMean.size
EK_API int ek_batch_norm_from_running(int dtype, int c, const void* running_mean, const void* running_var, double eps,
                                      double* mean, double* invstd);
// The gradients of weight and bias in dtype, each optional: invstd·sum_dy_xmu and sum_dy.
//: invstd, sum_dy, sum_dy_xmu: c*8; dweight?, dbias?: c*sizeof(dtype)
//: given c = invstd.size
EK_API int ek_batch_norm_parameter_gradients(int dtype, int c, const double* invstd, const double* sum_dy,
                                             const double* sum_dy_xmu, void* dweight, void* dbias);
// What the maps of a norm need, in dtype (7, c): the mean as hi + lo, invstd·weight, bias; where sum_dy is given (as in
// backward_apply), −sum_dy/count and −invstd²·sum_dy_xmu/count, else zeros; and the limit of a ReLU. mean and invstd
// null, here and in apply: 0 and 1.
//: mean?, invstd?: c*8; weight?, bias?: c*sizeof(dtype); sum_dy?, sum_dy_xmu?: c*8; coefficients: 7*c*sizeof(dtype)
//: given c = coefficients.shape[1]
EK_API int ek_batch_norm_coefficients(int dtype, int c, double count, const double* mean, const double* invstd,
                                      const void* weight, const void* bias, double relu, const double* sum_dy,
                                      const double* sum_dy_xmu, void* coefficients);
// y = (x − mean)·(invstd·weight) + bias + residual, centred. weight, bias and the residual, which lies as x does, are
// optional. y may be x.
//: x: n*c*s*sizeof(dtype); mean?, invstd?: c*8; weight?, bias?: c*sizeof(dtype); residual?, y: n*c*s*sizeof(dtype);
//: scratch: ek_batch_norm_scratch(n, c, s, format)
//: given n = x.shape[0]; c = x.shape[1]; s = spatialSize(x); format = x.formatCode
EK_API int ek_batch_norm_apply(int dtype, const void* x, int n, int c, int s, int format, const double* mean,
                               const double* invstd, const void* weight, const void* bias, double relu,
                               const void* residual, void* y, void* scratch);
// out = op(z), where z is what ek_batch_norm_apply gives without ReLU and residual, and op one of ek_unary with its
// parameters, no test. With dy (optional) out = dy·op′ at z; then y is given too, and read as in ek_unary_backward.
//: x: n*c*s*sizeof(dtype); mean, invstd: c*8; weight?, bias?: c*sizeof(dtype); y?, dy?, out: n*c*s*sizeof(dtype);
//: scratch: ek_batch_norm_scratch(n, c, s, format)
//: given n = x.shape[0]; c = x.shape[1]; s = spatialSize(x); format = x.formatCode
EK_API int ek_batch_norm_function(int op, int dtype, const void* x, int n, int c, int s, int format, const double* mean,
                                  const double* invstd, const void* weight, const void* bias, double p0, double p1,
                                  const void* y, const void* dy, void* out, void* scratch);
// stats, invstd and apply in one, bit for bit: x is read from memory once where a few channels of it fit a cache.
//: x: n*c*s*sizeof(dtype); weight?, bias?: c*sizeof(dtype); mean, m2, invstd: c*8; y: n*c*s*sizeof(dtype);
//: scratch: ek_batch_norm_scratch(n, c, s, format)
//: given n = x.shape[0]; c = x.shape[1]; s = spatialSize(x); format = x.formatCode
EK_API int ek_batch_norm_forward(int dtype, const void* x, int n, int c, int s, int format, double eps,
                                 const void* weight, const void* bias, double relu, double* mean, double* m2,
                                 double* invstd, void* y, void* scratch);
// sum_dy = Σg, sum_dy_xmu = Σg·(x − mean), where g = dy, or with relu dy where the forward's y was between its limits
// and else 0. invstd, weight and bias are read for relu only.
//: x, dy: n*c*s*sizeof(dtype); mean, invstd?: c*8; weight?, bias?: c*sizeof(dtype); sum_dy, sum_dy_xmu: c*8;
//: scratch: ek_batch_norm_scratch(n, c, s, format)
//: given n = x.shape[0]; c = x.shape[1]; s = spatialSize(x); format = x.formatCode
EK_API int ek_batch_norm_backward_reduce(int dtype, const void* x, const void* dy, int n, int c, int s, int format,
                                         const double* mean, const double* invstd, const void* weight, const void* bias,
                                         double relu, double* sum_dy, double* sum_dy_xmu, void* scratch);
// Training: dx = weight·invstd·(g − sum_dy/count − (x − mean)·invstd²·sum_dy_xmu/count). Evaluation (sum_dy null; then
// x and mean are read for relu only): dx = weight·invstd·g. g as above.
//: x?, dy: n*c*s*sizeof(dtype); mean?, invstd: c*8; weight?, bias?: c*sizeof(dtype); sum_dy?, sum_dy_xmu?: c*8;
//: dx: n*c*s*sizeof(dtype); scratch: ek_batch_norm_scratch(n, c, s, format)
//: given n = dy.shape[0]; c = dy.shape[1]; s = spatialSize(dy); format = dy.formatCode
EK_API int ek_batch_norm_backward_apply(int dtype, const void* x, const void* dy, int n, int c, int s, int format,
                                        double count, const double* mean, const double* invstd, const void* weight,
                                        const void* bias, double relu, const double* sum_dy, const double* sum_dy_xmu,
                                        void* dx, void* scratch);
// The same of training + plus, on rows of c channels; norm: from ek_batch_norm_coefficients, with the sums; plus_pitch:
// values between the rows of plus.
//: x, dy, dx: rows*c*sizeof(dtype); norm: 7*c*sizeof(dtype); plus: steps(rows, plus_pitch, c)*sizeof(dtype)
EK_API int ek_batch_norm_backward_joined(int dtype, const void* x, const void* dy, int rows, int c, const void* norm,
                                         int relu, const void* plus, int plus_pitch, void* dx);
// backward_reduce and the backward_apply of training in one, bit for bit, with count = n·s.
//: x, dy: n*c*s*sizeof(dtype); mean, invstd: c*8; weight?, bias?: c*sizeof(dtype); sum_dy, sum_dy_xmu: c*8;
//: dx: n*c*s*sizeof(dtype); scratch: ek_batch_norm_scratch(n, c, s, format)
//: given n = x.shape[0]; c = x.shape[1]; s = spatialSize(x); format = x.formatCode
EK_API int ek_batch_norm_backward(int dtype, const void* x, const void* dy, int n, int c, int s, int format,
                                  const double* mean, const double* invstd, const void* weight, const void* bias,
                                  double relu, double* sum_dy, double* sum_dy_xmu, void* dx, void* scratch);

// ---- normalization of rows: layer, RMS, group and instance norm (row_norm/) -----------------------------------------
// x: (n, g, k, s) contiguous or (n, s, g, k) channels last; each of the n·g rows of k·s values is normalized by its own
// mean, m2 and invstd (float64, n·g); weight and bias hold g·k values and are optional. Without `centred` the mean is
// taken as 0 (RMS).
EK_API int ek_row_norm_scratch(int n, int g, int k, int s, int format);
// mean, m2 = Σ(x − mean)², invstd = 1/√(m2/(k·s) + eps), y = (x − mean)·invstd·weight + bias.
//: x: n*g*k*s*sizeof(dtype); weight?, bias?: g*k*sizeof(dtype); mean, m2, invstd: n*g*8; y: n*g*k*s*sizeof(dtype);
//: scratch: ek_row_norm_scratch(n, g, k, s, format)
//: given format = x.formatCode
EK_API int ek_row_norm_forward(int dtype, const void* x, int n, int g, int k, int s, int format, int centred,
                               double eps, const void* weight, const void* bias, double* mean, double* m2,
                               double* invstd, void* y, void* scratch);
// With h = dy·weight, x̂ = (x − mean)·invstd and averages over a row: dx = invstd·(h − avg(h) − x̂·avg(h·x̂)), without
// avg(h) where not centred; dweight = Σ dy·x̂, dbias = Σ dy (both float64, g·k, over n and s). dx is optional, and so
// are dweight and dbias together.
//: x, dy: n*g*k*s*sizeof(dtype); mean, invstd: n*g*8; weight?: g*k*sizeof(dtype); dx?: n*g*k*s*sizeof(dtype);
//: dweight?, dbias?: g*k*8; scratch: ek_row_norm_scratch(n, g, k, s, format)
//: given format = x.formatCode
EK_API int ek_row_norm_backward(int dtype, const void* x, const void* dy, int n, int g, int k, int s, int format,
                                int centred, const double* mean, const double* invstd, const void* weight, void* dx,
                                double* dweight, double* dbias, void* scratch);

// ---- optimizers, over all parameters of a group in one call (optim/) ------------------------------------------------
// table: `count` rows of 6 doubles: addresses of parameter, gradient, state 0, state 1, state 2 (0 where unused), and
// the number of elements. Parameters, gradients and states are all of `dtype` (float32 or float64). SGD: g +=
// weight_decay·p; with momentum: buf = first ? g : momentum·buf + (1 − dampening)·g; g = nesterov ? g + momentum·buf :
// buf; p −= lr·g. State 0: buf. maximize: g = −g at the start.
//: table: rows(table, count, sizeof(dtype))
EK_API int ek_optim_sgd(int dtype, const double* table, int count, double lr, double momentum, double dampening,
                        double weight_decay, int nesterov, int maximize, int first);
// Adam (decoupled = 0) and AdamW (decoupled = 1: p −= lr·weight_decay·p first). State 0: exp_avg, 1: exp_avg_sq, 2:
// max_exp_avg_sq (amsgrad). step: 1 at the first call.
//: table: rows(table, count, sizeof(dtype))
EK_API int ek_optim_adam(int dtype, const double* table, int count, double lr, double beta1, double beta2, double eps,
                         double weight_decay, int decoupled, int amsgrad, int maximize, double step);
// RMSprop. State 0: square_avg, 1: momentum buffer, 2: grad_avg (centered).
//: table: rows(table, count, sizeof(dtype))
EK_API int ek_optim_rmsprop(int dtype, const double* table, int count, double lr, double alpha, double eps,
                            double weight_decay, double momentum, int centered, int maximize);
// norms over the gradients of a table: result[0] = Σ|g|^p (p finite) or max|g| (p = inf), in double.
//: table: rows(table, count, sizeof(dtype)); result: 8
EK_API int ek_optim_grad_norm(int dtype, const double* table, int count, double p, double* result);
// g = min(max(g·scale, −limit), limit) over the gradients of a table.
//: table: rows(table, count, sizeof(dtype))
EK_API int ek_optim_grad_scale(int dtype, const double* table, int count, double scale, double limit);
