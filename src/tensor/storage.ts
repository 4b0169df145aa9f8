// Storage: the memory behind tensors, which views share; its version, by which autograd notices changes; and scopes,
// which release the memory of a step at its end.

import { type Backend, type Block, BlockRange } from '../device/backend.ts';
import { currentBackend, trimMemory } from '../device/engine.ts';
import type { Pointer } from '../device/generated/abi.ts';
import { RuntimeError } from '../errors.ts';

/** Values that another thread is about to write: communication (src/distributed/). */
export interface Arrival {
  /** Makes later kernels wait for the values. */
  beforeKernel(storage: Storage): void;
  /** Waits for the values. @param storage holds the memory. */
  beforeRead(storage: Storage): void;
}

export class Storage {
  readonly backend: Backend;
  readonly byteLength: number;
  /** Rises with every change in place. Autograd compares it with the version at saving. */
  version = 0;
  /** Rises when an operation in place moves one of this storage's tensors to a new place in the graph. */
  history = 0;
  protected block: Block | null;
  scope: Scope | null;
  /** Storages that outlive a scope together with this one: statistics that were left with its values. */
  companions: readonly Storage[] = [];
  /**
   * The user's operation that selected these values from another tensor; null if there is none. See ops/selecting.ts.
   */
  selectedBy: string | null = null;
  /**
   * Counts the storages that share the block, and those who hold it; null: it belongs to this one alone. See `lend` and
   * `hold`.
   */
  private sharers: { storages: number; holds: number } | null = null;
  /** What still writes to the memory, oldest first. */
  private arrivals: readonly Arrival[] = [];

  /** @param block the memory; null: there is none yet. Default: new memory. */
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

  /** Call this when no scope releases the storage any more: then it may be lost to the garbage collector. */
  abandonUnlessOwned(): void {
    if (this.block && !this.scope?.isOwned) this.backend.abandon(this.block);
  }

  /** Called before every change in place. */
  beginChange(): void {
    if (this.isOnLoan) {
      this.arrive();
      const copy = this.allocate();
      this.backend.copy(this.live(), copy);
      this.sharers!.storages--;
      this.sharers = null;
      this.block = copy;
    }
    this.version++;
  }

  /**
   * A loan: a second storage that keeps the present values. Both share the memory; whichever is changed in place moves
   * to a copy first.
   */
  lend(): Storage {
    const loan = new Storage(this.byteLength, this.backend, null);
    loan.shareWith(this);
    return loan;
  }

  /** A new storage that takes this one's memory over. */
  handOver(): Storage {
    const heir = new Storage(this.byteLength, this.backend, this.live());
    heir.sharers = this.sharers;
    heir.arrivals = this.arrivals;
    this.sharers = null;
    this.block = null;
    return heir;
  }

  /** Shares the block of another storage of the same size, until one of them is changed in place. */
  protected shareWith(other: Storage): void {
    this.block = other.live();
    this.arrivals = other.arrivals;
    other.sharers ??= { storages: 1, holds: 0 };
    other.sharers.storages++;
    this.sharers = other.sharers;
    this.abandonUnlessOwned();
  }

  /** Whether a change in place would have to move to a copy first. */
  get isOnLoan(): boolean {
    return (this.sharers?.storages ?? 0) > 1;
  }

  /** Identifies the memory: the same object for all storages that share it; null where there is no memory. */
  get memory(): object | null {
    return this.block;
  }

  /** Computes the values, if they are deferred. */
  materialize(): void {}

  /** The address of the values, valid during the present kernel call. The values must be there. */
  pin(): Pointer {
    this.arrive('beforeKernel');
    return this.live().pin();
  }

  /** The address for other threads, while somebody keeps a loan; null where memory moves. */
  get address(): Pointer | null {
    return this.backend.addressOf(this.live());
  }

  /** Notes what is about to write to the memory. */
  expect(arrival: Arrival): void {
    this.arrivals = [...this.arrivals, arrival];
  }

  /** Waits for values that still arrive. */
  arrive(how: keyof Arrival = 'beforeRead'): void {
    const { arrivals } = this;
    if (arrivals.length === 0) return;
    this.arrivals = [];
    for (const arrival of arrivals) arrival[how](this);
  }

  bytes(): Uint8Array {
    this.arrive();
    const bytes = this.live().bytes();
    return bytes.subarray(0, this.byteLength);
  }

  /** Overwrites the memory from its beginning with bytes of JavaScript. The caller calls `beginChange` before. */
  write(bytes: Uint8Array): void {
    this.arrive();
    this.backend.write(this.live(), bytes);
  }

  get isReleased(): boolean {
    return this.block === null;
  }

  release(): void {
    const { block, sharers } = this;
    if (!block) return;
    if (sharers) sharers.storages--;
    giveBack(this.backend, block, sharers);
    this.sharers = null;
    this.block = null;
  }

  /**
   * Keeps the memory from being given back, for another thread that writes to it, until the returned function is
   * called. It is no loan: changes in place stay where they are.
   */
  hold(): () => void {
    const block = this.live();
    this.sharers ??= { storages: 1, holds: 0 };
    const { backend, sharers } = this;
    sharers.holds++;
    return () => {
      sharers.holds--;
      giveBack(backend, block, sharers);
    };
  }

  /** A storage whose memory is a part of this one's. This one must not be released before, nor change in place. */
  range(start: number, byteLength: number): Storage {
    if (start < 0 || start + byteLength > this.byteLength)
      throw new RuntimeError(`bytes ${start} to ${start + byteLength} are no range of a storage of ${this.byteLength}`);
    return new RangeStorage(this, byteLength, new BlockRange(this.live(), start, byteLength));
  }

  /** Throws if the memory has been released. */
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

/** Gives a block back that nobody has any more. Ranges belong to their whole. */
function giveBack(backend: Backend, block: Block, sharers: { storages: number; holds: number } | null): void {
  const isFree = !sharers || (sharers.storages === 0 && sharers.holds === 0);
  if (isFree && !(block instanceof BlockRange)) backend.free(block);
}

/** A part of another storage's memory. What arrives in either is waited for by both. */
class RangeStorage extends Storage {
  private readonly whole: Storage;

  constructor(whole: Storage, byteLength: number, block: Block) {
    super(byteLength, whole.backend, block);
    this.whole = whole;
  }

  override expect(arrival: Arrival): void {
    this.whole.expect({
      beforeKernel: () => arrival.beforeKernel(this),
      beforeRead: () => arrival.beforeRead(this),
    });
  }
  override arrive(how?: keyof Arrival): void {
    this.whole.arrive(how);
  }
  /** A copy: a change in place must stay in the range. */
  override lend(): Storage {
    const copy = new Storage(this.byteLength, this.backend);
    copy.write(this.bytes());
    return copy;
  }
  override handOver(): Storage {
    this.arrive();
    return super.handOver();
  }
}

/** How the values of a deferred storage are computed. */
export interface Recipe {
  /**
   * What it reads: loans and copies that belong to it. They are released when the values are computed, or will never
   * be.
   */
  readonly sources: readonly Storage[];
  /** Writes the values into the storage, which has memory by then. */
  materializeInto(storage: Storage): void;
}

/** A recipe that has not been carried out, and the storages that wait for its values. */
interface Pending {
  readonly recipe: Recipe;
  readonly holders: Set<DeferredStorage>;
}

/**
 * A storage that has no memory until a launch or JavaScript asks for its values. Fusion reads its recipe and may do
 * without the values.
 */
export class DeferredStorage extends Storage {
  private pending: Pending | null = null;
  private former: { readonly recipe: Recipe; readonly version: number } | null = null;

  /** @param from a recipe, or another deferred storage of the same size that waits for the same values. */
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

  /** The recipe; null once the values are computed. */
  get recipe(): Recipe | null {
    return this.pending?.recipe ?? null;
  }

  /** The recipe by which the present values were computed; its sources have been released. */
  get formerRecipe(): Recipe | null {
    return this.former?.version === this.version ? this.former.recipe : null;
  }

  /** Replaces the recipe: a change in place of values that nobody has seen. */
  replace(recipe: Recipe): void {
    this.waitFor({ recipe, holders: new Set() });
    this.version++;
  }
  /** Waits for the values of another storage, which are computed once for both. */
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
  /** Deferred values are computed once for all loans. */
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

/** A storage, and the sources of its recipe if it is deferred. */
export const withSources = (storage: Storage): Storage[] => {
  const recipe = storage instanceof DeferredStorage ? storage.recipe : null;
  return [storage, ...(recipe?.sources.flatMap(withSources) ?? [])];
};

const watchers = new WeakMap<Storage, () => void>();

/** A storage whose uses are watched. A class of its own, so that others do not pay for it. */
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

/** From now on calls `onUse` before every read and write of the memory, by kernels and by JavaScript. */
export function watchUses(storage: Storage, onUse: () => void): void {
  watchers.set(storage, onUse);
  Object.setPrototypeOf(storage, WatchedStorage.prototype);
}

/** An object whose tensors outlive the scopes in which it is used: a module. */
export interface Owner {
  ownedStorages(): Iterable<Storage>;
}

class Scope {
  readonly storages: Storage[] = [];
  readonly owners = new Set<Owner>();
  readonly parent: Scope | null;
  /** Whether its end releases what was made in it. */
  readonly isOwned: boolean;
  constructor(parent: Scope | null, isOwned: boolean) {
    this.parent = parent;
    this.isOwned = isOwned;
  }
}

let currentScope: Scope | null = null;

/** Notes that an owner was used in the present scope: the tensors that it holds at the end of the scope live on. */
export function noteOwner(owner: Owner): void {
  currentScope?.owners.add(owner);
}

/**
 * Opens a scope, for generators and async loops. The returned function closes it; the storages it is given move to the
 * outer scope.
 */
export function openScope(): (kept?: Iterable<Storage>) => void {
  const opened = new Scope(currentScope, true);
  currentScope = opened;
  let isOpen = true;
  return (kept = []) => {
    if (!isOpen) return;
    isOpen = false;
    const keepOf = (storages: Iterable<Storage>): void => {
      for (const storage of storages) {
        // Its sources may be released at the end of this scope.
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

/**
 * Scopes of interleaved async loops may close out of order. The storages of a closed one have been released already.
 */
function unlink(closed: Scope): void {
  for (let scope = currentScope; scope; scope = scope.parent)
    if (scope.parent === closed) (scope as { parent: Scope | null }).parent = closed.parent;
}

/** Takes storages out of all scopes: only the garbage collector decides when they go. */
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

/** Leaves a collected storage that was not released to the present scope, or to the garbage collector. */
export function abandonStorages(storages: readonly Storage[]): void {
  for (const storage of storages) storage.abandonUnlessOwned();
}

/** Gives a storage that is in no scope to the present one. */
export function adoptStorage(storage: Storage): void {
  place(storage, currentScope);
}

/**
 * Runs `fn` outside of the scopes around it. Returns its result and the storages that it made and nobody kept. The
 * caller must release them, or give them to a scope or to the garbage collector.
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
