// norm (→ ReLU) → a kernel that normalizes while it reads; and temporary values of the norm for kernels that cannot.
//   condition  nobody has asked for the norm's values
//   saves      writing and reading the normalized tensor, 2 passes, and its memory until the backward
import { type Affine, type BackwardSums, launchApply, normCoefficients } from '../launch/batch_norm.ts';
import { asItIs, gradientAsItIs, type ReadGradient, type ReadInput } from '../launch/conv.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { pendingConv } from './deferred_conv.ts';
import { pendingNorm } from './deferred_norm.ts';
import { note } from './log.ts';
import { pendingGradient } from './norm_gradient.ts';

interface Numbered {
  readonly x: Tensor;
  readonly mean: Tensor | null;
  readonly invstd: Tensor | null;
  readonly affine: Affine;
  readonly count?: number;
  readonly sums?: BackwardSums;
}

/** The numbers of each channel by which a kernel computes a norm, or the gradient of a norm's input. */
export const numbersOf = ({ x, mean, invstd, affine, count, sums }: Numbered): Tensor =>
  normCoefficients(x, mean, invstd, affine, count, sums);

/**
 * Calls `run` with the way in which a kernel reads x: as it is, or as the input of a norm that the kernel computes. The
 * coefficients of the norm exist during this call.
 * @param owner the weight of the layer: `explain` finds the layer by it.
 */
export function withInput<R>(x: Tensor, owner: Tensor | null, run: (input: ReadInput) => R): R {
  const norm = pendingNorm(x);
  // If the norm's input is a deferred convolution, the norm costs less in that convolution's epilogue.
  if (!norm || norm.residual || pendingConv(norm.x)) return run(asItIs(x));
  note('normalized in prologue', norm.key, owner);
  const coefficients = numbersOf(norm);
  try {
    return run({ x: norm.x, xNorm: coefficients, xRelu: norm.affine.relu > 0 });
  } finally {
    coefficients.storage.release();
  }
}

/**
 * Runs `fn` on the values of x. If x is a deferred norm it stays deferred: the values exist during this call. For
 * kernels that read their operand so often that normalizing it each time would cost more than one pass.
 */
export function withMaterialized<R>(x: Tensor, fn: (values: Tensor) => R): R {
  const norm = pendingNorm(x);
  if (!norm) return fn(x);
  note('written for weights', norm.key);
  const values = launchApply(norm.x, norm.mean, norm.invstd, norm.affine, norm.residual);
  try {
    return fn(values);
  } finally {
    values.storage.release();
  }
}

/**
 * How a kernel reads the gradient of its output: as it is, or as a gradient of a norm's input that the kernel computes.
 */
export function readGradient(dy: Tensor): ReadGradient {
  const parts = pendingGradient(dy);
  if (!parts) return gradientAsItIs(dy);
  note('gradient in prologue', parts.key);
  return { dy: parts.dy, dyX: parts.x, dyNorm: numbersOf(parts), dyRelu: parts.affine.relu > 0 };
}
