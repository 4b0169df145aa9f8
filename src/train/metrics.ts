// Metrics: functions of output and target whose values are averaged over samples.

import { allGather, type CollectiveOptions, collectiveOptions, worldOfJob } from '../distributed/process_group.ts';
import { cast } from '../ops/convert.ts';
import { eq } from '../ops/elementwise.ts';
import { argmax, mean } from '../ops/reduce.ts';
import { requireOptions } from '../options.ts';
import { tensor } from '../tensor/create.ts';
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
    // A rank without samples knows no names, so these travel too. JSON has no NaN, text does.
    const text = JSON.stringify([this.samples, Object.entries(this.sums).map(([name, sum]) => [name, String(sum)])]);
    const bytes = tensor(new TextEncoder().encode(text));
    for (const part of allGather(bytes, { group, label, uneven: true })) {
      const json = new TextDecoder().decode(part.dataSync() as Uint8Array);
      const [samples, sums] = JSON.parse(json) as [number, [string, string][]];
      all.samples += samples;
      for (const [name, sum] of sums) all.sums[name] = (all.sums[name] ?? 0) + Number(sum);
    }
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
