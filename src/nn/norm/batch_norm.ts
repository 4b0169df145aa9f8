// Batch normalization layers: their parameters and running statistics, and when these move. NormBase is what layers
// with running statistics share (instance norm too), BatchNormBase the rule of batch norm for batches and evaluation.
// The arithmetic is in ops/; what may override a layer's flags, from freezing to staged updates, is in
// statistics_control.ts.

import { isInCheckpoint, isRecomputing } from '../../autograd/checkpoint.ts';
import { isGradEnabled } from '../../autograd/grad_mode.ts';
import { maxElements, requireInteger, requireNormNumbers } from '../../checks.ts';
import { RuntimeError, ValueError } from '../../errors.ts';
import { type BatchStatistics, batchNormUpdateRunning, countBatch } from '../../launch/batch_norm.ts';
import { batchNormWith } from '../../ops/norm/batch_norm.ts';
import { declareOptions, kind, type Options, requireOptions } from '../../options.ts';
import { boolText, floatText } from '../../python_text.ts';
import { ones, tensor, zeros, zerosLike } from '../../tensor/create.ts';
import { requireDType } from '../../tensor/dtype.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { ones_, zeros_ } from '../init.ts';
import { Module } from '../module.ts';
import { declareModules } from '../module_call.ts';
import { type DTypeOption, Parameter } from '../parameter.ts';
import type { StateDict } from '../state_dict.ts';
import {
  decide,
  type LayerStatistics,
  type StatisticsControl,
  warnOfMovement,
} from './statistics/statistics_control.ts';

/** Options of batch norms, and of layers made of one. */
export interface NormOptions extends DTypeOption {
  /** Added to the variance. Default: 1e-5. */
  eps?: number;
  /** Weight of a new batch in the running statistics; null: their plain average over all batches. Default: 0.1. */
  momentum?: number | null;
  /** Whether there are a weight and a bias per channel. Default: true. */
  affine?: boolean;
  /** Whether an affine layer has the bias, not only the weight. Default: true. */
  bias?: boolean;
  /** Whether there are running statistics. Default: true. */
  trackRunningStats?: boolean;
}
export const normOptions = declareOptions<NormOptions>({
  eps: kind.numeric,
  momentum: kind.numeric,
  affine: kind.flag,
  trackRunningStats: kind.flag,
  bias: kind.flag,
  dtype: kind.choice,
});

const bufferNames = ['running_mean', 'running_var', 'num_batches_tracked'] as const;
type BufferName = (typeof bufferNames)[number];
/** The name of a buffer in a set of statistics beside the layer's own. */
const bufferOf = (name: BufferName, set: string): string => `${name}_${set}`;

/** Parameters, running statistics and their state of a layer that normalizes channels (PyTorch: `_NormBase`). */
export abstract class NormBase extends Module {
  /** Channels of the input: C. */
  numFeatures: number;
  /** Added to the variance. */
  eps: number;
  /** Weight of a new batch in the running statistics; null: their plain average over all batches. */
  momentum: number | null;
  /** Whether the layer was made with a weight. */
  readonly affine: boolean;
  /**
   * Whether batches move the running statistics. May be changed later: then batches no longer move them, and evaluation
   * still uses them.
   */
  trackRunningStats: boolean;
  /** The factor of each channel (C), null where the layer is not affine. */
  declare weight: Parameter | null;
  /** What is added to each channel (C), null where there is none. */
  declare bias: Parameter | null;
  /**
   * What is asked of the layer besides its flags; null: nothing. Set by freezeBatchNorm, withStatistics and the like.
   * @internal
   */
  control: StatisticsControl | null = null;

  constructor(numFeatures: number, options: NormOptions = {}) {
    super();
    requireOptions(this.constructor.name, options, this.knownOptions);
    const { eps = 1e-5, momentum = 0.1, affine = true, bias = true, trackRunningStats = true, dtype } = options;
    const { name } = this.constructor;
    requireInteger(name, 'numFeatures', numFeatures, -maxElements, maxElements);
    requireNormNumbers(name, eps, momentum);
    if (dtype !== undefined) requireDType(name, dtype);
    this.numFeatures = numFeatures;
    this.eps = eps;
    this.momentum = momentum;
    this.affine = affine;
    this.trackRunningStats = trackRunningStats;
    const size = [numFeatures];
    this.registerParameter('weight', affine ? new Parameter(ones(size, { dtype })) : null);
    this.registerParameter('bias', affine && bias ? new Parameter(zeros(size, { dtype })) : null);
    this.registerBuffer('running_mean', trackRunningStats ? zeros(size, { dtype }) : null);
    this.registerBuffer('running_var', trackRunningStats ? ones(size, { dtype }) : null);
    this.registerBuffer('num_batches_tracked', trackRunningStats ? tensor(0, { dtype: 'int64' }) : null);
  }

  /**
   * What may stand in the options.
   * @internal
   */
  protected get knownOptions(): Options<NormOptions> {
    return normOptions;
  }

  // State dicts and printed forms have PyTorch's names of the buffers. These properties are the same buffers under the
  // library's names; inside useStatistics() they are those of the set in use.

  override get isNorm(): boolean {
    return true;
  }

  /** Running mean per channel (C), null where statistics are not tracked. */
  get runningMean(): Tensor | null {
    return this.readBuffer('running_mean');
  }
  set runningMean(value: Tensor | null) {
    this.writeBuffer('running_mean', value);
  }
  /** Running unbiased variance per channel (C), null where statistics are not tracked. */
  get runningVar(): Tensor | null {
    return this.readBuffer('running_var');
  }
  set runningVar(value: Tensor | null) {
    this.writeBuffer('running_var', value);
  }
  /** How many batches the running statistics have seen: int64, no dimensions; null where they are not tracked. */
  get numBatchesTracked(): Tensor | null {
    return this.readBuffer('num_batches_tracked');
  }
  set numBatchesTracked(value: Tensor | null) {
    this.writeBuffer('num_batches_tracked', value);
  }

  private readBuffer(name: BufferName): Tensor | null {
    return (this as unknown as Record<string, Tensor | null>)[this.inUse(name)];
  }
  private writeBuffer(name: BufferName, value: Tensor | null): void {
    (this as unknown as Record<string, Tensor | null>)[this.inUse(name)] = value;
  }
  private inUse(name: BufferName): string {
    const set = this.control?.set;
    return set == null ? name : bufferOf(name, set);
  }

  /** Whether there is a set of running statistics of that name; see `addStatistics`. */
  hasStatistics(set: string): boolean {
    return this.ownBuffers().has(bufferOf('running_mean', set));
  }

  /**
   * Adds a set of running statistics: the layer's own as they are now, with a counter of 0. See `addStatistics`.
   * @internal
   */
  registerStatistics(set: string): void {
    const own = this as unknown as Record<BufferName, Tensor>;
    for (const name of bufferNames) {
      const start = name === 'num_batches_tracked' ? zerosLike(own[name]) : own[name].clone();
      this.registerBuffer(bufferOf(name, set), start);
    }
  }

  /** @internal */
  override get isObserved(): boolean {
    return super.isObserved || this.control !== null;
  }

  /**
   * What this forward goes by: the layer itself, unless more is asked of it than its flags say.
   * @internal
   */
  protected get statistics(): LayerStatistics {
    return this.control === null && !isInCheckpoint() && !isRecomputing() ? this : decide(this);
  }

  /**
   * Moves running statistics, the layer's own or those of a set, towards a batch's, in place; the counter has moved.
   * @internal
   */
  moveRunning(...args: Parameters<typeof batchNormUpdateRunning>): void {
    batchNormUpdateRunning(...args);
  }

  override get stateVersion(): number {
    return 2;
  }

  /** Running mean to 0, variance to 1, counter to 0, in place; nothing where statistics are not tracked. */
  resetRunningStats(): void {
    if (!this.trackRunningStats) return;
    // A layer that was made without statistics has none to reset, even if `trackRunningStats` was set later.
    zeros_(present(this.runningMean));
    ones_(present(this.runningVar));
    zeros_(present(this.numBatchesTracked));
  }

  /** Resets the running statistics, the weight to 1 and the bias to 0, in place. */
  resetParameters(): void {
    this.resetRunningStats();
    if (this.weight) ones_(this.weight);
    if (this.bias) zeros_(this.bias);
  }

  /**
   * Checks the input's number of dimensions.
   * @throws ValueError where it is not the layer's.
   */
  protected abstract checkInputDim(x: Tensor): void;

  override extraRepr(): string {
    const { frozen } = this.control ?? {};
    const parts = [frozen?.statistics && 'statistics', frozen?.affine && 'affine'].filter(Boolean);
    const frozenText = parts.length > 0 ? `, frozen=${parts.join('+')}` : '';
    // Newer PyTorch prints `bias` always; here it appears where it is not what `affine` says.
    const bias = this.affine && !this.bias ? ', bias=False' : '';
    return `${this.numFeatures}, eps=${floatText(this.eps)}, momentum=${floatText(this.momentum)}, affine=${boolText(this.affine)}${bias}, track_running_stats=${boolText(this.trackRunningStats)}${frozenText}`;
  }

  /**
   * States written before the counter existed (version 1, or none) load with the present counter; sets of statistics in
   * a state are added.
   */
  override upgradeState(state: StateDict, prefix: string, version: number | undefined, _errors: string[]): void {
    const key = `${prefix}num_batches_tracked`;
    if ((version === undefined || version < 2) && this.trackRunningStats && !state.has(key))
      state.set(key, this.numBatchesTracked ?? tensor(0, { dtype: 'int64', device: 'cpu' }));
    if (!this.trackRunningStats) return;
    const start = `${prefix}${bufferOf('running_mean', '')}`;
    for (const name of state.keys()) {
      const set = name.startsWith(start) ? name.slice(start.length) : '';
      const isWhole = bufferNames.every((buffer) => state.has(prefix + bufferOf(buffer, set)));
      if (set && isWhole && !this.hasStatistics(set)) this.registerStatistics(set);
    }
  }
}

function present(buffer: Tensor | null): Tensor {
  if (!buffer)
    throw new RuntimeError(
      '[resetRunningStats] the layer was made without running statistics: there are none to reset',
    );
  return buffer;
}

/**
 * Batch norm of any number of dimensions: what it normalizes by, and when the running statistics move (PyTorch:
 * `_BatchNorm`).
 */
export abstract class BatchNormBase extends NormBase {
  /**
   * Whether the layer normalizes its whole input by one set of statistics. Then `accumulate` can merge the statistics
   * of several batches.
   */
  isPlain = true;
  /**
   * For subclasses that do more than batch norm in evaluation: the module that follows the norm, which `fold` leaves in
   * its place.
   */
  afterNorm?(): Module;

  forward(x: Tensor): Tensor {
    this.checkInputDim(x);
    return this.forwardChecked(x);
  }

  /**
   * Forward after the check of dimensions: the one place where it is decided which statistics are used, and whether and
   * where they move.
   * @internal
   */
  protected forwardChecked(x: Tensor): Tensor {
    const now = this.statistics;
    if (now.normalizer) return now.normalizer(x);
    const { training, trackRunningStats, numBatchesTracked, runningMean, runningVar, weight, bias, sink } = now;
    let { momentum } = now;
    let onStatistics: ((batch: BatchStatistics) => void) | undefined;
    if (training && trackRunningStats) {
      const isFrozen = weight !== null && !weight.requiresGrad && !bias?.requiresGrad;
      if (runningMean && (isFrozen || !isGradEnabled())) warnOfMovement(this);
      // The counter moves before anything else is checked, as in PyTorch.
      if (sink)
        onStatistics = (batch) => sink({ layer: this, batch, runningMean, runningVar, numBatchesTracked, momentum });
      else if (numBatchesTracked) countBatch(numBatchesTracked);
      else momentum ??= 0;
    } else momentum ??= 0;
    const isTrackedNow = !training || trackRunningStats;
    return this.normalize(x, isTrackedNow ? runningMean : null, isTrackedNow ? runningVar : null, {
      weight,
      bias,
      training: training || (runningMean === null && runningVar === null),
      momentum,
      eps: this.eps,
      numBatchesTracked,
      onStatistics,
    });
  }

  /**
   * Whether the batch's statistics are those of this process alone.
   * @internal
   */
  get isLocal(): boolean {
    return true;
  }

  /**
   * The op that computes it; `SyncBatchNorm` has another.
   * @internal
   */
  protected normalize(...args: Parameters<typeof batchNormWith>): Tensor {
    return batchNormWith(...args);
  }
}

/** The layers differ only in the ranks they take: `ranks` in the order of the error's text. */
export function requireRank(x: Tensor, ...ranks: number[]): void {
  if (!ranks.includes(x.rank))
    throw new ValueError(`expected ${ranks.map((rank) => `${rank}D`).join(' or ')} input (got ${x.rank}D input)`);
}

/**
 * Batch norm over (N, C) or (N, C, L) (PyTorch: `nn.BatchNorm1d`). See `BatchNorm2d`. An unbatched (C, L) is read as
 * (N, C).
 * @throws ValueError on other ranks.
 */
export class BatchNorm1d extends BatchNormBase {
  protected checkInputDim(x: Tensor): void {
    requireRank(x, 2, 3);
  }
}

/**
 * Batch norm over (N, C, H, W): every channel to mean 0 and variance 1, by the batch's own statistics in training and
 * by the running ones in evaluation, then times weight plus bias (Ioffe & Szegedy 2015; PyTorch: `nn.BatchNorm2d`).
 *
 * @throws ValueError on other ranks, and in training on a single value per channel.
 * @example
 * const bn = new BatchNorm2d(6, { momentum: null });
 */
export class BatchNorm2d extends BatchNormBase {
  protected checkInputDim(x: Tensor): void {
    requireRank(x, 4);
  }
}

/** Batch norm over (N, C, D, H, W) (PyTorch: `nn.BatchNorm3d`). See `BatchNorm2d`. */
export class BatchNorm3d extends BatchNormBase {
  protected checkInputDim(x: Tensor): void {
    requireRank(x, 5);
  }
}

/**
 * Batch norm over (N, C, …) of any number of dimensions from two on: what `revertSyncBatchNorm` makes of layers that
 * were built as `SyncBatchNorm` (Lightning, mmcv: `_BatchNormXd`). See `BatchNorm2d`.
 * @throws ValueError below two dimensions.
 */
export class BatchNormXd extends BatchNormBase {
  protected checkInputDim(x: Tensor): void {
    if (x.rank < 2) throw new ValueError(`expected at least 2D input (got ${x.rank}D input)`);
  }
}

declareModules({ BatchNorm1d, BatchNorm2d, BatchNorm3d, BatchNormXd });
