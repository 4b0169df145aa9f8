// States of the norm layers: keys, versions and printed forms are PyTorch 2.13's; loading follows its rules for old and
// foreign states. Batch norm's own table is in batch_norm.test.ts.
import { describe, expect, it } from 'vitest';
import * as nn from '../../src/nn/index.ts';
import { ones, tensor } from '../../src/tensor/create.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { golden, list, walkTexts } from '../support/norm_layers.ts';

const modules: Record<string, () => nn.Module> = {
  BatchNorm2d: () => new nn.BatchNorm2d(3),
  'BatchNorm1d odd': () => new nn.BatchNorm1d(0, { eps: -1, momentum: null, affine: false, trackRunningStats: false }),
  BatchNorm3d: () => new nn.BatchNorm3d(2, { momentum: 1e-20, bias: false }),
  SyncBatchNorm: () => new nn.SyncBatchNorm(3, { momentum: 0.3 }),
  InstanceNorm1d: () => new nn.InstanceNorm1d(3),
  InstanceNorm2d: () => new nn.InstanceNorm2d(3, { affine: true, bias: false }),
  InstanceNorm3d: () => new nn.InstanceNorm3d(3, { affine: true, trackRunningStats: true }),
  LazyBatchNorm1d: () => new nn.LazyBatchNorm1d(),
  LazyBatchNorm2d: () => new nn.LazyBatchNorm2d({ affine: false }),
  LazyBatchNorm3d: () => new nn.LazyBatchNorm3d({ trackRunningStats: false }),
  LazyInstanceNorm1d: () => new nn.LazyInstanceNorm1d(),
  LazyInstanceNorm2d: () => new nn.LazyInstanceNorm2d({ bias: false }),
  LazyInstanceNorm3d: () => new nn.LazyInstanceNorm3d({ affine: false, trackRunningStats: false }),
  GroupNorm: () => new nn.GroupNorm(2, 4),
  'GroupNorm odd': () => new nn.GroupNorm(-2, 4, { affine: false }),
  'GroupNorm no bias': () => new nn.GroupNorm(2, 4, { eps: 1, bias: false }),
  'GroupNorm empty': () => new nn.GroupNorm(2, 0),
  LayerNorm: () => new nn.LayerNorm(4),
  'LayerNorm empty': () => new nn.LayerNorm([]),
  'LayerNorm no bias': () => new nn.LayerNorm([2, 3], { bias: false }),
  'LayerNorm plain': () => new nn.LayerNorm([2, 3], { elementwiseAffine: false }),
  RMSNorm: () => new nn.RMSNorm(4),
  'RMSNorm plain': () => new nn.RMSNorm([2, 3], { eps: 1e-6, elementwiseAffine: false }),
  LocalResponseNorm: () => new nn.LocalResponseNorm(2),
  CrossMapLRN2d: () => new nn.CrossMapLRN2d(3),
};

/**
 * PyTorch 2.13 prints `bias` in every norm that may have one; here it stands only where it is not what `affine` says.
 */
const withoutBias = (printed: string) =>
  printed.includes('affine=False') ? printed.replace(', bias=False', '') : printed.replace(', bias=True', '');

describe('printed form, keys and version', () => {
  it('of every module that PyTorch was asked about', () =>
    expect(Object.keys(modules).sort()).toEqual(Object.keys(golden.modules).sort()));
  it.each(Object.entries(modules))('%s', (name, build) => {
    const module = build();
    const expected = golden.modules[name];
    const state = module.stateDict();
    expect(String(module)).toBe(withoutBias(expected.printed));
    expect([...state.keys()]).toEqual(expected.keys);
    expect([...module.namedParameters()].map(([key]) => key)).toEqual(expected.parameters);
    expect([...state.metadata!]).toEqual([['', expected.metadata]]);
    expect(module.training).toBe(true);
  });
});

describe('initial values', () => {
  it.each([
    ['GroupNorm', new nn.GroupNorm(2, 4, { dtype: 'float64' }), [4]],
    ['LayerNorm', new nn.LayerNorm([2, 3], { dtype: 'float64' }), [2, 3]],
    ['RMSNorm', new nn.RMSNorm([2, 3], { dtype: 'float64' }), [2, 3]],
    ['InstanceNorm2d', new nn.InstanceNorm2d(4, { affine: true, dtype: 'float64' }), [4]],
  ] as const)('%s', (_, norm, shape) => {
    for (const [name, parameter] of norm.namedParameters()) {
      expect([parameter.shape, parameter.dtype, parameter.requiresGrad]).toEqual([shape, 'float64', true]);
      expect(new Set(list(parameter))).toEqual(new Set([name === 'weight' ? 1 : 0]));
    }
  });
  it('absent ones are null under their names', () => {
    const bare = [
      new nn.GroupNorm(2, 4, { affine: false }),
      new nn.LayerNorm(4, { elementwiseAffine: false }),
      new nn.InstanceNorm2d(4),
    ];
    for (const norm of bare) expect([norm.weight, norm.bias, [...norm.parameters()]]).toEqual([null, null, []]);
    expect(new nn.RMSNorm(4, { elementwiseAffine: false }).weight).toBeNull();
    const { runningMean, runningVar, numBatchesTracked } = new nn.InstanceNorm2d(4, { affine: true });
    expect([runningMean, runningVar, numBatchesTracked]).toEqual([null, null, null]);
  });
});

describe('loading', () => {
  const entries = (values: Record<string, Tensor>) => new Map(Object.entries(values));
  const running = () => ({ running_mean: ones([3]), running_var: ones([3]) });
  const withVersion = (values: Record<string, Tensor>, version: number) => {
    const state = new nn.StateDict(entries(values));
    state.metadata = new Map([['', { version }]]);
    return state;
  };
  const plain = () => new nn.InstanceNorm2d(3);
  const tracking = () => new nn.InstanceNorm2d(3, { trackRunningStats: true });

  describe('running statistics from before 0.4 into an instance norm that has none', () => {
    walkTexts({
      'InstanceNorm2d: old state': () => plain().loadStateDict(entries(running()), { strict: false }),
      'InstanceNorm2d: half of an old state': () =>
        new nn.Sequential(plain()).loadStateDict(entries({ '0.running_var': ones([3]) })),
    });
    it('leaves the given object alone', () => {
      const given = entries(running());
      expect(() => plain().loadStateDict(given)).toThrow('Unexpected running stats buffer(s)');
      expect(given.size).toBe(2);
    });
    it('with a version they are merely unexpected', () => {
      expect(() => plain().loadStateDict(withVersion(running(), 1))).toThrow(
        'Unexpected key(s) in stateDict: "running_mean", "running_var". ',
      );
      expect(plain().loadStateDict(withVersion(running(), 1), { strict: false }).unexpectedKeys).toEqual([
        'running_mean',
        'running_var',
      ]);
    });
    it('where they belong they load, and the counter stays', () => {
      const norm = tracking();
      norm.numBatchesTracked = tensor(7, { dtype: 'int64' });
      norm.loadStateDict(entries({ running_mean: ones([3]).mul(2), running_var: ones([3]) }));
      expect([list(norm.runningMean), norm.numBatchesTracked.item()]).toEqual([[2, 2, 2], 7]);
    });
  });

  it('the counter: inserted for version 1, missing in version 2, kept where it is given', () => {
    expect(String(tracking().loadStateDict(withVersion(running(), 1)))).toBe('<All keys matched successfully>');
    expect(() => tracking().loadStateDict(withVersion(running(), 2))).toThrow(
      'Missing key(s) in stateDict: "num_batches_tracked". ',
    );
    const norm = tracking();
    norm.loadStateDict(entries({ ...running(), num_batches_tracked: tensor(5, { dtype: 'int64' }) }));
    expect(norm.numBatchesTracked!.item()).toBe(5);
  });

  it('nothing, non-strictly, into a batch norm whose counter is 7 (pytorch#110361)', () => {
    const bn = new nn.BatchNorm1d(2);
    bn.numBatchesTracked = tensor(7, { dtype: 'int64' });
    expect(bn.loadStateDict({}, { strict: false }).missingKeys).toEqual([
      'weight',
      'bias',
      'running_mean',
      'running_var',
    ]);
    expect(bn.numBatchesTracked.item()).toBe(7);
  });

  it('keeps the caller’s tensors out of the module, or puts them in with assign', () => {
    const weight = ones([4], { dtype: 'float64' });
    const norm = new nn.GroupNorm(2, 4, { bias: false });
    norm.weight!.requiresGrad = false;
    norm.loadStateDict({ weight });
    expect([norm.weight!.dtype, norm.weight!.storage === weight.storage]).toEqual(['float32', false]);
    norm.loadStateDict({ weight }, { assign: true });
    // PyTorch: the tensor replaces the parameter, which still requires what it required.
    expect([norm.weight!.dtype, norm.weight!.storage === weight.storage, norm.weight!.requiresGrad]).toEqual([
      'float64',
      true,
      false,
    ]);
    const bn = new nn.BatchNorm1d(3);
    const mean = ones([3]);
    bn.loadStateDict({ running_mean: mean }, { assign: true, strict: false });
    expect(bn.runningMean).toBe(mean);
  });

  it('a parameter of another shape', () => {
    expect(() => new nn.LayerNorm([2, 3], { bias: false }).loadStateDict({ weight: ones([3, 2]) })).toThrow(
      'Error(s) in loading stateDict for LayerNorm:\n\tsize mismatch for weight: copying a param with shape [3, 2] from checkpoint, the shape in current model is [2, 3].',
    );
  });

  it('a subclass is named in the error', () => {
    class MyNorm extends nn.InstanceNorm2d {}
    expect(() => new MyNorm(3).loadStateDict(entries(running()))).toThrow(
      /for MyNorm:\n\tUnexpected running stats buffer\(s\) "running_mean" and "running_var" for MyNorm with/,
    );
  });
});
