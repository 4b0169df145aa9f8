// MobileNetV3, large and small. Structure, names and initial weights are torchvision's.
import { requireChoice } from '../checks.ts';
import { declareNames } from '../io/names_elsewhere.ts';
import {
  AdaptiveAvgPool2d,
  BatchNorm2d,
  Dropout,
  Hardsigmoid,
  Hardswish,
  init,
  Linear,
  Module,
  ReLU,
  Sequential,
} from '../nn/index.ts';
import { declareModules } from '../nn/module_call.ts';
import { flatten } from '../ops/shape_ops.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { imageNetV1, imageNetV2, type TorchvisionArchitecture, torchvisionArchitecture } from './architecture.ts';
import { drawWeights, kaimingFanOut, type ModelOptions, modelOptions, type NormLayer } from './blocks.ts';
import { Conv2dNormActivation, InvertedResidual, makeDivisible, SqueezeExcitation } from './inverted_residual.ts';
import { pathsOfPair, pathsOfStages, stagesOf } from './timm_names.ts';

/** A block: kernel size, channels inside and out, whether it squeezes, its activation, its stride. */
type Row = readonly [
  kernelSize: number,
  expanded: number,
  out: number,
  squeezes: boolean,
  activation: 'RE' | 'HS',
  stride: number,
];

interface Table {
  readonly blocks: readonly Row[];
  /** Width of the hidden linear layer. */
  readonly hidden: number;
}

/** Tables 1 and 2 of the paper. */
const large: Table = {
  blocks: [
    [3, 16, 16, false, 'RE', 1],
    [3, 64, 24, false, 'RE', 2],
    [3, 72, 24, false, 'RE', 1],
    [5, 72, 40, true, 'RE', 2],
    [5, 120, 40, true, 'RE', 1],
    [5, 120, 40, true, 'RE', 1],
    [3, 240, 80, false, 'HS', 2],
    [3, 200, 80, false, 'HS', 1],
    [3, 184, 80, false, 'HS', 1],
    [3, 184, 80, false, 'HS', 1],
    [3, 480, 112, true, 'HS', 1],
    [3, 672, 112, true, 'HS', 1],
    [5, 672, 160, true, 'HS', 2],
    [5, 960, 160, true, 'HS', 1],
    [5, 960, 160, true, 'HS', 1],
  ],
  hidden: 1280,
};
const small: Table = {
  blocks: [
    [3, 16, 16, true, 'RE', 2],
    [3, 72, 24, false, 'RE', 2],
    [3, 88, 24, false, 'RE', 1],
    [5, 96, 40, true, 'HS', 2],
    [5, 240, 40, true, 'HS', 1],
    [5, 240, 40, true, 'HS', 1],
    [5, 120, 48, true, 'HS', 1],
    [5, 144, 48, true, 'HS', 1],
    [5, 288, 96, true, 'HS', 2],
    [5, 576, 96, true, 'HS', 1],
    [5, 576, 96, true, 'HS', 1],
  ],
  hidden: 1024,
};

const batchNorm: NormLayer = (channels) => new BatchNorm2d(channels, { eps: 0.001, momentum: 0.01 });

/** What timm has in the same place: PyTorch's default. */
const timmEps = 1e-5;

/** Options of MobileNetV3. */
export interface MobileNetV3Options extends ModelOptions {
  /** Makes every norm of the model. Default: `BatchNorm2d` with eps 0.001 and momentum 0.01. */
  normLayer?: NormLayer;
  /** Factor of all numbers of channels, rounded to multiples of 8. Default: 1. */
  widthMult?: number;
  /** Probability of an element to be dropped before the last layer. Default: 0.2. */
  dropout?: number;
}
const mobileNetV3Options = declareOptions<MobileNetV3Options>({
  ...modelOptions.kinds,
  widthMult: kind.number,
  dropout: kind.number,
});

/**
 * Inverted residual blocks with squeeze and excitation: (N, 3, H, W) to logits (N, numClasses) (Howard et al. 2019,
 * https://arxiv.org/abs/1905.02244; torchvision: `MobileNetV3`).
 */
export class MobileNetV3 extends Module {
  /** All before the mean over the image. */
  features: Sequential;
  /** The mean over the image. */
  avgpool: AdaptiveAvgPool2d;
  /** The hidden linear layer, dropout and the last layer. */
  classifier: Sequential;

  constructor(size: 'large' | 'small', options: MobileNetV3Options = {}) {
    super();
    requireChoice('MobileNetV3', 'size', size, ['large', 'small']);
    requireOptions('MobileNetV3', options, mobileNetV3Options);
    const { numClasses = 1000, widthMult = 1, dropout = 0.2, normLayer = batchNorm } = options;
    const { blocks, hidden } = size === 'large' ? large : small;
    const adjusted = (channels: number) => makeDivisible(channels * widthMult);
    let inChannels = adjusted(16);
    this.features = new Sequential(
      new Conv2dNormActivation(3, inChannels, { stride: 2, normLayer, activation: Hardswish }),
    );
    for (const [kernelSize, expanded, out, squeezes, activation, stride] of blocks) {
      const inner = adjusted(expanded);
      this.features.append(
        new InvertedResidual(inChannels, inner, adjusted(out), {
          kernelSize,
          stride,
          normLayer,
          activation: activation === 'HS' ? Hardswish : ReLU,
          squeeze: squeezes
            ? () => new SqueezeExcitation(inner, makeDivisible(Math.floor(inner / 4)), { scaleActivation: Hardsigmoid })
            : null,
        }),
      );
      inChannels = adjusted(out);
    }
    const lastChannels = 6 * inChannels;
    this.features.append(
      new Conv2dNormActivation(inChannels, lastChannels, { kernelSize: 1, normLayer, activation: Hardswish }),
    );
    this.avgpool = new AdaptiveAvgPool2d(1);
    this.classifier = new Sequential(
      new Linear(lastChannels, adjusted(hidden)),
      new Hardswish(),
      new Dropout(dropout),
      new Linear(adjusted(hidden), numClasses),
    );
    drawWeights(this, kaimingFanOut, (weight) => init.normal_(weight, 0, 0.01));
  }

  forward(x: Tensor): Tensor {
    return this.classifier(flatten(this.avgpool(this.features(x)), 1));
  }
}

/** MobileNetV3 large: 5,483,032 parameters (Howard et al. 2019; torchvision: `mobilenet_v3_large`). */
export const mobilenetV3Large: TorchvisionArchitecture<
  MobileNetV3,
  MobileNetV3Options,
  'IMAGENET1K_V1' | 'IMAGENET1K_V2'
> = torchvisionArchitecture(
  {
    name: 'mobilenetV3Large',
    options: mobileNetV3Options,
    head: 'classifier.3.',
    make: (options) => new MobileNetV3('large', options),
  },
  imageNetV2,
);
/**
 * MobileNetV3 small: 2,542,856 parameters (Howard et al. 2019; torchvision: `mobilenet_v3_small`).
 * @example
 * const model = mobilenetV3Small({ numClasses: 10 });
 * model(randn([2, 3, 32, 32])); // shape [2, 10]
 */
export const mobilenetV3Small: TorchvisionArchitecture<MobileNetV3, MobileNetV3Options, 'IMAGENET1K_V1'> =
  torchvisionArchitecture(
    {
      name: 'mobilenetV3Small',
      options: mobileNetV3Options,
      head: 'classifier.3.',
      make: (options) => new MobileNetV3('small', options),
    },
    imageNetV1,
  );

declareModules({ MobileNetV3 });

declareNames(MobileNetV3, {
  library: 'timm',
  paths({ features }) {
    const stages = stagesOf(features);
    const last = `blocks.${stages.length}.0`;
    return [
      ...pathsOfPair('features.0', 'conv_stem', 'bn1'),
      ...pathsOfStages(stages),
      ...pathsOfPair(`features.${features.length - 1}`, `${last}.conv`, `${last}.bn1`),
      ['classifier.0', 'conv_head'],
      ['classifier.3', 'classifier'],
    ];
  },
  difference(model) {
    const isOther = model.modules().some((each) => each instanceof BatchNorm2d && each.eps !== timmEps);
    return isOther
      ? `timm's batch norms have eps ${timmEps}, those of this model have not: its logits are others. Make the model with { normLayer: (channels) => new BatchNorm2d(channels) }`
      : null;
  },
});
