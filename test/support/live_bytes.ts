// Counting the bytes of live device blocks, for tests of memory that are to be exact on every engine.
import type { Block, Device } from '../../src/kernels/device.ts';
import { currentDevice } from '../../src/kernels/engine.ts';
import { asyncScope, scope } from '../../src/tensor/scope.ts';

/** Counts from now on; the function that is returned ends it. */
function count(): () => { peak: number; left: number } {
  const device = currentDevice();
  const { allocate, free } = device;
  let live = 0;
  let peak = 0;
  device.allocate = function (this: Device, ...args: Parameters<Device['allocate']>) {
    const made = allocate.apply(this, args);
    live += made.byteLength;
    peak = Math.max(peak, live);
    return made;
  };
  device.free = function (this: Device, given: Block) {
    live -= given.byteLength;
    free.call(this, given);
  };
  return () => {
    Object.assign(device, { allocate, free });
    return { peak, left: live };
  };
}

/** The most bytes in blocks that `fn`, run in a scope, takes from the device at a time, and how many it has not given back after it. */
export function liveBytes(fn: () => void): { peak: number; left: number } {
  const end = count();
  try {
    scope(fn);
  } finally {
    end();
  }
  return end();
}

/** As `liveBytes`, for an async function. */
export async function liveBytesOf(fn: () => Promise<unknown>): Promise<{ peak: number; left: number }> {
  const end = count();
  try {
    await asyncScope(fn);
  } finally {
    end();
  }
  return end();
}
