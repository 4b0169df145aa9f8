// A backend whose launches call kernels with addresses: numbers, 0 is null. Here is what such a call needs besides: operands that stay alive and in
// place while it is under way, scratch memory, and small integers where kernels can read them.
import { RuntimeError } from '../errors.ts';
import type { AddressCalls } from './address_calls.ts';
import { Backend, type Block } from './backend.ts';
import { type Kernels, type Pointer, Status } from './generated/abi.ts';
import { AddressLaunches } from './generated/address_launches.ts';
import type { Launches } from './generated/launches.ts';

/** Bytes, enough for thousands of kernels: only where they begin anew must kernels that have not yet run be waited for. */
const parameterBytes = 256 * 1024;

/** Up to so many bytes of scratch all calls use the same memory, which stays; more is there for its call only. */
const sharedScratchBytes = 16 * 1024 ** 2;

/** A kernel has not done what it was called for. */
export class KernelRefusal extends RuntimeError {
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

export abstract class AddressBackend extends Backend implements AddressCalls {
  abstract readonly kernels: Kernels;
  launch: Launches = new AddressLaunches(this);
  /** A block that never changes its address. */
  protected abstract allocateFixed(byteLength: number): Block;

  // Blocks used by the kernel call under way. They must stay alive (native: the garbage collector may run while arguments
  // are boxed) and in place (wasm: they must not be evicted by the allocation of a later argument).
  protected readonly pinned: Block[] = [];
  protected pinnedCount = 0;

  protected hold(block: Block): void {
    this.pinned[this.pinnedCount++] = block;
  }

  check(op: string, status: number): void {
    this.pinnedCount = 0;
    // A call over many tensors, an optimizer's, must not keep their memory alive until the next such call.
    if (this.pinned.length > 64) this.pinned.length = 0;
    if (status !== Status.ok) throw new KernelRefusal(`[${op}] ${this.reason(status)}`, status);
  }

  protected reason(status: number): string {
    if (status === Status.badIndex) return 'index out of range';
    if (status === Status.badDtype) return 'not implemented for this dtype';
    return `the kernel refused its arguments (status ${status})`;
  }

  private scratchBlock: Block | null = null;
  /** What the call under way has for itself. */
  private ownScratch: Block | null = null;

  takeScratch(byteLength: number): Pointer {
    this.giveScratchBack(); // of a call that failed
    if (byteLength < 0)
      throw new RuntimeError('tensor too large: the kernel would need more than 2 GiB of scratch memory');
    if (byteLength === 0) return 0;
    if (byteLength <= sharedScratchBytes) return this.scratch(byteLength);
    this.ownScratch = this.allocate(byteLength, true);
    return this.ownScratch.pin();
  }
  giveScratchBack(): void {
    if (!this.ownScratch) return;
    this.free(this.ownScratch);
    this.ownScratch = null;
  }

  /** The same memory for all calls, which run one after the other, and so in the caches. */
  protected scratch(byteLength: number): Pointer {
    if ((this.scratchBlock?.byteLength ?? 0) < byteLength)
      this.scratchBlock = this.allocate(2 ** Math.ceil(Math.log2(byteLength)));
    return this.scratchBlock!.pin();
  }

  private parameters: { block: Block; start: Pointer; ints: Int32Array; doubles: Float64Array } | null = null;
  private parameterOffset = 0;

  ints(values: readonly number[]): Pointer {
    const offset = this.takeParameters(values.length * 4);
    const { start, ints } = this.parameters!;
    for (let i = 0; i < values.length; i++) ints[offset / 4 + i] = values[i];
    return start + offset;
  }

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
