// Batch norm by constants: statistics, weight and bias are given and none of them is learned. Where the input fits the
// channels it is the evaluation of batch_norm.ts; elsewhere what torchvision's broadcasting makes of it.
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { requireTensor } from '../../tensor/requirements.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { cast, detach, resultType } from '../convert.ts';
import { add, mul, rsqrt, sub } from '../elementwise.ts';
import { reshape } from '../shape_ops.ts';
import { batchNormWith } from './batch_norm.ts';
import { requireNormOptions } from './norm_checks.ts';

/** Options of `frozenBatchNorm`. */
export interface FrozenBatchNormOptions {
  /** Added to the variance. Default: 1e-5. */
  eps?: number;
}
const frozenBatchNormOptions = declareOptions<FrozenBatchNormOptions>({ eps: kind.number });

/**
 * y = (x − mean)/√(variance + eps)·weight + bias per channel of x (N, C, H, W), by constants (C): a gradient flows to x
 * only (torchvision: `FrozenBatchNorm2d`). The result has the wider of the dtypes, so an integer x gives floats.
 *
 * As in torchvision the rank is not checked: anything that broadcasts with (1, C, 1, 1) does, so (N, C) gives (1, C, N,
 * C).
 * @throws RuntimeError where x does not broadcast.
 * @example
 * const y1 = frozenBatchNorm(x, runningMean, runningVar, ones([6]), zeros([6]));
 */
export function frozenBatchNorm(
  x: Tensor,
  mean: Tensor,
  variance: Tensor,
  weight: Tensor,
  bias: Tensor,
  options: FrozenBatchNormOptions = {},
): Tensor {
  requireOptions('frozenBatchNorm', options, frozenBatchNormOptions);
  const { eps = 1e-5 } = options;
  requireTensor('frozenBatchNorm', x);
  requireNormOptions('frozenBatchNorm', { eps });
  const dtype = resultType(x, weight);
  const input = cast(x, dtype);
  const [m, v, w, b] = [mean, variance, weight, bias].map((t) => cast(detach(t), dtype));
  if (x.rank === 4 && x.shape[1] === w.size) return batchNormWith(input, m, v, { weight: w, bias: b, eps });
  const across = (t: Tensor) => reshape(t, [1, -1, 1, 1]);
  const scale = mul(w, rsqrt(add(v, eps)));
  return add(mul(input, across(scale)), across(sub(b, mul(m, scale))));
}
