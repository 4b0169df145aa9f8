// How much is multiplied, told as it is asked for, to whoever counts: `summary` (nn/summary.ts). Usually nobody does.
import { restoring } from '../restoring.ts';

/** `count`: of multiplications, each with an addition. */
export type WorkListener = (count: number) => void;
let listener: WorkListener | null = null;

/** Tells of one product of matrices, or convolution. */
export function noteMultiplyAdds(count: number): void {
  listener?.(count);
}

/** Runs `fn`, of which `to` hears. */
export function countingWork<R>(to: WorkListener, fn: () => R): R {
  const former = listener;
  listener = to;
  return restoring(() => {
    listener = former;
  }, fn);
}
