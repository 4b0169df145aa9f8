// Padding: with a constant, or with the tensor's own values: reflected, replicated or wrapped around.
import {
  maxElements,
  requireChoice,
  requireCountable,
  requireInteger,
  requireIntegers,
  requireNumber,
} from '../checks.ts';
import { RuntimeError, ValueError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { tensor } from '../tensor/create.ts';
import { formatShape } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { indexSelect } from './indexing.ts';
import { requireTensor } from './launch.ts';
import { padConstant } from './shape_ops.ts';

export type IndexedPadMode = 'reflect' | 'replicate' | 'circular';
export type PadMode = 'constant' | IndexedPadMode;
const padModes: readonly PadMode[] = ['constant', 'reflect', 'replicate', 'circular'];

/** Where a padded position reads; positions before 0 and from n on are padding. */
const sources: Record<IndexedPadMode, (position: number, n: number) => number> = {
  reflect: (i, n) => (i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i),
  replicate: (i, n) => Math.min(Math.max(i, 0), n - 1),
  circular: (i, n) => (i + n) % n,
};

export interface PadOptions {
  /** What the new positions hold: `value`, or x's own values mirrored at its ends, the outermost one again, or those of the other end. Default: `'constant'`. */
  mode?: PadMode;
  /** For `'constant'` only. Default: 0. */
  value?: number;
}
const padOptions = declareOptions<PadOptions>({ mode: kind.choice, value: kind.number });

/**
 * x with more positions around it; `padding` lists (before, after) pairs from the last dimension on, of which negative ones cut in mode
 * `'constant'` (PyTorch: `F.pad`).
 * @throws RuntimeError on more pairs than dimensions, and where reflecting or wrapping would need more values than there are.
 * @example
 * const y1 = pad(x, [1, 1]); // a column of zeros left and right
 * const y2 = pad(x, [2, 2, 0, 1], { mode: 'replicate' });
 */
export function pad(x: Tensor, padding: readonly number[], options: PadOptions = {}): Tensor {
  requireOptions('pad', options, padOptions);
  requireTensor('pad', x);
  const { mode = 'constant', value } = options;
  requireChoice('pad', 'mode', mode, padModes);
  if (mode === 'constant') return padConstant(x, padding, requireNumber('pad', 'value', value ?? 0));
  if (value !== undefined && value !== 0) throw new ValueError(`Padding mode "${mode}" doesn't take in value argument`);
  requireIntegers('pad', 'padding', padding);
  if (padding.length % 2 !== 0) throw new RuntimeError('Padding length must be divisible by 2');
  if (padding.length > 2 * x.rank)
    throw new RuntimeError(
      `Padding length should be less than or equal to two times the input dimension but got padding length ${padding.length} and input of dimension ${x.rank}`,
    );
  const pairs = Array.from({ length: padding.length / 2 }, (_, i) => [padding[2 * i], padding[2 * i + 1]] as const);
  return padIndexed(x, pairs.reverse(), mode);
}

/** x with [before, after] more of its own values in each of its last dimensions, in their order. */
export function padIndexed(x: Tensor, pairs: readonly (readonly [number, number])[], mode: IndexedPadMode): Tensor {
  for (const [before, after] of pairs) {
    requireInteger('pad', 'padding', before, 0, maxElements);
    requireInteger('pad', 'padding', after, 0, maxElements);
  }
  const first = x.rank - pairs.length;
  return pairs.reduce((padded, [before, after], i) => {
    if (before === 0 && after === 0) return padded;
    const dim = first + i;
    const n = x.shape[dim];
    const most = Math.max(before, after);
    if (mode === 'reflect' && most >= n)
      throw new RuntimeError(
        `Padding size should be less than the corresponding input dimension, but got: padding (${before}, ${after}) at dimension ${dim} of input ${formatShape(x.shape)}`,
      );
    if (mode === 'circular' && most > n) throw new RuntimeError('Padding value causes wrapping around more than once.');
    requireCountable([(padded.size / n) * (n + before + after)], 'pad');
    const positions = Array.from({ length: n + before + after }, (_, p) => sources[mode](p - before, n));
    return indexSelect(padded, dim, tensor(positions, { dtype: 'int64' }));
  }, x);
}
