// Memory of enclosed forwards: what operations have saved is released with the backward of the last of them, the rest
// at once.
import { adoptStorage, collectStorages, type Storage, withSources } from '../tensor/storage.ts';
import { Tensor } from '../tensor/tensor.ts';
import { type SavedTensors, setHolder } from './node.ts';

export class SavedMemory {
  /** How many saves still use a storage. */
  private readonly users = new WeakMap<Storage, number>();

  /** @param made storages that nobody but these saves holds any more. */
  constructor(made: readonly Storage[], saves: readonly SavedTensors[]) {
    for (const storage of made) this.users.set(storage, 0);
    for (const saved of saves) {
      saved.memory = this;
      for (const storage of saved.storages()) {
        this.count(storage, 1);
        // The sources of a deferred tensor are released with that tensor.
        for (const source of withSources(storage)) if (source !== storage) this.users.delete(source);
        if (saved.mayEscape) this.users.delete(storage);
      }
    }
    for (const storage of made) if (this.users.get(storage) === 0) storage.release();
  }

  /** One of the saves is about to be freed. */
  letGo(saved: SavedTensors): void {
    for (const storage of saved.storages()) if (this.count(storage, -1) === 0) storage.release();
  }

  private count(storage: Storage, change: number): number | undefined {
    const count = this.users.get(storage);
    if (count === undefined) return undefined;
    this.users.set(storage, count + change);
    return count + change;
  }
}

/** The storages of results, with the sources of deferred ones and what was left with them (companions). */
function reachable(results: readonly Tensor[]): Set<Storage> {
  const reached = new Set<Storage>();
  const reach = (storage: Storage) => {
    for (const each of withSources(storage)) {
      if (reached.has(each)) continue;
      reached.add(each);
      each.companions.forEach(reach);
    }
  };
  for (const { storage } of results) reach(storage);
  return reached;
}

let isInside = false;

/** Whether an enclosed function is running. */
export const isEnclosed = (): boolean => isInside;

/**
 * Tells that somebody may hold tensors of the enclosed function that is running. They then live until the end of the
 * scope.
 */
export const unclose = (): void => {
  isInside = false;
};

/**
 * Runs `fn`, which gives nobody a tensor that it makes, except its results. The other tensors are released when `fn`
 * has returned. Those that operations have saved are released when the backward of the last of these operations has
 * run, without `retainGraph`.
 */
export function enclosed<R>(fn: () => R): R {
  const saves: SavedTensors[] = [];
  const around = setHolder((saved, tensors) => {
    const held = around?.(saved, tensors) ?? null;
    if (!held) saves.push(saved);
    return held;
  });
  isInside = true;
  let [result, made]: [R | null, readonly Storage[]] = [null, []];
  let isClosed = false;
  try {
    [result, made] = collectStorages(fn);
    isClosed = isInside;
  } finally {
    isInside = false;
    setHolder(around);
  }
  const results: readonly unknown[] = Array.isArray(result) ? result : [result];
  if (isClosed && results.every((each) => each instanceof Tensor)) {
    const reached = reachable(results);
    new SavedMemory(
      made.filter((storage) => !reached.has(storage)),
      saves,
    );
  }
  for (const storage of made) if (!storage.isReleased) adoptStorage(storage);
  return result as R;
}
