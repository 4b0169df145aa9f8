// A folder with the four IDX files of MNIST and its relatives, plain or compressed with gzip. The format itself is in
// idx.ts. Node only.

import { nodeModule } from '../files/node.ts';
import { codeOf } from '../files/processes.ts';
import { DataFormatError, unreadable } from './errors.ts';
import { type IdxArray, parseIdx } from './idx.ts';
import type { ImageSet, ImageSplit } from './image_set.ts';

/**
 * What is in the folder. Labels are below `classes.length`. Throws DataFormatError, naming the file, where it is not
 * that.
 */
export function readIdxSet(op: string, folder: string, classes: readonly string[]): ImageSet {
  const train = readSplit(op, folder, 'train', classes.length);
  const test = readSplit(op, folder, 't10k', classes.length);
  if (train.rows !== test.rows || train.columns !== test.columns) {
    throw new DataFormatError(
      op,
      folder,
      `expected equal image sizes, got ${train.rows} × ${train.columns} and ${test.rows} × ${test.columns}`,
    );
  }
  const { rows, columns } = train;
  return { train: train.split, test: test.split, channels: 1, rows, columns, classes: [...classes], dropped: [] };
}

/** Whether the folder has images for training in this format. */
export function hasIdxSet(folder: string): boolean {
  const { existsSync, join } = { ...nodeModule('hasIdxSet', 'fs'), ...nodeModule('hasIdxSet', 'path') };
  return ['', '.gz'].some((ending) => existsSync(join(folder, `train-images-idx3-ubyte${ending}`)));
}

function readSplit(op: string, folder: string, prefix: string, classes: number) {
  const images = readBytes(op, folder, `${prefix}-images-idx3-ubyte`, 3);
  const labels = readBytes(op, folder, `${prefix}-labels-idx1-ubyte`, 1);
  const [count, rows, columns] = images.shape as [number, number, number];
  if (labels.shape[0] !== count) {
    throw new DataFormatError(op, labels.path, `expected ${count} labels, one per image, got ${labels.shape[0]}`);
  }
  const wrong = labels.data.findIndex((label) => label >= classes);
  if (wrong >= 0) {
    throw new DataFormatError(
      op,
      labels.path,
      `expected labels 0 to ${classes - 1}, got ${labels.data[wrong]} at ${wrong}`,
    );
  }
  const split: ImageSplit = { images: images.data, labels: labels.data, count };
  return { split, rows, columns };
}

function readBytes(op: string, folder: string, name: string, rank: number) {
  const { path, bytes } = readFile(op, folder, name);
  const { data, shape }: IdxArray = parseIdx(bytes, path);
  if (!(data instanceof Uint8Array) || shape.length !== rank) {
    throw new DataFormatError(
      op,
      path,
      `expected ${rank} dimensions of bytes, got ${shape.length} of ${data.constructor.name}`,
    );
  }
  return { path, data, shape };
}

/** The file, or what stands compressed beside its place. */
function readFile(op: string, folder: string, name: string): { path: string; bytes: Uint8Array } {
  const { readFileSync } = nodeModule(op, 'fs');
  const { join } = nodeModule(op, 'path');
  const path = join(folder, name);
  try {
    try {
      return { path, bytes: readFileSync(path) };
    } catch (cause) {
      if (codeOf(cause) !== 'ENOENT') throw cause;
      const compressed = `${path}.gz`;
      if (!nodeModule(op, 'fs').existsSync(compressed)) throw cause;
      return { path: compressed, bytes: nodeModule(op, 'zlib').gunzipSync(readFileSync(compressed)) };
    }
  } catch (cause) {
    throw unreadable(op, path, cause);
  }
}
