// Activation layers: the elementwise functions of ops/ as modules. `inplace` overwrites the input, where PyTorch offers
// that. All that is exported is public.

import { maxElements, requireChoice, requireInteger, requireNumber } from '../checks.ts';
import { ValueError } from '../errors.ts';
import { glu, prelu, rreluWith, type SlopeLimits, softmin } from '../ops/activation.ts';
import * as elementwise from '../ops/elementwise.ts';
import { inPlace } from '../ops/in_place.ts';
import { logSoftmax, softmax } from '../ops/reduce.ts';
import { declareOptions, kind, type Options, requireOptions } from '../options.ts';
import { floatText } from '../python_text.ts';
import { empty } from '../tensor/create.ts';
import { requireDType } from '../tensor/dtype.ts';
import { requireTensor } from '../tensor/requirements.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { constant_ } from './init.ts';
import { Module } from './module.ts';
import { declareModules } from './module_call.ts';
import { type DTypeOption, Parameter } from './parameter.ts';

/** The option of layers that can overwrite their input. */
export interface InplaceOption {
  /** Overwrite the input instead of making a new tensor. Default: false. */
  inplace?: boolean;
}
const inplaceOption = declareOptions<InplaceOption>({ inplace: kind.flag });

/** A function of each element, perhaps in place. Subclasses say which, and which options they take besides. */
abstract class Activation extends Module {
  /** Whether the input is overwritten. */
  readonly inplace: boolean;
  constructor(options: InplaceOption = {}) {
    super();
    requireOptions(this.constructor.name, options, this.knownOptions);
    this.inplace = options.inplace ?? false;
  }

  /**
   * What may stand in the options.
   * @internal
   */
  protected get knownOptions(): Options<InplaceOption> {
    return inplaceOption;
  }
  /** @internal */
  protected abstract compute(x: Tensor): Tensor;
  /**
   * What is printed before `inplace`.
   * @internal
   */
  protected parameterText(): string {
    return '';
  }

  forward(x: Tensor): Tensor {
    if (!this.inplace) return this.compute(x);
    return inPlace(this.constructor.name, x, (before) => this.compute(before));
  }

  override extraRepr(): string {
    return [this.parameterText(), this.inplace ? 'inplace=True' : ''].filter((part) => part !== '').join(', ');
  }
}

/**
 * max(x, 0), element by element, of any shape (PyTorch: `nn.ReLU`).
 * @example
 * const act = new ReLU({ inplace: true });
 */
export class ReLU extends Activation {
  /** @internal */
  protected compute(x: Tensor): Tensor {
    return elementwise.relu(x);
  }
}

const leakyReluOptions = declareOptions<elementwise.LeakyReluOptions & InplaceOption>({
  negativeSlope: kind.number,
  ...inplaceOption.kinds,
});

/** x where positive, `negativeSlope`·x elsewhere; default 0.01 (PyTorch: `nn.LeakyReLU`). */
export class LeakyReLU extends Activation {
  /** The slope where x is negative. */
  readonly negativeSlope: number;
  constructor(options: elementwise.LeakyReluOptions & InplaceOption = {}) {
    super(options);
    this.negativeSlope = requireNumber('LeakyReLU', 'negativeSlope', options.negativeSlope ?? 0.01);
  }
  /** @internal */
  protected override get knownOptions(): typeof leakyReluOptions {
    return leakyReluOptions;
  }
  /** @internal */
  protected compute(x: Tensor): Tensor {
    return elementwise.leakyRelu(x, { negativeSlope: this.negativeSlope });
  }
  /** @internal */
  protected override parameterText(): string {
    return `negative_slope=${floatText(this.negativeSlope)}`;
  }
}

const eluOptions = declareOptions<elementwise.EluOptions & InplaceOption>({
  alpha: kind.number,
  ...inplaceOption.kinds,
});

/** x where positive, `alpha`·(eˣ − 1) elsewhere; default 1 (Clevert et al. 2016; PyTorch: `nn.ELU`). */
export class ELU extends Activation {
  /** The result goes to −alpha for very negative x. */
  readonly alpha: number;
  constructor(options: elementwise.EluOptions & InplaceOption = {}) {
    super(options);
    this.alpha = requireNumber('ELU', 'alpha', options.alpha ?? 1);
  }
  /** @internal */
  protected override get knownOptions(): typeof eluOptions {
    return eluOptions;
  }
  /** @internal */
  protected compute(x: Tensor): Tensor {
    return elementwise.elu(x, { alpha: this.alpha });
  }
  /** @internal */
  protected override parameterText(): string {
    return `alpha=${floatText(this.alpha)}`;
  }
}

const celuOptions = declareOptions<elementwise.CeluOptions & InplaceOption>({
  alpha: kind.number,
  ...inplaceOption.kinds,
});

/** x where positive, `alpha`·(e^(x/alpha) − 1) elsewhere; default 1 (Barron 2017; PyTorch: `nn.CELU`). */
export class CELU extends Activation {
  /** The result goes to −alpha for very negative x. */
  readonly alpha: number;
  constructor(options: elementwise.CeluOptions & InplaceOption = {}) {
    super(options);
    this.alpha = requireNumber('CELU', 'alpha', options.alpha ?? 1);
  }
  /** @internal */
  protected override get knownOptions(): typeof celuOptions {
    return celuOptions;
  }
  /** @internal */
  protected compute(x: Tensor): Tensor {
    return elementwise.celu(x, { alpha: this.alpha });
  }
  /** @internal */
  protected override parameterText(): string {
    return `alpha=${floatText(this.alpha)}`;
  }
}

/** x where it is above `threshold`, `value` elsewhere (PyTorch: `nn.Threshold`). */
export class Threshold extends Activation {
  /** Values up to this are replaced. */
  readonly threshold: number;
  /** What stands for them. */
  readonly value: number;
  constructor(threshold: number, value: number, options: InplaceOption = {}) {
    super(options);
    this.threshold = requireNumber('Threshold', 'threshold', threshold);
    this.value = requireNumber('Threshold', 'value', value);
  }
  /** @internal */
  protected compute(x: Tensor): Tensor {
    return elementwise.threshold(x, this.threshold, this.value);
  }
  /** @internal */
  protected override parameterText(): string {
    return `threshold=${floatText(this.threshold)}, value=${floatText(this.value)}`;
  }
}

/** Scaled ELU, which keeps mean 0 and variance 1 (Klambauer et al. 2017; PyTorch: `nn.SELU`). */
export class SELU extends Activation {
  /** @internal */
  protected compute(x: Tensor): Tensor {
    return elementwise.selu(x);
  }
}

/** x·σ(x) (PyTorch: `nn.SiLU`). */
export class SiLU extends Activation {
  /** @internal */
  protected compute(x: Tensor): Tensor {
    return elementwise.silu(x);
  }
}

/** x·tanh(softplus(x)) (Misra 2020; PyTorch: `nn.Mish`). */
export class Mish extends Activation {
  /** @internal */
  protected compute(x: Tensor): Tensor {
    return elementwise.mish(x);
  }
}

const hardtanhOptions = declareOptions<elementwise.HardtanhOptions & InplaceOption>({
  minVal: kind.number,
  maxVal: kind.number,
  ...inplaceOption.kinds,
});

/** x limited to [`minVal`, `maxVal`]; default [−1, 1] (PyTorch: `nn.Hardtanh`). */
export class Hardtanh extends Activation {
  /** The lower limit. */
  readonly minVal: number;
  /** The upper limit. */
  readonly maxVal: number;
  constructor(options: elementwise.HardtanhOptions & InplaceOption = {}) {
    super(options);
    const { minVal = -1, maxVal = 1 } = options;
    requireNumber(this.constructor.name, 'minVal', minVal);
    requireNumber(this.constructor.name, 'maxVal', maxVal);
    if (!(maxVal > minVal))
      throw new ValueError(`[${this.constructor.name}] maxVal (${maxVal}) must be greater than minVal (${minVal})`);
    this.minVal = minVal;
    this.maxVal = maxVal;
  }
  /** @internal */
  protected override get knownOptions(): typeof hardtanhOptions {
    return hardtanhOptions;
  }
  /** @internal */
  protected compute(x: Tensor): Tensor {
    return elementwise.hardtanh(x, { minVal: this.minVal, maxVal: this.maxVal });
  }
  /** @internal */
  protected override parameterText(): string {
    return `min_val=${floatText(this.minVal)}, max_val=${floatText(this.maxVal)}`;
  }
}

/** min(max(x, 0), 6) (PyTorch: `nn.ReLU6`). */
export class ReLU6 extends Hardtanh {
  constructor(options: InplaceOption = {}) {
    requireOptions(new.target.name, options, inplaceOption);
    super({ minVal: 0, maxVal: 6, ...options });
  }
  /** @internal */
  protected override parameterText(): string {
    return '';
  }
}

/** min(max(x/6 + 1/2, 0), 1) (PyTorch: `nn.Hardsigmoid`). */
export class Hardsigmoid extends Activation {
  /** @internal */
  protected compute(x: Tensor): Tensor {
    return elementwise.hardsigmoid(x);
  }
  override extraRepr(): string {
    return '';
  }
}

/** x·hardsigmoid(x) (Howard et al. 2019; PyTorch: `nn.Hardswish`). */
export class Hardswish extends Activation {
  /** @internal */
  protected compute(x: Tensor): Tensor {
    return elementwise.hardswish(x);
  }
  override extraRepr(): string {
    return '';
  }
}

// ---- without a form in place ----------------------------------------------------------------------------------------

/** 1/(1 + e⁻ˣ) (PyTorch: `nn.Sigmoid`). */
export class Sigmoid extends Module {
  forward(x: Tensor): Tensor {
    return elementwise.sigmoid(x);
  }
}

/** The hyperbolic tangent of each element, of any shape (PyTorch: `nn.Tanh`). */
export class Tanh extends Module {
  forward(x: Tensor): Tensor {
    return elementwise.tanh(x);
  }
}

/** log(1/(1 + e⁻ˣ)) (PyTorch: `nn.LogSigmoid`). */
export class LogSigmoid extends Module {
  forward(x: Tensor): Tensor {
    return elementwise.logsigmoid(x);
  }
}

/** x/(1 + |x|) (PyTorch: `nn.Softsign`). */
export class Softsign extends Module {
  forward(x: Tensor): Tensor {
    return elementwise.softsign(x);
  }
}

/** x − tanh(x) (PyTorch: `nn.Tanhshrink`). */
export class Tanhshrink extends Module {
  forward(x: Tensor): Tensor {
    return elementwise.tanhshrink(x);
  }
}

const shrinkOptions = declareOptions<elementwise.ShrinkOptions>({ lambd: kind.number });

abstract class Shrink extends Module {
  /** Values whose size is at most this become 0. */
  readonly lambd: number;
  constructor(options: elementwise.ShrinkOptions) {
    super();
    const { name } = this.constructor;
    requireOptions(name, options, shrinkOptions);
    this.lambd = requireNumber(name, 'lambd', options.lambd ?? 0.5);
  }
  override extraRepr(): string {
    return floatText(this.lambd);
  }
}

/** x moved towards 0 by `lambd`, default 0.5, and 0 where it would pass it (PyTorch: `nn.Softshrink`). */
export class Softshrink extends Shrink {
  constructor(options: elementwise.ShrinkOptions = {}) {
    super(options);
  }
  forward(x: Tensor): Tensor {
    return elementwise.softshrink(x, { lambd: this.lambd });
  }
}

/** x, and 0 where its size is at most `lambd`, default 0.5 (PyTorch: `nn.Hardshrink`). */
export class Hardshrink extends Shrink {
  constructor(options: elementwise.ShrinkOptions = {}) {
    super(options);
  }
  forward(x: Tensor): Tensor {
    return elementwise.hardshrink(x, { lambd: this.lambd });
  }
}

const geluOptions = declareOptions<elementwise.GeluOptions>({ approximate: kind.choice });

/** x·Φ(x), exactly or by `approximate: 'tanh'` (Hendrycks & Gimpel 2016; PyTorch: `nn.GELU`). */
export class GELU extends Module {
  /** `'none'`: exact; `'tanh'`: by tanh. */
  readonly approximate: 'none' | 'tanh';
  constructor(options: elementwise.GeluOptions = {}) {
    super();
    requireOptions('GELU', options, geluOptions);
    this.approximate = requireChoice('GELU', 'approximate', options.approximate ?? 'none', ['none', 'tanh']);
  }
  forward(x: Tensor): Tensor {
    return elementwise.gelu(x, { approximate: this.approximate });
  }
  override extraRepr(): string {
    return `approximate='${this.approximate}'`;
  }
}

const softplusOptions = declareOptions<elementwise.SoftplusOptions>({ beta: kind.number, threshold: kind.number });

/** log(1 + e^(beta·x))/beta, and x where beta·x > threshold; defaults 1 and 20 (PyTorch: `nn.Softplus`). */
export class Softplus extends Module {
  /** How sharp the bend at 0 is. */
  readonly beta: number;
  /** Where beta·x lies above this, the result is x. */
  readonly threshold: number;
  constructor(options: elementwise.SoftplusOptions = {}) {
    super();
    requireOptions('Softplus', options, softplusOptions);
    this.beta = requireNumber('Softplus', 'beta', options.beta ?? 1);
    this.threshold = requireNumber('Softplus', 'threshold', options.threshold ?? 20);
  }
  forward(x: Tensor): Tensor {
    return elementwise.softplus(x, { beta: this.beta, threshold: this.threshold });
  }
  override extraRepr(): string {
    return `beta=${floatText(this.beta)}, threshold=${floatText(this.threshold)}`;
  }
}

/** Positive values that sum to 1 along a dimension; the shape stays (PyTorch: `nn.Softmax`). */
export class Softmax extends Module {
  /** The dimension along which the values sum to 1. */
  readonly dim: number;
  constructor(dim: number) {
    super();
    this.dim = requireInteger('Softmax', 'dim', dim);
  }
  forward(x: Tensor): Tensor {
    return softmax(x, this.dim);
  }
  override extraRepr(): string {
    return `dim=${this.dim}`;
  }
}

/** The logarithm of `Softmax` (PyTorch: `nn.LogSoftmax`). */
export class LogSoftmax extends Module {
  /** The dimension along which the exponentials sum to 1. */
  readonly dim: number;
  constructor(dim: number) {
    super();
    this.dim = requireInteger('LogSoftmax', 'dim', dim);
  }
  forward(x: Tensor): Tensor {
    return logSoftmax(x, this.dim);
  }
  override extraRepr(): string {
    return `dim=${this.dim}`;
  }
}

/** `Softmax` along the channels of (N, C, H, W) or (C, H, W) (PyTorch: `nn.Softmax2d`). */
export class Softmax2d extends Module {
  forward(x: Tensor): Tensor {
    requireTensor('Softmax2d', x);
    if (x.rank !== 3 && x.rank !== 4)
      throw new ValueError(`Softmax2d: expected input to be 3D or 4D, got ${x.rank}D instead`);
    return softmax(x, -3);
  }
}

/** `Softmax` of −x: the smallest values become the largest (PyTorch: `nn.Softmin`). */
export class Softmin extends Module {
  /** The dimension along which the values sum to 1. */
  readonly dim: number;
  constructor(dim: number) {
    super();
    this.dim = requireInteger('Softmin', 'dim', dim);
  }
  forward(x: Tensor): Tensor {
    return softmin(x, this.dim);
  }
  override extraRepr(): string {
    return `dim=${this.dim}`;
  }
}

/**
 * The first half along a dimension, default the last, times the sigmoid of the second one (Dauphin et al. 2017;
 * PyTorch: `nn.GLU`).
 * @throws RuntimeError at the call on an odd size.
 * @example
 * const gated = new GLU()(ones([4, 6])); // shape [4, 3]
 */
export class GLU extends Module {
  /** The dimension that is halved. */
  readonly dim: number;
  constructor(dim = -1) {
    super();
    this.dim = requireInteger('GLU', 'dim', dim);
  }
  forward(x: Tensor): Tensor {
    return glu(x, this.dim);
  }
  override extraRepr(): string {
    return `dim=${this.dim}`;
  }
}

/** Options of `PReLU`. */
export interface PReLUOptions extends DTypeOption {
  /** What the slopes start at. Default: 0.25. */
  init?: number;
}
const preluOptions = declareOptions<PReLUOptions>({ init: kind.number, dtype: kind.choice });

/**
 * x where positive, weight·x elsewhere, with a weight that is learned: one for all, or with `numParameters` one for
 * each channel of (N, C, …) (He et al. 2015; PyTorch: `nn.PReLU`).
 * @throws RuntimeError at the call where `numParameters` is neither 1 nor the number of channels.
 * @example
 * const act = new PReLU(64, { init: 0.1 });
 */
export class PReLU extends Module {
  /** How many slopes are learned. */
  readonly numParameters: number;
  /** What the slopes start at. */
  readonly init: number;
  /** The slopes (numParameters). */
  declare weight: Parameter;
  constructor(numParameters = 1, options: PReLUOptions = {}) {
    super();
    requireOptions('PReLU', options, preluOptions);
    const { init = 0.25, dtype } = options;
    this.numParameters = requireInteger('PReLU', 'numParameters', numParameters, 0, maxElements);
    this.init = requireNumber('PReLU', 'init', init);
    if (dtype !== undefined) requireDType('PReLU', dtype);
    this.registerParameter('weight', new Parameter(empty([numParameters], { dtype })));
    this.resetParameters();
  }

  /** Sets the slopes to `init`. */
  resetParameters(): void {
    constant_(this.weight, this.init);
  }

  forward(x: Tensor): Tensor {
    return prelu(x, this.weight);
  }

  override extraRepr(): string {
    return `num_parameters=${this.numParameters}`;
  }
}

const rreluOptions = declareOptions<SlopeLimits & InplaceOption>({
  lower: kind.number,
  upper: kind.number,
  ...inplaceOption.kinds,
});

/**
 * x where positive, slope·x elsewhere, in training with random slopes from [lower, upper), in evaluation with their
 * mean; default 1/8 and 1/3 (Xu et al. 2015; PyTorch: `nn.RReLU`).
 */
export class RReLU extends Activation {
  /** The least slope. */
  readonly lower: number;
  /** The greatest slope. */
  readonly upper: number;
  constructor(options: SlopeLimits & InplaceOption = {}) {
    super(options);
    this.lower = requireNumber('RReLU', 'lower', options.lower ?? 1 / 8);
    this.upper = requireNumber('RReLU', 'upper', options.upper ?? 1 / 3);
  }
  /** @internal */
  protected override get knownOptions(): typeof rreluOptions {
    return rreluOptions;
  }
  /** @internal */
  override get dependsOnMode(): boolean {
    return true;
  }
  /** @internal */
  protected compute(x: Tensor): Tensor {
    return rreluWith(x, { lower: this.lower, upper: this.upper, training: this.training });
  }
  /** @internal */
  protected override parameterText(): string {
    return `lower=${floatText(this.lower)}, upper=${floatText(this.upper)}`;
  }
}

declareModules({
  ReLU,
  LeakyReLU,
  ELU,
  CELU,
  Threshold,
  Softsign,
  Tanhshrink,
  Softshrink,
  Hardshrink,
  SELU,
  SiLU,
  Mish,
  Hardtanh,
  ReLU6,
  Hardsigmoid,
  Hardswish,
  Sigmoid,
  Tanh,
  LogSigmoid,
  GELU,
  Softplus,
  Softmax,
  LogSoftmax,
  Softmax2d,
  Softmin,
  GLU,
  PReLU,
  RReLU,
});
