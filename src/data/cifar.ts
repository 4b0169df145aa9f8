// CIFAR-10 and CIFAR-100 from the files of their binary version. Node only.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { shown } from '../checks.ts';
import { ArgumentTypeError } from '../errors.ts';
import { DataFormatError, unreadable } from './errors.ts';
import type { ImageSet, ImageSplit } from './image_set.ts';

const SIDE = 32;
/** Red, then green, then blue, row by row. */
const PIXELS = 3 * SIDE * SIDE;
const CIFAR10 = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'];
const CIFAR100 = `
  apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
  caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
  forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
  mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
  possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
  sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
  willow_tree wolf woman worm`
  .trim()
  .split(/\s+/);

/**
 * CIFAR-10: 50,000 training and 10,000 test images of 32 × 32 coloured pixels in 10 classes, from a folder with the
 * files of its binary version, `data_batch_1.bin` … `data_batch_5.bin` and `test_batch.bin`, in the original order
 * (torchvision: `datasets.CIFAR10`). Nothing is downloaded.
 * @throws DataFormatError, naming the file, where one is missing or damaged.
 *
 * Source: Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images".
 */
export function loadCifar10(folder: string): ImageSet {
  const train = [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`);
  return readCifar('loadCifar10', folder, { train, test: ['test_batch.bin'] }, 10_000, 0, CIFAR10);
}

/**
 * CIFAR-100: 50,000 training and 10,000 test images of 32 × 32 coloured pixels in 100 classes, from a folder with the
 * files of its binary version, `train.bin` and `test.bin`, in the original order (torchvision: `datasets.CIFAR100`).
 * Labels are the fine ones. Nothing is downloaded.
 * @throws DataFormatError, naming the file, where one is missing or damaged.
 *
 * Source: Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images".
 */
export function loadCifar100(folder: string): ImageSet {
  return readCifar('loadCifar100', folder, { train: ['train.bin'], test: ['test.bin'] }, undefined, 1, CIFAR100);
}

/**
 * @param perFile how many images each file has; undefined: 50,000 for training, 10,000 for testing.
 * @param before bytes before the label of an image.
 */
function readCifar(
  op: string,
  folder: string,
  files: Record<'train' | 'test', string[]>,
  perFile: number | undefined,
  before: number,
  classes: readonly string[],
): ImageSet {
  if (typeof folder !== 'string')
    throw new ArgumentTypeError(`[${op}] expected a path as folder, got ${shown(folder)}`);
  const read = (names: readonly string[], count: number): ImageSplit => {
    const total = names.length * count;
    const split = { images: new Uint8Array(total * PIXELS), labels: new Uint8Array(total), count: total };
    const record = before + 1 + PIXELS;
    names.forEach((name, part) => {
      const path = join(folder, name);
      const bytes = readBytes(op, path);
      if (bytes.length !== count * record)
        throw new DataFormatError(
          op,
          path,
          `expected ${count * record} bytes, ${count} images of ${record}, got ${bytes.length}`,
        );
      for (let i = 0; i < count; i++) {
        const label = bytes[i * record + before];
        if (label >= classes.length)
          throw new DataFormatError(op, path, `expected labels 0 to ${classes.length - 1}, got ${label} at ${i}`);
        const at = part * count + i;
        split.labels[at] = label;
        split.images.set(bytes.subarray(i * record + before + 1, (i + 1) * record), at * PIXELS);
      }
    });
    return split;
  };
  const train = read(files.train, perFile ?? 50_000);
  const test = read(files.test, perFile ?? 10_000);
  return { train, test, channels: 3, rows: SIDE, columns: SIDE, classes: [...classes], dropped: [] };
}

function readBytes(op: string, path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw unreadable(op, path, cause);
  }
}
