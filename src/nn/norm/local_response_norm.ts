// Local response normalization as layers: LocalResponseNorm, and CrossMapLRN2d for old networks. The formulas are in
// ops/.

import { requireFinite, requireInteger } from '../../checks.ts';
import {
  crossMapLRN2dWith,
  type LocalResponseNormOptions,
  localResponseNormOptions,
  localResponseNormWith,
} from '../../ops/norm/local_response_norm.ts';
import { requireOptions } from '../../options.ts';
import { floatText } from '../../python_text.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { Module } from '../module.ts';
import { declareModules } from '../module_call.ts';

/** Options and printed form of both layers. */
abstract class ResponseNorm extends Module {
  /** How many neighbouring channels count together. */
  readonly size: number;
  /** The factor of the mean square. */
  readonly alpha: number;
  /** The power. */
  readonly beta: number;
  /** What is added to the mean square. */
  readonly k: number;

  constructor(size: number, options: LocalResponseNormOptions = {}) {
    super();
    const { name } = this.constructor;
    requireOptions(name, options, localResponseNormOptions);
    const { alpha = 1e-4, beta = 0.75, k = 1 } = options;
    requireInteger(name, 'size', size);
    requireFinite(name, 'alpha', alpha);
    requireFinite(name, 'beta', beta);
    requireFinite(name, 'k', k);
    this.size = size;
    this.alpha = alpha;
    this.beta = beta;
    this.k = k;
  }

  override get isNorm(): boolean {
    return true;
  }

  override extraRepr(): string {
    return `${this.size}, alpha=${floatText(this.alpha)}, beta=${floatText(this.beta)}, k=${floatText(this.k)}`;
  }
}

/**
 * Every value of (N, C, …) divided by (k + alpha·mean square of `size` neighbouring channels)^beta (Krizhevsky et al.
 * 2012; PyTorch: `nn.LocalResponseNorm`).
 * @throws ValueError at the call below three dimensions; RuntimeError where `size` is not positive.
 * @example
 * const norm = new LocalResponseNorm(5, { k: 2 });
 */
export class LocalResponseNorm extends ResponseNorm {
  forward(x: Tensor): Tensor {
    return localResponseNormWith(x, this.size, this);
  }
}

/**
 * The legacy form over (N, C, H, W), in which channel 0 counts for all (PyTorch: `nn.CrossMapLRN2d`). See
 * `functional.crossMapLRN2d`.
 */
export class CrossMapLRN2d extends ResponseNorm {
  forward(x: Tensor): Tensor {
    return crossMapLRN2dWith(x, this.size, this);
  }

  override extraRepr(): string {
    // PyTorch's default is the integer 1.
    return super.extraRepr().replace(/k=1\.0$/, 'k=1');
  }
}

declareModules({ LocalResponseNorm, CrossMapLRN2d });
