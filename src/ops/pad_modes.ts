// Padding: with a constant, or with the tensor's own values: reflected, replicated or wrapped around.
import { maxElements, requireChoice, requireCountable, requireInteger, requireIntegers } from '../checks.ts';
import { RuntimeError, ValueError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { tensorOn } from '../tensor/create.ts';
import { requireTensor } from '../tensor/requirements.ts';
import { formatShape } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { indexSelect } from './indexing.ts';
import { padConstant } from './shape_ops.ts';

export type IndexedPadMode = 'reflect' | 'replicate' | 'circular';
/** What `pad` fills with: one value, x mirrored at its ends, the outermost values again, or x from its other end. */
export type PadMode = 'constant' | 'reflect' | 'replicate' | 'circular';
const padModes: readonly PadMode[] = ['constant', 'reflect', 'replicate', 'circular'];

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

/** Options of `pad`. */
export interface PadOptions {
  /**
   * What the new positions hold: `value`, or x's own values mirrored at its ends, the outermost one again, or those of
   * the other end. Default: `'constant'`.
   */
  mode?: PadMode;
  /** The value of the new positions, for `'constant'` only. Default: 0. */
  value?: number | boolean;
}
const padOptions = declareOptions<PadOptions>({ mode: kind.choice, value: kind.numeric });

/**
 * x with more positions around it; `padding` lists (before, after) pairs from the last dimension on, of which negative
 * ones cut (PyTorch: `F.pad`).
 * @throws RuntimeError on more pairs than dimensions, where reflecting or wrapping would need more values than there
 * are, or a mode other than `'constant'` would leave nothing.
 * @example
 * const y1 = pad(x, [1, 1]); // a column of zeros left and right
 * const y2 = pad(x, [2, 2, 0, 1], { mode: 'replicate' });
 */
export function pad(x: Tensor, padding: readonly number[], options: PadOptions = {}): Tensor {
  requireOptions('pad', options, padOptions);
  requireTensor('pad', x);
  const { mode = 'constant', value } = options;
  requireChoice('pad', 'mode', mode, padModes);
  if (mode === 'constant') return padConstant(x, padding, value ?? 0);
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
    requireInteger('pad', 'padding', before, -maxElements, maxElements);
    requireInteger('pad', 'padding', after, -maxElements, maxElements);
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
    const kept = n + Math.min(0, before) + Math.min(0, after);
    const length = n + before + after;
    if (length < 1 || (mode === 'circular' && kept < 1))
      throw new RuntimeError(
        `[pad] expected at least one position left in dimension ${dim} of size ${n}, got padding (${before}, ${after})`,
      );
    requireCountable(
      padded.shape.map((size, d) => (d === dim ? length : size)),
      'pad',
    );
    const source = sources[mode](before, after, n);
    const positions = Array.from({ length }, (_, p) => source(p));
    return indexSelect(padded, dim, tensorOn(x.backend, positions, 'int64'));
  }, x);
}
