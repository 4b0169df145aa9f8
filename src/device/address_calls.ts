// What a launch by addresses needs of its backend besides the kernels.
import type { Kernels, Pointer } from './generated/abi.ts';

export interface AddressCalls {
  /** The kernel table. */
  readonly kernels: Kernels;
  /** Copies small integers (shapes, strides, geometries) to where a kernel can read them during the next call. */
  ints(values: readonly number[]): Pointer;
  /** The same with doubles: a table of addresses. */
  doubles(values: Float64Array): Pointer;
  /** The address of so many bytes that the call under way, and it alone, may use; 0 where none are wanted. */
  takeScratch(byteLength: number): Pointer;
  /** After the call. */
  giveScratchBack(): void;
  /** Ends a kernel call: unpins its blocks and turns a status other than ok into an error. */
  check(op: string, status: number): void;
}
