// norm → an elementwise function, mostly an activation: one pass reads the norm's input and writes the function's
// values. The derivative does the same. The values of the norm are never written.
//   condition  nothing has joined the norm; its input is there
//   saves      forward: writing and reading between the two, 2 passes, and the memory; the derivative computes the norm again
import { launchFunction, type UnaryFunction } from '../launch/batch_norm.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { pendingConv } from './deferred_conv.ts';
import { pendingNorm } from './deferred_norm.ts';
import { note } from './log.ts';

/**
 * The deferred norm that x is, if nothing has joined it and its input has values. (A deferred convolution computes its
 * norm itself.)
 */
function normBehind(x: Tensor) {
  const norm = pendingNorm(x);
  if (!norm?.mean || !norm.invstd || norm.affine.relu || norm.residual || pendingConv(norm.x)) return null;
  const { x: input, mean, invstd, affine, key } = norm;
  return { x: input, mean, invstd, affine, key };
}

/** f(x) where x is a deferred norm, which stays deferred; else null. */
export function functionOfNorm(f: UnaryFunction, x: Tensor): Tensor | null {
  const norm = normBehind(x);
  if (!norm) return null;
  note('function joined', norm.key);
  return launchFunction(f, norm.x, norm.mean, norm.invstd, norm.affine);
}

/**
 * g·f′(x) where x is a deferred norm; else null. y = f(x); any tensor of that layout where the derivative does not read
 * it.
 */
export function gradientOfFunction(f: UnaryFunction, x: Tensor, y: Tensor, g: Tensor): Tensor | null {
  const norm = normBehind(x);
  if (!norm) return null;
  note('function differentiated', norm.key);
  return launchFunction(f, norm.x, norm.mean, norm.invstd, norm.affine, y, g);
}
