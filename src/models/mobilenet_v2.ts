// MobileNetV2. Structure, names and initial weights are torchvision's.
import { declareNames } from '../io/names_elsewhere.ts';
import { Conv2d, Dropout, init, Linear, Module, ReLU6, Sequential } from '../nn/index.ts';
import { declareModules } from '../nn/module_call.ts';
import { adaptiveAvgPool2d } from '../ops/pool.ts';
import { flatten } from '../ops/shape_ops.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { imageNetV2, type TorchvisionArchitecture, torchvisionArchitecture } from './architecture.ts';
import { batchNorm2d, drawWeights, kaimingFanOut, type ModelOptions, modelOptions, type NormLayer } from './blocks.ts';
import { Conv2dNormActivation, makeDivisible } from './inverted_residual.ts';
import { pathsOfPair, pathsOfStages, stagesOf } from './timm_names.ts';

/**
 * Table 2 of the paper, without first and last row: how many times wider inside, output channels, blocks, stride of the
 * first.
 */
const stages = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
] as const;

/**
 * As `InvertedResidual` of inverted_residual.ts, but the last convolution and its norm are no pair of their own, which
 * shows in their names.
 */
class LinearBottleneck extends Module {
  conv: Sequential;
  private readonly isResidual: boolean;

  constructor(inChannels: number, channels: number, stride: number, expansion: number, normLayer: NormLayer) {
    super();
    const inner = inChannels * expansion;
    this.isResidual = stride === 1 && inChannels === channels;
    const shared = { normLayer, activation: ReLU6 };
    this.conv = new Sequential(
      ...(expansion === 1 ? [] : [new Conv2dNormActivation(inChannels, inner, { ...shared, kernelSize: 1 })]),
      new Conv2dNormActivation(inner, inner, { ...shared, stride, groups: inner }),
      new Conv2d(inner, channels, 1, { bias: false }),
      normLayer(channels),
    );
  }

  forward(x: Tensor): Tensor {
    const y: Tensor = this.conv(x);
    return this.isResidual ? x.add(y) : y;
  }
}

/** Options of MobileNetV2. */
export interface MobileNetV2Options extends ModelOptions {
  /** Factor of all numbers of channels, rounded to multiples of 8; the last, 1280, grows only. Default: 1. */
  widthMult?: number;
  /** Probability of an element to be dropped before the last layer. Default: 0.2. */
  dropout?: number;
}
const mobileNetV2Options = declareOptions<MobileNetV2Options>({
  ...modelOptions.kinds,
  widthMult: kind.number,
  dropout: kind.number,
});

/**
 * Inverted residual blocks with ReLU6: (N, 3, H, W) to logits (N, numClasses) (Sandler et al. 2018,
 * https://arxiv.org/abs/1801.04381; torchvision: `MobileNetV2`).
 */
export class MobileNetV2 extends Module {
  /** All before the mean over the image. */
  features: Sequential;
  /** Dropout and the last layer. */
  classifier: Sequential;

  constructor(options: MobileNetV2Options = {}) {
    super();
    requireOptions('MobileNetV2', options, mobileNetV2Options);
    const { numClasses = 1000, widthMult = 1, dropout = 0.2, normLayer = batchNorm2d } = options;
    const shared = { normLayer, activation: ReLU6 };
    let inChannels = makeDivisible(32 * widthMult);
    const lastChannels = makeDivisible(1280 * Math.max(1, widthMult));
    this.features = new Sequential(new Conv2dNormActivation(3, inChannels, { ...shared, stride: 2 }));
    for (const [expansion, width, count, stride] of stages) {
      const channels = makeDivisible(width * widthMult);
      for (let i = 0; i < count; i++) {
        this.features.append(new LinearBottleneck(inChannels, channels, i === 0 ? stride : 1, expansion, normLayer));
        inChannels = channels;
      }
    }
    this.features.append(new Conv2dNormActivation(inChannels, lastChannels, { ...shared, kernelSize: 1 }));
    this.classifier = new Sequential(new Dropout(dropout), new Linear(lastChannels, numClasses));
    drawWeights(this, kaimingFanOut, (weight) => init.normal_(weight, 0, 0.01));
  }

  forward(x: Tensor): Tensor {
    return this.classifier(flatten(adaptiveAvgPool2d(this.features(x), 1), 1));
  }
}

/**
 * MobileNetV2: 3,504,872 parameters (Sandler et al. 2018; torchvision: `mobilenet_v2`).
 * @example
 * const model = mobilenetV2({ numClasses: 10, widthMult: 0.5 });
 * model(randn([2, 3, 32, 32])); // shape [2, 10]
 */
export const mobilenetV2: TorchvisionArchitecture<MobileNetV2, MobileNetV2Options, 'IMAGENET1K_V1' | 'IMAGENET1K_V2'> =
  torchvisionArchitecture(
    {
      name: 'mobilenetV2',
      options: mobileNetV2Options,
      head: 'classifier.1.',
      make: (options) => new MobileNetV2(options),
    },
    imageNetV2,
  );

declareModules({ LinearBottleneck, MobileNetV2 });

declareNames(MobileNetV2, {
  library: 'timm',
  paths: ({ features }) => [
    ...pathsOfPair('features.0', 'conv_stem', 'bn1'),
    ...pathsOfStages(stagesOf(features)),
    ...pathsOfPair(`features.${features.length - 1}`, 'conv_head', 'bn2'),
    ['classifier.1', 'classifier'],
  ],
});
