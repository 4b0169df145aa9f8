// norm → another function, activations mostly: its values are written in one pass over the norm's input, and so is its derivative; the norm's own
// values are not written.
//   condition  nothing has joined the norm; its input is there
//   saves      forward: writing and reading between the two, 2 passes, and the memory; the derivative forms the norm's values again while it runs
import { launchFunction, type UnaryFunction } from '../launch/batch_norm.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { pendingConv } from './deferred_conv.ts';
import { pendingNorm } from './deferred_norm.ts';
import { note } from './log.ts';

/** The norm whose output x is, where nothing has joined it yet. A convolution that is not carried out yet writes its norm itself. */
function normBehind(x: Tensor) {
  const norm = pendingNorm(x);
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
