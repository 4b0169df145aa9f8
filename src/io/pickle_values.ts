// What a pickle says, as plain data: each kind of Python value that JavaScript has none for is a small class. Objects
// and calls are never made, only described: what they would be is in pytorch_tree.ts.

/**
 * A Python value: None, bool, int (bigint beyond 2^53), str, bytes, a list as an array, or one of the classes below.
 */
export type PyValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PyValue[]
  | PyFloat
  | PyTuple
  | PyDict
  | PySet
  | PyGlobal
  | PyCall
  | PyPersistent;

/** A float; a plain number is an int. */
export class PyFloat {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

export class PyTuple {
  readonly items: readonly PyValue[];
  constructor(items: readonly PyValue[]) {
    this.items = items;
  }
}

/**
 * A key by which Python would find an item: equal keys give equal texts. Null where the value cannot be a key that we
 * know.
 */
export function keyOf(key: PyValue): string | null {
  if (typeof key === 'string') return `s${key}`;
  // 1, 1.0 and True are one key.
  if (typeof key === 'number' || typeof key === 'bigint' || typeof key === 'boolean') return `n${BigInt(key)}`;
  if (key === null) return '0';
  if (key instanceof PyFloat) return Number.isInteger(key.value) ? `n${BigInt(key.value)}` : `n${key.value}`;
  if (key instanceof PyGlobal) return `g${key.name}`;
  if (key instanceof PyTuple) {
    const parts = key.items.map(keyOf);
    return parts.includes(null) ? null : `(${parts.map((part) => `${part!.length}:${part}`).join()})`;
  }
  return null;
}

/** Entries in their order. Whether keys repeat is checked by whoever adds them. */
export class PyDict {
  readonly entries: [PyValue, PyValue][] = [];
  private readonly places = new Map<string, number>();

  /** Adds an entry; false where its key is there already, or cannot be one. */
  add(key: PyValue, value: PyValue): boolean {
    const text = keyOf(key);
    if (text === null || this.places.has(text)) return false;
    this.places.set(text, this.entries.length);
    this.entries.push([key, value]);
    return true;
  }
  /** The value of a text as key. */
  get(key: string): PyValue | undefined {
    const place = this.places.get(`s${key}`);
    return place === undefined ? undefined : this.entries[place][1];
  }
}

export class PySet {
  readonly items: PyValue[] = [];
  readonly isFrozen: boolean;
  constructor(isFrozen: boolean, items: readonly PyValue[] = []) {
    this.isFrozen = isFrozen;
    this.items.push(...items);
  }
}

/** A class or function of a Python module, by its full name. */
export class PyGlobal {
  readonly module: string;
  readonly qualname: string;
  constructor(module: string, qualname: string) {
    this.module = module;
    this.qualname = qualname;
  }
  get name(): string {
    return `${this.module}.${this.qualname}`;
  }
}

/** What a call would give: the callee, its arguments, and what was put into the result afterwards. */
export class PyCall {
  readonly callee: PyGlobal;
  readonly args: readonly PyValue[];
  /** Whether the callee is a class whose `__new__` is meant. */
  readonly isNew: boolean;
  readonly dict = new PyDict();
  readonly list: PyValue[] = [];
  /** What its `__setstate__` would get; undefined: it was not called. */
  state: PyValue | undefined;
  constructor(callee: PyGlobal, args: readonly PyValue[], isNew = false) {
    this.callee = callee;
    this.args = args;
    this.isNew = isNew;
  }
}

/** Something that lies outside of the pickle: in PyTorch's files, a storage. */
export class PyPersistent {
  readonly id: PyValue;
  constructor(id: PyValue) {
    this.id = id;
  }
}
