// A folder of images, sorted into classes by its folders. Decoding is in read_image.ts. Node only.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { requireInteger, shown } from '../checks.ts';
import { ArgumentTypeError, IndexError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type Dataset, InOrder } from './dataset.ts';
import { DataFormatError, unreadable } from './errors.ts';
import { readImage } from './read_image.ts';

/** Endings of files that count as images. */
const extensions = ['.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff', '.webp'];

/** Options of `ImageFolder`. */
export interface ImageFolderOptions<T> {
  /** What is done to each image that is read. Default: nothing. */
  transform?: (image: Tensor) => T;
  /** What is done to each label. Default: nothing. */
  targetTransform?: (target: number) => number;
  /** Reads an image, [C, H, W]. Default: `readImage`. */
  loader?: (path: string) => Tensor | Promise<Tensor>;
  /** Which files are images. Default: those that end as image files do. */
  isValidFile?: (path: string) => boolean;
  /** Whether classes may be without images. Default: false. */
  allowEmpty?: boolean;
}
const imageFolderOptions = declareOptions<ImageFolderOptions<unknown>>({
  transform: kind.function,
  targetTransform: kind.function,
  loader: kind.function,
  isValidFile: kind.function,
  allowEmpty: kind.flag,
});

/** As Python sorts: by code points. */
const byCodePoints = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/**
 * Images in folders, `root/dog/a.jpg`, `root/cat/b/c.png`: each folder of `root` is a class, and a sample is an image
 * and the number of its class (torchvision: `datasets.ImageFolder`). Needs the package `sharp`, unless `loader` is
 * given; see `readImage` for what it reads.
 *
 * For workers, make it in a module of its own, as any dataset (`WorkerDataset`).
 * @throws DataFormatError where `root` has no folders, or a class has no images.
 * @example
 * const images = new ImageFolder('test/data/fixtures/image_folder', { transform: new Resize([8, 8]) });
 * for await (const [batch, targets] of new DataLoader(images, { batchSize: 4, shuffle: true }))
 *   console.log(batch.shape, targets.toArray(), images.classes);
 */
export class ImageFolder<T = Tensor> implements Dataset<[image: T, target: number]> {
  /** The folder. */
  readonly root: string;
  /** The names of the classes, sorted. */
  readonly classes: readonly string[];
  /** The number of each class. */
  readonly classToIdx: Readonly<Record<string, number>>;
  /** Path and class of each image, sorted by class, folder and name. */
  readonly samples: readonly (readonly [path: string, target: number])[];
  /** The class of each image. */
  readonly targets: readonly number[];
  readonly #options: ImageFolderOptions<T>;
  readonly #order = new InOrder();

  constructor(root: string, options: ImageFolderOptions<T> = {}) {
    requireOptions('ImageFolder', options as ImageFolderOptions<unknown>, imageFolderOptions);
    if (typeof root !== 'string')
      throw new ArgumentTypeError(`[ImageFolder] expected a path as root, got ${shown(root)}`);
    this.root = root;
    this.#options = options;
    this.classes = entriesOf(root, 'folders').sort(byCodePoints);
    if (this.classes.length === 0)
      throw new DataFormatError('ImageFolder', root, `Couldn't find any class folder in ${root}.`);
    this.classToIdx = Object.fromEntries(this.classes.map((name, i) => [name, i]));
    const isValid = options.isValidFile ?? ((path) => extensions.some((ending) => path.toLowerCase().endsWith(ending)));
    const filesOf = this.classes.map((name) => filesBelow(join(root, name)).filter((path) => isValid(path)));
    const empty = this.classes.filter((_, i) => filesOf[i].length === 0);
    if (empty.length > 0 && !options.allowEmpty) {
      const supported = options.isValidFile ? '' : ` Supported extensions are: ${extensions.join(', ')}`;
      throw new DataFormatError(
        'ImageFolder',
        root,
        `Found no valid file for the classes ${empty.join(', ')}.${supported}`,
      );
    }
    this.samples = filesOf.flatMap((paths, target) => paths.map((path) => [path, target] as const));
    this.targets = this.samples.map(([, target]) => target);
  }

  /** The number of images. */
  get length(): number {
    return this.samples.length;
  }

  /**
   * The image of an index, read and transformed, and its class. Images may be read at once; they are transformed in the
   * order of the calls.
   * @throws IndexError on an index outside, DataFormatError on a file that cannot be decoded.
   */
  async get(index: number): Promise<[image: T, target: number]> {
    requireInteger('ImageFolder.get', 'index', index);
    if (index < 0 || index >= this.length)
      throw new IndexError(`[ImageFolder.get] expected an index from 0 to ${this.length - 1}, got ${index}`);
    const { transform, targetTransform, loader = readImage } = this.#options;
    const [path, target] = this.samples[index];
    return this.#order.after(Promise.resolve(loader(path)), (image) => [
      transform ? transform(image) : (image as T),
      targetTransform ? targetTransform(target) : target,
    ]);
  }
}

/** Names in a folder; links count as what they point to. */
function entriesOf(folder: string, kind: 'folders' | 'files'): string[] {
  try {
    return readdirSync(folder).filter((name) => {
      const found = statSync(join(folder, name), { throwIfNoEntry: false });
      return (found?.isDirectory() ?? false) === (kind === 'folders');
    });
  } catch (cause) {
    throw unreadable('ImageFolder', folder, cause);
  }
}

/** All files of a folder and of those in it, sorted by folder, then by name. */
function filesBelow(folder: string): string[] {
  const folders = [folder];
  for (const each of folders) folders.push(...entriesOf(each, 'folders').map((name) => join(each, name)));
  return folders.sort(byCodePoints).flatMap((each) =>
    entriesOf(each, 'files')
      .sort(byCodePoints)
      .map((name) => join(each, name)),
  );
}
