// Architectures.
export type { ModelOptions, NormLayer } from './blocks.ts';
export { CifarResNet, type CifarResNetOptions, cifarResnet20, cifarResnet56 } from './cifar_resnet.ts';
export { lenetBatchNorm } from './lenet.ts';
export {
  BasicBlock,
  Bottleneck,
  type ResidualBlockOptions,
  ResNet,
  type ResNetOptions,
  resnet18,
  resnet34,
  resnet50,
  resnet101,
  resnext50_32x4d,
} from './resnet.ts';
