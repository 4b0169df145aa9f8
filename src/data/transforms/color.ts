// Transforms of colours: grey images, brightness, contrast, saturation, hue. Each step rounds where torchvision's does.
import { requireNumbers, shown } from '../../checks.ts';
import { ArgumentTypeError, ValueError } from '../../errors.ts';
import { repeat } from '../../ops/broadcast.ts';
import { cast } from '../../ops/convert.ts';
import { add, clamp, div, eq, floor, mul, rsub, sub, where } from '../../ops/elementwise.ts';
import { gather, indexSelect } from '../../ops/indexing.ts';
import { amax, amin, mean } from '../../ops/reduce.ts';
import { cat, flatten, narrow, reshape } from '../../ops/shape_ops.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { tensorOn } from '../../tensor/create.ts';
import { isFloat } from '../../tensor/dtype.ts';
import { defaultGenerator, randperm } from '../../tensor/random/index.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import {
  RandomApplyTransform,
  RandomTransform,
  type RandomTransformOptions,
  randomTransformKinds,
  randomTransformOptions,
  requireImage,
  Transform,
} from './transform.ts';
import { largestValue, ToDtype } from './values.ts';

const channel = (image: Tensor, c: number): Tensor => narrow(image, -3, c, 1);
const inThree = (image: Tensor): Tensor => repeat(image, [...image.shape.slice(0, -3).fill(1), 3, 1, 1]);

/** One grey channel, as floats. */
function luma(op: string, image: Tensor): Tensor {
  const [channels] = requireImage(op, image);
  if (channels !== 3)
    throw new ArgumentTypeError(
      `[${op}] Input image tensor permitted channel values are 1 or 3, but found ${channels}`,
    );
  const red = mul(channel(image, 0), 0.2989);
  return add(add(red, channel(image, 1), { alpha: 0.587 }), channel(image, 2), { alpha: 0.114 });
}

/** The image in grey, with one channel or three. */
function grey(op: string, image: Tensor, channels: number): Tensor {
  if (image.shape.at(-3) === 1) return channels === 1 ? image : inThree(image);
  const one = cast(luma(op, image), image.dtype);
  return channels === 1 ? one : inThree(one);
}

/** Options of `Grayscale`. */
export interface GrayscaleOptions {
  /** Channels of the result, 1 or 3. Default: 1. */
  numOutputChannels?: number;
}
const grayscaleOptions = declareOptions<GrayscaleOptions>({ numOutputChannels: kind.integer });

/**
 * A coloured image in grey, 0.2989 red + 0.587 green + 0.114 blue (torchvision: `transforms.v2.Grayscale`).
 * @throws ArgumentTypeError on an image of neither 1 nor 3 channels.
 * @example
 * const grey = new Grayscale()(ones([3, 8, 8])); // shape [1, 8, 8]
 */
export class Grayscale extends Transform {
  /** Channels of the result. */
  readonly numOutputChannels: number;

  constructor(options: GrayscaleOptions = {}) {
    requireOptions('Grayscale', options, grayscaleOptions);
    super();
    const { numOutputChannels = 1 } = options;
    if (numOutputChannels !== 1 && numOutputChannels !== 3)
      throw new ValueError(`[Grayscale] numOutputChannels must be 1 or 3, got ${shown(numOutputChannels)}.`);
    this.numOutputChannels = numOutputChannels;
  }

  override transform(image: Tensor): Tensor {
    requireImage('Grayscale', image);
    return grey('Grayscale', image, this.numOutputChannels);
  }
}

/**
 * An image in grey with probability p, default 0.1; it keeps its number of channels (torchvision:
 * `transforms.v2.RandomGrayscale`). Draws once.
 * @example
 * const perhapsGrey = new RandomGrayscale(0.2)(ones([3, 8, 8])); // shape [3, 8, 8]
 */
export class RandomGrayscale extends RandomApplyTransform {
  constructor(p = 0.1, options: RandomTransformOptions = {}) {
    requireOptions('RandomGrayscale', options, randomTransformOptions);
    super('RandomGrayscale', p, options);
  }

  protected override change(image: Tensor): Tensor {
    return grey('RandomGrayscale', image, image.shape.at(-3)!);
  }
}

/** Values within an image's range, in its dtype. */
const within = (values: Tensor, { dtype }: Tensor): Tensor => cast(clamp(values, 0, largestValue(dtype)), dtype);

/** ratio · image + (1 − ratio) · other. */
const blend = (image: Tensor, other: Tensor, ratio: number): Tensor =>
  within(add(mul(image, ratio), other, { alpha: 1 - ratio }), image);

/** One grey channel as contrast and saturation have it: whole numbers of an image of bytes. */
function wholeLuma(image: Tensor): Tensor {
  const values = luma('ColorJitter', image);
  return isFloat(image.dtype) ? values : floor(values);
}

const brightened = (image: Tensor, factor: number): Tensor => within(mul(image, factor), image);

function contrasted(image: Tensor, factor: number): Tensor {
  const values = image.shape.at(-3) === 3 ? wholeLuma(image) : isFloat(image.dtype) ? image : cast(image, 'float32');
  return blend(image, mean(values, [-3, -2, -1], { keepdim: true }), factor);
}

const saturated = (image: Tensor, factor: number): Tensor =>
  image.shape.at(-3) === 1 ? image : blend(image, wholeLuma(image), factor);

/** The part of a hue behind the point: what fmod and remainder by 1 give, but faster. */
const fraction = (x: Tensor): Tensor => sub(x, floor(x));

const toFloats = new ToDtype('float32', { scale: true });

/** The colours turned by a part of the circle of hues. */
function turned(image: Tensor, factor: number): Tensor {
  if (image.shape.at(-3) === 1 || image.size === 0) return image;
  const [hue, saturation, value] = hsvOf(toFloats.transform(image));
  const rgb = rgbOf(fraction(add(hue, factor)), saturation, value);
  return new ToDtype(image.dtype, { scale: true }).transform(rgb);
}

/** Hue, saturation and value, each from 0 to 1. Source: torchvision's `_rgb_to_hsv`, which is Pillow's. */
function hsvOf(image: Tensor): [hue: Tensor, saturation: Tensor, value: Tensor] {
  const most = amax(image, -3, { keepdim: true });
  const range = sub(most, amin(image, -3, { keepdim: true }));
  const isGrey = eq(range, 0);
  const saturation = div(range, where(isGrey, 1, most));
  const parts = div(sub(most, image), where(isGrey, 1, range));
  const [red, green, blue] = [0, 1, 2].map((c) => channel(parts, c));
  const isRed = eq(most, channel(image, 0));
  const isGreen = eq(most, channel(image, 1));
  // Which channel is the largest says in which third of the circle the hue is.
  const sixths = where(isRed, sub(blue, green), where(isGreen, sub(add(red, 2), blue), sub(add(green, 4), red)));
  return [fraction(add(mul(sixths, 1 / 6), 1)), saturation, most];
}

/** Which of value, p, q and t red, green and blue have in each sixth of the circle. */
const sixthsOfCircle = [0, 2, 1, 1, 3, 0, 3, 0, 0, 2, 1, 1, 1, 1, 3, 0, 0, 2];

/** Source: torchvision's `_hsv_to_rgb`. */
function rgbOf(hue: Tensor, saturation: Tensor, value: Tensor): Tensor {
  const sixths = mul(hue, 6);
  const whole = floor(sixths);
  const rest = mul(saturation, sub(sixths, whole));
  const less = rsub(saturation, 1);
  const unit = (x: Tensor): Tensor => clamp(mul(x, value), 0, 1);
  const candidates = cat([value, unit(less), unit(rsub(rest, 1)), unit(add(rest, less))], -3);
  const sixth = cast(where(eq(whole, 6), 0, whole), 'int64');
  const places = cat([sixth, add(sixth, 6), add(sixth, 12)], -3);
  const table = tensorOn(hue.backend, sixthsOfCircle, 'int64');
  return gather(candidates, -3, reshape(indexSelect(table, 0, flatten(places)), places.shape));
}

/** Options of `ColorJitter`. Each is null for no change. */
export interface ColorJitterOptions extends RandomTransformOptions {
  /** The factor of brightness: from [low, high], or from 1 − x (at least 0) to 1 + x. Default: null. */
  brightness?: number | readonly number[] | null;
  /** The factor of contrast, likewise. Default: null. */
  contrast?: number | readonly number[] | null;
  /** The factor of saturation, likewise. Default: null. */
  saturation?: number | readonly number[] | null;
  /** By which part of the circle hues turn: from [low, high], or from −x to x, within ±0.5. Default: null. */
  hue?: number | readonly number[] | null;
}
const colorJitterOptions = declareOptions<ColorJitterOptions>({
  brightness: kind.numbers,
  contrast: kind.numbers,
  saturation: kind.numbers,
  hue: kind.numbers,
  ...randomTransformKinds,
});

type Range = readonly [low: number, high: number];

function jitter(name: string, value: number | readonly number[] | null, center: number, bound: Range): Range | null {
  if (value === null) return null;
  if (Array.isArray(value) && value.length !== 2)
    throw new ArgumentTypeError(
      `[ColorJitter] ${name}=${shown(value)} should be a single number or a sequence with length 2.`,
    );
  const given = requireNumbers('ColorJitter', name, typeof value === 'number' ? [value] : value);
  let [low, high] = given;
  if (given.length === 1) {
    if (low < 0) throw new ValueError(`[ColorJitter] If ${name} is a single number, it must be non negative.`);
    [low, high] = [Math.max(center - low, bound[0] === 0 ? 0 : Number.NEGATIVE_INFINITY), center + low];
  }
  if (!(bound[0] <= low && low <= high && high <= bound[1]))
    throw new ValueError(
      `[ColorJitter] ${name} values should be between ${shown(bound)} and increasing, but got ${shown([low, high])}.`,
    );
  return low === center && high === center ? null : [low, high];
}

/**
 * Brightness, contrast, saturation and hue changed by random factors, in random order (torchvision:
 * `transforms.v2.ColorJitter`). Draws the order, then a factor for each that changes.
 *
 * Floats are colours from 0 to 1.
 * @throws ValueError on factors below 0 or hues beyond ±0.5, ArgumentTypeError on an image of neither 1 nor 3 channels.
 * @example
 * const jittered = new ColorJitter({ brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 })(ones([3, 8, 8]));
 */
export class ColorJitter extends RandomTransform {
  /** Limits of the factor of brightness; null: no change. */
  readonly brightness: readonly [low: number, high: number] | null;
  /** Limits of the factor of contrast. */
  readonly contrast: readonly [low: number, high: number] | null;
  /** Limits of the factor of saturation. */
  readonly saturation: readonly [low: number, high: number] | null;
  /** Limits of the part of the circle by which hues turn. */
  readonly hue: readonly [low: number, high: number] | null;

  constructor(options: ColorJitterOptions = {}) {
    requireOptions('ColorJitter', options, colorJitterOptions);
    super(options);
    const { brightness = null, contrast = null, saturation = null, hue = null } = options;
    this.brightness = jitter('brightness', brightness, 1, [0, Infinity]);
    this.contrast = jitter('contrast', contrast, 1, [0, Infinity]);
    this.saturation = jitter('saturation', saturation, 1, [0, Infinity]);
    this.hue = jitter('hue', hue, 0, [-0.5, 0.5]);
  }

  override transform(image: Tensor): Tensor {
    const [channels] = requireImage('ColorJitter', image);
    const order = randperm(4, this.generator ?? defaultGenerator);
    const limits = [this.brightness, this.contrast, this.saturation, this.hue];
    const factors = limits.map((range) => range && this.drawUniform(...range));
    const steps = [brightened, contrasted, saturated, turned];
    let result = image;
    for (const i of order) {
      const factor = factors[i];
      if (factor === null) continue;
      if (channels !== 1 && channels !== 3)
        throw new ArgumentTypeError(
          `[ColorJitter] Input image tensor permitted channel values are 1 or 3, but found ${channels}`,
        );
      result = steps[i](result, factor);
    }
    return result;
  }
}
