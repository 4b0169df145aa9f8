// Operands of launches, and tables of them. A launch first materializes its operands, and then asks for their
// addresses; nothing else does.
import type { Pointer } from './generated/abi.ts';

/** What a kernel reads or writes: a tensor, or a part of one. */
export interface Operand {
  readonly shape: readonly number[];
  /** Number of elements. */
  readonly size: number;
  /** Of its dtype, as kernels know it. */
  readonly code: number;
  /** Bytes of an element. */
  readonly itemSize: number;
  /** Of its memory format, as kernels know it. */
  readonly formatCode: number;
  /** Computes the values, if they are deferred; that may launch other kernels. */
  materialize(): void;
  /** The address, valid during the present kernel call, in which the memory is not moved. */
  pin(): Pointer;
}

/** An operand from one of its elements on. */
class Part implements Operand {
  readonly whole: Operand;
  /** In elements. */
  readonly start: number;
  constructor(whole: Operand, start: number) {
    this.whole = whole;
    this.start = start;
  }
  get shape(): readonly number[] {
    return this.whole.shape;
  }
  get size(): number {
    return this.whole.size - this.start;
  }
  get code(): number {
    return this.whole.code;
  }
  get itemSize(): number {
    return this.whole.itemSize;
  }
  get formatCode(): number {
    return this.whole.formatCode;
  }
  materialize(): void {
    this.whole.materialize();
  }
  pin(): Pointer {
    return this.whole.pin() + this.start * this.whole.itemSize;
  }
}

/** The part of x from element `start` on, in memory order. */
export const partOf = (x: Operand, start: number): Operand => (start === 0 ? x : new Part(x, start));

/** The element of a tensor's memory at which an operand begins: 0 for whole tensors. */
export const startOf = ({ shape, size }: Operand): number => shape.reduce((product, each) => product * each, 1) - size;

/** The number of elements of one channel in one image; channels are axis 1. */
export function spatialSize({ shape }: Operand): number {
  let size = 1;
  for (let d = 2; d < shape.length; d++) size *= shape[d];
  return size;
}

/**
 * A parameter, its gradient and its states, as an optimizer's kernel takes them. All have one dtype and number of
 * elements.
 */
export interface TableRow {
  readonly parameter: Operand;
  /** In the parameter's memory order, as the states are. */
  readonly gradient: Operand;
  /** At most three. */
  readonly states: readonly Operand[];
}
const rowColumns = 6;

export function materializeRow({ parameter, gradient, states }: TableRow): void {
  parameter.materialize();
  gradient.materialize();
  for (const state of states) state.materialize();
}

/**
 * The table of an optimizer's kernel: of each row five addresses, 0 where there is none, and the number of elements.
 */
export function addressesOfRows(rows: readonly TableRow[]): Float64Array {
  const table = new Float64Array(rows.length * rowColumns);
  rows.forEach(({ parameter, gradient, states }, i) => {
    const at = i * rowColumns;
    table[at] = parameter.pin();
    table[at + 1] = gradient.pin();
    states.forEach((state, s) => {
      table[at + 2 + s] = state.pin();
    });
    table[at + 5] = parameter.size;
  });
  return table;
}

/** Bytes to be copied from the beginning of one operand to that of another. */
export interface CopiedBlock {
  readonly from: Operand;
  readonly to: Operand;
  readonly bytes: number;
}
const blockColumns = 3;

export function materializeBlock({ from, to }: CopiedBlock): void {
  from.materialize();
  to.materialize();
}

/** The table of `ek_copy_blocks`: of each block two addresses and a number of bytes. */
export function addressesOfBlocks(blocks: readonly CopiedBlock[]): Float64Array {
  const table = new Float64Array(blocks.length * blockColumns);
  blocks.forEach(({ from, to, bytes }, i) => {
    table[i * blockColumns] = from.pin();
    table[i * blockColumns + 1] = to.pin();
    table[i * blockColumns + 2] = bytes;
  });
  return table;
}

/** What a launch was given. */
export type Given = Readonly<Record<string, unknown>>;

const isOperand = (value: unknown): value is Operand => typeof (value as Partial<Operand> | null)?.pin === 'function';

/** The operands of a launch by name: `x`, or `row 0, column 2` in a table. */
export function operandsOf(given: Given): [name: string, operand: Operand][] {
  const found: [string, Operand][] = [];
  const note = (name: string, value: unknown) => {
    if (isOperand(value)) found.push([name, value]);
  };
  for (const [name, value] of Object.entries(given)) {
    note(name, value);
    if (!Array.isArray(value)) continue;
    (value as readonly (number | TableRow | CopiedBlock)[]).forEach((row, i) => {
      if (typeof row === 'number') return;
      const columns = 'from' in row ? [row.from, row.to] : [row.parameter, row.gradient, ...row.states];
      columns.forEach((operand, column) => {
        note(`row ${i}, column ${column}`, operand);
      });
    });
  }
  return found;
}
