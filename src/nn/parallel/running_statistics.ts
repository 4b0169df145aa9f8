// The running statistics of a model's batch norms as pairs of buffers, those of named sets beside the layers' own.
import type { Tensor } from '../../tensor/tensor.ts';
import type { Module } from '../module.ts';
import type { BatchNormBase } from '../norm/batch_norm.ts';
import { batchNorms } from '../norm/statistics/statistics.ts';

export interface RunningPair {
  /** The layer's path; of a set that `addStatistics` has added, with its name behind it. */
  readonly name: string;
  readonly norm: BatchNormBase;
  readonly mean: Tensor;
  readonly variance: Tensor;
  /** How many batches they have seen; null: nobody has counted. */
  readonly tracked: Tensor | null;
}

/** Mean and variance of every batch norm that has both, in the order of the tree. */
export const runningPairs = (model: Module): RunningPair[] =>
  batchNorms(model).flatMap(([path, norm]) => {
    const buffers = norm.ownBuffers();
    return [...buffers.keys()].flatMap((key) => {
      const [, set] = /^running_mean(.*)$/.exec(key) ?? [];
      if (set === undefined) return [];
      const of = (name: string) => buffers.get(name + set)?.tensor ?? null;
      const [mean, variance] = [of('running_mean'), of('running_var')];
      if (!mean || !variance) return [];
      const layer = path || norm.constructor.name;
      const name = set ? `${layer} (${set.slice(1)})` : layer;
      return [{ name, norm, mean, variance, tracked: of('num_batches_tracked') }];
    });
  });
