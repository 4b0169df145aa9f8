// Patterns of layers, run fused and plain on the same numbers and held together: outputs, gradients and running
// statistics.
import { describe, expect, it } from 'vitest';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import { withFusion } from '../../src/fusion/switch.ts';
import * as nn from '../../src/nn/index.ts';
import { toFormat } from '../../src/ops/convert.ts';
import { add, mul } from '../../src/ops/elementwise.ts';
import { sum } from '../../src/ops/reduce.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import type { MemoryFormat } from '../../src/tensor/shape.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';

type Float = 'float32' | 'float64';
/** A few dozen roundings in another order; float32's are relative to sums of hundreds of values. */
export const tolerance = { float32: 2e-5, float64: 1e-11 };

class Net extends nn.Module {
  private readonly body: (x: Tensor) => Tensor;
  constructor(children: Record<string, nn.Module>, body: (m: never) => (x: Tensor) => Tensor) {
    super();
    for (const [name, child] of Object.entries(children)) this.registerModule(name, child);
    this.body = body(children as never);
  }
  forward(x: Tensor): Tensor {
    return this.body(x);
  }
}

export type Modules = Record<string, nn.Conv2d & nn.BatchNorm2d & nn.Linear>;
export const net = (children: Record<string, nn.Module>, body: (m: Modules) => (x: Tensor) => Tensor) => () =>
  new Net(children, body as (m: never) => (x: Tensor) => Tensor);

export interface Pattern {
  readonly name: string;
  readonly shape: number[];
  readonly make: () => nn.Module;
}
export const conv = (i: number, o: number, k: number, options: object = {}) =>
  new nn.Conv2d(i, o, k, { padding: k >> 1, ...options });
export const bn = (c: number) => new nn.BatchNorm2d(c);

export const numbers = (x: Tensor): number[] => Array.from(x.dataSync() as Float32Array, Number);

interface Outcome {
  y: Tensor;
  grads: Map<string, Tensor>;
  buffers: Map<string, Tensor>;
}

type Mode = 'train' | 'eval' | 'eval without gradients';
/** One step in `mode` on the same numbers, with fusion on or off. */
function run(pattern: Pattern, fused: boolean, dtype: Float, format: MemoryFormat, mode: Mode): Outcome {
  return withFusion(fused, () => {
    manualSeed(3);
    const model = pattern.make().to(dtype);
    // Wide enough that values reach the upper limit of a ReLU6.
    for (const [name, p] of model.namedParameters())
      if (/b\d\./.test(name)) noGrad(() => p.copy_(add(mul(randn(p.shape, { dtype }), 3), 0.5)));
    for (const [name, buffer] of model.namedBuffers())
      if (name.endsWith('running_var')) noGrad(() => buffer.copy_(add(mul(randn(buffer.shape, { dtype }), 0.1), 1)));
    if (mode !== 'train') model.eval();
    const x = toFormat(randn(pattern.shape, { dtype }), format).requiresGrad_();
    if (mode === 'eval without gradients')
      return { y: noGrad(() => model(x) as Tensor), grads: new Map(), buffers: new Map() };
    const y = model(x) as Tensor;
    // Some parameters change after the forward, as when a step is taken between a forward and the look at its result.
    const cotangent = toFormat(randn(y.shape, { dtype }), format);
    sum(mul(y, cotangent)).backward();
    const grads = new Map([
      ['x', x.grad!],
      ...[...model.namedParameters()].map(([name, p]) => [name, p.grad!] as [string, Tensor]),
    ]);
    return { y, grads, buffers: new Map(model.namedBuffers()) };
  });
}

function expectAlike(fused: Outcome, plain: Outcome, limit: number): void {
  const pairs: [string, Tensor, Tensor][] = [['y', fused.y, plain.y]];
  for (const [name, g] of plain.grads) pairs.push([`grad of ${name}`, fused.grads.get(name)!, g]);
  for (const [name, b] of plain.buffers) pairs.push([name, fused.buffers.get(name)!, b]);
  for (const [name, a, b] of pairs) {
    const [values, expected] = [a.dataSync(), b.dataSync()];
    let scale = 1;
    for (const v of expected) scale = Math.max(scale, Math.abs(Number(v)));
    // The gradient of a bias before a norm is 0: what is left are the roundings of a sum of some hundred values.
    if (/^grad of c\d\.bias/.test(name)) scale *= 10;
    for (let i = 0; i < expected.length; i++)
      if (!(Math.abs(Number(values[i]) - Number(expected[i])) <= limit * scale))
        expect.fail(`${name}[${i}]: ${values[i]} with fusion, ${expected[i]} without (largest ${scale})`);
  }
}

/** Every pattern, in every mode, dtype and format: fused as plain. */
export function describePatterns(patterns: readonly Pattern[]): void {
  describe.each(['channelsLast', 'contiguous'] as const)('%s', (format) => {
    describe.each(['float64', 'float32'] as const)('%s', (dtype) => {
      for (const pattern of patterns)
        for (const mode of ['train', 'eval', 'eval without gradients'] as const)
          it(`${pattern.name}, ${mode}`, () => {
            const [fused, plain] = [true, false].map((on) => run(pattern, on, dtype, format, mode));
            expectAlike(fused, plain, tolerance[dtype]);
          });
    });
  });
}
