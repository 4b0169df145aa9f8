// The models of golden/models_golden.py, made here by the same names, and what the golden file says of each.

import * as models from '../../src/models/index.ts';
import { BasicBlock, Bottleneck, ResNet } from '../../src/models/index.ts';
import type { Module } from '../../src/nn/index.ts';
import { GroupNorm } from '../../src/nn/index.ts';
import { readGolden } from '../support/golden.ts';

export interface Digest {
  shape: number[];
  rms: number;
  product: number;
  elements: number[];
}
export interface Golden {
  parameters: number;
  state: string[];
  trained: Digest;
  evaluated: Digest;
  gradients: Record<string, Digest>;
  statistics: Record<string, Digest>;
  error: { trained: number; evaluated: number };
}
export const golden = readGolden<Record<string, Golden>>('models.golden.json');

export const make: Record<string, () => Module> = {
  resnet18: models.resnet18,
  resnet34: models.resnet34,
  resnet50: models.resnet50,
  resnet101: models.resnet101,
  resnext50_32x4d: models.resnext50_32x4d,
  'ResNet, GroupNorm': () =>
    new ResNet(BasicBlock, [1, 1, 1, 1], { numClasses: 7, normLayer: (channels) => new GroupNorm(8, channels) }),
  'ResNet, zero residual': () => new ResNet(BasicBlock, [1, 1, 1, 1], { numClasses: 7, zeroInitResidual: true }),
  'ResNet, dilated': () =>
    new ResNet(Bottleneck, [1, 1, 2, 1], {
      numClasses: 7,
      groups: 4,
      widthPerGroup: 8,
      replaceStrideWithDilation: [false, true, true],
    }),
  vgg11: models.vgg11,
  vgg16: models.vgg16,
  vgg11Bn: models.vgg11Bn,
  vgg16Bn: models.vgg16Bn,
  mobilenetV2: models.mobilenetV2,
  'mobilenetV2, half as wide': () => models.mobilenetV2({ widthMult: 0.5, dropout: 0.6, numClasses: 7 }),
  mobilenetV3Large: models.mobilenetV3Large,
  mobilenetV3Small: models.mobilenetV3Small,
  'mobilenetV3Small, wider': () => models.mobilenetV3Small({ widthMult: 1.3, dropout: 0.6, numClasses: 7 }),
  efficientnetB0: models.efficientnetB0,
  'efficientnetB0, more dropped': () =>
    models.efficientnetB0({ stochasticDepthProb: 0.7, dropout: 0.6, numClasses: 7 }),
  densenet121: models.densenet121,
  'DenseNet, with dropout': () => new models.DenseNet([2, 3, 2, 2], { dropRate: 0.3, numClasses: 7 }),
  cifarResnet20: models.cifarResnet20,
  cifarResnet56: models.cifarResnet56,
};
