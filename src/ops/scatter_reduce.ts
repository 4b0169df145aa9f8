// Elements of a source that meet at places of another tensor: their products, extrema, means.
import { defineOp } from '../autograd/define_op.ts';
import { shown } from '../checks.ts';
import { Reduction } from '../device/generated/abi.ts';
import { IndexError, RuntimeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { rowMajor } from '../tensor/copy.ts';
import { fullOn } from '../tensor/create.ts';
import { isFloat } from '../tensor/dtype.ts';
import { requireTensor } from '../tensor/requirements.ts';
import { aroundDim, formatShape, normalizeDim, sameShape } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { expand } from './broadcast.ts';
import { cast, clone } from './convert.ts';
import type { Operand } from './elementwise/binary.ts';
import { div, eq, logicalAnd, mul, where } from './elementwise.ts';
import {
  atLeast1d,
  checkingIndices,
  flatPositions,
  gather,
  isFull,
  requireIndices,
  requireVector,
  scatter,
  scatterAdd,
  scattered,
} from './indexing.ts';
import { flatten, reshape, targetOf } from './shape_ops.ts';

/** How several values become one. */
export type ScatterReduction = 'sum' | 'prod' | 'mean' | 'amax' | 'amin';
type Combination = 'prod' | 'amax' | 'amin';
const kernelOf = { prod: Reduction.prod, amax: Reduction.max, amin: Reduction.min };

const zeros = (x: Tensor): Tensor => fullOn(x.backend, x.shape, 0, x.dtype);
const ones = (x: Tensor): Tensor => fullOn(x.backend, x.shape, 1, x.dtype);

/** `index` runs through all of x apart from the dimension, and source has its shape. */
const scatterReduceOp = defineOp({
  name: 'scatterReduce',
  forward(ctx, x: Tensor, dim: number, index: Tensor, source: Tensor, how: Combination, includeSelf: boolean) {
    // What does not count gives way to what changes nothing.
    const out = includeSelf
      ? targetOf('scatterReduce', rowMajor(x), false)
      : scatter(x, dim, index, how === 'prod' ? 1 : source);
    // A product of truth values is their minimum.
    const op = x.dtype === 'bool' && how === 'prod' ? Reduction.min : kernelOf[how];
    const [outer, n, inner] = aroundDim(x.shape, dim);
    const values = rowMajor(source);
    checkingIndices('scatterReduce', index, dim, 0, n, () =>
      x.backend.launch.scatterReduce('scatterReduce', {
        op,
        x: values,
        index,
        out,
        outer,
        n,
        count: index.shape[dim],
        inner,
      }),
    );
    ctx.save(x, index, source, out);
    return out;
  },
  // As PyTorch's scatter_reduce_backward: equal extrema share the gradient; a product without one of its factors.
  backward(ctx, [g], _x, dim, _index, _source, how, includeSelf) {
    const [x, index, source, y] = ctx.saved;
    const at = (t: Tensor) => gather(t, dim, index);
    const without = (t: Tensor) => (includeSelf ? t : scatter(t, dim, index, 0));
    let [dx, dsource]: [Tensor, Tensor] = [g, g];
    if (how === 'prod') {
      const isZero = eq(x, 0);
      const factors = where(isZero, 1, x);
      dx = div(mul(g, scatterReduceOp(factors, dim, index, source, 'prod', includeSelf)), factors);
      const [isNone, one] = [eq(source, 0), ones(source)];
      const zerosThere = at(scatterAdd(zeros(x), dim, index, where(isNone, one, 0)));
      const isOnlyZero = logicalAnd(isNone, eq(zerosThere, 1));
      const others = scatterReduceOp(x, dim, index, where(isOnlyZero, one, source), 'prod', includeSelf);
      dsource = where(isOnlyZero, at(mul(g, others)), div(at(mul(g, y)), where(isNone, one, source)));
    } else {
      const isTop = without(cast(eq(x, y), x.dtype));
      const isSource = cast(eq(source, at(y)), source.dtype);
      const share = div(g, scatterAdd(isTop, dim, index, isSource));
      [dx, dsource] = [mul(isTop, share), mul(isSource, at(share))];
    }
    return [without(dx), null, null, dsource, null, null];
  },
}) as (x: Tensor, dim: number, index: Tensor, source: Tensor, how: Combination, includeSelf: boolean) => Tensor;

/** The same for an index that may be smaller than x. */
function combined(
  op: string,
  x: Tensor,
  dim: number,
  index: Tensor,
  source: Operand,
  how: Combination,
  includeSelf: boolean,
): Tensor {
  const given = scattered(op, x, dim, index, source);
  if (!given) return clone(x);
  const { whole, d, places, used } = given;
  if (isFull(whole, d, places)) return reshape(scatterReduceOp(whole, d, places, used, how, includeSelf), x.shape);
  const positions = flatPositions(op, whole, d, places);
  return reshape(scatterReduceOp(flatten(whole), 0, positions, flatten(used), how, includeSelf), x.shape);
}

/** Options of `scatterReduce` and `indexReduce`. */
export interface ScatterReduceOptions {
  /** Whether x's own element is one of those that meet. Default: true. */
  includeSelf?: boolean;
}
const scatterReduceOptions = declareOptions<ScatterReduceOptions>({ includeSelf: kind.flag });

function reducedAt(
  op: string,
  x: Tensor,
  dim: number,
  index: Tensor,
  source: Tensor,
  reduce: ScatterReduction,
  includeSelf: boolean,
): Tensor {
  if (reduce !== 'sum' && reduce !== 'mean') return combined(op, x, dim, index, source, reduce, includeSelf);
  const base = includeSelf ? x : scatter(x, dim, index, x.dtype === 'bool' ? false : 0);
  const sums = scatterAdd(base, dim, index, source);
  if (reduce === 'sum') return sums;
  const counts = scatterAdd(includeSelf ? ones(x) : zeros(x), dim, index, ones(source));
  const divisor = where(eq(counts, 0), ones(x), counts);
  return isFloat(x.dtype) ? div(sums, divisor) : div(sums, divisor, { roundingMode: 'floor' });
}

/**
 * x with elements of `source` combined with what stands at x[i][index[i][j][k]][k] (dim 1), and so on: their sum,
 * product, mean, or extremum; `index` may be smaller than x and source (PyTorch: `torch.scatter_reduce`).
 * @throws RuntimeError on shapes or dtypes that do not fit, or a reduction that does not exist; IndexError on an index
 *   outside [0, n).
 * @example
 * scatterReduce(zeros([2]), 0, tensor([0, 1, 1], { dtype: 'int64' }), tensor([1, 2, 3]), 'amax'); // [1, 3]
 */
export function scatterReduce(
  x: Tensor,
  dim: number,
  index: Tensor,
  source: Tensor,
  reduce: ScatterReduction,
  options: ScatterReduceOptions = {},
): Tensor {
  requireTensor('scatterReduce', x);
  requireTensor('scatterReduce', index);
  requireTensor('scatterReduce', source);
  requireOptions('scatterReduce', options, scatterReduceOptions);
  if (!['sum', 'prod', 'mean', 'amax', 'amin'].includes(reduce))
    throw new RuntimeError(
      `[scatterReduce] reduce argument must be either sum, prod, mean, amax or amin, got ${shown(reduce)}`,
    );
  return reducedAt('scatterReduce', x, dim, index, source, reduce, options.includeSelf ?? true);
}

/**
 * x with slices of `source` combined with those at the given indices of a dimension: their product, mean, or extremum
 * (PyTorch: `torch.index_reduce`).
 * @throws RuntimeError on shapes or dtypes that do not fit, or a reduction that does not exist; IndexError on an index
 *   outside [0, n).
 * @example
 * indexReduce(ones([2, 3]), 0, tensor([0, 0], { dtype: 'int64' }), full([2, 3], 2), 'prod'); // rows of 4 and of 1
 */
export function indexReduce(
  x: Tensor,
  dim: number,
  index: Tensor,
  source: Tensor,
  reduce: Exclude<ScatterReduction, 'sum'>,
  options: ScatterReduceOptions = {},
): Tensor {
  requireTensor('indexReduce', x);
  requireTensor('indexReduce', source);
  requireOptions('indexReduce', options, scatterReduceOptions);
  if (!['prod', 'mean', 'amax', 'amin'].includes(reduce))
    throw new RuntimeError(
      `indexReduce(): Expected reduce to be one of prod, mean, amax or amin but got ${shown(reduce)}.`,
    );
  const indices = atLeast1d(requireIndices('indexReduce', index));
  requireVector('indexReduce', index);
  const d = normalizeDim(dim, x.rank, 'indexReduce');
  if (source.dtype !== x.dtype)
    throw new RuntimeError(
      `indexReduce(): x and source expected to have the same dtype, but got (x) ${x.dtype} and (source) ${source.dtype}`,
    );
  const whole = atLeast1d(x);
  const slices = atLeast1d(source);
  const expected = whole.shape.map((n, i) => (i === d ? indices.size : n));
  if (slices.rank !== whole.rank || slices.shape[d] !== indices.size)
    throw new IndexError(
      `indexReduce(): Number of indices (${indices.size}) should be equal to source.size(dim) (${slices.shape[d]})`,
    );
  if (!sameShape(slices.shape, expected))
    throw new RuntimeError(
      `[indexReduce] expected a source of shape ${formatShape(expected)}, got ${formatShape(source.shape)}`,
    );
  const one = whole.shape.map((_, i) => (i === d ? indices.size : 1));
  const places = expand(reshape(indices, one), expected);
  return reshape(reducedAt('indexReduce', whole, d, places, slices, reduce, options.includeSelf ?? true), x.shape);
}
