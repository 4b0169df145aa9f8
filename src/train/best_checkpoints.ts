// BestCheckpoints: a folder with the weights of a run's best epochs. Node only.
import { requireInteger } from '../checks.ts';
import { makeFolder } from '../files/atomic_file.ts';
import { nodeModule } from '../files/node.ts';
import { saveStateDict } from '../io/state_files.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import type { Callback, EpochResult, Run } from './fit.ts';
import { figureOf, isBetter, type MonitorMode, modeOf } from './monitor.ts';
import { modelItself } from './ranks.ts';

/** Options of `BestCheckpoints`. */
export interface BestCheckpointsOptions {
  /** What is watched: `'loss'`, a metric's name, `'validation.loss'`, … Default: `'validation.loss'`. */
  monitor?: string;
  /** Whether it should fall or rise. Default: `'min'` for a loss; for a metric it must be given. */
  mode?: MonitorMode;
  /** How many files are kept; at least 1. Default: 1. */
  k?: number;
}
const bestCheckpointsOptions = declareOptions<BestCheckpointsOptions>({
  monitor: kind.string,
  mode: kind.choice,
  k: kind.integer,
});

/** A file that `BestCheckpoints` keeps. */
export interface KeptCheckpoint {
  /** The file, with the model's state dict as PyTorch writes it. */
  readonly path: string;
  /** Its epoch, from 1. */
  readonly epoch: number;
  /** What was watched, in that epoch. */
  readonly value: number;
}

/**
 * A callback of `fit` that keeps the weights of the k best epochs in a folder, as `epoch-N.pt`, for `loadStateDict` and
 * `torch.load` (Lightning: `ModelCheckpoint` with `save_top_k`). A file stands there whole or not at all, and one that
 * is no longer among the best is removed after the better one has been written. A figure that is NaN is never among
 * them; of equal ones the earlier stays. The first rank writes. A run that is resumed remembers its files.
 * @throws ValueError on options outside their domain, and at the first epoch's end where there is no such figure;
 * AtomicWriteError where a file cannot be written.
 * @example
 * const best = new BestCheckpoints('build/best', { k: 2 });
 * await fit(model, { loader, validation: loader, loss: crossEntropy, optimizer, epochs: 3, callbacks: [best] });
 * console.log(best.kept[0]?.path);
 */
export class BestCheckpoints implements Callback {
  private readonly folder: string;
  private readonly monitor: string;
  private readonly mode: MonitorMode;
  private readonly k: number;
  private files: KeptCheckpoint[] = [];

  /** @param folder where the files stand; it is made with the first of them. */
  constructor(folder: string, options: BestCheckpointsOptions = {}) {
    requireOptions('BestCheckpoints', options, bestCheckpointsOptions);
    const { monitor = 'validation.loss', mode, k = 1 } = options;
    this.folder = folder;
    this.monitor = monitor;
    this.mode = modeOf('BestCheckpoints', monitor, mode);
    this.k = requireInteger('BestCheckpoints', 'k', k, 1);
  }

  /** The files, the best one first. */
  get kept(): readonly KeptCheckpoint[] {
    return this.files;
  }

  private get name(): string {
    return `bestCheckpoints ${this.folder}`;
  }

  /** Goes on from the files of a resumed run. */
  onTrainBegin(run: Run): void {
    this.files = [...((run.notes[this.name] as KeptCheckpoint[] | undefined) ?? [])];
  }

  /** Keeps the epoch's weights if they are among the best. */
  async onEpochEnd(run: Run, result: EpochResult): Promise<void> {
    const value = figureOf('BestCheckpoints', result, this.monitor);
    const better = this.files.findIndex((file) => isBetter(value, file.value, this.mode));
    const at = better < 0 ? this.files.length : better;
    if (Number.isNaN(value) || at >= this.k) return;
    const { rmSync } = nodeModule('BestCheckpoints', 'fs');
    const path = nodeModule('BestCheckpoints', 'path').join(this.folder, `epoch-${result.epoch}.pt`);
    this.files.splice(at, 0, { path, epoch: result.epoch, value });
    const dropped = this.files.splice(this.k);
    run.notes[this.name] = this.files.map((file) => ({ ...file }));
    if (run.rank > 0) return;
    makeFolder(this.folder);
    await saveStateDict(path, modelItself(run.model).stateDict());
    for (const file of dropped) rmSync(file.path, { force: true });
  }
}
