// Distances and similarities of vectors along one dimension.
import { defineOp } from '../autograd/define_op.ts';
import { requireNumber } from '../checks.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { requireFloat, requireTensor } from '../tensor/requirements.ts';
import { broadcastShapes, normalizeDim } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { atLeast } from './at_least.ts';
import { expand } from './broadcast.ts';
import { cast } from './convert.ts';
import { zerosAs } from './elementwise/constant.ts';
import { floating } from './elementwise/unary.ts';
import { abs, add, div, eq, mul, ne, pow, sign, sqrt, square, sub, where } from './elementwise.ts';
import { amax, amin, sum } from './reduce.ts';
import { squeeze } from './shape_ops.ts';

const keepdim = { keepdim: true } as const;

/** (Σ|x|^p)^(1/p) along a dimension, which stays with size 1; the gradient of a norm of 0 is 0 where p ≥ 1. */
const norm = defineOp({
  name: 'norm',
  forward(ctx, x: Tensor, p: number, dim: number) {
    const sizes = () => abs(x);
    let y: Tensor;
    if (p === 2) y = sqrt(sum(square(x), dim, keepdim));
    else if (p === 1) y = sum(sizes(), dim, keepdim);
    else if (p === 0) y = sum(cast(ne(x, 0), x.dtype), dim, keepdim);
    else if (p === Number.POSITIVE_INFINITY) y = amax(sizes(), dim, keepdim);
    else if (p === Number.NEGATIVE_INFINITY) y = amin(sizes(), dim, keepdim);
    else y = pow(sum(pow(sizes(), p), dim, keepdim), 1 / p);
    ctx.save(x, y);
    return y;
  },
  backward(ctx, [g], info, p, dim) {
    const [x, y] = ctx.saved;
    const perNorm = (divisor: Tensor) => where(eq(y, 0), 0, div(g, divisor));
    if (p === 0) return [zerosAs(info)];
    if (p === 1) return [mul(sign(x), g)];
    if (p === 2) return [mul(x, perNorm(y))];
    if (!Number.isFinite(p)) {
      // Elements of the same size share the gradient.
      const chosen = cast(eq(abs(x), y), x.dtype);
      return [mul(mul(sign(x), chosen), div(g, sum(chosen, dim, keepdim)))];
    }
    if (p < 1) {
      const scaled = mul(sign(x), where(eq(x, 0), 0, pow(abs(x), p - 1)));
      return [mul(mul(scaled, g), pow(y, 1 - p))];
    }
    const scaled = p < 2 ? mul(sign(x), pow(abs(x), p - 1)) : mul(x, pow(abs(x), p - 2));
    return [mul(scaled, perNorm(pow(y, p - 1)))];
  },
}) as (x: Tensor, p: number, dim: number) => Tensor;

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
  const distance = norm(difference, p, last);
  return keepdim ? distance : squeeze(distance, last);
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
 * cosineSimilarity(a, b, { dim: -1 });
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
    return div(whole, atLeast(norm(whole, 2, along), eps));
  };
  return sum(mul(unit(x1), unit(x2)), along);
}
