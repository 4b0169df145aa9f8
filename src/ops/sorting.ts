// What is read off sorted values: the k-th value, medians. The kernel that sorts is launched in reduce.ts.
import { requireInteger } from '../checks.ts';
import { IndexError, NotImplementedError, RuntimeError } from '../errors.ts';
import { requireOptions } from '../options.ts';
import { fullOn } from '../tensor/create.ts';
import { isFloat } from '../tensor/dtype.ts';
import { requireTensor } from '../tensor/requirements.ts';
import { normalizeDim } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { clamp, eq, floorDivide, sub, where } from './elementwise.ts';
import { gather } from './indexing.ts';
import { type ReduceOptions, reduceOptions, sort, sum, topk, type ValuesAndIndices } from './reduce.ts';
import { flatten, narrow, reshape, squeeze } from './shape_ops.ts';

/**
 * The k-th smallest values along a dimension, by default the last, counted from 1, with their indices; NaN counts as
 * the largest (PyTorch: `torch.kthvalue`).
 * @throws RuntimeError on k outside of 1 … the dimension's size, or on bool.
 * @example
 * kthvalue(x, 2, 1); // { values, indices } of the second smallest
 */
export function kthvalue(x: Tensor, k: number, dim = -1, options: ReduceOptions = {}): ValuesAndIndices {
  requireTensor('kthvalue', x);
  requireOptions('kthvalue', options, reduceOptions);
  requireInteger('kthvalue', 'k', k);
  const d = normalizeDim(dim, x.rank, 'kthvalue');
  const n = x.shape[d] ?? 1;
  if (x.rank > 0 && n === 0) throw new IndexError(`kthvalue(): Expected reduction dim ${d} to have non-zero size.`);
  if (k < 1 || k > n) throw new RuntimeError(`kthvalue(): selected number k out of range for dimension ${d}`);
  if (x.dtype === 'bool') throw new RuntimeError('kthvalue does not support bool dtypes on CPU');
  const { values, indices } = topk(x, k, d, { largest: false });
  if (x.rank === 0) return { values, indices };
  const last = (t: Tensor) => {
    const kept = narrow(t, d, k - 1, 1);
    return options.keepdim ? kept : squeeze(kept, d);
  };
  return { values: last(values), indices: last(indices) };
}

/** Gathered from sorted values, so that gradients go where these came from. */
function medianAlong(op: string, x: Tensor, dim: number, keepdim: boolean, ignoresNaN: boolean): ValuesAndIndices {
  const d = normalizeDim(dim, x.rank, op);
  if (x.rank > 0 && x.shape[d] === 0)
    throw new IndexError(`${op}(): Expected reduction dim ${d} to have non-zero size.`);
  const whole = x.rank === 0 ? reshape(x, [1]) : x;
  const { values, indices } = sort(whole, d);
  const n = whole.shape[d];
  const places = placeOfMedian(whole, d, n, ignoresNaN);
  const taken = (t: Tensor) => {
    const kept = gather(t, d, places);
    return x.rank === 0 ? reshape(kept, []) : keepdim ? kept : squeeze(kept, d);
  };
  return { values: taken(values), indices: taken(indices) };
}
/** Where the median stands among sorted values: the lower one of two; NaN, which stand last, count or do not. */
function placeOfMedian(x: Tensor, dim: number, n: number, ignoresNaN: boolean): Tensor {
  const middle = Math.floor((n - 1) / 2);
  const shape = x.shape.map((size, d) => (d === dim ? 1 : size));
  if (!isFloat(x.dtype)) return fullOn(x.backend, shape, middle, 'int64');
  const numbers = sum(eq(x, x), dim, { keepdim: true });
  if (!ignoresNaN) return where(eq(numbers, n), fullOn(x.backend, [], middle, 'int64'), numbers);
  return clamp(floorDivide(sub(numbers, 1), 2), 0);
}

function medianOf(
  op: 'median' | 'nanmedian',
  x: Tensor,
  dim: number | undefined,
  options: ReduceOptions | undefined,
): Tensor | ValuesAndIndices {
  requireTensor(op, x);
  requireOptions(op, options, reduceOptions);
  if (x.dtype === 'bool') throw new NotImplementedError(`"${op}" not implemented for 'bool'`);
  if (dim !== undefined) return medianAlong(op, x, dim, options?.keepdim ?? false, op === 'nanmedian');
  if (x.size > 0) return medianAlong(op, flatten(x), 0, false, op === 'nanmedian').values;
  if (!isFloat(x.dtype)) throw new RuntimeError(`[${op}] expected at least one element of an integer tensor`);
  return fullOn(x.backend, [], Number.NaN, x.dtype);
}
/** The median of all values: the lower one of two in the middle; NaN where one is NaN (PyTorch: `torch.median`). */
export function median(x: Tensor): Tensor;
/**
 * The medians along a dimension, with their indices: of two in the middle the lower one; NaN where one is NaN (PyTorch:
 * `torch.median`).
 * @throws IndexError on a dimension that x does not have, or that has size 0; NotImplementedError on bool.
 * @example
 * const { values, indices } = median(logits, 1); // both of shape [8]
 */
export function median(x: Tensor, dim: number, options?: ReduceOptions): ValuesAndIndices;
export function median(x: Tensor, dim?: number, options?: ReduceOptions): Tensor | ValuesAndIndices {
  return medianOf('median', x, dim, options);
}
/** The median of all values that are not NaN (PyTorch: `torch.nanmedian`). */
export function nanmedian(x: Tensor): Tensor;
/**
 * The medians along a dimension of what is not NaN, with their indices (PyTorch: `torch.nanmedian`).
 * @throws IndexError on a dimension that x does not have, or that has size 0; NotImplementedError on bool.
 */
export function nanmedian(x: Tensor, dim: number, options?: ReduceOptions): ValuesAndIndices;
export function nanmedian(x: Tensor, dim?: number, options?: ReduceOptions): Tensor | ValuesAndIndices {
  return medianOf('nanmedian', x, dim, options);
}
