// Accuracy of the vector functions of kernels/simd/math.h, through the unary kernels and pow.
import { describe, expect, test } from 'vitest';
import { Binary, Dtype, Unary } from '../../src/device/generated/abi.ts';
import { type UnaryName, unary } from '../cases/unary.ts';
import { pow } from '../reference/math.ts';
import { Arena, engines, floats, random, rounded, ulpError } from './arena.ts';

// float32: 2 ulp, against float64 references. float64: 4 ulp, and the error of Math and of the reference's own
// formulas.
const functions: [UnaryName, number, number, number, number][] = [
  // name, interval, ulps for float32, for float64
  ['exp', -90, 90, 2, 5],
  ['expm1', -3, 3, 2, 5],
  ['log', 0, 4, 2, 5],
  ['log1p', -1, 4, 2, 5],
  ['sin', -7000, 7000, 2, 5],
  ['cos', -7000, 7000, 2, 5],
  ['tanh', -4, 4, 2, 5],
  ['sigmoid', -40, 40, 2, 7], // the reference's quotient: 1.5 ulp more
  ['erf', -4, 4, 2, 8], // the reference's series: 40 terms
  ['sqrt', 0, 100, 0.5, 0],
  ['floor', -5, 5, 0, 0],
  ['ceil', -5, 5, 0, 0],
  ['round', -5, 5, 0, 0],
];

const special = {
  float32: [
    2 ** -149,
    -(2 ** -149),
    2 ** -126,
    3.4028234663852886e38,
    -3.4028234663852886e38,
    88.7228,
    88.73,
    -103.9,
    -104.1,
  ],
  float64: [5e-324, -5e-324, 2 ** -1022, Number.MAX_VALUE, -Number.MAX_VALUE, 709.78, 709.79, -745.1, -745.2],
};
const edges = [
  0,
  -0,
  1,
  -1,
  0.5,
  -0.5,
  1.5,
  2.5,
  -2.5,
  Infinity,
  -Infinity,
  NaN,
  1e-20,
  -1e-20,
  1e5,
  1e7,
  1e22,
  3e38,
  Math.PI,
];

describe.each(engines())('%s', (engine) => {
  const arena = new Arena(engine);
  describe.each(floats)('%s', (dtype) => {
    test.each(functions)('%s', (name, low, high, ulps32, ulps64) => {
      const next = random(7);
      const values = [...edges, ...special[dtype]];
      for (let i = 0; i < 20000; i++) values.push(low + (high - low) * next());
      for (let i = 0; i < 4000; i++) values.push((next() < 0.5 ? -1 : 1) * 2 ** (-40 + 60 * next()));
      const inputs = rounded(dtype, values);
      arena.reset();
      const x = arena.input(dtype, inputs);
      const y = arena.output(dtype, inputs.length);
      arena.run((k) => k.unary(Unary[name], Dtype[dtype], x.address, y.address, inputs.length, 0, 0));
      let worst = 0;
      let at = NaN;
      arena.read(y).forEach((got, i) => {
        const want = unary[name].f(inputs[i]);
        const error = ulpError(dtype, got, want);
        if (error > worst) [worst, at] = [error, inputs[i]];
        if (want === 0 && got === 0 && !Object.is(got, want)) expect.fail(`${name}(${inputs[i]}): the sign of 0`);
      });
      expect(worst, `at ${at}`).toBeLessThanOrEqual(dtype === 'float32' ? ulps32 : ulps64);
    });

    // pow of float64 is checked against V8's, which is itself wrong by a few ulp for large results.
    test('pow', () => {
      const values = rounded(dtype, [...edges, 3, -3, 2, -2, 1e18, 9007199254740991, 16777217, ...special[dtype]]);
      const [a, b] = [values.flatMap((v) => values.map(() => v)), values.flatMap(() => values)];
      const next = random(8);
      const largest = dtype === 'float32' ? 126 : 1000;
      for (let i = 0; i < 20000; i++) {
        const base = 2 ** (20 * (next() - 0.5));
        a.push(base);
        b.push(((i % 2 ? largest : 4) * (2 * next() - 1)) / Math.log2(base));
      }
      const [as, bs] = [rounded(dtype, a), rounded(dtype, b)];
      arena.reset();
      const [x, e] = [arena.input(dtype, as), arena.input(dtype, bs)];
      const y = arena.output(dtype, as.length);
      const [shape, strides] = [arena.ints([as.length]), arena.ints([1])];
      arena.run((k) =>
        k.binary(Binary.pow, Dtype[dtype], x.address, e.address, y.address, 1, shape, strides, strides, 1),
      );
      arena.read(y).forEach((got, i) => {
        const want = pow(as[i], bs[i]);
        // float64: V8 computes pow with up to 1e-15·|y·log x| of relative error.
        const limit = dtype === 'float32' ? 2 : 8 + 10 * Math.abs(Math.log(Math.abs(want)) || 0);
        const error = ulpError(dtype, got, want);
        if (error > limit && Number.isFinite(want)) expect.fail(`pow(${as[i]}, ${bs[i]}) = ${got}, expected ${want}`);
        if (!Number.isFinite(want) && error > 0) expect.fail(`pow(${as[i]}, ${bs[i]}) = ${got}, expected ${want}`);
      });
    });
  });
});

test('float64 pow is right where the exact result is known', () => {
  for (const engine of engines()) {
    const arena = new Arena(engine);
    const bases = [3, 7, -3, 1.5, 10, 2, 0.5];
    const exponents = [33, 18, 31, 60, 22, -1074, 1074];
    const [x, e] = [arena.input('float64', bases), arena.input('float64', exponents)];
    const y = arena.output('float64', bases.length);
    const [shape, strides] = [arena.ints([bases.length]), arena.ints([1])];
    arena.run((k) =>
      k.binary(Binary.pow, Dtype.float64, x.address, e.address, y.address, 1, shape, strides, strides, 1),
    );
    const got = arena.read(y);
    [3n ** 33n, 7n ** 18n, -(3n ** 31n)].forEach((want, i) => {
      expect(got[i]).toBe(Number(want)); // below 2^53 or rounded once by BigInt
    });
    expect(ulpError('float64', got[3], Number(3n ** 60n) / 2 ** 60)).toBeLessThanOrEqual(1);
    expect(got[4]).toBe(1e22);
    expect(got.slice(5)).toEqual([5e-324, 5e-324]);
  }
});
