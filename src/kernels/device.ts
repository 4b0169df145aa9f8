// A device: a kernel table and the memory its pointers point into. Tensors are one layer up; here are only bytes.
// Addresses are numbers on every device; 0 is null.
import { RuntimeError } from '../errors.ts';
import { type Kernels, type Pointer, Status } from './generated/abi.ts';

export type DeviceName = 'native' | 'wasm';

const parameterCapacity = 4096;

/** A piece of device memory, aligned to 64 bytes. */
export interface Block {
  readonly byteLength: number;
  /** The address, valid and pinned until the kernel call that uses it has returned (see `Device.check`). */
  pin(): Pointer;
  /** The bytes for JavaScript, valid until the next allocation on the device. */
  bytes(): Uint8Array;
}

export abstract class Device {
  abstract readonly name: DeviceName;
  abstract readonly kernels: Kernels;
  /** The instruction set that runs, for reports: 'avx512', 'wasm', … */
  abstract readonly instructionSet: string;
  /** @param isGivenBack whether the block will be given to `free`, or to `leave`; others may be lost to the garbage collector at any time. */
  abstract allocate(byteLength: number, isGivenBack?: boolean): Block;
  /** A block that never changes its address. */
  protected abstract allocateFixed(byteLength: number): Block;
  /** Gives a block back for reuse. The caller guarantees that nobody reads it any more. */
  abstract free(block: Block): void;
  /** Says of a block that was to be given back that it may be lost to the garbage collector after all. */
  leave(_block: Block): void {}
  abstract getNumThreads(): number;
  abstract setNumThreads(count: number): void;
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
    if (status === Status.ok) return;
    if (status === Status.badIndex) throw new RuntimeError(`[${op}] index out of range`);
    if (status === Status.badDtype) throw new RuntimeError(`[${op}] not implemented for this dtype`);
    throw new RuntimeError(`[${op}] the kernel refused its arguments (status ${status})`);
  }

  private parameters: Block | null = null;
  private parameterView: Int32Array = new Int32Array(0);
  private parameterOffset = 0;

  /** Copies small integers (shapes, strides, geometries) to where a kernel can read them during the next call. */
  ints(values: readonly number[]): Pointer {
    this.parameters ??= this.allocateFixed(parameterCapacity * 4);
    const start = this.parameters.pin();
    const count = values.length;
    if (this.parameterOffset + count > parameterCapacity) this.parameterOffset = 0;
    const offset = this.parameterOffset;
    // Views are emptied when a memory grows.
    if (this.parameterView.length === 0) {
      const bytes = this.parameters.bytes();
      this.parameterView = new Int32Array(bytes.buffer, bytes.byteOffset, parameterCapacity);
    }
    for (let i = 0; i < count; i++) this.parameterView[offset + i] = values[i];
    this.parameterOffset += count;
    return start + offset * 4;
  }
}
