// Copies between memory orders. Strides are in elements.
import { partOf } from '../device/operand.ts';
import type { DType } from './dtype.ts';
import type { MemoryFormat, Shape } from './shape.ts';
import { allocate, copyStrided, requireReadable, type Tensor } from './tensor.ts';

/** Copies x, element by logical index, from and to arbitrary strides with offsets (in elements). */
export function copyElements(
  op: string,
  x: Tensor,
  out: Tensor,
  shape: Shape,
  xStrides: readonly number[],
  outStrides: readonly number[],
  xOffset = 0,
  outOffset = 0,
): void {
  const [from, to] = [partOf(x, xOffset), partOf(out, outOffset)];
  out.backend.launch.copyStrided(op, { x: from, out: to, shape, xStrides, outStrides });
}

/**
 * Copies all elements between two tensors of one size, dtype and memory order, which may live on different backends.
 */
export function copyDense(op: string, from: Tensor, to: Tensor): void {
  if (from.backend === to.backend) copyElements(op, from, to, [from.size], [1], [1]);
  else if (to.device !== 'meta') {
    requireReadable(op, from);
    to.storage.write(from.storage.bytes());
  }
}

/**
 * x in another dtype, by the rules of the kernels, as a copy. Not recorded; see `cast` in ops/convert.ts for the
 * differentiable form.
 */
export function copyAs(x: Tensor, dtype: DType): Tensor {
  const out = allocate(x.shape, dtype, x.memoryFormat, x.backend);
  x.backend.launch.cast('to', { x, out });
  return out;
}

/**
 * x in a format: itself where it already is. Not recorded; see `toFormat` in ops/convert.ts for the differentiable
 * form.
 */
export const inFormat = (x: Tensor, format: MemoryFormat): Tensor =>
  x.memoryFormat === format || x.rank < 3 ? x : copyStrided(x, format);
export const rowMajor = (x: Tensor): Tensor => inFormat(x, 'contiguous');
