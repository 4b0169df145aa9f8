// ReduceLROnPlateau: learning rates that fall when a metric has stopped improving (PyTorch: ReduceLROnPlateau).

import { requireFinite, requireInteger, requireNumber, requireRate } from '../checks.ts';
import { keepNames } from '../class_names.ts';
import { RuntimeError, ValueError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { Tensor } from '../tensor/tensor.ts';
import { type AnyOptimizer, type SchedulerState, StateReader } from './lr_scheduler.ts';

/** Options of `ReduceLROnPlateau`. */
export interface PlateauOptions {
  /** Whether the metric should fall or rise. Default: `'min'`. */
  mode?: 'min' | 'max';
  /** What the rates are multiplied by; below 1. Default: 0.1. */
  factor?: number;
  /** Steps without improvement that are allowed. Default: 10. */
  patience?: number;
  /** Improvement that counts. Default: 1e-4. */
  threshold?: number;
  /** Whether `threshold` is a share of the best value or a difference. Default: `'rel'`. */
  thresholdMode?: 'rel' | 'abs';
  /** Steps after a reduction in which nothing is counted. Default: 0. */
  cooldown?: number;
  /** Lower bound of the rates, one or one per group. Default: 0. */
  minLr?: number | readonly number[];
  /** Smaller reductions are left out. Default: 1e-8. */
  eps?: number;
}
const plateauOptions = declareOptions<PlateauOptions>({
  mode: kind.choice,
  factor: kind.number,
  patience: kind.integer,
  threshold: kind.number,
  thresholdMode: kind.choice,
  cooldown: kind.integer,
  minLr: kind.numbers,
  eps: kind.number,
});

const modes = ['min', 'max'] as const;
const thresholdModes = ['rel', 'abs'] as const;

/**
 * Multiplies the rates by `factor` when the metric given to `step` has not improved for more than `patience` steps.
 * @throws ValueError on options outside their domain.
 * @example
 * const schedule = new ReduceLROnPlateau(optimizer, { patience: 5 });
 * schedule.step(validationLoss);
 */
export class ReduceLROnPlateau {
  /** The optimizer whose learning rates are reduced. */
  readonly optimizer: AnyOptimizer;
  /** How many metrics were taken. */
  lastEpoch = 0;
  private factor: number;
  private defaultMinLr: number | null;
  private minLrs: number[];
  private patience: number;
  private cooldown: number;
  private eps: number;
  private mode: 'min' | 'max';
  private threshold: number;
  private thresholdMode: 'rel' | 'abs';
  private best: number;
  private cooldownCounter = 0;
  private numBadEpochs = 0;
  private lastLr: number[];

  constructor(optimizer: AnyOptimizer, options: PlateauOptions = {}) {
    requireOptions('ReduceLROnPlateau', options, plateauOptions);
    const { mode = 'min', factor = 0.1, patience = 10, threshold = 1e-4, thresholdMode = 'rel' } = options;
    const { cooldown = 0, minLr = 0, eps = 1e-8 } = options;
    const name = 'ReduceLROnPlateau';
    requireRate(name, 'factor', factor);
    requireInteger(name, 'patience', patience, 0);
    requireInteger(name, 'cooldown', cooldown, 0);
    requireFinite(name, 'threshold', threshold);
    requireRate(name, 'eps', eps);
    for (const least of Array.isArray(minLr) ? minLr : [minLr]) requireRate(name, 'minLr', least);
    if (!(factor < 1)) throw new ValueError('Factor should be < 1.0.');
    if (mode !== 'min' && mode !== 'max') throw new ValueError(`mode ${String(mode)} is unknown!`);
    if (thresholdMode !== 'rel' && thresholdMode !== 'abs')
      throw new ValueError(`threshold mode ${String(thresholdMode)} is unknown!`);
    const groups = optimizer.paramGroups.length;
    if (typeof minLr !== 'number' && minLr.length !== groups)
      throw new ValueError(`expected ${groups} values of minLr, got ${minLr.length}`);
    this.optimizer = optimizer;
    this.factor = factor;
    this.defaultMinLr = typeof minLr === 'number' ? minLr : null;
    this.minLrs = typeof minLr === 'number' ? Array<number>(groups).fill(minLr) : [...minLr];
    this.patience = patience;
    this.cooldown = cooldown;
    this.eps = eps;
    this.mode = mode;
    this.threshold = threshold;
    this.thresholdMode = thresholdMode;
    this.best = this.worst();
    this.lastLr = this.presentLr();
  }

  private worst(): number {
    return this.mode === 'min' ? Infinity : -Infinity;
  }
  private presentLr(): number[] {
    return this.optimizer.paramGroups.map((group) => group.lr as number);
  }

  private isBetter(value: number): boolean {
    const { mode, thresholdMode, threshold, best } = this;
    if (mode === 'min') return value < (thresholdMode === 'rel' ? best * (1 - threshold) : best - threshold);
    return value > (thresholdMode === 'rel' ? best * (threshold + 1) : best + threshold);
  }

  /** Takes the metric of an epoch. */
  step(metric: number | Tensor): void {
    const value = metric instanceof Tensor ? metric.item() : requireNumber('ReduceLROnPlateau', 'metric', metric);
    this.lastEpoch++;
    if (this.isBetter(value)) {
      this.best = value;
      this.numBadEpochs = 0;
    } else this.numBadEpochs++;
    if (this.cooldownCounter > 0) {
      this.cooldownCounter--;
      this.numBadEpochs = 0;
    }
    if (this.numBadEpochs > this.patience) {
      this.reduce();
      this.cooldownCounter = this.cooldown;
      this.numBadEpochs = 0;
    }
    this.lastLr = this.presentLr();
  }

  private reduce(): void {
    const { paramGroups } = this.optimizer;
    if (paramGroups.length !== this.minLrs.length) {
      if (this.defaultMinLr === null)
        throw new RuntimeError(
          `The number of param groups in the \`optimizer\` (${paramGroups.length}) differs from when \`ReduceLROnPlateau\` was initialized (${this.minLrs.length}), usually due to a new param group being added to the optimizer. Please add all groups before the schedule is made, or give one \`minLr\` for all.`,
        );
      this.minLrs = Array<number>(paramGroups.length).fill(this.defaultMinLr);
    }
    paramGroups.forEach((group, i) => {
      const reduced = Math.max(group.lr * this.factor, this.minLrs[i]);
      if (group.lr - reduced > this.eps) group.lr = reduced;
    });
  }

  /** The learning rates after the last step, one per group. */
  getLastLr(): number[] {
    return [...this.lastLr];
  }

  /** What the schedule needs to go on, under PyTorch's names. */
  stateDict(): SchedulerState {
    return {
      factor: this.factor,
      default_min_lr: this.defaultMinLr,
      min_lrs: [...this.minLrs],
      patience: this.patience,
      cooldown: this.cooldown,
      eps: this.eps,
      last_epoch: this.lastEpoch,
      _last_lr: [...this.lastLr],
      mode: this.mode,
      threshold: this.threshold,
      threshold_mode: this.thresholdMode,
      mode_worse: this.worst(),
      best: this.best,
      cooldown_counter: this.cooldownCounter,
      num_bad_epochs: this.numBadEpochs,
    };
  }

  /** As `LRScheduler.loadStateDict`. */
  loadStateDict(state: SchedulerState): void {
    const read = new StateReader('ReduceLROnPlateau', state);
    const loaded = {
      factor: read.number('factor'),
      defaultMinLr: state.default_min_lr === null ? null : read.number('default_min_lr'),
      minLrs: read.numbers('min_lrs'),
      patience: read.integer('patience', 0),
      cooldown: read.integer('cooldown', 0),
      eps: read.number('eps'),
      lastEpoch: read.integer('last_epoch', 0),
      lastLr: read.numbers('_last_lr'),
      mode: read.choice('mode', modes),
      threshold: read.number('threshold'),
      thresholdMode: read.choice('threshold_mode', thresholdModes),
      cooldownCounter: read.integer('cooldown_counter', 0),
      numBadEpochs: read.integer('num_bad_epochs', 0),
    };
    // As long as no metric was seen the best is infinite, which JSON writes as null.
    const best = state.best === null ? null : read.number('best');
    Object.assign(this, loaded);
    this.best = best ?? this.worst();
  }
}

keepNames({ ReduceLROnPlateau });
