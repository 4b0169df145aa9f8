// Losses with a margin as modules; the functions are in ops/loss/margins.ts and pairs.ts.
import { requireNumber } from '../checks.ts';
import { ValueError } from '../errors.ts';
import {
  cosineEmbeddingLossWith,
  type DistanceFunction,
  hingeEmbeddingLossWith,
  type LossOptions,
  lossOptions,
  type MarginOptions,
  type MultilabelSoftMarginOptions,
  type MultiMarginOptions,
  marginOptions,
  marginRankingLossWith,
  multilabelMarginLossWith,
  multilabelSoftMarginLossWith,
  multilabelSoftMarginOptions,
  multiMarginLossWith,
  multiMarginOptions,
  requireOneOrTwo,
  type TripletMarginOptions,
  type TripletMarginWithDistanceOptions,
  tripletMarginLossWith,
  tripletMarginOptions,
  tripletMarginWithDistanceLossWith,
  tripletMarginWithDistanceOptions,
} from '../ops/loss.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { PairwiseDistance } from './distance.ts';
import { Loss } from './loss.ts';
import { Module } from './module.ts';
import { declareModules } from './module_call.ts';

abstract class MarginLoss extends Loss {
  /** How far apart is far enough. */
  readonly margin: number;
  constructor(options: MarginOptions, fallback: number) {
    super(options, marginOptions);
    this.margin = requireNumber(this.constructor.name, 'margin', options.margin ?? fallback);
  }
}

/**
 * max(0, −t·(x1 − x2) + margin), default margin 0: which of two values, (N) each, is to be the larger one (PyTorch:
 * `nn.MarginRankingLoss`).
 */
export class MarginRankingLoss extends MarginLoss {
  constructor(options: MarginOptions = {}) {
    super(options, 0);
  }
  forward(input1: Tensor, input2: Tensor, target: Tensor): Tensor {
    return marginRankingLossWith(input1, input2, target, this);
  }
}

/** x where the target is 1, max(0, margin − x) where it is −1, default margin 1 (PyTorch: `nn.HingeEmbeddingLoss`). */
export class HingeEmbeddingLoss extends MarginLoss {
  constructor(options: MarginOptions = {}) {
    super(options, 1);
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return hingeEmbeddingLossWith(input, target, this);
  }
}

/**
 * 1 − cos where the target is 1, max(0, cos − margin) where it is −1, of vectors (N, D), default margin 0 (PyTorch:
 * `nn.CosineEmbeddingLoss`).
 */
export class CosineEmbeddingLoss extends MarginLoss {
  constructor(options: MarginOptions = {}) {
    super(options, 0);
  }
  forward(input1: Tensor, input2: Tensor, target: Tensor): Tensor {
    return cosineEmbeddingLossWith(input1, input2, target, this);
  }
}

/**
 * Every class but the right one costs what it is too near to it: input (N, C), target (N) of int64 (PyTorch:
 * `nn.MultiMarginLoss`).
 */
export class MultiMarginLoss extends Loss {
  /** The exponent of what is missing to the margin. */
  readonly p: number;
  /** How far the right class is to be ahead. */
  readonly margin: number;
  /** A weight for each class (C); null: all weigh the same. */
  declare weight: Tensor | null;
  constructor(options: MultiMarginOptions = {}) {
    super(options, multiMarginOptions);
    this.p = requireOneOrTwo('MultiMarginLoss', options.p ?? 1);
    this.margin = requireNumber('MultiMarginLoss', 'margin', options.margin ?? 1);
    const { weight = null } = options;
    if (weight && weight.rank !== 1)
      throw new ValueError(`MultiMarginLoss: expected weight to be null or 1D tensor, got ${weight.rank}D instead`);
    this.registerBuffer('weight', weight);
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return multiMarginLossWith(input, target, this);
  }
}

/**
 * As `MultiMarginLoss` for several right classes in each row of the target (N, C), which are listed before the first −1
 * (PyTorch: `nn.MultiLabelMarginLoss`).
 */
export class MultiLabelMarginLoss extends Loss {
  constructor(options: LossOptions = {}) {
    super(options, lossOptions);
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return multilabelMarginLossWith(input, target, this);
  }
}

/**
 * Binary cross entropy of logits (N, C) against targets 0 and 1, the mean over the classes (PyTorch:
 * `nn.MultiLabelSoftMarginLoss`).
 */
export class MultiLabelSoftMarginLoss extends Loss {
  /** A weight for each class (C); null: all weigh the same. */
  declare weight: Tensor | null;
  constructor(options: MultilabelSoftMarginOptions = {}) {
    super(options, multilabelSoftMarginOptions);
    this.registerBuffer('weight', options.weight ?? null);
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return multilabelSoftMarginLossWith(input, target, this);
  }
}

function requireMargin(name: string, margin: number): number {
  requireNumber(name, 'margin', margin);
  if (!(margin > 0)) throw new ValueError(`${name}: expected margin to be greater than 0, got ${margin} instead`);
  return margin;
}

/**
 * max(0, d(anchor, positive) − d(anchor, negative) + margin) of vectors (N, D) (Balntas et al. 2016; PyTorch:
 * `nn.TripletMarginLoss`).
 * @throws ValueError unless the margin is above 0.
 * @example
 * const loss = new TripletMarginLoss({ margin: 0.5 })(randn([8, 16]), randn([8, 16]), randn([8, 16]));
 */
export class TripletMarginLoss extends Loss {
  /** How much farther than the positive the negative is to be. */
  readonly margin: number;
  /** The exponent of the norm that measures distances. */
  readonly p: number;
  /** Added to every difference. */
  readonly eps: number;
  /** Whether the distance of the positive and the negative is taken, where it is the smaller one. */
  readonly swap: boolean;
  constructor(options: TripletMarginOptions = {}) {
    super(options, tripletMarginOptions);
    this.margin = requireMargin('TripletMarginLoss', options.margin ?? 1);
    this.p = requireNumber('TripletMarginLoss', 'p', options.p ?? 2);
    this.eps = requireNumber('TripletMarginLoss', 'eps', options.eps ?? 1e-6);
    this.swap = options.swap ?? false;
  }
  forward(anchor: Tensor, positive: Tensor, negative: Tensor): Tensor {
    return tripletMarginLossWith(anchor, positive, negative, this);
  }
}

/**
 * As `TripletMarginLoss`, with a distance of one's own, a function or a module (PyTorch:
 * `nn.TripletMarginWithDistanceLoss`).
 * @throws ValueError unless the margin is above 0.
 */
export class TripletMarginWithDistanceLoss extends Loss {
  /** How much farther than the positive the negative is to be. */
  readonly margin: number;
  /** Whether the distance of the positive and the negative is taken, where it is the smaller one. */
  readonly swap: boolean;
  /** A distance that is no module; null: it is the child `distance_function`. */
  private readonly plainDistance: DistanceFunction | null;
  constructor(options: TripletMarginWithDistanceOptions = {}) {
    super(options, tripletMarginWithDistanceOptions);
    this.margin = requireMargin('TripletMarginWithDistanceLoss', options.margin ?? 1);
    this.swap = options.swap ?? false;
    const distance = options.distanceFunction ?? new PairwiseDistance();
    this.plainDistance = distance instanceof Module ? null : distance;
    if (distance instanceof Module) this.registerModule('distance_function', distance);
  }
  /** What measures distances. */
  get distanceFunction(): DistanceFunction {
    return this.plainDistance ?? (this.ownChildren().get('distance_function') as unknown as DistanceFunction);
  }
  forward(anchor: Tensor, positive: Tensor, negative: Tensor): Tensor {
    return tripletMarginWithDistanceLossWith(anchor, positive, negative, this);
  }
}

declareModules({
  MarginRankingLoss,
  HingeEmbeddingLoss,
  CosineEmbeddingLoss,
  MultiMarginLoss,
  MultiLabelMarginLoss,
  MultiLabelSoftMarginLoss,
  TripletMarginLoss,
  TripletMarginWithDistanceLoss,
});
