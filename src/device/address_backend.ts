// A backend whose launches call kernels with addresses (numbers, 0 is null). During a call it keeps the operands alive
// and in place, and provides scratch memory and small arrays of integers.
import { RuntimeError } from '../errors.ts';
import type { AddressCalls } from './address_calls.ts';
import { Backend, type Block } from './backend.ts';
import { type Kernels, type Pointer, Status } from './generated/abi.ts';
import { AddressLaunches } from './generated/address_launches.ts';
import type { Launches } from './generated/launches.ts';

/**
 * Bytes of the ring for small arrays, enough for thousands of kernels. Where it begins anew, kernels that have not yet
 * run are waited for.
 */
const parameterBytes = 256 * 1024;

/** Bytes of scratch. Up to so many, all calls use the same memory, which is kept; more is allocated for one call. */
const sharedScratchBytes = 16 * 1024 ** 2;

/** A kernel has returned an error. */
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

  // The blocks of the present kernel call. They must stay alive (native: the garbage collector may run while arguments
  // are converted) and in place (wasm: the allocation of a later argument must not move them out).
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
    if (status === Status.abandoned) return 'what it waited for has failed';
    if (status === Status.badDtype) return 'not implemented for this dtype';
    return `the kernel refused its arguments (status ${status})`;
  }

  private scratchBlock: Block | null = null;
  /** Scratch of the present call alone. */
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

  /** Scratch that all calls share. They run one after the other, so that it stays in the caches. */
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
