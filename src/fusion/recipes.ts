// What all recipes share: tensors whose values are computed when somebody asks for them (tensor/storage.ts), and loans of those they are computed from.
import { dtypes } from '../tensor/dtype.ts';
import { type Shape, sameShape, sizeOf } from '../tensor/shape.ts';
import { DeferredStorage, type Recipe, type Storage } from '../tensor/storage.ts';
import { Tensor } from '../tensor/tensor.ts';

/** A tensor like x, or of another shape, whose values are computed by a recipe when they are asked for. */
export const deferred = (x: Tensor, recipe: Recipe, shape: Shape = x.shape): Tensor =>
  new Tensor(
    shape,
    x.dtype,
    x.memoryFormat,
    new DeferredStorage(sizeOf(shape) * dtypes[x.dtype].size, x.backend, recipe),
  );

/** x for a recipe, whatever becomes of x: if it is deferred, the loan is, too. */
export const lent = (x: Tensor): Tensor => new Tensor(x.shape, x.dtype, x.memoryFormat, x.storage.lend());

/** The memory of the tensors that there are. */
export function storagesOf(...tensors: (Tensor | null)[]): Storage[] {
  const storages: Storage[] = [];
  for (const t of tensors) if (t) storages.push(t.storage);
  return storages;
}

/** Whether one may stand in the place of the other. */
export const isLike = (a: Tensor, b: Tensor): boolean =>
  a.dtype === b.dtype && a.memoryFormat === b.memoryFormat && a.backend === b.backend && sameShape(a.shape, b.shape);

/** How the values of x will be computed; null where they are there. */
export const recipeOf = (x: Tensor): Recipe | null => (x.storage instanceof DeferredStorage ? x.storage.recipe : null);

/** How they have been computed, if they were deferred. */
export const formerRecipeOf = (x: Tensor): Recipe | null =>
  x.storage instanceof DeferredStorage ? x.storage.formerRecipe : null;

/** How the values of x are computed, or have been. */
export const madeBy = (x: Tensor): Recipe | null => recipeOf(x) ?? formerRecipeOf(x);

/**
 * Makes `from`, where it is deferred, the value of `to`, of which nobody has seen the old one yet; false where the values must be copied.
 * `recipe`: what `to` waits for alone, if it is not the same as what `from` waits for.
 */
export function takeOver(to: Tensor, from: Tensor, recipe: Recipe | null): boolean {
  if (!recipeOf(from) || !recipeOf(to) || !isLike(to, from)) return false;
  // What the recipe reads goes with the scope that it was made in.
  if (to.storage.scope !== from.storage.scope) return false;
  const [storage, source] = [to.storage as DeferredStorage, from.storage as DeferredStorage];
  if (recipe) storage.replace(recipe);
  else storage.follow(source);
  return true;
}
