// The checks that normalizations share, with PyTorch's texts, and what they give for a tensor without elements. Which
// checks an op makes, and in what order, is in its own file.
import { isGradEnabled } from '../../autograd/grad_mode.ts';
import { requireFinite, requireNumber, requireRate, shown } from '../../checks.ts';
import { RuntimeError, ValueError } from '../../errors.ts';
import { requireSameDevice, requireTensor } from '../../tensor/requirements.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { clone } from '../convert.ts';
import { add, mul } from '../elementwise.ts';
import { sum } from '../reduce.ts';

/** A number; booleans count as 1 and 0, as in PyTorch. */
export function requireNormNumber(op: string, name: string, value: unknown): void {
  if (typeof value !== 'boolean') requireNumber(op, name, value);
}

/** @throws ValueError where an eps under a root would make the root NaN or meaningless. */
export function requireEps(op: string, eps: unknown): void {
  if (!(Number(eps) >= 0 && Number(eps) < Number.POSITIVE_INFINITY))
    throw new ValueError(`[${op}] expected eps to be a finite number of at least 0, got ${shown(eps)}`);
}

/** @throws ValueError where running statistics would be lost. */
export function requireMomentum(op: string, momentum: unknown): void {
  if (!Number.isFinite(Number(momentum)))
    throw new ValueError(`[${op}] expected momentum to be finite, got ${shown(momentum)}`);
}

/** Both checks, for functions that PyTorch does not have. */
export function requireNormOptions(op: string, { eps, momentum }: { eps?: unknown; momentum?: unknown }): void {
  if (eps !== undefined) requireRate(op, 'eps', eps);
  if (momentum !== undefined && momentum !== null) requireFinite(op, 'momentum', momentum);
}

/**
 * The number of elements decides, not the shape. `copies`: how often the text counts each, for ops that repeat the
 * vector.
 */
export function requireElements(op: string, name: string, value: Tensor | null, count: number, copies = 1): void {
  if (!value) return;
  requireTensor(op, value);
  if (value.size !== count)
    throw new RuntimeError(`${name} should contain ${count * copies} elements not ${value.size * copies}`);
}

/** Parameters and statistics of x's dtype, on x's engine. */
export function requireAlike(op: string, x: Tensor, ...others: (Tensor | null)[]): void {
  for (const t of others) {
    if (!t) continue;
    if (t.dtype !== x.dtype)
      throw new RuntimeError(
        t.dtype === 'float32'
          ? 'mixed dtype (CPU): all inputs must share same datatype.'
          : 'mixed dtype (CPU): expect parameter to have scalar type of Float',
      );
    requireSameDevice(op, x, t);
  }
}

/** No gradient flows to running statistics, so none may be asked for where gradients are recorded. */
export function requireConstantStatistics(runningMean: Tensor | null, runningVar: Tensor | null): void {
  for (const [name, t] of [
    ['runningMean', runningMean],
    ['runningVar', runningVar],
  ] as const)
    if (isGradEnabled() && t?.requiresGrad)
      throw new RuntimeError(
        `The function 'batchNorm' is not differentiable with respect to argument '${name}'. This input cannot have requiresGrad true.`,
      );
}

/** A result without elements that stays in the graph: the gradients of the parameters are zeros. */
export const emptyResult = (x: Tensor, ...parameters: (Tensor | null)[]): Tensor =>
  parameters.reduce<Tensor>((y, parameter) => (parameter ? add(y, mul(sum(parameter), 0)) : y), clone(x));
