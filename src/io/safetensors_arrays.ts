// Arrays as the bytes of a safetensors file and back, at once and in memory: what a checkpoint of a training run is
// made of (train/checkpoint_file.ts). Tensors in files on disk, of all types, are in safetensors_file.ts.

import { type Fail, failing } from './errors.ts';
import type { OwnBytes } from './own_bytes.ts';
import {
  elementsOf,
  headerLength,
  isListOfCounts,
  makeHeader,
  metadataKey,
  parseHeader,
  type SafetensorsInfo,
} from './safetensors_header.ts';
import { convertInto, storedDTypes } from './stored_dtype.ts';

/** Element types that can be written. */
export type SafetensorsDtype = 'F32' | 'F64' | 'I32' | 'I64' | 'U8' | 'BOOL';

/** A named array; BOOL is bytes 0 and 1. */
export type SafetensorsEntry = {
  name: string;
  dtype: SafetensorsDtype;
  shape: number[];
  data: Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;
};

/** A decoded array. F16 and BF16 come as float32: `dtype` is then F32, `storedDtype` what the file holds. */
export type DecodedEntry = SafetensorsEntry & { storedDtype: SafetensorsDtype | 'F16' | 'BF16' };

// Descending alignment, in the order in which the reference implementation writes.
const WRITE_ORDER: SafetensorsDtype[] = ['I64', 'F64', 'F32', 'I32', 'U8', 'BOOL'];
const ARRAYS = {
  F32: Float32Array,
  F64: Float64Array,
  I32: Int32Array,
  I64: BigInt64Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
} as const;
/**
 * A safetensors file of the entries, widest types first and names in order, with string metadata.
 *
 * Throws FileFormatError if a name repeats or is reserved, or data does not fit dtype and shape.
 */
export function encodeSafetensors(
  entries: readonly SafetensorsEntry[],
  metadata: Readonly<Record<string, string>> = {},
): OwnBytes {
  const fail = failing('encodeSafetensors', 'entries');
  const names = new Set<string>();
  for (const { name, dtype, shape, data } of entries) {
    if (name === metadataKey || names.has(name)) throw fail(`expected unique names, got ${JSON.stringify(name)} again`);
    names.add(name);
    if (!WRITE_ORDER.includes(dtype)) throw fail(`${JSON.stringify(name)} has unknown dtype ${JSON.stringify(dtype)}`);
    if (!(data instanceof ARRAYS[dtype])) {
      throw fail(`${JSON.stringify(name)} of ${dtype} expected ${ARRAYS[dtype].name}, got ${data.constructor.name}`);
    }
    if (!isListOfCounts(shape) || elementsOf(shape) !== data.length) {
      throw fail(`${JSON.stringify(name)} of shape [${shape.join(', ')}] does not fit ${data.length} elements`);
    }
  }
  const order = entries.toSorted(
    (a, b) => WRITE_ORDER.indexOf(a.dtype) - WRITE_ORDER.indexOf(b.dtype) || (a.name < b.name ? -1 : 1),
  );

  let end = 0;
  const infos = order.map(({ name, dtype, shape, data }) => {
    const start = end;
    end += data.byteLength;
    return { name, dtype, shape, start, end };
  });
  const header = makeHeader(infos, metadata, fail);
  const bytes = new Uint8Array(header.length + end);
  bytes.set(header);
  let at = header.length;
  for (const { data } of order) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}

/**
 * The arrays, in the order of their bytes, and the metadata of a safetensors file; `source` names it in errors.
 *
 * The arrays are copies. Throws FileFormatError unless header, names, types, shapes and offsets are consistent and the
 * offsets cover all bytes without gap or overlap; nothing is allocated from a number that was not checked against the
 * file's length.
 */
export function decodeSafetensors(
  bytes: Uint8Array,
  source = 'safetensors data',
): { entries: DecodedEntry[]; metadata: Record<string, string> } {
  const fail = failing('decodeSafetensors', source);
  const length = headerLength(bytes, bytes.length, fail);
  const { infos, metadata } = parseHeader(bytes.subarray(8, 8 + length), bytes.length, fail);
  const payload = bytes.subarray(8 + length);
  return { entries: infos.map((info) => readEntry(info, payload, fail)), metadata };
}

function readEntry(info: SafetensorsInfo, payload: Uint8Array, fail: Fail): DecodedEntry {
  const { name, dtype, stored, shape, start, end } = info;
  // A copy, because the file's bytes need not be aligned for the element type. (A Buffer's own slice() would be no
  // copy.)
  const raw = new Uint8Array(payload.subarray(start, end));
  const count = raw.length / storedDTypes[stored].size;
  if (dtype === 'F16' || dtype === 'BF16') {
    const data = new Float32Array(count);
    convertInto(data, raw, stored);
    return { name, dtype: 'F32', storedDtype: dtype, shape, data };
  }
  if (!isArrayDtype(dtype)) throw fail(`${JSON.stringify(name)} has dtype ${dtype}, for which there is no array`);
  if (dtype === 'BOOL') {
    const wrong = raw.findIndex((byte) => byte > 1);
    if (wrong >= 0) throw fail(`${JSON.stringify(name)} of BOOL has byte ${raw[wrong]} at ${wrong}, expected 0 or 1`);
  }
  const data = new ARRAYS[dtype](raw.buffer, 0, count);
  return { name, dtype, storedDtype: dtype, shape, data };
}

const isArrayDtype = (dtype: string): dtype is SafetensorsDtype => Object.hasOwn(ARRAYS, dtype);
