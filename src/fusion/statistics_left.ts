// Statistics that are left: in training a convolution leaves the statistics of its output, and the batch norm that
// follows does not read the tensor again. A norm that computed statistics leaves them too. That serves DenseNets, where
// each layer normalizes all channels before it, joined: the statistics of the parts are joined as well.
//   condition  recorded; float32 or float64; the norm in training; joined tensors: each part has its statistics left
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
  /** The tensor's version when the statistics were computed. */
  readonly version: number;
}
const left = new WeakMap<Storage, Left>();

/** Leaves the statistics of x (N, C, …) over all axes but 1. */
export function leaveStatistics(x: Tensor, batch: BatchStatistics): void {
  x.storage.companions = [batch.mean.storage, batch.m2.storage];
  left.set(x.storage, { batch, shape: x.shape, format: x.memoryFormat, version: x.version });
}

/** The statistics that were left for x, if x has not changed since; else null. */
export function statisticsLeft(x: Tensor): BatchStatistics | null {
  const note = isFusionEnabled() ? left.get(x.storage) : undefined;
  if (!note || note.version !== x.version || note.format !== x.memoryFormat || !sameShape(note.shape, x.shape))
    return null;
  // An enclosed forward or a scope may have released one of them, or both.
  const { mean, m2 } = note.batch;
  return mean.storage.isReleased || m2.storage.isReleased ? null : note.batch;
}

/** Leaves the statistics of x, which is `parts` joined along axis 1, if each part has its own left. */
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
