// EarlyStopping: ends a run of `fit` whose figures have stopped to become better.
import { requireInteger, requireRate } from '../checks.ts';
import { loadStateDict } from '../nn/state_dict.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { modelTree, stateOfTree } from './checkpoint.ts';
import type { ArrayLeaf, Tree } from './checkpoint_tree.ts';
import type { Callback, EpochResult, Run } from './fit.ts';
import { figureOf, isBetter, type MonitorMode, modeOf } from './monitor.ts';
import { modelItself } from './ranks.ts';

/** Options of `EarlyStopping`. */
export interface EarlyStoppingOptions {
  /** What is watched: `'loss'`, a metric's name, `'validation.loss'`, … Default: `'validation.loss'`. */
  monitor?: string;
  /** Whether it should fall or rise. Default: `'min'` for a loss; for a metric it must be given. */
  mode?: MonitorMode;
  /** Epochs in succession without improvement after which training ends; at least 1. Default: 3. */
  patience?: number;
  /** How much better counts as an improvement, at least 0. Default: 0. */
  minDelta?: number;
  /** Give the model the weights of its best epoch at the end of training. Default: false. */
  restoreBest?: boolean;
}
const earlyStoppingOptions = declareOptions<EarlyStoppingOptions>({
  monitor: kind.string,
  mode: kind.choice,
  patience: kind.integer,
  minDelta: kind.number,
  restoreBest: kind.flag,
});

/** What a resumed run goes on from. */
interface Watched {
  /** The best epoch, from 1; 0: none yet. */
  epoch: number;
  value: number;
  /** Epochs since. */
  waited: number;
  /** The state of the model in its best epoch. */
  state: { model: Tree; versions: Tree } | null;
}

/** Leaves of their own memory. */
function copied(model: Tree): Tree {
  const entries = Object.entries(model as Record<string, ArrayLeaf>);
  return Object.fromEntries(entries.map(([name, leaf]) => [name, { ...leaf, data: leaf.data.slice() }])) as Tree;
}

/**
 * A callback of `fit` that ends training when what it watches has not become better for `patience` epochs (Keras and
 * Lightning: `EarlyStopping`). A figure that is NaN is no improvement. A run that is resumed remembers; one that had
 * ended ends again. With several ranks all of them watch the same figure.
 *
 * With `restoreBest` the best epoch's weights, running statistics and other buffers are kept in memory and in
 * checkpoints, and loaded when training has ended, by this callback or after its last epoch.
 * @throws ValueError on options outside their domain, and at the first epoch's end where there is no such figure.
 * @example
 * const stopping = new EarlyStopping({ patience: 2, restoreBest: true });
 * await fit(model, { loader, validation: loader, loss: crossEntropy, optimizer, epochs: 4, callbacks: [stopping] });
 * console.log(`best in epoch ${stopping.bestEpoch}: ${stopping.bestValue}`);
 */
export class EarlyStopping implements Callback {
  private readonly monitor: string;
  private readonly mode: MonitorMode;
  private readonly patience: number;
  private readonly minDelta: number;
  private readonly restoreBest: boolean;
  private watched: Watched = { epoch: 0, value: Number.NaN, waited: 0, state: null };

  constructor(options: EarlyStoppingOptions = {}) {
    requireOptions('EarlyStopping', options, earlyStoppingOptions);
    const { monitor = 'validation.loss', mode, patience = 3, minDelta = 0, restoreBest = false } = options;
    this.monitor = monitor;
    this.mode = modeOf('EarlyStopping', monitor, mode);
    this.patience = requireInteger('EarlyStopping', 'patience', patience, 1);
    this.minDelta = requireRate('EarlyStopping', 'minDelta', minDelta);
    this.restoreBest = restoreBest;
  }

  /** The best epoch so far, from 1; 0 before the first. */
  get bestEpoch(): number {
    return this.watched.epoch;
  }
  /** What was watched, in the best epoch; NaN before the first. */
  get bestValue(): number {
    return this.watched.value;
  }

  private get isOver(): boolean {
    return this.watched.waited >= this.patience;
  }

  /** Goes on from what a resumed run has seen. */
  onTrainBegin(run: Run): void {
    const name = `earlyStopping ${this.monitor}`;
    const fresh: Watched = { epoch: 0, value: Number.NaN, waited: 0, state: null };
    this.watched = (run.notes[name] as Watched | undefined) ?? fresh;
    run.notes[name] = this.watched;
    if (this.isOver) run.stop();
  }

  /** Looks at the epoch, and ends training after too many without improvement. */
  onEpochEnd(run: Run, result: EpochResult): void {
    const value = figureOf('EarlyStopping', result, this.monitor);
    const { watched } = this;
    if (Number.isNaN(value) || (watched.epoch > 0 && !isBetter(value, watched.value, this.mode, this.minDelta))) {
      watched.waited++;
      if (this.isOver) run.stop();
      return;
    }
    Object.assign(watched, { epoch: result.epoch, value, waited: 0 });
    if (!this.restoreBest) return;
    const { model, versions } = modelTree(modelItself(run.model));
    watched.state = { model: copied(model), versions };
  }

  /** Restores the best weights, unless somebody else has ended training. */
  onTrainEnd(run: Run): void {
    const { state } = this.watched;
    if (!state || !(this.isOver || run.position.epoch >= run.epochs)) return;
    loadStateDict(modelItself(run.model), stateOfTree(state)!, {}, true);
  }
}
