// Data and tensors as a file that PyTorch 1.6 and later load, with `weights_only` too: a zip archive of a pickle and
// the storages.
import { shown } from '../checks.ts';
import { ArgumentTypeError } from '../errors.ts';
import { Parameter } from '../nn/parameter.ts';
import { StateDict, type StateMetadata } from '../nn/state_dict.ts';
import { Tensor } from '../tensor/tensor.ts';
import { PyCall, PyDict, PyFloat, PyGlobal, PyPersistent, PySet, PyTuple, type PyValue } from './pickle_values.ts';
import { writePickle } from './pickle_writer.ts';
import { isIndex, Tuple } from './pytorch_plain.ts';
import { bytesIn, joined, keyText, type PytorchTree, UnknownObject } from './pytorch_tree.ts';
import { storedDTypes, swapBytes } from './stored_dtype.ts';
import { checkedPieces, isStored, type StoredBytes, type StoredTensor, TensorDescriber } from './stored_tensor.ts';
import { writeZip, type ZipEntry } from './zip_writer.ts';

const rebuild = (name: string): PyGlobal => new PyGlobal('torch._utils', name);
const orderedDict = (): PyCall => new PyCall(new PyGlobal('collections', 'OrderedDict'), []);
/** All members lie in one folder, whose name means nothing. */
const folder = 'archive';

interface Written {
  readonly key: string;
  readonly bytes: StoredBytes;
  /** Bytes that change places in the other byte order. */
  readonly word: number;
}

/** Turns data into what a pickle says, and collects the storages on the way. */
export class PytorchEncoder {
  readonly storages = new Map<StoredBytes, Written>();
  private readonly operation: string;
  private readonly describer = new TensorDescriber();
  private readonly done = new Map<object, PyValue>();
  private readonly open = new Set<object>();

  constructor(operation: string) {
    this.operation = operation;
  }

  private refuse(path: string, value: unknown, advice: string): ArgumentTypeError {
    return new ArgumentTypeError(
      `[${this.operation}] expected plain data and tensors, got ${shown(value)}${path === '' ? '' : ` at '${path}'`}${advice}`,
    );
  }

  tensor(stored: StoredTensor): PyCall {
    const { dtype, shape, strides, offset, storage, requiresGrad = false } = stored;
    const { storage: kind, size, word } = storedDTypes[dtype];
    let written = this.storages.get(storage);
    if (!written) {
      written = { key: String(this.storages.size), bytes: storage, word };
      this.storages.set(storage, written);
    }
    const [storageClass, count] =
      kind === null
        ? [new PyGlobal('torch.storage', 'UntypedStorage'), storage.size]
        : [new PyGlobal('torch', kind), Math.floor(storage.size / size)];
    const id = new PyPersistent(new PyTuple(['storage', storageClass, written.key, 'cpu', count]));
    const needsGrad = requiresGrad && !stored.isParameter;
    const args: PyValue[] = [id, offset, new PyTuple(shape), new PyTuple(strides), needsGrad, orderedDict()];
    const call =
      kind === null
        ? new PyCall(rebuild('_rebuild_tensor_v3'), [...args, new PyGlobal('torch', dtype)])
        : new PyCall(rebuild('_rebuild_tensor_v2'), args);
    return stored.isParameter ? new PyCall(rebuild('_rebuild_parameter'), [call, requiresGrad, orderedDict()]) : call;
  }

  /** The tensors of a state dict, which need no gradient, with the versions of their modules. */
  state(tensors: ReadonlyMap<string, Tensor | StoredTensor>, metadata: StateMetadata | null): PyCall {
    const dict = orderedDict();
    for (const [name, tensor] of tensors) {
      const stored = tensor instanceof Tensor ? this.describer.describe(tensor) : tensor;
      dict.dict.add(name, this.tensor({ ...stored, isParameter: false, requiresGrad: false }));
    }
    if (metadata) {
      const versions = orderedDict();
      for (const [path, { version }] of metadata) {
        const entry = new PyDict();
        entry.add('version', version);
        versions.dict.add(path, entry);
      }
      const state = new PyDict();
      state.add('_metadata', versions);
      dict.state = state;
    }
    return dict;
  }

  encode(value: unknown, path = ''): PyValue {
    if (value === null || typeof value === 'boolean' || typeof value === 'string' || typeof value === 'bigint')
      return value;
    if (typeof value === 'number')
      return Number.isSafeInteger(value) && !Object.is(value, -0) ? value : new PyFloat(value);
    if (typeof value !== 'object') throw this.refuse(path, value, '');
    const known = this.done.get(value);
    if (known !== undefined) return known;
    if (this.open.has(value)) throw this.refuse(path, value, ', which holds itself');
    this.open.add(value);
    const result = this.object(value, path);
    this.open.delete(value);
    this.done.set(value, result);
    return result;
  }

  private object(value: object, path: string): PyValue {
    if (value instanceof Tensor)
      return this.tensor({ ...this.describer.describe(value), isParameter: value instanceof Parameter });
    if (isStored(value)) return this.tensor(value);
    if (value instanceof StateDict) return this.state(value, value.metadata);
    if (value instanceof Uint8Array) return value;
    if (ArrayBuffer.isView(value)) throw this.refuse(path, value, ': make a tensor of it, by fromTypedArray');
    if (value instanceof UnknownObject) throw this.refuse(path, value, `: ${value.className} is no plain data`);
    if (Array.isArray(value)) {
      const items = value.map((item, i) => this.encode(item, joined(path, String(i))));
      return value instanceof Tuple ? new PyTuple(items) : items;
    }
    if (value instanceof Set)
      return new PySet(
        false,
        [...value].map((item, i) => this.encode(item, joined(path, String(i)))),
      );
    const dict = new PyDict();
    if (value instanceof Map) {
      for (const [key, item] of value)
        if (!dict.add(this.encode(key, path), this.encode(item, joined(path, String(key)))))
          throw this.refuse(path, value, `, of which ${shown(key)} is no key of its own in Python`);
      return dict;
    }
    const prototype = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) throw this.refuse(path, value, '');
    for (const [key, item] of Object.entries(value)) {
      if (item === undefined) continue;
      // Whole numbers as keys are texts in JavaScript only; an optimizer's state has the numbers of its parameters as
      // keys.
      dict.add(isIndex(key) ? Number(key) : key, this.encode(item, joined(path, key)));
    }
    return dict;
  }

  /** The data of another file, with its tensors described anew; all else is written as it was. */
  copy(tree: PytorchTree): { root: PyValue; tensors: number } {
    let tensors = 0;
    const done = new Map<PyValue, PyValue>();
    const open = new Set<PyValue>();
    const copied = (value: PyValue, path: string): PyValue => {
      if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
      const known = done.get(value);
      if (known !== undefined) return known;
      if (open.has(value)) throw tree.fail(`${JSON.stringify(path)} holds itself, which cannot be written anew`);
      open.add(value);
      const result = copiedObject(value, path);
      open.delete(value);
      done.set(value, result);
      return result;
    };
    const list = (items: readonly PyValue[], path: string) =>
      items.map((item, i) => copied(item, joined(path, String(i))));
    const copyInto = (target: PyDict, source: PyDict, path: string) => {
      for (const [key, item] of source.entries) target.add(copied(key, path), copied(item, joined(path, keyText(key))));
    };
    const copiedObject = (value: PyValue & object, path: string): PyValue => {
      if (Array.isArray(value)) return list(value, path);
      if (value instanceof PyTuple) return new PyTuple(list(value.items, path));
      if (value instanceof PySet) return new PySet(value.isFrozen, list(value.items, path));
      if (value instanceof PyDict) {
        const dict = new PyDict();
        copyInto(dict, value, path);
        return dict;
      }
      if (value instanceof PyPersistent)
        throw tree.fail(`${JSON.stringify(path)} is a storage without a tensor, which cannot be written anew`);
      if (!(value instanceof PyCall)) return value as PyValue;
      if (value.callee.module.startsWith('torch.')) {
        const tensor = tree.tensorOf(value, path);
        if (tensor) {
          tensors++;
          return this.tensor(tensor);
        }
      }
      // No bytes at all are a call that `weights_only` does not know.
      if (value.callee.name === 'builtins.bytes') return bytesIn(value) ?? value;
      const call = new PyCall(value.callee, list(value.args, joined(path, 'args')), value.isNew);
      call.list.push(...list(value.list, path));
      copyInto(call.dict, value.dict, path);
      if (value.state !== undefined) call.state = copied(value.state, path);
      return call;
    };
    // Walking first refuses what is too deep.
    tree.walk(() => true);
    return { root: copied(tree.root, ''), tensors };
  }
}

async function* storagePieces(operation: string, { bytes, word }: Written): AsyncGenerator<Uint8Array> {
  for await (const piece of checkedPieces(operation, bytes)) {
    if (!bytes.isBigEndian) yield piece;
    else {
      const swapped = piece.slice();
      swapBytes(swapped, word);
      yield swapped;
    }
  }
}

const textEntry = (name: string, text: string): ZipEntry => bytesEntry(name, new TextEncoder().encode(text));
const bytesEntry = (name: string, bytes: Uint8Array): ZipEntry => ({
  name: `${folder}/${name}`,
  size: bytes.length,
  bytes: async function* () {
    yield bytes;
  },
});

/** The file, piece by piece. */
export function writePytorch(
  operation: string,
  root: PyValue,
  storages: Iterable<Written>,
): AsyncGenerator<Uint8Array> {
  const pickle = writePickle(operation, root);
  return writeZip([
    bytesEntry('data.pkl', pickle),
    textEntry('.format_version', '1'),
    textEntry('.storage_alignment', '64'),
    textEntry('byteorder', 'little'),
    ...[...storages].map((written) => ({
      name: `${folder}/data/${written.key}`,
      size: written.bytes.size,
      bytes: () => storagePieces(operation, written),
    })),
    textEntry('version', '3\n'),
  ]);
}
