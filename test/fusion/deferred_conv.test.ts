// Convolutions that nobody records: they are carried out with the norm, the addition and the ReLU behind them, once,
// and nothing else is written.
import { describe, expect, it } from 'vitest';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import { withFusion } from '../../src/fusion/switch.ts';
import * as nn from '../../src/nn/index.ts';
import { fold } from '../../src/nn/index.ts';
import { toFormat } from '../../src/ops/convert.ts';
import { add, relu } from '../../src/ops/elementwise.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose } from '../support/golden.ts';
import { liveBytes } from '../support/live_bytes.ts';
import { kernelCalls } from './kernel_calls.ts';

/** A residual block: conv → bn → relu → conv → bn → add → relu. */
class Block extends nn.Module {
  readonly c1: nn.Conv2d;
  readonly b1: nn.BatchNorm2d;
  readonly c2: nn.Conv2d;
  readonly b2: nn.BatchNorm2d;
  constructor(channels: number) {
    super();
    this.c1 = new nn.Conv2d(channels, channels, 3, { padding: 1, bias: false });
    this.b1 = new nn.BatchNorm2d(channels);
    this.c2 = new nn.Conv2d(channels, channels, 1, { bias: false });
    this.b2 = new nn.BatchNorm2d(channels);
  }
  forward(x: Tensor): Tensor {
    const y = relu(this.b1(this.c1(x)));
    return relu(add(this.b2(this.c2(y)), x));
  }
}

function block(channels = 24): { model: Block; x: Tensor } {
  manualSeed(4);
  const model = new Block(channels);
  for (const [name, t] of [...model.namedParameters(), ...model.namedBuffers()])
    if (name.startsWith('b') && !name.endsWith('tracked')) noGrad(() => t.copy_(relu(randn(t.shape)).add_(0.5)));
  return { model: model.eval(), x: toFormat(randn([2, channels, 7, 9]), 'channelsLast') };
}

/** Arithmetic of parameters. */
const perChannel = new Set(['copyStrided', 'binary', 'binaryScalar', 'cast']);
const onTensors = (fn: () => Tensor): string[] =>
  kernelCalls(() => fn().dataSync()).filter((name) => !perChannel.has(name));
const numbers = (x: Tensor): number[] => Array.from(x.dataSync() as Float32Array, Number);
const plainly = <R>(fn: () => R): R => withFusion(false, fn);
/** A few dozen roundings of sums of hundreds of values of about 1. */
const tolerance = 2e-5;

describe('evaluation without gradients', () => {
  it('a convolution that is added to itself', () => {
    manualSeed(5);
    const [conv, x] = [new nn.Conv2d(3, 8, 3), randn([2, 3, 6, 6])];
    const twice = () => numbers(noGrad(() => scope(() => relu(add(conv(x), conv(x))))));
    const itself = () =>
      numbers(
        noGrad(() =>
          scope(() => {
            const y = conv(x);
            return relu(add(y, y));
          }),
        ),
      );
    expectClose(itself(), plainly(itself), tolerance);
    expectClose(twice(), plainly(twice), tolerance);
  });

  it('is the convolutions alone', () => {
    const { model, x } = block();
    noGrad(() => {
      expect(onTensors(() => model(x) as Tensor)).toEqual(['conv', 'conv']);
      const plain = ['conv', 'batchNormApply', 'unary'];
      expect(plainly(() => kernelCalls(() => model(x))).filter((name) => !perChannel.has(name))).toEqual([
        ...plain,
        'conv',
        'batchNormApply',
        'unary',
      ]);
    });
  });

  it('of a folded model too, whose weights are there once', () => {
    const { model, x } = block();
    const folded = fold(model, x);
    expect(folded.folded).toEqual(['b1', 'b2']);
    noGrad(() => {
      // No norm is left whose numbers would have to be formed.
      const isKernel = (name: string) => !/Scratch$|^isa$/.test(name);
      expect(kernelCalls(() => (folded.model(x) as Tensor).materialize(), isKernel)).toEqual(['conv', 'conv']);
      expectClose(folded.model(x) as Tensor, numbers(plainly(() => model(x) as Tensor)), tolerance);
    });
  });

  it('takes no memory but the outputs, and none for weights', () => {
    const { model, x } = block(64);
    const output = x.size * 4;
    const run = () => noGrad(() => void (model(x) as Tensor).dataSync());
    run(); // what convolutions pack into stays
    // Both outputs, what is read out, and some numbers for each channel.
    expect(liveBytes(run).peak).toBeLessThan(3 * output + 32 * 1024);
  });
});

describe('who looks sees the values', () => {
  it('of the convolution, the norm and the sum, in any order', () => {
    const outcome = () =>
      noGrad(() => {
        const { model, x } = block();
        const raw = model.c1(x) as Tensor;
        const z = model.b1(raw) as Tensor;
        const y = relu(z);
        return [y, raw, z, add(y, raw), relu(raw)].map(numbers);
      });
    const [fused, plain] = [outcome(), plainly(outcome)];
    for (const [i, values] of fused.entries())
      for (const [j, value] of values.entries()) expect(Math.abs(value - plain[i][j])).toBeLessThan(tolerance);
  });

  it('of the time of the call, whatever becomes of input, weights, statistics and output', () => {
    const outcome = () =>
      noGrad(() => {
        const { model, x } = block();
        const { c1, b1 } = model;
        const raw = c1(x) as Tensor;
        const y = relu(b1(raw) as Tensor);
        for (const t of [x, c1.weight, b1.weight!, b1.bias!, b1.runningMean!, b1.runningVar!]) t.fill_(7);
        const before = raw.clone();
        raw.fill_(7);
        return [y, before, raw, x, c1.weight].map(numbers);
      });
    const [fused, plain] = [outcome(), plainly(outcome)];
    for (const [i, values] of fused.entries())
      for (const [j, value] of values.entries()) expect(Math.abs(value - plain[i][j])).toBeLessThan(tolerance);
  });

  it('where they outlive the scope of what they are computed from', () => {
    const { model, x } = block();
    const expected = numbers(plainly(() => noGrad(() => model(x) as Tensor)));
    expectClose(
      noGrad(() => scope(() => model(x) as Tensor)),
      expected,
      tolerance,
    );
  });

  it('through a view of another shape, which is not taken for the output', () => {
    const outcome = () =>
      noGrad(() => {
        const { model, x } = block();
        const raw = model.c1(x.contiguous()) as Tensor;
        const [n, c, h, w] = raw.shape;
        const halves = raw.reshape([2 * n, c / 2, h, w]);
        return numbers(relu(new nn.BatchNorm2d(c / 2).eval()(halves) as Tensor));
      });
    const [fused, plain] = [outcome(), plainly(outcome)];
    for (const [j, value] of fused.entries()) expect(Math.abs(value - plain[j])).toBeLessThan(tolerance);
  });

  it('at the end of chains of any length', () => {
    const outcome = () =>
      noGrad(() => {
        const { model, x } = block(8);
        let [y, total] = [x, x];
        for (let i = 0; i < 150; i++) {
          y = model(y) as Tensor;
          total = add(model.c1(x) as Tensor, total);
        }
        return [y, total].map(numbers);
      });
    const [fused, plain] = [outcome(), plainly(outcome)];
    // Values grow, and roundings with them.
    for (const [i, values] of fused.entries())
      for (const [j, value] of values.entries())
        expect(Math.abs(value / plain[i][j] - 1) < 1e-3 || Math.abs(value - plain[i][j]) < tolerance).toBe(true);
  });

  it('computed once for all that hold them', () => {
    const { model, x } = block();
    noGrad(() => {
      const raw = model.c1(x) as Tensor;
      const [a, b] = [raw, relu(raw)];
      // Asked for first, the convolution itself is there for what is behind it.
      expect(onTensors(() => a)).toEqual(['conv']);
      expect(onTensors(() => b)).toEqual(['batchNormApply']);
    });
  });
});

describe('a trainable layer behind a frozen convolution', () => {
  it('has the gradients of the plain path', () => {
    const outcome = () => {
      const { model, x } = block();
      for (const p of model.c1.parameters()) p.requiresGrad = false;
      for (const p of model.b1.parameters()) p.requiresGrad = false;
      (model(x) as Tensor).sum().backward();
      return [model.c2.weight, model.b2.weight!, model.b2.bias!].map((p) => numbers(p.grad!));
    };
    const [fused, plain] = [outcome(), plainly(outcome)];
    // Sums over 126 values.
    for (const [i, values] of fused.entries())
      for (const [j, value] of values.entries()) expect(Math.abs(value - plain[i][j])).toBeLessThan(100 * tolerance);
  });
});
