// The group normalization layer. The arithmetic and the checks of inputs are in ops/norm/group_norm.ts.

import { maxElements, requireInteger, requireNormNumbers } from '../../checks.ts';
import { ValueError } from '../../errors.ts';
import { groupNormWith } from '../../ops/norm/group_norm.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { boolText, floatText } from '../../python_text.ts';
import { ones, zeros } from '../../tensor/create.ts';
import { requireDType } from '../../tensor/dtype.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { ones_, zeros_ } from '../init.ts';
import { Module } from '../module.ts';
import { declareModules } from '../module_call.ts';
import { type DTypeOption, Parameter } from '../parameter.ts';

/** Options of `GroupNorm`. */
export interface GroupNormOptions extends DTypeOption {
  /** Added to the variance. Default: 1e-5. */
  eps?: number;
  /** Whether there are a weight and a bias per channel. Default: true. */
  affine?: boolean;
  /** Whether an affine layer has the bias, not only the weight. Default: true. */
  bias?: boolean;
}
const groupNormOptions = declareOptions<GroupNormOptions>({
  eps: kind.numeric,
  affine: kind.flag,
  bias: kind.flag,
  dtype: kind.choice,
});

/**
 * Group norm over (N, C, …): the channels of every sample in `numGroups` groups, each to mean 0 and variance 1, then
 * times weight plus bias per channel; the same in training and evaluation (Wu & He 2018; PyTorch: `nn.GroupNorm`).
 *
 * @throws ValueError where the channels do not divide into the groups, and on a single value in all; RuntimeError on
 * other channels.
 * @example
 * const norm = new GroupNorm(3, 6);
 */
export class GroupNorm extends Module {
  /** Into how many groups the channels are divided. */
  readonly numGroups: number;
  /** Channels of the input: C. */
  readonly numChannels: number;
  /** Added to the variance. */
  readonly eps: number;
  /** Whether the layer was made with a weight. */
  readonly affine: boolean;
  /** The factor of each channel (C), null where the layer is not affine. */
  declare weight: Parameter | null;
  /** What is added to each channel (C), null where there is none. */
  declare bias: Parameter | null;

  constructor(numGroups: number, numChannels: number, options: GroupNormOptions = {}) {
    super();
    const { name } = this.constructor;
    requireOptions(name, options, groupNormOptions);
    const { eps = 1e-5, affine = true, bias = true, dtype } = options;
    requireInteger(name, 'numGroups', numGroups);
    requireInteger(name, 'numChannels', numChannels, -maxElements, maxElements);
    requireNormNumbers(name, eps);
    if (dtype !== undefined) requireDType(name, dtype);
    // The remainder by 0 is no number, which is not 0 either.
    if (numChannels % numGroups !== 0)
      throw new ValueError(`numChannels (${numChannels}) must be divisible by numGroups (${numGroups})`);
    this.numGroups = numGroups;
    this.numChannels = numChannels;
    this.eps = eps;
    this.affine = affine;
    this.registerParameter('weight', affine ? new Parameter(ones([numChannels], { dtype })) : null);
    this.registerParameter('bias', affine && bias ? new Parameter(zeros([numChannels], { dtype })) : null);
  }

  /** Weight to 1, bias to 0, in place. */
  resetParameters(): void {
    if (this.weight) ones_(this.weight);
    if (this.bias) zeros_(this.bias);
  }

  override get isNorm(): boolean {
    return true;
  }

  forward(x: Tensor): Tensor {
    const { weight, bias, eps } = this;
    return groupNormWith(x, this.numGroups, { weight, bias, eps });
  }

  override extraRepr(): string {
    const bias = this.affine && !this.bias ? ', bias=False' : '';
    return `${this.numGroups}, ${this.numChannels}, eps=${floatText(this.eps)}, affine=${boolText(this.affine)}${bias}`;
  }
}

declareModules({ GroupNorm });
