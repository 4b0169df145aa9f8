// Scratch memory for one kernel call.
import { RuntimeError } from '../errors.ts';
import type { Backend } from '../kernels/backend.ts';
import type { Pointer } from '../kernels/generated/abi.ts';

/** Up to so many bytes all calls use the same memory, which stays; more is there for its call only. */
const sharedBytes = 16 * 1024 ** 2;

/** Calls `run` with a function that gives the scratch's address; null (0) where no bytes are wanted. */
export function withScratch(backend: Backend, bytes: number, run: (scratch: () => Pointer) => void): void {
  if (bytes < 0) throw new RuntimeError('tensor too large: the kernel would need more than 2 GiB of scratch memory');
  if (bytes <= sharedBytes) {
    run(() => (bytes === 0 ? 0 : backend.scratch(bytes)));
    return;
  }
  const block = backend.allocate(bytes, true);
  try {
    run(() => block.pin());
  } finally {
    backend.free(block);
  }
}
