// Metrics: functions of output and target whose values are averaged over samples, and figures of counts.

import { noGrad } from '../autograd/grad_mode.ts';
import { requireInteger, shown } from '../checks.ts';
import {
  allGatherObject,
  type CollectiveOptions,
  collectiveOptions,
  type Group,
  worldOfJob,
} from '../distributed/process_group.ts';
import { ValueError } from '../errors.ts';
import { cast } from '../ops/convert.ts';
import { eq } from '../ops/elementwise.ts';
import { any, argmax, mean, topk } from '../ops/reduce.ts';
import { unsqueeze } from '../ops/shape_ops.ts';
import { requireOptions } from '../options.ts';
import { fromTypedArray } from '../tensor/create.ts';
import { formatShape, sameShape } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** A number for one batch; `fit` and `evaluate` average it, weighted by the batch's samples. */
export type MeanMetric<Output = Tensor, Target = Tensor> = (output: Output, target: Target) => number;

/**
 * A figure that is no mean over samples, such as F1: it is computed from counts, which `fit` and `evaluate` sum over
 * batches and ranks.
 * @example
 * const f1: CountedMetric = {
 *   count: (output, target) => confusionMatrix(output, target, { numClasses: 10 }),
 *   value: (counts) => f1Score(counts),
 * };
 * console.log(await evaluate(model, loader, { metrics: { accuracy, f1 } }));
 */
export interface CountedMetric<Output = Tensor, Target = Tensor> {
  /** The counts of one batch, a tensor of the same shape for every batch. */
  count(output: Output, target: Target): Tensor;
  /** The figure of the sums of all counts, which are float64. */
  value(counts: Tensor): number;
}

/** A figure of outputs and targets: a mean over samples, or one computed from counts. */
export type Metric<Output = Tensor, Target = Tensor> = MeanMetric<Output, Target> | CountedMetric<Output, Target>;
/** Metrics by name. */
export type Metrics<Output = Tensor, Target = Tensor> = Readonly<Record<string, Metric<Output, Target>>>;

/** Share of samples whose largest logit, of (N, C), is at the target class (N). */
export const accuracy: MeanMetric = (output, target) => mean(cast(eq(argmax(output, 1), target), 'float32')).item();

/**
 * Share of samples whose target class (N) is among the k largest logits of (N, C), as a metric.
 * @throws ValueError on a k that is no integer of at least 1.
 * @example
 * await evaluate(model, loader, { metrics: { top5: topKAccuracy(5) } });
 */
export function topKAccuracy(k: number): MeanMetric {
  requireInteger('topKAccuracy', 'k', k, 1);
  return (output, target) => {
    const { indices } = topk(output, k, 1);
    return mean(cast(any(eq(indices, unsqueeze(target, 1)), 1), 'float32')).item();
  };
}

/** What averages are made of. */
export interface AveragesState {
  /** How many samples are in the means. */
  samples: number;
  /** Sums of values, by name, each times its samples. */
  sums: Record<string, number>;
  /** Counts of metrics that are computed from such, summed, with the shape of their tensor. */
  counts?: Record<string, { shape: number[]; values: number[] }>;
}
type Counts = NonNullable<AveragesState['counts']>[string];

const isCounted = (metric: Metric<never, never>): metric is CountedMetric<never, never> => typeof metric !== 'function';

/** Means of named values, weighted by samples; and figures of counts. */
export class Averages {
  private readonly sums: Record<string, number> = {};
  private readonly counts: Record<string, Counts> = {};
  private readonly metrics: Metrics<never, never>;
  /** How many samples are in the means. */
  samples = 0;

  /** @param metrics those that `addBatch` measures. Default: none. */
  constructor(metrics: Metrics<never, never> = {}) {
    this.metrics = metrics;
  }

  /**
   * Takes the samples of others in.
   * @internal
   */
  addAll({ samples, sums, counts = {} }: AveragesState): void {
    this.samples += samples;
    for (const [name, sum] of Object.entries(sums)) this.sums[name] = (this.sums[name] ?? 0) + sum;
    for (const [name, each] of Object.entries(counts)) this.addCounts(name, each);
  }

  /** Takes the means of so many samples in. */
  add(values: Readonly<Record<string, number>>, samples: number): void {
    this.samples += samples;
    for (const [name, value] of Object.entries(values)) this.sums[name] = (this.sums[name] ?? 0) + value * samples;
  }

  /**
   * Measures a batch by all metrics, and takes that and further means in.
   * @internal
   */
  addBatch(values: Readonly<Record<string, number>>, output: unknown, target: unknown, samples: number): void {
    const means: Record<string, number> = { ...values };
    for (const [name, metric] of Object.entries(this.metrics))
      noGrad(() => {
        if (!isCounted(metric)) means[name] = metric(output as never, target as never);
        else {
          const counts = cast(metric.count(output as never, target as never), 'float64');
          this.addCounts(name, { shape: [...counts.shape], values: Array.from(counts.dataSync() as Float64Array) });
        }
      });
    this.add(means, samples);
  }

  private addCounts(name: string, { shape, values }: Counts): void {
    const sums = this.counts[name];
    if (!sums) {
      this.counts[name] = { shape: [...shape], values: [...values] };
      return;
    }
    if (!sameShape(shape, sums.shape))
      throw new ValueError(
        `[Averages] metric ${shown(name)}: expected counts of the same shape for every batch, got ${formatShape(shape)} after ${formatShape(sums.shape)}`,
      );
    for (const [i, value] of values.entries()) sums.values[i] += value;
  }

  /** The mean of a name, or the figure of its counts; NaN where there is none. */
  get(name: string): number {
    const counts = this.counts[name];
    if (!counts) return (this.sums[name] ?? Number.NaN) / this.samples;
    const metric = this.metrics[name];
    if (metric === undefined || !isCounted(metric)) return Number.NaN;
    return metric.value(fromTypedArray(Float64Array.from(counts.values), counts.shape));
  }

  /** All means and figures by name. */
  all(): Record<string, number> {
    const names = [...Object.keys(this.sums), ...Object.keys(this.counts)];
    return Object.fromEntries(names.map((name) => [name, this.get(name)]));
  }

  /**
   * The means over the samples of all ranks, each sample weighing the same; the same bits on every rank, and this one
   * stays as it is. A rank may have no samples. Every rank must call it, in an evaluation at its end; alone it is a
   * copy.
   * @throws RuntimeError where a rank does not call it.
   * @example
   * const averages = new Averages();
   * averages.add({ loss: 0.5 }, 32);
   * console.log(averages.ofAllRanks().get('loss'));
   */
  ofAllRanks(options: CollectiveOptions = {}): Averages {
    requireOptions('ofAllRanks', options, collectiveOptions);
    const { group = worldOfJob(), label = 'averages' } = options;
    const all = new Averages(this.metrics);
    if (!group || group.worldSize < 2) {
      all.load(this.state());
      return all;
    }
    for (const part of averagesOfEach(this, group, label)) all.addAll(part.state());
    return all;
  }

  /** What `load` takes back. */
  state(): AveragesState {
    const counts = Object.entries(this.counts).map(([name, { shape, values }]) => [
      name,
      { shape, values: [...values] },
    ]);
    return {
      samples: this.samples,
      sums: { ...this.sums },
      ...(counts.length > 0 ? { counts: Object.fromEntries(counts) } : {}),
    };
  }

  /** Goes on from a state. */
  load({ samples, sums, counts = {} }: AveragesState): void {
    this.samples = samples;
    Object.assign(this.sums, sums);
    for (const [name, { shape, values }] of Object.entries(counts))
      this.counts[name] = { shape: [...shape], values: [...values] };
  }
}

/** The averages of every rank, in rank order. A rank without samples knows no names, so these travel too. */
export function averagesOfEach(own: Averages, group: Group, label: string): Averages[] {
  const { samples, sums, counts = {} } = own.state();
  // JSON has no NaN, text does.
  const sent = [samples, Object.entries(sums).map(([name, sum]) => [name, String(sum)] as const), counts] as const;
  return allGatherObject(sent, { group, label }).map(([samples, texts, counts]) => {
    const averages = new Averages();
    averages.load({ samples, sums: Object.fromEntries(texts.map(([name, text]) => [name, Number(text)])), counts });
    return averages;
  });
}
