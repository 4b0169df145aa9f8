// Losses as modules; the functions are in ops/loss.ts. Weights are buffers, so that they are part of the state and
// change dtype.

import { requireInteger, requireProbability, requireRate } from '../checks.ts';
import {
  type BceOptions,
  bceOptions,
  bceWith,
  type CrossEntropyOptions,
  crossEntropyOptions,
  crossEntropyWith,
  type LossOptions,
  type LossReduction,
  l1LossWith,
  lossOptions,
  mseLossWith,
  type NllLossOptions,
  nllLossOptions,
  nllLossWith,
  requireReduction,
  type SmoothL1Options,
  smoothL1LossWith,
  smoothL1Options,
} from '../ops/loss.ts';
import { type Options, requireOptions } from '../options.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Module } from './module.ts';
import { declareModules } from './module_call.ts';

abstract class Loss extends Module {
  /** What becomes of the losses: their mean, their sum, or a tensor of all. */
  readonly reduction: LossReduction;
  constructor(options: LossOptions, known: Options<LossOptions>) {
    super();
    const { name } = this.constructor;
    requireOptions(name, options, known);
    const { reduction = 'mean' } = options;
    requireReduction(name, reduction);
    this.reduction = reduction;
  }
}

abstract class ClassLoss extends Loss {
  /** Targets of this value count for nothing. */
  readonly ignoreIndex: number;
  /** A weight for each class (C); null: all weigh the same. */
  declare weight: Tensor | null;
  constructor(options: NllLossOptions, known: Options<NllLossOptions>) {
    super(options, known);
    this.registerBuffer('weight', options.weight ?? null);
    this.ignoreIndex = requireInteger(this.constructor.name, 'ignoreIndex', options.ignoreIndex ?? -100);
  }
}

/**
 * Cross entropy of logits (N, C, …) against classes (N, …) or class probabilities (N, C, …) (PyTorch:
 * `nn.CrossEntropyLoss`).
 * @example
 * const loss = new CrossEntropyLoss()(logits, labels);
 */
export class CrossEntropyLoss extends ClassLoss {
  /** The share of the target that is spread evenly over all classes. */
  readonly labelSmoothing: number;
  constructor(options: CrossEntropyOptions = {}) {
    super(options, crossEntropyOptions);
    this.labelSmoothing = requireProbability('CrossEntropyLoss', 'labelSmoothing', options.labelSmoothing ?? 0);
  }
  forward(logits: Tensor, target: Tensor): Tensor {
    return crossEntropyWith(logits, target, this);
  }
}

/** Negative log-likelihood of classes (N, …) under log-probabilities (N, C, …) (PyTorch: `nn.NLLLoss`). */
export class NLLLoss extends ClassLoss {
  constructor(options: NllLossOptions = {}) {
    super(options, nllLossOptions);
  }
  forward(logProbabilities: Tensor, target: Tensor): Tensor {
    return nllLossWith(logProbabilities, target, this);
  }
}

/**
 * Mean squared error of an input and a target of the same shape (PyTorch: `nn.MSELoss`).
 * @example
 * const error = new MSELoss()(x, y);
 */
export class MSELoss extends Loss {
  constructor(options: LossOptions = {}) {
    super(options, lossOptions);
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return mseLossWith(input, target, this);
  }
}

/** Mean absolute error of an input and a target of the same shape (PyTorch: `nn.L1Loss`). */
export class L1Loss extends Loss {
  constructor(options: LossOptions = {}) {
    super(options, lossOptions);
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return l1LossWith(input, target, this);
  }
}

/** Quadratic within `beta` (default 1) of the target, linear beyond (Girshick 2015; PyTorch: `nn.SmoothL1Loss`). */
export class SmoothL1Loss extends Loss {
  /** How far from the target the loss is quadratic. */
  readonly beta: number;
  constructor(options: SmoothL1Options = {}) {
    super(options, smoothL1Options);
    this.beta = requireRate('SmoothL1Loss', 'beta', options.beta ?? 1);
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return smoothL1LossWith(input, target, this);
  }
}

/** Binary cross entropy of logits against targets in [0, 1] (PyTorch: `nn.BCEWithLogitsLoss`). */
export class BCEWithLogitsLoss extends Loss {
  /** Weights that are broadcast against the losses; null: all weigh the same. */
  declare weight: Tensor | null;
  constructor(options: BceOptions = {}) {
    super(options, bceOptions);
    this.registerBuffer('weight', options.weight ?? null);
    this.registerBuffer('pos_weight', options.posWeight ?? null);
  }
  /** Weight of positive targets, in the state as `pos_weight`. */
  get posWeight(): Tensor | null {
    return this.ownBuffers().get('pos_weight')!.tensor;
  }
  forward(input: Tensor, target: Tensor): Tensor {
    const { weight, posWeight, reduction } = this;
    return bceWith(input, target, { weight, posWeight, reduction });
  }
}

declareModules({ CrossEntropyLoss, NLLLoss, MSELoss, L1Loss, SmoothL1Loss, BCEWithLogitsLoss });
