// Image transforms, and that their draws are torchvision's: randint for the crop's corner, one uniform for a flip.

import { describe, expect, it } from 'vitest';
import {
  type ArraySample,
  compose,
  DataArgumentError,
  normalize,
  randomCrop,
  randomHorizontalFlip,
  SampleMismatchError,
  toFloat,
} from '../../src/data/index.ts';
import { Generator, randint, uniform } from '../../src/tensor/random/index.ts';

const image = (channels: number, rows: number, columns: number): ArraySample<Uint8Array> => ({
  data: Uint8Array.from({ length: channels * rows * columns }, (_, i) => i + 1),
  shape: [channels, rows, columns],
});

describe('toFloat and normalize', () => {
  it('scales bytes', () => {
    expect(toFloat()({ data: Uint8Array.of(0, 51, 255), shape: [1, 1, 3] })).toEqual({
      data: Float32Array.of(0, 0.2, 1),
      shape: [1, 1, 3],
    });
  });
  it('subtracts and divides per channel', () => {
    const x = { data: Float32Array.of(1, 2, 3, 4), shape: [2, 1, 2] };
    expect(normalize([1, 2], [2, 4])(x).data).toEqual(Float32Array.of(0, 0.5, 0.25, 0.5));
    expect(normalize([1], [2])(x).data).toEqual(Float32Array.of(0, 0.5, 1, 1.5));
    expect(x.data[0]).toBe(1);
    expect(() => normalize([1, 2, 3], [1])(x)).toThrow(/expected mean of 1 value or 2 .*got 3/);
    expect(() => normalize([1, 2, 3], [1])({ data: x.data, shape: [1, 1, 4] })).toThrow(
      'expected mean of 1 value (one per channel), got 3',
    );
    expect(() => normalize([1], [0])).toThrow(DataArgumentError);
    expect(() => normalize([1], [1])({ data: x.data, shape: [4] })).toThrow(SampleMismatchError);
  });
  it('composes', () => {
    const both = compose(toFloat(), normalize([0.5], [0.5]));
    expect(both({ data: Uint8Array.of(0, 255), shape: [1, 1, 2] })).toEqual({
      data: Float32Array.of(-1, 1),
      shape: [1, 1, 2],
    });
  });
});

describe('randomCrop', () => {
  // The definition: pad with zeros, then cut at the drawn corner.
  const reference = (x: ArraySample<Uint8Array>, size: number, padding: number, gen: Generator) => {
    const [channels, rows, columns] = x.shape as [number, number, number];
    const draw = (n: number) => randint(new Int32Array(1), 0, n, gen)[0]!;
    const top = draw(rows + 2 * padding - size + 1);
    const left = draw(columns + 2 * padding - size + 1);
    const pixel = (c: number, y: number, z: number) =>
      y >= 0 && y < rows && z >= 0 && z < columns ? x.data[(c * rows + y) * columns + z]! : 0;
    const data: number[] = [];
    for (let c = 0; c < channels; c++)
      for (let y = 0; y < size; y++)
        for (let z = 0; z < size; z++) data.push(pixel(c, y + top - padding, z + left - padding));
    return Uint8Array.from(data);
  };
  it.each([
    [4, 5, 3, 0],
    [4, 4, 4, 2],
    [3, 6, 5, 4],
    [2, 2, 1, 5],
  ])('cuts windows of a padded image: %i × %i, size %i, padding %i', (rows, columns, size, padding) => {
    const crop = randomCrop<Uint8Array>(size, { padding, generator: new Generator(2) });
    const gen = new Generator(2);
    const x = image(2, rows, columns);
    for (let k = 0; k < 60; k++) {
      const got = crop(x);
      expect(got.shape).toEqual([2, size, size]);
      expect(got.data).toEqual(reference(x, size, padding, gen));
    }
  });
  it('draws nothing when there is nothing to choose', () => {
    const generator = new Generator(1);
    const before = generator.getState();
    expect(randomCrop<Uint8Array>([4, 5], { generator })(image(1, 4, 5))).toEqual(image(1, 4, 5));
    expect(generator.getState()).toEqual(before);
  });
  it('refuses a window larger than the padded image', () => {
    expect(() => randomCrop<Uint8Array>(7, { padding: 1 })(image(1, 4, 8))).toThrow(
      'Required crop size (7, 7) is larger than input image size (6, 10)',
    );
  });
});

describe('randomHorizontalFlip', () => {
  it('mirrors rows where the draw is below p', () => {
    const flip = randomHorizontalFlip<Uint8Array>(0.3, { generator: new Generator(5) });
    const draws = uniform(new Float32Array(50), 0, 1, new Generator(5));
    const x = { data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), shape: [2, 2, 2] };
    const mirrored = Uint8Array.of(2, 1, 4, 3, 6, 5, 8, 7);
    for (const draw of draws) expect(flip(x)).toEqual({ data: draw < 0.3 ? mirrored : x.data, shape: [2, 2, 2] });
    expect(x.data[0]).toBe(1);
    expect(draws.some((draw) => draw < 0.3)).toBe(true);
    expect(() => randomHorizontalFlip(2)).toThrow(DataArgumentError);
  });
});
