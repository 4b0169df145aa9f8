// Dropout layers. The masks are drawn in ops/dropout.ts.

import { requireChoice, requireNumber, requireProbability } from '../checks.ts';
import { ValueError } from '../errors.ts';
import {
  alphaDropoutWith,
  dropout1dWith,
  dropout2dWith,
  dropout3dWith,
  dropoutWith,
  featureAlphaDropoutWith,
  type StochasticDepthMode,
  stochasticDepthWith,
} from '../ops/dropout.ts';
import { inPlace } from '../ops/in_place.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { boolText, floatText } from '../python_text.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { InplaceOption } from './activation.ts';
import { Module } from './module.ts';
import { declareModules } from './module_call.ts';

const inplaceOption = declareOptions<InplaceOption>({ inplace: kind.flag });

abstract class DropoutBase extends Module {
  /** The probability with which a value is dropped. */
  readonly p: number;
  /** Whether the input is overwritten. */
  readonly inplace: boolean;
  private readonly drop: typeof dropoutWith;

  constructor(drop: typeof dropoutWith, p: number, options: InplaceOption) {
    super();
    requireOptions(this.constructor.name, options, inplaceOption);
    requireNumber(this.constructor.name, 'p', p);
    if (!(p >= 0 && p <= 1)) throw new ValueError(`dropout probability has to be between 0 and 1, but got ${p}`);
    this.drop = drop;
    this.p = p;
    this.inplace = options.inplace ?? false;
  }

  forward(x: Tensor): Tensor {
    if (!this.inplace || !this.training) return this.drop(x, this.p, this.training);
    return inPlace(this.constructor.name, x, (before) => this.drop(before, this.p, true));
  }

  /** @internal */
  override get dependsOnMode(): boolean {
    return true;
  }

  override extraRepr(): string {
    return `p=${floatText(this.p)}, inplace=${boolText(this.inplace)}`;
  }
}

/**
 * In training, sets each element to 0 with probability p (default 0.5) and scales the rest by 1/(1 − p); in evaluation
 * nothing changes (Srivastava et al. 2014; PyTorch: `nn.Dropout`).
 * @throws ValueError unless 0 ≤ p ≤ 1.
 * @example
 * const y1 = new Dropout(0.1)(x);
 */
export class Dropout extends DropoutBase {
  constructor(p = 0.5, options: InplaceOption = {}) {
    super(dropoutWith, p, options);
  }
}

/** As `Dropout`, for whole channels of (N, C, L) or (C, L) (PyTorch: `nn.Dropout1d`). */
export class Dropout1d extends DropoutBase {
  constructor(p = 0.5, options: InplaceOption = {}) {
    super(dropout1dWith, p, options);
  }
}

/** As `Dropout`, for whole channels of (N, C, D, H, W) or (C, D, H, W) (PyTorch: `nn.Dropout3d`). */
export class Dropout3d extends DropoutBase {
  constructor(p = 0.5, options: InplaceOption = {}) {
    super(dropout3dWith, p, options);
  }
}

/**
 * In training, sets each element to where SELU saturates with probability p (default 0.5), and scales and moves all so
 * that a mean of 0 and a variance of 1 stay (Klambauer et al. 2017; PyTorch: `nn.AlphaDropout`, whose `inplace` does
 * nothing).
 * @throws ValueError unless 0 ≤ p ≤ 1.
 * @example
 * const y1 = new AlphaDropout(0.1)(x);
 */
export class AlphaDropout extends DropoutBase {
  constructor(p = 0.5) {
    super(alphaDropoutWith, p, {});
  }
}

/** As `AlphaDropout`, for whole channels of (N, C, …) (PyTorch: `nn.FeatureAlphaDropout`). */
export class FeatureAlphaDropout extends DropoutBase {
  constructor(p = 0.5) {
    super(featureAlphaDropoutWith, p, {});
  }
}

/** As `Dropout`, for whole channels of (N, C, H, W) (Tompson et al. 2015; PyTorch: `nn.Dropout2d`). */
export class Dropout2d extends DropoutBase {
  constructor(p = 0.5, options: InplaceOption = {}) {
    super(dropout2dWith, p, options);
  }
}

/**
 * In training, sets whole samples of (N, …), or with mode `batch` all of them, to 0 with probability p and scales the
 * rest by 1/(1 − p), which skips a residual branch at random (Huang et al. 2016; torchvision: `ops.StochasticDepth`).
 * @example
 * new StochasticDepth(0.2, 'row')(x).add(x);
 */
export class StochasticDepth extends Module {
  /** The probability with which a sample is dropped. */
  readonly p: number;
  /** What is dropped together: each sample for itself (`'row'`), or the whole batch (`'batch'`). */
  readonly mode: StochasticDepthMode;

  constructor(p: number, mode: StochasticDepthMode) {
    super();
    this.p = requireProbability('StochasticDepth', 'p', p);
    this.mode = requireChoice('StochasticDepth', 'mode', mode, ['batch', 'row']);
  }

  forward(x: Tensor): Tensor {
    return stochasticDepthWith(x, this.p, this.mode, this.training);
  }

  override extraRepr(): string {
    return `p=${floatText(this.p)}, mode=${this.mode}`;
  }
}

declareModules({ Dropout, Dropout1d, Dropout2d, Dropout3d, AlphaDropout, FeatureAlphaDropout, StochasticDepth });
