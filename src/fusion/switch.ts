// Turns all fusion on or off. With fusion off each operation runs where it is called, by its plain kernels.
import { restoring } from '../restoring.ts';

let enabled = true;

/** Whether fusion is on. */
export const isFusionEnabled = (): boolean => enabled;

/**
 * Turns the merging of operations on (the default) or off. Results are equal up to rounding; memory and time are not.
 * @example
 * setFusion(false); // to see whether a surprise comes from fusion
 * setFusion(true);
 */
export function setFusion(value: boolean): void {
  enabled = value;
}

/** Runs `fn` with fusion on or off; if `fn` is async, until its promise settles. */
export function withFusion<R>(value: boolean, fn: () => R): R {
  const former = enabled;
  enabled = value;
  return restoring(() => setFusion(former), fn);
}
