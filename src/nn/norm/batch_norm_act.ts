// Batch norm with what follows it, a dropout and an activation, in one layer whose state is a plain batch norm's:
// trainable, over processes, and frozen. Source: timm's layers/norm_act.py.

import type { batchNormWith } from '../../ops/norm/batch_norm.ts';
import { declareOptions, kind } from '../../options.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { ReLU } from '../activation.ts';
import { Sequential } from '../containers.ts';
import { Identity } from '../identity.ts';
import type { Module } from '../module.ts';
import { declareModules } from '../module_call.ts';
import { BatchNorm2d, type NormOptions, normOptions } from './batch_norm.ts';
import { FrozenBatchNorm2d, type FrozenBatchNorm2dOptions, frozenBatchNorm2dOptions } from './frozen_batch_norm.ts';
import { SyncBatchNorm, type SyncBatchNormOptions, syncBatchNormOptions } from './sync_batch_norm.ts';

/** What follows the norm in `BatchNormAct2d` and its kin. */
export interface ActOptions {
  /** What comes last; null: nothing. Default: `new ReLU({ inplace: true })`. */
  act?: Module | null;
  /** What comes between batch norm and activation; null: nothing. Default: null. */
  drop?: Module | null;
}
const actKinds = { act: kind.module, drop: kind.module };
const batchNormActOptions = declareOptions<NormOptions & ActOptions>({ ...normOptions.kinds, ...actKinds });
const syncActOptions = declareOptions<SyncBatchNormOptions & ActOptions>({
  ...syncBatchNormOptions.kinds,
  ...actKinds,
});
const frozenActOptions = declareOptions<FrozenBatchNorm2dOptions & ActOptions>({
  ...frozenBatchNorm2dOptions.kinds,
  ...actKinds,
});

/** A layer with a `drop` and an `act` behind its norm. */
export type NormAct = Module & { drop: Module; act: Module };

/** Adds the two children; every class here has them, in this order. */
function registerActivation(module: Module, { act = new ReLU({ inplace: true }), drop = null }: ActOptions): void {
  module.registerModule('drop', drop ?? new Identity());
  module.registerModule('act', act ?? new Identity());
}

const activate = ({ drop, act }: NormAct, y: Tensor): Tensor => act(drop(y)) as Tensor;

/** The same children without a norm. */
const restOf = ({ drop, act }: NormAct): Module => new Sequential({ drop, act });

/**
 * Whether nothing but a ReLU follows: the norm's kernel can do it. Not where the ReLU has hooks, which must be called.
 */
const isRelu = ({ drop, act }: NormAct): boolean =>
  !act.hasHooks && !drop.hasHooks && act.constructor === ReLU && drop.constructor === Identity;

/**
 * `BatchNorm2d`, then a dropout, then an activation (timm: `BatchNormAct2d`). Parameters, buffers and states are those
 * of the `BatchNorm2d`. A ReLU, the default, is computed in the same pass over memory.
 *
 * `convertSyncBatchNorm` and `toFrozenBatchNorm` keep `drop` and `act`.
 * @throws ValueError on other ranks than 4, and in training on a single value per channel.
 * @example
 * const norm = new BatchNormAct2d(6, { act: new SiLU() });
 */
export class BatchNormAct2d extends BatchNorm2d {
  /** What comes between batch norm and activation; an `Identity` where there is nothing. */
  declare drop: Module;
  /** What comes last; an `Identity` where there is nothing. */
  declare act: Module;
  /** Whether the present forward's ReLU has been computed with the norm. */
  private isActivated = false;

  constructor(numFeatures: number, options: NormOptions & ActOptions = {}) {
    super(numFeatures, options);
    registerActivation(this, options);
  }

  /** @internal */
  protected override get knownOptions(): typeof batchNormActOptions {
    return batchNormActOptions;
  }

  override forward(x: Tensor): Tensor {
    this.isActivated = false;
    const y = super.forward(x);
    return this.isActivated ? y : activate(this, y);
  }

  override afterNorm(): Module {
    return restOf(this);
  }

  /** @internal */
  protected override normalize(...[x, mean, variance, options]: Parameters<typeof batchNormWith>): Tensor {
    this.isActivated = isRelu(this);
    return super.normalize(x, mean, variance, { ...options, relu: this.isActivated });
  }
}

/** What `convertSyncBatchNorm` makes of a `BatchNormAct2d` (timm: `SyncBatchNormAct`). */
export class SyncBatchNormAct extends SyncBatchNorm {
  /** What comes between batch norm and activation; an `Identity` where there is nothing. */
  declare drop: Module;
  /** What comes last; an `Identity` where there is nothing. */
  declare act: Module;

  constructor(numFeatures: number, options: SyncBatchNormOptions & ActOptions = {}) {
    super(numFeatures, options);
    registerActivation(this, options);
  }

  /** @internal */
  protected override get knownOptions(): typeof syncActOptions {
    return syncActOptions;
  }

  override forward(x: Tensor): Tensor {
    return activate(this, super.forward(x));
  }

  override afterNorm(): Module {
    return restOf(this);
  }
}

/** What `toFrozenBatchNorm` makes of a `BatchNormAct2d` (timm: `FrozenBatchNormAct2d`). */
export class FrozenBatchNormAct2d extends FrozenBatchNorm2d {
  /** What comes between batch norm and activation; an `Identity` where there is nothing. */
  declare drop: Module;
  /** What comes last; an `Identity` where there is nothing. */
  declare act: Module;

  constructor(numFeatures: number, options: FrozenBatchNorm2dOptions & ActOptions = {}) {
    super(numFeatures, options);
    registerActivation(this, options);
  }

  /** @internal */
  protected override get knownOptions(): typeof frozenActOptions {
    return frozenActOptions;
  }

  override forward(x: Tensor): Tensor {
    return activate(this, super.forward(x));
  }

  override toString(): string {
    return `${this.constructor.name}(${this.extraRepr()}, act=${this.act})`;
  }
}

declareModules({ BatchNormAct2d, SyncBatchNormAct, FrozenBatchNormAct2d });
