// Reductions: sums, means, variances, extrema, logical any and all, cumulative sums, sorting, softmax. A reduction over
// any set of dimensions becomes one kernel call per run of neighbouring dimensions in memory order.
import { defineOp } from '../autograd/define_op.ts';
import { isGradEnabled } from '../autograd/grad_mode.ts';
import { requireInteger, requireNumber } from '../checks.ts';
import { Binary, Reduction } from '../device/generated/abi.ts';
import { IndexError, RuntimeError } from '../errors.ts';
import { launchReduce, reducedShape, runsOf } from '../launch/reduce.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { rowMajor } from '../tensor/copy.ts';
import { fullOn } from '../tensor/create.ts';
import { type DType, isFloat, requireDType } from '../tensor/dtype.ts';
import { requireFloat, requireTensor } from '../tensor/requirements.ts';
import { aroundDim, normalizeDim, normalizeDims, sizeOf } from '../tensor/shape.ts';
import { allocate, type Tensor, viewAs } from '../tensor/tensor.ts';
import { broadcastTo, sumOp, withDims } from './broadcast.ts';
import { cast, clone } from './convert.ts';
import { div, eq, exp, isnan, logicalAnd, logicalOr, mul, sqrt, sub, where } from './elementwise.ts';
import { scatterAdd } from './indexing.ts';
import { cat, flip, narrow, permuteCopy, reshape, transpose } from './shape_ops.ts';

/** Options of `sum`, `mean` and other functions that reduce dimensions. */
export interface ReduceOptions {
  /** Keep the reduced dimensions, with size 1. Default: false. */
  keepdim?: boolean;
}
export const reduceOptions = declareOptions<ReduceOptions>({ keepdim: kind.flag });
function keepdimOf(op: string, options: ReduceOptions | undefined): boolean {
  if (options === undefined) return false;
  requireOptions(op, options, reduceOptions);
  return options.keepdim ?? false;
}
/** Options of what may compute in another dtype than its argument's. */
export interface DtypeOption {
  /** The dtype that x is converted to before anything is computed. Default: x's, or as the function says. */
  dtype?: DType;
}
export const reduceOptionsWithDtype = declareOptions<ReduceOptions & DtypeOption>({
  keepdim: kind.flag,
  dtype: kind.choice,
});
export const dtypeOption = declareOptions<DtypeOption>({ dtype: kind.choice });
/** x in the dtype that an option asks for; else as it is, integers and bool as `ofIntegers`. */
export function inDtype(op: string, x: Tensor, dtype: DType | undefined, ofIntegers: DType = x.dtype): Tensor {
  if (dtype !== undefined) return cast(x, requireDType(op, dtype));
  return isFloat(x.dtype) ? x : cast(x, ofIntegers);
}

/** One dimension or several, counted from the back where negative; left out, all. */
type Dims = number | readonly number[] | undefined;

/** The dimensions to reduce over: none given, or an empty list of them, means all. */
export const reducedDims = (op: string, dim: Dims, rank: number): number[] =>
  normalizeDims(Array.isArray(dim) && dim.length === 0 ? undefined : dim, rank, op);

/**
 * The sum over all, or the given, dimensions (PyTorch: `torch.sum`). Integers and bool give int64.
 * @throws IndexError on a dimension that x does not have.
 * @example
 * sum(x); // one value
 * sum(x, [0, 2, 3]); // one value for each channel of (N, C, H, W)
 */
export function sum(x: Tensor, dim?: number | readonly number[], options?: ReduceOptions & DtypeOption): Tensor {
  requireTensor('sum', x);
  if (options !== undefined) requireOptions('sum', options, reduceOptionsWithDtype);
  const { keepdim = false, dtype } = options ?? {};
  return sumOp(inDtype('sum', x, dtype, 'int64'), reducedDims('sum', dim, x.rank), keepdim);
}

/**
 * The mean over all, or the given, dimensions (PyTorch: `torch.mean`).
 * @throws RuntimeError on integers and bool: convert them first, by `x.to('float32')`; IndexError on a dimension that x
 * does not have.
 * @example
 * mean(x, 1, { keepdim: true }); // shape [4, 1, 8, 8]
 */
export function mean(x: Tensor, dim?: number | readonly number[], options?: ReduceOptions & DtypeOption): Tensor {
  requireTensor('mean', x);
  if (options !== undefined) requireOptions('mean', options, reduceOptionsWithDtype);
  const { keepdim = false, dtype } = options ?? {};
  const values = inDtype('mean', x, dtype);
  if (!isFloat(values.dtype))
    throw new RuntimeError(
      dtype === undefined
        ? `mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: ${x.dtype}`
        : `mean(): could not infer output dtype. Optional dtype must be either a floating point or complex dtype. Got: ${dtype}`,
    );
  const dims = reducedDims('mean', dim, x.rank);
  const count = dims.reduce((n, d) => n * x.shape[d], 1);
  return div(sumOp(values, dims, keepdim), count);
}

/** The product over one, or all, dimensions (PyTorch: `torch.prod`). Integers and bool give int64. */
export function prod(x: Tensor, dim?: number, options?: ReduceOptions & DtypeOption): Tensor {
  requireTensor('prod', x);
  if (options !== undefined) requireOptions('prod', options, reduceOptionsWithDtype);
  const { keepdim = false, dtype } = options ?? {};
  if (dim !== undefined) requireInteger('prod', 'dim', dim);
  return prodOp(inDtype('prod', x, dtype, 'int64'), normalizeDims(dim, x.rank, 'prod'), keepdim);
}
const prodOp = defineOp({
  name: 'prod',
  forward(ctx, x: Tensor, dims: readonly number[], keepdim: boolean) {
    ctx.save(x);
    return launchReduce('prod', Reduction.prod, x, dims, keepdim);
  },
  backward(ctx, [g], info, dims) {
    // The product of all others, from products before and after, so that zeros are no special case.
    const [x] = ctx.saved;
    if (x.size === 0) return [fullOn(info.backend, info.shape, 0, info.dtype)];
    const single = dims.length === 1 ? x : reshape(x, [-1]);
    const dim = dims.length === 1 ? dims[0] : 0;
    const others = mul(exclusiveProduct(single, dim), flip(exclusiveProduct(flip(single, dim), dim), dim));
    return [mul(reshape(others, info.shape), broadcastTo(withDims(g, info.shape, dims), info.shape))];
  },
});

/** out[i] = x[0]·…·x[i−1] along a dimension. */
function exclusiveProduct(x: Tensor, dim: number): Tensor {
  const parts: Tensor[] = [];
  let running = fullOn(x.backend, [...x.shape.slice(0, dim), 1, ...x.shape.slice(dim + 1)], 1, x.dtype);
  for (let i = 0; i < x.shape[dim]; i++) {
    parts.push(running);
    running = mul(running, narrow(x, dim, i, 1));
  }
  return cat(parts, dim);
}

/** Options of `var`. */
export interface VarianceOptions extends ReduceOptions {
  /** Subtracted from the number of values: 1 gives the unbiased variance, 0 the biased one. Default: 1. */
  correction?: number;
}
export const varianceOptions = declareOptions<VarianceOptions>({ correction: kind.number, keepdim: kind.flag });

/** The variance in float64, of as many elements as the dimensions that stay have. */
function launchVariance(op: 'var' | 'std', x: Tensor, dims: readonly number[], correction: number): Tensor {
  const reduced = new Set(dims);
  // The kernel takes one run of dimensions. Several are brought together by a permuted copy.
  const kept = x.shape.flatMap((_, d) => (reduced.has(d) ? [] : [d]));
  const source = rowMajor(x);
  const together =
    runsOf(source, reduced).filter((run) => run.reduced).length <= 1 ? source : permuteCopy(source, [...kept, ...dims]);
  const runs = together === source ? runsOf(source, reduced) : null;
  const count = dims.reduce((n, d) => n * x.shape[d], 1);
  const at = runs?.findIndex((run) => run.reduced) ?? -1;
  const inner = at < 0 ? 1 : runs!.slice(at + 1).reduce((n, run) => n * run.size, 1);
  const outer = inner === 0 ? 0 : sizeOf(kept.map((d) => x.shape[d])) / inner;
  const { launch } = x.backend;
  const [mean, out] = [0, 1].map(() => allocate([outer * inner], 'float64', 'contiguous', x.backend));
  launch.reduceMoments(op, { x: together, mean, m2: out, outer, n: count, inner });
  const degrees = Math.max(0, count - correction);
  launch.binaryScalar(op, { op: Binary.div, x: out, s: degrees, reverse: false, out, alpha: 1 });
  return out;
}

/** d var / dx = 2·(x − mean) / (n − correction), times the gradient of the variance. */
function varianceGradient(g: Tensor, x: Tensor, dims: readonly number[], correction: number): Tensor {
  const count = dims.reduce((n, d) => n * x.shape[d], 1);
  const centred = sub(x, mean(x, dims, { keepdim: true }));
  return mul(centred, mul(withDims(g, x.shape, dims), 2 / Math.max(0, count - correction)));
}

const varianceOp = defineOp({
  name: 'var',
  forward(ctx, x: Tensor, dims: readonly number[], keepdim: boolean, correction: number) {
    ctx.save(x);
    return viewAs(cast(launchVariance('var', x, dims, correction), x.dtype), reducedShape(x.shape, dims, keepdim));
  },
  backward: (ctx, [g], _info, dims, _keepdim, correction) => [varianceGradient(g, ctx.saved[0], dims, correction)],
});
/** The root of the variance, taken in float64. Where that is 0 no gradient flows, as in PyTorch. */
export const deviationOp = defineOp({
  name: 'std',
  forward(ctx, x: Tensor, dims: readonly number[], keepdim: boolean, correction: number) {
    const root = sqrt(launchVariance('std', x, dims, correction));
    const y = viewAs(cast(root, x.dtype), reducedShape(x.shape, dims, keepdim));
    ctx.save(x, y);
    return y;
  },
  backward(ctx, [g], _info, dims, _keepdim, correction) {
    const [x, y] = ctx.saved;
    return [varianceGradient(where(eq(y, 0), 0, div(g, mul(y, 2))), x, dims, correction)];
  },
});

/**
 * The variance over all, or the given, dimensions, unbiased unless `correction: 0`; exported as `var` (PyTorch:
 * `torch.var`).
 * @throws NotImplementedError on integers and bool.
 */
export const variance = (x: Tensor, dim?: number | readonly number[], options: VarianceOptions = {}): Tensor =>
  varianceIn('var', x, dim, options);
/** For other functions of the variance; `op`: what the user called. */
export function varianceIn(
  op: string,
  x: Tensor,
  dim: number | readonly number[] | undefined,
  options: VarianceOptions,
  measure = varianceOp,
): Tensor {
  requireFloat(op, x);
  requireOptions(op, options, varianceOptions);
  const { keepdim = false, correction = 1 } = options;
  requireNumber(op, 'correction', correction);
  return measure(x, reducedDims(op, dim, x.rank), keepdim, correction);
}

function defineExtremum(name: string, op: Reduction) {
  return defineOp({
    name,
    forward(ctx, x: Tensor, dims: readonly number[], keepdim: boolean, _sharesNaN: boolean) {
      const y = launchReduce(name, op, x, dims, keepdim);
      ctx.save(x, y);
      return y;
    },
    // Shared equally between all that reach the extremum, as in PyTorch. Where that is NaN, no value equals it, and the
    // share is 0/0; `sharesNaN` gives it to all NaN.
    backward(ctx, [g], info, dims, _keepdim, sharesNaN) {
      const [x, y] = ctx.saved;
      const top = withDims(y, info.shape, dims);
      const equal = eq(x, top);
      const hits = cast(sharesNaN ? logicalOr(equal, logicalAnd(isnan(x), isnan(top))) : equal, x.dtype);
      return [mul(hits, div(withDims(g, info.shape, dims), sum(hits, dims, { keepdim: true })))];
    },
  });
}
const amaxOp = defineExtremum('amax', Reduction.max);
const aminOp = defineExtremum('amin', Reduction.min);

function requireValues(name: string, x: Tensor, dims: readonly number[]): void {
  requireTensor(name, x);
  if (dims.some((d) => x.shape[d] === 0) || (x.rank > 0 && x.size === 0 && dims.length === x.rank))
    throw new IndexError(
      `${name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the 'dim' argument.`,
    );
}

/** The largest values over dimensions; equal ones share the gradient (PyTorch: `torch.amax`). */
export function amax(x: Tensor, dim?: number | readonly number[], options?: ReduceOptions): Tensor {
  requireTensor('amax', x);
  const keepdim = keepdimOf('amax', options);
  const dims = reducedDims('amax', dim, x.rank);
  requireValues('amax', x, dims);
  return amaxOp(x, dims, keepdim, false);
}
/** The smallest values over dimensions; equal ones share the gradient (PyTorch: `torch.amin`). */
export function amin(x: Tensor, dim?: number | readonly number[], options?: ReduceOptions): Tensor {
  requireTensor('amin', x);
  const keepdim = keepdimOf('amin', options);
  const dims = reducedDims('amin', dim, x.rank);
  requireValues('amin', x, dims);
  return aminOp(x, dims, keepdim, false);
}

function launchArg(
  name: string,
  op: Reduction,
  x: Tensor,
  dim: number,
  keepdim: boolean,
): { values: Tensor; indices: Tensor } {
  const source = rowMajor(x);
  const [outer, n, inner] = aroundDim(x.shape, dim);
  const shape = reducedShape(x.shape, [dim], keepdim);
  const values = allocate(shape, x.dtype, 'contiguous', x.backend);
  const indices = allocate(shape, 'int64', 'contiguous', x.backend);
  x.backend.launch.argReduce(name, { op, x: source, values, indices, outer, n, inner });
  return { values, indices };
}

const extremumAlong = defineOp({
  name: 'extremum',
  forward(ctx, x: Tensor, op: Reduction, dim: number, keepdim: boolean): readonly Tensor[] {
    const { values, indices } = launchArg(op === Reduction.max ? 'max' : 'min', op, x, dim, keepdim);
    ctx.save(indices);
    return [values, indices];
  },
  backward(ctx, [g], info, _op, dim) {
    const kept = reducedShape(info.shape, [dim], true);
    const zero = fullOn(info.backend, info.shape, 0, info.dtype);
    return [scatterAdd(zero, dim, reshape(ctx.saved[0], kept), reshape(g, kept))];
  },
});

/** Values that were chosen from a tensor, and where they were. */
export interface ValuesAndIndices {
  /** The values, of the tensor's dtype. */
  values: Tensor;
  /** Their indices along the dimension, int64. */
  indices: Tensor;
}

function extremum(name: 'max' | 'min', x: Tensor, dim: number, keepdim: boolean): ValuesAndIndices {
  requireTensor(name, x);
  const d = normalizeDim(dim, x.rank, name);
  requireValues(name, x, x.rank ? [d] : []);
  const [values, indices] = extremumAlong(x, name === 'max' ? Reduction.max : Reduction.min, d, keepdim);
  return { values, indices };
}

function extremumOfAll(name: 'max' | 'min', x: Tensor): Tensor {
  const dims = reducedDims(name, undefined, x.rank);
  requireValues(name, x, dims);
  return (name === 'max' ? amaxOp : aminOp)(x, dims, false, true);
}

/**
 * The maximum of all values (PyTorch: `torch.max`). NaN counts as the largest.
 * @throws IndexError on a tensor without elements.
 */
export function max(x: Tensor): Tensor;
/**
 * The maxima along a dimension, with their indices; of equal ones the first (PyTorch: `torch.max`). NaN counts as the
 * largest.
 * @throws IndexError on a dimension that x does not have, or that has size 0.
 * @example
 * const { values, indices } = max(logits, 1); // both of shape [8]
 */
export function max(x: Tensor, dim: number, options?: ReduceOptions): ValuesAndIndices;
export function max(x: Tensor, dim?: number, options?: ReduceOptions): Tensor | ValuesAndIndices {
  const keepdim = keepdimOf('max', options);
  return dim === undefined ? extremumOfAll('max', x) : extremum('max', x, dim, keepdim);
}
/**
 * The minimum of all values (PyTorch: `torch.min`). NaN counts as the smallest.
 * @throws IndexError on a tensor without elements.
 */
export function min(x: Tensor): Tensor;
/**
 * The minima along a dimension, with their indices; of equal ones the first (PyTorch: `torch.min`). NaN counts as the
 * smallest.
 * @throws IndexError on a dimension that x does not have, or that has size 0.
 */
export function min(x: Tensor, dim: number, options?: ReduceOptions): ValuesAndIndices;
export function min(x: Tensor, dim?: number, options?: ReduceOptions): Tensor | ValuesAndIndices {
  const keepdim = keepdimOf('min', options);
  return dim === undefined ? extremumOfAll('min', x) : extremum('min', x, dim, keepdim);
}

function arg(name: 'argmax' | 'argmin', x: Tensor, dim: number | undefined, keepdim: boolean): Tensor {
  requireTensor(name, x);
  if (x.dtype === 'bool') throw new RuntimeError(`${name}(): does not support bool input`);
  const flat = dim === undefined ? viewAs(rowMajor(x), [x.size]) : x;
  const d = dim === undefined ? 0 : normalizeDim(dim, x.rank, name);
  requireValues(name, flat, flat.rank ? [d] : []);
  const { indices } = launchArg(
    name,
    name === 'argmax' ? Reduction.max : Reduction.min,
    flat,
    d,
    keepdim && dim !== undefined,
  );
  return dim === undefined ? viewAs(indices, keepdim ? x.shape.map(() => 1) : []) : indices;
}
/**
 * The index of the largest value, int64, in the flattened tensor or along `dim`; of equal ones the first (PyTorch:
 * `torch.argmax`).
 * @throws RuntimeError on bool.
 * @example
 * const predictions = argmax(logits, 1); // shape [8]
 */
export const argmax = (x: Tensor, dim?: number, options?: ReduceOptions): Tensor =>
  arg('argmax', x, dim, keepdimOf('argmax', options));
/**
 * The index of the smallest value, int64, in the flattened tensor or along `dim`; of equal ones the first (PyTorch:
 * `torch.argmin`).
 * @throws RuntimeError on bool.
 */
export const argmin = (x: Tensor, dim?: number, options?: ReduceOptions): Tensor =>
  arg('argmin', x, dim, keepdimOf('argmin', options));

/** Of uint8 the answers are uint8 as well, as in PyTorch. */
function defineTest(name: 'any' | 'all', op: Reduction) {
  return (x: Tensor, dim?: number | readonly number[], options?: ReduceOptions): Tensor => {
    requireTensor(name, x);
    const keepdim = keepdimOf(name, options);
    const found = launchReduce(name, op, cast(x, 'bool'), normalizeDims(dim, x.rank, name), keepdim);
    return x.dtype === 'uint8' ? cast(found, 'uint8') : found;
  };
}
/** Whether any value is not zero, over all or the given dimensions; bool, for uint8 uint8 (PyTorch: `torch.any`). */
export const any: (x: Tensor, dim?: number | readonly number[], options?: ReduceOptions) => Tensor = defineTest(
  'any',
  Reduction.any,
);
/** Whether all values are not zero, over all or the given dimensions; bool, for uint8 uint8 (PyTorch: `torch.all`). */
export const all: (x: Tensor, dim?: number | readonly number[], options?: ReduceOptions) => Tensor = defineTest(
  'all',
  Reduction.all,
);

export const cumsumOp = defineOp({
  name: 'cumsum',
  forward(_ctx, x: Tensor, dim: number, reverse: boolean) {
    const source = rowMajor(x);
    const out = allocate(x.shape, x.dtype, 'contiguous', x.backend);
    const [outer, n, inner] = aroundDim(x.shape, dim);
    x.backend.launch.cumsum('cumsum', { x: source, out, outer, n, inner, reverse });
    return out;
  },
  backward: (_ctx, [g], _x, dim, reverse) => [cumsumOp(g, dim, !reverse)],
}) as (x: Tensor, dim: number, reverse: boolean) => Tensor;

/** Running sums along a dimension, in x's shape (PyTorch: `torch.cumsum`). Integers and bool give int64. */
export function cumsum(x: Tensor, dim: number, options?: DtypeOption): Tensor {
  requireTensor('cumsum', x);
  requireOptions('cumsum', options, dtypeOption);
  return cumsumOp(inDtype('cumsum', x, options?.dtype, 'int64'), normalizeDim(dim, x.rank, 'cumsum'), false);
}

const topkOp = defineOp({
  name: 'topk',
  forward(ctx, x: Tensor, k: number, largest: boolean): readonly Tensor[] {
    const source = rowMajor(x);
    const n = x.shape.at(-1) ?? 1;
    const shape = [...x.shape.slice(0, -1), k];
    const values = allocate(shape, x.dtype, 'contiguous', x.backend);
    const indices = allocate(shape, 'int64', 'contiguous', x.backend);
    const outer = n === 0 ? 0 : x.size / n;
    x.backend.launch.topk('topk', { x: source, values, indices, outer, n, k, largest });
    ctx.save(indices);
    return [values, indices];
  },
  backward: (ctx, [g], info) => [
    scatterAdd(fullOn(info.backend, info.shape, 0, info.dtype), info.shape.length - 1, ctx.saved[0], g),
  ],
});

/** Options of `topk`. */
export interface TopkOptions {
  /** Take the largest values; false: the smallest. Default: true. */
  largest?: boolean;
}
const topkOptions = declareOptions<TopkOptions>({ largest: kind.flag });

/**
 * The k largest (or smallest) values along a dimension, by default the last, sorted, with their indices (PyTorch:
 * `torch.topk`).
 * @throws RuntimeError on k outside of 0 … the dimension's size, or on bool.
 */
export function topk(x: Tensor, k: number, dim = -1, options: TopkOptions = {}): ValuesAndIndices {
  requireTensor('topk', x);
  requireOptions('topk', options, topkOptions);
  const d = normalizeDim(dim, x.rank, 'topk');
  requireInteger('topk', 'k', k);
  if (x.dtype === 'bool') throw new RuntimeError('topk does not support bool dtypes on CPU');
  return sorted(x, k, d, options.largest ?? true);
}

function sorted(x: Tensor, k: number, d: number, largest: boolean): ValuesAndIndices {
  if (k < 0 || k > (x.shape[d] ?? 1)) throw new RuntimeError('selected index k out of range');
  // A number is its own order.
  if (x.rank === 0) return { values: clone(x), indices: fullOn(x.backend, [], 0, 'int64') };
  const isLast = d === Math.max(0, x.rank - 1);
  const [values, indices] = topkOp(isLast ? x : transpose(x, d, -1), k, largest);
  return isLast ? { values, indices } : { values: transpose(values, d, -1), indices: transpose(indices, d, -1) };
}

/** Options of `sort`. */
export interface SortOptions {
  /** Begin with the largest. Default: false. */
  descending?: boolean;
}
const sortOptions = declareOptions<SortOptions>({ descending: kind.flag });

/**
 * The values sorted along a dimension, by default the last, ascending, with their indices; equal ones keep their order
 * (PyTorch: `torch.sort`).
 */
export const sort = (x: Tensor, dim = -1, options: SortOptions = {}): ValuesAndIndices =>
  sortedBy('sort', x, dim, options);
/**
 * The indices that sort x along a dimension, by default the last, ascending; int64; equal values keep their order
 * (PyTorch: `torch.argsort`).
 * @example
 * argsort(tensor([3, 1, 2])); // [1, 2, 0]
 */
export const argsort = (x: Tensor, dim = -1, options: SortOptions = {}): Tensor =>
  sortedBy('argsort', x, dim, options).indices;
function sortedBy(op: string, x: Tensor, dim: number, options: SortOptions): ValuesAndIndices {
  requireTensor(op, x);
  requireOptions(op, options, sortOptions);
  const { descending = false } = options;
  const d = normalizeDim(dim, x.rank, op);
  // The order of booleans is that of 0 and 1.
  const { values, indices } = sorted(x.dtype === 'bool' ? cast(x, 'uint8') : x, x.shape[d] ?? 1, d, descending);
  return { values: cast(values, x.dtype), indices };
}

const softmaxOp = defineOp({
  name: 'softmax',
  forward(ctx, x: Tensor, dim: number, isLog: boolean) {
    const source = rowMajor(x);
    const out = allocate(x.shape, x.dtype, 'contiguous', x.backend);
    const [outer, n, inner] = aroundDim(x.shape, dim);
    x.backend.launch.softmax('softmax', { log: isLog, x: source, out, outer, n, inner });
    ctx.save(out);
    return out;
  },
  // softmax: dx = y·(g − Σ g·y);  log-softmax: dx = g − e^y·Σ g
  backward(ctx, [g], info, dim, isLog) {
    const [y] = ctx.saved;
    if (isGradEnabled()) {
      const keep = { keepdim: true };
      return [isLog ? sub(g, mul(exp(y), sum(g, dim, keep))) : mul(y, sub(g, sum(mul(g, y), dim, keep)))];
    }
    const dx = allocate(info.shape, info.dtype, 'contiguous', y.backend);
    const [outer, n, inner] = aroundDim(info.shape, dim);
    y.backend.launch.softmaxBackward('softmaxBackward', { log: isLog, y, g: rowMajor(g), dx, outer, n, inner });
    return [dx];
  },
});

function softmaxInput(op: string, given: Tensor, options: DtypeOption | undefined): Tensor {
  requireTensor(op, given);
  requireOptions(op, options, dtypeOption);
  const x = inDtype(op, given, options?.dtype);
  requireFloat(op, x);
  return x;
}

/**
 * eˣ / Σ eˣ along a dimension, without overflow; the shape is x's (PyTorch: `F.softmax`).
 * @throws NotImplementedError on integers and bool.
 * @example
 * const probabilities = softmax(logits, 1);
 */
export function softmax(x: Tensor, dim: number, options?: DtypeOption): Tensor {
  return softmaxOp(softmaxInput('softmax', x, options), normalizeDim(dim, x.rank, 'softmax'), false);
}
/**
 * x − log Σ eˣ along a dimension, without overflow; the shape is x's (PyTorch: `F.log_softmax`).
 * @throws NotImplementedError on integers and bool.
 */
export function logSoftmax(x: Tensor, dim: number, options?: DtypeOption): Tensor {
  return softmaxOp(softmaxInput('logSoftmax', x, options), normalizeDim(dim, x.rank, 'logSoftmax'), true);
}
