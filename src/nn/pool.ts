// Pooling layers: maxima, means and p-norms over windows, adaptive forms, and unpooling. The arithmetic is in ops/.

import { maxElements, requireInteger, requireIntegers } from '../checks.ts';
import { ValueError } from '../errors.ts';
import { type LpPoolOptions, lpPoolOptions, lpPoolOver, requireNormType } from '../ops/lp_pool.ts';
import { type MaxUnpoolOptions, maxUnpoolOver } from '../ops/max_unpool.ts';
import {
  type AdaptiveSize,
  type AvgPool1dOptions,
  type AvgPoolOptions,
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  adaptiveMaxPoolOver,
  avgPool1dOptions,
  avgPoolOptions,
  avgPoolOver,
  type MaxPoolOptions as MaxPoolFunctionOptions,
  maxPoolOptions as maxPoolFunctionOptions,
  maxPoolOver,
  type PoolWithIndices,
} from '../ops/pool.ts';
import { type Size, sizes } from '../ops/window.ts';
import { declareOptions, kind, type Options, requireOptions } from '../options.ts';
import { boolText, sizeText } from '../python_text.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Module } from './module.ts';
import { declareModules } from './module_call.ts';

/** Options of `AdaptiveMaxPool1d`, `AdaptiveMaxPool2d` and `AdaptiveMaxPool3d`. */
export interface IndicesOption<I extends boolean = false> {
  /** Whether a call returns `{ values, indices }`: also where each maximum was. Default: false. */
  returnIndices?: I;
}
const indicesOption = declareOptions<IndicesOption<boolean>>({ returnIndices: kind.flag });
/** Options of `MaxPool1d`, `MaxPool2d` and `MaxPool3d`. */
export interface MaxPoolOptions<I extends boolean = false> extends MaxPoolFunctionOptions, IndicesOption<I> {}
const maxPoolOptions = declareOptions<MaxPoolOptions<boolean>>({
  ...maxPoolFunctionOptions.kinds,
  ...indicesOption.kinds,
});

/** What a max pooling returns: with `returnIndices` the maxima and where they were, else the maxima. */
export type Maxima<I extends boolean> = I extends true ? PoolWithIndices : Tensor;
const maxima = <I extends boolean>(pooled: PoolWithIndices, hasIndices: boolean): Maxima<I> =>
  (hasIndices ? pooled : pooled.values) as Maxima<I>;

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

abstract class MaxPool<I extends boolean> extends Module {
  /** The size of the window. */
  readonly kernelSize: Size;
  /** The distance of neighbouring windows. */
  readonly stride: Size;
  /** How much is added on each side of the input. */
  readonly padding: Size;
  /** The distance of neighbouring values of a window. */
  readonly dilation: Size;
  /** Whether a call returns where each maximum was, too. */
  readonly returnIndices: boolean;
  /** Whether the output's size is rounded up. */
  readonly ceilMode: boolean;
  private readonly dims: number;
  private readonly op: string;

  constructor(dims: number, kernelSize: Size, options: MaxPoolOptions<I>) {
    super();
    requireOptions(this.constructor.name, options, maxPoolOptions);
    this.dims = dims;
    this.op = `maxPool${dims}d`;
    this.kernelSize = kernelSize;
    this.stride = options.stride ?? kernelSize;
    this.padding = options.padding ?? 0;
    this.dilation = options.dilation ?? 1;
    requireSizes(this, ['kernelSize', 'stride', 'dilation'], ['padding']);
    this.returnIndices = options.returnIndices ?? false;
    this.ceilMode = options.ceilMode ?? false;
  }

  forward(x: Tensor): Maxima<I> {
    return maxima(maxPoolOver(this.op, this.dims, x, this.kernelSize, this), this.returnIndices);
  }

  override extraRepr(): string {
    const { kernelSize, stride, padding, dilation, ceilMode } = this;
    return `kernel_size=${sizeText(kernelSize)}, stride=${sizeText(stride)}, padding=${sizeText(padding)}, dilation=${sizeText(dilation)}, ceil_mode=${boolText(ceilMode)}`;
  }
}

/** Maxima over windows of (N, C, L) or (C, L); the stride is the kernel's size by default (PyTorch: `nn.MaxPool1d`). */
export class MaxPool1d<I extends boolean = false> extends MaxPool<I> {
  constructor(kernelSize: Size, options: MaxPoolOptions<I> = {}) {
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
 * const { values, indices } = new MaxPool2d(2, { returnIndices: true })(x); // for MaxUnpool2d
 */
export class MaxPool2d<I extends boolean = false> extends MaxPool<I> {
  constructor(kernelSize: Size, options: MaxPoolOptions<I> = {}) {
    super(2, kernelSize, options);
  }
}
/**
 * Maxima over windows of (N, C, D, H, W) or (C, D, H, W); the stride is the kernel's size by default (PyTorch:
 * `nn.MaxPool3d`).
 */
export class MaxPool3d<I extends boolean = false> extends MaxPool<I> {
  constructor(kernelSize: Size, options: MaxPoolOptions<I> = {}) {
    super(3, kernelSize, options);
  }
}

/** Options of `MaxUnpool1d`, `MaxUnpool2d` and `MaxUnpool3d`. */
export type MaxUnpoolLayerOptions = Omit<MaxUnpoolOptions, 'outputSize'>;
const maxUnpoolOptions = declareOptions<MaxUnpoolLayerOptions>({ stride: kind.numbers, padding: kind.numbers });

abstract class MaxUnpool extends Module {
  /** The size of the pooling's window. */
  readonly kernelSize: readonly number[];
  /** The distance of the pooling's windows. */
  readonly stride: readonly number[];
  /** What the pooling has added on each side. */
  readonly padding: readonly number[];
  private readonly op: string;

  constructor(dims: number, kernelSize: Size, options: MaxUnpoolLayerOptions) {
    super();
    const { name } = this.constructor;
    requireOptions(name, options, maxUnpoolOptions);
    this.op = `maxUnpool${dims}d`;
    this.kernelSize = sizes(name, 'kernelSize', kernelSize, dims);
    this.stride = sizes(name, 'stride', options.stride ?? kernelSize, dims);
    this.padding = sizes(name, 'padding', options.padding ?? 0, dims);
    requireSizes(this, ['kernelSize', 'stride'], ['padding']);
  }

  /**
   * @param indices where the pooling has found x.
   * @param outputSize the spatial size of the pooling's input, or its whole shape.
   */
  forward(x: Tensor, indices: Tensor, outputSize?: readonly number[]): Tensor {
    const { stride, padding } = this;
    return maxUnpoolOver(this.op, this.kernelSize.length, x, indices, this.kernelSize, { stride, padding, outputSize });
  }

  override extraRepr(): string {
    return `kernel_size=${sizeText(this.kernelSize)}, stride=${sizeText(this.stride)}, padding=${sizeText(this.padding)}`;
  }
}

/** Puts the maxima of a `MaxPool1d` back to where they were, among zeros (PyTorch: `nn.MaxUnpool1d`). */
export class MaxUnpool1d extends MaxUnpool {
  constructor(kernelSize: Size, options: MaxUnpoolLayerOptions = {}) {
    super(1, kernelSize, options);
  }
}
/**
 * Puts the maxima of a `MaxPool2d` back to where they were, among zeros (PyTorch: `nn.MaxUnpool2d`).
 * @example
 * const { values, indices } = new MaxPool2d(2, { returnIndices: true })(x);
 * new MaxUnpool2d(2)(values, indices).shape; // [4, 6, 8, 8]
 */
export class MaxUnpool2d extends MaxUnpool {
  constructor(kernelSize: Size, options: MaxUnpoolLayerOptions = {}) {
    super(2, kernelSize, options);
  }
}
/** Puts the maxima of a `MaxPool3d` back to where they were, among zeros (PyTorch: `nn.MaxUnpool3d`). */
export class MaxUnpool3d extends MaxUnpool {
  constructor(kernelSize: Size, options: MaxUnpoolLayerOptions = {}) {
    super(3, kernelSize, options);
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
/**
 * Means over windows of (N, C, D, H, W) or (C, D, H, W); the stride is the kernel's size by default (PyTorch:
 * `nn.AvgPool3d`).
 */
export class AvgPool3d extends AvgPool {
  constructor(kernelSize: Size, options: AvgPoolOptions = {}) {
    super(3, kernelSize, options, avgPoolOptions);
  }
}

abstract class LpPool extends Module {
  /** The power, whose root is taken of the sum. */
  readonly normType: number;
  /** The size of the window. */
  readonly kernelSize: Size;
  /** The distance of neighbouring windows; null: the kernel's size. */
  readonly stride: Size | null;
  /** Whether the output's size is rounded up. */
  readonly ceilMode: boolean;
  private readonly dims: number;

  constructor(dims: number, normType: number, kernelSize: Size, options: LpPoolOptions) {
    super();
    const { name } = this.constructor;
    requireOptions(name, options, lpPoolOptions);
    requireNormType(name, normType);
    this.dims = dims;
    this.normType = normType;
    this.kernelSize = kernelSize;
    this.stride = options.stride ?? null;
    requireSize(this, 'kernelSize', kernelSize, 1);
    if (this.stride !== null) requireSize(this, 'stride', this.stride, 1);
    this.ceilMode = options.ceilMode ?? false;
  }

  forward(x: Tensor): Tensor {
    const { dims, normType, kernelSize, stride, ceilMode } = this;
    return lpPoolOver(`lpPool${dims}d`, dims, x, normType, kernelSize, { stride: stride ?? undefined, ceilMode });
  }

  override extraRepr(): string {
    const { normType, kernelSize, stride, ceilMode } = this;
    return `norm_type=${normType}, kernel_size=${sizeText(kernelSize)}, stride=${sizeText(stride)}, ceil_mode=${boolText(ceilMode)}`;
  }
}

/** (Σ x^normType)^(1/normType) over windows of (N, C, L) or (C, L) (PyTorch: `nn.LPPool1d`). See `LPPool2d`. */
export class LPPool1d extends LpPool {
  constructor(normType: number, kernelSize: Size, options: LpPoolOptions = {}) {
    super(1, normType, kernelSize, options);
  }
}
/**
 * (Σ x^normType)^(1/normType) over windows of (N, C, H, W) or (C, H, W); the stride is the kernel's size by default
 * (PyTorch: `nn.LPPool2d`). See `lpPool2d`.
 * @throws ValueError on a `normType` of 0, or one that is not finite.
 * @example
 * const norms = new LPPool2d(2, 2)(x); // shape [4, 6, 4, 4]
 */
export class LPPool2d extends LpPool {
  constructor(normType: number, kernelSize: Size, options: LpPoolOptions = {}) {
    super(2, normType, kernelSize, options);
  }
}
/** (Σ x^normType)^(1/normType) over windows of (N, C, D, H, W) or (C, D, H, W) (PyTorch: `nn.LPPool3d`). */
export class LPPool3d extends LpPool {
  constructor(normType: number, kernelSize: Size, options: LpPoolOptions = {}) {
    super(3, normType, kernelSize, options);
  }
}

abstract class AdaptivePool<S extends AdaptiveSize> extends Module {
  /** The size of the output. */
  readonly outputSize: S;

  constructor(outputSize: S) {
    super();
    // Null keeps a dimension.
    requireSize(this, 'outputSize', Array.isArray(outputSize) ? outputSize.map((size) => size ?? 0) : outputSize, 0);
    this.outputSize = outputSize;
  }

  override extraRepr(): string {
    return `output_size=${sizeText(this.outputSize)}`;
  }
}

/** Means over windows chosen so that (N, C, L) becomes (N, C, outputSize) (PyTorch: `nn.AdaptiveAvgPool1d`). */
export class AdaptiveAvgPool1d extends AdaptivePool<Size> {
  forward(x: Tensor): Tensor {
    return adaptiveAvgPool1d(x, this.outputSize);
  }
}
/**
 * Means over windows chosen so that the output has the given size; null keeps a dimension (PyTorch:
 * `nn.AdaptiveAvgPool2d`).
 * @example
 * const means = new AdaptiveAvgPool2d(1)(x); // shape [4, 6, 1, 1]
 */
export class AdaptiveAvgPool2d extends AdaptivePool<AdaptiveSize> {
  forward(x: Tensor): Tensor {
    return adaptiveAvgPool2d(x, this.outputSize);
  }
}
/** The same of (N, C, D, H, W) or (C, D, H, W) (PyTorch: `nn.AdaptiveAvgPool3d`). */
export class AdaptiveAvgPool3d extends AdaptivePool<AdaptiveSize> {
  forward(x: Tensor): Tensor {
    return adaptiveAvgPool3d(x, this.outputSize);
  }
}

abstract class AdaptiveMaxPool<S extends AdaptiveSize, I extends boolean> extends AdaptivePool<S> {
  /** Whether a call returns where each maximum was, too. */
  readonly returnIndices: boolean;
  private readonly dims: number;

  constructor(dims: number, outputSize: S, options: IndicesOption<I>) {
    super(outputSize);
    requireOptions(this.constructor.name, options, indicesOption);
    this.dims = dims;
    this.returnIndices = options.returnIndices ?? false;
  }

  forward(x: Tensor): Maxima<I> {
    const { dims, outputSize } = this;
    return maxima(adaptiveMaxPoolOver(`adaptiveMaxPool${dims}d`, dims, x, outputSize), this.returnIndices);
  }
}

/** Maxima over windows chosen so that (N, C, L) becomes (N, C, outputSize) (PyTorch: `nn.AdaptiveMaxPool1d`). */
export class AdaptiveMaxPool1d<I extends boolean = false> extends AdaptiveMaxPool<Size, I> {
  constructor(outputSize: Size, options: IndicesOption<I> = {}) {
    super(1, outputSize, options);
  }
}
/**
 * Maxima over windows chosen so that the output has the given size; null keeps a dimension (PyTorch:
 * `nn.AdaptiveMaxPool2d`).
 */
export class AdaptiveMaxPool2d<I extends boolean = false> extends AdaptiveMaxPool<AdaptiveSize, I> {
  constructor(outputSize: AdaptiveSize, options: IndicesOption<I> = {}) {
    super(2, outputSize, options);
  }
}
/** The same of (N, C, D, H, W) or (C, D, H, W) (PyTorch: `nn.AdaptiveMaxPool3d`). */
export class AdaptiveMaxPool3d<I extends boolean = false> extends AdaptiveMaxPool<AdaptiveSize, I> {
  constructor(outputSize: AdaptiveSize, options: IndicesOption<I> = {}) {
    super(3, outputSize, options);
  }
}

declareModules({
  MaxPool1d,
  MaxPool2d,
  MaxPool3d,
  MaxUnpool1d,
  MaxUnpool2d,
  MaxUnpool3d,
  AvgPool1d,
  AvgPool2d,
  AvgPool3d,
  LPPool1d,
  LPPool2d,
  LPPool3d,
  AdaptiveAvgPool1d,
  AdaptiveAvgPool2d,
  AdaptiveAvgPool3d,
  AdaptiveMaxPool1d,
  AdaptiveMaxPool2d,
  AdaptiveMaxPool3d,
});
