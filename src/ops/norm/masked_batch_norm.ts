// Batch norm over the positions that a mask leaves: they are gathered as rows, normalized as any batch is
// (batch_norm.ts), and spread out again. So padding is never read: not for statistics, not for gradients, not even if
// it is NaN.
import { RuntimeError, ValueError } from '../../errors.ts';
import { requireOptions } from '../../options.ts';
import { fullOn } from '../../tensor/create.ts';
import { requireSameDevice, requireTensor } from '../../tensor/requirements.ts';
import { formatShape, sameShape, sizeOf } from '../../tensor/shape.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { toFormat } from '../convert.ts';
import { indexAdd, indexSelect, nonzeroPositions } from '../indexing.ts';
import { permute, reshape } from '../shape_ops.ts';
import { type BatchNormOptions, batchNormOptions, batchNormWith } from './batch_norm.ts';
import { requireNormOptions } from './norm_checks.ts';

/**
 * x as rows (positions, C) of its unmasked positions, and the way back from such rows: x's shape, 0 where the mask is
 * false.
 */
export function gatherUnmasked(x: Tensor, mask: Tensor): { rows: Tensor; spread: (rows: Tensor) => Tensor } {
  requireTensor('maskedBatchNorm', x);
  requireTensor('maskedBatchNorm', mask);
  const [n, c, ...space] = x.shape;
  const positions = [n, ...space];
  if (x.rank < 2 || mask.dtype !== 'bool' || !sameShape(mask.shape, positions))
    throw new RuntimeError(
      `[maskedBatchNorm] expected x of shape (N, C, …) and a bool mask of shape (N, …), got ${formatShape(x.shape)} and a mask of ${mask.dtype} ${formatShape(mask.shape)}`,
    );
  requireSameDevice('maskedBatchNorm', x, mask);
  const index = nonzeroPositions(mask, 'maskedBatchNorm');
  const total = sizeOf(positions);
  // Channels last, and back.
  const forth = [0, ...space.map((_, d) => d + 2), 1];
  const back = [0, x.rank - 1, ...space.map((_, d) => d + 1)];
  return {
    rows: indexSelect(reshape(permute(x, forth), [total, c]), 0, index),
    spread(rows) {
      const all = indexAdd(fullOn(rows.backend, [total, c], 0, rows.dtype), 0, index, rows);
      return toFormat(permute(reshape(all, [...positions, c]), back), x.memoryFormat);
    },
  };
}

/** @throws ValueError where there are no two rows to take statistics of. */
export function requireTwoRows(rows: Tensor): void {
  if (rows.shape[0] < 2)
    throw new ValueError(
      `Expected more than 1 unmasked value per channel when training, got ${rows.shape[0]} unmasked positions`,
    );
}

/**
 * As `batchNorm` of x (N, C, …), over the positions where `mask` (N, …; bool) is true: in statistics, running updates
 * (with their number as the count) and gradients the others do not exist; their outputs are 0, whatever x is there.
 *
 * Padding that counts shifts mean and variance by the share of padding in the batch (pytorch#70529, pytorch#81985,
 * pytorch#25910). The divisor is the number of unmasked positions on every rank (keras#19848, keras#20815).
 * @throws ValueError in training on fewer than 2 unmasked positions; RuntimeError where the mask does not fit.
 * @example
 * const mask = rand([4, 8, 8]).gt(0.5); // x: (4, 6, 8, 8)
 * const y1 = maskedBatchNorm(x, mask, runningMean, runningVar, { training: true });
 */
export function maskedBatchNorm(
  x: Tensor,
  mask: Tensor,
  runningMean: Tensor | null,
  runningVar: Tensor | null,
  options: BatchNormOptions = {},
): Tensor {
  requireOptions('maskedBatchNorm', options, batchNormOptions);
  requireNormOptions('maskedBatchNorm', options);
  const { rows, spread } = gatherUnmasked(x, mask);
  if (options.training) requireTwoRows(rows);
  return spread(batchNormWith(rows, runningMean, runningVar, options));
}
