// A backend: a kernel table and the memory its pointers point into. Tensors are one layer up; here are only bytes.
// Addresses are numbers on every backend; 0 is null.
import { RuntimeError } from '../errors.ts';
import { type Kernels, type Pointer, Status } from './generated/abi.ts';

/** Where a tensor lives: `'cpu'`, or `'meta'`, where it has a shape, a dtype and a memory format, but no values and no memory. */
export type Device = 'cpu' | 'meta';

/** What carries out operations on the cpu. */
export type EngineName = 'native' | 'wasm';

/** Bytes, enough for thousands of kernels: only where they begin anew must kernels that have not yet run be waited for. */
const parameterBytes = 256 * 1024;

/** A piece of memory, aligned to 64 bytes. */
export interface Block {
  readonly byteLength: number;
  /** The address, valid and pinned until the kernel call that uses it has returned (see `Backend.check`). */
  pin(): Pointer;
  /** The bytes for JavaScript, valid until the next allocation on the backend. */
  bytes(): Uint8Array;
}

export abstract class Backend {
  abstract readonly name: EngineName | 'meta';
  /** The device that users know it as. */
  readonly device: Device = 'cpu';
  abstract readonly kernels: Kernels;
  /** The instruction set that runs, for reports: 'avx512', 'wasm', … */
  abstract readonly instructionSet: string;
  /** @param isGivenBack whether the block will be given to `free`, or to `leave`; others may be lost to the garbage collector at any time. */
  abstract allocate(byteLength: number, isGivenBack?: boolean): Block;
  /** A block that never changes its address. */
  protected abstract allocateFixed(byteLength: number): Block;
  /** Gives a block back for reuse. The caller guarantees that nobody reads it any more. */
  abstract free(block: Block): void;
  /** Writes bytes of JavaScript's at the beginning of a block. */
  write(block: Block, bytes: Uint8Array): void {
    block.bytes().set(bytes);
  }
  /** Copies a block to another of the same size. */
  copy(from: Block, to: Block): void {
    to.bytes().set(from.bytes());
  }
  /** Says of a block that was to be given back that it may be lost to the garbage collector after all. */
  leave(_block: Block): void {}
  abstract getNumThreads(): number;
  abstract setNumThreads(count: number): void;
  /** Returns when every kernel that was called has run. */
  synchronize(): void {}
  /** Bytes held for reuse and bytes in blocks handed out, for tests and reports. */
  abstract memory(): { pooled: number; allocated: number };
  /** Drops blocks that have not been reused lately; called at the end of outermost scopes. */
  abstract trim(): void;

  // Blocks used by the kernel call under way. They must stay alive (native: the garbage collector may run while arguments
  // are boxed) and in place (wasm: they must not be evicted by the allocation of a later argument).
  protected readonly pinned: Block[] = [];
  protected pinnedCount = 0;
  /** Where those of the call under way begin; before them are those of the calls around it. */
  protected pinnedFrom = 0;

  protected hold(block: Block): void {
    this.pinned[this.pinnedCount++] = block;
  }

  /** Runs kernels between the arguments of another call. */
  nested(run: () => void): void {
    const from = this.pinnedFrom;
    this.pinnedFrom = this.pinnedCount;
    try {
      run();
    } finally {
      this.pinnedFrom = from;
    }
  }

  /** Ends a kernel call: unpins its blocks and turns a status other than ok into an error. */
  check(op: string, status: number): void {
    this.pinnedCount = this.pinnedFrom;
    // A call over many tensors, an optimizer's, must not keep their memory alive until the next such call.
    if (this.pinned.length > 64) this.pinned.length = this.pinnedCount;
    if (status !== Status.ok) throw new RuntimeError(`[${op}] ${this.reason(status)}`);
  }

  protected reason(status: number): string {
    if (status === Status.badIndex) return 'index out of range';
    if (status === Status.badDtype) return 'not implemented for this dtype';
    return `the kernel refused its arguments (status ${status})`;
  }

  private scratchBlock: Block | null = null;

  /**
   * The address of so many bytes that the next call, and it alone, may use: the same memory for all calls, which run one after the other, and so in
   * the caches. What it grew from is left to the collector, as a call around this one may have asked for it.
   */
  scratch(byteLength: number): Pointer {
    if ((this.scratchBlock?.byteLength ?? 0) < byteLength)
      this.scratchBlock = this.allocate(2 ** Math.ceil(Math.log2(byteLength)));
    return this.scratchBlock!.pin();
  }

  private parameters: { block: Block; start: Pointer; ints: Int32Array; doubles: Float64Array } | null = null;
  private parameterOffset = 0;

  /** Copies small integers (shapes, strides, geometries) to where a kernel can read them during the next call. */
  ints(values: readonly number[]): Pointer {
    const offset = this.takeParameters(values.length * 4);
    const { start, ints } = this.parameters!;
    for (let i = 0; i < values.length; i++) ints[offset / 4 + i] = values[i];
    return start + offset;
  }

  /** The same with doubles: a table of addresses. */
  doubles(values: Float64Array): Pointer {
    const offset = this.takeParameters(values.byteLength);
    const { start, doubles } = this.parameters!;
    doubles.set(values, offset / 8);
    return start + offset;
  }

  private takeParameters(byteLength: number): number {
    // Views are emptied when a memory grows.
    if (!this.parameters || this.parameters.ints.length === 0)
      this.placeParameters(this.parameters?.block ?? this.allocateFixed(parameterBytes));
    if (this.parameterOffset + byteLength > this.parameters!.block.byteLength) {
      this.synchronize();
      this.parameterOffset = 0;
      if (byteLength > this.parameters!.block.byteLength) {
        this.parameters!.block.pin(); // the call under way may have other parameters there
        this.placeParameters(this.allocateFixed(2 * byteLength));
      }
    }
    const offset = this.parameterOffset;
    this.parameterOffset = offset + Math.ceil(byteLength / 8) * 8;
    return offset;
  }

  private placeParameters(block: Block): void {
    const { buffer, byteOffset, byteLength } = block.bytes();
    this.parameters = {
      block,
      start: block.pin(),
      ints: new Int32Array(buffer, byteOffset, byteLength / 4),
      doubles: new Float64Array(buffer, byteOffset, byteLength / 8),
    };
  }
}
