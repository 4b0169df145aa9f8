// VGG networks, with batch norm and without. Structure, names and initial weights are torchvision's.
import { declareNames } from '../io/names_elsewhere.ts';
import { AdaptiveAvgPool2d, Conv2d, Dropout, init, Linear, MaxPool2d, Module, ReLU, Sequential } from '../nn/index.ts';
import { declareModules } from '../nn/module_call.ts';
import { flatten } from '../ops/shape_ops.ts';
import { declareOptions, kind, type Options, requireOptions } from '../options.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { imageNetV1, type TorchvisionArchitecture, torchvisionArchitecture } from './architecture.ts';
import { batchNorm2d, drawWeights, kaimingFanOut, type ModelOptions, type NormLayer } from './blocks.ts';

/** Output channels of the 3×3 convolutions in their order; `'M'` halves the image by maxima. */
export type VggLayers = readonly (number | 'M')[];

/** Columns A and D of the paper's table 1. */
const columns = {
  a: [64, 'M', 128, 'M', 256, 256, 'M', 512, 512, 'M', 512, 512, 'M'],
  d: [64, 64, 'M', 128, 128, 'M', 256, 256, 256, 'M', 512, 512, 512, 'M', 512, 512, 512, 'M'],
} as const satisfies Record<string, VggLayers>;

/** Options of the VGG networks. */
export interface VggOptions extends Omit<ModelOptions, 'normLayer'> {
  /** Probability of an element to be dropped, behind both hidden linear layers. Default: 0.5. */
  dropout?: number;
}
/** Options of `VGG`. */
export type VggConstructorOptions = VggOptions & {
  /** Makes every norm; null: there are none. Default: null. */
  normLayer?: NormLayer | null;
};
const vggOptions = declareOptions<VggOptions>({ numClasses: kind.integer, dropout: kind.number });
const vggConstructorOptions = declareOptions<VggConstructorOptions>({
  ...vggOptions.kinds,
  normLayer: kind.functionOrNull,
});

/**
 * A chain of 3×3 convolutions and three linear layers: (N, 3, H, W) to logits (N, numClasses) (Simonyan & Zisserman
 * 2015, https://arxiv.org/abs/1409.1556; torchvision: `VGG`). `layers` must end with 512 channels; without `normLayer`
 * there are no norms.
 */
export class VGG extends Module {
  /** The convolutions. */
  features: Sequential;
  /** The mean over windows that make the image 7×7. */
  avgpool: AdaptiveAvgPool2d;
  /** The three linear layers. */
  classifier: Sequential;

  constructor(layers: VggLayers, options: VggConstructorOptions = {}) {
    super();
    requireOptions('VGG', options, vggConstructorOptions);
    const { numClasses = 1000, dropout = 0.5, normLayer = null } = options;
    this.features = new Sequential();
    let inChannels = 3;
    for (const channels of layers) {
      if (channels === 'M') this.features.append(new MaxPool2d(2));
      else {
        this.features.append(new Conv2d(inChannels, channels, 3, { padding: 1 }));
        if (normLayer) this.features.append(normLayer(channels));
        this.features.append(new ReLU());
        inChannels = channels;
      }
    }
    this.avgpool = new AdaptiveAvgPool2d(7);
    this.classifier = new Sequential(
      new Linear(512 * 7 * 7, 4096),
      new ReLU(),
      new Dropout(dropout),
      new Linear(4096, 4096),
      new ReLU(),
      new Dropout(dropout),
      new Linear(4096, numClasses),
    );
    drawWeights(this, kaimingFanOut, (weight) => init.normal_(weight, 0, 0.01));
  }

  forward(x: Tensor): Tensor {
    return this.classifier(flatten(this.avgpool(this.features(x)), 1));
  }
}

/** Options of the VGG networks with norms. */
export type BatchNormOptions = VggOptions & Pick<ModelOptions, 'normLayer'>;
const batchNormOptions = declareOptions<BatchNormOptions>({ ...vggOptions.kinds, normLayer: kind.function });

/** A network of the family. @param normLayer what stands behind its convolutions where the options do not say. */
const declared = <O extends BatchNormOptions>(
  name: string,
  options: Options<O>,
  layers: VggLayers,
  normLayer?: NormLayer,
) => ({
  name,
  options,
  head: 'classifier.6.',
  make: (given: O) => new VGG(layers, { ...given, normLayer: given.normLayer ?? normLayer }),
});

/** VGG-11: 132,863,336 parameters (Simonyan & Zisserman 2015, column A; torchvision: `vgg11`). */
export const vgg11: TorchvisionArchitecture<VGG, VggOptions, 'IMAGENET1K_V1'> = torchvisionArchitecture(
  declared('vgg11', vggOptions, columns.a),
  imageNetV1,
);
/** Weights of the convolutions only, of the first port, whose images are from 0 to 255. */
const vgg16Presets = {
  IMAGENET1K_FEATURES: { mean: [0.48235, 0.45882, 0.40784], std: [1 / 255, 1 / 255, 1 / 255] },
  ...imageNetV1,
} as const;

/** VGG-16: 138,357,544 parameters (Simonyan & Zisserman 2015, column D; torchvision: `vgg16`). */
export const vgg16: TorchvisionArchitecture<VGG, VggOptions, 'IMAGENET1K_FEATURES' | 'IMAGENET1K_V1'> =
  torchvisionArchitecture(declared('vgg16', vggOptions, columns.d), vgg16Presets);
/** VGG-11 with a norm behind every convolution: 132,868,840 parameters (torchvision: `vgg11_bn`). */
export const vgg11Bn: TorchvisionArchitecture<VGG, BatchNormOptions, 'IMAGENET1K_V1'> = torchvisionArchitecture(
  declared('vgg11Bn', batchNormOptions, columns.a, batchNorm2d),
  imageNetV1,
);
/** VGG-16 with a norm behind every convolution: 138,365,992 parameters (torchvision: `vgg16_bn`). */
export const vgg16Bn: TorchvisionArchitecture<VGG, BatchNormOptions, 'IMAGENET1K_V1'> = torchvisionArchitecture(
  declared('vgg16Bn', batchNormOptions, columns.d, batchNorm2d),
  imageNetV1,
);

declareModules({ VGG });

declareNames(VGG, {
  library: 'timm',
  // Its hidden layers are convolutions over all of their input, whose weights are the same numbers in the same order.
  paths: () => [
    ['classifier.0', 'pre_logits.fc1'],
    ['classifier.3', 'pre_logits.fc2'],
    ['classifier.6', 'head.fc'],
  ],
});
