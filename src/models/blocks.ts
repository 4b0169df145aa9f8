// What several architectures are built of: the choice of a norm, and how weights begin. Not here: anything of one
// family.
import { BatchNorm2d, Conv2d, init, Linear, type Module } from '../nn/index.ts';
import { declareOptions, kind } from '../options.ts';
import type { Tensor } from '../tensor/tensor.ts';

/**
 * Makes the norm behind a convolution of so many output channels, such as `(channels) => new GroupNorm(32, channels)`.
 */
export type NormLayer = (channels: number) => Module;

/** What all models of images take. */
export interface ModelOptions {
  /** Length of the output, one logit per class. Default: 1000. */
  numClasses?: number;
  /** Makes every norm of the model. Default: `BatchNorm2d` as the model's paper has it. */
  normLayer?: NormLayer;
}
export const modelOptions = declareOptions<ModelOptions>({ numClasses: kind.integer, normLayer: kind.function });

export const batchNorm2d: NormLayer = (channels) => new BatchNorm2d(channels);

/**
 * Draws the weights of all convolutions anew, in the order of `modules()`, and those of linear layers where `linear`
 * says how; biases of what was visited become 0. torchvision's models begin this way, so a seed must find the same
 * order here.
 */
export function drawWeights(
  model: Module,
  conv: (weight: Tensor) => Tensor,
  linear?: (weight: Tensor) => Tensor,
): void {
  for (const module of model.modules()) {
    if (module instanceof Conv2d) conv(module.weight);
    else if (module instanceof Linear && linear) linear(module.weight);
    else continue;
    if (module.bias) init.zeros_(module.bias);
  }
}

/** Normal, of the variance that keeps that of gradients through a ReLU (He et al. 2015). */
export const kaimingFanOut = (weight: Tensor): Tensor =>
  init.kaimingNormal_(weight, { mode: 'fanOut', nonlinearity: 'relu' });
