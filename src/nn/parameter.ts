// Parameter: a tensor that a module learns.

import { keepNames } from '../class_names.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import type { DType } from '../tensor/dtype.ts';
import { keepStorage } from '../tensor/storage.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Tensor as TensorClass } from '../tensor/tensor.ts';

/** The dtype of a layer that is made. */
export interface DTypeOption {
  /** The dtype of parameters and buffers. Default: float32. */
  dtype?: DType;
}

/** Options of `Parameter`. */
export interface ParameterOptions {
  /** Whether the parameter is learned. Default: true. */
  requiresGrad?: boolean;
}
const parameterOptions = declareOptions<ParameterOptions>({ requiresGrad: kind.flag });

/**
 * A tensor that is a module's to learn: set as a property of a module, it is found by `parameters()` (PyTorch:
 * `nn.Parameter`). Shares memory with the tensor it is made from, and outlives scopes.
 */
export class Parameter extends TensorClass {
  constructor(data: Tensor, options: ParameterOptions = {}) {
    requireOptions(new.target.name, options, parameterOptions);
    super(data.shape, data.dtype, data.memoryFormat, data.storage);
    keepStorage(data.storage);
    this.requiresGrad = options.requiresGrad ?? true;
  }
}

keepNames({ Parameter });
