// The safetensors format against bytes made by hand (golden/files_golden.py), and against everything that is not one.

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FileFormatError } from '../../src/io/errors.ts';
import {
  decodeSafetensors,
  encodeSafetensors,
  type SafetensorsDtype,
  type SafetensorsEntry,
} from '../../src/io/safetensors_arrays.ts';

const golden = JSON.parse(readFileSync(new URL('../golden/safetensors.golden.json', import.meta.url), 'utf8')) as {
  written: string;
  withoutMetadata: string;
  none: string;
  readOnly: string;
  halves: string[];
  brains: string[];
};
const bytesOf = (text: string) => Uint8Array.from(Buffer.from(text, 'base64'));

const written: SafetensorsEntry[] = [
  { name: 'mask', dtype: 'BOOL', shape: [3], data: Uint8Array.of(1, 0, 1) },
  {
    name: 'a.weight',
    dtype: 'F32',
    shape: [2, 3],
    data: Float32Array.of(0.5, -1.25, 3, 1e-30, Number.POSITIVE_INFINITY, -0),
  },
  { name: 'größe', dtype: 'F32', shape: [], data: Float32Array.of(7) },
  { name: 'steps', dtype: 'I64', shape: [2], data: BigInt64Array.of(-1n, 2n ** 53n + 1n) },
  { name: 'empty', dtype: 'U8', shape: [0, 4], data: new Uint8Array(0) },
  { name: 'bytes', dtype: 'U8', shape: [5], data: Uint8Array.of(0, 1, 2, 254, 255) },
  { name: 'ints', dtype: 'I32', shape: [3], data: Int32Array.of(1, -2, 2 ** 31 - 1) },
  { name: 'b.double', dtype: 'F64', shape: [1, 2], data: Float64Array.of(0.1, -1e300) },
];
const metadata = { format: 'pt', note: 'a "quoted" ü' };
const byName = (entries: readonly SafetensorsEntry[]) => entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));

describe('against bytes made by hand', () => {
  it('writes them', () => {
    expect(encodeSafetensors(written, metadata)).toEqual(bytesOf(golden.written));
    expect(encodeSafetensors(written.slice(3, 4))).toEqual(bytesOf(golden.withoutMetadata));
    expect(encodeSafetensors([])).toEqual(bytesOf(golden.none));
  });
  it('reads them', () => {
    const decoded = decodeSafetensors(bytesOf(golden.written));
    expect(decoded.metadata).toEqual(metadata);
    const want = written.map((entry) => ({ ...entry, storedDtype: entry.dtype }));
    expect(byName(decoded.entries)).toEqual(byName(want));
    expect(decodeSafetensors(bytesOf(golden.none))).toEqual({ entries: [], metadata: {} });
  });
  it('reads half and brain floats, and values at odd addresses', () => {
    const [half, brain, odd, unaligned] = decodeSafetensors(bytesOf(golden.readOnly)).entries;
    const numbers = (texts: string[]) => Float32Array.from(texts, (text) => Number(text.replace('inf', 'Infinity')));
    expect(half).toMatchObject({ name: 'half', dtype: 'F32', storedDtype: 'F16', shape: [10] });
    expect(half!.data).toEqual(numbers(golden.halves));
    expect(brain).toMatchObject({ name: 'brain', dtype: 'F32', storedDtype: 'BF16', shape: [3, 3] });
    expect(brain!.data).toEqual(numbers(golden.brains));
    expect(odd!.data).toEqual(Uint8Array.of(9));
    expect(unaligned!.data).toEqual(Float32Array.of(2.5));
  });
  it('reads from a Buffer and from the middle of one, and copies', () => {
    const file = bytesOf(golden.written);
    const larger = Buffer.alloc(file.length + 3);
    larger.set(file, 3);
    const { entries } = decodeSafetensors(larger.subarray(3));
    larger.fill(0);
    expect(byName(entries)).toEqual(byName(written.map((entry) => ({ ...entry, storedDtype: entry.dtype }))));
  });
});

describe('refuses', () => {
  const file = (header: string | Uint8Array, payload = 0) => {
    const json = typeof header === 'string' ? new TextEncoder().encode(header) : header;
    const bytes = new Uint8Array(8 + json.length + payload);
    new DataView(bytes.buffer).setUint32(0, json.length, true);
    bytes.set(json, 8);
    return bytes;
  };
  const tensor = (dtype: unknown, shape: unknown, offsets: unknown) =>
    JSON.stringify({ dtype, shape, data_offsets: offsets });
  const u8 = (start: number, end: number) => tensor('U8', [end - start], [start, end]);
  const withLength = (length: bigint) => {
    const bytes = new Uint8Array(20);
    new DataView(bytes.buffer).setBigUint64(0, length, true);
    return bytes;
  };

  it.each<[string, Uint8Array, RegExp]>([
    ['an empty file', new Uint8Array(0), /at least 8 bytes, got 0/],
    ['a header beyond the end', withLength(13n), /header of 13 bytes, but only 12 follow/],
    ['an enormous header', withLength(2n ** 63n), /header length 9223372036854775808 exceeds/],
    ['bytes that are no UTF-8', file(Uint8Array.of(0x7b, 0xff, 0x7d)), /not UTF-8/],
    ['a byte order mark', file('\ufeff{}'), /does not start with '{'/],
    ['broken JSON', file('{"a":}'), /not JSON/],
    ['a list as header', file('[]'), /does not start with '{'/],
    ['a repeated name', file(`{"a":${u8(0, 1)},"a":${u8(1, 2)}}`, 2), /has "a" twice/],
    ['a name repeated with escapes', file(`{"a":${u8(0, 1)},"\\u0061" :${u8(1, 2)}}`, 2), /has "a" twice/],
    [
      'a repeated field',
      file('{"a":{"dtype":"U8","dtype":"I32","shape":[1],"data_offsets":[0,1]}}', 1),
      /"dtype" twice/,
    ],
    ['metadata that is no object', file('{"__metadata__":[]}'), /map strings to strings/],
    ['metadata with numbers', file('{"__metadata__":{"a":1}}'), /map strings to strings/],
    ['a tensor that is no object', file('{"a":1}'), /"a" is not described/],
    ['an unknown dtype', file(`{"a":${tensor('F8', [1], [0, 1])}}`, 1), /dtype "F8", which is none of F64/],
    ['an inherited dtype', file(`{"a":${tensor('toString', [1], [0, 1])}}`, 1), /dtype "toString"/],
    ['a negative size', file(`{"a":${tensor('U8', [-1], [0, 1])}}`, 1), /shape \[-1\]/],
    ['a fractional size', file(`{"a":${tensor('U8', [0.5], [0, 1])}}`, 1), /shape \[0\.5\]/],
    ['a missing shape', file(`{"a":${tensor('U8', undefined, [0, 1])}}`, 1), /shape undefined/],
    ['a single offset', file(`{"a":${tensor('U8', [1], [0])}}`, 1), /data_offsets \[0\], expected two/],
    ['offsets backwards', file(`{"a":${tensor('U8', [1], [1, 0])}}`, 1), /outside the 1 bytes/],
    ['offsets beyond the end', file(`{"a":${u8(0, 2)}}`, 1), /\[0, 2\] outside the 1 bytes/],
    [
      'an enormous shape',
      file(`{"a":${tensor('F64', [2 ** 40, 2 ** 40], [0, 8])}}`, 8),
      /needs .* bytes, its offsets hold 8/,
    ],
    [
      'an infinite shape times 0',
      file(`{"a":${tensor('U8', [...new Array(30).fill(2 ** 50), 0], [0, 0])}}`),
      /needs NaN bytes/,
    ],
    [
      'a size that does not fit',
      file(`{"a":${tensor('F32', [2], [0, 4])}}`, 4),
      /F32 and shape \[2\] needs 8 bytes, its offsets hold 4/,
    ],
    ['an overlap', file(`{"a":${u8(0, 2)},"b":${u8(1, 3)}}`, 3), /"b" overlaps another tensor at byte 1/],
    ['a gap', file(`{"a":${u8(0, 1)},"b":${u8(2, 3)}}`, 3), /bytes 1 to 2 belong to no tensor/],
    ['bytes behind the last tensor', file(`{"a":${u8(0, 1)}}`, 2), /cover 1 bytes, but 2 follow/],
    ['a bool of 2', Uint8Array.of(...file(`{"a":${tensor('BOOL', [1], [0, 1])}}`), 2), /byte 2 at 0, expected 0 or 1/],
  ])('%s', (_, bytes, text) => {
    expect(() => decodeSafetensors(bytes, 'some/file')).toThrow(FileFormatError);
    expect(() => decodeSafetensors(bytes, 'some/file')).toThrow(text);
    expect(() => decodeSafetensors(bytes, 'some/file')).toThrow('some/file: ');
  });

  it('every truncation', () => {
    const bytes = bytesOf(golden.written);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeSafetensors(bytes.subarray(0, length))).toThrow(FileFormatError);
    }
  });

  it('to throw anything else, whatever the bytes', () => {
    const original = bytesOf(golden.written);
    const attempt = (bytes: Uint8Array) => {
      try {
        decodeSafetensors(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(FileFormatError);
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), attempt));
    const edits = fc.array(fc.tuple(fc.nat(original.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(edits, (list) => {
        const bytes = original.slice();
        for (const [at, value] of list) bytes[at] = value;
        attempt(bytes);
      }),
      { numRuns: 1000 },
    );
  });

  it.each<[string, SafetensorsEntry[], RegExp]>([
    ['equal names', [written[0]!, written[0]!], /unique names, got "mask" again/],
    ['the reserved name', [{ ...written[0]!, name: '__metadata__' }], /unique names/],
    ['a wrong array type', [{ ...written[0]!, dtype: 'F32' }], /"mask" of F32 expected Float32Array, got Uint8Array/],
    ['an unknown dtype', [{ ...written[0]!, dtype: 'F16' as SafetensorsDtype }], /unknown dtype "F16"/],
    ['a wrong shape', [{ ...written[0]!, shape: [2] }], /shape \[2\] does not fit 3 elements/],
    ['a negative shape', [{ ...written[0]!, shape: [-1, -3] }], /does not fit/],
  ])('to write %s', (_, entries, text) => {
    expect(() => encodeSafetensors(entries)).toThrow(FileFormatError);
    expect(() => encodeSafetensors(entries)).toThrow(text);
  });
});

describe('round trip', () => {
  const shape = fc.array(fc.nat(4), { maxLength: 3 });
  const arrays = {
    F32: (raw: Uint8Array) => new Float32Array(raw.buffer),
    F64: (raw: Uint8Array) => new Float64Array(raw.buffer),
    I32: (raw: Uint8Array) => new Int32Array(raw.buffer),
    I64: (raw: Uint8Array) => new BigInt64Array(raw.buffer),
    U8: (raw: Uint8Array) => raw,
    BOOL: (raw: Uint8Array) => raw.map((byte) => byte & 1),
  };
  const sizes = { F32: 4, F64: 8, I32: 4, I64: 8, U8: 1, BOOL: 1 };
  const dtype = fc.constantFrom(...(Object.keys(arrays) as SafetensorsDtype[]));
  const body = fc.tuple(dtype, shape).chain(([type, dims]) => {
    const length = dims.reduce((a, b) => a * b, 1) * sizes[type];
    return fc.uint8Array({ minLength: length, maxLength: length }).map((raw) => ({
      dtype: type,
      shape: dims,
      data: arrays[type](Uint8Array.from(raw)),
    }));
  });
  const name = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('__proto__', '1', '0', 'constructor', '"', '\\', ''),
  );
  it('keeps any names, values and metadata', () => {
    const entries = fc.uniqueArray(fc.tuple(name, body), { selector: ([n]) => n, maxLength: 6 });
    fc.assert(
      fc.property(entries, fc.dictionary(name, fc.string({ unit: 'binary' })), (list, meta) => {
        const input = list.map(([n, rest]) => ({ name: n, ...rest })).filter((entry) => entry.name !== '__metadata__');
        const output = decodeSafetensors(encodeSafetensors(input, meta));
        const raw = (e: SafetensorsEntry) => [e.name, e.dtype, e.shape, new Uint8Array(e.data.slice().buffer)];
        expect(byName(output.entries).map(raw)).toEqual(byName(input).map(raw));
        expect(Object.entries(output.metadata).sort()).toEqual(Object.entries(meta).sort());
      }),
      { numRuns: 300 },
    );
  });
});
