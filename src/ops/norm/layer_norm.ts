// Layer normalization (Ba, Kiros & Hinton 2016) and root-mean-square normalization (Zhang & Sennrich 2019): over the
// trailing dimensions, each value with a weight of its own. The checks and the view as rows; the arithmetic is in
// row_norm.ts.
import { requireIntegers } from '../../checks.ts';
import { RuntimeError } from '../../errors.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import type { DType } from '../../tensor/dtype.ts';
import { requireFloat, requireSameDevice, requireTensor } from '../../tensor/requirements.ts';
import { formatShape, type Shape, sameShape, sizeOf } from '../../tensor/shape.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { warn } from '../../warnings.ts';
import { cast, toFormat } from '../convert.ts';
import { reshape } from '../shape_ops.ts';
import { emptyResult, requireAlike, requireEps, requireNormNumber } from './norm_checks.ts';
import { normalizeRows } from './row_norm.ts';

/** Options of `rmsNorm`. */
export interface RmsNormOptions {
  /** The factor of each element, in the normalized shape; null: 1. Default: null. */
  weight?: Tensor | null;
  /** Added to the mean square; null: the distance from 1 to the next number of x's dtype. Default: null. */
  eps?: number | null;
}
const rmsNormOptions = declareOptions<RmsNormOptions>({ weight: kind.tensor, eps: kind.numeric });
/** Options of `layerNorm`. */
export interface LayerNormOptions {
  /** The factor of each element, in the normalized shape; null: 1. Default: null. */
  weight?: Tensor | null;
  /** What is added to each element, in the normalized shape; null: 0. Default: null. */
  bias?: Tensor | null;
  /** Added to the variance. Default: 1e-5. */
  eps?: number;
}
const layerNormOptions = declareOptions<LayerNormOptions>({
  weight: kind.tensor,
  bias: kind.tensor,
  eps: kind.numeric,
});

const machineEpsilon: Partial<Record<DType, number>> = { float32: 2 ** -23, float64: Number.EPSILON };

function requireShapes(
  op: string,
  x: Tensor,
  normalizedShape: Shape,
  parameters: readonly (readonly [name: string, value: Tensor | null])[],
): void {
  requireTensor(op, x);
  requireIntegers(op, 'normalizedShape', normalizedShape);
  if (normalizedShape.length === 0)
    throw new RuntimeError(
      'Expected normalizedShape to be at least 1-dimensional, i.e., containing at least one element, but got normalizedShape = []',
    );
  for (const [name, value] of parameters) {
    if (!value) continue;
    requireTensor(op, value);
    if (!sameShape(value.shape, normalizedShape))
      throw new RuntimeError(
        `Expected ${name} to be of same shape as normalizedShape, but got ${name} of shape ${formatShape(value.shape)} and normalizedShape = ${formatShape(normalizedShape)}`,
      );
  }
  const lead = x.rank - normalizedShape.length;
  if (lead < 0 || !sameShape(x.shape.slice(lead), normalizedShape))
    throw new RuntimeError(
      `Given normalizedShape=${formatShape(normalizedShape)}, expected input with shape [*, ${normalizedShape.join(', ')}], but got input of size${formatShape(x.shape)}`,
    );
}

/** Every run of `normalizedShape` values of x as a row. */
function normalizeTrailing(
  x: Tensor,
  normalizedShape: Shape,
  weight: Tensor | null,
  bias: Tensor | null,
  eps: number,
  centred: boolean,
): Tensor {
  if (x.size === 0) return emptyResult(x, weight, bias);
  const k = sizeOf(normalizedShape);
  const flat = (t: Tensor | null) => t && reshape(t, [k]);
  const view = { n: x.size / k, g: 1, k, s: 1 };
  return normalizeRows(toFormat(x, 'contiguous'), view, flat(weight), flat(bias), eps, centred).y;
}

/**
 * Normalization of x (*, ...normalizedShape) over its trailing dimensions to mean 0 and variance 1, then times weight
 * plus bias, value by value (PyTorch: `F.layer_norm`). The result is contiguous.
 *
 * @throws RuntimeError on shapes or dtypes that do not fit; TypeError where `normalizedShape` is no array of integers.
 * @example
 * const y = layerNorm(randn([2, 5, 16]), [16]);
 */
export function layerNorm(x: Tensor, normalizedShape: Shape, options: LayerNormOptions = {}): Tensor {
  requireOptions('layerNorm', options, layerNormOptions);
  return layerNormWith(x, normalizedShape, options);
}
/** For the layer. */
export function layerNormWith(x: Tensor, normalizedShape: Shape, options: LayerNormOptions): Tensor {
  const { weight = null, bias = null, eps = 1e-5 } = options;
  requireShapes('layerNorm', x, normalizedShape, [
    ['weight', weight],
    ['bias', bias],
  ]);
  requireNormNumber('layerNorm', 'eps', eps);
  requireEps('layerNorm', eps);
  requireFloat('layerNorm', x);
  requireAlike('layerNorm', x, weight, bias);
  return normalizeTrailing(x, normalizedShape, weight, bias, Number(eps), true);
}

/**
 * Normalization of x (*, ...normalizedShape) over its trailing dimensions to mean square 1, y = x/√(mean(x²) +
 * eps)·weight (PyTorch: `F.rms_norm`). The result is contiguous and of x's dtype, whatever the weight's.
 *
 * @throws RuntimeError on shapes or dtypes that do not fit; TypeError where `normalizedShape` is no array of integers.
 * @example
 * const y = rmsNorm(randn([2, 5, 16]), [16], { eps: 1e-6 });
 */
export function rmsNorm(x: Tensor, normalizedShape: Shape, options: RmsNormOptions = {}): Tensor {
  requireOptions('rmsNorm', options, rmsNormOptions);
  return rmsNormWith(x, normalizedShape, options);
}
/** For the layer. */
export function rmsNormWith(x: Tensor, normalizedShape: Shape, options: RmsNormOptions): Tensor {
  const { weight = null, eps = null } = options;
  requireShapes('rmsNorm', x, normalizedShape, [['weight', weight]]);
  if (eps !== null) {
    requireNormNumber('rmsNorm', 'eps', eps);
    requireEps('rmsNorm', eps);
  }
  requireFloat('rmsNorm', x);
  if (weight) requireSameDevice('rmsNorm', x, weight);
  if (weight && weight.dtype !== x.dtype)
    warn(`Mismatch dtype between input and weight: input dtype = ${x.dtype}, weight dtype = ${weight.dtype}`);
  const own = weight && cast(weight, x.dtype);
  return normalizeTrailing(x, normalizedShape, own, null, Number(eps ?? machineEpsilon[x.dtype]), false);
}
