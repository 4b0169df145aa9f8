// Marks copies of selected elements. In PyTorch they would share memory with their source, so a user who changes one in
// place may expect that the source changes. The first such change warns; afterwards nothing is marked any more.
import { warn } from '../warnings.ts';
import type { Tensor } from './tensor.ts';

let hasWarned = false;

/**
 * Marks a copy of part of x that the user's operation `op` has made. Views of the copy share the mark; clones and
 * results do not.
 */
export function markSelected(op: string, x: Tensor, result: Tensor): void {
  if (!hasWarned && result.storage !== x.storage) result.storage.selectedBy = op;
}

/** Call this where a user's operation `op` changes x in place. */
export function warnIfSelected(op: string, x: Tensor): void {
  const by = x.storage.selectedBy;
  if (by === null || hasWarned) return;
  hasWarned = true;
  warn(
    `[${op}] changes a copy: ${by}() copies what it selects, so the tensor that it was taken from stays as it is. Write to that tensor with setIndex(), or call clone() first where a copy is meant. (This is said once.)`,
  );
}
