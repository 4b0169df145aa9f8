// BatchNormAct2d: batch norm, then drop, then activation; the ReLU that rides along; what controls batch norms controls
// it; SyncBatchNorm.
import { describe, expect, it } from 'vitest';
import { checkpoint } from '../../src/autograd/checkpoint.ts';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import { gradcheck, gradgradcheck } from '../../src/autograd/gradcheck.ts';
import {
  addStatistics,
  BatchNorm2d,
  BatchNormAct2d,
  Conv2d,
  convertSyncBatchNorm,
  Dropout,
  ELU,
  Flatten,
  freezeBatchNorm,
  Linear,
  ReLU,
  Sequential,
  SiLU,
  SyncBatchNormAct,
  toFrozenBatchNorm,
  useStatistics,
  withStatistics,
} from '../../src/nn/index.ts';
import { crossEntropy } from '../../src/ops/loss.ts';
import { SGD, stageStatistics } from '../../src/optim/index.ts';
import { zeros } from '../../src/tensor/create.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randint, randn } from '../../src/tensor/random.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { accumulate } from '../../src/train/index.ts';
import { mirror } from '../support/fake_group.ts';
import { expectClose } from '../support/golden.ts';
import { det, list } from '../support/norm_layers.ts';
import { warningsOf } from '../support/warnings.ts';

type Float = 'float32' | 'float64';
const state = (module: { stateDict(): ReadonlyMap<string, Tensor> }) =>
  [...module.stateDict()].map(([name, t]) => [name, t.toArray()]);

/** A layer and the modules that it stands for, with the same parameters. */
function pair(dtype: Float, options: ConstructorParameters<typeof BatchNormAct2d>[1] = {}) {
  const layer = new BatchNormAct2d(3, { ...options, dtype });
  const bn = new BatchNorm2d(3, { dtype });
  noGrad(() => {
    for (const norm of [layer, bn]) {
      norm.weight!.copy_(det([3], 1));
      norm.bias!.copy_(det([3], 2));
    }
  });
  const { act = new ReLU(), drop = null } = options;
  return [layer, new Sequential(bn, ...(drop ? [drop] : []), ...(act ? [act] : []))] as const;
}

describe('BatchNormAct2d', () => {
  const acts: [string, () => ConstructorParameters<typeof BatchNormAct2d>[1]][] = [
    ['ReLU', () => ({})],
    ['ReLU and dropout', () => ({ drop: new Dropout(0.4) })],
    ['SiLU', () => ({ act: new SiLU() })],
    ['ELU in place and dropout', () => ({ act: new ELU({ inplace: true }), drop: new Dropout(0.4) })],
    ['nothing', () => ({ act: null })],
  ];
  const rows = acts.flatMap(([name, make]) =>
    (['float32', 'float64'] as const).flatMap((dtype) =>
      (['contiguous', 'channelsLast'] as const).map((format) => ({ name, make, dtype, format })),
    ),
  );
  it.each(rows)('is batch norm, drop, activation: $name, $dtype, $format', ({ make, dtype, format }) => {
    const results = pair(dtype, make()).map((module) => {
      manualSeed(9);
      // They share drop and activation.
      module.train();
      const x = det([4, 3, 5, 2], 3, dtype).contiguous(format).requiresGrad_();
      const y = module(x) as Tensor;
      expect(y.memoryFormat).toBe(format);
      y.backward(det(y.shape, 4, dtype));
      const evaluated = module.eval()(x) as Tensor;
      const parameters = [...module.parameters()].map((p) => p.grad!);
      const buffers = [...module.buffers()];
      return [y, evaluated, x.grad!, ...parameters, ...buffers].map((t) => list(t)!.map(Number));
    });
    // A ReLU in the norm's own pass sees what one behind it would; its backward may sum in other groups.
    for (const [i, expected] of results[1].entries())
      expectClose(results[0][i], expected, dtype === 'float64' ? 1e-12 : 2e-6);
  });

  it('has gradients of every order, with the ReLU of its own pass', () => {
    const [layer] = pair('float64', { trackRunningStats: false });
    gradcheck((x) => layer(x), [randn([3, 3, 2, 2], { dtype: 'float64', requiresGrad: true })]);
    gradgradcheck((x) => layer(x), [randn([3, 3, 2, 2], { dtype: 'float64', requiresGrad: true })]);
  });

  it('has the state of a batch norm and prints as timm’s', () => {
    const layer = new BatchNormAct2d(3);
    expect(state(layer)).toEqual(state(new BatchNorm2d(3)));
    expect(layer).toBeInstanceOf(BatchNorm2d);
    expect(String(layer)).toBe(
      'BatchNormAct2d(\n  3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True\n  (drop): Identity()\n  (act): ReLU(inplace=True)\n)',
    );
  });

  it('checks as BatchNorm2d', () => {
    const layer = new BatchNormAct2d(3);
    expect(() => layer(zeros([2, 3, 4]))).toThrow('expected 4D input (got 3D input)');
    expect(() => layer(zeros([1, 3, 1, 1]))).toThrow('Expected more than 1 value per channel');
    expect(layer(zeros([0, 3, 1, 1])).shape).toEqual([0, 3, 1, 1]);
  });

  it('calls the activation where a hook wants to see it', () => {
    const [layer, plain] = pair('float64');
    const seen: Tensor[] = [];
    const remove = layer.act.registerForwardHook((_, [given], output) => {
      seen.push(given.clone(), output);
    });
    const x = det([4, 3, 5, 2], 3);
    const y = layer(x);
    expect([seen.length, seen[1]]).toEqual([2, y]);
    expectClose(y, list(plain(x))!.map(Number), 1e-13);
    remove();
    layer(x);
    expect(seen.length).toBe(2);
  });
});

describe('what controls batch norms controls BatchNormAct2d', () => {
  const x = () => det([4, 3, 5, 2], 3, 'float32');

  it('freezing', () => {
    const [layer, plain] = pair('float32');
    for (const module of [layer, plain]) freezeBatchNorm(module);
    const before = state(layer);
    expect(layer.train()(x()).toArray()).toEqual(plain.eval()(x()).toArray());
    expect(state(layer)).toEqual(before);
    expect([layer.weight!.requiresGrad, String(layer)]).toEqual([
      false,
      expect.stringContaining('frozen=statistics+affine'),
    ]);
  });

  it('modes and sets of statistics', () => {
    const [layer] = pair('float32');
    const byBatch = layer(x()).toArray();
    layer.eval();
    expect(withStatistics(layer, 'batch', () => layer(x())).toArray()).toEqual(byBatch);
    addStatistics(layer, 'night');
    layer.train();
    useStatistics(layer, 'night', () => layer(x()));
    const counters = [...layer.stateDict()].filter(([name]) => name.startsWith('num_')).map(([, t]) => t.item());
    expect(counters).toEqual([1, 1]);
  });

  it('checkpoints: one movement, the same gradients', () => {
    const run = (through: (fn: (t: Tensor) => Tensor, t: Tensor) => Tensor) => {
      const [layer] = pair('float32');
      const input = x().requiresGrad_();
      through((t) => layer(t), input)
        .mul(det([4, 3, 5, 2], 6, 'float32'))
        .sum()
        .backward();
      return [state(layer), input.grad!.toArray(), layer.weight!.grad!.toArray()];
    };
    expect(run((fn, t) => checkpoint(fn, t))).toEqual(run((fn, t) => fn(t)));
  });

  it('staging: movements wait for the step', () => {
    const [layer] = pair('float32');
    const optimizer = new SGD(layer.parameters(), { lr: 0.1 });
    const staged = stageStatistics(layer, optimizer);
    layer(x()).sum().backward();
    expect([layer.numBatchesTracked!.item(), staged.pending]).toEqual([0, 1]);
    optimizer.step();
    expect([layer.numBatchesTracked!.item(), staged.pending]).toEqual([1, 0]);
  });

  it('accumulation: the activation follows the merged statistics', () => {
    const build = () => {
      manualSeed(2);
      return new Sequential(
        new Conv2d(1, 3, 2, { dtype: 'float64' }),
        pair('float64')[0],
        new Flatten(),
        new Linear(27, 4, { dtype: 'float64' }),
      );
    };
    const [whole, parts] = [build(), build()];
    const input = randn([6, 1, 4, 4], { dtype: 'float64' });
    const target = randint(0, 4, [6]);
    crossEntropy(whole(input), target).backward();
    accumulate(
      parts,
      [0, 1, 2].map((i) => [input.narrow(0, 2 * i, 2), target.narrow(0, 2 * i, 2)]),
      crossEntropy,
    );
    const expected = [...whole.parameters()].map((p) => list(p.grad)!.map(Number));
    // Sums in another order.
    for (const [i, p] of [...parts.parameters()].entries()) expectClose(p.grad!, expected[i], 1e-11);
  });
});

describe('SyncBatchNormAct', () => {
  it('is what convertSyncBatchNorm makes, with the same drop and activation, and without a warning', () => {
    const net = new Sequential(pair('float32')[0], new BatchNormAct2d(3, { act: new SiLU() }).eval());
    const before = [...net].map((each) => each as BatchNormAct2d);
    const x = det([4, 3, 5, 2], 3, 'float32');
    const y = net(x).toArray();
    expect(warningsOf(() => convertSyncBatchNorm(net))).toEqual([]);
    const after = [...net].map((each) => each as SyncBatchNormAct);
    for (const [i, sync] of after.entries()) {
      expect([sync.constructor, sync.act === before[i].act, sync.drop === before[i].drop, sync.training]).toEqual([
        SyncBatchNormAct,
        true,
        true,
        before[i].training,
      ]);
      expect(sync.weight).toBe(before[i].weight);
    }
    expect([...net.stateDict().keys()]).toEqual([
      ...new Sequential(new BatchNormAct2d(3), new BatchNormAct2d(3)).stateDict().keys(),
    ]);
    // The ReLU apart from the norm's pass.
    expectClose(net(x), (y as number[][][][]).flat(3), 1e-6);
    // Once more, with a group: rebuilt as it is.
    convertSyncBatchNorm(net, { processGroup: mirror });
    expect([net.at(0).constructor, (net.at(0) as SyncBatchNormAct).isLocal]).toEqual([SyncBatchNormAct, false]);
    expect(String(toFrozenBatchNorm(net).getSubmodule('0'))).toBe(
      'FrozenBatchNormAct2d(3, eps=1e-05, act=ReLU(inplace=True))',
    );
  });
});
