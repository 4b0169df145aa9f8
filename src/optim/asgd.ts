// Averaged stochastic gradient descent, as operations on tensors.

import { shown } from '../checks.ts';
import { keepNames } from '../class_names.ts';
import type { DType } from '../tensor/dtype.ts';
import type { Tensor } from '../tensor/tensor.ts';
import {
  type Check,
  type CommonOptions,
  commonChecks,
  Optimizer,
  type ParamGroup,
  type ParamsArgument,
} from './optimizer.ts';

/** Options of `ASGD`. */
export interface ASGDOptions extends CommonOptions {
  /** How much the parameters shrink by, times the rate. Default: 1e-4. */
  lambd: number;
  /** The power with which the rate falls. Default: 0.75. */
  alpha: number;
  /** The step at which averaging begins. Default: 1e6. */
  t0: number;
}

const defaults: ASGDOptions = { lr: 1e-2, lambd: 1e-4, alpha: 0.75, t0: 1e6, weightDecay: 0, maximize: false };

const finite = (name: 'lambd' | 'alpha' | 't0'): Check<ASGDOptions> => [
  (options) => Number.isFinite(options[name]),
  (options) => `Invalid ${name} value: ${shown(options[name])}`,
];
const checks: readonly Check<ASGDOptions>[] = [...commonChecks, finite('lambd'), finite('alpha'), finite('t0')];

/**
 * Averaged stochastic gradient descent (Polyak & Juditsky 1992; PyTorch: `optim.ASGD`). The averages are in the state,
 * as `ax`.
 *
 * Defaults: lr 1e-2, lambd 1e-4, alpha 0.75, t0 1e6, weightDecay 0, maximize false.
 * @throws ValueError on options outside their domain.
 * @example
 * const optimizer = new ASGD(net.parameters(), { lr: 0.1, t0: 1000 });
 */
export class ASGD extends Optimizer<ASGDOptions> {
  constructor(params: ParamsArgument<ASGDOptions>, options: Partial<ASGDOptions> = {}) {
    super(params, options, defaults, checks);
  }

  protected override scalarDtype(name: string, param: Tensor): DType | null {
    return name === 'eta' || name === 'mu' ? 'float32' : super.scalarDtype(name, param);
  }

  protected update(group: ParamGroup<ASGDOptions>, withGradient: readonly Tensor[]): void {
    const { lr, lambd, alpha, t0 } = group;
    for (const parameter of withGradient) {
      const state = this.stateOf(parameter);
      const step = this.countStep(parameter);
      const gradient = this.gradient(parameter, group);
      // PyTorch keeps both in float32.
      const eta = (state.eta as number | undefined) ?? Math.fround(lr);
      const mu = (state.mu as number | undefined) ?? 1;
      const average = this.buffer(parameter, 'ax');
      parameter.mul_(1 - lambd * eta).sub_(gradient, { alpha: eta });
      if (mu === 1) average.copy_(parameter);
      else average.add_(parameter.sub(average), { alpha: mu });
      state.eta = Math.fround(lr / (1 + lambd * lr * step) ** alpha);
      state.mu = Math.fround(1 / Math.max(1, step - t0));
    }
  }
}

keepNames({ ASGD });
