// SyncBatchNorm: batch norm whose batch is that of all processes. The exchange is in ops/norm/sync_batch_norm.ts;
// turning a network's batch norms into this layer in norm_conversion.ts.

import { RuntimeError, ValueError } from '../../errors.ts';
import { type BatchNormOptions, batchNormWith } from '../../ops/norm/batch_norm.ts';
import type { ProcessGroup } from '../../ops/norm/process_group.ts';
import { syncBatchNorm } from '../../ops/norm/sync_batch_norm.ts';
import { declareOptions, kind, type Options } from '../../options.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { declareModules } from '../module_call.ts';
import { BatchNormBase, type NormOptions, normOptions } from './batch_norm.ts';

/** Options of `SyncBatchNorm`. */
export interface SyncBatchNormOptions extends NormOptions {
  /** The processes that share their statistics; null: none, plain batch norm. Default: null. */
  processGroup?: ProcessGroup | null;
}
export const syncBatchNormOptions = declareOptions<SyncBatchNormOptions>({
  ...normOptions.kinds,
  processGroup: kind.processGroup,
});

/**
 * Batch norm over (N, C, …) by the statistics of all processes' batches, in training; in evaluation, alone, or without
 * a process group it is plain batch norm (PyTorch: `nn.SyncBatchNorm`, here on the CPU too). It is no `BatchNorm2d`.
 *
 * Every process must run the layer in the same mode, forward and backward, or the others wait for it. Batches may
 * differ in size, and may be empty. The gradients of weight and bias are this process's share.
 *
 * @throws ValueError below two dimensions, on no channels, and in training on a single value per channel in all
 * processes.
 * @example
 * const bn = new SyncBatchNorm(6, { processGroup: null });
 */
export class SyncBatchNorm extends BatchNormBase {
  /** The processes whose batches count together; null: this one alone. */
  processGroup: ProcessGroup | null;

  constructor(numFeatures: number, options: SyncBatchNormOptions = {}) {
    super(numFeatures, options);
    this.processGroup = options.processGroup ?? null;
  }

  /** @internal */
  protected override get knownOptions(): Options<SyncBatchNormOptions> {
    return syncBatchNormOptions;
  }

  protected checkInputDim(x: Tensor): void {
    if (x.rank < 2) throw new ValueError(`expected at least 2D input (got ${x.rank}D input)`);
    if (x.shape[1] === 0) throw new ValueError('SyncBatchNorm number of input channels should be non-zero');
  }

  /** @internal */
  override get isLocal(): boolean {
    return !this.processGroup || this.processGroup.worldSize < 2;
  }

  /** @internal */
  protected override normalize(
    x: Tensor,
    runningMean: Tensor | null,
    runningVar: Tensor | null,
    options: BatchNormOptions,
  ): Tensor {
    if (this.training && this.trackRunningStats && !this.numBatchesTracked)
      throw new RuntimeError('numBatchesTracked must not be null');
    // Evaluation by batch statistics uses those of this process alone: other processes may not be evaluating.
    if (!options.training || !this.training || this.isLocal) return batchNormWith(x, runningMean, runningVar, options);
    return syncBatchNorm(x, runningMean, runningVar, this.processGroup!, options);
  }
}

declareModules({ SyncBatchNorm });
