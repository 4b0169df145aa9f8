// Adafactor, as operations on tensors.

import { shown } from '../checks.ts';
import { keepNames } from '../class_names.ts';
import type { Shape } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import {
  type Check,
  type CommonOptions,
  isRate,
  Optimizer,
  type ParamGroup,
  type ParamsArgument,
} from './optimizer.ts';

/** Options of `Adafactor`. */
export interface AdafactorOptions extends CommonOptions {
  /** The decay of the running mean of squares is 1 − step^beta2Decay; at most 0. Default: -0.8. */
  beta2Decay: number;
  /**
   * The least root mean square of gradients that is divided by, null for the dtype's smallest difference from 1; and
   * the least size of a parameter that moves are in proportion to. Default: [null, 1e-3].
   */
  eps: readonly [number | null, number];
  /** The largest root mean square of a move before the rate, at least 1. Default: 1. */
  d: number;
}

const defaults: AdafactorOptions = {
  lr: 1e-2,
  beta2Decay: -0.8,
  eps: [null, 1e-3],
  d: 1,
  weightDecay: 0,
  maximize: false,
};

const checks: readonly Check<AdafactorOptions>[] = [
  [({ lr }) => isRate(lr), ({ lr }) => `Learning rate should be >= 0 but is: ${shown(lr)}`],
  [
    ({ beta2Decay }) => Number.isFinite(beta2Decay) && beta2Decay <= 0,
    ({ beta2Decay }) => `beta2Decay should be <= 0 but is: ${shown(beta2Decay)}`,
  ],
  [({ eps }) => Array.isArray(eps) && eps.length === 2, ({ eps }) => `eps should be two values but is: ${shown(eps)}`],
  [({ eps }) => eps[0] === null || isRate(eps[0]), ({ eps }) => `epsilon1 should be >= 0 but is: ${shown(eps[0])}`],
  [({ eps }) => isRate(eps[1]), ({ eps }) => `epsilon2 should be >= 0 but is: ${shown(eps[1])}`],
  [({ d }) => isRate(d) && d >= 1, ({ d }) => `Clipping threshold d should be >= 1 but is: ${shown(d)}`],
  [
    ({ weightDecay }) => isRate(weightDecay),
    ({ weightDecay }) => `weightDecay should be >= 0 but is: ${shown(weightDecay)}`,
  ],
];

/** The root mean square, without dimensions. */
const rms = (x: Tensor): Tensor => x.square().mean().sqrt();

/**
 * Adafactor (Shazeer & Stern 2018; PyTorch: `optim.Adafactor`): of the squared gradients of a matrix only the means of
 * rows and columns are kept, and moves are in proportion to the parameters. The decay is decoupled.
 *
 * Defaults: lr 1e-2 (the largest relative rate), beta2Decay -0.8, eps [null, 1e-3], d 1, weightDecay 0, maximize false.
 * @throws ValueError on options outside their domain.
 * @example
 * const optimizer = new Adafactor(net.parameters(), { lr: 0.02 });
 */
export class Adafactor extends Optimizer<AdafactorOptions> {
  constructor(params: ParamsArgument<AdafactorOptions>, options: Partial<AdafactorOptions> = {}) {
    super(params, options, defaults, checks);
  }

  protected override shapeOfState({ shape, rank }: Tensor, name: string): Shape {
    if (name === 'row_var') return shape.with(rank - 1, 1);
    return name === 'col_var' ? shape.with(rank - 2, 1) : shape;
  }

  protected update(group: ParamGroup<AdafactorOptions>, withGradient: readonly Tensor[]): void {
    const { lr, beta2Decay, eps, d, weightDecay, maximize } = group;
    for (const parameter of withGradient) {
      const least = eps[0] ?? (parameter.dtype === 'float32' ? 2 ** -23 : 2 ** -52);
      const step = this.countStep(parameter);
      const gradient = this.gradient(parameter, { maximize });
      const share = step ** beta2Decay;
      const rate = rms(parameter)
        .clamp(eps[1])
        .mul(Math.min(lr, 1 / Math.sqrt(step)));
      if (weightDecay !== 0) parameter.mul_(1 - lr * weightDecay);
      const variance = this.variance(parameter, gradient, share, least);
      const move = variance
        .clamp(least * least)
        .rsqrt()
        .mul(gradient);
      parameter.sub_(move.mul(rate.div(rms(move).div(d).clamp(1))));
    }
  }

  private variance(parameter: Tensor, gradient: Tensor, share: number, least: number): Tensor {
    const squares = gradient.square();
    if (parameter.rank < 2) return this.buffer(parameter, 'variance').lerp_(squares, share);
    const rows = this.buffer(parameter, 'row_var').lerp_(squares.mean(-1, { keepdim: true }), share);
    const columns = this.buffer(parameter, 'col_var').lerp_(squares.mean(-2, { keepdim: true }), share);
    return rows.mul(columns).div(rows.mean(-2, { keepdim: true }).clamp(least));
  }
}

keepNames({ Adafactor });
