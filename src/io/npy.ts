// NumPy's npy format: a header in Python's notation, and the elements. Source: numpy/lib/_format_impl.py, NEP 1.
import { sizeOf } from '../tensor/shape.ts';
import type { Fail } from './errors.ts';
import { dtypeOfNumpy, type StoredDType, storedDTypes } from './stored_dtype.ts';
import { WindowSource, type ByteSource } from './byte_source.ts';
import { arrayStrides } from './pytorch_tree.ts';
import { checkView, type StoredTensor, storedBytes } from './stored_tensor.ts';

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
export const isNpyStart = (head: Uint8Array): boolean => magic.every((byte, i) => head[i] === byte);

/** NumPy itself refuses longer ones, since parsing them takes time. */
const longestHeader = 65536;

const header =
  /^\{\s*'descr':\s*(?:'([^']*)'|(\[))[\s\S]*?'fortran_order':\s*(True|False)\s*,\s*'shape':\s*\(([\d\sL,]*)\)\s*,?\s*\}\s*$/;

/** The description of an array: its header, which is a dictionary of Python in which keys stand in alphabetical order. */
function parse(text: string, fail: Fail): { dtype: StoredDType; isBigEndian: boolean; isFortran: boolean; shape: number[] } {
  const found = header.exec(text);
  if (!found) throw fail('its header does not describe an array as NumPy does', 10);
  const [, descr, list, fortran, sizes] = found;
  if (list !== undefined) throw fail('it is an array of records; save each of its fields as an array of its own', 10);
  const [, order, code] = /^([<>|=])?(.*)$/.exec(descr)!;
  const dtype = dtypeOfNumpy.get(code);
  if (code.startsWith('O')) throw fail('it is an array of Python objects, which are not plain data; save numbers', 10);
  if (!dtype) throw fail(`its elements are of NumPy's type ${JSON.stringify(descr)}; known are ${[...dtypeOfNumpy.keys()].join(', ')}`, 10);
  const parts = sizes.split(',').map((part) => part.trim().replace(/L$/, ''));
  if (parts.at(-1) === '') parts.pop();
  const shape = parts.map((part) => (/^\d{1,15}$/.test(part) ? Number(part) : Number.NaN));
  if (shape.some(Number.isNaN)) throw fail(`its shape is (${sizes.trim()})`, 10);
  return { dtype, isBigEndian: order === '>', isFortran: fortran === 'True', shape };
}

/** Reads the description of an array; its elements stay where they are. */
export async function readNpy(source: ByteSource, name: string, start: number | null, fail: Fail): Promise<StoredTensor> {
  const head = await source.read(0, Math.min(source.size, 12));
  if (!isNpyStart(head) || head.length < 10) throw fail(`${name === '' ? 'it' : JSON.stringify(name)} is no array of NumPy`, start ?? 0);
  const [major] = head.subarray(6);
  if (major < 1 || major > 3) throw fail(`it is of version ${major} of NumPy's format; known are 1 to 3`, start ?? 6);
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  if (major > 1 && head.length < 12) throw fail('its header is missing: the file is truncated', start);
  const textStart = major === 1 ? 10 : 12;
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > longestHeader || textStart + length > source.size)
    throw fail(`its header of ${length} bytes is too long: the file is truncated or damaged`, start ?? 8);
  const bytes = await source.read(textStart, textStart + length);
  const text = new TextDecoder(major === 3 ? 'utf-8' : 'latin1').decode(bytes);
  const { dtype, isBigEndian, isFortran, shape } = parse(text, fail);
  const data = new WindowSource(source, textStart + length, source.size);
  const expected = sizeOf(shape) * storedDTypes[dtype].size;
  if (expected !== data.size)
    throw fail(`an array of ${dtype} and shape [${shape.join(', ')}] needs ${expected} bytes, but ${data.size} follow its header`, start ?? textStart);
  const storage = { ...storedBytes(data, start), isBigEndian };
  const tensor = { dtype, shape, strides: arrayStrides(shape, isFortran), offset: 0, storage };
  checkView(tensor, name, source.size, fail);
  return tensor;
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
