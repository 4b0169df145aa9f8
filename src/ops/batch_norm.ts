// Batch normalization over channels (axis 1): the operations in training and in evaluation, and every order of their derivatives. The
// kernels are called in batch_norm_kernels.ts. Not here: when running statistics move (nn/batch_norm.ts).
// Source: Ioffe & Szegedy 2015; semantics of PyTorch's F.batch_norm.

import { grad } from '../autograd/backward.ts';
import { asOperand, defineOp } from '../autograd/define_op.ts';
import { isGradEnabled } from '../autograd/grad_mode.ts';
import type { Edge } from '../autograd/node.ts';
import { IndexError, RuntimeError, ValueError } from '../errors.ts';
import { leaveStatistics, statisticsLeft } from '../fusion/conv_stats.ts';
import { arrivedGradient, deferGradient, deferNorm } from '../fusion/deferred_norm.ts';
import { note } from '../fusion/log.ts';
import { isFusionEnabled } from '../fusion/switch.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { formatShape, type Shape, sizeOf } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import {
  type Affine,
  type BackwardSums,
  type BatchStatistics,
  batchNormInvstd,
  batchNormStats,
  batchNormUpdateRunning,
  fromRunning,
  launchBackwardApply,
  launchBackwardOfBatch,
  launchBackwardReduce,
  launchForward,
  parameterGradients,
} from './batch_norm_kernels.ts';
import { add, eq, hardtanhWith, mul, relu, rsqrt, sub } from './elementwise.ts';
import { maskedFill } from './indexing.ts';
import { cast, inFormat, requireFloat, requireTensor } from './launch.ts';
import {
  emptyResult,
  requireAlike,
  requireConstantStatistics,
  requireElements,
  requireEps,
  requireMomentum,
  requireNormNumber,
} from './norm_checks.ts';
import { mean as meanOf, sum } from './reduce.ts';
import { reshape } from './shape_ops.ts';

/** All axes but the channels'. */
export const statisticAxes = (shape: Shape): number[] => shape.flatMap((_, d) => (d === 1 ? [] : [d]));
/** A per-channel vector as it broadcasts against x. */
export const acrossChannels = (v: Tensor, shape: Shape): Tensor => reshape(v, [1, -1, ...shape.slice(2).map(() => 1)]);

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

/** Values of a matrix that stays in a cache from one pass to the next: there nothing is saved by leaving passes to others. */
const cachedMatrix = 2 ** 18;

/** Whether one kernel does best what reads x, for sums and for what follows while x is in a cache. */
const isReadAtOnce = (x: Tensor): boolean =>
  !isFusionEnabled() || (x.memoryFormat === 'contiguous' && (x.rank > 2 || x.size <= cachedMatrix));

/**
 * The gradients of x, weight and bias, given the statistics that were used; `isTraining`: these were x's own, not constants. `to`: where the first
 * goes.
 */
export function launchBackward(
  x: Tensor,
  dy: Tensor,
  affine: Affine,
  mean: Tensor,
  invstd: Tensor,
  isTraining: boolean,
  needs: readonly boolean[],
  to: Edge = null,
): (Tensor | null)[] {
  const arrived = arrivedGradient(dy, mean, affine);
  const given = arrived.affine;
  const g = inFormat(arrived.dy, x.memoryFormat);
  let [dx, sums]: [Tensor | null, BackwardSums | null] = [null, arrived.sums];
  const readSums = () => {
    note('sums read', mean);
    return launchBackwardReduce(x, g, given, mean, invstd);
  };
  if (!isTraining) {
    if (needs[1] || needs[2]) sums ??= readSums();
    if (needs[0]) {
      note('gradient written', mean);
      dx = launchBackwardApply(x, g, given, mean, invstd, 0, null);
    }
  } else if (needs[0] && !sums && isReadAtOnce(x)) {
    note('gradient of batch', mean);
    [dx, sums] = launchBackwardOfBatch(x, g, given, mean, invstd);
  } else {
    sums ??= readSums();
    const count = x.size / x.shape[1];
    if (needs[0]) dx = deferGradient({ x, dy: g, mean, invstd, affine: given, count, sums }, to);
  }
  return [dx, ...parameterGradients(sums, invstd, x.dtype, needs)];
}

/** x̂·weight + bias, and the ReLU behind it, as ops that have every derivative. A bias matters to derivatives only below a ReLU. */
function affineOf(normal: Tensor, { weight, bias, relu: top }: Affine): Tensor {
  const scaled = weight ? mul(normal, acrossChannels(weight, normal.shape)) : normal;
  if (!top) return scaled;
  const y = bias ? add(scaled, acrossChannels(bias, normal.shape)) : scaled;
  return top === Infinity ? relu(y) : hardtanhWith(y, 0, top);
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
  normal: (x: Tensor) => Tensor,
): (Tensor | null)[] {
  const [input, weight, bias] = [x, affine.weight, affine.relu ? affine.bias : null].map((t) => t && asOperand(t));
  const inputs = [input, weight, bias];
  const wanted = inputs.flatMap((operand, i) => (needs[i] && operand ? [operand] : []));
  const y = () => affineOf(normal(input!), { weight, bias, relu: affine.relu });
  const found = wanted.length > 0 ? grad([y()], wanted, { gradOutputs: [g], createGraph: true }) : [];
  let next = 0;
  const gradients = inputs.map((input, i) => (needs[i] && input ? found[next++] : null));
  if (needs[2] && !affine.relu) gradients[2] = sum(g, statisticAxes(x.shape));
  return gradients;
}

/**
 * Only the statistics of the norm in training, where it is better to leave the rest to what follows: where somebody has left them, or
 * nothing is gained by reading for both at once.
 */
function deferTraining(x: Tensor, eps: number, affine: Affine) {
  const left = statisticsLeft(x);
  if (!left && isReadAtOnce(x)) return null;
  const batch = left ?? batchNormStats(x);
  // Only what an operation has made stays as it is unless its version tells: others may write to the memory of a leaf.
  if (!left && x.gradFn) leaveStatistics(x, batch);
  note(left ? 'statistics left' : 'statistics read', batch.mean);
  const invstd = batchNormInvstd(batch, eps);
  return { y: deferNorm(x, batch.mean, invstd, affine), mean: batch.mean, m2: batch.m2, invstd };
}

function normalizeAtOnce(x: Tensor, eps: number, affine: Affine) {
  const result = launchForward(x, eps, affine);
  note('normalized at once', result.mean);
  return result;
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
    relu: number,
  ): readonly [Tensor, Tensor, Tensor] {
    const affine = { weight, bias, relu };
    const { y, mean, m2, invstd } = deferTraining(x, eps, affine) ?? normalizeAtOnce(x, eps, affine);
    // The bias takes part in the backward of a ReLU only; elsewhere it may change in between.
    ctx.save(x, weight, relu ? bias : null, mean, invstd);
    ctx.markConstant(mean, m2);
    return [y, mean, m2];
  },
  backward(ctx, [g], _x, _weight, _bias, eps, relu) {
    const [x, weight, bias, mean, invstd] = ctx.saved;
    if (!g) return [null, null, null];
    const affine = { weight, bias, relu };
    if (isGradEnabled()) return recordedGradients(x, affine, ctx.needs, g, (input) => normalOf(input, mean, eps));
    return launchBackward(x, g, affine, mean, invstd, true, ctx.needs, ctx.edges[0]);
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
    relu: number,
  ) {
    const affine = { weight, bias, relu };
    const [mean, invstd] = fromRunning(runningMean, runningVar, eps);
    note('statistics given', mean);
    // mean and invstd are copies: a later forward in training mode cannot change what this one's backward uses.
    ctx.save(x, weight, relu ? bias : null, mean, invstd);
    return deferNorm(x, mean, invstd, affine);
  },
  backward(ctx, [g], { dtype, shape }, _weight, _bias, _mean, _var, _eps, relu) {
    const [x, weight, bias, mean, invstd] = ctx.saved;
    const affine = { weight, bias, relu };
    const constant = (t: Tensor) => acrossChannels(cast(t, dtype), shape);
    const gradients = isGradEnabled()
      ? recordedGradients(x, affine, ctx.needs, g, (input) => mul(sub(input, constant(mean)), constant(invstd)))
      : launchBackward(x, g, affine, mean, invstd, false, ctx.needs);
    return [...gradients, null, null];
  },
});

/** Options of `batchNorm`. */
export interface BatchNormOptions {
  /** The factor of each channel (C); null: 1. Default: null. */
  weight?: Tensor | null;
  /** What is added to each channel (C); null: 0. Default: null. */
  bias?: Tensor | null;
  /** Normalize by the batch's statistics and move the running ones. Default: false. */
  training?: boolean;
  /** Weight of the new value in the running statistics; null: their plain average, counted by `numBatchesTracked`. Default: 0.1. */
  momentum?: number | null;
  /** Added to the variance. Default: 1e-5. */
  eps?: number;
  /** Whether a ReLU follows in the same pass over memory: y = max(…, 0). Default: false. */
  relu?: boolean;
  /** The counter behind `momentum: null`; int64, no dimensions. */
  numBatchesTracked?: Tensor | null;
  /** Takes the batch's statistics in training, in the place of the running ones, which then stay as they are. */
  onStatistics?: (batch: BatchStatistics) => void;
}
/** Those that functions beside `batchNorm` take too. */
export const batchNormKinds = {
  weight: kind.tensor,
  bias: kind.tensor,
  training: kind.flag,
  momentum: kind.numeric,
  eps: kind.numeric,
  numBatchesTracked: kind.tensor,
  onStatistics: kind.function,
};
export const batchNormOptions = declareOptions<BatchNormOptions>({ ...batchNormKinds, relu: kind.flag });

/**
 * Batch normalization of x (N, C, …) over all axes but 1 (PyTorch: `F.batch_norm`).
 *
 * In training: y = (x − mean)/√(biased variance + eps)·weight + bias with the statistics of x, and the running statistics, where given,
 * move towards them in place (the variance unbiased). In evaluation the running statistics are used and stay.
 *
 * @throws ValueError with one value per channel, or an eps that is not positive, in training; RuntimeError on sizes or dtypes that do not fit.
 * @example
 * const y = batchNorm(x, runningMean, runningVar, { training: true });
 */
export function batchNorm(
  x: Tensor,
  runningMean: Tensor | null,
  runningVar: Tensor | null,
  options: BatchNormOptions = {},
): Tensor {
  requireOptions('batchNorm', options, batchNormOptions);
  return batchNormWith(x, runningMean, runningVar, options);
}
/** For layers. */
export function batchNormWith(
  x: Tensor,
  runningMean: Tensor | null,
  runningVar: Tensor | null,
  options: BatchNormOptions,
): Tensor {
  const { training = false, eps = 1e-5 } = options;
  if (training && typeof eps === 'number' && eps <= 0)
    throw new ValueError(`batchNorm eps must be positive during training, but got ${Number(eps)}`);
  return normalizeBatch(x, runningMean, runningVar, options);
}

/** `batchNormWith` for layers that may be without an eps, such as instance norm: a channel of one value then gives the bias. */
export function normalizeBatch(
  x: Tensor,
  runningMean: Tensor | null,
  runningVar: Tensor | null,
  options: BatchNormOptions,
): Tensor {
  const { weight = null, bias = null, training = false, momentum = 0.1, relu = false } = options;
  requireTensor('batchNorm', x);
  if (momentum !== null) {
    requireNormNumber('batchNorm', 'momentum', momentum);
    requireMomentum('batchNorm', momentum);
  }
  if (options.eps !== undefined) requireNormNumber('batchNorm', 'eps', options.eps);
  const eps = Number(options.eps ?? 1e-5);
  requireEps('batchNorm', eps);
  if (x.rank === 0) throw new IndexError('Dimension specified as 0 but tensor has no dimensions');
  if (training && x.shape[0] * sizeOf(x.shape.slice(2)) === 1)
    throw new ValueError(
      `Expected more than 1 value per channel when training, got input size ${formatShape(x.shape)}`,
    );
  if (x.rank === 1 && x.size > 0)
    throw new IndexError('Dimension out of range (expected to be in range of [-1, 0], but got 1)');
  if (x.size === 0) return emptyResult(x, weight, bias);
  const c = x.shape[1];
  requireElements('batchNorm', 'runningMean', runningMean, c);
  if (!runningMean && !training) throw new RuntimeError('runningMean must be defined in evaluation mode');
  requireElements('batchNorm', 'runningVar', runningVar, c);
  if (!runningVar && !training) throw new RuntimeError('runningVar must be defined in evaluation mode');
  requireElements('batchNorm', 'weight', weight, c);
  requireElements('batchNorm', 'bias', bias, c);
  requireFloat('batchNorm', x);
  requireAlike('batchNorm', x, weight, bias, runningMean, runningVar);
  requireConstantStatistics(runningMean, runningVar);
  const top = relu ? Infinity : 0;
  if (!training) return evaluationOp(x, weight, bias, runningMean!, runningVar!, eps, top);
  const [y, mean, m2] = trainingOp(x, weight, bias, eps, top);
  const batch: BatchStatistics = { count: x.shape[0] * sizeOf(x.shape.slice(2)), mean, m2 };
  settleStatistics(batch, runningMean, runningVar, options);
  return y;
}
