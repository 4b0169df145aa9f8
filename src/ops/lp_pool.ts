// Power-average pooling: the p-norm over windows, from the mean of powers.
import { requireNumber } from '../checks.ts';
import { ValueError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { sizeOf } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { abs, mul, pow, relu, sign } from './elementwise.ts';
import { avgPoolOver } from './pool.ts';
import { type Size, sizes } from './window.ts';

/** Options of `lpPool1d`, `lpPool2d` and `lpPool3d`. */
export interface LpPoolOptions {
  /** The distance of neighbouring windows. Default: the kernel's size. */
  stride?: Size;
  /** Round the output's size up instead of down. Default: false. */
  ceilMode?: boolean;
}
export const lpPoolOptions = declareOptions<LpPoolOptions>({ stride: kind.numbers, ceilMode: kind.flag });

/** Refuses powers that have no root. */
export function requireNormType(op: string, normType: number): void {
  requireNumber(op, 'normType', normType);
  if (!Number.isFinite(normType) || normType === 0)
    throw new ValueError(`[${op}] expected a finite normType other than 0, got ${normType}`);
}

/** The pooling over so many dimensions, for a function named `op`; layers, whose options are checked, call this. */
export function lpPoolOver(
  op: string,
  dims: number,
  x: Tensor,
  normType: number,
  kernelSize: Size,
  { stride, ceilMode = false }: LpPoolOptions,
): Tensor {
  requireNormType(op, normType);
  const kernel = sizes(op, 'kernelSize', kernelSize, dims);
  const mean = avgPoolOver(op, dims, pow(x, normType), kernel, { stride: stride ?? kernel, ceilMode });
  return pow(mul(mul(sign(mean), relu(abs(mean))), sizeOf(kernel)), 1 / normType);
}

/** (Σ x^normType)^(1/normType) over windows of (N, C, L) (PyTorch: `F.lp_pool1d`). See `lpPool2d`. */
export function lpPool1d(x: Tensor, normType: number, kernelSize: Size, options: LpPoolOptions = {}): Tensor {
  requireOptions('lpPool1d', options, lpPoolOptions);
  return lpPoolOver('lpPool1d', 1, x, normType, kernelSize, options);
}
/**
 * (Σ x^normType)^(1/normType) over windows of (N, C, H, W) (PyTorch: `F.lp_pool2d`). The sum is that of powers, not of
 * absolute values' powers: with an odd `normType` a negative one gives NaN. Its gradient is NaN where the sum is 0.
 * @example
 * lpPool2d(x, 2, 2).shape; // [4, 6, 4, 4]
 */
export function lpPool2d(x: Tensor, normType: number, kernelSize: Size, options: LpPoolOptions = {}): Tensor {
  requireOptions('lpPool2d', options, lpPoolOptions);
  return lpPoolOver('lpPool2d', 2, x, normType, kernelSize, options);
}
/** The same of (N, C, D, H, W) (PyTorch: `F.lp_pool3d`). */
export function lpPool3d(x: Tensor, normType: number, kernelSize: Size, options: LpPoolOptions = {}): Tensor {
  requireOptions('lpPool3d', options, lpPoolOptions);
  return lpPoolOver('lpPool3d', 3, x, normType, kernelSize, options);
}
