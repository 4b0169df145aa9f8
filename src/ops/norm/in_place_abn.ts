// Batch norm and an invertible activation that overwrite their input. The backward needs nothing but the output (Rota
// Bulò et al. 2018, In-Place Activated BatchNorm). The kernels are those of batch norm.
import { defineOp } from '../../autograd/define_op.ts';
import { isGradEnabled, noGrad } from '../../autograd/grad_mode.ts';
import { RuntimeError, ValueError } from '../../errors.ts';
import { batchNormInvstd, batchNormStats, launchApply } from '../../launch/batch_norm.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { fullOn } from '../../tensor/create.ts';
import { requireFloat } from '../../tensor/requirements.ts';
import { scope } from '../../tensor/scope.ts';
import { sizeOf } from '../../tensor/shape.ts';
import { aliasOf, type Tensor } from '../../tensor/tensor.ts';
import { cast } from '../convert.ts';
import {
  abs,
  add,
  div,
  elu,
  ge,
  leakyRelu,
  log1p,
  mul,
  neg,
  reciprocal,
  rsqrt,
  square,
  where,
} from '../elementwise.ts';
import { overwrite } from '../in_place.ts';
import { type BatchNormOptions, batchNormKinds, gradientsOf, settleStatistics } from './batch_norm.ts';
import {
  emptyResult,
  requireAlike,
  requireConstantStatistics,
  requireElements,
  requireNormOptions,
} from './norm_checks.ts';

/** Activations of which the input can be found again from the output. */
export type InvertibleActivation = 'leakyRelu' | 'elu' | 'identity';

interface Invertible {
  apply(z: Tensor, param: number): Tensor;
  /** z from y = act(z). */
  invert(y: Tensor, param: number): Tensor;
  /** g·act′(z), told from y. */
  backward(g: Tensor, y: Tensor, param: number): Tensor;
}

const activations: Record<InvertibleActivation, Invertible> = {
  leakyRelu: {
    apply: (z, slope) => leakyRelu(z, { negativeSlope: slope }),
    invert: (y, slope) => where(ge(y, 0), y, div(y, slope)),
    backward: (g, y, slope) => mul(g, where(ge(y, 0), 1, slope, { dtype: y.dtype })),
  },
  elu: {
    apply: (z, alpha) => elu(z, { alpha }),
    invert: (y, alpha) => where(ge(y, 0), y, log1p(div(y, alpha))),
    backward: (g, y, alpha) => mul(g, where(ge(y, 0), 1, add(y, alpha))),
  },
  identity: { apply: (z) => z, invert: (y) => y, backward: (g) => g },
};

/** |γ| + eps, or 1 without a weight, as the forward computes it: the inverse must be of the same number. */
const scaleOf = (weight: Tensor | null, eps: number): Tensor | null => weight && add(abs(weight), eps);

/**
 * With s = |γ| + eps and r = invstd:  y = act(x̂·s + β) over x, which also is what the backward reads. There z = act⁻¹(y), d = g·act′(z) and
 * x̂ = (z − β)/s, and then
 *   dx = s·r·(d − mean(d) − x̂·mean(d·x̂)), or s·r·d in evaluation,  dγ = ±Σd·x̂, negative where γ < 0,  dβ = Σd.
 * That is the backward of a batch norm of z with mean β, invstd 1/s and weight s²·r.
 */
const inPlaceAbnOp = defineOp({
  name: 'inPlaceAbn',
  forward(
    ctx,
    x: Tensor,
    weight: Tensor | null,
    bias: Tensor | null,
    mean: Tensor,
    invstd: Tensor,
    _isTraining: boolean,
    eps: number,
    activation: InvertibleActivation,
    param: number,
  ) {
    scope(() => {
      const z = launchApply(x, mean, invstd, { weight: scaleOf(weight, eps), bias, relu: 0 });
      overwrite(x, activations[activation].apply(z, param));
    });
    const y = aliasOf(x);
    ctx.save(y, weight, bias, invstd);
    return y;
  },
  backward(ctx, [g], _x, _weight, _bias, _mean, _invstd, isTraining, eps, activation, param) {
    if (isGradEnabled())
      throw new RuntimeError(
        '[inPlaceAbn] trying to differentiate twice a function that keeps no more than its output; for createGraph use ABN, or BatchNorm2d and an activation',
      );
    const [y, weight, bias, invstd] = ctx.saved;
    const act = activations[activation];
    // Tensors of y's size are released at once, not at the end of the step.
    const [dx, dweight, dbias] = scope(() => {
      const one = fullOn(invstd.backend, [invstd.size], 1, 'float64');
      const scale = weight ? cast(scaleOf(weight, eps)!, 'float64') : one;
      const center = bias ? cast(bias, 'float64') : fullOn(invstd.backend, [invstd.size], 0, 'float64');
      const factor = cast(mul(square(scale), invstd), y.dtype);
      return gradientsOf(
        act.invert(y, param),
        act.backward(g, y, param),
        { weight: factor, bias: null, relu: 0 },
        center,
        reciprocal(scale),
        isTraining,
        ctx.needs,
      );
    });
    return [dx, dweight && where(ge(weight, 0), dweight, neg(dweight)), dbias];
  },
});

/** Options of `inPlaceAbn`. */
export interface InPlaceAbnOptions extends Omit<BatchNormOptions, 'relu'> {
  /** What follows the norm. Default: `'leakyRelu'`. */
  activation?: InvertibleActivation;
  /** The slope of leakyRelu or the alpha of elu, above 0. Default: 0.01. */
  activationParam?: number;
}
const inPlaceAbnOptions = declareOptions<InPlaceAbnOptions>({
  ...batchNormKinds,
  activation: kind.choice,
  activationParam: kind.number,
});

/**
 * x overwritten by act(x̂·(|weight| + eps) + bias), with x̂ as in `batchNorm`, and returned; the backward computes what
 * it needs from it (mapillary: `inplace_abn`). So x may be nobody else's, and a leaf that requires a gradient is an
 * error. At weight 1 the scale is 1 + eps, which differs a little from batch norm's. The gradient at a weight of 0,
 * where |weight| has none, is that from the right.
 *
 * Where |weight| + eps is as small as the rounding of the bias, the output hardly tells x̂, and gradients lose their
 * digits.
 * @throws ValueError with one value per channel in training, and on activations that cannot be inverted; RuntimeError
 * on sizes and dtypes that do not fit, and in a backward with createGraph: there is no second derivative.
 * @example
 * const y1 = inPlaceAbn(x.clone(), runningMean, runningVar, { training: true, activation: 'elu', activationParam: 1 });
 */
export function inPlaceAbn(
  x: Tensor,
  runningMean: Tensor | null,
  runningVar: Tensor | null,
  options: InPlaceAbnOptions = {},
): Tensor {
  requireOptions('inPlaceAbn', options, inPlaceAbnOptions);
  const {
    weight = null,
    bias = null,
    training = false,
    eps = 1e-5,
    activation = 'leakyRelu',
    activationParam = 0.01,
  } = options;
  requireFloat('inPlaceAbn', x);
  requireNormOptions('inPlaceAbn', options);
  requireInvertible(activation, activationParam);
  if (x.rank < 2) throw new ValueError(`expected at least 2D input (got ${x.rank}D input)`);
  if (training && x.shape[0] * sizeOf(x.shape.slice(2)) === 1)
    throw new ValueError(
      'inPlaceAbn is trying to compute batch statistics, but the input tensor only contains a single sample per channel',
    );
  if (x.size === 0) return emptyResult(x, weight, bias);
  for (const [name, t] of Object.entries({ runningMean, runningVar, weight, bias })) {
    if (!t && !training && name.startsWith('running'))
      throw new RuntimeError(`${name} must be defined in evaluation mode`);
    requireElements('inPlaceAbn', name, t, x.shape[1]);
  }
  requireAlike('inPlaceAbn', x, weight, bias, runningMean, runningVar);
  requireConstantStatistics(runningMean, runningVar);
  if (isGradEnabled() && x.requiresGrad && x.isLeaf)
    throw new RuntimeError('a leaf Variable that requires grad is being used in an in-place operation.');
  const batch = training ? batchNormStats(x) : null;
  const [mean, invstd] = noGrad(() =>
    batch
      ? [batch.mean, batchNormInvstd(batch, eps)]
      : [cast(runningMean!, 'float64'), rsqrt(add(cast(runningVar!, 'float64'), eps))],
  );
  const y = inPlaceAbnOp(x, weight, bias, mean, invstd, training, eps, activation, activationParam);
  if (y.gradFn) {
    x.gradFn = y.gradFn;
    x.outputIndex = y.outputIndex;
    x.history = ++x.storage.history;
  }
  if (batch) settleStatistics(batch, runningMean, runningVar, options);
  return x;
}

/** @throws ValueError where an activation's output does not tell its input. */
export function requireInvertible(activation: string, param: number): asserts activation is InvertibleActivation {
  if (!Object.hasOwn(activations, activation))
    throw new ValueError(`Unknown activation function ${String(activation)}`);
  if (activation !== 'identity' && !(param > 0))
    throw new ValueError(`[inPlaceAbn] expected a parameter of ${activation} above 0, got ${param}`);
}
