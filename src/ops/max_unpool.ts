// Unpooling: maxima back to where they were, zeros elsewhere. The inverse of a max pooling in so far as there is one.
import { requireIntegers } from '../checks.ts';
import { RuntimeError, ValueError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { fullOn } from '../tensor/create.ts';
import { requireFloat, requireSameDevice, requireTensor } from '../tensor/requirements.ts';
import { formatShape, sizeOf } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { toFormat } from './convert.ts';
import { scatterFor } from './indexing.ts';
import { reshape } from './shape_ops.ts';
import { type Size, sizes } from './window.ts';

/** Options of `maxUnpool1d`, `maxUnpool2d` and `maxUnpool3d`. */
export interface MaxUnpoolOptions {
  /** The distance of neighbouring windows of the pooling. Default: the kernel's size. */
  stride?: Size;
  /** What the pooling has added on each side. Default: 0. */
  padding?: Size;
  /**
   * The spatial size of the pooling's input, or its whole shape: several sizes have the same output. Default: the
   * smallest one of which each window was whole.
   */
  outputSize?: readonly number[];
}
export const maxUnpoolOptions = declareOptions<MaxUnpoolOptions>({
  stride: kind.numbers,
  padding: kind.numbers,
  outputSize: kind.numbers,
});

function outputSizeOf(
  op: string,
  x: Tensor,
  kernel: readonly number[],
  stride: readonly number[],
  padding: readonly number[],
  outputSize: readonly number[] | undefined,
): number[] {
  const dims = kernel.length;
  const usual = kernel.map((k, i) => (x.shape[x.rank - dims + i] - 1) * stride[i] + k - 2 * padding[i]);
  if (outputSize === undefined) return usual;
  requireIntegers(op, 'outputSize', outputSize, 0);
  const wanted = outputSize.length === dims + 2 ? outputSize.slice(2) : [...outputSize];
  if (wanted.length !== dims)
    throw new ValueError(
      `outputSize should be a sequence containing ${dims} or ${dims + 2} elements, but it has a length of '${outputSize.length}'`,
    );
  wanted.forEach((size, i) => {
    if (size <= usual[i] - stride[i] || size >= usual[i] + stride[i])
      throw new ValueError(
        `invalid outputSize "${formatShape(wanted)}" (dim ${i} must be between ${usual[i] - stride[i]} and ${usual[i] + stride[i]})`,
      );
  });
  return wanted;
}

/** Unpooling over so many dimensions, for a function named `op`; layers, whose options are checked, call this. */
export function maxUnpoolOver(
  op: string,
  dims: number,
  x: Tensor,
  indices: Tensor,
  kernelSize: Size,
  options: MaxUnpoolOptions,
): Tensor {
  requireFloat(op, x);
  requireTensor(op, indices);
  requireSameDevice(op, x, indices);
  const kernel = sizes(op, 'kernelSize', kernelSize, dims);
  const stride = sizes(op, 'stride', options.stride ?? kernel, dims);
  const padding = sizes(op, 'padding', options.padding ?? 0, dims);
  if (indices.dtype !== 'int64')
    throw new RuntimeError(`elements in indices should be type int64 but got: ${indices.dtype}`);
  if (x.rank !== dims + 1 && x.rank !== dims + 2)
    throw new RuntimeError(
      `Input to ${op} should be a ${dims + 1}d or ${dims + 2}d Tensor, but got a tensor with ${x.rank} dimensions`,
    );
  if (formatShape(indices.shape) !== formatShape(x.shape))
    throw new RuntimeError(
      `Expected shape of indices to be same as that of the input tensor (${formatShape(x.shape)}) but got indices tensor with shape: ${formatShape(indices.shape)}`,
    );
  if (padding.some((size) => size < 0))
    throw new RuntimeError(`[${op}] expected padding to be at least 0, got ${formatShape(padding)}`);
  if (stride.some((step) => step <= 0))
    throw new RuntimeError(`strides should be greater than zero, but got stride: ${formatShape(stride)}`);
  const spatial = outputSizeOf(op, x, kernel, stride, padding, options.outputSize);
  const others = x.shape.slice(0, -dims);
  const flat = (t: Tensor) => reshape(toFormat(t, 'contiguous'), [...others, -1]);
  const nothing = fullOn(x.backend, [...others, sizeOf(spatial)], 0, x.dtype);
  const y = x.size === 0 ? nothing : scatterFor(op, nothing, others.length, flat(indices), flat(x));
  return toFormat(reshape(y, [...others, ...spatial]), x.memoryFormat);
}

/**
 * The values of x at the positions that `maxPool1dWithIndices` has given, zeros elsewhere (PyTorch: `F.max_unpool1d`).
 * Of several values for one position the last one counts. See `maxUnpool2d`.
 */
export function maxUnpool1d(x: Tensor, indices: Tensor, kernelSize: Size, options: MaxUnpoolOptions = {}): Tensor {
  requireOptions('maxUnpool1d', options, maxUnpoolOptions);
  return maxUnpoolOver('maxUnpool1d', 1, x, indices, kernelSize, options);
}
/**
 * The values of x, (N, C, H, W), at the positions that `maxPool2dWithIndices` has given, zeros elsewhere (PyTorch:
 * `F.max_unpool2d`).
 * @throws RuntimeError where shapes do not fit; IndexError on a position outside of the output; ValueError on an output
 * size that the pooling cannot have had.
 * @example
 * const { values, indices } = maxPool2dWithIndices(x, 2);
 * maxUnpool2d(values, indices, 2).shape; // [4, 6, 8, 8]
 */
export function maxUnpool2d(x: Tensor, indices: Tensor, kernelSize: Size, options: MaxUnpoolOptions = {}): Tensor {
  requireOptions('maxUnpool2d', options, maxUnpoolOptions);
  return maxUnpoolOver('maxUnpool2d', 2, x, indices, kernelSize, options);
}
/** The same of (N, C, D, H, W) (PyTorch: `F.max_unpool3d`). */
export function maxUnpool3d(x: Tensor, indices: Tensor, kernelSize: Size, options: MaxUnpoolOptions = {}): Tensor {
  requireOptions('maxUnpool3d', options, maxUnpoolOptions);
  return maxUnpoolOver('maxUnpool3d', 3, x, indices, kernelSize, options);
}
