// Images in other sizes, as torchvision resizes tensors: each axis by itself, every output pixel a weighted mean of
// some input pixels. The weights depend on the two sizes only. Source: `torch.nn.functional.interpolate`,
// aten/src/ATen/native/cpu/UpSampleKernel.cpp.
import { requireChoice, requireInteger, shown } from '../checks.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { imageSizes, type Transform } from './augment.ts';
import { DataArgumentError, SampleMismatchError } from './errors.ts';
import { type ArraySample, emptyLike } from './sample.ts';

/** How pixels between pixels are made. */
export type Interpolation = 'nearest' | 'nearestExact' | 'bilinear' | 'bicubic';
export const interpolations: readonly Interpolation[] = ['nearest', 'nearestExact', 'bilinear', 'bicubic'];

/** Arrays of images that can be resized. */
export type ImageArray = Uint8Array | Float32Array | Float64Array;

/** Options of `resize`. */
export type ResizeOptions = {
  /** How pixels between pixels are made. Default: 'bilinear'. */
  interpolation?: Interpolation;
  /** The longer side is at most so long, where `size` is one number or null. Default: null, no limit. */
  maxSize?: number | null;
  /**
   * Whether each pixel of a smaller image is a mean over all that it covers; 'bilinear' and 'bicubic' only. Default:
   * true.
   */
  antialias?: boolean;
};
const resizeOptions = declareOptions<ResizeOptions>({
  interpolation: kind.choice,
  maxSize: kind.integerOrNull,
  antialias: kind.flag,
});

/** The contributions to output pixel i: of input pixel `first[i] + k` by `weights[i * taps + k]`. */
interface Weights {
  readonly first: Int32Array;
  readonly weights: Float64Array;
  /** A multiple of 4, so that the last ones may be 0 and meet pixels behind the last. */
  readonly taps: number;
}

/** 1 − |x|, for |x| < 1. */
const triangle = (x: number): number => Math.max(0, 1 - Math.abs(x));
/**
 * The cubic convolution of Keys (1981); a = −0.5 is exact for parabolas, PyTorch has −0.75 where it does not average.
 */
function cubic(x: number, a: number): number {
  const t = Math.abs(x);
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0;
}

/** Adds what one input pixel contributes to one output pixel. */
type Add = (pixel: number, weight: number) => void;

/**
 * Tells what contributes to output pixel i; weights need not sum to 1. Pixels may lie beyond the edges, where those of
 * the edge stand for them.
 */
type Contributions = (i: number, add: Add) => void;

function contributionsOf(from: number, to: number, interpolation: Interpolation, antialias: boolean): Contributions {
  const scale = from / to;
  if (interpolation === 'nearest') return (i, add) => add(Math.floor(i * scale), 1);
  if (interpolation === 'nearestExact') return (i, add) => add(Math.floor((i + 0.5) * scale), 1);
  const isCubic = interpolation === 'bicubic';
  const stretch = antialias ? Math.max(1, scale) : 1;
  const reach = (isCubic ? 2 : 1) * stretch;
  const a = antialias ? -0.5 : -0.75;
  return (i, add) => {
    const center = scale * (i + 0.5) - 0.5;
    for (let pixel = Math.ceil(center - reach); pixel <= center + reach; pixel++) {
      // A mean is over pixels that there are; between pixels the edge's are repeated.
      if (antialias && (pixel < 0 || pixel >= from)) continue;
      const x = (pixel - center) / stretch;
      add(pixel, isCubic ? cubic(x, a) : triangle(x));
    }
  };
}

function weightsOf(from: number, to: number, interpolation: Interpolation, antialias: boolean): Weights {
  const contributions = contributionsOf(from, to, interpolation, antialias);
  const rows = Array.from({ length: to }, (_, i) => {
    const row = new Map<number, number>();
    let [total, low, high] = [0, from, 0];
    contributions(i, (pixel, weight) => {
      if (weight === 0) return;
      const at = Math.min(Math.max(pixel, 0), from - 1);
      row.set(at, (row.get(at) ?? 0) + weight);
      total += weight;
      low = Math.min(low, at);
      high = Math.max(high, at);
    });
    return { row, total, low, span: high - low + 1 };
  });
  const first = Int32Array.from(rows, ({ low }) => low);
  const taps = 4 * Math.ceil(rows.reduce((most, { span }) => Math.max(most, span), 0) / 4);
  const weights = new Float64Array(to * taps);
  for (const [i, { row, total }] of rows.entries())
    for (const [pixel, weight] of row) weights[i * taps + pixel - first[i]] = weight / total;
  return { first, weights, taps };
}

/** A part of the resized image: from (top, left), so many rows and columns. */
interface Window {
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

/**
 * An image as rows × columns, or the window of that which is wanted; bytes are rounded as `torch.round` does, half to
 * even.
 */
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
  const width = window.columns;
  // Only the rows that the window is made of; a few more stay 0, which the last weights of 0 meet.
  const [start, end] = [down.first[window.top], down.first[window.top + window.rows - 1] + down.taps];
  const between = new Float64Array((end - start) * width);
  const row = new Float64Array(fromColumns + across.taps);
  const sums = new Float64Array(width);
  for (let c = 0; c < channels; c++) {
    for (let y = start; y < Math.min(end, fromRows); y++) {
      const at = (c * fromRows + y) * fromColumns;
      row.set(data.subarray(at, at + fromColumns));
      resizeAcross(row, across, window.left, between.subarray((y - start) * width, (y - start + 1) * width));
    }
    for (let y = 0; y < window.rows; y++) {
      resizeDown(between, down, window.top + y, start, sums);
      out.set(sums, (c * window.rows + y) * width);
    }
  }
  return { data: result, shape: [channels, window.rows, window.columns] };
}

/** Four products at a time: the common three or four taps are then one round. */
function resizeAcross(row: Float64Array, { first, weights, taps }: Weights, left: number, target: Float64Array): void {
  for (let x = 0; x < target.length; x++) {
    const from = first[left + x];
    const at = (left + x) * taps;
    let sum = 0;
    for (let k = 0; k < taps; k += 4)
      sum +=
        weights[at + k] * row[from + k] +
        weights[at + k + 1] * row[from + k + 1] +
        weights[at + k + 2] * row[from + k + 2] +
        weights[at + k + 3] * row[from + k + 3];
    target[x] = sum;
  }
}

/** Row `y` of the result, of rows from `start` on. */
function resizeDown(
  rows: Float64Array,
  { first, weights, taps }: Weights,
  y: number,
  start: number,
  sums: Float64Array,
): void {
  const width = sums.length;
  sums.fill(0);
  for (let k = 0; k < taps; k += 4) {
    const at = y * taps + k;
    const [a, b, c, d] = [weights[at], weights[at + 1], weights[at + 2], weights[at + 3]];
    const from = (first[y] - start + k) * width;
    for (let x = 0; x < width; x++) {
      const i = from + x;
      sums[x] += a * rows[i] + b * rows[i + width] + c * rows[i + 2 * width] + d * rows[i + 3 * width];
    }
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

/** Rows and columns of an image that can be resized. */
export function resizableSizes(operation: string, image: ArraySample): [rows: number, columns: number] {
  const [, rows, columns] = imageSizes(operation, image);
  const { data } = image;
  if (!(data instanceof Uint8Array || data instanceof Float32Array || data instanceof Float64Array))
    throw new SampleMismatchError(
      `[${operation}] expected an image of uint8, float32 or float64, got ${data.constructor.name}`,
    );
  if (rows * columns === 0)
    throw new SampleMismatchError(`[${operation}] expected an image with pixels, got ${rows} × ${columns}`);
  return [rows, columns];
}

/**
 * The image in another size: `size` is that of its shorter side, [rows, columns], or null where `maxSize` alone says
 * it. Bytes stay bytes.
 *
 * Throws DataArgumentError on sizes that contradict each other, SampleMismatchError on what is no image. Source:
 * `torchvision.transforms.v2.Resize` on tensors; it computes bytes in float32 and rounds them, as PyTorch does where it
 * has no instructions of its own for bytes.
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
    const [rows, columns] = resizableSizes('resize', image);
    const sizes = resizedSizes(rows, columns, size, maxSize);
    if (sizes[0] < 1 || sizes[1] < 1)
      throw new SampleMismatchError(`[resize] an image of ${rows} × ${columns} would become ${sizes[0]} × ${sizes[1]}`);
    if (sizes[0] === rows && sizes[1] === columns) return { data: image.data.slice() as T, shape: [...image.shape] };
    return resample(image, sizes, interpolation, antialias);
  };
}
