// Counting the bytes of live device blocks, for tests of memory that are to be exact on every engine.
import type { Block, Device } from '../../src/kernels/device.ts';
import { currentDevice } from '../../src/kernels/engine.ts';
import { scope } from '../../src/tensor/scope.ts';

/** The most bytes in blocks that `fn`, run in a scope, takes from the device at a time, and how many it has not given back after it. */
export function liveBytes(fn: () => void): { peak: number; left: number } {
  const device = currentDevice();
  const { allocate, free } = device;
  let live = 0;
  let peak = 0;
  device.allocate = function (this: Device, bytes: number) {
    const made = allocate.call(this, bytes);
    live += made.byteLength;
    peak = Math.max(peak, live);
    return made;
  };
  device.free = function (this: Device, given: Block) {
    live -= given.byteLength;
    free.call(this, given);
  };
  try {
    scope(fn);
  } finally {
    Object.assign(device, { allocate, free });
  }
  return { peak, left: live };
}
