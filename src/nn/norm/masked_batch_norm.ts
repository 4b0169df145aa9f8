// Batch norm layers that take a mask beside their input. Which statistics they use and move is BatchNormBase's rule.

import type { batchNormWith } from '../../ops/norm/batch_norm.ts';
import { gatherUnmasked, requireTwoRows } from '../../ops/norm/masked_batch_norm.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { declareModules } from '../module_call.ts';
import { BatchNormBase, type NormOptions, requireRank } from './batch_norm.ts';

abstract class MaskedBatchNormBase extends BatchNormBase {
  /** The rows of the input that the mask has left, during a forward. */
  private rows: Tensor | null = null;

  constructor(numFeatures: number, options: NormOptions = {}) {
    super(numFeatures, options);
  }

  /** @param mask true where x counts; without one, everything does. */
  override forward(x: Tensor, mask?: Tensor): Tensor {
    if (!mask) return super.forward(x);
    this.checkInputDim(x);
    const { rows, spread } = gatherUnmasked(x, mask);
    this.rows = rows;
    try {
      return spread(this.forwardChecked(rows));
    } finally {
      this.rows = null;
    }
  }

  /** @internal */
  protected override normalize(...args: Parameters<typeof batchNormWith>): Tensor {
    const [x, , , options] = args;
    if (x === this.rows && options?.training) requireTwoRows(x);
    return super.normalize(...args);
  }
}

/**
 * Batch norm over (N, C) or (N, C, L), of which a bool mask (N) or (N, L) says what counts, so that padding of
 * sequences does not. See `maskedBatchNorm`; parameters, buffers and states are `BatchNorm1d`'s.
 * @throws ValueError on other ranks, and in training on fewer than 2 unmasked positions; RuntimeError where the mask
 * does not fit.
 * @example
 * const norm = new MaskedBatchNorm1d(6);
 * const y1 = norm(randn([4, 6, 10]), rand([4, 10]).gt(0.5));
 */
export class MaskedBatchNorm1d extends MaskedBatchNormBase {
  protected checkInputDim(x: Tensor): void {
    requireRank(x, 2, 3);
  }
}

/** As `MaskedBatchNorm1d`, over (N, C, H, W) with a mask (N, H, W), for images of several sizes in one batch. */
export class MaskedBatchNorm2d extends MaskedBatchNormBase {
  protected checkInputDim(x: Tensor): void {
    requireRank(x, 4);
  }
}

declareModules({ MaskedBatchNorm1d, MaskedBatchNorm2d });
