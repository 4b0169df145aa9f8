// Ops that read, write and add elements at index tensors: gather, scatter, index select, masks, embedding. Each is made
// of three operations (and two fast paths) along the middle axis of (outer, n, inner). Positions are checked before a
// kernel uses them. The square brackets are in brackets.ts.
import { defineOp, type TensorInfo } from '../autograd/define_op.ts';
import { requireElement, shown } from '../checks.ts';
import type { Backend } from '../device/backend.ts';
import { ArgumentTypeError, EvenkeelError, IndexError, RuntimeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { rowMajor } from '../tensor/copy.ts';
import { asElement, fromTypedArrayOn, fullOn, requireRepresentable, tensorOn } from '../tensor/create.ts';
import { type DType, isFloat } from '../tensor/dtype.ts';
import { requireSameDevice, requireTensor } from '../tensor/requirements.ts';
import {
  aroundDim,
  broadcastShapes,
  broadcastStrides,
  formatShape,
  normalizeDim,
  type Shape,
  sameShape,
  stridesOf,
} from '../tensor/shape.ts';
import { allocate, requireKnownShape, type Tensor, viewAs } from '../tensor/tensor.ts';
import { broadcastTo } from './broadcast.ts';
import { cast, clone } from './convert.ts';
import type { Operand } from './elementwise/binary.ts';
import { mul, ne, where } from './elementwise.ts';
import { flatten, reshape, selected, targetOf, wholeOf } from './shape_ops.ts';

// ---- indices ------------------------------------------------------------------------------------------------------

/** Indices of one of the given dtypes, as int64 in row-major order; others are refused. */
export function requireIndices(op: string, index: Tensor, allowed: readonly DType[] = ['int32', 'int64']): Tensor {
  requireTensor(op, index);
  if (!allowed.includes(index.dtype))
    throw new RuntimeError(`${op}(): Expected dtype ${allowed.join('/')} for index, got ${index.dtype}`);
  return rowMajor(cast(index, 'int64'));
}
const longOnly: readonly DType[] = ['int64'];
/** The same for operations that do not check the dtype of an empty index, as in PyTorch. */
function requireIndicesIfAny(op: string, index: Tensor): Tensor {
  requireTensor(op, index);
  return index.size === 0 ? cast(index, 'int64') : requireIndices(op, index);
}

/** Launches a kernel that checks indices from `least` to n − 1; when it finds a bad one, the error names it. */
export function checkingIndices(
  op: string,
  index: Tensor,
  dim: number,
  least: number,
  n: number,
  launch: () => void,
): void {
  try {
    launch();
  } catch (error) {
    if (!(error instanceof EvenkeelError)) throw error;
    const bad = Array.from(index.dataSync() as ArrayLike<number | bigint>, Number).find((i) => !(i >= least && i < n));
    if (bad === undefined) throw error;
    throw new IndexError(`[${op}] index ${bad} is out of bounds for dimension ${dim} with size ${n}`);
  }
}

/** One of several index tensors, and the elements between its positions. */
export interface IndexedAxis {
  /** int64, row-major; broadcast to the leading part of the positions' shape. */
  readonly index: Tensor;
  /** Of x: for errors. */
  readonly dim: number;
  /** The axis' size, and elements from one of its places to the next. */
  readonly n: number;
  readonly step: number;
}

/**
 * Positions, int64, of a shape: Σ step·index over the axes, and ramp[d] for each step along dimension d. With `wrap`,
 * negative indices count from the end. Throws, naming the index, before anything else has happened.
 */
export function positionsOf(
  op: string,
  axes: readonly IndexedAxis[],
  shape: Shape,
  ramp: readonly number[],
  wrap: boolean,
): Tensor {
  const [{ index: first }] = axes;
  const { backend } = first;
  const positions = allocate(shape, 'int64', 'contiguous', backend);
  const none = ramp.map(() => 0);
  axes.forEach(({ index, dim, n, step }, i) => {
    requireSameDevice(op, first, index);
    const strides = broadcastStrides(index.shape, stridesOf(index.shape), shape);
    checkingIndices(op, index, dim, wrap ? -n : 0, n, () =>
      backend.launch.indexPositions(op, {
        index,
        positions,
        shape,
        indexStrides: strides,
        ramp: i === 0 ? ramp : none,
        n,
        step,
        wrap,
        accumulate: i > 0,
      }),
    );
  });
  return positions;
}

// ---- the three operations, and the fast paths ---------------------------------------------------------------------

/** Elements of x at `count` places along a dimension: a new tensor of the given shape. */
function launchPick(
  op: string,
  kernel: 'indexSelect' | 'gather',
  x: Tensor,
  dim: number,
  index: Tensor,
  count: number,
  shape: Shape,
): Tensor {
  const source = rowMajor(x);
  const out = allocate(shape, x.dtype, 'contiguous', x.backend);
  const [outer, n, inner] = aroundDim(x.shape, dim);
  checkingIndices(op, index, dim, 0, n, () =>
    x.backend.launch[kernel](op, { x: source, index, out, outer, n, count, inner }),
  );
  return out;
}

/** x, or with `over` x itself, with elements of `source` added or written at `count` places along a dimension. */
function launchWrite(
  op: string,
  kernel: 'indexAdd' | 'scatterAdd' | 'indexPut',
  x: Tensor,
  dim: number,
  index: Tensor,
  count: number,
  source: Tensor,
  over: boolean,
): Tensor {
  const out = targetOf(op, rowMajor(x), over);
  const values = rowMajor(source);
  const [outer, n, inner] = aroundDim(x.shape, dim);
  checkingIndices(op, index, dim, 0, n, () =>
    x.backend.launch[kernel](op, { x: values, index, out, outer, n, count, inner }),
  );
  return out;
}

const zerosFor = ({ backend, shape, dtype }: TensorInfo): Tensor => fullOn(backend, shape, 0, dtype);

/** Slices of x (dimension `dim`) at an index vector. `op`, here and below: what the user called. */
export const pickAt = defineOp({
  name: 'indexSelect',
  forward(ctx, x: Tensor, dim: number, index: Tensor, op: string) {
    const shape = x.shape.map((size, d) => (d === dim ? index.size : size));
    const out = launchPick(op, 'indexSelect', x, dim, index, index.size, shape);
    ctx.save(null, index);
    return out;
  },
  backward: (ctx, [g], x, dim) => [addAt(zerosFor(x), dim, ctx.saved[1], g, true, 'indexAdd'), null, null],
}) as (x: Tensor, dim: number, index: Tensor, op: string) => Tensor;

/**
 * x with slices of `source` added at an index vector, in its order; `over`: in x's own memory, which must be row-major.
 */
export const addAt = defineOp({
  name: 'indexAdd',
  forward(ctx, x: Tensor, dim: number, index: Tensor, source: Tensor, over: boolean, op: string) {
    const out = launchWrite(op, 'indexAdd', x, dim, index, index.size, source, over);
    ctx.save(index);
    return out;
  },
  backward: (ctx, [g], _x, dim) => [g, null, null, ctx.needs[3] ? pickAt(g, dim, ctx.saved[0], 'indexSelect') : null],
}) as (x: Tensor, dim: number, index: Tensor, source: Tensor, over: boolean, op: string) => Tensor;

/** x with slices of `source` in the place of those at an index vector, the last of equal ones; `over` as above. */
export const putAt = defineOp({
  name: 'indexPut',
  forward(ctx, x: Tensor, dim: number, index: Tensor, source: Tensor, over: boolean, op: string) {
    const out = launchWrite(op, 'indexPut', x, dim, index, index.size, source, over);
    ctx.save(index);
    return out;
  },
  backward(ctx, [g], _x, dim, _index, source) {
    const [index] = ctx.saved;
    return [
      ctx.needs[0] ? putAt(g, dim, index, zerosFor(source), false, 'indexPut') : null,
      null,
      null,
      ctx.needs[3] ? pickAt(g, dim, index, 'indexSelect') : null,
    ];
  },
}) as (x: Tensor, dim: number, index: Tensor, source: Tensor, over: boolean, op: string) => Tensor;

const gatherOp = defineOp({
  name: 'gather',
  forward(ctx, x: Tensor, dim: number, index: Tensor) {
    const out = launchPick('gather', 'gather', x, dim, index, index.shape[dim], index.shape);
    ctx.save(null, index);
    return out;
  },
  backward: (ctx, [g], x, dim) => [scatterAddOp(zerosFor(x), dim, ctx.saved[1], g, true), null, null],
}) as (x: Tensor, dim: number, index: Tensor) => Tensor;

const scatterAddOp = defineOp({
  name: 'scatterAdd',
  forward(ctx, x: Tensor, dim: number, index: Tensor, source: Tensor, over: boolean) {
    const out = launchWrite('scatterAdd', 'scatterAdd', x, dim, index, index.shape[dim], source, over);
    ctx.save(index);
    return out;
  },
  backward: (ctx, [g], _x, dim) => [g, null, null, ctx.needs[3] ? gatherOp(g, dim, ctx.saved[0]) : null],
}) as (x: Tensor, dim: number, index: Tensor, source: Tensor, over: boolean) => Tensor;

// ---- arguments ----------------------------------------------------------------------------------------------------

/** PyTorch sees a 0-d tensor as a vector of one element here. */
export const atLeast1d = (x: Tensor): Tensor => (x.rank === 0 ? reshape(x, [1]) : x);

/**
 * A value to be written to x, as a tensor: numbers are converted, as PyTorch converts them, and refused where they do
 * not fit the dtype.
 */
export function valueTensor(op: string, value: unknown, x: Tensor): Tensor {
  if (typeof value === 'number' || typeof value === 'boolean') return tensorOn(x.backend, value, x.dtype);
  if (typeof value !== 'object' || value === null || !('storage' in value))
    throw new ArgumentTypeError(`[${op}] expected a tensor or a number as value, got ${shown(value)}`);
  return value as Tensor;
}

/** One value in the dtype of what it fills, refused where it does not fit that. */
export function fittingFill(value: Tensor, dtype: DType): Tensor {
  if (value.dtype === dtype || isFloat(dtype) || value.device === 'meta') return cast(value, dtype);
  const element = value.item();
  requireRepresentable(element, dtype, isFloat(value.dtype));
  return reshape(tensorOn(value.backend, element, dtype), value.shape);
}

function requireSameDtype(op: string, x: Tensor, source: Tensor): void {
  if (source.dtype !== x.dtype)
    throw new RuntimeError(`[${op}] expected a source of x's dtype ${x.dtype}, got ${source.dtype}`);
}

export function requireVector(op: string, index: Tensor): void {
  if (index.rank > 1) throw new IndexError(`${op}(): Index is supposed to be a vector, but got dim: ${index.rank}`);
}

/** Sums of truth values are or: they are added as integers. */
const addable = (x: Tensor): Tensor => (x.dtype === 'bool' ? cast(x, 'int64') : x);

// ---- slices at an index vector ------------------------------------------------------------------------------------

/** The slices of a dimension at the given indices, which may repeat (PyTorch: `torch.index_select`). */
export function indexSelect(x: Tensor, dim: number, index: Tensor): Tensor {
  requireTensor('indexSelect', x);
  const indices = requireIndices('indexSelect', index);
  requireSameDevice('indexSelect', x, indices);
  requireVector('indexSelect', index);
  const d = normalizeDim(dim, x.rank, 'indexSelect');
  if (x.rank === 0 && index.size !== 1)
    throw new RuntimeError(`indexSelect(): Index to scalar can have only 1 value, got ${index.size} value(s)`);
  return x.rank === 0
    ? reshape(pickAt(reshape(x, [1]), 0, indices, 'indexSelect'), [])
    : pickAt(x, d, indices, 'indexSelect');
}

/** Checks that `source` holds one slice of x for every index. */
function requireSlices(op: string, x: Tensor, dim: number, index: Tensor, source: Tensor): void {
  requireVector(op, index);
  requireSameDtype(op, x, source);
  const expected = x.rank === 0 ? [] : x.shape.map((n, d) => (d === dim ? index.size : n));
  const fits = x.rank === 0 ? source.rank === 0 && index.size === 1 : sameShape(source.shape, expected);
  if (!fits)
    throw new RuntimeError(
      `[${op}] expected a source of shape ${formatShape(expected)} for ${index.size} indices, got ${formatShape(source.shape)}`,
    );
}

/** Options of `indexAdd`. */
export interface IndexAddOptions {
  /** Factor of what is added. Default: 1. */
  alpha?: number | boolean;
}
const indexAddOptions = declareOptions<IndexAddOptions>({ alpha: kind.numeric });

/**
 * x with alpha times slices of `source` added at the given indices of a dimension, in order; indices may repeat
 * (PyTorch: `torch.index_add`).
 * @throws RuntimeError unless `source` has x's dtype and shape, apart from one slice per index along `dim`; IndexError
 * on an index outside.
 */
export function indexAdd(x: Tensor, dim: number, index: Tensor, source: Tensor, options: IndexAddOptions = {}): Tensor {
  requireOptions('indexAdd', options, indexAddOptions);
  requireTensor('indexAdd', x);
  requireTensor('indexAdd', source);
  const indices = requireIndices('indexAdd', index);
  requireSameDevice('indexAdd', x, indices, source);
  const alpha = requireElement('indexAdd', 'alpha', options.alpha ?? 1);
  const d = normalizeDim(dim, x.rank, 'indexAdd');
  requireSlices('indexAdd', x, d, index, source);
  const factor = asElement(alpha, x.dtype);
  // Integers wrap around, so they are multiplied with all their bits.
  const scaled = () => (isFloat(x.dtype) ? mul(source, factor) : cast(mul(cast(source, 'int64'), factor), x.dtype));
  const terms = addable(factor === 1 ? source : scaled());
  return reshape(cast(addAt(addable(atLeast1d(x)), d, indices, atLeast1d(terms), false, 'indexAdd'), x.dtype), x.shape);
}

/**
 * x with slices of `source` in the place of those at the given indices of a dimension; of equal indices the last one
 * counts (PyTorch: `torch.index_copy`).
 * @throws RuntimeError unless `source` has x's dtype and shape, apart from one slice per index along `dim`; IndexError
 * on an index outside.
 */
export function indexCopy(x: Tensor, dim: number, index: Tensor, source: Tensor): Tensor {
  requireTensor('indexCopy', x);
  requireTensor('indexCopy', source);
  const indices = requireIndices('indexCopy', index, longOnly);
  requireSameDevice('indexCopy', x, indices, source);
  const d = normalizeDim(dim, x.rank, 'indexCopy');
  // A vector and a scalar take each other's slices, of one element.
  const isOne = x.rank < 2 && source.rank < 2 && source.size === 1;
  const slices = isOne ? reshape(source, x.rank === 0 ? [] : [1]) : source;
  requireSlices('indexCopy', x, d, index, slices);
  return reshape(putAt(atLeast1d(x), d, indices, atLeast1d(slices), false, 'indexCopy'), x.shape);
}

/**
 * x with one value, a number or a 0-d tensor, at the given indices of a dimension; negative ones count from the end
 * (PyTorch: `torch.index_fill`).
 * @throws IndexError on an index outside; RuntimeError on a value that does not fit the dtype.
 */
export function indexFill(x: Tensor, dim: number, index: Tensor, value: Operand): Tensor {
  requireTensor('indexFill', x);
  const indices = requireIndices('indexFill', index, longOnly);
  const fill = valueTensor('indexFill', value, x);
  requireSameDevice('indexFill', x, indices, fill);
  const d = normalizeDim(dim, x.rank, 'indexFill');
  requireVector('indexFill', index);
  if (fill.rank > 0)
    throw new RuntimeError(
      `indexFill only supports a 0-dimensional value tensor, but got tensor with ${fill.rank} dimension(s).`,
    );
  const whole = atLeast1d(x);
  const axis = { index: atLeast1d(indices), dim: d, n: whole.shape[d], step: 1 };
  const found = positionsOf('indexFill', [axis], [index.size], [0], true);
  // A position that the index names twice holds the value once, so its gradient counts once.
  const positions = fill.requiresGrad && x.device !== 'meta' ? distinct(found) : found;
  const shape = whole.shape.map((n, i) => (i === d ? positions.size : n));
  return reshape(
    putAt(whole, d, positions, broadcastTo(fittingFill(fill, x.dtype), shape), false, 'indexFill'),
    x.shape,
  );
}

/** Each position once. */
const distinct = (positions: Tensor): Tensor => {
  const values = new Set(positions.dataSync() as unknown as BigInt64Array);
  return fromTypedArrayOn(positions.backend, BigInt64Array.from(values), [values.size]);
};

// ---- single elements along a dimension ----------------------------------------------------------------------------

/** Whether an index of this shape runs through all of x apart from the dimension itself. */
export const isFull = (x: Tensor, dim: number, index: Tensor): boolean =>
  index.shape.every((n, d) => d === dim || n === x.shape[d]);

/** Positions in all of x of the elements that an index means, along a dimension. */
export function flatPositions(op: string, x: Tensor, dim: number, index: Tensor): Tensor {
  const strides = stridesOf(x.shape);
  const ramp = strides.map((stride, d) => (d === dim ? 0 : stride));
  const axis = { index, dim, n: x.shape[dim], step: strides[dim] };
  const positions = positionsOf(op, [axis], index.shape, ramp, false);
  return viewAs(positions, [positions.size]);
}

function checkIndexShape(op: string, x: Tensor, dim: number, index: Tensor, source: Tensor | null): void {
  const text = (what: string) => `[${op}] Index tensor must have the same number of dimensions as ${what} tensor`;
  if (index.rank !== x.rank) throw new RuntimeError(text('input'));
  if (source && index.rank !== source.rank) throw new RuntimeError(text('source'));
  const isLarger = (than: Shape, apart: number | null) => index.shape.some((n, d) => d !== apart && n > than[d]);
  if (isLarger(x.shape, dim) || (source && isLarger(source.shape, null)))
    throw new RuntimeError(
      `[${op}] Expected index ${formatShape(index.shape)} to be no larger than input ${formatShape(x.shape)} apart from dimension ${dim}${source ? ` and to be no larger size than source ${formatShape(source.shape)}` : ''}`,
    );
}

/**
 * out[i][j][k] = x[i][index[i][j][k]][k] for dim 1, and so on; the result has the shape of `index`, which may be
 * smaller than x in the other dimensions (PyTorch: `torch.gather`).
 * @throws RuntimeError where index has other than x's number of dimensions, or is larger; IndexError on an index
 * outside [0, n).
 */
export function gather(x: Tensor, dim: number, index: Tensor): Tensor {
  requireTensor('gather', x);
  const indices = requireIndicesIfAny('gather', index);
  requireSameDevice('gather', x, indices);
  const d = normalizeDim(dim, x.rank, 'gather');
  const [whole, places] = [atLeast1d(x), index.size === 0 ? null : atLeast1d(indices)];
  // Nothing is picked: then PyTorch does not compare shapes.
  if (!places) return reshape(pickAt(flatten(x), 0, viewAs(indices, [0]), 'gather'), index.shape);
  checkIndexShape('gather', whole, d, places, null);
  if (isFull(whole, d, places)) return reshape(gatherOp(whole, d, places), index.shape);
  const positions = flatPositions('gather', whole, d, places);
  return reshape(pickAt(flatten(whole), 0, positions, 'gather'), index.shape);
}

/**
 * What scatter and scatterAdd have in common: x, index and source, of as many elements as the index, or null where
 * there is none.
 */
export function scattered(op: string, x: Tensor, dim: number, index: Tensor, value: Operand) {
  requireTensor(op, x);
  const indices = requireIndicesIfAny(op, index);
  const source = valueTensor(op, value, x);
  requireSameDevice(op, x, indices, source);
  const d = normalizeDim(dim, x.rank, op);
  if (source.dtype !== x.dtype)
    throw new RuntimeError(`[${op}] Expected input and source of equal dtypes, got ${x.dtype} and ${source.dtype}`);
  if (index.size === 0) return null;
  const [whole, places] = [atLeast1d(x), atLeast1d(indices)];
  const from = typeof value === 'object' ? atLeast1d(source) : broadcastTo(source, places.shape);
  checkIndexShape(op, whole, d, places, from);
  const used = sameShape(from.shape, places.shape)
    ? from
    : selected(from, { ...wholeOf(from.shape), shape: places.shape });
  return { whole, d, places, used };
}

/**
 * x with elements of `source`, or one number, at x[i][index[i][j][k]][k] (dim 1), and so on; of equal indices the last
 * one counts. `index` may be smaller than x and source (PyTorch: `torch.scatter`).
 * @throws RuntimeError on shapes or dtypes that do not fit; IndexError on an index outside [0, n).
 */
export const scatter = (x: Tensor, dim: number, index: Tensor, source: Operand): Tensor =>
  scatterFor('scatter', x, dim, index, source);
/** The same for another function, which errors name. */
export function scatterFor(op: string, x: Tensor, dim: number, index: Tensor, source: Operand): Tensor {
  const given = scattered(op, x, dim, index, source);
  if (!given) return clone(x);
  const { whole, d, places, used } = given;
  const positions = flatPositions(op, whole, d, places);
  return reshape(putAt(flatten(whole), 0, positions, flatten(used), false, op), x.shape);
}

/**
 * x with elements of `source` added at x[i][index[i][j][k]][k] (dim 1), and so on, in order; `index` may be smaller
 * than x and source (PyTorch: `torch.scatter_add`).
 * @throws RuntimeError on shapes or dtypes that do not fit; IndexError on an index outside [0, n).
 */
export function scatterAdd(x: Tensor, dim: number, index: Tensor, source: Tensor): Tensor {
  requireTensor('scatterAdd', source);
  const given = scattered('scatterAdd', x, dim, index, source);
  if (!given) return clone(x);
  const { whole, d, places, used } = given;
  const [base, terms] = [addable(whole), addable(used)];
  const sum = isFull(whole, d, places)
    ? scatterAddOp(base, d, places, terms, false)
    : addAt(flatten(base), 0, flatPositions('scatterAdd', whole, d, places), flatten(terms), false, 'scatterAdd');
  return reshape(cast(sum, x.dtype), x.shape);
}

/**
 * As `gather`, but x and `indices` are broadcast apart from `dim`, and negative indices count from the end; without
 * `dim`, of flattened x, and without negative ones (PyTorch: `torch.take_along_dim`).
 */
export function takeAlongDim(x: Tensor, indices: Tensor, dim?: number): Tensor {
  requireTensor('takeAlongDim', x);
  const flat = dim === undefined;
  const places = flat
    ? requireIndicesIfAny('takeAlongDim', indices)
    : requireIndices('takeAlongDim', indices, longOnly);
  requireSameDevice('takeAlongDim', x, places);
  const whole = flat ? flatten(x) : x;
  const index = flat ? viewAs(places, [places.size]) : places;
  if (whole.rank !== index.rank)
    throw new RuntimeError(
      `takeAlongDim(): input and indices should have the same number of dimensions, but got ${whole.rank} dimensions for input, and ${index.rank} dimensions for indices`,
    );
  if (whole.rank === 0)
    throw new IndexError(`[takeAlongDim] Dimension specified as ${dim} but tensor has no dimensions`);
  const d = normalizeDim(dim ?? 0, whole.rank, 'takeAlongDim');
  const one = (shape: Shape) => shape.map((n, i) => (i === d ? 1 : n));
  const common = broadcastShapes(one(whole.shape), one(index.shape));
  const along = (n: number) => common.map((size, i) => (i === d ? n : size));
  const n = whole.shape[d];
  const shape = along(index.shape[d]);
  const positions = positionsOf(
    'takeAlongDim',
    [{ index, dim: d, n, step: 1 }],
    shape,
    shape.map(() => 0),
    !flat,
  );
  return gatherOp(broadcastTo(whole, along(n)), d, positions);
}

// ---- masks --------------------------------------------------------------------------------------------------------

/** Positions in flattened x where it is not 0, or a mask holds. `op`: what the user called. */
function placesOf(x: Tensor, op: string): Int32Array {
  requireKnownShape(op, x);
  const mask = (x.dtype === 'bool' ? x : ne(x, 0)).dataSync();
  let count = 0;
  for (let i = 0; i < mask.length; i++) count += mask[i] as number;
  // Without a branch, which random masks mislead; so the last place is written in vain.
  const places = new Int32Array(count + 1);
  for (let i = 0, at = 0; i < mask.length; i++) {
    places[at] = i;
    at += mask[i] as number;
  }
  return places.subarray(0, count);
}

/**
 * An int64 tensor of integers that are not negative, by their low and high halves: bigints would cost ten times as
 * much.
 */
function longTensor(backend: Backend, values: Int32Array, shape: Shape): Tensor {
  const halves = new Int32Array(2 * values.length);
  for (let i = 0; i < values.length; i++) halves[2 * i] = values[i];
  return fromTypedArrayOn(backend, new BigInt64Array(halves.buffer), shape);
}

/** The positions in flattened x where it is not 0, or a mask holds, in order; int64. `op`: what the user called. */
export function nonzeroPositions(x: Tensor, op: string): Tensor {
  const places = placesOf(x, op);
  return longTensor(x.backend, places, [places.length]);
}

/**
 * The indices of all elements that are not 0: one row for each, in row-major order; int64 of shape [count, rank]
 * (PyTorch: `torch.nonzero`).
 * @example
 * nonzero(tensor([[0, 5], [7, 0]])); // [[0, 1], [1, 0]]
 */
export function nonzero(x: Tensor): Tensor {
  requireTensor('nonzero', x);
  const places = placesOf(x, 'nonzero');
  const rows = new Int32Array(places.length * x.rank);
  for (let i = 0; i < places.length; i++)
    for (let d = x.rank - 1, rest = places[i]; d >= 0; d--) {
      rows[i * x.rank + d] = rest % x.shape[d];
      rest = Math.floor(rest / x.shape[d]);
    }
  return longTensor(x.backend, rows, [places.length, x.rank]);
}

function requireMask(op: string, mask: Tensor): void {
  requireTensor(op, mask);
  if (mask.dtype !== 'bool') throw new RuntimeError(`[${op}] expected a mask of dtype bool, got ${mask.dtype}`);
}

/** The elements where a mask holds, as a vector; x and mask are broadcast (PyTorch: `torch.masked_select`). */
export function maskedSelect(x: Tensor, mask: Tensor): Tensor {
  requireTensor('maskedSelect', x);
  requireMask('maskedSelect', mask);
  requireSameDevice('maskedSelect', x, mask);
  const shape = broadcastShapes(x.shape, mask.shape);
  return pickAt(
    flatten(broadcastTo(x, shape)),
    0,
    nonzeroPositions(broadcastTo(mask, shape), 'maskedSelect'),
    'maskedSelect',
  );
}

/**
 * x with one value, a number or a 0-d tensor, wherever the mask holds; x and mask are broadcast (PyTorch:
 * `torch.masked_fill`).
 * @throws RuntimeError on a value that does not fit the dtype.
 */
export function maskedFill(x: Tensor, mask: Tensor, value: Operand): Tensor {
  requireTensor('maskedFill', x);
  requireMask('maskedFill', mask);
  const fill = valueTensor('maskedFill', value, x);
  if (fill.rank > 0)
    throw new RuntimeError(
      `maskedFill only supports a 0-dimensional value tensor, but got tensor with ${fill.rank} dimension(s).`,
    );
  return where(mask, fittingFill(fill, x.dtype), x);
}

/**
 * x with the first elements of `source`, in row-major order, wherever the mask holds; x and mask are broadcast
 * (PyTorch: `torch.masked_scatter`).
 * @throws RuntimeError where source has another dtype, or fewer elements than the mask holds at.
 */
export function maskedScatter(x: Tensor, mask: Tensor, source: Tensor): Tensor {
  requireTensor('maskedScatter', x);
  requireTensor('maskedScatter', source);
  requireMask('maskedScatter', mask);
  requireSameDevice('maskedScatter', x, mask, source);
  requireSameDtype('maskedScatter', x, source);
  const shape = broadcastShapes(x.shape, mask.shape);
  const places = broadcastTo(mask, shape);
  // The result's shape does not say how many elements it takes from the source.
  const positions =
    x.device === 'meta' ? fullOn(x.backend, [0], 0, 'int64') : nonzeroPositions(places, 'maskedScatter');
  if (source.size < positions.size)
    throw new RuntimeError(
      `[maskedScatter] Number of elements of source < number of ones in mask: ${source.size} < ${positions.size}`,
    );
  const values = selected(flatten(source), { start: [0], step: [1], shape: [positions.size] });
  return reshape(putAt(flatten(broadcastTo(x, shape)), 0, positions, values, false, 'maskedScatter'), shape);
}
