// TensorBoard: a callback of `fit` that writes an event file. Node only.
import { requireInteger } from '../checks.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import type { Callback, EpochResult, Run } from './fit.ts';
import { modelItself } from './ranks.ts';
import { SummaryWriter } from './tensorboard.ts';

/** Options of `TensorBoard`. */
export interface TensorBoardOptions {
  /** Updates from one set of histograms, of all weights and their gradients, to the next. Default: none are written. */
  histogramEvery?: number;
}
const tensorBoardOptions = declareOptions<TensorBoardOptions>({ histogramEvery: kind.integer });

const note = 'tensorBoard updates';

/**
 * A callback of `fit` that writes an event file into a folder, for `tensorboard --logdir` (Keras: `TensorBoard`). After
 * each epoch: `loss/train`, `loss/validation`, each metric in the same way, and `lr`, with a number for each further
 * group of parameters. With `histogramEvery`, at the first update and every so many further ones: `weights/NAME` and
 * `gradients/NAME`, as the update uses them. The first rank writes.
 * @throws SummaryWriterError where the disk refuses.
 * @example
 * await fit(model, { loader, loss: crossEntropy, optimizer, epochs: 1, callbacks: [new TensorBoard('build/runs', { histogramEvery: 100 })] });
 */
export class TensorBoard implements Callback {
  private readonly folder: string;
  private readonly histogramEvery: number | null;
  private writer: SummaryWriter | null = null;

  /** @param folder where the event file stands; it is made with it. */
  constructor(folder: string, options: TensorBoardOptions = {}) {
    requireOptions('TensorBoard', options, tensorBoardOptions);
    const { histogramEvery } = options;
    this.folder = folder;
    this.histogramEvery =
      histogramEvery === undefined ? null : requireInteger('TensorBoard', 'histogramEvery', histogramEvery, 1);
  }

  /** Opens the file. */
  onTrainBegin(run: Run): void {
    run.notes[note] ??= 0;
    if (run.rank === 0) this.writer = new SummaryWriter(this.folder);
  }

  /** Writes histograms when their time has come. */
  onBeforeUpdate(run: Run): void {
    const updates = run.notes[note] as number;
    run.notes[note] = updates + 1;
    if (!this.writer || this.histogramEvery === null || updates % this.histogramEvery !== 0) return;
    for (const [name, parameter] of modelItself(run.model).namedParameters()) {
      // A gradient may be NaN in an update that is going to be skipped.
      this.writer.addHistogramOfFinite(`weights/${name}`, parameter, updates);
      if (parameter.grad) this.writer.addHistogramOfFinite(`gradients/${name}`, parameter.grad, updates);
    }
  }

  /** Writes the figures of the epoch. */
  onEpochEnd(run: Run, { epoch, train, validation = {} }: EpochResult): void {
    if (!this.writer) return;
    for (const [part, figures] of Object.entries({ train, validation }))
      for (const [name, value] of Object.entries(figures)) this.writer.addScalar(`${name}/${part}`, value, epoch);
    for (const [i, group] of run.optimizer.paramGroups.entries())
      this.writer.addScalar(i === 0 ? 'lr' : `lr/${i}`, group.lr, epoch);
    this.writer.flush();
  }

  /** Closes the file. */
  onTrainEnd(): void {
    this.writer?.close();
    this.writer = null;
  }
}
