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
