// Reports how much is multiplied to a listener: `summary` (nn/summary.ts) is one. Usually there is none.
import { restoring } from '../restoring.ts';

/** `count`: of multiplications, each with an addition. */
export type WorkListener = (count: number) => void;
let listener: WorkListener | null = null;

/** Reports one product of matrices, or one convolution. */
export function noteMultiplyAdds(count: number): void {
  listener?.(count);
}

/** Runs `fn` while its work is reported to `to`. */
export function countingWork<R>(to: WorkListener, fn: () => R): R {
  const former = listener;
  listener = to;
  return restoring(() => {
    listener = former;
  }, fn);
}
