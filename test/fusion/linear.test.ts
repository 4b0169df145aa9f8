// Linear layers whose matrices are large: statistics leave with their outputs, norms enter with their inputs, as with
// convolutions.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import { withFusion } from '../../src/fusion/switch.ts';
import { largeLayers } from '../../src/fusion/thresholds.ts';
import * as nn from '../../src/nn/index.ts';
import { add, hardtanh, relu } from '../../src/ops/elementwise.ts';
import { linear } from '../../src/ops/linear.ts';
import { reshape } from '../../src/ops/shape_ops.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { liveBytes } from '../support/live_bytes.ts';
import { describeHazards } from './hazards.ts';
import { kernelCalls } from './kernel_calls.ts';
import { describePatterns, net, numbers, tolerance } from './patterns.ts';

const { rows, multiplications } = largeLayers;
beforeAll(() => void Object.assign(largeLayers, { rows: 2, multiplications: 1 }));
afterAll(() => void Object.assign(largeLayers, { rows, multiplications }));

const bn = (c: number) => new nn.BatchNorm1d(c);
const fc = (i: number, o: number, bias = true) => new nn.Linear(i, o, { bias });

describePatterns([
  {
    name: 'Linear → bn → relu → Linear, odd features',
    shape: [37, 13],
    make: net(
      { c1: fc(13, 21), b1: bn(21), c2: fc(21, 35), b2: bn(35), c3: fc(35, 7) },
      (m) => (x) => m.c3(relu(m.b2(m.c2(relu(m.b1(m.c1(x))))))),
    ),
  },
  {
    name: 'without bias, two rows, relu6',
    shape: [2, 16],
    make: net(
      { c1: fc(16, 32, false), b1: bn(32), c2: fc(32, 1, false) },
      (m) => (x) => m.c2(hardtanh(m.b1(m.c1(x)), { minVal: 0, maxVal: 6 })),
    ),
  },
  {
    name: 'residual',
    shape: [70, 48],
    make: net({ c1: fc(48, 48), b1: bn(48), c2: fc(48, 5) }, (m) => (x) => m.c2(relu(add(m.b1(m.c1(x)), x)))),
  },
  {
    name: 'rows of (N, L, C), normalized over rows',
    shape: [3, 17, 24],
    make: net({ c1: fc(24, 24), b1: bn(24), c2: fc(24, 3) }, (m) => (x) => {
      const y = reshape(m.c1(x), [-1, 24]);
      return reshape(m.c2(relu(m.b1(y))), [3, 17, 3]);
    }),
  },
  {
    name: '(N, C, L), normalized over its second axis',
    shape: [3, 6, 24],
    make: net({ c1: fc(24, 8), b1: bn(6), c2: fc(8, 3) }, (m) => (x) => m.c2(relu(m.b1(m.c1(x))))),
  },
]);

const chain = (norm: new (c: number) => nn.BatchNorm1d | nn.SyncBatchNorm) => () => {
  const weight = randn([10, 24], { dtype: 'float64' });
  return {
    first: fc(13, 24),
    norm: new norm(24),
    activation: relu,
    consumer: (y: Tensor) => linear(y, weight),
    x: randn([40, 13]),
  };
};
describeHazards('BatchNorm1d', chain(nn.BatchNorm1d));
describeHazards('SyncBatchNorm', chain(nn.SyncBatchNorm));

describe('passes', () => {
  const model = () =>
    new nn.Sequential(fc(16, 64), bn(64), new nn.ReLU(), fc(64, 32), bn(32), new nn.ReLU(), fc(32, 8));
  /** Arithmetic of numbers for each channel, and gradients of biases. */
  const perChannel = new Set(['copyStrided', 'binary', 'binaryScalar', 'cast', 'reduce']);
  const kernels = (fn: () => unknown) => kernelCalls(fn).filter((name) => !perChannel.has(name));

  it('Linear → bn → relu is the products alone, forward', () => {
    const [m, x] = [model(), randn([64, 16])];
    expect(kernels(() => m(x))).toEqual(['conv', 'conv', 'conv']);
    const plain = ['gemm', 'batchNormForward', 'unary'];
    expect(withFusion(false, () => kernels(() => m(x)))).toEqual([...plain, ...plain, 'gemm']);
  });

  it('and in evaluation without gradients', () => {
    const [m, x] = [model().eval(), randn([64, 16])];
    expect(noGrad(() => kernels(() => m(x).dataSync()))).toEqual(['conv', 'conv', 'conv']);
  });

  it('backward, masks and sums ride along', () => {
    const [m, x] = [model(), randn([64, 16])];
    const y = m(x);
    const each = ['batchNormBackwardApply', 'convBackwardData', 'batchNormApply', 'convBackwardWeight'];
    expect(kernels(() => y.backward(y.detach()))).toEqual([...each.slice(1), ...each, 'convBackwardWeight']);
  });

  it('keeps one tensor a layer, where the plain path has three', () => {
    const [m, x] = [new nn.Sequential(fc(8, 64), bn(64), new nn.ReLU(), fc(64, 2)), randn([4096, 8])];
    const tensor = 4 * 4096 * 64;
    const live = (fused: boolean) => withFusion(fused, () => liveBytes(() => void m(x)).peak);
    expect(live(false)).toBeGreaterThan(3 * tensor);
    // And the scratch of a product.
    expect(live(true)).toBeLessThan(2 * tensor);
  });
});

describe('which kernels', () => {
  it('those of convolution give what the plain product gives', () => {
    manualSeed(2);
    for (const [n, c, o] of [
      [1, 1, 1],
      [5, 300, 77],
      [130, 33, 64],
    ])
      for (const dtype of ['float32', 'float64'] as const) {
        const [x, w, b] = [randn([n, c], { dtype }), randn([o, c], { dtype }), randn([o], { dtype })];
        const outcome = (least: number) => {
          largeLayers.rows = least;
          const leaves = [x, w, b].map((t) => t.detach().requiresGrad_());
          const y = linear(leaves[0], leaves[1], leaves[2]);
          y.backward(y.detach());
          return [y, ...leaves.map((t) => t.grad!)].map(numbers);
        };
        const [large, small] = [outcome(1), outcome(1e6)];
        for (const [i, values] of small.entries()) {
          const scale = values.reduce((most, v) => Math.max(most, Math.abs(v)), 1);
          for (const [j, v] of values.entries())
            expect(Math.abs(large[i][j] - v)).toBeLessThanOrEqual(tolerance[dtype] * scale);
        }
      }
    largeLayers.rows = 2;
  });

  it('the plain product where there are no features, or no rows', () => {
    expect(numbers(linear(randn([3, 0]), randn([2, 0]), randn([2]).fill_(1)))).toEqual([1, 1, 1, 1, 1, 1]);
    expect(linear(randn([0, 4]), randn([2, 4])).shape).toEqual([0, 2]);
  });

  it('one row in training is refused', () => {
    expect(() => bn(4)(linear(randn([1, 4]), randn([4, 4])))).toThrow('Expected more than 1 value per channel');
  });
});
