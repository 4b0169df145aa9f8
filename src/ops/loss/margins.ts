// Losses of classes that want the right ones ahead of the others by a margin.
import { requireNumber, shown } from '../../checks.ts';
import { RuntimeError, ValueError } from '../../errors.ts';
import { declareOptions, kind, requireOptions } from '../../options.ts';
import { fullOn } from '../../tensor/create.ts';
import { requireFloat, requireSameDevice, requireTensor } from '../../tensor/requirements.ts';
import { formatShape, sameShape } from '../../tensor/shape.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { cast } from '../convert.ts';
import {
  add,
  div,
  eq,
  gt,
  logicalAnd,
  logicalNot,
  logsigmoid,
  lt,
  mul,
  neg,
  relu,
  square,
  sub,
  where,
} from '../elementwise.ts';
import { gather, indexSelect, scatter, scatterAdd } from '../indexing.ts';
import { amax, amin, cumsum, sum } from '../reduce.ts';
import { narrow, reshape, unsqueeze } from '../shape_ops.ts';
import { type LossOptions, lossOptions, reduced, requireReduction } from './reduction.ts';

/** Rows of classes: (C) is one row. */
function rowsOf(op: string, input: Tensor): Tensor {
  requireFloat(op, input);
  const classes = input.shape.at(-1) ?? 1;
  if (input.rank > 2 || classes === 0)
    throw new RuntimeError(
      `Expected non-empty vector or matrix with optional 0-dim batch size, but got: ${formatShape(input.shape)}`,
    );
  return input.rank === 2 ? input : reshape(input, [1, classes]);
}

function requireInt64(op: string, target: Tensor): void {
  requireTensor(op, target);
  if (target.dtype !== 'int64') throw new RuntimeError(`[${op}] expected a target of int64, got ${target.dtype}`);
}

/** Values of the target are at least `least` and below `classes`. */
function requireRange(target: Tensor, least: number, classes: number, message: string): void {
  if (target.device === 'meta' || target.size === 0) return;
  if (amin(target).item() < least || amax(target).item() >= classes) throw new RuntimeError(message);
}

/** Options of `multiMarginLoss` and `MultiMarginLoss`. */
export interface MultiMarginOptions extends LossOptions {
  /** The exponent of what is missing to the margin, 1 or 2. Default: 1. */
  p?: number;
  /** How far the right class is to be ahead. Default: 1. */
  margin?: number;
  /** A weight for each class (C). Default: null, all weigh the same. */
  weight?: Tensor | null;
}
export const multiMarginOptions = declareOptions<MultiMarginOptions>({
  p: kind.integer,
  margin: kind.number,
  weight: kind.tensor,
  reduction: kind.choice,
});

/** @throws ValueError unless p is 1 or 2. */
export function requireOneOrTwo(op: string, p: number): number {
  if (p !== 1 && p !== 2) throw new ValueError(`[${op}] only p == 1 and p == 2 supported, got ${shown(p)}`);
  return p;
}

/**
 * Σ over all classes j but the right one y of max(0, margin − x[y] + x[j])^p / C, for an input (N, C) or (C) and a
 * target (N) or () of int64 (PyTorch: `F.multi_margin_loss`).
 * @throws RuntimeError on shapes that do not fit and on a target that is no class; ValueError unless p is 1 or 2.
 */
export function multiMarginLoss(input: Tensor, target: Tensor, options: MultiMarginOptions = {}): Tensor {
  requireOptions('multiMarginLoss', options, multiMarginOptions);
  return multiMarginLossWith(input, target, options);
}
/** As the layer calls it, which has checked the options. */
export function multiMarginLossWith(input: Tensor, target: Tensor, options: MultiMarginOptions): Tensor {
  const { p = 1, margin = 1, weight = null, reduction = 'mean' } = options;
  const op = 'multiMarginLoss';
  requireReduction(op, reduction);
  requireNumber(op, 'margin', margin);
  requireOneOrTwo(op, p);
  if (weight && weight.rank !== 1) throw new ValueError('weight must be one-dimensional');
  const rows = rowsOf(op, input);
  const [count, classes] = rows.shape;
  requireInt64(op, target);
  requireSameDevice(op, input, target);
  if (target.rank > 1 || target.size !== count)
    throw new RuntimeError(`inconsistent target size, expected ${count} but got ${formatShape(target.shape)}`);
  if (weight && weight.size !== classes)
    throw new RuntimeError(`inconsistent weight size, expected ${classes} but got ${formatShape(weight.shape)}`);
  requireRange(target, 0, classes, 'target out of range');
  const labels = reshape(target, [count]);
  const column = unsqueeze(labels, 1);
  const missing = relu(add(sub(margin, gather(rows, 1, column)), rows));
  const isRight = scatter(fullOn(rows.backend, rows.shape, 0, 'bool'), 1, column, true);
  const others = where(isRight, 0, p === 1 ? missing : square(missing));
  const sums = div(sum(others, 1), classes);
  const losses = weight ? mul(sums, indexSelect(weight, 0, labels)) : sums;
  return reduced(target.rank === 0 ? reshape(losses, []) : losses, reduction);
}

/**
 * Σ over the classes of a sample and all others of max(0, 1 − x[y] + x[j]) / C, for an input (N, C) or (C) and a target
 * of the same shape, int64: the classes of each row, up to the first −1 (PyTorch: `F.multilabel_margin_loss`).
 * @throws RuntimeError on shapes that differ and on targets that are neither a class nor −1.
 */
export function multilabelMarginLoss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  requireOptions('multilabelMarginLoss', options, lossOptions);
  return multilabelMarginLossWith(input, target, options);
}
export function multilabelMarginLossWith(input: Tensor, target: Tensor, { reduction = 'mean' }: LossOptions): Tensor {
  const op = 'multilabelMarginLoss';
  requireReduction(op, reduction);
  const rows = rowsOf(op, input);
  const [count, classes] = rows.shape;
  requireInt64(op, target);
  requireSameDevice(op, input, target);
  if (!sameShape(target.shape, input.shape))
    throw new RuntimeError(
      `inconsistent target size: ${formatShape(target.shape)} for input of size: ${formatShape(input.shape)}`,
    );
  requireRange(target, -1, classes, `[${op}] target has out of range values`);
  const given = reshape(target, [count, classes]);
  const isCounted = eq(cumsum(lt(given, 0), 1), 0);
  const all = where(isCounted, given, 0);
  const isTarget = gt(scatterAdd(fullOn(rows.backend, rows.shape, 0, 'int64'), 1, all, cast(isCounted, 'int64')), 0);
  // As many columns as the sample with most classes needs.
  const most = rows.device === 'meta' || count === 0 ? classes : amax(sum(isCounted, 1)).item();
  const labels = narrow(all, 1, 0, most);
  const missing = relu(add(unsqueeze(sub(1, gather(rows, 1, labels)), 2), unsqueeze(rows, 1)));
  const isPair = logicalAnd(unsqueeze(narrow(isCounted, 1, 0, most), 2), unsqueeze(logicalNot(isTarget), 1));
  const losses = div(sum(where(isPair, missing, 0), [1, 2]), classes);
  return reduced(input.rank === 2 ? losses : reshape(losses, []), reduction);
}

/** Options of `multilabelSoftMarginLoss` and `MultiLabelSoftMarginLoss`. */
export interface MultilabelSoftMarginOptions extends LossOptions {
  /** A weight for each class (C). Default: null, all weigh the same. */
  weight?: Tensor | null;
}
export const multilabelSoftMarginOptions = declareOptions<MultilabelSoftMarginOptions>({
  weight: kind.tensor,
  reduction: kind.choice,
});

/**
 * The mean over the classes, the last dimension, of binary cross entropies of logits against targets 0 and 1 (PyTorch:
 * `F.multilabel_soft_margin_loss`); `'none'` gives one loss for each sample.
 */
export function multilabelSoftMarginLoss(
  input: Tensor,
  target: Tensor,
  options: MultilabelSoftMarginOptions = {},
): Tensor {
  requireOptions('multilabelSoftMarginLoss', options, multilabelSoftMarginOptions);
  return multilabelSoftMarginLossWith(input, target, options);
}
export function multilabelSoftMarginLossWith(
  input: Tensor,
  target: Tensor,
  options: MultilabelSoftMarginOptions,
): Tensor {
  const { weight = null, reduction = 'mean' } = options;
  requireReduction('multilabelSoftMarginLoss', reduction);
  requireFloat('multilabelSoftMarginLoss', input);
  requireTensor('multilabelSoftMarginLoss', target);
  if (input.rank === 0)
    throw new RuntimeError('[multilabelSoftMarginLoss] expected an input of at least one dimension, got 0');
  const all = neg(add(mul(target, logsigmoid(input)), mul(sub(1, target), logsigmoid(neg(input)))));
  const losses = sum(weight ? mul(all, weight) : all, input.rank - 1);
  return reduced(div(losses, input.shape.at(-1)!), reduction);
}
