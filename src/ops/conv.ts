// Convolution in one to three dimensions and its two backwards. The three are each other's derivatives, so all orders
// come from three kernels; a transposed convolution is the backward by data, run forwards.
import { defineOp } from '../autograd/define_op.ts';
import { maxElements, requireInteger, requireShape, shown } from '../checks.ts';
import { RuntimeError } from '../errors.ts';
import { convolutionRule } from '../fusion/convolution.ts';
import { fused } from '../fusion/fused.ts';
import {
  asItIs,
  type ConvShape,
  forwardShape,
  gradientAsItIs,
  launchConv,
  launchConvBackwardData,
  launchConvBackwardWeight,
  noteConvolution,
} from '../launch/conv.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { inFormat } from '../tensor/copy.ts';
import { requireFloat, requireSameDevice, requireTensor } from '../tensor/requirements.ts';
import { formatShape, type Shape } from '../tensor/shape.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';
import { broadcastTo } from './broadcast.ts';
import { add } from './elementwise.ts';
import { padLast } from './pad.ts';
import { sum } from './reduce.ts';
import { reshape } from './shape_ops.ts';
import { requireSpan, type Size, sizes } from './window.ts';

/** Padding of a convolution: a size, `'valid'` for none, or `'same'` for an output as large as the input. */
export type Padding = Size | 'valid' | 'same';

/** Options of `conv1d`, `conv2d` and `conv3d`. */
export interface ConvOptions {
  /** The distance of neighbouring windows. Default: 1. */
  stride?: Size;
  /**
   * How much is added on each side of the input, or 'valid' (nothing) or 'same' (output size = input size; stride 1
   * only). Default: 0.
   */
  padding?: Padding;
  /** The distance of neighbouring values of a window. Default: 1. */
  dilation?: Size;
  /** Into how many groups the channels are divided, which do not see each other. Default: 1. */
  groups?: number;
}

export const convOptions = declareOptions<ConvOptions>({
  stride: kind.numbers,
  padding: kind.numbers,
  dilation: kind.numbers,
  groups: kind.integer,
});

/** Options of `convTranspose1d`, `convTranspose2d` and `convTranspose3d`. */
export interface ConvTransposeOptions extends Omit<ConvOptions, 'padding'> {
  /**
   * How much is taken from each side of the output: what a convolution of the same padding adds to its input. Default:
   * 0.
   */
  padding?: Size;
  /** Added to one side of the output's size. Default: 0. */
  outputPadding?: Size;
}
export const convTransposeOptions = declareOptions<ConvTransposeOptions>({
  stride: kind.numbers,
  padding: kind.numbers,
  outputPadding: kind.numbers,
  groups: kind.integer,
  dilation: kind.numbers,
});

const convOp = defineOp(
  fused(convolutionRule, {
    name: 'convolution',
    forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | null, conv: ConvShape) {
      ctx.save(x, weight);
      const shape = forwardShape(x.shape, weight.shape, conv);
      noteConvolution(shape, weight);
      const y = allocate(shape, x.dtype, x.memoryFormat, x.backend);
      return launchConv(asItIs(x), weight, bias, conv, y);
    },
    backward(ctx, [g], xInfo, wInfo, _bias, conv) {
      const [x, weight] = ctx.saved;
      const [needsX, needsWeight, needsBias] = ctx.needs;
      const dx = needsX ? convBackwardData(g, weight, xInfo.shape, conv) : null;
      const [dweight, dbias] = needsWeight ? convBackwardWeight(x, g, wInfo.shape, conv, needsBias) : [null, null];
      return [dx, dweight, needsBias ? (dbias ?? sumChannels(g)) : null];
    },
  }),
);

const sumChannels = (g: Tensor): Tensor => sum(g, [0, ...g.shape.slice(2).map((_, i) => i + 2)]);

/** The gradient of a convolution's input: dy spread by the weights. */
const convBackwardData = defineOp({
  name: 'convolutionBackwardData',
  forward(ctx, dy: Tensor, weight: Tensor, shape: Shape, conv: ConvShape) {
    const dx = allocate(shape, dy.dtype, dy.memoryFormat, dy.backend);
    launchConvBackwardData(gradientAsItIs(dy), weight, dx, conv);
    ctx.save(dy, weight);
    return dx;
  },
  backward(ctx, [g], _dy, wInfo, _shape, conv) {
    const [dy, weight] = ctx.saved;
    return [
      ctx.needs[0] ? convOp(g, weight, null, conv) : null,
      ctx.needs[1] ? convBackwardWeight(g, dy, wInfo.shape, conv, false)[0] : null,
    ];
  },
}) as (dy: Tensor, weight: Tensor, shape: Shape, conv: ConvShape) => Tensor;

/** The gradients of a convolution's weights and, when asked for, of its bias. */
const convBackwardWeight = defineOp({
  name: 'convolutionBackwardWeight',
  forward(ctx, x: Tensor, dy: Tensor, shape: Shape, conv: ConvShape, withBias: boolean): readonly Tensor[] {
    ctx.save(x, dy);
    const gradient = gradientAsItIs(inFormat(dy, x.memoryFormat));
    return launchConvBackwardWeight(asItIs(x), gradient, shape, conv, withBias);
  },
  backward(ctx, [g, gBias], xInfo, dyInfo, _shape, conv) {
    const [x, dy] = ctx.saved;
    const ddy = () => {
      const bias = gBias ? reshape(gBias, [1, -1, ...dyInfo.shape.slice(2).map(() => 1)]) : null;
      if (!g) return broadcastTo(bias!, dyInfo.shape);
      const spread = convOp(x, g, null, conv);
      return bias ? add(spread, bias) : spread;
    };
    return [ctx.needs[0] && g ? convBackwardData(dy, g, xInfo.shape, conv) : null, ctx.needs[1] ? ddy() : null];
  },
}) as (x: Tensor, dy: Tensor, shape: Shape, conv: ConvShape, withBias: boolean) => readonly Tensor[];

function checkConv(
  op: string,
  dims: number,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  groups: number,
  isTransposed: boolean,
): void {
  requireFloat(op, x);
  requireTensor(op, weight);
  requireSameDevice(op, x, weight, ...(bias ? [bias] : []));
  requireInteger(op, 'groups', groups, Number.MIN_SAFE_INTEGER, maxElements);
  if (groups <= 0) throw new RuntimeError('non-positive groups is not supported');
  if (weight.rank !== dims + 2)
    throw new RuntimeError(
      `weight should have ${dims + 2} dimensions for ${op}, but got weight of shape ${formatShape(weight.shape)}`,
    );
  if (x.rank !== dims + 2 && x.rank !== dims + 1)
    throw new RuntimeError(
      `Expected ${dims + 1}D (unbatched) or ${dims + 2}D (batched) input to ${op}, but got input of size: ${formatShape(x.shape)}`,
    );
  const channels = x.shape[x.rank - dims - 1];
  const expected = isTransposed ? weight.shape[0] : weight.shape[1] * groups;
  if (channels !== expected)
    throw new RuntimeError(
      `Given ${isTransposed ? 'transposed=1' : `groups=${groups}`}, weight of size ${formatShape(weight.shape)}, expected input${formatShape(x.shape)} to have ${expected} channels, but got ${channels} channels instead`,
    );
  if (weight.shape[0] % groups !== 0)
    throw new RuntimeError(
      `Given groups=${groups}, expected weight to be divisible by ${groups} at dimension 0, but got weight of size [${weight.shape}] instead`,
    );
  const outputs = isTransposed ? weight.shape[1] * groups : weight.shape[0];
  if (bias && (bias.rank !== 1 || bias.shape[0] !== outputs))
    throw new RuntimeError(
      `Given weight of size ${formatShape(weight.shape)}, expected bias to be 1-dimensional with ${outputs} elements, but got bias of size ${formatShape(bias.shape)} instead`,
    );
  for (const [name, t] of [
    ['weight', weight],
    ['bias', bias],
  ] as const)
    if (t && t.dtype !== x.dtype)
      throw new RuntimeError(`Input type (${x.dtype}) and ${name} type (${t.dtype}) should be the same`);
}

function requirePositive(stride: readonly number[], dilation: readonly number[]): void {
  if (stride.some((s) => s <= 0)) throw new RuntimeError('non-positive stride is not supported');
  if (dilation.some((d) => d <= 0)) throw new RuntimeError('dilation should be greater than zero');
}

/** Runs `fn` on a batch; an unbatched input gets a batch of one. */
function batched(x: Tensor, dims: number, fn: (x: Tensor) => Tensor): Tensor {
  if (x.rank === dims + 2) return fn(x);
  const y = fn(reshape(x, [1, ...x.shape]));
  return reshape(y, y.shape.slice(1));
}

/** A convolution of so many spatial dimensions, named `op`; layers, whose options are checked, call this. */
export function convolve(
  op: string,
  dims: number,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  options: ConvOptions,
): Tensor {
  const groups = options.groups ?? 1;
  checkConv(op, dims, x, weight, bias, groups, false);
  const stride = sizes(op, 'stride', options.stride ?? 1, dims);
  const dilation = sizes(op, 'dilation', options.dilation ?? 1, dims);
  requirePositive(stride, dilation);
  const kernel = weight.shape.slice(2);
  return batched(x, dims, (input) => {
    let padding: number[];
    let source = input;
    if (options.padding === 'same') {
      if (stride.some((s) => s !== 1))
        throw new RuntimeError("padding='same' is not supported for strided convolutions");
      const total = kernel.map((k, i) => dilation[i] * (k - 1));
      padding = total.map((t) => Math.floor(t / 2));
      // An odd total needs one more zero behind.
      const extra = total.map((t) => [0, t % 2] as const);
      if (extra.some(([, after]) => after > 0)) source = padLast(input, extra, 'constant');
    } else if (options.padding === 'valid') padding = kernel.map(() => 0);
    else {
      const given = options.padding ?? 0;
      if (typeof given === 'string')
        throw new RuntimeError(`[${op}] expected padding to be 'valid', 'same' or integers, got ${shown(given)}`);
      padding = sizes(op, 'padding', given, dims);
    }
    if (padding.some((p) => p < 0)) throw new RuntimeError('negative padding is not supported');
    requireSpan(op, source.shape, kernel, padding, dilation);
    const conv = { stride, padding, dilation, groups };
    const output = forwardShape(source.shape, weight.shape, conv);
    if (output.slice(2).some((n) => n <= 0)) {
      const padded = source.shape.slice(2).map((n, i) => n + 2 * padding[i]);
      const spanned = kernel.map((k, i) => dilation[i] * (k - 1) + 1);
      throw new RuntimeError(
        `Calculated padded input size per channel: (${padded.join(' x ')}). Kernel size: (${spanned.join(' x ')}). Kernel size can't be greater than actual input size`,
      );
    }
    return convOp(source, weight, bias, conv);
  });
}

/**
 * Convolution over (N, C, L); weight (O, C/groups, K), bias (O) (PyTorch: `F.conv1d`). Unbatched (C, L) is accepted.
 * @throws RuntimeError on wrong ranks, channels, dtypes, or a kernel larger than the padded input.
 */
export function conv1d(x: Tensor, weight: Tensor, bias: Tensor | null = null, options: ConvOptions = {}): Tensor {
  requireOptions('conv1d', options, convOptions);
  return convolve('conv1d', 1, x, weight, bias, options);
}
/**
 * Convolution over (N, C, H, W); weight (O, C/groups, KH, KW), bias (O) (PyTorch: `F.conv2d`). Unbatched (C, H, W) is
 * accepted.
 * @throws RuntimeError on wrong ranks, channels, dtypes, or a kernel larger than the padded input.
 * @example
 * conv2d(images, conv.weight, conv.bias, { padding: 2 }); // shape [8, 6, 28, 28]
 */
export function conv2d(x: Tensor, weight: Tensor, bias: Tensor | null = null, options: ConvOptions = {}): Tensor {
  requireOptions('conv2d', options, convOptions);
  return convolve('conv2d', 2, x, weight, bias, options);
}
/** Convolution over (N, C, D, H, W); weight (O, C/groups, KD, KH, KW) (PyTorch: `F.conv3d`). See `conv1d`. */
export function conv3d(x: Tensor, weight: Tensor, bias: Tensor | null = null, options: ConvOptions = {}): Tensor {
  requireOptions('conv3d', options, convOptions);
  return convolve('conv3d', 3, x, weight, bias, options);
}

/** As `convolve`, for transposed convolutions. */
export function convTranspose(
  op: string,
  dims: number,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  options: ConvTransposeOptions,
): Tensor {
  const groups = options.groups ?? 1;
  checkConv(op, dims, x, weight, bias, groups, true);
  const stride = sizes(op, 'stride', options.stride ?? 1, dims);
  const padding = sizes(op, 'padding', options.padding ?? 0, dims);
  const dilation = sizes(op, 'dilation', options.dilation ?? 1, dims);
  const extra = sizes(op, 'outputPadding', options.outputPadding ?? 0, dims);
  requirePositive(stride, dilation);
  if (padding.some((p) => p < 0)) throw new RuntimeError('negative padding is not supported');
  extra.forEach((e, i) => {
    if (e < 0 || (e >= stride[i] && e >= dilation[i]))
      throw new RuntimeError(
        `output padding must be smaller than either stride or dilation, but got outputPadding: ${e}, stride: ${stride[i]}, dilation: ${dilation[i]}`,
      );
  });
  return batched(x, dims, (input) => {
    const spatial = weight.shape
      .slice(2)
      .map((k, i) => (input.shape[i + 2] - 1) * stride[i] - 2 * padding[i] + dilation[i] * (k - 1) + extra[i] + 1);
    if (spatial.some((n) => n <= 0))
      throw new RuntimeError(
        `Given input size per channel: (${input.shape.slice(2).join(' x ')}). Calculated output size per channel: (${spatial.join(' x ')}). Output size is too small`,
      );
    const shape = [input.shape[0], weight.shape[1] * groups, ...spatial];
    requireSpan(op, shape, weight.shape.slice(2), padding, dilation);
    requireShape(op, shape);
    // An output padding of a stride or more lets the window take more steps over the output than the input has values.
    const outputSize = input.shape.slice(2);
    const y = convBackwardData(input, weight, shape, { stride, padding, dilation, groups, outputSize });
    return bias ? add(y, reshape(bias, [1, -1, ...spatial.map(() => 1)])) : y;
  });
}

/**
 * Transposed convolution over (N, C, L), which spreads every value over a window: the gradient of `conv1d`; weight
 * (C, O/groups, K) (PyTorch: `F.conv_transpose1d`).
 */
export function convTranspose1d(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  options: ConvTransposeOptions = {},
): Tensor {
  requireOptions('convTranspose1d', options, convTransposeOptions);
  return convTranspose('convTranspose1d', 1, x, weight, bias, options);
}
/** Transposed convolution over (N, C, H, W); weight (C, O/groups, KH, KW) (PyTorch: `F.conv_transpose2d`). */
export function convTranspose2d(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  options: ConvTransposeOptions = {},
): Tensor {
  requireOptions('convTranspose2d', options, convTransposeOptions);
  return convTranspose('convTranspose2d', 2, x, weight, bias, options);
}
/**
 * Transposed convolution over (N, C, D, H, W); weight (C, O/groups, KD, KH, KW) (PyTorch: `F.conv_transpose3d`). See
 * `convTranspose1d`.
 */
export function convTranspose3d(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  options: ConvTransposeOptions = {},
): Tensor {
  requireOptions('convTranspose3d', options, convTransposeOptions);
  return convTranspose('convTranspose3d', 3, x, weight, bias, options);
}
