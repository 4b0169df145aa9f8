// The gradient of a norm's input, of which the sums are known, is not written until somebody asks for it: a convolution in front reads what it is
// formed of, and what other paths have brought to that input is added where it is formed.
//   condition  for a convolution's gradient of the weights: its input needs no gradient, and there are 64 channels or more; for what is added:
//              channels last, the norm in training, the others have arrived, equal formats
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

/** What the gradient of a norm's input is formed of. */
export interface GradientParts {
  readonly x: Tensor;
  /** The gradient of the norm's output, before its ReLU if `affine.relu`. */
  readonly dy: Tensor;
  readonly mean: Tensor;
  readonly invstd: Tensor;
  readonly affine: Affine;
  readonly count: number;
  readonly sums: BackwardSums;
  /** What other paths have brought to x, to be added. */
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

/** The gradient of a norm's input, deferred. `to`: where it goes; channels last, what has arrived there becomes part of it. */
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

/** What the gradient g of a norm's input is formed of, while it has not been carried out, and where nothing is to be added. */
export function pendingGradient(g: Tensor): GradientParts | null {
  const recipe = recipeOf(g);
  return recipe instanceof PendingGradient && !recipe.parts.plus && isLike(g, recipe.parts.x) ? recipe.parts : null;
}

/** A gradient as the backward of a norm wants it. */
interface NormGradient {
  readonly dy: Tensor;
  /** With `relu` dy is still to be masked. */
  readonly affine: Affine;
  /** The sums of dy, where they are known. */
  readonly sums: BackwardSums | null;
}

/** What arrived as the gradient of the norm by `mean`: without the mask of a ReLU that joined it, with the sums that a convolution left. */
export function arrivedGradient(g: Tensor, mean: Tensor, affine: Affine): NormGradient {
  forgetInput(mean);
  const left = sumsLeftWith(g);
  if (left?.key === mean) return { dy: g, affine: { ...affine, relu: 0 }, sums: left.sums };
  const mask = pendingMask(g, mean);
  return mask ? { dy: mask.g, affine: mask.norm.affine, sums: null } : { dy: g, affine, sums: null };
}
