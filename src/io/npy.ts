// NumPy's npy format: a header in Python's notation, and the elements. Source: numpy/lib/_format_impl.py, NEP 1.
import { sizeOf } from '../tensor/shape.ts';
import { type ByteSource, WindowSource } from './byte_source.ts';
import type { Fail } from './errors.ts';
import { arrayStrides } from './pytorch_tree.ts';
import { dtypeOfNumpy, type StoredDType, storedDTypes } from './stored_dtype.ts';
import { type StoredTensor, storedBytes } from './stored_tensor.ts';

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
export const isNpyStart = (head: Uint8Array): boolean => magic.every((byte, i) => head[i] === byte);

/** NumPy itself refuses longer ones, since parsing them takes time. */
const longestHeader = 65536;

const header =
  /^\{\s*'descr':\s*'([^']*)'\s*,\s*'fortran_order':\s*(True|False)\s*,\s*'shape':\s*\(([\d\sL,]*)\)\s*,?\s*\}\s*$/;
/** The type of records is a list of their fields. */
const recordHeader = /^\{\s*'descr':\s*\[/;

/**
 * The description of an array: its header, which is a dictionary of Python in which keys stand in alphabetical order.
 */
function parse(
  text: string,
  fail: Fail,
): { dtype: StoredDType; isBigEndian: boolean; isFortran: boolean; shape: number[] } {
  const found = header.exec(text);
  if (recordHeader.test(text)) throw fail('its elements are records; save each of their fields as an array of its own');
  if (!found) throw fail('the header does not describe an array as NumPy does');
  const [, descr, fortran, sizes] = found;
  const [, order, code] = /^([<>|=])?([\s\S]*)$/.exec(descr)!;
  const dtype = dtypeOfNumpy.get(code);
  if (code.startsWith('O')) throw fail('its elements are Python objects, which are not plain data; save numbers');
  if (!dtype)
    throw fail(
      `its elements are of NumPy's type ${JSON.stringify(descr)}; known are ${[...dtypeOfNumpy.keys()].join(', ')}`,
      10,
    );
  const parts = sizes.split(',').map((part) => part.trim().replace(/L$/, ''));
  if (parts.at(-1) === '') parts.pop();
  const shape = parts.map((part) => (/^\d{1,15}$/.test(part) ? Number(part) : Number.NaN));
  if (shape.some(Number.isNaN)) throw fail(`its shape is (${sizes.trim()})`);
  return { dtype, isBigEndian: order === '>', isFortran: fortran === 'True', shape };
}

/** Bytes within which the description of an array ends. */
export const npyHeadBytes = 12 + longestHeader;

/** What an array's file says of it. */
export interface NpyArray {
  /**
   * With its elements as a storage that begins `dataStart` bytes behind the file's beginning, and must be opened by
   * whoever knows the file.
   */
  readonly tensor: Omit<StoredTensor, 'storage'>;
  readonly isBigEndian: boolean;
  readonly dataStart: number;
}

/**
 * Reads the description of an array.
 * @param head the beginning of the file: all of it, or `npyHeadBytes`.
 * @param start where the file is described in what holds it, for errors; null: it is a file of its own.
 */
export function readNpyHead(
  head: Uint8Array,
  fileSize: number,
  name: string,
  start: number | null,
  fail: Fail,
): NpyArray {
  const what = name === '' ? 'it' : `the member ${JSON.stringify(name)}`;
  if (!isNpyStart(head) || head.length < 12) throw fail(`${what} is no array of NumPy, or truncated`, start ?? 0);
  const [major] = head.subarray(6);
  if (major < 1 || major > 3)
    throw fail(`${what} is of version ${major} of NumPy's format; known are 1 to 3`, start ?? 6);
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const textStart = major === 1 ? 10 : 12;
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const dataStart = textStart + length;
  if (length > longestHeader || dataStart > head.length)
    throw fail(
      `${what} has a header of ${length} bytes, which is too long: the file is truncated or damaged`,
      start ?? 8,
    );
  const text = new TextDecoder(major === 3 ? 'utf-8' : 'latin1').decode(head.subarray(textStart, dataStart));
  const { dtype, isBigEndian, isFortran, shape } = parse(text, (reason) =>
    fail(`${what}: ${reason}`, start ?? textStart),
  );
  const expected = sizeOf(shape) * storedDTypes[dtype].size;
  if (expected !== fileSize - dataStart)
    throw fail(
      `${what} is an array of ${dtype} and shape [${shape.join(', ')}], which needs ${expected} bytes, but ${fileSize - dataStart} follow its header`,
      start ?? dataStart,
    );
  return { tensor: { dtype, shape, strides: arrayStrides(shape, isFortran), offset: 0 }, isBigEndian, dataStart };
}

/** An array in a file of its own. */
export async function readNpy(source: ByteSource, fail: Fail): Promise<StoredTensor> {
  const head = await source.read(0, Math.min(source.size, npyHeadBytes));
  const { tensor, isBigEndian, dataStart } = readNpyHead(head, source.size, '', null, fail);
  const storage = storedBytes(new WindowSource(source, dataStart, source.size), dataStart);
  return { ...tensor, storage: { ...storage, isBigEndian } };
}

/** The bytes in front of the elements of an array in C's order, up to a multiple of 64. */
export function npyHeader({ dtype, shape }: StoredTensor, name: string, fail: Fail): Uint8Array {
  const { numpy, word } = storedDTypes[dtype];
  if (numpy === null) throw fail(`the tensor ${JSON.stringify(name)} is of ${dtype}, which NumPy has none of`);
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '${word === 1 ? '|' : '<'}${numpy}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const total = Math.ceil((10 + text.length + 1) / 64) * 64;
  const bytes = new Uint8Array(total).fill(0x20);
  bytes.set(magic);
  bytes.set([1, 0], 6);
  new DataView(bytes.buffer).setUint16(8, total - 10, true);
  bytes.set(new TextEncoder().encode(text), 10);
  bytes[total - 1] = 10;
  return bytes;
}
