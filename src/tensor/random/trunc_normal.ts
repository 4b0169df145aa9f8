// Normal values confined to an interval, by redrawing as PyTorch 2.13's initializer does.
// The plain distributions it draws from are in sampling.ts.

import { defaultGenerator, type Generator } from './generator.ts';
import { type FloatArray, normal, RandomArgumentError, uniform } from './sampling.ts';

/**
 * Fills `out` with normal values restricted to [a, b], default standard normal on [-2, 2].
 *
 * While more than 30 % of the normal lies inside, whole arrays of normals are redrawn for the values outside; otherwise
 * uniform candidates are accepted in proportion to the density. Throws RandomArgumentError unless std > 0 and a < b.
 * Source: `torch.nn.init.trunc_normal_`.
 */
export function truncNormal<T extends FloatArray>(
  out: T,
  mean = 0,
  std = 1,
  a = -2,
  b = 2,
  gen: Generator = defaultGenerator,
): T {
  if (!(std > 0)) throw new RandomArgumentError(`[truncNormal] expected std > 0, got ${std}`);
  if (!(a < b)) throw new RandomArgumentError(`[truncNormal] expected a < b, got a=${a} and b=${b}`);
  if (out.length === 0) return out;
  const inside = normalCdf((b - mean) / std) - normalCdf((a - mean) / std);
  if (inside > 0.3) redrawNormals(out, mean, std, a, b, gen);
  else acceptUniforms(out, mean, std, a, b, gen);
  return out;
}

function redrawNormals(out: FloatArray, mean: number, std: number, a: number, b: number, gen: Generator): void {
  const single = out instanceof Float32Array;
  const low = single ? Math.fround(a) : a;
  const high = single ? Math.fround(b) : b;
  const outside = (value: number) => value < low || value > high;
  normal(out, mean, std, gen);
  while (out.some(outside)) {
    const fresh = normal(sameKind(out), mean, std, gen);
    for (let i = 0; i < out.length; i++) if (outside(out[i]!)) out[i] = fresh[i]!;
  }
}

function acceptUniforms(out: FloatArray, mean: number, std: number, a: number, b: number, gen: Generator): void {
  const round = out instanceof Float32Array ? Math.fround : (x: number) => x;
  const mean_ = round(mean);
  const std_ = round(std);
  const mode = Math.max(a, Math.min(mean, b));
  const logPeak = round(-0.5 * ((mode - mean) / std) ** 2);
  // ln(density / density at the mode), rounded after every step like the tensor expression it mirrors.
  const logDensity = (x: number) => {
    const scaled = round(round(x - mean_) / std_);
    return round(round(round(scaled * scaled) * -0.5) - logPeak);
  };
  const candidates = sameKind(out);
  const accept = sameKind(out);
  const pending = new Uint8Array(out.length).fill(1);
  do {
    uniform(candidates, a, b, gen);
    uniform(accept, 0, 1, gen);
    for (let i = 0; i < out.length; i++) {
      if (pending[i] === 0) continue;
      out[i] = candidates[i]!;
      if (round(Math.log(accept[i]!)) <= logDensity(candidates[i]!)) pending[i] = 0;
    }
  } while (pending.includes(1));
}

function sameKind(out: FloatArray): FloatArray {
  return out instanceof Float32Array ? new Float32Array(out.length) : new Float64Array(out.length);
}

function normalCdf(x: number): number {
  return (1 + erf(x / Math.SQRT2)) / 2;
}

// erf(x) = 2/√π · e^(-x²) · Σ 2ⁿ x^(2n+1) / (2n+1)!!, all terms of one sign.
function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}
