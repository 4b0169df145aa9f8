// Norms that learn their number of channels from their first input: LazyBatchNorm and LazyInstanceNorm in one to three
// dimensions.

import { IndexError } from '../../errors.ts';
import { requireOptions } from '../../options.ts';
import { fill } from '../../tensor/create.ts';
import { awaitFirstInput } from '../lazy.ts';
import { declareModules } from '../module_call.ts';
import { initialize, isUninitialized, UninitializedBuffer, UninitializedParameter } from '../uninitialized.ts';
import {
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  BatchNormBase,
  type NormBase,
  type NormOptions,
  normOptions,
} from './batch_norm.ts';
import { InstanceNorm1d, InstanceNorm2d, InstanceNorm3d, InstanceNormBase } from './instance_norm.ts';

const hasUninitialized = (module: NormBase): boolean =>
  [module.weight, module.bias, module.runningMean, module.runningVar].some(isUninitialized);

/**
 * Makes a layer lazy: its tensors have no shape until the first input, which turns the layer into one of the class
 * `eager`.
 */
function awaitInput(module: NormBase, eager: { readonly prototype: NormBase }, { dtype }: NormOptions): void {
  if (module.weight) module.weight = new UninitializedParameter({ dtype });
  if (module.bias) module.bias = new UninitializedParameter({ dtype });
  if (module.runningMean) module.runningMean = new UninitializedBuffer({ dtype });
  if (module.runningVar) module.runningVar = new UninitializedBuffer({ dtype });
  awaitFirstInput(module, eager, (x) => {
    if (!hasUninitialized(module)) return;
    if (x.rank < 2)
      throw new IndexError(`[${module.constructor.name}] expected an input of at least 2 dimensions, got ${x.rank}`);
    module.numFeatures = x.shape[1];
    for (const [tensor, value] of [
      [module.weight, 1],
      [module.bias, 0],
      [module.runningMean, 0],
      [module.runningVar, 1],
    ] as const)
      if (tensor && isUninitialized(tensor)) {
        initialize(tensor, [x.shape[1]]);
        fill(tensor, value);
      }
    module.resetParameters();
  });
}

/** Before its first input a layer has no number of channels to check, and nothing to reset. */
abstract class LazyBatchNorm extends BatchNormBase {
  constructor(eager: { readonly prototype: BatchNormBase }, options: NormOptions) {
    super(0, options);
    awaitInput(this, eager, options);
  }
  protected checkInputDim(): void {}
  override resetParameters(): void {
    if (!hasUninitialized(this)) super.resetParameters();
  }
}

abstract class LazyInstanceNorm extends InstanceNormBase {
  constructor(eager: { readonly prototype: InstanceNormBase }, options: NormOptions) {
    requireOptions(new.target.name, options, normOptions);
    const { affine = true, trackRunningStats = true } = options;
    super(0, { ...options, affine, trackRunningStats });
    awaitInput(this, eager, options);
  }
  /** @internal */
  protected get spatialRank(): number {
    return 0;
  }
  protected override checkInputDim(): void {}
  override resetParameters(): void {
    if (!hasUninitialized(this)) super.resetParameters();
  }
}

/**
 * A `BatchNorm1d` for as many channels as its first input has (PyTorch: `nn.LazyBatchNorm1d`). See `LazyBatchNorm2d`.
 */
export class LazyBatchNorm1d extends LazyBatchNorm {
  constructor(options: NormOptions = {}) {
    super(BatchNorm1d, options);
  }
}

/**
 * A `BatchNorm2d` for as many channels as its first input has, on axis 1 (PyTorch: `nn.LazyBatchNorm2d`).
 *
 * Until then its parameters and statistics have no shape; loading a state gives them one, but not `numFeatures`. The
 * first call, in either mode, makes it a `BatchNorm2d` and then goes on as one.
 *
 * @throws IndexError at the first call with an input of less than two dimensions.
 * @example
 * const bn = new LazyBatchNorm2d({ momentum: null });
 * bn(x); // now a BatchNorm2d of 6 channels
 */
export class LazyBatchNorm2d extends LazyBatchNorm {
  constructor(options: NormOptions = {}) {
    super(BatchNorm2d, options);
  }
}

/**
 * A `BatchNorm3d` for as many channels as its first input has (PyTorch: `nn.LazyBatchNorm3d`). See `LazyBatchNorm2d`.
 */
export class LazyBatchNorm3d extends LazyBatchNorm {
  constructor(options: NormOptions = {}) {
    super(BatchNorm3d, options);
  }
}

/**
 * An `InstanceNorm1d` for as many channels as axis 1 of its first input has (PyTorch: `nn.LazyInstanceNorm1d`). See
 * `LazyInstanceNorm2d`.
 */
export class LazyInstanceNorm1d extends LazyInstanceNorm {
  constructor(options: NormOptions = {}) {
    super(InstanceNorm1d, options);
  }
}

/**
 * An `InstanceNorm2d` for as many channels as axis 1 of its first input has, which must therefore be a batch (PyTorch:
 * `nn.LazyInstanceNorm2d`). Unlike that layer it is affine and tracks statistics by default. See `LazyBatchNorm2d`.
 */
export class LazyInstanceNorm2d extends LazyInstanceNorm {
  constructor(options: NormOptions = {}) {
    super(InstanceNorm2d, options);
  }
}

/**
 * An `InstanceNorm3d` for as many channels as axis 1 of its first input has (PyTorch: `nn.LazyInstanceNorm3d`). See
 * `LazyInstanceNorm2d`.
 */
export class LazyInstanceNorm3d extends LazyInstanceNorm {
  constructor(options: NormOptions = {}) {
    super(InstanceNorm3d, options);
  }
}

declareModules({
  LazyBatchNorm1d,
  LazyBatchNorm2d,
  LazyBatchNorm3d,
  LazyInstanceNorm1d,
  LazyInstanceNorm2d,
  LazyInstanceNorm3d,
});
