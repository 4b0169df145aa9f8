// One batch norm in one layer: PyTorch's results and texts, what the layers compute, and that the originals stay.
import { describe, expect, it } from 'vitest';
import { inOurWords } from '../../fuzz/our_words.ts';
import '../../src/index.ts';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import {
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  type BatchNormBase,
  Conv1d,
  Conv2d,
  Conv3d,
  type ConvBase,
  ConvTranspose2d,
  fuseConvBatchNorm,
  fuseLinearBatchNorm,
  Linear,
  type Module,
  type NormOptions,
} from '../../src/nn/index.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { rand, randn } from '../../src/tensor/random.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose, readGolden } from '../support/golden.ts';
import { det, list, make, type Plain } from '../support/norm_layers.ts';

type Float = 'float32' | 'float64';
interface FusedCase {
  cls: string;
  args: [number, number, (number | number[])?];
  kwargs: Record<string, unknown>;
  norm: { num_features: number; eps?: number; affine?: boolean };
  dtypes: [Float, Float, Float, Float];
  requires_grad: [boolean, boolean];
  weight: Plain;
  bias: Plain;
}
const golden = readGolden<{ fused: FusedCase[]; texts: Record<string, string> }>('averaging.golden.json');

const classes = { Conv1d, Conv2d, Conv3d, ConvTranspose2d, Linear } as unknown as Record<
  string,
  new (
    ...args: unknown[]
  ) => ConvBase | Linear
>;
const fuse = (layer: ConvBase | Linear, norm: BatchNormBase) =>
  layer instanceof Linear ? fuseLinearBatchNorm(layer, norm) : fuseConvBatchNorm(layer, norm);

/** As `fill` of the golden script. */
function fill(module: Module, seed: number): void {
  [...module.stateDict()].forEach(([name, tensor], i) => {
    if (tensor.dtype === 'int64') return;
    const values = det(tensor.shape, seed + i);
    noGrad(() => tensor.copy_(name.endsWith('var') ? values.abs().add(0.5) : values));
  });
}

/** Running statistics, weight and bias as of a trained layer. */
function trained<B extends BatchNormBase>(norm: B): B {
  noGrad(() => {
    for (const t of [norm.weight, norm.bias, norm.runningMean]) t?.copy_(randn(t.shape));
    norm.runningVar!.copy_(rand(norm.runningVar!.shape).add(0.5));
  });
  return norm.eval();
}

describe('equals PyTorch 2.13', () => {
  it.each(
    golden.fused.map((one) => ({
      one,
      name: `${one.cls}(${JSON.stringify([...one.args, one.kwargs])}), ${JSON.stringify(one.norm)}, ${one.dtypes}`,
    })),
  )('$name', ({ one }) => {
    const { cls, args, kwargs, norm: options, dtypes } = one;
    const layer = new classes[cls](...args, { ...kwargs, dtype: dtypes[0] }).eval();
    const Norm = { 1: BatchNorm1d, 2: BatchNorm2d, 3: BatchNorm3d }[cls === 'Linear' ? 1 : Number(cls.at(-2))]!;
    const { num_features: features, ...rest } = options;
    const norm = new Norm(features, { ...(rest as NormOptions), dtype: dtypes[1] }).eval();
    fill(layer, 1);
    fill(norm, 11);
    layer.weight.requiresGrad = false;
    const fused = fuse(layer, norm);
    expect([fused.weight.dtype, fused.bias!.dtype]).toEqual(dtypes.slice(2));
    expect([fused.weight.requiresGrad, fused.bias!.requiresGrad]).toEqual(one.requires_grad);
    expect(fused.weight.shape).toEqual(one.weight.shape);
    expect(fused.bias!.shape).toEqual(one.bias.shape);
    // float64: a few roundings of numbers up to about 30; float32 (PyTorch rounds every step of it): a few of 6e-8 of
    // those.
    const tolerance = dtypes[2] === 'float64' ? 1e-14 : 5e-7;
    expectClose(fused.weight, one.weight.data, tolerance, 30 * tolerance, 'weight');
    expectClose(fused.bias!, one.bias.data, tolerance, 30 * tolerance, 'bias');
  });

  it('in its words', () => {
    const texts = {
      'conv in training': () => fuseConvBatchNorm(new Conv2d(1, 2, 3), new BatchNorm2d(2).eval()),
      'norm in training': () => fuseLinearBatchNorm(new Linear(1, 2).eval(), new BatchNorm1d(2)),
      sizes: () => fuseLinearBatchNorm(new Linear(3, 5).eval(), new BatchNorm1d(4).eval()),
      'no statistics': () =>
        fuseConvBatchNorm(new Conv2d(1, 2, 3).eval(), new BatchNorm2d(2, { trackRunningStats: false }).eval()),
    };
    expect(Object.keys(texts)).toEqual(Object.keys(golden.texts));
    for (const [name, call] of Object.entries(texts)) expect(call, name).toThrow(inOurWords(golden.texts[name]));
  });
});

describe('norm_golden.json (PyTorch 1.13)', () => {
  interface OldCase {
    kind: string;
    transpose: boolean;
    eps: number;
    [name: string]: unknown;
  }
  const cases = readGolden<{ cases: OldCase[] }>('norm_golden.json').cases.filter(
    ({ kind }) => kind === 'fuse_conv_bn',
  );
  it('has cases', () => expect(cases).toHaveLength(2));
  it.each(cases)('transpose: $transpose', (one) => {
    const value = (name: string) => make(one[name] as Plain);
    const weight = value('conv_weight');
    const dtype = 'float64';
    // Transposed convolutions here are two-dimensional.
    const conv = one.transpose ? new ConvTranspose2d(2, 3, [2, 1], { dtype }) : new Conv1d(2, 3, 2, { dtype });
    const norm = new BatchNorm1d(3, { eps: one.eps, dtype });
    conv.loadStateDict({ weight: weight.reshape(conv.weight.shape), bias: value('conv_bias') });
    norm.loadStateDict({
      weight: value('bn_weight'),
      bias: value('bn_bias'),
      running_mean: value('running_mean'),
      running_var: value('running_var'),
    });
    const fused = fuseConvBatchNorm(conv.eval(), norm.eval());
    // A few roundings of numbers up to 6.
    expectClose(fused.weight, (one.fused_weight as Plain).data, 1e-14, 1e-14);
    expectClose(fused.bias!, (one.fused_bias as Plain).data, 1e-14, 1e-14);
  });
});

describe('computes what the two compute', () => {
  const dtype = 'float64';
  const pairs: Record<string, () => [ConvBase | Linear, BatchNormBase, Tensor]> = {
    'Conv1d, same': () => [
      new Conv1d(4, 6, 3, { padding: 'same', dtype }),
      new BatchNorm1d(6, { dtype }),
      randn([2, 4, 7], { dtype }),
    ],
    'Conv2d, circular padding, groups': () => [
      new Conv2d(4, 6, 3, { padding: 1, paddingMode: 'circular', groups: 2, dtype }),
      new BatchNorm2d(6, { dtype }),
      randn([2, 4, 5, 6], { dtype }),
    ],
    'Conv2d, weight alone': () => [
      new Conv2d(2, 3, 3, { bias: false, dtype }),
      new BatchNorm2d(3, { bias: false, dtype }),
      randn([2, 2, 5, 6], { dtype }),
    ],
    Conv3d: () => [
      new Conv3d(2, 3, 2, { dtype }),
      new BatchNorm3d(3, { affine: false, dtype }),
      randn([2, 2, 3, 4, 5], { dtype }),
    ],
    'ConvTranspose2d, groups (pytorch#180995)': () => [
      new ConvTranspose2d(4, 4, 3, { groups: 2, bias: false, dtype }),
      new BatchNorm2d(4, { dtype }),
      randn([2, 4, 5, 6], { dtype }),
    ],
    'ConvTranspose2d, uneven groups': () => [
      new ConvTranspose2d(6, 9, [3, 2], { groups: 3, stride: 2, outputPadding: 1, dtype }),
      new BatchNorm2d(9, { dtype }),
      randn([2, 6, 5, 6], { dtype }),
    ],
    Linear: () => [new Linear(3, 5, { dtype }), new BatchNorm1d(5, { dtype }), randn([4, 3], { dtype })],
    'Linear, no weight and bias': () => [
      new Linear(3, 5, { bias: false, dtype }),
      new BatchNorm1d(5, { affine: false, dtype }),
      randn([4, 3], { dtype }),
    ],
    'Linear, one channel': () => [
      new Linear(3, 5, { bias: false, dtype }),
      new BatchNorm1d(1, { dtype }),
      randn([4, 1, 3], { dtype }),
    ],
  };
  it.each(Object.keys(pairs))('%s', (name) => {
    manualSeed(1);
    const [layer, norm, x] = pairs[name]();
    layer.eval();
    trained(norm);
    const before = [...layer.stateDict(), ...norm.stateDict()].map(([key, t]) => [key, list(t)]);
    const fused = fuse(layer, norm);
    expect(fused).toBeInstanceOf(layer.constructor);
    expect(fused.training).toBe(false);
    const expected = norm(layer(x) as Tensor) as Tensor;
    // Some hundred roundings of numbers up to about 10.
    expectClose(fused(x) as Tensor, list(expected)!, 1e-13, 1e-13);
    expect([...layer.stateDict(), ...norm.stateDict()].map(([key, t]) => [key, list(t)])).toEqual(before);
  });

  it('with weights in channels-last order, which they keep', () => {
    const conv = new Conv2d(3, 4, 3, { dtype }).eval();
    conv.weight.storage = conv.weight.detach().contiguous('channelsLast').storage;
    Object.assign(conv.weight, { memoryFormat: 'channelsLast', history: conv.weight.storage.history });
    const norm = trained(new BatchNorm2d(4, { dtype }));
    const x = randn([2, 3, 5, 5], { dtype });
    const fused = fuseConvBatchNorm(conv, norm);
    expect(fused.weight.memoryFormat).toBe('channelsLast');
    expectClose(fused(x), list(norm(conv(x)))!, 1e-13, 1e-13);
  });

  it('rounds once: float32 is the rounding of float64', () => {
    const [narrow, wide] = (['float32', 'float64'] as const).map((type) => {
      manualSeed(2);
      const conv = new Conv2d(3, 4, 3, { dtype: 'float32' });
      const norm = trained(new BatchNorm2d(4, { dtype: 'float32' }));
      return fuseConvBatchNorm(conv.to(type).eval(), norm.to(type));
    });
    for (const name of ['weight', 'bias'] as const)
      expect(list(narrow[name])).toEqual(list(wide[name])!.map(Math.fround));
  });
});

it('refuses a batch norm of other channels', () => {
  for (const features of [1, 3])
    expect(() => fuseConvBatchNorm(new Conv2d(1, 2, 3).eval(), new BatchNorm2d(features).eval())).toThrow(
      `expected a batch norm of the convolution's 2 channels, got one of ${features}`,
    );
});
