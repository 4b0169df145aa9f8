// Dropout: elements, or whole channels, set to 0 at random in training and the rest scaled up. Masks come from the library's generator;
// they are not PyTorch's masks.
import { ValueError } from '../errors.ts';
import { fromTypedArray } from '../tensor/create.ts';
import { defaultGenerator, uniform } from '../tensor/random/index.ts';
import { type Shape, sizeOf } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { mul } from './elementwise.ts';
import { requireFloat } from './launch.ts';

function apply(op: string, x: Tensor, p: number, training: boolean, maskShape: Shape): Tensor {
  requireFloat(op, x);
  if (!(p >= 0 && p <= 1)) throw new ValueError(`dropout probability has to be between 0 and 1, but got ${p}`);
  if (!training || p === 0) return x;
  if (p === 1) return mul(x, 0);
  const mask = uniform(new Float32Array(sizeOf(maskShape)), 0, 1, defaultGenerator);
  const scale = 1 / (1 - p);
  for (let i = 0; i < mask.length; i++) mask[i] = mask[i] < p ? 0 : scale;
  return mul(x, fromTypedArray(mask, maskShape, { dtype: x.dtype }));
}

/** Each element is 0 with probability p, else scaled by 1/(1 − p); x itself outside of training (PyTorch: `F.dropout`). */
export const dropout = (x: Tensor, p = 0.5, training = true): Tensor => apply('dropout', x, p, training, x.shape);

/** As `dropout`, for whole channels of (N, C, H, W) or (C, H, W) (PyTorch: `F.dropout2d`). */
export function dropout2d(x: Tensor, p = 0.5, training = true): Tensor {
  const channels = x.rank === 3 ? 1 : 2;
  return apply(
    'dropout2d',
    x,
    p,
    training,
    x.shape.map((n, d) => (d < channels ? n : 1)),
  );
}
