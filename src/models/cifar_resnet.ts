// The small residual networks of the CIFAR experiments. Names are those of the usual PyTorch port
// (github.com/akamaster/pytorch_resnet_cifar10).

import { AdaptiveAvgPool2d, Conv2d, init, Linear, Module, Sequential } from '../nn/index.ts';
import { declareModules } from '../nn/module_call.ts';
import { relu } from '../ops/elementwise.ts';
import { pad } from '../ops/pad.ts';
import { flatten, slice } from '../ops/shape_ops.ts';
import { requireOptions } from '../options.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type Architecture, architecture } from './architecture.ts';
import { batchNorm2d, type ModelOptions, modelOptions, type NormLayer } from './blocks.ts';

const conv3x3 = (inChannels: number, channels: number, stride = 1) =>
  new Conv2d(inChannels, channels, 3, { stride, padding: 1, bias: false });

/**
 * Two 3×3 convolutions and the input added; where shapes differ, every second pixel of it, with zeros in the new
 * channels (option A).
 */
class CifarBlock extends Module {
  conv1: Conv2d;
  bn1: Module;
  conv2: Conv2d;
  bn2: Module;
  private readonly stride: number;
  private readonly newChannels: number;

  constructor(inChannels: number, channels: number, stride: number, normLayer: NormLayer) {
    super();
    this.conv1 = conv3x3(inChannels, channels, stride);
    this.bn1 = normLayer(channels);
    this.conv2 = conv3x3(channels, channels);
    this.bn2 = normLayer(channels);
    this.stride = stride;
    this.newChannels = channels - inChannels;
  }

  private shortcut(x: Tensor): Tensor {
    const { stride, newChannels } = this;
    if (stride === 1 && newChannels === 0) return x;
    const before = Math.floor(newChannels / 2);
    const sampled = slice(slice(x, 2, 0, undefined, stride), 3, 0, undefined, stride);
    return pad(sampled, [0, 0, 0, 0, before, newChannels - before]);
  }

  forward(x: Tensor): Tensor {
    const y = relu(this.bn1(this.conv1(x)));
    const residual: Tensor = this.bn2(this.conv2(y));
    return relu(residual.add(this.shortcut(x)));
  }
}

/** Options of the residual networks for CIFAR. */
export interface CifarResNetOptions extends ModelOptions {
  /** Length of the output, one logit per class. Default: 10. */
  numClasses?: number;
}

/**
 * A residual network of 6·blocks + 2 layers for small images: (N, 3, 32, 32) to logits (N, numClasses) (He et al. 2016,
 * section 4.2, https://arxiv.org/abs/1512.03385). Three stages of `blocks` blocks, 16, 32 and 64 channels wide.
 * @example
 * const model = new CifarResNet(5); // ResNet-32
 * model(randn([2, 3, 32, 32])); // shape [2, 10]
 */
export class CifarResNet extends Module {
  /** The first convolution. */
  conv1: Conv2d;
  /** The norm behind it. */
  bn1: Module;
  /** The first stage: 16 channels. */
  layer1: Sequential;
  /** The second stage: 32 channels, half the size. */
  layer2: Sequential;
  /** The third stage: 64 channels, a quarter of the size. */
  layer3: Sequential;
  /** The mean over the image. */
  avgpool: AdaptiveAvgPool2d;
  /** The classifier. */
  linear: Linear;

  constructor(blocks: number, options: CifarResNetOptions = {}) {
    super();
    requireOptions('CifarResNet', options, modelOptions);
    const { numClasses = 10, normLayer = batchNorm2d } = options;
    const stage = (inChannels: number, channels: number, stride: number) =>
      new Sequential(
        ...Array.from({ length: blocks }, (_, i) =>
          i === 0
            ? new CifarBlock(inChannels, channels, stride, normLayer)
            : new CifarBlock(channels, channels, 1, normLayer),
        ),
      );
    this.conv1 = conv3x3(3, 16);
    this.bn1 = normLayer(16);
    this.layer1 = stage(16, 16, 1);
    this.layer2 = stage(16, 32, 2);
    this.layer3 = stage(32, 64, 2);
    this.avgpool = new AdaptiveAvgPool2d(1);
    this.linear = new Linear(64, numClasses);
    for (const module of this.modules())
      if (module instanceof Conv2d || module instanceof Linear) init.kaimingNormal_(module.weight);
  }

  forward(x: Tensor): Tensor {
    let y = relu(this.bn1(this.conv1(x)));
    for (const stage of [this.layer1, this.layer2, this.layer3]) y = stage(y);
    return this.linear(flatten(this.avgpool(y), 1));
  }
}

/** ResNet-20 for CIFAR: 269,722 parameters (He et al. 2016, section 4.2). */
export const cifarResnet20: Architecture<CifarResNet, CifarResNetOptions> = architecture({
  name: 'cifarResnet20',
  options: modelOptions,
  head: 'linear.',
  make: (options) => new CifarResNet(3, options),
});
/** ResNet-56 for CIFAR: 853,018 parameters (He et al. 2016, section 4.2). */
export const cifarResnet56: Architecture<CifarResNet, CifarResNetOptions> = architecture({
  name: 'cifarResnet56',
  options: modelOptions,
  head: 'linear.',
  make: (options) => new CifarResNet(9, options),
});

declareModules({ CifarBlock, CifarResNet });
