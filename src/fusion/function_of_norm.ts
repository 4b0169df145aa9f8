// Functions other than ReLU behind a deferred norm, activations mostly: their values are written in one pass over the raw input, and so are their
// gradients; the norm's own values are not written.
import { launchFunction, type UnaryFunction } from '../ops/batch_norm_kernels.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { pendingConv, pendingNorm } from './deferred_norm.ts';
import { note } from './log.ts';
import { isFusionEnabled } from './switch.ts';

/** The norm whose output x is, where nothing has joined it yet. A convolution that is not carried out yet writes its norm itself. */
function normBehind(x: Tensor) {
  const norm = isFusionEnabled() ? pendingNorm(x) : null;
  if (!norm?.mean || !norm.invstd || norm.affine.relu || norm.residual || pendingConv(norm.x)) return null;
  const { x: input, mean, invstd, affine, key } = norm;
  return { x: input, mean, invstd, affine, key };
}

/** f(x) where x is a pending norm, which stays one; else null. */
export function functionOfNorm(f: UnaryFunction, x: Tensor): Tensor | null {
  const norm = normBehind(x);
  if (!norm) return null;
  note('function joined', norm.key);
  return launchFunction(f, norm.x, norm.mean, norm.invstd, norm.affine);
}

/** g·f′(x) where x is a pending norm; else null. y = f(x), or whatever lies as x does where the derivative does not read it. */
export function gradientOfFunction(f: UnaryFunction, x: Tensor, y: Tensor, g: Tensor): Tensor | null {
  const norm = normBehind(x);
  if (!norm) return null;
  note('function differentiated', norm.key);
  return launchFunction(f, norm.x, norm.mean, norm.invstd, norm.affine, y, g);
}
