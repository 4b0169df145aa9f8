// Poolings that read a norm: they take its raw input and normalize what they read.
import { describe, expect, it } from 'vitest';
import { withFusion } from '../../src/fusion/switch.ts';
import * as nn from '../../src/nn/index.ts';
import { toFormat } from '../../src/ops/convert.ts';
import { add, hardtanh, relu } from '../../src/ops/elementwise.ts';
import { adaptiveAvgPool2d, adaptiveMaxPool2d, avgPool2d, maxPool2d } from '../../src/ops/pool.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import type { MemoryFormat } from '../../src/tensor/shape.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { liveBytes } from '../support/live_bytes.ts';
import { type Chain, describeHazards } from './hazards.ts';
import { kernelCalls } from './kernel_calls.ts';
import { bn, conv, describePatterns, net } from './patterns.ts';

const relu6 = (x: Tensor): Tensor => hardtanh(x, { minVal: 0, maxVal: 6 });
const pools: Record<string, (y: Tensor) => Tensor> = {
  'maximum, overlapping': (y) => maxPool2d(y, 3, { stride: 2, padding: 1 }),
  'maximum, adaptive': (y) => adaptiveMaxPool2d(y, [3, 2]),
  'average, tiles': (y) => avgPool2d(y, 2),
  'average, overlapping with padding': (y) => avgPool2d(y, 3, { stride: 2, padding: 1 }),
  'average of everything': (y) => adaptiveAvgPool2d(y, 1),
};

describePatterns([
  ...Object.entries(pools).flatMap(([name, pool]) =>
    ([70, 3] as const).map((c) => ({
      name: `conv → bn → relu → pool, ${name}, ${c} channels`,
      shape: [2, 3, 9, 12],
      make: net({ c1: conv(3, c, 3), b1: bn(c) }, (m) => (x) => pool(relu(m.b1(m.c1(x))))),
    })),
  ),
  {
    name: 'bn → relu6 → pool, and bn → pool',
    shape: [2, 64, 8, 8],
    make: net(
      { b1: bn(64), b2: bn(64) },
      (m) => (x) => add(pools['average, tiles'](relu6(m.b1(x))), maxPool2d(m.b2(x), 2)),
    ),
  },
  {
    name: 'residual → pool',
    shape: [2, 64, 8, 8],
    make: net({ c1: conv(64, 64, 3), b1: bn(64) }, (m) => (x) => adaptiveAvgPool2d(relu(add(m.b1(m.c1(x)), x)), 1)),
  },
  {
    name: 'rows of a plane long enough to be normalized while they are read',
    shape: [2, 3, 4, 70],
    make: net({ c1: conv(3, 5, 3), b1: bn(5) }, (m) => (x) => avgPool2d(relu(m.b1(m.c1(x))), 2)),
  },
]);

const chain =
  (pool: (y: Tensor) => Tensor, norm: (c: number) => Chain['norm'] = bn) =>
  () => ({
    first: conv(3, 64, 3),
    norm: norm(64),
    activation: relu,
    consumer: pool,
    x: toFormat(randn([2, 3, 8, 8]), 'channelsLast'),
  });
describeHazards('maximum', chain(pools['maximum, overlapping']));
describeHazards('average', chain(pools['average, tiles']));
describeHazards(
  'maximum behind a SyncBatchNorm',
  chain(pools['maximum, overlapping'], (c) => new nn.SyncBatchNorm(c)),
);

const model = (c: number, pool: nn.Module): nn.Module => new nn.Sequential(conv(3, c, 3), bn(c), new nn.ReLU(), pool);
/** Arithmetic of numbers for each channel. */
const perChannel = new Set(['copyStrided', 'binary', 'binaryScalar', 'cast', 'reduce']);
const forwardKernels = (c: number, pool: nn.Module, format: MemoryFormat, fused: boolean) => {
  manualSeed(1);
  const [m, x] = [model(c, pool), toFormat(randn([2, 3, 8, 8]), format)];
  return withFusion(fused, () => kernelCalls(() => m(x))).filter((name) => !perChannel.has(name));
};

describe('passes', () => {
  const plain = ['conv', 'batchNormForward', 'unary'];
  it.each([
    [new nn.MaxPool2d(3, { stride: 2 }), 'maxPool'],
    [new nn.AvgPool2d(2), 'avgPool'],
    [new nn.AdaptiveAvgPool2d(1), 'avgPool'],
  ])('conv → bn → relu → %o writes the pooled values only', (pool, kernel) => {
    expect(forwardKernels(64, pool, 'channelsLast', true)).toEqual(['conv', kernel]);
    expect(forwardKernels(64, pool, 'channelsLast', false)).toEqual([...plain, kernel]);
  });

  it('a maximum of any shape, an average where many neighbours lie side by side', () => {
    for (const format of ['channelsLast', 'contiguous'] as const)
      expect(forwardKernels(5, new nn.MaxPool2d(2), format, true)).toEqual(['conv', 'maxPool']);
    expect(forwardKernels(5, new nn.AvgPool2d(2), 'channelsLast', true)).toEqual(['conv', 'batchNormApply', 'avgPool']);
  });

  it('and keeps one tensor of the size of its input, where the plain path has three', () => {
    const m = model(64, new nn.MaxPool2d(2));
    const x = toFormat(randn([4, 3, 32, 32]), 'channelsLast');
    const tensor = 4 * 4 * 64 * 32 * 32;
    const live = (fused: boolean) => withFusion(fused, () => liveBytes(() => void m(x)).peak);
    expect(live(false)).toBeGreaterThan(3 * tensor);
    // With the maxima, their places, and the scratch of the convolution.
    expect(live(true)).toBeLessThan(2 * tensor);
  });

  it('another reader has the values written once, for all that come after', () => {
    const [c, b] = [conv(3, 64, 3), bn(64)];
    const x = toFormat(randn([2, 3, 8, 8]), 'channelsLast');
    const y = relu(b(c(x)));
    const pooled = () => kernelCalls(() => maxPool2d(y, 2));
    expect(pooled()).toEqual(['maxPool']);
    expect(kernelCalls(() => y.materialize())).toEqual(['batchNormApply']);
    expect(pooled()).toEqual(['maxPool']);
  });
});
