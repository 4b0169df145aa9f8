// The kernels of batch normalization as functions of tensors. They are cut where the statistics of several processes
// can be merged: statistics, apply, sums of the backward, apply of the backward. Nothing here is recorded; the
// operations are in ops/norm/, their rules in fusion/.
import { Binary, type Unary } from '../device/generated/abi.ts';
import { partOf } from '../device/operand.ts';
import type { DType } from '../tensor/dtype.ts';
import { requireSameDevice } from '../tensor/requirements.ts';
import { sizeOf } from '../tensor/shape.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';

const perChannel = (c: number, x: Tensor): Tensor => allocate([c], 'float64', 'contiguous', x.backend);

/** The statistics of a batch for each channel, float64 and of shape (C). */
export interface BatchStatistics {
  /** Elements per channel. */
  readonly count: number;
  /** The mean. */
  readonly mean: Tensor;
  /** Σ(x − mean)² */
  readonly m2: Tensor;
}

/** Mean and M2 of every channel of x (N, C, …). */
export function batchNormStats(x: Tensor): BatchStatistics {
  const c = x.shape[1];
  const [mean, m2] = [perChannel(c, x), perChannel(c, x)];
  x.backend.launch.batchNormStats('batchNorm', { x, mean, m2 });
  return { count: x.shape[0] * sizeOf(x.shape.slice(2)), mean, m2 };
}

/** 1/√(m2/count + eps), or 0 where both are 0. */
export function batchNormInvstd({ count, m2 }: BatchStatistics, eps: number): Tensor {
  const invstd = perChannel(m2.size, m2);
  m2.backend.launch.batchNormInvstd('batchNorm', { count, m2, eps, invstd });
  return invstd;
}

/** Raises a layer's counter of batches by 1, in place. */
export function countBatch(tracked: Tensor): void {
  const { launch } = tracked.backend;
  tracked.storage.beginChange();
  // A user may have put a counter of another dtype there.
  if (tracked.dtype === 'int64') launch.batchNormCount('batchNorm', { tracked });
  else launch.binaryScalar('batchNorm', { op: Binary.add, x: tracked, s: 1, reverse: false, out: tracked, alpha: 1 });
}

export interface RunningStatistics {
  readonly mean: Tensor | null;
  readonly variance: Tensor | null;
  /** The counter (int64), for a cumulative average. */
  readonly tracked?: Tensor | null;
}

/**
 * Moves running statistics towards those of a batch, in place; `momentum` null averages over all batches counted by
 * `tracked`.
 */
export function batchNormUpdateRunning(
  batch: BatchStatistics,
  running: RunningStatistics,
  momentum: number | null,
): void {
  const { backend } = batch.mean;
  if (!running.mean && !running.variance) return;
  const { mean, variance, tracked } = running;
  for (const t of [mean, variance, tracked])
    if (t && t.backend !== backend) requireSameDevice('batchNorm', batch.mean, t);
  backend.launch.batchNormUpdateRunning('batchNorm', {
    count: batch.count,
    mean: batch.mean,
    m2: batch.m2,
    momentum: momentum ?? Number.NaN,
    tracked,
    runningMean: mean,
    runningVar: variance,
  });
  // Versions are not raised, as in PyTorch: no backward reads the running statistics, so that autograd need not know.
}

/** The affine part of a normalization, and the ReLU that follows in the same pass. */
export interface Affine {
  readonly weight: Tensor | null;
  readonly bias: Tensor | null;
  /** The upper limit of the ReLU: infinite, or 6 for ReLU6. 0: there is no ReLU. */
  readonly relu: number;
}

/**
 * y = (x − mean)·(invstd·weight) + bias + residual, then the ReLU. Residual and y have x's memory format. mean and
 * invstd may be null, for 0 and 1.
 */
export function launchApply(
  x: Tensor,
  mean: Tensor | null,
  invstd: Tensor | null,
  { weight, bias, relu }: Affine,
  residual: Tensor | null = null,
  y: Tensor = allocate(x.shape, x.dtype, x.memoryFormat, x.backend),
): Tensor {
  x.backend.launch.batchNormApply('batchNorm', { x, mean, invstd, weight, bias, relu, residual, y });
  return y;
}

/** An elementwise function of one operand, and its two parameters. */
export interface UnaryFunction {
  readonly name: string;
  readonly op: Unary;
  readonly p0: number;
  readonly p1: number;
}

/**
 * f(z) for z the output of a norm of x, which is not written. With dy, and y = f(z): dy·f′(z). y may be anything if f′
 * does not read it.
 */
export function launchFunction(
  { name, op, p0, p1 }: UnaryFunction,
  x: Tensor,
  mean: Tensor,
  invstd: Tensor,
  { weight, bias }: Omit<Affine, 'relu'>,
  y: Tensor | null = null,
  dy: Tensor | null = null,
): Tensor {
  const out = allocate(x.shape, x.dtype, x.memoryFormat, x.backend);
  x.backend.launch.batchNormFunction(name, { op, x, mean, invstd, weight, bias, p0, p1, y, dy, out });
  return out;
}

/** Statistics, 1/std and apply in one kernel. */
export function launchForward(x: Tensor, eps: number, { weight, bias, relu }: Affine) {
  const c = x.shape[1];
  const [mean, m2, invstd] = [perChannel(c, x), perChannel(c, x), perChannel(c, x)];
  const y = allocate(x.shape, x.dtype, x.memoryFormat, x.backend);
  x.backend.launch.batchNormForward('batchNorm', { x, eps, weight, bias, relu, mean, m2, invstd, y });
  return { y, mean, m2, invstd };
}

/** Mean and 1/std of running statistics, as copies in float64. */
export function fromRunning(runningMean: Tensor, runningVar: Tensor, eps: number): [mean: Tensor, invstd: Tensor] {
  const c = runningMean.size;
  const [mean, invstd] = [perChannel(c, runningMean), perChannel(c, runningMean)];
  mean.backend.launch.batchNormFromRunning('batchNorm', { runningMean, runningVar, eps, mean, invstd });
  return [mean, invstd];
}

/**
 * The coefficients by which kernels of convolution compute a norm of x; with `sums`, those of its backward. See
 * `ek_batch_norm_coefficients`.
 */
export function normCoefficients(
  x: Tensor,
  mean: Tensor | null,
  invstd: Tensor | null,
  affine: Affine,
  count = 0,
  sums: BackwardSums | null = null,
): Tensor {
  const coefficients = allocate([7, x.shape[1]], x.dtype, 'contiguous', x.backend);
  x.backend.launch.batchNormCoefficients('batchNorm', {
    count,
    mean,
    invstd,
    weight: affine.weight,
    bias: affine.bias,
    relu: affine.relu,
    sumDy: sums?.dy,
    sumDyXmu: sums?.dyXmu,
    coefficients,
  });
  return coefficients;
}

/** The two sums over a channel that a norm's backward needs, float64 (C). g is dy, and 0 where the ReLU was closed. */
export interface BackwardSums {
  /** Σg */
  readonly dy: Tensor;
  /** Σg·(x − mean) */
  readonly dyXmu: Tensor;
}
export const perChannelSums = (x: Tensor): BackwardSums => ({
  dy: perChannel(x.shape[1], x),
  dyXmu: perChannel(x.shape[1], x),
});

/** The sums over one part of a batch. Here and below dy has x's memory format. */
export function launchBackwardReduce(
  x: Tensor,
  dy: Tensor,
  { weight, bias, relu }: Affine,
  mean: Tensor,
  invstd: Tensor,
): BackwardSums {
  const sums = perChannelSums(x);
  const found = { sumDy: sums.dy, sumDyXmu: sums.dyXmu };
  x.backend.launch.batchNormBackwardReduce('batchNormBackward', { x, dy, mean, invstd, weight, bias, relu, ...found });
  return sums;
}

/**
 * With r = invstd: dx = weight·r·(g − Σg/count − (x − mean)·r²·Σg·(x − mean)/count). Without sums the statistics are
 * constants, and dx = weight·r·g. With sums, `plus` is added: the channels of the gradient `whole` from `start` on;
 * both must be channels last.
 */
export function launchBackwardApply(
  x: Tensor,
  dy: Tensor,
  affine: Affine,
  mean: Tensor,
  invstd: Tensor,
  count: number,
  sums: BackwardSums | null,
  dx: Tensor = allocate(x.shape, x.dtype, x.memoryFormat, x.backend),
  plus: { readonly whole: Tensor; readonly start: number } | null = null,
): Tensor {
  if (plus) {
    const c = x.shape[1];
    x.backend.launch.batchNormBackwardJoined('batchNormBackward', {
      x,
      dy,
      rows: x.size / c,
      c,
      norm: normCoefficients(x, mean, invstd, affine, count, sums),
      relu: affine.relu > 0,
      plus: partOf(plus.whole, plus.start),
      plusPitch: plus.whole.shape[1],
      dx,
    });
    return dx;
  }
  x.backend.launch.batchNormBackwardApply('batchNormBackward', {
    x,
    dy,
    count,
    mean,
    invstd,
    weight: affine.weight,
    bias: affine.bias,
    relu: affine.relu,
    sumDy: sums?.dy,
    sumDyXmu: sums?.dyXmu,
    dx,
  });
  return dx;
}

/** Sums and dx of a whole batch in one call. */
export function launchBackwardOfBatch(
  x: Tensor,
  dy: Tensor,
  { weight, bias, relu }: Affine,
  mean: Tensor,
  invstd: Tensor,
): [Tensor, BackwardSums] {
  const sums = perChannelSums(x);
  const dx = allocate(x.shape, x.dtype, x.memoryFormat, x.backend);
  const found = { sumDy: sums.dy, sumDyXmu: sums.dyXmu, dx };
  x.backend.launch.batchNormBackward('batchNormBackward', { x, dy, mean, invstd, weight, bias, relu, ...found });
  return [dx, sums];
}

/**
 * dweight = invstd·Σg·(x − mean) and dbias = Σg, each null where it is not wanted. @param needs what is wanted: of x,
 * weight, bias.
 */
export function parameterGradients(
  sums: BackwardSums | null,
  invstd: Tensor,
  dtype: DType,
  needs: readonly boolean[],
): (Tensor | null)[] {
  if (!sums || !(needs[1] || needs[2])) return [null, null];
  const { backend, size } = invstd;
  const gradients = [1, 2].map((i) => (needs[i] ? allocate([size], dtype, 'contiguous', backend) : null));
  const [dweight, dbias] = gradients;
  const { dy: sumDy, dyXmu: sumDyXmu } = sums;
  backend.launch.batchNormParameterGradients('batchNormBackward', { invstd, sumDy, sumDyXmu, dweight, dbias });
  return gradients;
}
