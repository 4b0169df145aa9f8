// Generated from kernels/include/evenkeel.h by scripts/generate_abi.ts; do not edit.
import type { AddressBackend } from '../address_backend.ts';
import { addressesOfBlocks, addressesOfRows, type CopiedBlock, materializeBlock, materializeRow, type Operand, spatialSize, type TableRow } from '../operand.ts';

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
   * out[i] = (to) x[i], C conversion rules; to bool: x != 0; float to integer truncates, and what an integer cannot hold, NaN too, becomes its
   * most negative number, for uint8 the low byte of that of int64. Numbers that binary_scalar, fill and arange are given wrap into integers.
   */
  cast(caller: string, given: { readonly x: Operand; readonly out: Operand }): void;
  /**
   * Copies elements of `size` bytes between two strided arrays of the same shape; strides in elements, may be 0 (x) or
   * negative. The innermost contiguous runs are copied as blocks.
   */
  copyStrided(caller: string, given: { readonly x: Operand; readonly out: Operand; readonly shape: readonly number[]; readonly xStrides: readonly number[]; readonly outStrides: readonly number[] }): void;
  /**
   * Copies `count` blocks of bytes, none of which another of them overlaps: rows of 3 doubles, the addresses from and to and a number of bytes.
   */
  copyBlocks(caller: string, given: { readonly table: readonly CopiedBlock[] }): void;
  /**
   * out[i] = op(x[i]). p0, p1: leaky_relu slope; elu alpha; softplus beta, threshold; clamp and hardtanh lower, upper (±inf allowed).
   * is_nan, is_finite and logical_not write bool (1 byte). round: half to even. In place (out == x) is allowed.
   */
  unary(caller: string, given: { readonly op: number; readonly x: Operand; readonly out: Operand; readonly p0: number; readonly p1: number }): void;
  /**
   * dx[i] = g[i]·op′ at i, for every differentiable unary op, float32 and float64. x: the forward's input, y: its output;
   * both must be given. dx may alias g.
   */
  unaryBackward(caller: string, given: { readonly op: number; readonly x: Operand; readonly y: Operand; readonly g: Operand; readonly dx: Operand; readonly p0: number; readonly p1: number }): void;
  /**
   * out = op(a, b) over a common shape; strides in elements, 0 where an operand is broadcast; out is dense in the order of
   * `shape`. add and sub: a ± alpha·b. Comparisons and logical ops write bool. Integer div truncates toward zero, remainder has the
   * divisor's sign (both: EK_BAD_ARGUMENT on an integer division by 0). pow on integers wraps. max/min propagate NaN.
   * out may be a or b where that operand is not broadcast.
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
   * sum, prod: the dtype itself (int32, uint8, bool are summed by the caller as int64); float sums are accumulated in double
   * by fixed blocks. any, all: bool in, bool out. min, max propagate NaN; n = 0: EK_BAD_ARGUMENT.
   */
  reduce(caller: string, given: { readonly op: number; readonly x: Operand; readonly out: Operand; readonly outer: number; readonly n: number; readonly inner: number }): void;
  /**
   * mean and M2 = Σ(x − mean)², both float64, two passes over each tile merged in double (Chan et al. 1983).
   */
  reduceMoments(caller: string, given: { readonly x: Operand; readonly mean: Operand; readonly m2: Operand; readonly outer: number; readonly n: number; readonly inner: number }): void;
  /**
   * min or max with its index (int64, the first of equals; NaN wins). values is optional.
   */
  argReduce(caller: string, given: { readonly op: number; readonly x: Operand; readonly values?: Operand | null; readonly indices: Operand; readonly outer: number; readonly n: number; readonly inner: number }): void;
  cumsum(caller: string, given: { readonly x: Operand; readonly out: Operand; readonly outer: number; readonly n: number; readonly inner: number; readonly reverse: boolean }): void;
  topk(caller: string, given: { readonly x: Operand; readonly values: Operand; readonly indices: Operand; readonly outer: number; readonly n: number; readonly k: number; readonly largest: boolean }): void;
  /**
   * softmax, or log-softmax, along the middle axis; float32 and float64. Backward takes the forward's output.
   */
  softmax(caller: string, given: { readonly log: boolean; readonly x: Operand; readonly out: Operand; readonly outer: number; readonly n: number; readonly inner: number }): void;
  softmaxBackward(caller: string, given: { readonly log: boolean; readonly y: Operand; readonly g: Operand; readonly dx: Operand; readonly outer: number; readonly n: number; readonly inner: number }): void;
  /**
   * Index tensors are int64; an index outside [0, n) gives EK_BAD_INDEX, also where nothing would be moved, and leaves the output unspecified.
   * out (outer, count, inner) = x (outer, n, inner) at index[count], elements of `size` bytes.
   */
  indexSelect(caller: string, given: { readonly x: Operand; readonly index: Operand; readonly out: Operand; readonly outer: number; readonly n: number; readonly count: number; readonly inner: number }): void;
  /**
   * out (outer, n, inner) += x (outer, count, inner) at index[count]; in index order, so repeated indices are deterministic.
   */
  indexAdd(caller: string, given: { readonly x: Operand; readonly index: Operand; readonly out: Operand; readonly outer: number; readonly n: number; readonly count: number; readonly inner: number }): void;
  /**
   * out (outer, n, inner) = x (outer, count, inner) at index[count]; of repeated indices the last one counts. Nothing is written where one is bad.
   */
  indexPut(caller: string, given: { readonly x: Operand; readonly index: Operand; readonly out: Operand; readonly outer: number; readonly n: number; readonly count: number; readonly inner: number }): void;
  /**
   * positions[i] (+)= step·index[i] + Σ ramp[d]·coordinate d of i, over a shape, which the positions fill densely; the index has strides, in
   * elements. wrap: indices from -n on are legal and count from the end.
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
  gemm(caller: string, given: { readonly transposeA: boolean; readonly transposeB: boolean; readonly batch: number; readonly m: number; readonly n: number; readonly k: number; readonly a: Operand; readonly aStep: number; readonly b: Operand; readonly bStep: number; readonly bias?: Operand | null; readonly c: Operand; readonly accumulate: boolean }): void;
  /**
   * y_mean, y_m2 (O, optional): the statistics of y, as ek_batch_norm_stats has them up to rounding; or y is norm(conv) + residual, both optional,
   * the residual in the format of y, limited by a ReLU as ek_batch_norm_apply has it, the norm's own where there is one.
   */
  conv(caller: string, given: { readonly geometry: readonly number[]; readonly x: Operand; readonly xNorm?: Operand | null; readonly xRelu: boolean; readonly w: Operand; readonly bias?: Operand | null; readonly y: Operand; readonly yMean?: Operand | null; readonly yM2?: Operand | null; readonly yNorm?: Operand | null; readonly residual?: Operand | null; readonly yRelu: number }): void;
  /**
   * dx = the gradient of the input; every element of dx is written. With dy_norm, dy stands for the gradient of the input dy_x (in the format of
   * dy) of a norm in training whose output's gradient it is. plus (optional) is added to dx. With x_norm, dx is 0 where the ReLU behind norm(x) was
   * closed, and its sums are left as ek_batch_norm_backward_reduce has them; x_limited (optional): that ReLU's output, where more was added to norm(x).
   * x, x_limited and plus are in the format of dx.
   */
  convBackwardData(caller: string, given: { readonly geometry: readonly number[]; readonly dy: Operand; readonly dyX?: Operand | null; readonly dyNorm?: Operand | null; readonly dyRelu: boolean; readonly w: Operand; readonly dx: Operand; readonly x?: Operand | null; readonly xNorm?: Operand | null; readonly xRelu: boolean; readonly xLimited?: Operand | null; readonly plus?: Operand | null; readonly sumDx?: Operand | null; readonly sumDxXmu?: Operand | null }): void;
  /**
   * dw (O, C/groups, K…) and, when not null, dbias (O).
   */
  convBackwardWeight(caller: string, given: { readonly geometry: readonly number[]; readonly x: Operand; readonly xNorm?: Operand | null; readonly xRelu: boolean; readonly dy: Operand; readonly dyX?: Operand | null; readonly dyNorm?: Operand | null; readonly dyRelu: boolean; readonly dw: Operand; readonly dbias?: Operand | null }): void;
  /**
   * geometry, 22 ints: N, C; input D, H, W; output D, H, W; kernel D, H, W; stride D, H, W; padding D, H, W; dilation D, H, W;
   * format; adaptive. Adaptive: window i covers floor(i·in/out) … ceil((i+1)·in/out). Indices (int64): the flat position in
   * the input's spatial volume of each maximum (first of equals; NaN wins), in the layout of y; optional in the forward.
   * With x_norm, x stands for norm(x), with x_relu within the limits of its ReLU; see the convolution.
   */
  maxPool(caller: string, given: { readonly geometry: readonly number[]; readonly x: Operand; readonly xNorm?: Operand | null; readonly xRelu: boolean; readonly y: Operand; readonly indices?: Operand | null }): void;
  maxPoolBackward(caller: string, given: { readonly geometry: readonly number[]; readonly dy: Operand; readonly indices: Operand; readonly dx: Operand }): void;
  /**
   * divisor: 0 = the window's size, with padding counted if count_include_pad; otherwise that number.
   */
  avgPool(caller: string, given: { readonly geometry: readonly number[]; readonly countIncludePad: boolean; readonly divisor: number; readonly x: Operand; readonly xNorm?: Operand | null; readonly xRelu: boolean; readonly y: Operand }): void;
  avgPoolBackward(caller: string, given: { readonly geometry: readonly number[]; readonly countIncludePad: boolean; readonly divisor: number; readonly dy: Operand; readonly dx: Operand }): void;
  /**
   * mean = Σx / (n·s), m2 = Σ(x − mean)²; sums are shifted by a pivot and merged in double in a fixed order.
   */
  batchNormStats(caller: string, given: { readonly x: Operand; readonly mean: Operand; readonly m2: Operand }): void;
  /**
   * Merges `parts` triples (counts (parts), means (parts, c), m2s (parts, c)) in order (Chan et al. 1983); parts with count 0 are
   * as if absent.
   */
  batchNormCombine(caller: string, given: { readonly counts: Operand; readonly means: Operand; readonly m2s: Operand; readonly count: Operand; readonly mean: Operand; readonly m2: Operand }): void;
  /**
   * invstd = 1/√(m2/count + eps), or 0 where both terms are 0.
   */
  batchNormInvstd(caller: string, given: { readonly count: number; readonly m2: Operand; readonly eps: number; readonly invstd: Operand }): void;
  /**
   * running ← (1 − f)·running + f·batch, with the unbiased variance m2/(count − 1). f = momentum, or, when momentum is NaN,
   * 1 / tracked[0] (int64). running_mean and running_var are optional.
   */
  batchNormUpdateRunning(caller: string, given: { readonly count: number; readonly mean: Operand; readonly m2: Operand; readonly momentum: number; readonly tracked?: Operand | null; readonly runningMean?: Operand | null; readonly runningVar?: Operand | null }): void;
  /**
   * tracked[0] (int64) += 1.
   */
  batchNormCount(caller: string, given: { readonly tracked: Operand }): void;
  /**
   * mean, invstd (float64) from running statistics: invstd = 1/√(running_var + eps).
   */
  batchNormFromRunning(caller: string, given: { readonly runningMean: Operand; readonly runningVar: Operand; readonly eps: number; readonly mean: Operand; readonly invstd: Operand }): void;
  /**
   * The gradients of weight and bias in dtype, each optional: invstd·sum_dy_xmu and sum_dy.
   */
  batchNormParameterGradients(caller: string, given: { readonly invstd: Operand; readonly sumDy: Operand; readonly sumDyXmu: Operand; readonly dweight?: Operand | null; readonly dbias?: Operand | null }): void;
  /**
   * What the maps of a norm need, in dtype (7, c): the mean as hi + lo, invstd·weight, bias; where sum_dy is given (as in backward_apply), −sum_dy/count
   * and −invstd²·sum_dy_xmu/count, else zeros; and the limit of a ReLU. mean and invstd null, here and in apply: 0 and 1.
   */
  batchNormCoefficients(caller: string, given: { readonly count: number; readonly mean?: Operand | null; readonly invstd?: Operand | null; readonly weight?: Operand | null; readonly bias?: Operand | null; readonly relu: number; readonly sumDy?: Operand | null; readonly sumDyXmu?: Operand | null; readonly coefficients: Operand }): void;
  /**
   * y = (x − mean)·(invstd·weight) + bias + residual, centred. weight, bias and the residual, which lies as x does, are
   * optional. y may be x.
   */
  batchNormApply(caller: string, given: { readonly x: Operand; readonly mean?: Operand | null; readonly invstd?: Operand | null; readonly weight?: Operand | null; readonly bias?: Operand | null; readonly relu: number; readonly residual?: Operand | null; readonly y: Operand }): void;
  /**
   * out = op(z), where z is what ek_batch_norm_apply gives without ReLU and residual, and op one of ek_unary with its parameters, no test. With dy
   * (optional) out = dy·op′ at z; then y is given too, and read as in ek_unary_backward.
   */
  batchNormFunction(caller: string, given: { readonly op: number; readonly x: Operand; readonly mean: Operand; readonly invstd: Operand; readonly weight?: Operand | null; readonly bias?: Operand | null; readonly p0: number; readonly p1: number; readonly y?: Operand | null; readonly dy?: Operand | null; readonly out: Operand }): void;
  /**
   * stats, invstd and apply in one, bit for bit: x is read from memory once where a few channels of it fit a cache.
   */
  batchNormForward(caller: string, given: { readonly x: Operand; readonly eps: number; readonly weight?: Operand | null; readonly bias?: Operand | null; readonly relu: number; readonly mean: Operand; readonly m2: Operand; readonly invstd: Operand; readonly y: Operand }): void;
  /**
   * sum_dy = Σg, sum_dy_xmu = Σg·(x − mean), where g = dy, or with relu dy where the forward's y was between its limits and else 0. invstd, weight and bias
   * are read for relu only.
   */
  batchNormBackwardReduce(caller: string, given: { readonly x: Operand; readonly dy: Operand; readonly mean: Operand; readonly invstd?: Operand | null; readonly weight?: Operand | null; readonly bias?: Operand | null; readonly relu: number; readonly sumDy: Operand; readonly sumDyXmu: Operand }): void;
  /**
   * Training: dx = weight·invstd·(g − sum_dy/count − (x − mean)·invstd²·sum_dy_xmu/count). Evaluation (sum_dy null; then x and mean
   * are read for relu only): dx = weight·invstd·g. g as above.
   */
  batchNormBackwardApply(caller: string, given: { readonly x?: Operand | null; readonly dy: Operand; readonly count: number; readonly mean?: Operand | null; readonly invstd: Operand; readonly weight?: Operand | null; readonly bias?: Operand | null; readonly relu: number; readonly sumDy?: Operand | null; readonly sumDyXmu?: Operand | null; readonly dx: Operand }): void;
  /**
   * The same of training + plus, on rows of c channels; norm: from ek_batch_norm_coefficients, with the sums; plus_pitch: values between the rows of plus.
   */
  batchNormBackwardJoined(caller: string, given: { readonly x: Operand; readonly dy: Operand; readonly rows: number; readonly c: number; readonly norm: Operand; readonly relu: boolean; readonly plus: Operand; readonly plusPitch: number; readonly dx: Operand }): void;
  /**
   * backward_reduce and the backward_apply of training in one, bit for bit, with count = n·s.
   */
  batchNormBackward(caller: string, given: { readonly x: Operand; readonly dy: Operand; readonly mean: Operand; readonly invstd: Operand; readonly weight?: Operand | null; readonly bias?: Operand | null; readonly relu: number; readonly sumDy: Operand; readonly sumDyXmu: Operand; readonly dx: Operand }): void;
  /**
   * mean, m2 = Σ(x − mean)², invstd = 1/√(m2/(k·s) + eps), y = (x − mean)·invstd·weight + bias.
   */
  rowNormForward(caller: string, given: { readonly x: Operand; readonly n: number; readonly g: number; readonly k: number; readonly s: number; readonly centred: boolean; readonly eps: number; readonly weight?: Operand | null; readonly bias?: Operand | null; readonly mean: Operand; readonly m2: Operand; readonly invstd: Operand; readonly y: Operand }): void;
  /**
   * With h = dy·weight, x̂ = (x − mean)·invstd and averages over a row: dx = invstd·(h − avg(h) − x̂·avg(h·x̂)), without avg(h)
   * where not centred; dweight = Σ dy·x̂, dbias = Σ dy (both float64, g·k, over n and s). dx is optional, and so are dweight and dbias together.
   */
  rowNormBackward(caller: string, given: { readonly x: Operand; readonly dy: Operand; readonly n: number; readonly g: number; readonly k: number; readonly s: number; readonly centred: boolean; readonly mean: Operand; readonly invstd: Operand; readonly weight?: Operand | null; readonly dx?: Operand | null; readonly dweight?: Operand | null; readonly dbias?: Operand | null }): void;
  /**
   * table: `count` rows of 6 doubles: addresses of parameter, gradient, state 0, state 1, state 2 (0 where unused), and the
   * number of elements. Parameters, gradients and states are all of `dtype` (float32 or float64).
   * SGD: g += weight_decay·p; with momentum: buf = first ? g : momentum·buf + (1 − dampening)·g; g = nesterov ? g + momentum·buf : buf;
   * p −= lr·g. State 0: buf. maximize: g = −g at the start.
   */
  optimSgd(caller: string, given: { readonly table: readonly TableRow[]; readonly lr: number; readonly momentum: number; readonly dampening: number; readonly weightDecay: number; readonly nesterov: boolean; readonly maximize: boolean; readonly first: boolean }): void;
  /**
   * Adam (decoupled = 0) and AdamW (decoupled = 1: p −= lr·weight_decay·p first). State 0: exp_avg, 1: exp_avg_sq, 2: max_exp_avg_sq
   * (amsgrad). step: 1 at the first call.
   */
  optimAdam(caller: string, given: { readonly table: readonly TableRow[]; readonly lr: number; readonly beta1: number; readonly beta2: number; readonly eps: number; readonly weightDecay: number; readonly decoupled: boolean; readonly amsgrad: boolean; readonly maximize: boolean; readonly step: number }): void;
  /**
   * RMSprop. State 0: square_avg, 1: momentum buffer, 2: grad_avg (centered).
   */
  optimRmsprop(caller: string, given: { readonly table: readonly TableRow[]; readonly lr: number; readonly alpha: number; readonly eps: number; readonly weightDecay: number; readonly momentum: number; readonly centered: boolean; readonly maximize: boolean }): void;
  /**
   * norms over the gradients of a table: result[0] = Σ|g|^p (p finite) or max|g| (p = inf), in double.
   */
  optimGradNorm(caller: string, given: { readonly table: readonly TableRow[]; readonly p: number; readonly result: Operand }): void;
  /**
   * g = min(max(g·scale, −limit), limit) over the gradients of a table.
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
  'topk',
  'softmax',
  'softmaxBackward',
  'indexSelect',
  'indexAdd',
  'indexPut',
  'indexPositions',
  'gather',
  'scatterAdd',
  'gemm',
  'conv',
  'convBackwardData',
  'convBackwardWeight',
  'maxPool',
  'maxPoolBackward',
  'avgPool',
  'avgPoolBackward',
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

/**
 * Launches by addresses. Operands whose values were deferred are computed first, so no kernel runs between the arguments of another; then the
 * operands are held in place, and the kernel is called.
 */
export class AddressLaunches implements Launches {
  private readonly backend: AddressBackend;
  constructor(backend: AddressBackend) {
    this.backend = backend;
  }

  fill(caller: string, { out, value }: Parameters<Launches['fill']>[1]): void {
    const { backend } = this;
    out.materialize();
    const n = out.size;
    const status = backend.kernels.fill(
      out.code,
      out.pin(),
      n,
      value,
    );
    backend.check(caller, status);
  }

  arange(caller: string, { out, start, step }: Parameters<Launches['arange']>[1]): void {
    const { backend } = this;
    out.materialize();
    const n = out.size;
    const status = backend.kernels.arange(
      out.code,
      out.pin(),
      n,
      start,
      step,
    );
    backend.check(caller, status);
  }

  cast(caller: string, { x, out }: Parameters<Launches['cast']>[1]): void {
    const { backend } = this;
    x.materialize();
    out.materialize();
    const n = x.size;
    const status = backend.kernels.cast(
      x.code,
      out.code,
      x.pin(),
      out.pin(),
      n,
    );
    backend.check(caller, status);
  }

  copyStrided(caller: string, { x, out, shape, xStrides, outStrides }: Parameters<Launches['copyStrided']>[1]): void {
    const { backend } = this;
    x.materialize();
    out.materialize();
    const size = x.itemSize;
    const status = backend.kernels.copyStrided(
      size,
      x.pin(),
      out.pin(),
      shape.length,
      backend.ints(shape),
      backend.ints(xStrides),
      backend.ints(outStrides),
    );
    backend.check(caller, status);
  }

  copyBlocks(caller: string, { table }: Parameters<Launches['copyBlocks']>[1]): void {
    const { backend } = this;
    for (const row of table) materializeBlock(row);
    const status = backend.kernels.copyBlocks(
      backend.doubles(addressesOfBlocks(table)),
      table.length,
    );
    backend.check(caller, status);
  }

  unary(caller: string, { op, x, out, p0, p1 }: Parameters<Launches['unary']>[1]): void {
    const { backend } = this;
    x.materialize();
    out.materialize();
    const n = x.size;
    const status = backend.kernels.unary(
      op,
      x.code,
      x.pin(),
      out.pin(),
      n,
      p0,
      p1,
    );
    backend.check(caller, status);
  }

  unaryBackward(caller: string, { op, x, y, g, dx, p0, p1 }: Parameters<Launches['unaryBackward']>[1]): void {
    const { backend } = this;
    x.materialize();
    y.materialize();
    g.materialize();
    dx.materialize();
    const n = dx.size;
    const status = backend.kernels.unaryBackward(
      op,
      x.code,
      x.pin(),
      y.pin(),
      g.pin(),
      dx.pin(),
      n,
      p0,
      p1,
    );
    backend.check(caller, status);
  }

  binary(caller: string, { op, a, b, out, shape, aStrides, bStrides, alpha }: Parameters<Launches['binary']>[1]): void {
    const { backend } = this;
    a.materialize();
    b.materialize();
    out.materialize();
    const status = backend.kernels.binary(
      op,
      a.code,
      a.pin(),
      b.pin(),
      out.pin(),
      shape.length,
      backend.ints(shape),
      backend.ints(aStrides),
      backend.ints(bStrides),
      alpha,
    );
    backend.check(caller, status);
  }

  binaryScalar(caller: string, { op, x, s, reverse, out, alpha }: Parameters<Launches['binaryScalar']>[1]): void {
    const { backend } = this;
    x.materialize();
    out.materialize();
    const n = x.size;
    const status = backend.kernels.binaryScalar(
      op,
      x.code,
      x.pin(),
      s,
      reverse ? 1 : 0,
      out.pin(),
      n,
      alpha,
    );
    backend.check(caller, status);
  }

  where(caller: string, { condition, a, b, out, shape, conditionStrides, aStrides, bStrides }: Parameters<Launches['where']>[1]): void {
    const { backend } = this;
    condition.materialize();
    a.materialize();
    b.materialize();
    out.materialize();
    const size = a.itemSize;
    const status = backend.kernels.where(
      size,
      condition.pin(),
      a.pin(),
      b.pin(),
      out.pin(),
      shape.length,
      backend.ints(shape),
      backend.ints(conditionStrides),
      backend.ints(aStrides),
      backend.ints(bStrides),
    );
    backend.check(caller, status);
  }

  reduce(caller: string, { op, x, out, outer, n, inner }: Parameters<Launches['reduce']>[1]): void {
    const { backend } = this;
    x.materialize();
    out.materialize();
    const status = backend.kernels.reduce(
      op,
      x.code,
      x.pin(),
      out.pin(),
      outer,
      n,
      inner,
    );
    backend.check(caller, status);
  }

  reduceMoments(caller: string, { x, mean, m2, outer, n, inner }: Parameters<Launches['reduceMoments']>[1]): void {
    const { backend } = this;
    x.materialize();
    mean.materialize();
    m2.materialize();
    const status = backend.kernels.reduceMoments(
      x.code,
      x.pin(),
      mean.pin(),
      m2.pin(),
      outer,
      n,
      inner,
    );
    backend.check(caller, status);
  }

  argReduce(caller: string, { op, x, values, indices, outer, n, inner }: Parameters<Launches['argReduce']>[1]): void {
    const { backend } = this;
    x.materialize();
    values?.materialize();
    indices.materialize();
    const status = backend.kernels.argReduce(
      op,
      x.code,
      x.pin(),
      values ? values.pin() : 0,
      indices.pin(),
      outer,
      n,
      inner,
    );
    backend.check(caller, status);
  }

  cumsum(caller: string, { x, out, outer, n, inner, reverse }: Parameters<Launches['cumsum']>[1]): void {
    const { backend } = this;
    x.materialize();
    out.materialize();
    const status = backend.kernels.cumsum(
      x.code,
      x.pin(),
      out.pin(),
      outer,
      n,
      inner,
      reverse ? 1 : 0,
    );
    backend.check(caller, status);
  }

  topk(caller: string, { x, values, indices, outer, n, k, largest }: Parameters<Launches['topk']>[1]): void {
    const { backend } = this;
    x.materialize();
    values.materialize();
    indices.materialize();
    const bytes = backend.kernels.topkScratch(n);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.topk(
      x.code,
      x.pin(),
      values.pin(),
      indices.pin(),
      outer,
      n,
      k,
      largest ? 1 : 0,
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  softmax(caller: string, { log, x, out, outer, n, inner }: Parameters<Launches['softmax']>[1]): void {
    const { backend } = this;
    x.materialize();
    out.materialize();
    const status = backend.kernels.softmax(
      log ? 1 : 0,
      x.code,
      x.pin(),
      out.pin(),
      outer,
      n,
      inner,
    );
    backend.check(caller, status);
  }

  softmaxBackward(caller: string, { log, y, g, dx, outer, n, inner }: Parameters<Launches['softmaxBackward']>[1]): void {
    const { backend } = this;
    y.materialize();
    g.materialize();
    dx.materialize();
    const status = backend.kernels.softmaxBackward(
      log ? 1 : 0,
      y.code,
      y.pin(),
      g.pin(),
      dx.pin(),
      outer,
      n,
      inner,
    );
    backend.check(caller, status);
  }

  indexSelect(caller: string, { x, index, out, outer, n, count, inner }: Parameters<Launches['indexSelect']>[1]): void {
    const { backend } = this;
    x.materialize();
    index.materialize();
    out.materialize();
    const size = x.itemSize;
    const status = backend.kernels.indexSelect(
      size,
      x.pin(),
      index.pin(),
      out.pin(),
      outer,
      n,
      count,
      inner,
    );
    backend.check(caller, status);
  }

  indexAdd(caller: string, { x, index, out, outer, n, count, inner }: Parameters<Launches['indexAdd']>[1]): void {
    const { backend } = this;
    x.materialize();
    index.materialize();
    out.materialize();
    const status = backend.kernels.indexAdd(
      x.code,
      x.pin(),
      index.pin(),
      out.pin(),
      outer,
      n,
      count,
      inner,
    );
    backend.check(caller, status);
  }

  indexPut(caller: string, { x, index, out, outer, n, count, inner }: Parameters<Launches['indexPut']>[1]): void {
    const { backend } = this;
    x.materialize();
    index.materialize();
    out.materialize();
    const size = x.itemSize;
    const status = backend.kernels.indexPut(
      size,
      x.pin(),
      index.pin(),
      out.pin(),
      outer,
      n,
      count,
      inner,
    );
    backend.check(caller, status);
  }

  indexPositions(caller: string, { index, positions, shape, indexStrides, ramp, n, step, wrap, accumulate }: Parameters<Launches['indexPositions']>[1]): void {
    const { backend } = this;
    index.materialize();
    positions.materialize();
    const status = backend.kernels.indexPositions(
      index.pin(),
      positions.pin(),
      shape.length,
      backend.ints(shape),
      backend.ints(indexStrides),
      ramp ? backend.ints(ramp) : 0,
      n,
      step,
      wrap ? 1 : 0,
      accumulate ? 1 : 0,
    );
    backend.check(caller, status);
  }

  gather(caller: string, { x, index, out, outer, n, count, inner }: Parameters<Launches['gather']>[1]): void {
    const { backend } = this;
    x.materialize();
    index.materialize();
    out.materialize();
    const size = x.itemSize;
    const status = backend.kernels.gather(
      size,
      x.pin(),
      index.pin(),
      out.pin(),
      outer,
      n,
      count,
      inner,
    );
    backend.check(caller, status);
  }

  scatterAdd(caller: string, { x, index, out, outer, n, count, inner }: Parameters<Launches['scatterAdd']>[1]): void {
    const { backend } = this;
    x.materialize();
    index.materialize();
    out.materialize();
    const status = backend.kernels.scatterAdd(
      x.code,
      x.pin(),
      index.pin(),
      out.pin(),
      outer,
      n,
      count,
      inner,
    );
    backend.check(caller, status);
  }

  gemm(caller: string, { transposeA, transposeB, batch, m, n, k, a, aStep, b, bStep, bias, c, accumulate }: Parameters<Launches['gemm']>[1]): void {
    const { backend } = this;
    a.materialize();
    b.materialize();
    bias?.materialize();
    c.materialize();
    const bytes = backend.kernels.gemmScratch(a.code, batch, m, n, k);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.gemm(
      a.code,
      transposeA ? 1 : 0,
      transposeB ? 1 : 0,
      batch,
      m,
      n,
      k,
      a.pin(),
      aStep,
      b.pin(),
      bStep,
      bias ? bias.pin() : 0,
      c.pin(),
      accumulate ? 1 : 0,
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  conv(caller: string, { geometry, x, xNorm, xRelu, w, bias, y, yMean, yM2, yNorm, residual, yRelu }: Parameters<Launches['conv']>[1]): void {
    const { backend } = this;
    x.materialize();
    xNorm?.materialize();
    w.materialize();
    bias?.materialize();
    y.materialize();
    yMean?.materialize();
    yM2?.materialize();
    yNorm?.materialize();
    residual?.materialize();
    const geometryAddress = backend.ints(geometry);
    const bytes = backend.kernels.convScratch(0, x.code, geometryAddress);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.conv(
      x.code,
      geometryAddress,
      x.pin(),
      xNorm ? xNorm.pin() : 0,
      xRelu ? 1 : 0,
      w.pin(),
      bias ? bias.pin() : 0,
      y.pin(),
      yMean ? yMean.pin() : 0,
      yM2 ? yM2.pin() : 0,
      yNorm ? yNorm.pin() : 0,
      residual ? residual.pin() : 0,
      yRelu,
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  convBackwardData(caller: string, { geometry, dy, dyX, dyNorm, dyRelu, w, dx, x, xNorm, xRelu, xLimited, plus, sumDx, sumDxXmu }: Parameters<Launches['convBackwardData']>[1]): void {
    const { backend } = this;
    dy.materialize();
    dyX?.materialize();
    dyNorm?.materialize();
    w.materialize();
    dx.materialize();
    x?.materialize();
    xNorm?.materialize();
    xLimited?.materialize();
    plus?.materialize();
    sumDx?.materialize();
    sumDxXmu?.materialize();
    const geometryAddress = backend.ints(geometry);
    const bytes = backend.kernels.convScratch(1, dy.code, geometryAddress);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.convBackwardData(
      dy.code,
      geometryAddress,
      dy.pin(),
      dyX ? dyX.pin() : 0,
      dyNorm ? dyNorm.pin() : 0,
      dyRelu ? 1 : 0,
      w.pin(),
      dx.pin(),
      x ? x.pin() : 0,
      xNorm ? xNorm.pin() : 0,
      xRelu ? 1 : 0,
      xLimited ? xLimited.pin() : 0,
      plus ? plus.pin() : 0,
      sumDx ? sumDx.pin() : 0,
      sumDxXmu ? sumDxXmu.pin() : 0,
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  convBackwardWeight(caller: string, { geometry, x, xNorm, xRelu, dy, dyX, dyNorm, dyRelu, dw, dbias }: Parameters<Launches['convBackwardWeight']>[1]): void {
    const { backend } = this;
    x.materialize();
    xNorm?.materialize();
    dy.materialize();
    dyX?.materialize();
    dyNorm?.materialize();
    dw.materialize();
    dbias?.materialize();
    const geometryAddress = backend.ints(geometry);
    const bytes = backend.kernels.convScratch(2, x.code, geometryAddress);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.convBackwardWeight(
      x.code,
      geometryAddress,
      x.pin(),
      xNorm ? xNorm.pin() : 0,
      xRelu ? 1 : 0,
      dy.pin(),
      dyX ? dyX.pin() : 0,
      dyNorm ? dyNorm.pin() : 0,
      dyRelu ? 1 : 0,
      dw.pin(),
      dbias ? dbias.pin() : 0,
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  maxPool(caller: string, { geometry, x, xNorm, xRelu, y, indices }: Parameters<Launches['maxPool']>[1]): void {
    const { backend } = this;
    x.materialize();
    xNorm?.materialize();
    y.materialize();
    indices?.materialize();
    const geometryAddress = backend.ints(geometry);
    const status = backend.kernels.maxPool(
      x.code,
      geometryAddress,
      x.pin(),
      xNorm ? xNorm.pin() : 0,
      xRelu ? 1 : 0,
      y.pin(),
      indices ? indices.pin() : 0,
    );
    backend.check(caller, status);
  }

  maxPoolBackward(caller: string, { geometry, dy, indices, dx }: Parameters<Launches['maxPoolBackward']>[1]): void {
    const { backend } = this;
    dy.materialize();
    indices.materialize();
    dx.materialize();
    const geometryAddress = backend.ints(geometry);
    const status = backend.kernels.maxPoolBackward(
      dy.code,
      geometryAddress,
      dy.pin(),
      indices.pin(),
      dx.pin(),
    );
    backend.check(caller, status);
  }

  avgPool(caller: string, { geometry, countIncludePad, divisor, x, xNorm, xRelu, y }: Parameters<Launches['avgPool']>[1]): void {
    const { backend } = this;
    x.materialize();
    xNorm?.materialize();
    y.materialize();
    const geometryAddress = backend.ints(geometry);
    const status = backend.kernels.avgPool(
      x.code,
      geometryAddress,
      countIncludePad ? 1 : 0,
      divisor,
      x.pin(),
      xNorm ? xNorm.pin() : 0,
      xRelu ? 1 : 0,
      y.pin(),
    );
    backend.check(caller, status);
  }

  avgPoolBackward(caller: string, { geometry, countIncludePad, divisor, dy, dx }: Parameters<Launches['avgPoolBackward']>[1]): void {
    const { backend } = this;
    dy.materialize();
    dx.materialize();
    const geometryAddress = backend.ints(geometry);
    const status = backend.kernels.avgPoolBackward(
      dy.code,
      geometryAddress,
      countIncludePad ? 1 : 0,
      divisor,
      dy.pin(),
      dx.pin(),
    );
    backend.check(caller, status);
  }

  batchNormStats(caller: string, { x, mean, m2 }: Parameters<Launches['batchNormStats']>[1]): void {
    const { backend } = this;
    x.materialize();
    mean.materialize();
    m2.materialize();
    const n = x.shape[0];
    const c = x.shape[1];
    const s = spatialSize(x);
    const format = x.formatCode;
    const bytes = backend.kernels.batchNormScratch(n, c, s, format);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.batchNormStats(
      x.code,
      x.pin(),
      n,
      c,
      s,
      format,
      mean.pin(),
      m2.pin(),
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  batchNormCombine(caller: string, { counts, means, m2s, count, mean, m2 }: Parameters<Launches['batchNormCombine']>[1]): void {
    const { backend } = this;
    counts.materialize();
    means.materialize();
    m2s.materialize();
    count.materialize();
    mean.materialize();
    m2.materialize();
    const parts = counts.size;
    const c = mean.size;
    const status = backend.kernels.batchNormCombine(
      parts,
      c,
      counts.pin(),
      means.pin(),
      m2s.pin(),
      count.pin(),
      mean.pin(),
      m2.pin(),
    );
    backend.check(caller, status);
  }

  batchNormInvstd(caller: string, { count, m2, eps, invstd }: Parameters<Launches['batchNormInvstd']>[1]): void {
    const { backend } = this;
    m2.materialize();
    invstd.materialize();
    const c = m2.size;
    const status = backend.kernels.batchNormInvstd(
      c,
      count,
      m2.pin(),
      eps,
      invstd.pin(),
    );
    backend.check(caller, status);
  }

  batchNormUpdateRunning(caller: string, { count, mean, m2, momentum, tracked, runningMean, runningVar }: Parameters<Launches['batchNormUpdateRunning']>[1]): void {
    const { backend } = this;
    mean.materialize();
    m2.materialize();
    tracked?.materialize();
    runningMean?.materialize();
    runningVar?.materialize();
    const c = mean.size;
    const status = backend.kernels.batchNormUpdateRunning(
      (runningMean ?? runningVar)!.code,
      c,
      count,
      mean.pin(),
      m2.pin(),
      momentum,
      tracked ? tracked.pin() : 0,
      runningMean ? runningMean.pin() : 0,
      runningVar ? runningVar.pin() : 0,
    );
    backend.check(caller, status);
  }

  batchNormCount(caller: string, { tracked }: Parameters<Launches['batchNormCount']>[1]): void {
    const { backend } = this;
    tracked.materialize();
    const status = backend.kernels.batchNormCount(
      tracked.pin(),
    );
    backend.check(caller, status);
  }

  batchNormFromRunning(caller: string, { runningMean, runningVar, eps, mean, invstd }: Parameters<Launches['batchNormFromRunning']>[1]): void {
    const { backend } = this;
    runningMean.materialize();
    runningVar.materialize();
    mean.materialize();
    invstd.materialize();
    const c = runningMean.size;
    const status = backend.kernels.batchNormFromRunning(
      runningMean.code,
      c,
      runningMean.pin(),
      runningVar.pin(),
      eps,
      mean.pin(),
      invstd.pin(),
    );
    backend.check(caller, status);
  }

  batchNormParameterGradients(caller: string, { invstd, sumDy, sumDyXmu, dweight, dbias }: Parameters<Launches['batchNormParameterGradients']>[1]): void {
    const { backend } = this;
    invstd.materialize();
    sumDy.materialize();
    sumDyXmu.materialize();
    dweight?.materialize();
    dbias?.materialize();
    const c = invstd.size;
    const status = backend.kernels.batchNormParameterGradients(
      (dweight ?? dbias)!.code,
      c,
      invstd.pin(),
      sumDy.pin(),
      sumDyXmu.pin(),
      dweight ? dweight.pin() : 0,
      dbias ? dbias.pin() : 0,
    );
    backend.check(caller, status);
  }

  batchNormCoefficients(caller: string, { count, mean, invstd, weight, bias, relu, sumDy, sumDyXmu, coefficients }: Parameters<Launches['batchNormCoefficients']>[1]): void {
    const { backend } = this;
    mean?.materialize();
    invstd?.materialize();
    weight?.materialize();
    bias?.materialize();
    sumDy?.materialize();
    sumDyXmu?.materialize();
    coefficients.materialize();
    const c = coefficients.shape[1];
    const status = backend.kernels.batchNormCoefficients(
      coefficients.code,
      c,
      count,
      mean ? mean.pin() : 0,
      invstd ? invstd.pin() : 0,
      weight ? weight.pin() : 0,
      bias ? bias.pin() : 0,
      relu,
      sumDy ? sumDy.pin() : 0,
      sumDyXmu ? sumDyXmu.pin() : 0,
      coefficients.pin(),
    );
    backend.check(caller, status);
  }

  batchNormApply(caller: string, { x, mean, invstd, weight, bias, relu, residual, y }: Parameters<Launches['batchNormApply']>[1]): void {
    const { backend } = this;
    x.materialize();
    mean?.materialize();
    invstd?.materialize();
    weight?.materialize();
    bias?.materialize();
    residual?.materialize();
    y.materialize();
    const n = x.shape[0];
    const c = x.shape[1];
    const s = spatialSize(x);
    const format = x.formatCode;
    const bytes = backend.kernels.batchNormScratch(n, c, s, format);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.batchNormApply(
      x.code,
      x.pin(),
      n,
      c,
      s,
      format,
      mean ? mean.pin() : 0,
      invstd ? invstd.pin() : 0,
      weight ? weight.pin() : 0,
      bias ? bias.pin() : 0,
      relu,
      residual ? residual.pin() : 0,
      y.pin(),
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  batchNormFunction(caller: string, { op, x, mean, invstd, weight, bias, p0, p1, y, dy, out }: Parameters<Launches['batchNormFunction']>[1]): void {
    const { backend } = this;
    x.materialize();
    mean.materialize();
    invstd.materialize();
    weight?.materialize();
    bias?.materialize();
    y?.materialize();
    dy?.materialize();
    out.materialize();
    const n = x.shape[0];
    const c = x.shape[1];
    const s = spatialSize(x);
    const format = x.formatCode;
    const bytes = backend.kernels.batchNormScratch(n, c, s, format);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.batchNormFunction(
      op,
      x.code,
      x.pin(),
      n,
      c,
      s,
      format,
      mean.pin(),
      invstd.pin(),
      weight ? weight.pin() : 0,
      bias ? bias.pin() : 0,
      p0,
      p1,
      y ? y.pin() : 0,
      dy ? dy.pin() : 0,
      out.pin(),
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  batchNormForward(caller: string, { x, eps, weight, bias, relu, mean, m2, invstd, y }: Parameters<Launches['batchNormForward']>[1]): void {
    const { backend } = this;
    x.materialize();
    weight?.materialize();
    bias?.materialize();
    mean.materialize();
    m2.materialize();
    invstd.materialize();
    y.materialize();
    const n = x.shape[0];
    const c = x.shape[1];
    const s = spatialSize(x);
    const format = x.formatCode;
    const bytes = backend.kernels.batchNormScratch(n, c, s, format);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.batchNormForward(
      x.code,
      x.pin(),
      n,
      c,
      s,
      format,
      eps,
      weight ? weight.pin() : 0,
      bias ? bias.pin() : 0,
      relu,
      mean.pin(),
      m2.pin(),
      invstd.pin(),
      y.pin(),
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  batchNormBackwardReduce(caller: string, { x, dy, mean, invstd, weight, bias, relu, sumDy, sumDyXmu }: Parameters<Launches['batchNormBackwardReduce']>[1]): void {
    const { backend } = this;
    x.materialize();
    dy.materialize();
    mean.materialize();
    invstd?.materialize();
    weight?.materialize();
    bias?.materialize();
    sumDy.materialize();
    sumDyXmu.materialize();
    const n = x.shape[0];
    const c = x.shape[1];
    const s = spatialSize(x);
    const format = x.formatCode;
    const bytes = backend.kernels.batchNormScratch(n, c, s, format);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.batchNormBackwardReduce(
      x.code,
      x.pin(),
      dy.pin(),
      n,
      c,
      s,
      format,
      mean.pin(),
      invstd ? invstd.pin() : 0,
      weight ? weight.pin() : 0,
      bias ? bias.pin() : 0,
      relu,
      sumDy.pin(),
      sumDyXmu.pin(),
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  batchNormBackwardApply(caller: string, { x, dy, count, mean, invstd, weight, bias, relu, sumDy, sumDyXmu, dx }: Parameters<Launches['batchNormBackwardApply']>[1]): void {
    const { backend } = this;
    x?.materialize();
    dy.materialize();
    mean?.materialize();
    invstd.materialize();
    weight?.materialize();
    bias?.materialize();
    sumDy?.materialize();
    sumDyXmu?.materialize();
    dx.materialize();
    const n = dy.shape[0];
    const c = dy.shape[1];
    const s = spatialSize(dy);
    const format = dy.formatCode;
    const bytes = backend.kernels.batchNormScratch(n, c, s, format);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.batchNormBackwardApply(
      dy.code,
      x ? x.pin() : 0,
      dy.pin(),
      n,
      c,
      s,
      format,
      count,
      mean ? mean.pin() : 0,
      invstd.pin(),
      weight ? weight.pin() : 0,
      bias ? bias.pin() : 0,
      relu,
      sumDy ? sumDy.pin() : 0,
      sumDyXmu ? sumDyXmu.pin() : 0,
      dx.pin(),
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  batchNormBackwardJoined(caller: string, { x, dy, rows, c, norm, relu, plus, plusPitch, dx }: Parameters<Launches['batchNormBackwardJoined']>[1]): void {
    const { backend } = this;
    x.materialize();
    dy.materialize();
    norm.materialize();
    plus.materialize();
    dx.materialize();
    const status = backend.kernels.batchNormBackwardJoined(
      x.code,
      x.pin(),
      dy.pin(),
      rows,
      c,
      norm.pin(),
      relu ? 1 : 0,
      plus.pin(),
      plusPitch,
      dx.pin(),
    );
    backend.check(caller, status);
  }

  batchNormBackward(caller: string, { x, dy, mean, invstd, weight, bias, relu, sumDy, sumDyXmu, dx }: Parameters<Launches['batchNormBackward']>[1]): void {
    const { backend } = this;
    x.materialize();
    dy.materialize();
    mean.materialize();
    invstd.materialize();
    weight?.materialize();
    bias?.materialize();
    sumDy.materialize();
    sumDyXmu.materialize();
    dx.materialize();
    const n = x.shape[0];
    const c = x.shape[1];
    const s = spatialSize(x);
    const format = x.formatCode;
    const bytes = backend.kernels.batchNormScratch(n, c, s, format);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.batchNormBackward(
      x.code,
      x.pin(),
      dy.pin(),
      n,
      c,
      s,
      format,
      mean.pin(),
      invstd.pin(),
      weight ? weight.pin() : 0,
      bias ? bias.pin() : 0,
      relu,
      sumDy.pin(),
      sumDyXmu.pin(),
      dx.pin(),
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  rowNormForward(caller: string, { x, n, g, k, s, centred, eps, weight, bias, mean, m2, invstd, y }: Parameters<Launches['rowNormForward']>[1]): void {
    const { backend } = this;
    x.materialize();
    weight?.materialize();
    bias?.materialize();
    mean.materialize();
    m2.materialize();
    invstd.materialize();
    y.materialize();
    const format = x.formatCode;
    const bytes = backend.kernels.rowNormScratch(n, g, k, s, format);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.rowNormForward(
      x.code,
      x.pin(),
      n,
      g,
      k,
      s,
      format,
      centred ? 1 : 0,
      eps,
      weight ? weight.pin() : 0,
      bias ? bias.pin() : 0,
      mean.pin(),
      m2.pin(),
      invstd.pin(),
      y.pin(),
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  rowNormBackward(caller: string, { x, dy, n, g, k, s, centred, mean, invstd, weight, dx, dweight, dbias }: Parameters<Launches['rowNormBackward']>[1]): void {
    const { backend } = this;
    x.materialize();
    dy.materialize();
    mean.materialize();
    invstd.materialize();
    weight?.materialize();
    dx?.materialize();
    dweight?.materialize();
    dbias?.materialize();
    const format = x.formatCode;
    const bytes = backend.kernels.rowNormScratch(n, g, k, s, format);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.rowNormBackward(
      x.code,
      x.pin(),
      dy.pin(),
      n,
      g,
      k,
      s,
      format,
      centred ? 1 : 0,
      mean.pin(),
      invstd.pin(),
      weight ? weight.pin() : 0,
      dx ? dx.pin() : 0,
      dweight ? dweight.pin() : 0,
      dbias ? dbias.pin() : 0,
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  optimSgd(caller: string, { table, lr, momentum, dampening, weightDecay, nesterov, maximize, first }: Parameters<Launches['optimSgd']>[1]): void {
    const { backend } = this;
    for (const row of table) materializeRow(row);
    const status = backend.kernels.optimSgd(
      table[0].parameter.code,
      backend.doubles(addressesOfRows(table)),
      table.length,
      lr,
      momentum,
      dampening,
      weightDecay,
      nesterov ? 1 : 0,
      maximize ? 1 : 0,
      first ? 1 : 0,
    );
    backend.check(caller, status);
  }

  optimAdam(caller: string, { table, lr, beta1, beta2, eps, weightDecay, decoupled, amsgrad, maximize, step }: Parameters<Launches['optimAdam']>[1]): void {
    const { backend } = this;
    for (const row of table) materializeRow(row);
    const status = backend.kernels.optimAdam(
      table[0].parameter.code,
      backend.doubles(addressesOfRows(table)),
      table.length,
      lr,
      beta1,
      beta2,
      eps,
      weightDecay,
      decoupled ? 1 : 0,
      amsgrad ? 1 : 0,
      maximize ? 1 : 0,
      step,
    );
    backend.check(caller, status);
  }

  optimRmsprop(caller: string, { table, lr, alpha, eps, weightDecay, momentum, centered, maximize }: Parameters<Launches['optimRmsprop']>[1]): void {
    const { backend } = this;
    for (const row of table) materializeRow(row);
    const status = backend.kernels.optimRmsprop(
      table[0].parameter.code,
      backend.doubles(addressesOfRows(table)),
      table.length,
      lr,
      alpha,
      eps,
      weightDecay,
      momentum,
      centered ? 1 : 0,
      maximize ? 1 : 0,
    );
    backend.check(caller, status);
  }

  optimGradNorm(caller: string, { table, p, result }: Parameters<Launches['optimGradNorm']>[1]): void {
    const { backend } = this;
    for (const row of table) materializeRow(row);
    result.materialize();
    const status = backend.kernels.optimGradNorm(
      table[0].parameter.code,
      backend.doubles(addressesOfRows(table)),
      table.length,
      p,
      result.pin(),
    );
    backend.check(caller, status);
  }

  optimGradScale(caller: string, { table, scale, limit }: Parameters<Launches['optimGradScale']>[1]): void {
    const { backend } = this;
    for (const row of table) materializeRow(row);
    const status = backend.kernels.optimGradScale(
      table[0].parameter.code,
      backend.doubles(addressesOfRows(table)),
      table.length,
      scale,
      limit,
    );
    backend.check(caller, status);
  }
}
