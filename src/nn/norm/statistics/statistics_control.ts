// What may be asked of a normalization layer's statistics besides its own flags: freezing, other statistics, other ways. All of it comes
// together in `decide`, once per forward. Not here: the functions users call (freeze_batch_norm.ts, statistics.ts), the arithmetic (ops/).

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

/** What decisions about statistics ask of a normalization layer. `NormBase` is one; it stands in a file above. */
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

/** What one forward goes by. A layer is one itself: what its own flags and tensors say. */
export interface LayerStatistics {
  readonly training: boolean;
  readonly trackRunningStats: boolean;
  readonly runningMean: Tensor | null;
  readonly runningVar: Tensor | null;
  readonly numBatchesTracked: Tensor | null;
  readonly momentum: number | null;
  readonly weight: Tensor | null;
  readonly bias: Tensor | null;
  /** Takes movements of the running statistics in their place. */
  readonly sink?: (update: StatisticsUpdate) => void;
  /** Normalizes in the batch's place, by its statistics and those of others. */
  readonly normalizer?: (x: Tensor) => Tensor;
}

/** What the layers of `accumulate` ask, once per forward that normalizes by the batch, for the way to do it. */
export type NormalizerSource = (layer: ControlledLayer, decided: LayerStatistics) => (x: Tensor) => Tensor;

export interface Frozen {
  readonly statistics: boolean;
  /** Whether weight and bias required gradients before; null: they are not frozen. */
  readonly affine: Readonly<Record<'weight' | 'bias', boolean>> | null;
}

/** What is asked of a layer. Every field is null, or 1, where nothing is. */
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

/** What is asked of a layer under one heading. */
export const asked = <F extends Field>(layer: ControlledLayer, field: F): StatisticsControl[F] =>
  (layer.control ?? nothing)[field];

/** Asks it. A layer of which nothing is asked any more is on the short path again. */
export function ask<F extends Field>(layer: ControlledLayer, field: F, value: StatisticsControl[F]): void {
  layer.control ??= new StatisticsControl();
  layer.control[field] = value;
  if ((Object.keys(nothing) as Field[]).every((each) => layer.control![each] === nothing[each])) layer.control = null;
}

/** Runs `fn` while it is asked of the layers, until `fn` returns or throws or its promise settles. */
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

/** What this forward of a layer goes by, all that is asked of it considered; in a checkpoint's second run, what the first went by. */
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

/** The second run moves nothing, and uses the running statistics that the first one used, whatever has become of them. */
function asInSecondRun(decided: LayerStatistics): LayerStatistics {
  if (decided.training) return { ...decided, trackRunningStats: false, sink: undefined };
  const copy = (t: Tensor | null) => t && outsideScopes(() => clone(t));
  return { ...decided, runningMean: copy(decided.runningMean), runningVar: copy(decided.runningVar) };
}

// ---- warnings -----------------------------------------------------------------------------------------------------

let recalibrations = 0;
/** Models, and layers that are called by themselves, of which one of these things was said. */
const warned = { frozen: new WeakSet<object>(), noGradients: new WeakSet<object>() };

/** Runs `fn`, which moves running statistics without gradients on purpose, without a warning about it. */
export function recalibrating<R>(fn: () => R): R {
  recalibrations++;
  return restoring(() => recalibrations--, fn);
}

/**
 * Says, once per model, that a layer's running statistics move where they probably should not: while its weight and bias are frozen
 * (pytorch#86590, pytorch#66073), or without gradients, as where `eval()` was forgotten.
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
