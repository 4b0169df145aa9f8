// Every case through every mode: PyTorch's float64 results, gradients of first and second order by differences, both
// memory formats, fused between norms against plain, float32 against float64, one thread against many, and the other
// engine. A differentiable op without a case fails here.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import '../../src/index.ts';
import { grad } from '../../src/autograd/backward.ts';
import { registry } from '../../src/autograd/define_op.ts';
import { gradcheck, gradgradcheck } from '../../src/autograd/gradcheck.ts';
import { getEngine, getNumThreads, setEngine, setNumThreads } from '../../src/device/engine.ts';
import { withFusion } from '../../src/fusion/switch.ts';
import { batchNormWith } from '../../src/ops/norm/batch_norm.ts';
import { full } from '../../src/tensor/create.ts';
import type { DType } from '../../src/tensor/dtype.ts';
import { type MemoryFormat, sizeOf } from '../../src/tensor/shape.ts';
import type { Case } from './case.ts';
import { cotangentsOf, inputsOf, listOf } from './inputs.ts';
import { cases } from './table.ts';

interface Golden {
  outputs: { shape: number[]; data: number[] }[];
  grads: (number[] | null)[];
}
const goldens = JSON.parse(readFileSync(new URL('../golden/op.golden.json', import.meta.url), 'utf8')) as Record<
  string,
  Golden
>;
const key = (one: Case) => `${one.name} | ${one.torch}`;

/** Outputs and gradients as plain numbers. */
function evaluate(
  one: Case,
  dtype: DType,
  format: MemoryFormat,
): { outputs: number[][]; shapes: (readonly number[])[]; grads: (number[] | null)[] } {
  const inputs = inputsOf(one, dtype, format);
  const outputs = listOf(one.run(...inputs));
  const wanted = inputs.filter((input) => input.requiresGrad);
  const numbers = (t: (typeof inputs)[number]) => Array.from(t.dataSync() as ArrayLike<number>);
  const found = grad(outputs, wanted, { gradOutputs: cotangentsOf(outputs), allowUnused: true });
  let next = 0;
  return {
    outputs: outputs.map(numbers),
    shapes: outputs.map(({ shape }) => shape),
    grads: inputs.map((input) => {
      if (!input.requiresGrad) return null;
      const g = found[next++];
      return g ? numbers(g) : new Array<number>(input.size).fill(0);
    }),
  };
}

function largest(actual: readonly number[], expected: readonly number[]): number {
  expect(actual.length).toBe(expected.length);
  return actual.reduce(
    (worst, v, i) => Math.max(worst, Math.abs(v - expected[i]) / Math.max(1, Math.abs(expected[i]))),
    0,
  );
}

function expectClose(
  a: ReturnType<typeof evaluate>,
  b: Pick<ReturnType<typeof evaluate>, 'outputs' | 'grads'>,
  bound: number,
): void {
  for (const [i, output] of a.outputs.entries()) expect(largest(output, b.outputs[i])).toBeLessThanOrEqual(bound);
  a.grads.forEach((g, i) => {
    if (g && b.grads[i]) expect(largest(g, b.grads[i]!)).toBeLessThanOrEqual(bound);
  });
}

/** Inputs that a norm of some kind may have made: of images or matrices, with gradients. */
const normed = (one: Case): boolean[] =>
  one.inputs.map(
    ({ shape, ...input }) =>
      !(input.integer || input.bool || input.constant || input.distinct) &&
      shape.length >= 2 &&
      sizeOf(shape) > shape[1] &&
      shape[1] > 0,
  );

/**
 * The case on inputs that are the output of a batch norm, and a batch norm of each output: what fusion defers, and what
 * it looks back at.
 */
function betweenNorms(one: Case, dtype: DType, format: MemoryFormat): number[][] {
  const leaves = inputsOf(one, dtype, format);
  const isNormed = normed(one);
  const inputs = leaves.map((x, k) => {
    if (!isNormed[k]) return x;
    const { low = -2, high = 2 } = one.inputs[k];
    const channels = x.shape[1];
    // What is normalized by N values is at most √(N − 1): so the results stay in the case's range.
    const scale = (high - low) / 2 / Math.sqrt(x.size / channels);
    const options = {
      weight: full([channels], scale, { dtype }),
      bias: full([channels], (low + high) / 2, { dtype }),
      training: true,
    };
    return batchNormWith(x, null, null, options);
  });
  const outputs = listOf(one.run(...inputs)).map((y) =>
    y.rank >= 2 && y.requiresGrad && y.size > y.shape[1] && y.shape[1] > 0
      ? batchNormWith(y, null, null, { training: true, eps: 1e-2 }).relu()
      : y,
  );
  const wanted = leaves.filter((x) => x.requiresGrad);
  const found = grad(outputs, wanted, { gradOutputs: cotangentsOf(outputs), allowUnused: true });
  return [...outputs, ...found].map((t) => (t ? Array.from(t.dataSync(), Number) : []));
}

const takesFormats = (one: Case) => one.inputs.some(({ shape }) => shape.length >= 3);

describe.each(cases.map((one) => [one.name, one] as const))('%s', (_, one) => {
  if (one.torch)
    test('equals PyTorch in float64', () => {
      const golden = goldens[key(one)];
      expect(golden, `no golden for "${key(one)}": run test/golden/op_golden.py`).toBeDefined();
      const result = evaluate(one, 'float64', 'contiguous');
      expect(result.shapes.map((shape) => [...shape])).toEqual(golden.outputs.map(({ shape }) => shape));
      // A few roundings of float64, where nothing else is said.
      expectClose(
        result,
        { outputs: golden.outputs.map(({ data }) => data), grads: golden.grads },
        one.tolerance?.[0] ?? 1e-12,
      );
    });

  if (!one.noDifferences) {
    test('gradients agree with differences', () => {
      gradcheck((...inputs) => one.run(...inputs), inputsOf(one));
    });
    test('second-order gradients agree with differences', () => {
      gradgradcheck((...inputs) => one.run(...inputs), inputsOf(one));
    });
  }

  if (takesFormats(one))
    test('gives the same in channels-last order', () => {
      // Sums may be taken in another order.
      expectClose(evaluate(one, 'float64', 'channelsLast'), evaluate(one, 'float64', 'contiguous'), 1e-12);
    });

  if (normed(one).includes(true))
    test('gives the same between norms, fused and plain', () => {
      for (const format of ['contiguous', 'channelsLast'] as const) {
        const run = (fused: boolean) => withFusion(fused, () => betweenNorms(one, 'float64', format));
        const plain = run(false);
        // Fused passes round in other places, and the norm behind divides by deviations of down to a tenth.
        for (const [i, numbers] of run(true).entries()) expect(largest(numbers, plain[i])).toBeLessThanOrEqual(1e-10);
      }
    });

  test('float32 stays near float64', () => {
    // Inputs are rounded to float32 (6e-8 relative); the steepest case here magnifies that and its own roundings about
    // a hundredfold.
    expectClose(evaluate(one, 'float32', 'contiguous'), evaluate(one, 'float64', 'contiguous'), 2e-5);
  });

  test('does not depend on threads or engine', () => {
    const engine = getEngine();
    const here = evaluate(one, 'float32', 'contiguous');
    const threads = getNumThreads();
    try {
      setNumThreads(1);
      expect(evaluate(one, 'float32', 'contiguous')).toEqual(here);
    } finally {
      setNumThreads(threads);
    }
    if (engine !== 'native') return;
    const native = evaluate(one, 'float64', 'contiguous');
    try {
      setEngine('wasm');
      // Fused multiply-adds round once where WebAssembly rounds twice.
      expectClose(evaluate(one, 'float64', 'contiguous'), native, 1e-12);
    } finally {
      setEngine(engine);
    }
  });
});

test('every differentiable op has a case', () => {
  const covered = new Set(cases.flatMap(({ ops }) => ops));
  expect([...registry.keys()].filter((name) => !covered.has(name))).toEqual([]);
});
