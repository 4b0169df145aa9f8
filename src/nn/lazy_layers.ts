// Convolutions and linear layers that learn the size of their input from the first one. How they wait for it is in
// lazy.ts.
import { RuntimeError, ValueError } from '../errors.ts';
import type { Size } from '../ops/window.ts';
import { formatShape } from '../tensor/shape.ts';
import {
  Conv1d,
  Conv2d,
  Conv3d,
  type ConvBase,
  type ConvOptions,
  ConvTranspose1d,
  ConvTranspose2d,
  ConvTranspose3d,
  type ConvTransposeOptions,
  TransposedConv,
} from './conv.ts';
import { awaitFirstInput } from './lazy.ts';
import { Linear, type LinearOptions } from './linear.ts';
import { declareModules } from './module_call.ts';
import type { DTypeOption } from './parameter.ts';
import { initialize, isUninitialized, UninitializedParameter } from './uninitialized.ts';

type Lazy = ConvBase | Linear;

function forgetShapes(module: Lazy, { dtype }: DTypeOption): void {
  module.weight = new UninitializedParameter({ dtype });
  if (module.bias) module.bias = new UninitializedParameter({ dtype });
}

/** Gives shapes to what has none, and draws the values anew then. */
function shape(module: Lazy, weight: readonly number[], outputs: number): void {
  const waits = isUninitialized(module.weight) || isUninitialized(module.bias);
  if (isUninitialized(module.weight)) initialize(module.weight, weight);
  if (module.bias && isUninitialized(module.bias)) initialize(module.bias, [outputs]);
  if (waits) module.resetParameters();
}

function awaitChannels(module: ConvBase, eager: { readonly prototype: ConvBase }, options: DTypeOption): void {
  forgetShapes(module, options);
  awaitFirstInput(module, eager, (x) => {
    const { kernelSize, outChannels, groups } = module;
    const dims = kernelSize.length;
    if (x.rank !== dims + 1 && x.rank !== dims + 2)
      throw new RuntimeError(
        `Expected ${dims + 1}D (unbatched) or ${dims + 2}D (batched) input to ${module.constructor.name}, but got input of size: ${formatShape(x.shape)}`,
      );
    const channels = x.shape[x.rank - dims - 1];
    if (channels % groups !== 0) throw new ValueError('inChannels must be divisible by groups');
    (module as { inChannels: number }).inChannels = channels;
    const sizes =
      module instanceof TransposedConv ? [channels, outChannels / groups] : [outChannels, channels / groups];
    shape(module, [...sizes, ...kernelSize], outChannels);
  });
}

/** A `Conv1d` for as many channels as its first input has (PyTorch: `nn.LazyConv1d`). See `LazyConv2d`. */
export class LazyConv1d extends Conv1d {
  constructor(outChannels: number, kernelSize: Size, options: ConvOptions = {}) {
    super(0, outChannels, kernelSize, options);
    awaitChannels(this, Conv1d, options);
  }
  override resetParameters(): void {
    if (this.inChannels > 0) super.resetParameters();
  }
}

/**
 * A `Conv2d` for as many channels as its first input has (PyTorch: `nn.LazyConv2d`).
 *
 * Until then its parameters have no shape; loading a state gives them one. The first call makes it a `Conv2d`, draws
 * the parameters, and then goes on as one.
 * @throws RuntimeError at the first call with an input of another number of dimensions; ValueError where its channels
 * do not divide by groups.
 * @example
 * const conv = new LazyConv2d(8, 3, { padding: 1 });
 * conv(x); // now a Conv2d of 6 to 8 channels
 */
export class LazyConv2d extends Conv2d {
  constructor(outChannels: number, kernelSize: Size, options: ConvOptions = {}) {
    super(0, outChannels, kernelSize, options);
    awaitChannels(this, Conv2d, options);
  }
  override resetParameters(): void {
    if (this.inChannels > 0) super.resetParameters();
  }
}

/** A `Conv3d` for as many channels as its first input has (PyTorch: `nn.LazyConv3d`). See `LazyConv2d`. */
export class LazyConv3d extends Conv3d {
  constructor(outChannels: number, kernelSize: Size, options: ConvOptions = {}) {
    super(0, outChannels, kernelSize, options);
    awaitChannels(this, Conv3d, options);
  }
  override resetParameters(): void {
    if (this.inChannels > 0) super.resetParameters();
  }
}

/**
 * A `ConvTranspose1d` for as many channels as its first input has (PyTorch: `nn.LazyConvTranspose1d`). See
 * `LazyConv2d`.
 */
export class LazyConvTranspose1d extends ConvTranspose1d {
  constructor(outChannels: number, kernelSize: Size, options: ConvTransposeOptions = {}) {
    super(0, outChannels, kernelSize, options);
    awaitChannels(this, ConvTranspose1d, options);
  }
  override resetParameters(): void {
    if (this.inChannels > 0) super.resetParameters();
  }
}

/**
 * A `ConvTranspose2d` for as many channels as its first input has (PyTorch: `nn.LazyConvTranspose2d`). See
 * `LazyConv2d`.
 */
export class LazyConvTranspose2d extends ConvTranspose2d {
  constructor(outChannels: number, kernelSize: Size, options: ConvTransposeOptions = {}) {
    super(0, outChannels, kernelSize, options);
    awaitChannels(this, ConvTranspose2d, options);
  }
  override resetParameters(): void {
    if (this.inChannels > 0) super.resetParameters();
  }
}

/**
 * A `ConvTranspose3d` for as many channels as its first input has (PyTorch: `nn.LazyConvTranspose3d`). See
 * `LazyConv2d`.
 */
export class LazyConvTranspose3d extends ConvTranspose3d {
  constructor(outChannels: number, kernelSize: Size, options: ConvTransposeOptions = {}) {
    super(0, outChannels, kernelSize, options);
    awaitChannels(this, ConvTranspose3d, options);
  }
  override resetParameters(): void {
    if (this.inChannels > 0) super.resetParameters();
  }
}

/**
 * A `Linear` for as many features as the last dimension of its first input has (PyTorch: `nn.LazyLinear`). See
 * `LazyConv2d`.
 * @example
 * const layer = new LazyLinear(10);
 * layer(x); // now a Linear of 8 to 10 features
 */
export class LazyLinear extends Linear {
  constructor(outFeatures: number, options: LinearOptions = {}) {
    super(0, outFeatures, options);
    forgetShapes(this, options);
    awaitFirstInput(this, Linear, (x) => {
      const features = x.shape.at(-1);
      if (features === undefined)
        throw new RuntimeError('[LazyLinear] expected an input of at least 1 dimension, got one without dimensions');
      (this as { inFeatures: number }).inFeatures = features;
      shape(this, [outFeatures, features], outFeatures);
    });
  }
  override resetParameters(): void {
    if (this.inFeatures > 0) super.resetParameters();
  }
}

declareModules({
  LazyConv1d,
  LazyConv2d,
  LazyConv3d,
  LazyConvTranspose1d,
  LazyConvTranspose2d,
  LazyConvTranspose3d,
  LazyLinear,
});
