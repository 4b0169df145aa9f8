// The kernels of convolution as functions of tensors, with their seams: the norms around a convolution that its kernels can carry out (see fusion/).
// Nothing here is recorded; the operations are in ops/conv.ts. A linear layer is one without spatial dimensions: (N, C) is its input, a pixel each row.
import { Format } from '../device/generated/abi.ts';
import { rowMajor } from '../tensor/copy.ts';
import { type Shape, sizeOf } from '../tensor/shape.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';
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
export const hasChannelsLast = (x: Tensor): boolean => x.memoryFormat === 'channelsLast' || x.rank === 2;

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

/** Tells whoever counts: every element of a convolution's output, or of the gradient of one, meets the weights of its channel. */
export const noteConvolution = (output: Shape, weight: Tensor): void =>
  noteMultiplyAdds((sizeOf(output) * weight.size) / (weight.shape[0] || 1));

/** An input that kernels read: x as it is, or normalized meanwhile. */
export interface ReadInput {
  readonly x: Tensor;
  /** The coefficients of a norm of x, for which x stands (`ek_batch_norm_coefficients`); null: for itself. */
  readonly xNorm: Tensor | null;
  /** Whether a ReLU follows that norm. */
  readonly xRelu: boolean;
}
export const asItIs = (x: Tensor): ReadInput => ({ x, xNorm: null, xRelu: false });

/** A gradient that kernels read: dy as it is, or as the gradient of a norm's input, formed meanwhile from that of its output. */
export interface ReadGradient {
  readonly dy: Tensor;
  /** The norm's input; null: there is no norm. */
  readonly dyX: Tensor | null;
  readonly dyNorm: Tensor | null;
  readonly dyRelu: boolean;
}
export const gradientAsItIs = (dy: Tensor): ReadGradient => ({ dy, dyX: null, dyNorm: null, dyRelu: false });

/** What the forward does with its output besides. */
export interface OutputSeams {
  /** Where its statistics go: float64 (O). */
  readonly yMean?: Tensor | null;
  readonly yM2?: Tensor | null;
  /** The coefficients of a norm that is carried out on it. */
  readonly yNorm?: Tensor | null;
  /** Added to it. */
  readonly residual?: Tensor | null;
  /** What a ReLU limits it to; 0: there is none. */
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

/** What backward by data does besides. */
export interface InputSeams {
  /** Added to dx. */
  readonly plus?: Tensor | null;
  /** The input, and the coefficients, of a norm whose output's gradient dx is: dx is 0 where its ReLU was closed, and its sums are left. */
  readonly x?: Tensor | null;
  readonly xNorm?: Tensor | null;
  readonly xRelu?: boolean;
  /** The output of that ReLU, where the norm does not say what it was of. */
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

/** The gradients of the weights, of a shape, and, when asked for, of the bias. The gradient lies as the input does. */
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
