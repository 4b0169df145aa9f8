// How far the ranks of a job are apart: running statistics that each rank moves by itself, and parameters, which must
// not be apart at all.

import { keepNames } from '../../class_names.ts';
import { type Group, worldOfJob } from '../../distributed/process_group.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { inFormat } from '../../tensor/copy.ts';
import { fromTypedArray } from '../../tensor/create.ts';
import type { TypedArray } from '../../tensor/dtype.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { Module } from '../module.ts';
import { tableText } from '../table_text.ts';
import { rankList } from './model_agreement.ts';
import { runningPairs } from './running_statistics.ts';
import { valuesOfRanks } from './values_of_ranks.ts';

/** How far the ranks' running statistics of one batch norm are apart. */
export interface LayerSpread {
  /** The layer's path; of a set that `addStatistics` has added, with its name behind it. */
  readonly name: string;
  /**
   * |mean of a rank − mean of all| in units of √(variance of all + eps), of the rank and the channel where it is
   * largest; infinite where a rank's is not finite.
   */
  readonly mean: number;
  /** The rank where that is. */
  readonly meanRank: number;
  /** |variance of a rank − variance of all| / (variance of all + eps), where it is largest. */
  readonly variance: number;
  /** The rank where that is. */
  readonly varianceRank: number;
}

/** Means that are further apart change what the next layer sees. */
const limit = 0.1;

/** What `statisticsSpread` returns; `toString()` is a table, with a warning below it where there is something wrong. */
export class StatisticsSpread {
  /** The ranks that were compared. */
  readonly ranks: readonly number[];
  /** A row for each batch norm with running statistics, in the order of the tree. */
  readonly layers: readonly LayerSpread[];
  /**
   * The first parameter whose values are not the same on all ranks, and the ranks that differ from most; null: all are
   * the same.
   */
  readonly differingParameter: { readonly name: string; readonly ranks: readonly number[] } | null;

  constructor(
    ranks: readonly number[],
    layers: readonly LayerSpread[],
    differingParameter: StatisticsSpread['differingParameter'],
  ) {
    this.ranks = ranks;
    this.layers = layers;
    this.differingParameter = differingParameter;
  }

  /** The layer whose means are furthest apart; null: there is no batch norm. */
  get worst(): LayerSpread | null {
    return this.layers.reduce<LayerSpread | null>((most, each) => (most && most.mean >= each.mean ? most : each), null);
  }

  /** A table with a line for each layer. */
  toString(): string {
    const { ranks, layers, worst, differingParameter: parameter } = this;
    const head = ['layer', 'mean apart', 'rank', 'variance apart', 'rank'];
    const rows = layers.map(({ name, mean, meanRank, variance, varianceRank }) => [
      name,
      `${mean.toFixed(3)} std`,
      String(meanRank),
      `${(100 * variance).toFixed(1)} %`,
      String(varianceRank),
    ]);
    const lines = [
      ranks.length === 1 ? '1 rank' : `${ranks.length} ranks`,
      ...(rows.length > 0 ? tableText([head, ...rows]) : []),
    ];
    if (worst && worst.mean > limit)
      lines.push(
        `warning: the running means of '${worst.name}' are ${worst.mean.toFixed(3)} std apart, more than ${limit}: each rank evaluates another model. Call syncBuffers(model) before evaluation and saving, or train with SyncBatchNorm.`,
      );
    if (parameter)
      lines.push(
        `error: the parameter '${parameter.name}' is not the same on ${rankList(parameter.ranks)} as on the others: the ranks train different models.`,
      );
    return lines.join('\n');
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}

/** Two independent hashes (FNV-1a over words) of a tensor's bits. */
function hashOf(x: Tensor): [number, number] {
  const { buffer, byteOffset, byteLength } = inFormat(x.detach(), 'contiguous').dataSync();
  const words = new Int32Array(buffer, byteOffset, byteLength / 4);
  let [a, b] = [0x811c9dc5 | 0, 0x9747b28c | 0];
  for (const word of words) {
    a = Math.imul(a ^ word, 0x01000193);
    // High bits reach low ones here, which a product alone does not do.
    b = Math.imul(b ^ word ^ (b >>> 15), 0x2c1b3c6d);
  }
  return [a, b];
}

/** The first name whose hashes differ, and the ranks that are not among the most that agree. */
function firstDifference(names: readonly string[], hashes: readonly TypedArray[], ranks: readonly number[]) {
  for (const [i, name] of names.entries()) {
    const keys = hashes.map((all) => `${all[2 * i]} ${all[2 * i + 1]}`);
    if (keys.every((key) => key === keys[0])) continue;
    const votes = (key: string) => keys.filter((each) => each === key).length;
    // Of as many, those with the first rank are taken to be right.
    const right = keys.reduce((most, key) => (votes(key) > votes(most) ? key : most));
    return { name, ranks: ranks.filter((_, rank) => keys[rank] !== right) };
  }
  return null;
}

/** Where a rank's value is furthest from the centre, in units of `scale`: how far, and which rank it is. */
function furthest(
  ranks: readonly number[],
  values: readonly (readonly number[])[],
  centre: readonly number[],
  scale: readonly number[],
) {
  let [most, at] = [0, ranks[0]];
  for (const [rank, name] of ranks.entries())
    for (const [c, value] of values[rank].entries()) {
      // One rank's NaN makes the centre NaN; it is that rank which is far off.
      const apart = Number.isFinite(value) ? Math.abs(value - centre[c]) / scale[c] : Infinity;
      if (apart > most) [most, at] = [apart, name];
    }
  return [most, at] as const;
}

/** Options of `statisticsSpread`. */
export interface StatisticsSpreadOptions {
  /** The processes that take part. Default: all of the job. */
  group?: Group;
}
const spreadOptions = declareOptions<StatisticsSpreadOptions>({ group: kind.object });

/**
 * Compares the ranks of a job, in one exchange: how far the running statistics of each batch norm are apart, and
 * whether all parameters are the same to the bit. Every rank must call it, and gets the same.
 *
 * Plain batch norms on several processes have statistics of their own on each, and what evaluation gives depends on the
 * rank that runs it (pytorch#13711, pytorch#30718, mmdetection#2539). Beyond 0.1 standard deviations the text warns;
 * `syncBuffers` mends it.
 *
 * @throws RuntimeError where ranks do not have the same batch norms or parameters, or do not call it.
 * @example
 * console.log(String(statisticsSpread(model)));
 */
export function statisticsSpread(model: Module, options: StatisticsSpreadOptions = {}): StatisticsSpread {
  requireOptions('statisticsSpread', options, spreadOptions);
  const group = options.group ?? worldOfJob();
  const pairs = runningPairs(model);
  const parameters = model.namedParameters();
  const hashes = fromTypedArray(Int32Array.from(parameters.flatMap(([, each]) => hashOf(each))), [
    2 * parameters.length,
  ]);
  const tensors = [hashes, ...pairs.flatMap(({ mean, variance }) => [mean, variance])];
  const label = `the statistics and ${parameters.length} parameters of ${model.constructor.name}`;
  const values = valuesOfRanks(tensors, group, label);
  const ranks = group?.ranks ?? [0];
  const layers = pairs.map(({ name, norm: { eps } }, i): LayerSpread => {
    const [means, variances] = [1, 2].map((k) =>
      values.map((all) => Array.from(all[2 * i + k] as Float64Array, Number)),
    );
    const across = (c: number, of: readonly (readonly number[])[]) =>
      of.reduce((sum, each) => sum + (each[c] - of[0][c]), 0) / of.length + of[0][c];
    const mean = means[0].map((_, c) => across(c, means));
    // Of all data: what the ranks' means scatter belongs to it.
    const variance = mean.map(
      (centre, c) =>
        across(c, variances) + means.reduce((sum, each) => sum + (each[c] - centre) ** 2, 0) / means.length,
    );
    const scale = variance.map((value) => value + eps);
    const [meanApart, meanRank] = furthest(ranks, means, mean, scale.map(Math.sqrt));
    const [varianceApart, varianceRank] = furthest(ranks, variances, variance, scale);
    return { name, mean: meanApart, meanRank, variance: varianceApart, varianceRank };
  });
  const names = parameters.map(([name]) => name);
  const differing = firstDifference(
    names,
    values.map(([first]) => first),
    ranks,
  );
  return new StatisticsSpread(ranks, layers, differing);
}

keepNames({ StatisticsSpread });
