// Files of images: folders of them as PyTorch reads them (golden/image_folder_golden.py), CIFAR's files, grids, and
// what saveImage writes.
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  DataFormatError,
  DataLoader,
  MissingPackageError,
  makeGrid,
  Resize,
  WorkerDataset,
} from '../../src/data/index.ts';
import { ImageFolder, loadCifar10, loadCifar100, readImage, saveImage, splitArrays } from '../../src/data/node.ts';
import { optionalPackage } from '../../src/data/optional_package.ts';
import { type DType, manualSeed, ones, tensor, zeros } from '../../src/index.ts';
import { randint } from '../../src/tensor/random/index.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { image as goldenImage } from './golden_image.ts';

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'evenkeel-images-'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const read = <T>(name: string): T =>
  JSON.parse(gunzipSync(readFileSync(new URL(`../golden/${name}`, import.meta.url))).toString()) as T;
const folder = fileURLToPath(new URL('./fixtures/image_folder', import.meta.url));
const bytesOf = (data: string) => Uint8Array.from(Buffer.from(data, 'base64'));

const next = () => randint(new Int32Array(1), 0, 1000)[0];

describe('ImageFolder', () => {
  const golden = read<{
    classes: string[];
    classToIdx: Record<string, number>;
    samples: { path: string; target: number; shape: number[]; data: string }[];
  }>('image_folder.golden.json.gz');

  test('lists classes and files as PyTorch does', () => {
    const images = new ImageFolder(folder);
    expect([images.classes, images.classToIdx]).toEqual([golden.classes, golden.classToIdx]);
    expect(images.samples.map(([path, target]) => [relative(folder, path), target])).toEqual(
      golden.samples.map(({ path, target }) => [path, target]),
    );
    expect([images.length, images.targets]).toEqual([9, golden.samples.map(({ target }) => target)]);
  });

  test.each(golden.samples.map((sample, i) => [sample.path, i, sample] as const))(
    'reads %s as Pillow does',
    async (_, i, { target, shape, data }) => {
      const [image, label] = await new ImageFolder(folder).get(i);
      expect([image.shape, image.dtype, label]).toEqual([shape, 'uint8', target]);
      expect(image.dataSync()).toEqual(bytesOf(data));
    },
  );

  test('takes transforms, another loader, and other files', async () => {
    const images = new ImageFolder(folder, {
      isValidFile: (path) => path.endsWith('notes.txt') || path.endsWith('.png') || path.endsWith('.jpg'),
      loader: (path) => tensor([[[path.length]]]),
      transform: (image) => image.item(),
      targetTransform: (target) => -target,
    });
    expect(images.length).toBe(7);
    const last = images.samples.at(-1)![0];
    expect([relative(folder, last), await images.get(6)]).toEqual([join('dog', 'notes.txt'), [last.length, -2]]);
  });

  test('is loaded in batches, here and by workers', async () => {
    const images = new ImageFolder(folder, { transform: new Resize([4, 5]) });
    const dataset = new WorkerDataset<[Tensor, number]>({
      module: new URL('./fixtures/folder_module.ts', import.meta.url),
      args: folder,
      length: images.length,
    });
    const batches = async (loader: DataLoader<[Tensor, number]>) => {
      const all: unknown[] = [];
      for await (const [batch, targets] of loader)
        all.push([batch.shape, batch.dtype, batch.toArray(), targets.toArray()]);
      return all;
    };
    const here = await batches(new DataLoader(images, { batchSize: 4 }));
    expect(here.length).toBe(3);
    expect(await batches(new DataLoader(dataset, { batchSize: 4, numWorkers: 2 }))).toEqual(here);
  }, 30_000);

  test('draws in the order of the samples, whichever is read first', async () => {
    let delay = 20;
    const images = new ImageFolder(folder, {
      async loader(path) {
        await new Promise((resolve) => setTimeout(resolve, (delay -= 2)));
        return tensor([[[path.length]]]);
      },
      transform: (image) => [image.item(), next()],
    });
    const draws = (count: number) => Array.from({ length: count }, next);
    manualSeed(3);
    const expected = draws(9);
    manualSeed(3);
    const samples = await Promise.all(images.samples.map((_, i) => images.get(i)));
    expect(samples.map(([[, drawn]]) => drawn)).toEqual(expected);
    expect(samples.map(([[length]]) => length)).toEqual(images.samples.map(([path]) => path.length));
  });

  test('refuses what is no folder of classes', async () => {
    const root = join(scratch, 'folder');
    expect(() => new ImageFolder(root)).toThrow(`[ImageFolder] ${root}: could not be read: ENOENT`);
    mkdirSync(root);
    expect(() => new ImageFolder(root)).toThrow(`Couldn't find any class folder in ${root}.`);
    mkdirSync(join(root, 'b'));
    mkdirSync(join(root, 'a'));
    expect(() => new ImageFolder(root)).toThrow(
      'Found no valid file for the classes a, b. Supported extensions are: .jpg, .jpeg, .png',
    );
    expect(() => new ImageFolder(root, { isValidFile: () => true })).toThrow(
      /Found no valid file for the classes a, b\.$/,
    );
    writeFileSync(join(root, 'a', 'broken.png'), 'no image');
    expect(() => new ImageFolder(root)).toThrow('Found no valid file for the classes b.');
    const images = new ImageFolder(root, { allowEmpty: true });
    expect([images.classes, images.length]).toEqual([['a', 'b'], 1]);
    await expect(images.get(0)).rejects.toThrow(DataFormatError);
    await expect(images.get(0)).rejects.toThrow(`${join(root, 'a', 'broken.png')}: could not be decoded`);
    await expect(images.get(1)).rejects.toThrow('[ImageFolder.get] expected an index from 0 to 0, got 1');
  });

  test('says which package it misses', async () => {
    const missing = optionalPackage('readImage', 'sharp', 'decodes images', () => import('no-such-package' as string));
    await expect(missing).rejects.toThrow(MissingPackageError);
    await expect(missing).rejects.toThrow(
      "[readImage] expected the npm package 'sharp', which decodes images: run npm install sharp (",
    );
  });
});

describe('CIFAR', () => {
  const record = 3073;
  /** A file of empty images, a few of which are not: sparse, so that it takes no room. */
  function file(name: string, count: number, size: number, some: Record<number, number[]>): string {
    const path = join(scratch, name);
    writeFileSync(path, '');
    truncateSync(path, count * size);
    const open = openSync(path, 'r+');
    for (const [i, bytes] of Object.entries(some))
      writeSync(open, Uint8Array.from(bytes), 0, bytes.length, Number(i) * size);
    closeSync(open);
    return path;
  }

  test('10: five files for training, one for testing', () => {
    for (let i = 1; i <= 5; i++) file(`data_batch_${i}.bin`, 10_000, record, { 0: [i, 10 * i], 9999: [9, 1, 2, 3] });
    expect(() => loadCifar10(scratch)).toThrow(`[loadCifar10] ${join(scratch, 'test_batch.bin')}: could not be read`);
    file('test_batch.bin', 10_000, record, { 7: [3, 255] });
    const set = loadCifar10(scratch);
    expect([set.train.count, set.test.count, set.channels, set.rows, set.columns]).toEqual([50_000, 10_000, 3, 32, 32]);
    expect([set.classes.length, set.classes[9]]).toEqual([10, 'truck']);
    expect([0, 9999, 10_000, 49_999].map((i) => set.train.labels[i])).toEqual([1, 9, 2, 9]);
    expect([...set.train.images.subarray(9999 * 3072, 9999 * 3072 + 4)]).toEqual([1, 2, 3, 0]);
    expect([set.test.labels[7], set.test.images[7 * 3072]]).toEqual([3, 255]);
    const [images, labels] = splitArrays(set.test, set);
    expect([images.shape, labels.shape]).toEqual([[10_000, 3, 32, 32], [10_000]]);
    file('data_batch_3.bin', 10_000, record, { 12: [10] });
    expect(() => loadCifar10(scratch)).toThrow('data_batch_3.bin: expected labels 0 to 9, got 10 at 12');
    truncateSync(join(scratch, 'data_batch_3.bin'), 9_999 * record);
    expect(() => loadCifar10(scratch)).toThrow(
      'data_batch_3.bin: expected 30730000 bytes, 10000 images of 3073, got 30726927',
    );
    expect(() => loadCifar10(undefined as never)).toThrow('[loadCifar10] expected a path as folder, got undefined');
  });

  test('100: a coarse label before the fine one', () => {
    file('train.bin', 50_000, record + 1, { 1: [19, 99, 5] });
    file('test.bin', 10_000, record + 1, { 0: [4, 0, 6] });
    const set = loadCifar100(scratch);
    expect([set.train.labels[1], set.train.images[3072], set.test.labels[0], set.test.images[0]]).toEqual([
      99, 5, 0, 6,
    ]);
    expect([set.classes.length, new Set(set.classes).size, set.classes[0], set.classes[99]]).toEqual([
      100,
      100,
      'apple',
      'worm',
    ]);
    expect([...set.classes]).toEqual([...set.classes].sort());
  });
});

describe('makeGrid', () => {
  interface Grid {
    shape: number[];
    dtype: DType;
    options: Record<string, never>;
    out: { shape: number[]; dtype: DType; data: string };
  }
  const { grids } = read<{ grids: Grid[] }>('transforms.golden.json.gz');
  test.each(grids.map((each) => [`${each.shape}, ${JSON.stringify(each.options)}, ${each.dtype}`, each] as const))(
    'of %s',
    (_, { shape, dtype, options, out }) => {
      const grid = makeGrid(goldenImage(shape, dtype), options);
      expect([grid.shape, grid.dtype]).toEqual([out.shape, out.dtype]);
      const bytes = bytesOf(out.data);
      expect(grid.dataSync()).toEqual(dtype === 'uint8' ? bytes : new Float32Array(bytes.buffer));
    },
  );

  test('takes a list, and refuses what are no images', () => {
    const x = goldenImage([3, 4, 6], 'float32');
    expect(makeGrid([x, x]).shape).toEqual([3, 8, 18]);
    expect(() => makeGrid([])).toThrow('[makeGrid] tensor or list of tensors expected');
    expect(() => makeGrid('x' as never)).toThrow('tensor or list of tensors expected');
    expect(() => makeGrid(ones([2]))).toThrow('[makeGrid] expected images of shape [N, C, H, W], got [2]');
    expect(() => makeGrid(x, { valueRange: [1] as never })).toThrow('valueRange has to be an array');
    expect(() => makeGrid(zeros([2, 3, 4, 4], { dtype: 'uint8' }), { normalize: true })).toThrow('expected floats');
  });
});

describe('saveImage', () => {
  test.each([
    ['a grid', goldenImage([3, 3, 4, 6], 'float32'), { nrow: 2 }],
    ['grey floats', goldenImage([1, 5, 7], 'float32'), {}],
    ['bytes', goldenImage([3, 5, 7], 'uint8'), {}],
  ])('writes %s as PNG', async (_, images, options) => {
    const path = join(scratch, 'image.png');
    await saveImage(images, path, options);
    const grid = makeGrid(images, options);
    const bytes = grid.dtype === 'uint8' ? grid : grid.mul(255).add(0.5).clamp(0, 255).to('uint8');
    expect((await readImage(path)).toArray()).toEqual(bytes.toArray());
    expect((await sharp(path).metadata()).format).toBe('png');
  });

  test('writes transparency, and other formats by sharp', async () => {
    const path = join(scratch, 'alpha.png');
    const image = goldenImage([4, 5, 7], 'uint8');
    await saveImage(image, path);
    const { data } = await sharp(path).raw().toBuffer({ resolveWithObject: true });
    expect(new Uint8Array(data)).toEqual(image.permute([1, 2, 0]).dataSync());
    const flat = tensor([0.2, 0.6, 0.9]).reshape([3, 1, 1]).expand([3, 16, 16]);
    for (const ending of ['jpg', 'webp', 'tiff']) {
      const file = join(scratch, `image.${ending}`);
      await saveImage(flat, file);
      const off = (await readImage(file)).to('float32').div(255).sub(flat).abs().amax().item();
      expect(off).toBeLessThan(0.02);
    }
  });

  test('refuses other endings and channels', async () => {
    await expect(saveImage(ones([3, 2, 2]), join(scratch, 'x.gif'))).rejects.toThrow(
      'expected a path that ends in .png, ',
    );
    await expect(saveImage(ones([2, 2, 2]), join(scratch, 'x.png'))).rejects.toThrow('of 1, 3 or 4 channels, got 2');
    await expect(saveImage(ones([3, 2, 2]), 3 as never)).rejects.toThrow('[saveImage] expected a path, got 3');
  });
});
