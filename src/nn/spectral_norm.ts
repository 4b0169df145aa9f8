// Spectral norm: a weight divided by its largest singular value, which power iteration estimates as training goes. How
// a parameter becomes a computed one is in parametrize.ts.

import { replayed } from '../autograd/checkpoint.ts';
import { noGrad } from '../autograd/grad_mode.ts';
import { requireInteger, requireRate } from '../checks.ts';
import { ValueError } from '../errors.ts';
import { clone } from '../ops/convert.ts';
import { div, maximum, mul, sqrt, square } from '../ops/elementwise.ts';
import { overwrite } from '../ops/in_place.ts';
import { matmul } from '../ops/matmul.ts';
import { sum } from '../ops/reduce.ts';
import { flatten, permute, transpose } from '../ops/shape_ops.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { randn } from '../tensor/random.ts';
import { normalizeDim } from '../tensor/shape.ts';
import { outsideScopes } from '../tensor/storage.ts';
import { Tensor } from '../tensor/tensor.ts';
import { TransposedConv } from './conv.ts';
import { Module } from './module.ts';
import { declareModules } from './module_call.ts';
import { registerParametrization } from './parametrize.ts';

/** Options of `spectralNorm`. */
export interface SpectralNormOptions {
  /** The parameter's name. Default: `'weight'`. */
  name?: string;
  /** Steps of power iteration each time the parameter is read in training. Default: 1. */
  nPowerIterations?: number;
  /** The least length that a vector is divided by. Default: 1e-12. */
  eps?: number;
  /**
   * The dimension of outputs: the rows of the matrix that the tensor is taken for. Default: 0, and 1 for a transposed
   * convolution.
   */
  dim?: number;
}
const spectralNormOptions = declareOptions<SpectralNormOptions>({
  name: kind.string,
  nPowerIterations: kind.integer,
  eps: kind.number,
  dim: kind.integer,
});

const unit = (v: Tensor, eps: number): Tensor => div(v, maximum(sqrt(sum(square(v))), eps));

/** w/σ, with σ = uᵀ·W·v of the estimated singular vectors; PyTorch's name is in the printed form. */
class _SpectralNorm extends Module {
  private readonly nPowerIterations: number;
  private readonly eps: number;
  private readonly dim: number;
  declare _u: Tensor;
  declare _v: Tensor;

  constructor(weight: Tensor, nPowerIterations: number, eps: number, dim: number) {
    super();
    this.nPowerIterations = nPowerIterations;
    this.eps = eps;
    this.dim = dim;
    if (weight.rank < 2) return;
    noGrad(() => {
      const matrix = this.matrixOf(weight);
      const { dtype, device } = weight;
      const [u, v] = matrix.shape.map((size) => randn([size], { dtype, device }));
      this.registerBuffer('_u', unit(u, eps));
      this.registerBuffer('_v', unit(v, eps));
      this.iterate(matrix, 15);
    });
  }

  private matrixOf(weight: Tensor): Tensor {
    const { dim } = this;
    const order = [dim, ...weight.shape.flatMap((_, d) => (d === dim ? [] : [d]))];
    return flatten(dim === 0 ? weight : permute(weight, order), 1);
  }

  /** u ← W·v and v ← Wᵀ·u, each to length 1, in place. */
  private iterate(matrix: Tensor, count: number): void {
    const transposed = transpose(matrix, 0, 1);
    for (let i = 0; i < count; i++) {
      overwrite(this._u, unit(matmul(matrix, this._v), this.eps));
      overwrite(this._v, unit(matmul(transposed, this._u), this.eps));
    }
  }

  forward(weight: Tensor): Tensor {
    if (weight.rank < 2) return unit(weight, this.eps);
    const matrix = this.matrixOf(weight);
    const vectors = () => ({ u: clone(this._u), v: clone(this._v) });
    // Copies: the next forward changes the vectors, and this backward needs the present ones. A checkpoint's second run
    // changes nothing.
    const { u, v } = replayed(
      () =>
        noGrad(() => {
          if (this.training) this.iterate(matrix, this.nPowerIterations);
          return vectors();
        }),
      (first) => outsideScopes(() => ({ u: clone(first.u), v: clone(first.v) })),
    );
    return div(weight, sum(mul(u, matmul(matrix, v))));
  }

  rightInverse(value: Tensor): Tensor {
    return value;
  }
}

/**
 * Makes a parameter w/σ(w), with σ the largest singular value of w as a matrix (outputs, rest), which bounds the
 * layer's Lipschitz constant (Miyato et al. 2018; PyTorch: `parametrizations.spectral_norm`). A vector is divided by
 * its length. Returns the module.
 *
 * w is `parametrizations.NAME.original`, the same parameter as before; the singular vectors are the buffers `0._u` and
 * `0._v` beside it. They start random, from the default generator, with 15 steps of power iteration, and each reading
 * in training adds `nPowerIterations`; in evaluation they stay. A value that is assigned is stored as it is, and then
 * divided.
 * @throws ValueError where there is no such parameter, or no step; IndexError where it has no such dimension.
 * @example
 * const layer = spectralNorm(new Linear(20, 40), { nPowerIterations: 2 });
 */
export function spectralNorm<M extends Module>(module: M, options: SpectralNormOptions = {}): M {
  requireOptions('spectralNorm', options, spectralNormOptions);
  const {
    name = 'weight',
    nPowerIterations = 1,
    eps = 1e-12,
    dim = module instanceof TransposedConv ? 1 : 0,
  } = options;
  const weight = (module as unknown as Record<string, unknown>)[name];
  if (!(weight instanceof Tensor))
    throw new ValueError(`Module '${module}' has no parameter or buffer with name '${name}'`);
  requireInteger('spectralNorm', 'nPowerIterations', nPowerIterations);
  requireRate('spectralNorm', 'eps', eps);
  if (nPowerIterations < 1)
    throw new ValueError(`Expected nPowerIterations to be positive, but got nPowerIterations=${nPowerIterations}`);
  const map = new _SpectralNorm(weight, nPowerIterations, eps, normalizeDim(dim, weight.rank, 'spectralNorm'));
  return registerParametrization(module, name, map);
}

declareModules({ _SpectralNorm });
