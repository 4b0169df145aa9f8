// Generated from kernels/include/evenkeel.h by scripts/generate_abi.ts; do not edit.
import type { CopiedBlock, Operand, TableRow } from '../operand.ts';

/** The kernels as a device carries them out. `caller`, here and below: the operation that errors name. */
export interface Launches {
  /**
   * out[i] = value, converted to dtype.
   */
  fill(caller: string, given: { readonly out: Operand; readonly value: number }): void;
  /**
   * out[i] = start + i·step, computed in double (int64: exactly, in 64 bits).
   */
  arange(caller: string, given: { readonly out: Operand; readonly start: number; readonly step: number }): void;
  /**
   * out[i] = (to) x[i], C conversion rules; to bool: x != 0; float to integer truncates, and what an integer cannot hold,
   * NaN too, becomes its most negative number, for uint8 the low byte of that of int64. Numbers that binary_scalar, fill
   * and arange are given wrap into integers.
   */
  cast(caller: string, given: { readonly x: Operand; readonly out: Operand }): void;
  /**
   * Copies elements of `size` bytes between two strided arrays of the same shape; strides in elements, may be 0 (x) or
   * negative. The innermost contiguous runs are copied as blocks.
   */
  copyStrided(caller: string, given: { readonly x: Operand; readonly out: Operand; readonly shape: readonly number[]; readonly xStrides: readonly number[]; readonly outStrides: readonly number[] }): void;
  /**
   * Copies `count` blocks of bytes, none of which another of them overlaps: rows of 3 doubles, the addresses from and to
   * and a number of bytes.
   */
  copyBlocks(caller: string, given: { readonly table: readonly CopiedBlock[] }): void;
  /**
   * out[i] = op(x[i]). p0, p1: the parameters p and q of elementwise/unary.def, where op has any; limits may be ±inf.
   * Tests write bool (1 byte). In place (out == x) is allowed.
   */
  unary(caller: string, given: { readonly op: number; readonly x: Operand; readonly out: Operand; readonly p0: number; readonly p1: number }): void;
  /**
   * dx[i] = g[i]·op′ at i, for every differentiable unary op, float32 and float64. x: the forward's input, y: its output;
   * both must be given. dx may alias g.
   */
  unaryBackward(caller: string, given: { readonly op: number; readonly x: Operand; readonly y: Operand; readonly g: Operand; readonly dx: Operand; readonly p0: number; readonly p1: number }): void;
  /**
   * out = op(a, b) over a common shape; strides in elements, 0 where an operand is broadcast; out is dense in the order
   * of `shape`. add and sub: a ± alpha·b. Comparisons and logical ops write bool. Integer div truncates toward zero,
   * remainder has the divisor's sign (both: EK_BAD_ARGUMENT on an integer division by 0). pow on integers wraps. max/min
   * propagate NaN. out may be a or b where that operand is not broadcast.
   */
  binary(caller: string, given: { readonly op: number; readonly a: Operand; readonly b: Operand; readonly out: Operand; readonly shape: readonly number[]; readonly aStrides: readonly number[]; readonly bStrides: readonly number[]; readonly alpha: number }): void;
  /**
   * out = op(x, s), or op(s, x) when reverse; same rules as ek_binary.
   */
  binaryScalar(caller: string, given: { readonly op: number; readonly x: Operand; readonly s: number; readonly reverse: boolean; readonly out: Operand; readonly alpha: number }): void;
  /**
   * out = condition ? a : b, broadcast as ek_binary; size: bytes of an element of a, b and out; condition: bool.
   */
  where(caller: string, given: { readonly condition: Operand; readonly a: Operand; readonly b: Operand; readonly out: Operand; readonly shape: readonly number[]; readonly conditionStrides: readonly number[]; readonly aStrides: readonly number[]; readonly bStrides: readonly number[] }): void;
  /**
   * sum and prod compute in the dtype itself (the caller converts int32, uint8 and bool to int64 first). Float sums are
   * accumulated in double, in blocks that depend on the shape alone. any and all take and give bool. min and max give NaN
   * if a value is NaN; with n = 0 they return EK_BAD_ARGUMENT.
   */
  reduce(caller: string, given: { readonly op: number; readonly x: Operand; readonly out: Operand; readonly outer: number; readonly n: number; readonly inner: number }): void;
  /**
   * mean and M2 = Σ(x − mean)², both float64. Each tile is read twice, and tiles are merged in double (Chan et al. 1983).
   */
  reduceMoments(caller: string, given: { readonly x: Operand; readonly mean: Operand; readonly m2: Operand; readonly outer: number; readonly n: number; readonly inner: number }): void;
  /**
   * The minimum or maximum, and its index (int64). Of equal values the first one counts; NaN comes before all numbers.
   * values is optional.
   */
  argReduce(caller: string, given: { readonly op: number; readonly x: Operand; readonly values?: Operand | null; readonly indices: Operand; readonly outer: number; readonly n: number; readonly inner: number }): void;
  /**
   * Running sums along the axis. reverse: they begin at its end.
   */
  cumsum(caller: string, given: { readonly x: Operand; readonly out: Operand; readonly outer: number; readonly n: number; readonly inner: number; readonly reverse: boolean }): void;
  /**
   * What has come so far along the axis: sums in the dtype itself, products, the largest or smallest value with its index
   * (int64, optional; of equal values the last one counts, NaN before all numbers), or log Σ eˣ (floats).
   */
  cumulate(caller: string, given: { readonly op: number; readonly x: Operand; readonly out: Operand; readonly indices?: Operand | null; readonly outer: number; readonly n: number; readonly inner: number }): void;
  topk(caller: string, given: { readonly x: Operand; readonly values: Operand; readonly indices: Operand; readonly outer: number; readonly n: number; readonly k: number; readonly largest: boolean }): void;
  ctcLoss(caller: string, given: { readonly logP: Operand; readonly targets: Operand; readonly inputLengths: readonly number[]; readonly targetLengths: readonly number[]; readonly offsets: readonly number[]; readonly most: number; readonly blank: number; readonly losses: Operand; readonly alpha: Operand }): void;
  ctcLossBackward(caller: string, given: { readonly g: Operand; readonly logP: Operand; readonly targets: Operand; readonly inputLengths: readonly number[]; readonly targetLengths: readonly number[]; readonly offsets: readonly number[]; readonly losses: Operand; readonly alpha: Operand; readonly dlogP: Operand; readonly most: number; readonly blank: number; readonly loseInfinite: boolean }): void;
  /**
   * softmax, or log-softmax, along the middle axis; float32 and float64. Backward takes the forward's output y.
   */
  softmax(caller: string, given: { readonly log: boolean; readonly x: Operand; readonly out: Operand; readonly outer: number; readonly n: number; readonly inner: number }): void;
  softmaxBackward(caller: string, given: { readonly log: boolean; readonly y: Operand; readonly g: Operand; readonly dx: Operand; readonly outer: number; readonly n: number; readonly inner: number }): void;
  /**
   * Uniform numbers of [from, to), one word or two for each.
   */
  uniform(caller: string, given: { readonly state: Operand; readonly used: number; readonly out: Operand; readonly from: number; readonly to: number }): void;
  /**
   * Normal numbers, 16 at a time; n is at least 16. If n is no multiple of 16 the last 16 are drawn anew.
   */
  normal(caller: string, given: { readonly state: Operand; readonly used: number; readonly out: Operand; readonly mean: number; readonly std: number }): void;
  /**
   * out[i] = 1 with probability p[i], else 0. If a p is not in [0, 1], EK_BAD_ARGUMENT, and nothing is drawn.
   */
  bernoulli(caller: string, given: { readonly state: Operand; readonly used: number; readonly p: Operand; readonly out: Operand }): void;
  /**
   * out[i] = value with probability p, else 0; two words for each, whatever the dtype.
   */
  randomMask(caller: string, given: { readonly state: Operand; readonly used: number; readonly out: Operand; readonly p: number; readonly value: number }): void;
  /**
   * Integers of from … from + range − 1, two words for each if range ≥ 2^28, else one. Both numbers have 64 bits.
   */
  randomIntegers(caller: string, given: { readonly state: Operand; readonly used: number; readonly out: Operand; readonly fromHigh: number; readonly fromLow: number; readonly rangeHigh: number; readonly rangeLow: number }): void;
  /**
   * 0 … n − 1 in random order, int64; n − 1 words.
   */
  randomPermutation(caller: string, given: { readonly state: Operand; readonly used: number; readonly out: Operand }): void;
  /**
   * All steps of one direction of n samples with h hidden values, behind the product of the inputs with their weights;
   * float32 and float64. rows: those of the weights w_hh, 4h of an LSTM (i, f, g, o), 3h of a GRU (r, z, n), h of others.
   * An LSTM that projects has out values in its state, y and h0, by w_hr; else out is h. h0 and c0 are the states before
   * the first step, which is the last of all with reverse. gates: what comes of the inputs; becomes the activated gates,
   * with tanh and relu the sums. A GRU has b_hh, and in hidden the sums that come of the state. cells: the cell states
   * behind each step; unprojected: the hidden values before the projection.
   */
  recurrent(caller: string, given: { readonly cell: number; readonly reverse: boolean; readonly projects: boolean; readonly wHh: Operand; readonly bHh?: Operand | null; readonly wHr?: Operand | null; readonly h0: Operand; readonly c0?: Operand | null; readonly gates: Operand; readonly hidden?: Operand | null; readonly cells?: Operand | null; readonly unprojected?: Operand | null; readonly y: Operand; readonly steps: number; readonly n: number; readonly rows: number; readonly h: number; readonly out: number }): void;
  /**
   * Takes what the forward has left. dh (n, out) and dc (n, h): the gradients of the last states, which become those of
   * h0 and c0. dy: that of y. dgates: the gradient of the sums of the gates; dhidden: of a GRU, that of `hidden`;
   * dprojected: that of what w_hr has projected.
   */
  recurrentBackward(caller: string, given: { readonly cell: number; readonly reverse: boolean; readonly projects: boolean; readonly wHh: Operand; readonly wHr?: Operand | null; readonly h0: Operand; readonly c0?: Operand | null; readonly gates: Operand; readonly hidden?: Operand | null; readonly cells?: Operand | null; readonly y: Operand; readonly dy?: Operand | null; readonly dh: Operand; readonly dc?: Operand | null; readonly dgates: Operand; readonly dhidden?: Operand | null; readonly dprojected?: Operand | null; readonly steps: number; readonly n: number; readonly rows: number; readonly h: number; readonly out: number }): void;
  /**
   * Index tensors are int64. An index outside [0, n) gives EK_BAD_INDEX, even if nothing would be moved; the output is
   * then unspecified. out (outer, count, inner) = x (outer, n, inner) at index[count], with elements of `size` bytes.
   */
  indexSelect(caller: string, given: { readonly x: Operand; readonly index: Operand; readonly out: Operand; readonly outer: number; readonly n: number; readonly count: number; readonly inner: number }): void;
  /**
   * out (outer, n, inner) += x (outer, count, inner) at index[count], in the order of index: the result is deterministic
   * for repeated indices, too.
   */
  indexAdd(caller: string, given: { readonly x: Operand; readonly index: Operand; readonly out: Operand; readonly outer: number; readonly n: number; readonly count: number; readonly inner: number }): void;
  /**
   * out (outer, n, inner) = x (outer, count, inner) at index[count]. Of repeated indices the last one counts. If an index
   * is bad, nothing is written.
   */
  indexPut(caller: string, given: { readonly x: Operand; readonly index: Operand; readonly out: Operand; readonly outer: number; readonly n: number; readonly count: number; readonly inner: number }): void;
  /**
   * positions[i] = step·index[i] + Σ over the axes d: ramp[d]·(coordinate d of i), for all elements i of a shape.
   * accumulate: this is added to the positions instead. The positions are dense; the index has strides, in elements.
   * wrap: indices from -n on are allowed, and count from the end.
   */
  indexPositions(caller: string, given: { readonly index: Operand; readonly positions: Operand; readonly shape: readonly number[]; readonly indexStrides: readonly number[]; readonly ramp?: readonly number[] | null; readonly n: number; readonly step: number; readonly wrap: boolean; readonly accumulate: boolean }): void;
  /**
   * out (outer, count, inner)[o][k][i] = x[o][index[o][k][i]][i].
   */
  gather(caller: string, given: { readonly x: Operand; readonly index: Operand; readonly out: Operand; readonly outer: number; readonly n: number; readonly count: number; readonly inner: number }): void;
  /**
   * out[o][index[o][k][i]][i] += x[o][k][i].
   */
  scatterAdd(caller: string, given: { readonly x: Operand; readonly index: Operand; readonly out: Operand; readonly outer: number; readonly n: number; readonly count: number; readonly inner: number }): void;
  /**
   * out[o][index[o][k][i]][i] = op of itself and x[o][k][i]; op is prod, min or max. NaN stays.
   */
  scatterReduce(caller: string, given: { readonly op: number; readonly x: Operand; readonly index: Operand; readonly out: Operand; readonly outer: number; readonly n: number; readonly count: number; readonly inner: number }): void;
  /**
   * Where each value (rows, count) belongs in a sorted row of n: before those that equal it, or behind them (right). step
   * is n, or 0 if all have one row. order (int64, optional) is the order in which a row is sorted.
   */
  searchsorted(caller: string, given: { readonly sorted: Operand; readonly step: number; readonly order?: Operand | null; readonly values: Operand; readonly out: Operand; readonly rows: number; readonly n: number; readonly count: number; readonly right: boolean }): void;
  /**
   * c[i] (m, n) = op(a[i]) (m, k) · op(b[i]) (k, n) + bias (n), row-major, for i < batch; float32 and float64. A
   * transposed a is stored as (k, m), a transposed b as (n, k). a_step, b_step: elements from one matrix of the batch to
   * the next; 0: all use the same one. bias is optional. accumulate: the result is added to c.
   */
  gemm(caller: string, given: { readonly transposeA: boolean; readonly transposeB: boolean; readonly batch: number; readonly m: number; readonly n: number; readonly k: number; readonly a: Operand; readonly aStep: number; readonly b: Operand; readonly bStep: number; readonly bias?: Operand | null; readonly c: Operand; readonly accumulate: boolean }): void;
  /**
   * The same product of integers, which wrap around; bool is no number here. Neither operand is transposed.
   */
  integerMatmul(caller: string, given: { readonly batch: number; readonly m: number; readonly n: number; readonly k: number; readonly a: Operand; readonly aStep: number; readonly b: Operand; readonly bStep: number; readonly c: Operand }): void;
  /**
   * y = conv(x). With y_mean and y_m2 (O, optional) it also takes the statistics of y, equal to those of
   * ek_batch_norm_stats up to rounding. Or y = relu(y_norm(conv(x)) + residual), where each of the three is optional; the
   * residual has the format of y. y_relu is the limit of the ReLU, as in ek_batch_norm_apply; a norm brings its own
   * limit.
   */
  conv(caller: string, given: { readonly geometry: readonly number[]; readonly x: Operand; readonly xNorm?: Operand | null; readonly xRelu: boolean; readonly w: Operand; readonly bias?: Operand | null; readonly y: Operand; readonly yMean?: Operand | null; readonly yM2?: Operand | null; readonly yNorm?: Operand | null; readonly residual?: Operand | null; readonly yRelu: number }): void;
  /**
   * dx = the gradient of the input; every element of dx is written. plus (optional) is added to it.
   * With dy_norm there is a norm in training behind the convolution, and dy is the gradient of that norm's output. The
   * kernel turns it into the gradient of the norm's input dy_x, which has the format of dy.
   * With x_norm there is a norm before the convolution, and x is its input. dx is set to 0 where the ReLU behind norm(x)
   * was closed, and the kernel takes the two sums of ek_batch_norm_backward_reduce. x_limited (optional) is the output of
   * that ReLU; it is given if something was added to norm(x). x, x_limited and plus have the format of dx.
   */
  convBackwardData(caller: string, given: { readonly geometry: readonly number[]; readonly dy: Operand; readonly dyX?: Operand | null; readonly dyNorm?: Operand | null; readonly dyRelu: boolean; readonly w: Operand; readonly dx: Operand; readonly x?: Operand | null; readonly xNorm?: Operand | null; readonly xRelu: boolean; readonly xLimited?: Operand | null; readonly plus?: Operand | null; readonly sumDx?: Operand | null; readonly sumDxXmu?: Operand | null }): void;
  /**
   * dw (O, C/groups, K…), and dbias (O), which is optional. x_norm and dy_norm are as above.
   */
  convBackwardWeight(caller: string, given: { readonly geometry: readonly number[]; readonly x: Operand; readonly xNorm?: Operand | null; readonly xRelu: boolean; readonly dy: Operand; readonly dyX?: Operand | null; readonly dyNorm?: Operand | null; readonly dyRelu: boolean; readonly dw: Operand; readonly dbias?: Operand | null }): void;
  /**
   * geometry, 22 ints: N, C; input D, H, W; output D, H, W; kernel D, H, W; stride D, H, W; padding D, H, W; dilation D,
   * H, W; format; adaptive. Adaptive: window i covers floor(i·in/out) … ceil((i+1)·in/out) − 1. Indices (int64) say where
   * in the input's spatial volume each maximum is, in the layout of y. Of equal values the first one counts; NaN counts
   * before all numbers. Indices are optional in the forward. x_norm and x_relu are as in the convolution.
   */
  maxPool(caller: string, given: { readonly geometry: readonly number[]; readonly x: Operand; readonly xNorm?: Operand | null; readonly xRelu: boolean; readonly y: Operand; readonly indices?: Operand | null }): void;
  maxPoolBackward(caller: string, given: { readonly geometry: readonly number[]; readonly dy: Operand; readonly indices: Operand; readonly dx: Operand }): void;
  /**
   * divisor: the number to divide by. 0: the size of the window, which includes padding if count_include_pad.
   */
  avgPool(caller: string, given: { readonly geometry: readonly number[]; readonly countIncludePad: boolean; readonly divisor: number; readonly x: Operand; readonly xNorm?: Operand | null; readonly xRelu: boolean; readonly y: Operand }): void;
  avgPoolBackward(caller: string, given: { readonly geometry: readonly number[]; readonly countIncludePad: boolean; readonly divisor: number; readonly dy: Operand; readonly dx: Operand }): void;
  /**
   * columns (planes, KH, KW, OH, OW) = the windows of x (planes, H, W), with 0 where they lie outside.
   * geometry, 13 ints: planes; H, W; OH, OW; kernel H, W; stride H, W; padding H, W; dilation H, W.
   */
  unfold(caller: string, given: { readonly geometry: readonly number[]; readonly x: Operand; readonly columns: Operand }): void;
  /**
   * y (planes, H, W) = the sums of the columns' elements where their windows lie: the gradient of ek_unfold.
   */
  fold(caller: string, given: { readonly geometry: readonly number[]; readonly columns: Operand; readonly y: Operand }): void;
  /**
   * geometry, 11 ints: outer; three sizes of x; what is added before and after each of them, less than 0 to cut: before
   * (3), after (3); inner. Elements that no mode finds in x are `value`. Each mode other than the constant one needs
   * something left to read, reflect a padding below the size, circular one of at most the size.
   */
  pad(caller: string, given: { readonly mode: number; readonly geometry: readonly number[]; readonly value: number; readonly x: Operand; readonly y: Operand }): void;
  /**
   * dx[i] = the sum of dy over the positions that read x[i].
   */
  padBackward(caller: string, given: { readonly mode: number; readonly geometry: readonly number[]; readonly dy: Operand; readonly dx: Operand }): void;
  resample(caller: string, given: { readonly geometry: readonly number[]; readonly scaleH: number; readonly scaleW: number; readonly x: Operand; readonly y: Operand }): void;
  /**
   * Samples of x (n, c, spatial…), of 2 or 3 spatial dimensions, at the places of the grid (n, places, dims), whose
   * coordinates, x before y before z, are −1 and 1 at the ends. geometry, 11 ints: n; c; dims; depth, height, width (a
   * missing depth is 1); places; an ek_grid_mode, of which bicubic has 2 dimensions; an ek_grid_padding; align corners;
   * format of x and y. y is (n, c, places) in that format. The gradient of x is added to dx. int32 offsets reach all of a
   * plane of float32.
   */
  gridSample(caller: string, given: { readonly geometry: readonly number[]; readonly x: Operand; readonly grid: Operand; readonly y: Operand }): void;
  gridSampleBackward(caller: string, given: { readonly geometry: readonly number[]; readonly dy: Operand; readonly grid: Operand; readonly dx: Operand }): void;
  gridSampleBackwardGrid(caller: string, given: { readonly geometry: readonly number[]; readonly dy: Operand; readonly x: Operand; readonly grid: Operand; readonly dgrid: Operand }): void;
  /**
   * mean = Σx / (n·s), m2 = Σ(x − mean)². Sums are shifted by a pivot, and merged in double in a fixed order.
   */
  batchNormStats(caller: string, given: { readonly x: Operand; readonly mean: Operand; readonly m2: Operand }): void;
  /**
   * Merges the statistics of `parts` parts in their order (Chan et al. 1983): counts (parts), means (parts, c), m2s
   * (parts, c). The numbers of the next part lie `pitch` doubles behind those of a part. Parts with a count of 0 change
   * nothing.
   */
  batchNormCombine(caller: string, given: { readonly parts: number; readonly pitch: number; readonly counts: Operand; readonly means: Operand; readonly m2s: Operand; readonly count: Operand; readonly mean: Operand; readonly m2: Operand }): void;
  /**
   * invstd = 1/√(m2/count + eps), or 0 if m2 and eps are both 0.
   */
  batchNormInvstd(caller: string, given: { readonly count: number; readonly m2: Operand; readonly eps: number; readonly invstd: Operand }): void;
  /**
   * running ← (1 − f)·running + f·batch, with the unbiased variance m2/(count − 1). f is the momentum, or 1 / tracked[0]
   * (int64) if momentum is NaN. running_mean and running_var are optional.
   */
  batchNormUpdateRunning(caller: string, given: { readonly count: number; readonly mean: Operand; readonly m2: Operand; readonly momentum: number; readonly tracked?: Operand | null; readonly runningMean?: Operand | null; readonly runningVar?: Operand | null }): void;
  /**
   * tracked[0] (int64) += 1.
   */
  batchNormCount(caller: string, given: { readonly tracked: Operand }): void;
  /**
   * mean and invstd (float64) from running statistics: invstd = 1/√(running_var + eps).
   */
  batchNormFromRunning(caller: string, given: { readonly runningMean: Operand; readonly runningVar: Operand; readonly eps: number; readonly mean: Operand; readonly invstd: Operand }): void;
  /**
   * The gradients of weight and bias, in dtype, each optional: dweight = invstd·sum_dy_xmu, dbias = sum_dy.
   */
  batchNormParameterGradients(caller: string, given: { readonly invstd: Operand; readonly sumDy: Operand; readonly sumDyXmu: Operand; readonly dweight?: Operand | null; readonly dbias?: Operand | null }): void;
  /**
   * The numbers with which a norm is applied, in dtype (7, c): the mean as a sum of two numbers, hi and lo;
   * invstd·weight; bias; −sum_dy/count and −invstd²·sum_dy_xmu/count, which are 0 if sum_dy is null; and the limit of a
   * ReLU, NaN if it is infinite. A null mean is 0 and a null invstd is 1, here and in apply.
   */
  batchNormCoefficients(caller: string, given: { readonly count: number; readonly mean?: Operand | null; readonly invstd?: Operand | null; readonly weight?: Operand | null; readonly bias?: Operand | null; readonly relu: number; readonly sumDy?: Operand | null; readonly sumDyXmu?: Operand | null; readonly coefficients: Operand }): void;
  /**
   * y = (x − mean)·(invstd·weight) + bias + residual; the mean is subtracted first. weight, bias and residual are
   * optional. The residual has the format of x. y may be x.
   */
  batchNormApply(caller: string, given: { readonly x: Operand; readonly mean?: Operand | null; readonly invstd?: Operand | null; readonly weight?: Operand | null; readonly bias?: Operand | null; readonly relu: number; readonly residual?: Operand | null; readonly y: Operand }): void;
  /**
   * out = op(z), where z is the result of ek_batch_norm_apply without ReLU and residual. op is one of ek_unary, with its
   * parameters, but not one that gives bool. With dy (optional): out = dy·op′(z); then y = op(z) is given, too, as in
   * ek_unary_backward.
   */
  batchNormFunction(caller: string, given: { readonly op: number; readonly x: Operand; readonly mean: Operand; readonly invstd: Operand; readonly weight?: Operand | null; readonly bias?: Operand | null; readonly p0: number; readonly p1: number; readonly y?: Operand | null; readonly dy?: Operand | null; readonly out: Operand }): void;
  /**
   * stats, invstd and apply in one kernel, with the same bits. x is read from memory once if a few channels of it fit a
   * cache.
   */
  batchNormForward(caller: string, given: { readonly x: Operand; readonly eps: number; readonly weight?: Operand | null; readonly bias?: Operand | null; readonly relu: number; readonly mean: Operand; readonly m2: Operand; readonly invstd: Operand; readonly y: Operand }): void;
  /**
   * sum_dy = Σg, sum_dy_xmu = Σg·(x − mean), where g = dy. With relu, g is 0 where the forward's y was not between the
   * limits of the ReLU. invstd, weight and bias are read only with relu.
   */
  batchNormBackwardReduce(caller: string, given: { readonly x: Operand; readonly dy: Operand; readonly mean: Operand; readonly invstd?: Operand | null; readonly weight?: Operand | null; readonly bias?: Operand | null; readonly relu: number; readonly sumDy: Operand; readonly sumDyXmu: Operand }): void;
  /**
   * With g as in backward_reduce. Training: dx = weight·invstd·(g − sum_dy/count − (x − mean)·invstd²·sum_dy_xmu/count).
   * Evaluation (sum_dy is null): dx = weight·invstd·g; then x and mean are read only with relu.
   */
  batchNormBackwardApply(caller: string, given: { readonly x?: Operand | null; readonly dy: Operand; readonly count: number; readonly mean?: Operand | null; readonly invstd: Operand; readonly weight?: Operand | null; readonly bias?: Operand | null; readonly relu: number; readonly sumDy?: Operand | null; readonly sumDyXmu?: Operand | null; readonly dx: Operand }): void;
  /**
   * dx = the dx of training in backward_apply + plus, on rows of c channels. norm: the result of
   * ek_batch_norm_coefficients with sums. plus_pitch: elements from one row of plus to the next.
   */
  batchNormBackwardJoined(caller: string, given: { readonly x: Operand; readonly dy: Operand; readonly rows: number; readonly c: number; readonly norm: Operand; readonly relu: boolean; readonly plus: Operand; readonly plusPitch: number; readonly dx: Operand }): void;
  /**
   * backward_reduce, and backward_apply in training with count = n·s, in one kernel, with the same bits.
   */
  batchNormBackward(caller: string, given: { readonly x: Operand; readonly dy: Operand; readonly mean: Operand; readonly invstd: Operand; readonly weight?: Operand | null; readonly bias?: Operand | null; readonly relu: number; readonly sumDy: Operand; readonly sumDyXmu: Operand; readonly dx: Operand }): void;
  /**
   * mean, m2 = Σ(x − mean)², invstd = 1/√(m2/(k·s) + eps), y = (x − mean)·invstd·weight + bias.
   */
  rowNormForward(caller: string, given: { readonly x: Operand; readonly n: number; readonly g: number; readonly k: number; readonly s: number; readonly centred: boolean; readonly eps: number; readonly weight?: Operand | null; readonly bias?: Operand | null; readonly mean: Operand; readonly m2: Operand; readonly invstd: Operand; readonly y: Operand }): void;
  /**
   * With h = dy·weight, x̂ = (x − mean)·invstd and averages over a row: dx = invstd·(h − avg(h) − x̂·avg(h·x̂)), without
   * avg(h) if not centred. dweight = Σ dy·x̂ and dbias = Σ dy, over n and s (both float64, g·k). dx is optional; dweight
   * and dbias are optional together.
   */
  rowNormBackward(caller: string, given: { readonly x: Operand; readonly dy: Operand; readonly n: number; readonly g: number; readonly k: number; readonly s: number; readonly centred: boolean; readonly mean: Operand; readonly invstd: Operand; readonly weight?: Operand | null; readonly dx?: Operand | null; readonly dweight?: Operand | null; readonly dbias?: Operand | null }): void;
  /**
   * table: `count` rows of 6 doubles. They are the addresses of the parameter, its gradient, and the states 0, 1 and 2 (0
   * if unused), and the number of elements. All of them are of `dtype` (float32 or float64). maximize: g = −g at the
   * start. SGD: g += weight_decay·p; with momentum: buf = first ? g : momentum·buf + (1 − dampening)·g; g = nesterov ? g
   * + momentum·buf : buf; p −= lr·g. State 0: buf.
   */
  optimSgd(caller: string, given: { readonly table: readonly TableRow[]; readonly lr: number; readonly momentum: number; readonly dampening: number; readonly weightDecay: number; readonly nesterov: boolean; readonly maximize: boolean; readonly first: boolean }): void;
  /**
   * Adam (decoupled = 0) and AdamW (decoupled = 1: p −= lr·weight_decay·p first). State 0: exp_avg, 1: exp_avg_sq, 2:
   * max_exp_avg_sq (amsgrad). step: 1 at the first call.
   */
  optimAdam(caller: string, given: { readonly table: readonly TableRow[]; readonly lr: number; readonly beta1: number; readonly beta2: number; readonly eps: number; readonly weightDecay: number; readonly decoupled: boolean; readonly amsgrad: boolean; readonly maximize: boolean; readonly step: number }): void;
  /**
   * RMSprop. State 0: square_avg, 1: momentum buffer, 2: grad_avg (centered).
   */
  optimRmsprop(caller: string, given: { readonly table: readonly TableRow[]; readonly lr: number; readonly alpha: number; readonly eps: number; readonly weightDecay: number; readonly momentum: number; readonly centered: boolean; readonly maximize: boolean }): void;
  /**
   * The norm of all gradients of a table: result[0] = Σ|g|^p for a finite p, or max|g| for p = inf, in double.
   */
  optimGradNorm(caller: string, given: { readonly table: readonly TableRow[]; readonly p: number; readonly result: Operand }): void;
  /**
   * g = min(max(g·scale, −limit), limit), for all gradients of a table.
   */
  optimGradScale(caller: string, given: { readonly table: readonly TableRow[]; readonly scale: number; readonly limit: number }): void;
}

/** All of them, by name. */
export const launchNames: readonly (keyof Launches)[] = [
  'fill',
  'arange',
  'cast',
  'copyStrided',
  'copyBlocks',
  'unary',
  'unaryBackward',
  'binary',
  'binaryScalar',
  'where',
  'reduce',
  'reduceMoments',
  'argReduce',
  'cumsum',
  'cumulate',
  'topk',
  'ctcLoss',
  'ctcLossBackward',
  'softmax',
  'softmaxBackward',
  'uniform',
  'normal',
  'bernoulli',
  'randomMask',
  'randomIntegers',
  'randomPermutation',
  'recurrent',
  'recurrentBackward',
  'indexSelect',
  'indexAdd',
  'indexPut',
  'indexPositions',
  'gather',
  'scatterAdd',
  'scatterReduce',
  'searchsorted',
  'gemm',
  'integerMatmul',
  'conv',
  'convBackwardData',
  'convBackwardWeight',
  'maxPool',
  'maxPoolBackward',
  'avgPool',
  'avgPoolBackward',
  'unfold',
  'fold',
  'pad',
  'padBackward',
  'resample',
  'gridSample',
  'gridSampleBackward',
  'gridSampleBackwardGrid',
  'batchNormStats',
  'batchNormCombine',
  'batchNormInvstd',
  'batchNormUpdateRunning',
  'batchNormCount',
  'batchNormFromRunning',
  'batchNormParameterGradients',
  'batchNormCoefficients',
  'batchNormApply',
  'batchNormFunction',
  'batchNormForward',
  'batchNormBackwardReduce',
  'batchNormBackwardApply',
  'batchNormBackwardJoined',
  'batchNormBackward',
  'rowNormForward',
  'rowNormBackward',
  'optimSgd',
  'optimAdam',
  'optimRmsprop',
  'optimGradNorm',
  'optimGradScale',
];
