// Distances and similarities of vectors along one dimension.
import { requireNumber } from '../checks.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { requireFloat, requireTensor } from '../tensor/requirements.ts';
import { broadcastShapes, normalizeDim } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { atLeast } from './at_least.ts';
import { expand } from './broadcast.ts';
import { floating } from './elementwise/unary.ts';
import { add, div, mul, sub } from './elementwise.ts';
import { sum } from './reduce.ts';
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
