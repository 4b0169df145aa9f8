// Batch normalization by the statistics of all ranks: batch norm with one exchange between its steps stats and apply,
// and one between backward_reduce and backward_apply. Not here: who the ranks are (process_group.ts), and when
// statistics are exchanged (nn/norm/sync_batch_norm.ts).
import { defineOp } from '../../autograd/define_op.ts';
import { isGradEnabled } from '../../autograd/grad_mode.ts';
import { ValueError } from '../../errors.ts';
import { normalized } from '../../fusion/batch_norm.ts';
import { note } from '../../fusion/log.ts';
import { arrivedGradient, deferGradient } from '../../fusion/norm_gradient.ts';
import { statisticsLeft } from '../../fusion/statistics_left.ts';
import {
  type Affine,
  type BackwardSums,
  type BatchStatistics,
  batchNormInvstd,
  batchNormStats,
  launchBackwardReduce,
  parameterGradients,
} from '../../launch/batch_norm.ts';
import { requireOptions } from '../../options.ts';
import { inFormat } from '../../tensor/copy.ts';
import { fill } from '../../tensor/create.ts';
import { requireFloat, requireTensor } from '../../tensor/requirements.ts';
import { formatShape, type Shape } from '../../tensor/shape.ts';
import { allocate, type Tensor } from '../../tensor/tensor.ts';
import { cast, clone } from '../convert.ts';
import { add, div, mul, rsqrt, square, sub } from '../elementwise.ts';
import { sum } from '../reduce.ts';
import { cat, narrow, select, split } from '../shape_ops.ts';
import {
  acrossChannels,
  type BatchNormOptions,
  batchNormOptions,
  recordedGradients,
  settleStatistics,
  statisticAxes,
} from './batch_norm.ts';
import { batchNormCombine } from './batch_norm_given.ts';
import {
  requireAlike,
  requireConstantStatistics,
  requireElements,
  requireEps,
  requireMomentum,
  requireNormNumber,
} from './norm_checks.ts';
import type { ProcessGroup } from './process_group.ts';

/** A float64 constant on x's engine. */
function constant(x: Tensor, shape: Shape, value: number): Tensor {
  const out = allocate(shape, 'float64', 'contiguous', x.backend);
  fill(out, value);
  return out;
}
const zeroPerChannel = (x: Tensor): Tensor => constant(x, [x.shape[1]], 0);

/** The statistics of all ranks' channels together, merged in rank order; the same on every rank. */
function gatherStatistics(x: Tensor, group: ProcessGroup): BatchStatistics {
  const c = x.shape[1];
  // A rank without elements takes part all the same, or the others would wait for it.
  const local =
    x.size > 0
      ? (statisticsLeft(x) ?? batchNormStats(x))
      : { count: 0, mean: zeroPerChannel(x), m2: zeroPerChannel(x) };
  const all = group.allGather(cat([constant(x, [1], local.count), local.mean, local.m2]));
  // On the meta device nobody knows the others' counts: they are taken to be this rank's.
  const counts =
    x.device === 'meta'
      ? Array<number>(group.worldSize).fill(local.count)
      : (narrow(all, 1, 0, 1).dataSync() as Float64Array);
  return batchNormCombine(
    Array.from(counts, (count, rank) => {
      const [, mean, m2] = split(select(all, 0, rank), [1, c, c]);
      return { count, mean, m2 };
    }),
  );
}

/** The number of elements of all ranks, from the exchanged `size`. */
const countIn = (size: Tensor, x: Tensor, group: ProcessGroup): number =>
  size.device === 'meta' ? (group.worldSize * x.size) / x.shape[1] : size.item();

/** Both sums of all ranks, in one exchange. */
function reduceSums({ dy, dyXmu }: BackwardSums, group: ProcessGroup): BackwardSums {
  const c = dy.size;
  const total = group.allReduceSum(cat([dy, dyXmu]));
  return { dy: narrow(total, 0, 0, c), dyXmu: narrow(total, 0, c, c) };
}

/**
 * The sum over the ranks. Its gradient is again a sum over the ranks, since the result of each rank depends on this
 * rank's value.
 */
const allReduceSum = defineOp({
  name: 'allReduceSum',
  forward: (_ctx, x: Tensor, group: ProcessGroup) => cast(group.allReduceSum(cast(x, 'float64')), x.dtype),
  backward: (_ctx, [g], _x, group) => [allReduceSum(g, group)],
}) as (x: Tensor, group: ProcessGroup) => Tensor;

/**
 * The plain definition of the normal form over all ranks, of which every derivative exists; `mean` as in
 * batch_norm.ts's.
 */
function normalOf(x: Tensor, mean: Tensor, eps: number, count: number, group: ProcessGroup): Tensor {
  const meanOf = (t: Tensor) => div(allReduceSum(sum(t, statisticAxes(x.shape), { keepdim: true }), group), count);
  const shifted = sub(x, acrossChannels(cast(mean, x.dtype), x.shape));
  const centred = sub(shifted, meanOf(shifted));
  return mul(centred, rsqrt(add(meanOf(square(centred)), eps)));
}

/** [y, mean, m2, count] of this rank's part of the batch; the statistics are those of all ranks. */
const syncOp = defineOp({
  name: 'syncBatchNorm',
  forward(
    ctx,
    x: Tensor,
    weight: Tensor | null,
    bias: Tensor | null,
    eps: number,
    relu: number,
    group: ProcessGroup,
  ): readonly Tensor[] {
    const { count, mean, m2 } = gatherStatistics(x, group);
    note('statistics gathered', mean);
    // All ranks know it, so all of them throw.
    if (count === 1)
      throw new ValueError(
        `Expected more than 1 value per channel when training, got input size ${formatShape(x.shape)} and no other value in ${group.worldSize} processes`,
      );
    // Without any value there is nothing to divide by, and gradients of zeros must not become NaN.
    const invstd = batchNormInvstd({ count: Math.max(count, 1), mean, m2 }, eps);
    const size = constant(x, [], count);
    // The bias takes part in the backward of a ReLU only; elsewhere it may change in between.
    ctx.save(x, weight, relu ? bias : null, mean, invstd, size);
    ctx.markConstant(mean, m2, size);
    return [x.size > 0 ? normalized(x, mean, invstd, { weight, bias, relu }) : clone(x), mean, m2, size];
  },
  backward(ctx, [g], _x, _weight, _bias, eps, relu, group) {
    const [x, weight, bias, mean, invstd, size] = ctx.saved;
    const count = countIn(size, x, group);
    const given: Affine = { weight, bias, relu };
    if (isGradEnabled())
      return recordedGradients(x, given, ctx.needs, g, (input) => normalOf(input, mean, eps, count, group));
    const { affine, sums, ...arrived } = arrivedGradient(g, mean, given);
    const dy = inFormat(arrived.dy, x.memoryFormat);
    const local =
      x.size > 0
        ? (sums ?? launchBackwardReduce(x, dy, affine, mean, invstd))
        : { dy: zeroPerChannel(x), dyXmu: zeroPerChannel(x) };
    let dx: Tensor | null = null;
    if (ctx.needs[0]) {
      const total = reduceSums(local, group);
      dx = x.size > 0 ? deferGradient({ x, dy, mean, invstd, affine, count, sums: total }, ctx.edges[0]) : clone(x);
    }
    // The parameters' gradients are this rank's share; whoever averages those of all ranks adds them up.
    return [dx, ...parameterGradients(local, invstd, x.dtype, ctx.needs)];
  },
});

/**
 * Batch normalization of x (N, C, …) in training by the statistics of all ranks' x, whose N may differ, and may be 0
 * (PyTorch: `nn.SyncBatchNorm`). Every rank must call it, and go backward through it. Running statistics move as if one
 * process had it all; the gradients of weight and bias are this rank's share.
 *
 * @throws ValueError, on all ranks, with one value per channel in all; RuntimeError on sizes or dtypes that do not fit.
 */
export function syncBatchNorm(
  x: Tensor,
  runningMean: Tensor | null,
  runningVar: Tensor | null,
  group: ProcessGroup,
  options: Omit<BatchNormOptions, 'training'> = {},
): Tensor {
  // `training` may stand among them: the layer hands its own on.
  requireOptions('syncBatchNorm', options, batchNormOptions);
  const { weight = null, bias = null, momentum = 0.1, relu = false } = options;
  if (momentum !== null) {
    requireNormNumber('syncBatchNorm', 'momentum', momentum);
    requireMomentum('syncBatchNorm', momentum);
  }
  requireNormNumber('syncBatchNorm', 'eps', options.eps ?? 1e-5);
  const eps = Number(options.eps ?? 1e-5);
  requireEps('syncBatchNorm', eps);
  requireTensor('syncBatchNorm', x);
  const c = x.shape[1];
  requireElements('syncBatchNorm', 'runningMean', runningMean, c);
  requireElements('syncBatchNorm', 'runningVar', runningVar, c);
  requireElements('syncBatchNorm', 'weight', weight, c);
  requireElements('syncBatchNorm', 'bias', bias, c);
  requireFloat('syncBatchNorm', x);
  requireAlike('syncBatchNorm', x, weight, bias, runningMean, runningVar);
  requireConstantStatistics(runningMean, runningVar);
  const [y, mean, m2, size] = syncOp(x, weight, bias, eps, relu ? Infinity : 0, group);
  const batch: BatchStatistics = { count: countIn(size, x, group), mean, m2 };
  // Without values on any rank the running statistics stay.
  if (batch.count === 0) return y;
  settleStatistics(batch, runningMean, runningVar, options);
  return y;
}
