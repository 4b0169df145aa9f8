// The WebAssembly backend: the same kernels in one linear memory, with one thread. The garbage collector does not know
// this memory, and reports nothing inside a synchronous loop. So when the memory reaches its budget, blocks that were
// not released are moved out to ordinary ArrayBuffers, oldest first. There the garbage collector reclaims the dead
// ones; a living one is moved back in when a kernel needs it. Steps inside a scope move nothing.
import { inflateSync } from 'fflate';
import { RuntimeError } from '../errors.ts';
import { AddressBackend } from './address_backend.ts';
import type { Block } from './backend.ts';
import { FreeList } from './free_list.ts';
import { type Kernels, kernelNames, type Pointer } from './generated/abi.ts';
import { wasmBase64 } from './generated/evenkeel.wasm.ts';

const alignment = 64;
const pageSize = 65536;
const limit = 4 * 1024 ** 3 - pageSize;

class WasmBlock implements Block {
  readonly byteLength: number;
  /** Where the block lies in linear memory; 0 while it is moved out. */
  address: Pointer;
  home: Uint8Array | null = null;
  isPinned = false;
  /** The neighbours among the resident blocks, while this is one. */
  older: WasmBlock | null = null;
  newer: WasmBlock | null = null;
  private readonly backend: WasmBackend;

  constructor(backend: WasmBackend, byteLength: number, address: Pointer) {
    this.backend = backend;
    this.byteLength = byteLength;
    this.address = address;
  }

  pin(): Pointer {
    if (this.address === 0) this.backend.moveIn(this);
    this.backend.holdBlock(this);
    return this.address;
  }

  bytes(): Uint8Array {
    return this.home ?? new Uint8Array(this.backend.buffer(), this.address, this.byteLength);
  }
}

/**
 * Blocks in order of last use, linked to one another. A Set, from which a block is deleted to be added again, slows
 * down tenfold when it holds a million blocks.
 */
class BlocksByUse implements Iterable<WasmBlock> {
  private oldest: WasmBlock | null = null;
  private newest: WasmBlock | null = null;

  add(block: WasmBlock): void {
    block.older = this.newest;
    if (this.newest) this.newest.newer = block;
    else this.oldest = block;
    this.newest = block;
  }

  remove(block: WasmBlock): void {
    if (block.older) block.older.newer = block.newer;
    else this.oldest = block.newer;
    if (block.newer) block.newer.older = block.older;
    else this.newest = block.older;
    block.older = block.newer = null;
  }

  touch(block: WasmBlock): void {
    if (block === this.newest) return;
    this.remove(block);
    this.add(block);
  }

  /** From the oldest on; the block that was given may be removed meanwhile. */
  *[Symbol.iterator](): Generator<WasmBlock> {
    for (let block = this.oldest; block; ) {
      const next: WasmBlock | null = block.newer;
      yield block;
      block = next;
    }
  }
}

interface WasmExports extends Record<string, unknown> {
  memory: WebAssembly.Memory;
  __heap_base: WebAssembly.Global;
}

/**
 * Words in the errors of JavaScript engines where a page's policy forbids WebAssembly. The errors have nothing else in
 * common.
 */
const forbidden = /unsafe-eval|wasm-eval|Content.Security.Policy|\bCSP\b/i;

function compile(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module {
  try {
    return new WebAssembly.Module(bytes);
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new RuntimeError(
      forbidden.test(text)
        ? "[setEngine] this page's Content-Security-Policy forbids WebAssembly: allow it with 'wasm-unsafe-eval', as in \"script-src 'self' 'wasm-unsafe-eval'\""
        : `[setEngine] WebAssembly with SIMD is not available here: ${text}`,
      { cause },
    );
  }
}

export class WasmBackend extends AddressBackend {
  readonly name = 'wasm';
  readonly instructionSet = 'wasm simd128';
  readonly kernels: Kernels;
  private readonly memoryObject: WebAssembly.Memory;
  private readonly freeList = new FreeList();
  private readonly resident = new BlocksByUse();
  private end: number;
  private budget: number;
  // Bytes allocated, and bytes of them that were moved back in, over the last few budgets' worth of allocations.
  private placed = 0;
  private movedIn = 0;

  constructor(budget = 128 * 1024 ** 2) {
    super();
    const bytes = inflateSync(Uint8Array.from(atob(wasmBase64), (c) => c.charCodeAt(0)));
    const { exports } = new WebAssembly.Instance(compile(bytes));
    const typed = exports as unknown as WasmExports;
    this.memoryObject = typed.memory;
    const table: Record<string, unknown> = {};
    for (const [name, symbol] of kernelNames) table[name] = typed[symbol];
    this.kernels = table as unknown as Kernels;
    this.end = Math.ceil(Number(typed.__heap_base.value) / alignment) * alignment;
    this.budget = budget;
  }

  buffer(): ArrayBufferLike {
    return this.memoryObject.buffer;
  }

  holdBlock(block: WasmBlock): void {
    if (!block.isPinned) {
      block.isPinned = true;
      this.hold(block);
    }
    this.resident.touch(block);
  }

  override check(op: string, status: number): void {
    for (let i = 0; i < this.pinnedCount; i++) (this.pinned[i] as WasmBlock).isPinned = false;
    super.check(op, status);
  }

  allocate(byteLength: number): WasmBlock {
    const size = Math.max(alignment, Math.ceil(byteLength / alignment) * alignment);
    const block = new WasmBlock(this, size, this.place(size));
    this.resident.add(block);
    this.placed += size;
    if (this.placed > 8 * this.budget) {
      this.placed /= 2;
      this.movedIn /= 2;
    }
    return block;
  }

  protected allocateFixed(byteLength: number): WasmBlock {
    const block = this.allocate(byteLength);
    block.isPinned = true;
    return block;
  }

  free(block: Block): void {
    const wasm = block as WasmBlock;
    if (wasm.address !== 0) {
      this.resident.remove(wasm);
      this.freeList.give(wasm.address, wasm.byteLength);
      wasm.address = 0;
    }
    wasm.home = null;
  }

  /**
   * Moves a block back in. If that happens often, the budget is too small for what is in use, and grows. If it is rare,
   * a tensor was not used for a long time, and a larger budget would only hold more garbage.
   */
  moveIn(block: WasmBlock): void {
    this.movedIn += block.byteLength;
    if (this.movedIn > this.placed / 8) this.budget = Math.min(limit, this.budget + 2 * block.byteLength);
    const address = this.place(block.byteLength);
    new Uint8Array(this.buffer(), address, block.byteLength).set(block.home!);
    block.address = address;
    block.home = null;
    this.resident.add(block);
  }

  trim(): void {}

  memory(): { pooled: number; allocated: number } {
    let allocated = 0;
    for (const block of this.resident) allocated += block.byteLength;
    return { pooled: this.freeList.total, allocated };
  }

  getNumThreads(): number {
    return 1;
  }

  setNumThreads(): void {}

  private place(size: number): Pointer {
    for (;;) {
      const found = this.freeList.take(size);
      if (found) return found;
      if (this.end + size <= this.budget || !this.moveOut(size)) return this.grow(size);
    }
  }

  private grow(size: number): Pointer {
    const address = this.end;
    if (address + size > limit)
      throw new RuntimeError(`out of memory: WebAssembly cannot hold ${size} bytes more than its ${address}`);
    const missing = address + size - this.memoryObject.buffer.byteLength;
    if (missing > 0) {
      try {
        this.memoryObject.grow(Math.ceil(Math.max(missing, Math.min(2 ** 24, limit - address)) / pageSize));
      } catch {
        throw new RuntimeError(`out of memory: the WebAssembly memory could not grow by ${missing} bytes`);
      }
    }
    this.end = address + size;
    return address;
  }

  /** Moves the blocks used longest ago out until `size` bytes lie together; false if they never do. */
  private moveOut(size: number): boolean {
    // A sixteenth of the budget at least, so that one eviction serves many small allocations.
    const target = Math.max(size, this.budget >> 4);
    let moved = 0;
    for (const block of this.resident) {
      if (block.isPinned) continue;
      block.home = new Uint8Array(this.buffer(), block.address, block.byteLength).slice();
      this.resident.remove(block);
      this.freeList.give(block.address, block.byteLength);
      block.address = 0;
      moved += block.byteLength;
      if (moved >= target) break;
    }
    return moved > 0;
  }
}
