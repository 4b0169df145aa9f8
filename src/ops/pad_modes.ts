// Padding with the tensor's own values: reflected, replicated or wrapped around. Zeros and constants are shape_ops.ts's `pad`.
import { maxElements, requireChoice, requireCountable, requireInteger } from '../checks.ts';
import { RuntimeError } from '../errors.ts';
import { tensor } from '../tensor/create.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { indexSelect } from './indexing.ts';
import { requireTensor } from './launch.ts';

export type IndexedPadMode = 'reflect' | 'replicate' | 'circular';

type Source = (position: number) => number;

/** Where a position of the result reads, for `before` and `after` more positions than n, or fewer. */
const sources: Record<IndexedPadMode, (before: number, after: number, n: number) => Source> = {
  reflect: (before, _after, n) => (p) => {
    const i = p - before;
    return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i;
  },
  replicate: (before, _after, n) => (p) => Math.min(Math.max(p - before, 0), n - 1),
  // What is left after cutting goes around.
  circular: (before, after, n) => {
    const kept = n + Math.min(0, before) + Math.min(0, after);
    return (p) => Math.max(0, -before) + ((((p - Math.max(0, before)) % kept) + kept) % kept);
  },
};

/**
 * x with [before, after] more positions in each of its last dimensions, in their order; negative ones cut (PyTorch: `F.pad` with a mode).
 * @throws RuntimeError where reflecting or wrapping would need more values than there are, or nothing would be left.
 */
export function padIndexed(x: Tensor, pairs: readonly (readonly [number, number])[], mode: IndexedPadMode): Tensor {
  requireTensor('padIndexed', x);
  requireChoice('padIndexed', 'mode', mode, ['reflect', 'replicate', 'circular']);
  for (const [before, after] of pairs) {
    requireInteger('padIndexed', 'padding', before, -maxElements, maxElements);
    requireInteger('padIndexed', 'padding', after, -maxElements, maxElements);
  }
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
    const kept = n + Math.min(0, before) + Math.min(0, after);
    const length = n + before + after;
    if (length < 1 || (mode === 'circular' && kept < 1))
      throw new RuntimeError(
        `[padIndexed] expected at least one position left in dimension ${dim} of size ${n}, got padding (${before}, ${after})`,
      );
    requireCountable(
      padded.shape.map((size, d) => (d === dim ? length : size)),
      'padIndexed',
    );
    const source = sources[mode](before, after, n);
    const positions = Array.from({ length }, (_, p) => source(p));
    return indexSelect(padded, dim, tensor(positions, { dtype: 'int64' }));
  }, x);
}
