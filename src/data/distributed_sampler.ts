// Each rank's share of a dataset, the same on every rank, as PyTorch's DistributedSampler cuts it.

import { requireInteger, shown } from '../checks.ts';
import { worldFor } from '../distributed/process_group.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { Generator, randperm } from '../tensor/random/index.ts';
import { DataArgumentError } from './errors.ts';
import type { Sampler } from './sampler.ts';

/** Options of `DistributedSampler`. */
export type DistributedSamplerOptions = {
  /** How many processes share the samples. Default: all of the job. */
  numReplicas?: number;
  /** Which of them this one is, from 0. Default: its rank in the job. */
  rank?: number;
  /** Shuffle anew in each epoch set by `setEpoch`. Default true. */
  shuffle?: boolean;
  /** The same on all ranks. Default 0. */
  seed?: number;
  /** Drop the tail instead of repeating samples to make it even. Default false. */
  dropLast?: boolean;
};
const samplerOptions = declareOptions<DistributedSamplerOptions>({
  numReplicas: kind.integer,
  rank: kind.integer,
  shuffle: kind.flag,
  seed: kind.integer,
  dropLast: kind.flag,
});

/**
 * Indices rank, rank + R, rank + 2R, … of a common order, for R processes (PyTorch:
 * `torch.utils.data.distributed.DistributedSampler`). All ranks get as many: the order is repeated from its start where
 * it does not last, or with `dropLast` cut.
 *
 * @throws RuntimeError where `numReplicas` or `rank` is missing and `initProcessGroup` was not called;
 * DataArgumentError on a rank that is not among them.
 * @example
 * const sampler = new DistributedSampler(dataset, { numReplicas: 4, rank: 0 });
 */
export class DistributedSampler implements Sampler {
  /** How many processes share the samples. */
  readonly numReplicas: number;
  /** Which of them this one is, from 0. */
  readonly rank: number;
  private readonly source: { readonly length: number };
  private readonly shuffle: boolean;
  private readonly seed: number;
  private readonly dropLast: boolean;
  private epoch = 0;

  constructor(source: { readonly length: number }, options: DistributedSamplerOptions = {}) {
    requireOptions('DistributedSampler', options, samplerOptions);
    const world = () => worldFor('DistributedSampler');
    const { numReplicas = world().worldSize, rank = world().rank } = options;
    if (!Number.isInteger(numReplicas) || numReplicas < 1) {
      throw new DataArgumentError(`[DistributedSampler] expected numReplicas of 1 or more, got ${shown(numReplicas)}`);
    }
    if (!Number.isInteger(rank) || rank < 0 || rank >= numReplicas) {
      throw new DataArgumentError(
        `Invalid rank ${shown(rank)}, rank should be in the interval [0, ${numReplicas - 1}]`,
      );
    }
    requireInteger('DistributedSampler', 'seed', options.seed ?? 0);
    this.source = source;
    this.numReplicas = numReplicas;
    this.rank = rank;
    this.shuffle = options.shuffle ?? true;
    this.seed = options.seed ?? 0;
    this.dropLast = options.dropLast ?? false;
  }

  /** Number of indices this rank gets, the same on all ranks. */
  get length(): number {
    const share = this.source.length / this.numReplicas;
    return this.dropLast ? Math.floor(share) : Math.ceil(share);
  }

  /** Chooses the order of the next iteration; without it every epoch has the order of epoch 0. */
  setEpoch(epoch: number): void {
    this.epoch = requireInteger('DistributedSampler', 'epoch', epoch, 0);
  }

  /** The indices of an epoch for this process. */
  *[Symbol.iterator](): IterableIterator<number> {
    const n = this.source.length;
    const order = this.shuffle ? randperm(n, new Generator(this.seed + this.epoch)) : undefined;
    const total = this.length * this.numReplicas;
    // Padding repeats the order from its start, however often that takes.
    for (let i = this.rank; i < total; i += this.numReplicas) yield order ? order[i % n]! : i % n;
  }
}
