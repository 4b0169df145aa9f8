// FrozenBatchNorm2d against its definition (torchvision's) and against evaluated batch norm, and the conversions to it
// and back (timm's).
import { describe, expect, it } from 'vitest';
import { gradcheck, gradgradcheck } from '../../src/autograd/gradcheck.ts';
import {
  BatchNorm1d,
  BatchNorm2d,
  BatchNormAct2d,
  Conv2d,
  Dropout,
  FrozenBatchNorm2d,
  FrozenBatchNormAct2d,
  fromFrozenBatchNorm,
  functional,
  InstanceNorm2d,
  Module,
  Parameter,
  Sequential,
  SiLU,
  SplitBatchNorm2d,
  SyncBatchNorm,
  toFrozenBatchNorm,
} from '../../src/nn/index.ts';
import { ones, tensor, zeros } from '../../src/tensor/create.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { rand, randn } from '../../src/tensor/random.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose } from '../support/golden.ts';
import { det, list } from '../support/norm_layers.ts';
import { warningsOf } from '../support/warnings.ts';

type Float = 'float32' | 'float64';
const c = 3;
const constants = (dtype: Float) => {
  const of = (seed: number) => det([c], seed, dtype);
  // [mean, variance, weight, bias]
  return [of(1), of(2).square().add(0.1), of(3), of(4)] as const;
};
const values = (t: Tensor) => Array.from(t.dataSync() as Float64Array, Number);

/** y = x·scale + shift with scale = weight/√(variance + eps), shift = bias − mean·scale, over (N, C, H, W). */
function reference(x: Tensor, eps: number): number[] {
  const [mean, variance, weight, bias] = constants('float64').map(values);
  const [, , h, w] = x.shape;
  return values(x).map((value, i) => {
    const k = Math.floor(i / (h * w)) % c;
    return ((value - mean[k]) / Math.sqrt(variance[k] + eps)) * weight[k] + bias[k];
  });
}

function filled(dtype: Float, eps?: number): FrozenBatchNorm2d {
  const norm = new FrozenBatchNorm2d(c, { dtype, eps });
  const [running_mean, running_var, weight, bias] = constants(dtype);
  norm.loadStateDict({ weight, bias, running_mean, running_var });
  return norm;
}

describe('FrozenBatchNorm2d', () => {
  it.each(['float32', 'float64'] as const)('is its definition, in both formats and modes, %s', (dtype) => {
    const x = det([2, c, 4, 3], 5, dtype);
    for (const format of ['contiguous', 'channelsLast'] as const)
      for (const norm of [filled(dtype, 1e-3), filled(dtype, 1e-3).eval()]) {
        const y = norm(x.contiguous(format));
        expect(y.memoryFormat).toBe(format);
        // float32: the inputs' rounding, magnified by weight and 1/σ.
        expectClose(y, reference(x, 1e-3), dtype === 'float64' ? 1e-13 : 5e-6);
      }
  });

  it('equals batch norm in evaluation', () => {
    const bn = new BatchNorm2d(c).eval();
    bn.loadStateDict(filled('float32').stateDict());
    const x = det([2, c, 4, 3], 5, 'float32');
    expect(filled('float32')(x).toArray()).toEqual(bn(x).toArray());
  });

  it.each([[[2, c, 3, 2]], [[2, 1, 3, 2]], [[2, c]]])('sends gradients of every order to x only, %j', (shape) => {
    const norm = filled('float64');
    gradcheck((x) => norm(x), [randn(shape, { dtype: 'float64', requiresGrad: true })]);
    gradgradcheck((x) => norm(x), [randn(shape, { dtype: 'float64', requiresGrad: true })]);
    norm.weight.requiresGrad = true;
    expect(norm(zeros(shape, { dtype: 'float64' })).requiresGrad).toBe(false);
    expect([...norm.parameters()]).toEqual([]);
  });

  it('broadcasts as torchvision’s does, without a check of ranks', () => {
    const norm = filled('float64');
    expect(norm(zeros([2, c], { dtype: 'float64' })).shape).toEqual([1, c, 2, c]);
    expect(norm(zeros([2, 1, 4, 5], { dtype: 'float64' })).shape).toEqual([2, c, 4, 5]);
    expect(norm(zeros([0, c, 2, 2], { dtype: 'float64' })).shape).toEqual([0, c, 2, 2]);
    expect(() => norm(zeros([2, 5, 4, 5], { dtype: 'float64' }))).toThrow('The size of tensor a (5) must match');
    const x = det([2, c, 4, 5], 5);
    // One channel of many, by broadcasting, and by the kernel.
    const one = norm(x.narrow(1, 0, 1)).narrow(1, 0, 1);
    expectClose(one, values(norm(x).narrow(1, 0, 1)), 1e-13);
  });

  it('gives the wider dtype', () => {
    const dtypes = (['float32', 'float64'] as const).flatMap((own) =>
      (['float32', 'float64', 'int64', 'uint8'] as const).map(
        (given) => filled(own)(ones([1, c, 2, 2], { dtype: given })).dtype,
      ),
    );
    expect(dtypes).toEqual(['float32', 'float64', 'float32', 'float32', 'float64', 'float64', 'float64', 'float64']);
  });

  it('has four buffers of version 1, and prints its size and eps', () => {
    const norm = new FrozenBatchNorm2d(2);
    expect([...norm.stateDict()].map(([name, t]) => [name, t.toArray()])).toEqual([
      ['weight', [1, 1]],
      ['bias', [0, 0]],
      ['running_mean', [0, 0]],
      ['running_var', [1, 1]],
    ]);
    expect(norm.stateDict().metadata!.get('')).toEqual({ version: 1 });
    expect(String(norm)).toBe('FrozenBatchNorm2d(2, eps=1e-05)');
  });

  it('exchanges states with batch norm, whose counter it drops and which keeps its own', () => {
    const bn = new BatchNorm2d(c);
    bn(det([2, c, 4, 3], 5, 'float32'));
    const net = new Sequential(new FrozenBatchNorm2d(c));
    expect(String(net.loadStateDict(new Sequential(bn).stateDict()))).toBe('<All keys matched successfully>');
    bn.loadStateDict(filled('float32').stateDict());
    expect([bn.numBatchesTracked!.item(), list(bn.weight!)]).toEqual([1, list(constants('float32')[2])]);
  });

  it('is finite where a variance has become 0', () => {
    const norm = new FrozenBatchNorm2d(1);
    norm.runningVar = zeros([1]);
    expect(norm(ones([1, 1, 1, 1])).item()).toBeCloseTo(1 / Math.sqrt(1e-5), 2);
  });
});

class Block extends Module {
  readonly conv = new Conv2d(1, c, 1);
  readonly bn = new BatchNorm2d(c, { eps: 1e-3 });
  readonly norm = new BatchNormAct2d(c, { act: new SiLU(), drop: new Dropout(0.5) });
  readonly same = this.bn;
  readonly sync = new SyncBatchNorm(c, { affine: false });
  readonly others = new Sequential(new BatchNorm1d(2), new InstanceNorm2d(c));
  forward(x: Tensor): Tensor {
    return this.sync(this.norm(this.same(this.bn(this.conv(x)))));
  }
}

describe('toFrozenBatchNorm and fromFrozenBatchNorm', () => {
  const block = () => {
    manualSeed(4);
    const net = new Block();
    for (let i = 0; i < 3; i++) net(randn([4, 1, 3, 3]));
    net.bn.weight!.requiresGrad_(false).copy_(tensor([1, 2, 3]));
    return net;
  };

  it('convert batch norms of images, keep the rest, and evaluate alike', () => {
    const net = block().eval();
    const x = rand([2, 1, 4, 4]);
    const before = net(x).toArray();
    const { bn, norm, others } = net;
    expect(toFrozenBatchNorm(net)).toBe(net);
    expect([net.bn.constructor, net.norm.constructor, net.sync.constructor]).toEqual([
      FrozenBatchNorm2d,
      FrozenBatchNormAct2d,
      FrozenBatchNorm2d,
    ]);
    const frozen = net.bn as unknown as FrozenBatchNorm2d;
    expect([
      net.same === net.bn,
      net.norm.act === norm.act,
      net.norm.drop === norm.drop,
      net.others === others,
    ]).toEqual([true, true, true, true]);
    expect(others.at(0)).toBeInstanceOf(BatchNorm1d);
    expect([frozen.eps, frozen.training, frozen.weight === (bn.weight as Tensor), list(frozen.weight)]).toEqual([
      1e-3,
      false,
      false,
      [1, 2, 3],
    ]);
    expect(frozen.runningMean).toBe(bn.runningMean);
    expect(net(x).toArray()).toEqual(before);
    expect([...net.namedParameters()].map(([name]) => name)).toEqual([
      'conv.weight',
      'conv.bias',
      'others.0.weight',
      'others.0.bias',
    ]);
    expect(String(net.norm)).toBe('FrozenBatchNormAct2d(3, eps=1e-05, act=SiLU())');

    fromFrozenBatchNorm(net);
    expect([net.bn.constructor, net.norm.constructor, net.sync.constructor]).toEqual([
      BatchNorm2d,
      BatchNormAct2d,
      BatchNorm2d,
    ]);
    expect([net.bn.weight instanceof Parameter, net.bn.weight!.requiresGrad, list(net.bn.weight!)]).toEqual([
      true,
      true,
      [1, 2, 3],
    ]);
    expect([net.bn.momentum, net.bn.numBatchesTracked!.item(), net.bn.eps, net.bn.training]).toEqual([
      0.1,
      0,
      1e-3,
      false,
    ]);
    expect([net.sync.affine, net.same === net.bn, net.norm.act === norm.act]).toEqual([false, true, true]);
    expect(net(x).toArray()).toEqual(before);
  });

  it('give back another object where the root is the layer', () => {
    const bn = new BatchNorm2d(2, { dtype: 'float64' });
    const frozen = toFrozenBatchNorm(bn) as FrozenBatchNorm2d;
    expect([frozen.constructor, frozen.weight.dtype]).toEqual([FrozenBatchNorm2d, 'float64']);
    expect((fromFrozenBatchNorm(frozen) as BatchNorm2d).runningVar).toBe(bn.runningVar);
    // One that no conversion made has a weight and a bias.
    expect((fromFrozenBatchNorm(new FrozenBatchNorm2d(2)) as BatchNorm2d).affine).toBe(true);
  });

  it('change nothing where a layer has no running statistics', () => {
    const net = new Sequential(new BatchNorm2d(2), new BatchNorm2d(2, { trackRunningStats: false }));
    expect(() => toFrozenBatchNorm(net)).toThrow('expected running statistics, which BatchNorm2d(2, eps=1e-05');
    expect(net.at(0)).toBeInstanceOf(BatchNorm2d);
  });

  it('leave subclasses that may do more, with a warning, and what is in them', () => {
    const split = new SplitBatchNorm2d(2);
    const net = new Sequential(split, new BatchNorm2d(2));
    const texts = warningsOf(() => toFrozenBatchNorm(net));
    expect(texts).toEqual([expect.stringMatching(/^SplitBatchNorm2d may do more than the BatchNorm2d/)]);
    expect([net.at(0) === split, split.auxBn.at(0).constructor, net.at(1).constructor]).toEqual([
      true,
      BatchNorm2d,
      FrozenBatchNorm2d,
    ]);
  });
});

describe('functional.frozenBatchNorm', () => {
  it('takes constants', () => {
    const [mean, variance, weight, bias] = constants('float64');
    const x = det([2, c, 4, 3], 5);
    expectClose(functional.frozenBatchNorm(x, mean, variance, weight, bias, { eps: 1e-3 }), reference(x, 1e-3), 1e-13);
  });
});
