// Statistics that ride along: in training a convolution leaves those of its output for the batch norm that follows, which then need not read
// the tensor again. A norm that had to read leaves them too, for the next one that meets these channels, joined with others: each layer of a
// DenseNet normalizes all channels before it.
//   condition  recorded; float32 or float64; the norm in training; of what was joined: those of each part have been left
//   saves      reading for statistics: 1 pass
import { type CopiedBlock, partOf } from '../device/operand.ts';
import type { BatchStatistics } from '../launch/batch_norm.ts';
import { type MemoryFormat, type Shape, sameShape } from '../tensor/shape.ts';
import type { Storage } from '../tensor/storage.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';
import type { Rule } from './fused.ts';
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
  // They may have gone with an enclosed forward or a scope, one before the other.
  const { mean, m2 } = note.batch;
  return mean.storage.isReleased || m2.storage.isReleased ? null : note.batch;
}

/** Leaves for x, which is `parts` joined along axis 1, what was left for each of them, if it was for all. */
function joinStatistics(x: Tensor, parts: readonly Tensor[]): void {
  const batches: BatchStatistics[] = [];
  for (const part of parts) {
    const batch = statisticsLeft(part);
    if (!batch) return;
    batches.push(batch);
  }
  const copies: CopiedBlock[] = [];
  const joined = (key: 'mean' | 'm2') => {
    const vector = allocate([x.shape[1]], 'float64', 'contiguous', x.backend);
    let start = 0;
    for (const { [key]: own } of batches) {
      copies.push({ from: own, to: partOf(vector, start), bytes: own.storage.byteLength });
      start += own.size;
    }
    return vector;
  };
  const batch = { count: batches[0].count, mean: joined('mean'), m2: joined('m2') };
  x.backend.launch.copyBlocks('cat', { table: copies });
  leaveStatistics(x, batch);
}

/** The rule of joining tensors. */
export const catRule: Rule<[tensors: readonly Tensor[], dim: number], Tensor> = {
  after(result, tensors, dim) {
    if (dim === 1) joinStatistics(result, tensors);
  },
};
