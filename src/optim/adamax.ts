// Adamax, as operations on tensors.

import { keepNames } from '../class_names.ts';
import { maximum } from '../ops/elementwise.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { adamChecks, type CommonOptions, Optimizer, type ParamGroup, type ParamsArgument } from './optimizer.ts';

/** Options of `Adamax`. */
export interface AdamaxOptions extends CommonOptions {
  /** Decay of the running mean of the gradient, and of the largest gradient. Default: [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Added to the size of each gradient. Default: 1e-8. */
  eps: number;
}

const defaults: AdamaxOptions = { lr: 2e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, maximize: false };

/**
 * Adamax (Kingma & Ba 2015; PyTorch: `optim.Adamax`): as Adam, with the largest of the decaying gradients in place of
 * the root mean square.
 *
 * Defaults: lr 2e-3, betas [0.9, 0.999], eps 1e-8, weightDecay 0, maximize false.
 * @throws ValueError on options outside their domain.
 * @example
 * const optimizer = new Adamax(net.parameters(), { lr: 1e-3 });
 */
export class Adamax extends Optimizer<AdamaxOptions> {
  constructor(params: ParamsArgument<AdamaxOptions>, options: Partial<AdamaxOptions> = {}) {
    super(params, options, defaults, adamChecks);
  }

  protected update(group: ParamGroup<AdamaxOptions>, withGradient: readonly Tensor[]): void {
    const { lr, betas, eps } = group;
    for (const parameter of withGradient) {
      const gradient = this.gradient(parameter, group);
      const step = this.countStep(parameter);
      const mean = this.buffer(parameter, 'exp_avg').lerp_(gradient, 1 - betas[0]);
      const largest = this.buffer(parameter, 'exp_inf');
      largest.copy_(maximum(largest.mul(betas[1]), gradient.abs().add(eps)));
      parameter.addcdiv_(mean, largest, { value: -lr / (1 - betas[0] ** step) });
    }
  }
}

keepNames({ Adamax });
