// SequentialLR: schedules one after the other, each from its milestone on (PyTorch: SequentialLR).

import { requireIntegers } from '../checks.ts';
import { keepNames } from '../class_names.ts';
import { ValueError } from '../errors.ts';
import { type AnyOptimizer, type LRScheduler, type SchedulerState, StateReader } from './lr_scheduler.ts';

/**
 * Runs the first schedule until the first milestone, then the second from its beginning, and so on: a warm-up and what
 * follows it.
 * @throws ValueError unless there is one milestone fewer than schedules, all of one optimizer.
 * @example
 * const warmup = new LinearLR(optimizer, { startFactor: 0.1, totalIters: 5 });
 * const schedule = new SequentialLR(optimizer, [warmup, new CosineAnnealingLR(optimizer, 95)], [5]);
 */
export class SequentialLR {
  /** The optimizer whose learning rates are set. */
  readonly optimizer: AnyOptimizer;
  /** Steps so far. */
  lastEpoch: number;
  private readonly schedulers: readonly LRScheduler[];
  private milestones: readonly number[];
  private lastLr: number[];

  constructor(optimizer: AnyOptimizer, schedulers: readonly LRScheduler[], milestones: readonly number[]) {
    if (schedulers.length === 0)
      throw new ValueError('SequentialLR expects at least one scheduler, but got no scheduler.');
    schedulers.forEach((scheduler, i) => {
      if (typeof scheduler.restart !== 'function')
        throw new ValueError(
          `SequentialLR does not support \`${(scheduler as object).constructor.name}\` scheduler, but got one at index ${i} in the given schedulers sequence.`,
        );
      if (scheduler.optimizer !== optimizer)
        throw new ValueError(
          `SequentialLR expects all schedulers to belong to the same optimizer, but got scheduler ${scheduler.constructor.name} at index ${i} of another ${scheduler.optimizer.constructor.name}.`,
        );
    });
    requireIntegers('SequentialLR', 'milestones', milestones, 0);
    if (milestones.length !== schedulers.length - 1)
      throw new ValueError(
        `Sequential Schedulers expects number of schedulers provided to be one more than the number of milestone points, but got number of schedulers ${schedulers.length} and the number of milestones to be equal to ${milestones.length}`,
      );
    this.optimizer = optimizer;
    this.schedulers = schedulers;
    this.milestones = [...milestones];
    this.lastEpoch = 0;
    // Every schedule has set the rates when it was made; only the first may.
    for (const group of optimizer.paramGroups) group.lr = group.initialLr as number;
    for (const scheduler of schedulers) scheduler.lastEpoch--;
    const first = schedulers[this.indexAt(0)];
    first.initialStep();
    this.lastLr = first.getLastLr();
  }

  /** Which schedule rules an epoch. */
  private indexAt(epoch: number): number {
    return this.milestones.filter((milestone) => milestone <= epoch).length;
  }

  /** Steps the schedule that rules now. */
  step(): void {
    this.lastEpoch++;
    const index = this.indexAt(this.lastEpoch);
    const scheduler = this.schedulers[index];
    if (index > 0 && this.milestones[index - 1] === this.lastEpoch) scheduler.restart();
    else scheduler.step();
    this.lastLr = scheduler.getLastLr();
  }

  /** The learning rates as they were set last, one per group. */
  getLastLr(): number[] {
    return [...this.lastLr];
  }

  /** The state of this schedule and of all within, under PyTorch's names. */
  stateDict(): SchedulerState {
    return {
      _milestones: [...this.milestones],
      last_epoch: this.lastEpoch,
      _last_lr: [...this.lastLr],
      _schedulers: this.schedulers.map((scheduler) => scheduler.stateDict()),
    };
  }

  /** As `LRScheduler.loadStateDict`, for all schedules within. */
  loadStateDict(state: SchedulerState): void {
    const read = new StateReader('SequentialLR', state);
    const milestones = read.numbers('_milestones');
    const lastEpoch = read.integer('last_epoch', 0);
    const lastLr = read.numbers('_last_lr');
    const inner = read.list('_schedulers', this.schedulers.length);
    loadWithin(this.schedulers, inner);
    this.milestones = milestones;
    this.lastEpoch = lastEpoch;
    this.lastLr = lastLr;
  }
}

/** Loads the states of schedules within another: all of them, or none. */
export function loadWithin(schedulers: readonly LRScheduler[], states: readonly unknown[]): void {
  const before = schedulers.map((scheduler) => scheduler.stateDict());
  try {
    for (const [i, scheduler] of schedulers.entries()) scheduler.loadStateDict(states[i] as SchedulerState);
  } catch (error) {
    for (const [i, scheduler] of schedulers.entries()) scheduler.loadStateDict(before[i]);
    throw error;
  }
}

keepNames({ SequentialLR });
