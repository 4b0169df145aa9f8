// Layers that change shapes only: Flatten, Unflatten.

import { requireInteger, requireIntegers } from '../checks.ts';
import { flatten, unflatten } from '../ops/shape_ops.ts';
import { sizeText } from '../python_text.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Module } from './module.ts';
import { declareModules } from './module_call.ts';

/** Joins the dimensions from `startDim` (default 1) to `endDim` (default −1) into one (PyTorch: `nn.Flatten`). */
export class Flatten extends Module {
  /** The first of the dimensions that become one. */
  readonly startDim: number;
  /** The last of the dimensions that become one. */
  readonly endDim: number;
  constructor(startDim = 1, endDim = -1) {
    super();
    requireInteger('Flatten', 'startDim', startDim);
    requireInteger('Flatten', 'endDim', endDim);
    this.startDim = startDim;
    this.endDim = endDim;
  }
  forward(x: Tensor): Tensor {
    return flatten(x, this.startDim, this.endDim);
  }
  override extraRepr(): string {
    return `start_dim=${this.startDim}, end_dim=${this.endDim}`;
  }
}

/** Cuts one dimension into several sizes, one of which may be −1 (PyTorch: `nn.Unflatten`). */
export class Unflatten extends Module {
  /** The dimension that is cut. */
  readonly dim: number;
  /** The sizes that it is cut into. */
  readonly unflattenedSize: readonly number[];
  constructor(dim: number, unflattenedSize: readonly number[]) {
    super();
    requireInteger('Unflatten', 'dim', dim);
    requireIntegers('Unflatten', 'unflattenedSize', unflattenedSize, -1);
    this.dim = dim;
    this.unflattenedSize = [...unflattenedSize];
  }
  forward(x: Tensor): Tensor {
    return unflatten(x, this.dim, this.unflattenedSize);
  }
  override extraRepr(): string {
    return `dim=${this.dim}, unflattened_size=${sizeText(this.unflattenedSize)}`;
  }
}

declareModules({ Flatten, Unflatten });
