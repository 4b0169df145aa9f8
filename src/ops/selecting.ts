// Operations that return views in PyTorch and copies here, as users call them: the copies are marked, so that a change
// in place of one can warn (tensor/selected.ts). The library itself calls the functions of shape_ops.ts, which mark
// nothing.
import { markSelected } from '../tensor/selected.ts';
import type { Shape } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import * as brackets from './brackets.ts';
import * as broadcast from './broadcast.ts';
import * as shape from './shape_ops.ts';

function marking<A extends readonly unknown[], R extends Tensor | Tensor[]>(
  name: string,
  op: (x: Tensor, ...args: A) => R,
): (x: Tensor, ...args: A) => R {
  return (x, ...args) => {
    const result = op(x, ...args);
    if (Array.isArray(result)) for (const part of result) markSelected(name, x, part);
    else markSelected(name, x, result);
    return result;
  };
}

/**
 * The same elements, in row-major order, under another shape; one size may be −1. Shares memory, unless x is
 * channels-last (PyTorch: `torch.reshape`).
 * @throws RuntimeError where the sizes do not multiply up to the number of elements.
 * @example
 * reshape(x, [4, -1]); // shape [4, 384]
 * x.reshape(4, -1); // the same
 */
export const reshape: (x: Tensor, shape: Shape) => Tensor = marking('reshape', shape.reshape);
/**
 * Dimensions `startDim` to `endDim`, by default all, as one. Shares memory (PyTorch: `torch.flatten`).
 * @example
 * flatten(x, 1); // shape [4, 384]
 */
export const flatten: (x: Tensor, startDim?: number, endDim?: number) => Tensor = marking('flatten', shape.flatten);
/**
 * Dimension `dim` as several of the given sizes, one of which may be −1. Shares memory (PyTorch: `torch.unflatten`).
 * @throws RuntimeError where the sizes do not multiply up to that of `dim`.
 */
export const unflatten: (x: Tensor, dim: number, sizes: Shape) => Tensor = marking('unflatten', shape.unflatten);
/**
 * Without the dimensions of size 1, or without those given, where they have size 1. Shares memory (PyTorch:
 * `torch.squeeze`).
 */
export const squeeze: (x: Tensor, dim?: number | readonly number[]) => Tensor = marking('squeeze', shape.squeeze);
/** With a new dimension of size 1 at `dim`. Shares memory (PyTorch: `torch.unsqueeze`). */
export const unsqueeze: (x: Tensor, dim: number) => Tensor = marking('unsqueeze', shape.unsqueeze);
/**
 * The dimensions in another order; always a copy (PyTorch: `torch.permute`).
 * @throws RuntimeError unless each dimension is named once.
 * @example
 * permute(x, [0, 2, 3, 1]); // (N, C, H, W) to (N, H, W, C)
 */
export const permute: (x: Tensor, dims: readonly number[]) => Tensor = marking('permute', shape.permute);
/** Two dimensions exchanged; always a copy (PyTorch: `torch.transpose`). */
export const transpose: (x: Tensor, dim0: number, dim1: number) => Tensor = marking('transpose', shape.transpose);
/**
 * Dimensions of size 1 repeated to the given sizes, −1 for as it is, new dimensions in front; always a copy (PyTorch:
 * `Tensor.expand`).
 * @throws RuntimeError on another size for a dimension that is not 1.
 */
export const expand: (x: Tensor, shape: Shape) => Tensor = marking('expand', broadcast.expand);
/**
 * `length` elements of a dimension from `start` on, which counts from the end where negative; a copy (PyTorch:
 * `torch.narrow`).
 * @throws IndexError or RuntimeError where that reaches beyond the dimension.
 */
export const narrow: (x: Tensor, dim: number, start: number, length: number) => Tensor = marking(
  'narrow',
  shape.narrow,
);
/**
 * Elements `start`, `start + step`, … before `end` of a dimension, limits clipped, negative ones from the end; a copy
 * (PyTorch: `x[start:end:step]`).
 * @throws ValueError on a step that is not positive.
 */
export const slice: (x: Tensor, dim: number, start?: number, end?: number, step?: number) => Tensor = marking(
  'slice',
  shape.slice,
);
/**
 * The part at one index of a dimension, which disappears; negative indices count from the end; a copy (PyTorch:
 * `torch.select`).
 * @throws IndexError on an index outside of the dimension.
 */
export const select: (x: Tensor, dim: number, index: number) => Tensor = marking('select', shape.select);
/**
 * Pieces of the given size (the last may be smaller), or of the given sizes, along a dimension, by default the first;
 * copies (PyTorch: `torch.split`).
 * @throws RuntimeError on sizes that do not add up to the dimension.
 */
export const split: (x: Tensor, sizes: number | readonly number[], dim?: number) => Tensor[] = marking(
  'split',
  shape.split,
);
/**
 * At most `count` pieces of equal size, the last smaller, along a dimension, by default the first; copies (PyTorch:
 * `torch.chunk`).
 */
export const chunk: (x: Tensor, count: number, dim?: number) => Tensor[] = marking('chunk', shape.chunk);

/**
 * The square brackets: what the entries select, one entry for each dimension from the first on (PyTorch: `x[…]`). A
 * copy, always: to write, use `setIndex`.
 * @throws IndexError on too many entries, or an index outside of its dimension.
 * @example
 * index(x, 0); // the first image
 * index(x, '...', '1:-1'); // without the first and last column
 * index(x, [0, 2], ':', 3); // the third row of images 0 and 2
 */
export function index(x: Tensor, ...specs: brackets.IndexSpec[]): Tensor {
  const result = brackets.index(x, ...specs);
  if (brackets.selectsView(specs)) markSelected('index', x, result);
  return result;
}

/**
 * A matrix with its two dimensions exchanged, a copy; tensors of fewer dimensions as they are (PyTorch: `torch.t`).
 * @throws RuntimeError on more than two dimensions.
 */
export function t(x: Tensor): Tensor {
  const result = shape.t(x);
  markSelected('t', x, result);
  return result;
}
