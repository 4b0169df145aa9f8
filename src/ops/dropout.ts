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
import { mul } from './elementwise.ts';

/** x times 0 with probability p, else times `scale`, drawn once for each element of `maskShape`. */
function applyMask(op: string, x: Tensor, p: number, scale: number, maskShape: Shape): Tensor {
  // Drawn in the order of x's memory, as PyTorch does.
  const mask = allocate(maskShape, x.dtype, x.memoryFormat, x.backend);
  drawByKernel(x.backend, defaultGenerator, 2 * mask.size, (state, used) =>
    x.backend.launch.randomMask(op, { state, used, out: mask, p: 1 - p, value: scale }),
  );
  return mul(x, mask);
}

/** 1/(1 − p) as the dtype's arithmetic has it. */
function scaleOfKept(x: Tensor, p: number): number {
  const round = x.dtype === 'float64' ? (value: number) => value : Math.fround;
  return round(1 / round(1 - p));
}

function apply(op: string, x: Tensor, p: number, training: boolean, maskShape: Shape): Tensor {
  requireFloat(op, x);
  requireNumber(op, 'p', p);
  if (!(p >= 0 && p <= 1)) throw new ValueError(`dropout probability has to be between 0 and 1, but got ${p}`);
  if (!training || p === 0 || x.size === 0) return x;
  if (p === 1) return mul(x, 0);
  return applyMask(op, x, p, scaleOfKept(x, p), maskShape);
}

/** Options of `dropout`, `dropout2d` and `stochasticDepth`. */
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
  apply('dropout', x, p, training, x.shape);

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
  if (x.rank < 2) throw new RuntimeError('Feature dropout requires at least 2 dimensions in the input');
  return apply(
    'dropout2d',
    x,
    p,
    training,
    x.shape.map((n, d) => (d < 2 ? n : 1)),
  );
}

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
  return applyMask('stochasticDepth', x, p, p === 1 ? 1 : scaleOfKept(x, p), maskShape);
}
