// What a dataset is, and datasets made of others: of arrays, of parts, of several in a row, of a module for workers.
// The order in which samples are read is a sampler's business, batches are the loader's.

import { requireNumbers, shown } from '../checks.ts';
import { ArgumentTypeError, IndexError } from '../errors.ts';
import { declareOptions, kind, required, requireOptions } from '../options.ts';
import { defaultGenerator, type Generator, randperm } from '../tensor/random/index.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { DataArgumentError, SampleMismatchError } from './errors.ts';
import { type ArraySample, rowOf, shapeText, toArraySample } from './sample.ts';

/**
 * A fixed number of samples, read by index. `get` may answer at once or with a promise (then loop with `for await`).
 */
export interface Dataset<T> {
  /** The number of samples. */
  readonly length: number;
  /** The sample of an index, from 0. */
  get(index: number): T | Promise<T>;
}

/** Samples that only come one after another, at once or asynchronously; `length`, where known, counts them. */
export interface IterableDataset<T> {
  /** The number of samples, where it is known. */
  readonly length?: number;
  /** The samples, at once. */
  [Symbol.iterator]?(): Iterator<T>;
  /** The samples, as they arrive. */
  [Symbol.asyncIterator]?(): AsyncIterator<T>;
}

/** Whether a dataset has no `get` and can only be iterated. */
export function isIterableDataset<T>(dataset: Dataset<T> | IterableDataset<T>): dataset is IterableDataset<T> {
  return !('get' in dataset) && (Symbol.iterator in dataset || Symbol.asyncIterator in dataset);
}

function checkIndex(operation: string, index: number, length: number): void {
  if (!Number.isInteger(index) || index < 0 || index >= length) {
    throw new IndexError(`[${operation}] expected an index from 0 to ${length - 1}, got ${shown(index)}`);
  }
}

/** A sample of a `TensorDataset`: one row of each field. */
export type RowsOf<A extends readonly unknown[]> = {
  -readonly [K in keyof A]: A[K] extends ArraySample ? A[K] : ArraySample;
};

/**
 * Tensors, or arrays, of equal first dimension; sample i is the list of their rows i (PyTorch:
 * `torch.utils.data.TensorDataset`). Tensors are copied to arrays once, row-major.
 * @throws SampleMismatchError where the lengths differ.
 * @example
 * const pairs = new TensorDataset(images, labels);
 * const batches = new DataLoader(pairs, { batchSize: 4, shuffle: true });
 */
export class TensorDataset<A extends readonly (ArraySample | Tensor)[]> implements Dataset<RowsOf<A>> {
  /** The fields, each an array of all samples. */
  readonly arrays: readonly ArraySample[];
  /** The number of samples. */
  readonly length: number;

  constructor(...tensors: A) {
    const arrays = tensors.map(toArraySample);
    const [first] = arrays;
    if (first === undefined) throw new DataArgumentError('[TensorDataset] expected at least one array, got none');
    if (arrays.some((array) => array.shape.length === 0 || array.shape[0] !== first.shape[0])) {
      throw new SampleMismatchError(
        `[TensorDataset] Size mismatch between tensors: expected equal first dimensions, got ` +
          arrays.map((array) => shapeText(array.shape)).join(', '),
      );
    }
    this.arrays = arrays;
    this.length = first.shape[0]!;
  }

  /**
   * The rows of an index, one of each field.
   * @throws IndexError on an index outside.
   */
  get(index: number): RowsOf<A> {
    checkIndex('TensorDataset.get', index, this.length);
    return this.arrays.map((array) => rowOf(array, index)) as RowsOf<A>;
  }
}

/** Several datasets one after the other. Source: `torch.utils.data.ConcatDataset`. */
export class ConcatDataset<T> implements Dataset<T> {
  /** The datasets in their order. */
  readonly datasets: readonly Dataset<T>[];
  /** For each dataset the number of samples up to and including it. */
  readonly cumulativeSizes: readonly number[];

  constructor(datasets: Iterable<Dataset<T>>) {
    this.datasets = [...datasets];
    if (this.datasets.length === 0) {
      throw new DataArgumentError('[ConcatDataset] datasets should not be an empty iterable');
    }
    if (this.datasets.some((dataset) => isIterableDataset(dataset))) {
      throw new DataArgumentError('[ConcatDataset] ConcatDataset does not support IterableDataset');
    }
    let total = 0;
    this.cumulativeSizes = this.datasets.map((dataset) => (total += dataset.length));
  }

  /** The number of samples of all. */
  get length(): number {
    return this.cumulativeSizes.at(-1)!;
  }

  /**
   * The sample of an index, counted over all datasets.
   * @throws IndexError on an index outside.
   */
  get(index: number): T | Promise<T> {
    checkIndex('ConcatDataset.get', index, this.length);
    const part = this.cumulativeSizes.findIndex((end) => index < end);
    const start = part === 0 ? 0 : this.cumulativeSizes[part - 1]!;
    return this.datasets[part]!.get(index - start);
  }
}

/** The samples `indices` of a dataset. Source: `torch.utils.data.Subset`. */
export class Subset<T> implements Dataset<T> {
  /** What the samples are taken from. */
  readonly dataset: Dataset<T>;
  /** The samples' indices there. */
  readonly indices: ArrayLike<number>;

  constructor(dataset: Dataset<T>, indices: ArrayLike<number>) {
    this.dataset = dataset;
    this.indices = indices;
  }

  /** The number of samples. */
  get length(): number {
    return this.indices.length;
  }

  /**
   * The sample of an index, counted within this part.
   * @throws IndexError on an index outside.
   */
  get(index: number): T | Promise<T> {
    checkIndex('Subset.get', index, this.length);
    return this.dataset.get(this.indices[index]!);
  }
}

/**
 * Calls functions of promised values in the order in which they are handed over, whichever value is there first: random
 * numbers that they draw must not depend on how fast samples were read.
 */
export class InOrder {
  #last: Promise<unknown> = Promise.resolve();

  /** What `fn` makes of the value, when all before have been called. */
  after<T, U>(value: Promise<T>, fn: (value: T) => U): Promise<U> {
    const before = this.#last;
    const result = Promise.all([value, before]).then(([read]) => fn(read));
    // The next one waits for this one, which may fail before its turn.
    // It keeps none of the samples.
    this.#last = Promise.allSettled([before, result]).then(() => undefined);
    return result;
  }
}

/** A dataset with `change` applied to every sample when it is read, for augmentation: in the order of the calls. */
export function mapDataset<T, U>(dataset: Dataset<T>, change: (sample: T) => U): Dataset<U> {
  const order = new InOrder();
  return {
    get length() {
      return dataset.length;
    },
    get(index) {
      const sample = dataset.get(index);
      return sample instanceof Promise ? order.after(sample, change) : change(sample);
    },
  };
}

/** Options of `randomSplit`. */
export type RandomSplitOptions = {
  /** What draws. Default: the one that `manualSeed` seeds. */
  generator?: Generator;
};
const randomSplitOptions = declareOptions<RandomSplitOptions>({ generator: kind.generator });

/**
 * Splits a dataset at random into parts of the given lengths, or fractions of the whole that sum to 1.
 *
 * A fraction takes the floor of its share; what remains goes to the parts one each, from the first. Throws
 * DataArgumentError if the lengths do not sum to the dataset's. Source: `torch.utils.data.random_split`.
 */
export function randomSplit<T>(
  dataset: Dataset<T>,
  lengths: readonly number[],
  options: RandomSplitOptions = {},
): Subset<T>[] {
  requireOptions('randomSplit', options, randomSplitOptions);
  const { generator = defaultGenerator } = options;
  requireNumbers('randomSplit', 'lengths', lengths);
  const sum = lengths.reduce((total, length) => total + length, 0);
  const isFractions = sum <= 1 && Math.abs(sum - 1) <= 1e-9;
  const counts = isFractions ? countsOfFractions(dataset.length, lengths) : [...lengths];
  if (counts.some((count) => !Number.isInteger(count) || count < 0)) {
    throw new DataArgumentError(
      `[randomSplit] expected whole lengths, or fractions summing to 1, got ${shapeText(lengths)}`,
    );
  }
  const total = counts.reduce((a, b) => a + b, 0);
  if (total !== dataset.length) {
    throw new DataArgumentError(
      `[randomSplit] Sum of input lengths does not equal the length of the input dataset! (${total} and ${dataset.length})`,
    );
  }
  const order = randperm(total, generator);
  let end = 0;
  return counts.map((count) => new Subset(dataset, order.slice(end, (end += count))));
}

function countsOfFractions(length: number, fractions: readonly number[]): number[] {
  const counts = fractions.map((fraction, i) => {
    if (fraction < 0 || fraction > 1) {
      throw new DataArgumentError(`[randomSplit] Fraction at index ${i} is not between 0 and 1`);
    }
    return Math.floor(length * fraction);
  });
  const rest = length - counts.reduce((a, b) => a + b, 0);
  for (let i = 0; i < rest; i++) counts[i % counts.length]!++;
  return counts;
}

/** Options of `WorkerDataset`. */
export type WorkerDatasetOptions<A> = {
  /** Module (URL, or path as given to `import`) whose default export is `(args) => Dataset`, or a promise of one. */
  module: URL | string;
  /** Handed to the factory; must be cloneable. */
  args?: A;
  /** Number of samples the factory's dataset will have. */
  length: number;
};
const workerDatasetOptions = declareOptions<WorkerDatasetOptions<unknown>>({
  // A string, or a URL.
  module: required(kind.choice),
  args: kind.own,
  length: required(kind.integer),
});

/**
 * A dataset that a worker thread can build for itself, because it is named by a module instead of being an object.
 *
 * Used with `numWorkers > 0`. In this thread `get` imports the module on first use and answers with a promise.
 */
export class WorkerDataset<T, A = unknown> implements Dataset<T> {
  /** The address of the module. */
  readonly module: string;
  /** What the factory is given. */
  readonly args: A | undefined;
  /** The number of samples. */
  readonly length: number;
  private local: Promise<Dataset<T>> | undefined;

  constructor(options: WorkerDatasetOptions<A>) {
    requireOptions('WorkerDataset', options, workerDatasetOptions);
    if (typeof options.module !== 'string' && !(options.module instanceof URL))
      throw new ArgumentTypeError(`[WorkerDataset] expected a URL or a path as module, got ${shown(options.module)}`);
    if (!Number.isInteger(options.length) || options.length < 0) {
      throw new DataArgumentError(`[WorkerDataset] expected a length of 0 or more, got ${options.length}`);
    }
    this.module = String(options.module);
    this.args = options.args;
    this.length = options.length;
  }

  /** The sample of an index, from a dataset that is built in this thread at the first call. */
  async get(index: number): Promise<T> {
    checkIndex('WorkerDataset.get', index, this.length);
    this.local ??= openWorkerDataset<T>(this.module, this.args, this.length);
    return (await this.local).get(index);
  }
}

/**
 * Imports a WorkerDataset's module and builds its dataset; throws DataArgumentError if either is not what it should be.
 */
export async function openWorkerDataset<T>(module: string, args: unknown, length: number): Promise<Dataset<T>> {
  const { default: factory } = (await import(module)) as { default?: unknown };
  if (typeof factory !== 'function') {
    throw new DataArgumentError(
      `[WorkerDataset] expected ${module} to default-export a function that makes the dataset, got ${typeof factory}`,
    );
  }
  const dataset = (await factory(args)) as Dataset<T>;
  if (dataset?.length !== length || typeof dataset.get !== 'function') {
    throw new DataArgumentError(
      `[WorkerDataset] expected ${module} to make a dataset of ${length} samples, got ${dataset?.length}`,
    );
  }
  return dataset;
}
