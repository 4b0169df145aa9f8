// Batches of a dataset as arrays, in PyTorch's order and with its draws: sampling, fetching and collating in this
// thread. Worker threads are in worker_pool.ts; the loader that users see, which makes tensors of the arrays, is in
// data_loader.ts.

import { shown } from '../checks.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { defaultGenerator, type Generator, randomInt64 } from '../tensor/random/index.ts';
import { type Collated, defaultCollate } from './collate.ts';
import { type Dataset, type IterableDataset, isIterableDataset } from './dataset.ts';
import { DataArgumentError } from './errors.ts';
import { type BatchedSampler, BatchSampler, RandomSampler, SequentialSampler, setEpochOf } from './sampler.ts';
import { batchesFromWorkers } from './worker_pool.ts';

/** Options of loaders; defaults are PyTorch's. */
export type DataLoaderOptions<T> = {
  /** Samples per batch, or null to yield single samples, uncollated. Default 1. */
  batchSize?: number | null;
  /** A new random order in each epoch. Default false. */
  shuffle?: boolean;
  /** Order of the indices, instead of `shuffle`. */
  sampler?: Iterable<number> & { readonly length?: number };
  /** Lists of indices, instead of `batchSize`, `shuffle`, `sampler` and `dropLast`. */
  batchSampler?: BatchedSampler;
  /** Leave out a last batch smaller than `batchSize`. Default false. */
  dropLast?: boolean;
  /**
   * Makes a batch of samples. Default `defaultCollate`. With workers, export `collate` from the dataset's module
   * instead.
   */
  collate?: (samples: T[]) => unknown;
  /** Where shuffling draws from. Default: the default generator. */
  generator?: Generator;
  /**
   * Worker threads that read ahead; 0 reads in this thread. Default 0. Needs a `WorkerDataset`, and Node.js, Deno or
   * Bun.
   */
  numWorkers?: number;
  /** Batches that each worker has in hand, read or being read. Default 2. Source: `prefetch_factor`. */
  prefetch?: number;
  /** Seconds to wait for a batch from a worker; 0 waits for ever, with a warning after a minute. Default 0. */
  timeout?: number;
};
const loaderOptions = declareOptions<DataLoaderOptions<unknown>>({
  batchSize: kind.integerOrNull,
  shuffle: kind.flag,
  sampler: kind.object,
  batchSampler: kind.object,
  numWorkers: kind.integer,
  collate: kind.function,
  dropLast: kind.flag,
  generator: kind.generator,
  prefetch: kind.integer,
  timeout: kind.number,
});

/**
 * Iterates over batches of a dataset: `for (const batch of loader)`, or `for await` with workers and asynchronous
 * datasets.
 *
 * Each iteration is an epoch. Per epoch it draws one seed (for the workers) and the sampler its own, both as PyTorch
 * does, so the same `manualSeed` gives the same batches. Leaving the loop early ends the workers. Throws
 * DataArgumentError for options that exclude each other. Source: `torch.utils.data.DataLoader`.
 */
export class ArrayLoader<T, B = Collated<T>> {
  /** What the samples are read from. */
  readonly dataset: Dataset<T> | IterableDataset<T>;
  /** Samples per batch; null: single samples. */
  readonly batchSize: number | null;
  /** Whether a last batch of fewer samples is left out. */
  readonly dropLast: boolean;
  /** Worker threads that read ahead; 0: none. */
  readonly numWorkers: number;
  /** Batches that each worker has in hand. */
  readonly prefetch: number;
  /** Milliseconds that a worker may take for a batch. */
  readonly timeout: number;
  /** Where shuffling draws from; undefined: the default generator. */
  readonly generator: Generator | undefined;
  private readonly indices: Iterable<number | number[]> & { readonly length?: number };
  private readonly collate: ((samples: T[]) => unknown) | undefined;

  constructor(dataset: Dataset<T> | IterableDataset<T>, options: DataLoaderOptions<T> = {}) {
    requireOptions('DataLoader', options as DataLoaderOptions<unknown>, loaderOptions);
    checkOptions(dataset, options);
    this.dataset = dataset;
    this.batchSize = options.batchSampler ? null : options.batchSize === undefined ? 1 : options.batchSize;
    this.dropLast = options.dropLast ?? false;
    this.numWorkers = options.numWorkers ?? 0;
    this.prefetch = options.prefetch ?? 2;
    this.timeout = options.timeout ?? 0;
    this.generator = options.generator;
    this.collate = options.collate;
    this.indices = isIterableDataset(dataset) ? [] : chooseIndices(dataset, this.batchSize, options);
  }

  /** Batches per epoch; throws DataArgumentError if the dataset or sampler cannot tell. */
  get length(): number {
    if (!isIterableDataset(this.dataset)) {
      const { length } = this.indices;
      if (length === undefined) {
        throw new DataArgumentError('[DataLoader.length] expected a sampler with a length, but it has none');
      }
      return length;
    }
    const { length } = this.dataset;
    if (length === undefined) {
      throw new DataArgumentError(
        '[DataLoader.length] expected a dataset with a length, but this iterable one has none',
      );
    }
    if (this.batchSize === null) return length;
    return this.dropLast ? Math.floor(length / this.batchSize) : Math.ceil(length / this.batchSize);
  }

  /**
   * Tells the sampler which epoch comes next, from 0, where it wants to know (`DistributedSampler.setEpoch`); `fit`
   * does it.
   */
  setEpoch(epoch: number): void {
    setEpochOf(this.indices, epoch);
  }

  /** Starts an epoch in this thread; throws DataArgumentError if batches can only arrive asynchronously. */
  [Symbol.iterator](): IterableIterator<B> {
    if (this.numWorkers > 0) {
      throw new DataArgumentError(
        '[DataLoader] expected `for await`: with numWorkers > 0 batches arrive asynchronously',
      );
    }
    if (isIterableDataset(this.dataset) && !this.dataset[Symbol.iterator]) {
      throw new DataArgumentError('[DataLoader] expected `for await`: the dataset can only be iterated asynchronously');
    }
    this.drawBaseSeed();
    return isIterableDataset(this.dataset) ? this.streamNow(this.dataset) : this.batchesNow(this.dataset);
  }

  /** Starts an epoch whose batches are awaited. */
  [Symbol.asyncIterator](): AsyncIterableIterator<B> {
    const baseSeed = this.drawBaseSeed();
    if (isIterableDataset(this.dataset)) return this.streamLater(this.dataset);
    return this.numWorkers > 0 ? this.batchesFromWorkers(this.dataset, baseSeed) : this.batchesLater(this.dataset);
  }

  /**
   * What a collated batch (or, with batchSize null, a sample) becomes before it is handed out: here, itself.
   * @internal
   */
  protected convert(batch: unknown): B {
    return batch as B;
  }

  // PyTorch draws it for its workers in every epoch, workers or not, before the sampler draws anything.
  private drawBaseSeed(): bigint {
    return randomInt64(this.generator ?? defaultGenerator);
  }

  private finish(samples: T[]): B {
    return this.convert(this.collate ? this.collate(samples) : defaultCollate(samples));
  }

  private *batchesNow(dataset: Dataset<T>): IterableIterator<B> {
    const read = (index: number): T => {
      const sample = dataset.get(index);
      if (sample instanceof Promise) {
        throw new DataArgumentError('[DataLoader] expected `for await`: the dataset answers with promises');
      }
      return sample;
    };
    for (const task of this.indices) {
      yield typeof task === 'number' ? this.convert(read(task)) : this.finish(task.map(read));
    }
  }

  private async *batchesLater(dataset: Dataset<T>): AsyncIterableIterator<B> {
    for (const task of this.indices) {
      if (typeof task === 'number') yield this.convert(await dataset.get(task));
      else yield this.finish(await Promise.all(task.map((index) => dataset.get(index))));
    }
  }

  private async *batchesFromWorkers(dataset: Dataset<T>, baseSeed: bigint): AsyncIterableIterator<B> {
    const { numWorkers, prefetch, timeout } = this;
    for await (const batch of batchesFromWorkers(dataset, this.indices, { numWorkers, prefetch, baseSeed, timeout })) {
      yield this.convert(batch);
    }
  }

  private *streamNow(dataset: IterableDataset<T>): IterableIterator<B> {
    let samples: T[] = [];
    for (const sample of dataset as Iterable<T>) {
      if (this.batchSize === null) {
        yield this.convert(sample);
        continue;
      }
      samples.push(sample);
      if (samples.length === this.batchSize) {
        yield this.finish(samples);
        samples = [];
      }
    }
    if (samples.length > 0 && !this.dropLast) yield this.finish(samples);
  }

  private async *streamLater(dataset: IterableDataset<T>): AsyncIterableIterator<B> {
    let samples: T[] = [];
    for await (const sample of dataset as AsyncIterable<T>) {
      if (this.batchSize === null) {
        yield this.convert(sample);
        continue;
      }
      samples.push(sample);
      if (samples.length === this.batchSize) {
        yield this.finish(samples);
        samples = [];
      }
    }
    if (samples.length > 0 && !this.dropLast) yield this.finish(samples);
  }
}

function chooseIndices<T>(
  dataset: Dataset<T>,
  batchSize: number | null,
  options: DataLoaderOptions<T>,
): Iterable<number | number[]> & { readonly length?: number } {
  if (options.batchSampler) return options.batchSampler;
  const sampler =
    options.sampler ??
    (options.shuffle ? new RandomSampler(dataset, { generator: options.generator }) : new SequentialSampler(dataset));
  return batchSize === null ? sampler : new BatchSampler(sampler, batchSize, options.dropLast ?? false);
}

function checkOptions<T>(dataset: Dataset<T> | IterableDataset<T>, options: DataLoaderOptions<T>): void {
  const { batchSize, shuffle, sampler, batchSampler, dropLast, collate, numWorkers = 0, prefetch, timeout } = options;
  const refuse = (text: string) => {
    throw new DataArgumentError(`[DataLoader] ${text}`);
  };
  if (!Number.isInteger(numWorkers) || numWorkers < 0) {
    refuse('numWorkers option should be non-negative; use numWorkers: 0 to read in this thread.');
  }
  if (timeout !== undefined && !(timeout >= 0)) refuse('timeout option should be non-negative');
  if (prefetch !== undefined && (!Number.isInteger(prefetch) || prefetch < 1)) {
    refuse(`expected prefetch of 1 or more, got ${shown(prefetch)}`);
  }
  if (isIterableDataset(dataset)) {
    if (shuffle) refuse(`with IterableDataset: expected unspecified shuffle option, but got shuffle=${shuffle}`);
    if (sampler) refuse('with IterableDataset: expected unspecified sampler option, but got one');
    if (batchSampler) refuse('with IterableDataset: expected unspecified batchSampler option, but got one');
    if (numWorkers > 0) refuse('expected a WorkerDataset with numWorkers > 0, got an iterable dataset');
    // A map-style dataset gets this check from its batch sampler.
    if (batchSize !== undefined && batchSize !== null && !(Number.isInteger(batchSize) && batchSize > 0)) {
      refuse(`batchSize should be a positive integer value, but got batchSize=${shown(batchSize)}`);
    }
  }
  if (sampler && shuffle) refuse('sampler option is mutually exclusive with shuffle');
  if (batchSampler && ((batchSize !== undefined && batchSize !== 1) || shuffle || sampler || dropLast)) {
    refuse('batchSampler option is mutually exclusive with batchSize, shuffle, sampler, and dropLast');
  }
  if (batchSize === null && dropLast) {
    refuse('batchSize: null disables auto-batching and is mutually exclusive with dropLast');
  }
  if (collate && numWorkers > 0) {
    refuse(
      "with numWorkers > 0 a collate function cannot be sent to the workers; export it as `collate` from the dataset's module",
    );
  }
}
