// What accumulates along a dimension: products, extrema with their indices, logarithms of sums of exponentials, areas;
// and the differences that undo sums. cumsum is in reduce.ts.
import { defineOp } from '../autograd/define_op.ts';
import { requireInteger, requireNumber } from '../checks.ts';
import { Cumulation } from '../device/generated/abi.ts';
import { NotImplementedError, RuntimeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { rowMajor } from '../tensor/copy.ts';
import { fullOn } from '../tensor/create.ts';
import { isFloat } from '../tensor/dtype.ts';
import { requireTensor } from '../tensor/requirements.ts';
import { aroundDim, normalizeDim } from '../tensor/shape.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';
import { cast, clone } from './convert.ts';
import { floating } from './elementwise/unary.ts';
import { abs, add, div, eq, exp, gt, log, lt, mul, ne, sub, where } from './elementwise.ts';
import { scatterAdd } from './indexing.ts';
import { any, cumsumOp, type DtypeOption, dtypeOption, inDtype, sum, type ValuesAndIndices } from './reduce.ts';
import { cat, flip, narrow, reshape } from './shape_ops.ts';

function launchCumulate(caller: string, op: Cumulation, x: Tensor, dim: number, indices: Tensor | null = null): Tensor {
  const source = rowMajor(x);
  const out = allocate(x.shape, x.dtype, 'contiguous', x.backend);
  const [outer, n, inner] = aroundDim(x.shape, dim);
  x.backend.launch.cumulate(caller, { op, x: source, out, indices, outer, n, inner });
  return out;
}

// ---- products -------------------------------------------------------------------------------------------------------

const cumprodOp = defineOp({
  name: 'cumprod',
  forward(ctx, x: Tensor, dim: number) {
    const y = launchCumulate('cumprod', Cumulation.prod, x, dim);
    ctx.save(x, y);
    return y;
  },
  // dx[k] = Σ over i ≥ k of g[i]·y[i]/x[k]. Where a factor is 0 that is 0/0, and the products are taken one by one.
  backward(ctx, [g], _info, dim) {
    const [x, y] = ctx.saved;
    if (x.size <= 1) return [g, null];
    const hasZero = x.device !== 'meta' && any(eq(x, 0)).item() !== 0;
    return [hasZero ? slopeAmongZeros(g, x, dim) : div(cumsumOp(mul(g, y), dim, true), x), null];
  },
}) as (x: Tensor, dim: number) => Tensor;

/** dx[k] = (x[0]·…·x[k−1])·s[k], with s[k] = g[k] + x[k+1]·s[k+1]. */
function slopeAmongZeros(g: Tensor, x: Tensor, dim: number): Tensor {
  const n = x.shape[dim];
  const at = (t: Tensor, i: number) => narrow(t, dim, i, 1);
  const rests: Tensor[] = [];
  for (let i = n - 1; i >= 0; i--) {
    const behind = rests.at(-1);
    rests.push(behind ? add(at(g, i), mul(at(x, i + 1), behind)) : at(g, i));
  }
  const parts: Tensor[] = [];
  let before: Tensor | null = null;
  for (let i = 0; i < n; i++) {
    const rest = rests[n - 1 - i];
    parts.push(before ? mul(before, rest) : rest);
    before = before ? mul(before, at(x, i)) : at(x, i);
  }
  return cat(parts, dim);
}

/**
 * Running products along a dimension, in x's shape (PyTorch: `torch.cumprod`). Integers and bool give int64.
 * @throws IndexError on a dimension that x does not have.
 * @example
 * cumprod(tensor([1, 2, 3]), 0); // [1, 2, 6]
 */
export function cumprod(x: Tensor, dim: number, options?: DtypeOption): Tensor {
  requireTensor('cumprod', x);
  requireOptions('cumprod', options, dtypeOption);
  return cumprodOp(inDtype('cumprod', x, options?.dtype, 'int64'), normalizeDim(dim, x.rank, 'cumprod'));
}

// ---- extrema --------------------------------------------------------------------------------------------------------

const cumulativeExtremum = defineOp({
  name: 'cumulativeExtremum',
  forward(ctx, x: Tensor, op: Cumulation, dim: number): readonly Tensor[] {
    const indices = allocate(x.shape, 'int64', 'contiguous', x.backend);
    const values = launchCumulate(op === Cumulation.max ? 'cummax' : 'cummin', op, x, dim, indices);
    ctx.save(indices);
    return [values, indices];
  },
  backward: (ctx, [g], info, _op, dim) => [
    scatterAdd(fullOn(info.backend, info.shape, 0, info.dtype), dim, ctx.saved[0], g),
    null,
    null,
  ],
}) as (x: Tensor, op: Cumulation, dim: number) => readonly Tensor[];

function extremumSoFar(name: 'cummax' | 'cummin', x: Tensor, dim: number): ValuesAndIndices {
  requireTensor(name, x);
  const d = normalizeDim(dim, x.rank, name);
  const [values, indices] = cumulativeExtremum(x, name === 'cummax' ? Cumulation.max : Cumulation.min, d);
  return { values, indices };
}
/**
 * The largest value so far along a dimension, with its index; of equal ones the last, NaN counts as the largest
 * (PyTorch: `torch.cummax`).
 * @throws IndexError on a dimension that x does not have.
 * @example
 * const { values, indices } = cummax(tensor([1, 3, 2]), 0); // [1, 3, 3] and [0, 1, 1]
 */
export const cummax = (x: Tensor, dim: number): ValuesAndIndices => extremumSoFar('cummax', x, dim);
/**
 * The smallest value so far along a dimension, with its index; of equal ones the last, NaN counts as the smallest
 * (PyTorch: `torch.cummin`).
 * @throws IndexError on a dimension that x does not have.
 */
export const cummin = (x: Tensor, dim: number): ValuesAndIndices => extremumSoFar('cummin', x, dim);

// ---- logarithms of sums of exponentials -----------------------------------------------------------------------------

const logcumsumexpOp = defineOp({
  name: 'logcumsumexp',
  forward(ctx, x: Tensor, dim: number) {
    const y = launchCumulate('logcumsumexp', Cumulation.logSum, x, dim);
    ctx.save(x, y);
    return y;
  },
  // dx[k] = Σ over i ≥ k of g[i]·e^(x[k] − y[i]), in logarithms, for positive and negative g apart.
  backward(ctx, [g], _info, dim) {
    const [x, y] = ctx.saved;
    if (x.rank === 0) return [g, null];
    const size = log(where(eq(g, 0), 1, abs(g)));
    // Of nothing, and finite, so that the second derivative is a number.
    const least = x.dtype === 'float64' ? -Number.MAX_VALUE : -3.4028234663852886e38;
    const backwards = (t: Tensor) => flip(t, dim);
    const of = (sign: Tensor) => {
      const terms = backwards(sub(where(sign, size, least), y));
      return exp(add(backwards(logcumsumexpOp(terms, dim)), x));
    };
    return [sub(of(gt(g, 0)), of(lt(g, 0))), null];
  },
}) as (x: Tensor, dim: number) => Tensor;

/**
 * log Σ eˣ of all values so far along a dimension, without overflow (PyTorch: `torch.logcumsumexp`).
 * @throws NotImplementedError on integers and bool; IndexError on a dimension that x does not have.
 */
export function logcumsumexp(x: Tensor, dim: number): Tensor {
  requireTensor('logcumsumexp', x);
  if (!isFloat(x.dtype)) throw new NotImplementedError(`"logcumsumexp" not implemented for '${x.dtype}'`);
  return logcumsumexpOp(x, normalizeDim(dim, x.rank, 'logcumsumexp'));
}

// ---- differences and areas ------------------------------------------------------------------------------------------

/** All but the first along a dimension, and beside each the one before it. */
export function neighbours(x: Tensor, dim: number): [ahead: Tensor, here: Tensor] {
  const n = x.shape[dim];
  const count = Math.max(0, n - 1);
  return [narrow(x, dim, n - count, count), narrow(x, dim, 0, count)];
}

/** Options of `diff`. */
export interface DiffOptions {
  /** Values before the first one along the dimension. Default: none. */
  prepend?: Tensor | null;
  /** Values behind the last one. Default: none. */
  append?: Tensor | null;
}
const diffOptions = declareOptions<DiffOptions>({ prepend: kind.tensor, append: kind.tensor });

/**
 * The n-th differences of neighbours along a dimension, by default the first along the last; of bool: whether they
 * differ (PyTorch: `torch.diff`).
 * @throws RuntimeError on a single number, a negative n, or what does not fit before or behind x.
 * @example
 * diff(tensor([1, 4, 9])); // [3, 5]
 */
export function diff(x: Tensor, n = 1, dim = -1, options: DiffOptions = {}): Tensor {
  requireTensor('diff', x);
  requireInteger('diff', 'n', n);
  requireOptions('diff', options, diffOptions);
  if (x.rank === 0) throw new RuntimeError('diff expects input to be at least one-dimensional');
  const d = normalizeDim(dim, x.rank, 'diff');
  const { prepend = null, append = null } = options;
  for (const one of [prepend, append])
    if (one && one.rank !== x.rank)
      throw new RuntimeError('diff expects prepend or append to be the same dimension as input');
  if (n < 0) throw new RuntimeError(`order must be non-negative but got ${n}`);
  if (n === 0) return clone(x);
  let y =
    prepend || append
      ? cat(
          [prepend, x, append].filter((t) => t !== null),
          d,
        )
      : x;
  const times = Math.min(n, y.shape[d]);
  for (let i = 0; i < times; i++) {
    const [ahead, here] = neighbours(y, d);
    y = y.dtype === 'bool' ? ne(ahead, here) : sub(ahead, here);
  }
  return y;
}

/** Options of `trapezoid` and `cumulativeTrapezoid`. */
export interface TrapezoidOptions {
  /** The places of the values: a vector along the dimension, or of y's shape. Default: places `dx` apart. */
  x?: Tensor | null;
  /** The distance of neighbours. Default: 1. */
  dx?: number;
  /** The dimension. Default: −1, the last. */
  dim?: number;
}
const trapezoidOptions = declareOptions<TrapezoidOptions>({ x: kind.tensor, dx: kind.number, dim: kind.integer });

/** The area between neighbours, and the dimension. */
function areas(op: string, given: Tensor, options: TrapezoidOptions): [parts: Tensor, dim: number] {
  requireTensor(op, given);
  requireOptions(op, options, trapezoidOptions);
  const { x = null, dx = 1, dim = -1 } = options;
  requireNumber(op, 'dx', dx);
  const d = normalizeDim(dim, given.rank, op);
  const y = given.dtype === 'bool' ? cast(given, 'int64') : given;
  const n = y.shape[d] ?? 1;
  if (x === null) {
    const [ahead, here] = neighbours(y, d);
    return [mul(div(add(ahead, here), 2), dx), d];
  }
  if (x.rank === 0 || (x.rank === 1 && x.shape[0] !== n))
    throw new RuntimeError(`${op}(): There must be one \`x\` value for each sample point`);
  const places =
    x.rank === 1
      ? reshape(
          x,
          y.shape.map((_, i) => (i === d ? n : 1)),
        )
      : x;
  const [later, before] = neighbours(places, x.rank === 1 ? d : d - y.rank + x.rank);
  const [ahead, here] = neighbours(y, d);
  return [div(mul(sub(later, before), add(ahead, here)), 2), d];
}

/**
 * The area below y along a dimension, by trapezoids between neighbours (PyTorch: `torch.trapezoid`).
 * @throws RuntimeError where `x` has not one place for each value.
 * @example
 * trapezoid(tensor([1, 5, 10])); // 10.5
 */
export function trapezoid(y: Tensor, options: TrapezoidOptions = {}): Tensor {
  const [parts, dim] = areas('trapezoid', y, options);
  return sum(parts, dim, { dtype: parts.dtype });
}
/**
 * The areas below y up to each value but the first, along a dimension (PyTorch: `torch.cumulative_trapezoid`).
 * @throws RuntimeError where `x` has not one place for each value.
 */
export function cumulativeTrapezoid(y: Tensor, options: TrapezoidOptions = {}): Tensor {
  const [parts, dim] = areas('cumulativeTrapezoid', y, options);
  return cumsumOp(floating('cumulativeTrapezoid', parts), dim, false);
}
