// PyTorch's two ways to make normals: one at a time in double (fewer than 16 values), and blocks of 16 (16 or more).
// The float32 block follows the AVX2 kernel's rounding steps, so that results agree to the last bit on machines with
// AVX2. Drawing the uniforms and the choice between the two ways belong to sampling.ts.

import { fusedMultiplyAdd64 } from './fused_multiply_add.ts';
import type { Generator } from './generator.ts';

const f32 = Math.fround;
const TWO_PI = 2 * Math.PI;
const TWO_PI_F32 = f32(TWO_PI);
const UINT53_SCALE = 2 ** -53;

// Minimax polynomials of Cephes (logf, sinf, cosf), in float32.
const SQRT_HALF = f32(Math.SQRT1_2);
const LN2_LOW = f32(-2.1219444e-4);
const LN2_HIGH = f32(0.693359375);
const LOG_0 = f32(7.0376836292e-2);
const LOG_1 = f32(-1.151461031e-1);
const LOG_2 = f32(1.167699874e-1);
const LOG_3 = f32(-1.2420140846e-1);
const LOG_4 = f32(1.4249322787e-1);
const LOG_5 = f32(-1.6668057665e-1);
const LOG_6 = f32(2.0000714765e-1);
const LOG_7 = f32(-2.4999993993e-1);
const LOG_8 = f32(3.3333331174e-1);
const FOUR_OVER_PI = f32(1.27323954473516);
const MINUS_PI4_HIGH = f32(-0.78515625);
const MINUS_PI4_MIDDLE = f32(-2.4187564849853516e-4);
const MINUS_PI4_LOW = f32(-3.774894977445941e-8);
const SIN_0 = f32(-1.9515295891e-4);
const SIN_1 = f32(8.3321608736e-3);
const SIN_2 = f32(-1.6666654611e-1);
const COS_0 = f32(2.443315711809948e-5);
const COS_1 = f32(-1.388731625493765e-3);
const COS_2 = f32(4.166664568298827e-2);

const bitsFloat = new Float32Array(1);
const bitsInt = new Int32Array(bitsFloat.buffer);

// Natural logarithm of a float32 in (0, 1]. f32(a * b + c) stands for a fused multiply-add: the product of two float32
// is exact in double, and the sum's double rounding has never been seen to matter here.
function log32(value: number): number {
  // value = m · 2^e with m in [1/2, 1), moved to [√½ - 1, √2 - 1].
  bitsFloat[0] = value;
  const bits = bitsInt[0]!;
  let e = (bits >>> 23) - 126;
  bitsInt[0] = (bits & 0x007fffff) | 0x3f000000;
  const mantissa = bitsFloat[0]!;
  let x = mantissa - 1;
  if (mantissa < SQRT_HALF) {
    x = f32(x + mantissa);
    e -= 1;
  }
  const z = f32(x * x);
  let y = f32(LOG_0 * x + LOG_1);
  y = f32(y * x + LOG_2);
  y = f32(y * x + LOG_3);
  y = f32(y * x + LOG_4);
  y = f32(y * x + LOG_5);
  y = f32(y * x + LOG_6);
  y = f32(y * x + LOG_7);
  y = f32(y * x + LOG_8);
  y = f32(y * x);
  y = f32(y * z + f32(e * LN2_LOW));
  y = f32(y - z * 0.5);
  return f32(e * LN2_HIGH + f32(x + y));
}

/**
 * Turns 16 uniforms in [0, 1) into 16 normals in place (float32): with u the first and v the second half,
 * √(-2·ln(1-u))·cos(2πv) and √(-2·ln(1-u))·sin(2πv).
 */
export function boxMullerBlock32(data: Float32Array, offset: number, mean: number, std: number): void {
  for (let j = offset; j < offset + 8; j++) {
    const radius = f32(Math.sqrt(f32(-2 * log32(f32(1 - data[j]!)))));
    const theta = f32(TWO_PI_F32 * data[j + 8]!);

    // theta = x + octant · π/4 with an even octant, so |x| <= π/4.
    const octant = (Math.trunc(f32(theta * FOUR_OVER_PI)) + 1) & ~1;
    let x = f32(octant * MINUS_PI4_HIGH + theta);
    x = f32(octant * MINUS_PI4_MIDDLE + x);
    x = f32(octant * MINUS_PI4_LOW + x);
    const z = f32(x * x);
    let c = f32(COS_0 * z + COS_1);
    c = f32(c * z + COS_2);
    c = f32(c * z);
    c = f32(f32(c * z - z * 0.5) + 1);
    let s = f32(SIN_0 * z + SIN_1);
    s = f32(s * z + SIN_2);
    s = f32(s * z);
    s = f32(s * x + x);

    const swap = (octant & 2) !== 0;
    let cosine = swap ? s : c;
    let sine = swap ? c : s;
    if ((octant & 4) !== 0) sine = -sine;
    if (((octant - 2) & 4) === 0) cosine = -cosine;
    data[j] = f32(radius * cosine) * std + mean;
    data[j + 8] = f32(radius * sine) * std + mean;
  }
}

/**
 * The same for float64; agrees with PyTorch to a few units in the last place (different logarithm, sine and cosine).
 */
export function boxMullerBlock64(data: Float64Array, offset: number, mean: number, std: number): void {
  for (let j = offset; j < offset + 8; j++) {
    const radius = Math.sqrt(-2 * Math.log(1 - data[j]!));
    const theta = TWO_PI * data[j + 8]!;
    data[j] = fusedMultiplyAdd64(radius * Math.cos(theta), std, mean);
    data[j + 8] = fusedMultiplyAdd64(radius * Math.sin(theta), std, mean);
  }
}

/** One standard normal in double; draws 2 × 64 bits every second call and keeps the other value in the generator. */
export function singleNormal(gen: Generator): number {
  if (gen.cachedNormal !== undefined) {
    const cached = gen.cachedNormal;
    gen.cachedNormal = undefined;
    return cached;
  }
  const u = uniform53(gen);
  const v = uniform53(gen);
  const radius = Math.sqrt(-2 * Math.log1p(-v));
  const theta = TWO_PI * u;
  gen.cachedNormal = radius * Math.sin(theta);
  return radius * Math.cos(theta);
}

/** A double in [0, 1) from the low 53 of 64 random bits. */
export function uniform53(gen: Generator): number {
  const high = gen.random32() & 0x1fffff;
  return (high * 4294967296 + gen.random32()) * UINT53_SCALE;
}
