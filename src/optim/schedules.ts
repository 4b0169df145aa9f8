// The learning-rate schedules that follow a formula: each a rule over the base in lr_scheduler.ts (PyTorch:
// torch.optim.lr_scheduler).

import { requireFinite, requireInteger, requireIntegers, requireNumber } from '../checks.ts';
import { keepNames } from '../class_names.ts';
import { ValueError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { type AnyOptimizer, type LastEpochOption, LRScheduler, lastEpochOption, type Rule } from './lr_scheduler.ts';

/** The options of schedules that multiply. */
export interface GammaOption extends LastEpochOption {
  /** Factor of each decay. Default: 0.1. */
  gamma?: number;
}
const gammaOptions = declareOptions<GammaOption>({ gamma: kind.number, ...lastEpochOption.kinds });

interface StepParameters {
  stepSize: number;
  gamma: number;
}
const stepRule: Rule<StepParameters> = {
  next: ({ lr, epoch }, { stepSize, gamma }) => (epoch === 0 || epoch % stepSize !== 0 ? lr : lr * gamma),
  closed: (base, epoch, { stepSize, gamma }) => base * gamma ** Math.floor(epoch / stepSize),
};
/**
 * Multiplies the rates by `gamma` (default 0.1) every `stepSize` steps (PyTorch: `StepLR`).
 * @throws ValueError on a step size below 1.
 * @example
 * const schedule = new StepLR(optimizer, 30);
 * optimizer.step();
 * schedule.step(); // once per epoch
 */
export class StepLR extends LRScheduler<StepParameters> {
  constructor(optimizer: AnyOptimizer, stepSize: number, options: GammaOption = {}) {
    requireOptions(new.target.name, options, gammaOptions);
    const { gamma = 0.1, lastEpoch } = options;
    requireInteger('StepLR', 'stepSize', stepSize, 1);
    requireFinite('StepLR', 'gamma', gamma);
    super(optimizer, { stepSize, gamma }, stepRule, { lastEpoch });
  }
}

/** What can be iterated as an array, anything else as it is. */
const asArray = (value: Iterable<number>): unknown =>
  typeof value === 'object' && value !== null && Symbol.iterator in value ? [...value] : value;

interface MultiStepParameters {
  /** How often each epoch was named. */
  milestones: Record<number, number>;
  gamma: number;
}
const multiStepRule: Rule<MultiStepParameters> = {
  next: ({ lr, epoch }, { milestones, gamma }) => (milestones[epoch] ? lr * gamma ** milestones[epoch] : lr),
  closed: (base, epoch, { milestones, gamma }) => {
    const passed = Object.entries(milestones).filter(([at]) => Number(at) <= epoch);
    return base * gamma ** passed.reduce((sum, [, times]) => sum + times, 0);
  },
};
/** Multiplies the rates by `gamma` at each milestone (PyTorch: `MultiStepLR`). */
export class MultiStepLR extends LRScheduler<MultiStepParameters> {
  constructor(optimizer: AnyOptimizer, milestones: Iterable<number>, options: GammaOption = {}) {
    requireOptions(new.target.name, options, gammaOptions);
    const { gamma = 0.1, lastEpoch } = options;
    requireFinite('MultiStepLR', 'gamma', gamma);
    const counts: Record<number, number> = {};
    for (const at of requireIntegers('MultiStepLR', 'milestones', asArray(milestones), 0))
      counts[at] = (counts[at] ?? 0) + 1;
    super(optimizer, { milestones: counts, gamma }, multiStepRule, { lastEpoch });
  }
}

const exponentialRule: Rule<{ gamma: number }> = {
  next: ({ lr, isInitial }, { gamma }) => (isInitial ? lr : lr * gamma),
  closed: (base, epoch, { gamma }) => base * gamma ** epoch,
};
/** Multiplies the rates by `gamma` at every step (PyTorch: `ExponentialLR`). */
export class ExponentialLR extends LRScheduler<{ gamma: number }> {
  constructor(optimizer: AnyOptimizer, gamma: number, options: LastEpochOption = {}) {
    requireFinite('ExponentialLR', 'gamma', gamma);
    super(optimizer, { gamma }, exponentialRule, options);
  }
}

interface CosineParameters {
  tMax: number;
  etaMin: number;
}
const cosine = (base: number, epoch: number, { tMax, etaMin }: CosineParameters) =>
  etaMin + ((base - etaMin) * (1 + Math.cos((Math.PI * epoch) / tMax))) / 2;
const cosineRule: Rule<CosineParameters> = {
  next({ lr, baseLr, epoch, isInitial, isFirstStep }, parameters) {
    const { tMax, etaMin } = parameters;
    if (isInitial) return lr;
    if (isFirstStep && epoch > 0) return cosine(baseLr, epoch, parameters);
    // At the bottom the quotient below is 0/0.
    if ((epoch - 1 - tMax) % (2 * tMax) === 0) return lr + ((baseLr - etaMin) * (1 - Math.cos(Math.PI / tMax))) / 2;
    const height = (at: number) => 1 + Math.cos((Math.PI * at) / tMax);
    return (height(epoch) / height(epoch - 1)) * (lr - etaMin) + etaMin;
  },
  closed: cosine,
};
/** Options of `CosineAnnealingLR`. */
export interface CosineAnnealingOptions extends LastEpochOption {
  /** The least rate. Default: 0. */
  etaMin?: number;
}
const cosineOptions = declareOptions<CosineAnnealingOptions>({ etaMin: kind.number, ...lastEpochOption.kinds });
/**
 * Half a cosine from the beginning rates down to `etaMin` in `tMax` steps (Loshchilov & Hutter 2017; PyTorch:
 * `CosineAnnealingLR`).
 * @example
 * const schedule = new CosineAnnealingLR(optimizer, 90);
 */
export class CosineAnnealingLR extends LRScheduler<CosineParameters> {
  constructor(optimizer: AnyOptimizer, tMax: number, options: CosineAnnealingOptions = {}) {
    requireOptions(new.target.name, options, cosineOptions);
    const { etaMin = 0, lastEpoch } = options;
    requireInteger('CosineAnnealingLR', 'tMax', tMax, 1);
    requireFinite('CosineAnnealingLR', 'etaMin', etaMin);
    super(optimizer, { tMax, etaMin }, cosineRule, { lastEpoch });
  }
}

interface LinearParameters {
  startFactor: number;
  endFactor: number;
  totalIters: number;
}
const linearRule: Rule<LinearParameters> = {
  next({ lr, epoch, isInitial }, { startFactor, endFactor, totalIters }) {
    if (epoch === 0) return lr * startFactor;
    if (isInitial || epoch > totalIters) return lr;
    const rise = endFactor - startFactor;
    return lr * (1 + rise / (totalIters * startFactor + (epoch - 1) * rise));
  },
  closed: (base, epoch, { startFactor, endFactor, totalIters }) =>
    base * (startFactor + ((endFactor - startFactor) * Math.min(totalIters, epoch)) / totalIters),
};
/** Options of `LinearLR`. */
export interface LinearLROptions extends LastEpochOption {
  /** The factor of the rates at the first step. Default: 1/3. */
  startFactor?: number;
  /** The factor of the rates from the last step on. Default: 1. */
  endFactor?: number;
  /** How many steps the line takes. Default: 5. */
  totalIters?: number;
}
const linearOptions = declareOptions<LinearLROptions>({
  startFactor: kind.number,
  endFactor: kind.number,
  totalIters: kind.integer,
  ...lastEpochOption.kinds,
});
/**
 * A straight line from `startFactor` to `endFactor` times the rates in `totalIters` steps: a warm-up (PyTorch:
 * `LinearLR`).
 */
export class LinearLR extends LRScheduler<LinearParameters> {
  constructor(optimizer: AnyOptimizer, options: LinearLROptions = {}) {
    requireOptions(new.target.name, options, linearOptions);
    const { startFactor = 1 / 3, endFactor = 1, totalIters = 5, lastEpoch } = options;
    requireNumber('LinearLR', 'startFactor', startFactor);
    requireNumber('LinearLR', 'endFactor', endFactor);
    requireInteger('LinearLR', 'totalIters', totalIters, 0);
    if (!(startFactor > 0 && startFactor <= 1))
      throw new ValueError('Starting multiplicative factor expected to be greater than 0 and less or equal to 1.');
    if (!(endFactor >= 0 && endFactor <= 1))
      throw new ValueError('Ending multiplicative factor expected to be between 0 and 1.');
    super(optimizer, { startFactor, endFactor, totalIters }, linearRule, { lastEpoch });
  }
}

/** The factor of the beginning rate at an epoch, counted from 0. */
export type LRLambda = (epoch: number) => number;
/** The beginning rates times a function of the epoch, one for all groups or one for each (PyTorch: `LambdaLR`). */
export class LambdaLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, lrLambda: LRLambda | readonly LRLambda[], options: LastEpochOption = {}) {
    const groups = optimizer.paramGroups.length;
    const lambdas = typeof lrLambda === 'function' ? Array<LRLambda>(groups).fill(lrLambda) : [...lrLambda];
    if (lambdas.length !== groups) throw new ValueError(`Expected ${groups} lrLambdas, but got ${lambdas.length}`);
    const lambdaOf = (groupIndex: number): LRLambda => {
      // One function serves groups added later, too.
      const found = typeof lrLambda === 'function' ? lrLambda : lambdas[groupIndex];
      if (!found)
        throw new ValueError(
          `[LambdaLR] expected a function for each group, got ${lambdas.length}: group ${groupIndex} was added to the optimizer after the schedule was made`,
        );
      return found;
    };
    super(optimizer, {}, { next: ({ baseLr, epoch, groupIndex }) => baseLr * lambdaOf(groupIndex)(epoch) }, options);
  }
}

keepNames({ StepLR, MultiStepLR, ExponentialLR, CosineAnnealingLR, LinearLR, LambdaLR });
