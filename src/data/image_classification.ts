// What images go through before the networks of torchvision and timm see them.
import { requireInteger } from '../checks.ts';
import { declareOptions, kind, required, requireOptions } from '../options.ts';
import { centerCrop, centerOffset, imageSizes, normalize, type Transform, toFloat } from './augment.ts';
import { type ImageArray, type Interpolation, requireImageArray, resample, resize, resizedSizes } from './resize.ts';
import type { ArraySample } from './sample.ts';

/** Makes the floats that a network takes of an image in bytes, or in floats from 0 to 1. */
export type ImageTransform = Transform<Uint8Array | Float32Array, Float32Array>;

/** Options of `imageClassification`. */
export type ImageClassificationOptions = {
  /** Rows and columns of the result. */
  cropSize: number;
  /** Length of the shorter side before the crop. Default: 256. */
  resizeSize?: number;
  /** Per channel, of values from 0 to 1. Default: ImageNet's, [0.485, 0.456, 0.406]. */
  mean?: readonly number[];
  /** Per channel. Default: ImageNet's, [0.229, 0.224, 0.225]. */
  std?: readonly number[];
  /** How pixels between pixels are made. Default: 'bilinear'. */
  interpolation?: Interpolation;
  /** Whether each pixel of a smaller image is a mean over all that it covers. Default: true. */
  antialias?: boolean;
};
const imageClassificationOptions = declareOptions<ImageClassificationOptions>({
  cropSize: required(kind.integer),
  resizeSize: kind.integer,
  mean: kind.own,
  std: kind.own,
  interpolation: kind.choice,
  antialias: kind.flag,
});

/**
 * Resizes the shorter side, crops the centre, scales bytes to 0 … 1, and subtracts the mean and divides by std, per channel.
 *
 * Throws SampleMismatchError on what is no image of 3 channels. Source: `torchvision.transforms._presets.ImageClassification`, which the weights of torchvision give
 * by `transforms()`.
 */
export function imageClassification(options: ImageClassificationOptions): ImageTransform {
  requireOptions('imageClassification', options, imageClassificationOptions);
  const { cropSize, resizeSize = 256, interpolation = 'bilinear', antialias = true } = options;
  const { mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225] } = options;
  requireInteger('imageClassification', 'cropSize', cropSize, 1);
  requireInteger('imageClassification', 'resizeSize', resizeSize, 1);
  const resized = resize<ImageArray>(resizeSize, { interpolation, antialias });
  const crop = centerCrop<ImageArray>(cropSize);
  const scale = toFloat();
  const normalized = normalize(mean, std);
  const floats = (image: ArraySample<ImageArray>) =>
    normalized(
      image.data instanceof Uint8Array ? scale(image as ArraySample<Uint8Array>) : (image as ArraySample<Float32Array>),
    );
  return (image) => {
    void [requireImageArray, resample, resizedSizes, centerOffset, imageSizes];
    return floats(crop(resized(image)));
  };
}
