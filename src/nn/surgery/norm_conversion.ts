// Walks through a tree of modules that change its batch norms: into SyncBatchNorm and back, or into layers without
// running statistics.

import type { ProcessGroup } from '../../ops/norm/process_group.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { warn } from '../../warnings.ts';
import type { Module } from '../module.ts';
import { BatchNorm1d, BatchNorm2d, BatchNorm3d, BatchNormBase, BatchNormXd } from '../norm/batch_norm.ts';
import { BatchNormAct2d, SyncBatchNormAct } from '../norm/batch_norm_act.ts';
import { type PlainBatchNorm, SyncBatchNorm } from '../norm/sync_batch_norm.ts';

/** Whether a class computes in a way of its own. */
function isOverridden(bn: BatchNormBase, name: 'forward' | 'normalize'): boolean {
  const methods = (each: BatchNormBase) => each as unknown as Record<typeof name, unknown>;
  return methods(bn)[name] !== methods(BatchNormBase.prototype)[name];
}

/** A layer with the options that `make` is given, and then with the same parameters and buffers as `bn`, not copies. */
function remade<B extends BatchNormBase>(
  bn: BatchNormBase,
  make: (
    options: { eps: number; momentum: number | null } & Record<'affine' | 'bias' | 'trackRunningStats', boolean>,
  ) => B,
): B {
  const { numFeatures, eps, momentum, affine, trackRunningStats, training } = bn;
  const made = make({ eps, momentum, affine, bias: bn.bias !== null, trackRunningStats });
  made.numFeatures = numFeatures;
  made.weight = bn.weight;
  made.bias = bn.bias;
  // The running statistics, and sets of them beside (`addStatistics`).
  for (const [name, { tensor, isPersistent }] of bn.ownBuffers())
    if (made.ownBuffers().has(name)) (made as unknown as Record<string, Tensor | null>)[name] = tensor;
    else made.registerBuffer(name, tensor, { persistent: isPersistent });
  made.control = bn.control;
  made.training = training;
  return made;
}

/** The class that a layer is made into again: the one that it has, or of the library's the one it derives from. */
function plainOf(bn: BatchNormBase): PlainBatchNorm {
  if (bn instanceof SyncBatchNorm && bn.plain) return bn.plain;
  if (bn instanceof SyncBatchNormAct) return BatchNormAct2d;
  return [BatchNormAct2d, BatchNorm1d, BatchNorm2d, BatchNorm3d].find((each) => bn instanceof each) ?? BatchNormXd;
}

function synchronized(bn: BatchNormBase, processGroup: ProcessGroup | null): SyncBatchNorm {
  const isAct = bn instanceof BatchNormAct2d || bn instanceof SyncBatchNormAct;
  const isSync = bn instanceof SyncBatchNorm;
  if (!isAct && !isSync && (['forward', 'normalize'] as const).some((name) => isOverridden(bn, name)))
    warn(
      `${bn.constructor.name} has a forward of its own, which is lost by its conversion to SyncBatchNorm: what it does besides batch norm, such as an activation, must stand in a module of its own`,
    );
  const Sync = isAct ? SyncBatchNormAct : SyncBatchNorm;
  // Built without tensors, since all of them are replaced.
  const sync = remade(bn, (options) => new Sync(0, { ...options, processGroup }));
  sync.plain = plainOf(bn);
  return sync;
}

/**
 * Puts what `convert` makes of each module of a tree in its place, with its children; a module that it gives back stays
 * itself. Returns what stands for the root.
 */
function replaceModules(root: Module, convert: (module: Module) => Module): Module {
  /** The result for each module; results are not converted again. */
  const results = new Map<Module, Module>();
  const visit = (before: Module): Module => {
    const known = results.get(before);
    if (known) return known;
    const after = convert(before);
    results.set(before, after);
    results.set(after, after);
    for (const [name, child] of [...before.allChildren()]) {
      const converted = visit(child);
      if (!(name in after)) after.registerModule(name, converted);
      else if (after !== before || converted !== child) (after as unknown as Record<string, Module>)[name] = converted;
    }
    return after;
  };
  return visit(root);
}

/** Options of `convertSyncBatchNorm`. */
export interface ConvertSyncBatchNormOptions {
  /** The processes that share their statistics; null: all of the job, as each forward finds them. Default: null. */
  processGroup?: ProcessGroup | null;
}
const convertOptions = declareOptions<ConvertSyncBatchNormOptions>({ processGroup: kind.processGroup });

/**
 * Replaces every batch norm below `module` by a `SyncBatchNorm` with the same parameters, statistics, counter, mode and
 * freezing, in place, and returns `module`, or its replacement where it is a batch norm itself (PyTorch:
 * `SyncBatchNorm.convert_sync_batchnorm`). `revertSyncBatchNorm` is the way back.
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
  return replaceModules(module, (each) => (each instanceof BatchNormBase ? synchronized(each, processGroup) : each));
}

/**
 * Replaces every `SyncBatchNorm` below `module` by plain batch norm with the same parameters, statistics, counter, mode
 * and freezing, in place, and returns `module`, or its replacement where it is a SyncBatchNorm itself (Lightning, mmcv:
 * `revert_sync_batchnorm`).
 *
 * A layer that `convertSyncBatchNorm` has made becomes what it was: `BatchNorm1d`, `BatchNorm2d`, `BatchNorm3d` or
 * `BatchNormAct2d`; of a class that derives from one of them, that one. A layer that was built as SyncBatchNorm becomes
 * `BatchNormXd`, which takes any number of dimensions, as SyncBatchNorm does; `SyncBatchNormAct` becomes
 * `BatchNormAct2d`. Hooks and further properties stay behind. Evaluation does not need it: there SyncBatchNorm is plain
 * batch norm.
 *
 * @example
 * const net1 = revertSyncBatchNorm(convertSyncBatchNorm(new BatchNorm2d(6))); // a BatchNorm2d
 */
export function revertSyncBatchNorm(module: Module): Module {
  return replaceModules(module, (each) => {
    if (!(each instanceof SyncBatchNorm)) return each;
    const Plain = plainOf(each);
    return remade(each, (options) => new Plain(0, options));
  });
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
