// Batch norm where it is hard: the rows of PyTorch's behaviour that batch_norm.test.ts has not, extreme numbers, its
// known bugs, and derivatives of every order.
import { describe, expect, it } from 'vitest';
import { grad } from '../../src/autograd/backward.ts';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import { ArgumentTypeError, ValueError } from '../../src/errors.ts';
import {
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  BatchNormBase,
  functional,
  GroupNorm,
  InstanceNorm1d,
  LayerNorm,
  LazyBatchNorm2d,
  type Module,
  RMSNorm,
  StateDict,
  SyncBatchNorm,
} from '../../src/nn/index.ts';
import { normalizeBatch } from '../../src/ops/norm/batch_norm.ts';
import { cat } from '../../src/ops/shape_ops.ts';
import { full, ones, tensor, zeros } from '../../src/tensor/create.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { rand, randn } from '../../src/tensor/random.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { batchNormReference } from '../reference/batch_norm.ts';
import { expectClose } from '../support/golden.ts';
import { det, list, walkTexts } from '../support/norm_layers.ts';

const { batchNorm } = functional;
const training = { training: true };
const [inf, nan] = [Number.POSITIVE_INFINITY, Number.NaN];
const counter = (bn: BatchNormBase) => bn.numBatchesTracked!.item();
const f32 = (shape: readonly number[], seed = 1) => det(shape, seed, 'float32');

describe('construction', () => {
  walkTexts({ 'BatchNorm2d(-1)': () => new BatchNorm2d(-1) });
  it.each([2.5, '3', null])('numFeatures %j is a TypeError', (odd) => {
    for (const options of [
      {},
      { affine: false },
      { trackRunningStats: false },
      { affine: false, trackRunningStats: false },
    ])
      expect(() => new BatchNorm1d(odd as number, options)).toThrow(ArgumentTypeError);
  });
  it('classes: what is a batch norm, and which', () => {
    const is = (module: Module) => [module instanceof BatchNormBase, module instanceof BatchNorm2d];
    expect(
      [new BatchNorm1d(2), new BatchNorm2d(2), new SyncBatchNorm(2), new LazyBatchNorm2d(), new InstanceNorm1d(2)].map(
        is,
      ),
    ).toEqual([
      [true, false],
      [true, true],
      [true, false],
      [true, false],
      [false, false],
    ]);
  });
  it('no features: empty, affine or not', () => {
    // PyTorch: IndexError where affine.
    for (const affine of [true, false]) {
      const bn = new BatchNorm2d(0, { affine });
      const x = zeros([2, 0, 3, 3], { requiresGrad: true });
      const y = bn(x);
      y.sum().backward();
      expect([y.shape, x.grad!.shape, bn.weight?.grad?.shape]).toEqual([x.shape, x.shape, affine ? [0] : undefined]);
    }
  });
});

describe('ranks of the functional form', () => {
  walkTexts({
    'batchNorm: rank 1': () => batchNorm(ones([3]), null, null, training),
    'batchNorm: float64 weight': () =>
      batchNorm(ones([2, 3]), null, null, { ...training, weight: ones([3], { dtype: 'float64' }) }),
    'batchNorm: float64 input': () =>
      batchNorm(ones([2, 3], { dtype: 'float64' }), null, null, { ...training, weight: ones([3]) }),
  });
  it('0, 1, and beyond 5', () => {
    expect(() => batchNorm(ones([]), null, null, training)).toThrow(expect.objectContaining({ name: 'IndexError' }));
    expect(() => batchNorm(ones([1]), null, null, training)).toThrow(
      'Expected more than 1 value per channel when training, got input size [1]',
    );
    for (const mode of [true, false]) expect(batchNorm(zeros([0]), null, null, { training: mode }).shape).toEqual([0]);
    const x = det([2, 3, 2, 1, 2, 2, 1], 1);
    expectClose(
      batchNorm(x, null, null, training),
      list(batchNorm(x.reshape([2, 3, 8]), null, null, training))!,
      1e-14,
    );
  });
});

describe('checks', () => {
  const x = f32([4, 3]);
  it.each(['runningMean', 'runningVar', 'weight', 'bias'])('%s of one element more or less', (name) => {
    for (const size of [2, 4]) {
      const wrong = ones([size]);
      const given = (key: string) => (key === name ? wrong : null);
      for (const mode of [true, false])
        expect(() =>
          batchNorm(
            x,
            given('runningMean') ?? (mode ? null : ones([3])),
            given('runningVar') ?? (mode ? null : ones([3])),
            { weight: given('weight'), bias: given('bias'), training: mode },
          ),
        ).toThrow(`${name} should contain 3 elements not ${size}`);
    }
  });
  it('count elements, not dimensions', () => {
    expect(list(batchNorm(x, null, null, { ...training, weight: ones([1, 3]).mul(2) }))).toEqual(
      list(batchNorm(x, null, null, { ...training, weight: ones([3]).mul(2) })),
    );
  });
  it('any of the running statistics may be missing in training', () => {
    const [mean, variance] = [zeros([3]), ones([3])];
    batchNorm(x, mean, null, training);
    batchNorm(x, null, variance, training);
    expect([list(mean), list(variance)]).not.toContainEqual([0, 0, 0]);
    const both = [zeros([3]), ones([3])] as const;
    batchNorm(x, ...both, training);
    expect([list(mean), list(variance)]).toEqual(both.map(list));
  });
  it.each(['runningMean', 'runningVar'] as const)('%s must not require a gradient', (name) => {
    const statistics = { runningMean: zeros([3]), runningVar: ones([3]) };
    statistics[name].requiresGrad = true;
    for (const mode of [true, false])
      expect(() => batchNorm(x, statistics.runningMean, statistics.runningVar, { training: mode })).toThrow(
        `The function 'batchNorm' is not differentiable with respect to argument '${name}'.`,
      );
  });
  it('a state of version 1 into a layer that does not track: nothing is inserted', () => {
    const from = new StateDict([
      ['running_mean', ones([3])],
      ['running_var', ones([3])],
    ]);
    from.metadata = new Map([['', { version: 1 }]]);
    const bn = new BatchNorm1d(3, { affine: false, trackRunningStats: false });
    expect(bn.loadStateDict(from, { strict: false }).unexpectedKeys).toEqual(['running_mean', 'running_var']);
  });
});

describe('PyTorch’s own inputs', () => {
  type Row = [shape: number[], isTraining: boolean, momentum?: number, eps?: number];
  const rows: Row[] = [
    [[5, 5, 5], true, 0.5, 0.6],
    [[3, 2, 4], false, -1.2],
    [[3, 1], true, 0.0],
    [[3, 2, 3, 4], true, -1.0, 0.5],
    [[3, 2, 3, 4], false, -1.0, 0.5],
    [[2, 1], true],
    [[1, 2, 3], true],
  ];
  it.each(rows)('%j, training=%s, momentum %s, eps %s', (shape, isTraining, momentum = 0.1, eps = 1e-5) => {
    const [n, c] = shape;
    const s = shape.slice(2).reduce((a, b) => a * b, 1);
    const x = det(shape, 1);
    const parameters = [det([c], 2), det([c], 3)];
    for (const [weight, bias] of [parameters, [parameters[0], null], [null, parameters[1]], [null, null]]) {
      const [mean, variance] = [det([c], 4), det([c], 5).square()];
      const before = [list(mean)!, list(variance)!];
      const y = list(batchNorm(x, mean, variance, { weight, bias, training: isTraining, momentum, eps }))!;
      const unit = Array(c).fill(1);
      const { y: expected, channels } = batchNormReference(
        { n, c, s, channelsLast: false },
        list(x)!,
        list(x)!,
        list(weight) ?? unit,
        list(bias) ?? Array(c).fill(0),
        eps,
      );
      if (isTraining) {
        expectClose(y, expected, 1e-12);
        expectClose(
          mean,
          channels.map((one, i) => (1 - momentum) * before[0][i] + momentum * one.mean),
          1e-12,
        );
        const unbiased = (m2: number) => m2 / (n * s - 1);
        expectClose(
          variance,
          channels.map((one, i) => (1 - momentum) * before[1][i] + momentum * unbiased(one.m2)),
          1e-12,
        );
      } else {
        const w = list(weight) ?? unit;
        const b = list(bias) ?? Array(c).fill(0);
        const direct = list(x)!.map((v, i) => {
          const k = Math.floor(i / s) % c;
          return ((v - before[0][k]) / Math.sqrt(before[1][k] + eps)) * w[k] + b[k];
        });
        expectClose(y, direct, 1e-12);
        expect([list(mean), list(variance)]).toEqual(before);
      }
    }
  });
  it('over more than 65536 rows', () => {
    manualSeed(0);
    const x = randn([131_072, 2]);
    expectClose(batchNorm(x, null, null, training), list(batchNorm(x.to('float64'), null, null, training))!, 1e-6);
  });
  it('evaluates twice alike, and affine with ones and zeros like not affine', () => {
    const x = f32([4, 3, 2, 2]);
    const [affine, plain] = [new BatchNorm2d(3), new BatchNorm2d(3, { affine: false })];
    for (const bn of [affine, plain]) bn(f32([4, 3, 2, 2], 5));
    const first = list(affine.eval()(x));
    expect(list(affine(x))).toEqual(first);
    expectClose(plain.eval()(x), first!, 1e-6);
  });
  it('zero batches with momentum and modes of the module tests', () => {
    for (const [bn, shape] of [
      [new BatchNorm1d(5, { eps: 1e-3, momentum: 0.3, affine: false }), [0, 5, 9]],
      [new BatchNorm2d(5, { momentum: null }), [0, 5, 2, 2]],
      [new BatchNorm3d(5, { momentum: 0.7 }), [0, 5, 2, 2, 2]],
    ] as const)
      expect([bn(zeros(shape)).shape, counter(bn), list(bn.runningVar)]).toEqual([shape, 1, [1, 1, 1, 1, 1]]);
  });
});

describe('one value per channel (pytorch#4534, #1381)', () => {
  it('is an error with the exact size, the counter moves; two values are enough', () => {
    const text = (shape: string) => `Expected more than 1 value per channel when training, got input size [${shape}]`;
    const [one, two] = [new BatchNorm1d(3), new BatchNorm2d(3)];
    expect(() => one(ones([1, 3]))).toThrow(text('1, 3'));
    expect(() => two(ones([1, 3, 1, 1]))).toThrow(text('1, 3, 1, 1'));
    for (const bn of [one, two])
      expect([counter(bn), list(bn.runningMean), list(bn.runningVar)]).toEqual([1, [0, 0, 0], [1, 1, 1]]);
    expect(two(f32([1, 3, 1, 2])).shape).toEqual([1, 3, 1, 2]);
  });
});

describe('statistics', () => {
  it('of four constant batches, by the unbiased variance (pytorch#106366)', () => {
    const bn = new BatchNorm2d(2);
    bn(cat([1, 2, 3, 4].map((value) => full([4, 2, 3, 3], value))));
    // 0.9 + 0.1·1.25·144/143; the biased variance would give 1.0250.
    expectClose(bn.runningVar!, Array(2).fill(0.9 + (0.125 * 144) / 143), 1e-6);
    expect(list(bn.runningVar)![0].toFixed(5)).toBe('1.02587');
  });
  it('momentum 1: evaluation differs from training by the factor of the two variances', () => {
    const x = tensor([[1], [2], [4]], { dtype: 'float64' });
    const bn = new BatchNorm1d(1, { momentum: 1, dtype: 'float64' });
    const y = list(bn(x))!;
    expectClose(bn.runningVar!, [7 / 3], 1e-12);
    const factor = Math.sqrt((14 / 9 + 1e-5) / (7 / 3 + 1e-5));
    expectClose(
      bn.eval()(x),
      y.map((v) => v * factor),
      1e-12,
    );
  });
  it('of two calls in one graph: both count, and both backwards are right', () => {
    const bn = new BatchNorm1d(3, { dtype: 'float64' });
    const inputs = [1, 2].map((seed) => det([4, 3], seed).requiresGrad_());
    const outputs = inputs.map((x) => bn(x));
    outputs[0]
      .mul(det([4, 3], 7))
      .sum()
      .add(outputs[1].mul(det([4, 3], 8)).sum())
      .backward();
    expect(counter(bn)).toBe(2);
    inputs.forEach((input, i) => {
      const x = det([4, 3], i + 1).requiresGrad_();
      batchNorm(x, null, null, training).backward(det([4, 3], 7 + i));
      expectClose(input.grad!, list(x.grad)!, 1e-12);
    });
  });
  it('move k times with k micro-batches, and never in evaluation', () => {
    const bn = new BatchNorm1d(3);
    for (const part of f32([8, 3]).split(2)) bn(part);
    expect(counter(bn)).toBe(4);
    const before = [list(bn.runningMean), list(bn.runningVar)];
    bn.eval()(f32([8, 3], 5));
    expect([counter(bn), list(bn.runningMean), list(bn.runningVar)]).toEqual([4, ...before]);
  });
});

describe('changes between forward and backward', () => {
  const run = (change: (bn: BatchNorm1d, x: Tensor, y: Tensor) => void, isTraining = true) => {
    const bn = new BatchNorm1d(3, { dtype: 'float64' }).train(isTraining);
    const leaf = det([4, 3], 1).requiresGrad_();
    const x = leaf.mul(1);
    const y = bn(x);
    noGrad(() => change(bn, x, y));
    y.mul(det([4, 3], 2))
      .sum()
      .backward();
    return list(leaf.grad);
  };
  const text = 'one of the variables needed for gradient computation has been modified by an inplace operation';
  it.each([
    ['the input', (_: BatchNorm1d, x: Tensor) => x.fill_(1)],
    ['the weight', (bn: BatchNorm1d) => bn.weight!.fill_(2)],
  ] as const)('%s: an error', (_, change) => {
    for (const mode of [true, false]) expect(() => run(change, mode)).toThrow(text);
  });
  it('bias and output: no matter', () => {
    const untouched = run(() => {});
    expect(run((bn) => bn.bias!.fill_(2))).toEqual(untouched);
    expect(run((_, __, y) => y.fill_(2))).not.toBeNull();
  });
  it('running statistics after an evaluation: the gradient is that of what was computed', () => {
    const untouched = run(() => {}, false);
    expect(run((bn) => bn.runningVar!.fill_(100), false)).toEqual(untouched);
  });
});

describe('extreme numbers', () => {
  it.each([[[64, 1, 8, 8]], [[4096, 1]]])('a constant far from 0 gives exactly 0, %j (pytorch#5410)', (shape) => {
    // PyTorch: 11.5, and up to 0.998.
    expect(new Set(list(batchNorm(full(shape, 1000000.3), null, null, training)))).toEqual(new Set([0]));
  });
  it.each([[[4, 1]], [[2, 1, 2]]])('squares beyond float32, %j (pytorch#162489)', (shape) => {
    const bn = new BatchNorm1d(1);
    const y = bn(tensor([1e30, -1e30, 2e30, 1e30]).reshape(shape));
    // By hand, in units of 1e30: mean 0.75, deviations 0.25, −1.75, 1.25, 0.25, biased variance 1.1875.
    expectClose(
      y,
      [0.25, -1.75, 1.25, 0.25].map((d) => d / Math.sqrt(1.1875)),
      1e-6,
    );
    expect(list(bn.runningVar)).toEqual([inf]);
  });
  it('values near the largest float32', () => {
    // PyTorch: −Inf or NaN.
    expect(list(batchNorm(full([2, 1, 3], 3e38), null, null, training))).toEqual(Array(6).fill(0));
  });
  it('variances below float32', () => {
    const x = f32([8, 1]).mul(1e-30);
    const small = list(batchNorm(x, null, null, training))!;
    // Only eps counts: x/√1e-5.
    expectClose(small, list(x.to('float64').sub(x.to('float64').mean()).div(Math.sqrt(1e-5)))!, 1e-6, 0);
    // With next to none the result is that of any scale; PyTorch's variance is 0 then.
    expectClose(
      batchNorm(x, null, null, { ...training, eps: 1e-90 }),
      list(batchNorm(f32([8, 1]), null, null, { ...training, eps: 1e-90 }))!,
      1e-5,
    );
  });
  it('a constant channel with eps 0: the bias; dx and dweight 0, dbias Σdy', () => {
    const x = ones([4, 2], { requiresGrad: true });
    const [weight, bias] = [full([2], 3, { requiresGrad: true }), full([2], 5, { requiresGrad: true })];
    // PyTorch's function takes no such eps any more; what has none, as instance norm may, comes here.
    expect(() => batchNorm(x, null, null, { ...training, eps: 0 })).toThrow(
      new ValueError('batchNorm eps must be positive during training, but got 0'),
    );
    const y = normalizeBatch(x, null, null, { ...training, eps: 0, weight, bias });
    y.backward(f32([4, 2]));
    expect([new Set(list(y)), new Set(list(x.grad)!.map(Math.abs)), list(weight.grad)]).toEqual([
      new Set([5]),
      new Set([0]),
      [0, 0],
    ]);
    expectClose(bias.grad!, list(f32([4, 2]).sum(0))!, 1e-6);
    // Evaluation has no such guard.
    expect(list(batchNorm(zeros([1, 2]), zeros([2]), zeros([2]), { eps: 0 }))).toEqual([nan, nan]);
  });
  it('two values with eps 0: ±1, and no gradient', () => {
    const x = tensor([[1.25], [7]], { requiresGrad: true });
    const y = normalizeBatch(x, null, null, { ...training, eps: 0 });
    y.backward(tensor([[3], [-0.5]]));
    expectClose(y, [-1, 1], 1e-7);
    // Terms of about 1 that cancel, in float32.
    expectClose(x.grad!, [0, 0], 1e-6);
  });
  it('four zeros give the bias, and weight or bias alone work in both modes', () => {
    expect(
      list(batchNorm(zeros([4, 2]), null, null, { ...training, weight: full([2], 3), bias: full([2], 5) })),
    ).toEqual(Array(8).fill(5));
    const x = det([4, 2], 1);
    const statistics = [det([2], 4), det([2], 5).square()] as const;
    for (const options of [training, {}]) {
      const plain = batchNorm(x, ...statistics, options);
      expectClose(
        batchNorm(x, ...statistics, { ...options, weight: full([2], 3, { dtype: 'float64' }) }),
        list(plain.mul(3))!,
        1e-12,
      );
      expectClose(
        batchNorm(x, ...statistics, { ...options, bias: full([2], 5, { dtype: 'float64' }) }),
        list(plain.add(5))!,
        1e-12,
      );
    }
  });
});

describe('NaN and infinity', () => {
  const broken = (value: number) => {
    const values = list(f32([4, 2]))!;
    values[2] = value;
    return tensor(values).reshape([4, 2]);
  };
  const column = (y: Tensor, i: number) => (y.toArray() as number[][]).map((row) => row[i]);
  it.each([nan, inf, -inf])('%s in training: its channel and statistics for good, the other untouched', (value) => {
    const [bn, sound] = [new BatchNorm1d(2), new BatchNorm1d(2)];
    const y = bn(broken(value));
    expect(column(y, 0).every(Number.isNaN)).toBe(true);
    expect(column(y, 1)).toEqual(column(sound(f32([4, 2])), 1));
    const statistics = () => [list(bn.runningMean)![0], list(bn.runningVar)![0]];
    expect(statistics().some(Number.isFinite)).toBe(false);
    expect([list(bn.runningMean)![1], list(bn.runningVar)![1]]).toEqual([
      list(sound.runningMean)![1],
      list(sound.runningVar)![1],
    ]);
    bn(f32([4, 2]));
    expect(statistics().some(Number.isFinite)).toBe(false);
    bn.resetRunningStats();
    expect(statistics()).toEqual([0, 1]);
  });
  it('in evaluation: only those elements', () => {
    const bn = new BatchNorm1d(2).eval();
    const sound = list(bn(f32([4, 2])))!;
    for (const value of [nan, inf, -inf]) {
      const y = list(bn(broken(value)))!;
      expect([y[2], y.filter((_, i) => i !== 2)]).toEqual([value, sound.filter((_, i) => i !== 2)]);
    }
  });
  it('statistics that are NaN, negative or infinite (pytorch#106605)', () => {
    const bn = new BatchNorm1d(2).eval();
    bn.bias!.detach().fill_(5);
    for (const [variance, mean, expected] of [
      [nan, 0, nan],
      [1, nan, nan],
      [-0.5, 0, nan],
      [inf, 0, 5],
    ]) {
      bn.runningVar = tensor([variance, 1]);
      bn.runningMean = tensor([mean, 0]);
      const y = bn(f32([4, 2]));
      expect(new Set(column(y, 0))).toEqual(new Set([expected]));
      expect(column(y, 1).every(Number.isFinite)).toBe(true);
    }
  });
  it('forward and backward of many values in (0, 1), channels last: no NaN (pytorch#147303)', () => {
    manualSeed(0);
    const x = rand([4, 3, 56, 56]).contiguous('channelsLast').requiresGrad_();
    const bn = new BatchNorm2d(3);
    bn(x).square().sum().backward();
    expect([x.grad, bn.weight!.grad].every((g) => list(g)!.every(Number.isFinite))).toBe(true);
  });
});

describe('orders of memory (pytorch#62967, #64039)', () => {
  it.each([
    ['x.permute(0, 2, 1, 3)', (x: Tensor) => x.permute([0, 2, 1, 3]), [3, 4, 5, 2]],
    ['(N, L, C).transpose(1, 2).unsqueeze(−1)', (x: Tensor) => x.transpose(1, 2).unsqueeze(-1), [3, 4, 5]],
  ] as const)('%s equals its contiguous copy', (_, turn, shape) => {
    // PyTorch's second dx is wrong by 4.3.
    const [turned, plain] = [det(shape, 1).requiresGrad_(), det(shape, 1).requiresGrad_()];
    const results = [turn(turned), turn(plain).contiguous()].map((x) => {
      const bn = new BatchNorm2d(x.shape[1], { dtype: 'float64' });
      const y = bn(x);
      y.backward(det(y.shape, 2));
      return [list(y)!, list(bn.runningMean)!, list(bn.runningVar)!, list(bn.weight!.grad)!];
    });
    for (const [i, values] of results[0].entries()) expectClose(values, results[1][i], 1e-12);
    expectClose(turned.grad!, list(plain.grad)!, 1e-12);
  });
  it.each([4, 5])('channels-last input of rank %i gives channels-last output and gradient, whatever dy is', (rank) => {
    for (const isTraining of [true, false]) {
      const x = det([2, 3, 2, 2, 2].slice(0, rank), 1).contiguous('channelsLast').requiresGrad_();
      const y = batchNorm(x, zeros([3], { dtype: 'float64' }), ones([3], { dtype: 'float64' }), {
        training: isTraining,
      });
      y.backward(det(y.shape, 2));
      expect([y.memoryFormat, x.grad!.memoryFormat]).toEqual(['channelsLast', 'channelsLast']);
    }
  });
});

describe('derivatives of the third order (pytorch#186256)', () => {
  /** d³/dx³ of a loss of degree three, along two fixed directions. */
  const third = (norm: (x: Tensor) => Tensor, shape: readonly number[]) => {
    const x = det(shape, 1).add(0.1).requiresGrad_();
    const loss = norm(x).pow(3).mul(det(shape, 9)).sum();
    const [first] = grad([loss], [x], { createGraph: true });
    const [second] = grad([first.mul(det(shape, 10)).sum()], [x], { createGraph: true });
    return list(grad([second.mul(det(shape, 11)).sum()], [x])[0])!;
  };
  const eps = 0.25;
  /** From primitives only. */
  const composed =
    (dims: number[], isCentred = true) =>
    (x: Tensor) => {
      const centred = isCentred ? x.sub(x.mean(dims, { keepdim: true })) : x;
      return centred.mul(centred.square().mean(dims, { keepdim: true }).add(eps).rsqrt());
    };
  const rows: [string, number[], (x: Tensor) => Tensor, (x: Tensor) => Tensor][] = [
    ['batchNorm', [4, 2], (x) => batchNorm(x, null, null, { ...training, eps }), composed([0])],
    ['batchNorm', [3, 2, 3], (x) => batchNorm(x, null, null, { ...training, eps }), composed([0, 2])],
    ['instanceNorm', [2, 2, 4], (x) => functional.instanceNorm(x, { eps }), composed([2])],
    ['layerNorm', [3, 4], (x) => functional.layerNorm(x, [4], { eps }), composed([1])],
    ['rmsNorm', [3, 4], (x) => functional.rmsNorm(x, [4], { eps }), composed([1], false)],
    ['groupNorm', [2, 2, 3], (x) => functional.groupNorm(x, 1, { eps }), composed([1, 2])],
  ];
  it.each(rows)('%s of %j equals composed primitives', (_, shape, norm, primitives) => {
    const expected = third(primitives, shape);
    expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(1e-2);
    // A few roundings of float64, magnified by values up to about 1e3.
    expectClose(third(norm, shape), expected, 1e-9);
  });
  it('of batch norm in evaluation is that of an affine map', () => {
    const [mean, variance] = [det([2], 4), det([2], 5).square()];
    expectClose(
      third((x) => batchNorm(x, mean, variance, { eps }), [4, 2]),
      third((x) => x.sub(mean).mul(variance.add(eps).rsqrt()), [4, 2]),
      1e-9,
    );
  });
});

describe('one training step of every norm layer', () => {
  it.each([
    ['GroupNorm', new GroupNorm(2, 4), [2, 4, 3]],
    ['LayerNorm', new LayerNorm([4, 3]), [2, 4, 3]],
    ['RMSNorm', new RMSNorm([4, 3]), [2, 4, 3]],
    ['InstanceNorm1d', new InstanceNorm1d(4, { affine: true }), [2, 4, 3]],
    ['SyncBatchNorm', new SyncBatchNorm(4), [2, 4, 3]],
  ] as const)('%s: frozen parameters get no gradient, the input does', (_, norm, shape) => {
    norm.requiresGrad_(false);
    const x = f32(shape).requiresGrad_();
    norm(x).mul(f32(shape, 2)).sum().backward();
    expect([norm.weight!.grad, list(x.grad)!.some((g) => g !== 0)]).toEqual([null, true]);
    norm.requiresGrad_(true);
    norm(f32(shape)).mul(f32(shape, 2)).sum().backward();
    expect(list(norm.weight!.grad)!.some((g) => g !== 0)).toBe(true);
  });
});
