// Turning the batch norms of a network into FrozenBatchNorm2d, and back. Source of the rules: timm's
// freeze_batch_norm_2d and unfreeze_batch_norm_2d. Freezing batch norms as they are is
// norm/statistics/freeze_batch_norm.ts's.

import { noGrad } from '../../autograd/grad_mode.ts';
import { RuntimeError } from '../../errors.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { warn } from '../../warnings.ts';
import type { Module } from '../module.ts';
import { BatchNorm2d, type BatchNormBase, BatchNormXd } from '../norm/batch_norm.ts';
import { BatchNormAct2d, FrozenBatchNormAct2d, SyncBatchNormAct } from '../norm/batch_norm_act.ts';
import { FrozenBatchNorm2d } from '../norm/frozen_batch_norm.ts';
import { SyncBatchNorm } from '../norm/sync_batch_norm.ts';

/**
 * Walks a tree, each module once however many names it has, and puts what `convert` makes of a module in its place;
 * null: go on with its children. Returns what stands for the root.
 */
function replace(root: Module, convert: (module: Module) => Module | null): Module {
  const results = new Map<Module, Module>();
  const visit = (module: Module): Module => {
    const known = results.get(module);
    if (known) return known;
    const made = convert(module);
    results.set(module, made ?? module);
    if (made) return made;
    for (const [name, child] of [...module.allChildren()]) {
      const converted = visit(child);
      if (converted !== child) (module as unknown as Record<string, Module>)[name] = converted;
    }
    return module;
  };
  return visit(root);
}

const isAct = (module: Module): module is BatchNormAct2d | SyncBatchNormAct =>
  module instanceof BatchNormAct2d || module instanceof SyncBatchNormAct;
const kinds: readonly unknown[] = [BatchNorm2d, BatchNormXd, SyncBatchNorm, BatchNormAct2d, SyncBatchNormAct];
const isConvertible = (module: Module): module is BatchNormBase => kinds.includes(module.constructor);

/** Copies of weight and bias; a parameter that a layer does not have stays as the other was made with. */
function copyAffine(
  from: { weight: Tensor | null; bias: Tensor | null },
  to: { weight: Tensor | null; bias: Tensor | null },
) {
  noGrad(() => {
    if (from.weight) to.weight?.copy_(from.weight);
    if (from.bias) to.bias?.copy_(from.bias);
  });
}

/**
 * Replaces every `BatchNorm2d`, `SyncBatchNorm` and `BatchNormAct2d` below `module` by a `FrozenBatchNorm2d`
 * (`FrozenBatchNormAct2d` with the same drop and activation), in place, and returns `module`, or its replacement where
 * it is a batch norm itself (timm: `freeze_batch_norm_2d`). Weight and bias are copied; the running statistics are the
 * same tensors. Other batch norms stay, subclasses of `BatchNorm2d` with a warning.
 *
 * Choose this to save or exchange a network with frozen layers, as detectors do: the layers lose their parameters, so
 * build the optimizer afterwards. To freeze for some epochs, choose `freezeBatchNorm`, which changes no module, and
 * which `unfreezeBatchNorm` undoes exactly.
 * @throws RuntimeError, having changed nothing, where a layer has no running statistics.
 * @example
 * const backbone = toFrozenBatchNorm(new Sequential(new Conv2d(1, 6, 5), new BatchNorm2d(6)));
 */
export function toFrozenBatchNorm(module: Module): Module {
  const check = (norm: Module): Module | null => {
    if (isConvertible(norm)) {
      if (!norm.runningMean || !norm.runningVar)
        throw new RuntimeError(`[toFrozenBatchNorm] expected running statistics, which ${norm} does not have`);
      return norm;
    }
    if (!(norm instanceof BatchNorm2d)) return null;
    warn(
      `${norm.constructor.name} may do more than the BatchNorm2d it derives from, so toFrozenBatchNorm leaves it as it is; freezeBatchNorm(module) freezes it`,
    );
    return norm;
  };
  replace(module, check);
  return replace(module, (norm) => {
    if (!isConvertible(norm)) return norm instanceof BatchNorm2d ? norm : null;
    const { numFeatures, eps, weight, runningMean, runningVar, training } = norm;
    const options = { eps, dtype: runningMean!.dtype };
    const frozen = isAct(norm)
      ? new FrozenBatchNormAct2d(numFeatures, { ...options, act: norm.act, drop: norm.drop })
      : new FrozenBatchNorm2d(numFeatures, options);
    copyAffine(norm, frozen);
    frozen.runningMean = runningMean!;
    frozen.runningVar = runningVar!;
    frozen.affine = weight !== null;
    frozen.training = training;
    return frozen;
  });
}

/**
 * Replaces every `FrozenBatchNorm2d` below `module` by a `BatchNorm2d`, and `FrozenBatchNormAct2d` by `BatchNormAct2d`,
 * in place, and returns `module`, or its replacement where it is one itself (timm: `unfreeze_batch_norm_2d`). Weight
 * and bias are copied into parameters that require gradients; the running statistics are the same tensors; the momentum
 * is 0.1 and the counter 0.
 *
 * Choose this to train a detector's frozen layers; what `freezeBatchNorm` has frozen, `unfreezeBatchNorm` frees.
 * @example
 * const trainable = fromFrozenBatchNorm(new FrozenBatchNorm2d(6)); // a BatchNorm2d
 */
export function fromFrozenBatchNorm(module: Module): Module {
  return replace(module, (frozen) => {
    if (!(frozen instanceof FrozenBatchNorm2d)) return null;
    const { numFeatures, eps, affine, runningMean, runningVar, training } = frozen;
    const options = { eps, affine, dtype: runningMean.dtype };
    const norm =
      frozen instanceof FrozenBatchNormAct2d
        ? new BatchNormAct2d(numFeatures, { ...options, act: frozen.act, drop: frozen.drop })
        : new BatchNorm2d(numFeatures, options);
    copyAffine(frozen, norm);
    norm.runningMean = runningMean;
    norm.runningVar = runningVar;
    norm.training = training;
    return norm;
  });
}
