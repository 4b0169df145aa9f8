// Normalization of rows: what layer norm, RMS norm, group norm and instance norm have in common. A tensor is seen as (n, g, k, s);
// each of its n·g rows of k·s values is brought to mean 0 and variance 1 (RMS: only to mean square 1), then times a weight and plus a
// bias that belong to one of the g·k. Not here: which axes these are and what is checked (layer_norm.ts, group_norm.ts, …).
import type { Tensor } from '../tensor/tensor.ts';
import { add, mul, rsqrt, square, sub } from './elementwise.ts';
import { toFormat } from './launch.ts';
import { mean as meanOf, sum } from './reduce.ts';
import { reshape } from './shape_ops.ts';

/** How rows lie in a tensor: contiguous (n, g, k, s); in channels-last order (n, s, g, k). */
export interface RowView {
  readonly n: number;
  readonly g: number;
  readonly k: number;
  readonly s: number;
}

export interface NormalizedRows {
  /** In x's shape and memory format. */
  readonly y: Tensor;
  /** (n, g), float64; for RMS zeros. Constants for autograd, like m2. */
  readonly mean: Tensor;
  /** (n, g), float64: Σ(x − mean)² of each row. */
  readonly m2: Tensor;
}

/**
 * y = (x − mean)/√(m2/(k·s) + eps)·weight + bias for every row of `view`; without `centred` the mean is taken as 0 (RMS).
 * `weight` and `bias` hold g·k values, or are null. Nothing is checked.
 */
export function normalizeRows(
  x: Tensor,
  { n, g, k, s }: RowView,
  weight: Tensor | null,
  bias: Tensor | null,
  eps: number,
  centred: boolean,
): NormalizedRows {
  const rows = reshape(toFormat(x, 'contiguous'), [n, g, k * s]);
  const keep = { keepdim: true };
  const centre = centred ? sub(rows, meanOf(rows, [2], keep)) : rows;
  const normal = reshape(mul(centre, rsqrt(add(meanOf(square(centre), [2], keep), eps))), [n, g, k, s]);
  const scaled = weight ? mul(normal, reshape(weight, [1, g, k, 1])) : normal;
  const shifted = bias ? add(scaled, reshape(bias, [1, g, k, 1])) : scaled;
  const exact = rows.detach().to('float64');
  const mean = centred ? meanOf(exact, [2]) : mul(meanOf(exact, [2]), 0);
  const m2 = sum(square(sub(exact, reshape(mean, [n, g, 1]))), [2]);
  return { y: toFormat(reshape(shifted, x.shape), x.memoryFormat), mean, m2 };
}
