// The native backend: kernels from the Node-API addon, and memory in ArrayBuffers, which V8 reclaims even inside a
// synchronous loop. Large blocks that will be released explicitly, such as those of a scope, are pieces of chunks
// (chunks.ts). Other released blocks are kept by size for the next step, since fresh memory costs page faults.
import { RuntimeError } from '../errors.ts';
import { loadAddon } from './addon_file.ts';
import { AddressBackend } from './address_backend.ts';
import { type Block, BlockRange, type KernelQueue } from './backend.ts';
import { type Chunk, Chunks, type WeakReferences } from './chunks.ts';
import { Isa, type Kernels, kernelNames, type Pointer, Status } from './generated/abi.ts';

interface Addon extends Record<string, unknown>, WeakReferences {
  getNumThreads(): number;
  setNumThreads(count: number): void;
  /** The number of launches so far. */
  launched(): number;
  /** How many of them have run. */
  done(): number;
  /** Waits until so many launches have run. */
  finish(launches: number): void;
  /** The address of the function that gives `done()`. */
  doneFunction(): Pointer;
  /** See `KernelQueue`. */
  awaitPlace(wait: Pointer, place: number): void;
  /** The first error of a kernel that nobody waited for; it is given once. */
  takeRefusal(): [name: string, status: number] | undefined;
}

/** Bytes of blocks that are alive only for kernels still to run. With more, JavaScript waits. */
const heldAtMost = 128 * 1024 ** 2;

const alignment = 64;
/**
 * Bytes. Smaller blocks have buffers of their own: a step has few different sizes of them, and they must not keep a
 * chunk alive.
 */
const smallestPiece = 64 * 1024;

class NativeBlock implements Block {
  readonly address: Pointer;
  readonly byteLength: number;
  readonly backend: NativeBackend;
  /** The chunk that the block is a piece of; null: it has a buffer of its own. */
  readonly chunk: Chunk | null;
  private readonly view: Uint8Array;
  /** The number of launches up to the last kernel that uses the memory. */
  usedAt: number;
  /** Whether it is kept alive for kernels still to run. */
  isHeld = false;
  /** The number of trims when the block was last released; see `NativeBackend.trim`. */
  freedAt = 0;
  /** Stops watching a piece that was left to the garbage collector. */
  unwatch: (() => void) | null = null;

  constructor(
    backend: NativeBackend,
    byteLength: number,
    buffer: ArrayBuffer,
    start: Pointer,
    address: Pointer,
    chunk: Chunk | null,
    usedAt: number,
  ) {
    this.address = address;
    this.byteLength = byteLength;
    this.backend = backend;
    this.chunk = chunk;
    this.usedAt = usedAt;
    this.view = new Uint8Array(buffer, address - start, byteLength);
  }

  pin(): Pointer {
    this.backend.holdBlock(this);
    return this.address;
  }

  bytes(): Uint8Array {
    this.backend.finish(this.usedAt);
    return this.view;
  }
}

export class NativeBackend extends AddressBackend {
  readonly name = 'native';
  readonly kernels: Kernels;
  readonly instructionSet: string;
  override readonly queue: KernelQueue;
  private reasonOfAbandoned: (() => string) | null = null;
  private readonly addon: Addon;
  private readonly chunks: Chunks;
  private readonly pool = new Map<number, NativeBlock[]>();
  private pooled = 0;
  private trims = 0;

  constructor(addon: Addon) {
    super();
    this.addon = addon;
    this.chunks = new Chunks(addon);
    this.queue = {
      launched: () => addon.launched(),
      done: addon.doneFunction(),
      awaitPlace: (wait, place, reason) => {
        this.reasonOfAbandoned = reason;
        addon.awaitPlace(wait, place);
      },
    };
    const table: Record<string, unknown> = {};
    for (const [name, symbol] of kernelNames) table[name] = addon[symbol];
    this.kernels = table as unknown as Kernels;
    const isa = this.kernels.isa();
    this.instructionSet = Object.entries(Isa).find(([, value]) => value === isa)?.[0] ?? 'unknown';
  }

  // Kernels run later than they are called. Until then their blocks are kept alive here, each with the number of
  // launches up to its kernel, oldest first.
  private held: { readonly block: NativeBlock; readonly until: number }[] = [];
  private heldFrom = 0;
  /** Of blocks that the collector could take. */
  private heldBytes = 0;
  private finished = 0;

  holdBlock(block: NativeBlock): void {
    this.hold(block);
  }

  override check(op: string, status: number): void {
    const launched = this.addon.launched();
    for (let i = 0; i < this.pinnedCount; i++) {
      const block = this.pinned[i] as NativeBlock;
      block.usedAt = launched;
      this.held.push({ block, until: launched });
      if (!block.isHeld && !block.chunk) this.heldBytes += block.byteLength;
      block.isHeld = true;
    }
    super.check(op, status);
    this.letGo();
    if (this.heldBytes <= heldAtMost) return;
    const middle = (this.heldFrom + this.held.length) >> 1;
    this.finish(this.held[middle].until);
  }

  /** Frees the blocks whose kernels have run. */
  private letGo(): void {
    const done = this.addon.done();
    let from = this.heldFrom;
    for (; from < this.held.length && this.held[from].until <= done; from++) {
      const { block, until } = this.held[from];
      if (until < block.usedAt) continue; // held again
      block.isHeld = false;
      if (!block.chunk) this.heldBytes -= block.byteLength;
    }
    // The array is cut when half of it has been freed.
    if (2 * from >= this.held.length) {
      this.held = this.held.slice(from);
      from = 0;
    }
    this.heldFrom = from;
  }

  /** Returns once so many launches have run. */
  finish(launches: number): void {
    if (launches > this.finished) {
      this.addon.finish(launches);
      this.finished = launches;
    }
    this.letGo();
    const refusal = this.addon.takeRefusal();
    if (refusal?.[1] === Status.abandoned && this.reasonOfAbandoned) throw new RuntimeError(this.reasonOfAbandoned());
    if (refusal) throw new RuntimeError(`[${refusal[0]}] ${this.reason(refusal[1])}`);
  }

  override synchronize(): void {
    this.finish(this.addon.launched());
  }

  allocate(byteLength: number, isGivenBack = false): NativeBlock {
    const size = Math.max(alignment, Math.ceil(byteLength / alignment) * alignment);
    try {
      return isGivenBack && size >= smallestPiece ? this.piece(size) : this.whole(size);
    } catch (error) {
      throw new RuntimeError(
        `out of memory: could not allocate ${size} bytes (${error instanceof Error ? error.message : error})`,
      );
    }
  }

  private piece(size: number): NativeBlock {
    const { chunk, address } = this.chunks.take(size);
    return new NativeBlock(this, size, chunk.buffer, chunk.start, address, chunk, this.addon.launched());
  }

  private whole(size: number): NativeBlock {
    const block = this.pool.get(size)?.pop();
    if (block) {
      this.pooled -= size;
      return block;
    }
    // Uninitialised: kernels write every element of their outputs, and zeroing would touch the memory twice.
    const buffer = Buffer.allocUnsafeSlow(size + alignment).buffer as ArrayBuffer;
    const start = this.addon.addressOf(buffer);
    return new NativeBlock(this, size, buffer, start, Math.ceil(start / alignment) * alignment, null, 0);
  }

  override addressOf(block: Block): Pointer {
    return block instanceof BlockRange ? this.addressOf(block.whole) + block.start : (block as NativeBlock).address;
  }

  protected allocateFixed(byteLength: number): NativeBlock {
    return this.allocate(byteLength);
  }

  free(block: Block): void {
    const native = block as NativeBlock;
    const { chunk, address, byteLength } = native;
    if (chunk) {
      native.unwatch?.();
      this.chunks.give({ chunk, address }, byteLength);
      return;
    }
    let list = this.pool.get(native.byteLength);
    if (!list) this.pool.set(native.byteLength, (list = []));
    native.freedAt = this.trims;
    list.push(native);
    this.pooled += native.byteLength;
  }

  override abandon(block: Block): void {
    const native = block as NativeBlock;
    const { chunk, address, byteLength } = native;
    if (chunk) native.unwatch ??= this.chunks.watch(native, { chunk, address }, byteLength);
  }

  trim(): void {
    this.chunks.trim();
    this.trims++;
    // The lists are stacks: the blocks at the bottom have been unused for the longest time.
    for (const [size, list] of this.pool) {
      let unused = 0;
      while (unused < list.length && list[unused].freedAt < this.trims - 3) unused++;
      if (unused === 0) continue;
      list.splice(0, unused);
      this.pooled -= unused * size;
      if (list.length === 0) this.pool.delete(size);
    }
  }

  memory(): { pooled: number; allocated: number } {
    const pooled = this.pooled + this.chunks.freeBytes;
    return { pooled, allocated: process.memoryUsage().arrayBuffers - pooled };
  }

  getNumThreads(): number {
    return this.addon.getNumThreads();
  }

  setNumThreads(count: number): void {
    this.addon.setNumThreads(count);
  }
}

/**
 * The native backend, or null with the reason where the addon cannot be loaded.
 * @throws RuntimeError where EVENKEEL_ADDON names one that cannot.
 */
export function loadNative(): { backend: NativeBackend | null; reason: string } {
  const { addon, reason } = loadAddon();
  return { backend: addon ? new NativeBackend(addon as Addon) : null, reason };
}
