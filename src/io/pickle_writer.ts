// Writes pickles of protocol 2, with the few opcodes that PyTorch's `weights_only` reader takes. What stands in several
// places is written once and recalled, so that what was shared stays shared.
import { shown } from '../checks.ts';
import { ArgumentTypeError } from '../errors.ts';
import { type PyCall, PyDict, PyFloat, PyGlobal, PyPersistent, PySet, PyTuple, type PyValue } from './pickle_values.ts';

/** PyTorch's reader has no limit, but Python's own recursion would end at 1000. */
const deepest = 400;
/** Items that are put into a container by one opcode, as Python does it. */
const batch = 1000;

export function writePickle(operation: string, value: PyValue): Uint8Array {
  const writer = new PickleWriter(operation);
  writer.write(value, 0);
  return writer.finish();
}

class PickleWriter {
  private readonly operation: string;
  private bytes = new Uint8Array(4096);
  private view = new DataView(this.bytes.buffer);
  private length = 0;
  /** Indices of what was written, by identity; globals and texts by value. */
  private readonly memo = new Map<unknown, number>();
  private memoSize = 0;
  private readonly open = new Set<object>();
  private readonly utf8 = new TextEncoder();

  constructor(operation: string) {
    this.operation = operation;
    this.opcode(0x80);
    this.opcode(2);
  }

  finish(): Uint8Array {
    this.opcode(0x2e);
    return this.bytes.slice(0, this.length);
  }

  /** Makes room and returns where it begins. To be asked before `bytes` or `view`, which it may replace. */
  private reserve(count: number): number {
    const start = this.length;
    if (start + count > this.bytes.length) {
      const larger = new Uint8Array(Math.max(2 * this.bytes.length, start + count));
      larger.set(this.bytes);
      this.bytes = larger;
      this.view = new DataView(larger.buffer);
    }
    this.length += count;
    return start;
  }
  private opcode(code: number): void {
    const at = this.reserve(1);
    this.bytes[at] = code;
  }
  private uint32(value: number): void {
    const at = this.reserve(4);
    this.view.setUint32(at, value, true);
  }
  private raw(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.bytes.set(bytes, at);
  }

  /** Recalls what was written before; false where it was not. */
  private recall(key: unknown): boolean {
    const index = this.memo.get(key);
    if (index === undefined) return false;
    if (index < 256) {
      this.opcode(0x68);
      this.opcode(index);
    } else {
      this.opcode(0x6a);
      this.uint32(index);
    }
    return true;
  }
  private remember(key: unknown): void {
    const index = this.memoSize++;
    this.memo.set(key, index);
    if (index < 256) {
      this.opcode(0x71);
      this.opcode(index);
    } else {
      this.opcode(0x72);
      this.uint32(index);
    }
  }

  write(value: PyValue, depth: number): void {
    if (value === null) this.opcode(0x4e);
    else if (typeof value === 'boolean') this.opcode(value ? 0x88 : 0x89);
    else if (typeof value === 'number' || typeof value === 'bigint') this.integer(value);
    else if (typeof value === 'string') this.string(value);
    else if (value instanceof PyGlobal) this.global(value);
    else if (value instanceof PyFloat) {
      this.opcode(0x47);
      const at = this.reserve(8);
      this.view.setFloat64(at, value.value, false);
    } else this.object(value, depth);
  }

  /** What may stand in several places, or hold others. */
  private object(value: object, depth: number): void {
    if (this.recall(value)) return;
    if (depth > deepest)
      throw new ArgumentTypeError(`[${this.operation}] expected data of at most ${deepest} levels, got more`);
    if (this.open.has(value))
      throw new ArgumentTypeError(`[${this.operation}] expected data without a circle, got an object inside itself`);
    this.open.add(value);
    this.container(value, depth + 1);
    this.open.delete(value);
  }

  private integer(value: number | bigint): void {
    if (typeof value === 'number' && value >= -(2 ** 31) && value < 2 ** 31) {
      if (value >= 0 && value < 256) {
        this.opcode(0x4b);
        this.opcode(value);
      } else if (value >= 0 && value < 65536) {
        this.opcode(0x4d);
        const at = this.reserve(2);
        this.view.setUint16(at, value, true);
      } else {
        this.opcode(0x4a);
        const at = this.reserve(4);
        this.view.setInt32(at, value, true);
      }
      return;
    }
    let rest = BigInt(value);
    const bytes: number[] = [];
    // Until what is left is only the sign that the last byte says too.
    for (;;) {
      bytes.push(Number(rest & 255n));
      const sign = bytes[bytes.length - 1] & 128 ? -1n : 0n;
      rest >>= 8n;
      if (rest === sign) break;
    }
    if (bytes.length > 255) throw new ArgumentTypeError(`[${this.operation}] expected integers of at most 255 bytes`);
    this.opcode(0x8a);
    this.opcode(bytes.length);
    this.raw(Uint8Array.from(bytes));
  }

  private string(value: string): void {
    if (this.recall(`s${value}`)) return;
    if (/\p{Surrogate}/u.test(value))
      throw new ArgumentTypeError(
        `[${this.operation}] expected well-formed texts, got half of a character in ${shown(value)}`,
      );
    const bytes = this.utf8.encode(value);
    this.opcode(0x58);
    this.uint32(bytes.length);
    this.raw(bytes);
    this.remember(`s${value}`);
  }

  private global(value: PyGlobal): void {
    const key = `g${value.module}\n${value.qualname}`;
    if (this.recall(key)) return;
    this.opcode(0x63);
    // Python 2's names are what protocol 2 says, and what every reader understands.
    const module = value.module === 'builtins' ? '__builtin__' : value.module;
    this.raw(this.utf8.encode(`${module}\n${value.qualname}\n`));
    this.remember(key);
  }

  private container(value: object, depth: number): void {
    if (Array.isArray(value)) {
      this.opcode(0x5d);
      this.remember(value);
      this.append(value, depth);
    } else if (value instanceof PyTuple) this.tuple(value, depth);
    else if (value instanceof PyDict) {
      this.opcode(0x7d);
      this.remember(value);
      this.setItems(value, depth);
    } else if (value instanceof PySet) {
      this.global(new PyGlobal('builtins', value.isFrozen ? 'frozenset' : 'set'));
      this.write(new PyTuple([value.items]), depth);
      this.opcode(0x52);
      this.remember(value);
    } else if (value instanceof Uint8Array) {
      // Protocol 2 has no bytes; Python 3 writes them as a text to encode.
      this.global(new PyGlobal('_codecs', 'encode'));
      this.write(new PyTuple([Array.from(value, (byte) => String.fromCharCode(byte)).join(''), 'latin1']), depth);
      this.opcode(0x52);
      this.remember(value);
    } else if (value instanceof PyPersistent) {
      this.write(value.id, depth);
      this.opcode(0x51);
    } else this.call(value as PyCall, depth);
  }

  private tuple(value: PyTuple, depth: number): void {
    const { items } = value;
    if (items.length === 0) {
      this.opcode(0x29);
      return;
    }
    if (items.length > 3) this.opcode(0x28);
    for (const item of items) this.write(item, depth);
    this.opcode(items.length > 3 ? 0x74 : 0x84 + items.length);
    this.remember(value);
  }

  private call(value: PyCall, depth: number): void {
    this.global(value.callee);
    this.write(new PyTuple(value.args), depth);
    this.opcode(value.isNew ? 0x81 : 0x52);
    this.remember(value);
    this.append(value.list, depth);
    this.setItems(value.dict, depth);
    if (value.state === undefined) return;
    this.write(value.state, depth);
    this.opcode(0x62);
  }

  private append(items: readonly PyValue[], depth: number): void {
    for (let start = 0; start < items.length; start += batch) {
      this.opcode(0x28);
      for (const item of items.slice(start, start + batch)) this.write(item, depth);
      this.opcode(0x65);
    }
  }
  private setItems({ entries }: PyDict, depth: number): void {
    for (let start = 0; start < entries.length; start += batch) {
      this.opcode(0x28);
      for (const [key, item] of entries.slice(start, start + batch)) {
        this.write(key, depth);
        this.write(item, depth);
      }
      this.opcode(0x75);
    }
  }
}
