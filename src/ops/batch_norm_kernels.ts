// The kernels of batch normalization as functions of tensors, cut at the points where statistics may be merged with others: stats,
// combine, apply, backward_reduce, backward_apply. Nothing here is recorded; the operations are in batch_norm.ts, and what merges them with
// others in fusion/.
import { Binary, type Pointer, type Unary } from '../kernels/generated/abi.ts';
import { type DType, dtypes } from '../tensor/dtype.ts';
import { type Shape, sizeOf } from '../tensor/shape.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';
import { pointerOf, requireSameDevice } from './launch.ts';
import { withScratch } from './scratch.ts';

/** (n, c, s) of a tensor with channels on axis 1. */
const channelView = (shape: Shape): [n: number, c: number, s: number] => [shape[0], shape[1], sizeOf(shape.slice(2))];
const perChannel = (c: number, x: Tensor): Tensor => allocate([c], 'float64', 'contiguous', x.backend);
/** What the kernels of a normalization take, in their order. */
type TensorArgs = [dtype: number, x: Pointer, n: number, c: number, s: number, format: number];
const tensorArgs = (x: Tensor): TensorArgs => [x.code, x.pointer, ...channelView(x.shape), x.formatCode];

/** Calls a kernel that needs scratch for x. */
function launch(op: string, x: Tensor, kernel: (scratch: Pointer) => number): void {
  const { backend } = x;
  const [n, c, s] = channelView(x.shape);
  withScratch(backend, backend.kernels.batchNormScratch(n, c, s, x.formatCode), (scratch) =>
    backend.check(op, kernel(scratch())),
  );
}

/** The statistics of a batch for each channel, float64 and of shape (C). */
export interface BatchStatistics {
  /** Elements per channel. */
  readonly count: number;
  /** The mean. */
  readonly mean: Tensor;
  /** Σ(x − mean)² */
  readonly m2: Tensor;
}

/** Mean and M2 of every channel of x (N, C, …). */
export function batchNormStats(x: Tensor): BatchStatistics {
  const [n, c, s] = channelView(x.shape);
  const [mean, m2] = [perChannel(c, x), perChannel(c, x)];
  launch('batchNorm', x, (scratch) =>
    x.backend.kernels.batchNormStats(...tensorArgs(x), mean.pointer, m2.pointer, scratch),
  );
  return { count: n * s, mean, m2 };
}

/** 1/√(m2/count + eps), or 0 where both are 0. */
export function batchNormInvstd({ count, m2 }: BatchStatistics, eps: number): Tensor {
  const invstd = perChannel(m2.size, m2);
  m2.backend.check('batchNorm', m2.backend.kernels.batchNormInvstd(m2.size, count, m2.pointer, eps, invstd.pointer));
  return invstd;
}

/** Raises a layer's counter of batches by 1, in place. */
export function countBatch(tracked: Tensor): void {
  const { backend, code, dtype, storage } = tracked;
  const { kernels } = backend;
  storage.beginChange();
  // A counter that somebody has put there may be of another dtype.
  const status =
    dtype === 'int64'
      ? kernels.batchNormCount(tracked.pointer)
      : kernels.binaryScalar(Binary.add, code, tracked.pointer, 1, 0, tracked.pointer, 1, 1);
  backend.check('batchNorm', status);
}

export interface RunningStatistics {
  readonly mean: Tensor | null;
  readonly variance: Tensor | null;
  /** The counter (int64), for a cumulative average. */
  readonly tracked?: Tensor | null;
}

/** Moves running statistics towards those of a batch, in place; `momentum` null averages over all batches counted by `tracked`. */
export function batchNormUpdateRunning(
  batch: BatchStatistics,
  running: RunningStatistics,
  momentum: number | null,
): void {
  const { backend } = batch.mean;
  const like = running.mean ?? running.variance;
  if (!like) return;
  const { mean, variance, tracked } = running;
  for (const t of [mean, variance, tracked])
    if (t && t.backend !== backend) requireSameDevice('batchNorm', batch.mean, t);
  backend.check(
    'batchNorm',
    backend.kernels.batchNormUpdateRunning(
      like.code,
      like.size,
      batch.count,
      batch.mean.pointer,
      batch.m2.pointer,
      momentum ?? Number.NaN,
      pointerOf(running.tracked),
      pointerOf(running.mean),
      pointerOf(running.variance),
    ),
  );
  // Versions are not raised: like PyTorch's kernel, the update is invisible to autograd, which keeps what a backward needs of them itself.
}

/** The affine part of a normalization, and the ReLU that follows in the same pass. */
export interface Affine {
  readonly weight: Tensor | null;
  readonly bias: Tensor | null;
  /** What y is limited to, from 0 on: infinite for a ReLU, 6 for a ReLU6; 0: nothing follows. */
  readonly relu: number;
}
const affineArgs = ({ weight, bias, relu }: Affine): [Pointer, Pointer, number] => [
  pointerOf(weight),
  pointerOf(bias),
  relu,
];
/** What a tensor is normalized by: statistics, then the affine part. */
const givenArgs = (mean: Tensor | null, invstd: Tensor | null, affine: Affine) =>
  [pointerOf(mean), pointerOf(invstd), ...affineArgs(affine)] as const;

/**
 * y = (x − mean)·(invstd·weight) + bias + residual, then the ReLU. The residual lies as x does; so does y, where it is given. mean and invstd null: 0
 * and 1.
 */
export function launchApply(
  x: Tensor,
  mean: Tensor | null,
  invstd: Tensor | null,
  affine: Affine,
  residual: Tensor | null = null,
  y: Tensor = allocate(x.shape, x.dtype, x.memoryFormat, x.backend),
): Tensor {
  launch('batchNorm', x, (scratch) =>
    x.backend.kernels.batchNormApply(
      ...tensorArgs(x),
      ...givenArgs(mean, invstd, affine),
      pointerOf(residual),
      y.pointer,
      scratch,
    ),
  );
  return y;
}

/** A function of one operand, of the elementwise kernels, and its parameters. */
export interface UnaryFunction {
  readonly name: string;
  readonly op: Unary;
  readonly p0: number;
  readonly p1: number;
}

/** f(z) for the values z of a norm, which are not written; with dy and y = f(z), dy·f′(z). Both lie as x does; not every derivative reads y. */
export function launchFunction(
  { name, op, p0, p1 }: UnaryFunction,
  x: Tensor,
  mean: Tensor | null,
  invstd: Tensor | null,
  { weight, bias }: Omit<Affine, 'relu'>,
  y: Tensor | null = null,
  dy: Tensor | null = null,
): Tensor {
  const out = allocate(x.shape, x.dtype, x.memoryFormat, x.backend);
  launch(name, x, (scratch) =>
    x.backend.kernels.batchNormFunction(
      op,
      ...tensorArgs(x),
      pointerOf(mean),
      pointerOf(invstd),
      pointerOf(weight),
      pointerOf(bias),
      p0,
      p1,
      pointerOf(y),
      pointerOf(dy),
      out.pointer,
      scratch,
    ),
  );
  return out;
}

/** Statistics, 1/std and apply in one. */
export function launchForward(x: Tensor, eps: number, affine: Affine) {
  const c = x.shape[1];
  const [mean, m2, invstd] = [perChannel(c, x), perChannel(c, x), perChannel(c, x)];
  const y = allocate(x.shape, x.dtype, x.memoryFormat, x.backend);
  launch('batchNorm', x, (scratch) =>
    x.backend.kernels.batchNormForward(
      ...tensorArgs(x),
      eps,
      ...affineArgs(affine),
      mean.pointer,
      m2.pointer,
      invstd.pointer,
      y.pointer,
      scratch,
    ),
  );
  return { y, mean, m2, invstd };
}

/** Mean and 1/std of running statistics, as copies in float64. */
export function fromRunning(runningMean: Tensor, runningVar: Tensor, eps: number): [mean: Tensor, invstd: Tensor] {
  const { backend, size: c, code } = runningMean;
  const [mean, invstd] = [perChannel(c, runningMean), perChannel(c, runningMean)];
  backend.check(
    'batchNorm',
    backend.kernels.batchNormFromRunning(
      code,
      c,
      runningMean.pointer,
      runningVar.pointer,
      eps,
      mean.pointer,
      invstd.pointer,
    ),
  );
  return [mean, invstd];
}

/** The numbers of a norm of x as convolutions take them; with sums those of its backward too. See `ek_batch_norm_coefficients`. */
export function normCoefficients(
  x: Tensor,
  mean: Tensor | null,
  invstd: Tensor | null,
  affine: Affine,
  count = 0,
  sums: BackwardSums | null = null,
): Tensor {
  const c = x.shape[1];
  const { backend } = x;
  const out = allocate([7, c], x.dtype, 'contiguous', backend);
  backend.check(
    'batchNorm',
    backend.kernels.batchNormCoefficients(
      out.code,
      c,
      count,
      pointerOf(mean),
      pointerOf(invstd),
      pointerOf(affine.weight),
      pointerOf(affine.bias),
      affine.relu,
      pointerOf(sums?.dy),
      pointerOf(sums?.dyXmu),
      out.pointer,
    ),
  );
  return out;
}

/** What a backward needs to know of all values of a channel, with g = dy, 0 where a ReLU was closed: float64 (C). */
export interface BackwardSums {
  /** Σg */
  readonly dy: Tensor;
  /** Σg·(x − mean) */
  readonly dyXmu: Tensor;
}
export const perChannelSums = (x: Tensor): BackwardSums => ({
  dy: perChannel(x.shape[1], x),
  dyXmu: perChannel(x.shape[1], x),
});

/** What the kernels of a backward take, in their order; dy in x's memory format. */
function backwardArgs(x: Tensor, dy: Tensor) {
  const [dtype, xPointer, ...view] = tensorArgs(x);
  return [dtype, xPointer, dy.pointer, ...view] as const;
}

/** The sums of one part of a batch. */
export function launchBackwardReduce(
  x: Tensor,
  dy: Tensor,
  affine: Affine,
  mean: Tensor,
  invstd: Tensor,
): BackwardSums {
  const sums = perChannelSums(x);
  launch('batchNormBackward', x, (scratch) =>
    x.backend.kernels.batchNormBackwardReduce(
      ...backwardArgs(x, dy),
      ...givenArgs(mean, invstd, affine),
      sums.dy.pointer,
      sums.dyXmu.pointer,
      scratch,
    ),
  );
  return sums;
}

/**
 * With r = invstd: dx = weight·r·(g − Σg/count − (x − mean)·r²·Σg·(x − mean)/count), or, without sums, where the statistics were constants,
 * weight·r·g. `plus`, with sums: added to it, the channels of a gradient `whole` from `start` on; channels are neighbours in memory, in both.
 */
export function launchBackwardApply(
  x: Tensor,
  dy: Tensor,
  affine: Affine,
  mean: Tensor,
  invstd: Tensor,
  count: number,
  sums: BackwardSums | null,
  dx: Tensor = allocate(x.shape, x.dtype, x.memoryFormat, x.backend),
  plus: { readonly whole: Tensor; readonly start: number } | null = null,
): Tensor {
  if (plus) {
    const { backend, dtype, shape } = x;
    const coefficients = normCoefficients(x, mean, invstd, affine, count, sums);
    backend.check(
      'batchNormBackward',
      backend.kernels.batchNormBackwardJoined(
        x.code,
        x.pointer,
        dy.pointer,
        x.size / shape[1],
        shape[1],
        coefficients.pointer,
        Number(affine.relu > 0),
        plus.whole.pointer + plus.start * dtypes[dtype].size,
        plus.whole.shape[1],
        dx.pointer,
      ),
    );
    return dx;
  }
  launch('batchNormBackward', x, (scratch) =>
    x.backend.kernels.batchNormBackwardApply(
      ...backwardArgs(x, dy),
      count,
      ...givenArgs(mean, invstd, affine),
      pointerOf(sums?.dy),
      pointerOf(sums?.dyXmu),
      dx.pointer,
      scratch,
    ),
  );
  return dx;
}

/** Sums and dx of a whole batch in one call. */
export function launchBackwardOfBatch(
  x: Tensor,
  dy: Tensor,
  affine: Affine,
  mean: Tensor,
  invstd: Tensor,
): [Tensor, BackwardSums] {
  const sums = perChannelSums(x);
  const dx = allocate(x.shape, x.dtype, x.memoryFormat, x.backend);
  launch('batchNormBackward', x, (scratch) =>
    x.backend.kernels.batchNormBackward(
      ...backwardArgs(x, dy),
      ...givenArgs(mean, invstd, affine),
      sums.dy.pointer,
      sums.dyXmu.pointer,
      dx.pointer,
      scratch,
    ),
  );
  return [dx, sums];
}

/** The gradients of weight and bias, dweight = invstd·Σg·(x − mean) and dbias = Σg, where wanted (`needs`: of x, weight, bias). */
export function parameterGradients(
  sums: BackwardSums | null,
  invstd: Tensor,
  dtype: DType,
  needs: readonly boolean[],
): (Tensor | null)[] {
  if (!sums || !(needs[1] || needs[2])) return [null, null];
  const { backend, size } = invstd;
  const gradients = [1, 2].map((i) => (needs[i] ? allocate([size], dtype, 'contiguous', backend) : null));
  const [dweight, dbias] = gradients;
  backend.check(
    'batchNormBackward',
    backend.kernels.batchNormParameterGradients(
      dtypes[dtype].code,
      size,
      invstd.pointer,
      sums.dy.pointer,
      sums.dyXmu.pointer,
      pointerOf(dweight),
      pointerOf(dbias),
    ),
  );
  return gradients;
}
