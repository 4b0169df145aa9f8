// Ops that move elements without computing: views, permutations, slices, joins, padding, expansion. Only reshape shares memory with its
// argument; everything else makes a dense copy, since tensors have no arbitrary strides.
import { defineOp } from '../autograd/define_op.ts';
import { isGradEnabled } from '../autograd/grad_mode.ts';
import { ArgumentTypeError, IndexError, RuntimeError, ValueError } from '../errors.ts';
import { joinStatistics } from '../fusion/conv_stats.ts';
import { deferSlice } from '../fusion/deferred_slice.ts';
import { copyElements } from '../tensor/copy.ts';
import { fill } from '../tensor/create.ts';
import { dtypes } from '../tensor/dtype.ts';
import {
  broadcastStrides,
  formatShape,
  normalizeDim,
  physicalOrder,
  resolveShape,
  type Shape,
  sameShape,
  stridesOf,
} from '../tensor/shape.ts';
import { allocate, type Tensor, viewAs } from '../tensor/tensor.ts';
import { cast, requireSameDevice, requireTensor, resultType, toFormat } from './launch.ts';
import { sumTo } from './reduce.ts';

const reshapeOp = defineOp({
  name: 'reshape',
  forward: (_ctx, x: Tensor, shape: Shape) => viewAs(x, shape),
  backward: (_ctx, [g], x) => [reshape(g, x.shape)],
});

/** The same elements, in row-major order, under another shape; one size may be −1. Shares memory (PyTorch: `torch.reshape`). */
export function reshape(x: Tensor, shape: Shape): Tensor {
  requireTensor('reshape', x);
  return reshapeOp(toFormat(x, 'contiguous'), resolveShape(shape, x.size));
}

/** Dimensions `start` … `end` as one (PyTorch: `torch.flatten`; defaults: all). */
export function flatten(x: Tensor, start = 0, end = -1): Tensor {
  requireTensor('flatten', x);
  const [from, to] = [normalizeDim(start, x.rank), normalizeDim(end, x.rank)];
  if (from > to) throw new RuntimeError('flatten() has invalid args: start_dim cannot come after end_dim');
  if (x.rank === 0) return reshape(x, [1]);
  return reshape(x, [
    ...x.shape.slice(0, from),
    x.shape.slice(from, to + 1).reduce((n, m) => n * m, 1),
    ...x.shape.slice(to + 1),
  ]);
}

/** Dimension `dim` as several of the given sizes (PyTorch: `torch.unflatten`). */
export function unflatten(x: Tensor, dim: number, sizes: Shape): Tensor {
  const d = normalizeDim(dim, x.rank);
  return reshape(x, [...x.shape.slice(0, d), ...resolveShape(sizes, x.shape[d]), ...x.shape.slice(d + 1)]);
}

/** Without the dimensions of size 1, or without those given, where they have size 1 (PyTorch: `torch.squeeze`). */
export function squeeze(x: Tensor, dim?: number | readonly number[]): Tensor {
  const dims =
    dim === undefined
      ? x.shape.map((_, d) => d)
      : (typeof dim === 'number' ? [dim] : dim).map((d) => normalizeDim(d, x.rank));
  return reshape(
    x,
    x.shape.filter((n, d) => n !== 1 || !dims.includes(d)),
  );
}

/** With a dimension of size 1 at `dim` (PyTorch: `torch.unsqueeze`). */
export function unsqueeze(x: Tensor, dim: number): Tensor {
  const d = normalizeDim(dim, x.rank + 1);
  return reshape(x, [...x.shape.slice(0, d), 1, ...x.shape.slice(d)]);
}

/** A row-major copy with the dimensions in another order; not recorded. */
export function permuteCopy(x: Tensor, dims: readonly number[]): Tensor {
  const strides = x.strides;
  const shape = dims.map((d) => x.shape[d]);
  const out = allocate(shape, x.dtype, 'contiguous', x.device);
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
  const order = dims.map((d) => normalizeDim(d, x.rank));
  if (order.length !== x.rank)
    throw new RuntimeError(
      `permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering of dimensions i.e. input.dim() = ${x.rank} is not equal to len(dims) = ${dims.length}`,
    );
  if (new Set(order).size !== order.length) throw new RuntimeError('permute(): duplicate dims are not allowed.');
  return permuteOp(x, order);
}

/** Two dimensions exchanged (PyTorch: `torch.transpose`). */
export function transpose(x: Tensor, dim0: number, dim1: number): Tensor {
  requireTensor('transpose', x);
  const [a, b] = [normalizeDim(dim0, x.rank), normalizeDim(dim1, x.rank)];
  if (x.rank === 0 || a === b) return x;
  const dims = x.shape.map((_, d) => (d === a ? b : d === b ? a : d));
  return permuteOp(x, dims);
}

const expandOp = defineOp({
  name: 'expand',
  forward(_ctx, x: Tensor, shape: Shape) {
    const format = x.rank === shape.length ? x.memoryFormat : 'contiguous';
    const out = allocate(shape, x.dtype, format, x.device);
    const order = physicalOrder(shape.length, out.memoryFormat);
    const pick = (values: readonly number[]) => order.map((d) => values[d]);
    copyElements(
      'expand',
      x,
      out,
      pick(shape),
      pick(broadcastStrides(x.shape, x.strides, shape)),
      pick(stridesOf(shape, out.memoryFormat)),
    );
    return out;
  },
  backward: (_ctx, [g], x) => [sumTo(g, x.shape)],
});

/** Size-1 dimensions repeated to the given sizes, −1 for as it is, new ones in front (PyTorch: `Tensor.expand`; here a copy). */
export function expand(x: Tensor, shape: Shape): Tensor {
  requireTensor('expand', x);
  const lead = shape.length - x.rank;
  if (lead < 0)
    throw new RuntimeError(
      `expand(torch.${dtypes[x.dtype].torchName}Tensor{${formatShape(x.shape)}}, size=${formatShape(shape)}): the number of sizes provided (${shape.length}) must be greater or equal to the number of dimensions in the tensor (${x.rank})`,
    );
  const target = shape.map((n, d) => (n === -1 && d >= lead ? x.shape[d - lead] : n));
  target.forEach((n, d) => {
    const own = d < lead ? 1 : x.shape[d - lead];
    if (own !== 1 && own !== n)
      throw new RuntimeError(
        `The expanded size of the tensor (${n}) must match the existing size (${own}) at non-singleton dimension ${d}.  Target sizes: ${formatShape(target)}.  Tensor sizes: ${formatShape(x.shape)}`,
      );
  });
  return sameShape(target, x.shape) ? x : expandOp(x, target);
}

/** x repeated along each dimension (PyTorch: `Tensor.repeat`). */
export function repeat(x: Tensor, counts: Shape): Tensor {
  if (counts.length < x.rank)
    throw new RuntimeError(
      'Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor',
    );
  const shape = [...Array<number>(counts.length - x.rank).fill(1), ...x.shape];
  const paired = reshape(
    x,
    shape.flatMap((n) => [1, n]),
  );
  return reshape(
    expand(
      paired,
      shape.flatMap((n, d) => [counts[d], n]),
    ),
    shape.map((n, d) => n * counts[d]),
  );
}

// ---- slices -------------------------------------------------------------------------------------------------------

/** A regular selection: element i of dimension d is taken from start[d] + i·step[d]. */
interface Selection {
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

const selectOp = defineOp({
  name: 'slice',
  forward(_ctx, x: Tensor, selection: Selection) {
    const out = allocate(selection.shape, x.dtype, x.memoryFormat, x.device);
    copySelection('slice', x, out, selection, false);
    return out;
  },
  backward: (_ctx, [g], x, selection) => [embed(g, x.shape, selection, 0)],
});

/** A tensor filled with `value`, with `part` at the places of a selection: the adjoint of slicing, and padding. */
const embed = defineOp({
  name: 'embed',
  forward(_ctx, part: Tensor, shape: Shape, selection: Selection, value: number) {
    const out = allocate(shape, part.dtype, part.memoryFormat, part.device);
    fill(out, value);
    copySelection('embed', out, part, selection, true);
    return out;
  },
  backward: (_ctx, [g], _part, _shape, selection) => [selectOp(g, selection)],
}) as (part: Tensor, shape: Shape, selection: Selection, value: number) => Tensor;

const wholeOf = (shape: Shape): { start: number[]; step: number[]; shape: number[] } => ({
  start: shape.map(() => 0),
  step: shape.map(() => 1),
  shape: [...shape],
});

/** `length` elements of a dimension from `start` on (PyTorch: `torch.narrow`). */
export function narrow(x: Tensor, dim: number, start: number, length: number): Tensor {
  requireTensor('narrow', x);
  const d = normalizeDim(dim, x.rank);
  const from = start < 0 ? start + x.shape[d] : start;
  if (length < 0) throw new RuntimeError('narrow(): length must be non-negative.');
  if (from < 0 || from + length > x.shape[d])
    throw new RuntimeError(`start (${from}) + length (${length}) exceeds dimension size (${x.shape[d]}).`);
  if (length === x.shape[d]) return x;
  const selection = wholeOf(x.shape);
  selection.start[d] = from;
  selection.shape[d] = length;
  return selectOp(x, selection);
}

/** Elements `start`, `start + step`, … before `end` of a dimension; limits are clipped, negative ones count from the end. */
export function slice(x: Tensor, dim: number, start?: number, end?: number, step = 1): Tensor {
  requireTensor('slice', x);
  const d = normalizeDim(dim, x.rank);
  if (!Number.isInteger(step) || step <= 0) throw new ValueError(`[slice] slice step must be positive, got ${step}`);
  const n = x.shape[d];
  const limit = (value: number) => Math.min(n, Math.max(0, value < 0 ? value + n : value));
  const from = limit(start ?? 0);
  const to = limit(end ?? n);
  const selection = wholeOf(x.shape);
  selection.start[d] = from;
  selection.step[d] = step;
  selection.shape[d] = Math.max(0, Math.ceil((to - from) / step));
  return selectOp(x, selection);
}

/** The sub-tensor at one index of a dimension, which disappears (PyTorch: `torch.select`). */
export function select(x: Tensor, dim: number, index: number): Tensor {
  requireTensor('select', x);
  if (x.rank === 0) throw new IndexError('select() cannot be applied to a 0-dim tensor.');
  const d = normalizeDim(dim, x.rank);
  const n = x.shape[d];
  if (!Number.isInteger(index) || index < -n || index >= n)
    throw new IndexError(
      `select(): index ${index} out of range for tensor of size ${formatShape(x.shape)} at dimension ${d}`,
    );
  const row = narrow(x, d, index < 0 ? index + n : index, 1);
  return reshape(
    row,
    x.shape.filter((_, i) => i !== d),
  );
}

/** The order reversed along dimensions (PyTorch: `torch.flip`). */
export function flip(x: Tensor, dims: number | readonly number[]): Tensor {
  requireTensor('flip', x);
  const selection = wholeOf(x.shape);
  for (const dim of typeof dims === 'number' ? [dims] : dims) {
    const d = normalizeDim(dim, x.rank);
    selection.start[d] = Math.max(0, x.shape[d] - 1);
    selection.step[d] = -1;
  }
  return x.rank === 0 ? x : selectOp(x, selection);
}

/**
 * x with `value` around it; `padding` lists (before, after) pairs from the last dimension on, negative ones cut (PyTorch: `F.pad`, mode
 * constant).
 */
export function pad(x: Tensor, padding: readonly number[], value = 0): Tensor {
  requireTensor('pad', x);
  if (padding.length % 2 !== 0 || padding.length > 2 * x.rank)
    throw new RuntimeError(
      `Padding length must be divisible by two and at most twice the number of dimensions of the input, got ${padding.length} for ${x.rank} dimensions`,
    );
  const shape = [...x.shape];
  const place = wholeOf(x.shape);
  let kept = x;
  for (let i = 0; i * 2 < padding.length; i++) {
    const d = x.rank - 1 - i;
    const [before, after] = [padding[2 * i], padding[2 * i + 1]];
    shape[d] += before + after;
    if (shape[d] < 0)
      throw new RuntimeError(
        `The input size ${x.shape[d]}, plus negative padding ${before} and ${after}, resulted in a negative output size`,
      );
    const cutFront = Math.min(x.shape[d], Math.max(0, -before));
    const cutBack = Math.max(0, -after);
    kept = narrow(kept, d, cutFront, Math.max(0, x.shape[d] - cutFront - cutBack));
    place.start[d] = Math.max(0, before);
    place.shape[d] = kept.shape[d];
  }
  return embed(kept, shape, place, value);
}

// ---- joining and splitting ----------------------------------------------------------------------------------------

const catOp = defineOp({
  name: 'cat',
  forward(_ctx, tensors: readonly Tensor[], dim: number) {
    const [first] = tensors;
    const shape = [...first.shape];
    shape[dim] = tensors.reduce((n, t) => n + t.shape[dim], 0);
    const out = allocate(shape, first.dtype, first.memoryFormat, first.device);
    let at = 0;
    for (const tensor of tensors) {
      const place = wholeOf(tensor.shape);
      place.start[dim] = at;
      copySelection('cat', out, tensor, place, true);
      at += tensor.shape[dim];
    }
    if (dim === 1) joinStatistics(out, tensors);
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
        return (isPart ? deferSlice(g, start, length) : null) ?? narrow(g, dim, start, length);
      }),
    ];
  },
});

function requireTensors(op: string, tensors: readonly Tensor[]): void {
  if (!Array.isArray(tensors)) throw new ArgumentTypeError(`[${op}] expected an array of tensors`);
  for (const tensor of tensors) requireTensor(op, tensor);
  if (tensors.length === 0)
    throw new RuntimeError(
      op === 'cat' ? 'torch.cat(): expected a non-empty list of Tensors' : `${op} expects a non-empty TensorList`,
    );
  requireSameDevice(op, ...tensors);
}

/** Tensors joined along an existing dimension (PyTorch: `torch.cat`). */
export function cat(tensors: readonly Tensor[], dim = 0): Tensor {
  requireTensors('cat', tensors);
  const [first] = tensors;
  if (tensors.some((t) => t.rank === 0))
    throw new RuntimeError(
      `zero-dimensional tensor (at position ${tensors.findIndex((t) => t.rank === 0)}) cannot be concatenated`,
    );
  const d = normalizeDim(dim, first.rank);
  tensors.forEach((tensor, i) => {
    if (tensor.rank !== first.rank)
      throw new RuntimeError(`Tensors must have same number of dimensions: got ${first.rank} and ${tensor.rank}`);
    tensor.shape.forEach((n, axis) => {
      if (axis !== d && n !== first.shape[axis])
        throw new RuntimeError(
          `Sizes of tensors must match except in dimension ${d}. Expected size ${first.shape[axis]} but got size ${n} for tensor number ${i} in the list.`,
        );
    });
  });
  const dtype = tensors.reduce((common, t) => resultType({ dtype: common, rank: 1 } as Tensor, t), first.dtype);
  return catOp(
    tensors.map((t) => cast(t, dtype)),
    d,
  );
}

/** Tensors of one shape joined along a new dimension (PyTorch: `torch.stack`). */
export function stack(tensors: readonly Tensor[], dim = 0): Tensor {
  requireTensors('stack', tensors);
  tensors.forEach((tensor, i) => {
    if (!sameShape(tensor.shape, tensors[0].shape))
      throw new RuntimeError(
        `stack expects each tensor to be equal size, but got ${formatShape(tensors[0].shape)} at entry 0 and ${formatShape(tensor.shape)} at entry ${i}`,
      );
  });
  return cat(
    tensors.map((tensor) => unsqueeze(tensor, dim)),
    dim,
  );
}

/** Pieces of the given size (the last may be smaller), or of the given sizes, along a dimension (PyTorch: `torch.split`). */
export function split(x: Tensor, sizes: number | readonly number[], dim = 0): Tensor[] {
  requireTensor('split', x);
  const d = normalizeDim(dim, x.rank);
  const n = x.shape[d];
  if (typeof sizes === 'number' && (sizes < 0 || (sizes === 0 && n > 0)))
    throw new RuntimeError(`split expects split_size be non-negative, but got split_size=${sizes}`);
  const lengths =
    typeof sizes === 'number'
      ? Array.from({ length: Math.max(1, Math.ceil(n / sizes) || 0) }, (_, i) => Math.min(sizes, n - i * sizes))
      : sizes;
  if (lengths.reduce((a, b) => a + b, 0) !== n)
    throw new RuntimeError(
      `split_with_sizes expects split_sizes to sum exactly to ${n} (input tensor's size at dimension ${d}), but got split_sizes=${formatShape(lengths)}`,
    );
  let at = 0;
  return lengths.map((length) => narrow(x, d, (at += length) - length, length));
}

/** At most `count` pieces of equal size, the last smaller (PyTorch: `torch.chunk`). */
export function chunk(x: Tensor, count: number, dim = 0): Tensor[] {
  if (!Number.isInteger(count) || count <= 0)
    throw new RuntimeError(`chunk expects \`chunks\` to be greater than 0, got: ${count}`);
  return split(x, Math.max(1, Math.ceil(x.shape[normalizeDim(dim, x.rank)] / count)), dim);
}
