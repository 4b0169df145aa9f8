// Transforms that move pixels along rows and columns: resizing, cropping, padding, mirroring. Rotations are in
// affine.ts.
import { maxElements, requireChoice, requireInteger, requireNumbers, shown } from '../../checks.ts';
import { ArgumentTypeError, ValueError } from '../../errors.ts';
import { cast } from '../../ops/convert.ts';
import { round } from '../../ops/elementwise.ts';
import { indexSelect } from '../../ops/indexing.ts';
import { pad } from '../../ops/pad.ts';
import { interpolate } from '../../ops/resample.ts';
import { cat, flip, narrow, reshape } from '../../ops/shape_ops.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { fromTypedArrayOn } from '../../tensor/create.ts';
import { isFloat } from '../../tensor/dtype.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { warn } from '../../warnings.ts';
import { SampleMismatchError } from '../errors.ts';
import {
  batched,
  RandomApplyTransform,
  RandomTransform,
  type RandomTransformOptions,
  randomTransformKinds,
  randomTransformOptions,
  requireImage,
  roundEven,
  Transform,
} from './transform.ts';

/** How pixels between pixels are made. */
export type Interpolation = 'nearest' | 'nearestExact' | 'bilinear' | 'bicubic' | 'lanczos';
export const interpolations: readonly Interpolation[] = ['nearest', 'nearestExact', 'bilinear', 'bicubic', 'lanczos'];

/** Rows and columns, or one number for both. */
export type ImageSize = number | readonly [rows: number, columns: number];

/** Rows and columns of `size`. */
export function rowsAndColumns(op: string, size: ImageSize): [rows: number, columns: number] {
  if (Array.isArray(size) && size.length !== 2)
    throw new ValueError(`[${op}] Please provide only two dimensions (h, w) for size.`);
  const [rows, columns] = Array.isArray(size) ? size : [size, size];
  return [requireInteger(op, 'size', rows, 1), requireInteger(op, 'size', columns, 1)];
}

/** Two numbers, of which the first is the smaller one. */
export function requireRange(op: string, name: string, range: unknown): readonly [low: number, high: number] {
  const [low, high, ...rest] = requireNumbers(op, name, range);
  if (high === undefined || rest.length > 0)
    throw new ArgumentTypeError(`[${op}] ${name} should be a sequence of two floats.`);
  return [low, high];
}

// ---- mirroring --------------------------------------------------------------------------------------------------------

/**
 * Mirrors left and right with probability p, default 0.5 (torchvision: `transforms.v2.RandomHorizontalFlip`). Draws
 * once.
 * @example
 * const mirrored = new RandomHorizontalFlip(1)(tensor([[[1, 2, 3]]])); // [[[3, 2, 1]]]
 */
export class RandomHorizontalFlip extends RandomApplyTransform {
  constructor(p = 0.5, options: RandomTransformOptions = {}) {
    requireOptions('RandomHorizontalFlip', options, randomTransformOptions);
    super('RandomHorizontalFlip', p, options);
  }

  protected override change(image: Tensor): Tensor {
    return flip(image, -1);
  }
}

/**
 * Mirrors top and bottom with probability p, default 0.5 (torchvision: `transforms.v2.RandomVerticalFlip`). Draws once.
 * @example
 * const mirrored = new RandomVerticalFlip(1)(tensor([[[1], [2]]])); // [[[2], [1]]]
 */
export class RandomVerticalFlip extends RandomApplyTransform {
  constructor(p = 0.5, options: RandomTransformOptions = {}) {
    requireOptions('RandomVerticalFlip', options, randomTransformOptions);
    super('RandomVerticalFlip', p, options);
  }

  protected override change(image: Tensor): Tensor {
    return flip(image, -2);
  }
}

// ---- resizing ---------------------------------------------------------------------------------------------------------

function requireInterpolation(op: string, interpolation: Interpolation, antialias: boolean): void {
  requireChoice(op, 'interpolation', interpolation, interpolations);
  if (interpolation === 'lanczos' && !antialias) throw new ValueError(`[${op}] lanczos requires antialias: true`);
}

/** An image in another size. */
export function resized(
  image: Tensor,
  [rows, columns]: readonly [rows: number, columns: number],
  interpolation: Interpolation,
  antialias: boolean,
): Tensor {
  if (image.shape.at(-2) === rows && image.shape.at(-1) === columns) return image;
  if (image.size === 0) return reshape(image, [...image.shape.slice(0, -2), rows, columns]);
  const isPlain = interpolation === 'nearest' || interpolation === 'nearestExact';
  return batched(image, (images) => {
    // As in PyTorch, other integers go through float32.
    const isTaken = images.dtype === 'uint8' || isFloat(images.dtype);
    const made = interpolate(isTaken ? images : cast(images, 'float32'), {
      size: [rows, columns],
      mode: interpolation,
      antialias: antialias && !isPlain,
    });
    return isTaken ? made : cast(round(made), images.dtype);
  });
}

/** Options of `Resize`. */
export interface ResizeOptions {
  /** How pixels between pixels are made. Default: `'bilinear'`. */
  interpolation?: Interpolation;
  /** The longer side is at most so long, where `size` is one number or null. Default: null, no limit. */
  maxSize?: number | null;
  /**
   * Whether each pixel of a smaller image is a mean over all that it covers; `'bilinear'`, `'bicubic'`, and
   * `'lanczos'`, which needs it. Default: true.
   */
  antialias?: boolean;
}
const resizeOptions = declareOptions<ResizeOptions>({
  interpolation: kind.choice,
  maxSize: kind.integerOrNull,
  antialias: kind.flag,
});

/**
 * The image in another size: `size` is that of its shorter side, [rows, columns], or null where `maxSize` alone says it
 * (torchvision: `transforms.v2.Resize` of tensors). Bytes stay bytes, and are those that PyTorch computes with AVX2.
 * @throws ValueError on sizes that contradict each other, SampleMismatchError on what is no image.
 * @example
 * const small = new Resize(16)(zeros([3, 32, 48])); // shape [3, 16, 24]
 * const other = new Resize([10, 20], { interpolation: 'bicubic' })(small);
 */
export class Resize extends Transform {
  /** The length of the shorter side, rows and columns, or null. */
  readonly size: ImageSize | null;
  /** How pixels between pixels are made. */
  readonly interpolation: Interpolation;
  /** The most that the longer side may be; null: no limit. */
  readonly maxSize: number | null;
  /** Whether each pixel of a smaller image is a mean over all that it covers. */
  readonly antialias: boolean;

  constructor(size: ImageSize | null, options: ResizeOptions = {}) {
    requireOptions('Resize', options, resizeOptions);
    super();
    const { interpolation = 'bilinear', maxSize = null, antialias = true } = options;
    requireInterpolation('Resize', interpolation, antialias);
    if (maxSize !== null) requireInteger('Resize', 'maxSize', maxSize, 1, maxElements);
    if (Array.isArray(size) ? size.length !== 2 : size === null && maxSize === null)
      throw new ValueError(
        `[Resize] expected size as a number, [rows, columns], or null beside maxSize, got ${shown(size)}`,
      );
    if (size !== null) rowsAndColumns('Resize', size);
    if (Array.isArray(size) && maxSize !== null)
      throw new ValueError(
        '[Resize] maxSize should only be passed if size is null or specifies the length of the smaller edge',
      );
    if (typeof size === 'number' && maxSize !== null && maxSize <= size)
      throw new ValueError(
        `[Resize] maxSize = ${maxSize} must be strictly greater than the requested size for the smaller edge size = ${size}`,
      );
    this.size = size;
    this.interpolation = interpolation;
    this.maxSize = maxSize;
    this.antialias = antialias;
  }

  override transform(image: Tensor): Tensor {
    const [, rows, columns] = requireImage('Resize', image);
    const sizes = resizedSizes('Resize', rows, columns, this.size, this.maxSize);
    return resized(image, sizes, this.interpolation, this.antialias);
  }
}

/** Rows and columns of a resized image. */
export function resizedSizes(
  op: string,
  rows: number,
  columns: number,
  size: ImageSize | null,
  maxSize: number | null,
): [rows: number, columns: number] {
  if (rows === 0 || columns === 0)
    throw new SampleMismatchError(`[${op}] expected an image with pixels, got ${rows} × ${columns}`);
  if (typeof size === 'object' && size !== null) return [size[0], size[1]];
  const [short, long] = [Math.min(rows, columns), Math.max(rows, columns)];
  let [newShort, newLong] =
    size === null ? [Math.trunc((maxSize! * short) / long), maxSize!] : [size, Math.trunc((size * long) / short)];
  if (maxSize !== null && newLong > maxSize)
    [newShort, newLong] = [Math.trunc((maxSize * newShort) / newLong), maxSize];
  if (newShort < 1)
    throw new SampleMismatchError(
      `[${op}] an image of ${rows} × ${columns} would become ${columns <= rows ? `${newLong} × ${newShort}` : `${newShort} × ${newLong}`}`,
    );
  return columns <= rows ? [newLong, newShort] : [newShort, newLong];
}

// ---- cropping ---------------------------------------------------------------------------------------------------------

/** The window of an image whose first pixel is at (top, left); it lies within the image. */
export function cropped(image: Tensor, top: number, left: number, rows: number, columns: number): Tensor {
  return narrow(narrow(image, -2, top, rows), -1, left, columns);
}

/** The window at the image's centre; where the image is smaller, it gets zeros around it. */
export function centerCropped(image: Tensor, [rows, columns]: readonly [rows: number, columns: number]): Tensor {
  const [height, width] = image.shape.slice(-2);
  const [moreRows, moreColumns] = [Math.max(0, rows - height), Math.max(0, columns - width)];
  const ends = (more: number): [number, number] => [Math.floor(more / 2), Math.floor((more + 1) / 2)];
  const larger = moreRows + moreColumns > 0 ? pad(image, [...ends(moreColumns), ...ends(moreRows)]) : image;
  const top = roundEven((height + moreRows - rows) / 2);
  const left = roundEven((width + moreColumns - columns) / 2);
  return cropped(larger, top, left, rows, columns);
}

/**
 * The window of `size` at the image's centre; where the image is smaller, it gets zeros around it (torchvision:
 * `transforms.v2.CenterCrop`).
 * @example
 * const inner = new CenterCrop(24)(zeros([3, 32, 32])); // shape [3, 24, 24]
 */
export class CenterCrop extends Transform {
  /** Rows and columns of the window. */
  readonly size: readonly [rows: number, columns: number];

  constructor(size: ImageSize) {
    super();
    this.size = rowsAndColumns('CenterCrop', size);
  }

  override transform(image: Tensor): Tensor {
    requireImage('CenterCrop', image);
    return centerCropped(image, this.size);
  }
}

/** What new pixels around an image hold. */
export type PaddingMode = 'constant' | 'edge' | 'reflect' | 'symmetric';
const paddingModes: readonly PaddingMode[] = ['constant', 'edge', 'reflect', 'symmetric'];

/** A value for pixels, or one for each channel. */
export type Fill = number | readonly number[];

/** Refuses what is no fill. */
export function requireFill(op: string, fill: unknown): void {
  requireNumbers(op, 'fill', typeof fill === 'number' ? [fill] : fill);
}

/** How many pixels on each side. */
type Sides = readonly [left: number, right: number, top: number, bottom: number];

function sidesOf(op: string, padding: number | readonly number[]): Sides {
  const list = Array.isArray(padding) ? (padding as readonly number[]) : [padding as number];
  if (![1, 2, 4].includes(list.length))
    throw new ValueError(`[${op}] Padding must be an integer or an array of 1, 2 or 4, got ${shown(padding)}.`);
  for (const each of list) requireInteger(op, 'padding', each, 0, maxElements);
  const [left, top = left, right = left, bottom = top] = list;
  return [left, right, top, bottom];
}

/** The image with pixels around it. */
function padded(op: string, image: Tensor, sides: Sides, mode: PaddingMode, fill: Fill): Tensor {
  if (mode === 'symmetric') return mirrored(op, image, sides);
  const values = typeof fill === 'number' ? [fill] : fill;
  const element = (value: number) => (isFloat(image.dtype) ? value : Math.trunc(value));
  if (mode === 'constant' && values.length > 1) {
    const channels = image.shape.at(-3)!;
    if (values.length !== channels)
      throw new ValueError(
        `[${op}] The number of elements in 'fill' cannot broadcast to match the number of channels of the image (${values.length} != ${channels})`,
      );
    const parts = values.map((value, c) => pad(narrow(image, -3, c, 1), sides, { value: element(value) }));
    return cat(parts, -3);
  }
  if (mode !== 'constant' && values.length > 1)
    throw new ValueError(`[${op}] Padding mode '${mode}' is not supported if fill is not scalar`);
  if (mode === 'constant') return pad(image, sides, { value: element(values[0]) });
  return batched(image, (images) => pad(images, sides, { mode: mode === 'edge' ? 'replicate' : 'reflect' }));
}

/** Mirrored at its edges, whose pixels appear twice. */
function mirrored(op: string, image: Tensor, [left, right, top, bottom]: Sides): Tensor {
  const along = (dim: number, before: number, after: number): Tensor => {
    const n = image.shape.at(dim)!;
    if (Math.max(before, after) > n)
      throw new SampleMismatchError(
        `[${op}] expected symmetric padding of at most ${n} pixels, got ${before}, ${after}`,
      );
    const positions = Int32Array.from({ length: before + n + after }, (_, i) => {
      const at = i - before;
      return at < 0 ? -1 - at : at < n ? at : 2 * n - 1 - at;
    });
    return fromTypedArrayOn(image.backend, positions, [positions.length]);
  };
  return indexSelect(indexSelect(image, -2, along(-2, top, bottom)), -1, along(-1, left, right));
}

/** Options of `RandomCrop`. */
export interface RandomCropOptions extends RandomTransformOptions {
  /**
   * Pixels added before cropping: on each side, [left and right, top and bottom], or [left, top, right, bottom]; null
   * for none. Default: null.
   */
  padding?: number | readonly number[] | null;
  /** Whether a smaller image is padded to the window's size, on both sides, instead of refused. Default: false. */
  padIfNeeded?: boolean;
  /** What `'constant'` padding holds: a value, or one for each channel. Default: 0. */
  fill?: Fill;
  /**
   * What the new pixels hold: `fill`, the edge's pixels, or the image mirrored, in which the edge's pixels do not
   * appear again (`'reflect'`) or do (`'symmetric'`). Default: `'constant'`.
   */
  paddingMode?: PaddingMode;
}
const randomCropOptions = declareOptions<RandomCropOptions>({
  padding: kind.numbers,
  padIfNeeded: kind.flag,
  fill: kind.numbers,
  paddingMode: kind.choice,
  ...randomTransformKinds,
});

/**
 * A window of `size` at a random place, after padding (torchvision: `transforms.v2.RandomCrop`). Draws the row, then
 * the column; nothing along a side that the window fills.
 * @throws ValueError where the window is larger than the padded image.
 * @example
 * const shifted = new RandomCrop(32, { padding: 4 })(zeros([3, 32, 32]));
 */
export class RandomCrop extends RandomTransform {
  /** Rows and columns of the window. */
  readonly size: readonly [rows: number, columns: number];
  /** Pixels added on each side. */
  readonly padding: readonly [left: number, right: number, top: number, bottom: number] | null;
  /** Whether a smaller image is padded to the window's size. */
  readonly padIfNeeded: boolean;
  /** What `'constant'` padding holds. */
  readonly fill: Fill;
  /** What the new pixels hold. */
  readonly paddingMode: PaddingMode;

  constructor(size: ImageSize, options: RandomCropOptions = {}) {
    requireOptions('RandomCrop', options, randomCropOptions);
    super(options);
    const { padding = null, padIfNeeded = false, fill = 0, paddingMode = 'constant' } = options;
    this.size = rowsAndColumns('RandomCrop', size);
    this.padding = padding === null ? null : sidesOf('RandomCrop', padding);
    requireChoice('RandomCrop', 'paddingMode', paddingMode, paddingModes);
    requireFill('RandomCrop', fill);
    this.padIfNeeded = padIfNeeded;
    this.fill = fill;
    this.paddingMode = paddingMode;
  }

  override transform(image: Tensor): Tensor {
    const [, height, width] = requireImage('RandomCrop', image);
    let [left, right, top, bottom] = this.padding ?? [0, 0, 0, 0];
    const [rows, columns] = this.size;
    if (this.padIfNeeded) {
      const moreRows = Math.max(0, rows - (height + top + bottom));
      const moreColumns = Math.max(0, columns - (width + left + right));
      [left, right, top, bottom] = [left + moreColumns, right + moreColumns, top + moreRows, bottom + moreRows];
    }
    const [paddedRows, paddedColumns] = [height + top + bottom, width + left + right];
    if (paddedRows < rows || paddedColumns < columns)
      throw new SampleMismatchError(
        `[RandomCrop] Required crop size (${rows}, ${columns}) is larger than ${this.padding ? 'padded ' : ''}input image size (${paddedRows}, ${paddedColumns}).`,
      );
    const at = (room: number) => (room > 0 ? this.drawBelow(room + 1) : 0);
    const row = at(paddedRows - rows);
    const column = at(paddedColumns - columns);
    const isPadded = left + right + top + bottom > 0;
    const larger = isPadded
      ? padded('RandomCrop', image, [left, right, top, bottom], this.paddingMode, this.fill)
      : image;
    return cropped(larger, row, column, rows, columns);
  }
}

/** Options of `RandomResizedCrop`. */
export interface RandomResizedCropOptions extends RandomTransformOptions {
  /** Between which parts of the image's area the crop's lies. Default: [0.08, 1]. */
  scale?: readonly [low: number, high: number];
  /** Between which ratios of columns to rows the crop's lies. Default: [3/4, 4/3]. */
  ratio?: readonly [low: number, high: number];
  /** How pixels between pixels are made. Default: `'bilinear'`. */
  interpolation?: Interpolation;
  /** Whether each pixel of a smaller image is a mean over all that it covers. Default: true. */
  antialias?: boolean;
}
const randomResizedCropOptions = declareOptions<RandomResizedCropOptions>({
  scale: kind.numbers,
  ratio: kind.numbers,
  interpolation: kind.choice,
  antialias: kind.flag,
  ...randomTransformKinds,
});

/**
 * A crop of random area and shape, in the size `size` (torchvision: `transforms.v2.RandomResizedCrop`). Draws area and
 * ratio, up to ten times, until such a crop lies within the image; then its row and its column. If none does, it is the
 * largest at the centre whose ratio is allowed.
 * @example
 * const crop = new RandomResizedCrop(24, { scale: [0.5, 1] })(zeros([3, 32, 48])); // shape [3, 24, 24]
 */
export class RandomResizedCrop extends RandomTransform {
  /** Rows and columns of the result. */
  readonly size: readonly [rows: number, columns: number];
  /** Between which parts of the image's area the crop's lies. */
  readonly scale: readonly [low: number, high: number];
  /** Between which ratios of columns to rows the crop's lies. */
  readonly ratio: readonly [low: number, high: number];
  /** How pixels between pixels are made. */
  readonly interpolation: Interpolation;
  /** Whether each pixel of a smaller image is a mean over all that it covers. */
  readonly antialias: boolean;

  constructor(size: ImageSize, options: RandomResizedCropOptions = {}) {
    requireOptions('RandomResizedCrop', options, randomResizedCropOptions);
    super(options);
    const { scale = [0.08, 1], ratio = [3 / 4, 4 / 3], interpolation = 'bilinear', antialias = true } = options;
    this.size = rowsAndColumns('RandomResizedCrop', size);
    this.scale = requireRange('RandomResizedCrop', 'scale', scale);
    this.ratio = requireRange('RandomResizedCrop', 'ratio', ratio);
    if (scale[0] > scale[1] || ratio[0] > ratio[1])
      warn('[RandomResizedCrop] Scale and ratio should be of kind (min, max)');
    requireInterpolation('RandomResizedCrop', interpolation, antialias);
    this.interpolation = interpolation;
    this.antialias = antialias;
  }

  override transform(image: Tensor): Tensor {
    const [, height, width] = requireImage('RandomResizedCrop', image);
    const { top, left, rows, columns } = this.drawWindow(height, width);
    return resized(cropped(image, top, left, rows, columns), this.size, this.interpolation, this.antialias);
  }

  private drawWindow(height: number, width: number) {
    const [low, high] = this.ratio;
    for (let trial = 0; trial < 10; trial++) {
      const { area, ratio } = drawAreaAndRatio(this.drawUniform.bind(this), height * width, this.scale, this.ratio);
      const columns = roundEven(Math.sqrt(area * ratio));
      const rows = roundEven(Math.sqrt(area / ratio));
      if (!(0 < columns && columns <= width && 0 < rows && rows <= height)) continue;
      const top = this.drawBelow(height - rows + 1);
      return { top, left: this.drawBelow(width - columns + 1), rows, columns };
    }
    const own = width / height;
    const [rows, columns] =
      own < Math.min(low, high)
        ? [roundEven(width / Math.min(low, high)), width]
        : own > Math.max(low, high)
          ? [height, roundEven(height * Math.max(low, high))]
          : [height, width];
    return { top: Math.floor((height - rows) / 2), left: Math.floor((width - columns) / 2), rows, columns };
  }
}

/** An area within parts of the image's, and a ratio, whose logarithm is uniform, in float32. */
export function drawAreaAndRatio(
  drawUniform: (from: number, to: number) => number,
  size: number,
  scale: readonly [low: number, high: number],
  ratio: readonly [low: number, high: number],
): { area: number; ratio: number } {
  const area = size * drawUniform(scale[0], scale[1]);
  const logs = ratio.map((each) => Math.fround(Math.log(Math.fround(each))));
  return { area, ratio: Math.fround(Math.exp(drawUniform(logs[0], logs[1]))) };
}
