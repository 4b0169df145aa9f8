// Batch normalization over channels (axis 1): the operations in training and in evaluation, and every order of their
// derivatives. The kernels are called in launch/batch_norm.ts. Not here: when running statistics move
// (nn/norm/batch_norm.ts). Source: Ioffe & Szegedy 2015; semantics of PyTorch's F.batch_norm.

import { grad } from '../../autograd/backward.ts';
import { asOperand, defineOp } from '../../autograd/define_op.ts';
import { isGradEnabled } from '../../autograd/grad_mode.ts';
import { IndexError, RuntimeError, ValueError } from '../../errors.ts';
import { evaluationRule, trainingRule } from '../../fusion/batch_norm.ts';
import { fused } from '../../fusion/fused.ts';
import {
  type Affine,
  type BackwardSums,
  type BatchStatistics,
  batchNormUpdateRunning,
  fromRunning,
  launchApply,
  launchBackwardApply,
  launchBackwardOfBatch,
  launchBackwardReduce,
  launchForward,
  parameterGradients,
} from '../../launch/batch_norm.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { inFormat } from '../../tensor/copy.ts';
import { requireFloat, requireTensor } from '../../tensor/requirements.ts';
import { formatShape, type Shape, sizeOf } from '../../tensor/shape.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { cast } from '../convert.ts';
import { add, eq, hardtanh, mul, relu, rsqrt, sub } from '../elementwise.ts';
import { maskedFill } from '../indexing.ts';
import { mean as meanOf, sum } from '../reduce.ts';
import { reshape } from '../shape_ops.ts';
import {
  emptyResult,
  requireAlike,
  requireConstantStatistics,
  requireElements,
  requireEps,
  requireMomentum,
  requireNormNumber,
} from './norm_checks.ts';

/** All axes but the channels'. */
export const statisticAxes = (shape: Shape): number[] => shape.flatMap((_, d) => (d === 1 ? [] : [d]));
/** A per-channel vector as it broadcasts against x. */
export const acrossChannels = (v: Tensor, shape: Shape): Tensor => reshape(v, [1, -1, ...shape.slice(2).map(() => 1)]);

/** Uses a batch's statistics: gives them to `onStatistics`, or moves the running ones. */
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

/**
 * The gradients of x, weight and bias. @param isTraining whether mean and invstd are statistics of x; otherwise they
 * are constants.
 */
export function gradientsOf(
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
  if (isTraining && needs[0]) [dx, sums] = launchBackwardOfBatch(x, g, affine, mean, invstd);
  else {
    if (needs[1] || needs[2]) sums = launchBackwardReduce(x, g, affine, mean, invstd);
    if (needs[0]) dx = launchBackwardApply(x, g, affine, mean, invstd, 0, null);
  }
  return [dx, ...parameterGradients(sums, invstd, x.dtype, needs)];
}

/**
 * x̂·weight + bias, then the ReLU, as ops that have derivatives of all orders. The bias matters to derivatives only if
 * there is a ReLU.
 */
function affineOf(normal: Tensor, { weight, bias, relu: top }: Affine): Tensor {
  const scaled = weight ? mul(normal, acrossChannels(weight, normal.shape)) : normal;
  if (!top) return scaled;
  const y = bias ? add(scaled, acrossChannels(bias, normal.shape)) : scaled;
  return top === Infinity ? relu(y) : hardtanh(y, { minVal: 0, maxVal: top });
}

/**
 * The plain definition of the normal form in training, of which every derivative exists: what the kernels compute, as
 * ops on x. `mean` is what the kernels found, here a constant: taken off first, it leaves what is accurate far from 0
 * too, and exactly 0 where x is constant.
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

/** Gradients of x, weight and bias as a recorded computation: autograd differentiates the plain definition. */
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

/** Normalization by the batch's own statistics, which are returned besides: [y, mean, m2]. */
const trainingOp = defineOp(
  fused(trainingRule, {
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
      const { y, mean, m2, invstd } = launchForward(x, eps, affine);
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
      return gradientsOf(x, g, affine, mean, invstd, true, ctx.needs);
    },
  }),
);

/** Normalization by given statistics, which are constants. */
const evaluationOp = defineOp(
  fused(evaluationRule, {
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
      // mean and invstd are copies: a later forward in training mode cannot change what this one's backward uses.
      ctx.save(x, weight, relu ? bias : null, mean, invstd);
      return launchApply(x, mean, invstd, affine);
    },
    backward(ctx, [g], { dtype, shape }, _weight, _bias, _mean, _var, _eps, relu) {
      const [x, weight, bias, mean, invstd] = ctx.saved;
      const affine = { weight, bias, relu };
      const constant = (t: Tensor) => acrossChannels(cast(t, dtype), shape);
      const gradients = isGradEnabled()
        ? recordedGradients(x, affine, ctx.needs, g, (input) => mul(sub(input, constant(mean)), constant(invstd)))
        : gradientsOf(x, g, affine, mean, invstd, false, ctx.needs);
      return [...gradients, null, null];
    },
  }),
);

/** Options of `batchNorm`. */
export interface BatchNormOptions {
  /** The factor of each channel (C); null: 1. Default: null. */
  weight?: Tensor | null;
  /** What is added to each channel (C); null: 0. Default: null. */
  bias?: Tensor | null;
  /** Normalize by the batch's statistics and move the running ones. Default: false. */
  training?: boolean;
  /**
   * Weight of the new value in the running statistics; null: their plain average, counted by `numBatchesTracked`.
   * Default: 0.1.
   */
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
/** The options that other functions than `batchNorm` take too. */
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
 * In training: y = (x − mean)/√(biased variance + eps)·weight + bias with the statistics of x, and the running
 * statistics, where given, move towards them in place (the variance unbiased). In evaluation the running statistics are
 * used and stay.
 *
 * @throws ValueError with one value per channel, or an eps that is not positive, in training; RuntimeError on sizes or
 * dtypes that do not fit.
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

/**
 * `batchNormWith` for layers that may be without an eps, such as instance norm: a channel of one value then gives the
 * bias.
 */
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
