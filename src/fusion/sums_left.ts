// Sums of a norm's backward that a convolution leaves: its backward by data writes the gradient of that norm's output, masks it where the ReLU was
// closed, and adds up, per channel, what the norm will want to know.
//   condition  channels last; the gradient is not observed
//   saves      masking, 3 passes, and reading for the sums, 1
import type { BackwardSums } from '../launch/batch_norm.ts';
import type { Recipe, Storage } from '../tensor/storage.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { madeBy } from './recipes.ts';

interface SumsLeft {
  /** Of the norm. */
  readonly key: object;
  /** How the output was made whose gradient it is: several outputs of one norm may have a ReLU, or none. */
  readonly of: Recipe | null;
  readonly sums: BackwardSums;
  readonly version: number;
}
const left = new WeakMap<Storage, SumsLeft>();

/** Notes that g, the gradient of x, is that of the norm by `key`, masked where the ReLU in x was closed, and its sums. */
export function leaveSums(g: Tensor, x: Tensor, key: object, sums: BackwardSums): void {
  left.set(g.storage, { key, of: madeBy(x), sums, version: g.version });
}

/** What was left with g, as long as g is what it was. */
export function sumsLeftWith(g: Tensor): SumsLeft | null {
  const note = left.get(g.storage);
  if (note?.version !== g.version) return null;
  // They may have gone with a scope that has let g out.
  return Object.values(note.sums).some((sum) => sum.storage.isReleased) ? null : note;
}
