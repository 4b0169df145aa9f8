// Images in other sizes, as torchvision resizes tensors: each axis by itself, every output pixel a weighted mean of some input pixels. The weights depend on the
// two sizes only. Source: `torch.nn.functional.interpolate`, aten/src/ATen/native/cpu/UpSampleKernel.cpp.
import { requireChoice, requireInteger, shown } from '../checks.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { imageSizes, type Transform } from './augment.ts';
import { DataArgumentError, SampleMismatchError } from './errors.ts';
import { type ArraySample, emptyLike } from './sample.ts';

/** How pixels between pixels are made. */
export type Interpolation = 'nearest' | 'nearestExact' | 'bilinear' | 'bicubic';
const interpolations: readonly Interpolation[] = ['nearest', 'nearestExact', 'bilinear', 'bicubic'];

/** Arrays of images that can be resized. */
export type ImageArray = Uint8Array | Float32Array | Float64Array;

/** Options of `resize`. */
export type ResizeOptions = {
  /** How pixels between pixels are made. Default: 'bilinear'. */
  interpolation?: Interpolation;
  /** The longer side is at most so long, where `size` is one number or null. Default: null, no limit. */
  maxSize?: number | null;
  /** Whether each pixel of a smaller image is a mean over all that it covers; 'bilinear' and 'bicubic' only. Default: true. */
  antialias?: boolean;
};
export const resizeOptions = declareOptions<ResizeOptions>({
  interpolation: kind.choice,
  maxSize: kind.integerOrNull,
  antialias: kind.flag,
});

/** The contribution of `taps` input pixels from `first[i]` on to output pixel i: `weights[i * taps …]`. */
interface Weights {
  readonly first: Int32Array;
  readonly weights: Float64Array;
  readonly taps: number;
}

/** 1 − |x|, for |x| < 1. */
const triangle = (x: number): number => Math.max(0, 1 - Math.abs(x));
/** The cubic convolution of Keys (1981); a = −0.5 is exact for parabolas, PyTorch has −0.75 where it does not average. */
function cubic(x: number, a: number): number {
  const t = Math.abs(x);
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0;
}

function weightsOf(from: number, to: number, interpolation: Interpolation, antialias: boolean): Weights {
  const scale = from / to;
  const isCubic = interpolation === 'bicubic';
  const averages = antialias && (isCubic || interpolation === 'bilinear');
  const reach = isCubic ? 2 : 1;
  const stretch = averages ? Math.max(1, scale) : 1;
  const taps = interpolation.startsWith('nearest') ? 1 : Math.min(from, 2 * Math.ceil(reach * stretch) + 1);
  const first = new Int32Array(to);
  const weights = new Float64Array(to * taps);
  for (let i = 0; i < to; i++) {
    if (taps === 1 && interpolation.startsWith('nearest')) {
      const at = interpolation === 'nearest' ? i * scale : (i + 0.5) * scale;
      first[i] = Math.min(Math.floor(at), from - 1);
      weights[i] = 1;
      continue;
    }
    const center = scale * (i + 0.5);
    const start = Math.min(Math.max(0, Math.floor(center - reach * stretch)), from - taps);
    first[i] = start;
    const own = weights.subarray(i * taps, (i + 1) * taps);
    if (averages) {
      for (let k = 0; k < taps; k++) {
        const x = (start + k + 0.5 - center) / stretch;
        own[k] = isCubic ? cubic(x, -0.5) : triangle(x);
      }
      const total = own.reduce((sum, weight) => sum + weight, 0);
      for (let k = 0; k < taps; k++) own[k] /= total;
      continue;
    }
    // Pixels beyond the edge are those of the edge.
    const at = isCubic ? center - 0.5 : Math.max(0, center - 0.5);
    const low = Math.floor(at);
    for (let k = low - reach + 1; k <= low + reach; k++) {
      const weight = isCubic ? cubic(at - k, -0.75) : triangle(at - k);
      own[Math.min(Math.max(k, 0), from - 1) - start] += weight;
    }
  }
  return { first, weights, taps };
}

/** A part of the resized image: from (top, left), so many rows and columns. */
export interface Window {
  readonly top: number;
  readonly left: number;
  readonly rows: number;
  readonly columns: number;
}

/** Weights of the last sizes: a data set's images are often of one size. */
const known = new Map<string, Weights>();
const mostKnown = 32;
function knownWeights(from: number, to: number, interpolation: Interpolation, antialias: boolean): Weights {
  const key = `${from} ${to} ${interpolation} ${antialias}`;
  let weights = known.get(key);
  if (!weights) {
    weights = weightsOf(from, to, interpolation, antialias);
    if (known.size === mostKnown) known.delete(known.keys().next().value!);
    known.set(key, weights);
  }
  return weights;
}

/** An image as rows × columns, or the window of that which is wanted; bytes are rounded as `torch.round` does, half to even. */
export function resample<T extends ImageArray>(
  image: ArraySample<T>,
  [rows, columns]: readonly [rows: number, columns: number],
  interpolation: Interpolation,
  antialias: boolean,
  window: Window = { top: 0, left: 0, rows, columns },
): ArraySample<T> {
  const { data } = image;
  const [channels, fromRows, fromColumns] = imageSizes('resize', image);
  const across = knownWeights(fromColumns, columns, interpolation, antialias);
  const down = knownWeights(fromRows, rows, interpolation, antialias);
  const result = emptyLike(data, channels * window.rows * window.columns);
  // Conversion to clamped bytes rounds half to even, and cubic weights leave the range.
  const out = result instanceof Uint8Array ? new Uint8ClampedArray(result.buffer) : result;
  // Only the rows that the window is made of are resized across.
  const firstRow = down.first[window.top];
  const lastRow = down.first[window.top + window.rows - 1] + down.taps;
  const width = window.columns;
  const between =
    data instanceof Float64Array
      ? new Float64Array((lastRow - firstRow) * width)
      : new Float32Array((lastRow - firstRow) * width);
  const sums = new Float64Array(width);
  for (let c = 0; c < channels; c++) {
    for (let row = firstRow; row < lastRow; row++)
      resizeRow(data, (c * fromRows + row) * fromColumns, across, window, between, (row - firstRow) * width);
    for (let row = 0; row < window.rows; row++) {
      const at = window.top + row;
      sums.fill(0);
      for (let k = 0; k < down.taps; k++) {
        const weight = down.weights[at * down.taps + k];
        if (weight === 0) continue;
        const start = (down.first[at] + k - firstRow) * width;
        for (let x = 0; x < width; x++) sums[x] += weight * between[start + x];
      }
      out.set(sums, (c * window.rows + row) * width);
    }
  }
  return { data: result, shape: [channels, window.rows, window.columns] };
}

function resizeRow(
  data: ImageArray,
  start: number,
  { first, weights, taps }: Weights,
  { left, columns }: Window,
  target: Float32Array | Float64Array,
  to: number,
): void {
  for (let x = 0; x < columns; x++) {
    const from = start + first[left + x];
    const at = (left + x) * taps;
    let sum = 0;
    for (let k = 0; k < taps; k++) sum += weights[at + k] * data[from + k];
    target[to + x] = sum;
  }
}

/** Rows and columns of a resized image. */
export function resizedSizes(
  rows: number,
  columns: number,
  size: number | readonly [rows: number, columns: number] | null,
  maxSize: number | null,
): [rows: number, columns: number] {
  if (typeof size === 'object' && size !== null) return [size[0], size[1]];
  const [short, long] = [Math.min(rows, columns), Math.max(rows, columns)];
  let [newShort, newLong] =
    size === null ? [Math.trunc((maxSize! * short) / long), maxSize!] : [size, Math.trunc((size * long) / short)];
  if (maxSize !== null && newLong > maxSize)
    [newShort, newLong] = [Math.trunc((maxSize * newShort) / newLong), maxSize];
  return columns <= rows ? [newLong, newShort] : [newShort, newLong];
}

/** Refuses what is no array of an image that can be resized. */
export function requireImageArray(operation: string, { data }: ArraySample): void {
  if (!(data instanceof Uint8Array || data instanceof Float32Array || data instanceof Float64Array))
    throw new SampleMismatchError(
      `[${operation}] expected an image of uint8, float32 or float64, got ${data.constructor.name}`,
    );
}

/**
 * The image in another size: `size` is that of its shorter side, [rows, columns], or null where `maxSize` alone says it. Bytes stay bytes.
 *
 * Throws DataArgumentError on sizes that contradict each other, SampleMismatchError on what is no image. Source: `torchvision.transforms.v2.Resize` on tensors; it
 * computes bytes in float32 and rounds them, as PyTorch does where it has no instructions of its own for bytes.
 */
export function resize<T extends ImageArray>(
  size: number | readonly [rows: number, columns: number] | null,
  options: ResizeOptions = {},
): Transform<T> {
  requireOptions('resize', options, resizeOptions);
  const { interpolation = 'bilinear', maxSize = null, antialias = true } = options;
  requireChoice('resize', 'interpolation', interpolation, interpolations);
  if (maxSize !== null) requireInteger('resize', 'maxSize', maxSize, 1);
  if (Array.isArray(size) ? size.length !== 2 : size === null && maxSize === null)
    throw new DataArgumentError(
      `[resize] expected size as a number, [rows, columns], or null beside maxSize, got ${shown(size)}`,
    );
  for (const each of Array.isArray(size) ? size : size === null ? [] : [size])
    requireInteger('resize', 'size', each, 1);
  if (Array.isArray(size) && maxSize !== null)
    throw new DataArgumentError(
      '[resize] maxSize should only be passed if size specifies the length of the smaller edge',
    );
  if (typeof size === 'number' && maxSize !== null && maxSize <= size)
    throw new DataArgumentError(
      `[resize] maxSize = ${maxSize} must be strictly greater than the requested size for the smaller edge size = ${size}`,
    );
  return (image) => {
    const [, rows, columns] = imageSizes('resize', image);
    requireImageArray('resize', image);
    if (rows * columns === 0)
      throw new SampleMismatchError(`[resize] expected an image with pixels, got ${rows} × ${columns}`);
    const sizes = resizedSizes(rows, columns, size, maxSize);
    if (sizes[0] < 1 || sizes[1] < 1)
      throw new SampleMismatchError(`[resize] an image of ${rows} × ${columns} would become ${sizes[0]} × ${sizes[1]}`);
    if (sizes[0] === rows && sizes[1] === columns) return { data: image.data.slice() as T, shape: [...image.shape] };
    return resample(image, sizes, interpolation, antialias);
  };
}
