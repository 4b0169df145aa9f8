// Every layer and loss, forward and backward, against PyTorch's results (golden/nn_golden.py), in float64 and in both
// memory formats.
import { describe, expect, it } from 'vitest';
import * as nn from '../../src/nn/index.ts';
import { fromTypedArray, ones, tensor } from '../../src/tensor/create.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { type Shape, sizeOf } from '../../src/tensor/shape.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { activationLayers, madeLayers } from '../cases/unary.ts';
import { decode, expectClose, readGolden } from '../support/golden.ts';

const golden = readGolden<{
  forwards: Record<
    string,
    { input: number[]; shape: number[]; y: string; dx: string; parameters: Record<string, string> }
  >;
  losses: Record<string, { y: string; dx: string }>;
  embedding: { y: string; dweight: string };
}>('nn.golden.json');

/** The rule of nn_golden.py. */
const rule = (shape: Shape, seed: number) =>
  fromTypedArray(
    Float64Array.from({ length: sizeOf(shape) }, (_, i) => (((i * 37 + seed * 97) % 101) / 17 - 3) * 0.5),
    shape,
  );
const expectValues = (actual: Tensor, text: string, what: string, tolerance = 1e-12) =>
  expectClose(actual, decode(text, 'float64'), tolerance, 0.1 * tolerance, what);
/** Where a row has a tolerance for PyTorch's values, some constant of theirs is rounded to float32, in float64 too. */
const gradientTolerance = (name: string) =>
  activationLayers.find((layer) => layer.name === name)?.of.case?.[3] ? 2 ** -24 : 1e-12;

const dtype = 'float64';
const layers: Record<string, () => nn.Module> = {
  Linear: () => new nn.Linear(4, 3, { dtype }),
  Conv1d: () => new nn.Conv1d(4, 6, 3, { stride: 2, padding: 1, groups: 2, dtype }),
  'Conv1d circular': () => new nn.Conv1d(2, 3, 3, { padding: 2, paddingMode: 'circular', dtype }),
  Conv2d: () => new nn.Conv2d(3, 4, [3, 2], { stride: [1, 2], padding: [0, 1], dilation: [2, 1], dtype }),
  'Conv2d same': () => new nn.Conv2d(2, 3, [4, 3], { padding: 'same', dtype }),
  'Conv2d valid': () => new nn.Conv2d(2, 3, 3, { padding: 'valid', bias: false, dtype }),
  'Conv2d reflect': () => new nn.Conv2d(2, 3, 3, { padding: [2, 1], paddingMode: 'reflect', dtype }),
  'Conv2d replicate same': () => new nn.Conv2d(2, 3, [2, 3], { padding: 'same', paddingMode: 'replicate', dtype }),
  Conv3d: () => new nn.Conv3d(2, 4, 2, { padding: 1, groups: 2, dtype }),
  ConvTranspose2d: () => new nn.ConvTranspose2d(4, 6, 3, { stride: 2, padding: 1, outputPadding: 1, groups: 2, dtype }),
  ConvTranspose1d: () => new nn.ConvTranspose1d(4, 6, 3, { stride: 2, padding: 1, outputPadding: 1, groups: 2, dtype }),
  ConvTranspose3d: () => new nn.ConvTranspose3d(2, 3, [1, 2, 3], { stride: [1, 2, 2], padding: [0, 1, 1], dtype }),
  LazyLinear: () => new nn.LazyLinear(3, { dtype }),
  LazyConv1d: () => new nn.LazyConv1d(6, 3, { stride: 2, padding: 1, groups: 2, dtype }),
  LazyConv2d: () => new nn.LazyConv2d(4, 3, { bias: false, dtype }),
  LazyConv3d: () => new nn.LazyConv3d(4, 2, { padding: 1, dtype }),
  LazyConvTranspose1d: () => new nn.LazyConvTranspose1d(6, 3, { stride: 2, groups: 2, dtype }),
  LazyConvTranspose2d: () => new nn.LazyConvTranspose2d(3, 2, { dtype }),
  LazyConvTranspose3d: () => new nn.LazyConvTranspose3d(3, 2, { bias: false, dtype }),
  ConstantPad1d: () => new nn.ConstantPad1d([3, 1], -1.5),
  ConstantPad2d: () => new nn.ConstantPad2d([2, 1, 0, 3], -1.5),
  ConstantPad3d: () => new nn.ConstantPad3d([1, 0, 2, 1, 1, 2], -1.5),
  ZeroPad1d: () => new nn.ZeroPad1d([3, 1]),
  ZeroPad2d: () => new nn.ZeroPad2d([2, 1, 0, 3]),
  ZeroPad3d: () => new nn.ZeroPad3d([1, 0, 2, 1, 1, 2]),
  ReflectionPad1d: () => new nn.ReflectionPad1d([3, 1]),
  ReflectionPad2d: () => new nn.ReflectionPad2d([2, 1, 0, 3]),
  ReflectionPad3d: () => new nn.ReflectionPad3d([1, 0, 2, 1, 1, 2]),
  ReplicationPad1d: () => new nn.ReplicationPad1d([3, 1]),
  ReplicationPad2d: () => new nn.ReplicationPad2d([2, 1, 0, 3]),
  ReplicationPad3d: () => new nn.ReplicationPad3d([1, 0, 2, 1, 1, 2]),
  CircularPad1d: () => new nn.CircularPad1d([3, 1]),
  CircularPad2d: () => new nn.CircularPad2d([2, 1, 0, 3]),
  CircularPad3d: () => new nn.CircularPad3d([1, 0, 2, 1, 1, 2]),
  Upsample: () => new nn.Upsample({ scaleFactor: [1.5, 2.3], mode: 'bicubic' }),
  'Upsample of one dimension': () => new nn.Upsample({ size: 7, mode: 'linear', alignCorners: true }),
  'Upsample of three': () =>
    new nn.Upsample({ scaleFactor: [2, 0.7, 1.3], mode: 'trilinear', recomputeScaleFactor: true }),
  PixelShuffle: () => new nn.PixelShuffle(2),
  PixelUnshuffle: () => new nn.PixelUnshuffle(2),
  ChannelShuffle: () => new nn.ChannelShuffle(3),
  Softmin: () => new nn.Softmin(1),
  Softmax2d: () => new nn.Softmax2d(),
  GLU: () => new nn.GLU(1),
  Unfold: () => new nn.Unfold([2, 3], { padding: [0, 1], stride: 2, dilation: [2, 1] }),
  Fold: () => new nn.Fold([4, 5], [2, 3]),
  PReLU: () => new nn.PReLU(1, { dtype }),
  'PReLU of channels': () => new nn.PReLU(3, { init: -0.5, dtype }),
  RReLU: () => new nn.RReLU({ lower: 0.1, upper: 0.5 }),
  UpsamplingNearest2d: () => new nn.UpsamplingNearest2d({ scaleFactor: 2 }),
  UpsamplingBilinear2d: () => new nn.UpsamplingBilinear2d({ size: [7, 3] }),
  MaxPool1d: () => new nn.MaxPool1d(3, { stride: 2, padding: 1 }),
  MaxPool2d: () => new nn.MaxPool2d(2, { stride: 2, ceilMode: true }),
  MaxPool3d: () => new nn.MaxPool3d([1, 2, 3], { stride: 2, padding: [0, 1, 1] }),
  LPPool1d: () => new nn.LPPool1d(2, 3, { stride: 2 }),
  LPPool2d: () => new nn.LPPool2d(4, [2, 3], { ceilMode: true }),
  LPPool3d: () => new nn.LPPool3d(2, 2),
  AvgPool3d: () => new nn.AvgPool3d(2, { stride: [1, 2, 1], padding: 1, countIncludePad: false }),
  AdaptiveAvgPool3d: () => new nn.AdaptiveAvgPool3d([2, null, 3]),
  AdaptiveMaxPool3d: () => new nn.AdaptiveMaxPool3d([2, 1, 3]),
  AvgPool1d: () => new nn.AvgPool1d(3, { padding: 1, countIncludePad: false }),
  AvgPool2d: () => new nn.AvgPool2d([2, 3], { stride: 2, padding: 1, divisorOverride: 5 }),
  AdaptiveAvgPool1d: () => new nn.AdaptiveAvgPool1d(3),
  AdaptiveAvgPool2d: () => new nn.AdaptiveAvgPool2d([null, 2]),
  AdaptiveMaxPool1d: () => new nn.AdaptiveMaxPool1d(3),
  AdaptiveMaxPool2d: () => new nn.AdaptiveMaxPool2d(2),
  Flatten: () => new nn.Flatten(1, 2),
  Unflatten: () => new nn.Unflatten(1, [2, -1]),
  ...Object.fromEntries(madeLayers('forward').map(({ key, make }) => [key, make])),
  Threshold: () => new nn.Threshold(0.5, -2),
  Softmax: () => new nn.Softmax(1),
  LogSoftmax: () => new nn.LogSoftmax(0),
};

describe('layers', () => {
  it('are all in the golden file', () => {
    expect(Object.keys(layers).sort()).toEqual(Object.keys(golden.forwards).sort());
  });

  it.each(Object.entries(golden.forwards))('%s', (name, expected) => {
    for (const format of ['contiguous', 'channelsLast'] as const) {
      manualSeed(7);
      const layer = layers[name]();
      const x = rule(expected.input, 1).contiguous(format).requiresGrad_();
      const y = layer(x);
      expect(y.shape).toEqual(expected.shape);
      expectValues(y, expected.y, 'y');
      y.backward(rule(y.shape, 2));
      expectValues(x.grad!, expected.dx, 'dx', gradientTolerance(name));
      for (const [key, parameter] of layer.namedParameters())
        expectValues(parameter.grad!, expected.parameters[key], key);
    }
  });

  it('EmbeddingBag', () => {
    manualSeed(7);
    const words = tensor([1, 4, 0, 4], { dtype: 'int64' });
    const offsets = tensor([0, 1, 4], { dtype: 'int64' });
    const layer = new nn.EmbeddingBag(5, 3, { mode: 'sum', paddingIdx: 0, includeLastOffset: true, dtype });
    expect(layer.weight.select(0, 0).toArray()).toEqual([0, 0, 0]);
    const rows = layer.weight.toArray() as number[][];
    const y = layer(words, offsets);
    expect(y.toArray()).toEqual([rows[1], rows[4].map((v) => v + v)]);
    y.sum().backward();
    expect(layer.weight.grad!.toArray()).toEqual([0, 1, 0, 0, 2].map((v) => [v, v, v]));
    const short = new nn.EmbeddingBag(5, 3, { maxNorm: 0.5, dtype });
    short(words, tensor([0], { dtype: 'int64' }));
    const lengths = short.weight.detach().norm(2, 1).toArray() as number[];
    expect([0, 1, 4].every((i) => lengths[i] <= 0.5 + 1e-6)).toBe(true);
    expect(() => layer(words)).toThrow('offsets has to be a 1D Tensor but got null');
  });

  it('Embedding', () => {
    manualSeed(7);
    const layer = new nn.Embedding(5, 3, { paddingIdx: 1, dtype });
    const y = layer(
      tensor(
        [
          [0, 1],
          [4, 0],
        ],
        { dtype: 'int64' },
      ),
    );
    expectClose(y, decode(golden.embedding.y, 'float64'), 1e-14);
    y.backward(rule(y.shape, 2));
    expectValues(layer.weight.grad!, golden.embedding.dweight, 'dweight');
    expect(() => layer(tensor([5], { dtype: 'int64' }))).toThrow('out of bounds');
  });

  const inPlace = activationLayers
    .filter(({ Layer }) => 'inplace' in new Layer({} as never))
    .map(({ Layer }) => new Layer({ inplace: true } as never));
  it('all can be that are in PyTorch', () => expect(inPlace.length).toBeGreaterThanOrEqual(10));
  it.each(inPlace)('%s in place gives the same values and gradients', (layer) => {
    const name = layer.constructor.name;
    const leaf = rule([3, 7], 1).requiresGrad_();
    const x = leaf.mul(1);
    const y = layer(x);
    expect(y).toBe(x);
    expectValues(y, golden.forwards[name].y, 'y');
    y.backward(rule([3, 7], 2));
    expectValues(leaf.grad!, golden.forwards[name].dx, 'dx', gradientTolerance(name));
    expect(() => layer(leaf)).toThrow('a leaf Variable that requires grad is being used in an in-place operation.');
  });

  it('Identity gives back its input', () => {
    const x = ones([2]);
    expect(new nn.Identity('anything')(x)).toBe(x);
  });

  it('padding by reflection needs enough to reflect', () => {
    const layer = new nn.Conv1d(1, 1, 3, { padding: 3, paddingMode: 'reflect' });
    expect(() => layer(ones([1, 1, 3]))).toThrow('Padding size should be less than the corresponding input dimension');
    expect(() => nn.functional.pad(ones([1, 1, 3]), [4, 0], { mode: 'circular' })).toThrow(
      'Padding value causes wrapping around more than once.',
    );
  });
});

describe('losses', () => {
  const classes = tensor([0, 2, 1, 2], { dtype: 'int64' });
  const weight = tensor([0.5, 2, 1.5], { dtype });
  const shares = () => rule([4, 3], 5).sigmoid();
  const signs = () => rule([4, 3], 6).add(0.01).sign();
  const classLists = tensor(
    [
      [0, 2, -1],
      [1, -1, 0],
      [-1, 0, 0],
      [2, 1, 0],
    ],
    { dtype: 'int64' },
  );
  const losses: Record<string, (x: Tensor) => Tensor> = {
    CrossEntropyLoss: (x) => new nn.CrossEntropyLoss()(x, classes),
    'CrossEntropyLoss options': (x) =>
      new nn.CrossEntropyLoss({ weight, ignoreIndex: 1, labelSmoothing: 0.1 })(x, classes),
    'CrossEntropyLoss shares': (x) => new nn.CrossEntropyLoss({ weight, reduction: 'sum' })(x, shares()),
    NLLLoss: (x) => new nn.NLLLoss({ weight, reduction: 'none' })(x.logSoftmax(1), classes),
    MSELoss: (x) => new nn.MSELoss()(x, shares()),
    L1Loss: (x) => new nn.L1Loss({ reduction: 'sum' })(x, shares()),
    SmoothL1Loss: (x) => new nn.SmoothL1Loss({ beta: 0.5 })(x, shares()),
    BCEWithLogitsLoss: (x) => new nn.BCEWithLogitsLoss({ weight, posWeight: weight.add(1) })(x, shares()),
    CTCLoss: (x) => new nn.CTCLoss({ blank: 1 })(x.logSoftmax(1), tensor([2, 0], { dtype: 'int64' }), [4], [2]),
    HuberLoss: (x) => new nn.HuberLoss({ delta: 0.5 })(x, shares()),
    SoftMarginLoss: (x) => new nn.SoftMarginLoss()(x, signs()),
    BCELoss: (x) => new nn.BCELoss({ weight })(x.sigmoid(), shares()),
    KLDivLoss: (x) => new nn.KLDivLoss({ reduction: 'batchmean' })(x.logSoftmax(1), shares()),
    'KLDivLoss logTarget': (x) =>
      new nn.KLDivLoss({ reduction: 'sum', logTarget: true })(x.logSoftmax(1), shares().log()),
    PoissonNLLLoss: (x) => new nn.PoissonNLLLoss({ logInput: false, full: true, eps: 0.5 })(x.mul(x), shares().mul(5)),
    GaussianNLLLoss: (x) => new nn.GaussianNLLLoss({ full: true, eps: 0.3 })(x, shares(), shares().mul(0.7)),
    MultiMarginLoss: (x) => new nn.MultiMarginLoss({ p: 2, margin: 0.5, weight })(x, classes),
    MultiLabelMarginLoss: (x) => new nn.MultiLabelMarginLoss({ reduction: 'sum' })(x, classLists),
    MultiLabelSoftMarginLoss: (x) => new nn.MultiLabelSoftMarginLoss({ weight })(x, shares()),
    MarginRankingLoss: (x) => new nn.MarginRankingLoss({ margin: 0.25 })(x, shares(), signs()),
    HingeEmbeddingLoss: (x) => new nn.HingeEmbeddingLoss({ margin: 0.5, reduction: 'none' })(x, signs()),
    CosineEmbeddingLoss: (x) => new nn.CosineEmbeddingLoss({ margin: 0.1 })(x, shares(), signs().select(1, 0)),
    TripletMarginLoss: (x) =>
      new nn.TripletMarginLoss({ margin: 0.5, p: 3, eps: 1e-3, swap: true })(x, shares(), signs()),
    TripletMarginWithDistanceLoss: (x) =>
      new nn.TripletMarginWithDistanceLoss({ margin: 2, swap: true })(x, shares(), signs()),
    'TripletMarginWithDistanceLoss cosine': (x) =>
      new nn.TripletMarginWithDistanceLoss({ distanceFunction: new nn.CosineSimilarity() })(x, shares(), signs()),
    PairwiseDistance: (x) => new nn.PairwiseDistance({ p: 1, keepdim: true })(x, shares()),
    CosineSimilarity: (x) => new nn.CosineSimilarity({ dim: 0, eps: 3 })(x, shares()),
  };
  it.each(Object.entries(golden.losses))('%s', (name, expected) => {
    const x = rule([4, 3], 1).requiresGrad_();
    const y = losses[name](x);
    expectValues(y, expected.y, 'loss');
    y.sum().backward();
    expectValues(x.grad!, expected.dx, 'dx');
  });

  it('of triplets have a module that measures distances as a child', () => {
    const byModule = new nn.TripletMarginWithDistanceLoss({ distanceFunction: new nn.Linear(2, 2) as never });
    expect([...byModule.stateDict().keys()]).toEqual(['distance_function.weight', 'distance_function.bias']);
    const plain = (a: Tensor, b: Tensor) => a.sub(b).sum(1);
    const byFunction = new nn.TripletMarginWithDistanceLoss({ distanceFunction: plain });
    expect(byFunction.distanceFunction).toBe(plain);
    expect([...byFunction.children()]).toEqual([]);
  });

  it('keep their weights as buffers', () => {
    const loss = new nn.BCEWithLogitsLoss({ posWeight: weight });
    expect([...loss.stateDict().keys()]).toEqual(['pos_weight']);
    expect(loss.to('float32').posWeight!.dtype).toBe('float32');
    expect([...new nn.CrossEntropyLoss().stateDict().keys()]).toEqual([]);
  });
});
