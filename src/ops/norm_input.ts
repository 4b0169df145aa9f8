// How kernels are given an input that is a pending norm: as the raw input and a few numbers for each channel, with which they normalize what they
// read. See fusion/.
import { type GradientParts, materializeConv, type NormParts, pendingNorm } from '../fusion/deferred_norm.ts';
import { note } from '../fusion/log.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { normCoefficients } from './batch_norm_kernels.ts';

/** An input as kernels take it. */
export interface NormInput {
  readonly x: Tensor;
  /** The coefficients of a norm of x, for which x stands; null: for itself. */
  readonly xNorm: Tensor | null;
  /** Whether a ReLU follows that norm. */
  readonly xRelu: boolean;
}

/** A norm, or the gradient of one's input, as kernels take it: its numbers for each channel, and whether a ReLU follows. */
export const numbersOf = ({
  x,
  mean,
  invstd,
  affine,
  count,
  sums,
}: Pick<NormParts, 'x' | 'mean' | 'invstd' | 'affine'> & Partial<Pick<GradientParts, 'count' | 'sums'>>) => ({
  coefficients: normCoefficients(x, mean, invstd, affine, count, sums),
  hasRelu: affine.relu > 0,
});

/**
 * Calls `run` with how a kernel is given its input: as it is, or as the raw input and the coefficients, made for this call alone, of a norm that it
 * carries out. `owner`: the weight by which listeners know the layer.
 */
export function withInput(x: Tensor, owner: Tensor | null, run: (input: NormInput) => void): void {
  materializeConv(x);
  const norm = pendingNorm(x);
  if (!norm || norm.residual) {
    run({ x, xNorm: null, xRelu: false });
    return;
  }
  note('normalized in prologue', norm.key, owner);
  const { coefficients, hasRelu } = numbersOf(norm);
  try {
    run({ x: norm.x, xNorm: coefficients, xRelu: hasRelu });
  } finally {
    coefficients.storage.release();
  }
}
