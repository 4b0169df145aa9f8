// CyclicLR: learning rates that go up and down between two bounds (PyTorch: CyclicLR).

import { requireFinite, shown } from '../checks.ts';
import { keepNames } from '../class_names.ts';
import { KeyError, ValueError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { snakeText } from '../python_text.ts';
import {
  type AnyOptimizer,
  type Group,
  type LastEpochOption,
  LRScheduler,
  lastEpochOption,
  type Rule,
  type SchedulerState,
  StateReader,
} from './lr_scheduler.ts';
import { type PerGroup, perGroup, requireMomentum, setMomentum } from './one_cycle.ts';
import { toCamel } from './state_names.ts';

/** How the height of the cycles goes on: the same, half of the one before, or by `gamma` with every step. */
export type CyclicMode = 'triangular' | 'triangular2' | 'expRange';

const modes: readonly CyclicMode[] = ['triangular', 'triangular2', 'expRange'];

/** Options of `CyclicLR`. */
export interface CyclicLROptions extends LastEpochOption {
  /** Steps of the way up. Default: 2000. */
  stepSizeUp?: number;
  /** Steps of the way down; null: as many as up. Default: null. */
  stepSizeDown?: number | null;
  /** How the height of the cycles goes on. Default: `'triangular'`. */
  mode?: CyclicMode;
  /** The factor of each step, with `'expRange'`. Default: 1. */
  gamma?: number;
  /** The height of a cycle, from its number from 1 on or from the step; null: as `mode` says. Default: null. */
  scaleFn?: ((x: number) => number) | null;
  /** What `scaleFn` is given: the number of the cycle or of the step. Default: `'cycle'`. */
  scaleMode?: 'cycle' | 'iterations';
  /** Whether momentum (or the first of betas) moves against the rate. Default: true. */
  cycleMomentum?: boolean;
  /** Momentum at the top, one or one per group. Default: 0.8. */
  baseMomentum?: number | readonly number[];
  /** Momentum at the bottom, one or one per group. Default: 0.9. */
  maxMomentum?: number | readonly number[];
}
const cyclicOptions = declareOptions<CyclicLROptions>({
  stepSizeUp: kind.number,
  stepSizeDown: kind.numberOrNull,
  mode: kind.choice,
  gamma: kind.number,
  scaleFn: kind.functionOrNull,
  scaleMode: kind.choice,
  cycleMomentum: kind.flag,
  baseMomentum: kind.numbers,
  maxMomentum: kind.numbers,
  ...lastEpochOption.kinds,
});

interface CyclicParameters {
  maxLrs: number[];
  totalSize: number;
  /** The share of the way up. */
  stepRatio: number;
  mode: CyclicMode;
  gamma: number;
  scaleMode: 'cycle' | 'iterations';
  cycleMomentum: boolean;
  baseMomentums: number[];
  maxMomentums: number[];
}

const scales: Record<CyclicMode, (x: number, gamma: number) => number> = {
  triangular: () => 1,
  triangular2: (cycle) => 1 / 2 ** (cycle - 1),
  expRange: (step, gamma) => gamma ** step,
};

const ruleWith = (scaleFn: ((x: number) => number) | null): Rule<CyclicParameters> => ({
  next({ baseLr, epoch, group, groupIndex }, parameters) {
    const { maxLrs, totalSize, stepRatio, mode, gamma, scaleMode, cycleMomentum } = parameters;
    if (groupIndex >= maxLrs.length)
      throw new KeyError(
        `[CyclicLR] group ${groupIndex} was added to the optimizer after the schedule was made, which has no bounds for it; add all groups first`,
      );
    const cycle = Math.floor(1 + epoch / totalSize);
    const x = 1 + epoch / totalSize - cycle;
    const share = x <= stepRatio ? x / stepRatio : (x - 1) / (stepRatio - 1);
    const at = scaleMode === 'cycle' ? cycle : epoch;
    const scale = scaleFn ? scaleFn(at) : scales[mode](at, gamma);
    if (cycleMomentum) {
      const [least, most] = [parameters.baseMomentums[groupIndex], parameters.maxMomentums[groupIndex]];
      setMomentum(group, most - (most - least) * share * scale);
    }
    return baseLr + (maxLrs[groupIndex] - baseLr) * share * scale;
  },
});

function requireSteps(name: string, value: number): void {
  requireFinite('CyclicLR', name, value);
  if (value <= 0) throw new ValueError(`[CyclicLR] expected ${name} above 0, got ${value}`);
}

/**
 * Rates that go up from `baseLr` to `maxLr` and down again, over and over, with momentum against them; step once per
 * batch (Smith 2017; PyTorch: `CyclicLR`).
 * @throws ValueError on options outside their domain, and where the optimizer has no momentum to cycle.
 * @example
 * const schedule = new CyclicLR(optimizer, 0.01, 0.1, { stepSizeUp: 4 * loader.length });
 */
export class CyclicLR extends LRScheduler<CyclicParameters> {
  constructor(optimizer: AnyOptimizer, baseLr: PerGroup, maxLr: PerGroup, options: CyclicLROptions = {}) {
    requireOptions(new.target.name, options, cyclicOptions);
    const { stepSizeUp = 2000, stepSizeDown, mode = 'triangular', gamma = 1, scaleFn = null } = options;
    const { cycleMomentum = true, baseMomentum = 0.8, maxMomentum = 0.9, lastEpoch = -1 } = options;
    requireSteps('stepSizeUp', stepSizeUp);
    const down = stepSizeDown ?? stepSizeUp;
    requireSteps('stepSizeDown', down);
    requireFinite('CyclicLR', 'gamma', gamma);
    if (!modes.includes(mode) && scaleFn === null) throw new ValueError('mode is invalid and scaleFn is null');
    const given = options.scaleMode ?? 'cycle';
    if (given !== 'cycle' && given !== 'iterations')
      throw new ValueError(`scaleMode must be one of 'cycle' or 'iterations', instead got ${shown(given)}`);
    const scaleMode = scaleFn ? given : mode === 'expRange' ? 'iterations' : 'cycle';
    const baseLrs = perGroup('CyclicLR', 'baseLr', optimizer, baseLr);
    const maxLrs = perGroup('CyclicLR', 'maxLr', optimizer, maxLr);
    if (cycleMomentum) requireMomentum(optimizer);
    const baseMomentums = perGroup('CyclicLR', 'baseMomentum', optimizer, baseMomentum);
    const maxMomentums = perGroup('CyclicLR', 'maxMomentum', optimizer, maxMomentum);
    if (lastEpoch === -1)
      (optimizer.paramGroups as Group[]).forEach((group, i) => {
        group.lr = baseLrs[i];
        if (!cycleMomentum) return;
        setMomentum(group, maxMomentums[i]);
        Object.assign(group, { maxMomentum: maxMomentums[i], baseMomentum: baseMomentums[i] });
      });
    const totalSize = stepSizeUp + down;
    const sizes = { maxLrs, totalSize, stepRatio: stepSizeUp / totalSize };
    const momenta = { cycleMomentum, baseMomentums, maxMomentums };
    super(optimizer, { ...sizes, mode, gamma, scaleMode, ...momenta }, ruleWith(scaleFn), { lastEpoch });
    this.baseLrs.splice(0, Infinity, ...baseLrs);
  }

  override stateDict(): SchedulerState {
    const { mode } = this.parameters;
    const useBeta1 = 'betas' in this.optimizer.defaults;
    return { ...super.stateDict(), mode: snakeText(mode), use_beta1: useBeta1, _scale_fn_custom: null };
  }

  override loadStateDict(state: SchedulerState): void {
    const read = new StateReader('CyclicLR', state);
    const mode = toCamel(read.choice('mode', modes.map(snakeText)));
    read.choice('scale_mode', ['cycle', 'iterations']);
    super.loadStateDict({ ...state, mode });
  }
}

keepNames({ CyclicLR });
