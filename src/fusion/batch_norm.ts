// The rules of batch norm. Forward: the output is deferred, so that what follows can read the input and normalize it
// meanwhile. Backward: uses the sums that a convolution behind the norm has left, and leaves a deferred gradient.
import type { Edge } from '../autograd/node.ts';
import {
  type Affine,
  type BackwardSums,
  batchNormInvstd,
  batchNormStats,
  fromRunning,
  launchApply,
  launchBackwardApply,
  launchBackwardOfBatch,
  launchBackwardReduce,
  launchForward,
  parameterGradients,
} from '../launch/batch_norm.ts';
import { inFormat } from '../tensor/copy.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { deferNorm } from './deferred_norm.ts';
import type { Rule } from './fused.ts';
import { note } from './log.ts';
import { arrivedGradient, deferGradient } from './norm_gradient.ts';
import { leaveStatistics, statisticsLeft } from './statistics_left.ts';
import { isFusionEnabled } from './switch.ts';
import { cachedMatrix } from './thresholds.ts';

/**
 * Whether one kernel should compute statistics and output together, because x is still in a cache when it is read
 * again.
 */
const isReadAtOnce = (x: Tensor): boolean =>
  !isFusionEnabled() || (x.memoryFormat === 'contiguous' && (x.rank > 2 || x.size <= cachedMatrix));

/**
 * The norm in training. The output is deferred and only the statistics are computed, unless one kernel does both better
 * (`isReadAtOnce`). Statistics that an earlier operation has left are used, not computed again.
 */
function mergedForward(x: Tensor, eps: number, affine: Affine) {
  const left = statisticsLeft(x);
  if (!left && isReadAtOnce(x)) {
    const result = launchForward(x, eps, affine);
    note('normalized at once', result.mean);
    return result;
  }
  const batch = left ?? batchNormStats(x);
  // Not for leaves: somebody may write to their memory without raising the version.
  if (!left && x.gradFn) leaveStatistics(x, batch);
  note(left ? 'statistics left' : 'statistics read', batch.mean);
  const invstd = batchNormInvstd(batch, eps);
  return { y: deferNorm(x, batch.mean, invstd, affine), mean: batch.mean, m2: batch.m2, invstd };
}

/**
 * The gradients of x, weight and bias.
 * @param isTraining whether mean and invstd are statistics of x itself; otherwise they are constants.
 * @param to the edge of the graph that the gradient of x goes to.
 */
function mergedBackward(
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

/** The output of a norm of x by given statistics: deferred, or computed at once where fusion is off. */
export const normalized = (x: Tensor, mean: Tensor, invstd: Tensor, affine: Affine): Tensor =>
  isFusionEnabled() ? deferNorm(x, mean, invstd, affine) : launchApply(x, mean, invstd, affine);

/** The rule of a norm in training. */
export const trainingRule: Rule<
  [x: Tensor, weight: Tensor | null, bias: Tensor | null, eps: number, relu: number],
  readonly [Tensor, Tensor, Tensor]
> = {
  forward(ctx, x, weight, bias, eps, relu) {
    const { y, mean, m2, invstd } = mergedForward(x, eps, { weight, bias, relu });
    ctx.save(x, weight, relu ? bias : null, mean, invstd);
    ctx.markConstant(mean, m2);
    return [y, mean, m2];
  },
  after: ([, mean]) => note('normalized at once', mean),
  backward(ctx, [g], _x, _weight, _bias, _eps, relu) {
    if (!g) return null;
    const [x, weight, bias, mean, invstd] = ctx.saved;
    return mergedBackward(x, g, { weight, bias, relu }, mean, invstd, true, ctx.needs, ctx.edges[0]);
  },
};

/** The rule of a norm by given statistics. */
export const evaluationRule: Rule<
  [
    x: Tensor,
    weight: Tensor | null,
    bias: Tensor | null,
    runningMean: Tensor,
    runningVar: Tensor,
    eps: number,
    relu: number,
  ],
  Tensor
> = {
  forward(ctx, x, weight, bias, runningMean, runningVar, eps, relu) {
    const [mean, invstd] = fromRunning(runningMean, runningVar, eps);
    note('statistics given', mean);
    ctx.save(x, weight, relu ? bias : null, mean, invstd);
    return deferNorm(x, mean, invstd, { weight, bias, relu });
  },
  after: (y) => note('statistics given', y),
  backward(ctx, [g], _x, _weight, _bias, _mean, _var, _eps, relu) {
    const [x, weight, bias, mean, invstd] = ctx.saved;
    return [...mergedBackward(x, g, { weight, bias, relu }, mean, invstd, false, ctx.needs), null, null];
  },
};
