// Losses, in the reductions of PyTorch: 'mean' (default), 'sum', 'none'.
import { IndexError, RuntimeError, ValueError } from '../errors.ts';
import { fullOn } from '../tensor/create.ts';
import { isFloat } from '../tensor/dtype.ts';
import { formatShape, formatSize, sameShape } from '../tensor/shape.ts';
import { type Tensor, toNumber } from '../tensor/tensor.ts';
import { abs, add, clamp, div, exp, log1p, lt, mul, ne, neg, square, sub, where } from './elementwise.ts';
import { gather, indexSelect } from './indexing.ts';
import { cast, requireFloat, requireSameDevice, requireTensor } from './launch.ts';
import { logSoftmax, mean, sum } from './reduce.ts';
import { reshape, unsqueeze } from './shape_ops.ts';

export type LossReduction = 'mean' | 'sum' | 'none';

function reduced(loss: Tensor, reduction: LossReduction): Tensor {
  if (reduction === 'none') return loss;
  if (reduction === 'sum') return sum(loss);
  if (reduction === 'mean') return mean(loss);
  throw new ValueError(`${String(reduction)} is not a valid value for reduction`);
}

function requireAlike(op: string, input: Tensor, target: Tensor): void {
  requireFloat(op, input);
  requireTensor(op, target);
  if (!sameShape(input.shape, target.shape))
    throw new ValueError(
      `[${op}] expected target of the input's size ${formatSize(input.shape)}, got ${formatSize(target.shape)}`,
    );
}

export interface LossOptions {
  reduction?: LossReduction;
}
export interface NllLossOptions extends LossOptions {
  /** A weight per class (C). */
  weight?: Tensor | null;
  /** Targets of this value count for nothing. Default: −100. */
  ignoreIndex?: number;
}
export interface CrossEntropyOptions extends NllLossOptions {
  /** Share of the target spread evenly over all classes, in [0, 1]. Default: 0. */
  labelSmoothing?: number;
}

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
        `Expected input batch_size (${input.shape[0]}) to match target batch_size (${target.shape[0]}).`,
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
 * The negative log-likelihood of target classes under log-probabilities (N, C) or (N, C, d1, …); target (N) or (N, d1, …), int64
 * (PyTorch: `F.nll_loss`). The mean is over the weights of the targets.
 * @throws IndexError where a target is no class; RuntimeError or ValueError on shapes that do not fit.
 */
export function nllLoss(logProbabilities: Tensor, target: Tensor, options: NllLossOptions = {}): Tensor {
  const { weight = null, ignoreIndex = -100, reduction = 'mean' } = options;
  requireFloat('nllLoss', logProbabilities);
  return nll(logProbabilities, validTargets('nllLoss', logProbabilities, target, ignoreIndex), weight, reduction);
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
 * Cross entropy of logits (N, C) or (N, C, d1, …) against classes (int64, (N) or (N, d1, …)) or class probabilities (the logits' shape)
 * (PyTorch: `F.cross_entropy`).
 * @throws IndexError where a target is no class; RuntimeError or ValueError on shapes that do not fit.
 * @example
 * const loss = crossEntropy(model.forward(images), labels);
 */
export function crossEntropy(logits: Tensor, target: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const { weight = null, ignoreIndex = -100, reduction = 'mean', labelSmoothing = 0 } = options;
  requireFloat('crossEntropy', logits);
  requireTensor('crossEntropy', target);
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1))
    throw new RuntimeError(`label_smoothing must be between 0.0 and 1.0. Got: ${labelSmoothing}`);
  if (logits.rank === 0) throw new RuntimeError('[crossEntropy] expected logits of at least one dimension, got 0');
  const dim = logits.rank === 1 ? 0 : 1;
  const classes = logits.shape[dim];
  const acrossClasses = (v: Tensor) =>
    reshape(
      v,
      logits.shape.map((_, d) => (d === dim ? classes : 1)),
    );
  if (isFloat(target.dtype) && sameShape(target.shape, logits.shape)) {
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
export function mseLoss(input: Tensor, target: Tensor, { reduction = 'mean' }: LossOptions = {}): Tensor {
  requireAlike('mseLoss', input, target);
  return reduced(square(sub(input, target)), reduction);
}

/** |input − target|, of equal shapes (PyTorch: `F.l1_loss`). */
export function l1Loss(input: Tensor, target: Tensor, { reduction = 'mean' }: LossOptions = {}): Tensor {
  requireAlike('l1Loss', input, target);
  return reduced(abs(sub(input, target)), reduction);
}

/** Quadratic within `beta` of the target, linear beyond (PyTorch: `F.smooth_l1_loss`; default beta 1). */
export function smoothL1Loss(
  input: Tensor,
  target: Tensor,
  { reduction = 'mean', beta = 1 }: LossOptions & { beta?: number } = {},
): Tensor {
  requireAlike('smoothL1Loss', input, target);
  if (beta < 0) throw new RuntimeError('smooth_l1_loss does not support negative values for beta.');
  if (beta === 0) return l1Loss(input, target, { reduction });
  const distance = abs(sub(input, target));
  const losses = where(lt(distance, beta), mul(square(distance), 0.5 / beta), sub(distance, 0.5 * beta));
  return reduced(losses, reduction);
}

export interface BceOptions extends LossOptions {
  /** Broadcast against the losses. */
  weight?: Tensor | null;
  /** Weight of positive targets, broadcast against the input. */
  posWeight?: Tensor | null;
}

/**
 * Binary cross entropy of logits against targets in [0, 1], without overflow:
 * (1 − t)·x + (1 + (p − 1)·t)·(log(1 + e^−|x|) + max(−x, 0)) (PyTorch: `F.binary_cross_entropy_with_logits`).
 */
export function bceWithLogits(input: Tensor, target: Tensor, options: BceOptions = {}): Tensor {
  const { weight = null, posWeight = null, reduction = 'mean' } = options;
  requireAlike('bceWithLogits', input, target);
  const softened = add(log1p(exp(neg(abs(input)))), clamp(neg(input), 0));
  const positive = posWeight ? mul(add(mul(sub(posWeight, 1), target), 1), softened) : softened;
  let losses = add(mul(sub(1, target), input), positive);
  if (weight) losses = mul(losses, weight);
  return reduced(losses, reduction);
}
