// Losses of pairs and triplets: how near to each other they are, or which of two comes first.
import { requireNumber } from '../../checks.ts';
import { RuntimeError, ValueError } from '../../errors.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { requireFloat, requireTensor } from '../../tensor/requirements.ts';
import { formatShape } from '../../tensor/shape.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { pairwiseDistanceWith } from '../distance.ts';
import { add, clamp, div, eq, minimum, mul, ne, neg, sqrt, square, sub, where } from '../elementwise.ts';
import { sum } from '../reduce.ts';
import { type LossOptions, reduced, requireReduction } from './reduction.ts';

/** Options of the losses that have a margin, and of their layers. */
export interface MarginOptions extends LossOptions {
  /** How far apart is far enough. Default: 0, for `hingeEmbeddingLoss` 1. */
  margin?: number;
}
export const marginOptions = declareOptions<MarginOptions>({ margin: kind.number, reduction: kind.choice });

/**
 * max(0, −t·(x1 − x2) + margin): with t = 1 the first is to be larger by the margin, with t = −1 the second (PyTorch:
 * `F.margin_ranking_loss`). The operands are broadcast.
 * @throws RuntimeError unless all have the same number of dimensions.
 */
export function marginRankingLoss(input1: Tensor, input2: Tensor, target: Tensor, options: MarginOptions = {}): Tensor {
  requireOptions('marginRankingLoss', options, marginOptions);
  return marginRankingLossWith(input1, input2, target, options);
}
/** As the layer calls it, which has checked the options. */
export function marginRankingLossWith(
  input1: Tensor,
  input2: Tensor,
  target: Tensor,
  { margin = 0, reduction = 'mean' }: MarginOptions,
): Tensor {
  const op = 'marginRankingLoss';
  requireReduction(op, reduction);
  requireNumber(op, 'margin', margin);
  requireFloat(op, input1);
  requireFloat(op, input2);
  requireTensor(op, target);
  if (input1.rank !== input2.rank || input1.rank !== target.rank)
    throw new RuntimeError(
      `${op} : All input tensors should have same dimension but got sizes: input1: ${formatShape(input1.shape)}, input2: ${formatShape(input2.shape)}, target: ${formatShape(target.shape)} `,
    );
  return reduced(clamp(add(mul(neg(target), sub(input1, input2)), margin), 0), reduction);
}

/**
 * x where the target is 1, max(0, margin − x) where it is −1; default margin 1 (PyTorch: `F.hinge_embedding_loss`). x
 * is a distance, as a rule. The operands are broadcast.
 */
export function hingeEmbeddingLoss(input: Tensor, target: Tensor, options: MarginOptions = {}): Tensor {
  requireOptions('hingeEmbeddingLoss', options, marginOptions);
  return hingeEmbeddingLossWith(input, target, options);
}
export function hingeEmbeddingLossWith(
  input: Tensor,
  target: Tensor,
  { margin = 1, reduction = 'mean' }: MarginOptions,
): Tensor {
  const op = 'hingeEmbeddingLoss';
  requireReduction(op, reduction);
  requireNumber(op, 'margin', margin);
  requireFloat(op, input);
  requireTensor(op, target);
  const far = where(ne(target, 1), clamp(sub(margin, input), 0), 0);
  return reduced(add(far, where(ne(target, -1), input, 0)), reduction);
}

/** Added to squares of lengths, so that none is 0; PyTorch has it as a float32. */
const leastSquare = Math.fround(1e-12);

/**
 * 1 − cos where the target is 1, max(0, cos − margin) where it is −1, with the cosine of the angle between two vectors:
 * inputs (N, D) and a target (N), or (D) and () (PyTorch: `F.cosine_embedding_loss`).
 * @throws RuntimeError on other numbers of dimensions.
 */
export function cosineEmbeddingLoss(
  input1: Tensor,
  input2: Tensor,
  target: Tensor,
  options: MarginOptions = {},
): Tensor {
  requireOptions('cosineEmbeddingLoss', options, marginOptions);
  return cosineEmbeddingLossWith(input1, input2, target, options);
}
export function cosineEmbeddingLossWith(
  input1: Tensor,
  input2: Tensor,
  target: Tensor,
  { margin = 0, reduction = 'mean' }: MarginOptions,
): Tensor {
  const op = 'cosineEmbeddingLoss';
  requireReduction(op, reduction);
  requireNumber(op, 'margin', margin);
  requireFloat(op, input1);
  requireFloat(op, input2);
  requireTensor(op, target);
  if (target.rank > 1) throw new RuntimeError('0D or 1D target tensor expected, multi-target not supported');
  const rank = target.rank + 1;
  if (input1.rank !== rank || input2.rank !== rank)
    throw new RuntimeError(
      `${target.rank}D target tensor expects ${rank}D input tensors, but found inputs with sizes ${formatShape(input1.shape)} and ${formatShape(input2.shape)}.`,
    );
  const squares = (x: Tensor) => add(sum(square(x), target.rank), leastSquare);
  const lengths = sqrt(mul(squares(input1), squares(input2)));
  const cosine = div(sum(mul(input1, input2), target.rank), lengths);
  const near = where(eq(target, 1), sub(1, cosine), 0);
  return reduced(add(near, where(eq(target, -1), clamp(sub(cosine, margin), 0), 0)), reduction);
}

/** Options of `tripletMarginLoss` and `TripletMarginLoss`. */
export interface TripletMarginOptions extends LossOptions {
  /** How much farther than the positive the negative is to be. Default: 1. */
  margin?: number;
  /** The exponent of the norm that measures distances. Default: 2. */
  p?: number;
  /** Added to every difference. Default: 1e-6. */
  eps?: number;
  /** Take the distance of the positive and the negative, where it is the smaller one. Default: false. */
  swap?: boolean;
}
export const tripletMarginOptions = declareOptions<TripletMarginOptions>({
  margin: kind.number,
  p: kind.number,
  eps: kind.number,
  swap: kind.flag,
  reduction: kind.choice,
});

/** A distance of two tensors of vectors. */
export type DistanceFunction = (a: Tensor, b: Tensor) => Tensor;
/** Options of `tripletMarginWithDistanceLoss` and `TripletMarginWithDistanceLoss`. */
export interface TripletMarginWithDistanceOptions extends LossOptions {
  /** What measures distances, a function or a module. Default: null, `pairwiseDistance`. */
  distanceFunction?: DistanceFunction | null;
  /** How much farther than the positive the negative is to be. Default: 1. */
  margin?: number;
  /** Take the distance of the positive and the negative, where it is the smaller one. Default: false. */
  swap?: boolean;
}
export const tripletMarginWithDistanceOptions = declareOptions<TripletMarginWithDistanceOptions>({
  distanceFunction: kind.functionOrNull,
  margin: kind.number,
  swap: kind.flag,
  reduction: kind.choice,
});

function triplets(
  op: string,
  distance: DistanceFunction,
  [anchor, positive, negative]: readonly [Tensor, Tensor, Tensor],
  { margin = 1, swap = false, reduction = 'mean' }: TripletMarginWithDistanceOptions,
): Tensor {
  requireReduction(op, reduction);
  requireNumber(op, 'margin', margin);
  for (const x of [anchor, positive, negative]) requireTensor(op, x);
  if (!(margin > 0)) throw new ValueError(`[${op}] margin must be greater than 0, got ${margin}`);
  if (anchor.rank !== positive.rank || positive.rank !== negative.rank)
    throw new RuntimeError(
      `The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: anchor ${anchor.rank}D, positive ${positive.rank}D, and negative ${negative.rank}D inputs`,
    );
  const near = distance(anchor, positive);
  const far = distance(anchor, negative);
  const farther = swap ? minimum(far, distance(positive, negative)) : far;
  return reduced(clamp(sub(add(near, margin), farther), 0), reduction);
}

/**
 * max(0, d(anchor, positive) − d(anchor, negative) + margin) with the distance of `pairwiseDistance` along the last
 * dimension (Balntas et al. 2016; PyTorch: `F.triplet_margin_loss`).
 * @throws ValueError unless the margin is above 0; RuntimeError on different numbers of dimensions.
 * @example
 * const loss = tripletMarginLoss(net(images), net(images), net(images.flip(0)));
 */
export function tripletMarginLoss(
  anchor: Tensor,
  positive: Tensor,
  negative: Tensor,
  options: TripletMarginOptions = {},
): Tensor {
  requireOptions('tripletMarginLoss', options, tripletMarginOptions);
  return tripletMarginLossWith(anchor, positive, negative, options);
}
export function tripletMarginLossWith(
  anchor: Tensor,
  positive: Tensor,
  negative: Tensor,
  { p = 2, eps = 1e-6, margin, swap, reduction }: TripletMarginOptions,
): Tensor {
  const distance: DistanceFunction = (a, b) => pairwiseDistanceWith(a, b, { p, eps });
  return triplets('tripletMarginLoss', distance, [anchor, positive, negative], { margin, swap, reduction });
}

/**
 * As `tripletMarginLoss`, with a distance of one's own (PyTorch: `F.triplet_margin_with_distance_loss`).
 * @throws ValueError unless the margin is above 0; RuntimeError on different numbers of dimensions.
 * @example
 * tripletMarginWithDistanceLoss(logits, logits, logits.flip(0), { distanceFunction: (x, y) => sub(1, cosineSimilarity(x, y)) });
 */
export function tripletMarginWithDistanceLoss(
  anchor: Tensor,
  positive: Tensor,
  negative: Tensor,
  options: TripletMarginWithDistanceOptions = {},
): Tensor {
  requireOptions('tripletMarginWithDistanceLoss', options, tripletMarginWithDistanceOptions);
  return tripletMarginWithDistanceLossWith(anchor, positive, negative, options);
}
export function tripletMarginWithDistanceLossWith(
  anchor: Tensor,
  positive: Tensor,
  negative: Tensor,
  { distanceFunction, margin, swap, reduction }: TripletMarginWithDistanceOptions,
): Tensor {
  const distance = distanceFunction ?? ((a, b) => pairwiseDistanceWith(a, b, {}));
  const options = { margin, swap, reduction };
  return triplets('tripletMarginWithDistanceLoss', distance, [anchor, positive, negative], options);
}
