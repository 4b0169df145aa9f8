// Tensors cut into parts and put together in further ways: splits by name, blocks, products of sets, powers; and values
// written into copies. Nothing here has a kernel of its own.
import { requireInteger, requireIntegers } from '../checks.ts';
import { ArgumentTypeError, IndexError, RuntimeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { arangeOn, fullOn, tensorOn } from '../tensor/create.ts';
import { isFloat } from '../tensor/dtype.ts';
import { requireSameDevice, requireTensor } from '../tensor/requirements.ts';
import { broadcastShapes as common, formatShape, normalizeDim, type Shape, sameShape } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { expand } from './broadcast.ts';
import { cast } from './convert.ts';
import { diagEmbed, positionsOfDiagonal } from './diagonals.ts';
import { floorDivide, pow, remainder } from './elementwise.ts';
import { addAt, indexCopy, indexSelect, nonzero, pickAt, positionsOf, putAt } from './indexing.ts';
import { meshgrid, tensorSplit, withRank } from './rearranging.ts';
import {
  cat,
  flatten,
  permute,
  replaceSelected,
  reshape,
  selectedIndex,
  sliceRange,
  stack,
  unsqueeze,
  wholeOf,
} from './shape_ops.ts';

// ---- parts ----------------------------------------------------------------------------------------------------------

function splitAlong(op: string, x: Tensor, sections: number | readonly number[], dim: number, least: number): Tensor[] {
  requireTensor(op, x);
  if (x.rank < least)
    throw new RuntimeError(
      `${op} requires a tensor with at least ${least} dimension${least === 1 ? '' : 's'}, but got a tensor with ${x.rank} dimensions!`,
    );
  const d = Math.min(dim, x.rank - 1);
  if (typeof sections === 'number') {
    requireInteger(op, 'sections', sections);
    if (sections <= 0 || x.shape[d] % sections !== 0)
      throw new RuntimeError(
        `${op} attempted to split along dimension ${d}, but the size of the dimension ${x.shape[d]} is not divisible by the split size ${sections}!`,
      );
  } else requireIntegers(op, 'sections', sections);
  return tensorSplit(x, sections, d);
}
/**
 * x in equal parts, or between positions, side by side: along the second dimension, of a vector along its only one;
 * copies (PyTorch: `torch.hsplit`).
 * @throws RuntimeError where the size is no multiple of the number of parts, or on a single number.
 * @example
 * hsplit(x, [2]); // x[:, :2] and x[:, 2:]
 */
export const hsplit = (x: Tensor, sections: number | readonly number[]): Tensor[] =>
  splitAlong('hsplit', x, sections, 1, 1);
/**
 * x in equal parts, or between positions, one below the other: along the first dimension; copies (PyTorch:
 * `torch.vsplit`).
 * @throws RuntimeError where the size is no multiple of the number of parts, or on fewer than two dimensions.
 */
export const vsplit = (x: Tensor, sections: number | readonly number[]): Tensor[] =>
  splitAlong('vsplit', x, sections, 0, 2);
/**
 * x in equal parts, or between positions, along the third dimension; copies (PyTorch: `torch.dsplit`).
 * @throws RuntimeError where the size is no multiple of the number of parts, or on fewer than three dimensions.
 */
export const dsplit = (x: Tensor, sections: number | readonly number[]): Tensor[] =>
  splitAlong('dsplit', x, sections, 2, 3);

/** x, a single number as a vector of one element (PyTorch: `torch.atleast_1d`). */
export function atleast1d(x: Tensor): Tensor {
  requireTensor('atleast1d', x);
  return withRank(x, 1);
}
/** x, a vector as a matrix of one row (PyTorch: `torch.atleast_2d`). */
export function atleast2d(x: Tensor): Tensor {
  requireTensor('atleast2d', x);
  return withRank(x, 2);
}
/** x, a vector as (1, n, 1), a matrix as (m, n, 1) (PyTorch: `torch.atleast_3d`). */
export function atleast3d(x: Tensor): Tensor {
  requireTensor('atleast3d', x);
  return withRank(x, 3);
}

// ---- shapes of others -----------------------------------------------------------------------------------------------

/**
 * The shape to which all of these are broadcast; a number is a shape of one dimension (PyTorch:
 * `torch.broadcast_shapes`).
 * @throws RuntimeError where there is none.
 * @example
 * broadcastShapes([2, 1], [3], [4, 1, 1]); // [4, 2, 3]
 */
export function broadcastShapes(...shapes: readonly (Shape | number)[]): number[] {
  const all = shapes.map((one) => (typeof one === 'number' ? [one] : one));
  for (const shape of all) requireIntegers('broadcastShapes', 'shapes', shape, 0);
  return all.reduce<number[]>((a, b) => common(a, b), []);
}

// ---- together -------------------------------------------------------------------------------------------------------

/**
 * A matrix that has the given ones, vectors as rows, along its diagonal, and 0 elsewhere (PyTorch: `torch.block_diag`).
 * @throws RuntimeError on tensors of more than two dimensions.
 * @example
 * blockDiag(ones([2, 2]), tensor([[3]])); // shape [3, 3]
 */
export function blockDiag(...tensors: readonly Tensor[]): Tensor {
  if (tensors.length === 0) throw new ArgumentTypeError('[blockDiag] expected tensors, got none');
  const blocks = tensors.map((x) => {
    requireTensor('blockDiag', x);
    if (x.rank > 2) throw new RuntimeError(`blockDiag: Input tensors must have 2 or fewer dimensions. Got ${x.rank}-D`);
    return atleast2d(x);
  });
  requireSameDevice('blockDiag', ...blocks);
  const columns = blocks.map((x) => x.shape[1]);
  const all = columns.reduce((a, b) => a + b, 0);
  let before = 0;
  const rows = blocks.map((x, i) => {
    const zeros = (n: number) => fullOn(x.backend, [x.shape[0], n], 0, x.dtype);
    const parts = [zeros(before), x, zeros(all - before - columns[i])];
    before += columns[i];
    return cat(parts, 1);
  });
  return cat(rows, 0);
}

/**
 * Every choice of one element of each vector, a row for each (PyTorch: `torch.cartesian_prod`). Of one vector: itself.
 * @throws RuntimeError on what is no vector.
 * @example
 * cartesianProd(tensor([1, 2]), tensor([3, 4])); // [[1, 3], [1, 4], [2, 3], [2, 4]]
 */
export function cartesianProd(...tensors: readonly Tensor[]): Tensor {
  if (tensors.length === 0) throw new ArgumentTypeError('[cartesianProd] expected tensors, got none');
  for (const x of tensors) {
    requireTensor('cartesianProd', x);
    if (x.rank !== 1)
      throw new RuntimeError(`cartesianProd: Expect a 1D vector, but got shape ${formatShape(x.shape)}`);
  }
  if (tensors.length === 1) return tensors[0];
  return stack(
    meshgrid(tensors, { indexing: 'ij' }).map((t) => flatten(t)),
    1,
  );
}

/** Options of `combinations`. */
export interface CombinationsOptions {
  /** Whether an element may be chosen again. Default: false. */
  withReplacement?: boolean;
}
const combinationsOptions = declareOptions<CombinationsOptions>({ withReplacement: kind.flag });

/**
 * Every choice of r elements of a vector, in its order, a row for each (PyTorch: `torch.combinations`).
 * @param r by default 2.
 * @throws RuntimeError on what is no vector, or a negative r.
 * @example
 * combinations(tensor([1, 2, 3])); // [[1, 2], [1, 3], [2, 3]]
 */
export function combinations(x: Tensor, r = 2, options: CombinationsOptions = {}): Tensor {
  requireTensor('combinations', x);
  requireInteger('combinations', 'r', r);
  requireOptions('combinations', options, combinationsOptions);
  if (x.rank !== 1) throw new RuntimeError(`Expect a 1D vector, but got shape ${formatShape(x.shape)}`);
  if (r < 0) throw new RuntimeError(`Expect a non-negative number, but got ${r}`);
  if (r === 0) return fullOn(x.backend, [0], 0, x.dtype);
  const rows = choicesOf(x.size, r, options.withReplacement ?? false);
  const places = tensorOn(x.backend, rows, 'int64');
  return reshape(indexSelect(x, 0, places), [rows.length / r, r]);
}
/** Every choice of r of the numbers below n, ascending, one behind the other. */
function choicesOf(n: number, r: number, again: boolean): number[] {
  const all: number[] = [];
  const chosen: number[] = [];
  const choose = (least: number): void => {
    if (chosen.length === r) all.push(...chosen);
    else
      for (let i = least; i < n; i++) {
        chosen.push(i);
        choose(again ? i : i + 1);
        chosen.pop();
      }
  };
  choose(0);
  return all;
}

/** Options of `vander`. */
export interface VanderOptions {
  /** Begin with the power 0. Default: false. */
  increasing?: boolean;
}
const vanderOptions = declareOptions<VanderOptions>({ increasing: kind.flag });

/**
 * The powers n − 1 … 0 of each element of a vector, a row for each (PyTorch: `torch.vander`).
 * @param n by default the vector's size.
 * @throws RuntimeError on what is no vector, or a negative n.
 * @example
 * vander(tensor([2, 3]), 3); // [[4, 2, 1], [9, 3, 1]]
 */
export function vander(x: Tensor, n: number | null = null, options: VanderOptions = {}): Tensor {
  requireTensor('vander', x);
  requireOptions('vander', options, vanderOptions);
  if (x.rank !== 1) throw new RuntimeError('x must be a one-dimensional tensor.');
  const count = n === null ? x.size : requireInteger('vander', 'n', n);
  if (count < 0) throw new RuntimeError('N must be non-negative.');
  const dtype = x.dtype === 'bool' || (!isFloat(x.dtype) && x.dtype !== 'int64') ? 'int64' : x.dtype;
  const column = unsqueeze(cast(x, dtype), 1);
  const [start, step] = options.increasing ? [0, 1] : [count - 1, -1];
  return pow(column, arangeOn(x.backend, count, dtype, start, step));
}

/**
 * A matrix that is 0 but for one diagonal, which holds all elements of x in their order (PyTorch: `torch.diagflat`).
 * @param offset of the diagonal; by default 0, the main one.
 */
export function diagflat(x: Tensor, offset = 0): Tensor {
  requireTensor('diagflat', x);
  requireInteger('diagflat', 'offset', offset);
  return diagEmbed(flatten(x), offset);
}

// ---- written into copies --------------------------------------------------------------------------------------------

function requirePart(op: string, x: Tensor, part: Tensor, shape: Shape, what: string): void {
  requireTensor(op, part);
  requireSameDevice(op, x, part);
  if (!sameShape(part.shape, shape))
    throw new RuntimeError(
      `expected src to have a size equal to the ${what} of x. source size = ${formatShape(part.shape)}, ${what} size = ${formatShape(shape)}`,
    );
}

/**
 * x with `source` in the place of one index of a dimension (PyTorch: `torch.select_scatter`).
 * @throws RuntimeError where `source` has not the shape of that slice; IndexError on an index outside.
 * @example
 * selectScatter(zeros([2, 2]), ones([2]), 0, 1); // [[0, 0], [1, 1]]
 */
export function selectScatter(x: Tensor, source: Tensor, dim: number, index: number): Tensor {
  const [d, at] = selectedIndex('selectScatter', x, dim, index);
  requirePart(
    'selectScatter',
    x,
    source,
    x.shape.filter((_, i) => i !== d),
    'slice',
  );
  const selection = wholeOf(x.shape);
  selection.start[d] = at;
  selection.shape[d] = 1;
  return replaceSelected(x, selection, cast(unsqueeze(source, d), x.dtype), false);
}

/**
 * x with `source` in the place of a slice of a dimension, by default the first (PyTorch: `torch.slice_scatter`).
 * @throws RuntimeError where `source` has not the shape of that slice.
 * @example
 * sliceScatter(zeros([4]), ones([2]), 0, 1, 3); // [0, 1, 1, 0]
 */
export function sliceScatter(
  x: Tensor,
  source: Tensor,
  dim = 0,
  start: number | null = null,
  end: number | null = null,
  step = 1,
): Tensor {
  requireTensor('sliceScatter', x);
  if (x.rank === 0) throw new IndexError('slice() cannot be applied to a 0-dim tensor.');
  const d = normalizeDim(dim, x.rank, 'sliceScatter');
  const range = sliceRange('sliceScatter', x.shape[d], start, end, step);
  const selection = wholeOf(x.shape);
  selection.start[d] = range.start;
  selection.step[d] = range.step;
  selection.shape[d] = range.length;
  requirePart('sliceScatter', x, source, selection.shape, 'slice');
  return replaceSelected(x, selection, cast(source, x.dtype), false);
}

/**
 * x with `source` in the place of a diagonal of the matrices in two dimensions, by default the first two; `source` has
 * the shape of `diagonal` (PyTorch: `torch.diagonal_scatter`).
 * @throws RuntimeError where `source` has another shape, or both dimensions are the same.
 */
export function diagonalScatter(x: Tensor, source: Tensor, offset = 0, dim1 = 0, dim2 = 1): Tensor {
  requireTensor('diagonalScatter', x);
  requireInteger('diagonalScatter', 'offset', offset);
  const [a, b] = [normalizeDim(dim1, x.rank, 'diagonalScatter'), normalizeDim(dim2, x.rank, 'diagonalScatter')];
  if (a === b) throw new RuntimeError(`diagonal dimensions cannot be identical ${dim1}, ${dim2}`);
  const others = x.shape.map((_, d) => d).filter((d) => d !== a && d !== b);
  const [rows, columns] = [x.shape[a], x.shape[b]];
  const at = positionsOfDiagonal(x.backend, rows, columns, offset);
  const lead = others.map((d) => x.shape[d]);
  requirePart('diagonalScatter', x, source, [...lead, at.size], 'slice');
  const order = [...others, a, b];
  const flat = reshape(permute(x, order), [...lead, rows * columns]);
  const written = reshape(indexCopy(flat, others.length, at, cast(source, x.dtype)), [...lead, rows, columns]);
  return permute(
    written,
    x.shape.map((_, d) => order.indexOf(d)),
  );
}

// ---- places in all elements -----------------------------------------------------------------------------------------

const wholePositions = (op: string, x: Tensor, index: Tensor): Tensor => {
  requireTensor(op, x);
  requireTensor(op, index);
  requireSameDevice(op, x, index);
  if (index.dtype !== 'int64')
    throw new RuntimeError(`${op}(): Expected a long tensor for index, but got ${index.dtype}`);
  if (x.size === 0 && index.size > 0) throw new IndexError(`${op}(): tried to take from an empty tensor`);
  const flat = flatten(index);
  const axis = { index: flat, dim: 0, n: x.size, step: 1 };
  return positionsOf(op, [axis], flat.shape, [0], true);
};

/**
 * The elements of flattened x at the given places, in the shape of `index`; negative places count from the end
 * (PyTorch: `torch.take`).
 * @throws IndexError on a place outside; RuntimeError on an index other than int64.
 * @example
 * take(tensor([[4, 3], [2, 1]]), tensor([0, 3], { dtype: 'int64' })); // [4, 1]
 */
export function take(x: Tensor, index: Tensor): Tensor {
  const places = wholePositions('take', x, index);
  return reshape(pickAt(flatten(x), 0, places, 'take'), index.shape);
}

/** Options of `put`. */
export interface PutOptions {
  /** Add to what is there. Default: false. */
  accumulate?: boolean;
}
const putOptions = declareOptions<PutOptions>({ accumulate: kind.flag });

/**
 * x with the elements of `source` at the given places of flattened x; of equal ones the last counts, or with
 * `accumulate` all are added (PyTorch: `Tensor.put`).
 * @throws IndexError on a place outside; RuntimeError where `source` has another number of elements or dtype.
 */
export function put(x: Tensor, index: Tensor, source: Tensor, options: PutOptions = {}): Tensor {
  requireTensor('put', x);
  requireTensor('put', index);
  requireTensor('put', source);
  requireOptions('put', options, putOptions);
  if (source.dtype !== x.dtype)
    throw new RuntimeError(
      `put(): x and source expected to have the same dtype, but got x.dtype = ${x.dtype} and source.dtype = ${source.dtype}`,
    );
  if (source.size !== index.size)
    throw new RuntimeError(
      `put(): Expected source and index to have the same number of elements, but got source.numel() = ${source.size}, index.numel() = ${index.size}`,
    );
  requireSameDevice('put', x, source);
  const places = wholePositions('put', x, index);
  if (!options.accumulate) return reshape(putAt(flatten(x), 0, places, flatten(source), false, 'put'), x.shape);
  const [base, terms] = x.dtype === 'bool' ? [cast(x, 'int64'), cast(source, 'int64')] : [x, source];
  return reshape(cast(addAt(flatten(base), 0, places, flatten(terms), false, 'put'), x.dtype), x.shape);
}

/**
 * The indices of all elements that are not 0, as `nonzero` (PyTorch: `torch.argwhere`).
 * @example
 * argwhere(tensor([[0, 5], [7, 0]])); // [[0, 1], [1, 0]]
 */
export function argwhere(x: Tensor): Tensor {
  requireTensor('argwhere', x);
  return nonzero(x);
}

/**
 * The indices along each dimension of a shape that places in its flattened elements have (PyTorch:
 * `torch.unravel_index`).
 * @throws ArgumentTypeError on floats and bool.
 * @example
 * unravelIndex(tensor([5], { dtype: 'int64' }), [2, 3]); // [[1], [2]]
 */
export function unravelIndex(indices: Tensor, shape: Shape): Tensor[] {
  requireTensor('unravelIndex', indices);
  requireIntegers('unravelIndex', 'shape', shape, 0);
  if (isFloat(indices.dtype) || indices.dtype === 'bool')
    throw new ArgumentTypeError(`expected 'indices' to be integer dtype, but got ${indices.dtype}`);
  let rest = cast(indices, 'int64');
  const found: Tensor[] = [];
  for (const size of [...shape].reverse()) {
    found.unshift(remainder(rest, size));
    rest = floorDivide(rest, size);
  }
  return found;
}

// ---- by another tensor ----------------------------------------------------------------------------------------------

/** x in the shape of another tensor, broadcast; a copy (PyTorch: `Tensor.expand_as`). */
export function expandAs(x: Tensor, other: Tensor): Tensor {
  requireTensor('expandAs', x);
  requireTensor('expandAs', other);
  return expand(x, other.shape);
}
/** x in the shape of another tensor. Shares memory (PyTorch: `Tensor.reshape_as`). */
export function reshapeAs(x: Tensor, other: Tensor): Tensor {
  requireTensor('reshapeAs', x);
  requireTensor('reshapeAs', other);
  return reshape(x, other.shape);
}
/** As `reshapeAs` (PyTorch: `Tensor.view_as`). */
export function viewAs(x: Tensor, other: Tensor): Tensor {
  requireTensor('viewAs', x);
  requireTensor('viewAs', other);
  return reshape(x, other.shape);
}
