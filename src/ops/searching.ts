// Places in sorted values, counts of equal values, and values each once.
import { requireInteger, requireNumber, requireNumbers, shown } from '../checks.ts';
import { KernelRefusal } from '../device/address_backend.ts';
import { Status } from '../device/generated/abi.ts';
import { NotImplementedError, RuntimeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { rowMajor } from '../tensor/copy.ts';
import { arangeOn, fullOn, tensorOn } from '../tensor/create.ts';
import { isFloat } from '../tensor/dtype.ts';
import { requireSameDevice, requireTensor } from '../tensor/requirements.ts';
import { formatShape, normalizeDim, sameShape, sizeOf } from '../tensor/shape.ts';
import { allocate, requireKnownShape, Tensor } from '../tensor/tensor.ts';
import { cast, detach, resultType } from './convert.ts';
import { neighbours } from './cumulative.ts';
import {
  add,
  clamp,
  div,
  eq,
  floor,
  ge,
  gt,
  le,
  logicalAnd,
  logicalNot,
  lt,
  mul,
  ne,
  sub,
  where,
} from './elementwise.ts';
import { indexSelect, maskedSelect, nonzeroPositions, scatterAdd } from './indexing.ts';
import { cumsum, max, min, sort, sum } from './reduce.ts';
import { cat, flatten, narrow, permute, reshape } from './shape_ops.ts';

// ---- places in sorted values ----------------------------------------------------------------------------------------

/** Options of `bucketize`. */
export interface BucketizeOptions {
  /** Stand behind values that are equal, not before them. Default: false. */
  right?: boolean;
  /** Give int32 instead of int64. Default: false. */
  outInt32?: boolean;
}
/** Options of `searchsorted`. */
export interface SearchsortedOptions extends BucketizeOptions {
  /** The same as `right`, by name. Default: null. */
  side?: 'left' | 'right' | null;
  /** The indices that sort the values, which need not be sorted then; int64. Default: null. */
  sorter?: Tensor | null;
}
const bucketizeKinds = { right: kind.flag, outInt32: kind.flag };
const bucketizeOptions = declareOptions<BucketizeOptions>(bucketizeKinds);
const searchsortedOptions = declareOptions<SearchsortedOptions>({
  ...bucketizeKinds,
  side: kind.own,
  sorter: kind.tensor,
});

function search(op: string, sorted: Tensor, values: Tensor, options: SearchsortedOptions): Tensor {
  const { right = false, outInt32 = false, sorter = null } = options;
  const dtype = resultType(sorted, values);
  const [boundaries, wanted] = [sorted, values].map((t) => rowMajor(cast(detach(t), dtype)));
  const out = allocate(values.shape, 'int64', 'contiguous', values.backend);
  const n = sorted.shape.at(-1)!;
  const step = sorted.rank === 1 ? 0 : n;
  const rows = sorted.rank === 1 ? 1 : sizeOf(sorted.shape.slice(0, -1));
  const count = rows === 0 ? 0 : values.size / rows;
  const order = sorter && rowMajor(sorter);
  try {
    values.backend.launch.searchsorted(op, {
      sorted: boundaries,
      step,
      order,
      values: wanted,
      out,
      rows,
      n,
      count,
      right,
    });
  } catch (error) {
    if (!(error instanceof KernelRefusal) || error.status !== Status.badIndex) throw error;
    throw new RuntimeError(`${op}(): sorter index out of range`);
  }
  return outInt32 ? cast(out, 'int32') : out;
}

/**
 * Where each value would stand among sorted ones along their last dimension, so that the order stays; int64. One sorted
 * vector is for all values; otherwise all dimensions but the last are equal (PyTorch: `torch.searchsorted`).
 * @throws RuntimeError on shapes that do not fit, and on a sorter that is none.
 * @example
 * searchsorted(tensor([1, 3, 5]), tensor([3, 4])); // [1, 2]
 */
export function searchsorted(sorted: Tensor, values: Tensor | number, options: SearchsortedOptions = {}): Tensor {
  requireTensor('searchsorted', sorted);
  requireOptions('searchsorted', options, searchsortedOptions);
  const wanted = typeof values === 'number' ? tensorOn(sorted.backend, values, sorted.dtype) : values;
  requireTensor('searchsorted', wanted);
  requireSameDevice('searchsorted', sorted, wanted);
  if (sorted.rank === 0)
    throw new RuntimeError('searchsorted(): boundaries tensor should have positive dimension, but got 0 dimension');
  if (wanted.rank === 0 && sorted.rank !== 1)
    throw new RuntimeError(
      `searchsorted(): input value can be a scalar only when boundaries tensor dimension is 1, but we got boundaries tensor dim(${sorted.rank}) and input value's dim(0) numel(1)`,
    );
  if (sorted.rank > 1 && !sameShape(sorted.shape.slice(0, -1), wanted.shape.slice(0, -1)))
    throw new RuntimeError(
      `searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and input value tensor must match, but we got boundaries tensor ${formatShape(sorted.shape)} and input value tensor ${formatShape(wanted.shape)}`,
    );
  const { sorter = null, side = null, right } = options;
  if (side !== null && side !== 'left' && side !== 'right')
    throw new RuntimeError(`searchsorted(): side can only be 'left' or 'right' but got ${shown(side)}`);
  if (side === 'left' && right)
    throw new RuntimeError(
      "searchsorted(): side and right can't be set to opposites, got side of left while right was true",
    );
  if (sorter) {
    requireSameDevice('searchsorted', sorted, sorter);
    if (!sameShape(sorter.shape, sorted.shape))
      throw new RuntimeError(
        `searchsorted(): boundary and sorter must have the same size, but got boundary tensor ${formatShape(sorted.shape)} and got sorter tensor ${formatShape(sorter.shape)}`,
      );
    if (sorter.dtype !== 'int64')
      throw new RuntimeError(`searchsorted(): sorter must be a tensor of int64 dtype but got dtype ${sorter.dtype}`);
  }
  return search('searchsorted', sorted, wanted, { ...options, right: right || side === 'right' });
}

/**
 * The number of the bucket of each element, of those that sorted boundaries part; int64 (PyTorch: `torch.bucketize`).
 * @throws RuntimeError on boundaries that are no vector.
 * @example
 * bucketize(tensor([3, 6, 9]), tensor([1, 3, 5, 7, 9])); // [1, 3, 4]
 */
export function bucketize(x: Tensor | number, boundaries: Tensor, options: BucketizeOptions = {}): Tensor {
  requireTensor('bucketize', boundaries);
  requireOptions('bucketize', options, bucketizeOptions);
  if (boundaries.rank !== 1)
    throw new RuntimeError(`boundaries tensor must be 1 dimension, but got dim(${boundaries.rank})`);
  const values = typeof x === 'number' ? tensorOn(boundaries.backend, x, boundaries.dtype) : x;
  requireTensor('bucketize', values);
  requireSameDevice('bucketize', values, boundaries);
  return search('bucketize', boundaries, values, options);
}

// ---- counts ---------------------------------------------------------------------------------------------------------

/** Options of `bincount`. */
export interface BincountOptions {
  /** What each element counts. Default: 1; counts are int64 then. */
  weights?: Tensor | null;
  /** The least number of counts. Default: 0. */
  minlength?: number;
}
const bincountOptions = declareOptions<BincountOptions>({ weights: kind.tensor, minlength: kind.integer });

/**
 * How often each number from 0 to the largest occurs in a vector of integers (PyTorch: `torch.bincount`).
 * @throws RuntimeError on negative numbers, and on what is no vector; NotImplementedError on floats.
 * @example
 * bincount(tensor([0, 2, 2], { dtype: 'int64' })); // [1, 0, 2]
 */
export function bincount(x: Tensor, options: BincountOptions = {}): Tensor {
  requireTensor('bincount', x);
  requireOptions('bincount', options, bincountOptions);
  const { weights = null, minlength = 0 } = options;
  requireInteger('bincount', 'minlength', minlength);
  if (minlength < 0) throw new RuntimeError('minlength should be >= 0');
  if (isFloat(x.dtype) || x.dtype === 'bool')
    throw new NotImplementedError(`"bincount" not implemented for '${x.dtype}'`);
  if (x.rank === 1 && x.size === 0) return fullOn(x.backend, [minlength], 0, 'int64');
  requireKnownShape('bincount', x);
  if (x.rank !== 1 || min(x).item() < 0)
    throw new RuntimeError('bincount only supports 1-d non-negative integral inputs.');
  if (weights && !sameShape(weights.shape, x.shape))
    throw new RuntimeError('weights should be 1-d and have the same length as input');
  const count = Math.max(minlength, max(x).item() + 1);
  const dtype = weights ? (weights.dtype === 'float32' ? 'float32' : 'float64') : 'int64';
  const terms = weights ? cast(detach(weights), dtype) : fullOn(x.backend, x.shape, 1, dtype);
  return scatterAdd(fullOn(x.backend, [count], 0, dtype), 0, cast(x, 'int64'), terms);
}

/** Sums of weights in `bins` bins of equal width; the last one is closed on both sides. */
function equalBins(x: Tensor, weights: Tensor, bins: number, low: number, high: number, edges: Tensor | null): Tensor {
  const isInside = logicalAnd(ge(x, low), le(x, high));
  const places = where(isInside, clamp(floor(mul(div(sub(x, low), high - low), bins)), 0, bins - 1), 0);
  let at = cast(places, 'int64');
  if (edges) {
    // Rounding may have found the neighbour.
    const edgeAt = (of: Tensor) => indexSelect(edges, 0, of);
    at = sub(at, cast(logicalAnd(gt(at, 0), lt(x, edgeAt(at))), 'int64'));
    const next = add(at, 1);
    at = where(logicalAnd(lt(next, bins), ge(x, edgeAt(next))), next, at);
  }
  return scatterAdd(fullOn(x.backend, [bins], 0, x.dtype), 0, at, where(isInside, weights, 0));
}
/** The ends of bins: as given, or where both are equal those of the values, or a half on each side of the one value. */
function endsOf(op: string, x: Tensor, low: number, high: number): [low: number, high: number] {
  let [from, to] = [low, high];
  if (from === to && x.size === 0) return [0, 1];
  if (from === to) [from, to] = [min(x).item(), max(x).item()];
  if (!Number.isFinite(from) || !Number.isFinite(to))
    throw new RuntimeError(`${op}: range of [${from}, ${to}] is not finite`);
  if (from > to) throw new RuntimeError(`${op}: max must be larger than min`);
  return from === to ? [from - (op === 'histc' ? 1 : 0.5), to + (op === 'histc' ? 1 : 0.5)] : [from, to];
}

/**
 * How many elements are in each of `bins` bins of equal width from min to max; outside nothing counts. If both are 0,
 * they are the smallest and the largest element (PyTorch: `torch.histc`).
 * @param bins by default 100.
 * @throws RuntimeError on less than one bin, or ends that are none; NotImplementedError on integers.
 * @example
 * histc(tensor([1, 2, 1]), 4, 0, 3); // [0, 2, 1, 0]
 */
export function histc(x: Tensor, bins = 100, min = 0, max = 0): Tensor {
  requireTensor('histc', x);
  requireInteger('histc', 'bins', bins);
  requireNumber('histc', 'min', min);
  requireNumber('histc', 'max', max);
  requireFloats('histc', x);
  if (bins <= 0) throw new RuntimeError(`histc(): bins must be > 0, but got ${bins} for dimension 0`);
  requireKnownShape('histc', x);
  const flat = flatten(detach(x));
  const [low, high] = endsOf('histc', flat, min, max);
  return equalBins(flat, fullOn(x.backend, flat.shape, 1, x.dtype), bins, low, high, null);
}
function requireFloats(op: string, x: Tensor): void {
  if (!isFloat(x.dtype)) throw new NotImplementedError(`"${op}" not implemented for '${x.dtype}'`);
}

/** Options of `histogram`. */
export interface HistogramOptions {
  /** The ends of bins of equal width. Default: the smallest and the largest element. */
  range?: readonly [low: number, high: number];
  /** What each element counts. Default: 1. */
  weight?: Tensor | null;
  /** Divide by the sum and by each bin's width, so that the area is 1. Default: false. */
  density?: boolean;
}
const histogramOptions = declareOptions<HistogramOptions>({
  range: kind.numbers,
  weight: kind.tensor,
  density: kind.flag,
});

/**
 * Sums of weights of the elements in bins: so many of equal width, or those between sorted edges; and the edges. The
 * last bin contains its end (PyTorch: `torch.histogram`).
 * @throws RuntimeError on less than one bin, ends that are none, or a weight of another shape; NotImplementedError on
 *   integers.
 * @example
 * const { hist, binEdges } = histogram(tensor([1, 2, 1]), 4, { range: [0, 3] });
 */
export function histogram(
  x: Tensor,
  bins: number | Tensor,
  options: HistogramOptions = {},
): { hist: Tensor; binEdges: Tensor } {
  requireTensor('histogram', x);
  requireOptions('histogram', options, histogramOptions);
  const { range = [0, 0], weight = null, density = false } = options;
  requireFloats('histogram', x);
  requireNumbers('histogram', 'range', range);
  requireKnownShape('histogram', x);
  if (weight && !sameShape(weight.shape, x.shape))
    throw new RuntimeError(
      `histogram: if weight tensor is provided it should have the same shape as the input tensor, but got input with shape ${formatShape(x.shape)} and weight with shape ${formatShape(weight.shape)}`,
    );
  const flat = flatten(detach(x));
  const weights = weight ? flatten(cast(detach(weight), x.dtype)) : fullOn(x.backend, flat.shape, 1, x.dtype);
  let [hist, binEdges]: [Tensor, Tensor] = [flat, flat];
  if (bins instanceof Tensor) {
    if (bins.rank !== 1 || bins.size < 2)
      throw new RuntimeError(
        `histogram: expected edges as a vector of at least 2, got shape ${formatShape(bins.shape)}`,
      );
    if (bins.dtype !== x.dtype)
      throw new RuntimeError(
        `histogram: input tensor and bins tensors should have the same dtype, but got input with dtype ${x.dtype} and bins with dtype ${bins.dtype}`,
      );
    binEdges = detach(bins);
    const last = bins.size - 1;
    const end = narrow(binEdges, 0, last, 1);
    const found = sub(search('histogram', binEdges, flat, { right: true }), 1);
    const at = where(eq(flat, end), last - 1, found);
    const isInside = logicalAnd(ge(at, 0), lt(at, last));
    const none = fullOn(x.backend, [last], 0, x.dtype);
    hist = scatterAdd(none, 0, where(isInside, at, 0), where(isInside, weights, 0));
  } else {
    requireInteger('histogram', 'bins', bins);
    if (bins <= 0) throw new RuntimeError(`histogram(): bins must be > 0, but got ${bins} for dimension 0`);
    if (range[0] > range[1])
      throw new RuntimeError(
        `histogram: min should not exceed max, but got min ${range[0]} max ${range[1]} for dimension 0`,
      );
    const [low, high] = endsOf('histogram', flat, range[0], range[1]);
    binEdges = evenly(x, low, high, bins + 1);
    hist = equalBins(flat, weights, bins, low, high, binEdges);
  }
  if (!density) return { hist, binEdges };
  return { hist: div(div(hist, sum(hist)), sub(...neighbours(binEdges, 0))), binEdges };
}
/** So many values from `low` to `high`, from the nearer end, as `linspace`. */
function evenly(beside: Tensor, low: number, high: number, steps: number): Tensor {
  const at = arangeOn(beside.backend, steps, beside.dtype);
  const step = (high - low) / (steps - 1);
  return where(lt(at, Math.floor(steps / 2)), add(mul(at, step), low), sub(high, mul(sub(steps - 1, at), step)));
}

// ---- each value once ------------------------------------------------------------------------------------------------

/** Options of `unique` and `uniqueConsecutive`. */
export interface UniqueOptions {
  /** Compare the slices along a dimension, not elements. Default: null, elements of flattened x. */
  dim?: number | null;
}
/** Values each once, where each element of x is among them, and how often each occurs. */
export interface UniqueValues {
  /** The values, or slices. */
  output: Tensor;
  /** Of each element, or slice, of x: its place in `output`; int64. */
  inverseIndices: Tensor;
  /** How often each occurs; int64. */
  counts: Tensor;
}
const uniqueOptions = declareOptions<UniqueOptions>({ dim: kind.integerOrNull });

/** Of n rows, of which `isNew` says where another one begins: the first of each kind, each row's kind, their counts. */
function runsAmong(isNew: Tensor): { firsts: Tensor; kinds: Tensor; counts: Tensor } {
  const firsts = nonzeroPositions(isNew, 'unique');
  const kinds = sub(cumsum(isNew, 0), 1);
  const counts = scatterAdd(
    fullOn(isNew.backend, firsts.shape, 0, 'int64'),
    0,
    kinds,
    fullOn(isNew.backend, isNew.shape, 1, 'int64'),
  );
  return { firsts, kinds, counts };
}
/** Whether each row of a matrix, or element of a vector, differs from the one before. */
function differsFromFormer(rows: Tensor): Tensor {
  const n = rows.shape[0];
  const first = fullOn(rows.backend, [Math.min(n, 1)], 1, 'bool');
  if (n < 2) return first;
  const differs = ne(...neighbours(rows, 0));
  return cat([first, rows.rank === 1 ? differs : gt(sum(differs, 1), 0)], 0);
}
/** The order in which rows of a matrix are sorted, by their first elements first. */
function orderOfRows(rows: Tensor): Tensor {
  const [n, width] = rows.shape;
  const values = rows.dataSync();
  const order = Array.from({ length: n }, (_, i) => i).sort((a, b) => {
    for (let j = 0; j < width; j++) {
      const [left, right] = [values[a * width + j], values[b * width + j]];
      if (left !== right) return left < right ? -1 : left > right ? 1 : 0;
    }
    return a - b;
  });
  return tensorOn(rows.backend, order, 'int64');
}

function uniqueAmong(op: string, x: Tensor, dim: number | null, isSorted: boolean): UniqueValues {
  requireTensor(op, x);
  requireKnownShape(op, x);
  const source = detach(x);
  if (dim === null) {
    const flat = flatten(source);
    const { values, indices } = isSorted ? sort(flat) : { values: flat, indices: null };
    const { firsts, kinds, counts } = runsAmong(differsFromFormer(values));
    const none = fullOn(x.backend, flat.shape, 0, 'int64');
    const inverse = indices ? scatterAdd(none, 0, indices, kinds) : kinds;
    return { output: indexSelect(values, 0, firsts), inverseIndices: reshape(inverse, x.shape), counts };
  }
  const d = normalizeDim(dim, x.rank, op);
  const n = x.shape[d] ?? 1;
  if (x.rank > 0 && x.shape.some((size, i) => i !== d && size === 0))
    throw new RuntimeError("There are 0 sized dimensions, and they aren't selected, so unique cannot be applied");
  const whole = x.rank === 0 ? reshape(source, [1]) : source;
  const others = whole.shape.map((_, i) => i).filter((i) => i !== d);
  const slices = permute(whole, [d, ...others]);
  const rows = reshape(slices, [n, n === 0 ? 0 : x.size / n]);
  if (n === 0) {
    const none = fullOn(x.backend, [0], 0, 'int64');
    return { output: whole, inverseIndices: none, counts: none };
  }
  const order = isSorted ? orderOfRows(rows) : null;
  const { firsts, kinds, counts } = runsAmong(differsFromFormer(order ? indexSelect(rows, 0, order) : rows));
  const none = fullOn(x.backend, [n], 0, 'int64');
  const inverseIndices = order ? scatterAdd(none, 0, order, kinds) : kinds;
  return { output: indexSelect(whole, d, order ? indexSelect(order, 0, firsts) : firsts), inverseIndices, counts };
}

/**
 * The values of x each once, sorted; with `dim`, its slices along that dimension (PyTorch: `torch.unique`).
 * `uniqueWithCounts` also gives where each element is among them, and how often each occurs. NaN is equal to nothing.
 * @throws RuntimeError where the slices have no elements.
 * @example
 * unique(tensor([3, 1, 3])); // [1, 3]
 */
export function unique(x: Tensor, options: UniqueOptions = {}): Tensor {
  requireOptions('unique', options, uniqueOptions);
  return uniqueAmong('unique', x, options.dim ?? null, true).output;
}
/**
 * As `unique`, with inverse indices and counts (PyTorch: `torch.unique` with `return_inverse` and `return_counts`).
 * @example
 * const { output, inverseIndices, counts } = uniqueWithCounts(tensor([3, 1, 3])); // [1, 3], [1, 0, 1], [1, 2]
 */
export function uniqueWithCounts(x: Tensor, options: UniqueOptions = {}): UniqueValues {
  requireOptions('uniqueWithCounts', options, uniqueOptions);
  return uniqueAmong('uniqueWithCounts', x, options.dim ?? null, true);
}
/**
 * x without the elements that equal the one before; with `dim`, slices (PyTorch: `torch.unique_consecutive`).
 * `uniqueConsecutiveWithCounts` also gives where each element is among them, and how often each occurs.
 * @throws RuntimeError where the slices have no elements.
 * @example
 * uniqueConsecutive(tensor([1, 1, 2, 1])); // [1, 2, 1]
 */
export function uniqueConsecutive(x: Tensor, options: UniqueOptions = {}): Tensor {
  requireOptions('uniqueConsecutive', options, uniqueOptions);
  return uniqueAmong('uniqueConsecutive', x, options.dim ?? null, false).output;
}
/**
 * As `uniqueConsecutive`, with inverse indices and counts (PyTorch: `torch.unique_consecutive` with `return_inverse`
 * and `return_counts`).
 */
export function uniqueConsecutiveWithCounts(x: Tensor, options: UniqueOptions = {}): UniqueValues {
  requireOptions('uniqueConsecutiveWithCounts', options, uniqueOptions);
  return uniqueAmong('uniqueConsecutiveWithCounts', x, options.dim ?? null, false);
}

/** Options of `isin`. */
export interface IsinOptions {
  /** Give true for what is in none of them. Default: false. */
  invert?: boolean;
}
const isinOptions = declareOptions<IsinOptions>({ invert: kind.flag });

/**
 * Whether each element is one of others; NaN is none (PyTorch: `torch.isin`). One of the two may be a number.
 * @example
 * isin(tensor([1, 2, 3]), tensor([3, 1])); // [true, false, true]
 */
export function isin(elements: Tensor | number, among: Tensor | number, options: IsinOptions = {}): Tensor {
  requireOptions('isin', options, isinOptions);
  const beside = elements instanceof Tensor ? elements : among;
  requireTensor('isin', beside);
  const tensors = [elements, among].map((t) => (typeof t === 'number' ? tensorOn(beside.backend, t, beside.dtype) : t));
  for (const one of tensors) requireTensor('isin', one);
  const [x, others] = tensors as [Tensor, Tensor];
  requireSameDevice('isin', x, others);
  const dtype = resultType(x, others);
  // NaN, which equals nothing, has no place in an order.
  const flat = flatten(cast(detach(others), dtype));
  const candidates = isFloat(dtype) && x.device !== 'meta' ? maskedSelect(flat, eq(flat, flat)) : flat;
  if (candidates.size === 0) return fullOn(x.backend, x.shape, Number(options.invert ?? false), 'bool');
  const { values: sorted } = sort(candidates);
  const wanted = cast(detach(x), dtype);
  const at = clamp(search('isin', sorted, wanted, {}), 0, sorted.size - 1);
  const found = eq(reshape(indexSelect(sorted, 0, flatten(at)), x.shape), wanted);
  return options.invert ? logicalNot(found) : found;
}
