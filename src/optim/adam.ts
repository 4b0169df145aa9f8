// Adam and AdamW. The arithmetic is in kernels/optim/optim.cpp.

import { keepNames } from '../class_names.ts';
import { declareOptions, requireOptions } from '../options.ts';
import type { Tensor } from '../tensor/tensor.ts';
import {
  adamChecks,
  type CommonOptions,
  Optimizer,
  type OptimizerStateDict,
  optionsOf,
  type ParamGroup,
  type ParamsArgument,
} from './optimizer.ts';
import { gradientOf, partition } from './parameter_table.ts';

/** Options of `Adam` and, but for `decoupledWeightDecay`, of `AdamW`. */
export interface AdamOptions extends CommonOptions {
  /** Decay of the running means of the gradient and of its square. Default: [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Added to the root that is divided by. Default: 1e-8. */
  eps: number;
  /**
   * Divide by the largest running mean of squares so far instead of the present one (Reddi et al. 2018). Default:
   * false.
   */
  amsgrad: boolean;
  /**
   * Shrink the parameters by lr·weightDecay instead of adding weightDecay·p to the gradient (Loshchilov & Hutter 2019).
   * Default: false.
   */
  decoupledWeightDecay: boolean;
}

const defaults: AdamOptions = {
  lr: 1e-3,
  betas: [0.9, 0.999],
  eps: 1e-8,
  weightDecay: 0,
  amsgrad: false,
  maximize: false,
  decoupledWeightDecay: false,
};

/**
 * Adam (Kingma & Ba 2015; PyTorch: `optim.Adam`): p −= lr·m̂/(√v̂ + eps), with bias-corrected running means m of the
 * gradient and v of its square.
 *
 * Defaults: lr 1e-3, betas [0.9, 0.999], eps 1e-8, weightDecay 0, amsgrad and maximize false.
 * @throws ValueError on options outside their domain.
 * @example
 * const optimizer = new Adam(net.parameters(), { lr: 3e-4 });
 */
export class Adam extends Optimizer<AdamOptions> {
  constructor(params: ParamsArgument<AdamOptions>, options: Partial<AdamOptions> = {}) {
    super(params, options, defaults, adamChecks);
  }

  protected update(group: ParamGroup<AdamOptions>, withGradient: readonly Tensor[]): void {
    const { lr, betas, eps, weightDecay, amsgrad, maximize, decoupledWeightDecay } = group;
    const names = amsgrad ? ['exp_avg', 'exp_avg_sq', 'max_exp_avg_sq'] : ['exp_avg', 'exp_avg_sq'];
    // The bias corrections depend on how many steps a parameter has had.
    const all = withGradient.map((parameter) => ({
      parameter,
      gradient: gradientOf(parameter),
      step: this.countStep(parameter),
      states: names.map((name) => this.buffer(parameter, name)),
    }));
    for (const rows of partition(all, ({ step }) => step))
      rows[0].parameter.backend.launch.optimAdam(this.constructor.name, {
        table: rows,
        lr,
        beta1: betas[0],
        beta2: betas[1],
        eps,
        weightDecay,
        decoupled: decoupledWeightDecay,
        amsgrad,
        maximize,
        step: rows[0].step,
      });
  }
}

/** Options of `AdamW`. */
export type AdamWOptions = Partial<Omit<AdamOptions, 'decoupledWeightDecay'>>;
const { decoupledWeightDecay: _, ...adamWKinds } = optionsOf(defaults).kinds;
const adamWOptions = declareOptions<AdamWOptions>(adamWKinds);

/**
 * Adam with decoupled weight decay (Loshchilov & Hutter 2019; PyTorch: `optim.AdamW`). Defaults as `Adam`, but
 * weightDecay 1e-2.
 * @throws ValueError on options outside their domain.
 * @example
 * const optimizer = new AdamW(net.parameters(), { lr: 3e-4, weightDecay: 0.05 });
 */
export class AdamW extends Adam {
  constructor(params: ParamsArgument<AdamOptions>, options: AdamWOptions = {}) {
    requireOptions(new.target.name, options, adamWOptions);
    super(params, { ...options, weightDecay: options.weightDecay ?? 1e-2, decoupledWeightDecay: true });
  }

  override loadStateDict(state: OptimizerStateDict): void {
    super.loadStateDict(state);
    // A state saved by plain Adam does not make this one.
    for (const group of this.paramGroups) group.decoupledWeightDecay = true;
  }
}

keepNames({ Adam, AdamW });
