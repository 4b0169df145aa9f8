// Checks of the tensors that operations are given.
import { shown } from '../checks.ts';
import { ArgumentTypeError, NotImplementedError, RuntimeError } from '../errors.ts';
import { isFloat } from './dtype.ts';
import { Tensor } from './tensor.ts';

export function requireTensor(op: string, value: unknown): asserts value is Tensor {
  if (!(value instanceof Tensor)) throw new ArgumentTypeError(`[${op}] expected a Tensor, got ${shown(value)}`);
}

export function requireFloat(op: string, x: Tensor): void {
  requireTensor(op, x);
  if (!isFloat(x.dtype)) throw new NotImplementedError(`"${op}" not implemented for '${x.dtype}'`);
}

export function requireSameDevice(op: string, ...tensors: Tensor[]): void {
  const [first, ...rest] = tensors;
  for (const tensor of rest)
    if (tensor.backend !== first.backend)
      throw new RuntimeError(
        tensor.device === first.device
          ? `[${op}] expected all tensors on one engine, got ${first.backend.name} and ${tensor.backend.name}`
          : `[${op}] Expected all tensors to be on the same device, but found at least two devices, ${first.device} and ${tensor.device}!`,
      );
}

/** The tensors that are not null. */
export const present = (...tensors: (Tensor | null)[]): Tensor[] => tensors.filter((tensor) => tensor !== null);
