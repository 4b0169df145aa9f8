// Stochastic gradient descent with momentum. The arithmetic is in kernels/optim/optim.cpp.

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

/** Options of `SGD`. */
export interface SGDOptions extends CommonOptions {
  /** How much of the last move goes on, at least 0. Default: 0. */
  momentum: number;
  /** The share of the gradient that does not enter the momentum. Default: 0. */
  dampening: number;
  /** Look ahead by the momentum (Nesterov 1983); needs a momentum and no dampening. Default: false. */
  nesterov: boolean;
}

const defaults: SGDOptions = { lr: 1e-3, momentum: 0, dampening: 0, weightDecay: 0, nesterov: false, maximize: false };

const checks: readonly Check<SGDOptions>[] = [
  commonChecks[0],
  [({ momentum }) => isRate(momentum), ({ momentum }) => `Invalid momentum value: ${shown(momentum)}`],
  [({ dampening }) => Number.isFinite(dampening), ({ dampening }) => `Invalid dampening value: ${shown(dampening)}`],
  commonChecks[1],
  [
    ({ nesterov, momentum, dampening }) => !nesterov || (momentum > 0 && dampening === 0),
    () => 'Nesterov momentum requires a momentum and zero dampening',
  ],
];

/**
 * Stochastic gradient descent (PyTorch: `optim.SGD`): g += weightDecay·p; buf = momentum·buf + (1 − dampening)·g; p −=
 * lr·buf.
 *
 * Defaults: lr 1e-3, momentum 0, dampening 0, weightDecay 0, nesterov and maximize false.
 * @throws ValueError on options outside their domain.
 * @example
 * const optimizer = new SGD(net.parameters(), { lr: 0.1, momentum: 0.9 });
 */
export class SGD extends Optimizer<SGDOptions> {
  constructor(params: ParamsArgument<SGDOptions>, options: Partial<SGDOptions> = {}) {
    super(params, options, defaults, checks);
  }

  protected update(group: ParamGroup<SGDOptions>, withGradient: readonly Tensor[]): void {
    const { lr, momentum, dampening, weightDecay, nesterov, maximize } = group;
    // A buffer begins as the first gradient, so newcomers need a call of their own.
    const all = withGradient.map((parameter) => {
      const isFirst = momentum !== 0 && !this.state.get(parameter)?.momentum_buffer;
      const states = momentum === 0 ? [] : [this.buffer(parameter, 'momentum_buffer')];
      return { parameter, gradient: gradientOf(parameter), states, isFirst };
    });
    for (const rows of partition(all, ({ isFirst }) => Number(isFirst)))
      rows[0].parameter.backend.launch.optimSgd('SGD', {
        table: rows,
        lr,
        momentum,
        dampening,
        weightDecay,
        nesterov,
        maximize,
        first: rows[0].isFirst,
      });
  }
}

keepNames({ SGD });
