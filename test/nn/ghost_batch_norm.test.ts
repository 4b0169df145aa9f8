// The two ghost batch norms and SplitBatchNorm2d, against batch norms of the parts that each is made of.
import { describe, expect, it } from 'vitest';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import { gradcheck, gradgradcheck } from '../../src/autograd/gradcheck.ts';
import {
  addStatistics,
  BatchNorm1d,
  BatchNorm2d,
  type BatchNormBase,
  ChunkedGhostBatchNorm1d,
  Conv2d,
  convertSyncBatchNorm,
  freezeBatchNorm,
  InterleavedGhostBatchNorm2d,
  type Module,
  Sequential,
  SplitBatchNorm2d,
  useStatistics,
  withStatistics,
} from '../../src/nn/index.ts';
import { mseLoss } from '../../src/ops/loss.ts';
import { cat } from '../../src/ops/shape_ops.ts';
import { zeros } from '../../src/tensor/create.ts';
import { randn } from '../../src/tensor/random.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { accumulate } from '../../src/train/index.ts';
import { expectClose } from '../support/golden.ts';
import { det, list } from '../support/norm_layers.ts';
import { warningsOf } from '../support/warnings.ts';

type Float = 'float32' | 'float64';
const floats: Float[] = ['float32', 'float64'];
// Sums in another order, and in float32 their roundings.
const tolerance = { float32: 2e-6, float64: 1e-12 };
const values = (t: Tensor) => list(t)!.map(Number);
const fill = <M extends BatchNormBase>(bn: M): M => {
  noGrad(() => {
    bn.weight?.copy_(det([bn.numFeatures], 1));
    bn.bias?.copy_(det([bn.numFeatures], 2));
  });
  return bn;
};

/** Output, gradients and buffers of a layer are those of what it stands for. */
function expectAlike(
  layer: Module,
  plain: Module,
  parts: (x: Tensor) => Tensor,
  x: Tensor,
  dtype: Float,
  buffers: readonly Tensor[] = [...plain.buffers()],
): void {
  const results = [(t: Tensor) => layer(t) as Tensor, parts].map((fn) => {
    const input = x.clone().requiresGrad_();
    const y = fn(input);
    expect(y.memoryFormat).toBe(x.memoryFormat);
    y.backward(det(y.shape, 4, dtype));
    return [y, input.grad!];
  });
  for (const i of [0, 1]) expectClose(results[0][i], values(results[1][i]), tolerance[dtype], tolerance[dtype], `${i}`);
  const expected = [...plain.parameters()];
  for (const [i, p] of [...layer.parameters()].entries())
    expectClose(p.grad!, values(expected[i].grad!), 4 * tolerance[dtype], 4 * tolerance[dtype], 'gradient');
  for (const [i, buffer] of [...layer.buffers()].entries()) expectClose(buffer, values(buffers[i]), tolerance[dtype]);
}

describe('ChunkedGhostBatchNorm1d', () => {
  const sizes: [n: number, most: number, chunks: number[]][] = [
    [25, 10, [9, 9, 7]],
    [7, 10, [7]],
    [21, 10, [7, 7, 7]],
    [20, 10, [10, 10]],
    // The last row alone joins its neighbour (tabnet#384).
    [101, 10, [10, 10, 10, 10, 10, 10, 10, 10, 10, 11]],
  ];
  it.each(sizes.flatMap((row) => floats.map((dtype) => [...row, dtype] as const)))(
    '%i rows by %i are chunks of %j through one batch norm, %s',
    (n, most, chunks, dtype) => {
      const layer = new ChunkedGhostBatchNorm1d(3, { virtualBatchSize: most, dtype });
      const bn = fill(new BatchNorm1d(3, { momentum: 0.01, dtype }));
      fill(layer.bn);
      expectAlike(layer, bn, (x) => cat(x.split(chunks).map((part) => bn(part))), det([n, 3], 3, dtype), dtype);
      expect(layer.bn.numBatchesTracked!.item()).toBe(chunks.length);
      const x = det([n, 3], 5, dtype);
      expect(layer.eval()(x).toArray()).toEqual(bn.eval()(x).toArray());
    },
  );

  it('takes (N, C, L), where a last row has more than one value', () => {
    const layer = new ChunkedGhostBatchNorm1d(3, { virtualBatchSize: 2 });
    const bn = new BatchNorm1d(3, { momentum: 0.01 });
    const x = det([5, 3, 4], 3, 'float32');
    expectAlike(layer, bn, (t) => cat(t.split([2, 2, 1]).map((part) => bn(part))), x, 'float32');
  });

  it('refuses what its chunks cannot do, and takes any rows in evaluation', () => {
    expect(() => new ChunkedGhostBatchNorm1d(3, { virtualBatchSize: 0 })).toThrow(
      '[ChunkedGhostBatchNorm1d] expected virtualBatchSize of at least 1, got 0',
    );
    const layer = new ChunkedGhostBatchNorm1d(3, { virtualBatchSize: 1 });
    expect(() => layer(zeros([3, 3]))).toThrow('Expected more than 1 value per channel');
    expect(() => layer(zeros([3, 3, 2, 2]))).toThrow('expected 2D or 3D input');
    layer.eval();
    expect(layer(zeros([1, 3])).shape).toEqual([1, 3]);
    expect(layer(zeros([0, 3])).shape).toEqual([0, 3]);
  });

  it('has TabNet’s keys, and is controlled through its batch norm', () => {
    const layer = new ChunkedGhostBatchNorm1d(3, { virtualBatchSize: 4 });
    expect([...layer.stateDict().keys()]).toEqual(
      ['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'].map((name) => `bn.${name}`),
    );
    expect(String(layer)).toMatch(/^ChunkedGhostBatchNorm1d\(\n {2}\(bn\): BatchNorm1d\(3, eps=1e-05, momentum=0.01,/);
    const x = det([8, 3], 3, 'float32');
    const byBatch = layer(x).toArray();
    expect(withStatistics(layer.eval(), 'batch', () => layer(x)).toArray()).toEqual(byBatch);
    freezeBatchNorm(layer.train());
    layer(x);
    expect(layer.bn.numBatchesTracked!.item()).toBe(2);
  });
});

describe('InterleavedGhostBatchNorm2d', () => {
  const shape = [6, 2, 3, 2];
  /** Every third sample through a batch norm, and the results in their places again. */
  const byParts = (bns: readonly BatchNorm2d[]) => (x: Tensor) => {
    const k = bns.length;
    const of = (t: Tensor, part: number) => t.slice(0, part, undefined, k);
    const parts = bns.map((bn, part) => bn(of(x, part)));
    return cat(Array.from({ length: x.shape[0] }, (_, i) => parts[i % k].narrow(0, Math.floor(i / k), 1)));
  };

  it.each(
    floats.flatMap((dtype) => (['contiguous', 'channelsLast'] as const).map((format) => [dtype, format] as const)),
  )('normalizes every numSplits-th sample together, %s, %s', (dtype, format) => {
    const layer = fill(new InterleavedGhostBatchNorm2d(2, { numSplits: 3, dtype }));
    const bns = Array.from({ length: 3 }, () => fill(new BatchNorm2d(2, { dtype })));
    for (const bn of bns.slice(1)) [bn.weight, bn.bias] = [bns[0].weight, bns[0].bias];
    const together = (name: 'runningMean' | 'runningVar') => cat(bns.map((bn) => bn[name]!));
    const x = det(shape, 3, dtype).contiguous(format);
    byParts(bns)(x);
    const buffers = [together('runningMean'), together('runningVar'), bns[0].numBatchesTracked!];
    for (const bn of bns) bn.trackRunningStats = false;
    expectAlike(layer, new Sequential(...bns), byParts(bns), x, dtype, buffers);
    // Evaluation: by the average, for any number of samples.
    const average = fill(new BatchNorm2d(2, { dtype })).eval();
    average.runningMean = together('runningMean').reshape([3, 2]).mean(0);
    average.runningVar = together('runningVar').reshape([3, 2]).mean(0);
    const one = det([1, 2, 3, 2], 5, dtype);
    expectClose(layer.eval()(one), values(average(one)), tolerance[dtype]);
    // And in the state, so that the original, which looks at the first C only, evaluates alike.
    for (const part of layer.runningMean!.split(2)) expectClose(part, values(average.runningMean), tolerance[dtype]);
    expectClose(
      layer.runningVar!,
      [0, 1, 2].flatMap(() => values(average.runningVar!)),
      tolerance[dtype],
    );
    // Only the change of mode averages.
    layer.runningMean!.copy_(det([6], 7));
    const kept = layer.runningMean!.toArray();
    expect(layer.eval().runningMean!.toArray()).toEqual(kept);
  });

  it('has gradients of every order', () => {
    const layer = fill(
      new InterleavedGhostBatchNorm2d(2, { numSplits: 2, dtype: 'float64', trackRunningStats: false }),
    );
    const x = randn([4, 2, 2, 2], { dtype: 'float64', requiresGrad: true });
    gradcheck((t) => layer(t), [x]);
    gradgradcheck((t) => layer(t), [x]);
  });

  it('is frozen, set and moded as batch norms are', () => {
    const layer = fill(new InterleavedGhostBatchNorm2d(2, { numSplits: 2 }));
    const x = det(shape, 3, 'float32');
    addStatistics(layer, 'night');
    useStatistics(layer, 'night', () => layer(x));
    expect([layer.runningMean!.toArray(), layer.numBatchesTracked!.item()]).toEqual([[0, 0, 0, 0], 0]);
    layer.eval();
    // Sets are averaged with the layer's own.
    const [a, b] = useStatistics(layer, 'night', () => layer.runningMean!).split(2);
    expect(a.toArray()).toEqual(b.toArray());
    freezeBatchNorm(layer);
    const evaluated = layer(x).toArray();
    expect(layer.train()(x).toArray()).toEqual(evaluated);
    expect(layer.numBatchesTracked!.item()).toBe(0);
  });

  it('takes no statistics, no bias and no affine part too', () => {
    for (const options of [{ affine: false }, { bias: false }, { trackRunningStats: false, momentum: null }]) {
      const layer = new InterleavedGhostBatchNorm2d(2, { numSplits: 2, ...options });
      expect(layer(det(shape, 3, 'float32')).shape).toEqual(shape);
    }
    const layer = new InterleavedGhostBatchNorm2d(2, { numSplits: 2, momentum: null });
    for (const seed of [3, 4]) layer(det(shape, seed, 'float32'));
    const means = [3, 4].map((seed) => det(shape, seed).reshape([3, 4, 3, 2]).mean([0, 2, 3]));
    expectClose(layer.runningMean!, values(means[0].add(means[1]).div(2)), 1e-6);
  });

  it('refuses what it cannot cut', () => {
    expect(() => new InterleavedGhostBatchNorm2d(2, { numSplits: 1.5 })).toThrow('got 1.5');
    const layer = new InterleavedGhostBatchNorm2d(2, { numSplits: 4 });
    expect(() => layer(zeros(shape))).toThrow('expected a batch that numSplits = 4 divides, got [6, 2, 3, 2]');
    expect(() => layer(zeros([4, 2, 1, 1]))).toThrow('Expected more than 1 value per channel');
    expect(() => layer(zeros([4, 2, 1]))).toThrow('expected 4D input (got 3D input)');
    expect(layer(zeros([0, 2, 3, 2])).shape).toEqual([0, 2, 3, 2]);
    expect(layer.eval()(zeros(shape)).shape).toEqual(shape);
  });
});

describe('SplitBatchNorm2d', () => {
  const shape = [6, 2, 3, 2];
  it.each(
    floats.flatMap((dtype) => (['contiguous', 'channelsLast'] as const).map((format) => [dtype, format] as const)),
  )('has a batch norm for each part, and itself in evaluation, %s, %s', (dtype, format) => {
    const layer = new SplitBatchNorm2d(2, { numSplits: 3, dtype });
    const bns = Array.from({ length: 3 }, () => new BatchNorm2d(2, { dtype }));
    const each = [layer, ...layer.auxBn] as BatchNorm2d[];
    for (const [i, bn] of bns.entries())
      noGrad(() => {
        for (const norm of [bn, each[i]]) norm.weight!.copy_(det([2], i));
      });
    const x = det(shape, 3, dtype).contiguous(format);
    const parts = (t: Tensor) => cat(t.split(2).map((part, i) => bns[i](part)));
    expectAlike(layer, new Sequential(...bns), parts, x, dtype);
    const one = det([5, 2, 3, 2], 5, dtype);
    expect(layer.eval()(one).toArray()).toEqual(bns[0].eval()(one).toArray());
  });

  it('has timm’s keys and form', () => {
    const layer = new SplitBatchNorm2d(2, { numSplits: 3, affine: false });
    const own = ['running_mean', 'running_var', 'num_batches_tracked'];
    expect([...layer.stateDict().keys()]).toEqual([
      ...own,
      ...own.map((name) => `aux_bn.0.${name}`),
      ...own.map((name) => `aux_bn.1.${name}`),
    ]);
    expect(String(layer)).toContain('  (aux_bn): ModuleList(\n    (0-1): 2 x BatchNorm2d(2, ');
  });

  it('is one batch norm where it is frozen or untracked in evaluation', () => {
    const x = det(shape, 3, 'float32');
    const frozen = new SplitBatchNorm2d(2);
    freezeBatchNorm(frozen);
    expect(frozen(x).toArray()).toEqual(frozen.eval()(x).toArray());
    const untracked = new SplitBatchNorm2d(2, { trackRunningStats: false }).eval();
    const plain = new BatchNorm2d(2, { trackRunningStats: false });
    expect(untracked(x).toArray()).toEqual(plain(x).toArray());
    const tracked = new SplitBatchNorm2d(2);
    const byParts = tracked(x).toArray();
    expect(withStatistics(tracked.eval(), 'batch', () => tracked(x)).toArray()).toEqual(byParts);
  });

  it('refuses what it cannot cut', () => {
    expect(() => new SplitBatchNorm2d(2, { numSplits: 1 })).toThrow('Should have at least one aux BN layer');
    const layer = new SplitBatchNorm2d(2);
    expect(() => layer(zeros([3, 2, 2, 2]))).toThrow('batch size must be evenly divisible by numSplits');
    expect(layer(zeros([0, 2, 2, 2])).shape).toEqual([0, 2, 2, 2]);
    expect(layer.eval()(zeros([3, 2, 2, 2])).shape).toEqual([3, 2, 2, 2]);
  });
});

describe('layers that normalize parts of a batch', () => {
  const makers = {
    ChunkedGhostBatchNorm1d: () => new Sequential(new ChunkedGhostBatchNorm1d(2)),
    InterleavedGhostBatchNorm2d: () =>
      new Sequential(new Conv2d(1, 2, 1), new InterleavedGhostBatchNorm2d(2, { numSplits: 2 })),
    SplitBatchNorm2d: () => new Sequential(new Conv2d(1, 2, 1), new SplitBatchNorm2d(2)),
  };
  it.each(Object.entries(makers))('%s is refused by exact accumulation', (_, make) => {
    const parts = [0, 1].map(() => [zeros([2, 1, 2, 2]), zeros([2])]);
    expect(() => accumulate(make(), parts, mseLoss)).toThrow(
      "does not normalize its whole batch by that batch's statistics alone",
    );
  });

  it.each(['InterleavedGhostBatchNorm2d', 'SplitBatchNorm2d'] as const)(
    '%s is named when SyncBatchNorm takes its place',
    (name) => {
      const texts = warningsOf(() => convertSyncBatchNorm(makers[name]()));
      expect(texts).toEqual([expect.stringMatching(`^${name} has a forward of its own`)]);
    },
  );
});
