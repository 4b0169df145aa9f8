// Diagonals and triangles of matrices: the last two dimensions, or two that are named.
import { requireInteger } from '../checks.ts';
import type { Backend } from '../device/backend.ts';
import { RuntimeError } from '../errors.ts';
import { arangeOn, empty, fullOn, requireTensorOptions, type TensorOptions } from '../tensor/create.ts';
import { requireTensor } from '../tensor/requirements.ts';
import { markSelected } from '../tensor/selected.ts';
import { normalizeDim } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { cast } from './convert.ts';
import { ge, le, where } from './elementwise.ts';
import { indexCopy, indexSelect, nonzero } from './indexing.ts';
import { permute, reshape, t } from './shape_ops.ts';

/** Where column − row is at most, or at least, `diagonal`: (rows, columns), bool. */
function triangle(backend: Backend, rows: number, columns: number, diagonal: number, isLower: boolean): Tensor {
  const down = reshape(arangeOn(backend, rows, 'int64', diagonal), [rows, 1]);
  const across = arangeOn(backend, columns);
  return isLower ? le(across, down) : ge(across, down);
}

function triangleOf(op: 'tril' | 'triu', x: Tensor, diagonal: number): Tensor {
  requireTensor(op, x);
  requireInteger(op, 'diagonal', diagonal);
  if (x.rank < 2) throw new RuntimeError(`${op}: input tensor must have at least 2 dimensions`);
  const [rows, columns] = x.shape.slice(-2);
  const mask = triangle(x.backend, rows, columns, diagonal, op === 'tril');
  return where(mask, x, fullOn(x.backend, [], 0, x.dtype));
}
/**
 * The lower triangle of matrices: 0 where the column is more than `diagonal` right of the row (PyTorch: `torch.tril`).
 * @param diagonal by default 0, the main one.
 * @throws RuntimeError on fewer than two dimensions.
 * @example
 * tril(ones([3, 3])); // [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
 */
export const tril = (x: Tensor, diagonal = 0): Tensor => triangleOf('tril', x, diagonal);
/**
 * The upper triangle of matrices: 0 where the column is less than `diagonal` right of the row (PyTorch: `torch.triu`).
 * @param diagonal by default 0, the main one.
 * @throws RuntimeError on fewer than two dimensions.
 */
export const triu = (x: Tensor, diagonal = 0): Tensor => triangleOf('triu', x, diagonal);

function indicesOf(
  op: 'trilIndices' | 'triuIndices',
  rows: number,
  columns: number,
  offset: number,
  options: TensorOptions,
): Tensor {
  requireInteger(op, 'rows', rows, 0);
  requireInteger(op, 'columns', columns, 0);
  requireInteger(op, 'offset', offset);
  requireTensorOptions(op, options);
  const { backend } = empty([0], { device: options.device });
  const { dtype = 'int64' } = options;
  return cast(t(nonzero(triangle(backend, rows, columns, offset, op === 'trilIndices'))), dtype);
}
/**
 * The rows and the columns of the lower triangle's places in a matrix of the given size, row by row: shape [2, count],
 * int64 (PyTorch: `torch.tril_indices`).
 * @param offset of the diagonal; by default 0, the main one.
 * @example
 * trilIndices(2, 2); // [[0, 1, 1], [0, 0, 1]]
 */
export const trilIndices = (rows: number, columns: number, offset = 0, options: TensorOptions = {}): Tensor =>
  indicesOf('trilIndices', rows, columns, offset, options);
/**
 * The rows and the columns of the upper triangle's places in a matrix of the given size, row by row: shape [2, count],
 * int64 (PyTorch: `torch.triu_indices`).
 * @param offset of the diagonal; by default 0, the main one.
 */
export const triuIndices = (rows: number, columns: number, offset = 0, options: TensorOptions = {}): Tensor =>
  indicesOf('triuIndices', rows, columns, offset, options);

/** The positions of a diagonal in a flattened matrix. */
export function positionsOfDiagonal(backend: Backend, rows: number, columns: number, offset: number): Tensor {
  const first = offset < 0 ? -offset * columns : offset;
  const length = Math.max(0, offset < 0 ? Math.min(rows + offset, columns) : Math.min(rows, columns - offset));
  return arangeOn(backend, length, 'int64', first, columns + 1);
}

/**
 * The diagonal of the matrices in two dimensions, by default the first two, as a new last dimension; a copy (PyTorch:
 * `torch.diagonal`).
 * @param offset of the diagonal: by default 0, the main one; above it where positive.
 * @throws RuntimeError where both dimensions are the same; IndexError on one that x does not have.
 * @example
 * diagonal(tensor([[1, 2], [3, 4]])); // [1, 4]
 */
export function diagonal(x: Tensor, offset = 0, dim1 = 0, dim2 = 1): Tensor {
  const result = diagonalOf('diagonal', x, offset, dim1, dim2);
  markSelected('diagonal', x, result);
  return result;
}
function diagonalOf(op: string, x: Tensor, offset: number, dim1: number, dim2: number): Tensor {
  requireTensor(op, x);
  requireInteger(op, 'offset', offset);
  const [a, b] = [normalizeDim(dim1, x.rank, op), normalizeDim(dim2, x.rank, op)];
  if (a === b) throw new RuntimeError(`diagonal dimensions cannot be identical ${dim1}, ${dim2}`);
  const others = x.shape.map((_, d) => d).filter((d) => d !== a && d !== b);
  const [rows, columns] = [x.shape[a], x.shape[b]];
  const flat = reshape(permute(x, [...others, a, b]), [...others.map((d) => x.shape[d]), rows * columns]);
  return indexSelect(flat, others.length, positionsOfDiagonal(x.backend, rows, columns, offset));
}

/**
 * Matrices that are 0 but for one diagonal, which is x's last dimension; the matrices stand in two dimensions of the
 * result, by default the last two (PyTorch: `torch.diag_embed`).
 * @param offset of the diagonal: by default 0, the main one; above it where positive.
 * @throws RuntimeError where both dimensions are the same; IndexError on one that the result does not have.
 */
export function diagEmbed(x: Tensor, offset = 0, dim1 = -2, dim2 = -1): Tensor {
  requireTensor('diagEmbed', x);
  requireInteger('diagEmbed', 'offset', offset);
  const rank = x.rank + 1;
  const [a, b] = [normalizeDim(dim1, rank, 'diagEmbed'), normalizeDim(dim2, rank, 'diagEmbed')];
  if (a === b) throw new RuntimeError(`diagonal dimensions cannot be identical ${dim1}, ${dim2}`);
  const lead = x.shape.slice(0, -1);
  const size = (x.shape.at(-1) ?? 1) + Math.abs(offset);
  const zeros = fullOn(x.backend, [...lead, size * size], 0, x.dtype);
  const flat = indexCopy(zeros, lead.length, positionsOfDiagonal(x.backend, size, size, offset), x);
  const matrices = reshape(flat, [...lead, size, size]);
  const order = lead.map((_, d) => d);
  // The smaller place first, so that the other one is counted in the result.
  const places: [at: number, from: number][] = [
    [a, lead.length],
    [b, lead.length + 1],
  ];
  for (const [at, from] of places.sort(([one], [other]) => one - other)) order.splice(at, 0, from);
  return permute(matrices, order);
}

/**
 * Of a vector the matrix that has it as its diagonal, of a matrix the diagonal; copies (PyTorch: `torch.diag`).
 * @param diagonal by default 0, the main one; above it where positive.
 * @throws RuntimeError on other than one or two dimensions.
 * @example
 * diag(tensor([1, 2])); // [[1, 0], [0, 2]]
 */
export function diag(x: Tensor, diagonal = 0): Tensor {
  requireTensor('diag', x);
  if (x.rank !== 1 && x.rank !== 2) throw new RuntimeError(`diag(): Supports 1D or 2D tensors. Got ${x.rank}D`);
  requireInteger('diag', 'diagonal', diagonal);
  return x.rank === 1 ? diagEmbed(x, diagonal) : diagonalOf('diag', x, diagonal, 0, 1);
}
