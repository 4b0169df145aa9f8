// The layer that does nothing.

import type { Tensor } from '../tensor/tensor.ts';
import { Module } from './module.ts';
import { declareModules } from './module_call.ts';

/** Gives back what it gets, whatever it was built with (PyTorch: `nn.Identity`). */
export class Identity extends Module {
  constructor(..._ignored: unknown[]) {
    super();
  }
  forward(x: Tensor): Tensor {
    return x;
  }
}

declareModules({ Identity });
