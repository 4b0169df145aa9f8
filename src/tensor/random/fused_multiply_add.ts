// Correctly rounded a·b + c, which JavaScript lacks. PyTorch's CPU kernels are compiled with fused multiply-add, so
// uniform(from, to) needs it to give the same last bit. Not for general numeric code: it is slow and assumes no
// overflow.

const float64 = new Float64Array(1);
const words = new Uint32Array(float64.buffer);
const LOW = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1;
const HIGH = 1 - LOW;

// x + y rounded to odd: inexact sums get an odd last bit, which keeps a second rounding honest (Boldo & Melquiond
// 2008).
function addRoundToOdd(x: number, y: number): number {
  const sum = x + y;
  const back = sum - x;
  const error = x - (sum - back) + (y - back);
  if (error === 0) return sum;
  float64[0] = sum;
  if ((words[LOW]! & 1) === 1) return sum;
  if (error > 0 === sum > 0) {
    words[LOW]! |= 1;
  } else {
    if (words[LOW] === 0) words[HIGH]!--;
    words[LOW]!--;
  }
  return float64[0]!;
}

/** float32 a·b + c with one rounding; the arguments must be float32 values. */
export function fusedMultiplyAdd32(a: number, b: number, c: number): number {
  // The product of two float32 is exact in float64.
  return Math.fround(addRoundToOdd(a * b, c));
}

/** float64 a·b + c with one rounding, for finite arguments well inside the exponent range. */
export function fusedMultiplyAdd64(a: number, b: number, c: number): number {
  // Dekker's exact product: product + productError = a·b.
  const product = a * b;
  const aSplit = 134217729 * a;
  const aHigh = aSplit - (aSplit - a);
  const aLow = a - aHigh;
  const bSplit = 134217729 * b;
  const bHigh = bSplit - (bSplit - b);
  const bLow = b - bHigh;
  const productError = aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow);

  const low = c + productError;
  const lowBack = low - c;
  const lowError = c - (low - lowBack) + (productError - lowBack);
  const high = product + low;
  const highBack = high - product;
  const highError = product - (high - highBack) + (low - highBack);
  return high + addRoundToOdd(lowError, highError);
}
