// What the mobile networks are built of: convolution, norm and activation in one, squeeze and excitation, and the
// inverted residual block. Not here: the tables of channels, and what one family does differently.

import { AdaptiveAvgPool2d, Conv2d, Module, ReLU, Sequential, Sigmoid } from '../nn/index.ts';
import { declareModules } from '../nn/module_call.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { batchNorm2d, type NormLayer } from './blocks.ts';

/** A class of activations, such as `ReLU6`; the models make one for every place. */
export type Activation = new () => Module;

/** A number of channels as a multiple of 8, at least 8 and not below 0.9·channels. */
export function makeDivisible(channels: number): number {
  const rounded = Math.max(8, Math.floor((channels + 4) / 8) * 8);
  return rounded < 0.9 * channels ? rounded + 8 : rounded;
}

/** Options of `Conv2dNormActivation`. */
export interface Conv2dNormActivationOptions {
  /** The size of the window. Default: 3. */
  kernelSize?: number;
  /** The distance of neighbouring windows. Default: 1. */
  stride?: number;
  /** Into how many groups the channels are divided. Default: 1. */
  groups?: number;
  /** Makes the norm. Default: `BatchNorm2d`. */
  normLayer?: NormLayer;
  /** What follows the norm; null: nothing. Default: `ReLU`. */
  activation?: Activation | null;
}
const convNormOptions = declareOptions<Conv2dNormActivationOptions>({
  kernelSize: kind.integer,
  stride: kind.integer,
  groups: kind.integer,
  normLayer: kind.function,
  activation: kind.functionOrNull,
});

/**
 * A convolution without bias, a norm and an activation under the names 0, 1, 2, padded so that only the stride makes
 * the image smaller (torchvision: `ops.Conv2dNormActivation`).
 */
export class Conv2dNormActivation extends Sequential {
  constructor(inChannels: number, outChannels: number, options: Conv2dNormActivationOptions = {}) {
    requireOptions('Conv2dNormActivation', options, convNormOptions);
    const { kernelSize = 3, stride = 1, groups = 1, normLayer = batchNorm2d, activation = ReLU } = options;
    const padding = Math.floor((kernelSize - 1) / 2);
    super(
      new Conv2d(inChannels, outChannels, kernelSize, { stride, padding, groups, bias: false }),
      normLayer(outChannels),
      ...(activation ? [new activation()] : []),
    );
  }
}

/** Options of `SqueezeExcitation`. */
export interface SqueezeExcitationOptions {
  /** Between the two convolutions. Default: `ReLU`. */
  activation?: Activation;
  /** What the scale is taken through. Default: `Sigmoid`. */
  scaleActivation?: Activation;
}
const squeezeOptions = declareOptions<SqueezeExcitationOptions>({
  activation: kind.function,
  scaleActivation: kind.function,
});

/**
 * Scales every channel by a number that two 1×1 convolutions make of all channels' means: (N, channels, H, W) to the
 * same (Hu et al. 2018, https://arxiv.org/abs/1709.01507; torchvision: `ops.SqueezeExcitation`).
 * @example
 * new SqueezeExcitation(6, 2)(x); // shape [4, 6, 8, 8]
 */
export class SqueezeExcitation extends Module {
  /** The mean of each channel. */
  avgpool: AdaptiveAvgPool2d;
  /** The convolution to fewer channels. */
  fc1: Conv2d;
  /** The convolution back. */
  fc2: Conv2d;
  /** What stands between the two. */
  activation: Module;
  /** What the scale is taken through. */
  scaleActivation: Module;

  constructor(channels: number, squeezeChannels: number, options: SqueezeExcitationOptions = {}) {
    super();
    requireOptions('SqueezeExcitation', options, squeezeOptions);
    const { activation = ReLU, scaleActivation = Sigmoid } = options;
    this.avgpool = new AdaptiveAvgPool2d(1);
    this.fc1 = new Conv2d(channels, squeezeChannels, 1);
    this.fc2 = new Conv2d(squeezeChannels, channels, 1);
    this.activation = new activation();
    this.scaleActivation = new scaleActivation();
  }

  forward(x: Tensor): Tensor {
    const squeezed = this.activation(this.fc1(this.avgpool(x)));
    return x.mul(this.scaleActivation(this.fc2(squeezed)));
  }
}

export interface InvertedResidualOptions {
  /** The size of the depthwise convolution's window. */
  kernelSize: number;
  /** The stride of the depthwise convolution: 1 or 2. */
  stride: number;
  /** Makes the norms. */
  normLayer: NormLayer;
  /** What follows the norms. */
  activation: Activation;
  /** Makes what stands behind the depthwise convolution; null: nothing. */
  squeeze: (() => Module) | null;
}

/**
 * A 1×1 convolution to `expandedChannels`, a depthwise one, and a 1×1 convolution to `outChannels` without activation;
 * the input is added where the shape stays. The first is left out where there is nothing to expand.
 */
export class InvertedResidual extends Module {
  block: Sequential;
  protected readonly isResidual: boolean;

  constructor(inChannels: number, expandedChannels: number, outChannels: number, options: InvertedResidualOptions) {
    super();
    const { kernelSize, stride, normLayer, activation, squeeze } = options;
    this.isResidual = stride === 1 && inChannels === outChannels;
    this.block = new Sequential();
    if (expandedChannels !== inChannels)
      this.block.append(
        new Conv2dNormActivation(inChannels, expandedChannels, { kernelSize: 1, normLayer, activation }),
      );
    this.block.append(
      new Conv2dNormActivation(expandedChannels, expandedChannels, {
        kernelSize,
        stride,
        groups: expandedChannels,
        normLayer,
        activation,
      }),
    );
    if (squeeze) this.block.append(squeeze());
    this.block.append(
      new Conv2dNormActivation(expandedChannels, outChannels, { kernelSize: 1, normLayer, activation: null }),
    );
  }

  forward(x: Tensor): Tensor {
    const y: Tensor = this.block(x);
    return this.isResidual ? y.add(x) : y;
  }
}

declareModules({ Conv2dNormActivation, SqueezeExcitation, InvertedResidual });
