// Layers whose sizes reach every way through the kernels: each core of convolution and of its gradients, tiles and
// their ends, sums of several blocks, and stores past the caches.
import {
  AvgPool2d,
  BatchNorm1d,
  BatchNorm2d,
  Conv1d,
  Conv2d,
  Conv3d,
  ConvTranspose2d,
  GRU,
  GroupNorm,
  InstanceNorm2d,
  LayerNorm,
  Linear,
  LSTM,
  type Module,
  ReLU,
  ReLU6,
  RMSNorm,
  Sequential,
  TransformerEncoderLayer,
} from '../../src/nn/index.ts';
import { add, exp, mul, sigmoid, sin, tanh } from '../../src/ops/elementwise.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { logSoftmax, softmax, sum, variance } from '../../src/ops/reduce.ts';
import { interpolate } from '../../src/ops/resample.ts';
import { transpose } from '../../src/ops/shape_ops.ts';
import { norm } from '../../src/ops/statistics.ts';
import type { MemoryFormat, Shape } from '../../src/tensor/shape.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';

export type Layer = ({ readonly make: () => Module } | { readonly run: (x: Tensor) => Tensor }) & {
  readonly shape: Shape;
  readonly formats?: readonly MemoryFormat[];
};

const images: readonly MemoryFormat[] = ['contiguous', 'channelsLast'];
const conv = (c: number, o: number, kernel: number, shape: Shape, options = {}): Layer => ({
  make: () => new Conv2d(c, o, kernel, options),
  shape: [shape[0], c, ...shape.slice(1)],
  formats: images,
});
const normed = (make: () => Module, shape: Shape): Layer => ({ make, shape, formats: images });

/** Convolutions between norms, which their prologues and epilogues compute beside them. */
const chain = (c: number, kernel: number, shape: Shape, groups = 1): Layer => ({
  make: () => {
    const options = { padding: (kernel - 1) / 2, groups, bias: false };
    return new Sequential(
      new Conv2d(c, c, kernel, options),
      new BatchNorm2d(c),
      new ReLU(),
      new Conv2d(c, c, kernel, options),
      new BatchNorm2d(c),
      new ReLU6(),
      new Conv2d(c, c, 1),
    );
  },
  shape: [shape[0], c, ...shape.slice(1)],
  formats: images,
});

export const layers: Record<string, Layer> = {
  '1x1, 64 to 256': conv(64, 256, 1, [4, 28, 28]),
  '1x1, 256 to 64 on 7x7': conv(256, 64, 1, [8, 7, 7]),
  '1x1, 20 to 12': conv(20, 12, 1, [3, 13, 11]),
  '1x1 of stride 2': conv(48, 96, 1, [2, 28, 28], { stride: 2 }),
  '3x3, 64 to 64': conv(64, 64, 3, [2, 56, 56], { padding: 1 }),
  '3x3, 3 to 16': conv(3, 16, 3, [4, 32, 32], { padding: 1 }),
  '3x3, 6 to 9 without padding': conv(6, 9, 3, [5, 19, 23]),
  '3x3 of stride 2, 40 to 72': conv(40, 72, 3, [3, 30, 30], { stride: 2, padding: 1 }),
  '3x3 dilated': conv(24, 24, 3, [2, 33, 29], { dilation: 2, padding: 2 }),
  '3x3, 256 to 256 on 4x4': conv(256, 256, 3, [17, 4, 4], { padding: 1 }),
  '3x3, 512 to 512 on 7x7': conv(512, 512, 3, [2, 7, 7], { padding: 1 }),
  '5x5, 8 to 8': conv(8, 8, 5, [3, 28, 28], { padding: 2 }),
  '7x7 of stride 2, 3 to 64': conv(3, 64, 7, [2, 112, 112], { stride: 2, padding: 3 }),
  '3x3 depthwise, 96': conv(96, 96, 3, [2, 28, 28], { padding: 1, groups: 96 }),
  '3x3 depthwise of stride 2, 37': conv(37, 37, 3, [3, 29, 27], { padding: 1, groups: 37, stride: 2 }),
  '5x5 depthwise, 24': conv(24, 24, 5, [2, 17, 17], { padding: 2, groups: 24 }),
  '3x3 in groups of 4, 64': conv(64, 64, 3, [2, 28, 28], { padding: 1, groups: 16 }),
  '3x3 in groups of 8, 64': conv(64, 64, 3, [2, 14, 14], { padding: 1, groups: 8 }),
  '3x3 in groups of 16, 64': conv(64, 64, 3, [2, 14, 14], { padding: 1, groups: 4 }),
  'transposed 4x4 of stride 2': {
    make: () => new ConvTranspose2d(32, 24, 4, { stride: 2, padding: 1 }),
    shape: [2, 32, 14, 14],
    formats: images,
  },
  'one dimension, kernel 9': { make: () => new Conv1d(12, 20, 9, { padding: 4 }), shape: [3, 12, 200] },
  'three dimensions': {
    make: () => new Conv3d(6, 10, 3, { padding: 1 }),
    shape: [2, 6, 9, 11, 10],
    formats: images,
  },
  '1x1 between norms, 24': chain(24, 1, [6, 15, 15]),
  '1x1 between norms, 37': chain(37, 1, [3, 31, 29]),
  '3x3 between norms, 24': chain(24, 3, [4, 17, 18]),
  '3x3 between norms, 37': chain(37, 3, [4, 17, 18]),
  '3x3 between norms, 5': chain(5, 3, [4, 20, 21]),
  '3x3 between norms, 72 on 5x5': chain(72, 3, [16, 5, 5]),
  '3x3 depthwise between norms, 40': chain(40, 3, [3, 19, 21], 40),
  'Linear 784 to 300': { make: () => new Linear(784, 300), shape: [70, 784] },
  'Linear 9 to 5': { make: () => new Linear(9, 5), shape: [3, 9] },
  'BatchNorm2d, 64 on 56x56': normed(() => new BatchNorm2d(64), [8, 64, 56, 56]),
  'BatchNorm2d, 5 on 3x3': normed(() => new BatchNorm2d(5), [7, 5, 3, 3]),
  'BatchNorm2d, 19 on 13x17': normed(() => new BatchNorm2d(19), [6, 19, 13, 17]),
  'BatchNorm2d past the caches': normed(() => new BatchNorm2d(32), [4, 32, 160, 160]),
  'BatchNorm1d, 300': { make: () => new BatchNorm1d(300), shape: [64, 300] },
  'LayerNorm, 768': { make: () => new LayerNorm(768), shape: [50, 768] },
  'LayerNorm, 20000': { make: () => new LayerNorm(20000), shape: [9, 20000] },
  'LayerNorm of images': { make: () => new LayerNorm([7, 9, 11]), shape: [4, 7, 9, 11] },
  'RMSNorm, 37': { make: () => new RMSNorm(37), shape: [40, 37] },
  GroupNorm: normed(() => new GroupNorm(4, 36), [3, 36, 17, 19]),
  InstanceNorm2d: normed(() => new InstanceNorm2d(10, { affine: true }), [3, 10, 21, 23]),
  'AvgPool2d, 7': normed(() => new AvgPool2d(7), [2, 24, 28, 28]),
  'AvgPool2d over 50x50': normed(() => new AvgPool2d(50), [2, 5, 50, 50]),
  LSTM: { make: () => new LSTM(28, 40, { batchFirst: true }), shape: [9, 12, 28] },
  GRU: { make: () => new GRU(28, 40, { batchFirst: true }), shape: [9, 12, 28] },
  TransformerEncoderLayer: {
    make: () => new TransformerEncoderLayer(48, 4, { dimFeedforward: 100, dropout: 0, batchFirst: true }),
    shape: [5, 33, 48],
  },
  'matrix product': { run: (x) => matmul(x, transpose(x, 1, 2)), shape: [3, 130, 300] },
  'softmax, 1000': { run: (x) => softmax(x, -1), shape: [7, 1000] },
  'logSoftmax, 10': { run: (x) => logSoftmax(x, -1), shape: [33, 10] },
  'logSoftmax of columns': { run: (x) => logSoftmax(x, 1), shape: [3, 10, 9, 8] },
  'sum of rows': { run: (x) => sum(x, -1), shape: [6, 3001] },
  'sum of columns': { run: (x) => sum(x, 0), shape: [301, 45] },
  'sum of all': { run: (x) => sum(x), shape: [333, 331] },
  'var of rows': { run: (x) => variance(x, -1), shape: [6, 3001] },
  'norm of all': { run: (x) => norm(x), shape: [101, 103] },
  'bilinear to 2.3 times': {
    run: (x) => interpolate(x, { scaleFactor: 2.3, mode: 'bilinear' }),
    shape: [2, 20, 17, 19],
    formats: images,
  },
  'exp, from denormals to infinity': { run: (x) => exp(mul(x, 300)), shape: [5000] },
  'functions, one after the other': {
    run: (x) => add(tanh(mul(x, x)), mul(sigmoid(x), exp(sin(x)))),
    shape: [50, 77],
  },
};
