// The tables that optimizer kernels read: a row for each parameter, so that a whole group is one launch.
// Not here: update rules, which are the kernels'.

import type { Backend } from '../device/backend.ts';
import type { TableRow } from '../device/operand.ts';
import { RuntimeError } from '../errors.ts';
import { inFormat } from '../tensor/copy.ts';
import { formatShape, sameShape } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';

export interface Row extends TableRow {
  readonly parameter: Tensor;
  readonly gradient: Tensor;
  readonly states: readonly Tensor[];
}

/**
 * Refuses gradients and states of another dtype, size or format than their parameter: the kernels use those of the
 * parameter for the whole row.
 */
export function requireAlike(what: string, parameter: Tensor, tensor: Tensor, shape = parameter.shape): void {
  if (tensor.dtype !== parameter.dtype || tensor.backend !== parameter.backend || !sameShape(tensor.shape, shape))
    throw new RuntimeError(
      `[step] expected ${what} as its parameter is, ${described(parameter)}, got ${described(tensor)}`,
    );
}

const described = ({ shape, dtype, backend, device }: Tensor): string =>
  `${dtype} of shape ${formatShape(shape)} on ${device === 'meta' ? 'the meta device' : `the engine ${backend.name}`}`;

/** A parameter's gradient in the parameter's own memory order. */
export function gradientOf(parameter: Tensor): Tensor {
  const grad = parameter.peekGrad();
  if (!grad) throw new RuntimeError('[step] expected a parameter with a gradient');
  requireAlike('a gradient', parameter, grad);
  return inFormat(grad, parameter.memoryFormat);
}

/** Rows by backend and dtype, which one kernel call cannot mix; `splitBy` separates them further. */
export function partition<R extends Row>(rows: readonly R[], splitBy: (row: R) => number = () => 0): R[][] {
  const byDevice = new Map<Backend, Map<string, R[]>>();
  for (const row of rows) {
    const { backend, dtype } = row.parameter;
    const parts = entry(byDevice, backend, () => new Map<string, R[]>());
    entry(parts, `${dtype} ${splitBy(row)}`, () => []).push(row);
  }
  return [...byDevice.values()].flatMap((parts) => [...parts.values()]);
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
