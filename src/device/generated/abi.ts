// Generated from kernels/include/evenkeel.h by scripts/generate_abi.ts; do not edit.

export const Status = {
  ok: 0,
  badDtype: 1,
  badArgument: 2,
  badIndex: 3,
  abandoned: 4,
} as const;
export type Status = (typeof Status)[keyof typeof Status];

export const Dtype = {
  float32: 0,
  float64: 1,
  int32: 2,
  int64: 3,
  uint8: 4,
  bool: 5,
} as const;
export type Dtype = (typeof Dtype)[keyof typeof Dtype];

export const Format = {
  contiguous: 0,
  channelsLast: 1,
} as const;
export type Format = (typeof Format)[keyof typeof Format];

export const Isa = {
  baseline: 0,
  avx2: 1,
  avx512: 2,
  neon: 3,
  wasm: 4,
} as const;
export type Isa = (typeof Isa)[keyof typeof Isa];

export const Unary = {
  neg: 0,
  sign: 1,
  abs: 2,
  square: 3,
  reciprocal: 4,
  clamp: 5,
  floor: 6,
  ceil: 7,
  round: 8,
  trunc: 9,
  sqrt: 10,
  rsqrt: 11,
  exp: 12,
  expm1: 13,
  log: 14,
  log1p: 15,
  sin: 16,
  cos: 17,
  erf: 18,
  erfc: 19,
  exp2: 20,
  log2: 21,
  log10: 22,
  erfinv: 23,
  tan: 24,
  asin: 25,
  acos: 26,
  atan: 27,
  sinh: 28,
  cosh: 29,
  asinh: 30,
  acosh: 31,
  atanh: 32,
  tanh: 33,
  sigmoid: 34,
  logsigmoid: 35,
  relu: 36,
  leakyRelu: 37,
  elu: 38,
  celu: 39,
  selu: 40,
  gelu: 41,
  geluTanh: 42,
  silu: 43,
  softplus: 44,
  hardtanh: 45,
  hardsigmoid: 46,
  hardswish: 47,
  softsign: 48,
  tanhshrink: 49,
  softshrink: 50,
  hardshrink: 51,
  threshold: 52,
  mish: 53,
  logicalNot: 54,
  isnan: 55,
  isfinite: 56,
  isinf: 57,
  signbit: 58,
} as const;
export type Unary = (typeof Unary)[keyof typeof Unary];

export const Binary = {
  add: 0,
  sub: 1,
  mul: 2,
  div: 3,
  pow: 4,
  maximum: 5,
  minimum: 6,
  remainder: 7,
  fmod: 8,
  truncDivide: 9,
  floorDivide: 10,
  atan2: 11,
  hypot: 12,
  copysign: 13,
  bitwiseAnd: 14,
  bitwiseOr: 15,
  bitwiseXor: 16,
  bitwiseLeftShift: 17,
  bitwiseRightShift: 18,
  gcd: 19,
  eq: 20,
  ne: 21,
  lt: 22,
  le: 23,
  gt: 24,
  ge: 25,
  logicalAnd: 26,
  logicalOr: 27,
  logicalXor: 28,
} as const;
export type Binary = (typeof Binary)[keyof typeof Binary];

export const PadMode = {
  constant: 0,
  reflect: 1,
  replicate: 2,
  circular: 3,
} as const;
export type PadMode = (typeof PadMode)[keyof typeof PadMode];

export const Resampling = {
  nearest: 0,
  nearestExact: 1,
  linear: 2,
  cubic: 3,
  lanczos: 4,
  area: 5,
} as const;
export type Resampling = (typeof Resampling)[keyof typeof Resampling];

export const Cell = {
  tanh: 0,
  relu: 1,
  lstm: 2,
  gru: 3,
} as const;
export type Cell = (typeof Cell)[keyof typeof Cell];

export const Cumulation = {
  sum: 0,
  prod: 1,
  max: 2,
  min: 3,
  logSum: 4,
} as const;
export type Cumulation = (typeof Cumulation)[keyof typeof Cumulation];

export const GridMode = {
  bilinear: 0,
  nearest: 1,
  bicubic: 2,
} as const;
export type GridMode = (typeof GridMode)[keyof typeof GridMode];

export const GridPadding = {
  zeros: 0,
  border: 1,
  reflection: 2,
} as const;
export type GridPadding = (typeof GridPadding)[keyof typeof GridPadding];

export const Reduction = {
  sum: 0,
  prod: 1,
  min: 2,
  max: 3,
  any: 4,
  all: 5,
} as const;
export type Reduction = (typeof Reduction)[keyof typeof Reduction];

/** An address in the memory of a backend; 0 is null. */
export type Pointer = number;

/** The kernels of one backend. Every function returns a status, or a size in bytes where its name ends in Scratch. */
export interface Kernels {
  isa(): number;
  /**
   * out[i] = value, converted to dtype.
   */
  fill(dtype: number, out: Pointer, n: number, value: number): number;
  /**
   * out[i] = start + i·step, computed in double (int64: exactly, in 64 bits).
   */
  arange(dtype: number, out: Pointer, n: number, start: number, step: number): number;
  /**
   * out[i] = (to) x[i], C conversion rules; to bool: x != 0; float to integer truncates, and what an integer cannot hold,
   * NaN too, becomes its most negative number, for uint8 the low byte of that of int64. Numbers that binary_scalar, fill
   * and arange are given wrap into integers.
   */
  cast(from: number, to: number, x: Pointer, out: Pointer, n: number): number;
  /**
   * Copies elements of `size` bytes between two strided arrays of the same shape; strides in elements, may be 0 (x) or
   * negative. The innermost contiguous runs are copied as blocks.
   */
  copyStrided(size: number, x: Pointer, out: Pointer, ndim: number, shape: Pointer, xStrides: Pointer, outStrides: Pointer): number;
  /**
   * Copies `count` blocks of bytes, none of which another of them overlaps: rows of 3 doubles, the addresses from and to
   * and a number of bytes.
   */
  copyBlocks(table: Pointer, count: number): number;
  /**
   * out[i] = op(x[i]). p0, p1: the parameters p and q of elementwise/unary.def, where op has any; limits may be ±inf.
   * Tests write bool (1 byte). In place (out == x) is allowed.
   */
  unary(op: number, dtype: number, x: Pointer, out: Pointer, n: number, p0: number, p1: number): number;
  /**
   * dx[i] = g[i]·op′ at i, for every differentiable unary op, float32 and float64. x: the forward's input, y: its output;
   * both must be given. dx may alias g.
   */
  unaryBackward(op: number, dtype: number, x: Pointer, y: Pointer, g: Pointer, dx: Pointer, n: number, p0: number, p1: number): number;
  /**
   * out = op(a, b) over a common shape; strides in elements, 0 where an operand is broadcast; out is dense in the order
   * of `shape`. add and sub: a ± alpha·b. Comparisons and logical ops write bool. Integer div truncates toward zero,
   * remainder has the divisor's sign (both: EK_BAD_ARGUMENT on an integer division by 0). pow on integers wraps. max/min
   * propagate NaN. out may be a or b where that operand is not broadcast.
   */
  binary(op: number, dtype: number, a: Pointer, b: Pointer, out: Pointer, ndim: number, shape: Pointer, aStrides: Pointer, bStrides: Pointer, alpha: number): number;
  /**
   * out = op(x, s), or op(s, x) when reverse; same rules as ek_binary.
   */
  binaryScalar(op: number, dtype: number, x: Pointer, s: number, reverse: number, out: Pointer, n: number, alpha: number): number;
  /**
   * out = condition ? a : b, broadcast as ek_binary; size: bytes of an element of a, b and out; condition: bool.
   */
  where(size: number, condition: Pointer, a: Pointer, b: Pointer, out: Pointer, ndim: number, shape: Pointer, conditionStrides: Pointer, aStrides: Pointer, bStrides: Pointer): number;
  /**
   * sum and prod compute in the dtype itself (the caller converts int32, uint8 and bool to int64 first). Float sums are
   * accumulated in double, in blocks that depend on the shape alone. any and all take and give bool. min and max give NaN
   * if a value is NaN; with n = 0 they return EK_BAD_ARGUMENT.
   */
  reduce(op: number, dtype: number, x: Pointer, out: Pointer, outer: number, n: number, inner: number): number;
  /**
   * mean and M2 = Σ(x − mean)², both float64. Each tile is read twice, and tiles are merged in double (Chan et al. 1983).
   */
  reduceMoments(dtype: number, x: Pointer, mean: Pointer, m2: Pointer, outer: number, n: number, inner: number): number;
  /**
   * The minimum or maximum, and its index (int64). Of equal values the first one counts; NaN comes before all numbers.
   * values is optional.
   */
  argReduce(op: number, dtype: number, x: Pointer, values: Pointer, indices: Pointer, outer: number, n: number, inner: number): number;
  /**
   * Running sums along the axis. reverse: they begin at its end.
   */
  cumsum(dtype: number, x: Pointer, out: Pointer, outer: number, n: number, inner: number, reverse: number): number;
  /**
   * What has come so far along the axis: sums in the dtype itself, products, the largest or smallest value with its index
   * (int64, optional; of equal values the last one counts, NaN before all numbers), or log Σ eˣ (floats).
   */
  cumulate(op: number, dtype: number, x: Pointer, out: Pointer, indices: Pointer, outer: number, n: number, inner: number): number;
  /**
   * The k largest (or smallest) values of each row of (outer, n), sorted. Of equal values the one with the lower index
   * comes first. NaN counts as the largest value. scratch: n ints for each worker thread (ek_topk_scratch bytes).
   */
  topkScratch(n: number): number;
  topk(dtype: number, x: Pointer, values: Pointer, indices: Pointer, outer: number, n: number, k: number, largest: number, scratch: Pointer): number;
  /**
   * Connectionist temporal classification (Graves et al. 2006) of log-probabilities (steps, n, classes). Sample i has
   * input_lengths[i] of the steps, and target_lengths[i] labels of `targets` (int64) from offsets[i] on. losses: the
   * negative log-likelihoods. alpha keeps the forward variables for the backward: for each sample and step 2 + states,
   * of which there are 2·most + 1, with the largest target length as `most`. A label that is no class gives EK_BAD_INDEX.
   * The gradient is that by the logits of a log-softmax, as in PyTorch: where lose_infinite, samples that cannot be
   * aligned have none. scratch: 3 rows of states for each worker thread.
   */
  ctcScratch(dtype: number, most: number): number;
  ctcLoss(dtype: number, logP: Pointer, targets: Pointer, labels: number, inputLengths: Pointer, targetLengths: Pointer, offsets: Pointer, steps: number, n: number, classes: number, most: number, blank: number, losses: Pointer, alpha: Pointer, scratch: Pointer): number;
  ctcLossBackward(dtype: number, g: Pointer, logP: Pointer, targets: Pointer, labels: number, inputLengths: Pointer, targetLengths: Pointer, offsets: Pointer, losses: Pointer, alpha: Pointer, dlogP: Pointer, steps: number, n: number, classes: number, most: number, blank: number, loseInfinite: number, scratch: Pointer): number;
  /**
   * softmax, or log-softmax, along the middle axis; float32 and float64. Backward takes the forward's output y.
   */
  softmax(log: number, dtype: number, x: Pointer, out: Pointer, outer: number, n: number, inner: number): number;
  softmaxBackward(log: number, dtype: number, y: Pointer, g: Pointer, dx: Pointer, outer: number, n: number, inner: number): number;
  /**
   * PyTorch's generator for the cpu. state: the 624 words of a block of MT19937, of which `used` have been drawn, 1 to
   * 624. A kernel draws on, and leaves the block that it came to; the caller knows how many words it has drawn of it. A
   * float is made of one word, a double of two. scratch: blocks, for several threads.
   */
  randomScratch(n: number): number;
  /**
   * Uniform numbers of [from, to), one word or two for each.
   */
  uniform(dtype: number, state: Pointer, used: number, out: Pointer, n: number, from: number, to: number, scratch: Pointer): number;
  /**
   * Normal numbers, 16 at a time; n is at least 16. If n is no multiple of 16 the last 16 are drawn anew.
   */
  normal(dtype: number, state: Pointer, used: number, out: Pointer, n: number, mean: number, std: number, scratch: Pointer): number;
  /**
   * out[i] = 1 with probability p[i], else 0. If a p is not in [0, 1], EK_BAD_ARGUMENT, and nothing is drawn.
   */
  bernoulli(dtype: number, state: Pointer, used: number, p: Pointer, out: Pointer, n: number, scratch: Pointer): number;
  /**
   * out[i] = value with probability p, else 0; two words for each, whatever the dtype.
   */
  randomMask(dtype: number, state: Pointer, used: number, out: Pointer, n: number, p: number, value: number, scratch: Pointer): number;
  /**
   * Integers of from … from + range − 1, two words for each if range ≥ 2^28, else one. Both numbers have 64 bits.
   */
  randomIntegers(dtype: number, state: Pointer, used: number, out: Pointer, n: number, fromHigh: number, fromLow: number, rangeHigh: number, rangeLow: number, scratch: Pointer): number;
  /**
   * 0 … n − 1 in random order, int64; n − 1 words.
   */
  randomPermutation(state: Pointer, used: number, out: Pointer, n: number): number;
  /**
   * Room for the packed weights, for the workers, and, in a backward, for the gradient of the hidden values before the
   * projection.
   */
  recurrentScratch(dtype: number, n: number, rows: number, h: number, out: number, projects: number, backward: number): number;
  /**
   * All steps of one direction of n samples with h hidden values, behind the product of the inputs with their weights;
   * float32 and float64. rows: those of the weights w_hh, 4h of an LSTM (i, f, g, o), 3h of a GRU (r, z, n), h of others.
   * An LSTM that projects has out values in its state, y and h0, by w_hr; else out is h. h0 and c0 are the states before
   * the first step, which is the last of all with reverse. gates: what comes of the inputs; becomes the activated gates,
   * with tanh and relu the sums. A GRU has b_hh, and in hidden the sums that come of the state. cells: the cell states
   * behind each step; unprojected: the hidden values before the projection.
   */
  recurrent(cell: number, dtype: number, reverse: number, projects: number, wHh: Pointer, bHh: Pointer, wHr: Pointer, h0: Pointer, c0: Pointer, gates: Pointer, hidden: Pointer, cells: Pointer, unprojected: Pointer, y: Pointer, steps: number, n: number, rows: number, h: number, out: number, scratch: Pointer): number;
  /**
   * Takes what the forward has left. dh (n, out) and dc (n, h): the gradients of the last states, which become those of
   * h0 and c0. dy: that of y. dgates: the gradient of the sums of the gates; dhidden: of a GRU, that of `hidden`;
   * dprojected: that of what w_hr has projected.
   */
  recurrentBackward(cell: number, dtype: number, reverse: number, projects: number, wHh: Pointer, wHr: Pointer, h0: Pointer, c0: Pointer, gates: Pointer, hidden: Pointer, cells: Pointer, y: Pointer, dy: Pointer, dh: Pointer, dc: Pointer, dgates: Pointer, dhidden: Pointer, dprojected: Pointer, steps: number, n: number, rows: number, h: number, out: number, scratch: Pointer): number;
  /**
   * Index tensors are int64. An index outside [0, n) gives EK_BAD_INDEX, even if nothing would be moved; the output is
   * then unspecified. out (outer, count, inner) = x (outer, n, inner) at index[count], with elements of `size` bytes.
   */
  indexSelect(size: number, x: Pointer, index: Pointer, out: Pointer, outer: number, n: number, count: number, inner: number): number;
  /**
   * out (outer, n, inner) += x (outer, count, inner) at index[count], in the order of index: the result is deterministic
   * for repeated indices, too.
   */
  indexAdd(dtype: number, x: Pointer, index: Pointer, out: Pointer, outer: number, n: number, count: number, inner: number): number;
  /**
   * out (outer, n, inner) = x (outer, count, inner) at index[count]. Of repeated indices the last one counts. If an index
   * is bad, nothing is written.
   */
  indexPut(size: number, x: Pointer, index: Pointer, out: Pointer, outer: number, n: number, count: number, inner: number): number;
  /**
   * positions[i] = step·index[i] + Σ over the axes d: ramp[d]·(coordinate d of i), for all elements i of a shape.
   * accumulate: this is added to the positions instead. The positions are dense; the index has strides, in elements.
   * wrap: indices from -n on are allowed, and count from the end.
   */
  indexPositions(index: Pointer, positions: Pointer, ndim: number, shape: Pointer, indexStrides: Pointer, ramp: Pointer, n: number, step: number, wrap: number, accumulate: number): number;
  /**
   * out (outer, count, inner)[o][k][i] = x[o][index[o][k][i]][i].
   */
  gather(size: number, x: Pointer, index: Pointer, out: Pointer, outer: number, n: number, count: number, inner: number): number;
  /**
   * out[o][index[o][k][i]][i] += x[o][k][i].
   */
  scatterAdd(dtype: number, x: Pointer, index: Pointer, out: Pointer, outer: number, n: number, count: number, inner: number): number;
  /**
   * out[o][index[o][k][i]][i] = op of itself and x[o][k][i]; op is prod, min or max. NaN stays.
   */
  scatterReduce(op: number, dtype: number, x: Pointer, index: Pointer, out: Pointer, outer: number, n: number, count: number, inner: number): number;
  /**
   * Where each value (rows, count) belongs in a sorted row of n: before those that equal it, or behind them (right). step
   * is n, or 0 if all have one row. order (int64, optional) is the order in which a row is sorted.
   */
  searchsorted(dtype: number, sorted: Pointer, step: number, order: Pointer, values: Pointer, out: Pointer, rows: number, n: number, count: number, right: number): number;
  gemmScratch(dtype: number, batch: number, m: number, n: number, k: number): number;
  /**
   * c[i] (m, n) = op(a[i]) (m, k) · op(b[i]) (k, n) + bias (n), row-major, for i < batch; float32 and float64. A
   * transposed a is stored as (k, m), a transposed b as (n, k). a_step, b_step: elements from one matrix of the batch to
   * the next; 0: all use the same one. bias is optional. accumulate: the result is added to c.
   */
  gemm(dtype: number, transposeA: number, transposeB: number, batch: number, m: number, n: number, k: number, a: Pointer, aStep: number, b: Pointer, bStep: number, bias: Pointer, c: Pointer, accumulate: number, scratch: Pointer): number;
  /**
   * The same product of integers, which wrap around; bool is no number here. Neither operand is transposed.
   */
  integerMatmul(dtype: number, batch: number, m: number, n: number, k: number, a: Pointer, aStep: number, b: Pointer, bStep: number, c: Pointer): number;
  /**
   * geometry, 24 ints: N, C, O, groups; input D, H, W; output D, H, W; kernel D, H, W; stride D, H, W; padding before D,
   * H, W; dilation D, H, W; format of x; format of y. Lower ranks have 1 (stride, dilation 1, padding 0) in the leading
   * places. The padding behind follows from the size of the output. w is (O, C/groups, KD, KH, KW), dense. bias (O) is
   * optional. Scratch: bytes, a multiple of 64. which: 0 forward, 1 backward_data, 2 backward_weight.
   * 
   * A convolution can do the work of the batch norms beside it. A norm is given by its coefficients (7, channels), in
   * dtype, from ek_batch_norm_coefficients; null means that there is no norm. With x_norm, the input is norm(x) instead
   * of x; with x_relu it is limited as the norm's ReLU limits it.
   */
  convScratch(which: number, dtype: number, geometry: Pointer): number;
  /**
   * y = conv(x). With y_mean and y_m2 (O, optional) it also takes the statistics of y, equal to those of
   * ek_batch_norm_stats up to rounding. Or y = relu(y_norm(conv(x)) + residual), where each of the three is optional; the
   * residual has the format of y. y_relu is the limit of the ReLU, as in ek_batch_norm_apply; a norm brings its own
   * limit.
   */
  conv(dtype: number, geometry: Pointer, x: Pointer, xNorm: Pointer, xRelu: number, w: Pointer, bias: Pointer, y: Pointer, yMean: Pointer, yM2: Pointer, yNorm: Pointer, residual: Pointer, yRelu: number, scratch: Pointer): number;
  /**
   * dx = the gradient of the input; every element of dx is written. plus (optional) is added to it.
   * With dy_norm there is a norm in training behind the convolution, and dy is the gradient of that norm's output. The
   * kernel turns it into the gradient of the norm's input dy_x, which has the format of dy.
   * With x_norm there is a norm before the convolution, and x is its input. dx is set to 0 where the ReLU behind norm(x)
   * was closed, and the kernel takes the two sums of ek_batch_norm_backward_reduce. x_limited (optional) is the output of
   * that ReLU; it is given if something was added to norm(x). x, x_limited and plus have the format of dx.
   */
  convBackwardData(dtype: number, geometry: Pointer, dy: Pointer, dyX: Pointer, dyNorm: Pointer, dyRelu: number, w: Pointer, dx: Pointer, x: Pointer, xNorm: Pointer, xRelu: number, xLimited: Pointer, plus: Pointer, sumDx: Pointer, sumDxXmu: Pointer, scratch: Pointer): number;
  /**
   * dw (O, C/groups, K…), and dbias (O), which is optional. x_norm and dy_norm are as above.
   */
  convBackwardWeight(dtype: number, geometry: Pointer, x: Pointer, xNorm: Pointer, xRelu: number, dy: Pointer, dyX: Pointer, dyNorm: Pointer, dyRelu: number, dw: Pointer, dbias: Pointer, scratch: Pointer): number;
  /**
   * geometry, 22 ints: N, C; input D, H, W; output D, H, W; kernel D, H, W; stride D, H, W; padding D, H, W; dilation D,
   * H, W; format; adaptive. Adaptive: window i covers floor(i·in/out) … ceil((i+1)·in/out) − 1. Indices (int64) say where
   * in the input's spatial volume each maximum is, in the layout of y. Of equal values the first one counts; NaN counts
   * before all numbers. Indices are optional in the forward. x_norm and x_relu are as in the convolution.
   */
  maxPool(dtype: number, geometry: Pointer, x: Pointer, xNorm: Pointer, xRelu: number, y: Pointer, indices: Pointer): number;
  maxPoolBackward(dtype: number, geometry: Pointer, dy: Pointer, indices: Pointer, dx: Pointer): number;
  /**
   * divisor: the number to divide by. 0: the size of the window, which includes padding if count_include_pad.
   */
  avgPool(dtype: number, geometry: Pointer, countIncludePad: number, divisor: number, x: Pointer, xNorm: Pointer, xRelu: number, y: Pointer): number;
  avgPoolBackward(dtype: number, geometry: Pointer, countIncludePad: number, divisor: number, dy: Pointer, dx: Pointer): number;
  /**
   * columns (planes, KH, KW, OH, OW) = the windows of x (planes, H, W), with 0 where they lie outside.
   * geometry, 13 ints: planes; H, W; OH, OW; kernel H, W; stride H, W; padding H, W; dilation H, W.
   */
  unfold(dtype: number, geometry: Pointer, x: Pointer, columns: Pointer): number;
  /**
   * y (planes, H, W) = the sums of the columns' elements where their windows lie: the gradient of ek_unfold.
   */
  fold(dtype: number, geometry: Pointer, columns: Pointer, y: Pointer): number;
  /**
   * geometry, 11 ints: outer; three sizes of x; what is added before and after each of them, less than 0 to cut: before
   * (3), after (3); inner. Elements that no mode finds in x are `value`. Each mode other than the constant one needs
   * something left to read, reflect a padding below the size, circular one of at most the size.
   */
  pad(dtype: number, mode: number, geometry: Pointer, value: number, x: Pointer, y: Pointer): number;
  /**
   * dx[i] = the sum of dy over the positions that read x[i].
   */
  padBackward(dtype: number, mode: number, geometry: Pointer, dy: Pointer, dx: Pointer): number;
  /**
   * geometry, 10 ints: outer; height, width of x; height, width of y; inner; an ek_resampling; align corners; antialias;
   * transposed. scale_h, scale_w: how many times larger y is, where that is not the ratio of the sizes; 0 otherwise.
   * Transposed: the gradient; x has the sizes of y, and y those of x. All sizes are positive. Nearest neighbours are
   * found of all numbers, and images of uint8 resampled with weights of 16 bits, but both without gradients. Lanczos
   * weights are antialiased always.
   */
  resampleScratch(dtype: number, geometry: Pointer, scaleH: number, scaleW: number): number;
  resample(dtype: number, geometry: Pointer, scaleH: number, scaleW: number, x: Pointer, y: Pointer, scratch: Pointer): number;
  /**
   * Samples of x (n, c, spatial…), of 2 or 3 spatial dimensions, at the places of the grid (n, places, dims), whose
   * coordinates, x before y before z, are −1 and 1 at the ends. geometry, 11 ints: n; c; dims; depth, height, width (a
   * missing depth is 1); places; an ek_grid_mode, of which bicubic has 2 dimensions; an ek_grid_padding; align corners;
   * format of x and y. y is (n, c, places) in that format. The gradient of x is added to dx. int32 offsets reach all of a
   * plane of float32.
   */
  gridSample(dtype: number, geometry: Pointer, x: Pointer, grid: Pointer, y: Pointer): number;
  gridSampleBackward(dtype: number, geometry: Pointer, dy: Pointer, grid: Pointer, dx: Pointer): number;
  gridSampleBackwardGrid(dtype: number, geometry: Pointer, dy: Pointer, x: Pointer, grid: Pointer, dgrid: Pointer): number;
  /**
   * x: (n, c, s) contiguous or (n, s, c) channels last; float32 or float64. Statistics are float64, one per channel.
   * relu: the limit of a ReLU: y is limited to 0 … relu, which may be infinite. 0: there is no ReLU.
   */
  batchNormScratch(n: number, c: number, s: number, format: number): number;
  /**
   * mean = Σx / (n·s), m2 = Σ(x − mean)². Sums are shifted by a pivot, and merged in double in a fixed order.
   */
  batchNormStats(dtype: number, x: Pointer, n: number, c: number, s: number, format: number, mean: Pointer, m2: Pointer, scratch: Pointer): number;
  /**
   * Merges the statistics of `parts` parts in their order (Chan et al. 1983): counts (parts), means (parts, c), m2s
   * (parts, c). The numbers of the next part lie `pitch` doubles behind those of a part. Parts with a count of 0 change
   * nothing.
   */
  batchNormCombine(parts: number, c: number, pitch: number, counts: Pointer, means: Pointer, m2s: Pointer, count: Pointer, mean: Pointer, m2: Pointer): number;
  /**
   * invstd = 1/√(m2/count + eps), or 0 if m2 and eps are both 0.
   */
  batchNormInvstd(c: number, count: number, m2: Pointer, eps: number, invstd: Pointer): number;
  /**
   * running ← (1 − f)·running + f·batch, with the unbiased variance m2/(count − 1). f is the momentum, or 1 / tracked[0]
   * (int64) if momentum is NaN. running_mean and running_var are optional.
   */
  batchNormUpdateRunning(dtype: number, c: number, count: number, mean: Pointer, m2: Pointer, momentum: number, tracked: Pointer, runningMean: Pointer, runningVar: Pointer): number;
  /**
   * tracked[0] (int64) += 1.
   */
  batchNormCount(tracked: Pointer): number;
  /**
   * mean and invstd (float64) from running statistics: invstd = 1/√(running_var + eps).
   */
  batchNormFromRunning(dtype: number, c: number, runningMean: Pointer, runningVar: Pointer, eps: number, mean: Pointer, invstd: Pointer): number;
  /**
   * The gradients of weight and bias, in dtype, each optional: dweight = invstd·sum_dy_xmu, dbias = sum_dy.
   */
  batchNormParameterGradients(dtype: number, c: number, invstd: Pointer, sumDy: Pointer, sumDyXmu: Pointer, dweight: Pointer, dbias: Pointer): number;
  /**
   * The numbers with which a norm is applied, in dtype (7, c): the mean as a sum of two numbers, hi and lo;
   * invstd·weight; bias; −sum_dy/count and −invstd²·sum_dy_xmu/count, which are 0 if sum_dy is null; and the limit of a
   * ReLU, NaN if it is infinite. A null mean is 0 and a null invstd is 1, here and in apply.
   */
  batchNormCoefficients(dtype: number, c: number, count: number, mean: Pointer, invstd: Pointer, weight: Pointer, bias: Pointer, relu: number, sumDy: Pointer, sumDyXmu: Pointer, coefficients: Pointer): number;
  /**
   * y = (x − mean)·(invstd·weight) + bias + residual; the mean is subtracted first. weight, bias and residual are
   * optional. The residual has the format of x. y may be x.
   */
  batchNormApply(dtype: number, x: Pointer, n: number, c: number, s: number, format: number, mean: Pointer, invstd: Pointer, weight: Pointer, bias: Pointer, relu: number, residual: Pointer, y: Pointer, scratch: Pointer): number;
  /**
   * out = op(z), where z is the result of ek_batch_norm_apply without ReLU and residual. op is one of ek_unary, with its
   * parameters, but not one that gives bool. With dy (optional): out = dy·op′(z); then y = op(z) is given, too, as in
   * ek_unary_backward.
   */
  batchNormFunction(op: number, dtype: number, x: Pointer, n: number, c: number, s: number, format: number, mean: Pointer, invstd: Pointer, weight: Pointer, bias: Pointer, p0: number, p1: number, y: Pointer, dy: Pointer, out: Pointer, scratch: Pointer): number;
  /**
   * stats, invstd and apply in one kernel, with the same bits. x is read from memory once if a few channels of it fit a
   * cache.
   */
  batchNormForward(dtype: number, x: Pointer, n: number, c: number, s: number, format: number, eps: number, weight: Pointer, bias: Pointer, relu: number, mean: Pointer, m2: Pointer, invstd: Pointer, y: Pointer, scratch: Pointer): number;
  /**
   * sum_dy = Σg, sum_dy_xmu = Σg·(x − mean), where g = dy. With relu, g is 0 where the forward's y was not between the
   * limits of the ReLU. invstd, weight and bias are read only with relu.
   */
  batchNormBackwardReduce(dtype: number, x: Pointer, dy: Pointer, n: number, c: number, s: number, format: number, mean: Pointer, invstd: Pointer, weight: Pointer, bias: Pointer, relu: number, sumDy: Pointer, sumDyXmu: Pointer, scratch: Pointer): number;
  /**
   * With g as in backward_reduce. Training: dx = weight·invstd·(g − sum_dy/count − (x − mean)·invstd²·sum_dy_xmu/count).
   * Evaluation (sum_dy is null): dx = weight·invstd·g; then x and mean are read only with relu.
   */
  batchNormBackwardApply(dtype: number, x: Pointer, dy: Pointer, n: number, c: number, s: number, format: number, count: number, mean: Pointer, invstd: Pointer, weight: Pointer, bias: Pointer, relu: number, sumDy: Pointer, sumDyXmu: Pointer, dx: Pointer, scratch: Pointer): number;
  /**
   * dx = the dx of training in backward_apply + plus, on rows of c channels. norm: the result of
   * ek_batch_norm_coefficients with sums. plus_pitch: elements from one row of plus to the next.
   */
  batchNormBackwardJoined(dtype: number, x: Pointer, dy: Pointer, rows: number, c: number, norm: Pointer, relu: number, plus: Pointer, plusPitch: number, dx: Pointer): number;
  /**
   * backward_reduce, and backward_apply in training with count = n·s, in one kernel, with the same bits.
   */
  batchNormBackward(dtype: number, x: Pointer, dy: Pointer, n: number, c: number, s: number, format: number, mean: Pointer, invstd: Pointer, weight: Pointer, bias: Pointer, relu: number, sumDy: Pointer, sumDyXmu: Pointer, dx: Pointer, scratch: Pointer): number;
  /**
   * x: (n, g, k, s) contiguous or (n, s, g, k) channels last. Each of the n·g rows of k·s values is normalized with its
   * own mean, m2 and invstd (float64, n·g). weight and bias have g·k values and are optional. If not `centred`, the mean
   * is taken as 0 (RMS norm).
   */
  rowNormScratch(n: number, g: number, k: number, s: number, format: number): number;
  /**
   * mean, m2 = Σ(x − mean)², invstd = 1/√(m2/(k·s) + eps), y = (x − mean)·invstd·weight + bias.
   */
  rowNormForward(dtype: number, x: Pointer, n: number, g: number, k: number, s: number, format: number, centred: number, eps: number, weight: Pointer, bias: Pointer, mean: Pointer, m2: Pointer, invstd: Pointer, y: Pointer, scratch: Pointer): number;
  /**
   * With h = dy·weight, x̂ = (x − mean)·invstd and averages over a row: dx = invstd·(h − avg(h) − x̂·avg(h·x̂)), without
   * avg(h) if not centred. dweight = Σ dy·x̂ and dbias = Σ dy, over n and s (both float64, g·k). dx is optional; dweight
   * and dbias are optional together.
   */
  rowNormBackward(dtype: number, x: Pointer, dy: Pointer, n: number, g: number, k: number, s: number, format: number, centred: number, mean: Pointer, invstd: Pointer, weight: Pointer, dx: Pointer, dweight: Pointer, dbias: Pointer, scratch: Pointer): number;
  /**
   * table: `count` rows of 6 doubles. They are the addresses of the parameter, its gradient, and the states 0, 1 and 2 (0
   * if unused), and the number of elements. All of them are of `dtype` (float32 or float64). maximize: g = −g at the
   * start. SGD: g += weight_decay·p; with momentum: buf = first ? g : momentum·buf + (1 − dampening)·g; g = nesterov ? g
   * + momentum·buf : buf; p −= lr·g. State 0: buf.
   */
  optimSgd(dtype: number, table: Pointer, count: number, lr: number, momentum: number, dampening: number, weightDecay: number, nesterov: number, maximize: number, first: number): number;
  /**
   * Adam (decoupled = 0) and AdamW (decoupled = 1: p −= lr·weight_decay·p first). State 0: exp_avg, 1: exp_avg_sq, 2:
   * max_exp_avg_sq (amsgrad). step: 1 at the first call.
   */
  optimAdam(dtype: number, table: Pointer, count: number, lr: number, beta1: number, beta2: number, eps: number, weightDecay: number, decoupled: number, amsgrad: number, maximize: number, step: number): number;
  /**
   * RMSprop. State 0: square_avg, 1: momentum buffer, 2: grad_avg (centered).
   */
  optimRmsprop(dtype: number, table: Pointer, count: number, lr: number, alpha: number, eps: number, weightDecay: number, momentum: number, centered: number, maximize: number): number;
  /**
   * The norm of all gradients of a table: result[0] = Σ|g|^p for a finite p, or max|g| for p = inf, in double.
   */
  optimGradNorm(dtype: number, table: Pointer, count: number, p: number, result: Pointer): number;
  /**
   * g = min(max(g·scale, −limit), limit), for all gradients of a table.
   */
  optimGradScale(dtype: number, table: Pointer, count: number, scale: number, limit: number): number;
}

/** Names in TypeScript and in C, in the order of the header. */
export const kernelNames: readonly (readonly [keyof Kernels, string])[] = [
  ['isa', 'ek_isa'],
  ['fill', 'ek_fill'],
  ['arange', 'ek_arange'],
  ['cast', 'ek_cast'],
  ['copyStrided', 'ek_copy_strided'],
  ['copyBlocks', 'ek_copy_blocks'],
  ['unary', 'ek_unary'],
  ['unaryBackward', 'ek_unary_backward'],
  ['binary', 'ek_binary'],
  ['binaryScalar', 'ek_binary_scalar'],
  ['where', 'ek_where'],
  ['reduce', 'ek_reduce'],
  ['reduceMoments', 'ek_reduce_moments'],
  ['argReduce', 'ek_arg_reduce'],
  ['cumsum', 'ek_cumsum'],
  ['cumulate', 'ek_cumulate'],
  ['topkScratch', 'ek_topk_scratch'],
  ['topk', 'ek_topk'],
  ['ctcScratch', 'ek_ctc_scratch'],
  ['ctcLoss', 'ek_ctc_loss'],
  ['ctcLossBackward', 'ek_ctc_loss_backward'],
  ['softmax', 'ek_softmax'],
  ['softmaxBackward', 'ek_softmax_backward'],
  ['randomScratch', 'ek_random_scratch'],
  ['uniform', 'ek_uniform'],
  ['normal', 'ek_normal'],
  ['bernoulli', 'ek_bernoulli'],
  ['randomMask', 'ek_random_mask'],
  ['randomIntegers', 'ek_random_integers'],
  ['randomPermutation', 'ek_random_permutation'],
  ['recurrentScratch', 'ek_recurrent_scratch'],
  ['recurrent', 'ek_recurrent'],
  ['recurrentBackward', 'ek_recurrent_backward'],
  ['indexSelect', 'ek_index_select'],
  ['indexAdd', 'ek_index_add'],
  ['indexPut', 'ek_index_put'],
  ['indexPositions', 'ek_index_positions'],
  ['gather', 'ek_gather'],
  ['scatterAdd', 'ek_scatter_add'],
  ['scatterReduce', 'ek_scatter_reduce'],
  ['searchsorted', 'ek_searchsorted'],
  ['gemmScratch', 'ek_gemm_scratch'],
  ['gemm', 'ek_gemm'],
  ['integerMatmul', 'ek_integer_matmul'],
  ['convScratch', 'ek_conv_scratch'],
  ['conv', 'ek_conv'],
  ['convBackwardData', 'ek_conv_backward_data'],
  ['convBackwardWeight', 'ek_conv_backward_weight'],
  ['maxPool', 'ek_max_pool'],
  ['maxPoolBackward', 'ek_max_pool_backward'],
  ['avgPool', 'ek_avg_pool'],
  ['avgPoolBackward', 'ek_avg_pool_backward'],
  ['unfold', 'ek_unfold'],
  ['fold', 'ek_fold'],
  ['pad', 'ek_pad'],
  ['padBackward', 'ek_pad_backward'],
  ['resampleScratch', 'ek_resample_scratch'],
  ['resample', 'ek_resample'],
  ['gridSample', 'ek_grid_sample'],
  ['gridSampleBackward', 'ek_grid_sample_backward'],
  ['gridSampleBackwardGrid', 'ek_grid_sample_backward_grid'],
  ['batchNormScratch', 'ek_batch_norm_scratch'],
  ['batchNormStats', 'ek_batch_norm_stats'],
  ['batchNormCombine', 'ek_batch_norm_combine'],
  ['batchNormInvstd', 'ek_batch_norm_invstd'],
  ['batchNormUpdateRunning', 'ek_batch_norm_update_running'],
  ['batchNormCount', 'ek_batch_norm_count'],
  ['batchNormFromRunning', 'ek_batch_norm_from_running'],
  ['batchNormParameterGradients', 'ek_batch_norm_parameter_gradients'],
  ['batchNormCoefficients', 'ek_batch_norm_coefficients'],
  ['batchNormApply', 'ek_batch_norm_apply'],
  ['batchNormFunction', 'ek_batch_norm_function'],
  ['batchNormForward', 'ek_batch_norm_forward'],
  ['batchNormBackwardReduce', 'ek_batch_norm_backward_reduce'],
  ['batchNormBackwardApply', 'ek_batch_norm_backward_apply'],
  ['batchNormBackwardJoined', 'ek_batch_norm_backward_joined'],
  ['batchNormBackward', 'ek_batch_norm_backward'],
  ['rowNormScratch', 'ek_row_norm_scratch'],
  ['rowNormForward', 'ek_row_norm_forward'],
  ['rowNormBackward', 'ek_row_norm_backward'],
  ['optimSgd', 'ek_optim_sgd'],
  ['optimAdam', 'ek_optim_adam'],
  ['optimRmsprop', 'ek_optim_rmsprop'],
  ['optimGradNorm', 'ek_optim_grad_norm'],
  ['optimGradScale', 'ek_optim_grad_scale'],
];
