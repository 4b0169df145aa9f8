// Local response normalization (Krizhevsky, Sutskever & Hinton 2012): every value divided by a power of the mean square
// of its neighbours in the channels; and the form that Lua Torch left behind. Both as compositions of other ops.
import { maxElements, requireFinite, requireInteger } from '../../checks.ts';
import { RuntimeError, ValueError } from '../../errors.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { fromTypedArrayOn } from '../../tensor/create.ts';
import { requireFloat, requireTensor } from '../../tensor/requirements.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { toFormat } from '../convert.ts';
import { add, div, mul, pow, square } from '../elementwise.ts';
import { avgPool2d } from '../pool.ts';
import { narrow, reshape } from '../shape_ops.ts';

/** Options of `localResponseNorm` and `crossMapLRN2d`; the formula of each says what they are. */
export interface LocalResponseNormOptions {
  /** The factor of the mean square. Default: 1e-4. */
  alpha?: number;
  /** The power. Default: 0.75. */
  beta?: number;
  /** What is added to the mean square. Default: 1. */
  k?: number;
}
export const localResponseNormOptions = declareOptions<LocalResponseNormOptions>({
  alpha: kind.number,
  beta: kind.number,
  k: kind.number,
});

/**
 * Means over `size` neighbouring channels of a contiguous tensor, zeros beyond the first and last; even windows reach
 * one further down.
 */
function channelMeans(x: Tensor, size: number): Tensor {
  const [n, c] = x.shape;
  // The channels as rows of an image.
  const image = reshape(x, [n, 1, c, -1]);
  const means = avgPool2d(image, [size, 1], { stride: 1, padding: [Math.floor(size / 2), 0] });
  return reshape(size % 2 === 0 ? narrow(means, 2, 0, c) : means, x.shape);
}

function requireNumbers(op: string, { alpha = 1e-4, beta = 0.75, k = 1 }: LocalResponseNormOptions): void {
  requireFinite(op, 'alpha', alpha);
  requireFinite(op, 'beta', beta);
  requireFinite(op, 'k', k);
}

function requireSize(op: string, size: number, rank: number): void {
  requireInteger(op, 'size', size, Number.MIN_SAFE_INTEGER, maxElements);
  if (size <= 0)
    throw new RuntimeError(
      `kernel size should be greater than zero, but got ${rank > 3 ? `kT: ${size} kH: 1` : `kH: ${size}`} kW: 1`,
    );
}

/** x/(k + factor·squares)^beta, in x's memory format. */
const divideByPower = (x: Tensor, squares: Tensor, factor: number, k: number, beta: number): Tensor =>
  div(x, pow(add(k, toFormat(squares, x.memoryFormat), { alpha: factor }), beta));

/**
 * y_c = x_c/(k + alpha/size·Σ x_j²)^beta over the channels j from c − ⌊size/2⌋ to c + ⌊(size − 1)/2⌋ of x (N, C, …)
 * (PyTorch: `F.local_response_norm`). Keeps the memory format.
 *
 * @throws ValueError below three dimensions; RuntimeError on a size that is not positive.
 * @example
 * const y = localResponseNorm(randn([4, 6, 8, 8]), 5, { k: 2 });
 */
export function localResponseNorm(x: Tensor, size: number, options: LocalResponseNormOptions = {}): Tensor {
  requireOptions('localResponseNorm', options, localResponseNormOptions);
  return localResponseNormWith(x, size, options);
}
/** For the layer, whose options are its own properties. */
export function localResponseNormWith(x: Tensor, size: number, options: LocalResponseNormOptions): Tensor {
  const { alpha = 1e-4, beta = 0.75, k = 1 } = options;
  requireTensor('localResponseNorm', x);
  requireNumbers('localResponseNorm', options);
  if (x.rank < 3)
    throw new ValueError(
      `Expected 3D or higher dimensionality                          input (got ${x.rank} dimensions)`,
    );
  if (x.size === 0) return x;
  requireSize('localResponseNorm', size, x.rank);
  requireFloat('localResponseNorm', x);
  return divideByPower(x, channelMeans(square(toFormat(x, 'contiguous')), size), alpha, k, beta);
}

/**
 * The legacy form of `localResponseNorm` for x (N, C, H, W) (PyTorch: `nn.CrossMapLRN2d`). Its running sum never lets
 * go of channel 0: y_c = x_c/(k + alpha/size·(x_0² + Σ x_j²))^beta over the other channels less than p = ⌊(size + 1)/2⌋
 * away from c. The gradient is that of this formula; PyTorch's leaves channel 0 out where it is far away.
 *
 * @throws ValueError on other than four dimensions; RuntimeError on a size that is not positive.
 * @example
 * const y = crossMapLRN2d(randn([4, 6, 8, 8]), 5);
 */
export function crossMapLRN2d(x: Tensor, size: number, options: LocalResponseNormOptions = {}): Tensor {
  requireOptions('crossMapLRN2d', options, localResponseNormOptions);
  return crossMapLRN2dWith(x, size, options);
}
/** For the layer, whose options are its own properties. */
export function crossMapLRN2dWith(x: Tensor, size: number, options: LocalResponseNormOptions): Tensor {
  const { alpha = 1e-4, beta = 0.75, k = 1 } = options;
  requireTensor('crossMapLRN2d', x);
  requireNumbers('crossMapLRN2d', options);
  if (x.rank !== 4) throw new ValueError(`CrossMapLRN2d: Expected input to be 4D, got ${x.rank}D instead.`);
  requireSize('crossMapLRN2d', size, x.rank);
  requireFloat('crossMapLRN2d', x);
  if (x.size === 0) return x;
  const c = x.shape[1];
  const reach = Math.floor((size + 1) / 2);
  const window = 2 * reach - 1;
  const squares = square(toFormat(x, 'contiguous'));
  // Channel 0, for those whose window it is not in.
  const isBeyond = Float64Array.from({ length: c }, (_, i) => (i < reach ? 0 : 1));
  const kept = mul(narrow(squares, 1, 0, 1), fromTypedArrayOn(x.backend, isBeyond, [1, c, 1, 1], x.dtype));
  const sums = add(kept, channelMeans(squares, window), { alpha: window });
  return divideByPower(x, sums, alpha / size, k, beta);
}
