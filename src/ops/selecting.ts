// What users call of the operations that give views in PyTorch and copies here: the same functions, whose copies are marked, so that a change in
// place that is lost can be told of (tensor/selected.ts). The library calls them in shape_ops.ts, unmarked: its results are nobody's views.
import { markSelected } from '../tensor/selected.ts';
import type { Tensor } from '../tensor/tensor.ts';
import * as brackets from './brackets.ts';
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

/** The same elements, in row-major order, under another shape; see `Tensor.reshape`. Shares memory (PyTorch: `torch.reshape`). */
export const reshape: typeof shape.reshape = marking('reshape', shape.reshape);
/** Dimensions `startDim` … `endDim` as one. Shares memory (PyTorch: `torch.flatten`; defaults: all). */
export const flatten: typeof shape.flatten = marking('flatten', shape.flatten);
/** Dimension `dim` as several of the given sizes. Shares memory (PyTorch: `torch.unflatten`). */
export const unflatten: typeof shape.unflatten = marking('unflatten', shape.unflatten);
/** Without the dimensions of size 1, or without those given, where they have size 1. Shares memory (PyTorch: `torch.squeeze`). */
export const squeeze: typeof shape.squeeze = marking('squeeze', shape.squeeze);
/** With a dimension of size 1 at `dim`. Shares memory (PyTorch: `torch.unsqueeze`). */
export const unsqueeze: typeof shape.unsqueeze = marking('unsqueeze', shape.unsqueeze);
/** The dimensions in another order; a copy (PyTorch: `torch.permute`). */
export const permute: typeof shape.permute = marking('permute', shape.permute);
/** Two dimensions exchanged; a copy (PyTorch: `torch.transpose`). */
export const transpose: typeof shape.transpose = marking('transpose', shape.transpose);
/** Size-1 dimensions repeated to the given sizes, −1 for as it is, new ones in front; a copy (PyTorch: `Tensor.expand`). */
export const expand: typeof shape.expand = marking('expand', shape.expand);
/** `length` elements of a dimension from `start` on; a copy (PyTorch: `torch.narrow`). */
export const narrow: typeof shape.narrow = marking('narrow', shape.narrow);
/** Elements `start`, `start + step`, … before `end` of a dimension; a copy (PyTorch: `x[start:end:step]`). */
export const slice: typeof shape.slice = marking('slice', shape.slice);
/** The sub-tensor at one index of a dimension, which disappears; a copy (PyTorch: `torch.select`). */
export const select: typeof shape.select = marking('select', shape.select);
/** Pieces of the given size (the last may be smaller), or of the given sizes, along a dimension; copies (PyTorch: `torch.split`). */
export const split: typeof shape.split = marking('split', shape.split);
/** At most `count` pieces of equal size, the last smaller; copies (PyTorch: `torch.chunk`). */
export const chunk: typeof shape.chunk = marking('chunk', shape.chunk);

/** The square brackets; see `index` in brackets.ts. Where index tensors take part, PyTorch copies too. */
export function index(x: Tensor, ...specs: brackets.IndexSpec[]): Tensor {
  const result = brackets.index(x, ...specs);
  if (brackets.selectsView(specs)) markSelected('index', x, result);
  return result;
}

/** A matrix with its two dimensions exchanged, a copy; tensors of fewer dimensions as they are (PyTorch: `Tensor.t`). */
export function t(x: Tensor): Tensor {
  const result = shape.t(x);
  markSelected('t', x, result);
  return result;
}
