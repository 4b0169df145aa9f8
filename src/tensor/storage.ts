// Storage: the memory behind tensors (views share it), its version for autograd's checks, and scopes, which give the memory of
// a step back at its end. Not here: what a tensor means.
import { RuntimeError } from '../errors.ts';
import type { Block, Device } from '../kernels/device.ts';
import { currentDevice } from '../kernels/engine.ts';
import type { Pointer } from '../kernels/generated/abi.ts';

export class Storage {
  readonly device: Device;
  readonly byteLength: number;
  /** Raised by every in-place change; autograd compares it with the version that it saved. */
  version = 0;
  /** Raised when an in-place operation gives one of the tensors on this storage a new place in the graph. */
  history = 0;
  private block: Block | null;
  scope: Scope | null;

  constructor(byteLength: number, device: Device = currentDevice()) {
    this.device = device;
    this.byteLength = byteLength;
    this.block = device.allocate(byteLength);
    this.scope = currentScope;
    currentScope?.storages.push(this);
  }

  /** The address for the kernel call under way. */
  get pointer(): Pointer {
    return this.live().pin();
  }

  bytes(): Uint8Array {
    const bytes = this.live().bytes();
    return bytes.subarray(0, this.byteLength);
  }

  get isReleased(): boolean {
    return this.block === null;
  }

  release(): void {
    if (!this.block) return;
    this.device.free(this.block);
    this.block = null;
  }

  private live(): Block {
    if (!this.block)
      throw new RuntimeError(
        'this tensor was made inside a scope that has ended (a step of a loader, fit, or scope()) and its memory is reused; keep(tensor) or return it from the scope to use it afterwards',
      );
    return this.block;
  }
}

const watchers = new WeakMap<Storage, () => void>();

/** A storage whose uses somebody wants to see; the others pay nothing for it. */
class WatchedStorage extends Storage {
  override get pointer(): Pointer {
    watchers.get(this)!();
    return super.pointer;
  }
  override bytes(): Uint8Array {
    watchers.get(this)!();
    return super.bytes();
  }
}

/** Calls `onUse` from now on before every use of the memory: by a kernel or by JavaScript, to read or to write, through any tensor. */
export function watchUses(storage: Storage, onUse: () => void): void {
  watchers.set(storage, onUse);
  Object.setPrototypeOf(storage, WatchedStorage.prototype);
}

class Scope {
  readonly storages: Storage[] = [];
  readonly parent: Scope | null;
  constructor(parent: Scope | null) {
    this.parent = parent;
  }
}

let currentScope: Scope | null = null;

/** Opens a scope and returns what closes it; `kept` survive into the enclosing scope. For generators and async loops. */
export function openScope(): (kept?: Iterable<Storage>) => void {
  const opened = new Scope(currentScope);
  currentScope = opened;
  let isOpen = true;
  return (kept = []) => {
    if (!isOpen) return;
    isOpen = false;
    for (const storage of kept) move(storage, opened, opened.parent);
    for (const storage of opened.storages) if (storage.scope === opened) storage.release();
    if (currentScope === opened) {
      currentScope = opened.parent;
      if (!currentScope) currentDevice().trim();
    } else unlink(opened);
  };
}

function move(storage: Storage, from: Scope, to: Scope | null): void {
  if (storage.scope !== from) return;
  storage.scope = to;
  to?.storages.push(storage);
}

/** Scopes of interleaved async loops may close out of order; the storages of a closed one are gone already. */
function unlink(closed: Scope): void {
  for (let scope = currentScope; scope; scope = scope.parent)
    if (scope.parent === closed) (scope as { parent: Scope | null }).parent = closed.parent;
}

/** Takes storages out of every scope: garbage collection alone decides when they go. */
export function keepStorage(storage: Storage): void {
  storage.scope = null;
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

/** Runs `fn` apart from the scopes around it; returns, besides its result, the storages it made and nobody kept: the caller's to release. */
export function collectStorages<R>(fn: () => R): [result: R, made: readonly Storage[]] {
  const opened = new Scope(null);
  const saved = currentScope;
  currentScope = opened;
  try {
    const result = fn();
    const made = opened.storages.filter((storage) => storage.scope === opened);
    for (const storage of made) storage.scope = null;
    return [result, made];
  } finally {
    currentScope = saved;
  }
}
