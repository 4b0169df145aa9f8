// Batch renormalization layers, in the two published forms: the paper's, whose state is a batch norm's, and that of the
// widespread port to PyTorch, which keeps a running deviation. The arithmetic is in ops/norm/batch_renorm.ts.

import { isRecomputing, replayed } from '../../autograd/checkpoint.ts';
import { maxElements, requireFinite, requireInteger, requireNumber } from '../../checks.ts';
import { RuntimeError, ValueError } from '../../errors.ts';
import { type BatchStatistics, countBatch, type RunningStatistics } from '../../launch/batch_norm.ts';
import { cast, clone } from '../../ops/convert.ts';
import { add, clamp, mul, sub } from '../../ops/elementwise.ts';
import type { batchNormWith } from '../../ops/norm/batch_norm.ts';
import {
  batchRenorm,
  batchRenormUpdateRunning,
  type RenormLimits,
  runningStdBatchRenorm,
} from '../../ops/norm/batch_renorm.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { ones, tensor, zeros } from '../../tensor/create.ts';
import { requireDType } from '../../tensor/dtype.ts';
import { outsideScopes } from '../../tensor/storage.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { Module } from '../module.ts';
import { declareModules } from '../module_call.ts';
import { type DTypeOption, Parameter } from '../parameter.ts';
import { BatchNormBase, type NormOptions, normOptions, requireRank } from './batch_norm.ts';

/** A limit that grows evenly with the number of batches seen: `from` up to batch `start`, `to` from batch `end` on. */
export interface Ramp {
  /** The limit at first. */
  readonly from: number;
  /** The limit at last. */
  readonly to: number;
  /** The batch up to which the limit is `from`. */
  readonly start: number;
  /** The batch from which on the limit is `to`. */
  readonly end: number;
}

/** How far batch renormalization corrects. */
export interface RenormLimitOptions {
  /**
   * The largest r, whose inverse is the smallest. Default, the paper's: 1 for 5000 batches, then growing to 3 at
   * 40,000.
   */
  rmax?: number | Ramp;
  /** The largest |d|. Default, the paper's: 0 for 5000 batches, then growing to 5 at 25,000. */
  dmax?: number | Ramp;
}

type Limits = Required<RenormLimitOptions>;
const defaults: Limits = {
  rmax: { from: 1, to: 3, start: 5000, end: 40_000 },
  dmax: { from: 0, to: 5, start: 5000, end: 25_000 },
};

function limitsFrom(layer: string, options: RenormLimitOptions): Limits {
  const { rmax = defaults.rmax, dmax = defaults.dmax } = options;
  const isRamp = (limit: unknown): limit is Ramp => typeof limit === 'object' && limit !== null && 'from' in limit;
  const values = (limit: number | Ramp) => (isRamp(limit) ? [limit.from, limit.to] : [limit]);
  for (const [name, limit, least] of [
    ['rmax', rmax, 1],
    ['dmax', dmax, 0],
  ] as const) {
    const given = values(limit);
    for (const value of given) requireNumber(layer, name, value);
    if (!given.every((value) => value >= least))
      throw new ValueError(`[${layer}] expected ${name} to be at least ${least}, got ${given.join(' to ')}`);
    if (isRamp(limit) && !(limit.end > limit.start))
      throw new ValueError(`[${layer}] expected ${name} to end after its start, got ${limit.start} to ${limit.end}`);
  }
  return { rmax, dmax };
}

/** The limits after `batches` (no dimensions), computed where the counter lies. */
function limitsAt({ rmax, dmax }: Limits, batches: Tensor): RenormLimits {
  const at = (limit: number | Ramp) => {
    if (typeof limit === 'number') return limit;
    const { from, to, start, end } = limit;
    const value = add(mul(sub(cast(batches, 'float64'), start), (to - from) / (end - start)), from);
    return clamp(value, Math.min(from, to), Math.max(from, to));
  };
  return { rmax: at(rmax), dmax: at(dmax) };
}

/** Options of `BatchRenorm1d`, `BatchRenorm2d` and `BatchRenorm3d`. */
export type BatchRenormOptions = Omit<NormOptions, 'trackRunningStats'> & RenormLimitOptions;
const { trackRunningStats: _, ...normKinds } = normOptions.kinds;
const limitKinds = { rmax: kind.numeric, dmax: kind.numeric };
const batchRenormOptions = declareOptions<BatchRenormOptions>({ ...normKinds, ...limitKinds });

abstract class BatchRenormBase extends BatchNormBase {
  override isPlain = false;
  private readonly limits: Limits;

  constructor(numFeatures: number, options: BatchRenormOptions = {}) {
    requireOptions(new.target.name, options, batchRenormOptions);
    const { eps = 1e-3, momentum = 0.01, affine, bias, dtype } = options;
    super(numFeatures, { eps, momentum, affine, bias, dtype });
    this.limits = limitsFrom(this.constructor.name, options);
  }

  /** @internal */
  override moveRunning(batch: BatchStatistics, running: RunningStatistics, momentum: number | null): void {
    batchRenormUpdateRunning(batch, running, momentum, this.eps);
  }

  /** @internal */
  protected override normalize(...[x, mean, variance, options = {}]: Parameters<typeof batchNormWith>): Tensor {
    if (!options.training) return super.normalize(x, mean, variance, options);
    // The correction needs the running statistics even where they do not move.
    const { runningMean, runningVar, numBatchesTracked } = this;
    if (!runningMean || !runningVar || !numBatchesTracked)
      throw new RuntimeError(`[${this.constructor.name}] expected running statistics and their counter, got null`);
    const moves = mean !== null && variance !== null;
    // This batch is counted already, unless its movement is staged.
    const before = moves && !options.onStatistics ? sub(numBatchesTracked, 1) : numBatchesTracked;
    return batchRenorm(x, runningMean, runningVar, {
      ...options,
      ...limitsAt(this.limits, before),
      updateStatistics: moves,
    });
  }
}

/** Batch renormalization over (N, C) or (N, C, L), as `BatchRenorm2d`. */
export class BatchRenorm1d extends BatchRenormBase {
  protected checkInputDim(x: Tensor): void {
    requireRank(x, 2, 3);
  }
}

/**
 * Batch renormalization over (N, C, H, W) as in the paper: batch norm that in training is corrected towards what the
 * running statistics would give, for small or uneven batches (Ioffe 2017; Keras 3: `BatchNormalization(renorm=True)`
 * with one momentum). See `functional.batchRenorm` for the formulas. Defaults: eps 1e-3, inside the root, momentum
 * 0.01.
 *
 * Parameters, buffers and states are a batch norm's: `running_var` is σ² − eps, so that a `BatchNorm2d` of the same eps
 * evaluates alike. `rmax` and `dmax` limit the correction; by default they grow on the paper's schedule, the first 5000
 * batches being plain batch norm.
 * @throws ValueError on other ranks, in training on a single value per channel, and where rmax < 1 or dmax < 0.
 * @example
 * const norm = new BatchRenorm2d(6, { rmax: { from: 1, to: 3, start: 100, end: 500 }, dmax: 0.5 });
 */
export class BatchRenorm2d extends BatchRenormBase {
  protected checkInputDim(x: Tensor): void {
    requireRank(x, 4);
  }
}

/** Batch renormalization over (N, C, D, H, W), as `BatchRenorm2d`. */
export class BatchRenorm3d extends BatchRenormBase {
  protected checkInputDim(x: Tensor): void {
    requireRank(x, 5);
  }
}

/** Options of `RunningStdBatchRenorm1d`, `RunningStdBatchRenorm2d` and `RunningStdBatchRenorm3d`. */
export interface RunningStdBatchRenormOptions extends DTypeOption, RenormLimitOptions {
  /** Added to the deviation. Default: 1e-3. */
  eps?: number;
  /** Weight of a new batch in the running statistics. Default: 0.01. */
  momentum?: number;
  /** Whether weight and bias, which the state has in any case, are used. Default: true. */
  affine?: boolean;
}
const runningStdOptions = declareOptions<RunningStdBatchRenormOptions>({
  eps: kind.number,
  momentum: kind.number,
  affine: kind.flag,
  dtype: kind.choice,
  ...limitKinds,
});

abstract class RunningStdBatchRenormBase extends Module {
  /** Channels of the input: C. */
  readonly numFeatures: number;
  /** Added to the deviation. */
  readonly eps: number;
  /** Weight of a new batch in the running statistics. */
  readonly momentum: number;
  /** Whether weight and bias are used. */
  readonly affine: boolean;
  /** The factor of each channel (C). */
  declare weight: Parameter;
  /** What is added to each channel (C). */
  declare bias: Parameter;
  private readonly limits: Limits;

  constructor(numFeatures: number, options: RunningStdBatchRenormOptions = {}) {
    super();
    const { name } = this.constructor;
    requireOptions(name, options, runningStdOptions);
    const { eps = 1e-3, momentum = 0.01, affine = true, dtype } = options;
    requireInteger(name, 'numFeatures', numFeatures, 0, maxElements);
    requireFinite(name, 'eps', eps);
    requireFinite(name, 'momentum', momentum);
    if (dtype !== undefined) requireDType(name, dtype);
    this.numFeatures = numFeatures;
    this.eps = eps;
    this.momentum = momentum;
    this.affine = affine;
    this.limits = limitsFrom(this.constructor.name, options);
    this.registerParameter('weight', new Parameter(ones([numFeatures], { dtype })));
    this.registerParameter('bias', new Parameter(zeros([numFeatures], { dtype })));
    this.registerBuffer('running_mean', zeros([numFeatures], { dtype }));
    this.registerBuffer('running_std', ones([numFeatures], { dtype }));
    this.registerBuffer('num_batches_tracked', tensor(0, { dtype: 'int64' }));
  }

  override get isNorm(): boolean {
    return true;
  }

  private buffer(name: string): Tensor {
    return this.ownBuffers().get(name)!.tensor!;
  }
  /** Running mean per channel (C). */
  get runningMean(): Tensor {
    return this.buffer('running_mean');
  }
  /** Running deviation, eps included, per channel (C). */
  get runningStd(): Tensor {
    return this.buffer('running_std');
  }
  /** How many batches the running statistics have seen: int64, no dimensions. */
  get numBatchesTracked(): Tensor {
    return this.buffer('num_batches_tracked');
  }

  /**
   * Checks the input's number of dimensions.
   * @throws ValueError where it is not the layer's.
   */
  protected abstract checkInputDim(x: Tensor): void;

  forward(x: Tensor): Tensor {
    this.checkInputDim(x);
    const copy = (t: Tensor) => outsideScopes(() => clone(t));
    // A checkpoint's second run uses what the first run used.
    const { training, mean, std } = replayed(
      () => ({ training: this.training, mean: this.runningMean, std: this.runningStd }),
      (first) => (first.training ? first : { ...first, mean: copy(first.mean), std: copy(first.std) }),
    );
    const moves = training && !isRecomputing();
    const y = runningStdBatchRenorm(x, mean, std, {
      weight: this.affine ? this.weight : null,
      bias: this.affine ? this.bias : null,
      training,
      momentum: this.momentum,
      eps: this.eps,
      ...limitsAt(this.limits, this.numBatchesTracked),
      updateStatistics: moves,
    });
    if (moves) countBatch(this.numBatchesTracked);
    return y;
  }
}

/** As `RunningStdBatchRenorm2d`, over (N, C) or (N, C, L). */
export class RunningStdBatchRenorm1d extends RunningStdBatchRenormBase {
  protected checkInputDim(x: Tensor): void {
    requireRank(x, 2, 3);
  }
}

/**
 * Batch renormalization over (N, C, H, W) as the widespread port to PyTorch has it (ludvb/batchrenorm), for its states
 * and results: a running deviation, `running_std`, and eps added to the deviation. See
 * `functional.runningStdBatchRenorm`; `BatchRenorm2d` is the paper's form, and the one to choose otherwise.
 *
 * It is no batch norm to `freezeBatchNorm`, `withStatistics` and the like. One value per channel is no error.
 * @throws ValueError on other ranks, and where rmax < 1 or dmax < 0.
 * @example
 * const norm = new RunningStdBatchRenorm2d(6);
 */
export class RunningStdBatchRenorm2d extends RunningStdBatchRenormBase {
  protected checkInputDim(x: Tensor): void {
    requireRank(x, 4);
  }
}

/** As `RunningStdBatchRenorm2d`, over (N, C, D, H, W). */
export class RunningStdBatchRenorm3d extends RunningStdBatchRenormBase {
  protected checkInputDim(x: Tensor): void {
    requireRank(x, 5);
  }
}

declareModules({
  BatchRenorm1d,
  BatchRenorm2d,
  BatchRenorm3d,
  RunningStdBatchRenorm1d,
  RunningStdBatchRenorm2d,
  RunningStdBatchRenorm3d,
});
