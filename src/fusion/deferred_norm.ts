// Deferred normalization: a batch norm whose values are not computed until somebody asks for them. An operation behind
// it can join it (ReLU, addition), or read the norm's input and normalize while it reads (convolution). Everybody else
// gets the values, which are written in one pass. The graph is the same as without fusion.
import type { Affine } from '../launch/batch_norm.ts';
import { launchApply, normCoefficients } from '../launch/batch_norm.ts';
import type { Recipe, Storage } from '../tensor/storage.ts';
import { aliasOf, Tensor } from '../tensor/tensor.ts';
import { onLoan, onLoanIfAny, pendingConv } from './deferred_conv.ts';
import { note } from './log.ts';
import { deferred, formerRecipeOf, isLike, recipeOf, storagesOf } from './recipes.ts';

/** All that a deferred norm is computed from. */
export interface NormParts {
  readonly x: Tensor;
  /**
   * Mean of each channel, float64 (C). Mean and invstd are both null where the norm changes nothing: mean 0, invstd 1.
   */
  readonly mean: Tensor | null;
  readonly invstd: Tensor | null;
  readonly affine: Affine;
  readonly residual: Tensor | null;
  /** Identifies the normalization: the tensor that its backward saved as the mean, where it has a backward. */
  readonly key: object;
  /** Whether it was moved to another tensor by a change in place that the graph did not record. */
  readonly isForeign: boolean;
}

/** The recipe of y = (x − mean)·(invstd·weight) + bias + residual, limited to 0 … `affine.relu` where that is not 0. */
export class PendingNorm implements Recipe {
  readonly parts: NormParts;
  constructor(parts: NormParts) {
    this.parts = parts;
  }

  get sources(): readonly Storage[] {
    const { x, mean, invstd, affine, residual } = this.parts;
    return storagesOf(x, mean, invstd, affine.weight, affine.bias, residual);
  }

  materializeInto(storage: Storage): void {
    const { x, mean, invstd, affine, residual, key } = this.parts;
    // First: the residual may be computed from the same convolution as x, which then has its values.
    residual?.materialize();
    const conv = pendingConv(x);
    if (conv) {
      note('normalized in epilogue', key, conv.owner);
      const yNorm = mean && normCoefficients(x, mean, invstd, affine);
      conv.writeTo(storage, { yNorm, residual, yRelu: affine.relu });
      return;
    }
    note('written', key);
    launchApply(x, mean, invstd, affine, residual, new Tensor(x.shape, x.dtype, x.memoryFormat, storage));
  }
}

/**
 * The deferred norm that x is the output of; null if there is none, if its values are written, or for views of another
 * shape.
 */
export function pendingNorm(x: Tensor): NormParts | null {
  const recipe = recipeOf(x);
  return recipe instanceof PendingNorm && isLike(x, recipe.parts.x) ? recipe.parts : null;
}

/**
 * The deferred norm that a ReLU or an addition can join. For a deferred convolution this is a norm that changes
 * nothing, so that its epilogue can do the ReLU or the addition.
 */
export function joinableNorm(x: Tensor): NormParts | null {
  const norm = pendingNorm(x);
  if (norm || !pendingConv(x)) return norm;
  const affine = { weight: null, bias: null, relu: 0 };
  return { x, mean: null, invstd: null, affine, residual: null, key: {}, isForeign: false };
}

/** The same parts on loan again, for a second recipe that may live longer than the first. */
export const borrowed = ({ x, mean, invstd, affine, residual, key, isForeign }: NormParts): NormParts => ({
  x: onLoan(x),
  mean: onLoanIfAny(mean),
  invstd: onLoanIfAny(invstd),
  affine: { weight: onLoanIfAny(affine.weight), bias: onLoanIfAny(affine.bias), relu: affine.relu },
  residual: onLoanIfAny(residual),
  key,
  isForeign,
});

/** What a norm was computed from; kept until its backward begins. */
interface Origin {
  /** Null once the backward has begun. */
  x: Tensor | null;
  readonly version: number;
  readonly mean: Tensor;
  readonly invstd: Tensor;
}
const origins = new WeakMap<object, Origin>();

/** Tells that the backward of a norm has begun: its input is not kept any longer. */
export function forgetInput(key: object): void {
  const origin = origins.get(key);
  if (origin) origin.x = null;
}

/** The deferred output of a norm of x by given statistics. */
export function deferNorm(x: Tensor, mean: Tensor, invstd: Tensor, affine: Affine): Tensor {
  // On loan, since an optimizer may change the parameters before somebody asks for the values.
  const own = { weight: onLoanIfAny(affine.weight), bias: onLoanIfAny(affine.bias), relu: affine.relu };
  const parts = { x: onLoan(x), mean: onLoan(mean), invstd: onLoan(invstd), affine: own, residual: null };
  origins.set(mean, { x: aliasOf(x), version: x.version, mean, invstd });
  return deferred(x, new PendingNorm({ ...parts, key: mean, isForeign: false }));
}

/** What the backward of an operation behind a norm needs to know of that norm. */
type ServedNorm = Pick<NormParts, 'x' | 'mean' | 'invstd' | 'affine' | 'key'>;

/**
 * The norm whose written values x holds, if the norm's input is still there. Weight and bias are left out of its
 * `affine`.
 */
export function writtenNorm(x: Tensor): ServedNorm | null {
  const recipe = formerRecipeOf(x);
  if (!(recipe instanceof PendingNorm) || recipe.parts.isForeign || !isLike(x, recipe.parts.x)) return null;
  const { key, affine } = recipe.parts;
  const origin = origins.get(key);
  if (!origin?.x || origin.x.version !== origin.version) return null;
  const { x: input, mean, invstd } = origin;
  if ([input, mean, invstd].some((t) => t.storage.isReleased)) return null;
  return { x: input, mean, invstd, affine: { weight: null, bias: null, relu: affine.relu }, key };
}
