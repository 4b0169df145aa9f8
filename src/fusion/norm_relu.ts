// norm → ReLU or ReLU6: one pass; backward one sum and one map of the masked gradient.
//   condition  the norm, or a convolution that nobody records, is deferred, and nothing but an addition has joined it
//   saves      forward: reading and writing between the two, 2 passes; backward: writing and reading the masked gradient, 2
import { Unary } from '../device/generated/abi.ts';
import { launchApply } from '../launch/batch_norm.ts';
import { launchUnaryBackward } from '../launch/unary.ts';
import type { Recipe, Storage } from '../tensor/storage.ts';
import { Tensor } from '../tensor/tensor.ts';
import { onLoan } from './deferred_conv.ts';
import { borrowed, joinableNorm, type NormParts, PendingNorm, pendingNorm } from './deferred_norm.ts';
import { note } from './log.ts';
import { deferred, isLike, madeBy, recipeOf, storagesOf } from './recipes.ts';
import { sumsLeftWith } from './sums_left.ts';

/** x limited to 0 … top where it is a pending norm, deferred; else null. */
export function joinRelu(x: Tensor, top: number): Tensor | null {
  const norm = joinableNorm(x);
  if (!norm || norm.affine.relu) return null;
  note('relu joined', norm.key);
  const own = borrowed(norm);
  return deferred(x, new PendingNorm({ ...own, affine: { ...own.affine, relu: top } }));
}

/** The gradient g where a pending norm's ReLU is open, and 0 elsewhere, not yet carried out. */
class PendingMask implements Recipe {
  readonly g: Tensor;
  readonly norm: NormParts;
  constructor(g: Tensor, norm: NormParts) {
    this.g = g;
    this.norm = norm;
  }

  get sources(): readonly Storage[] {
    const { x, mean, invstd, affine } = this.norm;
    return storagesOf(this.g, x, mean, invstd, affine.weight, affine.bias);
  }

  materializeInto(storage: Storage): void {
    const { g, norm } = this;
    const y = launchApply(norm.x, norm.mean, norm.invstd, norm.affine);
    const { relu } = norm.affine;
    const op = relu === Infinity ? Unary.relu : Unary.hardtanh;
    launchUnaryBackward('relu', op, y, y, g, new Tensor(g.shape, g.dtype, g.memoryFormat, storage), 0, relu);
    y.storage.release();
  }
}

/** The gradient before the ReLU that joined the norm whose output y is, deferred; null where y's values have been asked for. */
export function maskGradient(g: Tensor, y: Tensor): Tensor | null {
  const made = madeBy(y);
  // A convolution has masked it already.
  if (made instanceof PendingNorm && made.parts.affine.relu && sumsLeftWith(g)?.of === made) return g;
  const norm = pendingNorm(y);
  if (!norm?.affine.relu || norm.residual || !isLike(g, y)) return null;
  return deferred(g, new PendingMask(onLoan(g), borrowed(norm)));
}

/** What g is before the mask of the norm by `key`, where that has not been carried out. */
export function pendingMask(g: Tensor, key: object): { readonly g: Tensor; readonly norm: NormParts } | null {
  const recipe = recipeOf(g);
  return recipe instanceof PendingMask && recipe.norm.key === key && isLike(g, recipe.g) ? recipe : null;
}
