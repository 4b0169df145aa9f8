// A tensor as it lies in a file: type, shape, strides, and the storage it is a view of. Its bytes are read when
// somebody wants them, into the memory of the tensor that they become. Formats make these; none of them reads elements
// itself.
import { maxElements, shown } from '../checks.ts';
import { backendOf } from '../device/engine.ts';
import { ArgumentTypeError } from '../errors.ts';
import { crc32 } from '../files/crc32.ts';
import type { DType, TypedArray } from '../tensor/dtype.ts';
import { dtypes } from '../tensor/dtype.ts';
import { formatShape, type MemoryFormat, sizeOf, stridesOf } from '../tensor/shape.ts';
import type { Storage } from '../tensor/storage.ts';
import { allocate, keep, requireReadable, Tensor } from '../tensor/tensor.ts';
import { type ByteSource, fill, pieces } from './byte_source.ts';
import { type Fail, failing } from './errors.ts';
import { convertInto, type StoredDType, storedDTypes, swapBytes } from './stored_dtype.ts';

/** The bytes that one or more tensors are views of. */
export interface StoredBytes {
  readonly size: number;
  /** Where they begin in the file, or what describes them does; null: nowhere, they were made otherwise. */
  readonly start: number | null;
  open(): Promise<ByteSource>;
  /** Their checksum, where the file has one. */
  readonly crc?: number;
  readonly isBigEndian?: boolean;
}

/** Bytes that need no opening. */
export const storedBytes = (bytes: ByteSource, start: number | null = null): StoredBytes => ({
  size: bytes.size,
  start,
  open: async () => bytes,
});

export interface StoredTensor {
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  /** In elements, as `offset`. */
  readonly strides: readonly number[];
  /** Of its first element in the storage. */
  readonly offset: number;
  readonly storage: StoredBytes;
  /** Whether it was a parameter of a module. */
  readonly isParameter?: boolean;
  readonly requiresGrad?: boolean;
}

/** Elements of a view, from the first to the last of them in its storage. */
function spanOf({ shape, strides }: StoredTensor): number {
  if (sizeOf(shape) === 0) return 0;
  return 1 + shape.reduce((sum, size, i) => sum + (size - 1) * strides[i], 0);
}

const sameStrides = (shape: readonly number[], a: readonly number[], b: readonly number[]): boolean =>
  shape.every((size, i) => size === 1 || a[i] === b[i]);

/** How the elements of a dense view lie; null where they lie otherwise. */
function formatOf({ shape, strides }: StoredTensor): MemoryFormat | null {
  if (sizeOf(shape) <= 1 || sameStrides(shape, strides, stridesOf(shape))) return 'contiguous';
  if (shape.length >= 3 && sameStrides(shape, strides, stridesOf(shape, 'channelsLast'))) return 'channelsLast';
  return null;
}

/** Bytes of a tensor's elements. */
export const bytesOf = ({ dtype, shape }: Pick<StoredTensor, 'dtype' | 'shape'>): number =>
  sizeOf(shape) * storedDTypes[dtype].size;

/**
 * The most that tensors of a file may have: twice its size, or what is no bomb anyway, such as a scalar expanded to a
 * layer's shape.
 */
export const mostBytes = (fileSize: number): number => Math.max(16 * 1024 ** 2, 2 * fileSize);

/**
 * Refuses a view that reaches out of its storage, or repeats its elements beyond twice the file.
 * @param name of the tensor, for errors.
 */
export function checkView(tensor: StoredTensor, name: string, fileSize: number, fail: Fail): void {
  const { shape, strides, offset, storage, dtype } = tensor;
  const { size } = storedDTypes[dtype];
  const label = `the tensor ${JSON.stringify(name)} of ${dtype} and shape ${formatShape(shape)}`;
  const isCount = (value: number) => Number.isSafeInteger(value) && value >= 0;
  if (shape.length !== strides.length || ![...shape, ...strides, offset].every(isCount))
    throw fail(`${label} has the strides ${formatShape(strides)} and begins at element ${offset}`, storage.start);
  const bytes = bytesOf(tensor);
  const end = (offset + spanOf(tensor)) * size;
  if (!Number.isSafeInteger(bytes) || !(end <= storage.size || bytes === 0))
    throw fail(`${label} needs ${end} bytes, but its storage has ${storage.size}`, storage.start);
  if (bytes > mostBytes(fileSize))
    throw fail(`${label} repeats its elements up to ${bytes} bytes, from a file of ${fileSize}`, storage.start);
}

/** Refuses bytes of truth values that are neither 0 nor 1. */
function checkBools(bytes: Uint8Array, name: string, start: number | null, fail: Fail): void {
  for (let i = 0; i < bytes.length; i++)
    if (bytes[i] > 1)
      throw fail(
        `the tensor ${JSON.stringify(name)} of bool has the byte ${bytes[i]}, expected 0 or 1`,
        start === null ? null : start + i,
      );
}

/** Copies the elements of a view, in row-major order, from the bytes that it spans. */
function gather(span: Uint8Array, { shape, strides, dtype }: StoredTensor): Uint8Array {
  const { size } = storedDTypes[dtype];
  const out = new Uint8Array(sizeOf(shape) * size);
  const index = new Array<number>(shape.length).fill(0);
  let from = 0;
  for (let to = 0; to < out.length; to += size) {
    for (let i = 0; i < size; i++) out[to + i] = span[from * size + i];
    for (let dim = shape.length - 1; dim >= 0; dim--) {
      from += strides[dim];
      if (++index[dim] < shape[dim]) break;
      from -= strides[dim] * shape[dim];
      index[dim] = 0;
    }
  }
  return out;
}

/** The elements as little-endian bytes in row-major order, whatever their type: for other files, and for comparing. */
export async function rowMajorBytes(tensor: StoredTensor): Promise<Uint8Array> {
  const { storage, offset, dtype } = tensor;
  const { size, word } = storedDTypes[dtype];
  const length = spanOf(tensor) * size;
  const span = new Uint8Array(length);
  await fill(await storage.open(), () => span, offset * size, length);
  const bytes = formatOf(tensor) === 'contiguous' ? span : gather(span, tensor);
  if (storage.isBigEndian) swapBytes(bytes, word);
  return bytes;
}

/**
 * Reads a tensor of a file.
 * @param name of the tensor, for errors.
 * @throws what `fail` makes, where its type has no tensor, or its bytes are not what they should be.
 */
export async function loadStored(tensor: StoredTensor, name: string, fail: Fail): Promise<Tensor> {
  const { dtype, shape, storage, offset } = tensor;
  const { tensor: held, size } = storedDTypes[dtype];
  if (held === null)
    throw fail(
      `the tensor ${JSON.stringify(name)} is of ${dtype}, which tensors cannot hold; save its real and imaginary parts as two tensors`,
      storage.start,
    );
  if (sizeOf(shape) > maxElements)
    throw fail(
      `the tensor ${JSON.stringify(name)} has ${sizeOf(shape)} elements; tensors have at most ${maxElements}`,
      storage.start,
    );
  const format = formatOf(tensor);
  const isDirect = held === dtype && format !== null && !storage.isBigEndian;
  // What is read while others compute must not end with a scope of theirs, nor lose its values to the meta device.
  const out = keep(allocate(shape, held, isDirect ? format : 'contiguous', backendOf('cpu')));
  const length = sizeOf(shape) * size;
  if (isDirect) {
    await fill(await storage.open(), () => out.storage.bytes(), offset * size, length);
    if (storage.crc !== undefined && length === storage.size) checkSum(out.storage.bytes(), storage, name, fail);
    if (held === 'bool') checkBools(out.storage.bytes(), name, storage.start, fail);
    return out;
  }
  const bytes = await rowMajorBytes(tensor);
  if (held === dtype) out.storage.bytes().set(bytes);
  else {
    const elements = elementsOf(out);
    const wrong = convertInto(elements, bytes, dtype);
    if (wrong !== null)
      throw fail(
        `element ${wrong} of the tensor ${JSON.stringify(name)} of ${dtype} is 2^63 or more, which int64 cannot hold`,
        storage.start,
      );
  }
  if (held === 'bool') checkBools(out.storage.bytes(), name, storage.start, fail);
  return out;
}

function checkSum(bytes: Uint8Array, storage: StoredBytes, name: string, fail: Fail): void {
  if (crc32(bytes) !== storage.crc)
    throw fail(`the checksum of the tensor ${JSON.stringify(name)} does not match: the file is damaged`, storage.start);
}

/** All bytes of a storage, in pieces; the last comes only where the checksum is that of the file. */
export async function* checkedPieces(operation: string, storage: StoredBytes): AsyncGenerator<Uint8Array> {
  const bytes = await storage.open();
  let crc = 0;
  let left = bytes.size;
  for await (const piece of pieces(bytes)) {
    left -= piece.length;
    if (storage.crc !== undefined) crc = crc32(piece, crc);
    if (left === 0 && storage.crc !== undefined && crc !== storage.crc)
      throw failing(operation, bytes.name)(
        'the checksum of a storage does not match: the file is damaged',
        storage.start,
      );
    yield piece;
  }
}

/** A tensor's memory as elements. */
function elementsOf(tensor: Tensor): TypedArray {
  const bytes = tensor.storage.bytes();
  return new dtypes[tensor.dtype].array(bytes.buffer, bytes.byteOffset, tensor.size);
}

/** A tensor's memory as a source: its bytes as they are at the time of reading. */
class TensorBytes implements ByteSource {
  readonly name = 'a tensor';
  readonly size: number;
  private readonly storage: Storage;
  constructor(storage: Storage) {
    this.storage = storage;
    this.size = storage.byteLength;
  }
  async read(start: number, end: number): Promise<Uint8Array> {
    return this.storage.bytes().subarray(start, end);
  }
  readInto(target: Uint8Array, start: number): void {
    target.set(this.storage.bytes().subarray(start, start + target.length));
  }
}

/** Describes tensors as if they lay in a file; those that share memory share a storage. */
export class TensorDescriber {
  private readonly storages = new Map<Storage, StoredBytes>();

  describe(tensor: Tensor): StoredTensor {
    tensor.storage.requireLive();
    let storage = this.storages.get(tensor.storage);
    if (!storage) {
      storage = storedBytes(new TensorBytes(tensor.storage));
      this.storages.set(tensor.storage, storage);
    }
    return {
      dtype: tensor.dtype,
      shape: tensor.shape,
      strides: stridesOf(tensor.shape, tensor.memoryFormat),
      offset: 0,
      storage,
      requiresGrad: tensor.requiresGrad && tensor.isLeaf,
    };
  }
}

/** What may be saved: tensors, and those of files. */
export type Savable = Tensor | StoredTensor;

export const isStored = (value: unknown): value is StoredTensor =>
  typeof value === 'object' && value !== null && 'strides' in value && 'storage' in value && !(value instanceof Tensor);

/** @throws ArgumentTypeError where a value is no tensor; NotImplementedError where it has no values. */
export function requireSavable(operation: string, name: string, value: unknown): asserts value is Savable {
  if (!(value instanceof Tensor) && !isStored(value))
    throw new ArgumentTypeError(`[${operation}] expected a tensor as ${JSON.stringify(name)}, got ${shown(value)}`);
  if (value instanceof Tensor) requireReadable(operation, value);
}

/** What a tensor of this type becomes when it is loaded; null: it cannot be. */
export const heldAs = (dtype: StoredDType): DType | null => storedDTypes[dtype].tensor;
