// Splits a tree of plain values into named arrays and a JSON skeleton, and joins them again without losing anything:
// NaN, infinities, -0, bigints and odd keys survive. Files and checksums are in checkpoint_file.ts.

import { EvenkeelError } from '../errors.ts';
import type { SafetensorsDtype, SafetensorsEntry } from '../io/safetensors_arrays.ts';

/** Element types of arrays in a tree; bool is bytes 0 and 1. */
export type LeafDtype = 'float32' | 'float64' | 'int32' | 'int64' | 'uint8' | 'bool';
/** An array in a tree. */
export type ArrayLeaf = {
  /** The element type. */
  dtype: LeafDtype;
  /** The size of each dimension. */
  shape: number[];
  /** The elements in row-major order. */
  data: Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;
};
/** What a checkpoint can hold: nested plain objects and arrays of these leaves. */
export type Tree = string | number | boolean | null | bigint | ArrayLeaf | Tree[] | { [key: string]: Tree };

/** A value that a checkpoint cannot hold, or a skeleton that does not fit its arrays; the message names the place. */
export class CheckpointTreeError extends EvenkeelError {
  override name = 'CheckpointTreeError';
}

// Objects with one of these as only key stand for what JSON cannot say.
const TENSOR = '$tensor';
const NUMBER = '$number';
const BIGINT = '$bigint';
const OBJECT = '$object';

const STORED: Record<LeafDtype, SafetensorsDtype> = {
  float32: 'F32',
  float64: 'F64',
  int32: 'I32',
  int64: 'I64',
  uint8: 'U8',
  bool: 'BOOL',
};
const LEAF_DTYPES = Object.fromEntries(Object.entries(STORED).map(([leaf, stored]) => [stored, leaf])) as Record<
  SafetensorsDtype,
  LeafDtype
>;

/**
 * The arrays of a tree, named by their path (`model.conv1.weight`), and the rest as JSON with references to those
 * names.
 *
 * Throws CheckpointTreeError for anything but plain objects, arrays and the leaves of Tree.
 */
export function splitTree(tree: Tree): { skeleton: unknown; entries: SafetensorsEntry[] } {
  const entries: SafetensorsEntry[] = [];
  const names = new Set<string>();
  const ancestors = new Set<object>();

  const visit = (value: unknown, path: string): unknown => {
    const refuse = (what: string) => new CheckpointTreeError(`[saveTree] ${path || 'the tree'}: ${what}`);
    switch (typeof value) {
      case 'string':
      case 'boolean':
        return value;
      case 'number':
        return Number.isFinite(value) && !Object.is(value, -0)
          ? value
          : { [NUMBER]: Object.is(value, -0) ? '-0' : String(value) };
      case 'bigint':
        return { [BIGINT]: String(value) };
      case 'object':
        break;
      default:
        throw refuse(`a checkpoint cannot hold ${typeof value === 'undefined' ? 'undefined' : `a ${typeof value}`}`);
    }
    if (value === null) return null;
    if (ancestors.has(value)) throw refuse('contains itself');
    ancestors.add(value);
    try {
      return visitObject(value, path, refuse);
    } finally {
      ancestors.delete(value);
    }
  };

  const visitObject = (value: object, path: string, refuse: (what: string) => CheckpointTreeError): unknown => {
    const inside = (key: string | number) => (path === '' ? String(key) : `${path}.${key}`);
    // Array.from also visits holes, which are then refused as undefined.
    if (Array.isArray(value)) return Array.from(value, (item, index) => visit(item, inside(index)));
    const prototype = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) {
      throw refuse(`a checkpoint cannot hold a ${value.constructor?.name ?? 'foreign object'}`);
    }
    if (ArrayBuffer.isView((value as { data?: unknown }).data)) {
      const leaf = value as ArrayLeaf;
      const dtype = Object.hasOwn(STORED, leaf.dtype) ? STORED[leaf.dtype] : undefined;
      if (dtype === undefined) throw refuse(`an array has the unknown dtype ${String(leaf.dtype)}`);
      // Keys may contain dots, so two paths can read the same.
      let name = path;
      for (let k = 2; names.has(name) || name === '__metadata__'; k++) name = `${path}~${k}`;
      names.add(name);
      entries.push({ name, dtype, shape: leaf.shape, data: leaf.data });
      return { [TENSOR]: name };
    }
    const fields = Object.entries(value).map(([key, item]) => [key, visit(item, inside(key))] as const);
    const result = Object.fromEntries(fields);
    return fields.some(([key]) => key.startsWith('$')) ? { [OBJECT]: result } : result;
  };

  return { skeleton: visit(tree, ''), entries };
}

/** Levels of a tree, which is walked by recursion: far more than any state has. */
const deepest = 500;

/** The tree that `splitTree` took apart; throws CheckpointTreeError if skeleton and arrays do not belong together. */
export function joinTree(skeleton: unknown, entries: readonly SafetensorsEntry[]): Tree {
  let depth = 0;
  const unused = new Map(entries.map((entry) => [entry.name, entry]));
  const fields = (value: object): Tree =>
    Object.fromEntries(Object.entries(value).map(([key, item]) => [key, visit(item)]));

  const visit = (value: unknown): Tree => {
    if (typeof value !== 'object' || value === null) return value as Tree;
    if (++depth > deepest) throw new CheckpointTreeError(`the tree is nested more than ${deepest} levels deep`);
    const joined = visitObject(value);
    depth--;
    return joined;
  };

  const visitObject = (value: object): Tree => {
    if (Array.isArray(value)) return value.map(visit);
    const [[key, content] = [], ...others] = Object.entries(value);
    if (others.length > 0 || key === undefined || !key.startsWith('$')) return fields(value);
    if (key === OBJECT && typeof content === 'object' && content !== null) return fields(content);
    if (typeof content === 'string') {
      if (key === NUMBER) return Number(content);
      if (key === BIGINT && /^-?\d+$/.test(content)) return BigInt(content);
      const entry = key === TENSOR ? unused.get(content) : undefined;
      if (entry !== undefined) {
        unused.delete(content);
        return { dtype: LEAF_DTYPES[entry.dtype], shape: entry.shape, data: entry.data };
      }
    }
    throw new CheckpointTreeError(`the tree refers to ${key} ${JSON.stringify(content)}, which the file does not hold`);
  };

  const tree = visit(skeleton);
  if (unused.size > 0) {
    throw new CheckpointTreeError(`the file holds arrays that its tree does not: ${[...unused.keys()].join(', ')}`);
  }
  return tree;
}
