// Memory of the native backend for blocks that will be released explicitly: pieces of large ArrayBuffers. Pieces of
// different sizes use the same place one after the other. A pool of whole buffers would keep buffers of every size that
// a step has: 1,000 MiB on ResNet-50, where 709 are live at the peak and chunks take 720.
import { FreeList } from './free_list.ts';
import type { Pointer } from './generated/abi.ts';

const alignment = 64;
/** Small enough for unused ones to be dropped, large enough to waste little at their ends. */
const chunkBytes = 128 * 1024 ** 2;
/** A chunk is dropped when it was unused during so many trims. */
const idleTrims = 3;

/** Weak references by the addon. JavaScript's own `WeakRef` keeps its target alive while a synchronous loop runs. */
export interface WeakReferences {
  addressOf(buffer: ArrayBuffer): number;
  weakReference(object: object): number;
  isCollected(reference: number): boolean;
  dropReference(reference: number): void;
}

export class Chunk {
  readonly buffer: ArrayBuffer;
  /** Of the buffer's first byte. */
  readonly start: Pointer;
  readonly byteLength: number;
  readonly free = new FreeList();
  /** Whether anything was taken since the last trim, and during how many trims nothing was. */
  wasUsed = true;
  idle = 0;

  constructor(byteLength: number, addon: WeakReferences) {
    this.buffer = Buffer.allocUnsafeSlow(byteLength + alignment).buffer as ArrayBuffer;
    this.start = addon.addressOf(this.buffer);
    this.byteLength = byteLength;
    this.free.give(Math.ceil(this.start / alignment) * alignment, byteLength);
  }
}

export interface Piece {
  readonly chunk: Chunk;
  readonly address: Pointer;
}

interface Watched extends Piece {
  readonly byteLength: number;
}

export class Chunks {
  private readonly chunks: Chunk[] = [];
  /** Pieces that may be lost to the garbage collector, each with a weak reference to its block. */
  private readonly watched = new Map<number, Watched>();
  private readonly addon: WeakReferences;

  constructor(addon: WeakReferences) {
    this.addon = addon;
  }

  take(byteLength: number): Piece {
    const found = this.find(byteLength);
    if (found) return found;
    this.reclaim();
    return this.find(byteLength) ?? this.grow(byteLength);
  }

  give({ chunk, address }: Piece, byteLength: number): void {
    chunk.free.give(address, byteLength);
  }

  /** Takes a piece back when the garbage collector has taken its block. The returned function ends that. */
  watch(block: object, piece: Piece, byteLength: number): () => void {
    const reference = this.addon.weakReference(block);
    this.watched.set(reference, { ...piece, byteLength });
    return () => this.unwatch(reference);
  }

  /** Bytes that are in no piece. */
  get freeBytes(): number {
    return this.chunks.reduce((sum, { free }) => sum + free.total, 0);
  }

  trim(): void {
    this.reclaim();
    for (const chunk of this.chunks) {
      chunk.idle = chunk.wasUsed || chunk.free.total < chunk.byteLength ? 0 : chunk.idle + 1;
      chunk.wasUsed = false;
    }
    const kept = this.chunks.filter(({ idle }) => idle < idleTrims);
    this.chunks.splice(0, this.chunks.length, ...kept);
  }

  private find(byteLength: number): Piece | null {
    for (const chunk of this.chunks) {
      const address = chunk.free.take(byteLength);
      if (address === 0) continue;
      chunk.wasUsed = true;
      return { chunk, address };
    }
    return null;
  }

  private grow(byteLength: number): Piece {
    this.chunks.push(new Chunk(Math.max(chunkBytes, byteLength), this.addon));
    return this.find(byteLength)!;
  }

  private unwatch(reference: number): void {
    if (this.watched.delete(reference)) this.addon.dropReference(reference);
  }

  /** Takes back what the collector has found. */
  private reclaim(): void {
    for (const [reference, piece] of this.watched)
      if (this.addon.isCollected(reference)) {
        this.give(piece, piece.byteLength);
        this.unwatch(reference);
      }
  }
}
