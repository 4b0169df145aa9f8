// The kernels of convolution as functions of tensors, and what is carried out with them for the norms around (see fusion/). Nothing here is
// recorded; the operations are in conv.ts. A linear layer (linear.ts) is one without spatial dimensions: (N, C) is its input, a pixel each row.
import { isGradientObserved, takeArrived } from '../autograd/backward.ts';
import type { Edge } from '../autograd/node.ts';
import { Format } from '../device/generated/abi.ts';
import { leaveStatistics } from '../fusion/conv_stats.ts';
import {
  deferConv,
  leaveSums,
  type NormParts,
  pendingGradient,
  pendingNorm,
  writtenNorm,
} from '../fusion/deferred_norm.ts';
import { note } from '../fusion/log.ts';
import { isFusionEnabled } from '../fusion/switch.ts';
import { type Shape, sizeOf } from '../tensor/shape.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';
import { type BatchStatistics, perChannelSums } from './batch_norm_kernels.ts';
import { inFormat, rowMajor } from './launch.ts';
import { numbersOf, withInput } from './norm_input.ts';
import { push3, windowSteps } from './window.ts';
import { noteMultiplyAdds } from './work.ts';

/** What a convolution is, apart from its tensors; per spatial dimension. */
export interface ConvShape {
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
  /** The output's size, where it is fewer steps than the window could take: a transposed convolution's input has any size that its output padding says. */
  readonly outputSize?: readonly number[];
}

/** Whether channels are neighbours in memory. */
const hasChannelsLast = (x: Tensor): boolean => x.memoryFormat === 'channelsLast' || x.rank === 2;

/** The 24 integers of the kernel; x and y are the input and output of the forward convolution. */
function geometry(x: Tensor, w: Shape, y: Tensor, conv: ConvShape): number[] {
  const code = (t: Tensor) => (hasChannelsLast(t) ? Format.channelsLast : Format.contiguous);
  const numbers = [x.shape[0], x.shape[1], w[0], conv.groups];
  for (const shape of [x.shape, y.shape, w]) push3(numbers, shape, 1, 2);
  push3(numbers, conv.stride, 1);
  push3(numbers, conv.padding, 0);
  push3(numbers, conv.dilation, 1);
  numbers.push(code(x), code(y));
  return numbers;
}

export function forwardShape(x: Shape, w: Shape, conv: ConvShape): number[] {
  if (conv.outputSize) return [x[0], w[0], ...conv.outputSize];
  const spatial = w
    .slice(2)
    .map(
      (kernel, i) => Math.floor(windowSteps(x[i + 2], kernel, conv.stride[i], conv.padding[i], conv.dilation[i])) + 1,
    );
  return [x[0], w[0], ...spatial];
}

/** The gradient of its output, as kernels take it: as it is, or as what the gradient of a norm's input is formed of. */
function gradientOf(dy: Tensor) {
  const parts = pendingGradient(dy);
  if (!parts) return { dy, dyX: null, dyNorm: null, dyRelu: false };
  note('gradient in prologue', parts.key);
  const { coefficients, hasRelu } = numbersOf(parts);
  return { dy: parts.dy, dyX: parts.x, dyNorm: coefficients, dyRelu: hasRelu };
}

function statisticsFor(out: Tensor): BatchStatistics | null {
  if (!isFusionEnabled()) return null;
  const vector = () => allocate([out.shape[1]], 'float64', 'contiguous', out.backend);
  return { count: out.size / out.shape[1], mean: vector(), m2: vector() };
}

/** Writes the convolution's output, and its statistics; or, with `norm`, that of the output. `owner`: the weight by which listeners know it. */
function launchForward(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  conv: ConvShape,
  out: Tensor,
  left: BatchStatistics | null,
  norm: NormParts | null,
  owner: Tensor,
): void {
  const w = rowMajor(weight);
  const numbers = geometry(x, w.shape, out, conv);
  withInput(x, owner, (input) => {
    if (norm) note('normalized in epilogue', norm.key, owner);
    x.backend.launch.conv('convolution', {
      geometry: numbers,
      x: input.x,
      xNorm: input.xNorm,
      xRelu: input.xRelu,
      w,
      bias,
      y: out,
      yMean: left?.mean,
      yM2: left?.m2,
      yNorm: norm?.mean && numbersOf(norm).coefficients,
      residual: norm?.residual,
      yRelu: norm?.affine.relu ?? 0,
    });
  });
}

/** Every element of a convolution's output, or of the gradient of one, meets the weights of its channel. */
const multiplyAdds = (output: Shape, weight: Tensor): number => (sizeOf(output) * weight.size) / (weight.shape[0] || 1);

/** A convolution's output: deferred where it is not recorded; else with its statistics, since in training a batch norm is likely to follow. */
export function convForward(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  conv: ConvShape,
  isRecorded: boolean,
): Tensor {
  const shape = forwardShape(x.shape, weight.shape, conv);
  noteMultiplyAdds(multiplyAdds(shape, weight));
  if (!isRecorded && isFusionEnabled())
    return deferConv(shape, x, weight, bias, (input, w, b, out, norm) =>
      launchForward(input, w, b, conv, out, null, norm, weight),
    );
  const out = allocate(shape, x.dtype, x.memoryFormat, x.backend);
  const left = isRecorded && out.size > 0 ? statisticsFor(out) : null;
  launchForward(x, weight, bias, conv, out, left, null, weight);
  if (left) leaveStatistics(out, left);
  return out;
}

/** What backward by data does beside: see `inputGradient`. */
interface Beside {
  /** Added to dx. */
  readonly plus: Tensor | null;
  /** Where its ReLU was closed, dx is 0; and its sums are left. */
  readonly norm: Pick<NormParts, 'x' | 'mean' | 'invstd' | 'affine'> | null;
  /** The output of that ReLU, where the norm does not say what it was of. */
  readonly limited: Tensor | null;
}

/** Writes dx. */
export function launchBackwardData(
  dy: Tensor,
  weight: Tensor,
  dx: Tensor,
  conv: ConvShape,
  beside: Beside | null = null,
) {
  noteMultiplyAdds(multiplyAdds(dy.shape, weight));
  const w = rowMajor(weight);
  const gradient = gradientOf(dy);
  const norm = beside?.norm ?? null;
  const numbers = norm && numbersOf(norm);
  const sums = norm && perChannelSums(dx);
  dy.backend.launch.convBackwardData('convolutionBackwardData', {
    geometry: geometry(dx, w.shape, dy, conv),
    dy: gradient.dy,
    dyX: gradient.dyX,
    dyNorm: gradient.dyNorm,
    dyRelu: gradient.dyRelu,
    w,
    dx,
    x: norm?.x,
    xNorm: numbers?.coefficients,
    xRelu: numbers?.hasRelu ?? false,
    xLimited: beside?.limited,
    plus: beside?.plus,
    sumDx: sums?.dy,
    sumDxXmu: sums?.dyXmu,
  });
  return sums;
}

/**
 * The gradient of an input x, unrecorded, with what can be done to it before it is written: what other paths have brought to x is added; and where x is the output of
 * a norm, the work of that norm's backward which needs this gradient alone, unless somebody else wants to see the gradient as it is.
 */
export function inputGradient(dy: Tensor, weight: Tensor, x: Tensor, conv: ConvShape, to: Edge): Tensor {
  const dx = allocate(x.shape, dy.dtype, dy.memoryFormat, dy.backend);
  const plus = isFusionEnabled() ? takeArrived(to, dx) : null;
  // In the other format the raw input lies across the lanes.
  const isServed = isFusionEnabled() && hasChannelsLast(x) && hasChannelsLast(dy) && !isGradientObserved(to);
  const pending = pendingNorm(x);
  const norm = !isServed || pending?.isForeign || pending?.residual ? null : (pending ?? writtenNorm(x));
  const sums = launchBackwardData(dy, weight, dx, conv, { plus, norm, limited: pending ? null : x });
  if (norm) {
    note('sums in epilogue', norm.key, weight);
    leaveSums(dx, x, norm, sums!);
  }
  return dx;
}

/** Channels of a gradient for fewer of which forming it while it is packed costs more than a pass. */
const fewChannels = 64;

/** Output channels of a convolution of 3x3 for more of which writing the values of a pending norm costs less than forming them. */
const manyOutputs = 256;

/**
 * Whether the gradient of the weights takes an input that is a pending norm as it is. It packs its input once for some output channels: once for 64
 * in tiles of 2x2 outputs, where normalizing meanwhile costs little; other kernels of convolution would rather read it where it lies.
 */
export const takesPendingNorm = (weight: Shape, { stride, dilation, groups }: ConvShape): boolean =>
  weight.length === 4 &&
  weight[2] === 3 &&
  weight[3] === 3 &&
  weight[0] <= manyOutputs &&
  groups === 1 &&
  [...stride, ...dilation].every((step) => step === 1);

/** The gradients of the weights, of a shape, and, when asked for, of the bias. */
export function launchBackwardWeight(
  x: Tensor,
  dy: Tensor,
  shape: Shape,
  conv: ConvShape,
  withBias: boolean,
): readonly Tensor[] {
  const dw = allocate(shape, x.dtype, 'contiguous', x.backend);
  const dbias = withBias ? allocate([shape[0]], x.dtype, 'contiguous', x.backend) : null;
  if (dy.shape[1] < fewChannels) dy.materialize();
  const grad = inFormat(dy, x.memoryFormat);
  withInput(x, null, (input) => {
    const gradient = gradientOf(grad);
    x.backend.launch.convBackwardWeight('convolutionBackwardWeight', {
      geometry: geometry(x, shape, grad, conv),
      x: input.x,
      xNorm: input.xNorm,
      xRelu: input.xRelu,
      dy: gradient.dy,
      dyX: gradient.dyX,
      dyNorm: gradient.dyNorm,
      dyRelu: gradient.dyRelu,
      dw,
      dbias,
    });
  });
  return dbias ? [dw, dbias] : [dw];
}
