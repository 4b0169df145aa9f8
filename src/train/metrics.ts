// Metrics: functions of output and target whose values are averaged over samples.

import {
  allGatherObject,
  type CollectiveOptions,
  collectiveOptions,
  type Group,
  worldOfJob,
} from '../distributed/process_group.ts';
import { cast } from '../ops/convert.ts';
import { eq } from '../ops/elementwise.ts';
import { argmax, mean } from '../ops/reduce.ts';
import { requireOptions } from '../options.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** A number for one batch; `fit` and `evaluate` average it, weighted by the batch's samples. */
export type Metric = (output: Tensor, target: Tensor) => number;

/** Share of samples whose largest logit, of (N, C), is at the target class (N). */
export const accuracy: Metric = (output, target) => mean(cast(eq(argmax(output, 1), target), 'float32')).item();

/** Means of named values, weighted by samples. */
export class Averages {
  private readonly sums: Record<string, number> = {};
  /** How many samples are in the means. */
  samples = 0;

  /**
   * Takes the samples of others in.
   * @internal
   */
  addAll({ samples, sums }: { samples: number; sums: Readonly<Record<string, number>> }): void {
    this.samples += samples;
    for (const [name, sum] of Object.entries(sums)) this.sums[name] = (this.sums[name] ?? 0) + sum;
  }

  /** Takes the means of so many samples in. */
  add(values: Readonly<Record<string, number>>, samples: number): void {
    this.samples += samples;
    for (const [name, value] of Object.entries(values)) this.sums[name] = (this.sums[name] ?? 0) + value * samples;
  }

  /** The mean of a name; NaN where there is none. */
  get(name: string): number {
    return (this.sums[name] ?? Number.NaN) / this.samples;
  }

  /** All means by name. */
  all(): Record<string, number> {
    return Object.fromEntries(Object.keys(this.sums).map((name) => [name, this.get(name)]));
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
    const all = new Averages();
    if (!group || group.worldSize < 2) {
      all.load(this.state());
      return all;
    }
    for (const part of averagesOfEach(this, group, label)) all.addAll(part.state());
    return all;
  }

  /** What `load` takes back. */
  state(): { samples: number; sums: Record<string, number> } {
    return { samples: this.samples, sums: { ...this.sums } };
  }

  /** Goes on from a state. */
  load({ samples, sums }: { samples: number; sums: Record<string, number> }): void {
    this.samples = samples;
    Object.assign(this.sums, sums);
  }
}

/** The averages of every rank, in rank order. A rank without samples knows no names, so these travel too. */
export function averagesOfEach(own: Averages, group: Group, label: string): Averages[] {
  const { samples, sums } = own.state();
  // JSON has no NaN, text does.
  const sent = [samples, Object.entries(sums).map(([name, sum]) => [name, String(sum)] as const)] as const;
  return allGatherObject(sent, { group, label }).map(([samples, texts]) => {
    const averages = new Averages();
    averages.load({ samples, sums: Object.fromEntries(texts.map(([name, text]) => [name, Number(text)])) });
    return averages;
  });
}
