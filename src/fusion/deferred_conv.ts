// A convolution that nobody records waits until somebody asks for its values. A norm, a residual and a ReLU behind it are then carried out by its
// epilogue: only the last result is written.

import type { OutputSeams } from '../launch/conv.ts';
import type { Shape } from '../tensor/shape.ts';
import { sameShape } from '../tensor/shape.ts';
import type { Recipe, Storage } from '../tensor/storage.ts';
import { Tensor } from '../tensor/tensor.ts';
import { deferred, lent, recipeOf, storagesOf } from './recipes.ts';

/** Writes a convolution's output, with what is carried out on it. */
type Write = (out: Tensor, seams: OutputSeams) => void;

class PendingConv implements Recipe {
  readonly sources: readonly Storage[];
  /** The weight by which listeners know the layer. */
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

  /** Whether x, on whose storage this is, is the output itself and no view of another shape. */
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

/** The convolution whose output x is, while it has not been carried out. */
export function pendingConv(x: Tensor): PendingConv | null {
  const recipe = recipeOf(x);
  return recipe instanceof PendingConv && recipe.isOf(x) ? recipe : null;
}

/**
 * The present values of x for a recipe, whatever becomes of x. Only a convolution stays deferred: chains of recipes do not grow.
 */
export function onLoan(x: Tensor): Tensor {
  if (!pendingConv(x)) x.materialize();
  return lent(x);
}
export const onLoanIfAny = (x: Tensor | null): Tensor | null => x && onLoan(x);

/**
 * The output of a convolution of x, deferred. `write` is given x, weight and bias as they are now, whatever becomes of them; x may be deferred itself.
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
