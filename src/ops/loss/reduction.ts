// What all losses share: the reductions of PyTorch, 'mean' (default), 'sum' and 'none', and checks of their operands.
import { shown } from '../../checks.ts';
import { RuntimeError, ValueError } from '../../errors.ts';
import { declareOptions, kind } from '../../options.ts';
import { requireFloat, requireTensor } from '../../tensor/requirements.ts';
import { broadcastShapes, formatShape, type Shape, sameShape } from '../../tensor/shape.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { mean, sum } from '../reduce.ts';

/** What becomes of the losses of all elements: their mean, their sum, or a tensor of all. */
export type LossReduction = 'mean' | 'sum' | 'none';

export const reductions: readonly LossReduction[] = ['mean', 'sum', 'none'];

/** @throws ValueError with PyTorch's text. */
export function requireReduction(op: string, reduction: string, allowed: readonly string[] = reductions): void {
  if (!allowed.includes(reduction))
    throw new ValueError(`[${op}] ${shown(reduction)} is not a valid value for reduction`);
}

/** The losses of all elements, reduced. */
export function reduced(loss: Tensor, reduction: LossReduction): Tensor {
  if (reduction === 'none') return loss;
  return reduction === 'sum' ? sum(loss) : mean(loss);
}

/** @throws ValueError unless both are floats of one shape. */
export function requireAlike(op: string, input: Tensor, target: Tensor): void {
  requireFloat(op, input);
  requireTensor(op, target);
  if (!sameShape(input.shape, target.shape))
    throw new ValueError(
      `[${op}] expected target of the input's size ${formatShape(input.shape)}, got ${formatShape(target.shape)}`,
    );
}

/** A weight of losses may be broadcast to them, not the other way around. */
export function requireWithin(op: string, weight: Tensor, shape: Shape): void {
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
