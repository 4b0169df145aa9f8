// Datasets of arrays and of other datasets, samples and collation.

import { describe, expect, it } from 'vitest';
import {
  type ArraySample,
  ConcatDataset,
  DataArgumentError,
  defaultCollate,
  gatherRows,
  isArraySample,
  mapArrays,
  mapDataset,
  rowOf,
  SampleMismatchError,
  Subset,
  stackSamples,
  TensorDataset,
  WorkerDataset,
} from '../../src/data/index.ts';
import { splitArrays } from '../../src/data/node.ts';
import { IndexError } from '../../src/errors.ts';

const floats = (shape: number[], start = 0): ArraySample<Float32Array> => ({
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => start + i),
  shape,
});

describe('TensorDataset', () => {
  it('gives rows as views', () => {
    const images = floats([3, 2, 2]);
    const dataset = new TensorDataset(images, { data: Uint8Array.of(5, 6, 7), shape: [3] });
    expect(dataset.length).toBe(3);
    const [image, label] = dataset.get(1);
    expect(image).toEqual({ data: Float32Array.of(4, 5, 6, 7), shape: [2, 2] });
    expect(label).toEqual({ data: Uint8Array.of(6), shape: [] });
    expect(image.data.buffer).toBe(images.data.buffer);
  });

  it('refuses unequal lengths, scalars, no arrays and indices outside', () => {
    expect(() => new TensorDataset(floats([3, 2]), floats([4]))).toThrow(SampleMismatchError);
    expect(() => new TensorDataset(floats([3, 2]), floats([4]))).toThrow(
      /Size mismatch between tensors.*\[3, 2\], \[4\]/,
    );
    expect(() => new TensorDataset(floats([]))).toThrow(SampleMismatchError);
    expect(() => new TensorDataset()).toThrow(DataArgumentError);
    const dataset = new TensorDataset(floats([3]));
    for (const index of [-1, 3, 0.5, Number.NaN]) expect(() => dataset.get(index)).toThrow(/index from 0 to 2/);
  });
});

describe('ConcatDataset, Subset, mapDataset', () => {
  const letters = (text: string) => ({ length: text.length, get: (index: number) => text[index]! });
  it('joins datasets, empty ones too', () => {
    const joined = new ConcatDataset([letters('ab'), letters(''), letters('cde')]);
    expect(joined.length).toBe(5);
    expect(joined.cumulativeSizes).toEqual([2, 2, 5]);
    expect(Array.from({ length: 5 }, (_, i) => joined.get(i)).join('')).toBe('abcde');
    expect(() => joined.get(5)).toThrow(/ConcatDataset.get.*0 to 4, got 5/);
    expect(() => new ConcatDataset([])).toThrow('datasets should not be an empty iterable');
    const stream = { length: 1, *[Symbol.iterator]() {} };
    expect(() => new ConcatDataset([stream as never])).toThrow('ConcatDataset does not support IterableDataset');
  });
  it('takes parts and changes samples', async () => {
    const part = new Subset(letters('abcde'), [4, 0]);
    expect(mapDataset(part, (letter) => letter.toUpperCase()).get(0)).toBe('E');
    expect(() => part.get(2)).toThrow(IndexError);
    const later = mapDataset({ length: 1, get: async () => 2 }, (x) => x + 1);
    expect(await later.get(0)).toBe(3);
  });
  it('changes samples in the order in which they are asked for, not in which they are read', async () => {
    const slow = {
      length: 6,
      async get(index: number) {
        await new Promise((resolve) => setTimeout(resolve, index === 2 ? 15 : 10 - index));
        if (index === 4) throw new RangeError('sample 4 is broken');
        return index;
      },
    };
    const seen: number[] = [];
    const mapped = mapDataset(slow, (x) => seen.push(x));
    const results = await Promise.allSettled([0, 1, 2, 3, 4, 5].map((index) => mapped.get(index)));
    expect(seen).toEqual([0, 1, 2, 3, 5]);
    expect(results.map(({ status }) => status)).toEqual([...Array(4).fill('fulfilled'), 'rejected', 'fulfilled']);
  });
  it('reads a worker dataset in this thread too', async () => {
    const module = new URL('./fixtures/collate_module.ts', import.meta.url);
    const dataset = new WorkerDataset<number>({ module, length: 4 });
    expect(await dataset.get(3)).toBe(3);
    await expect(dataset.get(4)).rejects.toThrow(IndexError);
    await expect(new WorkerDataset({ module, length: 5 }).get(0)).rejects.toThrow(/of 5 samples, got 4/);
  });
});

describe('samples', () => {
  it('gathers and takes rows', () => {
    const x = floats([3, 2]);
    expect(gatherRows(x, [2, 0, 2])).toEqual({ data: Float32Array.of(4, 5, 0, 1, 4, 5), shape: [3, 2] });
    expect(gatherRows(x, [])).toEqual({ data: new Float32Array(0), shape: [0, 2] });
    for (const index of [3, -1, Number.NaN]) expect(() => gatherRows(x, [0, index])).toThrow(IndexError);
    expect(() => rowOf(x, 3)).toThrow(IndexError);
  });
  it('stacks, and names both shapes when it cannot', () => {
    expect(stackSamples([floats([2]), floats([2], 5)])).toEqual({ data: Float32Array.of(0, 1, 5, 6), shape: [2, 2] });
    expect(() => stackSamples([floats([2, 1]), floats([2, 1]), floats([1, 2])])).toThrow(
      'stack expects each tensor to be equal size, but got [2, 1] at entry 0 and [1, 2] at entry 2',
    );
    expect(() => stackSamples([floats([2]), { data: new Float64Array(2), shape: [2] }])).toThrow(
      /Float32Array at entry 0 and Float64Array at entry 1/,
    );
    expect(() => stackSamples([{ data: new Float32Array(3), shape: [2] }])).toThrow(/expected 2 elements/);
    expect(() => stackSamples([])).toThrow(SampleMismatchError);
  });
  it('knows an ArraySample', () => {
    expect(isArraySample(floats([1]))).toBe(true);
    for (const other of [null, 1, [], { data: [1], shape: [1] }, new Float32Array(1)]) {
      expect(isArraySample(other)).toBe(false);
    }
  });
  it('turns an image split into arrays', () => {
    const split = { images: new Uint8Array(2 * 6), labels: Uint8Array.of(3, 4), count: 2 };
    const [images, labels] = splitArrays(split, { channels: 1, rows: 2, columns: 3 });
    expect(images).toEqual({ data: split.images, shape: [2, 1, 2, 3] });
    expect(labels).toEqual({ data: BigInt64Array.of(3n, 4n), shape: [2] });
  });
});

describe('defaultCollate', () => {
  it('stacks every kind of field', () => {
    const sample = (i: number) => ({
      image: floats([1, 2], i),
      row: Uint8Array.of(i, i),
      label: i,
      score: i / 2,
      id: BigInt(i) << 40n,
      flag: i === 1,
      name: `n${i}`,
      pair: [i, { deep: floats([], i) }] as [number, { deep: ArraySample<Float32Array> }],
    });
    expect(defaultCollate([sample(1), sample(2)])).toEqual({
      image: { data: Float32Array.of(1, 2, 2, 3), shape: [2, 1, 2] },
      row: { data: Uint8Array.of(1, 1, 2, 2), shape: [2, 2] },
      label: { data: BigInt64Array.of(1n, 2n), shape: [2] },
      score: { data: Float64Array.of(0.5, 1), shape: [2] },
      id: { data: BigInt64Array.of(1n << 40n, 2n << 40n), shape: [2] },
      flag: { data: Uint8Array.of(1, 0), shape: [2] },
      name: ['n1', 'n2'],
      pair: [{ data: BigInt64Array.of(1n, 2n), shape: [2] }, { deep: { data: Float32Array.of(1, 2), shape: [2] } }],
    });
  });
  it.each<[unknown[], RegExp]>([
    [[], /at least one sample/],
    [
      [{ x: [floats([1])] }, { x: [floats([2])] }],
      /defaultCollate sample\.x\[0\]\] stack expects.*\[1\] at entry 0 and \[2\] at entry 1/,
    ],
    [[[1, 2], [1]], /each element in list of batch should be of equal size.* 2 at entry 0 and 1 at entry 1/],
    [[{ a: 1 }, { b: 1 }], /a field 'a' in each sample, entry 1 has none/],
    [[1, 'x'], /number at entry 0 and string at entry 1/],
    [[null], /found null/],
    [[() => 1], /found function/],
  ])('refuses %o', (samples, text) => {
    expect(() => defaultCollate(samples)).toThrow(SampleMismatchError);
    expect(() => defaultCollate(samples)).toThrow(text);
  });
  it('maps the arrays of a batch and nothing else', () => {
    const batch = { a: [floats([2]), 'x'], b: new Float64Array(3), c: 5n, d: new Date(0) };
    expect(mapArrays(batch, ({ shape }) => shape)).toEqual({ a: [[2], 'x'], b: [3], c: 5n, d: new Date(0) });
  });
});
