// Pickled data as JavaScript's: what `loadPytorch` gives. Tuples and sizes are arrays, dictionaries objects or maps,
// tensors tensors.
import { StateDict } from '../nn/state_dict.ts';
import { Tensor } from '../tensor/tensor.ts';
import { PyCall, type PyDict, PyFloat, PyGlobal, PyPersistent, PyTuple, type PyValue } from './pickle_values.ts';
import { bytesIn, joined, keyText, type PytorchTree, UnknownObject } from './pytorch_tree.ts';
import type { StoredTensor } from './stored_tensor.ts';

/** What a file of PyTorch holds, and what can be written as one. */
export type PytorchData =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Tensor
  | UnknownObject
  | readonly PytorchData[]
  | ReadonlySet<PytorchData>
  | ReadonlyMap<PytorchData, PytorchData>
  | { readonly [key: string]: PytorchData };

/** A tuple: an array in everything, but PyTorch gets a tuple back. */
export class Tuple<T = PytorchData> extends Array<T> {
  /**
   * `map` and its kin give arrays.
   * @internal
   */
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }
}

export const isIndex = (key: string): boolean => /^(0|[1-9]\d{0,14})$/.test(key);

/** Whether an object has these keys in this order, and no other language could mean others by them. */
function fitsObject(keys: readonly PyValue[]): boolean {
  let last = -1;
  return keys.every((key) => {
    if (typeof key === 'number') {
      // Whole numbers come first among the keys of an object, in rising order.
      const isNext = Number.isInteger(last) && key > last && isIndex(String(key));
      last = key;
      return isNext;
    }
    last = Number.NaN;
    return typeof key === 'string' && key !== '__proto__' && !isIndex(key);
  });
}

/** What a callable on the allow-list means as a plain value; undefined: nothing. */
function plainCall(call: PyCall, path: string, tree: PytorchTree): PytorchData | undefined | PyValue[] {
  const { callee, args } = call;
  if (callee.name === 'torch.Size') return args[0] instanceof PyTuple ? [...args[0].items] : undefined;
  if (callee.name === 'torch.device') return args.map(String).join(':');
  if (callee.name === 'torch.serialization._get_layout') return String(args[0]);
  if (callee.name === 'builtins.complex')
    throw tree.fail(
      `${JSON.stringify(path)} is a complex number, which JavaScript has none of; save its two parts instead`,
    );
  return undefined;
}

/** Names of PyTorch that are values: element types and the like. */
const isValueOfTorch = ({ module, qualname }: PyGlobal): boolean => module === 'torch' && /^[a-z][\w]*$/.test(qualname);

/**
 * The whole data, with each tensor as `tensorOf` gives it.
 * @param keepsUnknown whether objects of classes that are not on the allow-list become descriptions; else they are
 * refused.
 */
export function toPlain(
  tree: PytorchTree,
  tensorOf: (tensor: StoredTensor) => Tensor,
  keepsUnknown: boolean,
): PytorchData {
  const { fail } = tree;
  const done = new Map<PyValue, PytorchData>();
  const open = new Set<PyValue>();

  const convert = (value: PyValue, path: string): PytorchData => {
    if (value instanceof PyFloat) return value.value;
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
    const known = done.get(value);
    if (known !== undefined) return known;
    if (open.has(value)) throw fail(`${JSON.stringify(path)} holds itself, which plain data cannot`);
    open.add(value);
    const result = object(value, path);
    open.delete(value);
    done.set(value, result);
    return result;
  };

  const list = (items: readonly PyValue[], path: string): PytorchData[] =>
    items.map((item, i) => convert(item, joined(path, String(i))));

  const dictionary = (dict: PyDict, value: PyValue, path: string): PytorchData => {
    const keys = dict.entries.map(([key]) => key);
    const values = dict.entries.map(([key, item]) => convert(item, joined(path, keyText(key))));
    // What a module gives is an ordered dictionary; others are an optimizer's, whose parts have names of their own.
    const isState =
      value instanceof PyCall &&
      value.callee.qualname === 'OrderedDict' &&
      values.length > 0 &&
      values.every((each) => each instanceof Tensor) &&
      keys.every((key) => typeof key === 'string');
    if (isState) {
      const state = new StateDict(keys.map((key, i) => [key as string, values[i] as Tensor]));
      state.metadata = metadata(value);
      return state;
    }
    if (fitsObject(keys)) return Object.fromEntries(keys.map((key, i) => [String(key), values[i]]));
    return new Map(keys.map((key, i) => [convert(key, path), values[i]]));
  };

  const metadata = (value: PyValue): StateDict['metadata'] => {
    const given =
      value instanceof PyCall && value.state !== undefined ? tree.dictOf(value.state)?.get('_metadata') : undefined;
    const versions = given === undefined ? null : tree.dictOf(given);
    if (!versions) return null;
    return new Map(
      versions.entries.flatMap(([key, entry]) => {
        const version = tree.dictOf(entry)?.get('version');
        return typeof key === 'string' && typeof version === 'number' ? [[key, { version }] as const] : [];
      }),
    );
  };

  const unknown = (name: string, path: string, parts: () => [PytorchData[], PytorchData]): UnknownObject => {
    if (!keepsUnknown)
      throw fail(
        `${path === '' ? 'it' : JSON.stringify(path)} is an object of ${name}, a class that is no plain data and is not made here; read the rest with { unknownObjects: 'keep' }, ` +
          'or save plain data: a state dict, numbers, texts, lists',
      );
    return new UnknownObject(name, ...parts());
  };

  const object = (value: PyValue & object, path: string): PytorchData => {
    if (Array.isArray(value)) return list(value, path);
    if (value instanceof PyTuple) return Tuple.from(list(value.items, path)) as Tuple;
    if (value instanceof PyGlobal)
      return isValueOfTorch(value) ? value.name : unknown(value.name, path, () => [[], null]);
    if (value instanceof PyPersistent)
      throw fail(`${JSON.stringify(path)} is a storage without a tensor; save tensors instead`);
    const set = tree.setOf(value);
    if (set) return new Set(list(set, path));
    const dict = tree.dictOf(value);
    if (dict) return dictionary(dict, value, path);
    if (!(value instanceof PyCall)) throw fail(`${JSON.stringify(path)} is of an unknown kind`);
    const tensor = tree.tensorOf(value, path);
    if (tensor) return tensorOf(tensor);
    const bytes = bytesIn(value);
    if (bytes) return bytes;
    const scalar = tree.scalarOf(value, path);
    if (scalar !== undefined) return convert(scalar, path);
    const plain = plainCall(value, path, tree);
    if (Array.isArray(plain)) return Tuple.from(list(plain as PyValue[], path)) as Tuple;
    if (plain !== undefined) return plain as PytorchData;
    return unknown(value.callee.name, path, () => [
      list(value.args, joined(path, 'args')),
      value.state === undefined ? dictionary(value.dict, value, path) : convert(value.state, path),
    ]);
  };
  return convert(tree.root, '');
}
