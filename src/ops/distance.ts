// Distances and similarities of vectors along one dimension.
import { requireChoice, requireNumber } from '../checks.ts';
import { RuntimeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { isFloat } from '../tensor/dtype.ts';
import { requireFloat, requireSameDevice, requireTensor } from '../tensor/requirements.ts';
import { broadcastShapes, normalizeDim } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { atLeast } from './at_least.ts';
import { expand } from './broadcast.ts';
import { floating } from './elementwise/unary.ts';
import { add, clamp, div, eq, mul, sqrt, sub, where } from './elementwise.ts';
import { matmul } from './matmul.ts';
import { sum } from './reduce.ts';
import { transpose, unsqueeze } from './shape_ops.ts';
import { norm } from './statistics.ts';

/** Options of `pairwiseDistance` and `PairwiseDistance`. */
export interface PairwiseDistanceOptions {
  /** The exponent of the norm, Infinity too. Default: 2. */
  p?: number;
  /** Added to every difference, so that a distance of 0 has a gradient. Default: 1e-6. */
  eps?: number;
  /** Keep the last dimension, with size 1. Default: false. */
  keepdim?: boolean;
}
export const pairwiseDistanceOptions = declareOptions<PairwiseDistanceOptions>({
  p: kind.number,
  eps: kind.number,
  keepdim: kind.flag,
});

/**
 * ‖x1 − x2 + eps‖ along the last dimension, of vectors (D), (N, D) or more dimensions, which are broadcast; the result
 * has the shape without the last dimension (PyTorch: `F.pairwise_distance`).
 * @throws RuntimeError where the shapes do not broadcast.
 * @example
 * pairwiseDistance(ones([4, 3]), zeros([4, 3]), { p: 1 }); // four times 3
 */
export function pairwiseDistance(x1: Tensor, x2: Tensor, options: PairwiseDistanceOptions = {}): Tensor {
  requireOptions('pairwiseDistance', options, pairwiseDistanceOptions);
  return pairwiseDistanceWith(x1, x2, options);
}
/** As the layer calls it, which has checked the options. */
export function pairwiseDistanceWith(x1: Tensor, x2: Tensor, options: PairwiseDistanceOptions): Tensor {
  const { p = 2, eps = 1e-6, keepdim = false } = options;
  requireNumber('pairwiseDistance', 'p', p);
  requireNumber('pairwiseDistance', 'eps', eps);
  requireTensor('pairwiseDistance', x1);
  requireTensor('pairwiseDistance', x2);
  const difference = floating('pairwiseDistance', add(sub(x1, x2), eps));
  const last = normalizeDim(-1, difference.rank, 'pairwiseDistance');
  return norm(difference, p, last, { keepdim });
}

/** Options of `cosineSimilarity` and `CosineSimilarity`. */
export interface CosineSimilarityOptions {
  /** The dimension of the vectors. Default: 1. */
  dim?: number;
  /** The least length that is divided by. Default: 1e-8. */
  eps?: number;
}
export const cosineSimilarityOptions = declareOptions<CosineSimilarityOptions>({
  dim: kind.integer,
  eps: kind.number,
});

/**
 * x1·x2 / (max(‖x1‖, eps)·max(‖x2‖, eps)) along a dimension; the operands are broadcast, and the result has their shape
 * without that dimension (PyTorch: `F.cosine_similarity`).
 * @throws IndexError on a dimension that they do not have; RuntimeError where the shapes do not broadcast.
 * @example
 * cosineSimilarity(x, y, { dim: -1 });
 */
export function cosineSimilarity(x1: Tensor, x2: Tensor, options: CosineSimilarityOptions = {}): Tensor {
  requireOptions('cosineSimilarity', options, cosineSimilarityOptions);
  return cosineSimilarityWith(x1, x2, options);
}
export function cosineSimilarityWith(x1: Tensor, x2: Tensor, options: CosineSimilarityOptions): Tensor {
  const { dim = 1, eps = 1e-8 } = options;
  requireNumber('cosineSimilarity', 'eps', eps);
  requireFloat('cosineSimilarity', x1);
  requireFloat('cosineSimilarity', x2);
  const shape = broadcastShapes(x1.shape, x2.shape);
  const along = normalizeDim(dim, shape.length, 'cosineSimilarity');
  const unit = (x: Tensor) => {
    const whole = expand(x, shape);
    return div(whole, atLeast(norm(whole, 2, along, { keepdim: true }), eps));
  };
  return sum(mul(unit(x1), unit(x2)), along);
}

/** How `cdist` finds distances of p = 2: by a matrix product, which is faster and less exact, or by differences. */
export type CdistComputeMode = 'useMmForEuclidDistIfNecessary' | 'useMmForEuclidDist' | 'donotUseMmForEuclidDist';
/** Options of `cdist`. */
export interface CdistOptions {
  /** With p = 2, a matrix product: where there are more than 25 vectors, always, or never. Default: the first. */
  computeMode?: CdistComputeMode;
}
const cdistOptions = declareOptions<CdistOptions>({ computeMode: kind.choice });

/**
 * The distance of every vector of a (…, P, M) to every one of b (…, R, M): (…, P, R), the p-norms of their differences;
 * leading dimensions are broadcast. Where vectors are equal no gradient flows (PyTorch: `torch.cdist`).
 * @param p by default 2; Infinity too.
 * @throws RuntimeError on shapes that do not fit, on a negative p, and on integers.
 * @example
 * cdist(randn([5, 3]), randn([4, 3])); // shape [5, 4]
 */
export function cdist(a: Tensor, b: Tensor, p = 2, options: CdistOptions = {}): Tensor {
  requireTensor('cdist', a);
  requireTensor('cdist', b);
  requireNumber('cdist', 'p', p);
  requireOptions('cdist', options, cdistOptions);
  const modes = ['useMmForEuclidDistIfNecessary', 'useMmForEuclidDist', 'donotUseMmForEuclidDist'] as const;
  const mode = requireChoice('cdist', 'computeMode', options.computeMode ?? modes[0], modes);
  requireSameDevice('cdist', a, b);
  for (const [name, x] of Object.entries({ X1: a, X2: b }))
    if (x.rank < 2) throw new RuntimeError(`cdist only supports at least 2D tensors, ${name} got: ${x.rank}D`);
  for (const [name, x] of Object.entries({ X1: a, X2: b }))
    if (!isFloat(x.dtype)) throw new RuntimeError(`cdist only supports floating-point dtypes, ${name} got: ${x.dtype}`);
  const [[rows, width], [columns, other]] = [a.shape.slice(-2), b.shape.slice(-2)];
  if (width !== other)
    throw new RuntimeError(`X1 and X2 must have the same number of columns. X1: ${width} X2: ${other}`);
  if (!(p >= 0)) throw new RuntimeError('cdist only supports non-negative p values');
  const usesProduct = p === 2 && (mode === modes[1] || (mode === modes[0] && (rows > 25 || columns > 25)));
  if (usesProduct && width > 0) return rootsOf(a, b);
  const difference = sub(unsqueeze(a, -2), unsqueeze(b, -3));
  return difference.size === 0 && width === 0
    ? sum(difference, difference.rank - 1)
    : norm(difference, p, difference.rank - 1);
}
/** √(|a|² + |b|² − 2·a·b), without slope where that is 0. */
function rootsOf(a: Tensor, b: Tensor): Tensor {
  const squares = (x: Tensor) => sum(mul(x, x), x.rank - 1, { keepdim: true });
  const product = matmul(a, transpose(b, -2, -1));
  const square = clamp(add(sub(squares(a), mul(product, 2)), transpose(squares(b), -2, -1)), 0);
  const isEqual = eq(square, 0);
  return where(isEqual, 0, sqrt(where(isEqual, 1, square)));
}

/**
 * The p-norm of a − b, as one vector (PyTorch: `torch.dist`).
 * @param p by default 2; Infinity too.
 * @throws RuntimeError where the shapes do not broadcast.
 */
export function dist(a: Tensor, b: Tensor, p = 2): Tensor {
  requireTensor('dist', a);
  requireTensor('dist', b);
  requireNumber('dist', 'p', p);
  return norm(sub(a, b), p);
}
