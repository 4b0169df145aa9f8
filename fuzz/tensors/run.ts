// Carries out a program with the library.
import { grad } from '../../src/autograd/backward.ts';
import { EvenkeelError } from '../../src/errors.ts';
import { mul } from '../../src/ops/elementwise.ts';
import { sum } from '../../src/ops/reduce.ts';
import { fromTypedArray, tensor } from '../../src/tensor/create.ts';
import { isFloat } from '../../src/tensor/dtype.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { setWarningHandler } from '../../src/warnings.ts';
import { calls } from './calls.ts';
import {
  type Arg,
  type Given,
  isSpecial,
  isTensor,
  type Outcome,
  plain,
  type Seen,
  special,
  type TensorProgram,
} from './program.ts';

export function tensorOf({ shape, dtype, data, requiresGrad }: Given): Tensor {
  const flat = tensor(data.map(plain), { dtype });
  const x = data.length === 0 ? tensor([], { dtype }) : flat;
  return x.reshape(shape).detach().requiresGrad_(requiresGrad);
}

export const seen = (x: Tensor): Seen => ({
  shape: [...x.shape],
  dtype: x.dtype,
  data: Array.from(x.dataSync() as ArrayLike<number | bigint>, (v) => special(Number(v))),
});

/** An argument as the library takes it. */
export function argumentOf(arg: Arg, pool: readonly Tensor[]): unknown {
  if (isSpecial(arg)) return plain(arg);
  if (isTensor(arg)) return pool[arg.t];
  return Array.isArray(arg) ? arg.map((each: Arg) => argumentOf(each, pool)) : arg;
}

/** A cotangent of small numbers, which peer.py makes too. */
const cotangent = (x: Tensor): Tensor =>
  fromTypedArray(
    Float64Array.from({ length: x.size }, (_, i) => (((i * 7) % 5) - 2) / 2),
    x.shape,
  ).to(x.dtype);

export function runTensors({ given, steps, order }: TensorProgram): Outcome {
  const made: Seen[][] = [];
  const outcome = {
    steps: made,
    error: null as string | null,
    gradients: [] as (Seen | null)[],
    second: [] as (Seen | null)[],
  };
  const former = setWarningHandler(() => {});
  try {
    const inputs = given.map(tensorOf);
    const pool = [...inputs];
    for (const { op, on, args } of steps) {
      const result = calls[op](pool[on], ...args.map((arg) => argumentOf(arg, pool)));
      const list = result instanceof Tensor ? [result] : result;
      made.push(list.map(seen));
      // Of an empty list there is nothing to go on with.
      pool.push(list[0] ?? pool[on]);
    }
    const last = pool.at(-1)!;
    const wanted = inputs.filter((input) => input.requiresGrad);
    if (order === 0 || !isFloat(last.dtype) || !last.requiresGrad) return outcome;
    // Most calls are linear: of squares there is a second derivative.
    const y = order === 2 ? mul(last, last) : last;
    const first = grad([y], wanted, { gradOutputs: [cotangent(last)], allowUnused: true, createGraph: order === 2 });
    outcome.gradients = first.map((g) => g && seen(g));
    const terms = first.filter((g) => g?.requiresGrad) as Tensor[];
    if (order === 1 || terms.length === 0) return outcome;
    const second = grad(
      terms.map((g) => sum(mul(g, g))),
      wanted,
      { allowUnused: true },
    );
    outcome.second = second.map((g) => g && seen(g));
  } catch (error) {
    outcome.error = error instanceof EvenkeelError ? `${error.name}: ${error.message}` : `a bare ${String(error)}`;
  } finally {
    setWarningHandler(former);
  }
  return outcome;
}
