// The kernels of convolution as functions of tensors. Their prologues and epilogues can compute the norms around a
// convolution (see fusion/). Nothing here is recorded; the operations are in ops/conv.ts. A linear layer is a
// convolution without spatial dimensions: each row of (N, C) is one pixel.
import { Format } from '../device/generated/abi.ts';
import { rowMajor } from '../tensor/copy.ts';
import { type Shape, sizeOf } from '../tensor/shape.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';
import { push3, windowSteps } from './window.ts';
import { noteMultiplyAdds } from './work.ts';

/** A convolution without its tensors: a number for each spatial dimension. */
export interface ConvShape {
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
  /**
   * The size of the output, where it is smaller than the window could give: that of a transposed convolution's input
   * with output padding.
   */
  readonly outputSize?: readonly number[];
}

/** Whether the channels of a pixel are neighbours in memory. */
export const hasChannelsLast = (x: Tensor): boolean => x.memoryFormat === 'channelsLast' || x.rank === 2;

/** The geometry that kernels take, 24 integers. x and y are input and output of the forward convolution. */
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

/** Reports the multiplications of a convolution: each element of the output meets all weights of its channel. */
export const noteConvolution = (output: Shape, weight: Tensor): void =>
  noteMultiplyAdds((sizeOf(output) * weight.size) / (weight.shape[0] || 1));

/** The input of a kernel: x as it is, or x that the kernel normalizes while it reads. */
export interface ReadInput {
  readonly x: Tensor;
  /** The coefficients of the norm (`ek_batch_norm_coefficients`); null: x is read as it is. */
  readonly xNorm: Tensor | null;
  /** Whether a ReLU follows that norm. */
  readonly xRelu: boolean;
}
export const asItIs = (x: Tensor): ReadInput => ({ x, xNorm: null, xRelu: false });

/**
 * The gradient that a kernel reads: dy as it is; or that of a norm's input, which the kernel computes from dy, that of
 * the norm's output.
 */
export interface ReadGradient {
  readonly dy: Tensor;
  /** The norm's input; null: there is no norm. */
  readonly dyX: Tensor | null;
  readonly dyNorm: Tensor | null;
  readonly dyRelu: boolean;
}
export const gradientAsItIs = (dy: Tensor): ReadGradient => ({ dy, dyX: null, dyNorm: null, dyRelu: false });

/** What the forward's epilogue does with the output. */
export interface OutputSeams {
  /** Takes the mean of each output channel: float64 (O). */
  readonly yMean?: Tensor | null;
  readonly yM2?: Tensor | null;
  /** The coefficients of a norm of the output. */
  readonly yNorm?: Tensor | null;
  /** Added to the output. */
  readonly residual?: Tensor | null;
  /** The upper limit of a ReLU; 0: there is none. */
  readonly yRelu?: number;
}

/** Writes the convolution's output y. */
export function launchConv(
  input: ReadInput,
  weight: Tensor,
  bias: Tensor | null,
  conv: ConvShape,
  y: Tensor,
  seams: OutputSeams = {},
): Tensor {
  const { x, xNorm, xRelu } = input;
  const w = rowMajor(weight);
  const { yMean, yM2, yNorm, residual, yRelu = 0 } = seams;
  x.backend.launch.conv('convolution', {
    geometry: geometry(x, w.shape, y, conv),
    x,
    xNorm,
    xRelu,
    w,
    bias,
    y,
    yMean,
    yM2,
    yNorm,
    residual,
    yRelu,
  });
  return y;
}

/** What the epilogue of backward by data does with dx. */
export interface InputSeams {
  /** Added to dx. */
  readonly plus?: Tensor | null;
  /**
   * Input and coefficients of a norm, where dx is the gradient of its output: dx becomes 0 where the ReLU was closed,
   * and is summed up.
   */
  readonly x?: Tensor | null;
  readonly xNorm?: Tensor | null;
  readonly xRelu?: boolean;
  /** The output of that ReLU, where it cannot be computed from the norm's input: something was added in between. */
  readonly xLimited?: Tensor | null;
  readonly sumDx?: Tensor | null;
  readonly sumDxXmu?: Tensor | null;
}

/** Writes the gradient dx of a convolution's input. */
export function launchConvBackwardData(
  gradient: ReadGradient,
  weight: Tensor,
  dx: Tensor,
  conv: ConvShape,
  seams: InputSeams = {},
): Tensor {
  const { dy, dyX, dyNorm, dyRelu } = gradient;
  noteConvolution(dy.shape, weight);
  const w = rowMajor(weight);
  const { plus, x, xNorm, xRelu = false, xLimited, sumDx, sumDxXmu } = seams;
  dy.backend.launch.convBackwardData('convolutionBackwardData', {
    geometry: geometry(dx, w.shape, dy, conv),
    dy,
    dyX,
    dyNorm,
    dyRelu,
    w,
    dx,
    x,
    xNorm,
    xRelu,
    xLimited,
    plus,
    sumDx,
    sumDxXmu,
  });
  return dx;
}

/**
 * The gradient of the weights, which have this shape, and with `withBias` that of the bias. dy has the input's memory
 * format.
 */
export function launchConvBackwardWeight(
  input: ReadInput,
  gradient: ReadGradient,
  shape: Shape,
  conv: ConvShape,
  withBias: boolean,
): readonly Tensor[] {
  const { x, xNorm, xRelu } = input;
  const { dy, dyX, dyNorm, dyRelu } = gradient;
  const dw = allocate(shape, x.dtype, 'contiguous', x.backend);
  const dbias = withBias ? allocate([shape[0]], x.dtype, 'contiguous', x.backend) : null;
  x.backend.launch.convBackwardWeight('convolutionBackwardWeight', {
    geometry: geometry(x, shape, dy, conv),
    x,
    xNorm,
    xRelu,
    dy,
    dyX,
    dyNorm,
    dyRelu,
    dw,
    dbias,
  });
  return dbias ? [dw, dbias] : [dw];
}
