// Reductions that are made of others: standard deviations, norms, logsumexp, counts, and what ignores NaN. The kernels'
// own reductions are in reduce.ts.
import { defineOp } from '../autograd/define_op.ts';
import { requireNumber } from '../checks.ts';
import { NotImplementedError, RuntimeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { isFloat, requireDType } from '../tensor/dtype.ts';
import { requireTensor } from '../tensor/requirements.ts';
import { normalizeDim } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { withDims } from './broadcast.ts';
import { cast } from './convert.ts';
import { floating } from './elementwise/unary.ts';
import {
  abs,
  add,
  clamp,
  div,
  eq,
  exp,
  isnan,
  log,
  logicalOr,
  mul,
  ne,
  pow,
  sign,
  sqrt,
  square,
  sub,
  where,
} from './elementwise.ts';
import {
  amax,
  amin,
  type DtypeOption,
  deviationOp,
  mean,
  type ReduceOptions,
  reducedDims,
  reduceOptions,
  reduceOptionsWithDtype,
  sum,
  type VarianceOptions,
  varianceIn,
} from './reduce.ts';
import { reshape } from './shape_ops.ts';

/**
 * The standard deviation over all, or the given, dimensions: the root of the unbiased variance unless `correction: 0`
 * (PyTorch: `torch.std`).
 * @throws NotImplementedError on integers and bool.
 * @example
 * std(x, [0, 2, 3]); // one value for each channel of (N, C, H, W)
 */
export const std = (x: Tensor, dim?: number | readonly number[], options: VarianceOptions = {}): Tensor =>
  varianceIn('std', x, dim, options, deviationOp);

/**
 * The variance over all, or the given, dimensions, and the mean (PyTorch: `torch.var_mean`).
 * @throws NotImplementedError on integers and bool.
 * @example
 * const [v, m] = varMean(x, 0);
 */
export function varMean(
  x: Tensor,
  dim?: number | readonly number[],
  options: VarianceOptions = {},
): [variance: Tensor, mean: Tensor] {
  return [varianceIn('varMean', x, dim, options), mean(x, dim, { keepdim: options.keepdim })];
}

/**
 * The standard deviation over all, or the given, dimensions, and the mean (PyTorch: `torch.std_mean`).
 * @throws NotImplementedError on integers and bool.
 */
export function stdMean(
  x: Tensor,
  dim?: number | readonly number[],
  options: VarianceOptions = {},
): [std: Tensor, mean: Tensor] {
  return [varianceIn('stdMean', x, dim, options, deviationOp), mean(x, dim, { keepdim: options.keepdim })];
}

const logsumexpOp = defineOp({
  name: 'logsumexp',
  forward(ctx, x: Tensor, dims: readonly number[], keepdim: boolean) {
    let y: Tensor;
    if (x.size === 0) y = log(sum(exp(x), dims, { keepdim }));
    else {
      // An infinite largest value is no shift: infinity less infinity would be NaN.
      const largest = amax(x, dims, { keepdim: true });
      const shift = where(eq(abs(largest), Number.POSITIVE_INFINITY), 0, largest);
      const sums = log(sum(exp(sub(x, shift)), dims, { keepdim }));
      y = add(sums, reshape(shift, sums.shape));
    }
    ctx.save(x, y);
    return y;
  },
  backward(ctx, [g], info, dims) {
    const [x, y] = ctx.saved;
    return [mul(withDims(g, info.shape, dims), exp(sub(x, withDims(y, info.shape, dims))))];
  },
});

/**
 * log Σ eˣ over dimensions, without overflow; integers give float32 (PyTorch: `torch.logsumexp`).
 * @throws IndexError on a dimension that x does not have.
 * @example
 * logsumexp(logits, 1); // shape [8]
 */
export function logsumexp(x: Tensor, dim: number | readonly number[], options?: ReduceOptions): Tensor {
  requireTensor('logsumexp', x);
  requireOptions('logsumexp', options, reduceOptions);
  return logsumexpOp(floating('logsumexp', x), reducedDims('logsumexp', dim, x.rank), options?.keepdim ?? false);
}

// ---- norms ----------------------------------------------------------------------------------------------------------

/** The slope of each kind of norm, as PyTorch's `norm_backward`: nothing flows where it has no derivative. */
function normSlope(g: Tensor, x: Tensor, y: Tensor, p: number, dims: readonly number[]): Tensor {
  if (p === 0) return mul(sign(x), 0);
  if (p === 1) return mul(sign(x), g);
  if (p === 2) return mul(g, where(eq(y, 0), 0, div(x, y)));
  const size = abs(x);
  if (!Number.isFinite(p)) {
    const hits = cast(logicalOr(eq(size, y), isnan(size)), x.dtype);
    return mul(sign(x), mul(div(g, sum(hits, dims, { keepdim: true })), hits));
  }
  if (p < 1) return mul(mul(where(eq(x, 0), 0, mul(sign(x), pow(size, p - 1))), g), pow(y, 1 - p));
  const scaled = p < 2 ? mul(sign(x), pow(size, p - 1)) : mul(x, pow(size, p - 2));
  return mul(scaled, where(eq(y, 0), 0, div(g, pow(y, p - 1))));
}

const normOp = defineOp({
  name: 'norm',
  forward(ctx, x: Tensor, dims: readonly number[], keepdim: boolean, p: number) {
    const over = (f: typeof amax, of: Tensor) => f(of, dims, { keepdim });
    let y: Tensor;
    if (p === 2) y = sqrt(over(sum, square(x)));
    else if (p === 1) y = over(sum, abs(x));
    else if (p === 0) y = over(sum, cast(ne(x, 0), x.dtype));
    else if (p === Number.POSITIVE_INFINITY) y = x.size === 0 ? over(sum, x) : over(amax, abs(x));
    else if (p === Number.NEGATIVE_INFINITY) y = over(amin, abs(x));
    else y = pow(over(sum, pow(abs(x), p)), 1 / p);
    ctx.save(x, y);
    return y;
  },
  backward(ctx, [g], info, dims, _keepdim, p) {
    const [x, y] = ctx.saved;
    return [normSlope(withDims(g, info.shape, dims), x, withDims(y, info.shape, dims), p, dims)];
  },
});

/** Options of `norm`. */
export interface NormOptions extends ReduceOptions, DtypeOption {}

function orderOf(op: string, p: unknown): number {
  if (p === 'fro') return 2;
  if (p === 'nuc') throw new NotImplementedError(`[${op}] the nuclear norm needs singular values, which are not here`);
  return requireNumber(op, 'p', p);
}

/**
 * The p-norm over all, or the given, dimensions: (Σ |x|ᵖ)^(1/p); for p of infinity the largest |x|, of −infinity the
 * smallest, of 0 the number of elements that are not 0 (PyTorch: `torch.norm`).
 * @param p by default `'fro'`, which is 2.
 * @throws RuntimeError on integers and bool.
 * @example
 * norm(x); // the length of x as one vector
 * norm(x, 1, [2, 3], { keepdim: true }); // shape [4, 6, 1, 1]
 */
export function norm(
  x: Tensor,
  p: number | 'fro' | null = 'fro',
  dim?: number | readonly number[] | null,
  options: NormOptions = {},
): Tensor {
  requireTensor('norm', x);
  requireOptions('norm', options, reduceOptionsWithDtype);
  const order = orderOf('norm', p ?? 2);
  const dtype = options.dtype === undefined ? x.dtype : requireDType('norm', options.dtype);
  if (!isFloat(x.dtype) || !isFloat(dtype))
    throw new RuntimeError(
      `norm: Expected a floating point or complex tensor as input. Got ${isFloat(x.dtype) ? dtype : x.dtype}`,
    );
  const dims = reducedDims('norm', dim ?? undefined, x.rank);
  const isEmpty = dims.some((d) => x.shape[d] === 0);
  if (isEmpty && (order < 0 || order === Number.POSITIVE_INFINITY))
    throw new RuntimeError(
      `norm cannot compute the ${order} norm on an empty ${dims.length === x.rank ? 'tensor' : 'dimension'} because the operation does not have an identity`,
    );
  return normOp(cast(x, dtype), dims, options.keepdim ?? false, order);
}

/** Options of `normalize`. */
export interface NormalizeOptions {
  /** The least norm that is divided by. Default: 1e-12. */
  eps?: number;
}
const normalizeOptions = declareOptions<NormalizeOptions>({ eps: kind.number });

/**
 * x divided by its p-norm along a dimension, or several: vectors of length 1, but for those shorter than `eps`
 * (PyTorch: `F.normalize`).
 * @param p by default 2. @param dim by default 1.
 * @throws RuntimeError on integers and bool.
 * @example
 * normalize(x); // each pixel's channels have the length 1
 */
export function normalize(
  x: Tensor,
  p = 2,
  dim: number | readonly number[] = 1,
  options: NormalizeOptions = {},
): Tensor {
  requireTensor('normalize', x);
  requireOptions('normalize', options, normalizeOptions);
  const eps = requireNumber('normalize', 'eps', options.eps ?? 1e-12);
  return div(x, clamp(norm(x, requireNumber('normalize', 'p', p), dim, { keepdim: true }), eps));
}

// ---- counts, and what ignores NaN -----------------------------------------------------------------------------------

/**
 * How many elements are not 0, over all, or the given, dimensions; int64 (PyTorch: `torch.count_nonzero`).
 * @throws IndexError on a dimension that x does not have.
 */
export function countNonzero(x: Tensor, dim?: number | readonly number[]): Tensor {
  requireTensor('countNonzero', x);
  return sum(ne(x, x.dtype === 'bool' ? false : 0), reducedDims('countNonzero', dim, x.rank));
}

/**
 * The sum of what is not NaN, over all, or the given, dimensions (PyTorch: `torch.nansum`). Integers give int64.
 * @throws IndexError on a dimension that x does not have.
 */
export function nansum(x: Tensor, dim?: number | readonly number[], options?: ReduceOptions & DtypeOption): Tensor {
  requireTensor('nansum', x);
  requireOptions('nansum', options, reduceOptionsWithDtype);
  if (options?.dtype !== undefined) requireDType('nansum', options.dtype);
  return sum(isFloat(x.dtype) ? where(isnan(x), 0, x) : x, reducedDims('nansum', dim, x.rank), options);
}

/**
 * The mean of what is not NaN, over all, or the given, dimensions; NaN where there is nothing else (PyTorch:
 * `torch.nanmean`).
 * @throws RuntimeError on integers and bool.
 */
export function nanmean(x: Tensor, dim?: number | readonly number[], options?: ReduceOptions & DtypeOption): Tensor {
  requireTensor('nanmean', x);
  requireOptions('nanmean', options, reduceOptionsWithDtype);
  if (!isFloat(x.dtype))
    throw new RuntimeError(`nanmean(): expected input to have floating point or complex dtype but got ${x.dtype}`);
  if (options?.dtype !== undefined) requireDType('nanmean', options.dtype);
  const dims = reducedDims('nanmean', dim, x.rank);
  return div(nansum(x, dims, options), sum(eq(x, x), dims, { keepdim: options?.keepdim }));
}

/** Options of `aminmax`. */
export interface AminmaxOptions extends ReduceOptions {
  /** The dimension to reduce. Default: all. */
  dim?: number;
}
const aminmaxOptions = declareOptions<AminmaxOptions>({ dim: kind.own, keepdim: kind.flag });

/**
 * The smallest and the largest values, of all, or along a dimension (PyTorch: `torch.aminmax`). Equal ones share the
 * gradient.
 * @throws RuntimeError on a tensor without elements.
 * @example
 * const { min: low, max: high } = aminmax(x, { dim: 1 });
 */
export function aminmax(x: Tensor, options: AminmaxOptions = {}): { min: Tensor; max: Tensor } {
  requireTensor('aminmax', x);
  requireOptions('aminmax', options, aminmaxOptions);
  const { dim, keepdim = false } = options;
  if (x.size === 0 && dim === undefined)
    throw new RuntimeError(
      'aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity.',
    );
  const d = dim === undefined ? undefined : normalizeDim(dim, x.rank, 'aminmax');
  return { min: amin(x, d, { keepdim }), max: amax(x, d, { keepdim }) };
}
