// Distances as modules; the functions are in ops/distance.ts.
import { requireInteger, requireNumber } from '../checks.ts';
import {
  type CosineSimilarityOptions,
  cosineSimilarityOptions,
  cosineSimilarityWith,
  type PairwiseDistanceOptions,
  pairwiseDistanceOptions,
  pairwiseDistanceWith,
} from '../ops/distance.ts';
import { requireOptions } from '../options.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Module } from './module.ts';
import { declareModules } from './module_call.ts';

/**
 * The p-norm of the difference of vectors, (N, D) or (D), along the last dimension (PyTorch: `nn.PairwiseDistance`).
 * @example
 * new PairwiseDistance({ p: 1 })(ones([4, 3]), zeros([4, 3])); // four times 3
 */
export class PairwiseDistance extends Module {
  /** The exponent of the norm. */
  readonly p: number;
  /** Added to every difference. */
  readonly eps: number;
  /** Whether the last dimension is kept, with size 1. */
  readonly keepdim: boolean;
  constructor(options: PairwiseDistanceOptions = {}) {
    super();
    requireOptions('PairwiseDistance', options, pairwiseDistanceOptions);
    this.p = requireNumber('PairwiseDistance', 'p', options.p ?? 2);
    this.eps = requireNumber('PairwiseDistance', 'eps', options.eps ?? 1e-6);
    this.keepdim = options.keepdim ?? false;
  }
  forward(x1: Tensor, x2: Tensor): Tensor {
    return pairwiseDistanceWith(x1, x2, this);
  }
}

/** The cosine of the angle between vectors along a dimension, by default 1 (PyTorch: `nn.CosineSimilarity`). */
export class CosineSimilarity extends Module {
  /** The dimension of the vectors. */
  readonly dim: number;
  /** The least length that is divided by. */
  readonly eps: number;
  constructor(options: CosineSimilarityOptions = {}) {
    super();
    requireOptions('CosineSimilarity', options, cosineSimilarityOptions);
    this.dim = requireInteger('CosineSimilarity', 'dim', options.dim ?? 1);
    this.eps = requireNumber('CosineSimilarity', 'eps', options.eps ?? 1e-8);
  }
  forward(x1: Tensor, x2: Tensor): Tensor {
    return cosineSimilarityWith(x1, x2, this);
  }
}

declareModules({ PairwiseDistance, CosineSimilarity });
