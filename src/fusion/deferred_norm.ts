// Deferred normalization: a batch norm that is not carried out until somebody asks for its values. What follows may join it, or read its input and
// normalize meanwhile; whatever else looks at the tensor gets its values, made in one pass. The graph is the ordinary one: each operation's backward
// does its part, deferred in the same way.
import type { Affine } from '../launch/batch_norm.ts';
import { launchApply, normCoefficients } from '../launch/batch_norm.ts';
import type { Recipe, Storage } from '../tensor/storage.ts';
import { aliasOf, Tensor } from '../tensor/tensor.ts';
import { onLoan, onLoanIfAny, pendingConv } from './deferred_conv.ts';
import { note } from './log.ts';
import { deferred, formerRecipeOf, isLike, recipeOf, storagesOf } from './recipes.ts';

/** What a norm that is not carried out yet consists of. */
export interface NormParts {
  readonly x: Tensor;
  /** float64 (C), as invstd; null, as invstd: 0 and 1, the norm changes nothing. */
  readonly mean: Tensor | null;
  readonly invstd: Tensor | null;
  readonly affine: Affine;
  readonly residual: Tensor | null;
  /** Which normalization this is: the tensor that its backward knows as the mean, if it has one. */
  readonly key: object;
  /** Whether a change in place has put it where the graph does not know of it. */
  readonly isForeign: boolean;
}

/** y = (x − mean)·(invstd·weight) + bias + residual, and with `affine.relu` limited, not yet carried out. */
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
    // It may come from the same convolution, which is carried out with it then.
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

/** The norm whose output x is, while it has not been carried out; null for views of another shape. */
export function pendingNorm(x: Tensor): NormParts | null {
  const recipe = recipeOf(x);
  return recipe instanceof PendingNorm && isLike(x, recipe.parts.x) ? recipe.parts : null;
}

/** The pending norm that x is the output of, or one that changes nothing where x is a pending convolution: what a ReLU or an addition can join. */
export function joinableNorm(x: Tensor): NormParts | null {
  const norm = pendingNorm(x);
  if (norm || !pendingConv(x)) return norm;
  const affine = { weight: null, bias: null, relu: 0 };
  return { x, mean: null, invstd: null, affine, residual: null, key: {}, isForeign: false };
}

/** The same parts for another recipe, which may outlive the first. */
export const borrowed = ({ x, mean, invstd, affine, residual, key, isForeign }: NormParts): NormParts => ({
  x: onLoan(x),
  mean: onLoanIfAny(mean),
  invstd: onLoanIfAny(invstd),
  affine: { weight: onLoanIfAny(affine.weight), bias: onLoanIfAny(affine.bias), relu: affine.relu },
  residual: onLoanIfAny(residual),
  key,
  isForeign,
});

/** What a norm was made of, by its key, until its backward has begun. */
interface Origin {
  /** Null once the backward has begun. */
  x: Tensor | null;
  readonly version: number;
  readonly mean: Tensor;
  readonly invstd: Tensor;
}
const origins = new WeakMap<object, Origin>();

/** The backward of a norm has begun: the notes of its output do not hold its input any longer. */
export function forgetInput(key: object): void {
  const origin = origins.get(key);
  if (origin) origin.x = null;
}

/** The output of a norm of x by given statistics, deferred. */
export function deferNorm(x: Tensor, mean: Tensor, invstd: Tensor, affine: Affine): Tensor {
  // The parameters may change before the values are asked for: an optimizer may step.
  const own = { weight: onLoanIfAny(affine.weight), bias: onLoanIfAny(affine.bias), relu: affine.relu };
  const parts = { x: onLoan(x), mean: onLoan(mean), invstd: onLoan(invstd), affine: own, residual: null };
  origins.set(mean, { x: aliasOf(x), version: x.version, mean, invstd });
  return deferred(x, new PendingNorm({ ...parts, key: mean, isForeign: false }));
}

/** What a norm of a batch is made of, as its consumers' backwards need it. */
type ServedNorm = Pick<NormParts, 'x' | 'mean' | 'invstd' | 'affine' | 'key'>;

/** The norm whose values x holds, once they have been written, while its input is still there. Its affine has nothing but the ReLU. */
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
