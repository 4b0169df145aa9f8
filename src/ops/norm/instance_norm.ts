// Instance normalization (Ulyanov, Vedaldi & Lempitsky 2016): every channel of every sample brought to mean 0 and
// variance 1, or all samples by running statistics. The checks, the view as rows, and how the running statistics move;
// the arithmetic is in row_norm.ts.
import { RuntimeError, ValueError } from '../../errors.ts';
import { batchNormStats, batchNormUpdateRunning } from '../../launch/batch_norm.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { requireFloat, requireTensor } from '../../tensor/requirements.ts';
import { formatShape, normalizeDim, sizeOf } from '../../tensor/shape.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { repeat } from '../broadcast.ts';
import { toFormat } from '../convert.ts';
import { mean as meanOf } from '../reduce.ts';
import { reshape } from '../shape_ops.ts';
import { batchNormWith, normalizeBatch } from './batch_norm.ts';
import {
  emptyResult,
  requireAlike,
  requireConstantStatistics,
  requireElements,
  requireEps,
  requireMomentum,
  requireNormNumber,
} from './norm_checks.ts';
import { type NormalizedRows, normalizeRows, type RowView } from './row_norm.ts';

/** Options of `instanceNorm`. */
export interface InstanceNormOptions {
  /** The running mean of each channel (C); moved in place where input statistics are used. Default: null. */
  runningMean?: Tensor | null;
  /** The running unbiased variance of each channel (C); both running statistics are given, or none. Default: null. */
  runningVar?: Tensor | null;
  /** The factor of each channel (C); null: 1. Default: null. */
  weight?: Tensor | null;
  /** What is added to each channel (C); null: 0. Default: null. */
  bias?: Tensor | null;
  /** Normalize by the statistics of each sample, not by the running ones. Default: true. */
  useInputStats?: boolean;
  /** Weight of the new value in the running statistics. Default: 0.1. */
  momentum?: number;
  /** Added to the variance. Default: 1e-5. */
  eps?: number;
}
const instanceNormOptions = declareOptions<InstanceNormOptions>({
  runningMean: kind.tensor,
  runningVar: kind.tensor,
  weight: kind.tensor,
  bias: kind.tensor,
  useInputStats: kind.flag,
  momentum: kind.numeric,
  eps: kind.numeric,
});

/**
 * Normalization of x (N, C, …) over the axes after the channels, for each sample and channel alone, then times weight
 * plus bias per channel (PyTorch: `F.instance_norm`). The result is contiguous.
 *
 * Running statistics, where given, move towards the averages of the samples' means and unbiased variances. With
 * `useInputStats: false` they are what x is normalized by, as in `batchNorm`.
 *
 * @throws ValueError on a single value to take statistics of; RuntimeError on statistics, sizes or dtypes that do not
 * fit.
 * @example
 * const y = instanceNorm(randn([4, 6, 8, 8]), { eps: 1e-3 });
 */
export function instanceNorm(x: Tensor, options: InstanceNormOptions = {}): Tensor {
  requireOptions('instanceNorm', options, instanceNormOptions);
  return instanceNormWith(x, options);
}
/** For layers. */
export function instanceNormWith(x: Tensor, options: InstanceNormOptions): Tensor {
  const {
    runningMean = null,
    runningVar = null,
    weight = null,
    bias = null,
    useInputStats = true,
    momentum = 0.1,
    eps = 1e-5,
  } = options;
  requireTensor('instanceNorm', x);
  const s = sizeOf(x.shape.slice(2));
  if (useInputStats && s === 1)
    throw new ValueError(`Expected more than 1 spatial element when training, got input size ${formatShape(x.shape)}`);
  requireNormNumber('instanceNorm', 'momentum', momentum);
  requireNormNumber('instanceNorm', 'eps', eps);
  requireEps('instanceNorm', eps);
  requireMomentum('instanceNorm', momentum);
  if (!useInputStats && !(runningMean && runningVar))
    throw new RuntimeError('Expected runningMean and runningVar to be defined when useInputStats is false');
  if (!runningMean !== !runningVar)
    throw new ValueError('runningMean and runningVar must either both be null or neither be null');
  const c = x.shape[normalizeDim(1, x.rank)];
  const [n] = x.shape;
  if (x.size === 0) return emptyResult(x, weight, bias);
  // PyTorch sees the samples' channels as the channels of one sample, so its texts count all of them.
  requireElements('instanceNorm', 'runningMean', runningMean, c, n);
  requireElements('instanceNorm', 'runningVar', runningVar, c, n);
  requireElements('instanceNorm', 'weight', weight, c, n);
  requireElements('instanceNorm', 'bias', bias, c, n);
  requireFloat('instanceNorm', x);
  requireAlike('instanceNorm', x, weight, bias, runningMean, runningVar);
  requireConstantStatistics(runningMean, runningVar);
  const input = toFormat(x, 'contiguous');
  if (!useInputStats) return batchNormWith(input, runningMean, runningVar, { weight, bias, eps });
  const { y, mean, m2 } = (Number(eps) === 0 ? normalizeChannels : normalizeRows)(
    input,
    { n, g: c, k: 1, s },
    weight,
    bias,
    Number(eps),
    true,
  );
  if (runningMean)
    batchNormUpdateRunning(
      { count: s, mean: meanOf(mean, [0]), m2: meanOf(m2, [0]) },
      { mean: runningMean, variance: runningVar },
      Number(momentum),
    );
  return y;
}

/**
 * As `normalizeRows`, by batch norm: samples' channels as the channels of one sample. Without eps a constant channel
 * gives the bias and no gradient, as in batch norm, where rows of other norms give NaN.
 */
function normalizeChannels(
  x: Tensor,
  { n, g: c, s }: RowView,
  weight: Tensor | null,
  bias: Tensor | null,
  eps: number,
): NormalizedRows {
  const channels = reshape(x, [1, n * c, s]);
  const repeated = (t: Tensor | null) => t && repeat(reshape(t, [c]), [n]);
  const y = normalizeBatch(channels, null, null, {
    weight: repeated(weight),
    bias: repeated(bias),
    training: true,
    eps,
  });
  const { mean, m2 } = batchNormStats(channels);
  return { y: reshape(y, x.shape), mean: reshape(mean, [n, c]), m2: reshape(m2, [n, c]) };
}
