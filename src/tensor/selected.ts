// The mark on copies that select: whoever writes in place into one may think that it changes the tensor it was taken from, as in PyTorch. That is
// said once; from then on nothing is marked.
import { warn } from '../warnings.ts';
import type { Tensor } from './tensor.ts';

let hasWarned = false;

/** Notes that the user's operation `op` made a copy of part of x, if it did. Views of the copy share the mark, clones and results do not. */
export function markSelected(op: string, x: Tensor, result: Tensor): void {
  if (!hasWarned && result.storage !== x.storage) result.storage.selectedBy = op;
}

/** To be called where a user changes x in place by `op`. */
export function warnIfSelected(op: string, x: Tensor): void {
  const by = x.storage.selectedBy;
  if (by === null || hasWarned) return;
  hasWarned = true;
  warn(
    `[${op}] changes a copy: ${by}() copies what it selects, so the tensor that it was taken from stays as it is. Write to that tensor with setIndex(), or call clone() first where a copy is meant. (This is said once.)`,
  );
}
