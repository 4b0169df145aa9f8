// RMSprop. The arithmetic is in kernels/optim/optim.cpp.

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
import { gradientOf, partition } from './parameter_table.ts';

/** Options of `RMSprop`. */
export interface RMSpropOptions extends CommonOptions {
  /** Decay of the running mean of squares. Default: 0.99. */
  alpha: number;
  /** Added to the root that is divided by. Default: 1e-8. */
  eps: number;
  /** How much of the last move goes on, at least 0. Default: 0. */
  momentum: number;
  /** Divide by the standard deviation instead of the root mean square. Default: false. */
  centered: boolean;
}

const defaults: RMSpropOptions = {
  lr: 1e-2,
  momentum: 0,
  alpha: 0.99,
  eps: 1e-8,
  centered: false,
  weightDecay: 0,
  maximize: false,
};

const checks: readonly Check<RMSpropOptions>[] = [
  commonChecks[0],
  [({ eps }) => isRate(eps), ({ eps }) => `Invalid epsilon value: ${shown(eps)}`],
  [({ momentum }) => isRate(momentum), ({ momentum }) => `Invalid momentum value: ${shown(momentum)}`],
  commonChecks[1],
  [({ alpha }) => isRate(alpha), ({ alpha }) => `Invalid alpha value: ${shown(alpha)}`],
];

/**
 * RMSprop (Hinton 2012; PyTorch: `optim.RMSprop`): the gradient divided by a running root mean square of itself.
 *
 * Defaults: lr 1e-2, alpha 0.99, eps 1e-8, weightDecay 0, momentum 0, centered and maximize false.
 * @throws ValueError on options outside their domain.
 */
export class RMSprop extends Optimizer<RMSpropOptions> {
  constructor(params: ParamsArgument<RMSpropOptions>, options: Partial<RMSpropOptions> = {}) {
    super(params, options, defaults, checks);
  }

  protected update(group: ParamGroup<RMSpropOptions>, withGradient: readonly Tensor[]): void {
    const { lr, alpha, eps, weightDecay, momentum, centered, maximize } = group;
    const all = withGradient.map((parameter) => {
      this.countStep(parameter);
      const squares = this.buffer(parameter, 'square_avg');
      // A column that the kernel does not touch may hold anything.
      const velocity = momentum > 0 ? this.buffer(parameter, 'momentum_buffer') : squares;
      const states = centered ? [squares, velocity, this.buffer(parameter, 'grad_avg')] : [squares, velocity];
      return { parameter, gradient: gradientOf(parameter), states };
    });
    for (const rows of partition(all))
      rows[0].parameter.backend.launch.optimRmsprop('RMSprop', {
        table: rows,
        lr,
        alpha,
        eps,
        weightDecay,
        momentum,
        centered,
        maximize,
      });
  }
}

keepNames({ RMSprop });
