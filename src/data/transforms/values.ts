// Transforms of pixels' values, place by place or around each: dtype, normalization, blur, erasing. Colours are in
// color.ts.
import { requireNumbers, shown } from '../../checks.ts';
import { ArgumentTypeError, RuntimeError, ValueError } from '../../errors.ts';
import { setIndex } from '../../ops/brackets.ts';
import { conv2d } from '../../ops/conv.ts';
import { cast, clone } from '../../ops/convert.ts';
import { bitwiseLeftShift, bitwiseRightShift, div, mul, round, sub } from '../../ops/elementwise.ts';
import { pad } from '../../ops/pad.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { fromTypedArrayOn } from '../../tensor/create.ts';
import { type DType, dtypes, isFloat } from '../../tensor/dtype.ts';
import { defaultGenerator, normal } from '../../tensor/random/index.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { warn } from '../../warnings.ts';
import { SampleMismatchError } from '../errors.ts';
import { drawAreaAndRatio, type ImageSize, requireRange, rowsAndColumns } from './geometry.ts';
import {
  batched,
  RandomApplyTransform,
  RandomTransform,
  type RandomTransformOptions,
  randomTransformKinds,
  requireImage,
  roundEven,
  Transform,
} from './transform.ts';

/** Values for channels, as [channels, 1, 1] in the image's dtype. */
function perChannel(image: Tensor, values: readonly number[]): Tensor {
  const data = image.dtype === 'float64' ? Float64Array.from(values) : Float32Array.from(values);
  return fromTypedArrayOn(image.backend, data, [values.length, 1, 1], image.dtype);
}

/**
 * (x − mean) / std for each channel; one value serves all channels (torchvision: `transforms.v2.Normalize`).
 * @throws ValueError on a std of 0, ArgumentTypeError on an image of integers, SampleMismatchError where the number of
 * channels differs.
 * @example
 * const normalized = new Normalize([0.5, 0.5, 0.5], [0.25, 0.25, 0.25])(ones([3, 2, 2])); // all 2
 */
export class Normalize extends Transform {
  /** What is subtracted, per channel. */
  readonly mean: readonly number[];
  /** What is divided by then, per channel. */
  readonly std: readonly number[];

  constructor(mean: readonly number[], std: readonly number[]) {
    super();
    this.mean = [...requireNumbers('Normalize', 'mean', mean)];
    this.std = [...requireStd('Normalize', std)];
  }

  override transform(image: Tensor): Tensor {
    return normalized('Normalize', image, this.mean, this.std);
  }
}

/** Refuses a std of 0. */
export function requireStd(op: string, std: unknown): readonly number[] {
  const values = requireNumbers(op, 'std', std);
  if (values.includes(0)) throw new ValueError(`[${op}] std evaluated to zero, leading to division by zero.`);
  return values;
}

/** (image − mean) / std. */
export function normalized(op: string, image: Tensor, mean: readonly number[], std: readonly number[]): Tensor {
  const [channels] = requireImage(op, image);
  if (!isFloat(image.dtype))
    throw new ArgumentTypeError(`[${op}] Input tensor should be a float tensor. Got ${image.dtype}.`);
  for (const [name, { length }] of Object.entries({ mean, std }))
    if (length !== 1 && length !== channels)
      throw new SampleMismatchError(
        `[${op}] expected ${name} of 1 value${channels === 1 ? '' : ` or ${channels}`} (one per channel), got ${length}`,
      );
  return div(sub(image, perChannel(image, mean)), perChannel(image, std));
}

/** Options of `ToDtype`. */
export interface ToDtypeOptions {
  /**
   * Whether values are scaled as the range of images changes: floats have 0 to 1, integers 0 to their largest value.
   * Default: false.
   */
  scale?: boolean;
}
const toDtypeOptions = declareOptions<ToDtypeOptions>({ scale: kind.flag });

/** The largest value of images of integers, and its bits. */
const integerRanges: Partial<Record<DType, readonly [max: number, bits: number]>> = {
  uint8: [255, 8],
  int32: [2 ** 31 - 1, 31],
  int64: [2 ** 63, 63],
};

/** The largest value of an image's pixels. */
export const largestValue = (dtype: DType): number => integerRanges[dtype]?.[0] ?? 1;

/**
 * The image in another dtype (torchvision: `transforms.v2.ToDtype`).
 * @throws RuntimeError where float32 would have to hold what it cannot: scaled to int32 or int64.
 * @example
 * const floats = new ToDtype('float32', { scale: true })(tensor([[[0, 51, 255]]], { dtype: 'uint8' })); // 0, 0.2, 1
 */
export class ToDtype extends Transform {
  /** The dtype of the result. */
  readonly dtype: DType;
  /** Whether values are scaled. */
  readonly scale: boolean;

  constructor(dtype: DType, options: ToDtypeOptions = {}) {
    requireOptions('ToDtype', options, toDtypeOptions);
    super();
    if (typeof dtype !== 'string' || !Object.hasOwn(dtypes, dtype))
      throw new ValueError(`[ToDtype] expected a dtype, got ${shown(dtype)}`);
    this.dtype = dtype;
    this.scale = options.scale ?? false;
  }

  override transform(image: Tensor): Tensor {
    const { dtype } = this;
    const from = image.dtype;
    if (from === dtype) return image;
    if (!this.scale || (isFloat(from) && isFloat(dtype))) return cast(image, dtype);
    const [most, bits] = integerRanges[isFloat(from) ? dtype : from] ?? [];
    if (most === undefined || bits === undefined)
      throw new ArgumentTypeError(
        `[ToDtype] Number of value bits is only defined for integer dtypes, but got ${isFloat(from) ? dtype : from}.`,
      );
    if (isFloat(from)) {
      if ((from === 'float32' && dtype !== 'uint8') || dtype === 'int64')
        throw new RuntimeError(`[ToDtype] The conversion from ${from} to ${dtype} cannot be performed safely.`);
      // Just below the next integer, so that only 1 itself, and what rounds to it, becomes the largest.
      return cast(mul(image, most + 1 - 1e-3), dtype);
    }
    if (isFloat(dtype)) return mul(cast(image, dtype), 1 / most);
    const shift = (integerRanges[dtype]?.[1] ?? refuseDtype(dtype)) - bits;
    return shift < 0 ? cast(bitwiseRightShift(image, -shift), dtype) : bitwiseLeftShift(cast(image, dtype), shift);
  }
}

function refuseDtype(dtype: DType): never {
  throw new ArgumentTypeError(`[ToDtype] Number of value bits is only defined for integer dtypes, but got ${dtype}.`);
}

/** Options of `GaussianBlur`. */
export interface GaussianBlurOptions extends RandomTransformOptions {
  /** The standard deviation in pixels, or [low, high] between which one is drawn. Default: [0.1, 2]. */
  sigma?: number | readonly number[];
}
const gaussianBlurOptions = declareOptions<GaussianBlurOptions>({ sigma: kind.numbers, ...randomTransformKinds });

/**
 * Each pixel as the mean of those around it, weighted by a Gaussian of random width; `kernelSize` is odd, [columns,
 * rows] or one number for both, and the image is mirrored at its edges (torchvision: `transforms.v2.GaussianBlur`).
 * Draws once, even from a single sigma.
 * @throws ValueError on an even size, or a sigma that is not above 0.
 * @example
 * const blurred = new GaussianBlur(5, { sigma: 1 })(zeros([3, 16, 16]));
 */
export class GaussianBlur extends RandomTransform {
  /** Columns and rows of the kernel, as torchvision has them. */
  readonly kernelSize: readonly [columns: number, rows: number];
  /** The limits of the standard deviation. */
  readonly sigma: readonly [low: number, high: number];

  constructor(kernelSize: ImageSize, options: GaussianBlurOptions = {}) {
    requireOptions('GaussianBlur', options, gaussianBlurOptions);
    super(options);
    const { sigma = [0.1, 2] } = options;
    this.kernelSize = rowsAndColumns('GaussianBlur', kernelSize);
    if (this.kernelSize.some((size) => size % 2 === 0))
      throw new ValueError('[GaussianBlur] Kernel size value should be an odd and positive number.');
    const [low, high = low] = requireNumbers('GaussianBlur', 'sigma', typeof sigma === 'number' ? [sigma] : sigma);
    if (Array.isArray(sigma) && (sigma.length < 1 || sigma.length > 2))
      throw new ValueError(`[GaussianBlur] If sigma is a sequence its length should be 1 or 2. Got ${sigma.length}`);
    if (!(low > 0 && low <= high))
      throw new ValueError(
        `[GaussianBlur] sigma values should be positive and of the form (min, max). Got ${shown([low, high])}`,
      );
    this.sigma = [low, high];
  }

  override transform(image: Tensor): Tensor {
    const [channels] = requireImage('GaussianBlur', image);
    const sigma = this.drawUniform(...this.sigma);
    if (image.size === 0) return image;
    const [columns, rows] = this.kernelSize;
    const [across, down] = [gaussian(columns, sigma), gaussian(rows, sigma)];
    const kernel = Float32Array.from({ length: channels * rows * columns }, (_, i) => {
      const at = i % (rows * columns);
      return down[Math.floor(at / columns)] * across[at % columns];
    });
    const dtype = isFloat(image.dtype) ? image.dtype : 'float32';
    const weight = fromTypedArrayOn(image.backend, kernel, [channels, 1, rows, columns], dtype);
    const ends = [columns >> 1, columns >> 1, rows >> 1, rows >> 1];
    const blurred = batched(cast(image, dtype), (images) =>
      conv2d(pad(images, ends, { mode: 'reflect' }), weight, null, { groups: channels }),
    );
    return dtype === image.dtype ? blurred : cast(round(blurred), image.dtype);
  }
}

/** Weights of a Gaussian, which sum to 1: softmax(−(x / sigma)²), float32 as in torchvision. */
function gaussian(size: number, sigma: number): Float32Array {
  const limit = (size - 1) / (2 * Math.sqrt(2));
  const exponents = Float32Array.from({ length: size }, (_, i) => {
    const x = Math.fround(size === 1 ? -limit : -limit + (2 * limit * i) / (size - 1));
    return -(Math.fround(x / sigma) ** 2);
  });
  const weights = Float32Array.from(exponents, Math.exp);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** Options of `RandomErasing`. */
export interface RandomErasingOptions extends RandomTransformOptions {
  /** Between which parts of the image's area the erased one lies. Default: [0.02, 0.33]. */
  scale?: readonly [low: number, high: number];
  /** Between which ratios of rows to columns it lies. Default: [0.3, 3.3]. */
  ratio?: readonly [low: number, high: number];
  /** What is put there: a value, one for each channel, or normal noise. Default: 0. */
  value?: number | readonly number[] | 'random';
}
const randomErasingOptions = declareOptions<RandomErasingOptions>({
  scale: kind.numbers,
  ratio: kind.numbers,
  value: kind.own,
  ...randomTransformKinds,
});

/**
 * Erases a random rectangle with probability p, default 0.5 (torchvision: `transforms.v2.RandomErasing`). Draws
 * whether, then area and ratio, up to ten times, until the rectangle fits; then the noise, if that is its value, its
 * row and its column. If none fits, nothing is erased.
 *
 * Source: Zhong et al. 2017, arXiv:1708.04896.
 * @throws ValueError on a scale outside of 0 to 1, or where `value` has neither one number nor one for each channel.
 * @example
 * const erased = new RandomErasing(0.25, { value: 'random' })(ones([3, 32, 32]));
 */
export class RandomErasing extends RandomApplyTransform {
  /** Between which parts of the image's area the erased one lies. */
  readonly scale: readonly [low: number, high: number];
  /** Between which ratios of rows to columns it lies. */
  readonly ratio: readonly [low: number, high: number];
  /** What is put there; null: normal noise. */
  readonly value: readonly number[] | null;

  constructor(p = 0.5, options: RandomErasingOptions = {}) {
    requireOptions('RandomErasing', options, randomErasingOptions);
    super('RandomErasing', p, options);
    const { scale = [0.02, 0.33], ratio = [0.3, 3.3], value = 0 } = options;
    this.scale = requireRange('RandomErasing', 'scale', scale);
    this.ratio = requireRange('RandomErasing', 'ratio', ratio);
    if (scale[0] > scale[1] || ratio[0] > ratio[1])
      warn('[RandomErasing] Scale and ratio should be of kind (min, max)');
    if (scale[0] < 0 || scale[1] > 1) throw new ValueError('[RandomErasing] Scale should be between 0 and 1');
    if (typeof value === 'string' && value !== 'random')
      throw new ValueError("[RandomErasing] If value is a string, it should be 'random'");
    this.value =
      value === 'random' ? null : requireNumbers('RandomErasing', 'value', typeof value === 'number' ? [value] : value);
  }

  protected override change(image: Tensor): Tensor {
    const [channels, height, width] = requireImage('RandomErasing', image);
    if (this.value && this.value.length !== 1 && this.value.length !== channels)
      throw new ValueError(
        `[RandomErasing] If value is a sequence, it should have either a single value or ${channels} (number of inpt channels)`,
      );
    for (let trial = 0; trial < 10; trial++) {
      const { area, ratio } = drawAreaAndRatio(this.drawUniform.bind(this), height * width, this.scale, this.ratio);
      const rows = roundEven(Math.sqrt(area * ratio));
      const columns = roundEven(Math.sqrt(area / ratio));
      if (!(rows < height && columns < width)) continue;
      const size = channels * rows * columns;
      const values = this.value
        ? perChannel(image, this.value)
        : fromTypedArrayOn(image.backend, normal(new Float32Array(size), 0, 1, this.generator ?? defaultGenerator), [
            channels,
            rows,
            columns,
          ]);
      const top = this.drawBelow(height - rows + 1);
      const left = this.drawBelow(width - columns + 1);
      const erased = clone(image);
      if (size > 0)
        setIndex(erased, ['...', `${top}:${top + rows}`, `${left}:${left + columns}`], cast(values, image.dtype));
      return erased;
    }
    return image;
  }
}
