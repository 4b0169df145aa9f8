// SyncBatchNorm: batch norm whose batch is that of all processes. The exchange is in ops/norm/sync_batch_norm.ts;
// turning a network's batch norms into this layer in norm_conversion.ts.

import { worldOfJob } from '../../distributed/process_group.ts';
import { RuntimeError, ValueError } from '../../errors.ts';
import { type BatchNormOptions, batchNormWith } from '../../ops/norm/batch_norm.ts';
import type { ProcessGroup } from '../../ops/norm/process_group.ts';
import { syncBatchNormWith } from '../../ops/norm/sync_batch_norm.ts';
import { declareOptions, kind, type Options } from '../../options.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { declareModules, pathInCall } from '../module_call.ts';
import { BatchNormBase, type NormOptions, normOptions } from './batch_norm.ts';

/** A class of plain batch norm. */
export type PlainBatchNorm = new (numFeatures: number, options: NormOptions) => BatchNormBase;

/** Options of `SyncBatchNorm`. */
export interface SyncBatchNormOptions extends NormOptions {
  /**
   * The processes that share their statistics; null: all of the job, if `initProcessGroup` has been called by the time
   * of the forward. Default: null.
   */
  processGroup?: ProcessGroup | null;
}
export const syncBatchNormOptions = declareOptions<SyncBatchNormOptions>({
  ...normOptions.kinds,
  processGroup: kind.processGroup,
});

/**
 * Batch norm over (N, C, …) by the statistics of all processes' batches, in training; in evaluation, and alone, it is
 * plain batch norm (PyTorch: `nn.SyncBatchNorm`, here on the CPU too). It is no `BatchNorm2d`.
 *
 * Every process must run the layer in the same mode, forward and backward, or the job ends with an error that names
 * layer and ranks. Batches may differ in size, and may be empty. The gradients of weight and bias are this process's
 * share.
 *
 * @throws ValueError below two dimensions, on no channels, and in training on a single value per channel in all
 * processes.
 * @example
 * const bn = new SyncBatchNorm(6, { momentum: 0.05 });
 */
export class SyncBatchNorm extends BatchNormBase {
  /** The processes whose batches count together; null: all of the job. */
  processGroup: ProcessGroup | null;
  /**
   * The class that the layer had before `convertSyncBatchNorm`; null: it was built as it is.
   * @internal
   */
  plain: PlainBatchNorm | null = null;

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

  /** The processes of the present forward; null: this one is alone. */
  private get others(): ProcessGroup | null {
    const group = this.processGroup ?? worldOfJob();
    return group && group.worldSize > 1 ? group : null;
  }

  /** @internal */
  override get isLocal(): boolean {
    return this.others === null;
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
    const group = options.training && this.training ? this.others : null;
    if (!group) return batchNormWith(x, runningMean, runningVar, options);
    const name = pathInCall(this) || String(this).split('\n')[0];
    return syncBatchNormWith(x, runningMean, runningVar, group, options, name);
  }
}

declareModules({ SyncBatchNorm });
