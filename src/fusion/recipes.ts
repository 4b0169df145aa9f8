// What all recipes share: deferred tensors (tensor/storage.ts), and loans of the tensors that a recipe reads.
import { dtypes } from '../tensor/dtype.ts';
import { type Shape, sameShape, sizeOf } from '../tensor/shape.ts';
import { DeferredStorage, type Recipe, type Storage } from '../tensor/storage.ts';
import { Tensor } from '../tensor/tensor.ts';

/** A deferred tensor: x's dtype and format, x's shape or another, values by the recipe when somebody asks for them. */
export const deferred = (x: Tensor, recipe: Recipe, shape: Shape = x.shape): Tensor =>
  new Tensor(
    shape,
    x.dtype,
    x.memoryFormat,
    new DeferredStorage(sizeOf(shape) * dtypes[x.dtype].size, x.backend, recipe),
  );

/** A loan of x, for a recipe: it keeps the present values when x changes. If x is deferred, so is the loan. */
export const lent = (x: Tensor): Tensor => new Tensor(x.shape, x.dtype, x.memoryFormat, x.storage.lend());

/** The storages of the tensors that are not null. */
export function storagesOf(...tensors: (Tensor | null)[]): Storage[] {
  const storages: Storage[] = [];
  for (const t of tensors) if (t) storages.push(t.storage);
  return storages;
}

/** Whether two tensors have the same dtype, format, backend and shape. */
export const isLike = (a: Tensor, b: Tensor): boolean =>
  a.dtype === b.dtype && a.memoryFormat === b.memoryFormat && a.backend === b.backend && sameShape(a.shape, b.shape);

/** The recipe of a deferred tensor; null once the values are computed. */
export const recipeOf = (x: Tensor): Recipe | null => (x.storage instanceof DeferredStorage ? x.storage.recipe : null);

/** The recipe that has computed the values of x, if they were deferred and have not changed since. */
export const formerRecipeOf = (x: Tensor): Recipe | null =>
  x.storage instanceof DeferredStorage ? x.storage.formerRecipe : null;

/** One or the other: the recipe by which the values of x will be, or have been, computed. */
export const madeBy = (x: Tensor): Recipe | null => recipeOf(x) ?? formerRecipeOf(x);

/**
 * Gives `to` the deferred value of `from`, where nobody has seen the old value of `to` yet.
 * @param recipe computes the value of `to` alone, where that is not the value of `from`.
 * @returns false where the values must be copied instead.
 */
export function takeOver(to: Tensor, from: Tensor, recipe: Recipe | null): boolean {
  if (!recipeOf(from) || !recipeOf(to) || !isLike(to, from)) return false;
  // At the end of a scope the tensors that a recipe reads are released; so both must belong to one scope.
  if (to.storage.scope !== from.storage.scope) return false;
  const [storage, source] = [to.storage as DeferredStorage, from.storage as DeferredStorage];
  if (recipe) storage.replace(recipe);
  else storage.follow(source);
  return true;
}
