// Rprop, as operations on tensors.

import { shown } from '../checks.ts';
import { keepNames } from '../class_names.ts';
import type { Tensor } from '../tensor/tensor.ts';
import {
  type Check,
  type CommonOptions,
  commonChecks,
  Optimizer,
  type ParamGroup,
  type ParamsArgument,
  type RateOption,
} from './optimizer.ts';

/** Options of `Rprop`. */
export interface RpropOptions extends RateOption, Pick<CommonOptions, 'maximize'> {
  /** What a step size is multiplied by where the gradient has changed its sign, and where not. Default: [0.5, 1.2]. */
  etas: readonly [number, number];
  /** The least and the largest step size. Default: [1e-6, 50]. */
  stepSizes: readonly [number, number];
}

const defaults: RpropOptions = { lr: 1e-2, etas: [0.5, 1.2], stepSizes: [1e-6, 50], maximize: false };

const isPair = (value: unknown): boolean =>
  Array.isArray(value) && value.length === 2 && value.every((each) => Number.isFinite(each));
const stepSizeCheck = (index: 0 | 1): Check<RpropOptions> => [
  ({ stepSizes }) => Number.isFinite(stepSizes[index]),
  ({ stepSizes }) => `Invalid stepSizes parameter at index ${index}: ${shown(stepSizes[index])}`,
];
const checks: readonly Check<RpropOptions>[] = [
  commonChecks[0],
  [
    ({ etas }) => isPair(etas) && etas[0] > 0 && etas[0] < 1 && etas[1] > 1,
    ({ etas }) => `Invalid eta values: ${Array.isArray(etas) ? etas.map(shown).join(', ') : shown(etas)}`,
  ],
  [
    ({ stepSizes }) => Array.isArray(stepSizes) && stepSizes.length === 2,
    ({ stepSizes }) => `Invalid stepSizes: ${shown(stepSizes)}`,
  ],
  stepSizeCheck(0),
  stepSizeCheck(1),
];

/**
 * Resilient backpropagation (Riedmiller & Braun 1993; PyTorch: `optim.Rprop`): every value has a step size of its own,
 * which grows while its gradient keeps its sign. For gradients of the whole set of data.
 *
 * Defaults: lr 1e-2 (the first step size), etas [0.5, 1.2], stepSizes [1e-6, 50], maximize false.
 * @throws ValueError on options outside their domain.
 * @example
 * const optimizer = new Rprop(net.parameters(), { lr: 1e-3 });
 */
export class Rprop extends Optimizer<RpropOptions> {
  constructor(params: ParamsArgument<RpropOptions>, options: Partial<RpropOptions> = {}) {
    super(params, options, defaults, checks);
  }

  protected update(group: ParamGroup<RpropOptions>, withGradient: readonly Tensor[]): void {
    const { lr, etas, stepSizes } = group;
    for (const parameter of withGradient) {
      this.countStep(parameter);
      const gradient = this.gradient(parameter, group);
      const previous = this.buffer(parameter, 'prev');
      const sizes = this.buffer(parameter, 'step_size', lr);
      const product = gradient.mul(previous);
      const [hasTurned, goesOn] = [product.lt(0), product.gt(0)];
      const factors = product.sign().maskedFill(product.eq(0), 1);
      sizes.mul_(factors.maskedFill(goesOn, etas[1]).maskedFill(hasTurned, etas[0])).clamp_(...stepSizes);
      // After a turn the value stays for one step.
      const direction = gradient.maskedFill(hasTurned, 0);
      parameter.addcmul_(direction.sign(), sizes, { value: -1 });
      previous.copy_(direction);
    }
  }
}

keepNames({ Rprop });
