// The values of a tensor from its recipe, the same in every run: a small generator of its own and the distributions.
import { isFloat } from '../src/tensor/dtype.ts';
import { sizeOf } from '../src/tensor/shape.ts';
import type { TensorSpec } from './program.ts';

/** Uniform in [0, 1) (Steele & Vigna's SplitMix with a 32-bit state). */
export function uniforms(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
}

const constants = [0, 1, -3.5, 1000000.3125, 1e-30, 1e30];

/** Row-major, and exact in the spec's dtype. */
export function valuesOf({ shape, dtype, distribution, seed }: TensorSpec): Float64Array {
  const uniform = uniforms(seed);
  // Box & Muller 1958.
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  const data = new Float64Array(sizeOf(shape));
  if (!isFloat(dtype)) return data.map(() => Math.floor(uniform() * (dtype === 'bool' ? 2 : 5)));
  const place = Math.floor(uniform() * data.length);
  const size = uniform();
  const draw: Record<typeof distribution, (i: number) => number> = {
    normal,
    offset: () => normal() + 10 ** Math.ceil(size * 4),
    integers: () => Math.floor(uniform() * 3) - 1,
    constant: () => constants[Math.floor(size * constants.length)],
    outlier: (i) => (i === place ? 1e6 : normal()),
    tiny: () => normal() * (size < 0.5 ? 1e-30 : 1e-12),
    huge: () => normal() * (size < 0.5 ? 1e30 : 1e12),
    nan: (i) => (i === place ? Number.NaN : normal()),
    inf: (i) => (i === place ? (size < 0.5 ? Infinity : -Infinity) : normal()),
    positive: () => uniform() + 0.25,
  };
  const value = draw[distribution];
  for (let i = 0; i < data.length; i++) data[i] = dtype === 'float32' ? Math.fround(value(i)) : value(i);
  return data;
}
