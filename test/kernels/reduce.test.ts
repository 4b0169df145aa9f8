// The kernels of kernels/reduce/ against float64 references.
import { describe, expect, test } from 'vitest';
import { Dtype, Reduction, Status } from '../../src/device/generated/abi.ts';
import {
  argExtreme,
  forEachColumn,
  largest,
  logSoftmax,
  moments,
  order,
  product,
  smallest,
  softmax,
  sum,
} from '../reference/reduce.ts';
import {
  Arena,
  engines,
  epsilon,
  floats,
  isFloat,
  type NumberName,
  numbers,
  random,
  rounded,
  sameForAnyThreads,
} from './arena.ts';

// (outer, n, inner): rows and columns, short and long, odd sizes, one output from many elements.
const shapes: [number, number, number][] = [
  [1, 1, 1],
  [3, 5, 1],
  [1000, 10, 1],
  [2, 1000, 1],
  [1, 40001, 1],
  [7, 129, 1],
  [1, 1001, 64],
  [2, 700, 3],
  [3, 4, 500],
  [2, 33, 127],
  [5, 7, 129],
  [1, 20000, 2],
];

function values(dtype: NumberName, n: number, seed: number): number[] {
  const next = random(seed);
  if (!isFloat(dtype)) return Array.from({ length: n }, () => Math.floor(next() * 9) - (dtype === 'uint8' ? 0 : 4));
  return rounded(
    dtype,
    Array.from({ length: n }, () => 2 * next() - 0.6),
  );
}

describe.each(engines())('%s', (engine) => {
  const arena = new Arena(engine);
  describe.each(shapes)('(%i, %i, %i)', (...shape) => {
    const [outer, n, inner] = shape;
    const [count, outputs] = [outer * n * inner, outer * inner];

    test.each(numbers)('sum, prod, min, max: %s', (dtype) => {
      const references = { sum, prod: product, min: smallest, max: largest };
      for (const [op, reference] of Object.entries(references)) {
        let inputs = values(dtype, count, 1);
        if (op === 'prod')
          inputs = rounded(
            dtype,
            inputs.map((v, i) => (isFloat(dtype) ? 1 + v / n : i % n < 8 ? v || 1 : 1)),
          );
        if (op === 'max' && isFloat(dtype)) inputs[count >> 1] = NaN;
        arena.reset();
        const [x, y] = [arena.input(dtype, inputs), arena.output(dtype, outputs)];
        sameForAnyThreads(arena, () => {
          arena.run((k) => k.reduce(Reduction[op as 'sum'], Dtype[dtype], x.address, y.address, outer, n, inner));
          return y;
        });
        const got = arena.read(y);
        forEachColumn(inputs, shape, (column, output) => {
          const want = reference(column);
          let limit = 0;
          if (isFloat(dtype) && op !== 'min' && op !== 'max') {
            // float32: the accumulators are doubles, one rounding at the end. float64: at most one per term and level.
            const size = op === 'sum' ? sum(column.map(Math.abs)) : Math.abs(want);
            limit = 0.5001 * epsilon[dtype as 'float32'] * Math.abs(want) + (op === 'prod' ? n : 64) * 2 ** -53 * size;
          }
          const exact = isFloat(dtype) ? want : rounded(dtype, [want])[0];
          if (!(Math.abs(got[output] - exact) <= limit) && !(Number.isNaN(exact) && Number.isNaN(got[output])))
            expect.fail(`${op}: ${got[output]}, expected ${exact}`);
        });
      }
    });

    test.each(floats)('moments: %s', (dtype) => {
      const inputs = rounded(
        dtype,
        values(dtype, count, 2).map((v) => v + 100),
      );
      arena.reset();
      const [x, mean, m2] = [
        arena.input(dtype, inputs),
        arena.output('float64', outputs),
        arena.output('float64', outputs),
      ];
      for (const result of [mean, m2])
        sameForAnyThreads(arena, () => {
          arena.run((k) => k.reduceMoments(Dtype[dtype], x.address, mean.address, m2.address, outer, n, inner));
          return result;
        });
      const [means, m2s] = [arena.read(mean), arena.read(m2)];
      forEachColumn(inputs, shape, (column, output) => {
        const want = moments(column);
        // The mean, near 100, is rounded (by up to 7e-15) at each of at most 50 merges of 64 rows.
        const wrong = !(
          Math.abs(means[output] - want.mean) <= 4e-13 && Math.abs(m2s[output] - want.m2) <= 1e-12 * want.m2 + 1e-24
        );
        if (wrong) expect.fail(`${means[output]}, ${m2s[output]} instead of ${want.mean}, ${want.m2}`);
      });
    });

    test.each(numbers)('argReduce, cumsum: %s', (dtype) => {
      const inputs = values(dtype, count, 3).map((v) => Math.round(v * 4)); // many equal values
      if (isFloat(dtype)) inputs[count >> 1] = NaN;
      const coded = rounded(dtype, inputs);
      arena.reset();
      const [x, v, i] = [arena.input(dtype, coded), arena.output(dtype, outputs), arena.output('int64', outputs)];
      for (const op of [Reduction.min, Reduction.max]) {
        arena.run((k) => k.argReduce(op, Dtype[dtype], x.address, v.address, i.address, outer, n, inner));
        const [extremes, positions] = [arena.read(v), arena.read(i)];
        forEachColumn(coded, shape, (column, output) => {
          const want = argExtreme(column, op === Reduction.max);
          if (positions[output] !== want || !Object.is(extremes[output], column[want]))
            expect.fail(`${extremes[output]} at ${positions[output]}, expected it at ${want}`);
        });
      }
      const plain = values(dtype, count, 4);
      for (const reverse of [0, 1]) {
        const [terms, sums] = [arena.input(dtype, plain), arena.output(dtype, count)];
        arena.run((k) => k.cumsum(Dtype[dtype], terms.address, sums.address, outer, n, inner, reverse));
        const got = arena.read(sums);
        forEachColumn(plain, shape, (column, _, position) => {
          let total = 0;
          let size = 0;
          for (let step = 0; step < n; step++) {
            const k = reverse ? n - 1 - step : step;
            total += column[k];
            size += Math.abs(column[k]);
            if (isFloat(dtype)) {
              const limit = 0.5001 * epsilon[dtype as 'float32'] * Math.abs(total) + step * 2 ** -53 * size;
              if (!(Math.abs(got[position(k)] - total) <= limit))
                expect.fail(`${got[position(k)]} instead of ${total}`);
            } else if (got[position(k)] !== rounded(dtype, [total])[0]) expect.fail('cumsum');
          }
        });
      }
    });

    test.each(floats)('softmax and log-softmax: %s', (dtype) => {
      const inputs = rounded(
        dtype,
        values(dtype, count, 5).map((v) => 12 * v),
      );
      const gradients = values(dtype, count, 6);
      for (const log of [0, 1]) {
        arena.reset();
        const [x, g] = [arena.input(dtype, inputs), arena.input(dtype, gradients)];
        const [y, dx] = [arena.output(dtype, count), arena.output(dtype, count)];
        sameForAnyThreads(arena, () => {
          arena.run((k) => k.softmax(log, Dtype[dtype], x.address, y.address, outer, n, inner));
          return y;
        });
        sameForAnyThreads(arena, () => {
          arena.run((k) => k.softmaxBackward(log, Dtype[dtype], y.address, g.address, dx.address, outer, n, inner));
          return dx;
        });
        const [outs, dxs] = [arena.read(y), arena.read(dx)];
        const eps = epsilon[dtype];
        forEachColumn(inputs, shape, (column, _, position) => {
          const want = log ? logSoftmax(column) : softmax(column);
          const gs = column.map((_, k) => gradients[position(k)]);
          const ys = column.map((_, k) => outs[position(k)]);
          const total = sum(log ? gs : gs.map((v, k) => v * ys[k]));
          const size = sum((log ? gs : gs.map((v, k) => v * ys[k])).map(Math.abs));
          for (let k = 0; k < n; k++) {
            // exp (1 ulp), its argument (|x − m| ≤ 24 rounded), the quotient; log: absolute in x − m and log s. The
            // sum, in float64: a rounding per term.
            const sumError = n * 2 ** -53;
            const limit = log ? 4 * eps * (Math.abs(want[k]) + 8) + sumError : (32 * eps + sumError) * want[k];
            if (!(Math.abs(ys[k] - want[k]) <= limit)) expect.fail(`softmax ${ys[k]}, expected ${want[k]}`);
            const factor = log ? Math.exp(ys[k]) : ys[k];
            const wantDx = log ? gs[k] - factor * total : factor * (gs[k] - total);
            const limitDx =
              4 *
                eps *
                (factor * (Math.abs(gs[k]) + 2 * size) +
                  factor * size * (sumError / eps) +
                  (log ? Math.abs(gs[k]) : 0)) +
              1e-45;
            if (!(Math.abs(dxs[position(k)] - wantDx) <= limitDx))
              expect.fail(`${dxs[position(k)]}, expected ${wantDx}`);
          }
        });
      }
    });
  });

  test.each(numbers)('topk: %s', (dtype) => {
    for (const [outer, n] of [
      [1, 1],
      [3, 17],
      [50, 10],
      [2, 1000],
    ]) {
      const inputs = rounded(
        dtype,
        values(dtype, outer * n, 7).map((v) => Math.round(v * 3)),
      );
      if (isFloat(dtype)) inputs[n - 1] = NaN;
      for (const k of new Set([1, Math.ceil(n / 3), n])) {
        for (const descending of [0, 1]) {
          arena.reset();
          const [x, v, i] = [
            arena.input(dtype, inputs),
            arena.output(dtype, outer * k),
            arena.output('int64', outer * k),
          ];
          const scratch = arena.output('uint8', arena.kernels.topkScratch(n));
          arena.run((kernels) =>
            kernels.topk(Dtype[dtype], x.address, v.address, i.address, outer, n, k, descending, scratch.address),
          );
          const [got, positions] = [arena.read(v), arena.read(i)];
          for (let o = 0; o < outer; o++) {
            const row = inputs.slice(o * n, (o + 1) * n);
            const want = order(row, descending === 1).slice(0, k);
            expect(positions.slice(o * k, (o + 1) * k)).toEqual(want);
            expect(got.slice(o * k, (o + 1) * k)).toEqual(want.map((p) => row[p]));
          }
        }
      }
    }
  });

  test('any, all, empty axes, infinities', () => {
    arena.reset();
    const x = arena.input('bool', [0, 0, 0, 1, 1, 1]);
    const y = arena.output('bool', 2);
    arena.run((k) => k.reduce(Reduction.any, Dtype.bool, x.address, y.address, 2, 3, 1));
    expect(arena.read(y)).toEqual([0, 1]);
    arena.run((k) => k.reduce(Reduction.all, Dtype.bool, x.address, y.address, 1, 3, 2));
    expect(arena.read(y)).toEqual([0, 0]);
    const z = arena.output('float32', 2);
    arena.run((k) => k.reduce(Reduction.sum, Dtype.float32, x.address, z.address, 2, 0, 1));
    expect(arena.read(z)).toEqual([0, 0]);
    arena.run((k) => k.reduce(Reduction.prod, Dtype.float32, x.address, z.address, 1, 0, 2));
    expect(arena.read(z)).toEqual([1, 1]);
    expect(arena.status((k) => k.reduce(Reduction.max, Dtype.float32, x.address, z.address, 1, 0, 1))).toBe(
      Status.badArgument,
    );
    expect(arena.status((k) => k.reduce(Reduction.sum, Dtype.bool, x.address, z.address, 1, 1, 1))).toBe(
      Status.badDtype,
    );
    const rows = arena.input('float32', [-Infinity, 0, Infinity, 0, -Infinity, -Infinity]);
    const s = arena.output('float32', 6);
    arena.run((k) => k.softmax(0, Dtype.float32, rows.address, s.address, 3, 2, 1));
    expect(arena.read(s)).toEqual([0, 1, NaN, NaN, NaN, NaN]); // as PyTorch
  });
});
