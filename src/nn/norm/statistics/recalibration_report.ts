// What preciseBatchNorm has changed, as data and as a table. Not here: how it is computed (recalibrate.ts).

import { tableText } from '../../table_text.ts';

/** A figure of every channel of a layer, summed up. */
export interface ChannelShift {
  /** Of the channel where it is smallest. */
  readonly min: number;
  /** The mean over the channels. */
  readonly mean: number;
  /** Of the channel where it is largest. */
  readonly max: number;
}

/** What `preciseBatchNorm` has changed in one layer. */
export interface LayerRecalibration {
  /** The layer's name, as in `namedModules`. */
  readonly name: string;
  /** How many channels it has. */
  readonly channels: number;
  /** Batches that reached the layer. */
  readonly batches: number;
  /** Values per channel in all of them. */
  readonly samples: number;
  /** |new mean − old mean| in units of the old √(variance + eps). */
  readonly shift: ChannelShift;
  /** (New variance + eps) / (old variance + eps). */
  readonly varianceRatio: ChannelShift;
  /**
   * Of the new mean, in units of the new standard deviation, in the channel where it is largest; NaN from a single
   * batch.
   */
  readonly standardError: number;
  /** Whether that is as small as was asked for; null where nothing was asked. */
  readonly isConverged: boolean | null;
}

/** What `preciseBatchNorm` returns; `toString()` is a table. */
export class RecalibrationReport {
  /** Batches taken from the loader. */
  readonly batches: number;
  /** The layers whose statistics were computed, in the order of the tree. */
  readonly layers: readonly LayerRecalibration[];
  /** Batch norms whose statistics are as before, and why. */
  readonly unchanged: readonly { readonly name: string; readonly reason: string }[];

  constructor(batches: number, layers: RecalibrationReport['layers'], unchanged: RecalibrationReport['unchanged']) {
    this.batches = batches;
    this.layers = layers;
    this.unchanged = unchanged;
  }

  /** A table with a line for each layer. */
  toString(): string {
    const isAsked = this.layers.some(({ isConverged }) => isConverged !== null);
    const head = ['layer', 'channels', 'samples', 'mean shift', 'at most', 'variance ratio', 'error', 'converged'];
    const rows = this.layers.map(({ name, channels, samples, shift, varianceRatio, standardError, isConverged }) => [
      name || '(the model)',
      String(channels),
      String(samples),
      `${shift.mean.toFixed(3)} std`,
      `${shift.max.toFixed(3)} std`,
      `${varianceRatio.min.toFixed(3)}-${varianceRatio.max.toFixed(3)}`,
      standardError.toFixed(4),
      isConverged ? 'yes' : 'no',
    ]);
    const table = [head, ...rows].map((row) => (isAsked ? row : row.slice(0, -1)));
    const lines = tableText(table);
    const rest = this.unchanged.map(({ name, reason }) => `${name || '(the model)'} unchanged: ${reason}`);
    return [`${this.batches} batches`, ...(this.layers.length > 0 ? lines : []), ...rest].join('\n');
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}
