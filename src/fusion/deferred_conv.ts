// A convolution that is not recorded is deferred. If a norm, a residual and a ReLU follow, its epilogue computes them
// too, and only the last result is written.

import type { OutputSeams } from '../launch/conv.ts';
import type { Shape } from '../tensor/shape.ts';
import { sameShape } from '../tensor/shape.ts';
import type { Recipe, Storage } from '../tensor/storage.ts';
import { Tensor } from '../tensor/tensor.ts';
import { deferred, lent, recipeOf, storagesOf } from './recipes.ts';

/** Writes the output of a convolution, and computes what its epilogue is given to do. */
type Write = (out: Tensor, seams: OutputSeams) => void;

class PendingConv implements Recipe {
  readonly sources: readonly Storage[];
  /** The weight of the convolution: `explain` finds the layer by it. */
  readonly owner: Tensor;
  private readonly like: Tensor;
  private readonly shape: Shape;
  private readonly write: Write;
  constructor(sources: readonly Storage[], owner: Tensor, like: Tensor, shape: Shape, write: Write) {
    this.sources = sources;
    this.owner = owner;
    this.like = like;
    this.shape = shape;
    this.write = write;
  }

  /** Whether x is the output itself, and not a view of it with another shape. */
  isOf(x: Tensor): boolean {
    return x.memoryFormat === this.like.memoryFormat && sameShape(x.shape, this.shape);
  }

  materializeInto(storage: Storage): void {
    this.writeTo(storage, {});
  }
  writeTo(storage: Storage, seams: OutputSeams): void {
    this.write(new Tensor(this.shape, this.like.dtype, this.like.memoryFormat, storage), seams);
  }
}

/** The convolution that will compute x; null once it has, or if there is none. */
export function pendingConv(x: Tensor): PendingConv | null {
  const recipe = recipeOf(x);
  return recipe instanceof PendingConv && recipe.isOf(x) ? recipe : null;
}

/**
 * A loan of x for a recipe: it keeps the present values when x changes. Other deferred tensors than convolutions are
 * materialized, so that recipes do not form chains.
 */
export function onLoan(x: Tensor): Tensor {
  if (!pendingConv(x)) x.materialize();
  return lent(x);
}
export const onLoanIfAny = (x: Tensor | null): Tensor | null => x && onLoan(x);

/**
 * The deferred output of a convolution of x. `write` gets x, weight and bias with their present values, even if they
 * change in between; x may be deferred itself.
 */
export function deferConv(
  shape: Shape,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  write: (x: Tensor, weight: Tensor, bias: Tensor | null, ...to: Parameters<Write>) => void,
): Tensor {
  const given = [lent(x), onLoan(weight), onLoanIfAny(bias)] as const;
  const [like] = given;
  const recipe = new PendingConv(storagesOf(...given), weight, like, shape, (...to) => write(...given, ...to));
  return deferred(x, recipe, shape);
}
