// norm (→ ReLU) → a kernel that normalizes what it reads, and the values of a norm for one that would rather not.
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

/** A norm, or the gradient of one's input, as kernels take it: its numbers for each channel. */
export const numbersOf = ({ x, mean, invstd, affine, count, sums }: Numbered): Tensor =>
  normCoefficients(x, mean, invstd, affine, count, sums);

/**
 * Calls `run` with how a kernel reads x: as it is, or as the input of a norm that it carries out, with coefficients made for this call alone.
 * `owner`: the weight by which listeners know the layer.
 */
export function withInput<R>(x: Tensor, owner: Tensor | null, run: (input: ReadInput) => R): R {
  const norm = pendingNorm(x);
  // A norm behind a pending convolution costs less in its epilogue.
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
 * Runs `fn` on the values of x, which may be a pending norm and stays one: they are made for `fn` alone. For kernels that read their operand
 * several times, in an order in which normalizing it each time costs more than one pass.
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

/** How a kernel reads the gradient of its output: as it is, or as what the gradient of a norm's input is formed of. */
export function readGradient(dy: Tensor): ReadGradient {
  const parts = pendingGradient(dy);
  if (!parts) return gradientAsItIs(dy);
  note('gradient in prologue', parts.key);
  return { dy: parts.dy, dyX: parts.x, dyNorm: numbersOf(parts), dyRelu: parts.affine.relu > 0 };
}
