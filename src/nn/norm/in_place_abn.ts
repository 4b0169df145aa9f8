// Activated batch norm (mapillary's inplace_abn): InPlaceABN, which overwrites its input and keeps nothing but its
// output for the backward, and ABN, the same in the ordinary way.

import { requireNumber } from '../../checks.ts';
import { RuntimeError, ValueError } from '../../errors.ts';
import { elu, leakyRelu, relu } from '../../ops/elementwise.ts';
import type { batchNormWith } from '../../ops/norm/batch_norm.ts';
import { type InvertibleActivation, inPlaceAbn, requireInvertible } from '../../ops/norm/in_place_abn.ts';
import { declareOptions, kind } from '../../options.ts';
import { floatText, snakeText } from '../../python_text.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { declareModules } from '../module_call.ts';
import { BatchNormBase, type NormOptions, normOptions } from './batch_norm.ts';

/** Options of `ABN` and `InPlaceABN`. */
export interface AbnOptions<A extends string> extends NormOptions {
  /** What follows the norm. Default: `'leakyRelu'`. */
  activation?: A;
  /** The slope of leakyRelu or the alpha of elu. Default: 0.01. */
  activationParam?: number;
}
const abnOptions = declareOptions<AbnOptions<string>>({
  ...normOptions.kinds,
  activation: kind.choice,
  activationParam: kind.number,
});

abstract class AbnBase<A extends string> extends BatchNormBase {
  /** What follows the norm. */
  readonly activation: A | 'leakyRelu';
  /** The slope of leakyRelu or the alpha of elu. */
  readonly activationParam: number;

  constructor(numFeatures: number, options: AbnOptions<A>) {
    super(numFeatures, options);
    const { activation = 'leakyRelu', activationParam = 0.01 } = options;
    requireNumber(this.constructor.name, 'activationParam', activationParam);
    this.activation = activation;
    this.activationParam = activationParam;
  }

  /** @internal */
  protected override get knownOptions(): typeof abnOptions {
    return abnOptions;
  }

  protected checkInputDim(x: Tensor): void {
    if (x.rank < 2) throw new ValueError(`expected at least 2D input (got ${x.rank}D input)`);
  }

  override extraRepr(): string {
    const isBare = this.activation === 'relu' || this.activation === 'identity';
    const param = isBare ? '' : `[${floatText(this.activationParam)}]`;
    return super.extraRepr().replace(/track_running_stats=\w+/, `activation=${snakeText(this.activation)}${param}`);
  }
}

const functions = {
  relu: (x: Tensor) => relu(x),
  leakyRelu: (x: Tensor, negativeSlope: number) => leakyRelu(x, { negativeSlope }),
  elu: (x: Tensor, alpha: number) => elu(x, { alpha }),
  identity: (x: Tensor) => x,
};

/**
 * Batch norm over (N, C, …), then an activation: relu, leakyRelu (default), elu or identity (mapillary: `ABN`).
 * Parameters, buffers and states are a batch norm's.
 * @throws RuntimeError on another activation; ValueError below two dimensions, and in training on a single value per
 * channel.
 * @example
 * const norm = new ABN(6, { activation: 'elu', activationParam: 1 });
 */
export class ABN extends AbnBase<keyof typeof functions> {
  constructor(numFeatures: number, options: AbnOptions<keyof typeof functions> = {}) {
    super(numFeatures, options);
    if (typeof this.activation !== 'string' || !Object.hasOwn(functions, this.activation))
      throw new RuntimeError(`Unknown activation function ${String(this.activation)}`);
  }

  override forward(x: Tensor): Tensor {
    return functions[this.activation](super.forward(x), this.activationParam);
  }
}

/**
 * Batch norm over (N, C, …) and an activation, leakyRelu (default), elu or identity, that overwrite their input and
 * keep nothing but the output for the backward (Rota Bulò et al. 2018; mapillary: `InPlaceABN`): of a convolution,
 * batch norm and activation one tensor stays instead of two or three. See `functional.inPlaceAbn`. Parameters, buffers
 * and states are `ABN`'s, but the scale is |weight| + eps, so results differ a little, or, with a negative weight, very
 * much.
 * @throws ValueError on another activation, below two dimensions, and in training on a single value per channel;
 * RuntimeError where the input is a leaf that requires a gradient, and in a backward with createGraph.
 * @example
 * const block = new Sequential(new Conv2d(1, 6, 5), new InPlaceABN(6));
 */
export class InPlaceABN extends AbnBase<InvertibleActivation> {
  override isPlain = false;

  constructor(numFeatures: number, options: AbnOptions<InvertibleActivation> = {}) {
    super(numFeatures, options);
    requireInvertible(this.activation, this.activationParam);
  }

  /** @internal */
  protected override normalize(...[x, mean, variance, options]: Parameters<typeof batchNormWith>): Tensor {
    const { activation, activationParam } = this;
    return inPlaceAbn(x, mean, variance, { ...options, activation, activationParam });
  }
}

declareModules({ ABN, InPlaceABN });
