// Batch normalization over channels (axis 1), as five kernels cut at the points where statistics may be merged with others:
// stats, combine, apply, backward_reduce, backward_apply. Not here: when running statistics move (nn/batch_norm.ts).
// Source: Ioffe & Szegedy 2015; semantics of PyTorch's F.batch_norm.

import { grad } from '../autograd/backward.ts';
import { defineOp } from '../autograd/define_op.ts';
import { isGradEnabled } from '../autograd/grad_mode.ts';
import { IndexError, RuntimeError, ValueError } from '../errors.ts';
import type { Pointer } from '../kernels/generated/abi.ts';
import type { DType } from '../tensor/dtype.ts';
import { formatSize, type Shape, sizeOf } from '../tensor/shape.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';
import { add, eq, maskedFill, mul, relu, rsqrt, sub } from './elementwise.ts';
import { cast, inFormat, pointerOf, requireFloat, requireTensor } from './launch.ts';
import { emptyResult, requireAlike, requireConstantStatistics, requireElements, requireNumber } from './norm_checks.ts';
import { mean as meanOf, sum } from './reduce.ts';
import { withScratch } from './scratch.ts';
import { reshape } from './shape_ops.ts';

/** (n, c, s) of a tensor with channels on axis 1. */
const channelView = (shape: Shape): [n: number, c: number, s: number] => [shape[0], shape[1], sizeOf(shape.slice(2))];
const perChannel = (c: number, x: Tensor): Tensor => allocate([c], 'float64', 'contiguous', x.device);
/** All axes but the channels'. */
export const statisticAxes = (shape: Shape): number[] => shape.flatMap((_, d) => (d === 1 ? [] : [d]));
/** A per-channel vector as it broadcasts against x. */
export const acrossChannels = (v: Tensor, shape: Shape): Tensor => reshape(v, [1, -1, ...shape.slice(2).map(() => 1)]);

/** What the kernels of a normalization take, in their order. */
type TensorArgs = [dtype: number, x: Pointer, n: number, c: number, s: number, format: number];
const tensorArgs = (x: Tensor): TensorArgs => [x.code, x.pointer, ...channelView(x.shape), x.formatCode];

/** Calls a kernel that needs scratch for x. */
function launch(op: string, x: Tensor, kernel: (scratch: Pointer) => number): void {
  const { device } = x;
  const [n, c, s] = channelView(x.shape);
  withScratch(device, device.kernels.batchNormScratch(n, c, s, x.formatCode), (scratch) =>
    device.check(op, kernel(scratch())),
  );
}

/** Statistics of a batch, per channel, in float64; they stay in device memory. */
export interface BatchStatistics {
  /** Elements per channel. */
  readonly count: number;
  readonly mean: Tensor;
  /** Σ(x − mean)² */
  readonly m2: Tensor;
}

/** Mean and M2 of every channel of x (N, C, …). */
export function batchNormStats(x: Tensor): BatchStatistics {
  const [n, c, s] = channelView(x.shape);
  const [mean, m2] = [perChannel(c, x), perChannel(c, x)];
  launch('batchNorm', x, (scratch) =>
    x.device.kernels.batchNormStats(...tensorArgs(x), mean.pointer, m2.pointer, scratch),
  );
  return { count: n * s, mean, m2 };
}

/** 1/√(m2/count + eps), or 0 where both are 0. */
export function batchNormInvstd({ count, m2 }: BatchStatistics, eps: number): Tensor {
  const invstd = perChannel(m2.size, m2);
  m2.device.check('batchNorm', m2.device.kernels.batchNormInvstd(m2.size, count, m2.pointer, eps, invstd.pointer));
  return invstd;
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
  const { device } = batch.mean;
  const like = running.mean ?? running.variance;
  if (!like) return;
  device.check(
    'batchNorm',
    device.kernels.batchNormUpdateRunning(
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

/** What becomes of a batch's statistics: `onStatistics` takes them, or they move the running ones. */
export function settleStatistics(
  batch: BatchStatistics,
  runningMean: Tensor | null,
  runningVar: Tensor | null,
  { momentum = 0.1, numBatchesTracked, onStatistics }: BatchNormOptions,
): void {
  if (onStatistics) onStatistics(batch);
  else
    batchNormUpdateRunning(
      batch,
      { mean: runningMean, variance: runningVar, tracked: numBatchesTracked },
      momentum === null ? null : Number(momentum),
    );
}

/** The affine part of a normalization, and whether a ReLU follows in the same pass. */
export interface Affine {
  readonly weight: Tensor | null;
  readonly bias: Tensor | null;
  readonly relu: boolean;
}
const affineArgs = ({ weight, bias, relu }: Affine): [Pointer, Pointer, number] => [
  pointerOf(weight),
  pointerOf(bias),
  Number(relu),
];
/** What a tensor is normalized by: statistics, then the affine part. */
const givenArgs = (mean: Tensor, invstd: Tensor, affine: Affine) =>
  [mean.pointer, invstd.pointer, ...affineArgs(affine)] as const;

/** y = (x − mean)·(invstd·weight) + bias, and the ReLU, by the kernel, unrecorded. */
export function launchApply(x: Tensor, mean: Tensor, invstd: Tensor, affine: Affine): Tensor {
  const y = allocate(x.shape, x.dtype, x.memoryFormat, x.device);
  launch('batchNorm', x, (scratch) =>
    x.device.kernels.batchNormApply(...tensorArgs(x), ...givenArgs(mean, invstd, affine), y.pointer, scratch),
  );
  return y;
}

/** What a backward needs to know of all values of a channel, with g = dy, 0 where a ReLU was closed: float64 (C). */
export interface BackwardSums {
  /** Σg */
  readonly dy: Tensor;
  /** Σg·(x − mean) */
  readonly dyXmu: Tensor;
}
const perChannelSums = (x: Tensor): BackwardSums => ({
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
    x.device.kernels.batchNormBackwardReduce(
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
 * weight·r·g.
 */
export function launchBackwardApply(
  x: Tensor,
  dy: Tensor,
  affine: Affine,
  mean: Tensor,
  invstd: Tensor,
  count: number,
  sums: BackwardSums | null,
): Tensor {
  const dx = allocate(x.shape, x.dtype, x.memoryFormat, x.device);
  launch('batchNormBackward', x, (scratch) =>
    x.device.kernels.batchNormBackwardApply(
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
function backwardOfBatch(x: Tensor, dy: Tensor, affine: Affine, mean: Tensor, invstd: Tensor): [Tensor, BackwardSums] {
  const sums = perChannelSums(x);
  const dx = allocate(x.shape, x.dtype, x.memoryFormat, x.device);
  launch('batchNormBackward', x, (scratch) =>
    x.device.kernels.batchNormBackward(
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

/** dweight = invstd·Σg·(x − mean) and dbias = Σg, where wanted, in the parameters' dtype. */
export const parameterGradients = (
  sums: BackwardSums | null,
  invstd: Tensor,
  dtype: DType,
  needs: readonly boolean[],
): (Tensor | null)[] => [
  needs[1] && sums ? cast(mul(sums.dyXmu, invstd), dtype) : null,
  needs[2] && sums ? cast(sums.dy, dtype) : null,
];

/** The gradients of x, weight and bias, given the statistics that were used; `isTraining`: these were x's own, not constants. */
export function launchBackward(
  x: Tensor,
  dy: Tensor,
  affine: Affine,
  mean: Tensor,
  invstd: Tensor,
  isTraining: boolean,
  needs: readonly boolean[],
): (Tensor | null)[] {
  const g = inFormat(dy, x.memoryFormat);
  let [dx, sums]: [Tensor | null, BackwardSums | null] = [null, null];
  if (needs[0] && isTraining) [dx, sums] = backwardOfBatch(x, g, affine, mean, invstd);
  else {
    if (needs[1] || needs[2]) sums = launchBackwardReduce(x, g, affine, mean, invstd);
    if (needs[0]) dx = launchBackwardApply(x, g, affine, mean, invstd, 0, null);
  }
  return [dx, ...parameterGradients(sums, invstd, x.dtype, needs)];
}

/** x̂·weight + bias, and the ReLU behind it, as ops that have every derivative. A bias matters to derivatives only below a ReLU. */
function affineOf(normal: Tensor, { weight, bias, relu: isRelu }: Affine): Tensor {
  const scaled = weight ? mul(normal, acrossChannels(weight, normal.shape)) : normal;
  if (!isRelu) return scaled;
  return relu(bias ? add(scaled, acrossChannels(bias, normal.shape)) : scaled);
}

/**
 * The plain definition of the normal form in training, of which every derivative exists: what the kernels compute, as ops on x. `mean` is
 * what the kernels found, here a constant: taken off first, it leaves what is accurate far from 0 too, and exactly 0 where x is constant.
 */
function normalOf(x: Tensor, mean: Tensor, eps: number): Tensor {
  const axes = statisticAxes(x.shape);
  const keep = { keepdim: true };
  const shifted = sub(x, acrossChannels(cast(mean, x.dtype), x.shape));
  const centred = sub(shifted, meanOf(shifted, axes, keep));
  const spread = add(meanOf(mul(centred, centred), axes, keep), eps);
  // As in the kernels 1/√0 counts as 0, which only eps = 0 can meet.
  return mul(centred, rsqrt(eps === 0 ? maskedFill(spread, eq(spread, 0), Number.POSITIVE_INFINITY) : spread));
}

/** Gradients of x, weight and bias as a recorded computation: the derivative of the plain definition by the engine itself. */
export function recordedGradients(
  x: Tensor,
  affine: Affine,
  needs: readonly boolean[],
  g: Tensor,
  normal: () => Tensor,
): (Tensor | null)[] {
  const inputs = [x, affine.weight, affine.relu ? affine.bias : null];
  const wanted = inputs.flatMap((input, i) => (needs[i] && input ? [input] : []));
  const found =
    wanted.length > 0 ? grad([affineOf(normal(), affine)], wanted, { gradOutputs: [g], createGraph: true }) : [];
  let next = 0;
  const gradients = inputs.map((input, i) => (needs[i] && input ? found[next++] : null));
  if (needs[2] && !affine.relu) gradients[2] = sum(g, statisticAxes(x.shape));
  return gradients;
}

/** Normalization by the batch's own statistics, which are returned besides: [y, mean, m2]. */
const trainingOp = defineOp({
  name: 'batchNorm',
  forward(
    ctx,
    x: Tensor,
    weight: Tensor | null,
    bias: Tensor | null,
    eps: number,
    relu: boolean,
  ): readonly [Tensor, Tensor, Tensor] {
    const c = x.shape[1];
    const [mean, m2, invstd] = [perChannel(c, x), perChannel(c, x), perChannel(c, x)];
    const y = allocate(x.shape, x.dtype, x.memoryFormat, x.device);
    launch('batchNorm', x, (scratch) =>
      x.device.kernels.batchNormForward(
        ...tensorArgs(x),
        eps,
        ...affineArgs({ weight, bias, relu }),
        mean.pointer,
        m2.pointer,
        invstd.pointer,
        y.pointer,
        scratch,
      ),
    );
    // The bias takes part in the backward of a ReLU only; elsewhere it may change in between.
    ctx.save(x, weight, relu ? bias : null, mean, invstd);
    ctx.markConstant(mean, m2);
    return [y, mean, m2];
  },
  backward(ctx, [g], _x, _weight, _bias, eps, relu) {
    const [x, weight, bias, mean, invstd] = ctx.saved;
    if (!g) return [null, null, null];
    const affine = { weight, bias, relu };
    if (isGradEnabled()) return recordedGradients(x, affine, ctx.needs, g, () => normalOf(x, mean, eps));
    return launchBackward(x, g, affine, mean, invstd, true, ctx.needs);
  },
});

/** Normalization by given statistics, which are constants. */
const evaluationOp = defineOp({
  name: 'batchNormEval',
  forward(
    ctx,
    x: Tensor,
    weight: Tensor | null,
    bias: Tensor | null,
    runningMean: Tensor,
    runningVar: Tensor,
    eps: number,
    relu: boolean,
  ) {
    const c = x.shape[1];
    const [mean, invstd] = [perChannel(c, x), perChannel(c, x)];
    const { device } = x;
    device.check(
      'batchNorm',
      device.kernels.batchNormFromRunning(
        runningMean.code,
        c,
        runningMean.pointer,
        runningVar.pointer,
        eps,
        mean.pointer,
        invstd.pointer,
      ),
    );
    // mean and invstd are copies: a later forward in training mode cannot change what this one's backward uses.
    ctx.save(x, weight, relu ? bias : null, mean, invstd);
    return launchApply(x, mean, invstd, { weight, bias, relu });
  },
  backward(ctx, [g], { dtype, shape }, _weight, _bias, _mean, _var, _eps, relu) {
    const [x, weight, bias, mean, invstd] = ctx.saved;
    const affine = { weight, bias, relu };
    const constant = (t: Tensor) => acrossChannels(cast(t, dtype), shape);
    const gradients = isGradEnabled()
      ? recordedGradients(x, affine, ctx.needs, g, () => mul(sub(x, constant(mean)), constant(invstd)))
      : launchBackward(x, g, affine, mean, invstd, false, ctx.needs);
    return [...gradients, null, null];
  },
});

export interface BatchNormOptions {
  /** (C); null: 1. */
  weight?: Tensor | null;
  /** (C); null: 0. */
  bias?: Tensor | null;
  /** Normalize by the batch's statistics and move the running ones. Default: false. */
  training?: boolean;
  /** Weight of the new value in the running statistics; null: their plain average, counted by `numBatchesTracked`. Default: 0.1. */
  momentum?: number | null;
  /** Default: 1e-5. */
  eps?: number;
  /** Whether a ReLU follows in the same pass over memory: y = max(…, 0). Default: false. */
  relu?: boolean;
  /** The counter behind `momentum: null`; int64, no dimensions. */
  numBatchesTracked?: Tensor | null;
  /** Takes the batch's statistics in training, in the place of the running ones, which then stay as they are. */
  onStatistics?: (batch: BatchStatistics) => void;
}

/**
 * Batch normalization of x (N, C, …) over all axes but 1 (PyTorch: `F.batch_norm`).
 *
 * In training: y = (x − mean)/√(biased variance + eps)·weight + bias with the statistics of x, and the running statistics, where given,
 * move towards them in place (the variance unbiased). In evaluation the running statistics are used and stay.
 *
 * @throws ValueError with one value per channel in training; RuntimeError on sizes or dtypes that do not fit.
 * @example
 * const y = batchNorm(x, runningMean, runningVar, { training: true });
 */
export function batchNorm(
  x: Tensor,
  runningMean: Tensor | null,
  runningVar: Tensor | null,
  options: BatchNormOptions = {},
): Tensor {
  const { weight = null, bias = null, training = false, momentum = 0.1, eps = 1e-5, relu = false } = options;
  requireTensor('batchNorm', x);
  if (momentum !== null) requireNumber('batch_norm', 'momentum', 7, momentum);
  requireNumber('batch_norm', 'eps', 8, eps);
  if (x.rank === 0) throw new IndexError('Dimension specified as 0 but tensor has no dimensions');
  if (training && x.shape[0] * sizeOf(x.shape.slice(2)) === 1)
    throw new ValueError(`Expected more than 1 value per channel when training, got input size ${formatSize(x.shape)}`);
  if (x.rank === 1 && x.size > 0)
    throw new IndexError('Dimension out of range (expected to be in range of [-1, 0], but got 1)');
  if (x.size === 0) return emptyResult(x, weight, bias);
  const c = x.shape[1];
  requireElements('batchNorm', 'running_mean', runningMean, c);
  if (!runningMean && !training) throw new RuntimeError('running_mean must be defined in evaluation mode');
  requireElements('batchNorm', 'running_var', runningVar, c);
  if (!runningVar && !training) throw new RuntimeError('running_var must be defined in evaluation mode');
  requireElements('batchNorm', 'weight', weight, c);
  requireElements('batchNorm', 'bias', bias, c);
  requireFloat('batch_norm', x);
  requireAlike('batchNorm', x, weight, bias, runningMean, runningVar);
  requireConstantStatistics(runningMean, runningVar);
  if (!training) return evaluationOp(x, weight, bias, runningMean!, runningVar!, eps, relu);
  const [y, mean, m2] = trainingOp(x, weight, bias, eps, relu);
  const batch: BatchStatistics = { count: x.shape[0] * sizeOf(x.shape.slice(2)), mean, m2 };
  settleStatistics(batch, runningMean, runningVar, options);
  return y;
}
