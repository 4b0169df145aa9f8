// What fusion does, told as it happens to whoever wants to know: `explain` (nn/explain.ts). Usually nobody listens.
import { restoring } from '../restoring.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** What may happen to a batch norm; it begins with one of the first five. */
export type Step =
  | 'statistics left'
  | 'statistics read'
  | 'statistics gathered'
  | 'statistics given'
  | 'normalized at once'
  | 'relu joined'
  | 'addition joined'
  | 'function joined'
  | 'function differentiated'
  | 'written'
  | 'written for weights'
  | 'sums read'
  | 'gradient of batch'
  | 'gradient written'
  // In a convolution.
  | 'normalized in prologue'
  | 'normalized in epilogue'
  | 'sums in epilogue'
  | 'gradient in prologue';

/** `norm`: what the norm is known by. `weight`: of the convolution in which it happens. */
export type Listener = (step: Step, norm: object, weight: Tensor | null) => void;
let listener: Listener | null = null;

/** Tells of one step. */
export function note(step: Step, norm: object, weight: Tensor | null = null): void {
  listener?.(step, norm, weight);
}

/** Runs `fn`, of which `to` hears. */
export function listening<R>(to: Listener, fn: () => R): R {
  const former = listener;
  listener = to;
  return restoring(() => {
    listener = former;
  }, fn);
}
