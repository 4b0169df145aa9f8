// What launches by addresses need of their backend: the kernels, small arrays, scratch, and the check of the result.
import type { Kernels, Pointer } from './generated/abi.ts';

export interface AddressCalls {
  /** The kernel table. */
  readonly kernels: Kernels;
  /** Copies small integers (shapes, strides, geometries) into memory that the next kernel call can read. */
  ints(values: readonly number[]): Pointer;
  /** The same for doubles: a table of addresses. */
  doubles(values: Float64Array): Pointer;
  /** The address of so many bytes for the present call alone; 0 for none. */
  takeScratch(byteLength: number): Pointer;
  /** After the call. */
  giveScratchBack(): void;
  /** Ends a kernel call: unpins its blocks and turns a status other than ok into an error. */
  check(op: string, status: number): void;
}
