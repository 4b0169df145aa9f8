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
import { fromTypedArrayOn } from '../../tensor/create.ts';
import { requireFloat, requireTensor } from '../../tensor/requirements.ts';
import { formatShape } from '../../tensor/shape.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { cast, clone } from '../convert.ts';
import { add, div, mul, rsqrt, square, sub } from '../elementwise.ts';
import { sum } from '../reduce.ts';
import { cat, narrow, reshape } from '../shape_ops.ts';
import {
  acrossChannels,
  type BatchNormOptions,
  batchNormOptions,
  recordedGradients,
  settleStatistics,
  statisticAxes,
} from './batch_norm.ts';
import { combineRows, packedStatistics } from './batch_norm_given.ts';
import {
  requireAlike,
  requireConstantStatistics,
  requireElements,
  requireEps,
  requireMomentum,
  requireNormNumber,
} from './norm_checks.ts';
import type { ProcessGroup } from './process_group.ts';

const zeroPerChannel = (x: Tensor): Tensor => fromTypedArrayOn(x.backend, new Float64Array(x.shape[1]), [x.shape[1]]);

/** The ranks of one forward and its backward, and what these tell each other without the device. */
interface Exchange {
  readonly group: ProcessGroup;
  /** The layer, as errors of the collectives name it. */
  readonly layer: string | undefined;
  /** Elements per channel on all ranks; the forward finds them. */
  count: number;
}
const labelOf = ({ layer }: Exchange, direction: 'forward' | 'backward') => layer && `${layer}, ${direction}`;

/** The statistics of all ranks' channels together, merged in rank order; the same on every rank. */
function gatherStatistics(x: Tensor, exchange: Exchange): BatchStatistics {
  const { group } = exchange;
  const c = x.shape[1];
  // A rank without elements takes part all the same, or the others would wait for it.
  const local =
    x.size > 0
      ? (statisticsLeft(x) ?? batchNormStats(x))
      : { count: 0, mean: zeroPerChannel(x), m2: zeroPerChannel(x) };
  const width = 1 + 2 * c;
  const all = group.allGather(reshape(packedStatistics([local]), [width]), labelOf(exchange, 'forward'));
  // The one thing that JavaScript waits for. On the meta device nobody knows the others' counts: they are taken to be
  // this rank's.
  const values = x.device === 'meta' ? null : all.dataSync();
  let total = 0;
  for (let rank = 0; rank < group.worldSize; rank++) total += values ? Number(values[rank * width]) : local.count;
  return combineRows(all, 1, c, total);
}

/** Both sums of all ranks, in one exchange. */
function reduceSums({ dy, dyXmu }: BackwardSums, exchange: Exchange): BackwardSums {
  const c = dy.size;
  const total = exchange.group.allReduceSum(cat([dy, dyXmu]), labelOf(exchange, 'backward'));
  return { dy: narrow(total, 0, 0, c), dyXmu: narrow(total, 0, c, c) };
}

/**
 * The sum over the ranks. Its gradient is again a sum over the ranks, since the result of each rank depends on this
 * rank's value.
 */
const allReduceSum = defineOp({
  name: 'allReduceSum',
  forward: (_ctx, x: Tensor, exchange: Exchange) =>
    cast(exchange.group.allReduceSum(cast(x, 'float64'), labelOf(exchange, 'backward')), x.dtype),
  backward: (_ctx, [g], _x, exchange) => [allReduceSum(g, exchange)],
}) as (x: Tensor, exchange: Exchange) => Tensor;

/**
 * The plain definition of the normal form over all ranks, of which every derivative exists; `mean` as in
 * batch_norm.ts's.
 */
function normalOf(x: Tensor, mean: Tensor, eps: number, exchange: Exchange): Tensor {
  const meanOf = (t: Tensor) =>
    div(allReduceSum(sum(t, statisticAxes(x.shape), { keepdim: true }), exchange), exchange.count);
  const shifted = sub(x, acrossChannels(cast(mean, x.dtype), x.shape));
  const centred = sub(shifted, meanOf(shifted));
  return mul(centred, rsqrt(add(meanOf(square(centred)), eps)));
}

/** [y, mean, m2] of this rank's part of the batch; the statistics are those of all ranks. */
const syncOp = defineOp({
  name: 'syncBatchNorm',
  forward(
    ctx,
    x: Tensor,
    weight: Tensor | null,
    bias: Tensor | null,
    eps: number,
    relu: number,
    exchange: Exchange,
  ): readonly Tensor[] {
    const { count, mean, m2 } = gatherStatistics(x, exchange);
    exchange.count = count;
    note('statistics gathered', mean);
    // All ranks know it, so all of them throw.
    if (count === 1)
      throw new ValueError(
        `Expected more than 1 value per channel when training, got input size ${formatShape(x.shape)} and no other value in ${exchange.group.worldSize} processes`,
      );
    // Without any value there is nothing to divide by, and gradients of zeros must not become NaN.
    const invstd = batchNormInvstd({ count: Math.max(count, 1), mean, m2 }, eps);
    // The bias takes part in the backward of a ReLU only; elsewhere it may change in between.
    ctx.save(x, weight, relu ? bias : null, mean, invstd);
    ctx.markConstant(mean, m2);
    return [x.size > 0 ? normalized(x, mean, invstd, { weight, bias, relu }) : clone(x), mean, m2];
  },
  backward(ctx, [g], _x, _weight, _bias, eps, relu, exchange) {
    const [x, weight, bias, mean, invstd] = ctx.saved;
    const { count } = exchange;
    const given: Affine = { weight, bias, relu };
    if (isGradEnabled())
      return recordedGradients(x, given, ctx.needs, g, (input) => normalOf(input, mean, eps, exchange));
    const { affine, sums, ...arrived } = arrivedGradient(g, mean, given);
    const dy = inFormat(arrived.dy, x.memoryFormat);
    const local =
      x.size > 0
        ? (sums ?? launchBackwardReduce(x, dy, affine, mean, invstd))
        : { dy: zeroPerChannel(x), dyXmu: zeroPerChannel(x) };
    let dx: Tensor | null = null;
    if (ctx.needs[0]) {
      const total = reduceSums(local, exchange);
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
  requireOptions('syncBatchNorm', options, batchNormOptions);
  return syncBatchNormWith(x, runningMean, runningVar, group, options);
}

/** For layers, which errors of the collectives name by `layer`. */
export function syncBatchNormWith(
  x: Tensor,
  runningMean: Tensor | null,
  runningVar: Tensor | null,
  group: ProcessGroup,
  options: BatchNormOptions,
  layer?: string,
): Tensor {
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
  const exchange: Exchange = { group, layer, count: 0 };
  const [y, mean, m2] = syncOp(x, weight, bias, eps, relu ? Infinity : 0, exchange);
  const batch: BatchStatistics = { count: exchange.count, mean, m2 };
  // Without values on any rank the running statistics stay.
  if (batch.count === 0) return y;
  settleStatistics(batch, runningMean, runningVar, options);
  return y;
}
