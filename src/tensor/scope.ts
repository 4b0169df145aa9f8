// scope() runs a piece of code and releases the tensors that it made, except its results.
import { RuntimeError } from '../errors.ts';
import { openScope, type Storage } from './storage.ts';
import { Tensor } from './tensor.ts';

/** All tensors in a value, also inside arrays and plain objects. */
export function* tensorsIn(value: unknown): Generator<Tensor> {
  if (value instanceof Tensor) yield value;
  else if (Array.isArray(value)) for (const item of value) yield* tensorsIn(item);
  else if (value && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype)
    yield* tensorsIn(Object.values(value));
}
function* storagesIn(value: unknown): Generator<Storage> {
  for (const { storage } of tensorsIn(value)) yield storage;
}

/**
 * Runs `fn` and recycles the memory of every tensor made in it, at once instead of at the next garbage collection.
 * Tensors that it returns (also in arrays and plain objects), gradients, optimizer states and tensors given to `keep()`
 * live on; any other use of a tensor from inside is an error afterwards, never other data.
 * @example
 * const loss = scope(() => { const l = crossEntropy(model(images), labels); l.backward(); return l.item(); });
 */
export function scope<R>(fn: () => R): R {
  const close = openScope();
  let result: R;
  try {
    result = fn();
  } catch (error) {
    close();
    throw error;
  }
  if (result instanceof Promise) {
    close();
    throw new RuntimeError('[scope] expected a synchronous function, got one that returns a promise; use asyncScope');
  }
  close(storagesIn(result));
  return result;
}

/** As `scope`, for an async function. What other work allocates while it waits belongs to the scope too. */
export async function asyncScope<R>(fn: () => Promise<R>): Promise<R> {
  const close = openScope();
  let result: R;
  try {
    result = await fn();
  } catch (error) {
    close();
    throw error;
  }
  close(storagesIn(result));
  return result;
}
