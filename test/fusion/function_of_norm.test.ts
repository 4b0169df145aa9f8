// Activations other than ReLU behind a norm: one pass writes their values, one their gradients, and the norm's own
// values are nowhere.
import { describe, expect, it } from 'vitest';
import { withFusion } from '../../src/fusion/switch.ts';
import * as nn from '../../src/nn/index.ts';
import { toFormat } from '../../src/ops/convert.ts';
import * as ops from '../../src/ops/elementwise.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { unaryRows } from '../cases/unary.ts';
import { liveBytes } from '../support/live_bytes.ts';
import { describeHazards } from './hazards.ts';
import { kernelCalls } from './kernel_calls.ts';
import { bn, conv, describePatterns, net } from './patterns.ts';

const activations: Record<string, (x: Tensor) => Tensor> = {
  // All but ReLU, which has a rule of its own. What is compared at kinks begins with the default options.
  ...Object.fromEntries(
    unaryRows.flatMap(([name, { functional, case: row, kinks = [row!] }]) =>
      functional && name !== 'relu' ? [[name, kinks[0][1]]] : [],
    ),
  ),
  'leakyRelu, with a slope': (x) => ops.leakyRelu(x, { negativeSlope: 0.1 }),
  'hardtanh, with limits': (x) => ops.hardtanh(x, { minVal: -0.5, maxVal: 0.75 }),
  x·sigmoid: (x) => ops.mul(x, ops.sigmoid(x)),
};

describePatterns(
  Object.entries(activations).map(([name, act]) => ({
    name: `conv → bn → ${name} → conv`,
    shape: [2, 3, 7, 6],
    make: net(
      { c1: conv(3, 10, 3), b1: bn(10), c2: conv(10, 4, 1), b2: bn(4) },
      (m) => (x) => act(m.b2(m.c2(act(m.b1(m.c1(x)))))),
    ),
  })),
);

for (const name of ['silu', 'tanh', 'elu', 'x·sigmoid'])
  describeHazards(name, () => ({
    first: conv(3, 12, 3),
    norm: bn(12),
    activation: activations[name],
    consumer: conv(12, 4, 3).to('float64').call as (y: Tensor) => Tensor,
    x: toFormat(randn([2, 3, 6, 6]), 'channelsLast'),
  }));

describe('passes', () => {
  const model = (act: nn.Module) => new nn.Sequential(conv(3, 64, 3), bn(64), act, conv(64, 8, 3));
  /** Arithmetic of numbers for each channel. */
  const perChannel = new Set(['copyStrided', 'binary', 'binaryScalar', 'cast']);
  const kernels = (fn: () => unknown) => kernelCalls(fn).filter((name) => !perChannel.has(name));
  const input = () => toFormat(randn([4, 3, 16, 16]), 'channelsLast');

  it.each([
    [new nn.SiLU(), 'batchNormFunction'],
    [new nn.Hardswish(), 'batchNormFunction'],
    // Its derivative reads what it has written.
    [new nn.Sigmoid(), 'unaryBackward'],
  ])('conv → bn → %o writes the values of the activation only', (act, gradient) => {
    manualSeed(1);
    const [m, x] = [model(act), input()];
    expect(kernels(() => m(x))).toEqual(['conv', 'batchNormFunction', 'conv']);
    expect(withFusion(false, () => kernels(() => m(x)))).toEqual(['conv', 'batchNormForward', 'unary', 'conv']);
    const y = m(x);
    const g = toFormat(randn(y.shape), 'channelsLast');
    expect(kernels(() => y.backward(g))).toEqual([
      ...['convBackwardData', 'convBackwardWeight', gradient],
      ...['batchNormBackwardReduce', 'convBackwardWeight'],
    ]);
  });

  it('keeps two tensors, where the plain path has three', () => {
    const [m, x] = [new nn.Sequential(conv(3, 64, 3), bn(64), new nn.SiLU()), input()];
    const tensor = 4 * 4 * 64 * 16 * 16;
    const live = (fused: boolean) => withFusion(fused, () => liveBytes(() => void m(x)).peak);
    expect(live(false)).toBeGreaterThan(3 * tensor);
    // And the scratch of the convolution.
    expect(live(true)).toBeLessThan(2.5 * tensor);
  });

  it('what has joined a ReLU or a residual is written before', () => {
    const [c, b] = [conv(3, 8, 3), bn(8)];
    const z = b(c(input()));
    expect(kernels(() => ops.sigmoid(ops.relu(z)))).toEqual(['batchNormApply', 'unary']);
  });
});
