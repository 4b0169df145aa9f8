// What holds for the duration of a function, synchronous or not, and is put back behind it.

/**
 * Runs `fn`, and `restore` when it has returned, thrown, or its promise has settled. Other work that runs meanwhile
 * sees what holds in `fn`.
 */
export function restoring<R>(restore: () => void, fn: () => R): R {
  let result: R;
  try {
    result = fn();
  } catch (error) {
    restore();
    throw error;
  }
  if (result instanceof Promise) return result.finally(restore) as R;
  restore();
  return result;
}
