// Losses, in the reductions of PyTorch: 'mean' (default), 'sum', 'none'.
import { defineOp } from '../autograd/define_op.ts';
import { requireInteger, requireNumber, requireRate, shown } from '../checks.ts';
import { IndexError, RuntimeError, ValueError } from '../errors.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { fullOn } from '../tensor/create.ts';
import { isFloat } from '../tensor/dtype.ts';
import { requireFloat, requireSameDevice, requireTensor } from '../tensor/requirements.ts';
import { broadcastShapes, formatShape, type Shape, sameShape } from '../tensor/shape.ts';
import { type Tensor, toNumber } from '../tensor/tensor.ts';
import { sumTo } from './broadcast.ts';
import { cast } from './convert.ts';
import { constantAbove } from './elementwise/constant.ts';
import {
  abs,
  add,
  clamp,
  div,
  exp,
  hardtanh,
  log1p,
  logsigmoid,
  lt,
  mul,
  ne,
  neg,
  sigmoid,
  square,
  sub,
  where,
} from './elementwise.ts';
import { gather, indexSelect } from './indexing.ts';
import { logSoftmax, mean, sum } from './reduce.ts';
import { reshape, unsqueeze } from './shape_ops.ts';

/** What becomes of the losses of all elements: their mean, their sum, or a tensor of all. */
export type LossReduction = 'mean' | 'sum' | 'none';

export const reductions: readonly LossReduction[] = ['mean', 'sum', 'none'];

/** @throws ValueError with PyTorch's text. */
export function requireReduction(op: string, reduction: LossReduction): void {
  if (!reductions.includes(reduction))
    throw new ValueError(`[${op}] ${shown(reduction)} is not a valid value for reduction`);
}

function reduced(loss: Tensor, reduction: LossReduction): Tensor {
  if (reduction === 'none') return loss;
  return reduction === 'sum' ? sum(loss) : mean(loss);
}

function requireAlike(op: string, input: Tensor, target: Tensor): void {
  requireFloat(op, input);
  requireTensor(op, target);
  if (!sameShape(input.shape, target.shape))
    throw new ValueError(
      `[${op}] expected target of the input's size ${formatShape(input.shape)}, got ${formatShape(target.shape)}`,
    );
}

/** A weight of losses may be broadcast to them, not the other way around. */
function requireWithin(op: string, weight: Tensor, shape: Shape): void {
  requireTensor(op, weight);
  const common = broadcastShapes(weight.shape, shape);
  if (!sameShape(common, shape))
    throw new RuntimeError(
      `output with shape ${formatShape(shape)} doesn't match the broadcast shape ${formatShape(common)}`,
    );
}

/** The options of all losses. */
export interface LossOptions {
  /** What becomes of the losses: `'mean'`, `'sum'`, or `'none'` for a tensor of all. Default: `'mean'`. */
  reduction?: LossReduction;
}
export const lossOptions = declareOptions<LossOptions>({ reduction: kind.choice });
/** Options of `nllLoss` and `NLLLoss`. */
export interface NllLossOptions extends LossOptions {
  /** A weight for each class (C). Default: null, all weigh the same. */
  weight?: Tensor | null;
  /** Targets of this value count for nothing. Default: −100. */
  ignoreIndex?: number;
}
export const nllLossOptions = declareOptions<NllLossOptions>({
  weight: kind.tensor,
  ignoreIndex: kind.integer,
  reduction: kind.choice,
});
/** Options of `crossEntropy` and `CrossEntropyLoss`. */
export interface CrossEntropyOptions extends NllLossOptions {
  /** Share of the target spread evenly over all classes, in [0, 1]. Default: 0. */
  labelSmoothing?: number;
}
export const crossEntropyOptions = declareOptions<CrossEntropyOptions>({
  ...nllLossOptions.kinds,
  labelSmoothing: kind.number,
});

/** Positions with a class to learn, and targets that are safe to index with. */
function validTargets(
  op: string,
  input: Tensor,
  target: Tensor,
  ignoreIndex: number,
): { target: Tensor; valid: Tensor | null } {
  const classDim = input.rank === 1 ? 0 : 1;
  const expected = input.shape.filter((_, d) => d !== classDim);
  requireTensor(op, target);
  if (isFloat(target.dtype) || target.dtype === 'bool')
    throw new RuntimeError(
      `[${op}] expected class indices as int64 or int32, or class probabilities of shape ${formatShape(input.shape)}; got ${target.dtype} of shape ${formatShape(target.shape)}`,
    );
  if (!sameShape(target.shape, expected)) {
    if (target.rank === 1 && input.rank === 2)
      throw new ValueError(
        `Expected input batch size (${input.shape[0]}) to match target batch size (${target.shape[0]}).`,
      );
    throw new RuntimeError(`Expected target size ${formatShape(expected)}, got ${formatShape(target.shape)}`);
  }
  const indices = cast(target, 'int64');
  const classes = input.shape[classDim];
  requireSameDevice(op, input, target);
  if (target.device === 'meta') return { target: indices, valid: null };
  // Most batches ignore nothing; they are found by the kernels' own check of indices.
  const data = indices.dataSync();
  let ignored = false;
  for (let i = 0; i < data.length; i++) {
    const label = toNumber(data[i]);
    if (label === ignoreIndex) ignored = true;
    else if (label < 0 || label >= classes) throw new IndexError(`Target ${label} is out of bounds.`);
  }
  if (!ignored) return { target: indices, valid: null };
  const valid = ne(indices, ignoreIndex);
  return { target: where(valid, indices, 0), valid };
}

/**
 * The negative log-likelihood of target classes under log-probabilities (N, C) or (N, C, d1, …); target (N) or (N, d1,
 * …), int64 (PyTorch: `F.nll_loss`). The mean is over the weights of the targets.
 * @throws IndexError where a target is no class; RuntimeError or ValueError on shapes that do not fit.
 */
export function nllLoss(logProbabilities: Tensor, target: Tensor, options: NllLossOptions = {}): Tensor {
  requireOptions('nllLoss', options, nllLossOptions);
  return nllLossWith(logProbabilities, target, options);
}
/** As the layer calls it, which has checked the options. */
export function nllLossWith(logProbabilities: Tensor, target: Tensor, options: NllLossOptions): Tensor {
  const { weight = null, ignoreIndex = -100, reduction = 'mean' } = options;
  requireInteger('nllLoss', 'ignoreIndex', ignoreIndex);
  requireReduction('nllLoss', reduction);
  requireFloat('nllLoss', logProbabilities);
  return nll(
    constantAbove(logProbabilities),
    validTargets('nllLoss', logProbabilities, target, ignoreIndex),
    weight,
    reduction,
  );
}

function checkWeight(weight: Tensor | null, classes: number): void {
  if (weight && (weight.rank !== 1 || weight.size !== classes))
    throw new RuntimeError(
      `weight tensor should be defined either for all ${classes} classes or no classes but got weight tensor of shape: ${formatShape(weight.shape)}`,
    );
}

function nll(
  logP: Tensor,
  { target, valid }: ReturnType<typeof validTargets>,
  weight: Tensor | null,
  reduction: LossReduction,
): Tensor {
  const dim = logP.rank === 1 ? 0 : 1;
  checkWeight(weight, logP.shape[dim]);
  let losses = neg(reshape(gather(logP, dim, unsqueeze(target, dim)), target.shape));
  const weights = weight ? reshape(indexSelect(weight, 0, reshape(target, [-1])), target.shape) : null;
  let counted = weights;
  if (valid) {
    const mask = cast(valid, logP.dtype);
    counted = weights ? mul(weights, mask) : mask;
  }
  // Chosen, not multiplied: an ignored position may be infinite.
  if (valid) losses = where(valid, losses, 0);
  if (weights) losses = mul(losses, weights);
  if (reduction !== 'mean' || !counted) return reduced(losses, reduction);
  return div(sum(losses), sum(counted));
}

/**
 * Cross entropy of logits (N, C) or (N, C, d1, …) against classes (int64, (N) or (N, d1, …)) or class probabilities
 * (the logits' shape) (PyTorch: `F.cross_entropy`).
 * @throws IndexError where a target is no class; RuntimeError or ValueError on shapes that do not fit.
 * @example
 * const loss = crossEntropy(model(images), labels);
 */
export function crossEntropy(logits: Tensor, target: Tensor, options: CrossEntropyOptions = {}): Tensor {
  requireOptions('crossEntropy', options, crossEntropyOptions);
  return crossEntropyWith(logits, target, options);
}
export function crossEntropyWith(logits: Tensor, target: Tensor, options: CrossEntropyOptions): Tensor {
  const { weight = null, ignoreIndex = -100, reduction = 'mean', labelSmoothing = 0 } = options;
  requireInteger('crossEntropy', 'ignoreIndex', ignoreIndex);
  requireNumber('crossEntropy', 'labelSmoothing', labelSmoothing);
  requireReduction('crossEntropy', reduction);
  requireFloat('crossEntropy', logits);
  requireTensor('crossEntropy', target);
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1))
    throw new RuntimeError(`[crossEntropy] labelSmoothing must be between 0.0 and 1.0. Got: ${labelSmoothing}`);
  if (logits.rank === 0) throw new RuntimeError('[crossEntropy] expected logits of at least one dimension, got 0');
  const dim = logits.rank === 1 ? 0 : 1;
  const classes = logits.shape[dim];
  const acrossClasses = (v: Tensor) =>
    reshape(
      v,
      logits.shape.map((_, d) => (d === dim ? classes : 1)),
    );
  if (isFloat(target.dtype) && sameShape(target.shape, logits.shape)) {
    if (ignoreIndex >= 0)
      throw new RuntimeError('[crossEntropy] ignoreIndex is not supported for floating point target');
    checkWeight(weight, classes);
    const smooth = labelSmoothing > 0 ? add(mul(target, 1 - labelSmoothing), labelSmoothing / classes) : target;
    const terms = mul(logSoftmax(logits, dim), smooth);
    const losses = neg(sum(weight ? mul(terms, acrossClasses(weight)) : terms, dim));
    return reduction === 'mean' ? div(sum(losses), logits.size / classes) : reduced(losses, reduction);
  }
  const targets = validTargets('crossEntropy', logits, target, ignoreIndex);
  const logP = logSoftmax(logits, dim);
  const hard = nll(logP, targets, weight, reduction);
  if (labelSmoothing === 0) return hard;
  // (1 − s)·NLL + s/C·Σ over classes of −w·log p, over the same positions and divisor.
  let spread = neg(sum(weight ? mul(logP, acrossClasses(weight)) : logP, dim));
  if (targets.valid) spread = where(targets.valid, spread, 0);
  if (reduction === 'mean') {
    const ones = fullOn(logits.backend, targets.target.shape, 1, logits.dtype);
    const counted = weight
      ? reshape(indexSelect(weight, 0, reshape(targets.target, [-1])), targets.target.shape)
      : ones;
    spread = div(sum(spread), sum(targets.valid ? where(targets.valid, counted, 0) : counted));
  } else spread = reduced(spread, reduction);
  return add(mul(hard, 1 - labelSmoothing), mul(spread, labelSmoothing / classes));
}

/** (input − target)², of equal shapes (PyTorch: `F.mse_loss`). */
export function mseLoss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  requireOptions('mseLoss', options, lossOptions);
  return mseLossWith(input, target, options);
}
export function mseLossWith(input: Tensor, target: Tensor, { reduction = 'mean' }: LossOptions): Tensor {
  requireReduction('mseLoss', reduction);
  requireAlike('mseLoss', input, target);
  return reduced(square(sub(input, target)), reduction);
}

/** |input − target|, of equal shapes (PyTorch: `F.l1_loss`). */
export function l1Loss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  requireOptions('l1Loss', options, lossOptions);
  return l1LossWith(input, target, options);
}
export function l1LossWith(input: Tensor, target: Tensor, { reduction = 'mean' }: LossOptions): Tensor {
  requireReduction('l1Loss', reduction);
  requireAlike('l1Loss', input, target);
  return reduced(abs(sub(input, target)), reduction);
}

const smoothL1Op = defineOp({
  name: 'smoothL1Loss',
  forward(ctx, difference: Tensor, beta: number) {
    ctx.save(difference);
    const distance = abs(difference);
    return where(lt(distance, beta), mul(square(distance), 0.5 / beta), sub(distance, 0.5 * beta));
  },
  backward: (ctx, [g], _difference, beta) => [mul(g, hardtanh(div(ctx.saved[0], beta)))],
}) as (difference: Tensor, beta: number) => Tensor;

/** Options of `smoothL1Loss` and `SmoothL1Loss`. */
export interface SmoothL1Options extends LossOptions {
  /** How far from the target the loss is quadratic. Default: 1. */
  beta?: number;
}
export const smoothL1Options = declareOptions<SmoothL1Options>({ beta: kind.number, reduction: kind.choice });

/** Quadratic within `beta` of the target, linear beyond (PyTorch: `F.smooth_l1_loss`). */
export function smoothL1Loss(input: Tensor, target: Tensor, options: SmoothL1Options = {}): Tensor {
  requireOptions('smoothL1Loss', options, smoothL1Options);
  return smoothL1LossWith(input, target, options);
}
export function smoothL1LossWith(
  input: Tensor,
  target: Tensor,
  { reduction = 'mean', beta = 1 }: SmoothL1Options,
): Tensor {
  requireReduction('smoothL1Loss', reduction);
  requireAlike('smoothL1Loss', input, target);
  requireNumber('smoothL1Loss', 'beta', beta);
  if (!(beta >= 0)) throw new RuntimeError('smoothL1Loss does not support negative values for beta.');
  requireRate('smoothL1Loss', 'beta', beta);
  if (beta === 0) return l1LossWith(input, target, { reduction });
  return reduced(smoothL1Op(sub(input, target), beta), reduction);
}

/** Options of `binaryCrossEntropyWithLogits` and `BCEWithLogitsLoss`. */
export interface BceOptions extends LossOptions {
  /** Weights that are broadcast against the losses. Default: null, all weigh the same. */
  weight?: Tensor | null;
  /** The weight of positive targets, broadcast against the input. Default: null, 1. */
  posWeight?: Tensor | null;
}
export const bceOptions = declareOptions<BceOptions>({
  weight: kind.tensor,
  posWeight: kind.tensor,
  reduction: kind.choice,
});

const bceOp = defineOp({
  name: 'binaryCrossEntropyWithLogits',
  // (1 − t)·x + w·(log(1 + e^−|x|) + max(−x, 0)) with w = 1 + (p − 1)·t
  forward(ctx, x: Tensor, target: Tensor, positive: Tensor | null) {
    ctx.save(x, target, positive);
    const softened = add(log1p(exp(neg(abs(x)))), clamp(neg(x), 0));
    return add(mul(sub(1, target), x), positive ? mul(weightOf(target, positive), softened) : softened);
  },
  // dx = (1 − t) − w·σ(−x) = w·σ(x) − p·t, whichever has the sigmoid that is no more than ½: there nothing cancels.
  backward(ctx, [g], _x, _target, positiveInfo) {
    const [x, target, positive] = ctx.saved as (Tensor | null)[] as [Tensor, Tensor, Tensor | null];
    const weighted = (s: Tensor) => (positive ? mul(weightOf(target, positive), s) : s);
    const dx = () =>
      where(
        lt(x, 0),
        sub(weighted(sigmoid(x)), positive ? mul(positive, target) : target),
        sub(sub(1, target), weighted(sigmoid(neg(x)))),
      );
    const dtarget = () => (positive ? neg(add(x, mul(sub(positive, 1), logsigmoid(x)))) : neg(x));
    return [
      ctx.needs[0] ? mul(g, dx()) : null,
      ctx.needs[1] ? mul(g, dtarget()) : null,
      ctx.needs[2] ? sumTo(neg(mul(g, mul(target, logsigmoid(x)))), positiveInfo!.shape) : null,
    ];
  },
}) as (x: Tensor, target: Tensor, positive: Tensor | null) => Tensor;
const weightOf = (target: Tensor, positive: Tensor): Tensor => add(mul(sub(positive, 1), target), 1);

/**
 * Binary cross entropy of logits against targets in [0, 1], without overflow:
 * (1 − t)·x + (1 + (p − 1)·t)·(log(1 + e^−|x|) + max(−x, 0)) (PyTorch: `F.binary_cross_entropy_with_logits`).
 */
export function binaryCrossEntropyWithLogits(input: Tensor, target: Tensor, options: BceOptions = {}): Tensor {
  requireOptions('binaryCrossEntropyWithLogits', options, bceOptions);
  return bceWith(input, target, options);
}
export function bceWith(input: Tensor, target: Tensor, options: BceOptions): Tensor {
  const { weight = null, posWeight = null, reduction = 'mean' } = options;
  const op = 'binaryCrossEntropyWithLogits';
  requireReduction(op, reduction);
  requireAlike(op, input, target);
  for (const t of [weight, posWeight]) if (t) requireWithin(op, t, input.shape);
  let losses = bceOp(input, target, posWeight);
  if (weight) losses = mul(losses, weight);
  return reduced(losses, reduction);
}
