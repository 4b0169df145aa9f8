// Reads the IDX format of MNIST and its relatives: magic, dimensions, big-endian values.
// Which files make up a data set is not known here; see mnist.ts.

import { DataFormatError } from './errors.ts';
import { type ArraySample, elementCount } from './sample.ts';

/** What an IDX file may hold: uint8, int8, int16, int32, float32 or float64. */
export type IdxArray = ArraySample<Uint8Array | Int8Array | Int16Array | Int32Array | Float32Array | Float64Array>;

type ElementType = {
  bytes: number;
  create: (length: number) => IdxArray['data'];
  read: (view: DataView, at: number) => number;
};

const ELEMENT_TYPES: Record<number, ElementType> = {
  8: { bytes: 1, create: (n) => new Uint8Array(n), read: (view, at) => view.getUint8(at) },
  9: { bytes: 1, create: (n) => new Int8Array(n), read: (view, at) => view.getInt8(at) },
  11: { bytes: 2, create: (n) => new Int16Array(n), read: (view, at) => view.getInt16(at) },
  12: { bytes: 4, create: (n) => new Int32Array(n), read: (view, at) => view.getInt32(at) },
  13: { bytes: 4, create: (n) => new Float32Array(n), read: (view, at) => view.getFloat32(at) },
  14: { bytes: 8, create: (n) => new Float64Array(n), read: (view, at) => view.getFloat64(at) },
};

/**
 * The array in an IDX file's bytes; `source` names the file in errors.
 *
 * The header is two zero bytes, the element type, the number of dimensions and each dimension as a big-endian uint32.
 * Throws DataFormatError if the header is not that, or the length is not exactly what the header promises.
 */
export function parseIdx(bytes: Uint8Array, source = 'IDX data'): IdxArray {
  const fail = (reason: string) => new DataFormatError('parseIdx', source, reason);
  if (bytes.length < 4) throw fail(`truncated: expected a header of at least 4 bytes, got ${bytes.length}`);
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) throw fail('is compressed with gzip; decompress it first');
  if (bytes[0] !== 0 || bytes[1] !== 0) {
    throw fail(`expected an IDX magic number starting with two zero bytes, got ${bytes[0]} ${bytes[1]}`);
  }
  const type = ELEMENT_TYPES[bytes[2]!];
  if (type === undefined) throw fail(`expected an element type of 8, 9, 11, 12, 13 or 14, got ${bytes[2]}`);
  const rank = bytes[3]!;
  if (rank === 0) throw fail('expected at least one dimension, got 0');
  const headerBytes = 4 + 4 * rank;
  if (bytes.length < headerBytes) {
    throw fail(`truncated: expected a header of ${headerBytes} bytes for ${rank} dimensions, got ${bytes.length}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  const count = elementCount(shape);
  // The product may exceed 2^53, but then it also exceeds any length it is compared with.
  const expected = headerBytes + count * type.bytes;
  if (bytes.length !== expected) {
    const problem = bytes.length < expected ? 'truncated' : 'has bytes after its end';
    throw fail(`${problem}: expected ${expected} bytes for shape [${shape.join(', ')}], got ${bytes.length}`);
  }
  const data = type.create(count);
  if (data instanceof Uint8Array) data.set(bytes.subarray(headerBytes));
  else for (let i = 0; i < count; i++) data[i] = type.read(view, headerBytes + i * type.bytes);
  return { data, shape };
}
