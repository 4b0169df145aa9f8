// What images go through before the networks of torchvision and timm see them.
import { requireChoice, requireInteger } from '../checks.ts';
import { declareOptions, kind, required, requireOptions } from '../options.ts';
import { centerCrop, centerOffset, normalizeFor, type Transform, toFloat } from './augment.ts';
import {
  type ImageArray,
  type Interpolation,
  interpolations,
  resample,
  resizableSizes,
  resize,
  resizedSizes,
} from './resize.ts';

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
 * Resizes the shorter side, crops the centre, scales bytes to 0 … 1, and subtracts the mean and divides by std, per
 * channel.
 *
 * Throws SampleMismatchError on what is no image of 3 channels. Source:
 * `torchvision.transforms._presets.ImageClassification`, which the weights of torchvision give by `transforms()`.
 */
export function imageClassification(options: ImageClassificationOptions): ImageTransform {
  requireOptions('imageClassification', options, imageClassificationOptions);
  const { cropSize, resizeSize = 256, interpolation = 'bilinear', antialias = true } = options;
  const { mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225] } = options;
  requireInteger('imageClassification', 'cropSize', cropSize, 1);
  requireInteger('imageClassification', 'resizeSize', resizeSize, 1);
  requireChoice('imageClassification', 'interpolation', interpolation, interpolations);
  const resized = resize<ImageArray>(resizeSize, { interpolation, antialias });
  const crop = centerCrop<ImageArray>(cropSize);
  const scaled = toFloat();
  const normalized = normalizeFor('imageClassification', mean, std);
  let values: Float32Array | null = null;
  /** What each byte becomes in each channel. */
  const valuesOf = (channels: number): Float32Array => {
    if (values?.length !== 256 * channels) {
      const bytes = Uint8Array.from({ length: 256 * channels }, (_, i) => i);
      values = normalized(scaled({ data: bytes, shape: [channels, 1, 256] })).data;
    }
    return values;
  };
  return (image) => {
    const [rows, columns] = resizableSizes('imageClassification', image);
    const sizes = resizedSizes(rows, columns, resizeSize, null);
    // What the crop leaves out is not made, where it only leaves out.
    const isWithin = sizes[0] >= cropSize && sizes[1] >= cropSize;
    const cropped = isWithin
      ? resample<ImageArray>(image, sizes, interpolation, antialias, {
          top: centerOffset(sizes[0], cropSize),
          left: centerOffset(sizes[1], cropSize),
          rows: cropSize,
          columns: cropSize,
        })
      : crop(resized(image));
    const { data, shape } = cropped;
    if (!(data instanceof Uint8Array)) return normalized({ data: data as Float32Array, shape });
    const own = valuesOf(shape[0]!);
    const result = new Float32Array(data.length);
    const size = cropSize * cropSize;
    for (let i = 0, c = 0; c < shape[0]!; c++)
      for (const end = i + size; i < end; i++) result[i] = own[256 * c + data[i]!]!;
    return { data: result, shape };
  };
}
