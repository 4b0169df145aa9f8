// The kernel ABI: every function that TypeScript may call, on every device.
//
// scripts/generate_abi.ts reads this header. It makes the TypeScript table, the Node-API marshalling, the tables of the
// instruction sets and the WebAssembly export list from it. So the header keeps to some rules. There is one declaration
// per function. A function returns an int: a status, or a size if its name ends in _scratch. Parameters are int,
// double, or pointers to void, int or double; int64 tensor data is passed as void*. A pointer may be null only if it is
// documented as optional. No function allocates memory, throws, or keeps a pointer; the caller gives outputs and
// scratch. Tensors are dense, and `format` says in which order.
//
// Lines that begin with //: say how many bytes there must be behind each pointer. With `?` the pointer may be null; it
// may also be null if it needs no bytes. The checked build (test/checked) uses these lines. sizeof(dtype) is the size
// of an element. strided(…) is the number of bytes between the first and the last element that the strides reach.
// steps(count, step, n) is (count − 1)·step + n. rows(…) and blocks(…) are tables of addresses, which are checked, too.
//
// TypeScript sees kernels as launches (src/device/generated/launches.ts): functions that take tensors by name. A
// pointer becomes an operand, which may be left out if the notation has `?`. A pointer to const int becomes an array of
// integers, and a table becomes an array of rows. The launch itself finds the scratch, the dtype (of the first operand
// whose size depends on it), and what `//: given` lines compute from operands. The ints listed here are truth values.
//: flags reverse, right, largest, log, transpose_a, transpose_b, accumulate, wrap, count_include_pad
//: flags centred, centered, nesterov, maximize, first, decoupled
//: flags lose_infinite, amsgrad, relu, x_relu, dy_relu, projects
//
// Kernels run in the order of their calls, and may run later than they are called. A call returns only when its kernel
// has run if a user can cause a status other than EK_OK: kernels declared EK_AWAITED, kernels on integers, and kernels
// on more than 16 axes.
#ifndef EK_API
#define EK_API
#endif
#define EK_AWAITED

enum ek_status { EK_OK, EK_BAD_DTYPE, EK_BAD_ARGUMENT, EK_BAD_INDEX, EK_ABANDONED };
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
enum ek_pad_mode { EK_PAD_CONSTANT, EK_PAD_REFLECT, EK_PAD_REPLICATE, EK_PAD_CIRCULAR };
enum ek_resampling {
  EK_RESAMPLE_NEAREST,
  EK_RESAMPLE_NEAREST_EXACT,
  EK_RESAMPLE_LINEAR,
  EK_RESAMPLE_CUBIC,
  EK_RESAMPLE_LANCZOS,
  EK_RESAMPLE_AREA
};
enum ek_cell { EK_CELL_TANH, EK_CELL_RELU, EK_CELL_LSTM, EK_CELL_GRU };
enum ek_cumulation { EK_CUMULATE_SUM, EK_CUMULATE_PROD, EK_CUMULATE_MAX, EK_CUMULATE_MIN, EK_CUMULATE_LOG_SUM };
enum ek_grid_mode { EK_GRID_BILINEAR, EK_GRID_NEAREST, EK_GRID_BICUBIC };
enum ek_grid_padding { EK_GRID_ZEROS, EK_GRID_BORDER, EK_GRID_REFLECTION };
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
// sum and prod compute in the dtype itself (the caller converts int32, uint8 and bool to int64 first). Float sums are
// accumulated in double, in blocks that depend on the shape alone. any and all take and give bool. min and max give NaN
// if a value is NaN; with n = 0 they return EK_BAD_ARGUMENT.
//: x: outer*n*inner*sizeof(dtype); out: outer*inner*sizeof(dtype)
EK_API int ek_reduce(int op, int dtype, const void* x, void* out, int outer, int n, int inner);
// mean and M2 = Σ(x − mean)², both float64. Each tile is read twice, and tiles are merged in double (Chan et al. 1983).
//: x: outer*n*inner*sizeof(dtype); mean, m2: outer*inner*8
EK_API int ek_reduce_moments(int dtype, const void* x, double* mean, double* m2, int outer, int n, int inner);
// The minimum or maximum, and its index (int64). Of equal values the first one counts; NaN comes before all numbers.
// values is optional.
//: x: outer*n*inner*sizeof(dtype); values?: outer*inner*sizeof(dtype); indices: outer*inner*8
EK_API int ek_arg_reduce(int op, int dtype, const void* x, void* values, void* indices, int outer, int n, int inner);
// Running sums along the axis. reverse: they begin at its end.
//: x, out: outer*n*inner*sizeof(dtype)
EK_API int ek_cumsum(int dtype, const void* x, void* out, int outer, int n, int inner, int reverse);
// What has come so far along the axis: sums in the dtype itself, products, the largest or smallest value with its index
// (int64, optional; of equal values the last one counts, NaN before all numbers), or log Σ eˣ (floats).
//: x, out: outer*n*inner*sizeof(dtype); indices?: outer*n*inner*8
EK_API int ek_cumulate(int op, int dtype, const void* x, void* out, void* indices, int outer, int n, int inner);
// The k largest (or smallest) values of each row of (outer, n), sorted. Of equal values the one with the lower index
// comes first. NaN counts as the largest value. scratch: n ints for each worker thread (ek_topk_scratch bytes).
EK_API int ek_topk_scratch(int n);
//: x: outer*n*sizeof(dtype); values: outer*k*sizeof(dtype); indices: outer*k*8; scratch: ek_topk_scratch(n)
EK_API int ek_topk(int dtype, const void* x, void* values, void* indices, int outer, int n, int k, int largest,
                   void* scratch);
// Connectionist temporal classification (Graves et al. 2006) of log-probabilities (steps, n, classes). Sample i has
// input_lengths[i] of the steps, and target_lengths[i] labels of `targets` (int64) from offsets[i] on. losses: the
// negative log-likelihoods. alpha keeps the forward variables for the backward: for each sample and step 2 + states,
// of which there are 2·most + 1, with the largest target length as `most`. A label that is no class gives EK_BAD_INDEX.
// The gradient is that by the logits of a log-softmax, as in PyTorch: where lose_infinite, samples that cannot be
// aligned have none. scratch: 3 rows of states for each worker thread.
EK_API int ek_ctc_scratch(int dtype, int most);
//: log_p: steps*n*classes*sizeof(dtype); targets: labels*8; input_lengths, target_lengths, offsets: n*4;
//: losses: n*sizeof(dtype); alpha: n*steps*(2*most+3)*sizeof(dtype); scratch: ek_ctc_scratch(dtype, most)
//: given labels = targets.size; steps = logP.shape[0]; n = logP.shape[1]; classes = logP.shape[2]
EK_API EK_AWAITED int ek_ctc_loss(int dtype, const void* log_p, const void* targets, int labels,
                                  const int* input_lengths, const int* target_lengths, const int* offsets, int steps,
                                  int n, int classes, int most, int blank, void* losses, void* alpha, void* scratch);
//: log_p, dlog_p: steps*n*classes*sizeof(dtype); targets: labels*8; input_lengths, target_lengths, offsets: n*4;
//: g, losses: n*sizeof(dtype); alpha: n*steps*(2*most+3)*sizeof(dtype); scratch: ek_ctc_scratch(dtype, most)
//: given labels = targets.size; steps = logP.shape[0]; n = logP.shape[1]; classes = logP.shape[2]
EK_API int ek_ctc_loss_backward(int dtype, const void* g, const void* log_p, const void* targets, int labels,
                                const int* input_lengths, const int* target_lengths, const int* offsets,
                                const void* losses, const void* alpha, void* dlog_p, int steps, int n, int classes,
                                int most, int blank, int lose_infinite, void* scratch);
// softmax, or log-softmax, along the middle axis; float32 and float64. Backward takes the forward's output y.
//: x, out: outer*n*inner*sizeof(dtype)
EK_API int ek_softmax(int log, int dtype, const void* x, void* out, int outer, int n, int inner);
//: y, g, dx: outer*n*inner*sizeof(dtype)
EK_API int ek_softmax_backward(int log, int dtype, const void* y, const void* g, void* dx, int outer, int n, int inner);

// ---- random numbers (random/) ---------------------------------------------------------------------------------------
// PyTorch's generator for the cpu. state: the 624 words of a block of MT19937, of which `used` have been drawn, 1 to
// 624. A kernel draws on, and leaves the block that it came to; the caller knows how many words it has drawn of it. A
// float is made of one word, a double of two. scratch: blocks, for several threads.
EK_API int ek_random_scratch(int n);
// Uniform numbers of [from, to), one word or two for each.
//: state: 2496; out: n*sizeof(dtype); scratch: ek_random_scratch(n)
//: given n = out.size
EK_API int ek_uniform(int dtype, void* state, int used, void* out, int n, double from, double to, void* scratch);
// Normal numbers, 16 at a time; n is at least 16. If n is no multiple of 16 the last 16 are drawn anew.
//: state: 2496; out: n*sizeof(dtype); scratch: ek_random_scratch(n)
//: given n = out.size
EK_API int ek_normal(int dtype, void* state, int used, void* out, int n, double mean, double std, void* scratch);
// out[i] = 1 with probability p[i], else 0. If a p is not in [0, 1], EK_BAD_ARGUMENT, and nothing is drawn.
//: state: 2496; p, out: n*sizeof(dtype); scratch: ek_random_scratch(n)
//: given n = out.size
EK_API EK_AWAITED int ek_bernoulli(int dtype, void* state, int used, const void* p, void* out, int n, void* scratch);
// out[i] = value with probability p, else 0; two words for each, whatever the dtype.
//: state: 2496; out: n*sizeof(dtype); scratch: ek_random_scratch(n)
//: given n = out.size
EK_API int ek_random_mask(int dtype, void* state, int used, void* out, int n, double p, double value, void* scratch);
// Integers of from … from + range − 1, two words for each if range ≥ 2^28, else one. Both numbers have 64 bits.
//: state: 2496; out: n*sizeof(dtype); scratch: ek_random_scratch(n)
//: given n = out.size
EK_API int ek_random_integers(int dtype, void* state, int used, void* out, int n, int from_high, int from_low,
                              int range_high, int range_low, void* scratch);
// 0 … n − 1 in random order, int64; n − 1 words.
//: state: 2496; out: n*8
//: given n = out.size
EK_API int ek_random_permutation(void* state, int used, void* out, int n);
// ---- recurrent layers (recurrent/) ----------------------------------------------------------------------------------
// Room for the packed weights, for the workers, and, in a backward, for the gradient of the hidden values before the
// projection.
EK_API int ek_recurrent_scratch(int dtype, int n, int rows, int h, int out, int projects, int backward);
// All steps of one direction of n samples with h hidden values, behind the product of the inputs with their weights;
// float32 and float64. rows: those of the weights w_hh, 4h of an LSTM (i, f, g, o), 3h of a GRU (r, z, n), h of others.
// An LSTM that projects has out values in its state, y and h0, by w_hr; else out is h. h0 and c0 are the states before
// the first step, which is the last of all with reverse. gates: what comes of the inputs; becomes the activated gates,
// with tanh and relu the sums. A GRU has b_hh, and in hidden the sums that come of the state. cells: the cell states
// behind each step; unprojected: the hidden values before the projection.
//: w_hh: rows*out*sizeof(dtype); b_hh?: rows*sizeof(dtype); w_hr?: out*h*sizeof(dtype); h0: n*out*sizeof(dtype);
//: c0?: n*h*sizeof(dtype); gates: steps*n*rows*sizeof(dtype); hidden?: steps*n*rows*sizeof(dtype);
//: cells?: steps*n*h*sizeof(dtype); unprojected?: steps*n*h*sizeof(dtype); y: steps*n*out*sizeof(dtype);
//: scratch: ek_recurrent_scratch(dtype, n, rows, h, out, projects, 0)
EK_API int ek_recurrent(int cell, int dtype, int reverse, int projects, const void* w_hh, const void* b_hh,
                        const void* w_hr, const void* h0, const void* c0, void* gates, void* hidden, void* cells,
                        void* unprojected, void* y, int steps, int n, int rows, int h, int out, void* scratch);
// Takes what the forward has left. dh (n, out) and dc (n, h): the gradients of the last states, which become those of
// h0 and c0. dy: that of y. dgates: the gradient of the sums of the gates; dhidden: of a GRU, that of `hidden`;
// dprojected: that of what w_hr has projected.
//: w_hh: rows*out*sizeof(dtype); w_hr?: out*h*sizeof(dtype); h0, dh: n*out*sizeof(dtype); c0?: n*h*sizeof(dtype);
//: dc?: n*h*sizeof(dtype); gates, dgates: steps*n*rows*sizeof(dtype); hidden?: steps*n*rows*sizeof(dtype);
//: dhidden?: steps*n*rows*sizeof(dtype); cells?: steps*n*h*sizeof(dtype); y: steps*n*out*sizeof(dtype);
//: dy?: steps*n*out*sizeof(dtype); dprojected?: steps*n*out*sizeof(dtype);
//: scratch: ek_recurrent_scratch(dtype, n, rows, h, out, projects, 1)
EK_API int ek_recurrent_backward(int cell, int dtype, int reverse, int projects, const void* w_hh, const void* w_hr,
                                 const void* h0, const void* c0, const void* gates, const void* hidden,
                                 const void* cells, const void* y, const void* dy, void* dh, void* dc, void* dgates,
                                 void* dhidden, void* dprojected, int steps, int n, int rows, int h, int out,
                                 void* scratch);

// ---- indexing along the middle axis (index/) ------------------------------------------------------------------------
// Index tensors are int64. An index outside [0, n) gives EK_BAD_INDEX, even if nothing would be moved; the output is
// then unspecified. out (outer, count, inner) = x (outer, n, inner) at index[count], with elements of `size` bytes.
//: x: outer*n*inner*size; index: count*8; out: outer*count*inner*size
//: given size = x.itemSize
EK_API EK_AWAITED int ek_index_select(int size, const void* x, const void* index, void* out, int outer, int n,
                                      int count, int inner);
// out (outer, n, inner) += x (outer, count, inner) at index[count], in the order of index: the result is deterministic
// for repeated indices, too.
//: x: outer*count*inner*sizeof(dtype); index: count*8; out: outer*n*inner*sizeof(dtype)
EK_API EK_AWAITED int ek_index_add(int dtype, const void* x, const void* index, void* out, int outer, int n, int count,
                                   int inner);
// out (outer, n, inner) = x (outer, count, inner) at index[count]. Of repeated indices the last one counts. If an index
// is bad, nothing is written.
//: x: outer*count*inner*size; index: count*8; out: outer*n*inner*size
//: given size = x.itemSize
EK_API EK_AWAITED int ek_index_put(int size, const void* x, const void* index, void* out, int outer, int n, int count,
                                   int inner);
// positions[i] = step·index[i] + Σ over the axes d: ramp[d]·(coordinate d of i), for all elements i of a shape.
// accumulate: this is added to the positions instead. The positions are dense; the index has strides, in elements.
// wrap: indices from -n on are allowed, and count from the end.
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

// out[o][index[o][k][i]][i] = op of itself and x[o][k][i]; op is prod, min or max. NaN stays.
//: x: outer*count*inner*sizeof(dtype); index: outer*count*inner*8; out: outer*n*inner*sizeof(dtype)
EK_API EK_AWAITED int ek_scatter_reduce(int op, int dtype, const void* x, const void* index, void* out, int outer,
                                        int n, int count, int inner);
// Where each value (rows, count) belongs in a sorted row of n: before those that equal it, or behind them (right). step
// is n, or 0 if all have one row. order (int64, optional) is the order in which a row is sorted.
//: sorted: steps(rows, step, n)*sizeof(dtype); order?: steps(rows, step, n)*8; values: rows*count*sizeof(dtype);
//: out: rows*count*8
EK_API EK_AWAITED int ek_searchsorted(int dtype, const void* sorted, int step, const void* order, const void* values,
                                      void* out, int rows, int n, int count, int right);

// ---- matrix product (gemm/) -----------------------------------------------------------------------------------------
EK_API int ek_gemm_scratch(int dtype, int batch, int m, int n, int k);
// c[i] (m, n) = op(a[i]) (m, k) · op(b[i]) (k, n) + bias (n), row-major, for i < batch; float32 and float64. A
// transposed a is stored as (k, m), a transposed b as (n, k). a_step, b_step: elements from one matrix of the batch to
// the next; 0: all use the same one. bias is optional. accumulate: the result is added to c.
//: a: steps(batch, a_step, m*k)*sizeof(dtype); b: steps(batch, b_step, k*n)*sizeof(dtype); bias?: n*sizeof(dtype);
//: c: batch*m*n*sizeof(dtype); scratch: ek_gemm_scratch(dtype, batch, m, n, k)
EK_API int ek_gemm(int dtype, int transpose_a, int transpose_b, int batch, int m, int n, int k, const void* a,
                   int a_step, const void* b, int b_step, const void* bias, void* c, int accumulate, void* scratch);

// The same product of integers, which wrap around; bool is no number here. Neither operand is transposed.
//: a: steps(batch, a_step, m*k)*sizeof(dtype); b: steps(batch, b_step, k*n)*sizeof(dtype); c: batch*m*n*sizeof(dtype)
EK_API int ek_integer_matmul(int dtype, int batch, int m, int n, int k, const void* a, int a_step, const void* b,
                             int b_step, void* c);

// ---- convolution, 1-D to 3-D (conv/) --------------------------------------------------------------------------------
// geometry, 24 ints: N, C, O, groups; input D, H, W; output D, H, W; kernel D, H, W; stride D, H, W; padding before D,
// H, W; dilation D, H, W; format of x; format of y. Lower ranks have 1 (stride, dilation 1, padding 0) in the leading
// places. The padding behind follows from the size of the output. w is (O, C/groups, KD, KH, KW), dense. bias (O) is
// optional. Scratch: bytes, a multiple of 64. which: 0 forward, 1 backward_data, 2 backward_weight.
//
// A convolution can do the work of the batch norms beside it. A norm is given by its coefficients (7, channels), in
// dtype, from ek_batch_norm_coefficients; null means that there is no norm. With x_norm, the input is norm(x) instead
// of x; with x_relu it is limited as the norm's ReLU limits it.
//: let CONV_X = geometry[0]*geometry[1]*geometry[4]*geometry[5]*geometry[6]
//: let CONV_Y = geometry[0]*geometry[2]*geometry[7]*geometry[8]*geometry[9]
//: let CONV_W = geometry[2]*(geometry[1]/geometry[3])*geometry[10]*geometry[11]*geometry[12]
//: let CONV_C = geometry[1]
//: let CONV_O = geometry[2]
//: geometry: 24*4
EK_API int ek_conv_scratch(int which, int dtype, const int* geometry);
// y = conv(x). With y_mean and y_m2 (O, optional) it also takes the statistics of y, equal to those of
// ek_batch_norm_stats up to rounding. Or y = relu(y_norm(conv(x)) + residual), where each of the three is optional; the
// residual has the format of y. y_relu is the limit of the ReLU, as in ek_batch_norm_apply; a norm brings its own
// limit.
//: geometry: 24*4; x: CONV_X*sizeof(dtype); x_norm?: 7*CONV_C*sizeof(dtype); w: CONV_W*sizeof(dtype);
//: bias?: CONV_O*sizeof(dtype); y: CONV_Y*sizeof(dtype); y_mean?, y_m2?: CONV_O*8; y_norm?: 7*CONV_O*sizeof(dtype);
//: residual?: CONV_Y*sizeof(dtype); scratch: ek_conv_scratch(0, dtype, geometry)
EK_API int ek_conv(int dtype, const int* geometry, const void* x, const void* x_norm, int x_relu, const void* w,
                   const void* bias, void* y, double* y_mean, double* y_m2, const void* y_norm, const void* residual,
                   double y_relu, void* scratch);
// dx = the gradient of the input; every element of dx is written. plus (optional) is added to it.
// With dy_norm there is a norm in training behind the convolution, and dy is the gradient of that norm's output. The
// kernel turns it into the gradient of the norm's input dy_x, which has the format of dy.
// With x_norm there is a norm before the convolution, and x is its input. dx is set to 0 where the ReLU behind norm(x)
// was closed, and the kernel takes the two sums of ek_batch_norm_backward_reduce. x_limited (optional) is the output of
// that ReLU; it is given if something was added to norm(x). x, x_limited and plus have the format of dx.
//: geometry: 24*4; dy: CONV_Y*sizeof(dtype); dy_x?: CONV_Y*sizeof(dtype); dy_norm?: 7*CONV_O*sizeof(dtype);
//: w: CONV_W*sizeof(dtype); dx: CONV_X*sizeof(dtype); x?: CONV_X*sizeof(dtype); x_norm?: 7*CONV_C*sizeof(dtype);
//: x_limited?, plus?: CONV_X*sizeof(dtype); sum_dx?, sum_dx_xmu?: CONV_C*8;
//: scratch: ek_conv_scratch(1, dtype, geometry)
EK_API int ek_conv_backward_data(int dtype, const int* geometry, const void* dy, const void* dy_x, const void* dy_norm,
                                 int dy_relu, const void* w, void* dx, const void* x, const void* x_norm, int x_relu,
                                 const void* x_limited, const void* plus, double* sum_dx, double* sum_dx_xmu,
                                 void* scratch);
// dw (O, C/groups, K…), and dbias (O), which is optional. x_norm and dy_norm are as above.
//: geometry: 24*4; x: CONV_X*sizeof(dtype); x_norm?: 7*CONV_C*sizeof(dtype); dy: CONV_Y*sizeof(dtype);
//: dy_x?: CONV_Y*sizeof(dtype); dy_norm?: 7*CONV_O*sizeof(dtype); dw: CONV_W*sizeof(dtype);
//: dbias?: CONV_O*sizeof(dtype); scratch: ek_conv_scratch(2, dtype, geometry)
EK_API int ek_conv_backward_weight(int dtype, const int* geometry, const void* x, const void* x_norm, int x_relu,
                                   const void* dy, const void* dy_x, const void* dy_norm, int dy_relu, void* dw,
                                   void* dbias, void* scratch);

// ---- pooling, 1-D to 3-D (pool/) ------------------------------------------------------------------------------------
// geometry, 22 ints: N, C; input D, H, W; output D, H, W; kernel D, H, W; stride D, H, W; padding D, H, W; dilation D,
// H, W; format; adaptive. Adaptive: window i covers floor(i·in/out) … ceil((i+1)·in/out) − 1. Indices (int64) say where
// in the input's spatial volume each maximum is, in the layout of y. Of equal values the first one counts; NaN counts
// before all numbers. Indices are optional in the forward. x_norm and x_relu are as in the convolution.
//: let POOL_X = geometry[0]*geometry[1]*geometry[2]*geometry[3]*geometry[4]
//: let POOL_Y = geometry[0]*geometry[1]*geometry[5]*geometry[6]*geometry[7]
//: let POOL_C = geometry[1]
//: geometry: 22*4; x: POOL_X*sizeof(dtype); x_norm?: 7*POOL_C*sizeof(dtype); y: POOL_Y*sizeof(dtype);
//: indices?: POOL_Y*8
EK_API int ek_max_pool(int dtype, const int* geometry, const void* x, const void* x_norm, int x_relu, void* y,
                       void* indices);
//: geometry: 22*4; dy: POOL_Y*sizeof(dtype); indices: POOL_Y*8; dx: POOL_X*sizeof(dtype)
EK_API int ek_max_pool_backward(int dtype, const int* geometry, const void* dy, const void* indices, void* dx);
// divisor: the number to divide by. 0: the size of the window, which includes padding if count_include_pad.
//: geometry: 22*4; x: POOL_X*sizeof(dtype); x_norm?: 7*POOL_C*sizeof(dtype); y: POOL_Y*sizeof(dtype)
EK_API int ek_avg_pool(int dtype, const int* geometry, int count_include_pad, int divisor, const void* x,
                       const void* x_norm, int x_relu, void* y);
//: geometry: 22*4; dy: POOL_Y*sizeof(dtype); dx: POOL_X*sizeof(dtype)
EK_API int ek_avg_pool_backward(int dtype, const int* geometry, int count_include_pad, int divisor, const void* dy,
                                void* dx);

// ---- windows as columns (pool/) -------------------------------------------------------------------------------------

// columns (planes, KH, KW, OH, OW) = the windows of x (planes, H, W), with 0 where they lie outside.
// geometry, 13 ints: planes; H, W; OH, OW; kernel H, W; stride H, W; padding H, W; dilation H, W.
//: let FOLD_COLUMNS = geometry[0]*geometry[3]*geometry[4]*geometry[5]*geometry[6]
//: let FOLD_PLANES = geometry[0]*geometry[1]*geometry[2]
//: geometry: 13*4; x: FOLD_PLANES*sizeof(dtype); columns: FOLD_COLUMNS*sizeof(dtype)
EK_API int ek_unfold(int dtype, const int* geometry, const void* x, void* columns);
// y (planes, H, W) = the sums of the columns' elements where their windows lie: the gradient of ek_unfold.
//: geometry: 13*4; columns: FOLD_COLUMNS*sizeof(dtype); y: FOLD_PLANES*sizeof(dtype)
EK_API int ek_fold(int dtype, const int* geometry, const void* columns, void* y);

// ---- padding along up to three axes (pad/) --------------------------------------------------------------------------
// geometry, 11 ints: outer; three sizes of x; what is added before and after each of them, less than 0 to cut: before
// (3), after (3); inner. Elements that no mode finds in x are `value`. Each mode other than the constant one needs
// something left to read, reflect a padding below the size, circular one of at most the size.
//: let PAD_X = geometry[0]*geometry[1]*geometry[2]*geometry[3]*geometry[10]
//: let PAD_DH = (geometry[1]+geometry[4]+geometry[7])*(geometry[2]+geometry[5]+geometry[8])
//: let PAD_W = (geometry[3]+geometry[6]+geometry[9])*geometry[10]
//: geometry: 11*4; x: PAD_X*sizeof(dtype); y: geometry[0]*PAD_DH*PAD_W*sizeof(dtype)
EK_API int ek_pad(int dtype, int mode, const int* geometry, double value, const void* x, void* y);
// dx[i] = the sum of dy over the positions that read x[i].
//: geometry: 11*4; dy: geometry[0]*PAD_DH*PAD_W*sizeof(dtype); dx: PAD_X*sizeof(dtype)
EK_API int ek_pad_backward(int dtype, int mode, const int* geometry, const void* dy, void* dx);

// ---- resampling along two axes (resample/) --------------------------------------------------------------------------
// geometry, 10 ints: outer; height, width of x; height, width of y; inner; an ek_resampling; align corners; antialias;
// transposed. scale_h, scale_w: how many times larger y is, where that is not the ratio of the sizes; 0 otherwise.
// Transposed: the gradient; x has the sizes of y, and y those of x. All sizes are positive. Nearest neighbours are
// found of all numbers, and images of uint8 resampled with weights of 16 bits, but both without gradients. Lanczos
// weights are antialiased always.
//: geometry: 10*4
EK_API int ek_resample_scratch(int dtype, const int* geometry, double scale_h, double scale_w);
//: let RESAMPLE_IN = geometry[0]*geometry[1]*geometry[2]*geometry[5]
//: let RESAMPLE_OUT = geometry[0]*geometry[3]*geometry[4]*geometry[5]
//: let RESAMPLE_FORWARD = 1-geometry[9]
//: geometry: 10*4; x: (RESAMPLE_FORWARD*RESAMPLE_IN+geometry[9]*RESAMPLE_OUT)*sizeof(dtype);
//: y: (RESAMPLE_FORWARD*RESAMPLE_OUT+geometry[9]*RESAMPLE_IN)*sizeof(dtype);
//: scratch: ek_resample_scratch(dtype, geometry, scale_h, scale_w)
EK_API int ek_resample(int dtype, const int* geometry, double scale_h, double scale_w, const void* x, void* y,
                       void* scratch);

// Samples of x (n, c, spatial…), of 2 or 3 spatial dimensions, at the places of the grid (n, places, dims), whose
// coordinates, x before y before z, are −1 and 1 at the ends. geometry, 11 ints: n; c; dims; depth, height, width (a
// missing depth is 1); places; an ek_grid_mode, of which bicubic has 2 dimensions; an ek_grid_padding; align corners;
// format of x and y. y is (n, c, places) in that format. The gradient of x is added to dx. int32 offsets reach all of a
// plane of float32.
//: let GRID_X = geometry[0]*geometry[1]*geometry[3]*geometry[4]*geometry[5]
//: let GRID_Y = geometry[0]*geometry[1]*geometry[6]
//: let GRID_PLACES = geometry[0]*geometry[6]*geometry[2]
//: geometry: 11*4; x: GRID_X*sizeof(dtype); grid: GRID_PLACES*sizeof(dtype); y: GRID_Y*sizeof(dtype)
EK_API int ek_grid_sample(int dtype, const int* geometry, const void* x, const void* grid, void* y);
//: geometry: 11*4; dy: GRID_Y*sizeof(dtype); grid: GRID_PLACES*sizeof(dtype); dx: GRID_X*sizeof(dtype)
EK_API int ek_grid_sample_backward(int dtype, const int* geometry, const void* dy, const void* grid, void* dx);
//: geometry: 11*4; dy: GRID_Y*sizeof(dtype); x: GRID_X*sizeof(dtype); grid, dgrid: GRID_PLACES*sizeof(dtype)
EK_API int ek_grid_sample_backward_grid(int dtype, const int* geometry, const void* dy, const void* x, const void* grid,
                                        void* dgrid);

// ---- batch normalization, cut at its communication points (batch_norm/) ---------------------------------------------
// x: (n, c, s) contiguous or (n, s, c) channels last; float32 or float64. Statistics are float64, one per channel.
// relu: the limit of a ReLU: y is limited to 0 … relu, which may be infinite. 0: there is no ReLU.
EK_API int ek_batch_norm_scratch(int n, int c, int s, int format);
// mean = Σx / (n·s), m2 = Σ(x − mean)². Sums are shifted by a pivot, and merged in double in a fixed order.
//: x: n*c*s*sizeof(dtype); mean, m2: c*8; scratch: ek_batch_norm_scratch(n, c, s, format)
//: given n = x.shape[0]; c = x.shape[1]; s = spatialSize(x); format = x.formatCode
EK_API int ek_batch_norm_stats(int dtype, const void* x, int n, int c, int s, int format, double* mean, double* m2,
                               void* scratch);
// Merges the statistics of `parts` parts in their order (Chan et al. 1983): counts (parts), means (parts, c), m2s
// (parts, c). The numbers of the next part lie `pitch` doubles behind those of a part. Parts with a count of 0 change
// nothing.
//: counts: steps(parts, pitch, 1)*8; means, m2s: steps(parts, pitch, c)*8; count: 8; mean, m2: c*8
//: given c = mean.size
EK_API int ek_batch_norm_combine(int parts, int c, int pitch, const double* counts, const double* means,
                                 const double* m2s, double* count, double* mean, double* m2);
// invstd = 1/√(m2/count + eps), or 0 if m2 and eps are both 0.
//: m2, invstd: c*8
//: given c = m2.size
EK_API int ek_batch_norm_invstd(int c, double count, const double* m2, double eps, double* invstd);
// running ← (1 − f)·running + f·batch, with the unbiased variance m2/(count − 1). f is the momentum, or 1 / tracked[0]
// (int64) if momentum is NaN. running_mean and running_var are optional.
//: mean, m2: c*8; tracked?: 8; running_mean?, running_var?: c*sizeof(dtype)
//: given c = mean.size
EK_API int ek_batch_norm_update_running(int dtype, int c, double count, const double* mean, const double* m2,
                                        double momentum, const void* tracked, void* running_mean, void* running_var);
// tracked[0] (int64) += 1.
//: tracked: 8
EK_API int ek_batch_norm_count(void* tracked);
// mean and invstd (float64) from running statistics: invstd = 1/√(running_var + eps).
//: running_mean, running_var: c*sizeof(dtype); mean, invstd: c*8
//: given c = runningMean.size
EK_API int ek_batch_norm_from_running(int dtype, int c, const void* running_mean, const void* running_var, double eps,
                                      double* mean, double* invstd);
// The gradients of weight and bias, in dtype, each optional: dweight = invstd·sum_dy_xmu, dbias = sum_dy.
//: invstd, sum_dy, sum_dy_xmu: c*8; dweight?, dbias?: c*sizeof(dtype)
//: given c = invstd.size
EK_API int ek_batch_norm_parameter_gradients(int dtype, int c, const double* invstd, const double* sum_dy,
                                             const double* sum_dy_xmu, void* dweight, void* dbias);
// The numbers with which a norm is applied, in dtype (7, c): the mean as a sum of two numbers, hi and lo;
// invstd·weight; bias; −sum_dy/count and −invstd²·sum_dy_xmu/count, which are 0 if sum_dy is null; and the limit of a
// ReLU, NaN if it is infinite. A null mean is 0 and a null invstd is 1, here and in apply.
//: mean?, invstd?: c*8; weight?, bias?: c*sizeof(dtype); sum_dy?, sum_dy_xmu?: c*8; coefficients: 7*c*sizeof(dtype)
//: given c = coefficients.shape[1]
EK_API int ek_batch_norm_coefficients(int dtype, int c, double count, const double* mean, const double* invstd,
                                      const void* weight, const void* bias, double relu, const double* sum_dy,
                                      const double* sum_dy_xmu, void* coefficients);
// y = (x − mean)·(invstd·weight) + bias + residual; the mean is subtracted first. weight, bias and residual are
// optional. The residual has the format of x. y may be x.
//: x: n*c*s*sizeof(dtype); mean?, invstd?: c*8; weight?, bias?: c*sizeof(dtype); residual?, y: n*c*s*sizeof(dtype);
//: scratch: ek_batch_norm_scratch(n, c, s, format)
//: given n = x.shape[0]; c = x.shape[1]; s = spatialSize(x); format = x.formatCode
EK_API int ek_batch_norm_apply(int dtype, const void* x, int n, int c, int s, int format, const double* mean,
                               const double* invstd, const void* weight, const void* bias, double relu,
                               const void* residual, void* y, void* scratch);
// out = op(z), where z is the result of ek_batch_norm_apply without ReLU and residual. op is one of ek_unary, with its
// parameters, but not one that gives bool. With dy (optional): out = dy·op′(z); then y = op(z) is given, too, as in
// ek_unary_backward.
//: x: n*c*s*sizeof(dtype); mean, invstd: c*8; weight?, bias?: c*sizeof(dtype); y?, dy?, out: n*c*s*sizeof(dtype);
//: scratch: ek_batch_norm_scratch(n, c, s, format)
//: given n = x.shape[0]; c = x.shape[1]; s = spatialSize(x); format = x.formatCode
EK_API int ek_batch_norm_function(int op, int dtype, const void* x, int n, int c, int s, int format, const double* mean,
                                  const double* invstd, const void* weight, const void* bias, double p0, double p1,
                                  const void* y, const void* dy, void* out, void* scratch);
// stats, invstd and apply in one kernel, with the same bits. x is read from memory once if a few channels of it fit a
// cache.
//: x: n*c*s*sizeof(dtype); weight?, bias?: c*sizeof(dtype); mean, m2, invstd: c*8; y: n*c*s*sizeof(dtype);
//: scratch: ek_batch_norm_scratch(n, c, s, format)
//: given n = x.shape[0]; c = x.shape[1]; s = spatialSize(x); format = x.formatCode
EK_API int ek_batch_norm_forward(int dtype, const void* x, int n, int c, int s, int format, double eps,
                                 const void* weight, const void* bias, double relu, double* mean, double* m2,
                                 double* invstd, void* y, void* scratch);
// sum_dy = Σg, sum_dy_xmu = Σg·(x − mean), where g = dy. With relu, g is 0 where the forward's y was not between the
// limits of the ReLU. invstd, weight and bias are read only with relu.
//: x, dy: n*c*s*sizeof(dtype); mean, invstd?: c*8; weight?, bias?: c*sizeof(dtype); sum_dy, sum_dy_xmu: c*8;
//: scratch: ek_batch_norm_scratch(n, c, s, format)
//: given n = x.shape[0]; c = x.shape[1]; s = spatialSize(x); format = x.formatCode
EK_API int ek_batch_norm_backward_reduce(int dtype, const void* x, const void* dy, int n, int c, int s, int format,
                                         const double* mean, const double* invstd, const void* weight, const void* bias,
                                         double relu, double* sum_dy, double* sum_dy_xmu, void* scratch);
// With g as in backward_reduce. Training: dx = weight·invstd·(g − sum_dy/count − (x − mean)·invstd²·sum_dy_xmu/count).
// Evaluation (sum_dy is null): dx = weight·invstd·g; then x and mean are read only with relu.
//: x?, dy: n*c*s*sizeof(dtype); mean?, invstd: c*8; weight?, bias?: c*sizeof(dtype); sum_dy?, sum_dy_xmu?: c*8;
//: dx: n*c*s*sizeof(dtype); scratch: ek_batch_norm_scratch(n, c, s, format)
//: given n = dy.shape[0]; c = dy.shape[1]; s = spatialSize(dy); format = dy.formatCode
EK_API int ek_batch_norm_backward_apply(int dtype, const void* x, const void* dy, int n, int c, int s, int format,
                                        double count, const double* mean, const double* invstd, const void* weight,
                                        const void* bias, double relu, const double* sum_dy, const double* sum_dy_xmu,
                                        void* dx, void* scratch);
// dx = the dx of training in backward_apply + plus, on rows of c channels. norm: the result of
// ek_batch_norm_coefficients with sums. plus_pitch: elements from one row of plus to the next.
//: x, dy, dx: rows*c*sizeof(dtype); norm: 7*c*sizeof(dtype); plus: steps(rows, plus_pitch, c)*sizeof(dtype)
EK_API int ek_batch_norm_backward_joined(int dtype, const void* x, const void* dy, int rows, int c, const void* norm,
                                         int relu, const void* plus, int plus_pitch, void* dx);
// backward_reduce, and backward_apply in training with count = n·s, in one kernel, with the same bits.
//: x, dy: n*c*s*sizeof(dtype); mean, invstd: c*8; weight?, bias?: c*sizeof(dtype); sum_dy, sum_dy_xmu: c*8;
//: dx: n*c*s*sizeof(dtype); scratch: ek_batch_norm_scratch(n, c, s, format)
//: given n = x.shape[0]; c = x.shape[1]; s = spatialSize(x); format = x.formatCode
EK_API int ek_batch_norm_backward(int dtype, const void* x, const void* dy, int n, int c, int s, int format,
                                  const double* mean, const double* invstd, const void* weight, const void* bias,
                                  double relu, double* sum_dy, double* sum_dy_xmu, void* dx, void* scratch);

// ---- normalization of rows: layer, RMS, group and instance norm (row_norm/) -----------------------------------------
// x: (n, g, k, s) contiguous or (n, s, g, k) channels last. Each of the n·g rows of k·s values is normalized with its
// own mean, m2 and invstd (float64, n·g). weight and bias have g·k values and are optional. If not `centred`, the mean
// is taken as 0 (RMS norm).
EK_API int ek_row_norm_scratch(int n, int g, int k, int s, int format);
// mean, m2 = Σ(x − mean)², invstd = 1/√(m2/(k·s) + eps), y = (x − mean)·invstd·weight + bias.
//: x: n*g*k*s*sizeof(dtype); weight?, bias?: g*k*sizeof(dtype); mean, m2, invstd: n*g*8; y: n*g*k*s*sizeof(dtype);
//: scratch: ek_row_norm_scratch(n, g, k, s, format)
//: given format = x.formatCode
EK_API int ek_row_norm_forward(int dtype, const void* x, int n, int g, int k, int s, int format, int centred,
                               double eps, const void* weight, const void* bias, double* mean, double* m2,
                               double* invstd, void* y, void* scratch);
// With h = dy·weight, x̂ = (x − mean)·invstd and averages over a row: dx = invstd·(h − avg(h) − x̂·avg(h·x̂)), without
// avg(h) if not centred. dweight = Σ dy·x̂ and dbias = Σ dy, over n and s (both float64, g·k). dx is optional; dweight
// and dbias are optional together.
//: x, dy: n*g*k*s*sizeof(dtype); mean, invstd: n*g*8; weight?: g*k*sizeof(dtype); dx?: n*g*k*s*sizeof(dtype);
//: dweight?, dbias?: g*k*8; scratch: ek_row_norm_scratch(n, g, k, s, format)
//: given format = x.formatCode
EK_API int ek_row_norm_backward(int dtype, const void* x, const void* dy, int n, int g, int k, int s, int format,
                                int centred, const double* mean, const double* invstd, const void* weight, void* dx,
                                double* dweight, double* dbias, void* scratch);

// ---- optimizers, over all parameters of a group in one call (optim/) ------------------------------------------------
// table: `count` rows of 6 doubles. They are the addresses of the parameter, its gradient, and the states 0, 1 and 2 (0
// if unused), and the number of elements. All of them are of `dtype` (float32 or float64). maximize: g = −g at the
// start. SGD: g += weight_decay·p; with momentum: buf = first ? g : momentum·buf + (1 − dampening)·g; g = nesterov ? g
// + momentum·buf : buf; p −= lr·g. State 0: buf.
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
// The norm of all gradients of a table: result[0] = Σ|g|^p for a finite p, or max|g| for p = inf, in double.
//: table: rows(table, count, sizeof(dtype)); result: 8
EK_API int ek_optim_grad_norm(int dtype, const double* table, int count, double p, double* result);
// g = min(max(g·scale, −limit), limit), for all gradients of a table.
//: table: rows(table, count, sizeof(dtype))
EK_API int ek_optim_grad_scale(int dtype, const double* table, int count, double scale, double limit);
