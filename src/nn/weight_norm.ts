// Weight norm: a weight as direction and length, learned apart. How a parameter becomes a computed one is in
// parametrize.ts.

import { div, mul, sqrt, square } from '../ops/elementwise.ts';
import { sum } from '../ops/reduce.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { normalizeDim } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Module } from './module.ts';
import { declareModules } from './module_call.ts';
import { registerParametrization } from './parametrize.ts';

/** ‖v‖ over all dimensions but one; over all of them for null. */
function normExcept(v: Tensor, dim: number | null): Tensor {
  if (dim === null) return sqrt(sum(square(v)));
  const others = v.shape.flatMap((_, d) => (d === dim ? [] : [d]));
  return others.length === 0 ? sqrt(square(v)) : sqrt(sum(square(v), others, { keepdim: true }));
}

/** w = g·v/‖v‖; PyTorch's name is in the printed form. */
class _WeightNorm extends Module {
  private readonly dim: number | null;
  constructor(dim: number | null) {
    super();
    this.dim = dim;
  }
  forward(g: Tensor, v: Tensor): Tensor {
    return mul(v, div(g, normExcept(v, this.dim)));
  }
  rightInverse(weight: Tensor): [Tensor, Tensor] {
    return [normExcept(weight, this.dim), weight];
  }
}

/** Options of `weightNorm`. */
export interface WeightNormOptions {
  /** The parameter's name. Default: `'weight'`. */
  name?: string;
  /** The dimension that keeps a length of its own; null: one length for the whole tensor. Default: 0. */
  dim?: number | null;
}
const weightNormOptions = declareOptions<WeightNormOptions>({ name: kind.string, dim: kind.integerOrNull });

/**
 * Makes a parameter w = g·v/‖v‖, with the norm over all dimensions but `dim`, so that length and direction are learned
 * apart (Salimans & Kingma 2016; PyTorch: `parametrizations.weight_norm`). Returns the module.
 *
 * g is `parametrizations.NAME.original0`, v `original1`; both are new parameters, so build the optimizer afterwards. A
 * v of zeros has no direction and gives NaN, as in PyTorch.
 * @throws ValueError where there is no such parameter; IndexError where it has no such dimension.
 * @example
 * const layer = weightNorm(new Linear(20, 40));
 */
export function weightNorm<M extends Module>(module: M, options: WeightNormOptions = {}): M {
  requireOptions('weightNorm', options, weightNormOptions);
  const { name = 'weight', dim = 0 } = options;
  const tensor = (module as unknown as Record<string, Tensor | undefined>)[name];
  const axis = dim === null || !tensor ? null : normalizeDim(dim, tensor.rank, 'weightNorm');
  return registerParametrization(module, name, new _WeightNorm(axis));
}

declareModules({ _WeightNorm });
