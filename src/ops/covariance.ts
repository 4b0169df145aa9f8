// Covariances, correlations, and slices of limited norms.
import { requireInteger, requireNumber } from '../checks.ts';
import { RuntimeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { fullOn } from '../tensor/create.ts';
import { isFloat } from '../tensor/dtype.ts';
import { requireSameDevice, requireTensor } from '../tensor/requirements.ts';
import { normalizeDim } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { warn } from '../warnings.ts';
import { cast } from './convert.ts';
import { diagonal } from './diagonals.ts';
import { add, clamp, div, gt, lt, mul, sqrt, sub, where } from './elementwise.ts';
import { matmul } from './matmul.ts';
import { any, sum } from './reduce.ts';
import { reshape, squeeze, transpose, unsqueeze } from './shape_ops.ts';
import { norm } from './statistics.ts';

/** Options of `cov`. */
export interface CovOptions {
  /** Subtracted from the number of observations. Default: 1. */
  correction?: number;
  /** How often each observation has been made; integers. Default: once. */
  fweights?: Tensor | null;
  /** How much each observation counts. Default: 1. */
  aweights?: Tensor | null;
}
const covOptions = declareOptions<CovOptions>({
  correction: kind.integer,
  fweights: kind.tensor,
  aweights: kind.tensor,
});

function requireWeights(x: Tensor, count: number, name: 'fweights' | 'aweights', weights: Tensor): void {
  requireSameDevice('cov', x, weights);
  if (weights.rank > 1)
    throw new RuntimeError(
      `cov(): expected ${name} to have one or fewer dimensions but got ${name} with ${weights.rank} dimensions`,
    );
  const isFrequency = name === 'fweights';
  if (isFloat(weights.dtype) === isFrequency || weights.dtype === 'bool')
    throw new RuntimeError(
      `cov(): expected ${name} to have ${isFrequency ? 'integral' : 'floating point'} dtype but got ${name} with ${weights.dtype} dtype`,
    );
  if (weights.size !== count)
    throw new RuntimeError(
      `cov(): expected ${name} to have the same numel as there are observations in the input but got ${weights.size} != ${count}`,
    );
  if (count > 0 && weights.device !== 'meta' && any(lt(weights, 0)).item())
    throw new RuntimeError(`cov(): ${name} cannot be negative`);
}

/**
 * The covariances of variables (rows) over observations (columns); of a vector its variance (PyTorch: `torch.cov`).
 * @throws RuntimeError on more than two dimensions, on bool, and on weights that do not fit.
 * @example
 * cov(tensor([[0, 1, 2], [2, 1, 0]])); // [[1, -1], [-1, 1]]
 */
export function cov(x: Tensor, options: CovOptions = {}): Tensor {
  requireTensor('cov', x);
  requireOptions('cov', options, covOptions);
  const { correction = 1, fweights = null, aweights = null } = options;
  requireInteger('cov', 'correction', correction);
  if (x.rank > 2)
    throw new RuntimeError(
      `cov(): expected input to have two or fewer dimensions but got an input with ${x.rank} dimensions`,
    );
  if (x.dtype === 'bool') throw new RuntimeError('cov(): bool dtype is not supported for input');
  const given = x.rank < 2 ? reshape(x, [1, x.size]) : x;
  const rows = isFloat(x.dtype) ? given : cast(given, aweights?.dtype === 'float64' ? 'float64' : 'float32');
  const count = rows.shape[1];
  if (fweights) requireWeights(x, count, 'fweights', fweights);
  if (aweights) requireWeights(x, count, 'aweights', aweights);
  const w = fweights && aweights ? mul(fweights, aweights) : (fweights ?? aweights);
  const total = w ? sum(w) : null;
  const isMeta = x.device === 'meta';
  if (total && !isMeta && total.item() === 0) throw new RuntimeError("cov(): weights sum to zero, can't be normalized");
  const factors = w && cast(w, rows.dtype);
  const weighted = (t: Tensor) => (factors ? mul(t, factors) : t);
  const centred = sub(rows, unsqueeze(div(sum(weighted(rows), 1), total ?? count), 1));
  const products = matmul(centred, transpose(weighted(centred), 0, 1));
  const freedom =
    total && w && aweights && correction !== 0
      ? sub(total, div(mul(sum(mul(w, aweights)), correction), total))
      : sub(total ?? fullOn(x.backend, [], count, 'int64'), correction);
  if (!isMeta && freedom.item() <= 0)
    warn('cov(): degrees of freedom is <= 0. Correction should be strictly less than the number of observations.');
  return squeeze(div(products, clamp(freedom, 0)));
}

/**
 * The correlations (Pearson's) of variables (rows) over observations (columns) (PyTorch: `torch.corrcoef`).
 * @throws RuntimeError on more than two dimensions.
 */
export function corrcoef(x: Tensor): Tensor {
  requireTensor('corrcoef', x);
  if (x.rank > 2)
    throw new RuntimeError(
      `corrcoef(): expected input to have two or fewer dimensions but got an input with ${x.rank} dimensions`,
    );
  const c = cov(x);
  if (c.rank === 0) return div(c, c);
  const deviations = sqrt(diagonal(c));
  return clamp(div(div(c, unsqueeze(deviations, 1)), unsqueeze(deviations, 0)), -1, 1);
}

/**
 * x whose slices along a dimension have p-norms of at most `maxnorm`; longer ones are shortened (PyTorch:
 * `torch.renorm`).
 * @throws RuntimeError on fewer than two dimensions, and unless p is positive and `maxnorm` is not negative.
 */
export function renorm(x: Tensor, p: number, dim: number, maxnorm: number): Tensor {
  requireTensor('renorm', x);
  requireNumber('renorm', 'p', p);
  requireNumber('renorm', 'maxnorm', maxnorm);
  if (p <= 0) throw new RuntimeError('renorm: non-positive-norm not supported');
  if (maxnorm < 0) throw new RuntimeError(`renorm: expected maxnorm to be >= 0 but got ${maxnorm}`);
  if (x.rank < 2)
    throw new RuntimeError(
      `renorm: input needs at least 2 dimensions, got ${x.rank} dimension${x.rank === 1 ? '' : 's'}`,
    );
  const d = normalizeDim(dim, x.rank, 'renorm');
  const others = x.shape.map((_, i) => i).filter((i) => i !== d);
  const lengths = norm(x, p, others, { keepdim: true });
  return mul(x, where(gt(lengths, maxnorm), div(maxnorm, add(lengths, 1e-7)), 1));
}
