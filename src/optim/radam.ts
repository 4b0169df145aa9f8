// RAdam, as operations on tensors.

import { keepNames } from '../class_names.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { adamChecks, type CommonOptions, Optimizer, type ParamGroup, type ParamsArgument } from './optimizer.ts';

/** Options of `RAdam`. */
export interface RAdamOptions extends CommonOptions {
  /** Decay of the running means of the gradient and of its square. Default: [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Added to the root that is divided by. Default: 1e-8. */
  eps: number;
  /** Shrink the parameters by lr·weightDecay instead of adding weightDecay·p to the gradient. Default: false. */
  decoupledWeightDecay: boolean;
}

const defaults: RAdamOptions = {
  lr: 1e-3,
  betas: [0.9, 0.999],
  eps: 1e-8,
  weightDecay: 0,
  decoupledWeightDecay: false,
  maximize: false,
};

/**
 * Adam that trusts its running mean of squares only where it is of enough steps (Liu et al. 2020; PyTorch:
 * `optim.RAdam`).
 *
 * Defaults: lr 1e-3, betas [0.9, 0.999], eps 1e-8, weightDecay 0, decoupledWeightDecay and maximize false.
 * @throws ValueError on options outside their domain.
 * @example
 * const optimizer = new RAdam(net.parameters(), { lr: 1e-3 });
 */
export class RAdam extends Optimizer<RAdamOptions> {
  constructor(params: ParamsArgument<RAdamOptions>, options: Partial<RAdamOptions> = {}) {
    super(params, options, defaults, adamChecks);
  }

  protected update(group: ParamGroup<RAdamOptions>, withGradient: readonly Tensor[]): void {
    const { lr, betas, eps, weightDecay, decoupledWeightDecay } = group;
    const [beta1, beta2] = betas;
    for (const parameter of withGradient) {
      const step = this.countStep(parameter);
      if (decoupledWeightDecay && weightDecay !== 0) parameter.mul_(1 - lr * weightDecay);
      const gradient = this.gradient(parameter, decoupledWeightDecay ? { ...group, weightDecay: 0 } : group);
      const mean = this.buffer(parameter, 'exp_avg').lerp_(gradient, 1 - beta1);
      const squares = this.buffer(parameter, 'exp_avg_sq').mul_(beta2);
      squares.addcmul_(gradient, gradient, { value: 1 - beta2 });
      const correction2 = 1 - beta2 ** step;
      const move = mean.div(1 - beta1 ** step).mul(lr);
      // How many gradients the mean of squares is worth; above 5 it has a variance.
      const most = 2 / (1 - beta2) - 1;
      const length = most - (2 * step * beta2 ** step) / correction2;
      if (length > 5) {
        const rectified = Math.sqrt(((length - 4) * (length - 2) * most) / ((most - 4) * (most - 2) * length));
        parameter.addcdiv_(move, squares.sqrt().add(eps), { value: -Math.sqrt(correction2) * rectified });
      } else parameter.sub_(move);
    }
  }
}

keepNames({ RAdam });
