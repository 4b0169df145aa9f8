// Dropout: elements, or whole channels, set to 0 at random in training and the rest scaled up. Masks are PyTorch's, draw for draw.
import { RuntimeError, ValueError } from '../errors.ts';
import { bernoulli, defaultGenerator } from '../tensor/random/index.ts';
import type { Shape } from '../tensor/shape.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';
import { mul } from './elementwise.ts';
import { requireFloat } from './launch.ts';

function apply(op: string, x: Tensor, p: number, training: boolean, maskShape: Shape): Tensor {
  requireFloat(op, x);
  if (!(p >= 0 && p <= 1)) throw new ValueError(`dropout probability has to be between 0 and 1, but got ${p}`);
  if (!training || p === 0 || x.size === 0) return x;
  if (p === 1) return mul(x, 0);
  // Drawn in the order of x's memory, as PyTorch does.
  const mask = allocate(maskShape, x.dtype, x.memoryFormat, x.device);
  const [ArrayType, round] =
    x.dtype === 'float64' ? [Float64Array, (value: number) => value] : [Float32Array, Math.fround];
  const noise = bernoulli(new ArrayType(mask.size), 1 - p, defaultGenerator);
  const scale = round(1 / round(1 - p));
  for (let i = 0; i < noise.length; i++) noise[i] *= scale;
  mask.storage.bytes().set(new Uint8Array(noise.buffer));
  return mul(x, mask);
}

/** Each element is 0 with probability p, else scaled by 1/(1 − p); x itself outside of training (PyTorch: `F.dropout`). */
export const dropout = (x: Tensor, p = 0.5, training = true): Tensor => apply('dropout', x, p, training, x.shape);

/**
 * As `dropout`, for whole channels of (N, C, H, W); any number of dimensions after the channels, so that (N, C, L) is dropped by channel too
 * (PyTorch: `F.dropout2d`).
 */
export function dropout2d(x: Tensor, p = 0.5, training = true): Tensor {
  if (x.rank < 2) throw new RuntimeError('Feature dropout requires at least 2 dimensions in the input');
  return apply(
    'dropout2d',
    x,
    p,
    training,
    x.shape.map((n, d) => (d < 2 ? n : 1)),
  );
}
