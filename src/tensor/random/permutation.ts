// Random order and weighted choice: randperm and multinomial, with PyTorch's CPU draws.
// Element-wise distributions are in sampling.ts.

import { uniform53 } from './box_muller.ts';
import { defaultGenerator, type Generator } from './generator.ts';
import { exponential, type FloatArray, RandomArgumentError } from './sampling.ts';

/** From here on PyTorch fears the bias of 32-bit draws and takes 64 bits for each position. */
export const WIDE_DRAWS_FROM = Math.floor(0xffffffff / 20);
const MAX_CATEGORIES = 2 ** 24;

/**
 * A random permutation of 0 … n-1 (n up to 2^31 - 1).
 *
 * Throws RandomArgumentError if n is not such a count. Source: `torch.randperm`.
 */
export function randperm(n: number, gen: Generator = defaultGenerator): Int32Array {
  if (!Number.isInteger(n) || n < 0 || n > 0x7fffffff) {
    throw new RandomArgumentError(`[randperm] expected a count from 0 to 2147483647, got ${n}`);
  }
  const order = new Int32Array(n);
  if (n >= WIDE_DRAWS_FROM) return permuteWithWideDraws(order, gen);
  for (let i = 0; i < n; i++) order[i] = i;
  for (let i = 0; i < n - 1; i++) {
    const j = i + (gen.random32() % (n - i));
    const swapped = order[i]!;
    order[i] = order[j]!;
    order[j] = swapped;
  }
  return order;
}

/** The inside-out shuffle with 64-bit draws that `randperm` uses for about 215 million elements and more. */
export function permuteWithWideDraws(order: Int32Array, gen: Generator): Int32Array {
  for (let i = 0; i < order.length; i++) {
    const j = remainder64(gen.random32(), gen.random32(), i + 1);
    order[i] = i;
    order[i] = order[j]!;
    order[j] = i;
  }
  return order;
}

// (high·2^32 + low) mod divisor for divisor < 2^37, in two 16-bit steps that stay below 2^53.
function remainder64(high: number, low: number, divisor: number): number {
  const upper = ((high % divisor) * 65536 + (low >>> 16)) % divisor;
  return (upper * 65536 + (low & 0xffff)) % divisor;
}

/**
 * Indices drawn with probability proportional to `weights`, numSamples of them.
 *
 * Weights need not sum to one. Without replacement the numSamples largest weight/exponential ratios win, so there
 * should be as many non-zero weights. Throws RandomArgumentError for weights that are negative, infinite, NaN or all
 * zero, and for more samples than weights without replacement. Source: `torch.multinomial`.
 */
export function multinomial(
  weights: FloatArray,
  numSamples: number,
  replacement = false,
  gen: Generator = defaultGenerator,
): Int32Array {
  const n = weights.length;
  if (!Number.isInteger(numSamples) || numSamples <= 0) {
    throw new RandomArgumentError(`cannot sample numSamples <= 0 samples (got ${numSamples})`);
  }
  if (!replacement && numSamples > n) {
    throw new RandomArgumentError('cannot sample numSamples > weights.length samples without replacement');
  }
  if (n > MAX_CATEGORIES) throw new RandomArgumentError('number of categories cannot exceed 2^24');
  checkWeights(weights);
  return !replacement || numSamples === 1
    ? largestRatios(weights, numSamples, gen)
    : searchCumulative(weights, numSamples, gen);
}

function checkWeights(weights: FloatArray): void {
  let sum = 0;
  for (const weight of weights) {
    if (!(weight >= 0 && weight < Number.POSITIVE_INFINITY)) {
      throw new RandomArgumentError('probability tensor contains either `inf`, `nan` or element < 0');
    }
    sum += weight;
  }
  if (!(sum > 0)) {
    throw new RandomArgumentError('invalid multinomial distribution (sum of probabilities <= 0)');
  }
}

// The k largest w/q with q ~ Exp(1) are k draws without replacement (the "Gumbel top-k" trick in another form).
function largestRatios(weights: FloatArray, count: number, gen: Generator): Int32Array {
  const ratios = weights instanceof Float32Array ? new Float32Array(weights.length) : new Float64Array(weights.length);
  exponential(ratios, 1, gen);
  for (let i = 0; i < ratios.length; i++) ratios[i] = weights[i]! / ratios[i]!;
  if (count === 1) {
    let best = 0;
    for (let i = 1; i < ratios.length; i++) if (ratios[i]! > ratios[best]!) best = i;
    return Int32Array.of(best);
  }
  return Int32Array.from(ratios.keys())
    .sort((i, j) => ratios[j]! - ratios[i]! || i - j)
    .slice(0, count);
}

function searchCumulative(weights: FloatArray, count: number, gen: Generator): Int32Array {
  const n = weights.length;
  const round = weights instanceof Float32Array ? Math.fround : (x: number) => x;
  const cumulative = new Float64Array(n);
  let sum = 0;
  for (let i = 0; i < n; i++) cumulative[i] = sum = round(sum + weights[i]!);
  for (let i = 0; i < n; i++) cumulative[i] = round(cumulative[i]! / sum);
  const chosen = new Int32Array(count);
  for (let k = 0; k < count; k++) {
    const draw = uniform53(gen);
    let low = 0;
    let high = n;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (cumulative[middle]! < draw) low = middle + 1;
      else high = middle;
    }
    chosen[k] = low;
  }
  return chosen;
}
