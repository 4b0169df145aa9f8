// What convolution and pooling share: a window that slides over one to three spatial dimensions.
import { maxElements, requireCountable, requireInteger } from '../checks.ts';
import { RuntimeError } from '../errors.ts';
import { formatShape, type Shape } from '../tensor/shape.ts';

/** One value for all spatial dimensions, or one for each. */
export type Size = number | readonly number[];

/** One value per spatial dimension; one for all may also stand in an array, as in PyTorch. */
export function sizes(op: string, name: string, value: Size, dims: number): number[] {
  if (!Array.isArray(value))
    // Beyond 32 bits kernels would read another number.
    return Array<number>(dims).fill(requireInteger(op, name, value, -maxElements, maxElements));
  for (const size of value) requireInteger(op, name, size, -maxElements, maxElements);
  if (value.length !== dims && value.length !== 1)
    throw new RuntimeError(`[${op}] expected ${name} to be an integer or ${dims} integers, got ${formatShape(value)}`);
  return value.length === dims ? [...value] : Array<number>(dims).fill(value[0]);
}

/** Refuses windows and paddings whose positions over the last dimensions of a shape cannot be counted in 32 bits. */
export function requireSpan(
  op: string,
  shape: Shape,
  kernel: readonly number[],
  padding: readonly number[],
  dilation: readonly number[],
): void {
  for (let i = 0, d = shape.length - kernel.length; i < kernel.length; i++, d++) {
    const span = Math.max(shape[d] + 2 * padding[i], dilation[i] * (kernel[i] - 1) + 1);
    if (span > maxElements) requireCountable([span], op);
  }
}

/** Appends the last three of `values`, those of the spatial dimensions, to a kernel's geometry; `missing` stands for what lies before `from`. */
export function push3(geometry: number[], values: readonly number[], missing: number, from = 0): void {
  for (let i = values.length - 3; i < values.length; i++) geometry.push(i < from ? missing : values[i]);
}

/** How many strides a window of `kernel` taps can take over `size` values with padding on both sides; rounding is the caller's. */
export const windowSteps = (size: number, kernel: number, stride: number, padding: number, dilation: number): number =>
  (size + 2 * padding - dilation * (kernel - 1) - 1) / stride;
