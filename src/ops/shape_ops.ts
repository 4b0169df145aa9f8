// Ops that move elements without computing: views, permutations, slices, joins, padding. One rule: reshape and its kin
// (flatten, unflatten, squeeze, unsqueeze) share memory with their argument, everything else makes a dense copy,
// always. A copy of all elements in their order is lent: it gets memory of its own when either side is changed in
// place.
import { defineOp, type TensorInfo } from '../autograd/define_op.ts';
import { isGradEnabled } from '../autograd/grad_mode.ts';
import { requireInteger, requireIntegers } from '../checks.ts';
import { ArgumentTypeError, IndexError, RuntimeError, ValueError } from '../errors.ts';
import { fused } from '../fusion/fused.ts';
import { mergedSlice } from '../fusion/gradient_slice.ts';
import { catRule } from '../fusion/statistics_left.ts';
import { copyDense, copyElements, inFormat } from '../tensor/copy.ts';
import { fill, fullOn } from '../tensor/create.ts';
import { promote } from '../tensor/dtype.ts';
import { requireSameDevice, requireTensor } from '../tensor/requirements.ts';
import {
  distinctDims,
  formatShape,
  normalizeDim,
  physicalOrder,
  resolveShape,
  type Shape,
  sameShape,
  stridesOf,
} from '../tensor/shape.ts';
import { aliasOf, allocate, Tensor, viewAs } from '../tensor/tensor.ts';
import { cast, toFormat } from './convert.ts';

const reshapeOp = defineOp({
  name: 'reshape',
  forward: (_ctx, x: Tensor, shape: Shape) => viewAs(x, shape),
  backward: (_ctx, [g], x) => [reshape(g, x.shape)],
});

/**
 * The same elements, in row-major order, under another shape; one size may be −1. Shares memory, unless x is
 * channels-last (PyTorch: `torch.reshape`).
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  requireTensor('reshape', x);
  requireIntegers('reshape', 'shape', shape);
  return reshapeOp(toFormat(x, 'contiguous'), resolveShape(shape, x.size));
}

/** Dimensions `startDim` … `endDim` as one (PyTorch: `torch.flatten`; defaults: all). */
export function flatten(x: Tensor, startDim = 0, endDim = -1): Tensor {
  requireTensor('flatten', x);
  const [from, to] = [normalizeDim(startDim, x.rank, 'flatten'), normalizeDim(endDim, x.rank, 'flatten')];
  if (from > to) throw new RuntimeError('flatten() has invalid args: startDim cannot come after endDim');
  if (x.rank === 0) return reshape(x, [1]);
  return reshape(x, [
    ...x.shape.slice(0, from),
    x.shape.slice(from, to + 1).reduce((n, m) => n * m, 1),
    ...x.shape.slice(to + 1),
  ]);
}

/** Dimension `dim` as several of the given sizes, one of which may be −1 (PyTorch: `torch.unflatten`). */
export function unflatten(x: Tensor, dim: number, sizes: Shape): Tensor {
  requireTensor('unflatten', x);
  requireIntegers('unflatten', 'sizes', sizes);
  if (sizes.length === 0) throw new RuntimeError('unflatten: sizes must be non-empty');
  if (x.rank === 0) throw new RuntimeError('[unflatten] expected a tensor of at least one dimension, got a 0-d tensor');
  const d = normalizeDim(dim, x.rank, 'unflatten');
  let parts: number[];
  try {
    parts = resolveShape(sizes, x.shape[d]);
  } catch {
    throw new RuntimeError(
      `unflatten: Provided sizes ${formatShape(sizes)} don't multiply up to the size of dim ${d} (${x.shape[d]}) in the input tensor`,
    );
  }
  return reshape(x, [...x.shape.slice(0, d), ...parts, ...x.shape.slice(d + 1)]);
}

/** Without the dimensions of size 1, or without those given, where they have size 1 (PyTorch: `torch.squeeze`). */
export function squeeze(x: Tensor, dim?: number | readonly number[]): Tensor {
  requireTensor('squeeze', x);
  const dims = dim === undefined ? null : distinctDims(dimsOf('squeeze', dim), x.rank, 'squeeze');
  return reshape(
    x,
    x.shape.filter((n, d) => n !== 1 || (dims && !dims.includes(d))),
  );
}

/** With a dimension of size 1 at `dim` (PyTorch: `torch.unsqueeze`). */
export function unsqueeze(x: Tensor, dim: number): Tensor {
  requireTensor('unsqueeze', x);
  const d = normalizeDim(dim, x.rank + 1, 'unsqueeze');
  return reshape(x, [...x.shape.slice(0, d), 1, ...x.shape.slice(d)]);
}

/** One dimension or several, as several. */
function dimsOf(op: string, dims: number | readonly number[]): readonly number[] {
  if (typeof dims === 'number') return [dims];
  requireIntegers(op, 'dims', dims);
  return dims;
}

/** A row-major copy with the dimensions in another order; not recorded. */
export function permuteCopy(x: Tensor, dims: readonly number[]): Tensor {
  const strides = x.strides;
  const shape = dims.map((d) => x.shape[d]);
  const out = allocate(shape, x.dtype, 'contiguous', x.backend);
  copyElements(
    'permute',
    x,
    out,
    shape,
    dims.map((d) => strides[d]),
    stridesOf(shape),
  );
  return out;
}

const permuteOp = defineOp({
  name: 'permute',
  forward: (_ctx, x: Tensor, dims: readonly number[]) => permuteCopy(x, dims),
  backward: (_ctx, [g], _x, dims) => [
    permuteOp(
      g,
      dims.map((_, d) => dims.indexOf(d)),
    ),
  ],
}) as (x: Tensor, dims: readonly number[]) => Tensor;

/** The dimensions in another order, as a dense copy (PyTorch: `torch.permute`). */
export function permute(x: Tensor, dims: readonly number[]): Tensor {
  requireTensor('permute', x);
  requireIntegers('permute', 'dims', dims);
  if (dims.length !== x.rank)
    throw new RuntimeError(
      `permute(): number of dimensions in the tensor input does not match the length of the desired ordering of dimensions i.e. input.rank = ${x.rank} is not equal to dims.length = ${dims.length}`,
    );
  const order = dims.map((d) => normalizeDim(d, x.rank, 'permute'));
  if (new Set(order).size !== order.length) throw new RuntimeError('permute(): duplicate dims are not allowed.');
  return order.every((d, i) => d === i) ? copyOf(x) : permuteOp(x, order);
}

/** Two dimensions exchanged, as a dense copy (PyTorch: `torch.transpose`). */
export function transpose(x: Tensor, dim0: number, dim1: number): Tensor {
  requireTensor('transpose', x);
  const [a, b] = [normalizeDim(dim0, x.rank, 'transpose'), normalizeDim(dim1, x.rank, 'transpose')];
  if (a === b) return copyOf(x);
  const dims = x.shape.map((_, d) => (d === a ? b : d === b ? a : d));
  return permuteOp(x, dims);
}

/**
 * A matrix with its two dimensions exchanged, as a dense copy; tensors of fewer dimensions as they are (PyTorch:
 * `Tensor.t`).
 */
export function t(x: Tensor): Tensor {
  requireTensor('t', x);
  if (x.rank > 2) throw new RuntimeError(`t() expects a tensor with <= 2 dimensions, but got one of ${x.rank}`);
  return x.rank < 2 ? x : transpose(x, 0, 1);
}

// ---- slices -------------------------------------------------------------------------------------------------------

/** A regular selection: element i of dimension d is taken from start[d] + i·step[d]. */
export interface Selection {
  readonly start: readonly number[];
  readonly step: readonly number[];
  readonly shape: Shape;
}

function copySelection(
  op: string,
  whole: Tensor,
  part: Tensor,
  { start, step, shape }: Selection,
  intoWhole: boolean,
): void {
  const order = physicalOrder(whole.rank, part.memoryFormat);
  const pick = (values: readonly number[]) => order.map((d) => values[d]);
  const strides = whole.strides;
  const offset = strides.reduce((sum, stride, d) => sum + stride * start[d], 0);
  const wholeStrides = pick(strides.map((stride, d) => stride * step[d]));
  const partStrides = pick(part.strides);
  if (part.size === 0) return;
  if (intoWhole) copyElements(op, part, whole, pick(shape), partStrides, wholeStrides, 0, offset);
  else copyElements(op, whole, part, pick(shape), wholeStrides, partStrides, offset, 0);
}

const isWhole = (x: { readonly shape: Shape }, { start, step, shape }: Selection): boolean =>
  sameShape(shape, x.shape) && step.every((by) => by === 1) && start.every((at) => at === 0);

const selectOp = defineOp({
  name: 'slice',
  forward(_ctx, x: Tensor, selection: Selection) {
    if (isWhole(x, selection)) return new Tensor(x.shape, x.dtype, x.memoryFormat, x.storage.lend());
    const out = allocate(selection.shape, x.dtype, x.memoryFormat, x.backend);
    copySelection('slice', x, out, selection, false);
    return out;
  },
  backward: (_ctx, [g], x, selection) => [isWhole(x, selection) ? g : embed(g, x.shape, selection, 0)],
}) as (x: Tensor, selection: Selection) => Tensor;

/** The elements of a selection, as a copy. */
export const selected = (x: Tensor, selection: Selection): Tensor => selectOp(x, selection);

/** A copy of everything, which is lent. */
export const copyOf = (x: Tensor): Tensor => selectOp(x, wholeOf(x.shape));

/** A tensor filled with `value`, with `part` at the places of a selection: the adjoint of slicing. */
const embed = defineOp({
  name: 'embed',
  forward(_ctx, part: Tensor, shape: Shape, selection: Selection, value: number) {
    const out = allocate(shape, part.dtype, part.memoryFormat, part.backend);
    fill(out, value);
    copySelection('embed', out, part, selection, true);
    return out;
  },
  backward: (_ctx, [g], _part, _shape, selection) => [selectOp(g, selection)],
}) as (part: Tensor, shape: Shape, selection: Selection, value: number) => Tensor;

/**
 * x with `part`, of the selection's shape, at the places of a selection; in place, and then unrecorded as a change, or
 * as a copy. What is replaced gets no gradient.
 */
export const replaceSelected = defineOp({
  name: 'replace',
  forward(_ctx, x: Tensor, selection: Selection, part: Tensor, over: boolean) {
    const out = targetOf('setIndex', x, over);
    copySelection('setIndex', out, inFormat(part, out.memoryFormat), selection, true);
    return out;
  },
  backward(ctx, [g], x, selection, part) {
    const zeros = ({ shape, memoryFormat }: TensorInfo) => fullOn(x.backend, shape, 0, x.dtype, memoryFormat);
    // If all of x is replaced, its gradient is 0.
    const gone = () => (isWhole(x, selection) ? zeros(x) : replaceSelected(g, selection, zeros(part), false));
    return [ctx.needs[0] ? gone() : null, null, ctx.needs[2] ? selectOp(g, selection) : null];
  },
}) as (x: Tensor, selection: Selection, part: Tensor, over: boolean) => Tensor;

/** The tensor that takes the changed values: x itself, or a copy. */
export function targetOf(op: string, x: Tensor, over: boolean): Tensor {
  if (over) {
    x.storage.beginChange();
    return aliasOf(x);
  }
  const out = allocate(x.shape, x.dtype, x.memoryFormat, x.backend);
  copyDense(op, x, out);
  return out;
}

export const wholeOf = (shape: Shape): { start: number[]; step: number[]; shape: number[] } => ({
  start: shape.map(() => 0),
  step: shape.map(() => 1),
  shape: [...shape],
});

/** Elements `start` … `start + length − 1` of a dimension, where these are known to be there. */
function part(x: Tensor, dim: number, start: number, length: number): Tensor {
  const selection = wholeOf(x.shape);
  selection.start[dim] = start;
  selection.shape[dim] = length;
  return selectOp(x, selection);
}

/** `length` elements of a dimension from `start` on, as a copy (PyTorch: `torch.narrow`). */
export function narrow(x: Tensor, dim: number, start: number, length: number): Tensor {
  requireTensor('narrow', x);
  requireInteger('narrow', 'start', start);
  requireInteger('narrow', 'length', length);
  if (x.rank === 0) throw new RuntimeError('narrow() cannot be applied to a 0-dim tensor.');
  const d = normalizeDim(dim, x.rank, 'narrow');
  const n = x.shape[d];
  if (length < 0) throw new RuntimeError('narrow(): length must be non-negative.');
  if (start < -n || start > n)
    throw new IndexError(`[narrow] start out of range (expected to be in range of [${-n}, ${n}], but got ${start})`);
  const from = start < 0 ? start + n : start;
  if (from + length > n) throw new RuntimeError(`start (${from}) + length (${length}) exceeds dimension size (${n}).`);
  return part(x, d, from, length);
}

/**
 * Where a slice of a dimension of size n begins, and how long it is; limits are clipped, negative ones count from the
 * end.
 */
export function sliceRange(op: string, n: number, start?: number | null, end?: number | null, step?: number | null) {
  const by = requireInteger(op, 'step', step ?? 1);
  if (by <= 0) throw new ValueError(`[${op}] slice step must be positive, got ${by}`);
  const limit = (name: string, value: number) =>
    Math.min(n, Math.max(0, requireInteger(op, name, value) < 0 ? value + n : value));
  const from = limit('start', start ?? 0);
  const to = limit('end', end ?? n);
  return { start: from, step: by, length: Math.max(0, Math.ceil((to - from) / by)) };
}

/**
 * Elements `start`, `start + step`, … before `end` of a dimension, as a copy; limits are clipped, negative ones count
 * from the end (PyTorch: `x[start:end:step]`).
 */
export function slice(x: Tensor, dim: number, start?: number, end?: number, step = 1): Tensor {
  requireTensor('slice', x);
  if (x.rank === 0) throw new IndexError('slice() cannot be applied to a 0-dim tensor.');
  const d = normalizeDim(dim, x.rank, 'slice');
  const range = sliceRange('slice', x.shape[d], start, end, step);
  const selection = wholeOf(x.shape);
  selection.start[d] = range.start;
  selection.step[d] = range.step;
  selection.shape[d] = range.length;
  return selectOp(x, selection);
}

/** The dimension, and the index counted from 0, of what `select` takes. */
export function selectedIndex(op: string, x: Tensor, dim: number, index: number): [dim: number, index: number] {
  requireTensor(op, x);
  requireInteger(op, 'index', index);
  if (x.rank === 0) throw new IndexError('select() cannot be applied to a 0-dim tensor.');
  const d = normalizeDim(dim, x.rank, op);
  const n = x.shape[d];
  if (index < -n || index >= n)
    throw new IndexError(
      `select(): index ${index} out of range for tensor of size ${formatShape(x.shape)} at dimension ${d}`,
    );
  return [d, index < 0 ? index + n : index];
}

/** The sub-tensor at one index of a dimension, which disappears; a copy (PyTorch: `torch.select`). */
export function select(x: Tensor, dim: number, index: number): Tensor {
  const [d, at] = selectedIndex('select', x, dim, index);
  const row = part(x, d, at, 1);
  return reshape(
    row,
    x.shape.filter((_, i) => i !== d),
  );
}

/** The order reversed along one dimension or several; a copy (PyTorch: `torch.flip`). */
export function flip(x: Tensor, dims: number | readonly number[]): Tensor {
  requireTensor('flip', x);
  const reversed = distinctDims(dimsOf('flip', dims), x.rank, 'flip');
  const selection = wholeOf(x.shape);
  if (x.rank > 0)
    for (const d of reversed) {
      selection.start[d] = Math.max(0, x.shape[d] - 1);
      selection.step[d] = -1;
    }
  return selectOp(x, selection);
}

// ---- joining and splitting ----------------------------------------------------------------------------------------

const catOp = defineOp(
  fused(catRule, {
    name: 'cat',
    forward(_ctx, tensors: readonly Tensor[], dim: number) {
      const [first] = tensors;
      const shape = [...first.shape];
      shape[dim] = tensors.reduce((n, t) => n + t.shape[dim], 0);
      const out = allocate(shape, first.dtype, first.memoryFormat, first.backend);
      let at = 0;
      for (const tensor of tensors) {
        const place = wholeOf(tensor.shape);
        place.start[dim] = at;
        copySelection('cat', out, tensor, place, true);
        at += tensor.shape[dim];
      }
      return out;
    },
    backward(ctx, [g], infos, dim) {
      if (!ctx.needs[0]) return [null];
      let at = 0;
      return [
        infos.map(({ shape }) => {
          const [start, length] = [at, shape[dim]];
          at += length;
          const isPart = dim === 1 && length < g.shape[1] && !isGradEnabled();
          return (isPart ? mergedSlice(g, start, length) : null) ?? part(g, dim, start, length);
        }),
      ];
    },
  }),
);

function requireTensors(op: string, tensors: readonly Tensor[]): void {
  if (!Array.isArray(tensors)) throw new ArgumentTypeError(`[${op}] expected an array of tensors`);
  for (const tensor of tensors) requireTensor(op, tensor);
  if (tensors.length === 0)
    throw new RuntimeError(
      op === 'cat' ? 'cat(): expected a non-empty list of Tensors' : `${op} expects a non-empty TensorList`,
    );
  requireSameDevice(op, ...tensors);
}

/**
 * Tensors joined along an existing dimension, by default the first; those of shape [0] do not count (PyTorch:
 * `torch.cat`).
 * @throws RuntimeError on an empty list, or sizes that differ in another dimension.
 * @example
 * cat([x, x], 1); // shape [4, 12, 8, 8]
 */
export function cat(tensors: readonly Tensor[], dim = 0): Tensor {
  requireTensors('cat', tensors);
  tensors.forEach((tensor, i) => {
    if (tensor.rank === 0) throw new RuntimeError(`zero-dimensional tensor (at position ${i}) cannot be concatenated`);
  });
  const isNothing = (t: Tensor) => t.rank === 1 && t.shape[0] === 0;
  const first = tensors.find((t) => !isNothing(t)) ?? tensors[0];
  const d = normalizeDim(dim, first.rank, 'cat');
  tensors.forEach((tensor, i) => {
    if (isNothing(tensor)) return;
    if (tensor.rank !== first.rank)
      throw new RuntimeError(`Tensors must have same number of dimensions: got ${first.rank} and ${tensor.rank}`);
    tensor.shape.forEach((n, axis) => {
      if (axis !== d && n !== first.shape[axis])
        throw new RuntimeError(
          `Sizes of tensors must match except in dimension ${d}. Expected size ${first.shape[axis]} but got size ${n} for tensor number ${i} in the list.`,
        );
    });
  });
  const dtype = tensors.reduce((common, t) => promote(common, t.dtype), first.dtype);
  const empty = first.shape.map((n, axis) => (axis === d ? 0 : n));
  return catOp(
    tensors.map((t) => cast(isNothing(t) && first.rank > 1 ? reshape(t, empty) : t, dtype)),
    d,
  );
}

/**
 * Tensors of one shape joined along a new dimension, by default in front (PyTorch: `torch.stack`).
 * @throws RuntimeError on an empty list, or shapes that differ.
 * @example
 * stack([x, y]); // shape [2, 4, 6, 8, 8]
 */
export function stack(tensors: readonly Tensor[], dim = 0): Tensor {
  requireTensors('stack', tensors);
  const [first] = tensors;
  const d = normalizeDim(dim, first.rank + 1, 'stack');
  tensors.forEach((tensor, i) => {
    if (!sameShape(tensor.shape, first.shape))
      throw new RuntimeError(
        `stack expects each tensor to be equal size, but got ${formatShape(first.shape)} at entry 0 and ${formatShape(tensor.shape)} at entry ${i}`,
      );
  });
  return cat(
    tensors.map((tensor) => unsqueeze(tensor, d)),
    d,
  );
}

/**
 * Pieces of the given size (the last may be smaller), or of the given sizes, along a dimension; copies (PyTorch:
 * `torch.split`).
 */
export function split(x: Tensor, sizes: number | readonly number[], dim = 0): Tensor[] {
  requireTensor('split', x);
  if (typeof sizes === 'number') requireInteger('split', 'the size', sizes);
  else requireIntegers('split', 'sizes', sizes);
  if (x.rank === 0) throw new RuntimeError('split expects at least a 1-dimensional tensor');
  const d = normalizeDim(dim, x.rank, 'split');
  const n = x.shape[d];
  if (typeof sizes === 'number') {
    if (sizes < 0) throw new RuntimeError(`split expects sizes be non-negative, but got sizes=${sizes}`);
    if (sizes === 0 && n > 0)
      throw new RuntimeError(`split: sizes can only be 0 if dimension size is 0, but got dimension size of ${n}`);
    const count = Math.max(1, Math.ceil(n / sizes) || 0);
    return Array.from({ length: count }, (_, i) => part(x, d, i * sizes, Math.min(sizes, n - i * sizes)));
  }
  if (sizes.some((length) => length < 0))
    throw new RuntimeError(`split expects sizes have only non-negative entries, but got sizes=${formatShape(sizes)}`);
  if (sizes.reduce((a, b) => a + b, 0) !== n)
    throw new RuntimeError(
      `split expects sizes to sum exactly to ${n} (input tensor's size at dimension ${d}), but got sizes=${formatShape(sizes)}`,
    );
  let at = 0;
  return sizes.map((length) => part(x, d, (at += length) - length, length));
}

/** At most `count` pieces of equal size, the last smaller; copies (PyTorch: `torch.chunk`). */
export function chunk(x: Tensor, count: number, dim = 0): Tensor[] {
  requireTensor('chunk', x);
  requireInteger('chunk', 'count', count);
  if (x.rank === 0) throw new RuntimeError('chunk expects at least a 1-dimensional tensor');
  if (count <= 0) throw new RuntimeError(`chunk expects \`chunks\` to be greater than 0, got: ${count}`);
  const d = normalizeDim(dim, x.rank, 'chunk');
  // An empty dimension has as many pieces as were asked for.
  if (x.shape[d] === 0) return Array.from({ length: count }, () => part(x, d, 0, 0));
  return split(x, Math.ceil(x.shape[d] / count), d);
}
