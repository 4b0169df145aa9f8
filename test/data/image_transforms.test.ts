// Resizing, cropping and preparing images as torchvision does (golden/image_transforms_golden.py), and what is refused.
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { CenterCrop, ImageClassification, Resize } from '../../src/data/index.ts';
import { imageArray } from './golden_image.ts';

interface Packed {
  shape: number[];
  data: string;
}
interface ResizeCase {
  shape: number[];
  dtype: 'uint8' | 'float32';
  size: number | [number, number] | null;
  maxSize: number | null;
  interpolation: 'nearest' | 'nearestExact' | 'bilinear' | 'bicubic';
  antialias: boolean;
  out: Packed;
  native?: Packed;
}
interface PresetCase {
  shape: number[];
  dtype: 'uint8' | 'float32';
  options: Record<string, never>;
  out: Packed;
}
interface CropCase {
  shape: number[];
  size: number | [number, number];
  out: Packed;
}
const golden = JSON.parse(
  gunzipSync(readFileSync(new URL('../golden/image_transforms.golden.json.gz', import.meta.url))).toString(),
) as { resize: ResizeCase[]; centerCrop: CropCase[]; presets: PresetCase[] };

const bytesOf = ({ data }: Packed) => Uint8Array.from(Buffer.from(data, 'base64'));
const floatsOf = (packed: Packed) => new Float32Array(bytesOf(packed).buffer);

const differences = (a: ArrayLike<number>, b: ArrayLike<number>) => Array.from(a, (x, i) => Math.abs(x - b[i]));
const most = (values: readonly number[]) => values.reduce((a, b) => Math.max(a, b), 0);

describe('Resize', () => {
  const rows = golden.resize.map((each) => {
    const { shape, size, maxSize, interpolation, antialias, dtype } = each;
    return [`${shape} to ${size}, at most ${maxSize}, ${interpolation}, ${antialias}, ${dtype}`, each] as const;
  });
  test.each(rows)('%s', (_, { shape, dtype, size, maxSize, interpolation, antialias, out, native }) => {
    const given = imageArray(shape, dtype);
    const before = given.data.slice();
    const resize = new Resize(size, { maxSize, interpolation, antialias });
    const result = resize(given);
    expect(given.data).toEqual(before);
    expect(result.shape).toEqual(out.shape);
    expect(result.data.constructor).toBe(given.data.constructor);
    if (dtype === 'float32') {
      // Sums of at most a hundred products of float32 in another order; values are up to 1, cubic weights up to 1.5.
      expect(most(differences(result.data as Float32Array, floatsOf(out)))).toBeLessThan(1e-6);
      return;
    }
    expect(result.data).toEqual(bytesOf(native ?? out));
  });

  test('shrinking by much averages all pixels, also of long thin images', () => {
    const given = { data: Float32Array.from({ length: 1000 }, (_, i) => i % 2), shape: [1, 1, 1000] };
    const { data } = new Resize([1, 1])(given);
    expect(data[0]).toBeCloseTo(0.5, 6);
    const long = { data: new Float32Array(500_000).fill(0.25), shape: [1, 1, 500_000] };
    // PyTorch's weights are float32, and half a million of them sum to a little more than 1.
    expect(new Resize([1, 2])(long).data).toEqual(Float32Array.of(0.25, 0.25 + 5.811453e-6));
    expect(new Resize(1)({ data: new Uint8Array(5000).fill(7), shape: [1, 5000, 1] }).shape).toEqual([1, 5000, 1]);
  });

  test('refuses what is no image, and sizes that contradict each other', () => {
    expect(() => new Resize(8)({ data: new Uint8Array(8), shape: [2, 4] })).toThrow(
      '[Resize] expected an image of channels × rows × columns, got shape [2, 4]',
    );
    expect(() => new Resize(8)({ data: new Uint8Array(0), shape: [3, 0, 5] })).toThrow(
      '[Resize] expected an image with pixels, got 0 × 5',
    );
    expect(() => new Resize(null)).toThrow(
      '[Resize] expected size as a number, [rows, columns], or null beside maxSize',
    );
    expect(() => new Resize([1, 2, 3] as never)).toThrow('[Resize] expected size');
    expect(() => new Resize(8, { maxSize: 8 })).toThrow('[Resize] maxSize = 8 must be strictly greater than');
    expect(() => new Resize([8, 8], { maxSize: 9 })).toThrow('[Resize] maxSize should only be passed if');
    expect(() => new Resize(0)).toThrow('[Resize] expected size of at least 1, got 0');
    expect(() => new Resize('8' as never)).toThrow("[Resize] expected an integer as size, got '8'");
    expect(() => new Resize(8, { interpolation: 'box' as never })).toThrow("or 'lanczos' as interpolation, got 'box'");
    expect(() => new Resize(8, { interpolation: 'lanczos', antialias: false })).toThrow('lanczos requires antialias');
    expect(() => new Resize(null, { maxSize: 1 })({ data: new Uint8Array(30), shape: [1, 10, 3] })).toThrow(
      '[Resize] an image of 10 × 3 would become 1 × 0',
    );
  });
});

test.each(golden.centerCrop.map((each) => [`${each.shape} to ${each.size}`, each] as const))(
  'CenterCrop %s',
  (_, { shape, size, out }) => {
    const result = new CenterCrop(size)(imageArray(shape));
    expect(result.shape).toEqual(out.shape);
    expect(result.data).toEqual(bytesOf(out));
  },
);

test.each(
  golden.presets.map((each) => [`${each.shape}, ${each.dtype}, ${JSON.stringify(each.options)}`, each] as const),
)('ImageClassification %s', (_, { shape, dtype, options, out }) => {
  const names: Record<string, string> = { crop_size: 'cropSize', resize_size: 'resizeSize' };
  const given = Object.fromEntries(Object.entries(options).map(([name, value]) => [names[name] ?? name, value]));
  const { data, shape: size } = new ImageClassification(given as never)(imageArray(shape, dtype));
  expect(size).toEqual(out.shape);
  const expected = floatsOf(out);
  const { std = [0.229] } = options as { std?: number[] };
  const step = 1 / 255 / std[0];
  const off = differences(data as Float32Array, expected);
  // One step of a byte, where a mean lies at a half; else a rounding of float32 on either side.
  const isOff = off.filter(
    (x, i) => x > 4e-7 * Math.max(1, Math.abs(expected[i])) + (dtype === 'uint8' ? 0 : 1e-6 / std[0]),
  );
  expect(isOff.length).toBeLessThanOrEqual(Math.ceil(off.length / 1000));
  expect(most(off)).toBeLessThanOrEqual(step * 1.03);
});

test('ImageClassification refuses what is no image by its own name', () => {
  const prepare = new ImageClassification({ cropSize: 4 });
  for (const [data, shape, message] of [
    [new Uint8Array(8), [2, 4], 'expected an image of channels × rows × columns, got shape [2, 4]'],
    [new Uint8Array(0), [3, 0, 5], 'expected an image with pixels, got 0 × 5'],
    [new Uint8Array(4), [1, 2, 2], 'expected mean of 1 value (one per channel), got 3'],
  ] as const)
    expect(() => prepare({ data, shape } as never)).toThrow(`[ImageClassification] ${message}`);
});
