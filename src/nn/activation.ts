// Activation layers: the elementwise functions of ops/ as modules. `inplace` overwrites the input, where PyTorch offers that.

import { requireChoice, requireInteger, requireNumber } from '../checks.ts';
import { keepNames } from '../class_names.ts';
import { ValueError } from '../errors.ts';
import * as elementwise from '../ops/elementwise.ts';
import { logSoftmax, softmax } from '../ops/reduce.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Module } from './module.ts';
import { declareClosed } from './module_call.ts';
import { floatText } from './python_text.ts';

export interface InplaceOption {
  /** Overwrite the input instead of making a new tensor. Default: false. */
  inplace?: boolean;
}

/** A function of each element, perhaps in place. Subclasses say which. */
abstract class Activation extends Module {
  readonly inplace: boolean;
  constructor({ inplace = false }: InplaceOption = {}) {
    super();
    this.inplace = inplace;
  }

  protected abstract compute(x: Tensor): Tensor;
  /** What is printed before `inplace`. */
  protected parameterText(): string {
    return '';
  }

  forward(x: Tensor): Tensor {
    if (!this.inplace) return this.compute(x);
    return elementwise.inPlace(this.constructor.name, x, (before) => this.compute(before));
  }

  override extraRepr(): string {
    return [this.parameterText(), this.inplace ? 'inplace=True' : ''].filter((part) => part !== '').join(', ');
  }
}

/** max(x, 0) (PyTorch: `nn.ReLU`). */
export class ReLU extends Activation {
  protected compute(x: Tensor): Tensor {
    return elementwise.relu(x);
  }
}

/** x where positive, `negativeSlope`·x elsewhere; default 0.01 (PyTorch: `nn.LeakyReLU`). */
export class LeakyReLU extends Activation {
  readonly negativeSlope: number;
  constructor({ negativeSlope = 0.01, inplace }: InplaceOption & { negativeSlope?: number } = {}) {
    super({ inplace });
    this.negativeSlope = requireNumber('LeakyReLU', 'negativeSlope', negativeSlope);
  }
  protected compute(x: Tensor): Tensor {
    return elementwise.leakyRelu(x, this.negativeSlope);
  }
  protected override parameterText(): string {
    return `negative_slope=${floatText(this.negativeSlope)}`;
  }
}

/** x where positive, `alpha`·(eˣ − 1) elsewhere; default 1 (Clevert et al. 2016; PyTorch: `nn.ELU`). */
export class ELU extends Activation {
  readonly alpha: number;
  constructor({ alpha = 1, inplace }: InplaceOption & { alpha?: number } = {}) {
    super({ inplace });
    this.alpha = requireNumber('ELU', 'alpha', alpha);
  }
  protected compute(x: Tensor): Tensor {
    return elementwise.elu(x, this.alpha);
  }
  protected override parameterText(): string {
    return `alpha=${floatText(this.alpha)}`;
  }
}

/** Scaled ELU, which keeps mean 0 and variance 1 (Klambauer et al. 2017; PyTorch: `nn.SELU`). */
export class SELU extends Activation {
  protected compute(x: Tensor): Tensor {
    return elementwise.selu(x);
  }
}

/** x·σ(x) (PyTorch: `nn.SiLU`). */
export class SiLU extends Activation {
  protected compute(x: Tensor): Tensor {
    return elementwise.silu(x);
  }
}

/** x·tanh(softplus(x)) (Misra 2020; PyTorch: `nn.Mish`). */
export class Mish extends Activation {
  protected compute(x: Tensor): Tensor {
    return elementwise.mish(x);
  }
}

/** x limited to [`minVal`, `maxVal`]; default [−1, 1] (PyTorch: `nn.Hardtanh`). */
export class Hardtanh extends Activation {
  readonly minVal: number;
  readonly maxVal: number;
  constructor({ minVal = -1, maxVal = 1, inplace }: InplaceOption & { minVal?: number; maxVal?: number } = {}) {
    super({ inplace });
    requireNumber(this.constructor.name, 'minVal', minVal);
    requireNumber(this.constructor.name, 'maxVal', maxVal);
    if (!(maxVal > minVal))
      throw new ValueError(`max_val (${floatText(maxVal)}) must be greater than min_val (${floatText(minVal)})`);
    this.minVal = minVal;
    this.maxVal = maxVal;
  }
  protected compute(x: Tensor): Tensor {
    return elementwise.hardtanh(x, this.minVal, this.maxVal);
  }
  protected override parameterText(): string {
    return `min_val=${floatText(this.minVal)}, max_val=${floatText(this.maxVal)}`;
  }
}

/** min(max(x, 0), 6) (PyTorch: `nn.ReLU6`). */
export class ReLU6 extends Hardtanh {
  constructor({ inplace }: InplaceOption = {}) {
    super({ minVal: 0, maxVal: 6, inplace });
  }
  protected override parameterText(): string {
    return '';
  }
}

/** min(max(x/6 + 1/2, 0), 1) (PyTorch: `nn.Hardsigmoid`). */
export class Hardsigmoid extends Activation {
  protected compute(x: Tensor): Tensor {
    return elementwise.hardSigmoid(x);
  }
  override extraRepr(): string {
    return '';
  }
}

/** x·hardsigmoid(x) (Howard et al. 2019; PyTorch: `nn.Hardswish`). */
export class Hardswish extends Activation {
  protected compute(x: Tensor): Tensor {
    return elementwise.hardSwish(x);
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

/** (PyTorch: `nn.Tanh`). */
export class Tanh extends Module {
  forward(x: Tensor): Tensor {
    return elementwise.tanh(x);
  }
}

/** log(1/(1 + e⁻ˣ)) (PyTorch: `nn.LogSigmoid`). */
export class LogSigmoid extends Module {
  forward(x: Tensor): Tensor {
    return elementwise.logSigmoid(x);
  }
}

/** x·Φ(x), exactly or by `approximate: 'tanh'` (Hendrycks & Gimpel 2016; PyTorch: `nn.GELU`). */
export class GELU extends Module {
  readonly approximate: 'none' | 'tanh';
  constructor({ approximate = 'none' }: { approximate?: 'none' | 'tanh' } = {}) {
    super();
    this.approximate = requireChoice('GELU', 'approximate', approximate, elementwise.approximations);
  }
  forward(x: Tensor): Tensor {
    return elementwise.gelu(x, { approximate: this.approximate });
  }
  override extraRepr(): string {
    return `approximate='${this.approximate}'`;
  }
}

/** log(1 + e^(beta·x))/beta, and x where beta·x > threshold; defaults 1 and 20 (PyTorch: `nn.Softplus`). */
export class Softplus extends Module {
  readonly beta: number;
  readonly threshold: number;
  constructor({ beta = 1, threshold = 20 }: { beta?: number; threshold?: number } = {}) {
    super();
    this.beta = requireNumber('Softplus', 'beta', beta);
    this.threshold = requireNumber('Softplus', 'threshold', threshold);
  }
  forward(x: Tensor): Tensor {
    return elementwise.softplus(x, this.beta, this.threshold);
  }
  override extraRepr(): string {
    return `beta=${floatText(this.beta)}, threshold=${floatText(this.threshold)}`;
  }
}

/** Positive values that sum to 1 along a dimension (PyTorch: `nn.Softmax`). */
export class Softmax extends Module {
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

declareClosed(
  ReLU,
  LeakyReLU,
  ELU,
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
);

keepNames({
  ReLU,
  LeakyReLU,
  ELU,
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
});
