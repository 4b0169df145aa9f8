// NAdam, as operations on tensors.

import { shown } from '../checks.ts';
import { keepNames } from '../class_names.ts';
import type { DType } from '../tensor/dtype.ts';
import type { Tensor } from '../tensor/tensor.ts';
import {
  adamChecks,
  type Check,
  type CommonOptions,
  isRate,
  Optimizer,
  type ParamGroup,
  type ParamsArgument,
} from './optimizer.ts';

/** Options of `NAdam`. */
export interface NAdamOptions extends CommonOptions {
  /** Decay of the running means of the gradient and of its square. Default: [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Added to the root that is divided by. Default: 1e-8. */
  eps: number;
  /** How fast the momentum grows to its full value. Default: 4e-3. */
  momentumDecay: number;
  /** Shrink the parameters by lr·weightDecay instead of adding weightDecay·p to the gradient. Default: false. */
  decoupledWeightDecay: boolean;
}

const defaults: NAdamOptions = {
  lr: 2e-3,
  betas: [0.9, 0.999],
  eps: 1e-8,
  weightDecay: 0,
  momentumDecay: 4e-3,
  decoupledWeightDecay: false,
  maximize: false,
};

const checks: readonly Check<NAdamOptions>[] = [
  ...adamChecks,
  [
    ({ momentumDecay }) => isRate(momentumDecay),
    ({ momentumDecay }) => `Invalid momentumDecay value: ${shown(momentumDecay)}`,
  ],
];

/**
 * Adam with Nesterov's momentum (Dozat 2016; PyTorch: `optim.NAdam`).
 *
 * Defaults: lr 2e-3, betas [0.9, 0.999], eps 1e-8, weightDecay 0, momentumDecay 4e-3, decoupledWeightDecay and maximize
 * false.
 * @throws ValueError on options outside their domain.
 * @example
 * const optimizer = new NAdam(net.parameters(), { lr: 1e-3 });
 */
export class NAdam extends Optimizer<NAdamOptions> {
  constructor(params: ParamsArgument<NAdamOptions>, options: Partial<NAdamOptions> = {}) {
    super(params, options, defaults, checks);
  }

  protected override scalarDtype(name: string, param: Tensor): DType | null {
    return name === 'mu_product' ? 'float32' : super.scalarDtype(name, param);
  }

  protected update(group: ParamGroup<NAdamOptions>, withGradient: readonly Tensor[]): void {
    const { lr, betas, eps, weightDecay, momentumDecay, decoupledWeightDecay } = group;
    const [beta1, beta2] = betas;
    for (const parameter of withGradient) {
      const state = this.stateOf(parameter);
      const step = this.countStep(parameter);
      if (decoupledWeightDecay && weightDecay !== 0) parameter.mul_(1 - lr * weightDecay);
      const gradient = this.gradient(parameter, decoupledWeightDecay ? { ...group, weightDecay: 0 } : group);
      const momentumAt = (at: number) => beta1 * (1 - 0.5 * 0.96 ** (at * momentumDecay));
      const [present, next] = [momentumAt(step), momentumAt(step + 1)];
      // PyTorch keeps the product in float32.
      const product = Math.fround(((state.mu_product as number | undefined) ?? 1) * Math.fround(present));
      state.mu_product = product;
      const mean = this.buffer(parameter, 'exp_avg').lerp_(gradient, 1 - beta1);
      const squares = this.buffer(parameter, 'exp_avg_sq').mul_(beta2);
      squares.addcmul_(gradient, gradient, { value: 1 - beta2 });
      const root = squares
        .div(1 - beta2 ** step)
        .sqrt()
        .add(eps);
      parameter.addcdiv_(gradient, root, { value: (-lr * (1 - present)) / (1 - product) });
      parameter.addcdiv_(mean, root, { value: (-lr * next) / (1 - product * next) });
    }
  }
}

keepNames({ NAdam });
