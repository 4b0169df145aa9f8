// Statistics that ride along: in training a convolution leaves those of its output for the batch norm that follows, which then need not read
// the tensor again.
import type { BatchStatistics } from '../ops/batch_norm_kernels.ts';
import { type MemoryFormat, type Shape, sameShape } from '../tensor/shape.ts';
import type { Storage } from '../tensor/storage.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { isFusionEnabled } from './switch.ts';

interface Left {
  readonly batch: BatchStatistics;
  readonly shape: Shape;
  readonly format: MemoryFormat;
  /** Of the values that were counted. */
  readonly version: number;
}
const left = new WeakMap<Storage, Left>();

/** Notes the statistics of x (N, C, …) over all axes but 1. */
export function leaveStatistics(x: Tensor, batch: BatchStatistics): void {
  x.storage.companions = [batch.mean.storage, batch.m2.storage];
  left.set(x.storage, { batch, shape: x.shape, format: x.memoryFormat, version: x.version });
}

/** The statistics that were left for x, if they are still those of its values; else null. */
export function statisticsLeft(x: Tensor): BatchStatistics | null {
  const note = isFusionEnabled() ? left.get(x.storage) : undefined;
  if (!note || note.version !== x.version || note.format !== x.memoryFormat || !sameShape(note.shape, x.shape))
    return null;
  return note.batch.mean.storage.isReleased ? null : note.batch;
}
