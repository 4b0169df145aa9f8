// Sums that are left: behind a norm, a convolution's backward by data writes the gradient of the norm's output. Its
// epilogue also masks that gradient where the ReLU was closed, and adds up the sums per channel that the norm's
// backward needs.
//   condition  channels last; nobody observes the gradient
//   saves      masking, 3 passes, and reading for the sums, 1
import type { BackwardSums } from '../launch/batch_norm.ts';
import type { Recipe, Storage } from '../tensor/storage.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { madeBy } from './recipes.ts';

interface SumsLeft {
  /** The key of the norm (`NormParts.key`). */
  readonly key: object;
  /** The recipe of the output whose gradient this is: one norm may have several outputs, with a ReLU and without. */
  readonly of: Recipe | null;
  readonly sums: BackwardSums;
  readonly version: number;
}
const left = new WeakMap<Storage, SumsLeft>();

/** Leaves the sums of g, the gradient of a norm's output x, which is masked where x's ReLU was closed. */
export function leaveSums(g: Tensor, x: Tensor, key: object, sums: BackwardSums): void {
  left.set(g.storage, { key, of: madeBy(x), sums, version: g.version });
}

/** What was left with g, if g has not changed since; else null. */
export function sumsLeftWith(g: Tensor): SumsLeft | null {
  const note = left.get(g.storage);
  if (note?.version !== g.version) return null;
  // A scope that returned g may have released them.
  return Object.values(note.sums).some((sum) => sum.storage.isReleased) ? null : note;
}
