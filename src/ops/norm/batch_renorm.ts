// Batch renormalization (Ioffe 2017): batch norm whose output is corrected towards what the running statistics would
// give, by factors r and d per channel that are constants to the gradient. Its two published forms are here, which keep
// different statistics; when these move is nn/norm/batch_renorm.ts's.
import { replayed } from '../../autograd/checkpoint.ts';
import { noGrad } from '../../autograd/grad_mode.ts';
import { requireNumber } from '../../checks.ts';
import { ValueError } from '../../errors.ts';
import { type BatchStatistics, batchNormStats, type RunningStatistics } from '../../launch/batch_norm.ts';
import { declareOptions, kind, required, requireOptions } from '../../options.ts';
import { requireFloat } from '../../tensor/requirements.ts';
import { outsideScopes } from '../../tensor/storage.ts';
import { Tensor } from '../../tensor/tensor.ts';
import { cast, clone, detach } from '../convert.ts';
import { add, clamp, div, gt, maximum, minimum, mul, neg, sqrt, square, sub, where } from '../elementwise.ts';
import { overwrite } from '../in_place.ts';
import { mean as meanOf } from '../reduce.ts';
import { reshape } from '../shape_ops.ts';
import { acrossChannels, type BatchNormOptions, batchNormKinds, normalizeBatch, statisticAxes } from './batch_norm.ts';
import {
  emptyResult,
  requireAlike,
  requireConstantStatistics,
  requireElements,
  requireNormOptions,
} from './norm_checks.ts';

/** The limits of the correction, numbers or tensors without dimensions. */
export interface RenormLimits {
  /** 1/rmax ≤ r ≤ rmax. */
  rmax: Tensor | number;
  /** −dmax ≤ d ≤ dmax. */
  dmax: Tensor | number;
}

type UpdateOption = {
  /** Whether the running statistics move in training. Default: true. */
  updateStatistics?: boolean;
};
/** Options of `batchRenorm`. */
export type BatchRenormOptions = Omit<BatchNormOptions, 'relu'> & RenormLimits & UpdateOption;
/** A number, or a tensor. */
const limit = required(kind.numeric);
const batchRenormOptions = declareOptions<BatchRenormOptions>({
  rmax: limit,
  dmax: limit,
  ...batchNormKinds,
  updateStatistics: kind.flag,
});

/** Mean and deviation per channel (C), float64. */
interface Moments {
  readonly mean: Tensor;
  readonly std: Tensor;
}
interface Correction {
  readonly r: Tensor;
  readonly d: Tensor;
}

const wide = (t: Tensor): Tensor => cast(detach(t), 'float64');

/**
 * r = σ_B/σ and d = (μ_B − μ)/σ within their limits, of the moments of the batch and the running ones before they move.
 * They have moved by the time a checkpoint runs again, so its second run is given what the first computed.
 */
const correctionOf = (batch: Moments, running: Moments, { rmax, dmax }: RenormLimits): Correction =>
  replayed(
    () =>
      noGrad(() => {
        const least = typeof rmax === 'number' ? 1 / rmax : div(1, rmax);
        const lowest = typeof dmax === 'number' ? -dmax : neg(dmax);
        return {
          r: minimum(maximum(div(batch.std, running.std), least), rmax),
          d: minimum(maximum(div(sub(batch.mean, running.mean), running.std), lowest), dmax),
        };
      }),
    ({ r, d }) => outsideScopes(() => ({ r: clone(r), d: clone(d) })),
  );

/**
 * The affine part behind a correction: (x̂·r + d)·weight + bias = x̂·(r·weight) + (d·weight + bias), in the parameters'
 * dtype.
 */
function corrected({ r, d }: Correction, like: Tensor, weight: Tensor | null, bias: Tensor | null) {
  const by = (t: Tensor) => (weight ? mul(cast(t, like.dtype), weight) : cast(t, like.dtype));
  return { weight: by(r), bias: bias ? add(by(d), bias) : by(d) };
}

/** Gives running statistics their next values, in place. */
const assign = (running: Tensor, next: Tensor): void => overwrite(running, cast(next, running.dtype));

const stdOf = ({ m2, count }: BatchStatistics, eps: number): Tensor => sqrt(add(div(m2, count), eps));

/**
 * Moves the running statistics of `batchRenorm`, in place: μ += m·(μ_B − μ) and σ += m·(σ_B − σ), where σ² = variance +
 * eps. Momentum null averages over all batches counted by `tracked`.
 */
export function batchRenormUpdateRunning(
  batch: BatchStatistics,
  { mean, variance, tracked }: RunningStatistics,
  momentum: number | null,
  eps: number,
): void {
  noGrad(() => {
    const weight = momentum ?? (tracked ? div(1, cast(tracked, 'float64')) : 0);
    const towards = (old: Tensor, next: Tensor) => add(old, mul(sub(next, old), weight));
    if (mean) assign(mean, towards(wide(mean), batch.mean));
    // Rounding may take a variance of 0 below it.
    if (variance)
      assign(variance, clamp(sub(square(towards(sqrt(add(wide(variance), eps)), stdOf(batch, eps))), eps), 0));
  });
}

/**
 * Batch renormalization of x (N, C, …) as in the paper (Ioffe 2017; Keras 3: `BatchNormalization(renorm=True)`), eps
 * inside the root. With the batch's mean μ_B and σ_B = √(biased variance + eps), and the running μ and σ = √(runningVar
 * + eps), in training
 *   y = ((x − μ_B)/σ_B·r + d)·weight + bias,  r = σ_B/σ within [1/rmax, rmax],  d = (μ_B − μ)/σ within ±dmax,
 * no gradient flowing through r and d; then μ and σ move by the momentum (default 0.1), in place. In evaluation it is
 * `batchNorm`.
 *
 * rmax = 1 and dmax = 0 make it batch norm, but for σ in the place of the unbiased variance in the moving average.
 * @throws ValueError with one value per channel in training; RuntimeError on sizes or dtypes that do not fit.
 * @example
 * const y1 = batchRenorm(x, runningMean, runningVar, { training: true, rmax: 3, dmax: 5 });
 */
export function batchRenorm(x: Tensor, runningMean: Tensor, runningVar: Tensor, options: BatchRenormOptions): Tensor {
  requireOptions('batchRenorm', options, batchRenormOptions);
  const { rmax, dmax, updateStatistics = true, ...plain } = options;
  const { weight = null, bias = null, momentum = 0.1, eps = 1e-5, numBatchesTracked = null, onStatistics } = plain;
  requireNormOptions('batchRenorm', plain);
  requireLimits('batchRenorm', options);
  if (!plain.training || x.size === 0) return normalizeBatch(x, runningMean, runningVar, plain);
  checkVectors('batchRenorm', x, { runningMean, runningVar, weight, bias });
  const batch = noGrad(() => batchNormStats(x));
  const correction = correctionOf(
    { mean: batch.mean, std: stdOf(batch, eps) },
    { mean: wide(runningMean), std: sqrt(add(wide(runningVar), eps)) },
    { rmax, dmax },
  );
  const y = normalizeBatch(x, null, null, { training: true, eps, ...corrected(correction, x, weight, bias) });
  if (onStatistics) onStatistics(batch);
  else if (updateStatistics)
    batchRenormUpdateRunning(
      batch,
      { mean: runningMean, variance: runningVar, tracked: numBatchesTracked },
      momentum,
      eps,
    );
  return y;
}

/** Options of `runningStdBatchRenorm`. */
export interface RunningStdBatchRenormOptions extends RenormLimits, UpdateOption {
  /** The factor of each channel (C); null: 1. Default: null. */
  weight?: Tensor | null;
  /** What is added to each channel (C); null: 0. Default: null. */
  bias?: Tensor | null;
  /** Normalize by the batch's statistics and move the running ones. Default: false. */
  training?: boolean;
  /** Weight of the new value in the running statistics. Default: 0.01. */
  momentum?: number;
  /** Added to the deviation. Default: 1e-3. */
  eps?: number;
}
const runningStdBatchRenormOptions = declareOptions<RunningStdBatchRenormOptions>({
  rmax: limit,
  dmax: limit,
  weight: kind.tensor,
  bias: kind.tensor,
  training: kind.flag,
  momentum: kind.number,
  eps: kind.number,
  updateStatistics: kind.flag,
});

/**
 * Batch renormalization as the widespread port to PyTorch has it (ludvb/batchrenorm), eps outside the root: as
 * `batchRenorm`, but σ_B = √(biased variance) + eps, and σ is `runningStd` itself, in evaluation too: y = (x −
 * μ)/σ·weight + bias. One value per channel is no error.
 * @throws RuntimeError on sizes or dtypes that do not fit.
 * @example
 * const y1 = runningStdBatchRenorm(x, runningMean, ones([6]), { training: true, rmax: 3, dmax: 5 });
 */
export function runningStdBatchRenorm(
  x: Tensor,
  runningMean: Tensor,
  runningStd: Tensor,
  options: RunningStdBatchRenormOptions,
): Tensor {
  requireOptions('runningStdBatchRenorm', options, runningStdBatchRenormOptions);
  const { weight = null, bias = null, training = false, momentum = 0.01, eps = 1e-3, ...limits } = options;
  requireNormOptions('runningStdBatchRenorm', options);
  requireLimits('runningStdBatchRenorm', options);
  if (x.size === 0) return emptyResult(x, weight, bias);
  checkVectors('runningStdBatchRenorm', x, { runningMean, runningStd, weight, bias });
  const across = (t: Tensor) => acrossChannels(t, x.shape);
  if (!training) {
    const normal = div(sub(x, across(runningMean)), across(runningStd));
    const scaled = weight ? mul(normal, across(weight)) : normal;
    return bias ? add(scaled, across(bias)) : scaled;
  }
  const axes = statisticAxes(x.shape);
  const mean = meanOf(x, axes, { keepdim: true });
  const centred = sub(x, mean);
  const variance = meanOf(square(centred), axes, { keepdim: true });
  // A constant channel has deviation 0, where the root has no derivative: it counts as a constant.
  const varies = gt(variance, 0);
  const std = add(where(varies, sqrt(where(varies, variance, 1)), 0), eps);
  const batch = { mean: wide(reshape(mean, [-1])), std: wide(reshape(std, [-1])) };
  const running = { mean: wide(runningMean), std: wide(runningStd) };
  const affine = corrected(correctionOf(batch, running, limits), x, weight, bias);
  const y = add(mul(centred, div(across(affine.weight), std)), across(affine.bias));
  if (limits.updateStatistics ?? true)
    noGrad(() => {
      assign(runningMean, add(running.mean, mul(sub(batch.mean, running.mean), momentum)));
      assign(runningStd, add(running.std, mul(sub(batch.std, running.std), momentum)));
    });
  return y;
}

/** Limits that bound nothing are infinite. */
function requireLimits(op: string, { rmax, dmax }: RenormLimits): void {
  for (const [name, limit, least] of [
    ['rmax', rmax, 1],
    ['dmax', dmax, 0],
  ] as const) {
    if (limit instanceof Tensor) continue;
    requireNumber(op, name, limit);
    if (!(limit >= least)) throw new ValueError(`[${op}] expected ${name} to be at least ${least}, got ${limit}`);
  }
}

function checkVectors(op: string, x: Tensor, vectors: Record<string, Tensor | null>): void {
  requireFloat(op, x);
  if (x.rank < 2) throw new ValueError(`expected at least 2D input (got ${x.rank}D input)`);
  for (const [name, value] of Object.entries(vectors)) requireElements(op, name, value, x.shape[1]);
  requireAlike(op, x, ...Object.values(vectors));
  const [mean, spread] = Object.values(vectors);
  requireConstantStatistics(mean, spread);
}
