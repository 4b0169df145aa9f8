// What convolution and pooling share: a window that slides over one to three spatial dimensions.
import { RuntimeError } from '../errors.ts';
import { formatShape } from '../tensor/shape.ts';

/** One value for all spatial dimensions, or one for each. */
export type Size = number | readonly number[];

/** One value per spatial dimension. */
export function sizes(op: string, name: string, value: Size, dims: number): number[] {
  const list = typeof value === 'number' ? Array<number>(dims).fill(value) : [...value];
  if (list.length !== dims || !list.every(Number.isInteger))
    throw new RuntimeError(`[${op}] expected ${name} to be an integer or ${dims} integers, got ${formatShape(list)}`);
  return list;
}

/** Appends the last three of `values`, those of the spatial dimensions, to a kernel's geometry; `missing` stands for what lies before `from`. */
export function push3(geometry: number[], values: readonly number[], missing: number, from = 0): void {
  for (let i = values.length - 3; i < values.length; i++) geometry.push(i < from ? missing : values[i]);
}

/** How many strides a window of `kernel` taps can take over `size` values with padding on both sides; rounding is the caller's. */
export const windowSteps = (size: number, kernel: number, stride: number, padding: number, dilation: number): number =>
  (size + 2 * padding - dilation * (kernel - 1) - 1) / stride;
