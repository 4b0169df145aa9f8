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
/** The function of each group; one alone serves groups that are added later, too. */
function lambdasOf(
  name: string,
  optimizer: AnyOptimizer,
  lrLambda: LRLambda | readonly LRLambda[],
): (groupIndex: number) => LRLambda {
  const groups = optimizer.paramGroups.length;
  const lambdas = typeof lrLambda === 'function' ? Array<LRLambda>(groups).fill(lrLambda) : [...lrLambda];
  if (lambdas.length !== groups) throw new ValueError(`Expected ${groups} lrLambdas, but got ${lambdas.length}`);
  return (groupIndex) => {
    const found = typeof lrLambda === 'function' ? lrLambda : lambdas[groupIndex];
    if (!found)
      throw new ValueError(
        `[${name}] expected a function for each group, got ${lambdas.length}: group ${groupIndex} was added to the optimizer after the schedule was made`,
      );
    return found;
  };
}

/** The beginning rates times a function of the epoch, one for all groups or one for each (PyTorch: `LambdaLR`). */
export class LambdaLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, lrLambda: LRLambda | readonly LRLambda[], options: LastEpochOption = {}) {
    const lambdaOf = lambdasOf('LambdaLR', optimizer, lrLambda);
    super(optimizer, {}, { next: ({ baseLr, epoch, groupIndex }) => baseLr * lambdaOf(groupIndex)(epoch) }, options);
  }
}

/**
 * The present rates times a function of the epoch, at every step; one for all groups or one for each (PyTorch:
 * `MultiplicativeLR`).
 * @example
 * const schedule = new MultiplicativeLR(optimizer, (epoch) => 1 / (1 + epoch));
 */
export class MultiplicativeLR extends LRScheduler {
  constructor(optimizer: AnyOptimizer, lrLambda: LRLambda | readonly LRLambda[], options: LastEpochOption = {}) {
    const lambdaOf = lambdasOf('MultiplicativeLR', optimizer, lrLambda);
    const next: Rule<object>['next'] = ({ lr, epoch, groupIndex, isInitial }) =>
      isInitial ? lr : lr * lambdaOf(groupIndex)(epoch);
    super(optimizer, {}, { next }, options);
  }
}

interface ConstantParameters {
  factor: number;
  totalIters: number;
}
const constantRule: Rule<ConstantParameters> = {
  next({ lr, epoch }, { factor, totalIters }) {
    if (epoch === 0) return lr * factor;
    return epoch === totalIters ? lr * (1 / factor) : lr;
  },
  closed: (base, epoch, { factor, totalIters }) => base * (factor + Number(epoch >= totalIters) * (1 - factor)),
};
/** Options of `ConstantLR`. */
export interface ConstantLROptions extends LastEpochOption {
  /** The factor of the rates until then. Default: 1/3. */
  factor?: number;
  /** The step from which on the rates are whole. Default: 5. */
  totalIters?: number;
}
const constantOptions = declareOptions<ConstantLROptions>({
  factor: kind.number,
  totalIters: kind.integer,
  ...lastEpochOption.kinds,
});
/**
 * The rates times `factor` for `totalIters` steps, then the whole rates (PyTorch: `ConstantLR`).
 * @throws ValueError on a factor below 0 or above 1.
 */
export class ConstantLR extends LRScheduler<ConstantParameters> {
  constructor(optimizer: AnyOptimizer, options: ConstantLROptions = {}) {
    requireOptions(new.target.name, options, constantOptions);
    const { factor = 1 / 3, totalIters = 5, lastEpoch } = options;
    requireNumber('ConstantLR', 'factor', factor);
    requireInteger('ConstantLR', 'totalIters', totalIters, 0);
    if (!(factor >= 0 && factor <= 1))
      throw new ValueError('Constant multiplicative factor expected to be between 0 and 1.');
    super(optimizer, { factor, totalIters }, constantRule, { lastEpoch });
  }
}

interface PolynomialParameters {
  totalIters: number;
  power: number;
}
const polynomialRule: Rule<PolynomialParameters> = {
  next({ lr, epoch, isInitial }, { totalIters, power }) {
    if (isInitial || epoch > totalIters) return lr;
    return lr * ((1 - epoch / totalIters) / (1 - (epoch - 1) / totalIters)) ** power;
  },
  closed: (base, epoch, { totalIters, power }) => base * (1 - Math.min(totalIters, epoch) / totalIters) ** power,
};
/** Options of `PolynomialLR`. */
export interface PolynomialLROptions extends LastEpochOption {
  /** How many steps the rates take to 0. Default: 5. */
  totalIters?: number;
  /** The power of what is left of the steps. Default: 1. */
  power?: number;
}
const polynomialOptions = declareOptions<PolynomialLROptions>({
  totalIters: kind.integer,
  power: kind.number,
  ...lastEpochOption.kinds,
});
/** The rates times (1 − step/totalIters)^power, down to 0 (PyTorch: `PolynomialLR`). */
export class PolynomialLR extends LRScheduler<PolynomialParameters> {
  constructor(optimizer: AnyOptimizer, options: PolynomialLROptions = {}) {
    requireOptions(new.target.name, options, polynomialOptions);
    const { totalIters = 5, power = 1, lastEpoch } = options;
    requireInteger('PolynomialLR', 'totalIters', totalIters, 0);
    requireFinite('PolynomialLR', 'power', power);
    super(optimizer, { totalIters, power }, polynomialRule, { lastEpoch });
  }
}

interface RestartParameters {
  t0: number;
  /** Steps of the present cycle, and how many of them are done. */
  ti: number;
  tMult: number;
  etaMin: number;
  tCur: number;
}
const restartRule: Rule<RestartParameters> = {
  advance(epoch, parameters) {
    // The first step of all, and a restart, begin with the first cycle.
    if (epoch === 0) Object.assign(parameters, { ti: parameters.t0, tCur: 0 });
    else if (++parameters.tCur >= parameters.ti) {
      parameters.tCur %= parameters.ti;
      parameters.ti *= parameters.tMult;
    }
  },
  next: ({ baseLr }, { ti, tCur, etaMin }) => cosine(baseLr, tCur, { tMax: ti, etaMin }),
};
/** Options of `CosineAnnealingWarmRestarts`. */
export interface WarmRestartsOptions extends CosineAnnealingOptions {
  /** By how much each cycle is longer than the one before. Default: 1. */
  tMult?: number;
}
const restartOptions = declareOptions<WarmRestartsOptions>({ tMult: kind.integer, ...cosineOptions.kinds });
/**
 * Half a cosine from the beginning rates down to `etaMin` in `t0` steps, again and again, each `tMult` times as long as
 * the one before (Loshchilov & Hutter 2017; PyTorch: `CosineAnnealingWarmRestarts`).
 * @throws ValueError on cycles below 1.
 * @example
 * const schedule = new CosineAnnealingWarmRestarts(optimizer, 10, { tMult: 2 });
 */
export class CosineAnnealingWarmRestarts extends LRScheduler<RestartParameters> {
  constructor(optimizer: AnyOptimizer, t0: number, options: WarmRestartsOptions = {}) {
    requireOptions(new.target.name, options, restartOptions);
    const { tMult = 1, etaMin = 0, lastEpoch = -1 } = options;
    requireInteger('CosineAnnealingWarmRestarts', 't0', t0);
    requireInteger('CosineAnnealingWarmRestarts', 'tMult', tMult);
    requireFinite('CosineAnnealingWarmRestarts', 'etaMin', etaMin);
    if (t0 <= 0) throw new ValueError(`Expected positive integer t0, but got ${t0}`);
    if (tMult < 1) throw new ValueError(`Expected integer tMult >= 1, but got ${tMult}`);
    super(optimizer, { t0, ti: t0, tMult, etaMin, tCur: lastEpoch }, restartRule, { lastEpoch });
  }
}

keepNames({ StepLR, MultiStepLR, ExponentialLR, CosineAnnealingLR, LinearLR, LambdaLR });
keepNames({ MultiplicativeLR, ConstantLR, PolynomialLR, CosineAnnealingWarmRestarts });
