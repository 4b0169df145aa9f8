// Arithmetic on shapes: sizes, strides, broadcasting, dimensions, and how the two memory formats order them.
import { requireInteger, requireIntegers } from '../checks.ts';
import { IndexError, RuntimeError } from '../errors.ts';

/** The sizes of a tensor's dimensions, outermost first; `[]` for a single value. */
export type Shape = readonly number[];
/** `contiguous`: (N, C, spatial…) row-major; `channelsLast`: (N, spatial…, C). Every tensor is dense in one of them. */
export type MemoryFormat = 'contiguous' | 'channelsLast';
export const memoryFormats: readonly MemoryFormat[] = ['contiguous', 'channelsLast'];

export function sizeOf(shape: Shape): number {
  let size = 1;
  for (let i = 0; i < shape.length; i++) size *= shape[i];
  return size;
}

export const sameShape = (a: Shape, b: Shape): boolean => {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
};

/** `[2, 3]`. */
export const formatShape = (shape: Shape): string => `[${shape.join(', ')}]`;

/** The order in which a format stores the dimensions, outermost first. */
export function physicalOrder(rank: number, format: MemoryFormat): number[] {
  const order = Array.from({ length: rank }, (_, i) => i);
  if (format === 'channelsLast') order.push(...order.splice(1, 1));
  return order;
}

/** Strides in elements, by logical dimension, of a dense tensor in the given format. */
export function stridesOf(shape: Shape, format: MemoryFormat = 'contiguous'): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  if (format === 'channelsLast') {
    strides[1] = 1;
    step = shape[1];
    for (let i = shape.length - 1; i >= 2; i--) {
      strides[i] = step;
      step *= shape[i];
    }
    strides[0] = step;
    return strides;
  }
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

/**
 * A dimension counted from the front; negative ones count from the back, as in PyTorch. `op` is what the user called.
 */
export function normalizeDim(dim: number, rank: number, op?: string): number {
  const size = Math.max(rank, 1);
  if (!Number.isInteger(dim)) requireInteger(op ?? 'dim', 'dim', dim);
  if (dim < -size || dim >= size)
    throw new IndexError(
      `${op ? `[${op}] ` : ''}Dimension out of range (expected to be in range of [${-size}, ${size - 1}], but got ${dim})`,
    );
  return dim < 0 ? dim + size : dim;
}

/** Dimensions counted from the front, each at most once, in the given order. */
export function distinctDims(dims: readonly number[], rank: number, op?: string): number[] {
  if (!Array.isArray(dims)) requireIntegers(op ?? 'dim', 'dim', dims);
  const from = dims.map((d) => normalizeDim(d, rank, op));
  from.forEach((d, i) => {
    if (from.indexOf(d) !== i) throw new RuntimeError(`dim ${d} appears multiple times in the list of dims`);
  });
  return from;
}

/** Sorted dimensions to reduce over; none given means all. */
export function normalizeDims(dim: number | readonly number[] | undefined, rank: number, op?: string): number[] {
  if (dim === undefined) return Array.from({ length: rank }, (_, i) => i);
  const dims = distinctDims(typeof dim === 'number' ? [dim] : dim, rank, op);
  return rank === 0 ? [] : dims.sort((a, b) => a - b);
}

/** The shape that two shapes broadcast to. */
export function broadcastShapes(a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  const out = new Array<number>(rank);
  for (let i = 1; i <= rank; i++) {
    const x = i <= a.length ? a[a.length - i] : 1;
    const y = i <= b.length ? b[b.length - i] : 1;
    if (x !== y && x !== 1 && y !== 1)
      throw new RuntimeError(
        `The size of tensor a (${x}) must match the size of tensor b (${y}) at non-singleton dimension ${rank - i}`,
      );
    out[rank - i] = x === 1 ? y : x;
  }
  return out;
}

/** Strides of a tensor seen in a broadcast shape: 0 along the dimensions where it is repeated. */
export function broadcastStrides(shape: Shape, strides: readonly number[], target: Shape): number[] {
  const lead = target.length - shape.length;
  return target.map((size, i) => (i < lead || (shape[i - lead] === 1 && size !== 1) ? 0 : strides[i - lead]));
}

/**
 * Resolves one −1 in a requested shape of integers.
 * @throws RuntimeError in PyTorch's words where the sizes do not multiply up to `size`, or do not say what −1 is.
 */
export function resolveShape(shape: Shape, size: number): number[] {
  const resolved = [...shape];
  let unknown = -1;
  let known = 1;
  for (let i = 0; i < shape.length; i++) {
    if (shape[i] === -1) {
      if (unknown >= 0) throw new RuntimeError('only one dimension can be inferred');
      unknown = i;
    } else if (shape[i] < 0)
      throw new RuntimeError(`invalid shape dimension ${shape[i]} at index ${i} of shape ${formatShape(shape)}`);
    else known *= shape[i];
  }
  if (unknown >= 0 && known === 0 && size === 0)
    throw new RuntimeError(
      `cannot reshape tensor of 0 elements into shape ${formatShape(shape)} because the unspecified dimension size -1 can be any value and is ambiguous`,
    );
  if (unknown >= 0) resolved[unknown] = size / known;
  if (unknown >= 0 ? !Number.isInteger(resolved[unknown]) : known !== size)
    throw new RuntimeError(`shape '${formatShape(shape)}' is invalid for input of size ${size}`);
  return resolved;
}

/** (outer, n, inner) around one dimension of a row-major tensor. */
export function aroundDim(shape: Shape, dim: number): [outer: number, n: number, inner: number] {
  return [sizeOf(shape.slice(0, dim)), shape[dim] ?? 1, sizeOf(shape.slice(dim + 1))];
}
