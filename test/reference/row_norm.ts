// Normalization of rows in float64 from the definitions. x: (n, g, k, s) or, channels last, (n, s, g, k).
import { sum } from './reduce.ts';

export interface RowNormCase {
  n: number;
  g: number;
  k: number;
  s: number;
  channelsLast: boolean;
  centred: boolean;
}

/** The place of value (i, j) of row (image, group), i < k, j < s. */
function place({ g, k, s, channelsLast }: RowNormCase, image: number, group: number, i: number, j: number): number {
  return channelsLast ? ((image * s + j) * g + group) * k + i : ((image * g + group) * k + i) * s + j;
}

export function rowNormReference(
  c: RowNormCase,
  x: readonly number[],
  dy: readonly number[],
  weight: readonly number[],
  bias: readonly number[],
  eps: number,
) {
  const [y, dx] = [new Array<number>(x.length), new Array<number>(x.length)];
  const [dweight, dbias] = [new Array<number>(c.g * c.k).fill(0), new Array<number>(c.g * c.k).fill(0)];
  const rows: { mean: number; m2: number; invstd: number }[] = [];
  for (let image = 0; image < c.n; image++)
    for (let group = 0; group < c.g; group++) {
      const values: { at: number; w: number }[] = [];
      for (let i = 0; i < c.k; i++)
        for (let j = 0; j < c.s; j++) values.push({ at: place(c, image, group, i, j), w: group * c.k + i });
      const length = values.length;
      const mean = c.centred ? sum(values.map(({ at }) => x[at])) / length : 0;
      const m2 = sum(values.map(({ at }) => (x[at] - mean) ** 2));
      const invstd = 1 / Math.sqrt(m2 / length + eps);
      const normal = (at: number) => (x[at] - mean) * invstd;
      const meanH = c.centred ? sum(values.map(({ at, w }) => dy[at] * weight[w])) / length : 0;
      const meanHX = sum(values.map(({ at, w }) => dy[at] * weight[w] * normal(at))) / length;
      for (const { at, w } of values) {
        y[at] = normal(at) * weight[w] + bias[w];
        dx[at] = invstd * (dy[at] * weight[w] - meanH - normal(at) * meanHX);
        dweight[w] += dy[at] * normal(at);
        dbias[w] += dy[at];
      }
      rows.push({ mean, m2, invstd });
    }
  return { y, dx, dweight, dbias, rows };
}
