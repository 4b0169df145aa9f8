// What convolutions, and large linear layers, do for the norms around them, in the prologues and epilogues of their kernels.
//   conv → norm                statistics of the output are left (statistics_left.ts)
//   norm (→ ReLU) → conv       the input is normalized while it is read (norm_input.ts); backward by data masks the gradient and leaves the sums of the
//                              norm's backward (sums_left.ts); the gradient of the weights normalizes what it reads, or takes values made for it
//   conv → norm, backward      the gradient of the norm's input is formed where the gradient of the weights reads it (norm_gradient.ts)
//   gradients that meet at a convolution's input: the others, having arrived, are added where this one is written; 3 passes, of which 1 is left
//   conv (→ norm → add → ReLU), nothing recorded: the last result alone is written (deferred_conv.ts)
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

/** A convolution's output: deferred where it is not recorded; else with its statistics, since in training a batch norm is likely to follow. */
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
    // A norm of a tensor that is there is carried out while the kernel reads it; whatever holds a convolution is carried out before.
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
 * The gradient of an input x, with what can be done to it before it is written: what other paths have brought to x is added; and where x is the output of
 * a norm, the work of that norm's backward which needs this gradient alone, unless somebody else wants to see the gradient as it is.
 */
function mergedInputGradient(dy: Tensor, weight: Tensor, x: Tensor, conv: ConvShape, to: Edge): Tensor {
  const dx = allocate(x.shape, dy.dtype, dy.memoryFormat, dy.backend);
  const isOn = isFusionEnabled();
  const plus = isOn ? takeArrived(to, dx) : null;
  // In the other format the raw input lies across the lanes.
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
 * Whether the gradient of the weights takes an input that is a pending norm as it is. It packs its input once for some output channels: once for 64
 * in tiles of 2x2 outputs, where normalizing meanwhile costs little; other kernels of convolution would rather read it where it lies.
 */
const takesPendingNorm = (weight: Shape, { stride, dilation, groups }: ConvShape): boolean =>
  weight.length === 4 &&
  weight[2] === 3 &&
  weight[3] === 3 &&
  weight[0] <= manyOutputs &&
  groups === 1 &&
  [...stride, ...dilation].every((step) => step === 1);

/** The gradients of the weights, of a shape, and, when asked for, of the bias. */
function weightGradients(x: Tensor, dy: Tensor, shape: Shape, conv: ConvShape, withBias: boolean): readonly Tensor[] {
  if (dy.shape[1] < fewChannels) dy.materialize();
  const grad = inFormat(dy, x.memoryFormat);
  return withInput(x, null, (input) => launchConvBackwardWeight(input, readGradient(grad), shape, conv, withBias));
}

/** The gradients of a convolution's input, weights and bias; null where only the bias is wanted beside the input. */
export function mergedConvBackward(ctx: Context, g: Tensor, weightShape: Shape, conv: ConvShape): Gradients | null {
  const [needsX, needsWeight, needsBias] = ctx.needs;
  if (needsBias && !needsWeight) return null;
  const [x, weight] = ctx.saved;
  // Read by both kernels, each of which packs it several times, it is better formed once; by one alone, while that reads it.
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
