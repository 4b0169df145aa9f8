// BatchNorm layers against PyTorch's (golden/norm_golden.json) and against the rules of their statistics, checks and
// states, row by row.

import { describe, expect, it } from 'vitest';
import { grad } from '../../src/autograd/backward.ts';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import {
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  type BatchNormBase,
  functional,
  NormBase,
  type NormOptions,
  StateDict,
} from '../../src/nn/index.ts';
import { normalizeBatch } from '../../src/ops/norm/batch_norm.ts';
import { arange, fromTypedArray, ones, tensor, zeros } from '../../src/tensor/create.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose, readGolden } from '../support/golden.ts';

type Float = 'float32' | 'float64';
interface Plain {
  shape: number[];
  data: number[];
}
type Buffers = Partial<Record<'weight' | 'bias' | 'running_mean' | 'running_var' | 'num_batches_tracked', Plain>>;
interface ModuleCase {
  kind: 'batch_norm_module';
  cls: keyof typeof classes;
  dtype: Float;
  training: boolean;
  affine: boolean;
  track_running_stats: boolean;
  momentum: number | null;
  eps: number;
  init: Buffers;
  after: Buffers;
  x: Plain;
  y: Plain;
  dx: Plain;
  dy: Plain;
  dweight: Plain | null;
  dbias: Plain | null;
}
type DoubleCase = Record<
  | 'x'
  | 'weight'
  | 'bias'
  | 'dy'
  | 'running_mean'
  | 'running_var'
  | 'ggI'
  | 'ggG'
  | 'ggB'
  | 'dx'
  | 'dweight'
  | 'dbias'
  | 'gI'
  | 'gG'
  | 'ggO',
  Plain
> & { kind: 'batch_norm_double_backward'; training: boolean; eps: number };

const classes = { BatchNorm1d, BatchNorm2d, BatchNorm3d };
const { cases } = readGolden<{ cases: { kind: string }[] }>('norm_golden.json');
const moduleCases = cases.filter((c): c is ModuleCase => c.kind === 'batch_norm_module');
const doubleCases = cases.filter((c): c is DoubleCase => c.kind === 'batch_norm_double_backward');

const make = ({ shape, data }: Plain, dtype: Float | 'int64' = 'float64', requiresGrad = false) =>
  fromTypedArray(Float64Array.from(data), shape, { dtype, requiresGrad });
const close = (actual: Tensor, expected: Plain, tolerance: number, what: string) =>
  expectClose(actual, expected.data, tolerance, tolerance, what);

describe('norm_golden.json', () => {
  it('has the cases it should', () => {
    expect([moduleCases.length, doubleCases.length]).toEqual([88, 2]);
  });

  it.each(
    moduleCases.map((c) => ({
      ...c,
      name: `${c.cls} [${c.x.shape}] ${c.dtype} ${c.training ? 'train' : 'eval'} affine=${c.affine} tracking=${c.track_running_stats} momentum=${c.momentum}`,
    })),
  )('$name', (c) => {
    const formats = c.x.shape.length > 3 ? (['contiguous', 'channelsLast'] as const) : (['contiguous'] as const);
    for (const format of formats) {
      const module = new classes[c.cls](c.x.shape[1], {
        eps: c.eps,
        momentum: c.momentum,
        affine: c.affine,
        trackRunningStats: c.track_running_stats,
        dtype: c.dtype,
      }).train(c.training);
      const state = new Map(
        Object.entries(c.init).map(([name, value]) => [
          name,
          make(value, name === 'num_batches_tracked' ? 'int64' : c.dtype),
        ]),
      );
      module.loadStateDict(state);
      const x = make(c.x, c.dtype).contiguous(format).requiresGrad_();
      const y = module(x);
      expect(y.memoryFormat).toBe(format);
      const tolerance = c.dtype === 'float64' ? 1e-12 : 2e-6;
      const gradientTolerance = c.dtype === 'float64' ? 1e-12 : 5e-6;
      close(y, c.y, tolerance, 'y');
      y.backward(make(c.dy, c.dtype));
      close(x.grad!, c.dx, gradientTolerance, 'dx');
      expect([module.weight?.grad ?? null, module.bias?.grad ?? null].map((g) => g !== null)).toEqual([
        c.dweight !== null,
        c.dbias !== null,
      ]);
      if (c.dweight) close(module.weight!.grad!, c.dweight, gradientTolerance, 'dweight');
      if (c.dbias) close(module.bias!.grad!, c.dbias, gradientTolerance, 'dbias');
      const after = module.stateDict();
      for (const [name, value] of Object.entries(c.after)) close(after.get(name)!, value, tolerance, name);
    }
  });

  it.each(doubleCases)('double backward, training=$training', (c) => {
    const [x, weight, bias, dy] = [c.x, c.weight, c.bias, c.dy].map((value) => make(value, 'float64', true));
    const y = functional.batchNorm(x, make(c.running_mean), make(c.running_var), {
      weight,
      bias,
      training: c.training,
      eps: c.eps,
    });
    const first = grad([y], [x, weight, bias], { gradOutputs: [dy], createGraph: true });
    close(first[0], c.dx, 1e-12, 'dx');
    close(first[1], c.dweight, 1e-12, 'dweight');
    close(first[2], c.dbias, 1e-12, 'dbias');
    const cotangents = [c.ggI, c.ggG, c.ggB].map((value) => make(value));
    const second = grad(first, [x, weight, dy], { gradOutputs: cotangents });
    close(second[0], c.gI, 1e-11, 'gI');
    close(second[1], c.gG, 1e-11, 'gG');
    close(second[2], c.ggO, 1e-11, 'ggO');
  });
});

/** Two channels; their batch means are 7/3 and 30, their unbiased variances 7/3 and 700. */
const batch = () =>
  tensor([
    [1, 10],
    [2, 20],
    [4, 60],
  ]);
const counter = (bn: NormBase) => bn.numBatchesTracked?.item() ?? null;
const list = (t: Tensor | null) => (t ? Array.from(t.dataSync() as Float32Array) : null);

describe('construction', () => {
  it('has PyTorch’s defaults, initial values and order of keys', () => {
    const bn = new BatchNorm2d(3);
    expect(bn).toBeInstanceOf(NormBase);
    expect([bn.numFeatures, bn.eps, bn.momentum, bn.affine, bn.trackRunningStats, bn.training]).toEqual([
      3,
      1e-5,
      0.1,
      true,
      true,
      true,
    ]);
    const state = bn.stateDict();
    expect([...state.keys()]).toEqual(['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked']);
    expect([...state.values()].map((t) => t.toArray())).toEqual([[1, 1, 1], [0, 0, 0], [0, 0, 0], [1, 1, 1], 0]);
    expect(bn.numBatchesTracked!.dtype).toBe('int64');
    expect([...state.metadata!]).toEqual([['', { version: 2 }]]);
    expect([bn.weight!.requiresGrad, bn.runningMean!.requiresGrad]).toEqual([true, false]);
  });

  it('registers what is absent as null', () => {
    const bn = new BatchNorm1d(3, { affine: false, trackRunningStats: false });
    expect([bn.weight, bn.bias, bn.runningMean, bn.runningVar, bn.numBatchesTracked]).toEqual(Array(5).fill(null));
    expect([...bn.parameters(), ...bn.buffers(), ...bn.stateDict().keys()]).toEqual([]);
    expect(new BatchNorm1d(2, { bias: false }).stateDict().has('bias')).toBe(false);
  });

  it('takes no features, a dtype, and any eps and momentum', () => {
    expect(new BatchNorm1d(0).weight!.shape).toEqual([0]);
    expect(new BatchNorm1d(0)(zeros([2, 0])).shape).toEqual([2, 0]);
    const bn = new BatchNorm1d(2, { dtype: 'float64', eps: -1, momentum: 2 });
    expect([bn.weight!.dtype, bn.runningVar!.dtype, bn.numBatchesTracked!.dtype]).toEqual([
      'float64',
      'float64',
      'int64',
    ]);
    expect(new BatchNorm1d(-1, { affine: false, trackRunningStats: false }).numFeatures).toBe(-1);
  });

  it('reads and writes the buffers under both names', () => {
    const bn = new BatchNorm1d(2) as BatchNorm1d & { running_mean: Tensor | null };
    expect(bn.runningMean).toBe(bn.running_mean);
    bn.runningMean = tensor([1, 2]);
    expect(bn.stateDict().get('running_mean')!.toArray()).toEqual([1, 2]);
    bn.running_mean = null;
    expect(bn.runningMean).toBeNull();
    expect(() => {
      bn.runningVar = 3 as unknown as Tensor;
    }).toThrow("cannot assign 'number' object to buffer 'running_var'");
  });

  it('converts all but the counter', () => {
    const bn = new BatchNorm1d(2).to('float64');
    expect([...bn.stateDict().values()].map((t) => t.dtype)).toEqual([...Array(4).fill('float64'), 'int64']);
    bn(ones([3, 2], { dtype: 'float64' }));
  });

  it('resets in place', () => {
    const bn = new BatchNorm1d(2);
    const { weight, runningVar } = bn;
    bn(batch());
    noGrad(() => weight!.fill_(5));
    bn.resetRunningStats();
    expect([bn.runningMean, bn.runningVar, bn.numBatchesTracked].map((t) => t!.toArray())).toEqual([[0, 0], [1, 1], 0]);
    expect([weight!.toArray(), bn.runningVar === runningVar]).toEqual([[5, 5], true]);
    bn.resetParameters();
    expect([weight!.toArray(), bn.bias!.toArray()]).toEqual([
      [1, 1],
      [0, 0],
    ]);
    const untracked = new BatchNorm1d(2, { trackRunningStats: false });
    untracked.resetRunningStats();
    untracked.trackRunningStats = true;
    expect(() => untracked.resetRunningStats()).toThrow(
      '[resetRunningStats] the layer was made without running statistics: there are none to reset',
    );
  });
});

describe('accepted inputs', () => {
  const texts: [BatchNormBase, number[], string][] = [
    [new BatchNorm1d(3), [2, 3, 4, 5], 'expected 2D or 3D input (got 4D input)'],
    [new BatchNorm1d(3), [3], 'expected 2D or 3D input (got 1D input)'],
    [new BatchNorm2d(3), [2, 3, 4], 'expected 4D input (got 3D input)'],
    [new BatchNorm3d(3), [2, 3, 4, 5], 'expected 5D input (got 4D input)'],
  ];
  it.each(texts)('%s refuses %j', (bn, shape, text) => {
    expect(() => bn(ones(shape))).toThrow(text);
    // The rank comes before the counter.
    expect(counter(bn)).toBe(0);
  });
  it('an unbatched (C, L) is read as (N, C)', () => {
    expect(new BatchNorm1d(4)(ones([2, 4])).shape).toEqual([2, 4]);
  });
});

describe('decision table', () => {
  const batchY = () => list(functional.batchNorm(batch(), null, null, { training: true }));
  const moved = { mean: [0.1 * (7 / 3), 3], variance: [0.9 + 0.1 * (7 / 3), 0.9 + 70] };
  const still = { mean: [0, 0], variance: [1, 1] };
  interface Row {
    name: string;
    options?: NormOptions;
    prepare?: (bn: BatchNorm1d) => void;
    training: boolean;
    uses: 'batch' | 'running';
    mean: number[] | null;
    variance: number[] | null;
    counter: number | null;
  }
  const untracked = { trackRunningStats: false };
  const none = { mean: null, variance: null, counter: null };
  const rows: Row[] = [
    { name: 'T, tracking', training: true, uses: 'batch', ...moved, counter: 1 },
    { name: 'T, not tracking', options: untracked, training: true, uses: 'batch', ...none },
    { name: 'F, tracking', training: false, uses: 'running', ...still, counter: 0 },
    { name: 'F, not tracking', options: untracked, training: false, uses: 'batch', ...none },
    {
      name: 'T, tracking switched off',
      prepare: (bn) => (bn.trackRunningStats = false),
      training: true,
      uses: 'batch',
      ...still,
      counter: 0,
    },
    {
      name: 'F, tracking switched off',
      prepare: (bn) => (bn.trackRunningStats = false),
      training: false,
      uses: 'running',
      ...still,
      counter: 0,
    },
    {
      name: 'T, tracking switched on',
      options: untracked,
      prepare: (bn) => (bn.trackRunningStats = true),
      training: true,
      uses: 'batch',
      ...none,
    },
    {
      name: 'F, tracking switched on',
      options: untracked,
      prepare: (bn) => (bn.trackRunningStats = true),
      training: false,
      uses: 'batch',
      ...none,
    },
    {
      name: 'T, both set to null',
      prepare: (bn) => (bn.runningMean = bn.runningVar = null),
      training: true,
      uses: 'batch',
      mean: null,
      variance: null,
      counter: 1,
    },
    {
      name: 'T, only the mean null',
      prepare: (bn) => (bn.runningMean = null),
      training: true,
      uses: 'batch',
      mean: null,
      variance: moved.variance,
      counter: 1,
    },
    {
      name: 'T, counter null',
      prepare: (bn) => (bn.numBatchesTracked = null),
      training: true,
      uses: 'batch',
      ...moved,
      counter: null,
    },
    {
      name: 'T, counter and momentum null',
      options: { momentum: null },
      prepare: (bn) => (bn.numBatchesTracked = null),
      training: true,
      uses: 'batch',
      ...still,
      counter: null,
    },
  ];
  it.each(rows)('$name', ({ options, prepare, training, uses, mean, variance, counter: expectedCounter }) => {
    const bn = new BatchNorm1d(2, options).train(training);
    prepare?.(bn);
    const y = bn(batch());
    if (uses === 'batch') expect(list(y)).toEqual(batchY());
    else expectClose(y, list(batch().div(Math.sqrt(1 + 1e-5)))!, 1e-6);
    for (const [actual, expected] of [
      [bn.runningMean, mean],
      [bn.runningVar, variance],
    ] as const) {
      if (expected) expectClose(actual!, expected, 1e-6);
      else expect(actual).toBeNull();
    }
    expect(counter(bn)).toBe(expectedCounter);
  });

  it.each(['Mean', 'Var'] as const)('F, only running%s null', (name) => {
    const bn = new BatchNorm1d(2).eval();
    if (name === 'Mean') bn.runningMean = null;
    else bn.runningVar = null;
    expect(() => bn(batch())).toThrow(`running${name} must be defined in evaluation mode`);
  });
});

describe('momentum', () => {
  const stepped = (
    momentum: number | null | boolean,
    prepare: (bn: BatchNorm1d) => void = () => {},
    batches = [batch()],
  ) => {
    const bn = new BatchNorm1d(2, { momentum: momentum as number });
    prepare(bn);
    for (const x of batches) bn(x);
    return bn;
  };
  const broken = () =>
    tensor([
      [1, Number.NaN],
      [2, 20],
      [4, 60],
    ]);

  it('0.1', () => {
    const bn = stepped(0.1);
    expectClose(bn.runningMean!, [0.7 / 3, 3], 1e-6);
    expectClose(bn.runningVar!, [3.4 / 3, 70.9], 1e-6);
  });
  it('0 changes nothing but the counter, except by a NaN', () => {
    const bn = stepped(0);
    expect([list(bn.runningMean), list(bn.runningVar), counter(bn)]).toEqual([[0, 0], [1, 1], 1]);
    expect(list(stepped(0, undefined, [broken()]).runningMean)).toEqual([0, Number.NaN]);
  });
  it('1 is the last batch, in which an old NaN stays', () => {
    expectClose(stepped(1).runningVar!, [7 / 3, 700], 1e-6);
    const kept = stepped(1, (bn) => (bn.runningMean = tensor([Number.NaN, 0])));
    expect(list(kept.runningMean)).toEqual([Number.NaN, 30]);
    expectClose(stepped(true).runningVar!, [7 / 3, 700], 1e-6);
  });
  it('null averages batches, going on from a loaded counter', () => {
    const second = batch().mul(3);
    const bn = stepped(null, (b) => (b.runningMean = tensor([99, 99])), [batch(), second]);
    expectClose(bn.runningMean!, [(7 / 3) * 2, 60], 1e-6);
    expectClose(bn.runningVar!, [(7 / 3) * 5, 3500], 1e-6);
    const loaded = stepped(null, (b) => (b.numBatchesTracked = tensor(3, { dtype: 'int64' })));
    expectClose(loaded.runningMean!, [7 / 12, 7.5], 1e-6);
    expect(list(stepped(null, (b) => (b.runningMean = tensor([Number.NaN, 0]))).runningMean)![0]).toBeNaN();
  });
  it('counts in whatever dtype the counter has', () => {
    for (const dtype of ['int64', 'int32', 'float32'] as const) {
      const bn = stepped(0.1, (b) => (b.numBatchesTracked = tensor(3, { dtype })), [batch(), batch()]);
      expect([counter(bn), bn.numBatchesTracked!.dtype]).toEqual([5, dtype]);
    }
  });
  it('beyond [0, 1] is arithmetic', () => {
    expectClose(stepped(2).runningVar!, [-1 + 14 / 3, -1 + 1400], 1e-6);
    expectClose(stepped(-1).runningMean!, [-7 / 3, -30], 1e-6);
  });
  it('that is no number is an error where the layer is made, or at the call', () => {
    const string = '0.1' as unknown as number;
    expect(() => new BatchNorm1d(2, { momentum: string })).toThrow(
      "[BatchNorm1d] expected a number as momentum, got '0.1'",
    );
    expect(() => new BatchNorm1d(2, { eps: Number.NaN })).toThrow(
      '[BatchNorm1d] expected a finite number as eps, got NaN',
    );
    const bn = new BatchNorm1d(2);
    bn.momentum = string;
    expect(() => bn(batch())).toThrow("[batchNorm] expected a number as momentum, got '0.1'");
    bn.momentum = Number.NaN;
    expect(() => bn(batch())).toThrow('[batchNorm] expected momentum to be finite, got NaN');
    bn.momentum = 0.1;
    bn.eps = null as unknown as number;
    expect(() => bn(batch())).toThrow('[batchNorm] expected a number as eps, got null');
  });
});

describe('checks, in order', () => {
  it('the counter moves before them, the statistics do not', () => {
    const bn = new BatchNorm1d(3);
    expect(() => bn(ones([1, 3]))).toThrow(
      'Expected more than 1 value per channel when training, got input size [1, 3]',
    );
    expect(() => bn(ones([2, 2]))).toThrow('runningMean should contain 2 elements not 3');
    expect([counter(bn), list(bn.runningVar)]).toEqual([2, [1, 1, 1]]);
  });
  it('the first that fails wins', () => {
    const wrong = { weight: ones([4]), bias: ones([5]) };
    const x = ones([2, 3]);
    const call = (mean: Tensor | null, variance: Tensor | null, options: object) => () =>
      functional.batchNorm(x, mean, variance, options);
    expect(call(ones([2]), ones([1]), wrong)).toThrow('runningMean should contain 3 elements not 2');
    expect(call(null, ones([1]), wrong)).toThrow('runningMean must be defined in evaluation mode');
    expect(call(ones([3]), ones([1]), wrong)).toThrow('runningVar should contain 3 elements not 1');
    expect(call(ones([3]), null, wrong)).toThrow('runningVar must be defined in evaluation mode');
    expect(call(ones([3]), ones([3]), wrong)).toThrow('weight should contain 3 elements not 4');
    expect(call(null, null, { ...wrong, training: true })).toThrow('weight should contain 3 elements not 4');
    expect(call(ones([3]), ones([3]), { bias: ones([5]) })).toThrow('bias should contain 3 elements not 5');
  });
  it('refuse running statistics that require gradients, and other dtypes', () => {
    for (const training of [true, false]) {
      const bn = new BatchNorm1d(2).train(training);
      bn.runningMean!.requiresGrad = true;
      expect(() => bn(batch())).toThrow(
        "The function 'batchNorm' is not differentiable with respect to argument 'runningMean'. This input cannot have requiresGrad true.",
      );
      expect(noGrad(() => bn(batch())).shape).toEqual([3, 2]);
    }
    expect(() => new BatchNorm1d(2)(batch().to('float64'))).toThrow('mixed dtype (CPU)');
    expect(() => new BatchNorm1d(2)(batch().to('int64'))).toThrow('"batchNorm" not implemented for \'int64\'');
  });
  it.each([[[1, 3]], [[1, 3, 1]]])('one value per channel, %j', (shape) => {
    const bn = new BatchNorm1d(3);
    expect(bn.eval()(ones(shape)).shape).toEqual(shape);
    const untracked = new BatchNorm1d(3, { trackRunningStats: false }).eval();
    expect(() => untracked(ones(shape))).toThrow('Expected more than 1 value per channel when training');
    expect(bn.train()(ones([1, 3, 2])).shape).toEqual([1, 3, 2]);
  });
  it.each([
    [[0, 3], true],
    [[2, 3, 0], false],
    [[1, 3, 0], true],
    [[0, 5, 2], true],
  ] as const)('an empty batch %j, training=%s', (shape, training) => {
    const bn = new BatchNorm1d(3).train(training);
    const x = zeros(shape, { requiresGrad: true });
    const y = bn(x);
    expect(y.shape).toEqual(shape);
    y.sum().backward();
    expect([x.grad!.shape, list(bn.weight!.grad), list(bn.bias!.grad)]).toEqual([shape, [0, 0, 0], [0, 0, 0]]);
    expect([counter(bn), list(bn.runningMean)]).toEqual([training ? 1 : 0, [0, 0, 0]]);
  });
});

describe('when statistics move', () => {
  it('under noGrad, with frozen parameters, and once per forward', () => {
    const bn = new BatchNorm1d(2).requiresGrad_(false);
    noGrad(() => bn(batch()));
    bn(batch());
    expect(counter(bn)).toBe(2);
    expectClose(bn.runningMean!, [0.19 * (7 / 3), 5.7], 1e-6);
  });
  it('a later training step does not change the gradient of an earlier evaluation', () => {
    const bn = new BatchNorm1d(2, { momentum: 1 }).eval();
    const x = batch().requiresGrad_();
    const y = bn(x);
    bn.train()(batch());
    y.sum().backward();
    expectClose(x.grad!, Array(6).fill(1 / Math.sqrt(1 + 1e-5)), 1e-6);
  });
  it('frozen weight: no gradient, yet a differentiable output', () => {
    const bn = new BatchNorm1d(2);
    bn.weight!.requiresGrad = false;
    bn(batch()).sum().backward();
    expect([bn.weight!.grad, list(bn.bias!.grad)]).toEqual([null, [3, 3]]);
  });
});

describe('gradients that are recorded', () => {
  const recorded = (bn: BatchNorm1d, x: Tensor, cotangent: Tensor) =>
    grad([bn(x)], [x, bn.weight!], { gradOutputs: [cotangent], createGraph: true });
  const cotangent = () => fromTypedArray(Float64Array.from([1, -2, 4, 3, 0.5, -1]), [3, 2]);

  it('are 0 on constant channels with eps = 0, as the plain ones are', () => {
    const weight = ones([2], { dtype: 'float64', requiresGrad: true });
    // A third of the sum of three of these is not one of them.
    const x = fromTypedArray(Float64Array.from([0.1, 1e6 + 0.3, 0.1, 1e6 + 0.3, 0.1, 1e6 + 0.3]), [3, 2]);
    const y = normalizeBatch(x.requiresGrad_(), null, null, { training: true, eps: 0, weight });
    const [dx, dweight] = grad([y], [x, weight], { gradOutputs: [cotangent()], createGraph: true });
    expect([list(dx), list(dweight)]).toEqual([Array(6).fill(0), [0, 0]]);
  });
  it('are as exact far from 0', () => {
    const bn = new BatchNorm1d(2);
    const data = Float32Array.from([10001, 10000.5, 9999.125, 10003.25, 10002.25, 9998]);
    const x = fromTypedArray(data, [3, 2], { requiresGrad: true });
    const near = fromTypedArray(
      data.map((v) => v - 10000),
      [3, 2],
      { requiresGrad: true },
    );
    const g = cotangent().to('float32');
    // Differences of neighbours of 10000 are exact in float32, so both have the same normal form up to its own
    // roundings.
    expectClose(recorded(bn, x, g)[0], list(recorded(bn, near, g)[0])!, 2e-6);
  });
  it('exist where only the bias requires one', () => {
    for (const training of [true, false]) {
      const bn = new BatchNorm1d(2).train(training);
      bn.weight!.requiresGrad = false;
      const g = cotangent().to('float32').requiresGrad_();
      const [dbias] = grad([bn(batch())], [bn.bias!], { gradOutputs: [g], createGraph: true });
      const [back] = grad([dbias], [g], { gradOutputs: [tensor([2, 3])] });
      expect(list(back)).toEqual([2, 3, 2, 3, 2, 3]);
    }
  });
});

describe('loading states', () => {
  const state = (changes: Record<string, Tensor | undefined> = {}, metadata: StateDict['metadata'] = null) => {
    const dict = new StateDict(new BatchNorm2d(3).stateDict());
    for (const [name, value] of Object.entries(changes)) value ? dict.set(name, value) : dict.delete(name);
    dict.metadata = metadata;
    return dict;
  };
  const version2 = new Map([['', { version: 2 }]]);
  const load = (bn: BatchNorm2d, from: StateDict, strict = true) => bn.loadStateDict(from, { strict });
  const head = 'Error(s) in loading stateDict for BatchNorm2d:\n\t';
  const tracked = () => {
    const bn = new BatchNorm2d(3);
    bn(
      arange(2 * 3 * 2 * 2)
        .to('float32')
        .reshape([2, 3, 2, 2]),
    );
    return bn;
  };

  it('without a counter, written before there was one: the present counter stays', () => {
    const bn = tracked();
    const from = state({ num_batches_tracked: undefined });
    expect(String(load(bn, from))).toBe('<All keys matched successfully>');
    expect([counter(bn), from.has('num_batches_tracked')]).toEqual([1, false]);
    expect(String(load(bn, state({ num_batches_tracked: undefined }, new Map([['', { version: 1 }]]))))).toContain(
      'All',
    );
  });
  it('without a counter, of version 2: it is missing', () => {
    const from = state({ num_batches_tracked: undefined }, version2);
    expect(() => load(tracked(), from)).toThrow(`${head}Missing key(s) in stateDict: "num_batches_tracked". `);
    const { missingKeys, unexpectedKeys } = load(tracked(), from, false);
    expect([missingKeys, unexpectedKeys]).toEqual([['num_batches_tracked'], []]);
  });
  it('of another kind of layer', () => {
    expect(() => load(new BatchNorm2d(3, { trackRunningStats: false }), state())).toThrow(
      `${head}Unexpected key(s) in stateDict: "running_mean", "running_var", "num_batches_tracked". `,
    );
    expect(() => load(new BatchNorm2d(3, { affine: false }), state())).toThrow(
      `${head}Unexpected key(s) in stateDict: "weight", "bias". `,
    );
    expect(() => load(new BatchNorm2d(3), new StateDict())).toThrow(
      `${head}Missing key(s) in stateDict: "weight", "bias", "running_mean", "running_var". `,
    );
  });
  it('of another size, and what fits is copied all the same', () => {
    const bn = new BatchNorm2d(3);
    expect(() => load(bn, state({ weight: ones([4]), bias: ones([3]) }), false)).toThrow(
      `${head}size mismatch for weight: copying a param with shape [4] from checkpoint, the shape in current model is [3].`,
    );
    expect(list(bn.bias)).toEqual([1, 1, 1]);
  });
  it('with odd counters and dtypes', () => {
    const bn = new BatchNorm2d(3);
    load(
      bn,
      state({ num_batches_tracked: tensor([7], { dtype: 'int64' }), running_mean: ones([3], { dtype: 'float64' }) }),
    );
    expect([counter(bn), bn.runningMean!.dtype, list(bn.runningMean)]).toEqual([7, 'float32', [1, 1, 1]]);
    load(bn, state({ num_batches_tracked: tensor(5.7) }));
    expect(counter(bn)).toBe(5);
    expect(() => load(bn, state({ num_batches_tracked: 3 as unknown as Tensor }))).toThrow(
      'While copying the parameter named "num_batches_tracked", expected a Tensor from checkpoint but received 3',
    );
  });
  it('gives the live tensors', () => {
    const bn = new BatchNorm1d(2);
    const { runningMean } = bn;
    const alive = bn.stateDict().get('running_mean')!;
    bn(batch());
    expect(alive).toBe(runningMean);
    expect(list(alive)).not.toEqual([0, 0]);
  });
});
