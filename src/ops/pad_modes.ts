// Padding with the tensor's own values: reflected, replicated or wrapped around. Zeros and constants are shape_ops.ts's `pad`.
import { RuntimeError } from '../errors.ts';
import { tensorOn } from '../tensor/create.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { indexSelect } from './indexing.ts';

export type IndexedPadMode = 'reflect' | 'replicate' | 'circular';

/** Where a padded position reads; positions before 0 and from n on are padding. */
const sources: Record<IndexedPadMode, (position: number, n: number) => number> = {
  reflect: (i, n) => (i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i),
  replicate: (i, n) => Math.min(Math.max(i, 0), n - 1),
  circular: (i, n) => (i + n) % n,
};

/**
 * x with [before, after] more positions in each of its last dimensions, in their order (PyTorch: `F.pad` with a mode).
 * @throws RuntimeError where reflecting or wrapping would need more values than there are.
 */
export function padIndexed(x: Tensor, pairs: readonly (readonly [number, number])[], mode: IndexedPadMode): Tensor {
  const first = x.rank - pairs.length;
  return pairs.reduce((padded, [before, after], i) => {
    if (before === 0 && after === 0) return padded;
    const dim = first + i;
    const n = x.shape[dim];
    const most = Math.max(before, after);
    if (mode === 'reflect' && most >= n)
      throw new RuntimeError(
        `Padding size should be less than the corresponding input dimension, but got: padding (${before}, ${after}) at dimension ${dim} of input ${JSON.stringify(x.shape)}`,
      );
    if (mode === 'circular' && most > n) throw new RuntimeError('Padding value causes wrapping around more than once.');
    const positions = Array.from({ length: n + before + after }, (_, p) => sources[mode](p - before, n));
    return indexSelect(padded, dim, tensorOn(x.backend, positions, 'int64'));
  }, x);
}
