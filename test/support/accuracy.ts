// How far results are from float64 truth, for data far from 0: the cases, the truth, and our errors. The truth is
// computed from the rounded inputs. Used by the accuracy test and by the table in docs/accuracy.md.
import * as nn from '../../src/nn/index.ts';
import { tensor } from '../../src/tensor/create.ts';
import { Generator } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import type { MemoryFormat } from '../../src/tensor/shape.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { sum } from '../reference/reduce.ts';

export interface AccuracyCase {
  readonly layer: 'BatchNorm' | 'InstanceNorm' | 'GroupNorm' | 'LayerNorm';
  readonly shape: readonly number[];
  readonly format: MemoryFormat;
  /** Mean of the data; their standard deviation is 1. */
  readonly mean: number;
}

export interface Errors {
  /** Largest |y − truth|. */
  readonly y: number;
  /** Largest |running variance − truth|/truth after one batch with momentum 1; batch norm only. */
  readonly runningVar: number | null;
}

const layouts: readonly Omit<AccuracyCase, 'mean'>[] = [
  { layer: 'BatchNorm', shape: [64, 4, 8, 8], format: 'contiguous' },
  { layer: 'BatchNorm', shape: [64, 4, 8, 8], format: 'channelsLast' },
  { layer: 'BatchNorm', shape: [4096, 4], format: 'contiguous' },
  { layer: 'InstanceNorm', shape: [2, 2, 64, 64], format: 'contiguous' },
  { layer: 'GroupNorm', shape: [2, 8, 32, 32], format: 'contiguous' },
  { layer: 'GroupNorm', shape: [2, 8, 32, 32], format: 'channelsLast' },
  { layer: 'LayerNorm', shape: [4, 4096], format: 'contiguous' },
];
export const accuracyMeans = [0, 1e2, 1e4, 1e6];
export const accuracyCases: readonly AccuracyCase[] = layouts.flatMap((layout) =>
  accuracyMeans.map((mean) => ({ ...layout, mean })),
);
export const groups = 2;

/** Normal numbers from a fixed seed, rounded to float32; row-major. */
export function accuracyData({ shape, mean }: AccuracyCase): Float32Array {
  const generator = new Generator(0);
  return (randn([...shape], { generator }).dataSync() as Float32Array).map((value) => mean + value);
}

/** The places (row-major) of each set of values that is normalized together. */
function sets({ layer, shape }: AccuracyCase): number[][] {
  const [n, c] = shape;
  const s = shape.slice(2).reduce((a, b) => a * b, 1);
  const setOf = {
    BatchNorm: (_image: number, channel: number) => channel,
    InstanceNorm: (image: number, channel: number) => image * c + channel,
    GroupNorm: (image: number, channel: number) => image * groups + Math.floor((channel * groups) / c),
    LayerNorm: (image: number) => image,
  }[layer];
  const found: number[][] = [];
  for (let i = 0; i < n; i++)
    for (let j = 0; j < c; j++)
      for (let k = 0; k < s; k++) {
        const set = setOf(i, j);
        if (!found[set]) found[set] = [];
        found[set].push((i * c + j) * s + k);
      }
  return found;
}

export interface Truth {
  readonly y: Float64Array;
  /** Unbiased, per set. */
  readonly variance: readonly number[];
}

export function truthOf(one: AccuracyCase, x: Float32Array): Truth {
  const y = new Float64Array(x.length);
  const variance = sets(one).map((places) => {
    const mean = sum(places.map((p) => x[p])) / places.length;
    const m2 = sum(places.map((p) => (x[p] - mean) ** 2));
    for (const p of places) y[p] = (x[p] - mean) / Math.sqrt(m2 / places.length + 1e-5);
    return m2 / (places.length - 1);
  });
  return { y, variance };
}

export function errorsOf(truth: Truth, y: ArrayLike<number>, runningVar: ArrayLike<number> | null): Errors {
  let worst = 0;
  for (let i = 0; i < y.length; i++) worst = Math.max(worst, Math.abs(y[i] - truth.y[i]));
  return {
    y: worst,
    runningVar: runningVar && Math.max(...truth.variance.map((v, i) => Math.abs(runningVar[i] - v) / v)),
  };
}

/** Our result on the present engine. */
export function measureAccuracy(one: AccuracyCase): Errors {
  const { layer, shape, format } = one;
  const x = accuracyData(one);
  const input = tensor(x)
    .reshape([...shape])
    .contiguous(format);
  const c = shape[1];
  const batchNorm = () => new (shape.length === 2 ? nn.BatchNorm1d : nn.BatchNorm2d)(c, { momentum: 1 });
  const module: nn.Module & { runningVar?: Tensor | null } = {
    BatchNorm: batchNorm,
    InstanceNorm: () => new nn.InstanceNorm2d(c),
    GroupNorm: () => new nn.GroupNorm(groups, c),
    LayerNorm: () => new nn.LayerNorm(shape.slice(1)),
  }[layer]();
  const y = module(input).contiguous() as Tensor;
  return errorsOf(
    truthOf(one, x),
    y.dataSync() as Float32Array,
    (module.runningVar?.dataSync() as Float32Array) ?? null,
  );
}
