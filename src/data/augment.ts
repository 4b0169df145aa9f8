// Changes to single images before they are batched: to floats, normalized, cropped, flipped. Images are channels × rows
// × columns. Random ones draw what torchvision's transforms draw. Batches and tensors are not handled here.

import { requireInteger, requireNumbers, shown } from '../checks.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { defaultGenerator, type Generator, randint, uniform } from '../tensor/random/index.ts';
import { DataArgumentError, SampleMismatchError } from './errors.ts';
import { type ArraySample, emptyLike, shapeText, type TypedArray } from './sample.ts';

/** Makes an image of an image; never changes its argument. */
export type Transform<I extends TypedArray = TypedArray, O extends TypedArray = I> = (
  image: ArraySample<I>,
) => ArraySample<O>;

/** Channels, rows and columns of an image. */
export function imageSizes(operation: string, image: ArraySample): [channels: number, rows: number, columns: number] {
  if (image.shape.length !== 3) {
    throw new SampleMismatchError(
      `[${operation}] expected an image of channels × rows × columns, got shape ${shapeText(image.shape)}`,
    );
  }
  const [channels, rows, columns] = image.shape;
  const count = channels! * rows! * columns!;
  if (image.data.length !== count)
    throw new SampleMismatchError(
      `[${operation}] expected ${count} elements for shape ${shapeText(image.shape)}, got ${image.data.length}`,
    );
  return [channels!, rows!, columns!];
}

/** Applies transforms one after the other. Source: `torchvision.transforms.Compose`. */
export function compose(...transforms: Transform<never, TypedArray>[]): Transform<TypedArray, TypedArray> {
  return (image) =>
    transforms.reduce<ArraySample>((result, transform) => (transform as Transform<TypedArray>)(result), image);
}

/** Bytes 0 … 255 to float32 0 … 1. Source: the scaling in `torchvision.transforms.ToTensor`. */
export function toFloat(): Transform<Uint8Array, Float32Array> {
  return ({ data, shape }) => {
    const result = new Float32Array(data.length);
    for (let i = 0; i < data.length; i++) result[i] = data[i]! / 255;
    return { data: result, shape: [...shape] };
  };
}

/**
 * (x - mean) / std per channel, in float32; one value serves all channels.
 *
 * Throws DataArgumentError if a std is not positive, SampleMismatchError if the number of channels differs.
 * Source: `torchvision.transforms.Normalize`.
 */
export function normalize(mean: readonly number[], std: readonly number[]): Transform<Float32Array> {
  return normalizeFor('normalize', mean, std);
}

/** `normalize` as part of another transform. @param op what errors name. */
export function normalizeFor(op: string, mean: readonly number[], std: readonly number[]): Transform<Float32Array> {
  requireNumbers(op, 'mean', mean);
  requireNumbers(op, 'std', std);
  if (std.some((value) => !(value > 0))) {
    throw new DataArgumentError(`[${op}] expected every std above 0, got ${shapeText(std)}`);
  }
  return (image) => {
    const [channels, rows, columns] = imageSizes(op, image);
    for (const [name, list] of [
      ['mean', mean],
      ['std', std],
    ] as const) {
      if (list.length !== 1 && list.length !== channels) {
        throw new SampleMismatchError(
          `[${op}] expected ${name} of 1 value${channels === 1 ? '' : ` or ${channels}`} (one per channel), got ${list.length}`,
        );
      }
    }
    const data = new Float32Array(image.data.length);
    const size = rows * columns;
    for (let c = 0; c < channels; c++) {
      const m = Math.fround(mean[mean.length === 1 ? 0 : c]!);
      const s = Math.fround(std[std.length === 1 ? 0 : c]!);
      for (let i = c * size; i < (c + 1) * size; i++) data[i] = Math.fround(image.data[i]! - m) / s;
    }
    return { data, shape: [...image.shape] };
  };
}

/** Where a window of so many pixels begins at the centre; half a pixel goes to the even side, as Python rounds. */
export function centerOffset(size: number, window: number): number {
  const half = (size - window) / 2;
  const low = Math.floor(half);
  return low === half || low % 2 === 0 ? low : low + 1;
}

/**
 * The window of `size` (rows and columns, or one number for both) at the image's centre; where the image is smaller, it
 * gets zeros around it.
 *
 * Source: `torchvision.transforms.v2.CenterCrop`.
 */
export function centerCrop<T extends TypedArray>(
  size: number | readonly [rows: number, columns: number],
): Transform<T> {
  const [cropRows, cropColumns] = cropSizes('centerCrop', size);
  return (image) => {
    const [, rows, columns] = imageSizes('centerCrop', image);
    // The odd pixel of padding comes last.
    const offset = (from: number, to: number) => (to > from ? -Math.floor((to - from) / 2) : centerOffset(from, to));
    return cropped(image, offset(rows, cropRows), offset(columns, cropColumns), cropRows, cropColumns);
  };
}

function cropSizes(operation: string, size: number | readonly [rows: number, columns: number]): [number, number] {
  const [rows, columns] = Array.isArray(size) ? size : [size, size];
  return [requireInteger(operation, 'size', rows, 1), requireInteger(operation, 'size', columns, 1)];
}

/** A window whose first pixel is the image's at (top, left); beyond the image it is 0. */
function cropped<T extends TypedArray>(
  image: ArraySample<T>,
  top: number,
  left: number,
  cropRows: number,
  cropColumns: number,
): ArraySample<T> {
  const [channels, rows, columns] = image.shape as [number, number, number];
  const data = emptyLike(image.data, channels * cropRows * cropColumns);
  const from = Math.max(0, -left);
  const to = Math.min(cropColumns, columns - left);
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < cropRows; y++) {
      const row = y + top;
      if (row < 0 || row >= rows || from >= to) continue;
      const source = (c * rows + row) * columns + left;
      const target = (c * cropRows + y) * cropColumns;
      (data as Float64Array).set((image.data as Float64Array).subarray(source + from, source + to), target + from);
    }
  }
  return { data, shape: [channels, cropRows, cropColumns] };
}

/** Options of `randomCrop`. */
export type RandomCropOptions = {
  /** Rows and columns of zeros added on each side before cropping. Default 0. */
  padding?: number;
  /** What draws. Default: the one that `manualSeed` seeds. */
  generator?: Generator;
};
const generatorKinds = { generator: kind.generator };
const randomCropOptions = declareOptions<RandomCropOptions>({ padding: kind.integer, ...generatorKinds });

/**
 * A random window of `size` (rows and columns, or one number for both), after padding with zeros.
 *
 * Draws the row, then the column; nothing if the window is as large as the padded image. Throws SampleMismatchError if
 * it is larger. Source: `torchvision.transforms.RandomCrop`.
 */
export function randomCrop<T extends TypedArray>(
  size: number | readonly [rows: number, columns: number],
  options: RandomCropOptions = {},
): Transform<T> {
  requireOptions('randomCrop', options, randomCropOptions);
  const [cropRows, cropColumns] = cropSizes('randomCrop', size);
  const { padding = 0, generator = defaultGenerator } = options;
  requireInteger('randomCrop', 'padding', padding, 0);
  return (image) => {
    const [, rows, columns] = imageSizes('randomCrop', image);
    const spareRows = rows + 2 * padding - cropRows;
    const spareColumns = columns + 2 * padding - cropColumns;
    if (spareRows < 0 || spareColumns < 0) {
      // torchvision's text.
      throw new SampleMismatchError(
        `[randomCrop] Required crop size (${cropRows}, ${cropColumns}) is larger than input image size ` +
          `(${rows + 2 * padding}, ${columns + 2 * padding})`,
      );
    }
    const isWhole = spareRows === 0 && spareColumns === 0;
    const top = isWhole ? 0 : drawBelow(spareRows + 1, generator);
    const left = isWhole ? 0 : drawBelow(spareColumns + 1, generator);
    return cropped(image, top - padding, left - padding, cropRows, cropColumns);
  };
}

function drawBelow(end: number, generator: Generator): number {
  return randint(new Int32Array(1), 0, end, generator)[0]!;
}

/** Options of `randomHorizontalFlip`. */
export type RandomFlipOptions = {
  /** What draws. Default: the one that `manualSeed` seeds. */
  generator?: Generator;
};
const randomFlipOptions = declareOptions<RandomFlipOptions>(generatorKinds);

/**
 * Mirrors left and right with probability p, default 0.5; draws once per image. Source:
 * `torchvision.transforms.RandomHorizontalFlip`.
 */
export function randomHorizontalFlip<T extends TypedArray>(p = 0.5, options: RandomFlipOptions = {}): Transform<T> {
  requireOptions('randomHorizontalFlip', options, randomFlipOptions);
  const { generator = defaultGenerator } = options;
  if (!(typeof p === 'number' && p >= 0 && p <= 1))
    throw new DataArgumentError(`[randomHorizontalFlip] expected p from 0 to 1, got ${shown(p)}`);
  return (image) => {
    const [channels, rows, columns] = imageSizes('randomHorizontalFlip', image);
    const data = image.data.slice() as T;
    if (uniform(new Float32Array(1), 0, 1, generator)[0]! < p) {
      for (let row = 0; row < channels * rows; row++) data.subarray(row * columns, (row + 1) * columns).reverse();
    }
    return { data, shape: [...image.shape] };
  };
}
