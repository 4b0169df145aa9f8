// What is read off sorted values: the k-th value, medians, quantiles, modes. The kernel that sorts is launched in
// reduce.ts.
import { requireInteger, shown } from '../checks.ts';
import { IndexError, NotImplementedError, RuntimeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { arangeOn, fullOn, tensorOn } from '../tensor/create.ts';
import { isFloat } from '../tensor/dtype.ts';
import { requireSameDevice, requireTensor } from '../tensor/requirements.ts';
import { normalizeDim } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { broadcastTo } from './broadcast.ts';
import { cast, clone } from './convert.ts';
import { cummax, neighbours } from './cumulative.ts';
import {
  ceil,
  clamp,
  eq,
  floor,
  floorDivide,
  gt,
  isnan,
  lerp,
  logicalNot,
  logicalOr,
  lt,
  mul,
  ne,
  round,
  sub,
  where,
} from './elementwise.ts';
import { gather } from './indexing.ts';
import { any, argmax, type ReduceOptions, reduceOptions, sort, sum, topk, type ValuesAndIndices } from './reduce.ts';
import { cat, flatten, narrow, permute, reshape, squeeze, transpose, unsqueeze } from './shape_ops.ts';

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

/**
 * The values sorted along the first dimension, ascending (PyTorch: `torch.msort`).
 * @throws IndexError on a single number.
 */
export function msort(x: Tensor): Tensor {
  requireTensor('msort', x);
  return sort(x, 0).values;
}

/**
 * The most frequent value along a dimension, by default the last, with an index of it, its last one; of several the
 * smallest (PyTorch: `torch.mode`).
 * @throws IndexError on a dimension that x does not have, or that has size 0.
 * @example
 * mode(tensor([1, 2, 2, 3])); // { values: 2, indices: 2 }
 */
export function mode(x: Tensor, dim = -1, options: ReduceOptions = {}): ValuesAndIndices {
  requireTensor('mode', x);
  requireOptions('mode', options, reduceOptions);
  const d = normalizeDim(dim, x.rank, 'mode');
  if (x.rank === 0) return { values: clone(x), indices: fullOn(x.backend, [], 0, 'int64') };
  const n = x.shape[d];
  if (n === 0) throw new IndexError(`mode(): Expected reduction dim ${d} to have non-zero size.`);
  const { values, indices } = sort(x, d);
  // Where each run of equal values begins; the place in it tells how often its value has come.
  const places = broadcastTo(
    reshape(
      arangeOn(x.backend, n),
      x.shape.map((_, i) => (i === d ? n : 1)),
    ),
    x.shape,
  );
  const isFirst = eq(places, 0);
  const differs = cat([narrow(isFirst, d, 0, 1), ne(...neighbours(values, d))], d);
  const begins = cummax(where(differs, places, 0), d).values;
  const last = argmax(sub(places, begins), d, { keepdim: true });
  const taken = (t: Tensor) => {
    const kept = gather(t, d, last);
    return options.keepdim ? kept : squeeze(kept, d);
  };
  return { values: taken(values), indices: taken(indices) };
}

/** Which value stands for a place between two neighbours. */
export type QuantileInterpolation = 'linear' | 'lower' | 'higher' | 'midpoint' | 'nearest';
/** Options of `quantile` and `nanquantile`. */
export interface QuantileOptions extends ReduceOptions {
  /** Between two neighbours: a value in proportion, or one of them, or their middle. Default: `'linear'`. */
  interpolation?: QuantileInterpolation;
}
const quantileOptions = declareOptions<QuantileOptions>({ keepdim: kind.flag, interpolation: kind.choice });

function quantileOf(
  op: 'quantile' | 'nanquantile',
  x: Tensor,
  q: number | Tensor,
  dim: number | null,
  options: QuantileOptions,
): Tensor {
  requireTensor(op, x);
  requireOptions(op, options, quantileOptions);
  const { keepdim = false, interpolation = 'linear' } = options;
  if (!isFloat(x.dtype)) throw new RuntimeError(`${op}() input tensor must be either float or double dtype`);
  const wanted = typeof q === 'number' ? tensorOn(x.backend, q, x.dtype) : q;
  requireTensor(op, wanted);
  requireSameDevice(op, x, wanted);
  if (typeof q === 'number' && !(q >= 0 && q <= 1))
    throw new RuntimeError(`${op}() q must be in the range [0, 1] but got ${q}`);
  if (wanted.rank > 1) throw new RuntimeError(`${op}() q must be a scalar or 1D tensor`);
  if (wanted.dtype !== x.dtype) throw new RuntimeError(`${op}() q tensor must be same dtype as the input tensor`);
  if (!['linear', 'lower', 'higher', 'midpoint', 'nearest'].includes(interpolation))
    throw new RuntimeError(
      `${op}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got ${shown(interpolation)}`,
    );
  const d = dim === null ? null : normalizeDim(dim, x.rank, op);
  if (x.size === 0) throw new RuntimeError(`${op}() input tensor must be non-empty`);
  if (wanted.device !== 'meta' && wanted.size > 0 && any(logicalOr(lt(wanted, 0), gt(wanted, 1))).item())
    throw new RuntimeError(`${op}() q values must be in the range [0, 1]`);
  // (…, n): the dimension comes last.
  const rows = d === null || x.rank === 0 ? reshape(x, [-1]) : transpose(x, d, -1);
  const n = rows.shape[rows.rank - 1];
  const { values } = sort(rows, -1);
  const count = wanted.size;
  const column = reshape(wanted, [...rows.shape.slice(0, -1).map(() => 1), count]);
  const missing = isnan(rows);
  const along = (last: number | Tensor) => mul(column, last);
  // A row with NaN gives NaN, its last value; or NaN do not count.
  const ranks =
    op === 'quantile'
      ? where(any(missing, -1, { keepdim: true }), n - 1, along(n - 1))
      : along(cast(clamp(sub(sum(logicalNot(missing), -1, { keepdim: true }), 1), 0), x.dtype));
  const below = { lower: floor, higher: ceil, nearest: round, linear: floor, midpoint: floor }[interpolation](ranks);
  const shape = [...rows.shape.slice(0, -1), count];
  const at = (rank: Tensor) => gather(values, rows.rank - 1, broadcastTo(cast(rank, 'int64'), shape));
  let found = at(below);
  if (interpolation === 'linear' || interpolation === 'midpoint') {
    const weight = interpolation === 'midpoint' ? fullOn(x.backend, [], 0.5, x.dtype) : sub(ranks, below);
    found = lerp(found, at(ceil(ranks)), broadcastTo(weight, shape));
  }
  // (…, q) → (q, …): the quantiles come first.
  const first = permute(found, [found.rank - 1, ...rows.shape.slice(0, -1).map((_, i) => i)]);
  const rest = d === null ? x.shape.map(() => 1) : x.shape.map((size, i) => (i === d ? 1 : size));
  const whole =
    d === null || x.rank === 0 ? reshape(first, [count, ...rest]) : transpose(unsqueeze(first, -1), d + 1, -1);
  const reduced = keepdim ? whole : reshape(whole, [count, ...(d === null ? [] : rest.filter((_, i) => i !== d))]);
  return wanted.rank === 0 ? squeeze(reduced, 0) : reduced;
}

/**
 * The values below which the shares q of x lie, of all elements or along a dimension: with q as a vector, they come
 * first in the result. NaN gives NaN (PyTorch: `torch.quantile`).
 * @param q a number from 0 to 1, or a tensor of x's dtype with one or several.
 * @throws RuntimeError on a q outside of 0 … 1, on integers, and on a tensor without elements.
 * @example
 * quantile(x, 0.5, 1); // the medians along dimension 1, between the two in the middle
 */
export const quantile = (
  x: Tensor,
  q: number | Tensor,
  dim: number | null = null,
  options: QuantileOptions = {},
): Tensor => quantileOf('quantile', x, q, dim, options);
/**
 * As `quantile`, of what is not NaN (PyTorch: `torch.nanquantile`).
 * @throws RuntimeError on a q outside of 0 … 1, on integers, and on a tensor without elements.
 */
export const nanquantile = (
  x: Tensor,
  q: number | Tensor,
  dim: number | null = null,
  options: QuantileOptions = {},
): Tensor => quantileOf('nanquantile', x, q, dim, options);
