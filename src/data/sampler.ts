// In which order samples are read, and how they are cut into batches, with PyTorch's draws.
// The distributed sampler is in distributed_sampler.ts; reading the samples is the loader's business.

import { requireNumbers, shown } from '../checks.ts';
import { ArgumentTypeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { defaultGenerator, Generator, multinomial, randint, randomInt64, randperm } from '../tensor/random/index.ts';
import { DataArgumentError } from './errors.ts';

/** Indices in the order of one epoch; each iteration is a new epoch. */
export interface Sampler extends Iterable<number> {
  /** Indices per epoch. */
  readonly length: number;
}

/** Lists of indices, one per batch. */
export interface BatchedSampler extends Iterable<number[]> {
  /** Batches per epoch, where it is known. */
  readonly length?: number;
}

type Sized = { readonly length: number };

function checkPositive(sampler: string, name: string, value: number): void {
  if (!Number.isInteger(value) || value <= 0) {
    throw new DataArgumentError(
      `[${sampler}] ${name} should be a positive integer value, but got ${name}=${shown(value)}`,
    );
  }
}

/** 0, 1, 2, … Source: `torch.utils.data.SequentialSampler`. */
export class SequentialSampler implements Sampler {
  private readonly source: Sized;

  constructor(source: { readonly length: number }) {
    this.source = source;
  }

  /** Indices per epoch. */
  get length(): number {
    return this.source.length;
  }

  /** The indices of an epoch. */
  *[Symbol.iterator](): Indices<number> {
    for (let i = 0; i < this.source.length; i++) yield i;
  }
}

/** Options of `RandomSampler`. */
export type RandomSamplerOptions = {
  /** Draw each index independently instead of shuffling. Default false. */
  replacement?: boolean;
  /** Number of indices per epoch. Default: the dataset's length. */
  numSamples?: number;
  /** Where to draw from. Default: a fresh generator each epoch, seeded by one draw from the default generator. */
  generator?: Generator;
};
const randomSamplerOptions = declareOptions<RandomSamplerOptions>({
  replacement: kind.flag,
  numSamples: kind.integer,
  generator: kind.generator,
});

/** A random order, new in each epoch. Source: `torch.utils.data.RandomSampler`. */
export class RandomSampler implements Sampler {
  private readonly source: Sized;
  private readonly replacement: boolean;
  private readonly numSamples: number | undefined;
  private readonly generator: Generator | undefined;

  constructor(source: { readonly length: number }, options: RandomSamplerOptions = {}) {
    requireOptions('RandomSampler', options, randomSamplerOptions);
    this.source = source;
    this.replacement = options.replacement ?? false;
    this.numSamples = options.numSamples;
    this.generator = options.generator;
    checkPositive('RandomSampler', 'numSamples', this.length);
  }

  /** Indices per epoch. */
  get length(): number {
    return this.numSamples ?? this.source.length;
  }

  /** The indices of an epoch, in an order of its own. */
  *[Symbol.iterator](): Indices<number> {
    const n = this.source.length;
    const count = this.length;
    const generator = this.generator ?? new Generator(randomInt64(defaultGenerator));
    if (this.replacement) {
      // In portions of 32, which matters when the generator is shared.
      for (let done = 0; done < count; done += 32) {
        yield* randint(new Float64Array(Math.min(32, count - done)), 0, n, generator);
      }
      return;
    }
    for (let pass = 0; pass < Math.floor(count / n); pass++) yield* randperm(n, generator);
    // PyTorch draws a last permutation even if nothing of it is used; a shared generator moves on by it.
    yield* randperm(n, generator).subarray(0, count % n);
  }
}

/** Options of `SubsetRandomSampler`. */
export type SubsetRandomSamplerOptions = {
  /** What draws. Default: the one that `manualSeed` seeds. */
  generator?: Generator;
};
const subsetOptions = declareOptions<SubsetRandomSamplerOptions>({ generator: kind.generator });

/** The given indices in random order. Source: `torch.utils.data.SubsetRandomSampler`. */
export class SubsetRandomSampler implements Sampler {
  private readonly indices: ArrayLike<number>;
  private readonly generator: Generator;

  constructor(indices: ArrayLike<number>, options: SubsetRandomSamplerOptions = {}) {
    requireOptions('SubsetRandomSampler', options, subsetOptions);
    this.indices = indices;
    this.generator = options.generator ?? defaultGenerator;
  }

  /** Indices per epoch. */
  get length(): number {
    return this.indices.length;
  }

  /** The indices of an epoch, in an order of its own. */
  *[Symbol.iterator](): Indices<number> {
    for (const position of randperm(this.indices.length, this.generator)) yield this.indices[position]!;
  }
}

/** Options of `WeightedRandomSampler`. */
export type WeightedRandomSamplerOptions = {
  /** Whether an index may be drawn again. Default true. */
  replacement?: boolean;
  /** What draws. Default: the one that `manualSeed` seeds. */
  generator?: Generator;
};
const weightedOptions = declareOptions<WeightedRandomSamplerOptions>({
  replacement: kind.flag,
  generator: kind.generator,
});

/**
 * `numSamples` indices drawn in proportion to weights, with replacement by default.
 *
 * Source: `torch.utils.data.WeightedRandomSampler`.
 */
export class WeightedRandomSampler implements Sampler {
  /** Indices per epoch. */
  readonly length: number;
  private readonly weights: Float64Array;
  private readonly replacement: boolean;
  private readonly generator: Generator;

  constructor(weights: ArrayLike<number>, numSamples: number, options: WeightedRandomSamplerOptions = {}) {
    requireOptions('WeightedRandomSampler', options, weightedOptions);
    checkPositive('WeightedRandomSampler', 'numSamples', numSamples);
    if (!ArrayBuffer.isView(weights)) requireNumbers('WeightedRandomSampler', 'weights', weights);
    this.length = numSamples;
    this.weights = Float64Array.from(weights);
    this.replacement = options.replacement ?? true;
    this.generator = options.generator ?? defaultGenerator;
  }

  /** The indices of an epoch, drawn anew. */
  *[Symbol.iterator](): Indices<number> {
    yield* multinomial(this.weights, this.length, this.replacement, this.generator);
  }
}

/** Tells a sampler which epoch comes next, from 0, where it wants to know, as `DistributedSampler` does. */
export function setEpochOf(sampler: object, epoch: number): void {
  if ('setEpoch' in sampler && typeof sampler.setEpoch === 'function') sampler.setEpoch(epoch);
}

/**
 * Cuts a sampler's indices into batches of `batchSize`; `dropLast` leaves out a last smaller one.
 *
 * Source: `torch.utils.data.BatchSampler`.
 */
export class BatchSampler implements BatchedSampler {
  /** Indices per batch; the last one may have fewer. */
  readonly batchSize: number;
  /** Whether a last batch of fewer is left out. */
  readonly dropLast: boolean;
  private readonly sampler: Iterable<number> & { readonly length?: number };

  constructor(sampler: Iterable<number> & { readonly length?: number }, batchSize: number, dropLast: boolean) {
    if (typeof dropLast !== 'boolean')
      throw new ArgumentTypeError(`[BatchSampler] expected true or false as dropLast, got ${shown(dropLast)}`);
    checkPositive('BatchSampler', 'batchSize', batchSize);
    this.sampler = sampler;
    this.batchSize = batchSize;
    this.dropLast = dropLast;
  }

  /**
   * Batches per epoch.
   * @throws DataArgumentError where the sampler cannot tell.
   */
  get length(): number {
    if (this.sampler.length === undefined) {
      throw new DataArgumentError('[BatchSampler.length] expected a sampler with a length, but it has none');
    }
    const batches = this.sampler.length / this.batchSize;
    return this.dropLast ? Math.floor(batches) : Math.ceil(batches);
  }

  /** Tells the sampler which epoch comes next, from 0, where it wants to know. */
  setEpoch(epoch: number): void {
    setEpochOf(this.sampler, epoch);
  }

  /** The batches of an epoch. */
  *[Symbol.iterator](): Indices<number[]> {
    // A full batch goes out before the sampler is asked for more: samplers draw lazily, so the order of draws depends
    // on it.
    let batch: number[] = [];
    for (const index of this.sampler) {
      batch.push(index);
      if (batch.length === this.batchSize) {
        yield batch;
        batch = [];
      }
    }
    if (batch.length > 0 && !this.dropLast) yield batch;
  }
}

// The built-in type of generator functions, whose name the random generator has taken here.
type Indices<T> = IterableIterator<T>;
