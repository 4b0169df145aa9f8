// Whether a tensor is what PyTorch gave: shape and dtype first, then every value, within bars that have a reason.
import { Tensor } from '../src/index.ts';
import { isTensorData, type TensorData, valuesOf } from './case.ts';

/**
 * Float64: 2^-52 is a rounding. Both sides sum in their own order and take their own exponentials; with the samples'
 * sizes (sums of some hundred terms of one magnitude) that is up to some hundred roundings of the largest value.
 */
const float64Bar = 1e-12;
/**
 * Float32, relative to the truth: what PyTorch itself is off by, times four, or this many roundings of 2^-24 where it
 * was lucky.
 */
const torchMultiple = 4;
const float32Roundings = 16;
const roundingOf = 2 ** -24;

const numbers = (values: ArrayLike<number | bigint>): Float64Array =>
  Float64Array.from(values as ArrayLike<number>, Number);

/** The middle of the magnitudes that are no zeros: unlike the largest one it is not moved by a few extreme values. */
function middleMagnitude(values: Float64Array): number {
  const magnitudes = values
    .map(Math.abs)
    .filter((v) => v > 0 && Number.isFinite(v))
    .sort();
  return magnitudes.length === 0 ? 0 : magnitudes[magnitudes.length >> 1];
}
const largestMagnitude = (values: Float64Array): number =>
  values.reduce((most, v) => (Number.isFinite(v) ? Math.max(most, Math.abs(v)) : most), 0);

/** The largest or, element by element, the middle magnitude of several tensors' floats together. */
export function magnitudeOf(tensors: readonly unknown[], isElementwise: boolean): number {
  const own = tensors.flatMap((t) => {
    if (!(t instanceof Tensor) || !t.dtype.startsWith('float')) return [];
    const values = numbers(t.dataSync());
    return [isElementwise ? middleMagnitude(values) : largestMagnitude(values)];
  });
  return own.length === 0 ? 0 : Math.max(...own);
}

const shown = (values: ArrayLike<number | bigint>, around = 0): string => {
  const from = values.length <= 6 ? 0 : Math.max(0, Math.min(around - 2, values.length - 6));
  const part = Array.from({ length: Math.min(6, values.length) }, (_, i) => String(values[from + i]));
  return `[${from > 0 ? '…, ' : ''}${part.join(', ')}${from + part.length < values.length ? ', …' : ''}]`;
};

export interface Bars {
  isElementwise: boolean;
  /** Multiplies the bars: for gradients of gradients, whose formulas lose digits that the functions keep. */
  looseness: number;
  /**
   * A magnitude whose roundings count even where the values are smaller: what a gradient's terms have that may cancel.
   */
  least?: number;
}

/** null where it is the same; else what differs, in words. */
export function difference(
  got: unknown,
  expected: TensorData,
  truth: TensorData | null | undefined,
  bars: Bars,
): string | null {
  if (!(got instanceof Tensor)) return `expected a tensor, got ${String(got)}`;
  if (got.shape.join() !== expected.shape.join()) return `shape: expected [${expected.shape}], got [${got.shape}]`;
  if (got.dtype !== expected.dtype) return `dtype: expected ${expected.dtype}, got ${got.dtype}`;
  const own = valuesOf(expected);
  const values = got.dataSync();
  const say = (i: number, more = '') =>
    `values: element ${i} of [${expected.shape}] ${expected.dtype}: expected ${own[i]}, got ${values[i]}${more}; expected ${shown(own, i)}, got ${shown(values, i)}`;
  if (expected.dtype !== 'float32' && expected.dtype !== 'float64') {
    for (let i = 0; i < own.length; i++) if (own[i] !== values[i]) return say(i);
    return null;
  }
  const isSingle = expected.dtype === 'float32';
  const reference = numbers(own);
  const found = numbers(values);
  const right =
    truth && isTensorData(truth) && truth.shape.join() === expected.shape.join() ? numbers(valuesOf(truth)) : reference;
  // Element by element a float32 is held against itself; the others count little.
  const others = bars.isElementwise ? middleMagnitude(right) * (isSingle ? 0.25 : 1) : largestMagnitude(right);
  const scale = others + (bars.least ?? 0);
  let torchError = 0;
  if (isSingle && !bars.isElementwise)
    for (let i = 0; i < right.length; i++) {
      const error = Math.abs(reference[i] - right[i]);
      if (Number.isFinite(error)) torchError = Math.max(torchError, error);
    }
  for (let i = 0; i < found.length; i++) {
    const [a, own32, t] = [found[i], reference[i], right[i]];
    if (Object.is(a, own32) || a === own32 || (Number.isNaN(a) && Number.isNaN(own32))) continue;
    if (!Number.isFinite(a) || !Number.isFinite(own32)) return say(i);
    const relative = isSingle ? float32Roundings * roundingOf : float64Bar;
    const own32Error = bars.isElementwise ? Math.abs(own32 - t) : torchError;
    // Below the least normal number a rounding is absolute.
    const least = isSingle ? 2 ** -149 : 2 ** -1074;
    const bar =
      Math.max(relative * (Math.abs(t) + scale), isSingle ? torchMultiple * own32Error : 0, 2 * least) * bars.looseness;
    if (!(Math.abs(a - t) <= bar))
      return say(
        i,
        ` (off by ${Math.abs(a - t).toExponential(2)}, bar ${bar.toExponential(2)}, PyTorch off by ${Math.abs(own32 - t).toExponential(2)})`,
      );
  }
  return null;
}
