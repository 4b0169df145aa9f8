// Fills typed arrays with random numbers, drawing from a generator exactly what PyTorch's CPU kernels draw. Knows
// nothing of tensors, shapes or dtypes beyond the typed array given. Permutations and weighted choice: permutation.ts.

import { ValueError } from '../../errors.ts';
import { boxMullerBlock32, boxMullerBlock64, singleNormal, uniform53 } from './box_muller.ts';
import { fusedMultiplyAdd32, fusedMultiplyAdd64 } from './fused_multiply_add.ts';
import { defaultGenerator, type Generator } from './generator.ts';

export type FloatArray = Float32Array | Float64Array;
export type IntegerTarget = BigInt64Array | Int32Array | Uint8Array | Float32Array | Float64Array;

/** A distribution's parameter outside its domain; the text is PyTorch's where PyTorch has one. */
export class RandomArgumentError extends ValueError {
  override name = 'RandomArgumentError';
}

const UINT24_SCALE = 2 ** -24;
const FLOAT32_MAX = 3.4028234663852886e38;

/**
 * Fills `out` with uniform values from [from, to), default [0, 1).
 *
 * float32 uses 24 bits of one 32-bit draw, float64 uses 53 bits of two. Throws RandomArgumentError if from > to or the
 * span overflows. Source: `torch.Tensor.uniform_`.
 */
export function uniform<T extends FloatArray>(out: T, from = 0, to = 1, gen: Generator = defaultGenerator): T {
  const single = out instanceof Float32Array;
  requireUniformRange(from, to, single);
  if (single) fillUniform32(out, Math.fround(from), Math.fround(to), gen);
  else fillUniform64(out, from, to, gen);
  return out;
}

/** Refuses limits that are in the wrong order, or too far apart for float32 or float64. */
export function requireUniformRange(from: number, to: number, single: boolean): void {
  if (!(from <= to)) {
    throw new RandomArgumentError(`uniform_ expects to return a [from, to) range, but found from=${from} > to=${to}`);
  }
  if (!(to - from <= (single ? FLOAT32_MAX : Number.MAX_VALUE))) {
    throw new RandomArgumentError(
      `uniform_ expects to-from <= ${single ? 'the largest float32' : 'the largest float64'}, but found to=${to} and from=${from}`,
    );
  }
}

function fillUniform32(out: Float32Array, from: number, to: number, gen: Generator): void {
  const n = out.length;
  if (from === 0 && to === 1) {
    for (let i = 0; i < n; i++) out[i] = (gen.random32() & 0xffffff) * UINT24_SCALE;
    return;
  }
  const span = Math.fround(to - from);
  for (let i = 0; i < n; i++) {
    const value = fusedMultiplyAdd32((gen.random32() & 0xffffff) * UINT24_SCALE, span, from);
    out[i] = value === to ? from : value;
  }
}

function fillUniform64(out: Float64Array, from: number, to: number, gen: Generator): void {
  const n = out.length;
  if (from === 0 && to === 1) {
    for (let i = 0; i < n; i++) out[i] = uniform53(gen);
    return;
  }
  const span = to - from;
  for (let i = 0; i < n; i++) {
    const value = fusedMultiplyAdd64(uniform53(gen), span, from);
    out[i] = value === to ? from : value;
  }
}

/**
 * Fills `out` with normal values, default mean 0 and standard deviation 1.
 *
 * Fewer than 16 values are drawn one by one in double; 16 or more in blocks of 16, and if the count is not a multiple
 * of 16 the last 16 are drawn anew. Throws RandomArgumentError if std < 0. Source: `torch.Tensor.normal_`,
 * `torch.randn`.
 */
export function normal<T extends FloatArray>(out: T, mean = 0, std = 1, gen: Generator = defaultGenerator): T {
  if (!(std >= 0)) throw new RandomArgumentError(`normal expects std >= 0.0, but found std ${std}`);
  const n = out.length;
  if (n < 16) {
    for (let i = 0; i < n; i++) out[i] = singleNormal(gen) * std + mean;
    return out;
  }
  const single = out instanceof Float32Array;
  const mean_ = single ? Math.fround(mean) : mean;
  const std_ = single ? Math.fround(std) : std;
  const transform = (offset: number) => {
    if (single) boxMullerBlock32(out, offset, mean_, std_);
    else boxMullerBlock64(out, offset, mean_, std_);
  };
  uniform(out, 0, 1, gen);
  for (let i = 0; i <= n - 16; i += 16) transform(i);
  if (n % 16 !== 0) {
    uniform(out.subarray(n - 16), 0, 1, gen);
    transform(n - 16);
  }
  return out;
}

/**
 * Fills `out` with integers from [low, high).
 *
 * A range of 2^28 or more takes 64 bits a value, a smaller one 32. Throws RandomArgumentError if the range is empty or
 * does not fit the element type. Source: `torch.randint`, `torch.Tensor.random_(from, to)`.
 */
export function randint<T extends IntegerTarget>(
  out: T,
  low: number | bigint,
  high: number | bigint,
  gen: Generator = defaultGenerator,
): T {
  const { from, range } = integerRange(out, low, high);
  const n = out.length;
  if (range >= WIDE_RANGE) {
    for (let i = 0; i < n; i++) {
      const value = (gen.random64() % range) + from;
      if (out instanceof BigInt64Array) out[i] = value;
      else out[i] = Number(value);
    }
  } else if (out instanceof BigInt64Array) {
    const span = Number(range);
    for (let i = 0; i < n; i++) out[i] = BigInt(gen.random32() % span) + from;
  } else {
    const span = Number(range);
    const base = Number(from);
    for (let i = 0; i < n; i++) out[i] = (gen.random32() % span) + base;
  }
  return out;
}

/** Ranges of so many integers or more take 64 bits for each. */
export const WIDE_RANGE = 1n << 28n;

/** The least of the integers of [low, high) in an array of out's kind, and how many there are. */
export function integerRange(
  out: IntegerTarget,
  low: number | bigint,
  high: number | bigint,
): { from: bigint; range: bigint } {
  let from = toInteger('low', low);
  let to = toInteger('high', high);
  if (from >= to) {
    throw new RandomArgumentError(`random_ expects 'from' to be less than 'to', but got from=${from} >= to=${to}`);
  }
  const [min, max] = integerLimits(out);
  if (from < min || from > max) throw new RandomArgumentError(`from is out of bounds for ${out.constructor.name}`);
  if (to - 1n < min || to - 1n > max) {
    throw new RandomArgumentError(`to - 1 is out of bounds for ${out.constructor.name}`);
  }
  if (out instanceof Float32Array || out instanceof Float64Array) [from, to] = insideFloats(out, from, to);
  return { from, range: to - from };
}

function toInteger(name: string, value: number | bigint): bigint {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new RandomArgumentError(`[randint] expected ${name} to be an integer, got ${value}`);
  }
  return BigInt(value);
}

// A bound that rounds outward in the float type moves inward by one step of that type, so that no draw leaves the
// range.
function insideFloats(out: FloatArray, from: bigint, to: bigint): [bigint, bigint] {
  const single = out instanceof Float32Array;
  const digits = single ? 24 : 53;
  const rounded = (value: bigint) => BigInt(single ? Math.fround(Number(value)) : Number(value));
  const step = (value: bigint) => 1n << BigInt((value < 0n ? -value : value).toString(2).length - digits);
  const low = rounded(from + 1n);
  const high = rounded(to - 1n);
  return [low < from ? low + step(from + 1n) : from, high >= to ? high - step(to - 1n) : to];
}

function integerLimits(out: IntegerTarget): [bigint, bigint] {
  if (out instanceof Uint8Array) return [0n, 255n];
  if (out instanceof Int32Array) return [-(1n << 31n), (1n << 31n) - 1n];
  return [-(1n << 63n), (1n << 63n) - 1n];
}

/**
 * One integer from 0 … 2^63 - 1, as `torch.empty((), dtype=torch.int64).random_()` draws it.
 *
 * This is how PyTorch's samplers and loaders take a seed from the default generator.
 */
export function randomInt64(gen: Generator = defaultGenerator): bigint {
  return gen.random64() & 0x7fffffffffffffffn;
}

/**
 * Fills `out` with 1 where a draw falls below `p` and 0 elsewhere.
 *
 * A single p, or a Float64Array of one p per element, compares 53-bit draws; a Float32Array of probabilities 24-bit
 * draws. Throws RandomArgumentError if a p is outside [0, 1]. Source: `torch.Tensor.bernoulli_`, `torch.bernoulli`.
 */
export function bernoulli<T extends FloatArray | Uint8Array | Int32Array>(
  out: T,
  p: number | FloatArray,
  gen: Generator = defaultGenerator,
): T {
  const n = out.length;
  if (typeof p === 'number') {
    checkProbability(p, `bernoulli_ expects p to be in [0, 1], but got p=${p}`);
    for (let i = 0; i < n; i++) out[i] = uniform53(gen) < p ? 1 : 0;
    return out;
  }
  if (p.length !== n) {
    throw new RandomArgumentError(`[bernoulli] expected one probability per element (${n}), got ${p.length}`);
  }
  for (let i = 0; i < n; i++) checkProbability(p[i]!, `Expected p >= 0 && p <= 1 to be true, but got ${p[i]}`);
  if (p instanceof Float32Array) {
    for (let i = 0; i < n; i++) out[i] = (gen.random32() & 0xffffff) * UINT24_SCALE < p[i]! ? 1 : 0;
  } else {
    for (let i = 0; i < n; i++) out[i] = uniform53(gen) < p[i]! ? 1 : 0;
  }
  return out;
}

function checkProbability(p: number, message: string): void {
  if (!(p >= 0 && p <= 1)) throw new RandomArgumentError(message);
}

/**
 * Fills `out` with exponential values of rate `lambda` (default 1, mean 1/lambda).
 *
 * Throws RandomArgumentError unless lambda > 0. Source: `torch.Tensor.exponential_`.
 */
export function exponential<T extends FloatArray>(out: T, lambda = 1, gen: Generator = defaultGenerator): T {
  if (!(lambda > 0)) {
    throw new RandomArgumentError(`exponential_ expects lambda > 0.0, but found lambda=${lambda}`);
  }
  for (let i = 0; i < out.length; i++) out[i] = (-1 / lambda) * Math.log1p(-uniform53(gen));
  return out;
}
