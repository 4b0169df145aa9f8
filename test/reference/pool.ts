// Pooling as its definition. As in PyTorch: the first of equal maxima, a NaN always; a divisor counts padding only on
// request.
import type { Format } from '../../src/device/generated/abi.ts';
import { eachPosition, elements, indexer, type Volume } from './layout.ts';

export interface PoolCase {
  n: number;
  c: number;
  input: Volume;
  output: Volume;
  kernel: Volume;
  stride: Volume;
  padding: Volume;
  dilation: Volume;
  format: Format;
  adaptive: boolean;
}

/** Positions inside the input that output i reads along axis d, and the window's size with padding. */
function taps(g: PoolCase, d: number, i: number): { at: number[]; full: number } {
  const size = g.input[d];
  const at: number[] = [];
  if (g.adaptive) {
    const end = Math.ceil(((i + 1) * size) / g.output[d]);
    for (let p = Math.floor((i * size) / g.output[d]); p < end; p++) at.push(p);
    return { at, full: at.length };
  }
  const start = i * g.stride[d] - g.padding[d];
  for (let k = 0; k < g.kernel[d]; k++) {
    const p = start + k * g.dilation[d];
    if (p >= 0 && p < size) at.push(p);
  }
  return { at, full: Math.min(start + g.kernel[d], size + g.padding[d]) - start };
}

export function poolReference(
  g: PoolCase,
  x: readonly number[],
  dy: readonly number[],
  countIncludePad: boolean,
  divisor: number,
) {
  const size = g.n * g.c * elements(g.output);
  const average = new Array<number>(size).fill(0);
  const maximum = new Array<number>(size).fill(Number.NEGATIVE_INFINITY);
  const indices = new Array<number>(size).fill(-1);
  const averageDx = new Array<number>(x.length).fill(0);
  const maximumDx = new Array<number>(x.length).fill(0);
  const xAt = indexer(g.format, g.c, g.input);
  const yAt = indexer(g.format, g.c, g.output);
  for (let n = 0; n < g.n; n++)
    for (let c = 0; c < g.c; c++)
      eachPosition(g.output, (d, h, w) => {
        const to = yAt(n, c, d, h, w);
        const window = [taps(g, 0, d), taps(g, 1, h), taps(g, 2, w)];
        const inside = window[0].at.length * window[1].at.length * window[2].at.length;
        const full = window[0].full * window[1].full * window[2].full;
        const by = divisor || (countIncludePad ? full : inside);
        let best = -1;
        for (const id of window[0].at)
          for (const ih of window[1].at)
            for (const iw of window[2].at) {
              const from = xAt(n, c, id, ih, iw);
              average[to] += x[from] / by;
              averageDx[from] += dy[to] / by;
              if (best >= 0 && !(x[from] > maximum[to] || Number.isNaN(x[from]))) continue;
              best = from;
              maximum[to] = x[from];
              indices[to] = (id * g.input[1] + ih) * g.input[2] + iw;
            }
        if (best >= 0) maximumDx[best] += dy[to];
      });
  return { average, averageDx, maximum, maximumDx, indices };
}
