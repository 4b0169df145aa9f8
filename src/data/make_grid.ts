// Several images as one, to be looked at. Writing it is in save_image.ts.

import { noGrad } from '../autograd/grad_mode.ts';
import { maxElements, requireInteger, requireNumber, requireNumbers } from '../checks.ts';
import { ArgumentTypeError, ValueError } from '../errors.ts';
import { setIndex } from '../ops/brackets.ts';
import { clamp, div, sub } from '../ops/elementwise.ts';
import { amax, amin } from '../ops/reduce.ts';
import { cat, reshape, select, squeeze, stack } from '../ops/shape_ops.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { fullOn } from '../tensor/create.ts';
import { isFloat } from '../tensor/dtype.ts';
import { scope } from '../tensor/scope.ts';
import { formatShape } from '../tensor/shape.ts';
import { Tensor } from '../tensor/tensor.ts';

/** Options of `makeGrid`. */
export interface MakeGridOptions {
  /** Images in each row. Default: 8. */
  nrow?: number;
  /** Pixels between images and around them. Default: 2. */
  padding?: number;
  /** Whether values are shifted and scaled to 0 … 1. Default: false. */
  normalize?: boolean;
  /** What becomes 0 and 1; what lies outside is cut off. Default: the images' smallest and largest values. */
  valueRange?: readonly [low: number, high: number] | null;
  /** Whether each image is scaled by values of its own. Default: false. */
  scaleEach?: boolean;
  /** The value of pixels between images. Default: 0. */
  padValue?: number;
}
export const makeGridKinds = {
  nrow: kind.integer,
  padding: kind.integer,
  normalize: kind.flag,
  valueRange: kind.numbers,
  scaleEach: kind.flag,
  padValue: kind.number,
};
const makeGridOptions = declareOptions<MakeGridOptions>(makeGridKinds);

/**
 * Images [N, C, H, W], or an array of images, side by side in one, [C, H', W']; grey ones get three channels
 * (torchvision: `utils.make_grid`).
 * @throws ArgumentTypeError on what are no tensors, ValueError where they are no images.
 * @example
 * const grid = makeGrid(images, { nrow: 4, normalize: true }); // shape [3, 62, 122]
 */
export function makeGrid(images: Tensor | readonly Tensor[], options: MakeGridOptions = {}): Tensor {
  requireOptions('makeGrid', options, makeGridOptions);
  return gridOf('makeGrid', images, options);
}

/** `makeGrid` for another function, whose options are checked. */
export function gridOf(op: string, given: Tensor | readonly Tensor[], options: MakeGridOptions): Tensor {
  const { nrow = 8, padding = 2, normalize = false, valueRange = null, scaleEach = false, padValue = 0 } = options;
  requireInteger(op, 'nrow', nrow, 1, maxElements);
  requireInteger(op, 'padding', padding, 0, maxElements);
  requireNumber(op, 'padValue', padValue);
  if (valueRange !== null && requireNumbers(op, 'valueRange', valueRange).length !== 2)
    throw new ArgumentTypeError(
      `[${op}] valueRange has to be an array [min, max] if specified. min and max are numbers`,
    );
  const list = Array.isArray(given) ? (given as readonly Tensor[]) : [given as Tensor];
  if (list.length === 0 || list.some((each) => !(each instanceof Tensor)))
    throw new ArgumentTypeError(`[${op}] tensor or list of tensors expected`);
  return scope(() =>
    noGrad(() => {
      const images = batchOf(op, Array.isArray(given) ? stack(list) : list[0]);
      if (!normalize) return arranged(images, nrow, padding, padValue);
      if (!isFloat(images.dtype))
        throw new ArgumentTypeError(`[${op}] expected floats to normalize, got ${images.dtype}`);
      const dims = scaleEach ? [1, 2, 3] : [0, 1, 2, 3];
      return arranged(scaled(images, valueRange, dims), nrow, padding, padValue);
    }),
  );
}

function batchOf(op: string, x: Tensor): Tensor {
  if (x.rank < 2 || x.rank > 4)
    throw new ValueError(`[${op}] expected images of shape [N, C, H, W], got ${formatShape(x.shape)}`);
  const images = reshape(x, [...Array<number>(4 - x.rank).fill(1), ...x.shape]);
  return images.shape[1] === 1 ? cat([images, images, images], 1) : images;
}

/** Values from `low` to `high` as 0 to 1. */
function scaled(images: Tensor, range: readonly [number, number] | null, dims: readonly number[]): Tensor {
  if (range) {
    const [low, high] = range;
    return div(sub(clamp(images, low, high), low), Math.max(high - low, 1e-5));
  }
  const low = amin(images, dims, { keepdim: true });
  return div(sub(images, low), clamp(sub(amax(images, dims, { keepdim: true }), low), 1e-5));
}

function arranged(images: Tensor, nrow: number, padding: number, padValue: number): Tensor {
  const [count, channels, rows, columns] = images.shape;
  if (count === 1) return squeeze(images, 0);
  const across = Math.min(nrow, count);
  const [height, width] = [rows + padding, columns + padding];
  const shape = [channels, height * Math.ceil(count / across) + padding, width * across + padding];
  const grid = fullOn(images.backend, shape, isFloat(images.dtype) ? padValue : Math.trunc(padValue), images.dtype);
  for (let i = 0; i < count; i++) {
    const [top, left] = [Math.floor(i / across) * height + padding, (i % across) * width + padding];
    setIndex(grid, [':', `${top}:${top + rows}`, `${left}:${left + columns}`], select(images, 0, i));
  }
  return grid;
}
