// Padding: with a constant, or with the tensor's own values: reflected, replicated or wrapped around.
import { defineOp } from '../autograd/define_op.ts';
import {
  maxElements,
  requireChoice,
  requireCountable,
  requireElement,
  requireInteger,
  requireIntegers,
} from '../checks.ts';
import { RuntimeError, ValueError } from '../errors.ts';
import { type Ends, launchPad, launchPadBackward, type Padding, type PadMode, paddedShape } from '../launch/pad.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { asElement } from '../tensor/create.ts';
import { requireTensor } from '../tensor/requirements.ts';
import { formatShape, type Shape } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { copyOf } from './shape_ops.ts';

export type { PadMode };

const padModes: readonly PadMode[] = ['constant', 'reflect', 'replicate', 'circular'];

const padOp = defineOp({
  name: 'pad',
  forward: (_ctx, x: Tensor, padding: Padding, mode: PadMode, value: number) => launchPad(x, padding, mode, value),
  backward: (_ctx, [g], x, padding, mode) => [padBackward(g, x.shape, padding, mode)],
}) as (x: Tensor, padding: Padding, mode: PadMode, value: number) => Tensor;

// Linear in dy: its derivative is the padding of it, with zeros where that adds a value.
const padBackward = defineOp({
  name: 'padBackward',
  forward: (_ctx, dy: Tensor, shape: Shape, padding: Padding, mode: PadMode) =>
    launchPadBackward(dy, shape, padding, mode),
  backward: (_ctx, [g], _dy, _shape, padding, mode) => [padOp(g, padding, mode, 0)],
}) as (dy: Tensor, shape: Shape, padding: Padding, mode: PadMode) => Tensor;

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
  return padWith(x, padding, options);
}

/** `pad` for a layer, whose options are checked. */
export function padWith(x: Tensor, padding: readonly number[], options: PadOptions): Tensor {
  requireTensor('pad', x);
  const { mode = 'constant', value = 0 } = options;
  requireChoice('pad', 'mode', mode, padModes);
  requireIntegers('pad', 'padding', padding);
  const element = requireElement('pad', 'value', value);
  if (mode !== 'constant' && element !== 0)
    throw new ValueError(`Padding mode "${mode}" doesn't take in value argument`);
  if (padding.length % 2 !== 0) throw new RuntimeError('Padding length must be divisible by 2');
  if (padding.length > 2 * x.rank)
    throw new RuntimeError(
      `Padding length should be less than or equal to two times the input dimension but got padding length ${padding.length} and input of dimension ${x.rank}`,
    );
  const pairs = Array.from({ length: padding.length / 2 }, (_, i) => [padding[2 * i], padding[2 * i + 1]] as const);
  return padLast(x, pairs.reverse(), mode, element);
}

/** x with so many more positions around each of its last dimensions, which `pairs` lists in their order. */
export function padLast(x: Tensor, pairs: readonly Ends[], mode: PadMode, value = 0): Tensor {
  const first = x.rank - pairs.length;
  pairs.forEach((ends, i) => {
    for (const count of ends) requireInteger('pad', 'padding', count, -maxElements, maxElements);
    requireRoom(x.shape, first + i, ends, mode);
  });
  const padding: Padding = x.shape.map((_, d) => (d < first ? [0, 0] : pairs[d - first]));
  const shape = paddedShape(x.shape, padding);
  requireCountable(shape, 'pad');
  if (padding.every(([before, after]) => before === 0 && after === 0)) return copyOf(x);
  // A number that does not fit the dtype is refused where it is used.
  const isUsed = pairs.some((ends) => Math.max(...ends) > 0);
  return padOp(x, padding, mode, isUsed ? asElement(value, x.dtype) : 0);
}

/** Refuses a padding that needs values which dimension `dim` does not have. */
function requireRoom(shape: Shape, dim: number, [before, after]: Ends, mode: PadMode): void {
  const n = shape[dim];
  const kept = n + Math.min(0, before) + Math.min(0, after);
  if (mode === 'constant') {
    if (kept < 0)
      throw new RuntimeError(
        `[pad] expected negative padding of at most the size ${n} of dimension ${dim}, got ${before} and ${after}`,
      );
    return;
  }
  if (before === 0 && after === 0) return;
  const most = Math.max(before, after);
  if (mode === 'reflect' && most >= n)
    throw new RuntimeError(
      `Padding size should be less than the corresponding input dimension, but got: padding (${before}, ${after}) at dimension ${dim} of input ${formatShape(shape)}`,
    );
  if (mode === 'circular' && most > n) throw new RuntimeError('Padding value causes wrapping around more than once.');
  if (n < 1 || n + before + after < 1 || (mode === 'circular' && kept < 1))
    throw new RuntimeError(
      `[pad] expected at least one position left in dimension ${dim} of size ${n}, got padding (${before}, ${after})`,
    );
}
