// Adadelta, as operations on tensors.

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

/** Options of `Adadelta`. */
export interface AdadeltaOptions extends CommonOptions {
  /** Decay of the running means of squares, between 0 and 1. Default: 0.9. */
  rho: number;
  /** Added to what the roots are taken of. Default: 1e-6. */
  eps: number;
}

const defaults: AdadeltaOptions = { lr: 1, rho: 0.9, eps: 1e-6, weightDecay: 0, maximize: false };

const checks: readonly Check<AdadeltaOptions>[] = [
  commonChecks[0],
  [({ rho }) => isRate(rho) && rho <= 1, ({ rho }) => `Invalid rho value: ${shown(rho)}`],
  [({ eps }) => isRate(eps), ({ eps }) => `Invalid epsilon value: ${shown(eps)}`],
  commonChecks[1],
];

/**
 * Adadelta (Zeiler 2012; PyTorch: `optim.Adadelta`): the gradient divided by its running root mean square and
 * multiplied by that of the moves.
 *
 * Defaults: lr 1, rho 0.9, eps 1e-6, weightDecay 0, maximize false.
 * @throws ValueError on options outside their domain.
 * @example
 * const optimizer = new Adadelta(net.parameters());
 */
export class Adadelta extends Optimizer<AdadeltaOptions> {
  constructor(params: ParamsArgument<AdadeltaOptions>, options: Partial<AdadeltaOptions> = {}) {
    super(params, options, defaults, checks);
  }

  protected update(group: ParamGroup<AdadeltaOptions>, withGradient: readonly Tensor[]): void {
    const { lr, rho, eps } = group;
    for (const parameter of withGradient) {
      this.countStep(parameter);
      const gradient = this.gradient(parameter, group);
      const squares = this.buffer(parameter, 'square_avg');
      const moves = this.buffer(parameter, 'acc_delta');
      squares.mul_(rho).addcmul_(gradient, gradient, { value: 1 - rho });
      const move = moves.add(eps).sqrt().div(squares.add(eps).sqrt()).mul(gradient);
      moves.mul_(rho).addcmul_(move, move, { value: 1 - rho });
      parameter.add_(move, { alpha: -lr });
    }
  }
}

keepNames({ Adadelta });
