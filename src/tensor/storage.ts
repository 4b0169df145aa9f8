// Storage: the memory behind tensors (views share it), its version for autograd's checks, and scopes, which give the memory of
// a step back at its end. Not here: what a tensor means.

import type { Backend, Block } from '../device/backend.ts';
import { currentBackend, trimMemory } from '../device/engine.ts';
import type { Pointer } from '../device/generated/abi.ts';
import { RuntimeError } from '../errors.ts';

export class Storage {
  readonly backend: Backend;
  readonly byteLength: number;
  /** Raised by every in-place change; autograd compares it with the version that it saved. */
  version = 0;
  /** Raised when an in-place operation gives one of the tensors on this storage a new place in the graph. */
  history = 0;
  protected block: Block | null;
  scope: Scope | null;
  /** Storages that outlive a scope where this one does: what somebody noted about its values. */
  companions: readonly Storage[] = [];
  /** The user's operation that selected these values from another tensor; null: none did, or nobody wants to know. See ops/selecting.ts. */
  selectedBy: string | null = null;
  /** Among how many storages the block is shared; null: it is this one's alone. See `lend`. */
  private sharers: { count: number } | null = null;

  /** @param block memory that it takes over; null: none as yet. Default: new memory. */
  constructor(byteLength: number, backend: Backend = currentBackend(), block?: Block | null) {
    this.backend = backend;
    this.byteLength = byteLength;
    this.scope = currentScope;
    currentScope?.storages.push(this);
    this.block = block === undefined ? this.allocate() : block;
    this.abandonUnlessOwned();
  }

  protected allocate(): Block {
    return this.backend.allocate(this.byteLength, this.scope?.isOwned);
  }

  /** To be called when the storage has left its scope, or has taken memory that others made: it may be lost without a release. */
  abandonUnlessOwned(): void {
    if (this.block && !this.scope?.isOwned) this.backend.abandon(this.block);
  }

  /** Called before every change in place. */
  beginChange(): void {
    if (this.isOnLoan) {
      const copy = this.allocate();
      this.backend.copy(this.live(), copy);
      this.sharers!.count--;
      this.sharers = null;
      this.block = copy;
    }
    this.version++;
  }

  /**
   * A storage that keeps the present values, whatever becomes of this one: it shares the memory, and whoever changes it in place moves to a copy
   * first.
   */
  lend(): Storage {
    const loan = new Storage(this.byteLength, this.backend, null);
    loan.shareWith(this);
    return loan;
  }

  /** A new storage of this one's memory, which is gone from here. */
  handOver(): Storage {
    const heir = new Storage(this.byteLength, this.backend, this.live());
    heir.sharers = this.sharers;
    this.sharers = null;
    this.block = null;
    return heir;
  }

  /** Takes the block of another storage of as many bytes for its own, until either is changed in place. */
  protected shareWith(other: Storage): void {
    this.block = other.live();
    other.sharers ??= { count: 1 };
    other.sharers.count++;
    this.sharers = other.sharers;
    this.abandonUnlessOwned();
  }

  /** Whether a change in place would have to move to a copy first. */
  get isOnLoan(): boolean {
    return (this.sharers?.count ?? 0) > 1;
  }

  /** What holds the values: one and the same for all storages that share it; null where there is nothing yet, or any more. */
  get memory(): object | null {
    return this.block;
  }

  /** Has the values computed, if they were deferred. */
  materialize(): void {}

  /** The address of the values, which are there, for the kernel call under way. */
  pin(): Pointer {
    return this.live().pin();
  }

  bytes(): Uint8Array {
    const bytes = this.live().bytes();
    return bytes.subarray(0, this.byteLength);
  }

  /** Overwrites the memory, or the beginning of it, by bytes of JavaScript's; the caller sees to `beginChange`. */
  write(bytes: Uint8Array): void {
    this.backend.write(this.live(), bytes);
  }

  get isReleased(): boolean {
    return this.block === null;
  }

  release(): void {
    if (!this.block) return;
    if (!this.sharers || --this.sharers.count === 0) this.backend.free(this.block);
    this.sharers = null;
    this.block = null;
  }

  /** Throws where the memory is gone. */
  requireLive(): void {
    this.live();
  }

  private live(): Block {
    if (!this.block)
      throw new RuntimeError(
        'this tensor was made inside a scope that has ended (a step of a loader, fit, or scope()) and its memory is reused; keep(tensor), return it from the scope, assign it to a property of a module, or use .item()',
      );
    return this.block;
  }
}

/** How the values of a storage are computed when somebody first asks for them. */
export interface Recipe {
  /** What it reads: loans and copies of its own, which are given back when it has been carried out, or nobody will do so any more. */
  readonly sources: readonly Storage[];
  /** Writes the values to the storage, whose memory is there by then. */
  materializeInto(storage: Storage): void;
}

/** Values that nobody has asked for yet, and who will hold them. */
interface Pending {
  readonly recipe: Recipe;
  readonly holders: Set<DeferredStorage>;
}

/** A storage without memory until its values are asked for, by a launch or by JavaScript. Who knows its recipe may do without them. */
export class DeferredStorage extends Storage {
  private pending: Pending | null = null;
  private former: { readonly recipe: Recipe; readonly version: number } | null = null;

  /** @param from how the values are computed, or another storage of as many bytes that waits for the same. */
  constructor(byteLength: number, backend: Backend, from: Recipe | DeferredStorage) {
    super(byteLength, backend, null);
    this.waitFor(from instanceof DeferredStorage ? from.pending : { recipe: from, holders: new Set() });
  }

  private waitFor(pending: Pending | null): void {
    const former = this.pending;
    this.pending = pending;
    pending?.holders.add(this);
    if (!former || former === pending) return;
    former.holders.delete(this);
    if (former.holders.size === 0) for (const source of former.recipe.sources) source.release();
  }

  /** Null once the values are there. */
  get recipe(): Recipe | null {
    return this.pending?.recipe ?? null;
  }

  /** How the values have been computed, as long as they are these. Its sources are gone. */
  get formerRecipe(): Recipe | null {
    return this.former?.version === this.version ? this.former.recipe : null;
  }

  /** Replaces what is to be computed: a change in place of what nobody has seen. */
  replace(recipe: Recipe): void {
    this.waitFor({ recipe, holders: new Set() });
    this.version++;
  }
  /** The same with what another waits for, which is computed once for both. */
  follow(other: DeferredStorage): void {
    this.waitFor(other.pending);
    this.version++;
  }

  override materialize(): void {
    const { pending } = this;
    if (!pending) return;
    this.block = this.allocate();
    this.pending = null;
    try {
      pending.recipe.materializeInto(this);
    } catch (error) {
      super.release();
      this.pending = pending;
      throw error;
    }
    for (const holder of pending.holders) {
      holder.pending = null;
      holder.former = { recipe: pending.recipe, version: holder.version };
      if (holder !== this) holder.shareWith(this);
    }
    for (const source of pending.recipe.sources) source.release();
  }

  override bytes(): Uint8Array {
    this.materialize();
    return super.bytes();
  }
  override requireLive(): void {
    if (!this.pending) super.requireLive();
  }
  /** What is still to be computed is computed once, for all loans. */
  override lend(): Storage {
    return this.pending ? new DeferredStorage(this.byteLength, this.backend, this) : super.lend();
  }
  override handOver(): Storage {
    this.materialize();
    return super.handOver();
  }
  override beginChange(): void {
    this.materialize();
    super.beginChange();
  }
  override get isOnLoan(): boolean {
    return this.pending ? this.pending.holders.size > 1 : super.isOnLoan;
  }
  override get isReleased(): boolean {
    return !this.pending && super.isReleased;
  }
  override release(): void {
    this.waitFor(null);
    super.release();
  }
}

/** A storage, and, where its values are still to be computed, what from. */
export const withSources = (storage: Storage): Storage[] => {
  const recipe = storage instanceof DeferredStorage ? storage.recipe : null;
  return [storage, ...(recipe?.sources.flatMap(withSources) ?? [])];
};

const watchers = new WeakMap<Storage, () => void>();

/** A storage whose uses somebody wants to see; the others pay nothing for it. */
class WatchedStorage extends Storage {
  override materialize(): void {
    watchers.get(this)!();
    super.materialize();
  }
  override bytes(): Uint8Array {
    watchers.get(this)!();
    return super.bytes();
  }
  override lend(): Storage {
    watchers.get(this)!();
    return super.lend();
  }
}

/** Calls `onUse` from now on before every use of the memory: by a kernel or by JavaScript, to read or to write, through any tensor. */
export function watchUses(storage: Storage, onUse: () => void): void {
  watchers.set(storage, onUse);
  Object.setPrototypeOf(storage, WatchedStorage.prototype);
}

/** Whose tensors outlive the scopes in which it is used: a module. */
export interface Owner {
  ownedStorages(): Iterable<Storage>;
}

class Scope {
  readonly storages: Storage[] = [];
  readonly owners = new Set<Owner>();
  readonly parent: Scope | null;
  /** Whether its end gives back what was made in it and is still there. */
  readonly isOwned: boolean;
  constructor(parent: Scope | null, isOwned: boolean) {
    this.parent = parent;
    this.isOwned = isOwned;
  }
}

let currentScope: Scope | null = null;

/** Notes that an owner was used in the present scope: what it holds at the end of the scope lives on. */
export function noteOwner(owner: Owner): void {
  currentScope?.owners.add(owner);
}

/** Opens a scope and returns what closes it; `kept` survive into the enclosing scope. For generators and async loops. */
export function openScope(): (kept?: Iterable<Storage>) => void {
  const opened = new Scope(currentScope, true);
  currentScope = opened;
  let isOpen = true;
  return (kept = []) => {
    if (!isOpen) return;
    isOpen = false;
    const keepOf = (storages: Iterable<Storage>): void => {
      for (const storage of storages) {
        // What it is computed from may be about to go.
        storage.materialize();
        move(storage, opened, opened.parent);
      }
    };
    keepOf(kept);
    for (const owner of opened.owners) {
      keepOf(owner.ownedStorages());
      opened.parent?.owners.add(owner);
    }
    for (const storage of opened.storages) if (storage.scope === opened) storage.release();
    if (currentScope === opened) {
      currentScope = opened.parent;
      if (!currentScope) trimMemory();
    } else unlink(opened);
  };
}

function move(storage: Storage, from: Scope, to: Scope | null): void {
  for (const companion of storage.companions) move(companion, from, to);
  if (storage.scope === from) place(storage, to);
}

function place(storage: Storage, scope: Scope | null): void {
  storage.scope = scope;
  scope?.storages.push(storage);
  storage.abandonUnlessOwned();
}

/** Scopes of interleaved async loops may close out of order; the storages of a closed one are gone already. */
function unlink(closed: Scope): void {
  for (let scope = currentScope; scope; scope = scope.parent)
    if (scope.parent === closed) (scope as { parent: Scope | null }).parent = closed.parent;
}

/** Takes storages out of every scope: garbage collection alone decides when they go. */
export function keepStorage(storage: Storage): void {
  storage.materialize();
  for (const each of [storage, ...storage.companions]) place(each, null);
}

/** Runs `fn` outside of all scopes: what it makes lives on (optimizer states, running statistics). */
export function outsideScopes<R>(fn: () => R): R {
  const saved = currentScope;
  currentScope = null;
  try {
    return fn();
  } finally {
    currentScope = saved;
  }
}

/** Gives storages that were collected, and not released, to the garbage collector. */
export function abandonStorages(storages: readonly Storage[]): void {
  for (const storage of storages) storage.abandonUnlessOwned();
}

/** Gives a storage that is in no scope to the present one. */
export function adoptStorage(storage: Storage): void {
  place(storage, currentScope);
}

/**
 * Runs `fn` apart from the scopes around it; returns, besides its result, the storages it made and nobody kept: the caller's to release, or to
 * give to a scope or to the garbage collector.
 */
export function collectStorages<R>(fn: () => R): [result: R, made: readonly Storage[]] {
  const saved = currentScope;
  const opened = new Scope(null, saved?.isOwned ?? false);
  currentScope = opened;
  let result: R;
  try {
    result = fn();
  } catch (error) {
    for (const storage of opened.storages) move(storage, opened, saved);
    throw error;
  } finally {
    currentScope = saved;
  }
  const made = opened.storages.filter((storage) => storage.scope === opened);
  for (const storage of made) storage.scope = null;
  return [result, made];
}
