// Group normalization (Wu & He 2018): every sample's channels in groups, each brought to mean 0 and variance 1. The
// checks and the view of a group as a row; the arithmetic is in row_norm.ts.
import { requireInteger } from '../../checks.ts';
import { RuntimeError, ValueError } from '../../errors.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { requireFloat, requireTensor } from '../../tensor/requirements.ts';
import { formatShape, sizeOf } from '../../tensor/shape.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { emptyResult, requireAlike, requireEps, requireNormNumber } from './norm_checks.ts';
import { normalizeRows } from './row_norm.ts';

/** Options of `groupNorm`. */
export interface GroupNormOptions {
  /** The factor of each channel (C); null: 1. Default: null. */
  weight?: Tensor | null;
  /** What is added to each channel (C); null: 0. Default: null. */
  bias?: Tensor | null;
  /** Added to the variance. Default: 1e-5. */
  eps?: number;
}
const groupNormOptions = declareOptions<GroupNormOptions>({
  weight: kind.tensor,
  bias: kind.tensor,
  eps: kind.numeric,
});

/**
 * Normalization of x (N, C, …) over each group of C / numGroups neighbouring channels of a sample, then times weight
 * plus bias per channel (PyTorch: `F.group_norm`). Keeps the memory format.
 *
 * @throws ValueError where there is a single value in all; RuntimeError on groups, sizes or dtypes that do not fit.
 * @example
 * const y = groupNorm(randn([4, 6, 8, 8]), 3);
 */
export function groupNorm(x: Tensor, numGroups: number, options: GroupNormOptions = {}): Tensor {
  requireOptions('groupNorm', options, groupNormOptions);
  return groupNormWith(x, numGroups, options);
}
/** For the layer. */
export function groupNormWith(x: Tensor, numGroups: number, options: GroupNormOptions): Tensor {
  const { weight = null, bias = null, eps = 1e-5 } = options;
  requireTensor('groupNorm', x);
  if (x.rank < 2) throw new RuntimeError(`Expected at least 2 dimensions for input tensor but received ${x.rank}`);
  const [n, c, ...spatial] = x.shape;
  const s = sizeOf(spatial);
  // PyTorch counts the values of a group over the whole batch: two samples of one value each pass, and give 0.
  const perGroup = Math.floor((n * c) / numGroups);
  if (numGroups > 0 && perGroup * s === 1)
    throw new ValueError(
      `Expected more than 1 value per channel when training, got input size ${formatShape([perGroup, numGroups, ...spatial])}`,
    );
  requireInteger('groupNorm', 'numGroups', numGroups);
  requireNormNumber('groupNorm', 'eps', eps);
  requireEps('groupNorm', eps);
  if (numGroups <= 0) throw new RuntimeError(`Expected num groups to be greater than 0, got ${numGroups}`);
  if (c % numGroups !== 0)
    throw new RuntimeError(
      `Expected number of channels in input to be divisible by numGroups, but got input of shape ${formatShape(x.shape)} and numGroups=${numGroups}`,
    );
  requireVector('weight', weight, weight, x);
  requireVector('bias', bias, weight, x);
  requireFloat('groupNorm', x);
  requireAlike('groupNorm', x, weight, bias);
  if (x.size === 0) return emptyResult(x, weight, bias);
  return normalizeRows(x, { n, g: numGroups, k: c / numGroups, s }, weight, bias, Number(eps), true).y;
}

/** `shown`: whose shape PyTorch's text gives, the weight's for both. */
function requireVector(name: string, value: Tensor | null, shown: Tensor | null, x: Tensor): void {
  if (!value) return;
  requireTensor('groupNorm', value);
  if (value.rank !== 1 || value.size !== x.shape[1])
    throw new RuntimeError(
      `Expected ${name} to be a vector of size equal to the number of channels in input, but got ${name} of shape ${formatShape(shown?.shape ?? [0])} and input of shape ${formatShape(x.shape)}`,
    );
}
