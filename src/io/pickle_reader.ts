// Reads pickles of protocols 0 to 5 as a description of what they hold. Nothing is imported or called, whatever the
// bytes say, so there is nothing that a hostile file could reach; which calls mean something is decided by an
// allow-list above (pytorch_tree.ts). Source: CPython's Lib/pickletools.py, which documents every opcode.
import type { Fail } from './errors.ts';
import { FileFormatError } from './errors.ts';
import {
  keyOf,
  PyCall,
  PyDict,
  PyFloat,
  PyGlobal,
  PyPersistent,
  PySet,
  PyTuple,
  type PyValue,
} from './pickle_values.ts';

/** The pickle goes on behind the bytes that there are. */
export class UnexpectedEnd extends FileFormatError {}

const mark = Symbol('mark');
type Item = PyValue | typeof mark;

/** Integers of more bytes than that would take quadratic time, and are no data of a network. */
const mostIntegerBytes = 1024;
/** Bytes of a line that numbers, names and memo indices of protocol 0 stand in. */
const mostLineBytes = 65536;

/** Names that Python 2 wrote for what Python 3 has elsewhere. */
const modulesOfPython2: Readonly<Record<string, string>> = {
  __builtin__: 'builtins',
  copy_reg: 'copyreg',
  UserDict: 'collections',
};

export interface Pickled {
  readonly value: PyValue;
  /** Where the pickle ends in the bytes. */
  readonly end: number;
}

/**
 * Reads one pickle.
 * @param start where it begins in `bytes`; `base`: where the bytes begin in the file, for errors.
 * @throws what `fail` makes; UnexpectedEnd where the bytes end first.
 */
export function readPickle(bytes: Uint8Array, fail: Fail, start = 0, base = 0): Pickled {
  return new PickleReader(bytes, fail, start, base).read();
}

class PickleReader {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly makeError: Fail;
  private readonly base: number;
  private at: number;
  /** Where the opcode under way stands. */
  private opcodeAt = 0;
  private readonly stack: Item[] = [];
  private readonly memo = new Map<number, PyValue>();
  private readonly utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

  constructor(bytes: Uint8Array, fail: Fail, start: number, base: number) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.makeError = fail;
    this.at = start;
    this.base = base;
  }

  private fail(reason: string, cause?: unknown): FileFormatError {
    return this.makeError(reason, this.base + this.opcodeAt, cause);
  }

  /** Moves on by so many bytes, and returns where they begin. */
  private take(count: number): number {
    const start = this.at;
    if (!(count <= this.bytes.length - start)) {
      const { source, reason, offset, message } = this.fail(
        `the pickle ends within an opcode that needs ${count} bytes: the file is truncated or damaged`,
      );
      const error = new UnexpectedEnd('', source, reason, offset);
      error.message = message;
      throw error;
    }
    this.at += count;
    return start;
  }
  private byte(): number {
    return this.bytes[this.take(1)];
  }
  private uint16(): number {
    return this.view.getUint16(this.take(2), true);
  }
  private uint32(): number {
    return this.view.getUint32(this.take(4), true);
  }
  private size64(): number {
    return Number(this.view.getBigUint64(this.take(8), true));
  }
  private slice(count: number): Uint8Array {
    const start = this.take(count);
    return this.bytes.subarray(start, this.at);
  }
  private text(count: number): string {
    const bytes = this.slice(count);
    try {
      return this.utf8.decode(bytes);
    } catch (cause) {
      throw this.fail('a text of the pickle is not UTF-8', cause);
    }
  }
  /** Text of Python 2: UTF-8 where it is that, else Latin-1. */
  private oldText(count: number): string {
    const bytes = this.slice(count);
    try {
      return this.utf8.decode(bytes);
    } catch {
      return Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
    }
  }
  private line(): string {
    const start = this.at;
    const end = this.bytes.subarray(start, start + mostLineBytes).indexOf(10);
    if (end < 0) {
      if (this.bytes.length - start >= mostLineBytes) throw this.fail('a line of the pickle does not end');
      this.take(this.bytes.length - start + 1);
    }
    const text = this.text(end);
    this.at++;
    return text;
  }

  private pop(): PyValue {
    const value = this.stack.pop();
    if (value === undefined || value === mark) throw this.fail('the pickle takes a value that it did not put down');
    return value;
  }
  private top(): PyValue {
    const value = this.stack.at(-1);
    if (value === undefined || value === mark) throw this.fail('the pickle changes a value that it did not put down');
    return value;
  }
  /** The values above the last mark, which goes too. */
  private popToMark(): PyValue[] {
    const start = this.stack.lastIndexOf(mark);
    if (start < 0) throw this.fail('the pickle has no mark where it needs one');
    const values = this.stack.splice(start) as PyValue[];
    values.shift();
    return values;
  }

  private integer(count: number): number | bigint {
    if (count > mostIntegerBytes) throw this.fail(`an integer of ${count} bytes is too large`);
    const bytes = this.slice(count);
    if (count === 0) return 0;
    let value = 0n;
    for (let i = count - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]);
    return toInteger(BigInt.asIntN(8 * count, value));
  }

  private parseInteger(text: string): number | bigint {
    const digits = text.replace(/L$/, '');
    if (!/^[+-]?\d+$/.test(digits) || digits.length > 2 * mostIntegerBytes)
      throw this.fail(`an integer is written as ${JSON.stringify(text.slice(0, 40))}`);
    return toInteger(BigInt(digits));
  }

  private parseFloat(text: string): PyFloat {
    const words: Record<string, number> = { nan: Number.NaN, inf: Infinity, '-inf': -Infinity };
    const value = Object.hasOwn(words, text) ? words[text] : Number(text);
    if (text === '' || (Number.isNaN(value) && text !== 'nan'))
      throw this.fail(`a float is written as ${JSON.stringify(text.slice(0, 40))}`);
    return new PyFloat(value);
  }

  private makeGlobal(module: string, qualname: string): PyGlobal {
    return new PyGlobal(Object.hasOwn(modulesOfPython2, module) ? modulesOfPython2[module] : module, qualname);
  }

  private remember(index: number): void {
    this.memo.set(index, this.top());
  }
  private recall(index: number): PyValue {
    const value = this.memo.get(index);
    if (value === undefined) throw this.fail(`the pickle recalls value ${index}, which it did not remember`);
    return value;
  }

  private setItems(values: readonly PyValue[], target = this.top()): void {
    const dict = target instanceof PyCall ? target.dict : target;
    if (!(dict instanceof PyDict) || values.length % 2 !== 0)
      throw this.fail('the pickle puts items into what is no dictionary');
    for (let i = 0; i < values.length; i += 2)
      if (!dict.add(values[i], values[i + 1])) {
        const key = values[i];
        throw this.fail(
          keyOf(key) === null
            ? 'a dictionary has a key that is no text, number or group of them'
            : `a dictionary has the key ${typeof key === 'string' ? JSON.stringify(key) : keyOf(key)!.slice(1)} twice`,
        );
      }
  }
  private append(values: readonly PyValue[]): void {
    const target = this.top();
    const list = target instanceof PyCall ? target.list : target;
    if (!Array.isArray(list)) throw this.fail('the pickle appends to what is no list');
    for (const value of values) list.push(value);
  }
  private call(callee: PyValue, args: PyValue, isNew: boolean): PyCall {
    // PyTorch before 1.6 put the source of a module's class beside it.
    if (callee instanceof PyPersistent && callee.id instanceof PyTuple && callee.id.items[0] === 'module')
      callee = callee.id.items[1] ?? null;
    if (!(callee instanceof PyGlobal)) throw this.fail('the pickle calls what is no function or class');
    if (!(args instanceof PyTuple)) throw this.fail(`the pickle calls ${callee.name} without a list of arguments`);
    return new PyCall(callee, args.items, isNew);
  }

  read(): Pickled {
    for (;;) {
      this.opcodeAt = this.at;
      const opcode = this.byte();
      if (opcode === 0x2e) {
        const value = this.pop();
        if (this.stack.length > 0) throw this.fail('the pickle ends with values that belong to nothing');
        return { value, end: this.at };
      }
      const value = this.step(opcode);
      if (value !== undefined) this.stack.push(value);
    }
  }

  /**
   * Carries out one opcode, named by its character as in CPython's table: the value that it puts down, or undefined.
   */
  private step(opcode: number): PyValue | undefined {
    switch (opcode) {
      case 0x80: {
        const protocol = this.byte();
        if (protocol > 5) throw this.fail(`the pickle is of protocol ${protocol}; known are 0 to 5`);
        break;
      }
      case 0x95: // a frame's length: frames only help to read from a stream
        this.take(8);
        break;
      // ---- constants
      case 0x4e: // N
        return null;
      case 0x88:
        return true;
      case 0x89:
        return false;
      case 0x49: {
        // I: booleans are 00 and 01
        const text = this.line();
        return text === '00' ? false : text === '01' ? true : this.parseInteger(text);
      }
      case 0x4c: // L
        return this.parseInteger(this.line());
      case 0x4a: // J
        return this.view.getInt32(this.take(4), true);
      case 0x4b: // K
        return this.byte();
      case 0x4d: // M
        return this.uint16();
      case 0x8a:
        return this.integer(this.byte());
      case 0x8b: {
        const count = this.view.getInt32(this.take(4), true);
        if (count < 0) throw this.fail('an integer has a negative length');
        return this.integer(count);
      }
      case 0x46: // F
        return this.parseFloat(this.line());
      case 0x47: // G
        return new PyFloat(this.view.getFloat64(this.take(8), false));
      // ---- texts and bytes
      case 0x58: // X
        return this.text(this.uint32());
      case 0x8c:
        return this.text(this.byte());
      case 0x8d:
        return this.text(this.size64());
      case 0x54: // T
        return this.oldText(this.uint32());
      case 0x55: // U
        return this.oldText(this.byte());
      case 0x42: // B
        return this.slice(this.uint32());
      case 0x43: // C
        return this.slice(this.byte());
      case 0x8e:
      case 0x96:
        return this.slice(this.size64());
      case 0x53: // S
      case 0x56: {
        // V
        const text = this.line();
        return opcode === 0x56 ? unescapeRaw(text) : this.unquote(text);
      }
      // ---- containers
      case 0x28: // (
        this.stack.push(mark);
        break;
      case 0x5d: // ]
        return [];
      case 0x6c: // l
        return this.popToMark();
      case 0x29: // )
        return new PyTuple([]);
      case 0x74: // t
        return new PyTuple(this.popToMark());
      case 0x85:
        return new PyTuple([this.pop()]);
      case 0x86: {
        const second = this.pop();
        return new PyTuple([this.pop(), second]);
      }
      case 0x87: {
        const third = this.pop();
        const second = this.pop();
        return new PyTuple([this.pop(), second, third]);
      }
      case 0x7d: // }
        return new PyDict();
      case 0x64: {
        // d
        const items = this.popToMark();
        const dict = new PyDict();
        this.setItems(items, dict);
        return dict;
      }
      case 0x73: {
        // s
        const value = this.pop();
        this.setItems([this.pop(), value]);
        break;
      }
      case 0x75: // u
        this.setItems(this.popToMark());
        break;
      case 0x61: // a
        this.append([this.pop()]);
        break;
      case 0x65: // e
        this.append(this.popToMark());
        break;
      case 0x8f:
        return new PySet(false);
      case 0x90: {
        const items = this.popToMark();
        const set = this.top();
        if (!(set instanceof PySet)) throw this.fail('the pickle adds to what is no set');
        for (const item of items) set.items.push(item);
        break;
      }
      case 0x91:
        return new PySet(true, this.popToMark());
      // ---- the stack and the memo
      case 0x30: // 0
        if (this.stack.length === 0) throw this.fail('the pickle drops a value that it did not put down');
        this.stack.pop();
        break;
      case 0x31: // 1
        this.popToMark();
        break;
      case 0x32: // 2
        return this.top();
      case 0x70: // p
        this.remember(Number(this.parseInteger(this.line())));
        break;
      case 0x71: // q
        this.remember(this.byte());
        break;
      case 0x72: // r
        this.remember(this.uint32());
        break;
      case 0x94:
        this.remember(this.memo.size);
        break;
      case 0x67: // g
        return this.recall(Number(this.parseInteger(this.line())));
      case 0x68: // h
        return this.recall(this.byte());
      case 0x6a: // j
        return this.recall(this.uint32());
      // ---- what would be imported and called
      case 0x63: {
        // c
        const module = this.line();
        return this.makeGlobal(module, this.line());
      }
      case 0x93: {
        const name = this.pop();
        const module = this.pop();
        if (typeof name !== 'string' || typeof module !== 'string')
          throw this.fail('the pickle names a class by what is no text');
        return this.makeGlobal(module, name);
      }
      case 0x52: {
        // R
        const args = this.pop();
        return this.call(this.pop(), args, false);
      }
      case 0x81: {
        const args = this.pop();
        return this.call(this.pop(), args, true);
      }
      case 0x92: {
        const named = this.pop();
        if (!(named instanceof PyDict) || named.entries.length > 0)
          throw this.fail('the pickle makes an object with named arguments');
        const args = this.pop();
        return this.call(this.pop(), args, true);
      }
      case 0x6f: {
        // o
        const [callee = null, ...args] = this.popToMark();
        return this.call(callee, new PyTuple(args), true);
      }
      case 0x69: {
        // i
        const module = this.line();
        const callee = this.makeGlobal(module, this.line());
        return this.call(callee, new PyTuple(this.popToMark()), true);
      }
      case 0x62: {
        // b
        const state = this.pop();
        const target = this.top();
        if (!(target instanceof PyCall)) throw this.fail('the pickle gives a state to what is no object');
        target.state = state;
        break;
      }
      case 0x50: // P
        return new PyPersistent(this.line());
      case 0x51: // Q
        return new PyPersistent(this.pop());
      default:
        throw this.fail(`there is no opcode 0x${opcode.toString(16).padStart(2, '0')} that data needs`);
    }
    return undefined;
  }

  /** The quoted text of protocol 0, with Python's escapes. */
  private unquote(text: string): string {
    const quote = text[0];
    if (text.length < 2 || (quote !== "'" && quote !== '"') || text.at(-1) !== quote)
      throw this.fail('a text of the pickle has no quotes');
    const simple: Record<string, string> = { n: '\n', t: '\t', r: '\r', '\\': '\\', "'": "'", '"': '"' };
    return text.slice(1, -1).replace(/\\(x([\da-f]{2})|[\s\S])/gi, (all, letter: string, hex?: string) => {
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
      return Object.hasOwn(simple, letter) ? simple[letter] : all;
    });
  }
}

const toInteger = (value: bigint): number | bigint => (Number.isSafeInteger(Number(value)) ? Number(value) : value);

/** Escapes of characters that a line cannot hold, in texts of protocol 0. */
const unescapeRaw = (text: string): string =>
  text.replace(/\\(?:u([\da-f]{4})|U([\da-f]{8}))/gi, (all, short?: string, long?: string) => {
    const code = Number.parseInt(short ?? long!, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : all;
  });
