// Pooling in one to three dimensions: maximum, average, and their adaptive forms, in both memory formats.
import { defineOp } from '../autograd/define_op.ts';
import { maxElements, requireInteger, requireShape } from '../checks.ts';
import { RuntimeError } from '../errors.ts';
import { fused } from '../fusion/fused.ts';
import { avgPoolRule, maxPoolRule } from '../fusion/norm_pool.ts';
import { asItIs } from '../launch/conv.ts';
import {
  launchAvgPool,
  launchAvgPoolBackward,
  launchMaxPool,
  launchMaxPoolBackward,
  type PoolShape,
} from '../launch/pool.ts';
import { windowSteps } from '../launch/window.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { requireFloat, requireTensor } from '../tensor/requirements.ts';
import { formatShape, type Shape } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { cast, toFormat } from './convert.ts';
import { gather } from './indexing.ts';
import { reshape } from './shape_ops.ts';
import { requireSpan, type Size, sizes } from './window.ts';

/** What all poolings take. */
export interface PoolOptions {
  /** The distance of neighbouring windows. Default: the kernel's size. */
  stride?: Size;
  /** How much is added on each side of the input, at most half of the kernel. Default: 0. */
  padding?: Size;
  /** Round the output's size up instead of down. Default: false. */
  ceilMode?: boolean;
}
/** Options of max poolings. */
export interface MaxPoolOptions extends PoolOptions {
  /** The distance of neighbouring values of a window. Default: 1. */
  dilation?: Size;
}
/** Options of `avgPool1d` and `AvgPool1d`. */
export interface AvgPool1dOptions extends PoolOptions {
  /** Whether padding zeros count in the divisor. Default: true. */
  countIncludePad?: boolean;
}
/** Options of `avgPool2d`, `avgPool3d` and their layers. */
export interface AvgPoolOptions extends AvgPool1dOptions {
  /** Divides by this instead of the window's size. Default: none. */
  divisorOverride?: number;
}
const poolKinds = { stride: kind.numbers, padding: kind.numbers };
export const maxPoolOptions = declareOptions<MaxPoolOptions>({
  ...poolKinds,
  dilation: kind.numbers,
  ceilMode: kind.flag,
});
const avgPoolKinds = { ...poolKinds, ceilMode: kind.flag, countIncludePad: kind.flag };
export const avgPool1dOptions = declareOptions<AvgPool1dOptions>(avgPoolKinds);
export const avgPoolOptions = declareOptions<AvgPoolOptions>({
  ...avgPoolKinds,
  divisorOverride: kind.integerOrNull,
});

const maxPoolOp = defineOp(
  fused(maxPoolRule, {
    name: 'maxPool',
    forward(ctx, x: Tensor, pool: PoolShape): readonly Tensor[] {
      const [y, indices] = launchMaxPool(asItIs(x), pool);
      ctx.save(indices);
      return [y, indices];
    },
    backward: (ctx, [g], x, pool) => [maxPoolBackward(g, ctx.saved[0], x.shape, pool)],
  }),
);

const maxPoolBackward = defineOp({
  name: 'maxPoolBackward',
  forward(ctx, dy: Tensor, indices: Tensor, shape: Shape, pool: PoolShape) {
    ctx.save(indices);
    return launchMaxPoolBackward(dy, indices, shape, pool);
  },
  // Linear in dy: its derivative picks where the maxima were.
  backward(ctx, [g], dy) {
    const [n, c] = g.shape;
    const flat = (t: Tensor) => reshape(toFormat(t, 'contiguous'), [n, c, -1]);
    return [reshape(gather(flat(g), 2, flat(ctx.saved[0])), dy.shape), null];
  },
}) as (dy: Tensor, indices: Tensor, shape: Shape, pool: PoolShape) => Tensor;

const avgPoolOp = defineOp(
  fused(avgPoolRule, {
    name: 'avgPool',
    forward: (_ctx, x: Tensor, pool: PoolShape) => launchAvgPool(asItIs(x), pool),
    backward: (_ctx, [g], x, pool) => [avgPoolBackward(g, x.shape, pool)],
  }),
) as (x: Tensor, pool: PoolShape) => Tensor;

const avgPoolBackward = defineOp({
  name: 'avgPoolBackward',
  forward: (_ctx, dy: Tensor, shape: Shape, pool: PoolShape) => launchAvgPoolBackward(dy, shape, pool),
  backward: (_ctx, [g], _dy, _shape, pool) => [avgPoolOp(g, pool)],
}) as (dy: Tensor, shape: Shape, pool: PoolShape) => Tensor;

function batched<R>(op: string, x: Tensor, dims: number, fn: (x: Tensor) => R, unbatch: (result: R) => R): R {
  if (x.rank !== dims + 1 && x.rank !== dims + 2)
    throw new RuntimeError(`${op}(): Expected ${dims + 1}D or ${dims + 2}D input, but got ${formatShape(x.shape)}`);
  if (x.shape.slice(x.rank - dims - 1).some((n) => n === 0))
    throw new RuntimeError(
      `${op}(): Expected ${dims + 1}D or ${dims + 2}D (batch mode) tensor with optional 0 dim batch size for input, but got: ${formatShape(x.shape)}`,
    );
  return x.rank === dims + 2 ? fn(x) : unbatch(fn(reshape(x, [1, ...x.shape])));
}
const dropBatch = (y: Tensor): Tensor => reshape(y, y.shape.slice(1));

function poolShape(
  op: string,
  x: Tensor,
  dims: number,
  kernelSize: Size,
  options: MaxPoolOptions & AvgPoolOptions,
): PoolShape {
  const kernel = sizes(op, 'kernelSize', kernelSize, dims);
  const stride = sizes(op, 'stride', options.stride ?? kernel, dims);
  const padding = sizes(op, 'padding', options.padding ?? 0, dims);
  const dilation = sizes(op, 'dilation', options.dilation ?? 1, dims);
  if ([...kernel, ...stride].some((n) => n <= 0))
    throw new RuntimeError(
      `${op}(): kernel size and stride should be greater than zero, but got kernel ${formatShape(kernel)}, stride ${formatShape(stride)}`,
    );
  if (dilation.some((d) => d <= 0))
    throw new RuntimeError(`dilation should be greater than zero, but got dilation ${formatShape(dilation)}`);
  const divisor = options.divisorOverride ?? null;
  if (divisor !== null) {
    requireInteger(op, 'divisorOverride', divisor, -maxElements, maxElements);
    if (divisor === 0) throw new RuntimeError('divisor must be not zero');
  }
  requireSpan(op, x.shape, kernel, padding, dilation);
  padding.forEach((p, i) => {
    if (p < 0) throw new RuntimeError(`pad must be non-negative, but got pad: ${p}`);
    if (p * 2 > dilation[i] * (kernel[i] - 1) + 1)
      throw new RuntimeError(
        `pad should be at most half of effective kernel size, but got pad=${p}, kernelSize=${kernel[i]} and dilation=${dilation[i]}`,
      );
  });
  const round = options.ceilMode ? Math.ceil : Math.floor;
  const output = kernel.map((k, i) => {
    const n = x.shape[i + 2];
    let count = round(windowSteps(n, k, stride[i], padding[i], dilation[i])) + 1;
    // The last window must start inside the input or the padding before it.
    if (options.ceilMode && (count - 1) * stride[i] >= n + padding[i]) count--;
    return count;
  });
  if (output.some((n) => n <= 0))
    throw new RuntimeError(
      `Given input size: (${x.shape.slice(1).join('x')}). Calculated output size: (${[x.shape[1], ...output].join('x')}). Output size is too small`,
    );
  return {
    output,
    kernel,
    stride,
    padding,
    dilation,
    isAdaptive: false,
    countIncludePad: options.countIncludePad ?? true,
    divisor: divisor ?? 0,
  };
}

function adaptiveShape(op: string, x: Tensor, dims: number, outputSize: AdaptiveSize): PoolShape {
  const wanted = Array.isArray(outputSize) ? outputSize.map((n, i) => n ?? x.shape[i + 2]) : (outputSize as number);
  if (Array.isArray(wanted) && wanted.length !== dims) throw new RuntimeError(`${op}: outputSize must be ${dims}`);
  const output = sizes(op, 'outputSize', wanted, dims);
  if (output.some((n) => n < 0))
    throw new RuntimeError(`${op}(): elements of outputSize must be greater than or equal to 0`);
  requireShape(op, [...x.shape.slice(0, 2), ...output]);
  const ones = output.map(() => 1);
  return {
    output,
    kernel: ones,
    stride: ones,
    padding: ones.map(() => 0),
    dilation: ones,
    isAdaptive: true,
    countIncludePad: true,
    divisor: 0,
  };
}

/** What poolings return that say where their maxima were, such as `maxPool2dWithIndices`. */
export interface PoolWithIndices {
  /** The maxima. */
  values: Tensor;
  /** The position of each maximum in the flattened spatial volume of the input, int64. */
  indices: Tensor;
}

function maxPool(op: string, dims: number, x: Tensor, shape: (x: Tensor) => PoolShape): PoolWithIndices {
  return batched<PoolWithIndices>(
    op,
    x,
    dims,
    (input) => {
      // Bytes are pooled as int32.
      const [values, indices] = maxPoolOp(x.dtype === 'uint8' ? cast(input, 'int32') : input, shape(input));
      return { values: cast(values, x.dtype), indices };
    },
    ({ values, indices }) => ({ values: dropBatch(values), indices: dropBatch(indices) }),
  );
}

/**
 * Maxima over windows of so many dimensions, for a function named `op`; layers, whose options are checked, call this.
 */
export const maxPoolOver = (
  op: string,
  dims: number,
  x: Tensor,
  kernelSize: Size,
  options: MaxPoolOptions,
): PoolWithIndices => {
  requireTensor(op, x);
  // As in PyTorch, integers are taken but in one dimension without indices.
  if (x.dtype === 'bool' || op === 'maxPool1d') requireFloat(op, x);
  return maxPool(op, dims, x, (input) => poolShape(op, input, dims, kernelSize, options));
};

/**
 * Maxima over windows of (N, C, L) with their positions, which `maxUnpool1d` takes (PyTorch:
 * `F.max_pool1d_with_indices`).
 */
export function maxPool1dWithIndices(x: Tensor, kernelSize: Size, options: MaxPoolOptions = {}): PoolWithIndices {
  requireOptions('maxPool1dWithIndices', options, maxPoolOptions);
  return maxPoolOver('maxPool1dWithIndices', 1, x, kernelSize, options);
}
/** The same of (N, C, H, W) (PyTorch: `F.max_pool2d_with_indices`). */
export function maxPool2dWithIndices(x: Tensor, kernelSize: Size, options: MaxPoolOptions = {}): PoolWithIndices {
  requireOptions('maxPool2dWithIndices', options, maxPoolOptions);
  return maxPoolOver('maxPool2dWithIndices', 2, x, kernelSize, options);
}
/** The same of (N, C, D, H, W) (PyTorch: `F.max_pool3d_with_indices`). */
export function maxPool3dWithIndices(x: Tensor, kernelSize: Size, options: MaxPoolOptions = {}): PoolWithIndices {
  requireOptions('maxPool3dWithIndices', options, maxPoolOptions);
  return maxPoolOver('maxPool3dWithIndices', 3, x, kernelSize, options);
}
/** Maxima over windows of (N, C, L) (PyTorch: `F.max_pool1d`). */
export function maxPool1d(x: Tensor, kernelSize: Size, options: MaxPoolOptions = {}): Tensor {
  requireOptions('maxPool1d', options, maxPoolOptions);
  return maxPoolOver('maxPool1d', 1, x, kernelSize, options).values;
}
/** Maxima over windows of (N, C, H, W), of integers too (PyTorch: `F.max_pool2d`). */
export function maxPool2d(x: Tensor, kernelSize: Size, options: MaxPoolOptions = {}): Tensor {
  requireOptions('maxPool2d', options, maxPoolOptions);
  return maxPoolOver('maxPool2d', 2, x, kernelSize, options).values;
}
/** Maxima over windows of (N, C, D, H, W), of integers too (PyTorch: `F.max_pool3d`). */
export function maxPool3d(x: Tensor, kernelSize: Size, options: MaxPoolOptions = {}): Tensor {
  requireOptions('maxPool3d', options, maxPoolOptions);
  return maxPoolOver('maxPool3d', 3, x, kernelSize, options).values;
}

function avgPool(op: string, dims: number, x: Tensor, shape: (x: Tensor) => PoolShape): Tensor {
  requireFloat(op, x);
  return batched(op, x, dims, (input) => avgPoolOp(input, shape(input)), dropBatch);
}

/** Means over windows; see `maxPoolOver`. */
export const avgPoolOver = (op: string, dims: number, x: Tensor, kernelSize: Size, options: AvgPoolOptions): Tensor =>
  avgPool(op, dims, x, (input) => poolShape(op, input, dims, kernelSize, options));

/** Means over windows of (N, C, L) (PyTorch: `F.avg_pool1d`). */
export function avgPool1d(x: Tensor, kernelSize: Size, options: AvgPool1dOptions = {}): Tensor {
  requireOptions('avgPool1d', options, avgPool1dOptions);
  return avgPoolOver('avgPool1d', 1, x, kernelSize, options);
}
/** Means over windows of (N, C, H, W) (PyTorch: `F.avg_pool2d`). */
export function avgPool2d(x: Tensor, kernelSize: Size, options: AvgPoolOptions = {}): Tensor {
  requireOptions('avgPool2d', options, avgPoolOptions);
  return avgPoolOver('avgPool2d', 2, x, kernelSize, options);
}

/** Means over windows of (N, C, D, H, W) (PyTorch: `F.avg_pool3d`). */
export function avgPool3d(x: Tensor, kernelSize: Size, options: AvgPoolOptions = {}): Tensor {
  requireOptions('avgPool3d', options, avgPoolOptions);
  return avgPoolOver('avgPool3d', 3, x, kernelSize, options);
}

/** A size, in which null keeps the input's. */
export type AdaptiveSize = Size | readonly (number | null)[];

const adaptiveAvgPool = (op: string, dims: number, x: Tensor, outputSize: AdaptiveSize): Tensor =>
  avgPool(op, dims, x, (input) => adaptiveShape(op, input, dims, outputSize));

/** Means over windows chosen so that the output has the given size (PyTorch: `F.adaptive_avg_pool1d`). */
export const adaptiveAvgPool1d = (x: Tensor, outputSize: Size): Tensor =>
  adaptiveAvgPool('adaptiveAvgPool1d', 1, x, outputSize);
/**
 * Means over windows chosen so that the output has the given size; null keeps a dimension (PyTorch:
 * `F.adaptive_avg_pool2d`).
 */
export const adaptiveAvgPool2d = (x: Tensor, outputSize: AdaptiveSize): Tensor =>
  adaptiveAvgPool('adaptiveAvgPool2d', 2, x, outputSize);
/** The same of (N, C, D, H, W) (PyTorch: `F.adaptive_avg_pool3d`). */
export const adaptiveAvgPool3d = (x: Tensor, outputSize: AdaptiveSize): Tensor =>
  adaptiveAvgPool('adaptiveAvgPool3d', 3, x, outputSize);

/** Maxima over windows chosen so that the output has the given size, for a function named `op`; layers call this. */
export function adaptiveMaxPoolOver(op: string, dims: number, x: Tensor, outputSize: AdaptiveSize): PoolWithIndices {
  requireFloat(op, x);
  return maxPool(op, dims, x, (input) => adaptiveShape(op, input, dims, outputSize));
}

/** Maxima over windows chosen so that the output has the given size (PyTorch: `F.adaptive_max_pool1d`). */
export const adaptiveMaxPool1d = (x: Tensor, outputSize: Size): Tensor =>
  adaptiveMaxPoolOver('adaptiveMaxPool1d', 1, x, outputSize).values;
/**
 * Maxima over windows chosen so that the output has the given size; null keeps a dimension (PyTorch:
 * `F.adaptive_max_pool2d`).
 */
export const adaptiveMaxPool2d = (x: Tensor, outputSize: AdaptiveSize): Tensor =>
  adaptiveMaxPoolOver('adaptiveMaxPool2d', 2, x, outputSize).values;
/** The same of (N, C, D, H, W) (PyTorch: `F.adaptive_max_pool3d`). */
export const adaptiveMaxPool3d = (x: Tensor, outputSize: AdaptiveSize): Tensor =>
  adaptiveMaxPoolOver('adaptiveMaxPool3d', 3, x, outputSize).values;
/**
 * Maxima over windows chosen so that the output has the given size, with their positions (PyTorch:
 * `F.adaptive_max_pool1d_with_indices`).
 */
export const adaptiveMaxPool1dWithIndices = (x: Tensor, outputSize: Size): PoolWithIndices =>
  adaptiveMaxPoolOver('adaptiveMaxPool1dWithIndices', 1, x, outputSize);
/** The same of (N, C, H, W) (PyTorch: `F.adaptive_max_pool2d_with_indices`). */
export const adaptiveMaxPool2dWithIndices = (x: Tensor, outputSize: AdaptiveSize): PoolWithIndices =>
  adaptiveMaxPoolOver('adaptiveMaxPool2dWithIndices', 2, x, outputSize);
/** The same of (N, C, D, H, W) (PyTorch: `F.adaptive_max_pool3d_with_indices`). */
export const adaptiveMaxPool3dWithIndices = (x: Tensor, outputSize: AdaptiveSize): PoolWithIndices =>
  adaptiveMaxPoolOver('adaptiveMaxPool3dWithIndices', 3, x, outputSize);
