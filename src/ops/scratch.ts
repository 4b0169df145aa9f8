// Scratch memory for one kernel call, given back right after it.
import { RuntimeError } from '../errors.ts';
import type { Device } from '../kernels/device.ts';
import type { Pointer } from '../kernels/generated/abi.ts';

/** Calls `run` with a function that gives the scratch's address; null (0) where no bytes are wanted. */
export function withScratch(device: Device, bytes: number, run: (scratch: () => Pointer) => void): void {
  if (bytes < 0) throw new RuntimeError('tensor too large: the kernel would need more than 2 GiB of scratch memory');
  if (bytes === 0) {
    run(() => 0);
    return;
  }
  const block = device.allocate(bytes, true);
  try {
    run(() => block.pin());
  } finally {
    device.free(block);
  }
}
