// Batch norm of the equal parts of a batch (N, C), each by its own statistics, in one call and without a copy: n rows
// of C are, in memory, C channels of n positions, channels last; so it is instance norm of the parts. When running
// statistics move is nn/norm/ghost_batch_norm.ts's.
import { defineOp } from '../../autograd/define_op.ts';
import type { BatchStatistics } from '../../launch/batch_norm.ts';
import { present, requireSameDevice } from '../../tensor/requirements.ts';
import { Tensor, viewAs } from '../../tensor/tensor.ts';
import { toFormat } from '../convert.ts';
import { narrow, reshape } from '../shape_ops.ts';
import { normalizeRows } from './row_norm.ts';

/** (N, C) as (N/rows, C, rows), channels last, of the same memory. */
const partsOp = defineOp({
  name: 'partsOfRows',
  forward: (_ctx, x: Tensor, rows: number) =>
    new Tensor([x.shape[0] / rows, x.shape[1], rows], x.dtype, 'channelsLast', x.storage),
  backward: (_ctx, [g]) => [rowsOp(toFormat(g, 'channelsLast')), null],
}) as (x: Tensor, rows: number) => Tensor;

/** Back. */
const rowsOp = defineOp({
  name: 'rowsOfParts',
  forward: (_ctx, x: Tensor) => viewAs(x, [x.shape[0] * x.shape[2], x.shape[1]]),
  backward: (_ctx, [g], { shape }) => [partsOp(g, shape[2])],
}) as (x: Tensor) => Tensor;

export interface NormalizedParts {
  /** (N, C) */
  readonly y: Tensor;
  /** Of each part, in order. */
  readonly batches: Iterable<BatchStatistics>;
}

/**
 * y = (x − mean)/√(variance + eps)·weight + bias for every `rows` rows of x (N, C), which are a divisor of N. Shapes
 * are not checked.
 */
export function batchNormOfParts(
  x: Tensor,
  rows: number,
  weight: Tensor | null,
  bias: Tensor | null,
  eps: number,
): NormalizedParts {
  requireSameDevice('batchNorm', x, ...present(weight, bias));
  const [n, c] = [x.shape[0] / rows, x.shape[1]];
  const { y, mean, m2 } = normalizeRows(partsOp(x, rows), { n, g: c, k: 1, s: rows }, weight, bias, eps, true);
  function* batches(): Generator<BatchStatistics> {
    for (let i = 0; i < n; i++) {
      const [own, spread] = [mean, m2].map((t) => reshape(narrow(t, 0, i, 1), [c]));
      yield { count: rows, mean: own, m2: spread };
    }
  }
  return { y: rowsOp(y), batches: batches() };
}
