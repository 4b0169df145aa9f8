// Dropout: in training sets elements, channels or samples to 0 at random, and scales the rest up. The random numbers
// are those that PyTorch draws.
import { requireNumber } from '../checks.ts';
import { RuntimeError, ValueError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { drawByKernel } from '../tensor/random/drawing.ts';
import { defaultGenerator } from '../tensor/random/index.ts';
import { requireFloat, requireTensor } from '../tensor/requirements.ts';
import type { Shape } from '../tensor/shape.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';
import { warn } from '../warnings.ts';
import { add, mul } from './elementwise.ts';

/** 0 with probability p, else `value`, drawn once for each element of `maskShape`. */
function drawMask(op: string, x: Tensor, p: number, value: number, maskShape: Shape): Tensor {
  // Drawn in the order of x's memory, as PyTorch does.
  const mask = allocate(maskShape, x.dtype, x.memoryFormat, x.backend);
  drawByKernel(x.backend, defaultGenerator, 2 * mask.size, (state, used) =>
    x.backend.launch.randomMask(op, { state, used, out: mask, p: 1 - p, value }),
  );
  return mask;
}

/** 1/(1 − p) as the dtype's arithmetic has it. */
function scaleOfKept(x: Tensor, p: number): number {
  const round = x.dtype === 'float64' ? (value: number) => value : Math.fround;
  return round(1 / round(1 - p));
}

type Drop = (op: string, x: Tensor, p: number, maskShape: Shape) => Tensor;
const toZero: Drop = (op, x, p, maskShape) => mul(x, drawMask(op, x, p, scaleOfKept(x, p), maskShape));

/** To where SELU goes for very negative x, then scaled and moved so that mean 0 and variance 1 stay. */
const toSaturation: Drop = (op, x, p, maskShape) => {
  const saturation = 1.7580993408473766;
  const scale = 1 / Math.sqrt((saturation * saturation * p + 1) * (1 - p));
  const mask = drawMask(op, x, p, 1, maskShape);
  const moved = add(mul(add(mask, -1), saturation * scale), saturation * scale * p);
  return add(mul(x, mul(mask, scale)), moved);
};

function apply(op: string, x: Tensor, p: number, training: boolean, maskShape: () => Shape, drop = toZero): Tensor {
  requireFloat(op, x);
  requireNumber(op, 'p', p);
  if (!(p >= 0 && p <= 1)) throw new ValueError(`dropout probability has to be between 0 and 1, but got ${p}`);
  if (!training || p === 0 || x.size === 0) return x;
  if (p === 1) return mul(x, 0);
  return drop(op, x, p, maskShape());
}

/** The first dimensions, in which elements are dropped each for itself. */
const firstDims = (x: Tensor, count: number): Shape => x.shape.map((n, d) => (d < count ? n : 1));

function channels(x: Tensor): Shape {
  requireFeatures(x.rank);
  return firstDims(x, 2);
}
function requireFeatures(rank: number): void {
  if (rank < 2) throw new RuntimeError('Feature dropout requires at least 2 dimensions in the input');
}

/** Options of `dropout`, `dropout1d`, `dropout2d`, `dropout3d` and `stochasticDepth`. */
export interface DropoutOptions {
  /** Outside of training nothing is dropped. Default: true. */
  training?: boolean;
}
const dropoutOptions = declareOptions<DropoutOptions>({ training: kind.flag });

/**
 * Each element is 0 with probability p, default 0.5, else scaled by 1/(1 − p); x itself outside of training (PyTorch:
 * `F.dropout`).
 * @throws ValueError unless 0 ≤ p ≤ 1.
 */
export function dropout(x: Tensor, p = 0.5, options: DropoutOptions = {}): Tensor {
  requireOptions('dropout', options, dropoutOptions);
  return dropoutWith(x, p, options.training ?? true);
}
/** Dropout as layers call it, with their mode. */
export const dropoutWith = (x: Tensor, p: number, training: boolean): Tensor =>
  apply('dropout', x, p, training, () => x.shape);

/**
 * As `dropout`, for whole channels of (N, C, H, W); any number of dimensions after the channels, so that (N, C, L) is
 * dropped by channel too (PyTorch: `F.dropout2d`).
 */
export function dropout2d(x: Tensor, p = 0.5, options: DropoutOptions = {}): Tensor {
  requireOptions('dropout2d', options, dropoutOptions);
  return dropout2dWith(x, p, options.training ?? true);
}
export function dropout2dWith(x: Tensor, p: number, training: boolean): Tensor {
  requireTensor('dropout2d', x);
  requireFeatures(x.rank);
  return apply('dropout2d', x, p, training, () => channels(x));
}

/**
 * As `dropout`, for whole channels of (N, C, L) or (C, L) (PyTorch: `F.dropout1d`).
 * @throws RuntimeError on another number of dimensions.
 */
export function dropout1d(x: Tensor, p = 0.5, options: DropoutOptions = {}): Tensor {
  requireOptions('dropout1d', options, dropoutOptions);
  return dropout1dWith(x, p, options.training ?? true);
}
export function dropout1dWith(x: Tensor, p: number, training: boolean): Tensor {
  requireTensor('dropout1d', x);
  if (x.rank !== 2 && x.rank !== 3)
    throw new RuntimeError(
      `dropout1d: Expected 2D or 3D input, but received a ${x.rank}D input. Note that dropout1d exists to provide channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional batch dimension (i.e. 2D or 3D inputs).`,
    );
  return apply('dropout1d', x, p, training, () => firstDims(x, x.rank - 1));
}

/**
 * As `dropout`, for whole channels of (N, C, D, H, W) or (C, D, H, W) (PyTorch: `F.dropout3d`). With another number of
 * dimensions it warns, and takes the first one for the channels.
 */
export function dropout3d(x: Tensor, p = 0.5, options: DropoutOptions = {}): Tensor {
  requireOptions('dropout3d', options, dropoutOptions);
  return dropout3dWith(x, p, options.training ?? true);
}
export function dropout3dWith(x: Tensor, p: number, training: boolean): Tensor {
  requireTensor('dropout3d', x);
  if (x.rank !== 4 && x.rank !== 5)
    warn(
      `dropout3d: Received a ${x.rank}-D input to dropout3d, which is deprecated and will result in an error in a future release. To retain the behavior and silence this warning, please use dropout instead. Note that dropout3d exists to provide channel-wise dropout on inputs with 3 spatial dimensions, a channel dimension, and an optional batch dimension (i.e. 4D or 5D inputs).`,
    );
  const batch = x.rank === 5 ? 1 : 0;
  return apply('dropout3d', x, p, training, () => {
    requireFeatures(x.rank + 1 - batch);
    return firstDims(x, 1 + batch);
  });
}

/** Options of `alphaDropout` and `featureAlphaDropout`. */
export interface AlphaDropoutOptions {
  /** Outside of training nothing is dropped. Default: false, as in PyTorch. */
  training?: boolean;
}
const alphaDropoutOptions = declareOptions<AlphaDropoutOptions>({ training: kind.flag });

/**
 * Each element is set to where SELU saturates with probability p, default 0.5, then all are scaled and moved so that a
 * mean of 0 and a variance of 1 stay; x itself outside of training, which is the default (Klambauer et al. 2017;
 * PyTorch: `F.alpha_dropout`).
 * @throws ValueError unless 0 ≤ p ≤ 1.
 * @example
 * const dropped = alphaDropout(selu(x), 0.2, { training: true });
 */
export function alphaDropout(x: Tensor, p = 0.5, options: AlphaDropoutOptions = {}): Tensor {
  requireOptions('alphaDropout', options, alphaDropoutOptions);
  return alphaDropoutWith(x, p, options.training ?? false);
}
export const alphaDropoutWith = (x: Tensor, p: number, training: boolean): Tensor =>
  apply('alphaDropout', x, p, training, () => x.shape, toSaturation);

/** As `alphaDropout`, for whole channels of (N, C, …) (PyTorch: `F.feature_alpha_dropout`). */
export function featureAlphaDropout(x: Tensor, p = 0.5, options: AlphaDropoutOptions = {}): Tensor {
  requireOptions('featureAlphaDropout', options, alphaDropoutOptions);
  return featureAlphaDropoutWith(x, p, options.training ?? false);
}
export const featureAlphaDropoutWith = (x: Tensor, p: number, training: boolean): Tensor =>
  apply('featureAlphaDropout', x, p, training, () => channels(x), toSaturation);

/** What `stochasticDepth` drops together: each sample for itself (`'row'`), or the whole batch (`'batch'`). */
export type StochasticDepthMode = 'row' | 'batch';

/**
 * Each sample of (N, …), or the whole batch, is 0 with probability p, else scaled by 1/(1 − p); x itself outside of
 * training. For the branch of a residual block, which is thereby skipped at random (Huang et al. 2016,
 * https://arxiv.org/abs/1603.09382; torchvision: `ops.stochastic_depth`).
 * @throws ValueError unless 0 ≤ p ≤ 1, or on an unknown mode.
 * @example
 * stochasticDepth(x, 0.2, 'row').add(x);
 */
export function stochasticDepth(x: Tensor, p: number, mode: StochasticDepthMode, options: DropoutOptions = {}): Tensor {
  requireOptions('stochasticDepth', options, dropoutOptions);
  return stochasticDepthWith(x, p, mode, options.training ?? true);
}
export function stochasticDepthWith(x: Tensor, p: number, mode: StochasticDepthMode, training: boolean): Tensor {
  requireFloat('stochasticDepth', x);
  requireNumber('stochasticDepth', 'p', p);
  if (!(p >= 0 && p <= 1)) throw new ValueError(`drop probability has to be between 0 and 1, but got ${p}`);
  if (mode !== 'row' && mode !== 'batch')
    throw new ValueError(`mode has to be either 'batch' or 'row', but got ${mode as string}`);
  if (!training || p === 0) return x;
  const maskShape = x.shape.map((n, d) => (d === 0 && mode === 'row' ? n : 1));
  // Nothing is kept with p = 1, but torchvision draws all the same.
  return mul(x, drawMask('stochasticDepth', x, p, p === 1 ? 1 : scaleOfKept(x, p), maskShape));
}
