// SyncBatchNorm: three ranks against one process that has their whole batch; without a group it is batch norm. And the
// conversions.
import { describe, expect, it, vi } from 'vitest';
import { grad } from '../../src/autograd/backward.ts';
import { destroyProcessGroup, initProcessGroup } from '../../src/distributed/index.ts';
import * as library from '../../src/nn/index.ts';
import {
  addStatistics,
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  BatchNormBase,
  BatchNormXd,
  convertSyncBatchNorm,
  copyModule,
  freezeBatchNorm,
  functional,
  InstanceNorm2d,
  LazyBatchNorm2d,
  Module,
  type ProcessGroup,
  replaceAllBatchNormModules_,
  revertSyncBatchNorm,
  Sequential,
  SyncBatchNorm,
  type SyncBatchNormOptions,
} from '../../src/nn/index.ts';
import { cat } from '../../src/ops/shape_ops.ts';
import { ones, tensor, zeros } from '../../src/tensor/create.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { mirror, runRanks } from '../support/fake_group.ts';
import { expectClose, readGolden } from '../support/golden.ts';
import { det, list, make, type Plain, walkTexts } from '../support/norm_layers.ts';
import { warningsOf } from '../support/warnings.ts';

type Lists = Record<'x' | 'dy' | 'y' | 'dx' | 'local_dweight' | 'local_dbias', Plain[]>;
type Golden = Lists &
  Record<'weight' | 'bias' | 'running_mean' | 'running_var', Plain> & { eps: number; momentum: number };
const golden = readGolden<{ cases: { kind: string }[] }>('norm_golden.json').cases.find(
  ({ kind }) => kind === 'sync_batch_norm',
) as unknown as Golden;

/** Parts of a batch of three channels: 24, 8 and 0 elements per channel. */
const parts = () => [det([3, 3, 4, 2], 1), det([1, 3, 4, 2], 2), zeros([0, 3, 4, 2], { dtype: 'float64' })];
const cotangents = () => [det([3, 3, 4, 2], 3), det([1, 3, 4, 2], 4), zeros([0, 3, 4, 2], { dtype: 'float64' })];
const options: SyncBatchNormOptions = { eps: 1e-3, dtype: 'float64' };
const filled = <B extends BatchNormBase>(bn: B): B => {
  if (bn.weight) bn.weight.detach().copy_(det(bn.weight.shape, 7));
  if (bn.bias) bn.bias.detach().copy_(det(bn.bias.shape, 8));
  return bn;
};

describe('three ranks', () => {
  it('give what PyTorch gives (norm_golden.json)', () => {
    const { results } = runRanks(3, (processGroup) => {
      const bn = new SyncBatchNorm(2, { eps: golden.eps, momentum: golden.momentum, dtype: 'float64', processGroup });
      bn.weight!.detach().copy_(make(golden.weight));
      bn.bias!.detach().copy_(make(golden.bias));
      const x = make(golden.x[processGroup.rank], 'float64', true);
      const y = bn(x);
      y.backward(make(golden.dy[processGroup.rank]));
      return { bn, x, y };
    });
    results.forEach(({ bn, x, y }, rank) => {
      expect([y.shape, x.grad!.shape]).toEqual([x.shape, x.shape]);
      expectClose(y, golden.y[rank].data, 1e-12, 1e-12, `y of rank ${rank}`);
      expectClose(x.grad!, golden.dx[rank].data, 1e-12, 1e-12, `dx of rank ${rank}`);
      expectClose(bn.weight!.grad!, golden.local_dweight[rank].data, 1e-12);
      expectClose(bn.bias!.grad!, golden.local_dbias[rank].data, 1e-12);
      expectClose(bn.runningMean!, golden.running_mean.data, 1e-12);
      expectClose(bn.runningVar!, golden.running_var.data, 1e-12);
      expect(bn.numBatchesTracked!.item()).toBe(1);
    });
  });

  it.each([
    ['affine', {}],
    ['not affine', { affine: false }],
    ['not tracking', { trackRunningStats: false }],
    ['a plain average', { momentum: null }],
    ['weight only', { bias: false }],
  ] as const)('equal one process with the whole batch: %s', (_, more) => {
    for (const format of ['contiguous', 'channelsLast'] as const) {
      const whole = filled(new BatchNorm2d(3, { ...options, ...more }));
      const x = cat(parts()).contiguous(format).requiresGrad_();
      const y = whole(x);
      y.backward(cat(cotangents()));
      const { results, collectives } = runRanks(3, (processGroup) => {
        const bn = filled(new SyncBatchNorm(3, { ...options, ...more, processGroup }));
        const part = parts()[processGroup.rank].contiguous(format).requiresGrad_();
        const output = bn(part);
        expect(output.memoryFormat).toBe(format);
        output.backward(cotangents()[processGroup.rank]);
        return { bn, part, output };
      });
      // One exchange forward, one backward.
      expect(collectives).toBe(2);
      expectClose(cat(results.map(({ output }) => output)), list(y)!, 1e-12);
      expectClose(cat(results.map(({ part }) => part.grad!)), list(x.grad)!, 1e-12);
      const total = (of: (bn: SyncBatchNorm) => Tensor) => results.map(({ bn }) => of(bn)).reduce((a, b) => a.add(b));
      if (whole.weight)
        expectClose(
          total((bn) => bn.weight!.grad!),
          list(whole.weight.grad)!,
          1e-12,
        );
      if (whole.bias)
        expectClose(
          total((bn) => bn.bias!.grad!),
          list(whole.bias.grad)!,
          1e-12,
        );
      for (const { bn } of results)
        for (const [name, value] of whole.stateDict())
          if (name.startsWith('running')) expectClose(bn.stateDict().get(name)!, list(value)!, 1e-12, 0, name);
    }
  });

  it('with a ReLU in the same pass', () => {
    const x = cat(parts()).requiresGrad_();
    const y = functional.batchNorm(x, null, null, { training: true, relu: true });
    y.backward(cat(cotangents()));
    const { results } = runRanks(3, (group) => {
      const part = parts()[group.rank].requiresGrad_();
      const output = functional.syncBatchNorm(part, null, null, group, { relu: true });
      output.backward(cotangents()[group.rank]);
      return { part, output };
    });
    expectClose(cat(results.map(({ output }) => output)), list(y)!, 1e-12);
    expectClose(cat(results.map(({ part }) => part.grad!)), list(x.grad)!, 1e-12);
  });

  it('have second derivatives (pytorch#61222)', () => {
    const directions = () => cotangents().map((t) => t.mul(t).sub(1));
    const weightOf = () => det([3], 7).requiresGrad_();
    const { results } = runRanks(3, (group) => {
      const x = parts()[group.rank].requiresGrad_();
      const [weight, g] = [weightOf(), cotangents()[group.rank].requiresGrad_()];
      const y = functional.syncBatchNorm(x, null, null, group, { weight, eps: 1e-3 });
      const [dx] = grad([y], [x], { gradOutputs: [g], createGraph: true });
      return grad([dx.mul(directions()[group.rank]).sum()], [x, weight, g]);
    });
    const x = cat(parts()).requiresGrad_();
    const [weight, g] = [weightOf(), cat(cotangents()).requiresGrad_()];
    const y = functional.batchNorm(x, null, null, { weight, training: true, eps: 1e-3 });
    const [dx] = grad([y], [x], { gradOutputs: [g], createGraph: true });
    const expected = grad([dx.mul(cat(directions())).sum()], [x, weight, g]);
    expectClose(cat(results.map(([gx]) => gx)), list(expected[0])!, 1e-11);
    expectClose(
      results.map(([, gw]) => gw).reduce((a, b) => a.add(b)),
      list(expected[1])!,
      1e-11,
    );
    expectClose(cat(results.map(([, , gg]) => gg)), list(expected[2])!, 1e-11);
  });

  it('keep counts exact beyond what half precision holds (pytorch#98332)', () => {
    const { results } = runRanks(2, (processGroup) => {
      const bn = new SyncBatchNorm(1, { momentum: null, processGroup });
      bn(det([70_000, 1], processGroup.rank, 'float32'));
      return bn;
    });
    const both = cat([0, 1].map((rank) => det([70_000, 1], rank)));
    for (const bn of results) {
      expectClose(bn.runningMean!, list(both.mean(0))!, 1e-6);
      expectClose(bn.runningVar!, list(both.var(0))!, 1e-6);
    }
  });

  it('exchange nothing backward where no input wants a gradient', () => {
    const { results, collectives } = runRanks(2, (processGroup) => {
      const bn = new SyncBatchNorm(2, { processGroup });
      bn(det([3, 2], processGroup.rank, 'float32'))
        .sum()
        .backward();
      return bn.bias!.grad!;
    });
    expect([results.map(list), collectives]).toEqual([
      [
        [3, 3],
        [3, 3],
      ],
      1,
    ]);
  });

  it('a single value in all of them is an error on every rank', () => {
    const errors: string[] = [];
    runRanks(2, (processGroup) => {
      const bn = new SyncBatchNorm(2, { processGroup });
      try {
        bn(zeros([1 - processGroup.rank, 2]));
      } catch (error) {
        if ((error as Error).name !== 'ValueError') throw error;
        errors.push((error as Error).message);
      }
      expect(list(bn.runningVar)).toEqual([1, 1]);
    });
    expect(errors.slice(-2)).toEqual(
      [1, 0].map(
        (n) =>
          `Expected more than 1 value per channel when training, got input size [${n}, 2] and no other value in 2 processes`,
      ),
    );
    // One value on a rank is enough where others have more.
    runRanks(2, (processGroup) =>
      new SyncBatchNorm(2, { processGroup })(det([1 + processGroup.rank, 2], 1, 'float32')),
    );
  });

  it('no value in all of them: empty, and the statistics stay', () => {
    // PyTorch lets them decay.
    const { results } = runRanks(2, (processGroup) => {
      const bn = new SyncBatchNorm(2, { processGroup });
      const x = zeros([0, 2, 3], { requiresGrad: true });
      bn(x).sum().backward();
      return [x.grad!.shape, list(bn.runningVar), list(bn.weight!.grad)];
    });
    expect(results[0]).toEqual([
      [0, 2, 3],
      [1, 1],
      [0, 0],
    ]);
  });

  it('give their statistics to whoever stages them', () => {
    const { results } = runRanks(2, (processGroup) => {
      const bn = new SyncBatchNorm(2, { momentum: 1, processGroup });
      let seen: number[] | null = null;
      const x = det([3, 2], processGroup.rank, 'float32');
      functional.syncBatchNorm(x, bn.runningMean, bn.runningVar, processGroup, {
        onStatistics: ({ count, mean }) => {
          seen = [count, ...list(mean)!];
        },
      });
      expect(list(bn.runningVar)).toEqual([1, 1]);
      return seen!;
    });
    expectClose(results[0], [6, ...list(cat([0, 1].map((rank) => det([3, 2], rank))).mean(0))!], 1e-6);
  });

  it('in evaluation each alone', () => {
    const { collectives } = runRanks(2, (processGroup) => {
      const bn = new SyncBatchNorm(2, { processGroup }).eval();
      expect(list(bn(ones([1, 2])))).toEqual(list(new BatchNorm1d(2).eval()(ones([1, 2]))));
      const untracked = new SyncBatchNorm(2, { processGroup, trackRunningStats: false }).eval();
      untracked(det([3, 2], 1, 'float32'));
    });
    expect(collectives).toBe(0);
  });
});

describe('SyncBatchNorm', () => {
  it.each([null, { ...mirror, worldSize: 1 }])('without others it is batch norm', (processGroup) => {
    const [sync, bn] = [new SyncBatchNorm(3, { processGroup }), new BatchNorm1d(3)];
    for (const training of [true, false]) {
      const [a, b] = [sync, bn].map((layer) => {
        const x = det([4, 3], 1, 'float32').requiresGrad_();
        const y = layer.train(training)(x) as Tensor;
        y.backward(det([4, 3], 2, 'float32'));
        return [list(y), list(x.grad), list(layer.weight!.grad), list(layer.runningVar)];
      });
      expect(a).toEqual(b);
    }
    expect(sync.numBatchesTracked!.item()).toBe(1);
  });
  walkTexts({
    'SyncBatchNorm: rank 1': () => new SyncBatchNorm(3)(ones([3])),
    'SyncBatchNorm: no channels': () => new SyncBatchNorm(0)(ones([3, 0])),
    'SyncBatchNorm: one value': () => new SyncBatchNorm(3)(ones([1, 3])),
  });
  it('takes any rank from 2, checks sizes, and needs its counter', () => {
    for (const shape of [
      [4, 3],
      [2, 3, 2, 2, 2, 2],
    ])
      expect(new SyncBatchNorm(3)(ones(shape)).shape).toEqual(shape);
    const bn = new SyncBatchNorm(3, { processGroup: mirror });
    expect(() => bn(ones([2, 4]))).toThrow('runningMean should contain 4 elements not 3');
    bn.numBatchesTracked = null;
    expect(() => bn(ones([2, 3]))).toThrow('numBatchesTracked must not be null');
  });
  it('calls itself by its path where it exchanges', () => {
    const labels: (string | undefined)[] = [];
    const group: ProcessGroup = {
      ...mirror,
      allGather(value, label) {
        labels.push(label);
        return mirror.allGather(value);
      },
      allReduceSum(value, label) {
        labels.push(label);
        return mirror.allReduceSum(value);
      },
    };
    const net = new Sequential(new Sequential(new SyncBatchNorm(3, { processGroup: group })));
    const x = f32([4, 3]).requiresGrad_();
    net(x).sum().backward();
    // The innermost is called by itself.
    const alone = net.getSubmodule('0.0') as SyncBatchNorm;
    alone(x.detach());
    expect(labels).toEqual(['0.0, forward', '0.0, backward', `${alone}, forward`]);
  });
  it('reads nothing but the counts of all ranks', () => {
    const net = new Sequential(
      new SyncBatchNorm(3, { processGroup: mirror }),
      new SyncBatchNorm(3, { processGroup: mirror }),
    );
    const reads = vi.spyOn(Tensor.prototype, 'dataSync');
    const items = vi.spyOn(Tensor.prototype, 'item');
    try {
      const y = net(f32([4, 3]).requiresGrad_()) as Tensor;
      expect([reads.mock.calls.length, items.mock.calls.length]).toEqual([2, 0]);
      y.sum().backward();
      expect([reads.mock.calls.length, items.mock.calls.length]).toEqual([2, 0]);
    } finally {
      reads.mockRestore();
      items.mockRestore();
    }
  });
  it('takes all processes of the job where it has no group: alone it is batch norm', () => {
    initProcessGroup();
    try {
      const x = f32([4, 3]);
      expect(list(new SyncBatchNorm(3)(x))).toEqual(list(new BatchNorm1d(3)(x)));
      expect(new SyncBatchNorm(3).isLocal).toBe(true);
    } finally {
      destroyProcessGroup();
    }
  });
  it('is a batch norm, but no BatchNorm2d', () => {
    const bn: Module = new SyncBatchNorm(3);
    expect([bn instanceof BatchNormBase, bn instanceof BatchNorm2d]).toEqual([true, false]);
  });
});

const f32 = (shape: number[]) => det(shape, 1, 'float32');
const counter = (bn: BatchNormBase) => bn.numBatchesTracked!.item();

class BatchNormAct2d extends BatchNorm2d {
  override forward(x: Tensor): Tensor {
    return super.forward(x).relu();
  }
}

describe('convertSyncBatchNorm', () => {
  const group: ProcessGroup = mirror;

  it('keeps tensors, options, mode and counter', () => {
    const bn = new BatchNorm2d(3, { eps: 1e-3, momentum: null, dtype: 'float64' }).eval();
    bn.weight!.requiresGrad = false;
    bn.numBatchesTracked = tensor(5, { dtype: 'int64' });
    const net = new Sequential(new Sequential(bn), new InstanceNorm2d(3), new BatchNorm1d(2, { bias: false }));
    expect(convertSyncBatchNorm(net, { processGroup: group })).toBe(net);
    const sync = net.getSubmodule('0.0') as SyncBatchNorm;
    expect(sync).toBeInstanceOf(SyncBatchNorm);
    expect([sync.numFeatures, sync.eps, sync.momentum, sync.affine, sync.trackRunningStats, sync.training]).toEqual([
      3,
      1e-3,
      null,
      true,
      true,
      false,
    ]);
    for (const name of ['weight', 'bias', 'runningMean', 'runningVar', 'numBatchesTracked'] as const)
      expect(sync[name]).toBe(bn[name]);
    expect([sync.weight!.requiresGrad, sync.weight!.dtype, sync.numBatchesTracked!.item()]).toEqual([
      false,
      'float64',
      5,
    ]);
    expect(sync.processGroup).toBe(group);
    expect(net.at(1)).toBeInstanceOf(InstanceNorm2d);
    expect((net.at(2) as SyncBatchNorm).bias).toBeNull();
  });

  it('keeps freezing, and sets of statistics', () => {
    const net = new Sequential(new BatchNorm2d(3));
    addStatistics(net, 'night');
    freezeBatchNorm(net);
    const keys = [...net.stateDict().keys()];
    const sync = convertSyncBatchNorm(net, { processGroup: group }).getSubmodule('0') as SyncBatchNorm;
    expect([...net.stateDict().keys()]).toEqual(keys);
    expect(sync.hasStatistics('night')).toBe(true);
    // By its running statistics, without an exchange.
    const x = f32([2, 3, 2, 2]);
    expect(list(sync.train()(x))).toEqual(list(new BatchNorm2d(3).eval()(x)));
    expect(counter(sync)).toBe(0);
  });

  it('gives a root that is a batch norm back as a new object, with its children', () => {
    const bn = new BatchNorm2d(3, { affine: false, trackRunningStats: false });
    const child = new InstanceNorm2d(3);
    bn.registerModule('child', child);
    const sync = convertSyncBatchNorm(bn);
    expect([sync instanceof SyncBatchNorm, sync.getSubmodule('child')]).toEqual([true, child]);
    expect([...sync.stateDict().keys()]).toEqual([]);
  });

  it('leaves one layer under several names one layer', () => {
    // PyTorch leaves the second alias a BatchNorm2d.
    const bn = new BatchNorm2d(3);
    const shared = new Sequential(bn);
    const net = new Sequential(bn, bn, shared, shared);
    convertSyncBatchNorm(net, { processGroup: group });
    const found = ['0', '1', '2.0', '3.0'].map((name) => net.getSubmodule(name));
    expect(new Set(found).size).toBe(1);
    expect(found[0]).toBeInstanceOf(SyncBatchNorm);
  });

  it('rebuilds what is synchronized already, and takes lazy layers as they are', () => {
    const net = new Sequential(new SyncBatchNorm(3, { processGroup: group }), new LazyBatchNorm2d());
    const lazy = net.at(1) as LazyBatchNorm2d;
    convertSyncBatchNorm(net);
    expect((net.at(0) as SyncBatchNorm).processGroup).toBeNull();
    expect(String(net.at(1))).toMatch(/^SyncBatchNorm\(0, /);
    expect((net.at(1) as SyncBatchNorm).weight).toBe(lazy.weight);
  });

  it('replaces properties of a user’s class', () => {
    class Net extends Module {
      bn = new BatchNorm2d(3);
      forward(x: Tensor): Tensor {
        return this.bn(x);
      }
    }
    const net = convertSyncBatchNorm(new Net()) as Net;
    expect(net.bn).toBeInstanceOf(SyncBatchNorm);
    expect(net(ones([2, 3, 2, 2])).shape).toEqual([2, 3, 2, 2]);
  });

  it('warns of a forward that is lost, by its class (pytorch#187298)', () => {
    const texts = warningsOf(() => convertSyncBatchNorm(new Sequential(new BatchNormAct2d(3), new BatchNorm2d(3))));
    expect(texts).toEqual([expect.stringMatching(/^BatchNormAct2d has a forward of its own/)]);
  });
});

describe('revertSyncBatchNorm', () => {
  it('makes what convertSyncBatchNorm has converted what it was, with the same tensors', () => {
    class Mine extends BatchNorm2d {}
    const classes = [BatchNorm1d, BatchNorm2d, BatchNorm3d, library.BatchNormAct2d, Mine];
    const before = classes.map((Class) => new Class(3, { eps: 1e-3, momentum: null, dtype: 'float64' }).eval());
    before[0].bias!.requiresGrad = false;
    const net = new Sequential(...before);
    addStatistics(net, 'night');
    freezeBatchNorm(new Sequential(before[1]));
    const keys = [...net.stateDict().keys()];
    // Twice, as where another group is given later; and through a copy.
    const sync = convertSyncBatchNorm(convertSyncBatchNorm(net), { processGroup: mirror });
    const copies = revertSyncBatchNorm(copyModule(sync)) as Sequential;
    expect(revertSyncBatchNorm(net)).toBe(net);
    for (const [i, was] of before.entries()) {
      const now = net.at(i) as BatchNormBase;
      const names = [now.constructor.name, copies.at(i).constructor.name];
      expect(names).toEqual(Array(2).fill(was.constructor === Mine ? 'BatchNorm2d' : was.constructor.name));
      for (const name of ['weight', 'bias', 'runningMean', 'runningVar', 'numBatchesTracked', 'control'] as const)
        expect(now[name]).toBe(was[name]);
      for (const name of ['numFeatures', 'eps', 'momentum', 'affine', 'trackRunningStats', 'training'] as const)
        expect(now[name]).toBe(was[name]);
    }
    expect([...net.stateDict().keys()]).toEqual(keys);
    expect((net.at(3) as library.BatchNormAct2d).act).toBe((before[3] as library.BatchNormAct2d).act);
  });

  it('makes of a layer that was built synchronized one that takes any number of dimensions', () => {
    const root = new SyncBatchNorm(3, { bias: false, processGroup: mirror });
    const plain = revertSyncBatchNorm(root) as BatchNormXd;
    expect(plain).toBeInstanceOf(BatchNormXd);
    expect([plain.weight, plain.bias]).toEqual([root.weight, null]);
    const x = f32([4, 3, 2]);
    expect(list(plain(x))).toEqual(list(new BatchNorm1d(3)(x)));
    expect(plain(f32([2, 3, 1, 1, 2, 2])).shape).toEqual([2, 3, 1, 1, 2, 2]);
    expect(() => plain(f32([3]))).toThrow('expected at least 2D input (got 1D input)');
    const act = new library.SyncBatchNormAct(3);
    expect(revertSyncBatchNorm(act)).toBeInstanceOf(library.BatchNormAct2d);
  });

  it('leaves one layer under several names one layer, and other modules alone', () => {
    const shared = new SyncBatchNorm(3);
    const plain = new BatchNorm2d(3);
    const net = new Sequential(shared, shared, plain);
    revertSyncBatchNorm(net);
    expect([net.at(0) === net.at(1), net.at(2) === plain]).toEqual([true, true]);
  });
});

describe('replaceAllBatchNormModules_', () => {
  it('takes the statistics from every batch norm that tracks them', () => {
    const untracked = new BatchNorm1d(3, { trackRunningStats: false });
    untracked.trackRunningStats = false;
    const instance = new InstanceNorm2d(3, { trackRunningStats: true });
    const net = new Sequential(new BatchNorm2d(3), new Sequential(new SyncBatchNorm(3)), untracked, instance).eval();
    expect(replaceAllBatchNormModules_(net)).toBe(net);
    for (const name of ['0', '1.0', '2']) {
      const bn = net.getSubmodule(name) as BatchNormBase;
      expect([bn.runningMean, bn.runningVar, bn.numBatchesTracked, bn.trackRunningStats]).toEqual([
        null,
        null,
        null,
        false,
      ]);
    }
    expect(instance.runningMean).not.toBeNull();
    // Batch statistics in evaluation, too.
    const x = det([4, 3, 2, 2], 1, 'float32');
    const bn = net.at(0) as BatchNorm2d;
    expect(list(bn(x))).toEqual(
      list(functional.batchNorm(x, null, null, { weight: bn.weight, bias: bn.bias, training: true })),
    );
    expect([...bn.stateDict().keys()]).toEqual(['weight', 'bias']);
  });
  it('takes a batch norm as root', () => {
    expect(replaceAllBatchNormModules_(new BatchNorm1d(2)).runningVar).toBeNull();
  });
});
