// Norms of joined tensors, as in the blocks of a DenseNet: statistics that are read once for each channel, and gradients that meet at the input
// of a norm.
import { describe, expect, it } from 'vitest';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import { withFusion } from '../../src/fusion/switch.ts';
import { mul, relu } from '../../src/ops/elementwise.ts';
import { toFormat } from '../../src/ops/launch.ts';
import { cat } from '../../src/ops/shape_ops.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { kernelCalls } from './kernel_calls.ts';
import { bn, conv, describePatterns, type Modules, net, numbers, type Pattern } from './patterns.ts';

/** Three layers that each add `growth` channels to the `width` of the first convolution. */
const modules = (width: number, growth: number) => ({
  c0: conv(3, width, 3),
  b1: bn(width),
  c1: conv(width, growth, 1),
  b2: bn(width + growth),
  c2: conv(width + growth, growth, 3),
  b3: bn(width + 2 * growth),
  c3: conv(width + 2 * growth, growth, 1),
  b4: bn(width + 3 * growth),
});
const made = (norm: Modules[string], c: Modules[string], x: Tensor): Tensor => c.call(relu(norm.call(x)));

/** Every output joined to what was joined before it. */
const chained = (m: Modules, x: Tensor): Tensor => {
  for (const i of [1, 2, 3]) x = cat([x, made(m[`b${i}`], m[`c${i}`], x)], 1);
  return relu(m.b4.call(x));
};
/** All outputs joined anew for every layer. */
const listed = (m: Modules, x: Tensor): Tensor => {
  const features = [x];
  for (const i of [1, 2, 3]) features.push(made(m[`b${i}`], m[`c${i}`], cat(features, 1)));
  return relu(m.b4.call(cat(features, 1)));
};

const shape = [2, 3, 7, 9];
const patterns = [16, 5].flatMap((width): Pattern[] => [
  {
    name: `a chain of joins, ${width} channels`,
    shape,
    make: net(modules(width, 8), (m) => (x) => chained(m, m.c0.call(x))),
  },
  {
    name: `joins of all outputs, ${width} channels`,
    shape,
    make: net(modules(width, 8), (m) => (x) => listed(m, m.c0.call(x))),
  },
  {
    name: `a chain of joins behind what is no convolution, ${width} channels`,
    shape,
    make: net(modules(width, 8), (m) => (x) => chained(m, mul(m.c0.call(x), 0.5))),
  },
]);
describePatterns(patterns);

describe('the statistics of joined tensors', () => {
  const calls = (between: (x: Tensor) => Tensor) => {
    manualSeed(0);
    const [first, b1, b2] = [conv(3, 8, 3), bn(8), bn(16)];
    const x = first.call(toFormat(randn(shape), 'channelsLast'));
    const y = between(x);
    return kernelCalls(
      () => numbers(b2.call(cat([y, relu(b1.call(y))], 1))),
      (name) => name === 'batchNormStats',
    ).length;
  };

  it('are those of the parts, where these have some', () => {
    manualSeed(0);
    const model = net(modules(16, 8), (m) => (x) => chained(m, mul(m.c0.call(x), 0.5)))();
    const x = toFormat(randn(shape), 'channelsLast');
    const stats = kernelCalls(
      () => model.call(x),
      (name) => name === 'batchNormStats',
    );
    expect(stats.length).toBe(1);
  });
  it('are read where a part has none', () => {
    expect(calls((x) => x)).toBe(1);
    expect(calls((x) => mul(x, 2))).toBe(2);
  });
  it('are read where a part was changed since, or the whole', () => {
    const b = bn(16);
    const run = (change: (part: Tensor, whole: () => Tensor) => Tensor, fused: boolean) =>
      withFusion(fused, () => {
        manualSeed(0);
        const part = conv(3, 8, 3).call(toFormat(randn(shape), 'channelsLast'));
        return numbers(b.call(change(part, () => cat([part, part], 1))));
      });
    const changes: [string, (part: Tensor, whole: () => Tensor) => Tensor][] = [
      ['nothing', (_, whole) => whole()],
      [
        'the part',
        (part, whole) => {
          noGrad(() => part.add_(1));
          return whole();
        },
      ],
      [
        'the whole',
        (_, whole) => {
          const x = whole();
          noGrad(() => x.mul_(randn(x.shape)));
          return x;
        },
      ],
    ];
    for (const [name, change] of changes) {
      const [fused, plain] = [true, false].map((on) => run(change, on));
      for (let i = 0; i < plain.length; i++)
        if (!(Math.abs(fused[i] - plain[i]) < 1e-5))
          expect.fail(`${name}: [${i}] is ${fused[i]}, expected ${plain[i]}`);
    }
  });
});
