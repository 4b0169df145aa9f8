// Losses as modules; the functions are in ops/loss.ts. Weights are buffers, so that they are part of the state and
// change dtype.

import { requireInteger, requireNumber, requireProbability, requireRate } from '../checks.ts';
import {
  type BceOptions,
  type BinaryCrossEntropyOptions,
  bceOptions,
  bceWith,
  binaryCrossEntropyOptions,
  binaryCrossEntropyWith,
  type CrossEntropyOptions,
  type CtcOptions,
  crossEntropyOptions,
  crossEntropyWith,
  ctcLossWith,
  ctcOptions,
  type GaussianNllOptions,
  gaussianNllLossWith,
  gaussianNllOptions,
  type HuberOptions,
  huberLossWith,
  huberOptions,
  type KlDivOptions,
  type KlDivReduction,
  klDivOptions,
  klDivReductions,
  klDivWith,
  type Lengths,
  type LossOptions,
  type LossReduction,
  l1LossWith,
  lossOptions,
  mseLossWith,
  type NllLossOptions,
  nllLossOptions,
  nllLossWith,
  type PoissonNllOptions,
  poissonNllLossWith,
  poissonNllOptions,
  requireReduction,
  type SmoothL1Options,
  smoothL1LossWith,
  smoothL1Options,
  softMarginLossWith,
} from '../ops/loss.ts';
import { type Options, requireOptions } from '../options.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Module } from './module.ts';
import { declareModules } from './module_call.ts';

/** What all losses have: a reduction. */
export abstract class Loss extends Module {
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

/** Quadratic within `delta` (default 1) of the target, linear beyond (Huber 1964; PyTorch: `nn.HuberLoss`). */
export class HuberLoss extends Loss {
  /** How far from the target the loss is quadratic. */
  readonly delta: number;
  constructor(options: HuberOptions = {}) {
    super(options, huberOptions);
    this.delta = requireNumber('HuberLoss', 'delta', options.delta ?? 1);
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return huberLossWith(input, target, this);
  }
}

/** log(1 + e^(−t·x)) of targets 1 and −1, of the input's shape (PyTorch: `nn.SoftMarginLoss`). */
export class SoftMarginLoss extends Loss {
  constructor(options: LossOptions = {}) {
    super(options, lossOptions);
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return softMarginLossWith(input, target, this);
  }
}

/**
 * Binary cross entropy of probabilities in [0, 1] against targets in [0, 1], of the same shape (PyTorch: `nn.BCELoss`).
 * @example
 * const loss = new BCELoss()(sigmoid(logits), rand([8, 10]));
 */
export class BCELoss extends Loss {
  /** Weights that are broadcast against the losses; null: all weigh the same. */
  declare weight: Tensor | null;
  constructor(options: BinaryCrossEntropyOptions = {}) {
    super(options, binaryCrossEntropyOptions);
    this.registerBuffer('weight', options.weight ?? null);
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return binaryCrossEntropyWith(input, target, this);
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

/**
 * The Kullback-Leibler divergence of a target distribution from one that is given as log-probabilities (PyTorch:
 * `nn.KLDivLoss`). The reduction that mathematics means is `'batchmean'`.
 * @example
 * const loss = new KLDivLoss({ reduction: 'batchmean' })(logSoftmax(logits, 1), softmax(randn([8, 10]), 1));
 */
export class KLDivLoss extends Module {
  /** What becomes of the divergences. */
  readonly reduction: KlDivReduction;
  /** Whether the target is given as logarithms too. */
  readonly logTarget: boolean;
  constructor(options: KlDivOptions = {}) {
    super();
    requireOptions('KLDivLoss', options, klDivOptions);
    const { reduction = 'mean', logTarget = false } = options;
    requireReduction('KLDivLoss', reduction, klDivReductions);
    this.reduction = reduction;
    this.logTarget = logTarget;
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return klDivWith(input, target, this);
  }
}

/** The negative log-likelihood of counts under Poisson distributions (PyTorch: `nn.PoissonNLLLoss`). */
export class PoissonNLLLoss extends Loss {
  /** Whether the input is the logarithm of the expected count. */
  readonly logInput: boolean;
  /** Whether Stirling's approximation of log(target!) is added. */
  readonly full: boolean;
  /** Added to the input before its logarithm is taken. */
  readonly eps: number;
  constructor(options: PoissonNllOptions = {}) {
    super(options, poissonNllOptions);
    this.logInput = options.logInput ?? true;
    this.full = options.full ?? false;
    this.eps = requireNumber('PoissonNLLLoss', 'eps', options.eps ?? 1e-8);
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return poissonNllLossWith(input, target, this);
  }
}

/**
 * The negative log-likelihood of targets under normal distributions with given means and variances (PyTorch:
 * `nn.GaussianNLLLoss`).
 */
export class GaussianNLLLoss extends Loss {
  /** Whether the constant ½·log 2π is added. */
  readonly full: boolean;
  /** The least variance. */
  readonly eps: number;
  constructor(options: GaussianNllOptions = {}) {
    super(options, gaussianNllOptions);
    this.full = options.full ?? false;
    this.eps = requireNumber('GaussianNLLLoss', 'eps', options.eps ?? 1e-6);
  }
  forward(input: Tensor, target: Tensor, variance: Tensor | number): Tensor {
    return gaussianNllLossWith(input, target, variance, this);
  }
}

/**
 * The loss of connectionist temporal classification: log-probabilities (T, N, C) against labels (N, S) that are not
 * aligned with them (PyTorch: `nn.CTCLoss`).
 * @example
 * const frames = logSoftmax(randn([50, 2, 20]), 2); // 50 frames of 2 samples, 20 classes
 * const loss = new CTCLoss()(frames, randint(1, 20, [2, 12]), [50, 47], [12, 9]);
 */
export class CTCLoss extends Loss {
  /** The class that stands for no label. */
  readonly blank: number;
  /** Whether infinite losses count as 0. */
  readonly zeroInfinity: boolean;
  constructor(options: CtcOptions = {}) {
    super(options, ctcOptions);
    this.blank = requireInteger('CTCLoss', 'blank', options.blank ?? 0);
    this.zeroInfinity = options.zeroInfinity ?? false;
  }
  forward(logProbabilities: Tensor, targets: Tensor, inputLengths: Lengths, targetLengths: Lengths): Tensor {
    return ctcLossWith(logProbabilities, targets, inputLengths, targetLengths, this);
  }
}

declareModules({
  CTCLoss,
  CrossEntropyLoss,
  NLLLoss,
  MSELoss,
  L1Loss,
  SmoothL1Loss,
  HuberLoss,
  SoftMarginLoss,
  BCELoss,
  BCEWithLogitsLoss,
  KLDivLoss,
  PoissonNLLLoss,
  GaussianNLLLoss,
});
