// Reports each step of fusion, as it happens, to a listener: `explain` (nn/explain.ts) is one. Usually there is none.
import { restoring } from '../restoring.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** What can happen to a batch norm. The first step of each norm is one of the first five. */
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

/**
 * @param norm the key of the norm (`NormParts.key`). @param weight the weight of the convolution in which the step
 * happens.
 */
export type Listener = (step: Step, norm: object, weight: Tensor | null) => void;
let listener: Listener | null = null;

/** Reports one step. */
export function note(step: Step, norm: object, weight: Tensor | null = null): void {
  listener?.(step, norm, weight);
}

/** Runs `fn` while its steps are reported to `to`. */
export function listening<R>(to: Listener, fn: () => R): R {
  const former = listener;
  listener = to;
  return restoring(() => {
    listener = former;
  }, fn);
}
