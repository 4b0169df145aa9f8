// Transforms that turn, scale, shear and shift images: RandomRotation, RandomAffine. Each pixel of the result is read
// where the inverse transform puts it.
import { requireChoice, requireNumbers } from '../../checks.ts';
import { ArgumentTypeError, ValueError } from '../../errors.ts';
import { cast } from '../../ops/convert.ts';
import { add, lt, mul, round, sub, where } from '../../ops/elementwise.ts';
import { gridSample } from '../../ops/grid_sample.ts';
import { rot90 } from '../../ops/rearranging.ts';
import { cat, reshape, split, stack, unsqueeze } from '../../ops/shape_ops.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { fromTypedArrayOn, fullOn } from '../../tensor/create.ts';
import { type DType, isFloat } from '../../tensor/dtype.ts';
import { sizeOf } from '../../tensor/shape.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { type Fill, requireFill } from './geometry.ts';
import {
  RandomTransform,
  type RandomTransformOptions,
  randomTransformKinds,
  requireImage,
  roundEven,
} from './transform.ts';

/** How rotated images are read: the nearest pixel, or a mean of the four around. */
export type AffineInterpolation = 'nearest' | 'bilinear';
const affineInterpolations: readonly AffineInterpolation[] = ['nearest', 'bilinear'];

type Pair = readonly [number, number];
/** Six numbers: x' = a·x + b·y + c, y' = d·x + e·y + f. */
type Matrix = readonly [a: number, b: number, c: number, d: number, e: number, f: number];

const radians = (degrees: number): number => (degrees * Math.PI) / 180;

/**
 * Where pixels of the result are in the image, both counted from the image's centre: C · RSS⁻¹ · C⁻¹ · T⁻¹ of the
 * centre C, rotation, scale and shear RSS, and the translation T. Source: torchvision's `_get_inverse_affine_matrix`.
 */
function inverseMatrix(center: Pair, angle: number, translate: Pair, scale: number, shear: Pair): Matrix {
  const [turn, shearX, shearY] = [radians(angle), radians(shear[0]), radians(shear[1])];
  const a = Math.cos(turn - shearY) / Math.cos(shearY);
  const b = -(a * Math.tan(shearX) + Math.sin(turn));
  const c = Math.sin(turn - shearY) / Math.cos(shearY);
  const d = Math.cos(turn) - c * Math.tan(shearX);
  const [x, y] = [center[0] + translate[0], center[1] + translate[1]];
  const [xx, xy, yx, yy] = [d / scale, -b / scale, -c / scale, a / scale];
  return [xx, xy, center[0] - xx * x - xy * y, yx, yy, center[1] - yx * x - yy * y];
}

/** Rows and columns of an image that holds all of a turned one. */
function sizeOfTurned(matrix: Matrix, rows: number, columns: number): [rows: number, columns: number] {
  const f = Math.fround;
  const [a, b, c, d, e, g] = matrix.map(f);
  const along = (x: number, y: number, by: number, size: number): number => {
    const corners = [
      [-1, -1],
      [-1, 1],
      [1, 1],
      [1, -1],
    ].map(([u, v]) => f(f(f(f(u * columns * 0.5) * x) + f(v * rows * 0.5) * y) + by));
    // In float32, and without what lies behind four decimals, so that 1 + 1e-15 is 1.
    const cut = (value: number) => f(Math.trunc(f(f(value + f(size * 0.5)) * f(1e4))) * f(1e-4));
    return Math.ceil(cut(Math.max(...corners))) - Math.floor(cut(Math.min(...corners)));
  };
  return [along(d, e, g, rows), along(a, b, c, columns)];
}

/**
 * Where each pixel of the result is read, along rows or columns, from −1 to 1: computed as torchvision does it, in
 * float32 too.
 */
function positions(
  image: Tensor,
  dtype: DType,
  [byX, byY, shift]: readonly number[],
  [rows, columns]: Pair,
  size: number,
) {
  const f = dtype === 'float32' ? Math.fround : (x: number) => x;
  const half = f(0.5 * size);
  const [u, v, w] = [byX, byY, shift].map((each) => f(f(each) / half));
  const centred = (count: number, by: number) =>
    Float64Array.from({ length: count }, (_, i) => ((1 - count) * 0.5 + i) * by);
  const across = fromTypedArrayOn(image.backend, centred(columns, u), [1, columns], dtype);
  const down = fromTypedArrayOn(image.backend, centred(rows, v), [rows, 1], dtype);
  return add(add(across, down), w);
}

/** Reads an image where the matrix puts each pixel of the result; outside is `fill`, or 0 where that is null. */
function transformed(
  image: Tensor,
  matrix: Matrix,
  size: Pair,
  interpolation: AffineInterpolation,
  fill: Fill | null,
): Tensor {
  const [channels, rows, columns] = image.shape.slice(-3);
  const shape = [...image.shape.slice(0, -2), ...size];
  const values = typeof fill === 'number' ? [fill] : fill;
  if (values && values.length > 1 && values.length !== channels)
    throw new ValueError(
      `The number of elements in 'fill' cannot broadcast to match the number of channels of the image (${values.length} != ${channels})`,
    );
  if (image.size === 0) return reshape(image, shape);
  const dtype = isFloat(image.dtype) ? image.dtype : 'float32';
  const x = positions(image, dtype, matrix.slice(0, 3), size, columns);
  const y = positions(image, dtype, matrix.slice(3), size, rows);
  const grid = unsqueeze(stack([x, y], -1), 0);
  // All images are read at the same places: one image of all their channels.
  const planes = reshape(cast(image, dtype), [1, sizeOf(image.shape.slice(0, -2)), rows, columns]);
  const result = values
    ? filled(planes, grid, interpolation, values)
    : gridSample(planes, grid, { mode: interpolation });
  const shaped = reshape(result, shape);
  return dtype === image.dtype ? shaped : cast(round(shaped), image.dtype);
}

/** Reads planes with a value for each channel outside of them. */
function filled(planes: Tensor, grid: Tensor, mode: AffineInterpolation, values: readonly number[]): Tensor {
  const [, count, rows, columns] = planes.shape;
  // One plane more tells how much of each pixel is inside.
  const inside = fullOn(planes.backend, [1, 1, rows, columns], 1, planes.dtype);
  const [read, cover] = split(gridSample(cat([planes, inside], 1), grid, { mode }), [count, 1], 1);
  const outside = fromTypedArrayOn(
    planes.backend,
    Float64Array.from({ length: count }, (_, i) => values[i % values.length]),
    [1, count, 1, 1],
    planes.dtype,
  );
  if (mode === 'nearest') return where(lt(cover, 0.5), outside, read);
  // As torchvision does it: what lies partly outside is mixed with the fill, although it is mixed with 0 already.
  return add(mul(sub(read, outside), cover), outside);
}

/** A centre in pixels, counted from the image's own. */
function fromCenter(center: readonly number[] | null, rows: number, columns: number): Pair {
  return center ? [center[0] - columns * 0.5, center[1] - rows * 0.5] : [0, 0];
}

function requireAngles(op: string, name: string, angles: number | readonly number[], lengths: readonly number[]) {
  if (typeof angles === 'number') {
    requireNumbers(op, name, [angles]);
    if (angles < 0) throw new ValueError(`[${op}] If ${name} is a single number, it must be positive.`);
    return [-angles, angles];
  }
  return requireLength(op, name, angles, lengths);
}

function requireLength(op: string, name: string, values: unknown, lengths: readonly number[]): readonly number[] {
  const text = `[${op}] ${name} should be a sequence of length ${lengths.join(' or ')}.`;
  if (!Array.isArray(values)) throw new ArgumentTypeError(text);
  if (!lengths.includes(values.length)) throw new ValueError(text);
  return requireNumbers(op, name, values);
}

/** What RandomRotation and RandomAffine have in common. */
interface AffineOptions extends RandomTransformOptions {
  /** How pixels between pixels are made. Default: `'nearest'`. */
  interpolation?: AffineInterpolation;
  /** What lies outside of the image: a value, one for each channel, or null for 0. Default: 0. */
  fill?: Fill | null;
  /** The centre of rotation in pixels, [x, y] from the upper left corner; null: the image's. Default: null. */
  center?: readonly number[] | null;
}
const affineKinds = {
  interpolation: kind.choice,
  fill: kind.numbers,
  center: kind.numbers,
  ...randomTransformKinds,
};

abstract class AffineTransform extends RandomTransform {
  /** The limits of the angle, in degrees. */
  readonly degrees: readonly number[];
  /** How pixels between pixels are made. */
  readonly interpolation: AffineInterpolation;
  /** What lies outside of the image. */
  readonly fill: Fill | null;
  /** The centre of rotation, [x, y]; null: the image's. */
  readonly center: readonly number[] | null;

  constructor(op: string, degrees: number | readonly number[], options: AffineOptions) {
    super(options);
    const { interpolation = 'nearest', fill = 0, center = null } = options;
    this.degrees = requireAngles(op, 'degrees', degrees, [2]);
    this.interpolation = requireChoice(op, 'interpolation', interpolation, affineInterpolations);
    if (fill !== null) requireFill(op, fill);
    this.fill = fill;
    this.center = center === null ? null : requireLength(op, 'center', center, [2]);
  }
}

/** Options of `RandomRotation`. */
export interface RandomRotationOptions extends AffineOptions {
  /** Whether the result is as large as the turned image, instead of as the image. Default: false. */
  expand?: boolean;
}
const randomRotationOptions = declareOptions<RandomRotationOptions>({ expand: kind.flag, ...affineKinds });

/**
 * Turns an image against the clock, by an angle from [low, high], or from −`degrees` to `degrees` (torchvision:
 * `transforms.v2.RandomRotation`). Draws once.
 * @throws ValueError on a negative number of degrees.
 * @example
 * const turned = new RandomRotation(30, { interpolation: 'bilinear' })(zeros([3, 32, 32]));
 * const upright = new RandomRotation([90, 90], { expand: true })(zeros([3, 32, 48])); // shape [3, 48, 32]
 */
export class RandomRotation extends AffineTransform {
  /** Whether the result is as large as the turned image. */
  readonly expand: boolean;

  constructor(degrees: number | readonly number[], options: RandomRotationOptions = {}) {
    requireOptions('RandomRotation', options, randomRotationOptions);
    super('RandomRotation', degrees, options);
    this.expand = options.expand ?? false;
  }

  override transform(image: Tensor): Tensor {
    const [, rows, columns] = requireImage('RandomRotation', image);
    const drawn = this.drawUniform(this.degrees[0], this.degrees[1]);
    const angle = ((drawn % 360) + 360) % 360;
    if (this.center === null) {
      if (angle === 0) return image;
      // Quarters of a circle move pixels only.
      if (angle === 180 || ((angle === 90 || angle === 270) && (this.expand || rows === columns)))
        return rot90(image, angle / 90, [-2, -1]);
    }
    const matrix = inverseMatrix(fromCenter(this.center, rows, columns), -angle, [0, 0], 1, [0, 0]);
    const size: Pair = this.expand ? sizeOfTurned(matrix, rows, columns) : [rows, columns];
    return transformed(image, matrix, size, this.interpolation, this.fill);
  }
}

/** Options of `RandomAffine`. */
export interface RandomAffineOptions extends AffineOptions {
  /** By which parts of its columns and rows the image moves at most; null: not at all. Default: null. */
  translate?: readonly number[] | null;
  /** The limits of the factor of its size; null: 1. Default: null. */
  scale?: readonly number[] | null;
  /**
   * Degrees of shear along x: from −x to x, or [low, high]; with four numbers, along y between the last two. null:
   * none. Default: null.
   */
  shear?: number | readonly number[] | null;
}
const randomAffineOptions = declareOptions<RandomAffineOptions>({
  translate: kind.numbers,
  scale: kind.numbers,
  shear: kind.numbers,
  ...affineKinds,
});

/**
 * Turns, moves, scales and shears an image at random, keeping its size (torchvision: `transforms.v2.RandomAffine`).
 * Draws the angle, then, where they are given, the translations along x and y, the scale, the shears.
 * @throws ValueError on a negative number of degrees, a translation outside of 0 to 1, a scale that is not above 0.
 * @example
 * const moved = new RandomAffine(10, { translate: [0.1, 0.1], scale: [0.9, 1.1] })(zeros([3, 32, 32]));
 */
export class RandomAffine extends AffineTransform {
  /** By which parts of its columns and rows the image moves at most. */
  readonly translate: readonly number[] | null;
  /** The limits of the factor of its size. */
  readonly scale: readonly number[] | null;
  /** The limits of the shears, in degrees. */
  readonly shear: readonly number[] | null;

  constructor(degrees: number | readonly number[], options: RandomAffineOptions = {}) {
    requireOptions('RandomAffine', options, randomAffineOptions);
    super('RandomAffine', degrees, options);
    const { translate = null, scale = null, shear = null } = options;
    this.translate = translate && requireLength('RandomAffine', 'translate', translate, [2]);
    if (translate?.some((part) => !(part >= 0 && part <= 1)))
      throw new ValueError('[RandomAffine] translation values should be between 0 and 1');
    this.scale = scale && requireLength('RandomAffine', 'scale', scale, [2]);
    if (scale?.some((factor) => factor <= 0)) throw new ValueError('[RandomAffine] scale values should be positive');
    this.shear = shear === null ? null : requireAngles('RandomAffine', 'shear', shear, [2, 4]);
  }

  override transform(image: Tensor): Tensor {
    const [, rows, columns] = requireImage('RandomAffine', image);
    const { degrees, translate, scale, shear } = this;
    const angle = this.drawUniform(degrees[0], degrees[1]);
    const moved = (part: number, size: number) => roundEven(this.drawUniform(-part * size, part * size));
    const by: Pair = translate ? [moved(translate[0], columns), moved(translate[1], rows)] : [0, 0];
    const factor = scale ? this.drawUniform(scale[0], scale[1]) : 1;
    const shearX = shear ? this.drawUniform(shear[0], shear[1]) : 0;
    const shearY = shear?.length === 4 ? this.drawUniform(shear[2], shear[3]) : 0;
    const matrix = inverseMatrix(fromCenter(this.center, rows, columns), angle, by, factor, [shearX, shearY]);
    return transformed(image, matrix, [rows, columns], this.interpolation, this.fill);
  }
}
