// Gradient accumulation that equals one large batch, batch norm included. The statistics of all micro-batches are
// merged before any micro-batch is normalized, and gradients flow back through the merged statistics.
import { backward } from '../autograd/backward.ts';
import { asRecomputation, isInCheckpoint, isRecomputing } from '../autograd/checkpoint.ts';
import { noGrad } from '../autograd/grad_mode.ts';
import { RuntimeError, ValueError } from '../errors.ts';
import { type BatchStatistics, batchNormStats } from '../launch/batch_norm.ts';
import type { Module } from '../nn/module.ts';
import { BatchNormBase } from '../nn/norm/batch_norm.ts';
import { withMicroBatches } from '../nn/norm/statistics/statistics.ts';
import {
  asking,
  type ControlledLayer,
  type LayerStatistics,
  moveStatistics,
  type NormalizerSource,
} from '../nn/norm/statistics/statistics_control.ts';
import { add, mul } from '../ops/elementwise.ts';
import { batchNormCombine, batchNormGiven, statisticsBackward } from '../ops/norm/batch_norm_given.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { defaultGenerator } from '../tensor/random/index.ts';
import { scope } from '../tensor/scope.ts';
import { outsideScopes } from '../tensor/storage.ts';
import { keep, type Tensor } from '../tensor/tensor.ts';
import type { LossFunction } from './evaluate.ts';

/** Options of `accumulate`. */
export interface AccumulateOptions {
  /**
   * `'exact'` (default): batch norm uses the statistics of all micro-batches together. `'momentum'`: each uses its own,
   * and the momentum is such that all together weigh as one batch in the running statistics (`withMicroBatches`).
   */
  statistics?: 'exact' | 'momentum';
  /**
   * What the loss function does over the samples of a batch. `'mean'` (default): the losses are averaged, each weighing
   * as many samples as the first dimension of its micro-batch's target has; `'sum'`: they are added up.
   */
  reduction?: 'mean' | 'sum';
}
const accumulateOptions = declareOptions<AccumulateOptions>({ statistics: kind.choice, reduction: kind.choice });

/** Inputs of the model, and the target behind them. */
export type MicroBatch = readonly Tensor[];

/** One forward of a layer that normalizes by the batch; every micro-batch has the same. */
interface Call {
  readonly layer: ControlledLayer;
  /** What the layer uses (`decide`), as it was when gradients were computed. */
  decided: LayerStatistics;
  /** The statistics of its input over all micro-batches. Mean and M2 are leaves, at which their gradients gather. */
  merged: BatchStatistics | null;
}

/** Thrown to leave a forward whose rest is not needed. */
class Enough extends Error {}

const differs = () =>
  new RuntimeError(
    "[accumulate] expected every micro-batch to pass the same batch norms in the same order; for a model that decides by its data there is statistics: 'momentum'",
  );

class Accumulation {
  private readonly model: Module;
  private readonly microBatches: readonly MicroBatch[];
  /** The generator's state before each micro-batch, so that dropout drops the same in every sweep. */
  private readonly randomStates: Uint8Array[] = [];
  private readonly calls: Call[] = [];
  /** Calls of the present forward so far. */
  private cursor = 0;
  /** Whether the first sweep runs, and in it the first micro-batch, which shows what calls there are. */
  private isFirst = true;
  private isDiscovering = false;
  /** The call whose input the present sweep looks at, and the function that looks. */
  private wanted: { index: number; look: (x: Tensor) => void } | null = null;

  constructor(model: Module, microBatches: readonly MicroBatch[]) {
    this.model = model;
    this.microBatches = microBatches;
  }

  /** Which of the calls a layer's forward is. In a checkpoint's second run, the answer of the first is found again. */
  readonly source: NormalizerSource = (layer, decided) => {
    const index = this.cursor++;
    if (this.isDiscovering) this.calls.push({ layer, decided, merged: null });
    const call = this.calls[index];
    if (call?.layer !== layer) throw differs();
    if (!isRecomputing()) call.decided = decided;
    return (x) => this.normalize(index, x, decided);
  };

  private normalize(index: number, x: Tensor, { weight, bias }: LayerStatistics): Tensor {
    if (index === this.wanted?.index) {
      this.wanted.look(x);
      // In a checkpoint the forward must end: its backward runs it again. And the first sweep counts all calls and
      // random draws.
      if (!this.isFirst && !isInCheckpoint()) throw new Enough();
    }
    const { layer, merged } = this.calls[index];
    // While merged statistics are not known yet, the micro-batch's own stand in. Nobody looks at what follows.
    const { mean, m2, count } = merged ?? batchNormStats(x);
    return batchNormGiven(x, mean, m2, count, weight, bias, layer.eps);
  }

  private forward(i: number): Tensor | null {
    defaultGenerator.setState(this.randomStates[i]);
    this.cursor = 0;
    try {
      const output = this.model(...this.microBatches[i].slice(0, -1)) as Tensor;
      if (this.cursor !== this.calls.length) throw differs();
      return output;
    } catch (error) {
      if (error instanceof Enough) return null;
      throw error;
    }
  }

  /** Runs all micro-batches up to a call, each in a scope, and shows its input to `look`. */
  private sweep(index: number, look: (x: Tensor) => void, then: () => void = () => {}): void {
    for (const i of this.microBatches.keys())
      scope(() => {
        if (this.isFirst) this.randomStates[i] = defaultGenerator.getState();
        this.isDiscovering = this.isFirst && i === 0;
        this.wanted = { index, look };
        try {
          asRecomputation(() => this.forward(i));
        } finally {
          this.wanted = null;
        }
        then();
      });
  }

  /**
   * Finds the statistics of each call over all micro-batches, one call after the other, since each depends on those
   * before.
   */
  findStatistics(): void {
    for (let index = 0; this.isFirst || index < this.calls.length; index++) {
      const parts: BatchStatistics[] = [];
      noGrad(() => this.sweep(index, (x) => parts.push(outsideScopes(() => batchNormStats(x)))));
      this.isFirst = this.isDiscovering = false;
      if (parts.length === 0) return;
      const merged = outsideScopes(() => batchNormCombine(parts));
      if (merged.count < 2)
        throw new ValueError(
          `Expected more than 1 value per channel when training, got ${merged.count} in all micro-batches together`,
        );
      for (const leaf of [merged.mean, merged.m2]) leaf.requiresGrad = true;
      this.calls[index].merged = merged;
    }
  }

  /** Output of a micro-batch, by the statistics of all. */
  output = (i: number): Tensor => this.forward(i)!;

  /**
   * Sends the gradients of the statistics, which are complete once those of all later calls have been sent, on to what
   * the statistics were computed from: dx = dmean/count + 2·(x − mean)·dM2, for each micro-batch.
   */
  sendGradients(): void {
    for (const [index, { merged }] of [...this.calls.entries()].reverse()) {
      const [dmean, dm2] = [merged!.mean.grad, merged!.m2.grad];
      if (!dmean || !dm2) continue;
      let seen: Tensor;
      let dx: Tensor;
      this.sweep(
        index,
        (x) => {
          seen = x;
          dx = statisticsBackward(x, merged!, dmean, dm2);
          // The checkpoint's scope ends before the backward.
          if (isInCheckpoint()) keep(dx);
        },
        () => {
          if (seen.requiresGrad) backward([seen], [dx]);
        },
      );
    }
  }

  /** One movement of running statistics and counter per call. */
  moveStatistics(): void {
    for (const { layer, decided, merged } of this.calls) {
      const { training, trackRunningStats, runningMean, runningVar, numBatchesTracked, momentum, sink } = decided;
      if (!training || !trackRunningStats) continue;
      const batch = { count: merged!.count, mean: merged!.mean.detach(), m2: merged!.m2.detach() };
      (sink ?? moveStatistics)({ layer, batch, runningMean, runningVar, numBatchesTracked, momentum });
    }
  }
}

/** The gradients of the losses of all micro-batches, one graph at a time; returns the loss of all together. */
function gradients(
  microBatches: readonly MicroBatch[],
  weights: readonly number[],
  loss: LossFunction,
  output: (i: number) => Tensor,
): Tensor {
  let total: Tensor | null = null;
  for (const [i, microBatch] of microBatches.entries())
    total = scope(() => {
      const part = mul(loss(output(i), microBatch[microBatch.length - 1]), weights[i]);
      backward([part]);
      const value = part.detach();
      return total ? add(total, value) : value;
    });
  return total!;
}

function check(microBatches: readonly MicroBatch[], { statistics = 'exact', reduction = 'mean' }: AccumulateOptions) {
  if (microBatches.length === 0) throw new ValueError('[accumulate] expected at least one micro-batch, got none');
  for (const [i, microBatch] of microBatches.entries())
    if (microBatch.length < 2)
      throw new ValueError(
        `[accumulate] expected inputs and a target, got ${microBatch.length} tensors as micro-batch ${i}`,
      );
  if (statistics !== 'exact' && statistics !== 'momentum')
    throw new ValueError(`[accumulate] expected statistics 'exact' or 'momentum', got '${String(statistics)}'`);
  if (reduction !== 'mean' && reduction !== 'sum')
    throw new ValueError(`[accumulate] expected reduction 'mean' or 'sum', got '${String(reduction)}'`);
  return { statistics, reduction };
}

/**
 * Computes gradients of one batch that is given in parts, as [...inputs, target] each, and adds them to `.grad`; an
 * optimizer's step may follow. Returns the loss of the whole batch.
 *
 * In PyTorch, k micro-batches with batch norm are not the large batch: each is normalized by its own statistics, and
 * the running ones move k times (pytorch#46516, keras#16633, GradientAccumulator#6, tuning_playbook#69). Here, with
 * `statistics: 'exact'`, outputs, loss, gradients, running statistics and counter are to rounding those of the one
 * large batch, in the memory of one micro-batch. Time, with B forwards of batch norms in training mode in the model: B
 * sweeps over all micro-batches without gradients, the first whole and each other up to its batch norm; one forward and
 * backward; and B forwards and backwards, each up to its batch norm. Where batch norms lie evenly that is about (2B +
 * 4)/3 times plain accumulation. `'momentum'` costs nothing.
 *
 * Every sweep draws the same random numbers from the default generator. The loss function is called once per
 * micro-batch; the model is called several times, and may be left in the middle of its forward. A layer that is used
 * twice has two forwards.
 *
 * @throws ValueError without micro-batches or on one value per channel in all of them; RuntimeError where micro-batches
 * go different ways through the model, and on layers with statistics beyond this process or of parts of a batch.
 * @example
 * const parts = [0, 1].map((i) => [images.chunk(2)[i], labels.chunk(2)[i]]);
 * const loss = accumulate(model, parts, crossEntropy);
 * optimizer.step();
 */
export function accumulate(
  model: Module,
  microBatches: readonly MicroBatch[],
  loss: LossFunction,
  options: AccumulateOptions = {},
): Tensor {
  requireOptions('accumulate', options, accumulateOptions);
  const { statistics, reduction } = check(microBatches, options);
  const sizes = microBatches.map((microBatch) => microBatch[microBatch.length - 1].shape[0] ?? 1);
  const samples = sizes.reduce((a, b) => a + b);
  const weights = sizes.map((size) => (reduction === 'mean' ? size / samples : 1));
  if (statistics === 'momentum')
    return withMicroBatches(model, microBatches.length, () =>
      gradients(microBatches, weights, loss, (i) => model(...microBatches[i].slice(0, -1)) as Tensor),
    );
  const norms = [...model.modules()].filter((each) => each instanceof BatchNormBase);
  const shared = norms.find((norm) => !norm.isLocal);
  if (shared)
    throw new RuntimeError(
      `[accumulate] ${shared.constructor.name} merges statistics over processes, which statistics: 'exact' cannot; use 'momentum'`,
    );
  const other = norms.find((norm) => !norm.isPlain);
  if (other)
    throw new RuntimeError(
      `[accumulate] ${other.constructor.name} does not normalize its whole batch by that batch's statistics alone, so that statistics: 'exact' has no meaning; use 'momentum'`,
    );
  const start = defaultGenerator.getState();
  let end = start;
  try {
    const run = new Accumulation(model, microBatches);
    return asking(norms, 'normalizers', run.source, () => {
      run.findStatistics();
      const total = gradients(microBatches, weights, loss, run.output);
      end = defaultGenerator.getState();
      run.sendGradients();
      run.moveStatistics();
      return total;
    });
  } finally {
    defaultGenerator.setState(end);
  }
}
