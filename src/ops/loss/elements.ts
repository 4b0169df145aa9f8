// Losses of elements: every element of the input is compared with the one of the target.
import { defineOp } from '../../autograd/define_op.ts';
import { requireNumber, requireRate } from '../../checks.ts';
import { RuntimeError } from '../../errors.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { sumTo } from '../broadcast.ts';
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
  neg,
  sigmoid,
  square,
  sub,
  where,
} from '../elementwise.ts';
import { type LossOptions, lossOptions, reduced, requireAlike, requireReduction, requireWithin } from './reduction.ts';

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

const huberOp = defineOp({
  name: 'huberLoss',
  forward(ctx, difference: Tensor, delta: number) {
    ctx.save(difference);
    const distance = abs(difference);
    return where(lt(distance, delta), mul(square(distance), 0.5), mul(sub(distance, 0.5 * delta), delta));
  },
  backward: (ctx, [g], _difference, delta) => [mul(g, hardtanh(ctx.saved[0], { minVal: -delta, maxVal: delta }))],
}) as (difference: Tensor, delta: number) => Tensor;

/** Options of `huberLoss` and `HuberLoss`. */
export interface HuberOptions extends LossOptions {
  /** How far from the target the loss is quadratic. Default: 1. */
  delta?: number;
}
export const huberOptions = declareOptions<HuberOptions>({ reduction: kind.choice, delta: kind.number });

/**
 * ½·d² within `delta` of the target, delta·(|d| − ½·delta) beyond; of equal shapes (Huber 1964; PyTorch:
 * `F.huber_loss`).
 * @throws RuntimeError unless delta is above 0.
 */
export function huberLoss(input: Tensor, target: Tensor, options: HuberOptions = {}): Tensor {
  requireOptions('huberLoss', options, huberOptions);
  return huberLossWith(input, target, options);
}
export function huberLossWith(input: Tensor, target: Tensor, { reduction = 'mean', delta = 1 }: HuberOptions): Tensor {
  requireReduction('huberLoss', reduction);
  requireAlike('huberLoss', input, target);
  requireNumber('huberLoss', 'delta', delta);
  if (!(delta > 0)) throw new RuntimeError('huberLoss does not support non-positive values for delta.');
  return reduced(huberOp(sub(input, target), delta), reduction);
}

/**
 * log(1 + e^(−t·x)) of targets 1 and −1, of equal shapes, without overflow (PyTorch: `F.soft_margin_loss`).
 */
export function softMarginLoss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  requireOptions('softMarginLoss', options, lossOptions);
  return softMarginLossWith(input, target, options);
}
export function softMarginLossWith(input: Tensor, target: Tensor, { reduction = 'mean' }: LossOptions): Tensor {
  requireReduction('softMarginLoss', reduction);
  requireAlike('softMarginLoss', input, target);
  return reduced(sub(0, logsigmoid(mul(target, input))), reduction);
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
