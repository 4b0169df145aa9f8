// EfficientNet-B0. Structure, names and initial weights are torchvision's.
import { declareNames } from '../io/names_elsewhere.ts';
import { AdaptiveAvgPool2d, Dropout, init, Linear, Module, Sequential, SiLU, StochasticDepth } from '../nn/index.ts';
import { declareModules } from '../nn/module_call.ts';
import { flatten } from '../ops/shape_ops.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { imageNetV1, type TorchvisionArchitecture, torchvisionArchitecture } from './architecture.ts';
import { batchNorm2d, drawWeights, kaimingFanOut, type ModelOptions, modelOptions, type NormLayer } from './blocks.ts';
import { Conv2dNormActivation, InvertedResidual, SqueezeExcitation } from './inverted_residual.ts';
import { pathsOfPair, pathsOfStages } from './timm_names.ts';

/**
 * Table 1 of the paper, without first and last row: how many times wider inside, kernel size, stride of the first,
 * output channels, blocks.
 */
const stages = [
  [1, 3, 1, 16, 1],
  [6, 3, 2, 24, 2],
  [6, 5, 2, 40, 2],
  [6, 3, 2, 80, 3],
  [6, 5, 1, 112, 3],
  [6, 5, 2, 192, 4],
  [6, 3, 1, 320, 1],
] as const;
const blockCount = stages.reduce((sum, [, , , , count]) => sum + count, 0);

/** An inverted residual block whose branch is skipped at random in training (torchvision: `MBConv`). */
class MBConv extends InvertedResidual {
  stochasticDepth: StochasticDepth;

  constructor(
    inChannels: number,
    outChannels: number,
    options: { expansion: number; kernelSize: number; stride: number; dropProbability: number; normLayer: NormLayer },
  ) {
    const { expansion, dropProbability, ...rest } = options;
    const expanded = inChannels * expansion;
    const squeezeChannels = Math.max(1, Math.floor(inChannels / 4));
    super(inChannels, expanded, outChannels, {
      ...rest,
      activation: SiLU,
      squeeze: () => new SqueezeExcitation(expanded, squeezeChannels, { activation: SiLU }),
    });
    this.stochasticDepth = new StochasticDepth(dropProbability, 'row');
  }

  override forward(x: Tensor): Tensor {
    const y: Tensor = this.block(x);
    return this.isResidual ? this.stochasticDepth(y).add(x) : y;
  }
}

/** Options of the EfficientNets. */
export interface EfficientNetOptions extends ModelOptions {
  /** Probability of an element to be dropped before the last layer. Default: 0.2. */
  dropout?: number;
  /**
   * Probability of a sample to skip a block's branch, at the end of the network; it rises from 0 block by block.
   * Default: 0.2.
   */
  stochasticDepthProb?: number;
}
const efficientNetOptions = declareOptions<EfficientNetOptions>({
  ...modelOptions.kinds,
  dropout: kind.number,
  stochasticDepthProb: kind.number,
});

/**
 * Inverted residual blocks with squeeze and excitation, SiLU and stochastic depth: (N, 3, H, W) to logits (N,
 * numClasses) (Tan & Le 2019, https://arxiv.org/abs/1905.11946; torchvision: `EfficientNet`).
 */
export class EfficientNet extends Module {
  /** All before the mean over the image. */
  features: Sequential;
  /** The mean over the image. */
  avgpool: AdaptiveAvgPool2d;
  /** Dropout and the last layer. */
  classifier: Sequential;

  constructor(options: EfficientNetOptions = {}) {
    super();
    requireOptions('EfficientNet', options, efficientNetOptions);
    const { numClasses = 1000, dropout = 0.2, stochasticDepthProb = 0.2, normLayer = batchNorm2d } = options;
    let inChannels = 32;
    this.features = new Sequential(new Conv2dNormActivation(3, inChannels, { stride: 2, normLayer, activation: SiLU }));
    let position = 0;
    for (const [expansion, kernelSize, firstStride, channels, count] of stages) {
      const stage = new Sequential();
      for (let i = 0; i < count; i++) {
        const stride = i === 0 ? firstStride : 1;
        const dropProbability = (stochasticDepthProb * position++) / blockCount;
        stage.append(new MBConv(inChannels, channels, { expansion, kernelSize, stride, dropProbability, normLayer }));
        inChannels = channels;
      }
      this.features.append(stage);
    }
    const lastChannels = 4 * inChannels;
    this.features.append(
      new Conv2dNormActivation(inChannels, lastChannels, { kernelSize: 1, normLayer, activation: SiLU }),
    );
    this.avgpool = new AdaptiveAvgPool2d(1);
    this.classifier = new Sequential(new Dropout(dropout), new Linear(lastChannels, numClasses));
    const bound = 1 / Math.sqrt(numClasses);
    drawWeights(this, kaimingFanOut, (weight) => init.uniform_(weight, -bound, bound));
  }

  forward(x: Tensor): Tensor {
    return this.classifier(flatten(this.avgpool(this.features(x)), 1));
  }
}

const efficientnetPresets = { IMAGENET1K_V1: { ...imageNetV1.IMAGENET1K_V1, interpolation: 'bicubic' } } as const;

/**
 * EfficientNet-B0: 5,288,548 parameters (Tan & Le 2019; torchvision: `efficientnet_b0`).
 * @example
 * const model = efficientnetB0({ numClasses: 10 });
 * model(randn([2, 3, 32, 32])); // shape [2, 10]
 */
export const efficientnetB0: TorchvisionArchitecture<EfficientNet, EfficientNetOptions, 'IMAGENET1K_V1'> =
  torchvisionArchitecture(
    {
      name: 'efficientnetB0',
      options: efficientNetOptions,
      head: 'classifier.1.',
      make: (options) => new EfficientNet(options),
    },
    efficientnetPresets,
  );

declareModules({ MBConv, EfficientNet });

declareNames(EfficientNet, {
  library: 'timm',
  paths: ({ features }) => [
    ...pathsOfPair('features.0', 'conv_stem', 'bn1'),
    ...pathsOfStages(
      features
        .namedChildren()
        .slice(1, -1)
        .map(([stage, blocks]) => blocks.namedChildren().map(([name, block]) => [`features.${stage}.${name}`, block])),
    ),
    ...pathsOfPair(`features.${features.length - 1}`, 'conv_head', 'bn2'),
    ['classifier.1', 'classifier'],
  ],
});
