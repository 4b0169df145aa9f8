// The rule of a convolution, and of a large linear layer. Its kernels also do work of the norms around it: the prologue
// while it reads, the epilogue while it writes.
//   conv → norm             the epilogue leaves the statistics of the output (statistics_left.ts)
//   norm (→ ReLU) → conv    forward: the prologue normalizes the input (norm_input.ts); backward by data: the epilogue
//                           masks the gradient and leaves the sums for the norm's backward (sums_left.ts); gradient of
//                           the weights: the prologue normalizes, or a pass of its own does before
//   conv → norm, backward   the gradient of the weights computes the gradient of the norm's input while it reads
//                           (norm_gradient.ts)
//   several gradients meet at the input: the epilogue adds those that have arrived; saves 2 of 3 passes
//   conv (→ norm → add → ReLU), nothing recorded: only the last result is written (deferred_conv.ts)
import { isGradientObserved, takeArrived } from '../autograd/backward.ts';
import type { Context, Gradients } from '../autograd/define_op.ts';
import type { Edge } from '../autograd/node.ts';
import { type BatchStatistics, perChannelSums } from '../launch/batch_norm.ts';
import {
  type ConvShape,
  forwardShape,
  hasChannelsLast,
  launchConv,
  launchConvBackwardData,
  launchConvBackwardWeight,
  noteConvolution,
} from '../launch/conv.ts';
import { inFormat } from '../tensor/copy.ts';
import type { Shape } from '../tensor/shape.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';
import { deferConv, pendingConv } from './deferred_conv.ts';
import { pendingNorm, writtenNorm } from './deferred_norm.ts';
import type { Rule } from './fused.ts';
import { note } from './log.ts';
import { numbersOf, readGradient, withInput, withMaterialized } from './norm_input.ts';
import { leaveStatistics } from './statistics_left.ts';
import { leaveSums } from './sums_left.ts';
import { isFusionEnabled } from './switch.ts';
import { fewChannels, manyOutputs } from './thresholds.ts';

function statisticsFor(y: Tensor): BatchStatistics {
  const vector = () => allocate([y.shape[1]], 'float64', 'contiguous', y.backend);
  return { count: y.size / y.shape[1], mean: vector(), m2: vector() };
}

/**
 * The output of a convolution. It is deferred where nothing is recorded; otherwise its statistics are left with it,
 * because in training a batch norm usually follows.
 */
export function mergedConv(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  conv: ConvShape,
  isRecorded: boolean,
): Tensor {
  const shape = forwardShape(x.shape, weight.shape, conv);
  noteConvolution(shape, weight);
  if (!isRecorded) {
    // The kernel can normalize its input while reading, if the norm's input has values. Everything else is computed
    // first.
    const norm = pendingNorm(x);
    if (!norm || pendingConv(norm.x)) x.materialize();
    return deferConv(shape, x, weight, bias, (input, w, b, y, seams) =>
      withInput(input, weight, (read) => launchConv(read, w, b, conv, y, seams)),
    );
  }
  const y = allocate(shape, x.dtype, x.memoryFormat, x.backend);
  const left = y.size > 0 ? statisticsFor(y) : null;
  withInput(x, weight, (input) => launchConv(input, weight, bias, conv, y, { yMean: left?.mean, yM2: left?.m2 }));
  if (left) leaveStatistics(y, left);
  return y;
}

/**
 * The gradient of the input x. Before it is written, the epilogue adds the gradients that other paths have brought to
 * x. If x is the output of a norm, it also does the part of that norm's backward that needs nothing but this gradient;
 * not where somebody wants to see the gradient as it is.
 */
function mergedInputGradient(dy: Tensor, weight: Tensor, x: Tensor, conv: ConvShape, to: Edge): Tensor {
  const dx = allocate(x.shape, dy.dtype, dy.memoryFormat, dy.backend);
  const isOn = isFusionEnabled();
  const plus = isOn ? takeArrived(to, dx) : null;
  // Only channels last: there the norm's input lies in memory as the epilogue's vectors do.
  const isServed = isOn && hasChannelsLast(x) && hasChannelsLast(dy) && !isGradientObserved(to);
  const pending = pendingNorm(x);
  const norm = !isServed || pending?.isForeign || pending?.residual ? null : (pending ?? writtenNorm(x));
  const gradient = readGradient(dy);
  if (!norm) return launchConvBackwardData(gradient, weight, dx, conv, { plus });
  const sums = perChannelSums(dx);
  launchConvBackwardData(gradient, weight, dx, conv, {
    plus,
    x: norm.x,
    xNorm: numbersOf(norm),
    xRelu: norm.affine.relu > 0,
    xLimited: pending ? null : x,
    sumDx: sums.dy,
    sumDxXmu: sums.dyXmu,
  });
  note('sums in epilogue', norm.key, weight);
  leaveSums(dx, x, norm.key, sums);
  return dx;
}

/**
 * Whether the gradient of the weights normalizes a deferred input itself. The kernel for 3x3 packs its input once for
 * each 64 output channels, and normalizing then costs little. Other kernels pack more often, or do not pack at all: for
 * them the values are written before.
 */
const takesPendingNorm = (weight: Shape, { stride, dilation, groups }: ConvShape): boolean =>
  weight.length === 4 &&
  weight[2] === 3 &&
  weight[3] === 3 &&
  weight[0] <= manyOutputs &&
  groups === 1 &&
  [...stride, ...dilation].every((step) => step === 1);

/** The gradient of the weights, which have this shape, and with `withBias` that of the bias. */
function weightGradients(x: Tensor, dy: Tensor, shape: Shape, conv: ConvShape, withBias: boolean): readonly Tensor[] {
  if (dy.shape[1] < fewChannels) dy.materialize();
  const grad = inFormat(dy, x.memoryFormat);
  return withInput(x, null, (input) => launchConvBackwardWeight(input, readGradient(grad), shape, conv, withBias));
}

/**
 * The gradients of input, weights and bias. Null where the bias needs one and the weights do not: the definition does
 * that.
 */
export function mergedConvBackward(ctx: Context, g: Tensor, weightShape: Shape, conv: ConvShape): Gradients | null {
  const [needsX, needsWeight, needsBias] = ctx.needs;
  if (needsBias && !needsWeight) return null;
  const [x, weight] = ctx.saved;
  // Both kernels pack this gradient several times, so one pass that writes it is cheaper. One kernel alone computes it
  // itself.
  if (needsX && needsWeight) g.materialize();
  const dx = needsX ? mergedInputGradient(g, weight, x, conv, ctx.edges[0]) : null;
  if (!needsWeight) return [dx, null, null];
  const ofWeight = (input: Tensor) => weightGradients(input, g, weightShape, conv, needsBias);
  const [dweight, dbias = null] = takesPendingNorm(weightShape, conv) ? ofWeight(x) : withMaterialized(x, ofWeight);
  return [dx, dweight, dbias];
}

/** The rule of a convolution. */
export const convolutionRule: Rule<[x: Tensor, weight: Tensor, bias: Tensor | null, conv: ConvShape], Tensor> = {
  forward(ctx, x, weight, bias, conv) {
    ctx.save(x, weight);
    return mergedConv(x, weight, bias, conv, ctx.needs.length > 0);
  },
  backward: (ctx, [g], _x, { shape }, _bias, conv) => mergedConvBackward(ctx, g, shape, conv),
};
