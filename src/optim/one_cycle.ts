// OneCycleLR: learning rates up and down again in one cycle, momentum the other way (Smith & Topin 2018; PyTorch:
// OneCycleLR).

import { requireInteger, requireNumber, requireRate, shown } from '../checks.ts';
import { keepNames } from '../class_names.ts';
import { KeyError, ValueError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import {
  type AnyOptimizer,
  type Group,
  type LastEpochOption,
  LRScheduler,
  lastEpochOption,
  type Moment,
  type Rule,
  type SchedulerState,
  StateReader,
} from './lr_scheduler.ts';

/** One number for all groups, or one for each. */
export type PerGroup = number | readonly number[];

/** Options of `OneCycleLR`. The number of steps must be given, one way or the other. */
export interface OneCycleOptions extends LastEpochOption {
  /** Steps of the whole cycle; else `epochs` times `stepsPerEpoch`. */
  totalSteps?: number;
  /** Epochs of the whole cycle; with `stepsPerEpoch`. */
  epochs?: number;
  /** Steps of an epoch; with `epochs`. */
  stepsPerEpoch?: number;
  /** Share of the steps on the way up. Default: 0.3. */
  pctStart?: number;
  /** The form of the way between two rates: half a cosine or a line. Default: `'cos'`. */
  annealStrategy?: 'cos' | 'linear';
  /** Whether momentum (or the first of betas) moves too. Default: true. */
  cycleMomentum?: boolean;
  /** Momentum at the top. Default: 0.85. */
  baseMomentum?: number | readonly number[];
  /** Momentum at both ends. Default: 0.95. */
  maxMomentum?: number | readonly number[];
  /** The first rate is maxLr / divFactor. Default: 25. */
  divFactor?: number;
  /** The last rate is the first / finalDivFactor. Default: 1e4. */
  finalDivFactor?: number;
  /** Down to the first rate as fast as up, then to the last. Default: false. */
  threePhase?: boolean;
}
const oneCycleOptions = declareOptions<OneCycleOptions>({
  totalSteps: kind.integer,
  epochs: kind.integer,
  stepsPerEpoch: kind.integer,
  pctStart: kind.number,
  annealStrategy: kind.choice,
  cycleMomentum: kind.flag,
  baseMomentum: kind.numbers,
  maxMomentum: kind.numbers,
  divFactor: kind.number,
  finalDivFactor: kind.number,
  threePhase: kind.flag,
  ...lastEpochOption.kinds,
});

type LrName = 'initialLr' | 'maxLr' | 'minLr';
type MomentumName = 'maxMomentum' | 'baseMomentum';
interface Phase {
  readonly endStep: number;
  readonly lr: readonly [LrName, LrName];
  readonly momentum: readonly [MomentumName, MomentumName];
}

interface OneCycleParameters {
  totalSteps: number;
  pctStart: number;
  threePhase: boolean;
  annealStrategy: 'cos' | 'linear';
  cycleMomentum: boolean;
}

function phases({ totalSteps, pctStart, threePhase }: OneCycleParameters): Phase[] {
  const up: Phase = {
    endStep: pctStart * totalSteps - 1,
    lr: ['initialLr', 'maxLr'],
    momentum: ['maxMomentum', 'baseMomentum'],
  };
  const last = totalSteps - 1;
  if (!threePhase) return [up, { endStep: last, lr: ['maxLr', 'minLr'], momentum: ['baseMomentum', 'maxMomentum'] }];
  return [
    up,
    {
      endStep: 2 * pctStart * totalSteps - 2,
      lr: ['maxLr', 'initialLr'],
      momentum: ['baseMomentum', 'maxMomentum'],
    },
    { endStep: last, lr: ['initialLr', 'minLr'], momentum: ['maxMomentum', 'maxMomentum'] },
  ];
}

export const anneals = {
  cos: (start: number, end: number, share: number) => end + ((start - end) / 2) * (Math.cos(Math.PI * share) + 1),
  linear: (start: number, end: number, share: number) => (end - start) * share + start,
};

/** Sets a group's momentum, or the first of its betas. */
export function setMomentum(group: Group, value: number): void {
  if (Array.isArray(group.betas)) group.betas = [value, ...group.betas.slice(1)];
  else group.momentum = value;
}

const rule: Rule<OneCycleParameters> = {
  next({ epoch, group, groupIndex }: Moment, parameters) {
    if (group.maxLr === undefined)
      throw new KeyError(
        `[OneCycleLR] group ${groupIndex} was added to the optimizer after the schedule was made, which has no largest rate for it; add all groups first`,
      );
    if (epoch > parameters.totalSteps)
      throw new ValueError(
        `Tried to step ${epoch} times. The specified number of total steps is ${parameters.totalSteps}`,
      );
    const all = phases(parameters);
    const i = Math.max(
      0,
      all.findIndex(({ endStep }, at) => epoch <= endStep || at === all.length - 1),
    );
    const start = i === 0 ? 0 : all[i - 1].endStep;
    const share = (epoch - start) / (all[i].endStep - start);
    const between = ([from, to]: readonly [string, string]) =>
      anneals[parameters.annealStrategy](group[from] as number, group[to] as number, share);
    if (parameters.cycleMomentum) setMomentum(group, between(all[i].momentum));
    return between(all[i].lr);
  },
};

/** Refuses optimizers without a momentum. */
export function requireMomentum({ defaults }: AnyOptimizer): void {
  if (!('momentum' in defaults) && !('betas' in defaults))
    throw new ValueError('optimizer must support momentum or beta1 with `cycleMomentum` option enabled');
}

/** A rate, or a momentum, for every group. */
export function perGroup(schedule: string, name: string, optimizer: AnyOptimizer, value: PerGroup): number[] {
  const groups = optimizer.paramGroups.length;
  for (const one of Array.isArray(value) ? value : [value]) requireRate(schedule, name, one);
  if (typeof value === 'number') return Array<number>(groups).fill(value);
  if (value.length !== groups)
    throw new ValueError(
      `${name} must have the same length as optimizer.paramGroups. ${name} has ${value.length} values, paramGroups has ${groups}.`,
    );
  return [...value];
}

function totalStepsOf({ totalSteps, epochs, stepsPerEpoch }: OneCycleOptions): number {
  const positive = (name: string, value: number) => {
    requireInteger('OneCycleLR', name, value);
    if (value <= 0) throw new ValueError(`Expected positive integer ${name}, but got ${value}`);
    return value;
  };
  if (totalSteps !== undefined) return positive('totalSteps', totalSteps);
  if (epochs === undefined || stepsPerEpoch === undefined)
    throw new ValueError('You must define either totalSteps OR (epochs AND stepsPerEpoch)');
  return positive('epochs', epochs) * positive('stepsPerEpoch', stepsPerEpoch);
}

/**
 * One cycle of the learning rate over the whole training, with momentum against it; step once per batch (PyTorch:
 * `OneCycleLR`).
 * @throws ValueError on options outside their domain, where the optimizer has no momentum to cycle, and when stepped
 * beyond the cycle.
 * @example
 * const schedule = new OneCycleLR(optimizer, 0.1, { epochs: 10, stepsPerEpoch: loader.length });
 */
export class OneCycleLR extends LRScheduler<OneCycleParameters> {
  constructor(optimizer: AnyOptimizer, maxLr: number | readonly number[], options: OneCycleOptions = {}) {
    requireOptions(new.target.name, options, oneCycleOptions);
    const { pctStart = 0.3, annealStrategy = 'cos', cycleMomentum = true, threePhase = false } = options;
    const { divFactor = 25, finalDivFactor = 1e4, lastEpoch = -1 } = options;
    const totalSteps = totalStepsOf(options);
    requireNumber('OneCycleLR', 'pctStart', pctStart);
    for (const [name, factor] of Object.entries({ divFactor, finalDivFactor })) {
      requireRate('OneCycleLR', name, factor);
      if (factor === 0) throw new ValueError(`[OneCycleLR] expected ${name} above 0, got 0`);
    }
    if (!(pctStart >= 0 && pctStart <= 1))
      throw new ValueError(`Expected number between 0 and 1 pctStart, but got ${pctStart}`);
    if (typeof annealStrategy !== 'string' || !Object.hasOwn(anneals, annealStrategy))
      throw new ValueError(`annealStrategy must be one of 'cos' or 'linear', instead got ${shown(annealStrategy)}`);
    if (cycleMomentum) requireMomentum(optimizer);
    const maxLrs = perGroup('OneCycleLR', 'maxLr', optimizer, maxLr);
    const maxMomentums = perGroup('OneCycleLR', 'maxMomentum', optimizer, options.maxMomentum ?? 0.95);
    const baseMomentums = perGroup('OneCycleLR', 'baseMomentum', optimizer, options.baseMomentum ?? 0.85);
    if (lastEpoch === -1)
      (optimizer.paramGroups as Group[]).forEach((group, i) => {
        const initialLr = maxLrs[i] / divFactor;
        Object.assign(group, { initialLr, maxLr: maxLrs[i], minLr: initialLr / finalDivFactor });
        if (!cycleMomentum) return;
        setMomentum(group, maxMomentums[i]);
        Object.assign(group, { maxMomentum: maxMomentums[i], baseMomentum: baseMomentums[i] });
      });
    super(optimizer, { totalSteps, pctStart, threePhase, annealStrategy, cycleMomentum }, rule, { lastEpoch });
  }

  override loadStateDict(state: SchedulerState): void {
    new StateReader('OneCycleLR', state).choice('_anneal_func_type', ['cos', 'linear']);
    super.loadStateDict(state);
  }
}

keepNames({ OneCycleLR });
