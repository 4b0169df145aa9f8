// The gradient of a norm's input is deferred. A convolution in front of the norm computes it while it reads. Gradients
// that other paths have brought to the same input are added in the same pass.
//   condition  in a convolution's gradient of the weights: its input needs no gradient, and it has 64 channels or more;
//              additions: channels last, the norm in training, the other gradients have arrived, equal formats
//   saves      writing and reading the gradient, 2 passes; with an addition 3
import { takeArrived } from '../autograd/backward.ts';
import type { Edge } from '../autograd/node.ts';
import { type Affine, type BackwardSums, launchBackwardApply } from '../launch/batch_norm.ts';
import { hasChannelsLast } from '../launch/conv.ts';
import type { Recipe, Storage } from '../tensor/storage.ts';
import { Tensor } from '../tensor/tensor.ts';
import { onLoan, onLoanIfAny } from './deferred_conv.ts';
import { forgetInput } from './deferred_norm.ts';
import { pendingSlice } from './gradient_slice.ts';
import { note } from './log.ts';
import { pendingMask } from './norm_relu.ts';
import { deferred, isLike, lent, recipeOf, storagesOf } from './recipes.ts';
import { sumsLeftWith } from './sums_left.ts';
import { isFusionEnabled } from './switch.ts';

/** All that the gradient of a norm's input is computed from. */
export interface GradientParts {
  readonly x: Tensor;
  /** The gradient of the norm's output. If `affine.relu` is not 0, of that after the ReLU: it is still to be masked. */
  readonly dy: Tensor;
  readonly mean: Tensor;
  readonly invstd: Tensor;
  readonly affine: Affine;
  readonly count: number;
  readonly sums: BackwardSums;
  /** The gradient that other paths have brought to x; it is to be added. */
  readonly plus: Tensor | null;
  /** As `NormParts.key`. */
  readonly key: object;
}

class PendingGradient implements Recipe {
  readonly parts: GradientParts;
  constructor(parts: GradientParts) {
    this.parts = parts;
  }

  get sources(): readonly Storage[] {
    const { x, dy, mean, invstd, affine, sums, plus } = this.parts;
    return storagesOf(x, dy, mean, invstd, affine.weight, affine.bias, sums.dy, sums.dyXmu, plus);
  }

  materializeInto(storage: Storage): void {
    const { x, dy, mean, invstd, affine, count, sums, plus, key } = this.parts;
    note('gradient written', key);
    const dx = new Tensor(x.shape, x.dtype, x.memoryFormat, storage);
    const slice = plus && (pendingSlice(plus) ?? { whole: plus, start: 0 });
    launchBackwardApply(x, dy, affine, mean, invstd, count, sums, dx, slice);
  }
}

/**
 * The deferred gradient of a norm's input.
 * @param to the edge it goes to. In channels-last tensors it takes over the gradient that has arrived there, and adds
 * it.
 */
export function deferGradient(
  { x, dy, mean, invstd, affine, count, sums }: Omit<GradientParts, 'key' | 'plus'>,
  to: Edge,
): Tensor {
  const plus = isFusionEnabled() && hasChannelsLast(x) ? takeArrived(to, x) : null;
  const own = {
    weight: onLoanIfAny(affine.weight),
    bias: affine.relu ? onLoanIfAny(affine.bias) : null,
    relu: affine.relu,
  };
  const statistics = { mean: onLoan(mean), invstd: onLoan(invstd) };
  const lentSums = { dy: onLoan(sums.dy), dyXmu: onLoan(sums.dyXmu) };
  const lentPlus = plus && (pendingSlice(plus) ? lent(plus) : onLoan(plus));
  const tensors = { x: onLoan(x), dy: onLoan(dy), ...statistics, affine: own, sums: lentSums, plus: lentPlus };
  return deferred(x, new PendingGradient({ ...tensors, count, key: mean }));
}

/** What the deferred gradient g is computed from; null if its values are written, or if something is to be added. */
export function pendingGradient(g: Tensor): GradientParts | null {
  const recipe = recipeOf(g);
  return recipe instanceof PendingGradient && !recipe.parts.plus && isLike(g, recipe.parts.x) ? recipe.parts : null;
}

/** A gradient as the backward of a norm takes it. */
interface NormGradient {
  readonly dy: Tensor;
  /** If its `relu` is not 0, dy is still to be masked. */
  readonly affine: Affine;
  /** The sums of dy, where they are known. */
  readonly sums: BackwardSums | null;
}

/**
 * The gradient g of a norm's output, as the norm's backward takes it: a deferred mask of its ReLU is taken off, and the
 * sums that a convolution has left are found. `mean` is the norm's key.
 */
export function arrivedGradient(g: Tensor, mean: Tensor, affine: Affine): NormGradient {
  forgetInput(mean);
  const left = sumsLeftWith(g);
  if (left?.key === mean) return { dy: g, affine: { ...affine, relu: 0 }, sums: left.sums };
  const mask = pendingMask(g, mean);
  return mask ? { dy: mask.g, affine: mask.norm.affine, sums: null } : { dy: g, affine, sums: null };
}
