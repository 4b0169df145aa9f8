// Ops that pick elements by index tensors: gather, scatter, index select, masks, embedding, and x.index(…), the square brackets.
import { defineOp } from '../autograd/define_op.ts';
import { EvenkeelError, IndexError, RuntimeError } from '../errors.ts';
import { copyDense } from '../tensor/copy.ts';
import { full, tensor } from '../tensor/create.ts';
import { dtypes, isFloat } from '../tensor/dtype.ts';
import { formatShape, normalizeDim, type Shape, sizeOf } from '../tensor/shape.ts';
import { allocate, type Tensor, toNumber } from '../tensor/tensor.ts';
import { mul } from './elementwise.ts';
import { cast, requireSameDevice, requireTensor, rowMajor } from './launch.ts';
import { aroundDim } from './reduce.ts';
import { flatten, reshape, select, slice, unsqueeze } from './shape_ops.ts';

/** Indices as int64, with negative ones resolved by the caller's rule; other dtypes are refused. */
function requireIndices(op: string, index: Tensor): Tensor {
  requireTensor(op, index);
  if (isFloat(index.dtype) || index.dtype === 'bool')
    throw new RuntimeError(`${op}(): Expected dtype int32/int64 for index, got ${index.dtype}`);
  return rowMajor(cast(index, 'int64'));
}

/** Runs a kernel that checks indices; when it finds a bad one, the error names it. */
function checkingIndices(op: string, index: Tensor, n: number, status: () => number): void {
  try {
    index.device.check(op, status());
  } catch (error) {
    if (!(error instanceof EvenkeelError)) throw error;
    const bad = Array.from(index.dataSync() as ArrayLike<number | bigint>, Number).find((i) => i < 0 || i >= n);
    if (bad === undefined) throw error;
    throw new IndexError(`[${op}] index ${bad} is out of bounds for dimension with size ${n}`);
  }
}

/** Elements of x at `count` places along a dimension: a new tensor of the given shape. */
function launchPick(
  op: 'indexSelect' | 'gather',
  x: Tensor,
  dim: number,
  index: Tensor,
  count: number,
  shape: Shape,
): Tensor {
  requireSameDevice(op, x, index);
  const source = rowMajor(x);
  const out = allocate(shape, x.dtype, 'contiguous', x.device);
  const [outer, n, inner] = aroundDim(x.shape, dim);
  checkingIndices(op, index, n, () =>
    x.device.kernels[op](dtypes[x.dtype].size, source.pointer, index.pointer, out.pointer, outer, n, count, inner),
  );
  return out;
}

/** A copy of x with elements of `source` added at `count` places along a dimension. */
function launchAdd(
  op: 'indexAdd' | 'scatterAdd',
  x: Tensor,
  dim: number,
  index: Tensor,
  count: number,
  source: Tensor,
): Tensor {
  const out = allocate(x.shape, x.dtype, 'contiguous', x.device);
  copyDense(op, rowMajor(x), out);
  const values = rowMajor(source);
  const [outer, n, inner] = aroundDim(x.shape, dim);
  checkingIndices(op, index, n, () =>
    x.device.kernels[op](x.code, values.pointer, index.pointer, out.pointer, outer, n, count, inner),
  );
  return out;
}

const indexSelectOp = defineOp({
  name: 'indexSelect',
  forward(ctx, x: Tensor, dim: number, index: Tensor) {
    const shape = x.shape.map((size, d) => (d === dim ? index.size : size));
    const out = launchPick('indexSelect', x, dim, index, index.size, shape);
    ctx.save(null, index);
    return out;
  },
  backward: (ctx, [g], x, dim) => [indexAdd(full(x.shape, 0, { dtype: x.dtype }), dim, ctx.saved[1], g), null, null],
});

/** The slices of a dimension at the given indices, which may repeat (PyTorch: `torch.index_select`). */
export function indexSelect(x: Tensor, dim: number, index: Tensor): Tensor {
  requireTensor('indexSelect', x);
  if (index.rank > 1)
    throw new IndexError(`index_select(): Index is supposed to be a vector, but got dim: ${index.rank}`);
  return indexSelectOp(x, normalizeDim(dim, x.rank), requireIndices('indexSelect', index));
}

const indexAddOp = defineOp({
  name: 'indexAdd',
  forward(ctx, x: Tensor, dim: number, index: Tensor, source: Tensor) {
    const out = launchAdd('indexAdd', x, dim, index, index.size, source);
    ctx.save(index);
    return out;
  },
  backward: (ctx, [g], _x, dim) => [g, null, null, ctx.needs[3] ? indexSelect(g, dim, ctx.saved[0]) : null],
});

/** x with slices of `source` added at the given indices of a dimension, in order (PyTorch: `torch.index_add`). */
export function indexAdd(x: Tensor, dim: number, index: Tensor, source: Tensor): Tensor {
  requireSameDevice('indexAdd', x, index, source);
  const d = normalizeDim(dim, x.rank);
  const expected = x.shape.map((n, i) => (i === d ? index.size : n));
  if (source.size !== sizeOf(expected) || source.dtype !== x.dtype)
    throw new RuntimeError(
      `[indexAdd] expected source of shape ${formatShape(expected)} and dtype ${x.dtype}, got ${formatShape(source.shape)}, ${source.dtype}`,
    );
  return indexAddOp(x, d, requireIndices('indexAdd', index), source);
}

function checkGather(op: string, shape: Shape, index: Tensor, dim: number): void {
  if (index.rank !== shape.length)
    throw new RuntimeError(
      `Index tensor must have the same number of dimensions as ${op === 'gather' ? 'input' : 'self'} tensor`,
    );
  index.shape.forEach((n, d) => {
    if (d !== dim && n !== shape[d])
      throw new RuntimeError(
        `[${op}] expected index of the input's sizes apart from dimension ${dim}, got ${formatShape(index.shape)} for ${formatShape(shape)}`,
      );
  });
}

const gatherOp = defineOp({
  name: 'gather',
  forward(ctx, x: Tensor, dim: number, index: Tensor) {
    const out = launchPick('gather', x, dim, index, index.shape[dim] ?? 1, index.shape);
    ctx.save(null, index);
    return out;
  },
  backward: (ctx, [g], x, dim) => [scatterAdd(full(x.shape, 0, { dtype: x.dtype }), dim, ctx.saved[1], g), null, null],
});

/** out[i][j][k] = x[i][index[i][j][k]][k] for dim 1, and so on (PyTorch: `torch.gather`). Other dimensions must agree in size. */
export function gather(x: Tensor, dim: number, index: Tensor): Tensor {
  requireTensor('gather', x);
  const d = normalizeDim(dim, x.rank);
  const indices = requireIndices('gather', index);
  checkGather('gather', x.shape, indices, d);
  return gatherOp(x, d, indices);
}

const scatterAddOp = defineOp({
  name: 'scatterAdd',
  forward(ctx, x: Tensor, dim: number, index: Tensor, source: Tensor) {
    const out = launchAdd('scatterAdd', x, dim, index, index.shape[dim] ?? 1, source);
    ctx.save(index);
    return out;
  },
  backward: (ctx, [g], _x, dim) => [g, null, null, ctx.needs[3] ? gather(g, dim, ctx.saved[0]) : null],
});

/** x with `source` added at x[i][index[i][j][k]][k] (dim 1), and so on, in order (PyTorch: `torch.scatter_add`). */
export function scatterAdd(x: Tensor, dim: number, index: Tensor, source: Tensor): Tensor {
  requireSameDevice('scatterAdd', x, index, source);
  const d = normalizeDim(dim, x.rank);
  const indices = requireIndices('scatterAdd', index);
  checkGather('scatterAdd', x.shape, indices, d);
  if (source.size !== indices.size || source.dtype !== x.dtype)
    throw new RuntimeError(
      `[scatterAdd] expected source of shape ${formatShape(index.shape)} and dtype ${x.dtype}, got ${formatShape(source.shape)}, ${source.dtype}`,
    );
  return scatterAddOp(x, d, indices, source);
}

/** The positions where a mask holds, in row-major order; int64 (PyTorch: `torch.nonzero` of a flattened tensor). */
export function nonzero(mask: Tensor): Tensor {
  const data = mask.dataSync();
  const found: number[] = [];
  for (let i = 0; i < data.length; i++) if (Number(data[i]) !== 0) found.push(i);
  return tensor(found, { dtype: 'int64' });
}

/** The elements where a mask of x's shape holds, as a vector (PyTorch: `torch.masked_select`). */
export function maskedSelect(x: Tensor, mask: Tensor): Tensor {
  if (mask.dtype !== 'bool' || mask.size !== x.size)
    throw new RuntimeError(
      `[maskedSelect] expected a bool mask of shape ${formatShape(x.shape)}, got ${mask.dtype} ${formatShape(mask.shape)}`,
    );
  return indexSelect(flatten(x), 0, nonzero(mask));
}

/** One place of `x.index(…)`. */
export type IndexSpec = number | null | '...' | { start?: number; end?: number; step?: number } | Tensor;

/**
 * The square brackets of PyTorch: a number selects, `{ start, end, step }` slices, `null` inserts a dimension, `'...'` stands for the
 * dimensions in between, an integer tensor picks along its dimension, a bool tensor of x's shape masks.
 * @example
 * x.index('...', { start: 1 }, 0); // x[..., 1:, 0]
 */
export function index(x: Tensor, ...specs: IndexSpec[]): Tensor {
  requireTensor('index', x);
  const consumes = specs.filter((spec) => spec !== null && spec !== '...').length;
  if (specs.filter((spec) => spec === '...').length > 1)
    throw new IndexError("an index can only have a single ellipsis ('...')");
  const [only] = specs;
  if (specs.length === 1 && typeof only === 'object' && only !== null && 'dtype' in only && only.dtype === 'bool')
    return maskedSelect(x, only);
  if (consumes > x.rank) throw new IndexError(`too many indices for tensor of dimension ${x.rank}`);
  let dim = 0;
  let result = x;
  for (const spec of specs) {
    if (spec === null) result = unsqueeze(result, dim++);
    else if (spec === '...') dim += x.rank - consumes;
    else if (typeof spec === 'number') result = select(result, dim, spec);
    else if ('dtype' in spec) {
      const n = result.shape[dim];
      const positions = Array.from(spec.dataSync() as ArrayLike<number | bigint>, toNumber).map((i) =>
        i < 0 ? i + n : i,
      );
      const picked = indexSelect(result, dim, tensor(positions, { dtype: 'int64' }));
      result = reshape(picked, [...result.shape.slice(0, dim), ...spec.shape, ...result.shape.slice(dim + 1)]);
      dim += spec.rank;
    } else result = slice(result, dim++, spec.start, spec.end, spec.step);
  }
  return result;
}

/** Rows of `weight` (n, d) at integer indices of any shape (PyTorch: `F.embedding`); gradients of `paddingIdx` are 0. */
export function embedding(indices: Tensor, weight: Tensor, paddingIdx?: number): Tensor {
  const flat = requireIndices('embedding', indices);
  const source =
    paddingIdx === undefined ? weight : stopRow(weight, paddingIdx < 0 ? paddingIdx + weight.shape[0] : paddingIdx);
  return reshape(indexSelect(source, 0, reshape(flat, [-1])), [...indices.shape, weight.shape[1]]);
}

/** The identity, whose gradient is 0 in one row. */
const stopRow = defineOp({
  name: 'stopRow',
  forward: (_ctx, x: Tensor, _row: number) => reshape(x, x.shape),
  backward(_ctx, [g], x, row) {
    const keep = new Float64Array(x.shape[0]).fill(1);
    keep[row] = 0;
    return [
      mul(
        g,
        tensor(
          [...keep].map((v) => [v]),
          { dtype: x.dtype },
        ),
      ),
    ];
  },
});
