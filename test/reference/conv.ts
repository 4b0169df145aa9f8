// Convolution as its definition: y[o] += x[c] · w[o][c] wherever output, tap and input meet; both gradients from the
// same walk.
import type { Format } from '../../src/device/generated/abi.ts';
import { eachPosition, elements, indexer, type Volume } from './layout.ts';

export interface ConvCase {
  n: number;
  c: number;
  o: number;
  groups: number;
  input: Volume;
  output: Volume;
  kernel: Volume;
  stride: Volume;
  padding: Volume;
  dilation: Volume;
  xFormat: Format;
  yFormat: Format;
}

export function convReference(
  g: ConvCase,
  x: readonly number[],
  w: readonly number[],
  bias: readonly number[],
  dy: readonly number[],
) {
  const inputs = g.c / g.groups;
  const outputs = g.o / g.groups;
  const y = new Array<number>(g.n * g.o * elements(g.output)).fill(0);
  const dx = new Array<number>(x.length).fill(0);
  const dw = new Array<number>(w.length).fill(0);
  const dbias = new Array<number>(g.o).fill(0);
  const xAt = indexer(g.xFormat, g.c, g.input);
  const yAt = indexer(g.yFormat, g.o, g.output);
  eachPosition(g.output, (d, h, v) => {
    // The taps of the kernel that meet the input here, in all channels alike.
    const met: { tap: number; at: Volume }[] = [];
    let tap = 0;
    eachPosition(g.kernel, (...k) => {
      const at = [d, h, v].map((out, axis) => out * g.stride[axis] - g.padding[axis] + k[axis] * g.dilation[axis]);
      if (at.every((position, axis) => position >= 0 && position < g.input[axis]))
        met.push({ tap, at: at as unknown as Volume });
      tap++;
    });
    const taps = elements(g.kernel);
    for (let n = 0; n < g.n; n++)
      for (let o = 0; o < g.o; o++) {
        const to = yAt(n, o, d, h, v);
        y[to] += bias[o];
        dbias[o] += dy[to];
        for (let c = 0; c < inputs; c++)
          for (const { tap, at } of met) {
            const from = xAt(n, Math.floor(o / outputs) * inputs + c, at[0], at[1], at[2]);
            const weight = (o * inputs + c) * taps + tap;
            y[to] += x[from] * w[weight];
            dx[from] += dy[to] * w[weight];
            dw[weight] += dy[to] * x[from];
          }
      }
  });
  return { y, dx, dw, dbias };
}
