// Losses of classes: each input is a row of numbers, one for each class.
import { requireInteger, requireNumber } from '../../checks.ts';
import { IndexError, RuntimeError, ValueError } from '../../errors.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { fullOn } from '../../tensor/create.ts';
import { isFloat } from '../../tensor/dtype.ts';
import { requireFloat, requireSameDevice, requireTensor } from '../../tensor/requirements.ts';
import { formatShape, sameShape } from '../../tensor/shape.ts';
import { type Tensor, toNumber } from '../../tensor/tensor.ts';
import { cast } from '../convert.ts';
import { constantAbove } from '../elementwise/constant.ts';
import { add, div, mul, ne, neg, where } from '../elementwise.ts';
import { gather, indexSelect } from '../indexing.ts';
import { logSoftmax, sum } from '../reduce.ts';
import { reshape, unsqueeze } from '../shape_ops.ts';
import { type LossOptions, type LossReduction, reduced, requireReduction } from './reduction.ts';

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
