// How kernels are given an input that is a pending norm: as the raw input and a few numbers for each channel, with which they normalize what they
// read. See fusion/.
import { carryOutWithConv, type GradientParts, type NormParts, pendingNorm } from '../fusion/deferred_norm.ts';
import { note } from '../fusion/log.ts';
import type { Pointer } from '../kernels/generated/abi.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { normCoefficients } from './batch_norm_kernels.ts';

export type NormArgs = [x: Pointer, norm: Pointer, relu: number];

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
  relu: Number(affine.relu > 0),
});

/**
 * Calls `run` with how a kernel is given its input: as it is, or as the raw input and the coefficients, made for this call alone, of a norm that it
 * carries out. `owner`: the weight by which listeners know the layer.
 */
export function withInput(x: Tensor, owner: Tensor | null, run: (input: () => NormArgs) => void): void {
  carryOutWithConv(x);
  const norm = pendingNorm(x);
  if (!norm || norm.residual) {
    run(() => [x.pointer, 0, 0]);
    return;
  }
  note('normalized in prologue', norm.key, owner);
  const { coefficients, relu } = numbersOf(norm);
  try {
    run(() => [norm.x.pointer, coefficients.pointer, relu]);
  } finally {
    coefficients.storage.release();
  }
}
