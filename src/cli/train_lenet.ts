// The main job: LeNet with batch norm on Fashion-MNIST (or MNIST). Reads the data, trains, evaluates by running and by
// batch statistics, and leaves metrics, a report and a checkpoint. Options and help are in main.ts.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DataLoader } from '../data/data_loader.ts';
import { Subset, TensorDataset } from '../data/dataset.ts';
import { DistributedSampler } from '../data/distributed_sampler.ts';
import { DataFormatError, MissingDataPackageError } from '../data/errors.ts';
import { type ImageSet, loadFashionMnist, loadMnist, splitArrays } from '../data/node.ts';
import { currentBackend, getEngine } from '../device/engine.ts';
import {
  broadcastObject,
  destroyProcessGroup,
  getRank,
  getWorldSize,
  initProcessGroup,
} from '../distributed/process_group.ts';
import { EvenkeelError, ValueError } from '../errors.ts';
import { writeFileAtomic } from '../files/atomic_file.ts';
import { lenetBatchNorm } from '../models/lenet.ts';
import type { Module } from '../nn/module.ts';
import { batchNorms } from '../nn/norm/statistics/statistics.ts';
import { DistributedDataParallel } from '../nn/parallel/distributed_data_parallel.ts';
import { convertSyncBatchNorm } from '../nn/surgery/norm_conversion.ts';
import { crossEntropy } from '../ops/loss.ts';
import { SGD } from '../optim/index.ts';
import { manualSeed } from '../tensor/random/index.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { evaluate, observeBatchNorms } from '../train/evaluate.ts';
import { type Callback, type EpochResult, fit, type Run } from '../train/fit.ts';
import type { StopSignal } from '../train/interrupts.ts';
import { accuracy } from '../train/metrics.ts';
import { Progress } from '../train/progress.ts';
import { renderReport } from '../train/report.ts';
import { SummaryWriter } from '../train/tensorboard.ts';
import { openRunFolder, removeRun, runFiles, tensorboardFolder } from './run_folder.ts';

export interface TrainOptions {
  epochs: number;
  batchSize: number;
  lr: number;
  seed: number;
  data: 'mnist' | 'fashion-mnist';
  /** Folder of the data's files, instead of the installed package. */
  dataDir?: string;
  out: string;
  resume: boolean;
  overwrite?: boolean;
  /** Steps between checkpoints, besides those at the ends of epochs. */
  checkpointEvery?: number;
  tensorboard: boolean;
  /** Whether this is one rank of a job, with its share of each batch. */
  distributed?: boolean;
}

/** Per batch norm and epoch: means over channels of the running and of the test batch's statistics. */
interface NormRecord {
  runningMean: number;
  batchMean: number;
  runningVar: number;
  batchVar: number;
}

/** One line of metrics.jsonl. */
interface EpochMetrics {
  epoch: number;
  trainLoss: number;
  trainAccuracy: number;
  testAccuracy: number;
  testAccuracyBatchStats: number;
  seconds: number;
  imagesPerSecond: number;
}

const meanOf = (values: ArrayLike<number>): number => Array.from(values).reduce((sum, v) => sum + v, 0) / values.length;
const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

const plainOf = (model: Module): Module => (model instanceof DistributedDataParallel ? model.module : model);

/** Bytes 0…255 to floats 0…1. */
const toUnit = (images: Tensor): Tensor => images.to('float32').div(255);

/** The ranks of the job: one, unless it is distributed. */
interface Job {
  readonly rank: number;
  readonly worldSize: number;
}

function trainLoader(set: ImageSet, { batchSize, seed, distributed }: TrainOptions, { worldSize }: Job) {
  const images = new TensorDataset(...splitArrays(set.train, set));
  if (!distributed) return new DataLoader(images, { batchSize, shuffle: true });
  if (batchSize % worldSize !== 0)
    throw new ValueError(`[train] expected a --batch-size that ${worldSize} ranks can share, got ${batchSize}`);
  const sampler = new DistributedSampler(images, { seed });
  return new DataLoader(images, { batchSize: batchSize / worldSize, sampler });
}

/** Every image once, in batches of 1000 on all ranks together. */
function testLoader(set: ImageSet, { rank, worldSize }: Job) {
  const images = new TensorDataset(...splitArrays(set.test, set));
  const own = Array.from({ length: images.length }, (_, i) => i).filter((i) => i % worldSize === rank);
  return new DataLoader(new Subset(images, own), { batchSize: Math.ceil(1000 / worldSize) });
}

/** Sides of the images that LeNet takes. */
const side = 28;

function readData({ data: name, dataDir: folder }: TrainOptions): ImageSet {
  let set: ImageSet;
  try {
    set = name === 'mnist' ? loadMnist({ folder }) : loadFashionMnist({ folder });
  } catch (error) {
    if (!(error instanceof MissingDataPackageError)) throw error;
    throw new EvenkeelError(
      `[train] ${name} is not here. Either: npm install ${error.packageName}. Or --data-dir DIR, a folder with its four files, with or without .gz: ` +
        '{train,t10k}-images-idx3-ubyte and {train,t10k}-labels-idx1-ubyte',
      { cause: error },
    );
  }
  if (set.rows !== side || set.columns !== side)
    throw new DataFormatError('train', folder!, `expected images of ${side}x${side}, got ${set.rows}x${set.columns}`);
  return set;
}

function describeSet(name: string, set: ImageSet): void {
  console.log(`${name}: ${set.train.count} images to train, ${set.test.count} to test, ${set.rows}x${set.columns}`);
  if (set.dropped.length > 0) {
    const rows = set.dropped.map(({ label, row, reason }) => `class ${label} row ${row}: ${reason}`).join('; ');
    console.log(`${set.dropped.length} rows of the package are no images and were left out (${rows})`);
  }
}

/** Evaluates after every epoch, and keeps the files in the output folder up to date. */
class Bookkeeper implements Callback {
  private readonly options: TrainOptions;
  private readonly testLoader: DataLoader<unknown>;
  private readonly writer: SummaryWriter | null;
  private readonly isFirst: boolean;
  readonly metrics: EpochMetrics[] = [];
  readonly norms: Record<string, NormRecord>[] = [];

  /** @param isFirst whether this rank writes the files. */
  constructor(options: TrainOptions, testLoader: DataLoader<unknown>, isFirst: boolean) {
    this.options = options;
    this.isFirst = isFirst;
    this.testLoader = testLoader;
    this.writer = options.tensorboard && isFirst ? new SummaryWriter(join(options.out, tensorboardFolder)) : null;
  }

  get jsonl(): string {
    return join(this.options.out, runFiles.metrics);
  }

  onTrainBegin(run: Run): void {
    // What may differ in a resumed run is not among them.
    const { batchSize, lr, seed, data } = this.options;
    const settings = { batchSize, lr, seed, data };
    checkSettings(settings, run.notes.settings as Record<string, unknown> | undefined);
    // What a resumed run has seen is in its checkpoint; lines of epochs that it will repeat are dropped.
    this.metrics.push(...((run.notes.metrics as EpochMetrics[]) ?? []));
    this.norms.push(...((run.notes.norms as Record<string, NormRecord>[]) ?? []));
    Object.assign(run.notes, { settings, metrics: this.metrics, norms: this.norms });
    this.writeMetrics();
  }

  /** The whole file each time: a full disk then leaves the lines there were, not half of one. */
  private writeMetrics(): void {
    if (!this.isFirst) return;
    writeFileAtomic(
      this.jsonl,
      new TextEncoder().encode(this.metrics.map((line) => `${JSON.stringify(line)}\n`).join('')),
    );
  }

  async onEpochEnd(run: Run, result: EpochResult): Promise<void> {
    const options = { metrics: { accuracy }, prepare: toUnit };
    const loader = this.testLoader as unknown as Iterable<Tensor[]>;
    const running = await evaluate(run.model, loader, options);
    const batch = await evaluate(run.model, loader, { ...options, statistics: 'batch' });
    const line: EpochMetrics = {
      epoch: result.epoch,
      trainLoss: result.train.loss,
      trainAccuracy: result.train.accuracy,
      testAccuracy: running.accuracy,
      testAccuracyBatchStats: batch.accuracy,
      seconds: result.seconds,
      imagesPerSecond: result.samples / result.seconds,
    };
    this.metrics.push(line);
    const model = plainOf(run.model);
    this.norms.push(this.observe(model));
    this.writeMetrics();
    const { epoch, ...scalars } = line;
    for (const [name, value] of Object.entries(scalars)) this.writer?.addScalar(name, value, epoch);
    this.writer?.flush();
    this.report(model);
  }

  onTrainEnd(): void {
    this.writer?.close();
  }

  private observe(model: Module): Record<string, NormRecord> {
    const [first] = this.testLoader as unknown as Iterable<Tensor[]>;
    const seen = observeBatchNorms(model, toUnit(first[0]));
    return Object.fromEntries(
      batchNorms(model).map(([name, norm]) => {
        const { mean, variance } = seen.get(name)!;
        const running = (t: Tensor | null) => meanOf(t!.dataSync() as Float32Array);
        return [
          name,
          {
            runningMean: running(norm.runningMean),
            batchMean: meanOf(mean),
            runningVar: running(norm.runningVar),
            batchVar: meanOf(variance),
          },
        ];
      }),
    );
  }

  report(model: Module): void {
    if (!this.isFirst) return;
    const column = (name: keyof EpochMetrics) => this.metrics.map((line) => line[name]);
    const names = batchNorms(model).map(([name]) => name);
    const normCurves = names.flatMap((name) =>
      (['Mean', 'Var'] as const).map((kind) => ({
        title: `Batch norm ${name}: ${kind === 'Mean' ? 'mean' : 'variance'}, average over channels`,
        yLabel: kind === 'Mean' ? 'mean' : 'variance',
        note: 'The running statistic, which evaluation uses, and that of one test batch. They should stay close.',
        series: [
          { name: 'running', values: this.norms.map((epoch) => epoch[name][`running${kind}`]) },
          { name: 'test batch', values: this.norms.map((epoch) => epoch[name][`batch${kind}`]) },
        ],
      })),
    );
    const html = renderReport({
      title: `LeNet with batch norm on ${this.options.data}`,
      epochs: this.metrics.map((line) => ({ ...line })),
      curves: [
        { title: 'Loss', yLabel: 'cross entropy', series: [{ name: 'train', values: column('trainLoss') }] },
        {
          title: 'Accuracy',
          yLabel: 'share correct',
          series: [
            { name: 'train', values: column('trainAccuracy') },
            { name: 'test, running statistics', values: column('testAccuracy') },
            { name: 'test, batch statistics', values: column('testAccuracyBatchStats') },
          ],
        },
        {
          title: 'Train/eval gap',
          yLabel: 'difference in accuracy',
          note: 'Test accuracy by batch statistics minus test accuracy by running statistics. Far above zero, the running statistics are wrong.',
          series: [
            { name: 'gap', values: this.metrics.map((line) => line.testAccuracyBatchStats - line.testAccuracy) },
          ],
        },
        ...normCurves,
      ],
      tables: [normTable(model)],
    });
    writeFileAtomic(join(this.options.out, runFiles.report), new TextEncoder().encode(html));
  }
}

/** Running statistics of every batch norm: range and average over channels. */
function normTable(model: Module) {
  return {
    title: 'Running statistics of the batch norms',
    columns: ['layer', 'kind', 'channels', 'batches', 'mean: min', 'average', 'max', 'variance: min', 'average', 'max'],
    rows: batchNorms(model).map(([name, norm]) => {
      const spread = (t: Tensor | null) => {
        const values = Array.from(t!.dataSync() as Float32Array);
        return [Math.min(...values), meanOf(values), Math.max(...values)];
      };
      return [
        name,
        norm.constructor.name,
        norm.numFeatures,
        norm.numBatchesTracked!.item(),
        ...spread(norm.runningMean),
        ...spread(norm.runningVar),
      ];
    }),
  };
}

function printTable({ title, columns, rows }: ReturnType<typeof normTable>): void {
  const cell = (value: string | number) =>
    typeof value === 'number' && !Number.isInteger(value) ? value.toFixed(4) : String(value);
  const lines = [columns, ...rows].map((row) => row.map(cell));
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i].length)));
  console.log(`\n${title}`);
  for (const line of lines)
    console.log(line.map((text, i) => (i < 2 ? text.padEnd(widths[i]) : text.padStart(widths[i]))).join('  '));
}

/** Runs the job on what `read` gives; resolves to the signal that interrupted it, if one did. */
export async function trainLenet(
  options: TrainOptions,
  read: (options: TrainOptions) => ImageSet = readData,
): Promise<StopSignal | null> {
  if (!options.distributed) return trainInFolder(options, read, { rank: 0, worldSize: 1 });
  initProcessGroup();
  try {
    return await trainInFolder(options, read, { rank: getRank(), worldSize: getWorldSize() });
  } finally {
    destroyProcessGroup();
  }
}

/** The first rank has the folder; the others know from it what to do about an earlier run. */
async function trainInFolder(
  options: TrainOptions,
  read: (options: TrainOptions) => ImageSet,
  job: Job,
): Promise<StopSignal | null> {
  const { resume, overwrite = false } = options;
  const folder = job.rank === 0 ? await openRunFolder(options.out, { resume, overwrite }) : null;
  try {
    const resumes = folder?.resume ?? false;
    return await trainIn({ ...options, resume: job.worldSize > 1 ? broadcastObject(resumes) : resumes }, read, job);
  } finally {
    folder?.release();
  }
}

async function trainIn(
  options: TrainOptions,
  read: (options: TrainOptions) => ImageSet,
  job: Job,
): Promise<StopSignal | null> {
  const isFirst = job.rank === 0;
  const print = isFirst ? console.log : () => {};
  const checkpoint = join(options.out, runFiles.checkpoint);
  if (options.resume && !existsSync(checkpoint) && !existsSync(`${checkpoint}.previous`))
    print(`${checkpoint} does not exist yet: nothing to resume, starting anew`);
  const backend = currentBackend();
  const threads = `${backend.getNumThreads()} thread${backend.getNumThreads() === 1 ? '' : 's'}`;
  const ranks = options.distributed ? `, ${job.worldSize} rank${job.worldSize === 1 ? '' : 's'}` : '';
  print(`engine: ${getEngine()} (${backend.instructionSet}), ${threads}${ranks}`);
  const set = read(options);
  if (isFirst) describeSet(options.data, set);
  if (isFirst && !options.resume) removeRun(options.out);
  manualSeed(options.seed);
  const lenet = lenetBatchNorm({ numClasses: set.classes.length });
  const model = options.distributed ? new DistributedDataParallel(convertSyncBatchNorm(lenet)) : lenet;
  const bookkeeper = new Bookkeeper(options, testLoader(set, job) as DataLoader<unknown>, isFirst);
  const describe = ({ epoch }: EpochResult) => {
    const m = bookkeeper.metrics[epoch - 1];
    return (
      `epoch ${epoch}/${options.epochs}  train loss ${m.trainLoss.toFixed(4)}, accuracy ${percent(m.trainAccuracy)}  ` +
      `test ${percent(m.testAccuracy)}, by batch statistics ${percent(m.testAccuracyBatchStats)}  ` +
      `${m.seconds.toFixed(1)} s, ${Math.round(m.imagesPerSecond)} images/s`
    );
  };
  const { isInterrupted, signal } = await fit(model, {
    loader: trainLoader(set, options, job),
    loss: crossEntropy,
    optimizer: new SGD(model.parameters(), { lr: options.lr }),
    epochs: options.epochs,
    metrics: { accuracy },
    prepare: toUnit,
    checkpoint,
    checkpointEvery: options.checkpointEvery,
    resume: options.resume,
    handleInterrupt: true,
    callbacks: [bookkeeper, new Progress(process.stdout, describe)],
  });
  if (!isFirst) return signal;
  const plain = plainOf(model);
  if (bookkeeper.metrics.length > 0) bookkeeper.report(plain);
  printTable(normTable(plain));
  const left = [runFiles.metrics, runFiles.report, runFiles.checkpoint].filter((name) =>
    existsSync(join(options.out, name)),
  );
  console.log(`\n${options.out}: ${left.join(', ')}${isInterrupted ? ' (go on with --resume)' : ''}`);
  return signal;
}

/** A resumed run must be the run that was interrupted. */
function checkSettings(now: Record<string, unknown>, then: Record<string, unknown> = {}): void {
  for (const [name, value] of Object.entries(then))
    if (name in now && now[name] !== value)
      throw new ValueError(
        `[train] --resume continues a run with ${name} ${value}, but got ${name} ${now[name]}; use the same, or another --out`,
      );
}
