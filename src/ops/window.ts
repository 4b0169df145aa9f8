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

/** Three values for a kernel's geometry: `value` stands in the leading dimensions that are not there. */
export const fill3 = (values: readonly number[], value: number): number[] => [
  ...Array<number>(3 - values.length).fill(value),
  ...values,
];

/** How many strides a window of `kernel` taps can take over `size` values with padding on both sides; rounding is the caller's. */
export const windowSteps = (size: number, kernel: number, stride: number, padding: number, dilation: number): number =>
  (size + 2 * padding - dilation * (kernel - 1) - 1) / stride;
