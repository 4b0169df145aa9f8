// Convolution layers in one to three dimensions, and transposed ones. The arithmetic is in ops/conv.ts.

import { maxElements, requireInteger, requireIntegers, shown } from '../checks.ts';
import { ValueError } from '../errors.ts';
import * as ops from '../ops/conv.ts';
import { padLast } from '../ops/pad.ts';
import { type Size, sizes } from '../ops/window.ts';
import { declareOptions, kind, type Options, requireOptions } from '../options.ts';
import { sizeText } from '../python_text.ts';
import { empty } from '../tensor/create.ts';
import { requireDType } from '../tensor/dtype.ts';
import { formatShape, type Shape } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { resetLinearLike } from './init.ts';
import { Module } from './module.ts';
import { declareModules } from './module_call.ts';
import { type DTypeOption, Parameter } from './parameter.ts';

/**
 * What a convolution pads with: zeros, the input mirrored at its ends, its outermost values again, or its other end.
 */
export type PaddingMode = 'zeros' | 'reflect' | 'replicate' | 'circular';
const paddingModes: readonly PaddingMode[] = ['zeros', 'reflect', 'replicate', 'circular'];

/** Options of `ConvTranspose1d`, `ConvTranspose2d` and `ConvTranspose3d`. */
export interface ConvTransposeOptions extends ops.ConvTransposeOptions, DTypeOption {
  /** Whether there is a bias, one value for each output channel. Default: true. */
  bias?: boolean;
  /** There is no other. Default: `'zeros'`. */
  paddingMode?: 'zeros';
}
const convTransposeOptions = declareOptions<ConvTransposeOptions>({
  ...ops.convTransposeOptions.kinds,
  bias: kind.flag,
  paddingMode: kind.choice,
  dtype: kind.choice,
});

/** Options of `Conv1d`, `Conv2d` and `Conv3d`. */
export interface ConvOptions extends ops.ConvOptions, DTypeOption {
  /** Whether there is a bias, one value for each output channel. Default: true. */
  bias?: boolean;
  /** What the padding is filled with. Default: `'zeros'`. */
  paddingMode?: PaddingMode;
}
const convOptions = declareOptions<ConvOptions>({
  ...ops.convOptions.kinds,
  bias: kind.flag,
  paddingMode: kind.choice,
  dtype: kind.choice,
});

/** The options of all convolutions. */
type AnyConvOptions = ConvOptions & Pick<ops.ConvTransposeOptions, 'outputPadding'>;
const anyConvOptions = declareOptions<AnyConvOptions>({
  ...convOptions.kinds,
  outputPadding: kind.numbers,
});

function refuseSize(layer: string, name: string, expected: string, got: readonly number[]): never {
  throw new ValueError(`[${layer}] expected ${name} to be ${expected}, got [${got.join(', ')}]`);
}

/** What all convolution layers share: their options, parameters and printed form. */
export abstract class ConvBase extends Module {
  /** Channels of the input. */
  readonly inChannels: number;
  /** Channels of the output. */
  readonly outChannels: number;
  /** The size of the window, one value for each spatial dimension. */
  readonly kernelSize: readonly number[];
  /** The distance of neighbouring windows, one value for each spatial dimension. */
  readonly stride: readonly number[];
  /** What is added around the input, one value for each spatial dimension, or the name that was given. */
  readonly padding: readonly number[] | 'same' | 'valid';
  /** The distance of neighbouring values of a window, one value for each spatial dimension. */
  readonly dilation: readonly number[];
  /** What is added to one side of the output, one value for each spatial dimension; of transposed convolutions. */
  readonly outputPadding: readonly number[];
  /** Into how many groups the channels are divided, which do not see each other. */
  readonly groups: number;
  /** What the padding is filled with. */
  readonly paddingMode: PaddingMode;
  /** The weights: (out, in/groups, kernel…), of a transposed convolution (in, out/groups, kernel…). */
  declare weight: Parameter;
  /** The bias (out), null where there is none. */
  declare bias: Parameter | null;

  constructor(
    dims: number,
    isTransposed: boolean,
    inChannels: number,
    outChannels: number,
    kernelSize: Size,
    options: AnyConvOptions,
  ) {
    super();
    requireOptions(this.constructor.name, options, this.knownOptions);
    const { groups = 1, bias = true, padding = 0, paddingMode = 'zeros', dtype } = options;
    const each = (name: string, value: Size) => sizes(this.constructor.name, name, value, dims);
    const { name } = this.constructor;
    requireInteger(name, 'inChannels', inChannels, 0, maxElements);
    requireInteger(name, 'outChannels', outChannels, 0, maxElements);
    requireInteger(name, 'groups', groups, Number.MIN_SAFE_INTEGER, maxElements);
    if (dtype !== undefined) requireDType(name, dtype);
    if (groups <= 0) throw new ValueError('groups must be a positive integer');
    if (inChannels % groups !== 0) throw new ValueError('inChannels must be divisible by groups');
    if (outChannels % groups !== 0) throw new ValueError('outChannels must be divisible by groups');
    this.stride = each('stride', options.stride ?? 1);
    if (typeof padding === 'string') {
      if (padding !== 'same' && padding !== 'valid')
        throw new ValueError(`Invalid padding string '${padding as string}', should be one of {'valid', 'same'}`);
      if (padding === 'same' && this.stride.some((s) => s !== 1))
        throw new ValueError("padding='same' is not supported for strided convolutions");
    }
    if (!paddingModes.includes(paddingMode))
      throw new ValueError(
        `paddingMode must be one of {${paddingModes.map((mode) => `'${mode}'`).join(', ')}}, but got paddingMode=${shown(paddingMode)}`,
      );
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    this.kernelSize = each('kernelSize', kernelSize);
    this.padding = typeof padding === 'string' ? padding : each('padding', padding);
    this.dilation = each('dilation', options.dilation ?? 1);
    this.outputPadding = each('outputPadding', options.outputPadding ?? 0);
    if (this.kernelSize.some((size) => size <= 0)) refuseSize(name, 'kernelSize', 'positive', this.kernelSize);
    if (this.stride.some((size) => size <= 0)) throw new ValueError('non-positive stride is not supported');
    if (this.dilation.some((size) => size <= 0)) throw new ValueError('dilation should be greater than zero');
    for (const [field, list] of [
      ['padding', this.padding],
      ['outputPadding', this.outputPadding],
    ] as const)
      if (Array.isArray(list) && list.some((size) => size < 0)) refuseSize(name, field, 'at least 0', list);
    this.groups = groups;
    this.paddingMode = paddingMode;
    const shape: Shape = isTransposed
      ? [inChannels, outChannels / groups, ...this.kernelSize]
      : [outChannels, inChannels / groups, ...this.kernelSize];
    this.registerParameter('weight', new Parameter(empty(shape, { dtype })));
    this.registerParameter('bias', bias ? new Parameter(empty([outChannels], { dtype })) : null);
    this.resetParameters();
  }

  /**
   * What may stand in the options.
   * @internal
   */
  protected get knownOptions(): Options<ConvOptions> {
    return anyConvOptions;
  }

  /** Draws the parameters anew, uniform in ±1/√fanIn. */
  resetParameters(): void {
    resetLinearLike(this.weight, this.bias);
  }

  override extraRepr(): string {
    const { padding, dilation, outputPadding, groups, paddingMode } = this;
    const parts = [
      `${this.inChannels}, ${this.outChannels}, kernel_size=${sizeText(this.kernelSize)}, stride=${sizeText(this.stride)}`,
    ];
    if (typeof padding === 'string') parts.push(`padding=${padding}`);
    else if (padding.some((p) => p !== 0)) parts.push(`padding=${sizeText(padding)}`);
    if (dilation.some((d) => d !== 1)) parts.push(`dilation=${sizeText(dilation)}`);
    if (outputPadding.some((p) => p !== 0)) parts.push(`output_padding=${sizeText(outputPadding)}`);
    if (groups !== 1) parts.push(`groups=${groups}`);
    if (this.bias === null) parts.push('bias=False');
    if (paddingMode !== 'zeros') parts.push(`padding_mode=${paddingMode}`);
    return parts.join(', ');
  }
}

/** A forward convolution layer of any number of dimensions. */
abstract class ForwardConv extends ConvBase {
  private readonly dims: number;
  private readonly op: string;

  constructor(dims: number, inChannels: number, outChannels: number, kernelSize: Size, options: ConvOptions) {
    super(dims, false, inChannels, outChannels, kernelSize, options);
    this.dims = dims;
    this.op = `conv${dims}d`;
  }

  /** @internal */
  protected override get knownOptions(): Options<ConvOptions> {
    return convOptions;
  }

  forward(x: Tensor): Tensor {
    const { op, dims, stride, padding, dilation, groups, paddingMode } = this;
    if (paddingMode === 'zeros')
      return ops.convolve(op, dims, x, this.weight, this.bias, { stride, padding, dilation, groups });
    const padded = padLast(x, this.paddingPairs(), paddingMode);
    return ops.convolve(op, dims, padded, this.weight, this.bias, { stride, dilation, groups });
  }

  /** [before, after] of every spatial dimension. */
  private paddingPairs(): [number, number][] {
    return this.kernelSize.map((kernel, i) => {
      if (this.padding === 'valid') return [0, 0];
      if (this.padding !== 'same') return [this.padding[i], this.padding[i]];
      const total = this.dilation[i] * (kernel - 1);
      return [Math.floor(total / 2), Math.ceil(total / 2)];
    });
  }
}

/**
 * Convolution over (N, C, L) or (C, L) (PyTorch: `nn.Conv1d`). See `Conv2d`.
 */
export class Conv1d extends ForwardConv {
  constructor(inChannels: number, outChannels: number, kernelSize: Size, options: ConvOptions = {}) {
    super(1, inChannels, outChannels, kernelSize, options);
  }
}

/**
 * Convolution over (N, C, H, W) or (C, H, W) (PyTorch: `nn.Conv2d`).
 *
 * Weight (out, in/groups, KH, KW) and bias (out) start uniform in ±1/√(in/groups·KH·KW).
 * @throws ValueError where channels do not divide by groups, or 'same' meets a stride.
 * @example
 * const conv = new Conv2d(1, 6, 5, { padding: 2, bias: false });
 */
export class Conv2d extends ForwardConv {
  constructor(inChannels: number, outChannels: number, kernelSize: Size, options: ConvOptions = {}) {
    super(2, inChannels, outChannels, kernelSize, options);
  }
}

/** Convolution over (N, C, D, H, W) or (C, D, H, W) (PyTorch: `nn.Conv3d`). See `Conv2d`. */
export class Conv3d extends ForwardConv {
  constructor(inChannels: number, outChannels: number, kernelSize: Size, options: ConvOptions = {}) {
    super(3, inChannels, outChannels, kernelSize, options);
  }
}

/** A transposed convolution layer of any number of dimensions. */
export abstract class TransposedConv extends ConvBase {
  private readonly dims: number;
  private readonly op: string;

  constructor(dims: number, inChannels: number, outChannels: number, kernelSize: Size, options: ConvTransposeOptions) {
    if ((options?.paddingMode ?? 'zeros') !== 'zeros')
      throw new ValueError(`Only "zeros" padding mode is supported for ${new.target.name}`);
    super(dims, true, inChannels, outChannels, kernelSize, options);
    this.dims = dims;
    this.op = `convTranspose${dims}d`;
  }

  /** @internal */
  protected override get knownOptions(): Options<ConvOptions> {
    return convTransposeOptions;
  }

  /**
   * @param outputSize the spatial size of the output, or its whole shape: an output padding that depends on the input.
   * @throws ValueError where no output padding gives this size.
   */
  forward(x: Tensor, outputSize?: readonly number[]): Tensor {
    const { op, dims, stride, dilation, groups } = this;
    const padding = this.padding as readonly number[];
    const outputPadding = outputSize === undefined ? this.outputPadding : this.outputPaddingFor(x, outputSize);
    const options = { stride, padding, outputPadding, dilation, groups };
    return ops.convTranspose(op, dims, x, this.weight, this.bias, options);
  }

  private outputPaddingFor(x: Tensor, outputSize: readonly number[]): number[] {
    const { dims, stride, dilation, kernelSize } = this;
    const padding = this.padding as readonly number[];
    requireIntegers(this.op, 'outputSize', outputSize, 0);
    const others = x.rank === dims + 2 ? 2 : 1;
    if (outputSize.length !== dims && outputSize.length !== dims + others)
      throw new ValueError(
        `ConvTranspose${dims}D: for ${x.rank}D input, outputSize must have ${dims} or ${dims + others} elements (got ${outputSize.length})`,
      );
    const wanted = outputSize.slice(-dims);
    const least = stride.map(
      (step, i) => (x.shape[others + i] - 1) * step - 2 * padding[i] + dilation[i] * (kernelSize[i] - 1) + 1,
    );
    const most = least.map((size, i) => size + stride[i] - 1);
    if (wanted.some((size, i) => size < least[i] || size > most[i]))
      throw new ValueError(
        `requested an output size of ${formatShape(wanted)}, but valid sizes range from ${formatShape(least)} to ${formatShape(most)} (for an input of ${formatShape(x.shape.slice(2))})`,
      );
    return wanted.map((size, i) => size - least[i]);
  }
}

/** Transposed convolution over (N, C, L) or (C, L) (PyTorch: `nn.ConvTranspose1d`). See `ConvTranspose2d`. */
export class ConvTranspose1d extends TransposedConv {
  constructor(inChannels: number, outChannels: number, kernelSize: Size, options: ConvTransposeOptions = {}) {
    super(1, inChannels, outChannels, kernelSize, options);
  }
}

/**
 * Transposed convolution over (N, C, H, W) or (C, H, W), which spreads every value over a window: the gradient of
 * `Conv2d` as a layer (PyTorch: `nn.ConvTranspose2d`). Weight (in, out/groups, KH, KW).
 *
 * With a stride several sizes belong to one size of a convolution's output. Options name one by `outputPadding`, a call
 * by a second argument.
 * @throws ValueError at the call on a size that is none of these.
 * @example
 * const up = new ConvTranspose2d(6, 3, 3, { stride: 2, padding: 1 });
 * up(x).shape; // [4, 3, 15, 15]
 * up(x, [16, 16]).shape; // [4, 3, 16, 16]
 */
export class ConvTranspose2d extends TransposedConv {
  constructor(inChannels: number, outChannels: number, kernelSize: Size, options: ConvTransposeOptions = {}) {
    super(2, inChannels, outChannels, kernelSize, options);
  }
}

/**
 * Transposed convolution over (N, C, D, H, W) or (C, D, H, W) (PyTorch: `nn.ConvTranspose3d`). See `ConvTranspose2d`.
 */
export class ConvTranspose3d extends TransposedConv {
  constructor(inChannels: number, outChannels: number, kernelSize: Size, options: ConvTransposeOptions = {}) {
    super(3, inChannels, outChannels, kernelSize, options);
  }
}

declareModules({ Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d });
