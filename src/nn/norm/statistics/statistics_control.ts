// Requests to a normalization layer besides its own flags: to freeze its statistics, to use others, to move them later.
// `decide` combines them, once per forward. The functions that users call are in freeze_batch_norm.ts and
// statistics.ts, the arithmetic in ops/.

import { isRecomputing, replayed } from '../../../autograd/checkpoint.ts';
import { isGradEnabled } from '../../../autograd/grad_mode.ts';
import { type BatchStatistics, type batchNormUpdateRunning, countBatch } from '../../../launch/batch_norm.ts';
import { clone } from '../../../ops/convert.ts';
import { restoring } from '../../../restoring.ts';
import { outsideScopes } from '../../../tensor/storage.ts';
import type { Tensor } from '../../../tensor/tensor.ts';
import { warn } from '../../../warnings.ts';
import { type CalledModule, modelInCall, nameInCall } from '../../module_call.ts';

/** What a layer normalizes by inside `withStatistics`. */
export type StatisticsMode = 'batch' | 'running' | 'frozen';

/** What this file needs of a normalization layer. `NormBase` is one; it stands in a file above. */
export interface ControlledLayer extends LayerStatistics, CalledModule {
  /** What is asked of the layer besides its flags; null: nothing. */
  control: StatisticsControl | null;
  /** Moves running statistics towards a batch's, in place. */
  moveRunning(...args: Parameters<typeof batchNormUpdateRunning>): void;
  readonly eps: number;
}

/** A movement of running statistics that has not happened yet. */
export interface StatisticsUpdate {
  readonly layer: ControlledLayer;
  readonly batch: BatchStatistics;
  readonly runningMean: Tensor | null;
  readonly runningVar: Tensor | null;
  readonly numBatchesTracked: Tensor | null;
  readonly momentum: number | null;
}

/** Carries out a movement: the counter, then mean and variance. */
export function moveStatistics({ layer, batch, momentum, ...running }: StatisticsUpdate): void {
  const { runningMean: mean, runningVar: variance, numBatchesTracked: tracked } = running;
  if (tracked) countBatch(tracked);
  // Without a counter there is no plain average, and null stands for 0, as in PyTorch.
  layer.moveRunning(batch, { mean, variance, tracked }, tracked ? momentum : (momentum ?? 0));
}

/** What one forward uses. Without requests it is the layer itself: its own flags and tensors. */
export interface LayerStatistics {
  readonly training: boolean;
  readonly trackRunningStats: boolean;
  readonly runningMean: Tensor | null;
  readonly runningVar: Tensor | null;
  readonly numBatchesTracked: Tensor | null;
  readonly momentum: number | null;
  readonly weight: Tensor | null;
  readonly bias: Tensor | null;
  /** Takes the movements of the running statistics, which then do not happen. */
  readonly sink?: (update: StatisticsUpdate) => void;
  /** Normalizes instead of the layer, by merged statistics. */
  readonly normalizer?: (x: Tensor) => Tensor;
}

/** Gives a layer its normalizer, once per forward that normalizes by the batch; see `accumulate`. */
export type NormalizerSource = (layer: ControlledLayer, decided: LayerStatistics) => (x: Tensor) => Tensor;

export interface Frozen {
  readonly statistics: boolean;
  /** Whether weight and bias required gradients before; null: they are not frozen. */
  readonly affine: Readonly<Record<'weight' | 'bias', boolean>> | null;
}

/** The requests to a layer. A field without a request is null; `microBatches` is 1. */
export class StatisticsControl {
  frozen: Frozen | null = null;
  mode: StatisticsMode | null = null;
  /** Name of the running statistics in use. */
  set: string | null = null;
  /** How many forwards make one batch. */
  microBatches = 1;
  sink: ((update: StatisticsUpdate) => void) | null = null;
  normalizers: NormalizerSource | null = null;
}
type Field = keyof StatisticsControl;
const nothing: Readonly<StatisticsControl> = new StatisticsControl();

/** One request to a layer. */
export const asked = <F extends Field>(layer: ControlledLayer, field: F): StatisticsControl[F] =>
  (layer.control ?? nothing)[field];

/** Sets a request. A layer without requests has no control object, and takes the short path. */
export function ask<F extends Field>(layer: ControlledLayer, field: F, value: StatisticsControl[F]): void {
  layer.control ??= new StatisticsControl();
  layer.control[field] = value;
  if ((Object.keys(nothing) as Field[]).every((each) => layer.control![each] === nothing[each])) layer.control = null;
}

/** Sets a request of several layers while `fn` runs: until it returns or throws, or its promise settles. */
export function asking<F extends Field, R>(
  layers: readonly ControlledLayer[],
  field: F,
  value: StatisticsControl[F],
  fn: () => R,
): R {
  const before = layers.map((layer) => asked(layer, field));
  const restore = () => {
    for (const [i, layer] of layers.entries()) ask(layer, field, before[i]);
  };
  for (const layer of layers) ask(layer, field, value);
  return restoring(restore, fn);
}

/** Decides what this forward of a layer uses. In a checkpoint's second run it is what the first run used. */
export function decide(layer: ControlledLayer): LayerStatistics {
  return replayed(() => decideNow(layer), asInSecondRun);
}

function decideNow(layer: ControlledLayer): LayerStatistics {
  const { frozen, mode, microBatches, sink, normalizers } = layer.control ?? nothing;
  const training = mode ? mode === 'batch' : layer.training && !frozen?.statistics;
  const { momentum } = layer;
  const isConstant = mode === 'frozen';
  const decided: LayerStatistics = {
    training,
    trackRunningStats: layer.trackRunningStats && !(training && (mode === 'batch' || isRecomputing())),
    runningMean: layer.runningMean,
    runningVar: layer.runningVar,
    numBatchesTracked: layer.numBatchesTracked,
    // k steps of 1 − (1 − m)^(1/k) leave (1 − m) of what was there.
    momentum: momentum === null || microBatches === 1 ? momentum : 1 - (1 - momentum) ** (1 / microBatches),
    weight: isConstant && layer.weight ? layer.weight.detach() : layer.weight,
    bias: isConstant && layer.bias ? layer.bias.detach() : layer.bias,
    sink: sink ?? undefined,
  };
  // Without running statistics a layer normalizes by the batch in evaluation too.
  const isByBatch = training || (decided.runningMean === null && decided.runningVar === null);
  return isByBatch && normalizers ? { ...decided, normalizer: normalizers(layer, decided) } : decided;
}

/** For a checkpoint's second run: nothing moves, and the running statistics are those that the first run used. */
function asInSecondRun(decided: LayerStatistics): LayerStatistics {
  if (decided.training) return { ...decided, trackRunningStats: false, sink: undefined };
  const copy = (t: Tensor | null) => t && outsideScopes(() => clone(t));
  return { ...decided, runningMean: copy(decided.runningMean), runningVar: copy(decided.runningVar) };
}

// ---- warnings -----------------------------------------------------------------------------------------------------

let recalibrations = 0;
/** Models, and layers that were called by themselves, that were warned of. */
const warned = { frozen: new WeakSet<object>(), noGradients: new WeakSet<object>() };

/** Runs `fn` without the warning below: it moves running statistics without gradients on purpose. */
export function recalibrating<R>(fn: () => R): R {
  recalibrations++;
  return restoring(() => recalibrations--, fn);
}

/**
 * Says, once per model, that a layer's running statistics move where they probably should not: while its weight and
 * bias are frozen (pytorch#86590, pytorch#66073), or without gradients, as where `eval()` was forgotten.
 */
export function warnOfMovement(layer: ControlledLayer): void {
  if (recalibrations > 0) return;
  const model = modelInCall() ?? layer;
  const { weight, bias } = layer;
  if (weight && !weight.requiresGrad && !bias?.requiresGrad) {
    if (warned.frozen.has(model)) return;
    warned.frozen.add(model);
    warn(
      `${nameInCall(layer)} moves its running statistics although its weight and bias are frozen: requiresGrad does not reach statistics. freezeBatchNorm(model) freezes both and stays through train(); eval() on the layer does until the next train().`,
    );
  } else if (!isGradEnabled() && !warned.noGradients.has(model)) {
    warned.noGradients.add(model);
    warn(
      `${nameInCall(layer)} moves its running statistics in a forward without gradients, so the data of an evaluation leaks into them. Call eval() first; or use withStatistics(model, 'batch', …) to normalize by the batch and move nothing.`,
    );
  }
}
