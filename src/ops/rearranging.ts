// Other ways to say reshape, permute, slice and cat: moved dimensions, rolled and turned elements, tensors side by
// side, grids. Nothing here has a kernel of its own.
import { requireInteger, requireIntegers } from '../checks.ts';
import { ArgumentTypeError, IndexError, RuntimeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { fromTypedArrayOn } from '../tensor/create.ts';
import { requireSameDevice, requireTensor } from '../tensor/requirements.ts';
import { markSelected } from '../tensor/selected.ts';
import { broadcastShapes, formatShape, normalizeDim, type Shape } from '../tensor/shape.ts';
import { requireKnownShape, type Tensor } from '../tensor/tensor.ts';
import { warn } from '../warnings.ts';
import { expand, repeat } from './broadcast.ts';
import { indexSelect } from './indexing.ts';
import { cat, copyOf, flatten, flip, narrow, permute, reshape, select, split, transpose } from './shape_ops.ts';

/** A copy of what PyTorch gives as a view. */
function marked<R extends Tensor | Tensor[]>(name: string, x: Tensor, result: R): R {
  for (const part of Array.isArray(result) ? result : [result]) markSelected(name, x, part);
  return result;
}

// ---- dimensions -----------------------------------------------------------------------------------------------------

/** Dimensions as a list, one or several. */
function listOf(op: string, name: string, dims: number | readonly number[]): readonly number[] {
  if (typeof dims !== 'number') return requireIntegers(op, name, dims);
  return [requireInteger(op, name, dims)];
}

function moved(
  op: string,
  x: Tensor,
  source: number | readonly number[],
  destination: number | readonly number[],
): Tensor {
  requireTensor(op, x);
  const [from, to] = [listOf(op, 'source', source), listOf(op, 'destination', destination)];
  if (from.length !== to.length)
    throw new RuntimeError(
      `${op}: Invalid source or destination dims: source (${formatShape(from)} dims) should contain the same number of dims as destination (${formatShape(to)} dims)`,
    );
  const [sources, targets] = [from, to].map((dims) => dims.map((d) => normalizeDim(d, x.rank, op)));
  for (const [name, dims] of [
    ['source', sources],
    ['destination', targets],
  ] as const)
    if (new Set(dims).size !== dims.length)
      throw new RuntimeError(`${op}: repeated dim in \`${name}\` (${formatShape(name === 'source' ? from : to)})`);
  const rest = x.shape.map((_, d) => d).filter((d) => !sources.includes(d));
  const order = x.shape.map((_, d) => (targets.includes(d) ? sources[targets.indexOf(d)] : rest.shift()!));
  return marked(op, x, permute(x, order));
}
/**
 * Dimensions moved to other places, the others in their order; a copy (PyTorch: `torch.movedim`).
 * @throws RuntimeError on lists of different lengths, or a dimension named twice; IndexError on one that x does not
 * have.
 * @example
 * movedim(x, 1, -1); // (N, C, H, W) to (N, H, W, C)
 */
export const movedim = (
  x: Tensor,
  source: number | readonly number[],
  destination: number | readonly number[],
): Tensor => moved('movedim', x, source, destination);
/** Another name of `movedim` (PyTorch: `torch.moveaxis`). */
export const moveaxis = (
  x: Tensor,
  source: number | readonly number[],
  destination: number | readonly number[],
): Tensor => moved('moveaxis', x, source, destination);

function swapped(op: string, x: Tensor, a: number, b: number): Tensor {
  requireTensor(op, x);
  return marked(op, x, transpose(x, normalizeDim(a, x.rank, op), normalizeDim(b, x.rank, op)));
}
/** Another name of `transpose` (PyTorch: `torch.swapaxes`). */
export const swapaxes = (x: Tensor, axis0: number, axis1: number): Tensor => swapped('swapaxes', x, axis0, axis1);
/** Another name of `transpose` (PyTorch: `torch.swapdims`). */
export const swapdims = (x: Tensor, dim0: number, dim1: number): Tensor => swapped('swapdims', x, dim0, dim1);

/** `Tensor.T`: all dimensions in reverse order. */
export function reversed(x: Tensor): Tensor {
  if (x.rank !== 2 && x.rank !== 0)
    warn(
      'The use of `x.T` on tensors of dimension other than 2 to reverse their shape is deprecated and it will throw an error in a future release. Consider `x.mT` to transpose batches of matrices or `x.permute(…)` to reverse the dimensions of a tensor.',
    );
  const order = x.shape.map((_, d) => x.rank - 1 - d);
  return marked('T', x, permute(x, order));
}
/** `Tensor.mT`: the matrices in the last two dimensions transposed. */
export function transposedMatrices(x: Tensor): Tensor {
  if (x.rank < 2)
    throw new RuntimeError(`tensor.mT is only supported on matrices or batches of matrices. Got ${x.rank}-D tensor.`);
  return marked('mT', x, transpose(x, -2, -1));
}

/** The elements as a vector. Shares memory (PyTorch: `torch.ravel`). */
export function ravel(x: Tensor): Tensor {
  requireTensor('ravel', x);
  return marked('ravel', x, flatten(x));
}

/**
 * As `reshape` (PyTorch: `Tensor.view`). Tensors are dense here, so that there is always such a view; a channels-last
 * one is copied.
 * @throws RuntimeError where the sizes do not multiply up to the number of elements.
 * @example
 * view(x, [4, -1]); // shape [4, 384]
 * x.view(4, -1); // the same
 */
export function view(x: Tensor, shape: Shape): Tensor {
  requireTensor('view', x);
  requireIntegers('view', 'shape', shape);
  return marked('view', x, reshape(x, shape));
}

/**
 * The parts at every index of a dimension, by default the first, which disappears; copies (PyTorch: `torch.unbind`).
 * @throws IndexError on a dimension that x does not have.
 * @example
 * const [red, green, blue] = unbind(randn([3, 8, 8]), 0);
 */
export function unbind(x: Tensor, dim = 0): Tensor[] {
  requireTensor('unbind', x);
  if (x.rank === 0) throw new IndexError('Dimension specified as 0 but tensor has no dimensions');
  const d = normalizeDim(dim, x.rank, 'unbind');
  return marked(
    'unbind',
    x,
    Array.from({ length: x.shape[d] }, (_, i) => select(x, d, i)),
  );
}

// ---- repeated and moved elements ------------------------------------------------------------------------------------

/**
 * As `repeat`, but fewer counts than dimensions are for the last ones (PyTorch: `torch.tile`).
 * @throws RuntimeError on a negative count.
 * @example
 * tile(x, [2]); // shape [4, 6, 8, 16]
 */
export function tile(x: Tensor, counts: Shape): Tensor {
  requireTensor('tile', x);
  requireIntegers('tile', 'counts', counts);
  return repeat(x, [...Array<number>(Math.max(0, x.rank - counts.length)).fill(1), ...counts]);
}

/** x broadcast to a shape; a copy, as `expand` (PyTorch: `torch.broadcast_to`). */
export function broadcastToShape(x: Tensor, shape: Shape): Tensor {
  requireTensor('broadcastTo', x);
  requireIntegers('broadcastTo', 'shape', shape);
  return marked('broadcastTo', x, expand(x, shape));
}

/**
 * Tensors broadcast to their common shape; copies (PyTorch: `torch.broadcast_tensors`).
 * @throws RuntimeError where the shapes do not broadcast.
 * @example
 * const [a, b] = broadcastTensors(zeros([3, 1]), ones([4])); // both of shape [3, 4]
 */
export function broadcastTensors(...tensors: Tensor[]): Tensor[] {
  for (const tensor of tensors) requireTensor('broadcastTensors', tensor);
  const shape = tensors.reduce<number[]>((common, { shape: own }) => broadcastShapes(common, own), []);
  return tensors.map((tensor) => marked('broadcastTensors', tensor, expand(tensor, shape)));
}

/**
 * The elements moved along dimensions; those that leave at the end come in at the front. Without dimensions, along the
 * flattened tensor (PyTorch: `torch.roll`).
 * @throws RuntimeError unless there is one shift for each dimension.
 * @example
 * roll(x, 1, -1); // each row moved by one to the right
 */
export function roll(x: Tensor, shifts: number | readonly number[], dims?: number | readonly number[]): Tensor {
  requireTensor('roll', x);
  const by = listOf('roll', 'shifts', shifts);
  const along = dims === undefined ? [] : listOf('roll', 'dims', dims);
  if (by.length === 0) throw new RuntimeError('`shifts` required');
  if (along.length === 0 && by.length === 1) return reshape(rolled(flatten(x), by[0], 0), x.shape);
  if (along.length !== by.length)
    throw new RuntimeError(`shifts and dimensions must align. shifts: ${by.length}, dims:${along.length}`);
  if (x.rank === 0) throw new IndexError(`Dimension specified as ${along[0]} but tensor has no dimensions`);
  const used = along.map((d) => normalizeDim(d, x.rank, 'roll'));
  return used.reduce((y, d, i) => rolled(y, by[i], d), x);
}
function rolled(x: Tensor, shift: number, dim: number): Tensor {
  const n = x.shape[dim];
  const by = n === 0 ? 0 : ((shift % n) + n) % n;
  return by === 0 ? copyOf(x) : cat([narrow(x, dim, n - by, by), narrow(x, dim, 0, n - by)], dim);
}

/** Options of `repeatInterleave`. */
export interface RepeatInterleaveOptions {
  /** The size of the result along the dimension, which need not be computed then. Default: the sum of the counts. */
  outputSize?: number;
}
const repeatInterleaveOptions = declareOptions<RepeatInterleaveOptions>({ outputSize: kind.integer });

/**
 * Each slice of a dimension repeated in its place, all equally often, or each as often as a tensor of integers says;
 * without a dimension, of the flattened tensor (PyTorch: `torch.repeat_interleave`).
 * @throws RuntimeError on a negative count, or another number of counts than slices.
 * @example
 * repeatInterleave(tensor([1, 2]), 2); // [1, 1, 2, 2]
 * repeatInterleave(tensor([1, 2]), tensor([2, 1], { dtype: 'int64' })); // [1, 1, 2]
 */
export function repeatInterleave(
  x: Tensor,
  repeats: number | Tensor,
  dim?: number,
  options: RepeatInterleaveOptions = {},
): Tensor {
  requireTensor('repeatInterleave', x);
  requireOptions('repeatInterleave', options, repeatInterleaveOptions);
  const whole = dim === undefined ? flatten(x) : x.rank === 0 ? reshape(x, [1]) : x;
  const d = dim === undefined ? 0 : normalizeDim(dim, Math.max(1, x.rank), 'repeatInterleave');
  const n = whole.shape[d];
  const size = options.outputSize;
  if (typeof repeats === 'number') {
    requireInteger('repeatInterleave', 'repeats', repeats);
    if (repeats < 0) throw new RuntimeError('Repeats must be non-negative');
    requireSum(size, n * repeats);
    const [before, after] = [whole.shape.slice(0, d), whole.shape.slice(d + 1)];
    const spread = expand(reshape(whole, [...before, n, 1, ...after]), [...before, n, repeats, ...after]);
    return reshape(spread, [...before, n * repeats, ...after]);
  }
  requireTensor('repeatInterleave', repeats);
  requireSameDevice('repeatInterleave', x, repeats);
  if (repeats.dtype !== 'int64' && repeats.dtype !== 'int32')
    throw new RuntimeError('repeats has to be Long or Int tensor');
  if (repeats.rank > 1) throw new RuntimeError('repeats must be 0-dim or 1-dim tensor');
  if (repeats.size !== 1 && repeats.size !== n)
    throw new RuntimeError(
      `repeats must have the same size as input along dim, but got repeats.size(0) = ${repeats.size} and input.size(${d}) = ${n}`,
    );
  requireKnownShape('repeatInterleave', repeats);
  const counts = Array.from(repeats.dataSync() as ArrayLike<number | bigint>, Number);
  if (counts.some((count) => count < 0)) throw new RuntimeError('repeats can not be negative');
  const countOf = (i: number) => counts[counts.length === 1 ? 0 : i];
  const places: number[] = [];
  for (let i = 0; i < n; i++) for (let k = countOf(i); k > 0; k--) places.push(i);
  requireSum(size, places.length);
  return indexSelect(whole, d, fromTypedArrayOn(x.backend, Int32Array.from(places), [places.length]));
}
function requireSum(given: number | undefined, size: number): void {
  if (given !== undefined && given !== size)
    throw new RuntimeError(
      `[repeatInterleave] allocated size does not match required size: expected outputSize of ${size}, got ${given}`,
    );
}

/**
 * The columns in reverse order: dimension 1 (PyTorch: `torch.fliplr`).
 * @throws RuntimeError on fewer than two dimensions.
 */
export function fliplr(x: Tensor): Tensor {
  requireTensor('fliplr', x);
  if (x.rank < 2) throw new RuntimeError('Input must be >= 2-d.');
  return flip(x, 1);
}
/**
 * The rows in reverse order: dimension 0 (PyTorch: `torch.flipud`).
 * @throws RuntimeError on a tensor without dimensions.
 */
export function flipud(x: Tensor): Tensor {
  requireTensor('flipud', x);
  if (x.rank < 1) throw new RuntimeError('Input must be >= 1-d.');
  return flip(x, 0);
}
/**
 * Turned by `k` quarter turns in the plane of two dimensions, from the first towards the second (PyTorch:
 * `torch.rot90`).
 * @param k by default 1. @param dims by default [0, 1].
 * @throws RuntimeError unless there are two different dimensions.
 */
export function rot90(x: Tensor, k = 1, dims: readonly number[] = [0, 1]): Tensor {
  requireTensor('rot90', x);
  requireInteger('rot90', 'k', k);
  requireIntegers('rot90', 'dims', dims);
  if (dims.length !== 2) throw new RuntimeError(`expected total rotation dims == 2, but got dims = ${dims.length}`);
  if (x.rank < 2) throw new RuntimeError(`expected total dims >= 2, but got total dims = ${x.rank}`);
  if (dims[0] === dims[1] || Math.abs(dims[0] - dims[1]) === x.rank)
    throw new RuntimeError(`expected rotation dims to be different, but got dim0 = ${dims[0]} and dim1 = ${dims[1]}`);
  const [a, b] = dims.map((d, i) => {
    if (d >= x.rank || d < -x.rank) throw new RuntimeError(`Rotation dim${i} out of range, dim${i} = ${d}`);
    return d < 0 ? d + x.rank : d;
  });
  switch (((k % 4) + 4) % 4) {
    case 1:
      return transpose(flip(x, b), a, b);
    case 2:
      return flip(x, [a, b]);
    case 3:
      return transpose(flip(x, a), a, b);
    default:
      return copyOf(x);
  }
}

// ---- several tensors ------------------------------------------------------------------------------------------------

function requireList(op: string, tensors: readonly Tensor[]): void {
  if (!Array.isArray(tensors)) throw new ArgumentTypeError(`[${op}] expected an array of tensors`);
  for (const tensor of tensors) requireTensor(op, tensor);
  if (tensors.length === 0) throw new RuntimeError(`${op} expects a non-empty TensorList`);
}
/** With dimensions of size 1 put in where PyTorch's `atleast_1d` to `atleast_3d` do. */
export const withRank = (x: Tensor, rank: 1 | 2 | 3): Tensor => {
  if (x.rank >= rank) return x;
  if (x.rank === 0) return reshape(x, Array<number>(rank).fill(1));
  if (rank === 2) return reshape(x, [1, ...x.shape]);
  return reshape(x, x.rank === 1 ? [1, ...x.shape, 1] : [...x.shape, 1]);
};
/**
 * Tensors joined below each other: along the first dimension, vectors as rows (PyTorch: `torch.vstack`).
 * @throws RuntimeError on an empty list, or sizes that do not fit.
 * @example
 * vstack([tensor([1, 2]), tensor([3, 4])]); // [[1, 2], [3, 4]]
 */
export function vstack(tensors: readonly Tensor[]): Tensor {
  requireList('vstack', tensors);
  return cat(
    tensors.map((tensor) => withRank(tensor, 2)),
    0,
  );
}
/**
 * Tensors joined side by side: along the second dimension, vectors along their only one (PyTorch: `torch.hstack`).
 * @throws RuntimeError on an empty list, or sizes that do not fit.
 */
export function hstack(tensors: readonly Tensor[]): Tensor {
  requireList('hstack', tensors);
  const lines = tensors.map((tensor) => withRank(tensor, 1));
  return cat(lines, lines[0].rank === 1 ? 0 : 1);
}
/**
 * Tensors joined in depth: along the third dimension (PyTorch: `torch.dstack`).
 * @throws RuntimeError on an empty list, or sizes that do not fit.
 */
export function dstack(tensors: readonly Tensor[]): Tensor {
  requireList('dstack', tensors);
  return cat(
    tensors.map((tensor) => withRank(tensor, 3)),
    2,
  );
}
/**
 * Tensors joined side by side, vectors as columns (PyTorch: `torch.column_stack`).
 * @throws RuntimeError on an empty list, or sizes that do not fit.
 */
export function columnStack(tensors: readonly Tensor[]): Tensor {
  requireList('columnStack', tensors);
  return cat(
    tensors.map((tensor) => (tensor.rank < 2 ? reshape(tensor, [tensor.size, 1]) : tensor)),
    1,
  );
}

/**
 * `sections` pieces of a dimension, by default the first, as equal as they can be, the larger ones in front; or the
 * pieces between positions; copies (PyTorch: `torch.tensor_split`).
 * @throws RuntimeError on no sections, or a tensor without dimensions.
 * @example
 * tensorSplit(arange(7), 3); // of 3, 2 and 2
 * tensorSplit(arange(7), [1, 4]); // of 1, 3 and 3
 */
export function tensorSplit(x: Tensor, sections: number | readonly number[] | Tensor, dim = 0): Tensor[] {
  requireTensor('tensorSplit', x);
  if (x.rank === 0)
    throw new RuntimeError('tensorSplit expected at least a 1-dimensional tensor, but got a tensor with 0 dims');
  const d = normalizeDim(dim, x.rank, 'tensorSplit');
  const n = x.shape[d];
  const at = positionsIn('tensorSplit', sections);
  if (typeof at === 'number') {
    requireInteger('tensorSplit', 'sections', at);
    if (at <= 0) throw new RuntimeError(`number of sections must be larger than 0, got ${at}`);
    const least = Math.floor(n / at);
    return marked(
      'tensorSplit',
      x,
      split(
        x,
        Array.from({ length: at }, (_, i) => least + (i < n % at ? 1 : 0)),
        d,
      ),
    );
  }
  requireIntegers('tensorSplit', 'sections', at);
  const limit = (i: number) => Math.min(n, Math.max(0, i < 0 ? i + n : i));
  return marked(
    'tensorSplit',
    x,
    [...at, n].map((end, i) => {
      const start = i === 0 ? 0 : limit(at[i - 1]);
      return narrow(x, d, start, Math.max(0, limit(end) - start));
    }),
  );
}
/** A number of sections, or positions, which may stand in a tensor. */
function positionsIn(op: string, sections: number | readonly number[] | Tensor): number | readonly number[] {
  if (typeof sections === 'number' || Array.isArray(sections)) return sections as number | readonly number[];
  const given = sections as Tensor;
  requireTensor(op, given);
  if (given.dtype !== 'int64' || given.device !== 'cpu')
    throw new RuntimeError(
      `tensorSplit expected sections to be on cpu and have dtype int64, got ${given.device} and ${given.dtype}`,
    );
  if (given.rank > 1)
    throw new RuntimeError(
      `tensorSplit expected sections to be a zero-dimensional or one-dimensional tensor, but got a tensor with ${given.rank} dims`,
    );
  return given.toArray() as number | number[];
}

/** Options of `meshgrid`. */
export interface MeshgridOptions {
  /** `'ij'`: the first tensor runs along the first dimension; `'xy'`: along the second. Default: `'ij'`. */
  indexing?: 'ij' | 'xy';
}
const meshgridOptions = declareOptions<MeshgridOptions>({ indexing: kind.choice });

/**
 * For vectors of n, m, … coordinates, one tensor each of shape [n, m, …]: the coordinates of all points of the grid
 * (PyTorch: `meshgrid`).
 * @throws RuntimeError on a tensor of more than one dimension, or on different dtypes.
 * @example
 * const [ys, xs] = meshgrid([arange(2), arange(3)]); // both of shape [2, 3]
 */
export function meshgrid(tensors: readonly Tensor[], options: MeshgridOptions = {}): Tensor[] {
  requireList('meshgrid', tensors);
  requireOptions('meshgrid', options, meshgridOptions);
  const { indexing = 'ij' } = options;
  if (indexing !== 'ij' && indexing !== 'xy')
    throw new RuntimeError(`meshgrid: indexing must be one of "xy" or "ij", but received: ${String(indexing)}`);
  for (const tensor of tensors) {
    if (tensor.rank > 1)
      throw new RuntimeError(
        `meshgrid: Expected 0D or 1D tensor in the tensor list but got: ${formatShape(tensor.shape)}`,
      );
    if (tensor.dtype !== tensors[0].dtype)
      throw new RuntimeError('meshgrid expects all tensors to have the same dtype');
  }
  requireSameDevice('meshgrid', ...tensors);
  const place = (i: number) => (indexing === 'xy' && i < 2 && tensors.length > 1 ? 1 - i : i);
  const shape = tensors.map((_, d) => tensors[place(d)].size);
  return tensors.map((tensor, i) => {
    const own = shape.map((_, d) => (d === place(i) ? tensor.size : 1));
    return marked('meshgrid', tensor, expand(reshape(tensor, own), shape));
  });
}
