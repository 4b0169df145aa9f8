// Evaluates a model on a loader, by running statistics or by those of each batch; and finds the statistics that each
// batch norm sees.
import { noGrad } from '../autograd/grad_mode.ts';
import { requireChoice } from '../checks.ts';
import { type BatchStatistics, batchNormStats } from '../launch/batch_norm.ts';
import { withModes } from '../nn/modes.ts';
import type { Module } from '../nn/module.ts';
import { batchNorms } from '../nn/norm/statistics/statistics.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type Batches, type BatchOptions, batchKinds, partsOf } from './batches.ts';
import { Averages, type Metrics } from './metrics.ts';
import { Ranks } from './ranks.ts';

/**
 * A loss of an output and its target: a layer such as `new CrossEntropyLoss()`, a function such as `crossEntropy`, or
 * one's own.
 */
export type LossFunction<Output = Tensor, Target = Tensor> = (output: Output, target: Target) => Tensor;

/** Options of `evaluate`. */
export interface EvaluateOptions<Batch = readonly Tensor[], Output = Tensor, Target = Tensor>
  extends BatchOptions<Batch, Target> {
  /** The loss whose mean stands in the result as `loss`. Default: none. */
  loss?: LossFunction<Output, Target>;
  /** Figures that stand in the result under their names. Default: none. */
  metrics?: Metrics<Output, Target>;
  /**
   * What batch norm normalizes by: `'running'` statistics, as in deployment (default), or those of each `'batch'`,
   * without moving the running ones. A large difference between the two results is the train/eval gap.
   */
  statistics?: 'running' | 'batch';
}
const evaluateOptions = declareOptions<EvaluateOptions>({
  loss: kind.function,
  metrics: kind.object,
  statistics: kind.choice,
  ...batchKinds,
});

/**
 * Mean loss and metrics of a model over a loader, in evaluation mode and without gradients; all modes are restored,
 * also after an error. Returns them by name. Batches are arrays [...inputs, target], or taken apart by `inputs` and
 * `target`.
 *
 * With a `DistributedDataParallel` each rank gives the batches of its part, and every rank gets the means over all; the
 * running statistics of the ranks are merged before (`syncBuffers`). Every rank must call it.
 * @example
 * const { loss, accuracy: share } = await evaluate(model, loader, { loss: crossEntropy, metrics: { accuracy } });
 */
export async function evaluate<Batch = readonly Tensor[], Output = Tensor, Target = Tensor>(
  model: Module,
  loader: Batches<Batch>,
  options: EvaluateOptions<Batch, Output, Target> = {},
): Promise<Record<string, number>> {
  requireOptions('evaluate', options, evaluateOptions);
  const { loss, metrics = {}, statistics = 'running' } = options;
  requireChoice('evaluate', 'statistics', statistics, ['running', 'batch']);
  const ranks = new Ranks(model);
  const own = ranks.model;
  ranks.shareStatistics();
  const averages = new Averages(metrics);
  const norms = statistics === 'batch' ? batchNorms(own).map(([, norm]) => norm) : [];
  const tracking = norms.map((norm) => norm.trackRunningStats);
  const set = () => {
    own.eval();
    // Training without tracking is the mode that uses the batch's statistics and moves nothing.
    for (const norm of norms) Object.assign(norm, { training: true, trackRunningStats: false });
  };
  const run = async () => {
    try {
      for await (const batch of loader)
        noGrad(() =>
          scope(() => {
            const { inputs, target, samples } = partsOf('evaluate', batch, options);
            const output: Output = own(...inputs);
            const values: Record<string, number> = {};
            if (loss) values.loss = loss(output, target as Target).item();
            averages.addBatch(values, output, target, samples);
          }),
        );
    } finally {
      norms.forEach((norm, i) => {
        norm.trackRunningStats = tracking[i];
      });
    }
    return ranks.averagesOfAll(averages).all();
  };
  return withModes(own, set, run);
}

/** Mean and unbiased variance per channel that arrived at a batch norm. */
export interface ObservedStatistics {
  /** The mean of each channel. */
  readonly mean: Float64Array;
  /** The variance of each channel. */
  readonly variance: Float64Array;
}

/**
 * The statistics of one batch at the input of every batch norm, with the model in its present mode except that nothing
 * moves.
 */
export function observeBatchNorms(model: Module, input: Tensor): Map<string, ObservedStatistics> {
  const seen = new Map<string, ObservedStatistics>();
  const removers = batchNorms(model).map(([name, norm]) =>
    norm.registerForwardPreHook((_, [x]) => {
      const stats: BatchStatistics = batchNormStats(x as Tensor);
      const m2 = stats.m2.dataSync() as Float64Array;
      seen.set(name, {
        mean: stats.mean.dataSync() as Float64Array,
        variance: m2.map((v) => v / Math.max(1, stats.count - 1)),
      });
    }),
  );
  try {
    withModes(
      model,
      () => model.eval(),
      () => noGrad(() => scope(() => void model(input))),
    );
  } finally {
    for (const remove of removers) remove();
  }
  return seen;
}
