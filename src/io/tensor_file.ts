/// <reference lib="esnext.disposable" preserve="true" />
// An open file of named tensors, whatever its format: what it holds is known, and read when it is asked for. The
// reference above lets programs whose own settings do not name it use `await using`.

import { shown } from '../checks.ts';
import { ArgumentTypeError, KeyError } from '../errors.ts';
import { StateDict, type StateMetadata } from '../nn/state_dict.ts';
import type { DType } from '../tensor/dtype.ts';
import { sizeOf, stridesOf } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { viewAs } from '../tensor/tensor.ts';
import type { ByteSource } from './byte_source.ts';
import type { Fail } from './errors.ts';
import type { StoredDType } from './stored_dtype.ts';
import { bytesOf, heldAs, loadStored, mostBytes, type StoredBytes, type StoredTensor } from './stored_tensor.ts';

/** Formats of files of tensors. `pytorch-legacy`: as PyTorch before 1.6 wrote them. */
export type FileFormat = 'pytorch' | 'pytorch-legacy' | 'safetensors' | 'safetensors-index' | 'npz' | 'npy';

/** A tensor of a file, as the file describes it. */
export interface TensorInfo {
  /** The type of its elements in the file. */
  readonly dtype: StoredDType;
  /** The size of each dimension. */
  readonly shape: readonly number[];
  /** Of its elements, in the file's type. */
  readonly bytes: number;
  /** What it becomes when it is loaded; null: no tensor can hold its type. */
  readonly loadsAs: DType | null;
}

/** A tensor whose type in the file no tensor has, and the type it was given. */
export interface Cast {
  /** Of the tensor. */
  readonly name: string;
  /** Its type in the file. */
  readonly from: StoredDType;
  /** The type that it became. */
  readonly to: DType;
}

/** What a file says besides its tensors. */
export interface FileContents {
  readonly format: FileFormat;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata?: StateMetadata | null;
  /** Where in the file's data the tensors stand: of a training checkpoint, the key of the model's state. */
  readonly path?: string;
  /** What somebody who reads the tensors alone does not get, one sentence each. */
  readonly notes?: readonly string[];
  /** Strings by name, of a safetensors file. */
  readonly texts?: Readonly<Record<string, string>>;
}

/** A state dict that was read from a file, with what was done to it on the way. */
export class LoadedState extends StateDict {
  /** The file it was read from. */
  source = '';
  /** The file's format. */
  format: FileFormat = 'pytorch';
  /** Where in the file's data it stands; '' is the root. */
  path = '';
  /** Tensors of types that become others. */
  casts: readonly Cast[] = [];
  /** What was not read, and what could not be kept, one sentence each. */
  notes: readonly string[] = [];
}

/**
 * A file of named tensors, open for reading: `openTensors`, `openPytorch`, `openSafetensors`, `openNpz` give one.
 * Reading a tensor touches only its bytes. `close()` gives the file back.
 */
export class TensorFile {
  /** The file, as it was given. */
  readonly name: string;
  /** The file's format, found by its content. */
  readonly format: FileFormat;
  /** Versions of the modules that wrote the tensors, where the file has them. */
  readonly metadata: StateMetadata | null;
  /**
   * Where in the file's data the tensors stand: of a training checkpoint, the key of the model's state; '' is the root.
   */
  readonly path: string;
  /** What somebody who reads the tensors alone does not get, one sentence each. */
  readonly notes: readonly string[];
  /** Texts by name beside the tensors: what safetensors files call metadata. */
  readonly texts: Readonly<Record<string, string>>;
  private readonly sources: readonly ByteSource[];
  private readonly tensors: ReadonlyMap<string, StoredTensor>;
  private readonly fail: Fail;

  constructor(sources: readonly ByteSource[], contents: FileContents, fail: Fail) {
    this.sources = sources;
    this.name = sources[0].name;
    this.format = contents.format;
    this.tensors = contents.tensors;
    this.metadata = contents.metadata ?? null;
    this.path = contents.path ?? '';
    this.notes = contents.notes ?? [];
    this.texts = contents.texts ?? {};
    this.fail = fail;
  }

  /** Names of all tensors, in the file's order. */
  keys(): string[] {
    return [...this.tensors.keys()];
  }
  /** Whether the file has a tensor of that name. */
  has(name: string): boolean {
    return this.tensors.has(name);
  }

  /** Bytes of the file, or of all files that it consists of. */
  get byteLength(): number {
    return this.sources.reduce((sum, { size }) => sum + size, 0);
  }

  /** A tensor as it lies in the file: for the writers. @internal */
  stored(name: string): StoredTensor {
    const tensor = this.tensors.get(name);
    if (!tensor) {
      if (typeof name !== 'string')
        throw new ArgumentTypeError(`[get] expected the name of a tensor, got ${shown(name)}`);
      throw new KeyError(`[get] ${this.name}: there is no tensor '${name}'`);
    }
    return tensor;
  }

  /** What the file says of a tensor. @throws KeyError where it has none of the name. */
  info(name: string): TensorInfo {
    const { dtype, shape, ...rest } = this.stored(name);
    return { dtype, shape, bytes: bytesOf({ dtype, shape, ...rest }), loadsAs: heldAs(dtype) };
  }

  /**
   * Reads one tensor, and nothing else.
   * @throws KeyError where there is none of the name; FileFormatError where it is damaged, or of a type that no tensor
   * holds.
   */
  get(name: string): Promise<Tensor> {
    return loadStored(this.stored(name), name, this.fail);
  }

  /** Reads all tensors, or those named. Tensors that share memory in the file share it here. */
  async load(names: readonly string[] = this.keys()): Promise<LoadedState> {
    const state = new LoadedState();
    const wanted = names.map((name) => [name, this.stored(name)] as const);
    await prefetchMost(
      this.sources,
      wanted.map(([, tensor]) => tensor),
    );
    const loader = new SharedLoader(this.byteLength, this.fail);
    for (const [name, tensor] of wanted) state.set(name, await loader.load(tensor, name));
    state.metadata = this.metadata;
    state.source = this.name;
    state.format = this.format;
    state.path = this.path;
    state.casts = wanted.flatMap(([name, { dtype }]) => {
      const to = heldAs(dtype)!;
      return to === dtype ? [] : [{ name, from: dtype, to }];
    });
    state.notes = [...this.notes, ...loader.notes()];
    return state;
  }

  /** Gives the file back to the system. What was read stays. */
  async close(): Promise<void> {
    for (const source of this.sources) await source.close?.();
  }
  /** `close()` at the end of a block: `await using file = await openTensors(path)`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Fetches sources of which most will be read, where many single reads are slow. */
export async function prefetchMost(sources: readonly ByteSource[], tensors: readonly StoredTensor[]): Promise<void> {
  const wanted = tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  const all = sources.reduce((sum, { size }) => sum + size, 0);
  if (wanted > all / 2) for (const source of sources) await source.prefetch?.();
}

/** Loads tensors of one file so that those which are the same memory there are the same memory here. */
export class SharedLoader {
  private readonly fail: Fail;
  /** Bytes that may still be read: views that repeat or overlap must not make a small file large. */
  private left: number;
  private readonly loaded = new Map<StoredBytes, { tensor: Tensor; stored: StoredTensor; name: string }[]>();
  private readonly overlaps: [string, string][] = [];

  /** @param fileSize of all sources. */
  constructor(fileSize: number, fail: Fail) {
    this.left = mostBytes(fileSize);
    this.fail = fail;
  }

  async load(stored: StoredTensor, name: string): Promise<Tensor> {
    const others = this.loaded.get(stored.storage) ?? [];
    this.loaded.set(stored.storage, others);
    for (const other of others) {
      const { tensor, stored: its } = other;
      if (its.dtype !== stored.dtype || its.offset !== stored.offset) continue;
      if (same(its.shape, stored.shape) && same(its.strides, stored.strides)) return tensor;
      if (
        isRowMajor(its) &&
        isRowMajor(stored) &&
        sizeOf(its.shape) === sizeOf(stored.shape) &&
        tensor.memoryFormat === 'contiguous'
      )
        return viewAs(tensor, stored.shape);
    }
    this.left -= bytesOf(stored);
    if (this.left < 0)
      throw this.fail(
        `its tensors repeat the same memory beyond twice the file, from ${JSON.stringify(name)} on`,
        stored.storage.start,
      );
    const tensor = await loadStored(stored, name, this.fail);
    const overlapping = others.find(({ stored: its }) => overlap(its, stored));
    if (overlapping) this.overlaps.push([overlapping.name, name]);
    others.push({ tensor, stored, name });
    return tensor;
  }

  notes(): string[] {
    return this.overlaps.map(
      ([a, b]) => `'${a}' and '${b}' share a part of their memory in the file, but not once they are loaded`,
    );
  }
}

const same = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((n, i) => n === b[i]);
const isRowMajor = ({ shape, strides }: StoredTensor): boolean => same(strides, stridesOf(shape));
function overlap(a: StoredTensor, b: StoredTensor): boolean {
  const end = ({ offset, shape, strides }: StoredTensor) =>
    offset + 1 + shape.reduce((sum, size, i) => sum + (size - 1) * strides[i], 0);
  const isEmpty = sizeOf(a.shape) === 0 || sizeOf(b.shape) === 0;
  return !isEmpty && a.offset < end(b) && b.offset < end(a);
}
