// norm → ReLU or ReLU6: one pass. Backward: the norm's sums and map mask the gradient themselves.
//   condition  the norm, or a convolution that is not recorded, is deferred; nothing but an addition has joined it
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

/** x limited to 0 … top, deferred, where x is a deferred norm; else null. */
export function joinRelu(x: Tensor, top: number): Tensor | null {
  const norm = joinableNorm(x);
  if (!norm || norm.affine.relu) return null;
  note('relu joined', norm.key);
  const own = borrowed(norm);
  return deferred(x, new PendingNorm({ ...own, affine: { ...own.affine, relu: top } }));
}

/** The recipe of a masked gradient: g where the ReLU behind a norm is open, 0 elsewhere. */
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

/**
 * The deferred gradient in front of the ReLU, where y is a norm that the ReLU has joined; null where y's values are
 * written.
 */
export function maskGradient(g: Tensor, y: Tensor): Tensor | null {
  const made = madeBy(y);
  // The epilogue of a convolution has masked it already.
  if (made instanceof PendingNorm && made.parts.affine.relu && sumsLeftWith(g)?.of === made) return g;
  const norm = pendingNorm(y);
  if (!norm?.affine.relu || norm.residual || !isLike(g, y)) return null;
  return deferred(g, new PendingMask(onLoan(g), borrowed(norm)));
}

/** The gradient before masking, where g is a deferred mask of the norm with this key; else null. */
export function pendingMask(g: Tensor, key: object): { readonly g: Tensor; readonly norm: NormParts } | null {
  const recipe = recipeOf(g);
  return recipe instanceof PendingMask && recipe.norm.key === key && isLike(g, recipe.g) ? recipe : null;
}
