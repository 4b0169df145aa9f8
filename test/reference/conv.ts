// Convolution as its definition: y[o] += x[c] · w[o][c] wherever output, tap and input meet; both gradients from the same walk.
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
  for (let n = 0; n < g.n; n++)
    for (let o = 0; o < g.o; o++)
      eachPosition(g.output, (d, h, v) => {
        const to = yAt(n, o, d, h, v);
        y[to] += bias[o];
        dbias[o] += dy[to];
        for (let c = 0; c < inputs; c++)
          eachPosition(g.kernel, (kd, kh, kw) => {
            const id = d * g.stride[0] - g.padding[0] + kd * g.dilation[0];
            const ih = h * g.stride[1] - g.padding[1] + kh * g.dilation[1];
            const iw = v * g.stride[2] - g.padding[2] + kw * g.dilation[2];
            if (id < 0 || id >= g.input[0] || ih < 0 || ih >= g.input[1] || iw < 0 || iw >= g.input[2]) return;
            const from = xAt(n, Math.floor(o / outputs) * inputs + c, id, ih, iw);
            const tap = (((o * inputs + c) * g.kernel[0] + kd) * g.kernel[1] + kh) * g.kernel[2] + kw;
            y[to] += x[from] * w[tap];
            dx[from] += dy[to] * w[tap];
            dw[tap] += dy[to] * x[from];
          });
      });
  return { y, dx, dw, dbias };
}
