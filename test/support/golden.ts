// Reading golden files, and comparing arrays with what PyTorch computed.
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { Tensor } from '../../src/tensor/tensor.ts';

export function readGolden<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../golden/${name}`, import.meta.url), 'utf8')) as T;
}

/** Floats from base64 of little-endian values. */
export function decode(text: string, dtype: 'float32' | 'float64'): Float32Array | Float64Array {
  const { buffer } = Uint8Array.from(Buffer.from(text, 'base64'));
  return dtype === 'float32' ? new Float32Array(buffer) : new Float64Array(buffer);
}

/** Every value within `relative` of the expected one, or within `absolute`. */
export function expectClose(
  actual: Tensor | ArrayLike<number>,
  expected: ArrayLike<number>,
  relative: number,
  absolute = relative,
  what = '',
): void {
  const values = 'dataSync' in actual ? (actual.dataSync() as Float64Array) : actual;
  expect(values.length, what).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [Number(values[i]), expected[i]];
    if (Object.is(a, b) || a === b) continue;
    const distance = Math.abs(a - b);
    if (!(distance <= Math.max(relative * Math.abs(b), absolute)))
      expect.fail(`${what}[${i}]: expected ${b}, got ${a} (distance ${distance})`);
  }
}
