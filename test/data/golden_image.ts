// Images of the goldens of transforms (golden/image_transforms_rule.py): half noise of a linear congruential generator,
// half ramps.
import { type DType, fromTypedArray } from '../../src/index.ts';
import { isFloat } from '../../src/tensor/dtype.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';

function bytesOf(shape: readonly number[]): Uint8Array {
  const [rows, columns] = shape.slice(-2);
  let state = 12345n;
  return Uint8Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => {
    state = (state * 1103515245n + 12345n) % 2n ** 31n;
    const smooth = ((Math.floor(i / columns) % rows) * 3 + (i % columns) * 2) % 256;
    return (Number(state >> 23n) + smooth) >> 1;
  });
}
const part = (byte: number) => byte / 255;

/** As an array of bytes, or of floats from 0 to 1. */
export function imageArray(shape: readonly number[], dtype: 'uint8' | 'float32' = 'uint8') {
  const bytes = bytesOf(shape);
  return { data: dtype === 'uint8' ? bytes : Float32Array.from(bytes, part), shape: [...shape] };
}

/** As a tensor; floats from 0 to 1. */
export function image(shape: readonly number[], dtype: DType = 'uint8'): Tensor {
  const bytes = bytesOf(shape);
  if (!isFloat(dtype)) return fromTypedArray(bytes, shape, { dtype });
  return fromTypedArray(dtype === 'float32' ? Float32Array.from(bytes, part) : Float64Array.from(bytes, part), shape);
}
