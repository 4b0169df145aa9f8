// Pooling in one and two dimensions: maximum, average, and their adaptive forms, in both memory formats.
import { defineOp } from '../autograd/define_op.ts';
import { RuntimeError } from '../errors.ts';
import { carryOut } from '../fusion/deferred_norm.ts';
import { formatShape, type Shape } from '../tensor/shape.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';
import { gather } from './indexing.ts';
import { inFormat, requireFloat, toFormat } from './launch.ts';
import { withInput } from './norm_input.ts';
import { reshape } from './shape_ops.ts';
import { push3, type Size, sizes, windowSteps } from './window.ts';

export interface PoolOptions {
  /** Default: the kernel's size. */
  stride?: Size;
  /** Default: 0; at most half of the kernel. */
  padding?: Size;
  /** Round the output's size up instead of down. Default: false. */
  ceilMode?: boolean;
}
export interface MaxPoolOptions extends PoolOptions {
  /** Default: 1. */
  dilation?: Size;
}
export interface AvgPoolOptions extends PoolOptions {
  /** Whether padding zeros count in the divisor. Default: true. */
  countIncludePad?: boolean;
  /** Divides by this instead of the window's size. */
  divisorOverride?: number;
}

/** A pooling apart from its tensors. */
interface PoolShape {
  readonly output: Shape;
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  readonly isAdaptive: boolean;
  readonly countIncludePad: boolean;
  readonly divisor: number;
}

function geometry(x: Shape, pool: PoolShape, format: number): number[] {
  const numbers = [x[0], x[1]];
  push3(numbers, x, 1, 2);
  for (const values of [pool.output, pool.kernel, pool.stride]) push3(numbers, values, 1);
  push3(numbers, pool.padding, 0);
  push3(numbers, pool.dilation, 1);
  numbers.push(format, pool.isAdaptive ? 1 : 0);
  return numbers;
}

const outputShape = (x: Shape, pool: PoolShape): number[] => [x[0], x[1], ...pool.output];

const maxPoolOp = defineOp({
  name: 'maxPool',
  forward(ctx, x: Tensor, pool: PoolShape): readonly Tensor[] {
    const y = allocate(outputShape(x.shape, pool), x.dtype, x.memoryFormat, x.backend);
    const indices = allocate(y.shape, 'int64', x.memoryFormat, x.backend);
    const { backend } = x;
    withInput(x, null, (input) =>
      backend.check(
        'maxPool',
        backend.kernels.maxPool(
          x.code,
          backend.ints(geometry(x.shape, pool, x.formatCode)),
          ...input(),
          y.pointer,
          indices.pointer,
        ),
      ),
    );
    ctx.save(indices);
    return [y, indices];
  },
  backward: (ctx, [g], x, pool) => [maxPoolBackward(g, ctx.saved[0], x.shape, pool)],
});

const maxPoolBackward = defineOp({
  name: 'maxPoolBackward',
  forward(ctx, dy: Tensor, indices: Tensor, shape: Shape, pool: PoolShape) {
    const dx = allocate(shape, dy.dtype, indices.memoryFormat, dy.backend);
    const g = inFormat(dy, indices.memoryFormat);
    const { backend } = dy;
    backend.check(
      'maxPoolBackward',
      backend.kernels.maxPoolBackward(
        dy.code,
        backend.ints(geometry(shape, pool, indices.formatCode)),
        g.pointer,
        indices.pointer,
        dx.pointer,
      ),
    );
    ctx.save(indices);
    return dx;
  },
  // Linear in dy: its derivative picks where the maxima were.
  backward(ctx, [g], dy) {
    const [n, c] = g.shape;
    const flat = (t: Tensor) => reshape(toFormat(t, 'contiguous'), [n, c, -1]);
    return [reshape(gather(flat(g), 2, flat(ctx.saved[0])), dy.shape), null];
  },
}) as (dy: Tensor, indices: Tensor, shape: Shape, pool: PoolShape) => Tensor;

/** Neighbours in memory, channels or values of a row, for fewer of which an average costs less of values that a pass has written. */
const fewNeighbours = 64;

const avgPoolOp = defineOp({
  name: 'avgPool',
  forward(_ctx, x: Tensor, pool: PoolShape) {
    const y = allocate(outputShape(x.shape, pool), x.dtype, x.memoryFormat, x.backend);
    if (x.shape.at(x.memoryFormat === 'channelsLast' ? 1 : -1)! < fewNeighbours) carryOut(x);
    const { backend } = x;
    withInput(x, null, (input) =>
      backend.check(
        'avgPool',
        backend.kernels.avgPool(
          x.code,
          backend.ints(geometry(x.shape, pool, x.formatCode)),
          pool.countIncludePad ? 1 : 0,
          pool.divisor,
          ...input(),
          y.pointer,
        ),
      ),
    );
    return y;
  },
  backward: (_ctx, [g], x, pool) => [avgPoolBackward(g, x.shape, pool)],
}) as (x: Tensor, pool: PoolShape) => Tensor;

const avgPoolBackward = defineOp({
  name: 'avgPoolBackward',
  forward(_ctx, dy: Tensor, shape: Shape, pool: PoolShape) {
    const dx = allocate(shape, dy.dtype, dy.memoryFormat, dy.backend);
    const { backend } = dy;
    backend.check(
      'avgPoolBackward',
      backend.kernels.avgPoolBackward(
        dy.code,
        backend.ints(geometry(shape, pool, dy.formatCode)),
        pool.countIncludePad ? 1 : 0,
        pool.divisor,
        dy.pointer,
        dx.pointer,
      ),
    );
    return dx;
  },
  backward: (_ctx, [g], _dy, _shape, pool) => [avgPoolOp(g, pool)],
}) as (dy: Tensor, shape: Shape, pool: PoolShape) => Tensor;

function batched<R>(op: string, x: Tensor, dims: number, fn: (x: Tensor) => R, unbatch: (result: R) => R): R {
  requireFloat(op, x);
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
  padding.forEach((p, i) => {
    if (p < 0 || p * 2 > kernel[i])
      throw new RuntimeError(
        `pad should be at most half of effective kernel size, but got pad=${p}, kernel_size=${kernel[i]} and dilation=${dilation[i]}`,
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
    divisor: options.divisorOverride ?? 0,
  };
}

function adaptiveShape(op: string, x: Tensor, dims: number, outputSize: Size | readonly (number | null)[]): PoolShape {
  const wanted = typeof outputSize === 'number' ? outputSize : outputSize.map((n, i) => n ?? x.shape[i + 2]);
  const output = sizes(op, 'outputSize', wanted, dims);
  if (output.some((n) => n < 0))
    throw new RuntimeError(`${op}(): elements of output_size must be greater than or equal to 0`);
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

export interface PoolWithIndices {
  values: Tensor;
  /** int64: position of each maximum in the flattened spatial volume of the input. */
  indices: Tensor;
}

function maxPool(op: string, dims: number, x: Tensor, shape: (x: Tensor) => PoolShape): PoolWithIndices {
  return batched<PoolWithIndices>(
    op,
    x,
    dims,
    (input) => {
      const [values, indices] = maxPoolOp(input, shape(input));
      return { values, indices };
    },
    ({ values, indices }) => ({ values: dropBatch(values), indices: dropBatch(indices) }),
  );
}

/** Maxima over windows with their positions (PyTorch: `F.max_pool2d(…, return_indices=True)`). */
export const maxPool2dWithIndices = (x: Tensor, kernelSize: Size, options: MaxPoolOptions = {}): PoolWithIndices =>
  maxPool('max_pool2d', 2, x, (input) => poolShape('max_pool2d', input, 2, kernelSize, options));
/** Maxima over windows of (N, C, L) (PyTorch: `F.max_pool1d`). */
export const maxPool1d = (x: Tensor, kernelSize: Size, options: MaxPoolOptions = {}): Tensor =>
  maxPool('max_pool1d', 1, x, (input) => poolShape('max_pool1d', input, 1, kernelSize, options)).values;
/** Maxima over windows of (N, C, H, W) (PyTorch: `F.max_pool2d`). */
export const maxPool2d = (x: Tensor, kernelSize: Size, options: MaxPoolOptions = {}): Tensor =>
  maxPool2dWithIndices(x, kernelSize, options).values;

const avgPool = (op: string, dims: number, x: Tensor, shape: (x: Tensor) => PoolShape): Tensor =>
  batched(op, x, dims, (input) => avgPoolOp(input, shape(input)), dropBatch);

/** Means over windows of (N, C, L) (PyTorch: `F.avg_pool1d`). */
export const avgPool1d = (x: Tensor, kernelSize: Size, options: AvgPoolOptions = {}): Tensor =>
  avgPool('avg_pool1d', 1, x, (input) => poolShape('avg_pool1d', input, 1, kernelSize, options));
/** Means over windows of (N, C, H, W) (PyTorch: `F.avg_pool2d`). */
export const avgPool2d = (x: Tensor, kernelSize: Size, options: AvgPoolOptions = {}): Tensor =>
  avgPool('avg_pool2d', 2, x, (input) => poolShape('avg_pool2d', input, 2, kernelSize, options));

/** Means over windows chosen so that the output has the given size (PyTorch: `F.adaptive_avg_pool1d`). */
export const adaptiveAvgPool1d = (x: Tensor, outputSize: Size): Tensor =>
  avgPool('adaptive_avg_pool1d', 1, x, (input) => adaptiveShape('adaptive_avg_pool1d', input, 1, outputSize));
/** Means over windows chosen so that the output has the given size; null keeps a dimension (PyTorch: `F.adaptive_avg_pool2d`). */
export const adaptiveAvgPool2d = (x: Tensor, outputSize: Size | readonly (number | null)[]): Tensor =>
  avgPool('adaptive_avg_pool2d', 2, x, (input) => adaptiveShape('adaptive_avg_pool2d', input, 2, outputSize));
/** Maxima over windows chosen so that the output has the given size (PyTorch: `F.adaptive_max_pool1d`). */
export const adaptiveMaxPool1d = (x: Tensor, outputSize: Size): Tensor =>
  maxPool('adaptive_max_pool1d', 1, x, (input) => adaptiveShape('adaptive_max_pool1d', input, 1, outputSize)).values;
/** Maxima over windows chosen so that the output has the given size; null keeps a dimension (PyTorch: `F.adaptive_max_pool2d`). */
export const adaptiveMaxPool2d = (x: Tensor, outputSize: Size | readonly (number | null)[]): Tensor =>
  maxPool('adaptive_max_pool2d', 2, x, (input) => adaptiveShape('adaptive_max_pool2d', input, 2, outputSize)).values;
