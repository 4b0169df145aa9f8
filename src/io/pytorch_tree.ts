// What the calls in a PyTorch pickle mean: tensors, dictionaries, sizes, NumPy's scalars and arrays. This is the
// allow-list: everything that is not named here stays a description. Not here: where storages lie (pytorch_file.ts).
import { MemorySource } from './byte_source.ts';
import type { Fail } from './errors.ts';
import { PyCall, PyDict, PyFloat, PyGlobal, PyPersistent, PySet, PyTuple, type PyValue } from './pickle_values.ts';
import { dtypeOfNumpy, dtypeOfStorage, isStoredDType, type StoredDType, storedDTypes } from './stored_dtype.ts';
import { checkView, type StoredBytes, type StoredTensor, storedBytes } from './stored_tensor.ts';

/** Deeper data would overflow the stack of those who walk it. */
const deepest = 400;

/** Finds the bytes of a storage: its key, and how many there must be at least. */
export type StorageFinder = (key: string, byteCount: number, view: PyValue) => StoredBytes;

const refusedTensors: Readonly<Record<string, string>> = {
  'torch._utils._rebuild_qtensor': 'quantized; save tensor.dequantize() instead',
  'torch._utils._rebuild_sparse_tensor': 'sparse; save tensor.to_dense() instead',
  'torch._utils._rebuild_sparse_csr_tensor': 'sparse; save tensor.to_dense() instead',
  'torch._utils._rebuild_nested_tensor': 'nested; save its parts as a list instead',
  'torch._utils._rebuild_meta_tensor_no_storage': 'on the meta device, without values',
  'torch._utils._rebuild_wrapper_subclass': 'of a subclass that wraps others; save what it wraps instead',
};
/** Storages of quantized tensors, with the bytes of an element. */
const quantized = new Map([
  ['QInt8Storage', 1],
  ['QUInt8Storage', 1],
  ['QUInt4x2Storage', 1],
  ['QUInt2x4Storage', 1],
  ['QInt32Storage', 4],
]);
const ofNumpy = (name: string): RegExp => new RegExp(`^numpy\\.(_core|core)\\.multiarray\\.${name}$`);
const [numpyScalar, numpyReconstruct] = [ofNumpy('scalar'), ofNumpy('_reconstruct')];
const dictionaries = new Set(['collections.OrderedDict', 'collections.defaultdict', 'collections.Counter']);

/**
 * An object of a class that is not on the allow-list: its parts, as plain data. It was not made, and nothing of it has
 * run.
 */
export class UnknownObject {
  /** The full name of its class in Python. */
  readonly className: string;
  /** What it was constructed with. */
  readonly args: readonly unknown[];
  /** Its fields, or what its class keeps in their place. */
  readonly state: unknown;
  constructor(className: string, args: readonly unknown[], state: unknown) {
    this.className = className;
    this.args = args;
    this.state = state;
  }
}

/** Bytes as pickles have them: their own, or a text to encode. */
export function bytesIn(value: PyValue): Uint8Array | null {
  if (value instanceof Uint8Array) return value;
  if (!(value instanceof PyCall)) return null;
  const { name } = value.callee;
  const [first, encoding] = value.args;
  if (name === '_codecs.encode' && typeof first === 'string' && (encoding === 'latin1' || encoding === 'latin-1')) {
    const bytes = new Uint8Array(first.length);
    for (let i = 0; i < first.length; i++) {
      if (first.charCodeAt(i) > 255) return null;
      bytes[i] = first.charCodeAt(i);
    }
    return bytes;
  }
  if (name === 'builtins.bytes' && value.args.length === 0) return new Uint8Array(0);
  if (name === 'builtins.bytearray') return value.args.length === 0 ? new Uint8Array(0) : bytesIn(first);
  return null;
}

const numbersIn = (value: PyValue | undefined): number[] | null => {
  const items = value instanceof PyCall && value.callee.name === 'torch.Size' ? value.args[0] : value;
  const list = items instanceof PyTuple ? items.items : Array.isArray(items) ? items : null;
  return list?.every((item) => typeof item === 'number') ? [...(list as number[])] : null;
};

/** A name that PyTorch's keys would have for a place in the data. */
export const joined = (path: string, key: string): string => (path === '' ? key : `${path}.${key}`);

export class PytorchTree {
  readonly root: PyValue;
  /** Bytes of the file. */
  readonly fileSize: number;
  readonly fail: Fail;
  private readonly findStorage: StorageFinder;
  /** Storages by their keys. */
  private readonly storages = new Map<string, StoredBytes>();
  /** Tensors by their calls, so that what was one stays one; null: the call is none. */
  private readonly tensors = new Map<PyCall, StoredTensor>();

  constructor(root: PyValue, fileSize: number, findStorage: StorageFinder, fail: Fail) {
    this.root = root;
    this.fileSize = fileSize;
    this.findStorage = findStorage;
    this.fail = fail;
  }

  /** A value as a dictionary, if it is one of any kind. */
  dictOf(value: PyValue): PyDict | null {
    if (value instanceof PyDict) return value;
    if (!(value instanceof PyCall) || !dictionaries.has(value.callee.name)) return null;
    const [items] = value.callee.name === 'collections.defaultdict' ? value.args.slice(1) : value.args;
    if (items === undefined || value.dict.entries.length > 0) return value.dict;
    // Python 2 gives an ordered dictionary its items as a list of pairs.
    if (items instanceof PyDict) return items;
    if (!Array.isArray(items)) throw this.fail('an ordered dictionary was made of what are no pairs');
    for (const pair of items) {
      const parts = pair instanceof PyTuple ? pair.items : Array.isArray(pair) ? pair : [];
      if (parts.length !== 2 || !value.dict.add(parts[0], parts[1]))
        throw this.fail('an ordered dictionary was made of what are no pairs, or has a key twice');
    }
    return value.dict;
  }

  /** The parts of a module of PyTorch, which was pickled as a whole; null where a value is none. */
  moduleOf(
    value: PyValue,
  ): { parameters: PyDict; buffers: PyDict; modules: PyDict; transient: ReadonlySet<PyValue> } | null {
    if (!(value instanceof PyCall)) return null;
    const state = value.state === undefined ? value.dict : this.dictOf(value.state);
    const part = (name: string) => {
      const found = state?.get(name);
      return found === undefined ? null : this.dictOf(found);
    };
    const [parameters, buffers, modules] = ['_parameters', '_buffers', '_modules'].map(part);
    if (!parameters || !buffers || !modules) return null;
    const transient = this.setOf(state?.get('_non_persistent_buffers_set') ?? null) ?? [];
    return { parameters, buffers, modules, transient: new Set(transient) };
  }

  setOf(value: PyValue): readonly PyValue[] | null {
    if (value instanceof PySet) return value.items;
    if (!(value instanceof PyCall) || !/^builtins\.(set|frozenset)$/.test(value.callee.name)) return null;
    const [items = []] = value.args;
    return Array.isArray(items) ? items : items instanceof PyTuple ? items.items : null;
  }

  /**
   * A value as a tensor, if it is one.
   * @param path where it stands, for errors.
   */
  tensorOf(value: PyValue, path: string, depth = 0): StoredTensor | null {
    if (!(value instanceof PyCall) || depth > 8) return null;
    const known = this.tensors.get(value);
    if (known) return known;
    const { callee, args } = value;
    const inner = (of: PyValue, change: Partial<StoredTensor>): StoredTensor => {
      const tensor = this.tensorOf(of, path, depth + 1);
      if (!tensor) throw this.fail(`${JSON.stringify(path)} is a parameter of what is no tensor`);
      return { ...tensor, ...change };
    };
    let tensor: StoredTensor;
    if (Object.hasOwn(refusedTensors, callee.name))
      throw this.fail(`the tensor ${JSON.stringify(path)} is ${refusedTensors[callee.name]}`);
    switch (callee.name) {
      case 'torch._utils._rebuild_tensor':
      case 'torch._utils._rebuild_tensor_v2':
      case 'torch._utils._rebuild_tensor_v3':
        tensor = this.rebuilt(value, path);
        break;
      case 'torch._utils._rebuild_parameter':
      case 'torch._utils._rebuild_parameter_with_state':
        tensor = inner(args[0] ?? null, { isParameter: true, requiresGrad: args[1] === true });
        break;
      case 'torch._tensor._rebuild_from_type_v2': {
        const [builder, , parts] = args;
        if (!(builder instanceof PyGlobal) || !(parts instanceof PyTuple)) throw this.malformed(path);
        tensor = inner(new PyCall(builder, parts.items), {});
        break;
      }
      case 'torch._utils._rebuild_device_tensor_from_numpy':
      case 'torch._utils._rebuild_device_tensor_from_cpu_tensor':
        tensor = inner(args[0] ?? null, { requiresGrad: args[3] === true });
        break;
      default:
        if (!numpyReconstruct.test(callee.name)) return null;
        tensor = this.numpyArray(value, path);
    }
    this.tensors.set(value, tensor);
    return tensor;
  }

  /** Bytes of an element of each storage that the data mention, by key. */
  storageSizes(): Map<string, number> {
    const sizes = new Map<string, number>();
    this.walk((value) => {
      if (!(value instanceof PyPersistent) || !(value.id instanceof PyTuple) || value.id.items[0] !== 'storage')
        return true;
      const [, kind, key] = value.id.items;
      if (!(kind instanceof PyGlobal) || typeof key !== 'string') throw this.malformed('');
      const dtype = dtypeOfStorage.get(kind.qualname);
      if (!dtype && kind.qualname !== 'UntypedStorage' && !quantized.has(kind.qualname))
        throw this.fail(`its storage ${JSON.stringify(key)} is of the unknown kind ${kind.name}`);
      const size = dtype ? storedDTypes[dtype].size : (quantized.get(kind.qualname) ?? 1);
      if ((sizes.get(key) ?? size) !== size) throw this.fail(`its storage ${JSON.stringify(key)} is of two types`);
      sizes.set(key, size);
      return false;
    });
    return sizes;
  }

  private malformed(path: string): Error {
    return this.fail(`the tensor ${JSON.stringify(path)} is not described as PyTorch describes tensors`);
  }

  private rebuilt({ callee, args }: PyCall, path: string): StoredTensor {
    const [persistent, offset, size, stride, requiresGrad, , last, ...rest] = args;
    const shape = numbersIn(size);
    const strides = numbersIn(stride);
    const isThird = callee.qualname === '_rebuild_tensor_v3';
    const metadata = isThird ? rest[0] : last;
    if (!(persistent instanceof PyPersistent) || !shape || !strides || typeof offset !== 'number')
      throw this.malformed(path);
    if (metadata instanceof PyDict && metadata.entries.some(([, set]) => set === true))
      throw this.fail(
        `the tensor ${JSON.stringify(path)} is a conjugated or negated view; save tensor.resolve_conj().resolve_neg() instead`,
      );
    const { storage, dtype } = this.storageOf(persistent, path, isThird ? this.dtypeNamed(last, path) : null);
    const tensor = { dtype, shape, strides, offset, storage, requiresGrad: requiresGrad === true };
    checkView(tensor, path, this.fileSize, this.fail);
    return tensor;
  }

  private dtypeNamed(value: PyValue | undefined, path: string): StoredDType {
    if (!(value instanceof PyGlobal) || value.module !== 'torch') throw this.malformed(path);
    if (!isStoredDType(value.qualname))
      throw this.fail(`the tensor ${JSON.stringify(path)} is of the unknown type ${value.name}`);
    return value.qualname;
  }

  private storageOf(persistent: PyPersistent, path: string, named: StoredDType | null) {
    const { id } = persistent;
    if (!(id instanceof PyTuple) || id.items[0] !== 'storage') throw this.malformed(path);
    const [, kind, key, , count, view = null] = id.items;
    if (!(kind instanceof PyGlobal) || typeof key !== 'string' || typeof count !== 'number' || count < 0)
      throw this.malformed(path);
    const isUntyped = kind.qualname === 'UntypedStorage';
    const dtype = isUntyped ? named : dtypeOfStorage.get(kind.qualname);
    if (!dtype)
      throw this.fail(
        quantized.has(kind.qualname)
          ? `the tensor ${JSON.stringify(path)} is ${refusedTensors['torch._utils._rebuild_qtensor']}`
          : `the tensor ${JSON.stringify(path)} is of the unknown storage ${kind.name}`,
      );
    const byteCount = count * (isUntyped ? 1 : storedDTypes[dtype].size);
    const name = view === null ? key : `${key}/${JSON.stringify(numbersIn(view) ?? (view as PyTuple).items)}`;
    let storage = this.storages.get(name);
    if (!storage) {
      storage = this.findStorage(key, byteCount, view);
      this.storages.set(name, storage);
    }
    if (storage.size < byteCount)
      throw this.fail(
        `the storage of the tensor ${JSON.stringify(path)} should have ${byteCount} bytes, but has ${storage.size}`,
        storage.start,
      );
    return { storage, dtype };
  }

  /** NumPy's element type and byte order, from how it pickles them. */
  private numpyType(value: PyValue | undefined, path: string): { dtype: StoredDType; isBigEndian: boolean } {
    if (!(value instanceof PyCall) || value.callee.name !== 'numpy.dtype') throw this.malformed(path);
    const [code] = value.args;
    const order = value.state instanceof PyTuple ? value.state.items[1] : '<';
    const dtype = typeof code === 'string' ? dtypeOfNumpy.get(code) : undefined;
    if (!dtype)
      throw this.fail(
        `the array ${JSON.stringify(path)} is of NumPy's type ${JSON.stringify(code)}, which is none of ${[...dtypeOfNumpy.keys()].join(', ')}`,
      );
    return { dtype, isBigEndian: order === '>' };
  }

  private numpyArray({ state }: PyCall, path: string): StoredTensor {
    if (!(state instanceof PyTuple)) throw this.malformed(path);
    const [, size, type, isFortran, data] = state.items;
    const shape = numbersIn(size);
    const bytes = bytesIn(data ?? null);
    const { dtype, isBigEndian } = this.numpyType(type, path);
    if (!shape || !bytes) throw this.malformed(path);
    return arrayTensor(
      bytes,
      { dtype, isBigEndian, shape, isFortran: isFortran === true },
      path,
      this.fileSize,
      this.fail,
    );
  }

  /** A NumPy scalar as a number or truth value; undefined where a value is none. */
  scalarOf(value: PyCall, path: string): PyValue | undefined {
    if (!numpyScalar.test(value.callee.name)) return undefined;
    const { dtype, isBigEndian } = this.numpyType(value.args[0], path);
    const bytes = bytesIn(value.args[1] ?? null);
    if (!bytes || bytes.length !== storedDTypes[dtype].size) throw this.malformed(path);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const isLittle = !isBigEndian;
    const big = (number: bigint) => (Number.isSafeInteger(Number(number)) ? Number(number) : number);
    switch (dtype) {
      case 'float64':
        return new PyFloat(view.getFloat64(0, isLittle));
      case 'float32':
        return new PyFloat(view.getFloat32(0, isLittle));
      case 'int64':
        return big(view.getBigInt64(0, isLittle));
      case 'uint64':
        return big(view.getBigUint64(0, isLittle));
      case 'int32':
        return view.getInt32(0, isLittle);
      case 'uint32':
        return view.getUint32(0, isLittle);
      case 'int16':
        return view.getInt16(0, isLittle);
      case 'uint16':
        return view.getUint16(0, isLittle);
      case 'int8':
        return view.getInt8(0);
      case 'uint8':
        return view.getUint8(0);
      case 'bool':
        return view.getUint8(0) !== 0;
      default:
        throw this.fail(`the scalar ${JSON.stringify(path)} is of ${dtype}, which no number holds`);
    }
  }

  /**
   * Visits a value and all it holds, each once, with the path at which it was met first. `visit` returns whether what
   * is inside is wanted too.
   */
  walk(visit: (value: PyValue, path: string) => boolean): void {
    const seen = new Set<PyValue>();
    const go = (value: PyValue, path: string, depth: number): void => {
      if (typeof value !== 'object' || value === null || value instanceof Uint8Array || seen.has(value)) return;
      seen.add(value);
      if (depth > deepest) throw this.fail(`its data are nested more than ${deepest} levels deep`);
      if (!visit(value, path)) return;
      const module = this.moduleOf(value);
      if (module) {
        for (const part of [module.parameters, module.buffers, module.modules])
          for (const [key, item] of part.entries) go(item, joined(path, String(key)), depth + 1);
        return;
      }
      const dict = this.dictOf(value);
      const items = Array.isArray(value)
        ? value
        : value instanceof PyTuple || value instanceof PySet
          ? value.items
          : null;
      if (dict) for (const [key, item] of dict.entries) go(item, joined(path, keyText(key)), depth + 1);
      else if (items) items.forEach((item, i) => void go(item, joined(path, String(i)), depth + 1));
      else if (value instanceof PyCall) {
        value.args.forEach((item, i) => void go(item, joined(path, `args.${i}`), depth + 1));
        value.list.forEach((item, i) => void go(item, joined(path, String(i)), depth + 1));
        for (const [key, item] of value.dict.entries) go(item, joined(path, keyText(key)), depth + 1);
        if (value.state !== undefined) go(value.state, path, depth + 1);
      }
    };
    go(this.root, '', 0);
  }
}

/** A key of any kind as a part of a path. */
export function keyText(key: PyValue): string {
  if (typeof key === 'object' && key !== null) {
    if (key instanceof PyFloat) return String(key.value);
    if (key instanceof PyTuple) return `(${key.items.map(keyText).join(', ')})`;
    if (key instanceof PyGlobal) return key.name;
  }
  return String(key);
}

/** A NumPy array's bytes as a tensor. */
function arrayTensor(
  bytes: Uint8Array,
  {
    dtype,
    isBigEndian,
    shape,
    isFortran,
  }: { dtype: StoredDType; isBigEndian: boolean; shape: number[]; isFortran: boolean },
  path: string,
  fileSize: number,
  fail: Fail,
): StoredTensor {
  const storage = { ...storedBytes(new MemorySource(bytes, 'an array')), isBigEndian };
  const tensor = { dtype, shape, strides: arrayStrides(shape, isFortran), offset: 0, storage };
  checkView(tensor, path, fileSize, fail);
  return tensor;
}

/** Strides of an array in C's or in Fortran's order, in elements. */
export function arrayStrides(shape: readonly number[], isFortran: boolean): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = 0; i < shape.length; i++) {
    const dim = isFortran ? i : shape.length - 1 - i;
    strides[dim] = step;
    step *= shape[dim];
  }
  return strides;
}
