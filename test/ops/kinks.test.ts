// Functions at their kinks and at extreme numbers against PyTorch: test/cases/kinks.ts has the cases. A gradient is
// computed twice, by the kernels and as it is recorded for a second order.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { grad } from '../../src/autograd/backward.ts';
import { fromTypedArray, full, type Tensor } from '../../src/index.ts';
import * as elementwise from '../../src/ops/elementwise.ts';
import * as loss from '../../src/ops/loss.ts';
import * as reduce from '../../src/ops/reduce.ts';
import type { Difference } from '../cases/elementwise_row.ts';
import { decode, type KinkCase, kinks } from '../cases/kinks.ts';
import { intended } from '../cases/kinks_intended.ts';

type Values = (number | string)[] | null;
type Golden = Record<string, Values | Record<number, number | string>>;
type Float = 'float32' | 'float64';
const goldens = JSON.parse(readFileSync(new URL('../golden/kinks.golden.json', import.meta.url), 'utf8')) as Record<
  string,
  Golden
>;

// Values: roundings of a few operations in a row, and of the smallest numbers. Gradients have been multiplied by 1.5,
// and differences of numbers near 1 among them have lost what those were rounded by.
const bounds = {
  float32: { relative: 1e-6, smallest: 3e-45, gradient: 1e-6 },
  float64: { relative: 4e-15, smallest: 2e-323, gradient: 4e-15 },
};

function isClose(actual: number, expected: number, dtype: Float, isGradient: boolean): boolean {
  if (Object.is(actual, expected)) return true;
  const { relative, smallest, gradient } = bounds[dtype];
  // The sign of a zero counts in values only: sums of gradients lose it.
  if (actual === expected) return isGradient;
  return Math.abs(actual - expected) <= relative * Math.abs(expected) + (isGradient ? gradient : smallest);
}

/** Where PyTorch's float32 is inexact: exact, or hardly farther from it than PyTorch is. */
const isAsGood = (actual: number, torch: number, exact: number, dtype: Float, isGradient: boolean): boolean =>
  isClose(actual, exact, dtype, isGradient) || Math.abs(actual - exact) <= 2.5 * Math.abs(torch - exact);

/**
 * The names of what PyTorch gave, with our values: the output, gradients by kernels, gradients as recorded, gradients
 * of those.
 */
function evaluate({ inputs, run }: KinkCase, dtype: Float): Record<string, number[] | null> {
  const numbers = (x: Tensor | null | undefined) => (x ? Array.from(x.dataSync() as ArrayLike<number>, Number) : null);
  const given = inputs(dtype).map(({ shape, data, kind, constant }) =>
    fromTypedArray(Float64Array.from(data), shape, { dtype: kind ?? dtype }).requiresGrad_(!kind && !constant),
  );
  const found: ReturnType<typeof evaluate> = {};
  const y = run(...given);
  found.y = numbers(y);
  if (!y.requiresGrad) return found;
  const wanted = given.filter((x) => x.requiresGrad);
  const names = given.flatMap((x, i) => (x.requiresGrad ? [`d${i}`] : []));
  const g = full(y.shape, 1.5, { dtype: y.dtype });
  const options = { allowUnused: true };
  const plain = grad([run(...given)], wanted, { ...options, gradOutputs: [g] });
  names.forEach((name, i) => {
    found[name] = numbers(plain[i]);
  });
  const cotangent = full(y.shape, 1.5, { dtype: y.dtype, requiresGrad: true });
  const first: (Tensor | null)[] = grad([y], wanted, { ...options, gradOutputs: [cotangent], createGraph: true });
  names.forEach((name, i) => {
    found[`${name}, recorded`] = numbers(first[i]);
  });
  const recorded = first.filter((x): x is Tensor => x?.requiresGrad ?? false);
  const gradOutputs = recorded.map((x) => full(x.shape, 0.75, { dtype: x.dtype }));
  const second = recorded.length > 0 ? grad(recorded, [...wanted, cotangent], { ...options, gradOutputs }) : [];
  [...names, 'g'].forEach((name, i) => {
    found[`d${name}`] = numbers(second[i]);
  });
  return found;
}

/** The inputs' values that belong to element i of a result of `count`: those of the same place, or of the same row. */
function valuesAt(one: KinkCase, dtype: Float, i: number, count: number): number[] {
  const inputs = one.inputs(dtype).filter(({ kind, constant }) => !kind && !constant);
  const [{ shape, data }] = inputs;
  if (shape.length === 1) return count === data.length ? inputs.map((input) => input.data[i]) : [];
  const row = count === data.length ? Math.floor(i / shape[1]) : count === shape[0] ? i : Math.floor(i / 2);
  return data.slice(row * shape[1], (row + 1) * shape[1]);
}

function differencesOf(one: KinkCase, dtype: Float): (Difference | string)[] {
  const { torch } = one;
  const golden = goldens[`${torch} | ${dtype}`];
  const differences: (Difference | string)[] = [];
  for (const [fullName, actual] of Object.entries(evaluate(one, dtype))) {
    const name = fullName.replace(', recorded', '');
    // Second derivatives that PyTorch has not.
    if (!(name in golden)) continue;
    const expected = golden[name] as Values;
    const exactly = (golden[`${name}, exactly`] ?? {}) as Record<number, number | string>;
    if (!actual || !expected) {
      // No gradient here may stand for zeros, but not the other way around: PyTorch's result requires a gradient then.
      if (expected || actual?.some((v) => v !== 0))
        differences.push(`${fullName}: only ${actual ? 'here' : 'in PyTorch'}`);
      continue;
    }
    expect(actual.length).toBe(expected.length);
    actual.forEach((value, i) => {
      const wanted = decode(expected[i]);
      const isGradient = name !== 'y';
      if (isClose(value, wanted, dtype, isGradient)) return;
      if (i in exactly && isAsGood(value, wanted, decode(exactly[i]), dtype, isGradient)) return;
      const at = valuesAt(one, dtype, i, actual.length);
      differences.push({ torch, dtype, name, at, actual: value, expected: wanted });
    });
  }
  return differences;
}

const used = new Set<(typeof intended)[number]>();

describe.each(['float32', 'float64'] as const)('%s', (dtype) => {
  test.each(kinks.map((one) => [one.torch, one] as const))('%s', (torch, one) => {
    expect(goldens[`${torch} | ${dtype}`], 'no golden: run test/golden/kink_golden.py').toBeDefined();
    const unexplained = differencesOf(one, dtype).filter((difference) => {
      if (typeof difference === 'string') return true;
      const found = intended.find(({ covers }) => covers(difference));
      if (found) used.add(found);
      return !found;
    });
    expect(unexplained).toEqual([]);
  });
});

test('every intended difference is one', () => {
  expect(intended.filter((one) => !used.has(one)).map(({ reason }) => reason)).toEqual([]);
});

test('every function of elements, reduction and loss has a case', () => {
  // No functions of values: what shapes are made with. And one of sequences: test/nn/ctc.test.ts has its hazards.
  const others = ['sumTo', 'aroundDim', 'requireReduction', 'reducedDims', 'deviationOp', 'varianceIn'];
  others.push('requireOneOrTwo', 'ctcLoss');
  // No functions of floats, and those whose result is no tensor.
  others.push('bitwiseAnd', 'bitwiseOr', 'bitwiseXor', 'bitwiseLeftShift', 'bitwiseRightShift', 'bitwiseNot');
  others.push('gcd', 'lcm', 'allclose', 'equal', 'isFloatingPoint', 'isNonzero');
  // Made of pow and exp2, whose hazards they have; and x itself.
  others.push('floatPower', 'ldexp', 'positive', 'inDtype', 'cumsumOp');
  const names = [elementwise, loss, reduce].flatMap((room) =>
    // What is called so is another's, without the look at its options.
    Object.entries(room).flatMap(([name, value]) =>
      typeof value === 'function' && !/(With|Scaled)$/.test(name) ? [name] : [],
    ),
  );
  const covered = new Set([...kinks.flatMap(({ covers }) => covers), ...others]);
  expect(names.filter((name) => !covered.has(name))).toEqual([]);
});
