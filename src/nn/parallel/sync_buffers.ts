// Buffers that are the same on all ranks again, after each rank has moved its own: batch norm's statistics merged, the
// others taken from the first rank.

import { requireChoice } from '../../checks.ts';
import { type Group, worldOfJob } from '../../distributed/process_group.ts';
import { RuntimeError } from '../../errors.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import type { TypedArray } from '../../tensor/dtype.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { Module } from '../module.ts';
import { rankList } from './model_agreement.ts';
import { type RunningPair, runningPairs } from './running_statistics.ts';
import { setValues, valuesOfFirst, valuesOfRanks } from './values_of_ranks.ts';

/** Options of `syncBuffers`. */
export interface SyncBuffersOptions {
  /**
   * `'merge'`: running statistics of batch norms become those of all ranks' data, other buffers those of the first
   * rank. `'broadcast'`: all buffers become those of the first rank. Default: `'merge'`.
   */
  mode?: 'merge' | 'broadcast';
  /** The processes that take part. Default: all of the job. */
  group?: Group;
}
const syncBuffersOptions = declareOptions<SyncBuffersOptions>({ mode: kind.choice, group: kind.object });

/**
 * How much of a rank's running statistics its batches are: the number of batches for their plain average, else what
 * they weigh against the initial values, 1 − (1 − momentum)^batches. How large the batches were, nobody knows.
 */
function weightOf({ norm: { momentum } }: RunningPair, counter: TypedArray | undefined): number {
  if (!counter) return 1;
  const batches = Number(counter[0]);
  return momentum === null ? batches : 1 - (1 - momentum) ** batches;
}

/**
 * Mean and variance of all ranks together: Σ w·mean/Σ w and Σ w·(variance + (mean_r − mean)²)/Σ w, as differences from
 * the first rank with a weight. So nothing cancels, and what is equal on all ranks stays as it is, to the bit.
 */
function merged(means: readonly TypedArray[], variances: readonly TypedArray[], given: readonly number[]) {
  const weights = given.some((weight) => weight > 0) ? given : given.map(() => 1);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const first = weights.findIndex((weight) => weight > 0);
  const averaged = (base: number, of: (rank: number) => number) =>
    base + weights.reduce((sum, weight, rank) => sum + weight * (of(rank) - base), 0) / total;
  const mean = new Float64Array(means[0].length);
  const variance = new Float64Array(mean.length);
  for (let c = 0; c < mean.length; c++) {
    mean[c] = averaged(Number(means[first][c]), (rank) => Number(means[rank][c]));
    variance[c] = averaged(
      Number(variances[first][c]),
      (rank) => Number(variances[rank][c]) + (Number(means[rank][c]) - mean[c]) ** 2,
    );
  }
  return { mean, variance };
}

const areFinite = (values: TypedArray): boolean => (values as Float64Array).every(Number.isFinite);

/**
 * Makes the buffers of a model the same on all ranks, to the bit, in one exchange: call it on every rank before
 * evaluation and before saving, where batch norms are no `SyncBatchNorm`. Alone it does nothing.
 *
 * Each rank's running statistics have seen that rank's data only. `'merge'` makes them those of all data: the mean of
 * the means, and the mean of the variances plus the variance of the means, in float64. A mean of variances alone, as
 * timm's `distribute_bn` takes it, is too small by what the ranks differ; rank 0's, as DistributedDataParallel
 * broadcasts them, forget the data of all others. A rank weighs as much as it has seen: by its counter where the
 * momentum is null, else by how little of the initial values is left; equally where there is no counter. Batches are
 * taken to be of one size on all ranks. Frozen statistics, which are the same everywhere, stay. Counters and all other
 * buffers become those of the first rank, instance norm's too.
 *
 * @throws ValueError on another mode; RuntimeError, having changed nothing, on all ranks, where statistics of one are
 * not finite, and where ranks do not have the same buffers or do not call it.
 * @example
 * syncBuffers(model); // and then evaluate or save
 */
export function syncBuffers(model: Module, options: SyncBuffersOptions = {}): void {
  requireOptions('syncBuffers', options, syncBuffersOptions);
  const { mode = 'merge' } = options;
  requireChoice('syncBuffers', 'mode', mode, ['merge', 'broadcast']);
  const group = options.group ?? worldOfJob();
  if (!group || group.worldSize < 2) return;
  const buffers = model.buffers();
  const label = `the ${buffers.length} buffers of ${model.constructor.name}`;
  if (mode === 'broadcast') {
    for (const [i, values] of valuesOfFirst(buffers, group, label).entries()) setValues(buffers[i], values);
    return;
  }
  const place = new Map(buffers.map((buffer, i) => [buffer, i]));
  const ranks = valuesOfRanks(buffers, group, label);
  const results = [...ranks[0]];
  for (const pair of runningPairs(model)) {
    const { name, mean, variance, tracked } = pair;
    const onRanks = (buffer: Tensor) => ranks.map((values) => values[place.get(buffer)!]);
    const [means, variances] = [onRanks(mean), onRanks(variance)];
    const bad = group.ranks.filter((_, rank) => !areFinite(means[rank]) || !areFinite(variances[rank]));
    if (bad.length > 0)
      throw new RuntimeError(
        `[syncBuffers] the running statistics of '${name}' are NaN or infinite on ${rankList(bad)}; the buffers of all ranks are as before`,
      );
    const counters = tracked && onRanks(tracked);
    const weights = ranks.map((_, rank) => weightOf(pair, counters?.[rank]));
    const all = merged(means, variances, weights);
    results[place.get(mean)!] = all.mean;
    results[place.get(variance)!] = all.variance;
  }
  for (const [i, buffer] of buffers.entries()) setValues(buffer, results[i]);
}
