// ChainedScheduler: schedules one upon the other, all at every step (PyTorch: ChainedScheduler).

import { keepNames } from '../class_names.ts';
import { ValueError } from '../errors.ts';
import { type AnyOptimizer, type LRScheduler, type SchedulerState, StateReader } from './lr_scheduler.ts';
import { loadWithin } from './sequential_lr.ts';

/**
 * Steps several schedules at once: each changes the rates as those before it have left them.
 * @throws ValueError unless there is a schedule, and all are of one optimizer.
 * @example
 * const warmup = new ConstantLR(optimizer, { factor: 0.1, totalIters: 20 });
 * const schedule = new ChainedScheduler([warmup, new ExponentialLR(optimizer, 0.9)]);
 */
export class ChainedScheduler {
  /** The optimizer whose learning rates are set. */
  readonly optimizer: AnyOptimizer;
  private readonly schedulers: readonly LRScheduler[];
  private lastLr: number[];

  constructor(schedulers: readonly LRScheduler[], optimizer?: AnyOptimizer) {
    if (schedulers.length === 0)
      throw new ValueError('ChainedScheduler expects at least one scheduler to be chained, but got no scheduler.');
    this.optimizer = optimizer ?? schedulers[0].optimizer;
    schedulers.forEach((scheduler, i) => {
      if (typeof scheduler.restart !== 'function')
        throw new ValueError(
          `ChainedScheduler does not support \`${(scheduler as object).constructor.name}\` scheduler, but got one at index ${i} in the given schedulers sequence.`,
        );
      if (scheduler.optimizer !== this.optimizer)
        throw new ValueError(
          `ChainedScheduler expects all schedulers to belong to the same optimizer, but got scheduler ${scheduler.constructor.name} at index ${i} of another ${scheduler.optimizer.constructor.name}.`,
        );
    });
    this.schedulers = [...schedulers];
    this.lastLr = this.presentLr();
  }

  private presentLr(): number[] {
    return this.optimizer.paramGroups.map((group) => group.lr as number);
  }

  /** Steps all schedules, in their order. */
  step(): void {
    for (const scheduler of this.schedulers) scheduler.step();
    this.lastLr = this.presentLr();
  }

  /** The learning rates after the last step, one per group. */
  getLastLr(): number[] {
    return [...this.lastLr];
  }

  /** The states of all schedules within, under PyTorch's names. */
  stateDict(): SchedulerState {
    return { _last_lr: [...this.lastLr], _schedulers: this.schedulers.map((scheduler) => scheduler.stateDict()) };
  }

  /** As `LRScheduler.loadStateDict`, for all schedules within. */
  loadStateDict(state: SchedulerState): void {
    const read = new StateReader('ChainedScheduler', state);
    const lastLr = read.numbers('_last_lr');
    loadWithin(this.schedulers, read.list('_schedulers', this.schedulers.length));
    this.lastLr = lastLr;
  }
}

keepNames({ ChainedScheduler });
