// InPlaceABN against its definition as plain ops, which the engine differentiates; what it keeps, overwrites and
// refuses; ABN beside it.
import { describe, expect, it } from 'vitest';
import { grad } from '../../src/autograd/backward.ts';
import { checkpoint } from '../../src/autograd/checkpoint.ts';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import { gradcheck } from '../../src/autograd/gradcheck.ts';
import { withFusion } from '../../src/fusion/switch.ts';
import {
  ABN,
  BatchNorm2d,
  Conv2d,
  freezeBatchNorm,
  functional,
  InPlaceABN,
  LeakyReLU,
  Sequential,
  withStatistics,
} from '../../src/nn/index.ts';
import { abs, add, leakyRelu, mul } from '../../src/ops/elementwise.ts';
import { mseLoss } from '../../src/ops/loss.ts';
import { tensor, zeros } from '../../src/tensor/create.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { accumulate } from '../../src/train/index.ts';
import { expectClose } from '../support/golden.ts';
import { liveBytes } from '../support/live_bytes.ts';
import { det, list } from '../support/norm_layers.ts';

type Float = 'float32' | 'float64';
const values = (t: Tensor) => list(t)!.map(Number);
const { batchNorm, elu } = functional;
const activations = [
  ['leakyRelu', 0.01],
  ['leakyRelu', 0.3],
  ['elu', 1],
  ['elu', 0.2],
  ['identity', 0.01],
] as const;
const plain = {
  leakyRelu: (x: Tensor, negativeSlope: number) => leakyRelu(x, { negativeSlope }),
  elu: (x: Tensor, alpha: number) => elu(x, { alpha }),
  identity: (x: Tensor) => x,
};
const eps = 1e-3;

/** γ of both signs and sizes. */
const weightOf = (dtype: Float) => tensor([-1.5, 0.4, 0.9]).to(dtype);
const biasOf = (dtype: Float) => tensor([0.3, -0.2, 0.7]).to(dtype);

function built(activation: (typeof activations)[number][0], activationParam: number, dtype: Float): InPlaceABN {
  const layer = new InPlaceABN(3, { eps, activation, activationParam, dtype });
  noGrad(() => {
    layer.weight!.copy_(weightOf(dtype));
    layer.bias!.copy_(biasOf(dtype));
  });
  return layer;
}

describe('InPlaceABN', () => {
  const rows = activations.flatMap(([activation, param]) =>
    (['float32', 'float64'] as const).flatMap((dtype) =>
      (
        [
          [[6, 3], 'contiguous'],
          [[4, 3, 5], 'contiguous'],
          [[3, 3, 4, 2], 'contiguous'],
          [[3, 3, 4, 2], 'channelsLast'],
        ] as const
      ).map(([shape, format]) => ({ activation, param, dtype, shape, format })),
    ),
  );
  it.each(rows)('$activation($param) of $shape, $dtype, $format, is act(x̂·(|γ| + eps) + β), in both modes', (row) => {
    const { activation, param, dtype, shape, format } = row;
    const layer = built(activation, param, dtype);
    const [weight, bias] = [weightOf('float64').requiresGrad_(), biasOf('float64').requiresGrad_()];
    const statistics = [zeros([3], { dtype: 'float64' }), zeros([3], { dtype: 'float64' }).add(1)] as const;
    for (const training of [true, false]) {
      const base = det(shape, 1, dtype).contiguous(format);
      const g = det(shape, 2, dtype);
      const [leaf, exact] = [base.clone().requiresGrad_(), base.to('float64').requiresGrad_()];
      const given = leaf.clone();
      const y = layer.train(training)(given);
      expect([y === given, y.memoryFormat]).toEqual([true, format]);
      for (const p of [layer.weight!, layer.bias!, weight, bias]) p.grad = null;
      y.backward(g);
      const scale = add(abs(weight), eps);
      const expected = plain[activation](
        batchNorm(exact, ...statistics, { weight: scale, bias, training, eps }),
        param,
      );
      expected.backward(g.to('float64'));
      // x comes back from y divided by the activation's parameter and |γ| + eps: digits are lost by as much. 0.01 is
      // the least.
      const tolerance = dtype === 'float64' ? 1e-11 : 2e-5;
      const close = (actual: Tensor, wanted: Tensor, what: string) =>
        expectClose(actual, values(wanted), tolerance, tolerance, what);
      close(y, expected, 'y');
      close(leaf.grad!, exact.grad!, 'dx');
      close(layer.weight!.grad!, weight.grad!, 'dweight');
      close(layer.bias!.grad!, bias.grad!, 'dbias');
      close(layer.runningMean!, statistics[0], 'running mean');
      close(layer.runningVar!, statistics[1], 'running variance');
    }
    expect(layer.numBatchesTracked!.item()).toBe(1);
  });

  it.each(activations)('has the gradients of its forward, %s(%d)', (activation, activationParam) => {
    for (const training of [true, false]) {
      const statistics = [zeros([2], { dtype: 'float64' }), zeros([2], { dtype: 'float64' }).add(2)] as const;
      const of = (x: Tensor, weight: Tensor, bias: Tensor) =>
        functional.inPlaceAbn(x.mul(1), ...statistics, {
          weight,
          bias,
          training,
          momentum: 0,
          activation,
          activationParam,
        });
      manualSeed(1);
      gradcheck(of, [
        randn([3, 2, 2, 2], { dtype: 'float64', requiresGrad: true }),
        tensor([-1.2, 0.7], { dtype: 'float64', requiresGrad: true }),
        tensor([0.1, -0.4], { dtype: 'float64', requiresGrad: true }),
      ]);
    }
  });

  it('at a weight of 0 has the gradient of a positive one', () => {
    const dweight = (value: number) => {
      const layer = new InPlaceABN(1, { dtype: 'float64', eps: 1e-2 });
      noGrad(() => layer.weight!.fill_(value));
      layer(det([4, 1, 2, 2], 1)).backward(det([4, 1, 2, 2], 2));
      return layer.weight!.grad!.item();
    };
    expect(Math.abs(dweight(0))).toBeGreaterThan(0.1);
    expect(dweight(0)).toBeCloseTo(dweight(1e-9), 5);
    expect(dweight(0)).toBeCloseTo(-dweight(-1e-9), 5);
  });

  it('works without weight, bias or statistics', () => {
    for (const options of [{ affine: false }, { bias: false }, { trackRunningStats: false }]) {
      const layer = new InPlaceABN(3, { ...options, dtype: 'float64' });
      const leaf = det([4, 3, 2, 2], 1).requiresGrad_();
      const exact = det([4, 3, 2, 2], 1).requiresGrad_();
      const g = det([4, 3, 2, 2], 2);
      layer(leaf.clone()).backward(g);
      const weight = 'affine' in options ? null : zeros([3], { dtype: 'float64' }).add(1 + 1e-5);
      leakyRelu(batchNorm(exact, null, null, { weight, training: true })).backward(g);
      expectClose(leaf.grad!, values(exact.grad!), 1e-11);
    }
  });

  it('keeps one activation of a convolution, norm and activation, where the ordinary order keeps two more without fusion', () => {
    const [depth, shape] = [6, [2, 4, 16, 16]];
    const activation = 4 * 2 * 4 * 16 * 16;
    const chain = (norm: () => Sequential | InPlaceABN) =>
      new Sequential(
        ...Array.from({ length: depth }, () => new Sequential(new Conv2d(4, 4, 3, { padding: 1 }), norm())),
      );
    const x = zeros(shape);
    const forward = (net: Sequential) => () => void net(x);
    const peak = (net: Sequential) => liveBytes(forward(net)).peak;
    const plain = () => peak(chain(() => new Sequential(new BatchNorm2d(4), new LeakyReLU({ inplace: false }))));
    const ordinary = withFusion(false, plain);
    const inPlace = peak(chain(() => new InPlaceABN(4)));
    // One for each layer, two while a layer is at work, and scratch and statistics.
    expect(ordinary).toBeGreaterThan(3 * depth * activation);
    expect(inPlace).toBeLessThan((depth + 4) * activation);
  });

  it('leaves no more behind its backward than gradients', () => {
    const layer = new InPlaceABN(4);
    const activation = 4 * 2 * 4 * 16 * 16;
    const step = (times: number) => () => {
      let y = zeros([2, 4, 16, 16]);
      for (let i = 0; i < times; i++) y = layer(mul(y, 2));
      y.sum().backward();
    };
    step(1)();
    const [three, six] = [3, 6].map((times) => liveBytes(step(times)).peak);
    // Of each further layer: its output, which is also its input, the gradients of both, and a little for the
    // statistics.
    expect(six - three).toBeLessThan(3 * 3.5 * activation);
  });

  it('overwrites what it is given: a leaf that wants a gradient, or what others have saved, is an error', () => {
    const layer = new InPlaceABN(3);
    expect(() => layer(zeros([2, 3, 2, 2]).requiresGrad_())).toThrow(
      'a leaf Variable that requires grad is being used in an in-place operation.',
    );
    const base = det([2, 3, 2, 2], 1, 'float32').requiresGrad_();
    // The sigmoid keeps its output.
    const y = layer(base.sigmoid());
    expect(() => y.sum().backward()).toThrow('has been modified by an inplace operation');
    const changed = layer(base.clone());
    changed.add_(1);
    expect(() => changed.sum().backward()).toThrow('has been modified by an inplace operation');
    const data = det([2, 3, 2, 2], 1, 'float32');
    const evaluated = noGrad(() => layer.eval()(data));
    expect([evaluated === data, evaluated.requiresGrad]).toEqual([true, false]);
  });

  it('refuses a second derivative', () => {
    const x = det([2, 3, 2, 2], 1).requiresGrad_();
    const y = new InPlaceABN(3, { dtype: 'float64' })(x.clone());
    expect(() => grad([y], [x], { gradOutputs: [y.detach()], createGraph: true })).toThrow(
      'trying to differentiate twice a function that keeps no more than its output',
    );
  });

  it('refuses what it cannot invert or normalize', () => {
    const make = (activation: string, activationParam?: number) =>
      new InPlaceABN(3, { activation: activation as 'elu', activationParam });
    expect(() => make('relu')).toThrow('Unknown activation function relu');
    expect(() => make('toString')).toThrow('Unknown activation function toString');
    expect(() => make('leakyRelu', 0)).toThrow('expected a parameter of leakyRelu above 0, got 0');
    expect(() => make('elu', -1)).toThrow('above 0, got -1');
    const layer = new InPlaceABN(3);
    const x = zeros([1, 3, 1, 1]);
    expect(() => layer(x)).toThrow(
      'inPlaceAbn is trying to compute batch statistics, but the input tensor only contains a single sample per channel',
    );
    expect(() => layer(zeros([3]))).toThrow('expected at least 2D input (got 1D input)');
    expect(() => layer(zeros([2, 4, 2, 2]))).toThrow('runningMean should contain 4 elements not 3');
    expect(() => functional.inPlaceAbn(x, null, null)).toThrow('runningMean must be defined in evaluation mode');
    expect(layer(zeros([0, 3, 2, 2])).shape).toEqual([0, 3, 2, 2]);
  });

  it('prints as mapillary’s, has a batch norm’s state, and is controlled as one', () => {
    expect(String(new InPlaceABN(3))).toBe(
      'InPlaceABN(3, eps=1e-05, momentum=0.1, affine=True, activation=leaky_relu[0.01])',
    );
    expect(String(new InPlaceABN(3, { activation: 'identity' }))).toMatch(/, activation=identity\)$/);
    const layer = new InPlaceABN(3);
    expect([...layer.stateDict().keys()]).toEqual([...new BatchNorm2d(3).stateDict().keys()]);
    const x = () => det([2, 3, 2, 2], 1, 'float32');
    const byBatch = layer(x()).toArray();
    expect(withStatistics(layer.eval(), 'batch', () => layer(x())).toArray()).toEqual(byBatch);
    freezeBatchNorm(layer);
    expect(layer.train()(x()).toArray()).toEqual(layer.eval()(x()).toArray());
    expect(String(layer)).toContain('frozen=statistics+affine');
    const part = () => [x(), zeros([2, 3, 2, 2])];
    expect(() => accumulate(new Sequential(layer), [part(), part()], mseLoss)).toThrow('InPlaceABN does not normalize');
  });

  it('in a checkpoint gives the gradients of a plain run', () => {
    const run = (through: (fn: (t: Tensor) => Tensor, t: Tensor) => Tensor) => {
      manualSeed(2);
      const block = new Sequential(new Conv2d(3, 3, 2), new InPlaceABN(3));
      const input = det([2, 3, 3, 3], 1, 'float32').requiresGrad_();
      through((t) => block(t), input)
        .mul(det([2, 3, 2, 2], 2, 'float32'))
        .sum()
        .backward();
      return [input, ...block.parameters()]
        .map((t) => t.grad!.toArray())
        .concat([...block.buffers()].map((t) => t.toArray()));
    };
    expect(run((fn, t) => checkpoint(fn, t))).toEqual(run((fn, t) => fn(t)));
  });
});

describe('ABN', () => {
  it.each([
    ['relu', functional.relu],
    ['leakyRelu', (x: Tensor) => leakyRelu(x, { negativeSlope: 0.2 })],
    ['elu', (x: Tensor) => elu(x, { alpha: 0.2 })],
    ['identity', (x: Tensor) => x],
  ] as const)('is batch norm, then %s', (activation, act) => {
    const layer = new ABN(3, { activation, activationParam: 0.2 });
    const bn = new BatchNorm2d(3);
    const x = det([2, 3, 2, 2], 1, 'float32');
    expect(layer(x).toArray()).toEqual(act(bn(x)).toArray());
    expect([...layer.stateDict()].map(([name, t]) => [name, t.toArray()])).toEqual(
      [...bn.stateDict()].map(([name, t]) => [name, t.toArray()]),
    );
  });

  it('prints as mapillary’s and refuses other activations', () => {
    expect(String(new ABN(3, { activation: 'elu', activationParam: 1 }))).toMatch(/, activation=elu\[1.0\]\)$/);
    expect(String(new ABN(3, { activation: 'relu' }))).toMatch(/, activation=relu\)$/);
    expect(() => new ABN(3, { activation: 'tanh' as 'relu' })).toThrow('Unknown activation function tanh');
    expect(() => new ABN(3)(zeros([3]))).toThrow('expected at least 2D input (got 1D input)');
  });
});
