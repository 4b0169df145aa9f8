// The checked build: a backend in which every address that a kernel is given is looked up, new memory holds no numbers,
// and the bytes behind each block stay as they were. Kernels are waited for one by one. See kernels/include/evenkeel.h
// for the sizes.
import type { AddressBackend } from '../../src/device/address_backend.ts';
import type { Block } from '../../src/device/backend.ts';
import type { Kernels, Pointer } from '../../src/device/generated/abi.ts';
import { type Launches, launchNames } from '../../src/device/generated/launches.ts';
import type { Given } from '../../src/device/operand.ts';
import { extents } from './generated/extents.ts';
import { KernelMemory } from './kernel_memory.ts';

/** NaN in floats, and no value that a test expects elsewhere. */
const unwritten = 0xff;
const zone = 0xa5;

/** What is replaced in a backend. */
interface Replaceable {
  kernels: Kernels;
  allocate(byteLength: number, isGivenBack?: boolean): Block;
  free(block: Block): void;
  scratch(byteLength: number): Pointer;
  ints(values: readonly number[]): Pointer;
  doubles(values: Float64Array): Pointer;
}

/** Checks every kernel call of a backend from now on. */
export function checkBackend(backend: AddressBackend): void {
  const own = backend as unknown as Replaceable;
  const { kernels } = own;
  const memory = new KernelMemory(backend, kernels);
  const { allocate, free, scratch, ints, doubles } = own;

  own.allocate = (byteLength, isGivenBack) => {
    const block = allocate.call(backend, byteLength, isGivenBack);
    memory.noteAllocated(block, byteLength);
    block.bytes().fill(unwritten, 0, byteLength);
    block.bytes().fill(zone, byteLength);
    return block;
  };
  own.free = (block) => {
    memory.noteFreed(block);
    free.call(backend, block);
  };
  own.scratch = (byteLength) => {
    const address = scratch.call(backend, byteLength);
    const block = memory.pinned().find((each) => each.address === address)!.block;
    memory.noteAllocated(block, byteLength);
    return address;
  };
  own.ints = (values) => {
    const address = ints.call(backend, values);
    memory.noteParameters(address, values.length * 4);
    return address;
  };
  own.doubles = (values) => {
    const address = doubles.call(backend, values);
    memory.noteParameters(address, values.byteLength);
    return address;
  };

  const checked: Record<string, (...a: number[]) => number> = {};
  for (const [name, kernel] of Object.entries(kernels) as [string, (...a: number[]) => number][])
    checked[name] = (...a) => {
      const sizes = extents[name];
      // Those that only compute a size read no tensors.
      if (!sizes || name.endsWith('Scratch')) return kernel(...a);
      memory.check(name, a, sizes(a, memory));
      const blocks = memory.pinned();
      const status = kernel(...a);
      backend.synchronize();
      for (const { block } of blocks) {
        const bytes = block.bytes();
        for (let i = memory.bytesOf(block); i < bytes.length && i < memory.bytesOf(block) + 64; i++)
          if (bytes[i] !== zone && !isScratch(block))
            throw new Error(`${name} wrote behind a block of ${memory.bytesOf(block)} bytes, at ${i}`);
      }
      return status;
    };
  own.kernels = checked as unknown as Kernels;

  const { launch } = backend;
  const launchChecked = (name: keyof Launches) => (caller: string, given: Given) =>
    memory.duringLaunch(given, () => (launch[name] as (caller: string, given: Given) => void)(caller, given));
  backend.launch = Object.fromEntries(launchNames.map((name) => [name, launchChecked(name)])) as unknown as Launches;

  // What is shared by all calls as scratch is asked for in another size each time.
  const isScratch = (block: Block): boolean =>
    (backend as unknown as { scratchBlock: Block | null }).scratchBlock === block;
}
