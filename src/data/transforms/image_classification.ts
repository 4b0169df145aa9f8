// What images go through before the networks of torchvision and timm see them.
import { requireChoice, requireInteger, requireNumbers } from '../../checks.ts';
import { cast } from '../../ops/convert.ts';
import { clamp, div, round } from '../../ops/elementwise.ts';
import { declareOptions, kind, required, requireOptions } from '../../options.ts';
import { isFloat } from '../../tensor/dtype.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { ArraySample } from '../sample.ts';
import { centerCropped, type Interpolation, interpolations, resized, resizedSizes } from './geometry.ts';
import { requireImage, Transform } from './transform.ts';
import { normalized, requireStd } from './values.ts';

/** Options of `ImageClassification`. */
export interface ImageClassificationOptions {
  /** Rows and columns of the result. */
  cropSize: number;
  /** Length of the shorter side before the crop. Default: 256. */
  resizeSize?: number;
  /** Per channel, of values from 0 to 1. Default: ImageNet's, [0.485, 0.456, 0.406]. */
  mean?: readonly number[];
  /** Per channel. Default: ImageNet's, [0.229, 0.224, 0.225]. */
  std?: readonly number[];
  /** How pixels between pixels are made. Default: `'bilinear'`. */
  interpolation?: Interpolation;
  /** Whether each pixel of a smaller image is a mean over all that it covers. Default: true. */
  antialias?: boolean;
}
const imageClassificationOptions = declareOptions<ImageClassificationOptions>({
  cropSize: required(kind.integer),
  resizeSize: kind.integer,
  mean: kind.own,
  std: kind.own,
  interpolation: kind.choice,
  antialias: kind.flag,
});

// A network's input is floats.
export interface ImageClassification {
  /** The network's input: a tensor of a tensor, an array of an array. */
  (image: ArraySample<Uint8Array | Float32Array>): ArraySample<Float32Array>;
  (image: Tensor): Tensor;
}

/**
 * Resizes the shorter side, crops the centre, scales bytes to 0 … 1, and subtracts the mean and divides by std, per
 * channel (torchvision: `transforms._presets.ImageClassification`, which weights give by `transforms()`).
 * @throws SampleMismatchError on what is no image of as many channels as there are means.
 * @example
 * const prepare = new ImageClassification({ cropSize: 224 });
 * const input = prepare(zeros([3, 300, 400], { dtype: 'uint8' })); // shape [3, 224, 224]
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the call signature, which a class cannot declare
export class ImageClassification extends Transform {
  /** Rows and columns of the result. */
  readonly cropSize: number;
  /** Length of the shorter side before the crop. */
  readonly resizeSize: number;
  /** Per channel, of values from 0 to 1. */
  readonly mean: readonly number[];
  /** Per channel. */
  readonly std: readonly number[];
  /** How pixels between pixels are made. */
  readonly interpolation: Interpolation;
  /** Whether each pixel of a smaller image is a mean over all that it covers. */
  readonly antialias: boolean;

  constructor(options: ImageClassificationOptions) {
    requireOptions('ImageClassification', options, imageClassificationOptions);
    super();
    const { cropSize, resizeSize = 256, interpolation = 'bilinear', antialias = true } = options;
    const { mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225] } = options;
    this.cropSize = requireInteger('ImageClassification', 'cropSize', cropSize, 1);
    this.resizeSize = requireInteger('ImageClassification', 'resizeSize', resizeSize, 1);
    this.interpolation = requireChoice('ImageClassification', 'interpolation', interpolation, interpolations);
    this.antialias = antialias;
    this.mean = [...requireNumbers('ImageClassification', 'mean', mean)];
    this.std = [...requireStd('ImageClassification', std)];
  }

  override transform(image: Tensor): Tensor {
    const [, rows, columns] = requireImage('ImageClassification', image);
    const sizes = resizedSizes('ImageClassification', rows, columns, this.resizeSize, null);
    const isBytes = !isFloat(image.dtype);
    // Through float32 and back to bytes, as the weights' own transforms do it.
    const floats = resized(isBytes ? cast(image, 'float32') : image, sizes, this.interpolation, this.antialias);
    const cropped = centerCropped(floats, [this.cropSize, this.cropSize]);
    const scaled = isBytes ? div(round(clamp(cropped, 0, 255)), 255) : cropped;
    return normalized('ImageClassification', scaled, this.mean, this.std);
  }
}
