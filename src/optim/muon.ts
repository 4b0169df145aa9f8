// Muon, as operations on tensors.

import { shown } from '../checks.ts';
import { keepNames } from '../class_names.ts';
import { ValueError } from '../errors.ts';
import { addmm } from '../ops/linear_algebra.ts';
import { formatShape } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import {
  type Check,
  type CommonOptions,
  type GroupSpec,
  isRate,
  Optimizer,
  type ParamGroup,
  type ParamsArgument,
  type RateOption,
} from './optimizer.ts';

/** Options of `Muon`. */
export interface MuonOptions extends RateOption, Pick<CommonOptions, 'weightDecay'> {
  /** How much of the running mean of gradients goes on, at least 0. Default: 0.95. */
  momentum: number;
  /** Look ahead by the momentum. Default: true. */
  nesterov: boolean;
  /** The coefficients of the polynomial that makes a matrix orthogonal. Default: [3.4445, -4.775, 2.0315]. */
  nsCoefficients: readonly [number, number, number];
  /** The least norm of a matrix that is divided by. Default: 1e-7. */
  eps: number;
  /** How often the polynomial is applied, below 100. Default: 5. */
  nsSteps: number;
  /**
   * How the rate depends on the shape (A, B): `'original'`, or null: times √max(1, A/B); `'matchRmsAdamw'`: times
   * 0.2·√max(A, B), so that rates and decays of AdamW fit. Default: null.
   */
  adjustLrFn: 'original' | 'matchRmsAdamw' | null;
}

const defaults: MuonOptions = {
  lr: 1e-3,
  weightDecay: 0.1,
  momentum: 0.95,
  nesterov: true,
  nsCoefficients: [3.4445, -4.775, 2.0315],
  eps: 1e-7,
  nsSteps: 5,
  adjustLrFn: null,
};

const checks: readonly Check<MuonOptions>[] = [
  [({ lr }) => isRate(lr), ({ lr }) => `Learning rate should be >= 0 but is: ${shown(lr)}`],
  [({ momentum }) => isRate(momentum), ({ momentum }) => `momentum should be >= 0 but is: ${shown(momentum)}`],
  [
    ({ weightDecay }) => isRate(weightDecay),
    ({ weightDecay }) => `weight decay should be >= 0 but is: ${shown(weightDecay)}`,
  ],
  [
    ({ adjustLrFn }) => [null, 'original', 'matchRmsAdamw'].includes(adjustLrFn),
    ({ adjustLrFn }) => `Adjust learning rate function ${shown(adjustLrFn)} is not supported`,
  ],
  [({ eps }) => isRate(eps), ({ eps }) => `Invalid epsilon value: ${shown(eps)}`],
  [
    ({ nsSteps }) => Number.isInteger(nsSteps) && nsSteps >= 0 && nsSteps < 100,
    () => 'Number of steps must be less than 100 for computational efficiency',
  ],
  [
    ({ nsCoefficients: each }) => Array.isArray(each) && each.length === 3 && each.every(Number.isFinite),
    () => 'nsCoefficients must be exactly 3 values',
  ],
];

/**
 * Muon (Jordan et al. 2024; PyTorch: `optim.Muon`): moves by the running mean of gradients, made orthogonal. For the
 * matrices of hidden layers; biases, norms and embeddings are for another optimizer. The decay is decoupled.
 *
 * PyTorch makes matrices orthogonal in bfloat16, this in the parameter's dtype: for normally distributed gradients of
 * 4×4 to 512×128, its moves were 1 to 2 percent of their norm away from these.
 *
 * Defaults: lr 1e-3, weightDecay 0.1, momentum 0.95, nesterov true, nsCoefficients [3.4445, -4.775, 2.0315], eps 1e-7,
 * nsSteps 5, adjustLrFn null.
 * @throws ValueError on options outside their domain, and on parameters that are no matrices.
 * @example
 * const matrices = [...net.parameters()].filter((p) => p.rank === 2);
 * const optimizer = new Muon(matrices, { lr: 0.02 });
 */
export class Muon extends Optimizer<MuonOptions> {
  constructor(params: ParamsArgument<MuonOptions>, options: Partial<MuonOptions> = {}) {
    super(params, options, defaults, checks);
  }

  override addParamGroup(spec: GroupSpec<MuonOptions>): void {
    super.addParamGroup(spec);
    const other = this.paramGroups.at(-1)!.params.find(({ rank }) => rank !== 2);
    if (other === undefined) return;
    this.paramGroups.pop();
    throw new ValueError(
      `Muon only supports 2D parameters whereas we found a parameter with size: ${formatShape(other.shape)}`,
    );
  }

  protected update(group: ParamGroup<MuonOptions>, withGradient: readonly Tensor[]): void {
    const { lr, weightDecay, momentum, nesterov, adjustLrFn } = group;
    for (const parameter of withGradient) {
      const gradient = this.gradient(parameter, {});
      const mean = this.buffer(parameter, 'momentum_buffer').lerp_(gradient, 1 - momentum);
      const move = orthogonalized(nesterov ? gradient.lerp(mean, momentum) : mean, group);
      const [rows, columns] = parameter.shape;
      const factor =
        adjustLrFn === 'matchRmsAdamw'
          ? 0.2 * Math.sqrt(Math.max(rows, columns))
          : Math.sqrt(Math.max(1, rows / columns));
      parameter.mul_(1 - lr * weightDecay).sub_(move, { alpha: lr * factor });
    }
  }
}

/** About U·Vᵀ of the singular value decomposition: all singular values come near 1. */
function orthogonalized(matrix: Tensor, { nsCoefficients: [a, b, c], nsSteps, eps }: MuonOptions): Tensor {
  const isTall = matrix.shape[0] > matrix.shape[1];
  let x = isTall ? matrix.t() : matrix;
  x = x.div(x.norm().clamp(eps));
  for (let i = 0; i < nsSteps; i++) {
    const gram = x.matmul(x.t());
    x = addmm(x, addmm(gram, gram, gram, { beta: b, alpha: c }), x, { beta: a });
  }
  return isTall ? x.t() : x;
}

keepNames({ Muon });
