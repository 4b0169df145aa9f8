// Whether operations are recorded for differentiation, and the switch around a piece of code.
import { restoring } from '../restoring.ts';

let enabled = true;

/** Whether operations are being recorded (PyTorch: `torch.is_grad_enabled`). */
export const isGradEnabled = (): boolean => enabled;

/** Sets the mode and returns the former one; library code restores it in a `finally`. */
export function setGradEnabled(value: boolean): boolean {
  const former = enabled;
  enabled = value;
  return former;
}

function within<R>(mode: boolean, fn: () => R): R {
  const former = setGradEnabled(mode);
  return restoring(() => setGradEnabled(former), fn);
}

/**
 * Runs `fn` without recording operations (PyTorch: `torch.no_grad`). An async `fn` is covered until its promise
 * settles; other work that runs meanwhile is then covered too.
 * @example
 * const y = noGrad(() => x.mul(2)); // y.requiresGrad is false
 */
export const noGrad = <R>(fn: () => R): R => within(false, fn);

/** Runs `fn` with recording on, inside `noGrad` too (PyTorch: `torch.enable_grad`). */
export const enableGrad = <R>(fn: () => R): R => within(true, fn);
