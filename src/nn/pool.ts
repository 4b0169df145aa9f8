// Pooling layers: maxima and means over windows, and their adaptive forms. The arithmetic is in ops/pool.ts.

import { maxElements, requireInteger, requireIntegers } from '../checks.ts';
import { ValueError } from '../errors.ts';
import {
  type AvgPool1dOptions,
  type AvgPoolOptions,
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  avgPool1dOptions,
  avgPoolOptions,
  avgPoolOver,
  type MaxPoolOptions,
  maxPoolOptions,
  maxPoolOver,
} from '../ops/pool.ts';
import type { Size } from '../ops/window.ts';
import { type Options, requireOptions } from '../options.ts';
import { boolText, sizeText } from '../python_text.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Module } from './module.ts';
import { declareModules } from './module_call.ts';

/** A size, in which null keeps the input's. */
export type AdaptiveSize = Size | readonly (number | null)[];

function requireSize(layer: Module, name: string, value: unknown, least: number): void {
  if (!Array.isArray(value) || value.length === 0)
    requireInteger(layer.constructor.name, name, value, least, maxElements);
  else requireIntegers(layer.constructor.name, name, value, least);
}

/**
 * Checks sizes: the first named ones must be positive, the others at least 0. Their number is checked with the input.
 */
function requireSizes<N extends string>(
  layer: Module & Record<N, Size>,
  positive: readonly N[],
  others: readonly N[],
): void {
  for (const [names, least] of [
    [positive, 1],
    [others, 0],
  ] as const)
    for (const name of names) {
      const value: Size = layer[name];
      requireSize(layer, name, value, least);
    }
}

abstract class MaxPool extends Module {
  /** The size of the window. */
  readonly kernelSize: Size;
  /** The distance of neighbouring windows. */
  readonly stride: Size;
  /** How much is added on each side of the input. */
  readonly padding: Size;
  /** The distance of neighbouring values of a window. */
  readonly dilation: Size;
  /** Whether the output's size is rounded up. */
  readonly ceilMode: boolean;
  private readonly dims: number;
  private readonly op: string;

  constructor(dims: number, kernelSize: Size, options: MaxPoolOptions) {
    super();
    requireOptions(this.constructor.name, options, maxPoolOptions);
    this.dims = dims;
    this.op = `maxPool${dims}d`;
    this.kernelSize = kernelSize;
    this.stride = options.stride ?? kernelSize;
    this.padding = options.padding ?? 0;
    this.dilation = options.dilation ?? 1;
    requireSizes(this, ['kernelSize', 'stride', 'dilation'], ['padding']);
    this.ceilMode = options.ceilMode ?? false;
  }

  forward(x: Tensor): Tensor {
    return maxPoolOver(this.op, this.dims, x, this.kernelSize, this).values;
  }

  override extraRepr(): string {
    const { kernelSize, stride, padding, dilation, ceilMode } = this;
    return `kernel_size=${sizeText(kernelSize)}, stride=${sizeText(stride)}, padding=${sizeText(padding)}, dilation=${sizeText(dilation)}, ceil_mode=${boolText(ceilMode)}`;
  }
}

/** Maxima over windows of (N, C, L) or (C, L); the stride is the kernel's size by default (PyTorch: `nn.MaxPool1d`). */
export class MaxPool1d extends MaxPool {
  constructor(kernelSize: Size, options: MaxPoolOptions = {}) {
    super(1, kernelSize, options);
  }
}
/**
 * Maxima over windows of (N, C, H, W) or (C, H, W); the stride is the kernel's size by default (PyTorch:
 * `nn.MaxPool2d`).
 * @throws ValueError on sizes that are not positive; RuntimeError at the call on a padding of more than half of the
 * kernel.
 * @example
 * const smaller = new MaxPool2d(2)(x); // shape [4, 6, 4, 4]
 */
export class MaxPool2d extends MaxPool {
  constructor(kernelSize: Size, options: MaxPoolOptions = {}) {
    super(2, kernelSize, options);
  }
}

abstract class AvgPool extends Module {
  /** The size of the window. */
  readonly kernelSize: Size;
  /** The distance of neighbouring windows. */
  readonly stride: Size;
  /** How much is added on each side of the input. */
  readonly padding: Size;
  /** Whether the output's size is rounded up. */
  readonly ceilMode: boolean;
  /** Whether padding zeros count in the divisor. */
  readonly countIncludePad: boolean;
  /** What is divided by instead of the window's size; undefined: nothing. */
  readonly divisorOverride: number | undefined;
  private readonly dims: number;
  private readonly op: string;

  constructor(dims: number, kernelSize: Size, options: AvgPoolOptions, known: Options<AvgPool1dOptions>) {
    super();
    requireOptions(this.constructor.name, options, known);
    this.dims = dims;
    this.op = `avgPool${dims}d`;
    this.kernelSize = kernelSize;
    this.stride = options.stride ?? kernelSize;
    this.padding = options.padding ?? 0;
    this.ceilMode = options.ceilMode ?? false;
    this.countIncludePad = options.countIncludePad ?? true;
    this.divisorOverride = options.divisorOverride;
    requireSizes(this, ['kernelSize', 'stride'], ['padding']);
    const divisor = options.divisorOverride ?? null;
    if (divisor !== null) requireInteger(this.constructor.name, 'divisorOverride', divisor, -maxElements, maxElements);
    if (divisor === 0) throw new ValueError('divisor must be not zero');
  }

  forward(x: Tensor): Tensor {
    return avgPoolOver(this.op, this.dims, x, this.kernelSize, this);
  }

  override extraRepr(): string {
    return `kernel_size=${sizeText(this.kernelSize)}, stride=${sizeText(this.stride)}, padding=${sizeText(this.padding)}`;
  }
}

const tuple = (size: Size): readonly number[] => (Array.isArray(size) ? size : [size as number]);

/** Means over windows of (N, C, L) or (C, L); the stride is the kernel's size by default (PyTorch: `nn.AvgPool1d`). */
export class AvgPool1d extends AvgPool {
  constructor(kernelSize: Size, options: AvgPool1dOptions = {}) {
    requireOptions(new.target.name, options, avgPool1dOptions);
    const { stride = kernelSize, padding = 0 } = options;
    super(1, tuple(kernelSize), { ...options, stride: tuple(stride), padding: tuple(padding) }, avgPool1dOptions);
  }
}
/**
 * Means over windows of (N, C, H, W) or (C, H, W); the stride is the kernel's size by default (PyTorch:
 * `nn.AvgPool2d`).
 */
export class AvgPool2d extends AvgPool {
  constructor(kernelSize: Size, options: AvgPoolOptions = {}) {
    super(2, kernelSize, options, avgPoolOptions);
  }
}

abstract class AdaptivePool<S extends AdaptiveSize> extends Module {
  /** The size of the output. */
  readonly outputSize: S;
  private readonly pool: (x: Tensor, outputSize: S) => Tensor;

  constructor(pool: (x: Tensor, outputSize: S) => Tensor, outputSize: S) {
    super();
    this.pool = pool;
    // Null keeps a dimension.
    requireSize(this, 'outputSize', Array.isArray(outputSize) ? outputSize.map((size) => size ?? 0) : outputSize, 0);
    this.outputSize = outputSize;
  }

  forward(x: Tensor): Tensor {
    return this.pool(x, this.outputSize);
  }

  override extraRepr(): string {
    return `output_size=${sizeText(this.outputSize)}`;
  }
}

/** Means over windows chosen so that (N, C, L) becomes (N, C, outputSize) (PyTorch: `nn.AdaptiveAvgPool1d`). */
export class AdaptiveAvgPool1d extends AdaptivePool<Size> {
  constructor(outputSize: Size) {
    super(adaptiveAvgPool1d, outputSize);
  }
}
/**
 * Means over windows chosen so that the output has the given size; null keeps a dimension (PyTorch:
 * `nn.AdaptiveAvgPool2d`).
 * @example
 * const means = new AdaptiveAvgPool2d(1)(x); // shape [4, 6, 1, 1]
 */
export class AdaptiveAvgPool2d extends AdaptivePool<AdaptiveSize> {
  constructor(outputSize: AdaptiveSize) {
    super(adaptiveAvgPool2d, outputSize);
  }
}
/** Maxima over windows chosen so that (N, C, L) becomes (N, C, outputSize) (PyTorch: `nn.AdaptiveMaxPool1d`). */
export class AdaptiveMaxPool1d extends AdaptivePool<Size> {
  constructor(outputSize: Size) {
    super(adaptiveMaxPool1d, outputSize);
  }
}
/**
 * Maxima over windows chosen so that the output has the given size; null keeps a dimension (PyTorch:
 * `nn.AdaptiveMaxPool2d`).
 */
export class AdaptiveMaxPool2d extends AdaptivePool<AdaptiveSize> {
  constructor(outputSize: AdaptiveSize) {
    super(adaptiveMaxPool2d, outputSize);
  }
}

declareModules({
  MaxPool1d,
  MaxPool2d,
  AvgPool1d,
  AvgPool2d,
  AdaptiveAvgPool1d,
  AdaptiveAvgPool2d,
  AdaptiveMaxPool1d,
  AdaptiveMaxPool2d,
});
