// Lazy norms and tensors without a shape, row by row of what PyTorch does with them.
import { describe, expect, it } from 'vitest';
import { IndexError } from '../../src/errors.ts';
import {
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  BatchNormBase,
  InstanceNorm1d,
  InstanceNorm2d,
  InstanceNorm3d,
  InstanceNormBase,
  isUninitialized,
  LazyBatchNorm1d,
  LazyBatchNorm2d,
  LazyBatchNorm3d,
  LazyInstanceNorm1d,
  LazyInstanceNorm2d,
  LazyInstanceNorm3d,
  Parameter,
  Sequential,
  UninitializedParameter,
} from '../../src/nn/index.ts';
import { SGD } from '../../src/optim/index.ts';
import { ones } from '../../src/tensor/create.ts';
import { scope } from '../../src/tensor/scope.ts';
import { det, list, walkTexts } from '../support/norm_layers.ts';
import { warningsOf } from '../support/warnings.ts';

const withChannels = (rank: number) => det([2, 3, 4, 2, 2].slice(0, rank), 1, 'float32');

describe.each([
  [LazyBatchNorm1d, BatchNorm1d, 3],
  [LazyBatchNorm2d, BatchNorm2d, 4],
  [LazyBatchNorm3d, BatchNorm3d, 5],
  [LazyInstanceNorm1d, InstanceNorm1d, 3],
  [LazyInstanceNorm2d, InstanceNorm2d, 4],
  [LazyInstanceNorm3d, InstanceNorm3d, 5],
] as const)('%o', (Lazy, Eager, rank) => {
  it('has tensors without a shape, and a counter', () => {
    const norm = new Lazy();
    expect([norm.numFeatures, norm.eps, norm.momentum, norm.affine, norm.trackRunningStats]).toEqual([
      0,
      1e-5,
      0.1,
      true,
      true,
    ]);
    for (const tensor of [norm.weight, norm.bias, norm.runningMean, norm.runningVar])
      expect(isUninitialized(tensor)).toBe(true);
    expect([norm.weight!.requiresGrad, norm.numBatchesTracked!.item()]).toEqual([true, 0]);
    expect([norm instanceof Eager, norm instanceof BatchNormBase || norm instanceof InstanceNormBase]).toEqual([
      false,
      true,
    ]);
  });

  it('has defined statistics too where tracking was switched off before the first input', () => {
    const norm = new Lazy();
    const eager = new Eager(3, { affine: true, trackRunningStats: true });
    for (const layer of [norm, eager]) {
      layer.trackRunningStats = false;
      layer(withChannels(rank));
    }
    expect([norm.runningMean, norm.runningVar].map(list)).toEqual([eager.runningMean, eager.runningVar].map(list));
  });

  it('becomes the plain layer with its first input', () => {
    const norm = new Lazy({ eps: 1e-3 });
    const { weight } = norm;
    const eager = new Eager(3, { eps: 1e-3, affine: true, trackRunningStats: true });
    const x = withChannels(rank);
    expect(list(norm(x))).toEqual(list(eager(x)));
    expect([norm.constructor, String(norm), norm.numFeatures]).toEqual([Eager, String(eager), 3]);
    // The same object, so that an optimizer that was given it goes on.
    expect([norm.weight, weight!.constructor, weight!.shape]).toEqual([weight, Parameter, [3]]);
    for (const [name, value] of eager.stateDict()) expect(list(norm.stateDict().get(name))).toEqual(list(value));
    expect(list(norm(x))).toEqual(list(eager(x)));
    norm.resetParameters();
    expect(list(norm.runningVar)).toEqual([1, 1, 1]);
  });

  it('evaluates its first input by mean 0 and variance 1', () => {
    const norm = new Lazy({ eps: 0 }).eval();
    const x = withChannels(rank);
    expect(list(norm(x))).toEqual(list(x));
  });

  it('without tensors there is nothing to find out', () => {
    const norm = new Lazy({ affine: false, trackRunningStats: false });
    // Instance norm warns that 0 is not the number of channels.
    warningsOf(() => norm(withChannels(rank)));
    expect([norm.constructor, norm.numFeatures]).toEqual([Eager, 0]);
  });

  it('takes a dtype, at once or before its input', () => {
    for (const norm of [new Lazy({ dtype: 'float64' }), new Lazy().to('float64')]) {
      norm(withChannels(rank).to('float64'));
      expect([norm.weight!.dtype, norm.runningVar!.dtype, norm.numBatchesTracked!.dtype]).toEqual([
        'float64',
        'float64',
        'int64',
      ]);
    }
  });

  it('has nothing to reset', () => {
    const norm = new Lazy();
    norm.resetParameters();
    expect(isUninitialized(norm.weight)).toBe(true);
    expect(() => norm.resetRunningStats()).toThrow('Attempted to use an uninitialized parameter in');
  });

  it('takes the shapes of a state, but not the number of features', () => {
    const from = new Eager(3, { affine: true, trackRunningStats: true });
    from.runningMean!.fill_(2);
    const norm = new Lazy();
    norm.loadStateDict(from.stateDict());
    expect([norm.constructor, norm.numFeatures, list(norm.runningMean)]).toEqual([Lazy, 0, [2, 2, 2]]);
    if (norm instanceof InstanceNormBase)
      expect(() => norm(withChannels(rank))).toThrow(
        "expected input's size at dim=1 to match numFeatures (0), but got: 3.",
      );
    else expect(norm(withChannels(rank)).shape).toEqual(withChannels(rank).shape);
    expect([norm.constructor, norm.numFeatures]).toEqual([Eager, 0]);
  });

  it('gives its state to another that waits', () => {
    const [norm, other] = [new Lazy(), new Lazy()];
    expect(String(norm.loadStateDict(other.stateDict()))).toBe('<All keys matched successfully>');
    expect(isUninitialized(norm.weight)).toBe(true);
  });
});

describe('errors', () => {
  walkTexts({
    'LazyBatchNorm1d: shape': () => new LazyBatchNorm1d().weight!.shape,
    'LazyBatchNorm1d into BatchNorm1d': () => new BatchNorm1d(3).loadStateDict(new LazyBatchNorm1d().stateDict()),
    'LazyInstanceNorm2d: unbatched': () => new LazyInstanceNorm2d()(ones([3, 4, 4])),
  });
  it('an input without channels', () => {
    expect(() => new LazyBatchNorm1d()(ones([3]))).toThrow(
      new IndexError('[LazyBatchNorm1d] expected an input of at least 2 dimensions, got 1'),
    );
  });
  it('an unbatched input that is not affine: the channels are read from axis 1', () => {
    const norm = new LazyInstanceNorm2d({ affine: false });
    warningsOf(() => expect(() => norm(ones([3, 4, 4]))).toThrow('runningMean should contain 3 elements not 4'));
  });
  it('a wrong rank converts all the same', () => {
    const norm = new LazyBatchNorm1d();
    expect(() => norm(ones([2, 3, 4, 5]))).toThrow('expected 2D or 3D input (got 4D input)');
    expect([norm.constructor, norm.numFeatures]).toEqual([BatchNorm1d, 3]);
  });
  it('a tensor without a shape is of no use', () => {
    const weight = new UninitializedParameter();
    expect(() => weight.add(1)).toThrow("Can't access the shape of an uninitialized parameter");
    expect(() => new LazyBatchNorm1d().runningVar!.fill_(1)).toThrow('Attempted to use an uninitialized parameter in');
    expect(() => weight.dataSync()).toThrow("Can't access the shape");
    expect(() => weight.materialize()).toThrow('Attempted to use an uninitialized parameter in');
    expect(String(new LazyBatchNorm1d().runningMean)).toBe('<UninitializedBuffer>');
    expect(String(weight)).toBe('<UninitializedParameter>');
  });
});

describe('in a network', () => {
  it('learns with an optimizer that was there before its shape', () => {
    const net = new Sequential(new LazyBatchNorm2d());
    const optimizer = new SGD(net.parameters(), { lr: 0.1 });
    net(withChannels(4))
      .mul(det([2, 3, 4, 2], 5, 'float32'))
      .sum()
      .backward();
    optimizer.step();
    expect(list((net.at(0) as BatchNorm2d).weight)).not.toEqual([1, 1, 1]);
  });
  it('outlives the scope of its first input', () => {
    const norm = new LazyBatchNorm2d();
    scope(() => {
      norm(withChannels(4));
    });
    expect([list(norm.weight), list(norm.runningVar)!.length]).toEqual([[1, 1, 1], 3]);
  });
});
