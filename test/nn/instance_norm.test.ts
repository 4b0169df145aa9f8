// InstanceNorm and its functional form, row by row of what PyTorch does with them, and where it is wrong.
import { describe, expect, it } from 'vitest';
import { checkpoint } from '../../src/autograd/checkpoint.ts';
import {
  BatchNorm2d,
  BatchNormBase,
  freezeBatchNorm,
  functional,
  InstanceNorm1d,
  InstanceNorm2d,
  InstanceNorm3d,
  NormBase,
} from '../../src/nn/index.ts';
import { cat } from '../../src/ops/shape_ops.ts';
import { ones, zeros } from '../../src/tensor/create.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose, readGolden } from '../support/golden.ts';
import { det, list, make, type Plain, walkLayers, walkTexts } from '../support/norm_layers.ts';
import { warningsOf } from '../support/warnings.ts';

const { instanceNorm } = functional;

interface Golden extends Record<'x' | 'dy' | 'y' | 'dx' | 'dweight' | 'dbias', Plain> {
  kind: 'instance_norm';
  training: boolean;
  track_running_stats: boolean;
  eps: number;
  momentum: number;
  init: Record<string, Plain>;
  after: Record<string, Plain>;
}
const goldens = readGolden<{ cases: { kind: string }[] }>('norm_golden.json').cases.filter(
  (c): c is Golden => c.kind === 'instance_norm',
);

describe('norm_golden.json', () => {
  it('has four cases', () => expect(goldens.length).toBe(4));
  it.each(goldens)('training=$training, tracking=$track_running_stats', (c) => {
    const norm = new InstanceNorm1d(2, {
      affine: true,
      trackRunningStats: c.track_running_stats,
      eps: c.eps,
      momentum: c.momentum,
      dtype: 'float64',
    }).train(c.training);
    norm.loadStateDict(
      new Map(
        Object.entries(c.init).map(([name, value]) => [
          name,
          make(value, name === 'num_batches_tracked' ? 'int64' : 'float64'),
        ]),
      ),
    );
    const x = make(c.x, 'float64', true);
    const y = norm(x);
    expectClose(y, c.y.data, 1e-12);
    y.backward(make(c.dy));
    expectClose(x.grad!, c.dx.data, 1e-12);
    expectClose(norm.weight!.grad!, c.dweight.data, 1e-12);
    expectClose(norm.bias!.grad!, c.dbias.data, 1e-12);
    for (const [name, value] of Object.entries(c.after)) expectClose(norm.stateDict().get(name)!, value.data, 1e-12);
  });
});

walkLayers(InstanceNorm1d, false);
walkLayers(InstanceNorm2d, false);
walkLayers(InstanceNorm3d, false);

describe('errors', () => {
  const x = ones([2, 3, 4]);
  const [two, three, four] = [2, 3, 4].map((n) => ones([n]));
  const nothing = null as unknown as number;
  walkTexts({
    'instanceNorm: one value': () => instanceNorm(ones([2, 3, 1])),
    'instanceNorm: rank 2': () => instanceNorm(ones([2, 3])),
    'instanceNorm: rank 0': () => instanceNorm(ones([])),
    'instanceNorm: no statistics': () => instanceNorm(x, { useInputStats: false }),
    'instanceNorm: no variance': () => instanceNorm(x, { useInputStats: false, runningMean: three }),
    'instanceNorm: half of the statistics': () => instanceNorm(x, { runningMean: three }),
    'instanceNorm: momentum null': () => instanceNorm(x, { momentum: nothing }),
    'instanceNorm: eps null': () => instanceNorm(x, { eps: nothing }),
    'instanceNorm: running_mean': () =>
      instanceNorm(ones([2, 5, 4]), { runningMean: three, runningVar: two, weight: four }),
    'instanceNorm: running_var': () => instanceNorm(x, { runningMean: three, runningVar: two, weight: four }),
    'instanceNorm: weight': () => instanceNorm(ones([2, 5, 4]), { weight: three, bias: four }),
    'instanceNorm: bias': () => instanceNorm(ones([2, 5, 4]), { bias: three }),
    'instanceNorm: float64 weight': () => instanceNorm(x, { weight: ones([3], { dtype: 'float64' }) }),
    'instanceNorm: statistics with gradients': () =>
      instanceNorm(x, { runningMean: ones([3], { requiresGrad: true }), runningVar: three }),
    'InstanceNorm1d: rank 4': () => new InstanceNorm1d(3)(ones([2, 3, 4, 5])),
    'InstanceNorm2d: rank 2': () => new InstanceNorm2d(3)(ones([3, 4])),
    'InstanceNorm3d: rank 3': () => new InstanceNorm3d(3)(ones([3, 4, 5])),
    'InstanceNorm2d: affine, channels': () => new InstanceNorm2d(3, { affine: true })(ones([2, 5, 4, 4])),
    'InstanceNorm2d: affine, channels of an unbatched input': () =>
      new InstanceNorm2d(3, { affine: true })(ones([5, 4, 4])),
    'InstanceNorm2d: one value, unbatched': () => new InstanceNorm2d(3)(ones([3, 1, 1])),
    'InstanceNorm2d: one value in evaluation': () => new InstanceNorm2d(3).eval()(ones([2, 3, 1, 1])),
    'InstanceNorm2d(-1, affine)': () => new InstanceNorm2d(-1, { affine: true }),
  });
  it('integers, by the name of the function called', () => {
    expect(() => instanceNorm(ones([2, 3, 4], { dtype: 'int64' }))).toThrow(
      `"instanceNorm" not implemented for 'int64'`,
    );
  });
  it('other channels than numFeatures (pytorch#109652)', () => {
    const other = ones([1, 5, 4, 4]);
    // Tracking: the warning, and then the error of the statistics.
    const tracking = new InstanceNorm2d(3, { trackRunningStats: true });
    const texts = warningsOf(() =>
      expect(() => tracking(other)).toThrow('runningMean should contain 5 elements not 3'),
    );
    expect(texts.length).toBe(1);
    const text = (dim: number) =>
      `input's size at dim=${dim} does not match numFeatures, which is not used because affine is false. You can silence this warning by giving the layer the input's size`;
    const norm = new InstanceNorm2d(3);
    expect(warningsOf(() => expect(norm(det([1, 5, 4, 4], 1, 'float32')).shape).toEqual([1, 5, 4, 4]))).toEqual([
      text(1),
    ]);
    expect(warningsOf(() => norm(ones([5, 4, 4])))).toEqual([text(0)]);
    expect(warningsOf(() => norm(ones([3, 5, 4])))).toEqual([]);
    expect(new InstanceNorm2d(-1).numFeatures).toBe(-1);
  });
});

const counter = (norm: NormBase) => norm.numBatchesTracked?.item();

describe('statistics', () => {
  const tracking = { affine: true, trackRunningStats: true };
  const x = () => det([3, 2, 4, 3], 1, 'float32');
  const running = (norm: NormBase) => [list(norm.runningMean), list(norm.runningVar)];

  it('move towards the averages of the samples’ means and unbiased variances; the counter does not move', () => {
    const norm = new InstanceNorm2d(2, { trackRunningStats: true, momentum: 0.25 });
    norm(x());
    const samples = x().reshape([6, 12]);
    const perChannel = (t: Tensor) => t.reshape([3, 2]).mean(0);
    expectClose(norm.runningMean!, list(perChannel(samples.mean(1)).mul(0.25))!, 1e-6);
    expectClose(norm.runningVar!, list(perChannel(samples.var(1)).mul(0.25).add(0.75))!, 1e-6);
    expect(counter(norm)).toBe(0);
  });
  it('evaluation with tracking is batch norm’s, bit for bit (pytorch#58843)', () => {
    const norm = new InstanceNorm2d(2, tracking);
    const bn = new BatchNorm2d(2).eval();
    norm(x());
    bn.loadStateDict(norm.stateDict());
    norm.eval();
    const input = det([3, 2, 1, 3], 5, 'float32');
    expect(list(norm(input))).toEqual(list(bn(input)));
    expect(list(norm(input.reshape([3, 2, 1, 3]).narrow(3, 0, 1)))).not.toContain(Number.NaN);
    const before = running(norm);
    norm(input);
    expect([running(norm), counter(norm)]).toEqual([before, 0]);
  });
  it('evaluation without tracking is training', () => {
    const norm = new InstanceNorm2d(2);
    expect(list(norm.eval()(x()))).toEqual(list(norm.train()(x())));
  });
  it('momentum null keeps them', () => {
    const norm = new InstanceNorm2d(2, { ...tracking, momentum: null });
    norm(x());
    norm.eval()(x());
    expect(running(norm)).toEqual([
      [0, 0],
      [1, 1],
    ]);
  });
  it('tracking switched off: they still move, in evaluation too', () => {
    const norm = new InstanceNorm2d(2, tracking);
    norm.trackRunningStats = false;
    const once = list(norm(x()));
    const first = running(norm);
    expect(list(norm.eval()(x()))).toEqual(once);
    expect(running(norm)).not.toEqual(first);
  });
  it('tracking switched on without buffers: training goes on, evaluation does not', () => {
    const norm = new InstanceNorm2d(2);
    norm.trackRunningStats = true;
    norm(x());
    expect(() => norm.eval()(x())).toThrow(
      'Expected runningMean and runningVar to be defined when useInputStats is false',
    );
  });
  it('frozen: they are used in training, and stay', () => {
    const norm = new InstanceNorm2d(2, tracking);
    norm(x());
    const before = running(norm);
    const evaluated = list(norm.eval()(x()));
    norm.train();
    freezeBatchNorm(norm);
    expect(list(norm(x()))).toEqual(evaluated);
    expect(running(norm)).toEqual(before);
  });
  it('in a checkpoint they move once', () => {
    const [plain, recomputed] = [new InstanceNorm2d(2, tracking), new InstanceNorm2d(2, tracking)];
    const gradients = [
      (input: Tensor) => plain(input),
      (input: Tensor) => checkpoint((t: Tensor) => recomputed(t), input),
    ].map((run) => {
      const input = x().requiresGrad_();
      run(input)
        .mul(det([3, 2, 4, 3], 7, 'float32'))
        .sum()
        .backward();
      return list(input.grad);
    });
    expect(gradients[1]).toEqual(gradients[0]);
    expect(running(recomputed)).toEqual(running(plain));
  });
  it('no spatial elements: empty, and they stay', () => {
    const norm = new InstanceNorm2d(2, tracking);
    expect(norm(zeros([3, 2, 0, 4])).shape).toEqual([3, 2, 0, 4]);
    expect(list(norm.runningVar)).toEqual([1, 1]);
  });
  it.each([true, false])('an empty batch, affine=%s: empty, zeros as gradients, and they stay', (affine) => {
    // PyTorch: an IndexError where affine, NaN statistics where tracked.
    for (const trackRunningStats of [true, false]) {
      const norm = new InstanceNorm2d(2, { affine, trackRunningStats });
      const input = zeros([0, 2, 4, 3], { requiresGrad: true });
      const y = norm(input);
      y.sum().backward();
      expect([y.shape, input.grad!.shape]).toEqual([input.shape, input.shape]);
      if (affine)
        expect([list(norm.weight!.grad), list(norm.bias!.grad)]).toEqual([
          [0, 0],
          [0, 0],
        ]);
      if (trackRunningStats)
        expect(running(norm)).toEqual([
          [0, 0],
          [1, 1],
        ]);
    }
  });
});

describe('InstanceNorm', () => {
  it('is no batch norm, but shares its state', () => {
    const norm = new InstanceNorm2d(3, { affine: true, trackRunningStats: true });
    expect([norm instanceof NormBase, norm instanceof BatchNormBase]).toEqual([true, false]);
    expect(String(new BatchNorm2d(3).loadStateDict(norm.stateDict()))).toBe('<All keys matched successfully>');
  });
  it.each([
    [InstanceNorm1d, [3, 5]],
    [InstanceNorm2d, [3, 5, 4]],
    [InstanceNorm3d, [3, 5, 2, 2]],
  ] as const)('%o takes an unbatched input as a batch of one', (Layer, shape) => {
    const norm = new Layer(3, { trackRunningStats: true });
    const other = new Layer(3, { trackRunningStats: true });
    const x = det(shape, 2, 'float32');
    const y = norm(x);
    expect(y.shape).toEqual(shape);
    expect(list(y)).toEqual(list(other(x.reshape([1, ...shape]))));
    expect(list(norm.runningVar)).toEqual(list(other.runningVar));
  });
  it('without eps a constant channel gives the bias and no gradient, as in batch norm', () => {
    const x = cat([ones([2, 1, 4]), det([2, 1, 4], 1, 'float32')], 1).requiresGrad_();
    const [weight, bias] = [ones([2]).mul(3), ones([2]).mul(5)].map((t) => t.requiresGrad_());
    const [runningMean, runningVar] = [zeros([2]), ones([2])];
    const y = instanceNorm(x, { weight, bias, eps: 0, runningMean, runningVar });
    y.backward(det([2, 2, 4], 2, 'float32'));
    const of = (t: Tensor, channel: number) => list(t.narrow(1, channel, 1))!;
    expect([new Set(of(y, 0)), new Set(of(x.grad!, 0).map(Math.abs))]).toEqual([new Set([5]), new Set([0])]);
    // The other channel is what the smallest eps makes it.
    const other = det([2, 1, 4], 1, 'float32');
    expectClose(of(y, 1), list(instanceNorm(other, { eps: 1e-12 }).mul(3).add(5))!, 1e-6);
    expectClose(runningMean, [0.1, list(other.mean())![0] * 0.1], 1e-6);
    expectClose(runningVar.narrow(0, 0, 1), [0.9], 1e-6);
    expect(list(weight.grad)![0]).toBe(0);
  });
  it('is exact far from 0', () => {
    // PyTorch: 9.1e-4 at a mean of 1e4.
    const x = det([2, 3, 16, 16], 1, 'float32').add(1e4);
    expectClose(instanceNorm(x), list(instanceNorm(x.to('float64')))!, 1e-6);
  });
  it('a channel with a NaN leaves the others alone', () => {
    const x = det([1, 2, 3], 1, 'float32');
    const broken = x.detach().copy_(x);
    broken.narrow(1, 0, 1);
    const values = list(x)!;
    values[1] = Number.NaN;
    const y = list(instanceNorm(make({ shape: [1, 2, 3], data: values }, 'float32')))!;
    expect(y.map(Number.isNaN)).toEqual([true, true, true, false, false, false]);
  });
});
