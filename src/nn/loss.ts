// Losses as modules; the functions are in ops/loss.ts. Weights are buffers, so that they are part of the state and change dtype.

import { requireInteger, requireProbability, requireRate } from '../checks.ts';
import { keepNames } from '../class_names.ts';
import {
  type BceOptions,
  bceWithLogits,
  type CrossEntropyOptions,
  crossEntropy,
  type LossOptions,
  type LossReduction,
  l1Loss,
  mseLoss,
  type NllLossOptions,
  nllLoss,
  requireReduction,
  smoothL1Loss,
} from '../ops/loss.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Module } from './module.ts';

abstract class Loss extends Module {
  readonly reduction: LossReduction;
  constructor({ reduction = 'mean' }: LossOptions) {
    super();
    requireReduction(reduction);
    this.reduction = reduction;
  }
}

abstract class ClassLoss extends Loss {
  readonly ignoreIndex: number;
  declare weight: Tensor | null;
  constructor(options: NllLossOptions) {
    super(options);
    this.registerBuffer('weight', options.weight ?? null);
    this.ignoreIndex = requireInteger(this.constructor.name, 'ignoreIndex', options.ignoreIndex ?? -100);
  }
}

/**
 * Cross entropy of logits (N, C, …) against classes (N, …) or class probabilities (N, C, …) (PyTorch: `nn.CrossEntropyLoss`).
 * @example
 * const loss = new CrossEntropyLoss()(logits, labels);
 */
export class CrossEntropyLoss extends ClassLoss {
  readonly labelSmoothing: number;
  constructor(options: CrossEntropyOptions = {}) {
    super(options);
    this.labelSmoothing = requireProbability('CrossEntropyLoss', 'labelSmoothing', options.labelSmoothing ?? 0);
  }
  forward(logits: Tensor, target: Tensor): Tensor {
    return crossEntropy(logits, target, this);
  }
}

/** Negative log-likelihood of classes (N, …) under log-probabilities (N, C, …) (PyTorch: `nn.NLLLoss`). */
export class NLLLoss extends ClassLoss {
  constructor(options: NllLossOptions = {}) {
    super(options);
  }
  forward(logProbabilities: Tensor, target: Tensor): Tensor {
    return nllLoss(logProbabilities, target, this);
  }
}

/** Mean squared error (PyTorch: `nn.MSELoss`). */
export class MSELoss extends Loss {
  constructor(options: LossOptions = {}) {
    super(options);
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return mseLoss(input, target, this);
  }
}

/** Mean absolute error (PyTorch: `nn.L1Loss`). */
export class L1Loss extends Loss {
  constructor(options: LossOptions = {}) {
    super(options);
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return l1Loss(input, target, this);
  }
}

/** Quadratic within `beta` (default 1) of the target, linear beyond (Girshick 2015; PyTorch: `nn.SmoothL1Loss`). */
export class SmoothL1Loss extends Loss {
  readonly beta: number;
  constructor(options: LossOptions & { beta?: number } = {}) {
    super(options);
    this.beta = requireRate('SmoothL1Loss', 'beta', options.beta ?? 1);
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return smoothL1Loss(input, target, this);
  }
}

/** Binary cross entropy of logits against targets in [0, 1] (PyTorch: `nn.BCEWithLogitsLoss`). */
export class BCEWithLogitsLoss extends Loss {
  declare weight: Tensor | null;
  constructor(options: BceOptions = {}) {
    super(options);
    this.registerBuffer('weight', options.weight ?? null);
    this.registerBuffer('pos_weight', options.posWeight ?? null);
  }
  /** Weight of positive targets, in the state as `pos_weight`. */
  get posWeight(): Tensor | null {
    return this.ownBuffers().get('pos_weight')!.tensor;
  }
  forward(input: Tensor, target: Tensor): Tensor {
    const { weight, posWeight, reduction } = this;
    return bceWithLogits(input, target, { weight, posWeight, reduction });
  }
}

keepNames({ CrossEntropyLoss, NLLLoss, MSELoss, L1Loss, SmoothL1Loss, BCEWithLogitsLoss });
