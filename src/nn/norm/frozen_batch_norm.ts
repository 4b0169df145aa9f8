// FrozenBatchNorm2d: batch norm with buffers only, so that nothing is learned and nothing moves. Turning a network's
// batch norms into it and back is in surgery/frozen_conversion.ts; freezing a batch norm that stays one, in
// statistics/freeze_batch_norm.ts.

import { maxElements, requireInteger, requireNormNumbers } from '../../checks.ts';
import { frozenBatchNorm } from '../../ops/norm/frozen_batch_norm.ts';
import { declareOptions, kind, type Options, requireOptions } from '../../options.ts';
import { floatText } from '../../python_text.ts';
import { ones, zeros } from '../../tensor/create.ts';
import { requireDType } from '../../tensor/dtype.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { Module } from '../module.ts';
import { declareModules } from '../module_call.ts';
import type { DTypeOption } from '../parameter.ts';
import type { StateDict } from '../state_dict.ts';

/** Options of `FrozenBatchNorm2d`. */
export interface FrozenBatchNorm2dOptions extends DTypeOption {
  /** Added to the variance. Default: 1e-5. */
  eps?: number;
}
export const frozenBatchNorm2dOptions = declareOptions<FrozenBatchNorm2dOptions>({
  eps: kind.numeric,
  dtype: kind.choice,
});

/**
 * Batch norm over (N, C, H, W) by four buffers, `weight`, `bias`, `running_mean` and `running_var`, alike in training
 * and evaluation; a gradient flows to the input only (torchvision: `ops.FrozenBatchNorm2d`). See
 * `functional.frozenBatchNorm` for other shapes and dtypes.
 *
 * For pretrained detectors, whose code and states have this class; a state of a batch norm loads too, without its
 * counter. To freeze layers of a network and go on with it, `freezeBatchNorm` keeps them what they are.
 * @throws RuntimeError at the call where the input does not broadcast with (1, C, 1, 1).
 * @example
 * const norm = new FrozenBatchNorm2d(6);
 * norm.loadStateDict(new BatchNorm2d(6).stateDict());
 */
export class FrozenBatchNorm2d extends Module {
  /** Channels of the input: C. */
  readonly numFeatures: number;
  /** Added to the variance. */
  readonly eps: number;
  /**
   * Whether `fromFrozenBatchNorm` makes a layer with weight and bias of it; false for one made of a layer that had
   * none.
   */
  affine = true;
  /** The factor of each channel (C), a buffer. */
  declare weight: Tensor;
  /** What is added to each channel (C), a buffer. */
  declare bias: Tensor;

  constructor(numFeatures: number, options: FrozenBatchNorm2dOptions = {}) {
    super();
    const layer = this.constructor.name;
    requireOptions(layer, options, this.knownOptions);
    const { eps = 1e-5, dtype } = options;
    requireInteger(layer, 'numFeatures', numFeatures, 0, maxElements);
    requireNormNumbers(layer, eps);
    if (dtype !== undefined) requireDType(layer, dtype);
    this.numFeatures = numFeatures;
    this.eps = eps;
    for (const [name, make] of [
      ['weight', ones],
      ['bias', zeros],
      ['running_mean', zeros],
      ['running_var', ones],
    ] as const)
      this.registerBuffer(name, make([numFeatures], { dtype }));
  }

  /**
   * What may stand in the options.
   * @internal
   */
  protected get knownOptions(): Options<FrozenBatchNorm2dOptions> {
    return frozenBatchNorm2dOptions;
  }

  override get isNorm(): boolean {
    return true;
  }

  /** Mean per channel (C). */
  get runningMean(): Tensor {
    return this.ownBuffers().get('running_mean')!.tensor!;
  }
  set runningMean(value: Tensor) {
    (this as unknown as Record<string, Tensor>).running_mean = value;
  }
  /** Variance per channel (C). */
  get runningVar(): Tensor {
    return this.ownBuffers().get('running_var')!.tensor!;
  }
  set runningVar(value: Tensor) {
    (this as unknown as Record<string, Tensor>).running_var = value;
  }

  forward(x: Tensor): Tensor {
    return frozenBatchNorm(x, this.runningMean, this.runningVar, this.weight, this.bias, { eps: this.eps });
  }

  override upgradeState(state: StateDict, prefix: string): void {
    state.delete(`${prefix}num_batches_tracked`);
  }

  override extraRepr(): string {
    return `${this.numFeatures}, eps=${floatText(this.eps)}`;
  }
}

declareModules({ FrozenBatchNorm2d });
