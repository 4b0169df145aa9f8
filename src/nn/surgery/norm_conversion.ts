// Walks through a tree of modules that change its batch norms: into SyncBatchNorm, or into layers without running
// statistics.

import type { ProcessGroup } from '../../ops/norm/process_group.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { warn } from '../../warnings.ts';
import type { Module } from '../module.ts';
import { BatchNormBase } from '../norm/batch_norm.ts';
import { BatchNormAct2d, SyncBatchNormAct } from '../norm/batch_norm_act.ts';
import { SyncBatchNorm } from '../norm/sync_batch_norm.ts';

/** Whether a class computes in a way of its own. */
function isOverridden(bn: BatchNormBase, name: 'forward' | 'normalize'): boolean {
  const methods = (each: BatchNormBase) => each as unknown as Record<typeof name, unknown>;
  return methods(bn)[name] !== methods(BatchNormBase.prototype)[name];
}

/** The same parameters and buffers, not copies, in a SyncBatchNorm. */
function synchronized(bn: BatchNormBase, processGroup: ProcessGroup | null): SyncBatchNorm {
  const isAct = bn instanceof BatchNormAct2d || bn instanceof SyncBatchNormAct;
  const isSync = bn instanceof SyncBatchNorm;
  if (!isAct && !isSync && (['forward', 'normalize'] as const).some((name) => isOverridden(bn, name)))
    warn(
      `${bn.constructor.name} has a forward of its own, which is lost by its conversion to SyncBatchNorm: what it does besides batch norm, such as an activation, must stand in a module of its own`,
    );
  const { numFeatures, eps, momentum, affine, trackRunningStats, training } = bn;
  // Built without tensors, since all of them are replaced.
  const Sync = isAct ? SyncBatchNormAct : SyncBatchNorm;
  const sync = new Sync(0, { eps, momentum, affine, bias: bn.bias !== null, trackRunningStats, processGroup });
  sync.numFeatures = numFeatures;
  sync.weight = bn.weight;
  sync.bias = bn.bias;
  // The running statistics, and sets of them beside (`addStatistics`).
  for (const [name, { tensor, isPersistent }] of bn.ownBuffers())
    if (sync.ownBuffers().has(name)) (sync as unknown as Record<string, Tensor | null>)[name] = tensor;
    else sync.registerBuffer(name, tensor, { persistent: isPersistent });
  sync.control = bn.control;
  sync.training = training;
  return sync;
}

/** Options of `convertSyncBatchNorm`. */
export interface ConvertSyncBatchNormOptions {
  /** The processes that share their statistics; null: none. Default: null. */
  processGroup?: ProcessGroup | null;
}
const convertOptions = declareOptions<ConvertSyncBatchNormOptions>({ processGroup: kind.processGroup });

/**
 * Replaces every batch norm below `module` by a `SyncBatchNorm` with the same parameters, statistics, counter, mode and
 * freezing, in place, and returns `module`, or its replacement where it is a batch norm itself (PyTorch:
 * `SyncBatchNorm.convert_sync_batchnorm`).
 *
 * A layer that stands under several names stays one layer. `BatchNormAct2d` keeps what follows its norm. Other
 * subclasses of batch norm convert too, and lose what they add: a warning names those with a forward of their own.
 * Hooks and further properties stay behind. SyncBatchNorm layers are rebuilt with the given group; instance norm stays.
 *
 * @example
 * const net2 = convertSyncBatchNorm(new Sequential(new Conv2d(1, 6, 5), new BatchNorm2d(6)));
 */
export function convertSyncBatchNorm(module: Module, options: ConvertSyncBatchNormOptions = {}): Module {
  requireOptions('convertSyncBatchNorm', options, convertOptions);
  const { processGroup = null } = options;
  /** The result for each module; results are not converted again. */
  const results = new Map<Module, Module>();
  const convert = (before: Module): Module => {
    const known = results.get(before);
    if (known) return known;
    const after = before instanceof BatchNormBase ? synchronized(before, processGroup) : before;
    results.set(before, after);
    results.set(after, after);
    for (const [name, child] of [...before.allChildren()]) {
      const converted = convert(child);
      if (!(name in after)) after.registerModule(name, converted);
      else if (after !== before || converted !== child) (after as unknown as Record<string, Module>)[name] = converted;
    }
    return after;
  };
  return convert(module);
}

/**
 * Takes the running statistics from every batch norm of the tree, which then normalizes by the batch's own in
 * evaluation too, as transforms of functions want it; in place (PyTorch: `torch.func.replace_all_batch_norm_modules_`).
 * Returns `root`. Instance norms stay.
 *
 * @example
 * const stateless = replaceAllBatchNormModules_(new Sequential(new BatchNorm2d(6))).eval();
 */
export function replaceAllBatchNormModules_<M extends Module>(root: M): M {
  for (const module of root.modules()) {
    if (!(module instanceof BatchNormBase) || !module.trackRunningStats) continue;
    module.runningMean = null;
    module.runningVar = null;
    module.numBatchesTracked = null;
    module.trackRunningStats = false;
  }
  return root;
}
