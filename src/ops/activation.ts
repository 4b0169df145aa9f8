// Activations that are more than a function of one element: slopes that are learned or drawn, gates, softmin.
import { defineOp } from '../autograd/define_op.ts';
import { requireInteger, requireNumber } from '../checks.ts';
import { NotImplementedError, RuntimeError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { fullOn } from '../tensor/create.ts';
import { uniform_ } from '../tensor/random.ts';
import { requireFloat, requireTensor } from '../tensor/requirements.ts';
import { normalizeDim } from '../tensor/shape.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';
import { sumTo } from './broadcast.ts';
import { cast } from './convert.ts';
import { add, gt, le, leakyRelu, mul, neg, sigmoid, where } from './elementwise.ts';
import { maskedScatter } from './indexing.ts';
import { type DtypeOption, dtypeOption, softmax, sum } from './reduce.ts';
import { chunk, reshape } from './shape_ops.ts';

const preluOp = defineOp({
  name: 'prelu',
  forward(ctx, x: Tensor, weight: Tensor) {
    ctx.save(x, weight);
    return where(gt(x, 0), x, mul(x, weight));
  },
  // Of −∞ and ∞ too: what is not chosen takes no part in the sum.
  backward(ctx, [g], _x, weightInfo) {
    const [x, weight] = ctx.saved;
    const isPositive = gt(x, 0);
    return [
      ctx.needs[0] ? where(isPositive, g, mul(g, weight)) : null,
      ctx.needs[1] ? sumTo(where(isPositive, 0, mul(g, x)), weightInfo.shape) : null,
    ];
  },
}) as (x: Tensor, weight: Tensor) => Tensor;

/**
 * x where positive, weight·x elsewhere, with a weight of shape [] or [1] for all, or of shape [C], one for each channel
 * of (N, C, …) (He et al. 2015; PyTorch: `F.prelu`).
 * @throws RuntimeError where the number of weights is not that of the channels, or dtypes differ.
 * @example
 * const y1 = prelu(x, tensor([0.25]));
 */
export function prelu(x: Tensor, weight: Tensor): Tensor {
  requireTensor('prelu', x);
  requireTensor('prelu', weight);
  if (x.dtype !== weight.dtype)
    throw new RuntimeError(`prelu: Type promoting not supported. Got ${x.dtype} and ${weight.dtype}`);
  if (weight.size !== 1) {
    if (x.rank === 0) throw new RuntimeError('Not allow zero-dim input tensor.');
    const channels = x.rank > 1 ? x.shape[1] : 1;
    if (channels !== weight.size)
      throw new RuntimeError(
        `Mismatch of parameter numbers and input channel size. Found parameter numbers = ${weight.size} and channel size = ${channels}.`,
      );
  }
  if (weight.rank > 1)
    throw new RuntimeError(`prelu: Expected \`weight\` to be a scalar or 1D tensor, but got: ndim = ${weight.rank}`);
  requireFloat('prelu', x);
  return preluOp(
    x,
    reshape(
      weight,
      x.shape.map((_, d) => (d === Math.min(1, x.rank - 1) ? weight.size : 1)),
    ),
  );
}

/**
 * The first half of x along a dimension, default the last, times the sigmoid of the second one (Dauphin et al. 2017;
 * PyTorch: `F.glu`).
 * @throws RuntimeError on an odd size.
 * @example
 * const gated = glu(ones([4, 6])); // shape [4, 3]
 */
export function glu(x: Tensor, dim = -1): Tensor {
  requireTensor('glu', x);
  if (x.rank === 0) throw new RuntimeError('glu does not support scalars because halving size must be even');
  const d = normalizeDim(dim, x.rank, 'glu');
  if (x.shape[d] % 2 !== 0)
    throw new RuntimeError(`Halving dimension must be even, but dimension ${d} is size ${x.shape[d]}`);
  requireFloat('glu', x);
  const [values, gates] = chunk(x, 2, d);
  return mul(values, sigmoid(gates));
}

/**
 * e^(−x) / Σ e^(−x) along a dimension: the softmax of −x (PyTorch: `F.softmin`).
 * @throws NotImplementedError on integers and bool.
 */
export function softmin(x: Tensor, dim: number, options?: DtypeOption): Tensor {
  requireTensor('softmin', x);
  requireOptions('softmin', options, dtypeOption);
  if (x.dtype === 'bool')
    throw new NotImplementedError('Negation, the `-` operator, on a bool tensor is not supported.');
  requireInteger('softmin', 'dim', dim);
  return softmax(neg(x), dim, options);
}

/** Limits of the slopes of `rrelu` and `RReLU`. */
export interface SlopeLimits {
  /** The least slope. Default: 1/8. */
  lower?: number;
  /** The greatest slope. Default: 1/3. */
  upper?: number;
}
/** Options of `rrelu`. */
export interface RreluOptions extends SlopeLimits {
  /** Whether slopes are drawn; otherwise the slope is the mean of the two limits. Default: false. */
  training?: boolean;
}
const rreluOptions = declareOptions<RreluOptions>({ lower: kind.number, upper: kind.number, training: kind.flag });

/**
 * x where positive, slope·x elsewhere: in training with a slope for each such element, uniform in [lower, upper), else
 * with the mean of the limits (Xu et al. 2015; PyTorch: `F.rrelu`).
 * @throws RuntimeError where lower > upper, or one of them is not finite.
 * @example
 * const y1 = rrelu(x, { training: true });
 */
export function rrelu(x: Tensor, options: RreluOptions = {}): Tensor {
  requireOptions('rrelu', options, rreluOptions);
  return rreluWith(x, options);
}
/** For the layer, with its mode. */
export function rreluWith(x: Tensor, { lower = 1 / 8, upper = 1 / 3, training = false }: RreluOptions): Tensor {
  requireFloat('rrelu', x);
  requireNumber('rrelu', 'lower', lower);
  requireNumber('rrelu', 'upper', upper);
  for (const [name, bound] of [['lower', lower] as const, ['upper', upper] as const])
    if (!Number.isFinite(bound)) throw new RuntimeError(`rrelu: ${name} bound must be finite, got ${bound}`);
  if (lower > upper) throw new RuntimeError('Lower bound should be less than or equal to the upper bound');
  return training ? mul(x, drawSlopes(x, lower, upper)) : leakyRelu(x, { negativeSlope: (lower + upper) / 2 });
}

/** 1 where x is positive, elsewhere a slope, drawn in row-major order in float64 as PyTorch does. */
function drawSlopes(x: Tensor, lower: number, upper: number): Tensor {
  const isDrawn = le(x, 0);
  const count = x.device === 'meta' ? 0 : Number(sum(isDrawn).item());
  const round = x.dtype === 'float64' ? (value: number) => value : Math.fround;
  const uniform = uniform_(allocate([count], 'float64', 'contiguous', x.backend));
  const slopes = add(mul(uniform, round(upper) - round(lower)), round(lower));
  return maskedScatter(fullOn(x.backend, x.shape, 1, x.dtype), isDrawn, cast(slopes, x.dtype));
}
