// The address tables that optimizer kernels read: one row of six doubles per parameter, so that a whole group is one kernel call.
// Not here: update rules, which are the kernels'.
import { RuntimeError } from '../errors.ts';
import type { Backend } from '../kernels/backend.ts';
import type { Pointer } from '../kernels/generated/abi.ts';
import { inFormat } from '../ops/launch.ts';
import { dtypes } from '../tensor/dtype.ts';
import { formatShape, sameShape } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';

const columns = 6;

export interface Row {
  readonly parameter: Tensor;
  /** In the parameter's memory order. */
  readonly gradient: Tensor;
  readonly states: readonly Tensor[];
}

/** Refuses what lies otherwise than its parameter: the kernels take the parameter's dtype and number of elements for all of a row. */
export function requireAlike(what: string, parameter: Tensor, tensor: Tensor): void {
  if (
    tensor.dtype !== parameter.dtype ||
    tensor.backend !== parameter.backend ||
    !sameShape(tensor.shape, parameter.shape)
  )
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

/** One call of a kernel over rows of one backend and dtype. The kernel gets the dtype's code, the table's address and its length. */
export function overTable(
  op: string,
  rows: readonly Row[],
  run: (backend: Backend, dtype: number, table: Pointer, count: number) => number,
): void {
  if (rows.length === 0) return;
  const [{ parameter: first }] = rows;
  const { backend } = first;
  const addresses = new Float64Array(rows.length * columns);
  rows.forEach(({ parameter, gradient, states }, i) => {
    const at = i * columns;
    addresses[at] = parameter.pointer;
    addresses[at + 1] = gradient.pointer;
    states.forEach((state, s) => {
      addresses[at + 2 + s] = state.pointer;
    });
    addresses[at + 5] = parameter.size;
  });
  backend.check(op, run(backend, dtypes[first.dtype].code, backend.doubles(addresses), rows.length));
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
