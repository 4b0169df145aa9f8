// Scratch memory for one kernel call, given back right after it.
import type { Device } from '../kernels/device.ts';
import type { Pointer } from '../kernels/generated/abi.ts';

/** Calls `run` with a function that gives the scratch's address; null (0) where no bytes are wanted. */
export function withScratch(device: Device, bytes: number, run: (scratch: () => Pointer) => void): void {
  if (bytes === 0) return run(() => 0);
  const block = device.allocate(bytes);
  try {
    run(() => block.pin());
  } finally {
    device.free(block);
  }
}
