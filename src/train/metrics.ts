// Metrics: functions of output and target whose values are averaged over samples.

import { cast } from '../ops/convert.ts';
import { eq } from '../ops/elementwise.ts';
import { argmax, mean } from '../ops/reduce.ts';
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
