/**
 * Architectures, with the names and the states of torchvision.
 * @module evenkeel/models
 */
export type { Architecture, TorchvisionArchitecture, Weights, WeightsOptions } from './architecture.ts';
export type { ModelOptions, NormLayer } from './blocks.ts';
export { CifarResNet, type CifarResNetOptions, cifarResnet20, cifarResnet56 } from './cifar_resnet.ts';
export { DenseNet, type DenseNetOptions, densenet121 } from './densenet.ts';
export { EfficientNet, type EfficientNetOptions, efficientnetB0 } from './efficientnet.ts';
export {
  type Activation,
  Conv2dNormActivation,
  type Conv2dNormActivationOptions,
  SqueezeExcitation,
  type SqueezeExcitationOptions,
} from './inverted_residual.ts';
export { type LenetOptions, lenetBatchNorm } from './lenet.ts';
export { MobileNetV2, type MobileNetV2Options, mobilenetV2 } from './mobilenet_v2.ts';
export { MobileNetV3, type MobileNetV3Options, mobilenetV3Large, mobilenetV3Small } from './mobilenet_v3.ts';
export {
  BasicBlock,
  Bottleneck,
  type ResidualBlockOptions,
  ResNet,
  type ResNetOptions,
  type ResNextOptions,
  resnet18,
  resnet34,
  resnet50,
  resnet101,
  resnext50_32x4d,
} from './resnet.ts';
export {
  type BatchNormOptions as VggBatchNormOptions,
  VGG,
  type VggConstructorOptions,
  type VggLayers,
  type VggOptions,
  vgg11,
  vgg11Bn,
  vgg16,
  vgg16Bn,
} from './vgg.ts';
