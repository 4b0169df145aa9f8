// LRScheduler: when learning rates change, and its state. What they change to is a rule per schedule, in schedules.ts.
// ReduceLROnPlateau, which looks at a metric instead of counting, and SequentialLR stand in schedules too.
import { requireInteger, shown } from '../checks.ts';
import { KeyError, ValueError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { snakeText } from '../python_text.ts';
import { warn } from '../warnings.ts';
import type { CommonOptions, Optimizer, ParamGroup } from './optimizer.ts';

/** An optimizer of any options. */
// biome-ignore lint/suspicious/noExplicitAny: a schedule serves optimizers of all options
export type AnyOptimizer = Optimizer<any>;
/** A group of parameters, of any options. */
export type Group = ParamGroup<CommonOptions> & Record<string, unknown>;

/** Where a schedule stands when it computes the rate of one group. */
export interface Moment {
  /** The present learning rate. */
  readonly lr: number;
  /** The learning rate at the beginning. */
  readonly baseLr: number;
  /** Steps so far; 0 at the beginning. */
  readonly epoch: number;
  /** Whether this is the step that every schedule takes when it is made. */
  readonly isInitial: boolean;
  /** How many steps this object has taken, the first included that it takes when it is made. */
  readonly steps: number;
  /** Whether this is the first step of this object, which may go on from a last epoch. */
  readonly isFirstStep: boolean;
  /** The group. */
  readonly group: ParamGroup<CommonOptions> & Record<string, unknown>;
  /** Which of the optimizer's groups it is, from 0. */
  readonly groupIndex: number;
}

/** A schedule apart from its optimizer. `P`: its parameters, which are part of its state. */
export interface Rule<P> {
  /** The next learning rate, from the present one: other changes to it, from outside, last. */
  next(moment: Moment, parameters: P): number;
  /** What changes in the parameters with an epoch, before the rates are computed. */
  advance?(epoch: number, parameters: P): void;
  /** The learning rate at an epoch without regard to the present one, where a formula exists. */
  closed?(baseLr: number, epoch: number, parameters: P): number;
}

/** The state of a schedule under PyTorch's names. */
export type SchedulerState = Record<string, unknown>;

/** The option of schedules that count. */
export interface LastEpochOption {
  /** Index of the last epoch, to go on from; −1 starts anew. Default: −1. */
  lastEpoch?: number;
}
export const lastEpochOption = declareOptions<LastEpochOption>({ lastEpoch: kind.integer });

/** PyTorch's keys that are not the camelCase name in snake_case. */
const stateKeys: Record<string, string> = {
  tMax: 'T_max',
  t0: 'T_0',
  ti: 'T_i',
  tMult: 'T_mult',
  tCur: 'T_cur',
  annealStrategy: '_anneal_func_type',
  swaStrategy: '_anneal_strategy',
};
const keyOf = (name: string) => stateKeys[name] ?? snakeText(name);

/**
 * Base of the schedules that count their steps (PyTorch: `lr_scheduler.LRScheduler`). Call `step()` after the
 * optimizer's.
 */
export abstract class LRScheduler<P extends object = object> {
  /** The optimizer whose learning rates are set. */
  readonly optimizer: AnyOptimizer;
  /** The learning rates at the beginning, one per group. */
  readonly baseLrs: number[];
  /** Steps so far, without the one that a schedule takes when it is made. */
  lastEpoch: number;
  /** @internal */
  protected readonly parameters: P;
  private readonly rule: Rule<P>;
  private stepCount = 0;
  private isInitial = false;
  private lastLr: number[] = [];

  constructor(optimizer: AnyOptimizer, parameters: P, rule: Rule<P>, options: LastEpochOption = {}) {
    requireOptions(this.constructor.name, options, lastEpochOption);
    const { lastEpoch = -1 } = options;
    requireInteger(this.constructor.name, 'lastEpoch', lastEpoch, -1);
    this.optimizer = optimizer;
    this.parameters = parameters;
    this.rule = rule;
    this.lastEpoch = lastEpoch;
    optimizer.paramGroups.forEach((group, i) => {
      if (lastEpoch === -1) group.initialLr ??= group.lr;
      else if (group.initialLr === undefined)
        throw new KeyError(
          `param 'initialLr' is not specified in paramGroups[${i}] when resuming scheduler with lastEpoch >= 0`,
        );
    });
    this.baseLrs = optimizer.paramGroups.map((group) => group.initialLr as number);
    this.initialStep();
  }

  /**
   * Takes the first step, which sets the rates of epoch 0.
   * @internal
   */
  initialStep(): void {
    this.stepCount = 0;
    this.isInitial = true;
    try {
      this.step();
    } finally {
      this.isInitial = false;
    }
  }

  /** Sets the learning rates of the next epoch, or batch: of what the schedule counts. */
  step(): void {
    if (this.stepCount === 1 && this.optimizer.stepCount === 0)
      warn(
        'Detected call of `scheduler.step()` before `optimizer.step()`. You should call them in the opposite order: `optimizer.step()` before `scheduler.step()`. Failure to do this will skip the first value of the learning rate schedule.',
      );
    this.stepCount++;
    this.lastEpoch++;
    this.rule.advance?.(this.lastEpoch, this.parameters);
    this.set((moment) => this.rule.next(moment, this.parameters));
  }

  /**
   * Begins anew at epoch 0, by the closed formula where there is one.
   * @internal
   */
  restart(): void {
    this.lastEpoch = 0;
    const { closed } = this.rule;
    this.rule.advance?.(0, this.parameters);
    this.set((moment) =>
      closed ? closed(moment.baseLr, 0, this.parameters) : this.rule.next(moment, this.parameters),
    );
  }

  private set(compute: (moment: Moment) => number): void {
    const groups = this.optimizer.paramGroups as Group[];
    // A group that was added since begins with the rate it was added with.
    for (const group of groups.slice(this.baseLrs.length)) {
      group.initialLr ??= group.lr;
      this.baseLrs.push(group.initialLr);
    }
    const values = groups.map((group, groupIndex) => {
      const lr = compute({
        lr: group.lr,
        baseLr: this.baseLrs[groupIndex],
        epoch: this.lastEpoch,
        isInitial: this.isInitial,
        steps: this.stepCount,
        isFirstStep: this.stepCount === 1,
        group,
        groupIndex,
      });
      if (!Number.isNaN(lr)) return lr;
      throw new ValueError(
        `[${this.constructor.name}] the learning rate of group ${groupIndex} at step ${this.lastEpoch} would be NaN`,
      );
    });
    groups.forEach((group, i) => {
      group.lr = values[i];
    });
    this.lastLr = values;
  }

  /** The learning rates as this schedule set them last, one per group. */
  getLastLr(): number[] {
    return [...this.lastLr];
  }

  /** The schedule's position and parameters, in PyTorch's names; functions are left out. */
  stateDict(): SchedulerState {
    const own = Object.entries(this.parameters).filter(([, value]) => typeof value !== 'function');
    return {
      ...Object.fromEntries(own.map(([name, value]) => [keyOf(name), value])),
      base_lrs: [...this.baseLrs],
      last_epoch: this.lastEpoch,
      _step_count: this.stepCount,
      _last_lr: [...this.lastLr],
    };
  }

  /**
   * Goes on from a saved state, or one that went through JSON. The optimizer's learning rates are part of the
   * optimizer's state. All of it is loaded, or nothing.
   * @throws ValueError where an entry is missing or of another kind.
   */
  loadStateDict(state: SchedulerState): void {
    const read = new StateReader(this.constructor.name, state);
    const parameters: Record<string, unknown> = {};
    for (const [name, own] of Object.entries(this.parameters))
      if (keyOf(name) in state) parameters[name] = read.like(keyOf(name), own);
    const baseLrs = read.numbers('base_lrs');
    const lastEpoch = read.integer('last_epoch', -1);
    const stepCount = read.integer('_step_count', 0);
    const lastLr = read.numbers('_last_lr');
    Object.assign(this.parameters, parameters);
    this.baseLrs.splice(0, Infinity, ...baseLrs);
    this.lastEpoch = lastEpoch;
    this.stepCount = stepCount;
    this.lastLr = lastLr;
  }
}

/** Reads a saved state of a schedule entry by entry. */
export class StateReader {
  private readonly name: string;
  private readonly state: SchedulerState;

  /** @param name of the schedule, for errors. */
  constructor(name: string, state: unknown) {
    if (typeof state !== 'object' || state === null || Array.isArray(state))
      throw new ValueError(`[${name}.loadStateDict] expected an object, got ${shown(state)}`);
    this.name = name;
    this.state = state as SchedulerState;
  }

  private get(key: string): unknown {
    if (!(key in this.state)) throw new ValueError(`[${this.name}.loadStateDict] expected an entry '${key}'`);
    return this.state[key];
  }

  private refuse(expected: string, key: string): never {
    throw new ValueError(
      `[${this.name}.loadStateDict] expected ${expected} as '${key}', got ${shown(this.state[key])}`,
    );
  }

  number(key: string): number {
    const value = this.get(key);
    if (typeof value !== 'number' || Number.isNaN(value)) this.refuse('a number', key);
    return value;
  }

  integer(key: string, least: number): number {
    return requireInteger(`${this.name}.loadStateDict`, `'${key}'`, this.get(key), least);
  }

  numbers(key: string): number[] {
    const value = this.get(key);
    if (!Array.isArray(value) || !value.every((each) => typeof each === 'number' && Number.isFinite(each)))
      this.refuse('an array of finite numbers', key);
    return [...value];
  }

  choice<T extends string>(key: string, choices: readonly T[]): T {
    const value = this.get(key);
    if (!choices.includes(value as T)) this.refuse(choices.map((each) => `'${each}'`).join(' or '), key);
    return value as T;
  }

  /** An entry of the kind that `own` is of: a number, a boolean, a text, or numbers by name. */
  like(key: string, own: unknown): unknown {
    const value = this.get(key);
    if (typeof own === 'number') return this.number(key);
    if (Array.isArray(own)) return this.numbers(key);
    if (typeof value !== typeof own || value === null) this.refuse(`a ${typeof own}`, key);
    if (typeof value === 'object' && !Object.values(value as object).every(Number.isFinite))
      this.refuse('an object of numbers', key);
    return value;
  }

  /** Entries of schedules within. */
  list(key: string, length: number): unknown[] {
    const value = this.get(key);
    if (!Array.isArray(value) || value.length !== length) this.refuse(`an array of ${length}`, key);
    return value;
  }
}
