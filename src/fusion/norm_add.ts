// norm → addition (→ ReLU): one pass.
//   condition  equal shapes and formats; nothing has joined the norm
//   saves      2 passes, with a ReLU 4
import type { Tensor } from '../tensor/tensor.ts';
import { onLoan } from './deferred_conv.ts';
import { borrowed, joinableNorm, PendingNorm } from './deferred_norm.ts';
import { note } from './log.ts';
import { deferred, isLike } from './recipes.ts';

/** a + b, deferred, where one of the two is a deferred norm; else null. */
export function joinAdd(a: Tensor, b: Tensor): Tensor | null {
  if (!isLike(a, b)) return null;
  for (const [sum, other] of [
    [a, b],
    [b, a],
  ]) {
    const norm = joinableNorm(sum);
    if (!norm || norm.affine.relu || norm.residual) continue;
    note('addition joined', norm.key);
    return deferred(sum, new PendingNorm({ ...borrowed(norm), residual: onLoan(other) }));
  }
  return null;
}
