// Layers that learn a size from their first input. With it the module becomes the plain layer, class and all. Tensors
// without a shape are in uninitialized.ts.
import type { Tensor } from '../tensor/tensor.ts';
import type { Module } from './module.ts';

/**
 * Makes `module` one of the class `eager` at its first input, after `prepare`, which gives its tensors their shapes.
 */
export function awaitFirstInput(
  module: Module,
  eager: { readonly prototype: Module },
  prepare: (x: Tensor) => void,
): void {
  const stopWaiting = module.registerForwardPreHook((_, [x]: Tensor[]) => {
    prepare(x);
    stopWaiting();
    Object.setPrototypeOf(module, eager.prototype);
  });
}
