// What the checked build knows of memory: every block that a backend has handed out, with the bytes that were asked
// for, and what lies behind each address of a kernel's arguments. The sizes that kernels need are in
// generated/extents.ts, made from the C header.
import type { AddressBackend } from '../../src/device/address_backend.ts';
import type { Block } from '../../src/device/backend.ts';
import { Dtype, type Kernels, type Pointer } from '../../src/device/generated/abi.ts';
import { type Given, type Operand, operandsOf, startOf } from '../../src/device/operand.ts';
import { tests } from './generated/extents.ts';

/** Bytes behind an address that a kernel reads or writes: so many, or from the first offset to the second. */
export type Bytes = number | readonly [low: number, high: number];
/** The argument's place and name, whether it may be null, and the bytes it must have. */
export type Extent = readonly [index: number, name: string, isOptional: boolean, bytes: Bytes];

const elementBytes: Record<number, number> = {
  [Dtype.float32]: 4,
  [Dtype.float64]: 8,
  [Dtype.int32]: 4,
  [Dtype.int64]: 8,
  [Dtype.uint8]: 1,
  [Dtype.bool]: 1,
};

/** Fields of a backend that only the checks look at. */
interface Inside {
  readonly pinned: Block[];
  readonly pinnedCount: number;
  readonly parameters: { start: Pointer; ints: Int32Array; doubles: Float64Array } | null;
}

export class KernelMemory {
  readonly kernels: Kernels;
  private readonly backend: AddressBackend;
  /** The bytes that each block was asked for; blocks are rounded up. */
  private readonly asked = new WeakMap<Block, number>();
  private readonly freed = new WeakSet<Block>();
  /** Bytes of shapes, geometries and tables by address, of this call and of earlier ones. */
  private readonly parameters = new Map<Pointer, number>();
  /** Tensors' addresses that tables hold: looked up like arguments. */
  private tables: { address: Pointer; bytes: number; what: string }[] = [];
  /** The operands of the launch under way, by the names of what the kernel is given of them. */
  private operands = new Map<string, Operand>();

  constructor(backend: AddressBackend, kernels: Kernels) {
    this.backend = backend;
    this.kernels = kernels;
  }

  private get inside(): Inside {
    return this.backend as unknown as Inside;
  }

  /** Says what the kernel that `call` calls gets its addresses from; without, a kernel was called by itself. */
  duringLaunch(given: Given, call: () => void): void {
    const operands = operandsOf(given);
    // What was deferred is computed by launches of its own.
    for (const [, operand] of operands) operand.materialize();
    this.operands = new Map(operands);
    try {
      call();
    } finally {
      this.operands = new Map();
    }
  }

  noteAllocated(block: Block, bytes: number): void {
    this.asked.set(block, bytes);
    this.freed.delete(block);
  }
  noteFreed(block: Block): void {
    this.freed.add(block);
  }
  noteParameters(address: Pointer, bytes: number): void {
    this.parameters.set(address, bytes);
  }
  bytesOf(block: Block): number {
    return this.asked.get(block) ?? block.byteLength;
  }

  /** The blocks that are pinned for the call under way, with their addresses. */
  pinned(): { block: Block; address: Pointer }[] {
    const { pinned, pinnedCount } = this.inside;
    return pinned
      .slice(0, pinnedCount)
      .map((block) => ({ block, address: (block as unknown as { address: Pointer }).address }));
  }

  // ---- the words of the header's notation --------------------------------------------------------------------------

  sizeof(dtype: number): number {
    const bytes = elementBytes[dtype];
    if (!bytes) throw new Error(`a kernel was given the dtype ${dtype}`);
    return bytes;
  }
  unarySize(op: number, dtype: number): number {
    return tests.unary.has(op) ? 1 : this.sizeof(dtype);
  }
  binarySize(op: number, dtype: number): number {
    return tests.binary.has(op) ? 1 : this.sizeof(dtype);
  }
  int(address: Pointer, index: number): number {
    const { start, ints } = this.inside.parameters!;
    if (!this.parameters.has(address)) throw new Error(`a kernel was given ${address} as address of its parameters`);
    return ints[(address - start) / 4 + index];
  }
  product(count: number, shape: Pointer): number {
    let product = 1;
    for (let i = 0; i < count; i++) product *= this.int(shape, i);
    return product;
  }
  strided(count: number, shape: Pointer, strides: Pointer, bytes: number): Bytes {
    let [low, high] = [0, 0];
    for (let i = 0; i < count; i++) {
      const size = this.int(shape, i);
      if (size === 0) return 0;
      const reach = (size - 1) * this.int(strides, i);
      if (reach < 0) low += reach;
      else high += reach;
    }
    return [low * bytes, (high + 1) * bytes];
  }
  steps(count: number, step: number, each: number): number {
    return count === 0 ? 0 : (count - 1) * step + each;
  }
  /**
   * Rows of an optimizer's table: five addresses, of which only the first is always there, and a number of elements.
   */
  rows(table: Pointer, count: number, bytes: number): number {
    for (let row = 0; row < count; row++) {
      const elements = this.double(table, row * 6 + 5);
      for (let column = 0; column < 5; column++) {
        const address = this.double(table, row * 6 + column);
        if (address !== 0) this.tables.push({ address, bytes: elements * bytes, what: `row ${row}, column ${column}` });
      }
    }
    return count * 6 * 8;
  }
  /** Rows of from, to and a number of bytes. */
  blocks(table: Pointer, count: number): number {
    for (let row = 0; row < count; row++)
      for (let column = 0; column < 2; column++)
        this.tables.push({
          address: this.double(table, row * 3 + column),
          bytes: this.double(table, row * 3 + 2),
          what: `row ${row}, column ${column}`,
        });
    return count * 3 * 8;
  }
  private double(address: Pointer, index: number): number {
    const { start, doubles } = this.inside.parameters!;
    if (!this.parameters.has(address)) throw new Error(`a kernel was given ${address} as address of a table`);
    return doubles[(address - start) / 8 + index];
  }

  // ---- looking addresses up ----------------------------------------------------------------------------------------

  /**
   * Throws unless every address of a call has the bytes behind it that the kernel needs: in its block, and in the
   * operand that it is of.
   */
  check(kernel: string, a: readonly number[], extents: readonly Extent[]): void {
    const blocks = this.pinned();
    const addresses = extents.map(([index, name, isOptional, bytes]) => {
      const isNothing = bytes === 0 || (bytes as readonly number[])[1] === 0;
      return { name, address: a[index], bytes, isLeftOut: a[index] === 0 && (isOptional || isNothing) };
    });
    const rows = this.tables.splice(0).map(({ what, ...row }) => ({ name: what, isLeftOut: false, ...row }));
    for (const { name, address, bytes, isLeftOut } of [...addresses, ...rows]) {
      const [low, high] = typeof bytes === 'number' ? [0, bytes] : bytes;
      if (isLeftOut || high === low) continue;
      const what = `${kernel}, ${name}`;
      this.lookUp(what, address, low, high, blocks);
      const operand = this.operands.get(name);
      if (operand) requireWithin(what, operand, low, high);
    }
  }

  private lookUp(
    what: string,
    address: Pointer,
    low: number,
    high: number,
    blocks: { block: Block; address: Pointer }[],
  ): void {
    const parameters = this.parameters.get(address);
    if (parameters !== undefined && low === 0 && high <= parameters) return;
    const found = blocks.find(({ block, address: start }) => address >= start && address < start + block.byteLength);
    if (!found) throw new Error(`${what}: the address ${address} belongs to no block of this call`);
    const { block, address: start } = found;
    if (this.freed.has(block)) throw new Error(`${what}: the block at ${start} has been given back`);
    const length = this.bytesOf(block);
    if (address + low < start || address + high > start + length)
      throw new Error(
        `${what}: needs the bytes ${address - start + low} to ${address - start + high} of a block of ${length}`,
      );
  }
}

/**
 * A block may be longer than what lies in it. `low` and `high` count from the operand's address: that of a part is
 * inside of a whole.
 */
function requireWithin(what: string, operand: Operand, low: number, high: number): void {
  const { size, itemSize } = operand;
  const before = startOf(operand) * itemSize;
  if (low >= -before && high <= size * itemSize) return;
  throw new Error(
    `${what}: needs the bytes ${before + low} to ${before + high} of an operand of ${before + size * itemSize}`,
  );
}
