// Adagrad, as operations on tensors.

import { shown } from '../checks.ts';
import { keepNames } from '../class_names.ts';
import type { Tensor } from '../tensor/tensor.ts';
import {
  type Check,
  type CommonOptions,
  commonChecks,
  isRate,
  Optimizer,
  type ParamGroup,
  type ParamsArgument,
} from './optimizer.ts';

/** Options of `Adagrad`. */
export interface AdagradOptions extends CommonOptions {
  /** How fast the rate falls: it is lr / (1 + (step − 1)·lrDecay). Default: 0. */
  lrDecay: number;
  /** What the sums of squares begin with. Default: 0. */
  initialAccumulatorValue: number;
  /** Added to the root that is divided by. Default: 1e-10. */
  eps: number;
}

const defaults: AdagradOptions = {
  lr: 1e-2,
  lrDecay: 0,
  eps: 1e-10,
  weightDecay: 0,
  initialAccumulatorValue: 0,
  maximize: false,
};

const checks: readonly Check<AdagradOptions>[] = [
  commonChecks[0],
  [({ lrDecay }) => isRate(lrDecay), ({ lrDecay }) => `Invalid lrDecay value: ${shown(lrDecay)}`],
  commonChecks[1],
  [
    ({ initialAccumulatorValue }) => isRate(initialAccumulatorValue),
    ({ initialAccumulatorValue }) => `Invalid initialAccumulatorValue value: ${shown(initialAccumulatorValue)}`,
  ],
  [({ eps }) => isRate(eps), ({ eps }) => `Invalid epsilon value: ${shown(eps)}`],
];

/**
 * Adagrad (Duchi et al. 2011; PyTorch: `optim.Adagrad`): the gradient divided by the root of the sum of all squares so
 * far.
 *
 * Defaults: lr 1e-2, lrDecay 0, weightDecay 0, initialAccumulatorValue 0, eps 1e-10, maximize false.
 * @throws ValueError on options outside their domain.
 * @example
 * const optimizer = new Adagrad(net.parameters(), { lr: 0.05 });
 */
export class Adagrad extends Optimizer<AdagradOptions> {
  constructor(params: ParamsArgument<AdagradOptions>, options: Partial<AdagradOptions> = {}) {
    super(params, options, defaults, checks);
  }

  protected update(group: ParamGroup<AdagradOptions>, withGradient: readonly Tensor[]): void {
    const { lr, lrDecay, eps } = group;
    for (const parameter of withGradient) {
      const gradient = this.gradient(parameter, group);
      const rate = lr / (1 + (this.countStep(parameter) - 1) * lrDecay);
      // A group's own value begins nothing: the optimizer's does, as in PyTorch.
      const sum = this.buffer(parameter, 'sum', this.defaults.initialAccumulatorValue);
      sum.addcmul_(gradient, gradient);
      parameter.addcdiv_(gradient, sum.sqrt().add(eps), { value: -rate });
    }
  }
}

keepNames({ Adagrad });
