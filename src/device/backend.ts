// A backend: memory, and launches that compute with what is in it. Tensors are one layer up; here are only bytes.
import type { Pointer } from './generated/abi.ts';
import type { Launches } from './generated/launches.ts';

/**
 * Where a tensor lives: `'cpu'`, or `'meta'`, where it has a shape, a dtype and a memory format, but no values and no
 * memory.
 */
export type Device = 'cpu' | 'meta';

/** The engines that compute on the cpu. */
export type EngineName = 'native' | 'wasm';

/** A piece of memory, aligned to 64 bytes. */
export interface Block {
  readonly byteLength: number;
  /** The address, valid and pinned until the kernel call that uses it has returned (see `AddressBackend.check`). */
  pin(): Pointer;
  /** The bytes for JavaScript, valid until the next allocation on the backend. */
  bytes(): Uint8Array;
}

/** Bytes of another block: the address of both is the same memory. It is given back with the whole. */
export class BlockRange implements Block {
  readonly byteLength: number;
  readonly whole: Block;
  readonly start: number;

  constructor(whole: Block, start: number, byteLength: number) {
    this.whole = whole;
    this.start = start;
    this.byteLength = byteLength;
  }

  pin(): Pointer {
    return this.whole.pin() + this.start;
  }

  bytes(): Uint8Array {
    return this.whole.bytes().subarray(this.start, this.start + this.byteLength);
  }
}

/** Kernels that run later than they are launched, and what others need to know to work beside them. */
export interface KernelQueue {
  /** The number of launches so far. */
  launched(): number;
  /** The address of a C function without arguments: how many launches have run. */
  readonly done: Pointer;
  /**
   * Makes all later launches wait until another thread has come to a place. They fail if it never will.
   * @param wait the address of a C function that takes the place, and returns whether the thread has come there.
   * @param reason what to tell whoever waits for kernels that have failed so.
   */
  awaitPlace(wait: Pointer, place: number, reason: () => string): void;
}

export abstract class Backend {
  /** Null where kernels run when they are called. */
  readonly queue: KernelQueue | null = null;
  abstract readonly name: EngineName | 'meta';
  /** The device that users know it as. */
  readonly device: Device = 'cpu';
  /** The kernels, as functions of operands. Others take their place while launches are traced (trace.ts). */
  abstract launch: Launches;
  /** The instruction set that runs, for reports: 'avx512', 'wasm', … */
  abstract readonly instructionSet: string;
  /**
   * @param isGivenBack whether `free` or `abandon` will be called for the block. Other blocks may be lost to the
   * garbage collector at any time.
   */
  abstract allocate(byteLength: number, isGivenBack?: boolean): Block;
  /** Gives a block back for reuse. The caller guarantees that nobody reads it any more. */
  abstract free(block: Block): void;
  /** Writes bytes of JavaScript to the beginning of a block. */
  write(block: Block, bytes: Uint8Array): void {
    block.bytes().set(bytes);
  }
  /** The address of a block for other threads, which stays; null where memory moves. The block must be kept alive. */
  addressOf(_block: Block): Pointer | null {
    return null;
  }
  /** Copies a block to another of the same size. */
  copy(from: Block, to: Block): void {
    to.bytes().set(from.bytes());
  }
  /** Tells that `free` will not be called for this block: it may be lost to the garbage collector. */
  abandon(_block: Block): void {}
  abstract getNumThreads(): number;
  abstract setNumThreads(count: number): void;
  /** Returns when every kernel that was called has run. */
  synchronize(): void {}
  /** Bytes held for reuse and bytes in blocks handed out, for tests and reports. */
  abstract memory(): { pooled: number; allocated: number };
  /** Drops blocks that have not been reused lately; called at the end of outermost scopes. */
  abstract trim(): void;
}
