// Counting the bytes of live device blocks, for tests of memory that are to be exact on every engine.
import type { Backend, Block } from '../../src/device/backend.ts';
import { currentBackend } from '../../src/device/engine.ts';
import { asyncScope, scope } from '../../src/tensor/scope.ts';

/** Counts from now on; the function that is returned ends it. */
function count(): () => { peak: number; left: number } {
  const backend = currentBackend();
  const { allocate, free } = backend;
  let live = 0;
  let peak = 0;
  backend.allocate = function (this: Backend, ...args: Parameters<Backend['allocate']>) {
    const made = allocate.apply(this, args);
    live += made.byteLength;
    peak = Math.max(peak, live);
    return made;
  };
  backend.free = function (this: Backend, given: Block) {
    live -= given.byteLength;
    free.call(this, given);
  };
  return () => {
    Object.assign(backend, { allocate, free });
    return { peak, left: live };
  };
}

/**
 * The most bytes in blocks that `fn`, run in a scope, takes from the device at a time, and how many it has not given
 * back after it.
 */
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
