// Losses that are the negative logarithm of a probability, or a divergence of two distributions.
import { defineOp } from '../../autograd/define_op.ts';
import { requireNumber } from '../../checks.ts';
import { RuntimeError, ValueError } from '../../errors.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { fullOn } from '../../tensor/create.ts';
import { requireFloat, requireTensor } from '../../tensor/requirements.ts';
import { formatShape, sameShape } from '../../tensor/shape.ts';
import { Tensor } from '../../tensor/tensor.ts';
import { warn } from '../../warnings.ts';
import { atLeast } from '../at_least.ts';
import { add, clamp, div, eq, exp, le, log, log1p, lt, mul, neg, square, sub, where } from '../elementwise.ts';
import { amax, amin, any, sum } from '../reduce.ts';
import { unsqueeze } from '../shape_ops.ts';
import {
  type LossOptions,
  type LossReduction,
  reduced,
  reductions,
  requireReduction,
  requireWithin,
} from './reduction.ts';

/** Options of `binaryCrossEntropy` and `BCELoss`. */
export interface BinaryCrossEntropyOptions extends LossOptions {
  /** Weights that are broadcast against the losses. Default: null, all weigh the same. */
  weight?: Tensor | null;
}
export const binaryCrossEntropyOptions = declareOptions<BinaryCrossEntropyOptions>({
  weight: kind.tensor,
  reduction: kind.choice,
});

/** The least divisor, which PyTorch has as a float32. */
const leastDivisor = Math.fround(1e-12);
/** Logarithms are not less than −100, so that a wrong 0 or 1 has a finite loss. */
const limitedLog = (x: Tensor) => clamp(log(x), -100);
const limitedLogOfRest = (x: Tensor) => clamp(log1p(neg(x)), -100);

/** The gradient by x. Its own is that of PyTorch, whose divisors are never 0. */
const binaryCrossEntropyGradient = defineOp({
  name: 'binaryCrossEntropyGradient',
  forward(ctx, g: Tensor, x: Tensor, target: Tensor) {
    ctx.save(g, x, target);
    return div(mul(g, sub(x, target)), clamp(mul(sub(1, x), x), leastDivisor));
  },
  backward(ctx, [gg]) {
    const [g, x, target] = ctx.saved;
    const roots = mul(add(x, 1e-12), add(sub(1, x), 1e-12));
    const second = () => div(add(mul(x, sub(x, mul(target, 2))), target), square(roots));
    return [
      ctx.needs[0] ? div(mul(gg, sub(x, target)), roots) : null,
      ctx.needs[1] ? mul(mul(gg, g), second()) : null,
      ctx.needs[2] ? neg(div(mul(gg, g), clamp(mul(x, sub(1, x)), 1e-12))) : null,
    ];
  },
});
const binaryCrossEntropyOp = defineOp({
  name: 'binaryCrossEntropy',
  forward(ctx, x: Tensor, target: Tensor) {
    ctx.save(x, target);
    return sub(mul(sub(target, 1), limitedLogOfRest(x)), mul(target, limitedLog(x)));
  },
  backward(ctx, [g]) {
    const [x, target] = ctx.saved;
    return [
      ctx.needs[0] ? binaryCrossEntropyGradient(g, x, target) : null,
      ctx.needs[1] ? mul(g, sub(log1p(neg(x)), log(x))) : null,
    ];
  },
});

/**
 * Binary cross entropy of probabilities in [0, 1] against targets of the same shape: −(t·log x + (1 − t)·log(1 − x)),
 * with logarithms of at least −100 (PyTorch: `F.binary_cross_entropy`). `binaryCrossEntropyWithLogits` loses no digits
 * near 0 and 1.
 * @throws ValueError where the shapes differ; RuntimeError where an element of the input is outside [0, 1].
 * @example
 * const loss = binaryCrossEntropy(sigmoid(logits), rand([8, 10]));
 */
export function binaryCrossEntropy(input: Tensor, target: Tensor, options: BinaryCrossEntropyOptions = {}): Tensor {
  requireOptions('binaryCrossEntropy', options, binaryCrossEntropyOptions);
  return binaryCrossEntropyWith(input, target, options);
}
/** As the layer calls it, which has checked the options. */
export function binaryCrossEntropyWith(input: Tensor, target: Tensor, options: BinaryCrossEntropyOptions): Tensor {
  const { weight = null, reduction = 'mean' } = options;
  const op = 'binaryCrossEntropy';
  requireReduction(op, reduction);
  requireFloat(op, input);
  requireTensor(op, target);
  if (!sameShape(input.shape, target.shape))
    throw new ValueError(
      `Using a target size (${formatShape(target.shape)}) that is different to the input size (${formatShape(input.shape)}) is deprecated. Please ensure they have the same size.`,
    );
  if (weight) requireWithin(op, weight, input.shape);
  // NaN is neither.
  if (input.device !== 'meta' && input.size > 0 && !(amin(input).item() >= 0 && amax(input).item() <= 1))
    throw new RuntimeError('all elements of input should be between 0 and 1');
  const losses = binaryCrossEntropyOp(input, target);
  return reduced(weight ? mul(losses, weight) : losses, reduction);
}

/** What becomes of the divergences of all elements; `'batchmean'` divides their sum by the size of the batch. */
export type KlDivReduction = LossReduction | 'batchmean';
export const klDivReductions: readonly KlDivReduction[] = [...reductions, 'batchmean'];
/** Options of `klDiv` and `KLDivLoss`. */
export interface KlDivOptions {
  /**
   * What becomes of the divergences. `'batchmean'`, the sum divided by the first dimension, is the one of the
   * mathematics. Default: `'mean'`, over all elements.
   */
  reduction?: KlDivReduction;
  /** Whether the target is given as logarithms too. Default: false. */
  logTarget?: boolean;
}
export const klDivOptions = declareOptions<KlDivOptions>({ reduction: kind.choice, logTarget: kind.flag });

/**
 * The Kullback-Leibler divergence of a distribution, the target, from another one that is given as log-probabilities:
 * t·(log t − input), element by element; the operands are broadcast (PyTorch: `F.kl_div`).
 * @example
 * const loss = klDiv(logSoftmax(logits, 1), softmax(randn([8, 10]), 1), { reduction: 'batchmean' });
 */
export function klDiv(input: Tensor, target: Tensor, options: KlDivOptions = {}): Tensor {
  requireOptions('klDiv', options, klDivOptions);
  return klDivWith(input, target, options);
}
export function klDivWith(input: Tensor, target: Tensor, options: KlDivOptions): Tensor {
  const { reduction = 'mean', logTarget = false } = options;
  requireReduction('klDiv', reduction, klDivReductions);
  requireFloat('klDiv', input);
  requireFloat('klDiv', target);
  if (reduction === 'mean')
    warn(
      "reduction: 'mean' divides the total loss by both the batch size and the support size.'batchmean' divides only by the batch size, and aligns with the KL div math definition.'mean' will be changed to behave the same as 'batchmean' in the next major release.",
    );
  // 0·log 0 is 0.
  const losses = logTarget
    ? mul(exp(target), sub(target, input))
    : sub(where(eq(target, 0), 0, mul(target, log(target))), mul(target, input));
  if (reduction !== 'batchmean') return reduced(losses, reduction);
  return input.rank === 0 ? sum(losses) : div(sum(losses), input.shape[0]);
}

/** Options of `poissonNllLoss` and `PoissonNLLLoss`. */
export interface PoissonNllOptions extends LossOptions {
  /** Whether the input is the logarithm of the expected count. Default: true. */
  logInput?: boolean;
  /** Add Stirling's approximation of log(target!), where the target is above 1. Default: false. */
  full?: boolean;
  /** Added to the input before its logarithm is taken, where `logInput` is false. Default: 1e-8. */
  eps?: number;
}
export const poissonNllOptions = declareOptions<PoissonNllOptions>({
  logInput: kind.flag,
  full: kind.flag,
  eps: kind.number,
  reduction: kind.choice,
});

/**
 * The negative log-likelihood of counts under Poisson distributions: eˣ − t·x, or x − t·log(x + eps) with `logInput`
 * false; the operands are broadcast (PyTorch: `F.poisson_nll_loss`).
 */
export function poissonNllLoss(input: Tensor, target: Tensor, options: PoissonNllOptions = {}): Tensor {
  requireOptions('poissonNllLoss', options, poissonNllOptions);
  return poissonNllLossWith(input, target, options);
}
export function poissonNllLossWith(input: Tensor, target: Tensor, options: PoissonNllOptions): Tensor {
  const { logInput = true, full = false, eps = 1e-8, reduction = 'mean' } = options;
  requireReduction('poissonNllLoss', reduction);
  requireNumber('poissonNllLoss', 'eps', eps);
  requireTensor('poissonNllLoss', input);
  requireTensor('poissonNllLoss', target);
  const losses = logInput ? sub(exp(input), mul(target, input)) : sub(input, mul(target, log(add(input, eps))));
  if (!full) return reduced(losses, reduction);
  const stirling = add(sub(mul(target, log(target)), target), mul(log(mul(target, 2 * Math.PI)), 0.5));
  return reduced(add(losses, where(le(target, 1), 0, stirling)), reduction);
}

/** Options of `gaussianNllLoss` and `GaussianNLLLoss`. */
export interface GaussianNllOptions extends LossOptions {
  /** Add the constant ½·log 2π. Default: false. */
  full?: boolean;
  /** The least variance; gradients flow to smaller ones too. Default: 1e-6. */
  eps?: number;
}
export const gaussianNllOptions = declareOptions<GaussianNllOptions>({
  full: kind.flag,
  eps: kind.number,
  reduction: kind.choice,
});

/**
 * The negative log-likelihood of targets under normal distributions with means `input` and the given variances:
 * ½·(log v + (input − target)²/v) (PyTorch: `F.gaussian_nll_loss`). The variance is a number, or a tensor of the
 * input's shape; its last dimension may be absent, or one of its dimensions 1.
 * @throws ValueError on a negative variance, or one of another shape.
 * @example
 * const loss = gaussianNllLoss(x, y, softplus(randn(x.shape)));
 */
export function gaussianNllLoss(
  input: Tensor,
  target: Tensor,
  variance: Tensor | number,
  options: GaussianNllOptions = {},
): Tensor {
  requireOptions('gaussianNllLoss', options, gaussianNllOptions);
  return gaussianNllLossWith(input, target, variance, options);
}
export function gaussianNllLossWith(
  input: Tensor,
  target: Tensor,
  variance: Tensor | number,
  options: GaussianNllOptions,
): Tensor {
  const { full = false, eps = 1e-6, reduction = 'mean' } = options;
  requireReduction('gaussianNllLoss', reduction);
  requireNumber('gaussianNllLoss', 'eps', eps);
  requireFloat('gaussianNllLoss', input);
  requireTensor('gaussianNllLoss', target);
  const given = variancesOf(input, variance);
  const v = atLeast(given, eps);
  const losses = mul(add(log(v), div(square(sub(input, target)), v)), 0.5);
  return reduced(full ? add(losses, 0.5 * Math.log(2 * Math.PI)) : losses, reduction);
}

function variancesOf(input: Tensor, variance: Tensor | number): Tensor {
  if (!(variance instanceof Tensor)) {
    if (requireNumber('gaussianNllLoss', 'variance', variance) < 0)
      throw new ValueError('variance has negative entry/entries');
    return fullOn(input.backend, [], variance, input.dtype);
  }
  requireFloat('gaussianNllLoss', variance);
  if (variance.device !== 'meta' && variance.size > 0 && any(lt(variance, 0)).item() === 1)
    throw new ValueError('variance has negative entry/entries');
  const { shape } = variance;
  if (sameShape(shape, input.shape)) return variance;
  if (sameShape(shape, input.shape.slice(0, -1))) return unsqueeze(variance, -1);
  const others = shape.filter((n, d) => n !== input.shape[d]);
  if (shape.length !== input.rank || others.length !== 1 || others[0] !== 1)
    throw new ValueError('variance is of incorrect size');
  return variance;
}
