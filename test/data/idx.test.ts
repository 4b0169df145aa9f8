import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DataFormatError } from '../../src/data/errors.ts';
import { parseIdx } from '../../src/data/idx.ts';

function idx(type: number, shape: number[], write: (view: DataView, at: number) => void, bytes: number): Uint8Array {
  const file = new Uint8Array(4 + 4 * shape.length + bytes);
  const view = new DataView(file.buffer);
  view.setUint8(2, type);
  view.setUint8(3, shape.length);
  shape.forEach((size, axis) => {
    view.setUint32(4 + 4 * axis, size);
  });
  write(view, 4 + 4 * shape.length);
  return file;
}
const bytes = idx(8, [2, 3], (view, at) => new Uint8Array(view.buffer).set([1, 2, 3, 4, 5, 255], at), 6);

describe('parseIdx', () => {
  it('reads bytes with their shape', () => {
    expect(parseIdx(bytes)).toEqual({ data: Uint8Array.of(1, 2, 3, 4, 5, 255), shape: [2, 3] });
  });

  it('reads the big-endian types', () => {
    expect(parseIdx(idx(9, [1], (v, at) => v.setInt8(at, -5), 1)).data).toEqual(Int8Array.of(-5));
    expect(parseIdx(idx(11, [1], (v, at) => v.setInt16(at, -300), 2)).data).toEqual(Int16Array.of(-300));
    expect(parseIdx(idx(12, [1], (v, at) => v.setInt32(at, -70000), 4)).data).toEqual(Int32Array.of(-70000));
    expect(parseIdx(idx(13, [1], (v, at) => v.setFloat32(at, 1.5), 4)).data).toEqual(Float32Array.of(1.5));
    expect(parseIdx(idx(14, [1], (v, at) => v.setFloat64(at, 1e300), 8)).data).toEqual(Float64Array.of(1e300));
  });

  it('reads a view into a larger buffer', () => {
    const larger = new Uint8Array(bytes.length + 9).fill(7);
    larger.set(bytes, 5);
    expect(parseIdx(larger.subarray(5, 5 + bytes.length)).data).toEqual(Uint8Array.of(1, 2, 3, 4, 5, 255));
  });

  it('copies, so that the file buffer can be reused', () => {
    const file = bytes.slice();
    const { data } = parseIdx(file);
    file.fill(0);
    expect(data[5]).toBe(255);
  });

  it('refuses every truncation and every longer file', () => {
    for (let length = 0; length < bytes.length; length++) {
      expect(() => parseIdx(bytes.subarray(0, length), 'a file')).toThrow(/a file: truncated/);
    }
    expect(() => parseIdx(Uint8Array.of(...bytes, 0), 'a file')).toThrow(
      /a file: has bytes after its end: expected 18 bytes for shape \[2, 3\], got 19/,
    );
  });

  it.each([
    [[0, 1, 8, 1, 0, 0, 0, 0], 'two zero bytes, got 0 1'],
    [[0x1f, 0x8b, 8, 0], 'gzip'],
    [[0, 0, 10, 1, 0, 0, 0, 0], 'element type of 8, 9, 11, 12, 13 or 14, got 10'],
    [[0, 0, 8, 0], 'at least one dimension'],
    [[0, 0, 8, 2, 255, 255, 255, 255, 255, 255, 255, 255], 'truncated'],
  ])('refuses %j', (content, text) => {
    expect(() => parseIdx(Uint8Array.from(content))).toThrow(DataFormatError);
    expect(() => parseIdx(Uint8Array.from(content))).toThrow(text);
  });

  it('throws nothing but DataFormatError on arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.boolean(), (content, zeros) => {
        if (zeros) content.fill(0, 0, 2);
        try {
          const { data, shape } = parseIdx(content);
          expect(data.length).toBe(shape.reduce((a, b) => a * b, 1));
        } catch (error) {
          expect(error).toBeInstanceOf(DataFormatError);
        }
      }),
    );
  });
});
