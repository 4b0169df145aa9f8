// The kernels of kernels/elementwise/ against float64 references: dtypes, edge values, odd sizes, broadcasting,
// aliasing, guards around every output, and the same bytes for any number of threads.
import { describe, expect, test } from 'vitest';
import { Binary, Dtype, Status, Unary } from '../../src/device/generated/abi.ts';
import { binary, binaryRows, integerBinary } from '../cases/binary.ts';
import { unary, unaryRows } from '../cases/unary.ts';
import { forEachIndex, offsetOf } from '../reference/strides.ts';
import { binaryEntries, unaryEntries } from '../support/elementwise_lists.ts';
import {
  Arena,
  type DtypeName,
  engines,
  epsilon,
  floats,
  isFloat,
  type NumberName,
  numbers,
  random,
  rounded,
  sameForAnyThreads,
  sizeOf,
  ulpError,
} from './arena.ts';

const sizes = [1, 15, 16, 17, 63, 1000, 16384, 40001];
const edges = [0, -0, 1, -1, 0.5, -0.5, 2.5, -3, 3, 20, -20, 1e-30, Infinity, -Infinity, NaN];
/** What writes bool. */
const tests = new Set([...unaryEntries, ...binaryEntries].filter(({ isTest }) => isTest).map(({ name }) => name));
const wrapInteger: Partial<Record<NumberName, (x: bigint) => bigint>> = {
  int32: (x) => BigInt.asIntN(32, x),
  int64: (x) => BigInt.asIntN(64, x),
  uint8: (x) => BigInt.asUintN(8, x),
};

function values(dtype: DtypeName, n: number, seed: number): number[] {
  const next = random(seed);
  if (!isFloat(dtype)) return Array.from({ length: n }, () => Math.floor(next() * 19) - (dtype === 'uint8' ? 0 : 9));
  return rounded(
    dtype,
    Array.from({ length: n }, (_, i) => (i % 7 === 3 ? edges[i % edges.length] : 12 * (next() - 0.5))),
  );
}

describe.each(engines())('%s', (engine) => {
  const arena = new Arena(engine);

  describe.each(floats)('unary %s', (dtype) => {
    test.each(unaryRows)('%s', (name, { p = [0, 0], f, d, slack }) => {
      const outType = tests.has(name) ? 'bool' : dtype;
      for (const n of [17, 1003]) {
        arena.reset();
        const inputs = values(dtype, n, n);
        const x = arena.input(dtype, inputs);
        const y = arena.output(outType, n);
        arena.run((k) => k.unary(Unary[name], Dtype[dtype], x.address, y.address, n, ...p));
        arena.read(y).forEach((got, i) => {
          const want = f(inputs[i]);
          if (outType === 'bool' || !Number.isFinite(want)) {
            if (!Object.is(got + 0, want + 0)) expect.fail(`${name}(${inputs[i]}) = ${got}, expected ${want}`);
          } else {
            const limit = (slack ?? 3) * epsilon[dtype] * (Math.abs(want) + (slack ? 1 : 0)) + 1e-45;
            if (!(Math.abs(got - want) <= limit)) expect.fail(`${name}(${inputs[i]}) = ${got}, expected ${want}`);
          }
        });
        if (outType === 'bool') continue;
        const plain = arena.bytes(y);
        arena.run((k) => k.unary(Unary[name], Dtype[dtype], x.address, x.address, n, ...p)); // in place
        expect(Buffer.compare(arena.bytes(x), plain)).toBe(0);

        const gradients = values(dtype, n, n + 1).map((v) => (Number.isFinite(v) ? v : 1));
        const [x2, g] = [arena.input(dtype, inputs), arena.input(dtype, gradients)];
        const dx = arena.output(dtype, n);
        if (!d) continue;
        arena.run((k) =>
          k.unaryBackward(Unary[name], Dtype[dtype], x2.address, y.address, g.address, dx.address, n, ...p),
        );
        arena.read(dx).forEach((got, i) => {
          const want = gradients[i] * d(inputs[i]);
          if (!Number.isFinite(inputs[i]) || !Number.isFinite(want)) return;
          // Derivatives from y lose where y is near a limit: the error is relative to 1, not to the derivative.
          const limit = 24 * epsilon[dtype] * (Math.abs(want) + Math.abs(gradients[i]));
          if (!(Math.abs(got - want) <= limit)) expect.fail(`d${name}(${inputs[i]}) = ${got}, expected ${want}`);
        });
        const plainGradient = arena.bytes(dx);
        arena.run((k) =>
          k.unaryBackward(Unary[name], Dtype[dtype], x2.address, y.address, g.address, g.address, n, ...p),
        );
        expect(Buffer.compare(arena.bytes(g), plainGradient)).toBe(0);
      }
    });

    test('threads and sizes', () => {
      for (const n of sizes) {
        arena.reset();
        const x = arena.input(dtype, values(dtype, n, 3));
        const y = arena.output(dtype, n);
        sameForAnyThreads(arena, () => {
          arena.run((k) => k.unary(Unary.gelu, Dtype[dtype], x.address, y.address, n, 0, 0));
          return y;
        });
      }
    });
  });

  test('unary on integers', () => {
    // Those that have parameters, which are 1 and 5 below.
    const limited = (v: number) => Math.min(Math.max(v, 1), 5);
    const withParameters: Record<string, (v: number) => number> = {
      clamp: limited,
      hardtanh: limited,
      threshold: (v) => (v <= 1 ? 5 : v),
    };
    for (const dtype of ['int32', 'int64', 'uint8'] as const) {
      for (const [i, { name, isTest, takesIntegers }] of unaryEntries.entries()) {
        arena.reset();
        const inputs = values(dtype, 133, 5);
        const outType = isTest ? 'bool' : dtype;
        const x = arena.input(dtype, inputs);
        const y = arena.output(outType, inputs.length);
        const f = withParameters[name] ?? unary[name as 'neg'].f;
        if (!takesIntegers) {
          expect(arena.status((k) => k.unary(i, Dtype[dtype], x.address, y.address, 1, 1, 5))).toBe(Status.badDtype);
          continue;
        }
        arena.run((k) => k.unary(i, Dtype[dtype], x.address, y.address, inputs.length, 1, 5));
        expect(arena.read(y), `${name} ${dtype}`).toEqual(
          rounded(
            outType,
            inputs.map((v) => f(v) + 0),
          ),
        );
      }
      const x = arena.input(dtype, [1]);
      expect(arena.status((k) => k.unary(99, Dtype[dtype], x.address, x.address, 1, 0, 0))).toBe(Status.badArgument);
    }
  });

  // [shape, strides of a, strides of b]: dense, broadcast rows and columns, permuted, sliced, short and long rows,
  // scalars.
  const layouts: [number[], number[], number[]][] = [
    [[], [], []],
    [[0], [1], [1]],
    [[1], [1], [0]],
    [[16401], [1], [1]],
    [[70], [1], [0]],
    [
      [90, 200],
      [200, 1],
      [0, 1],
    ],
    [
      [20, 200],
      [200, 1],
      [1, 0],
    ],
    [
      [300, 10],
      [10, 1],
      [0, 1],
    ],
    [
      [3, 8, 36],
      [288, 36, 1],
      [0, 1, 0],
    ],
    [
      [2, 8, 100],
      [800, 100, 1],
      [0, 1, 0],
    ],
    [
      [130, 70],
      [1, 130],
      [70, 1],
    ],
    [
      [5, 1, 7, 3],
      [21, 99, 3, 1],
      [0, 0, 1, 7],
    ],
    [
      [4, 5, 6],
      [60, 12, 2],
      [0, 0, 0],
    ],
    [
      [65, 65],
      [0, 1],
      [1, 0],
    ],
    [
      [9, 130],
      [-130, 1],
      [130, -1],
    ],
  ];
  describe.each(numbers)('binary %s', (dtype) => {
    const kind = isFloat(dtype) ? 'floats' : 'integers';
    const taken = binaryRows.filter(([, { takes = kind }]) => takes === kind);
    test.each(taken)('%s', (op, { f, ulps = 0.5, divides = false }) => {
      for (const [shape, aStrides, bStrides] of layouts) {
        const count = shape.reduce((a, b) => a * b, 1);
        const [reachA, reachB] = [aStrides, bStrides].map((strides) => {
          const ends = strides.map((s, axis) => s * Math.max(shape[axis] - 1, 0));
          const low = ends.reduce((sum, e) => sum + Math.min(e, 0), 0);
          return { first: -low, size: ends.reduce((sum, e) => sum + Math.max(e, 0), 0) - low + 1 };
        });
        const noZero = !isFloat(dtype) && divides;
        const aValues = values(dtype, reachA.size, 1);
        const bValues = values(dtype, reachB.size, 2).map((v) => (noZero && v === 0 ? 3 : v));
        arena.reset();
        const [a, b] = [arena.input(dtype, aValues), arena.input(dtype, bValues)];
        const outType = tests.has(op) ? 'bool' : dtype;
        const y = arena.output(outType, count);
        const [s, sa, sb] = [arena.ints(shape), arena.ints(aStrides), arena.ints(bStrides)];
        const [atA, atB] = [a.address + reachA.first * sizeOf(dtype), b.address + reachB.first * sizeOf(dtype)];
        sameForAnyThreads(arena, () => {
          arena.run((k) => k.binary(Binary[op], Dtype[dtype], atA, atB, y.address, shape.length, s, sa, sb, 1));
          return y;
        });
        const got = arena.read(y);
        const wrap = wrapInteger[dtype];
        forEachIndex(shape, (position, index) => {
          const u = aValues[reachA.first + offsetOf(index, aStrides)];
          const v = bValues[reachB.first + offsetOf(index, bStrides)];
          const want = wrap ? Number(integerBinary(op, BigInt(u), BigInt(v), wrap)) : f(u, v);
          const ok =
            isFloat(dtype) && outType !== 'bool'
              ? ulpError(dtype, got[position], want) <= ulps
              : got[position] === want;
          if (!ok) expect.fail(`${op}(${u}, ${v}) = ${got[position]}, expected ${want}, shape [${shape}]`);
        });
      }
    });

    test.each(taken)('%s with a scalar', (op, { f, ulps = 0.5 }) => {
      const wrap = wrapInteger[dtype];
      for (const scalar of isFloat(dtype) ? [2, 0.5, -1, 3, -2.25, 0, NaN] : [2, 3, 1]) {
        for (const reverse of [0, 1]) {
          arena.reset();
          const inputs = values(dtype, 1003, 4).map((v) => (!isFloat(dtype) && v === 0 ? 1 : v));
          const x = arena.input(dtype, inputs);
          const outType = tests.has(op) ? 'bool' : dtype;
          const y = arena.output(outType, inputs.length);
          arena.run((k) =>
            k.binaryScalar(Binary[op], Dtype[dtype], x.address, scalar, reverse, y.address, inputs.length, 1),
          );
          arena.read(y).forEach((got, i) => {
            const [u, v] = reverse ? [scalar, inputs[i]] : [inputs[i], scalar];
            const want = wrap ? Number(integerBinary(op, BigInt(u), BigInt(v), wrap)) : f(u, v);
            const ok = isFloat(dtype) && outType !== 'bool' ? ulpError(dtype, got, want) <= ulps : got === want;
            if (!ok) expect.fail(`${op}(${u}, ${v}) = ${got}, expected ${want}`);
          });
        }
      }
    });

    test('alpha, aliasing', () => {
      arena.reset();
      const n = 1003;
      const [as, bs] = [values(dtype, n, 6), values(dtype, n, 7)];
      const [a, b] = [arena.input(dtype, as), arena.input(dtype, bs)];
      const y = arena.output(dtype, n);
      const [s, one] = [arena.ints([n]), arena.ints([1])];
      arena.run((k) => k.binary(Binary.sub, Dtype[dtype], a.address, b.address, y.address, 1, s, one, one, 3));
      const want = rounded(
        dtype,
        as.map((v, i) => v - 3 * bs[i]),
      );
      arena.read(y).forEach((got, i) => {
        // a − 3b: the product is rounded too where the machine has no fused multiply-add.
        const limit = isFloat(dtype) ? epsilon[dtype as 'float32'] * (Math.abs(as[i]) + 6 * Math.abs(bs[i])) : 0;
        if (Number.isFinite(want[i])) expect(Math.abs(got - want[i])).toBeLessThanOrEqual(limit);
      });
      const plain = arena.bytes(y);
      arena.run((k) => k.binary(Binary.sub, Dtype[dtype], a.address, b.address, b.address, 1, s, one, one, 3));
      expect(Buffer.compare(arena.bytes(b), plain)).toBe(0);
    });
  });

  test('integers: division by 0, wrapping, the most negative number', () => {
    for (const dtype of ['int32', 'int64', 'uint8'] as const) {
      for (const op of ['div', 'remainder'] as const) {
        arena.reset();
        const [a, b] = [arena.input(dtype, [1, 2, 3]), arena.input(dtype, [1, 0, 3])];
        const [s, one] = [arena.ints([3]), arena.ints([1])];
        const status = arena.status((k) =>
          k.binary(Binary[op], Dtype[dtype], a.address, b.address, a.address, 1, s, one, one, 1),
        );
        expect(status).toBe(Status.badArgument);
      }
    }
    arena.reset();
    const lowest = -(2 ** 31);
    const x = arena.input('int32', [lowest, 7, -7]);
    arena.run((k) => k.binaryScalar(Binary.div, Dtype.int32, x.address, -1, 0, x.address, 3, 1));
    expect(arena.read(x)).toEqual([lowest, -7, 7]);
    arena.run((k) => k.binaryScalar(Binary.remainder, Dtype.int32, x.address, -1, 0, x.address, 3, 1));
    expect(arena.read(x)).toEqual([0, 0, 0]);
  });

  test('bool: + is or, · is and', () => {
    const [as, bs] = [
      [0, 0, 1, 1],
      [0, 1, 0, 1],
    ];
    const expected = {
      add: [0, 1, 1, 1],
      mul: [0, 0, 0, 1],
      maximum: [0, 1, 1, 1],
      ne: [0, 1, 1, 0],
      lt: [0, 1, 0, 0],
      logicalXor: [0, 1, 1, 0],
    };
    for (const [op, want] of Object.entries(expected)) {
      arena.reset();
      const [a, b, y] = [arena.input('bool', as), arena.input('bool', bs), arena.output('bool', 4)];
      const [s, one] = [arena.ints([4]), arena.ints([1])];
      arena.run((k) => k.binary(Binary[op as 'add'], Dtype.bool, a.address, b.address, y.address, 1, s, one, one, 1));
      expect(arena.read(y), op).toEqual(want);
      for (const bad of [Binary.sub, Binary.div, Binary.pow, Binary.remainder])
        expect(arena.status((k) => k.binary(bad, Dtype.bool, a.address, b.address, y.address, 1, s, one, one, 1))).toBe(
          Status.badDtype,
        );
    }
  });

  test('float remainder is exact for any ratio', () => {
    const next = random(11);
    for (const dtype of floats) {
      const range = dtype === 'float32' ? 120 : 1000;
      const as = rounded(
        dtype,
        Array.from({ length: 3000 }, () => (next() - 0.5) * 2 ** (range * (2 * next() - 1))),
      );
      const bs = rounded(
        dtype,
        Array.from({ length: 3000 }, () => (next() - 0.5) * 2 ** (range * (2 * next() - 1))),
      );
      arena.reset();
      const [a, b, y] = [arena.input(dtype, as), arena.input(dtype, bs), arena.output(dtype, as.length)];
      const [s, one] = [arena.ints([as.length]), arena.ints([1])];
      arena.run((k) => k.binary(Binary.remainder, Dtype[dtype], a.address, b.address, y.address, 1, s, one, one, 1));
      expect(arena.read(y)).toEqual(
        rounded(
          dtype,
          as.map((u, i) => binary.remainder.f(u, bs[i])),
        ),
      );
    }
  });

  test('where', () => {
    for (const [shape, aStrides, bStrides] of layouts.slice(0, 13)) {
      for (const dtype of ['uint8', 'float32', 'float64'] as const) {
        const count = shape.reduce((a, b) => a * b, 1);
        const reach = (strides: number[]) =>
          strides.reduce((sum, s, axis) => sum + s * Math.max(shape[axis] - 1, 0), 1);
        const [as, bs] = [values(dtype, reach(aStrides), 1), values(dtype, reach(bStrides), 2)];
        const conditions = Array.from({ length: reach(bStrides) }, (_, i) => ((i * 7 + 3) % 5) % 2);
        arena.reset();
        const [c, a, b] = [arena.input('bool', conditions), arena.input(dtype, as), arena.input(dtype, bs)];
        const y = arena.output(dtype, count);
        const [s, sa, sb] = [arena.ints(shape), arena.ints(aStrides), arena.ints(bStrides)];
        arena.run((k) =>
          k.where(sizeOf(dtype), c.address, a.address, b.address, y.address, shape.length, s, sb, sa, sb),
        );
        const want: number[] = [];
        forEachIndex(shape, (_, index) => {
          const at = offsetOf(index, bStrides);
          want.push(conditions[at] ? as[offsetOf(index, aStrides)] : bs[at]);
        });
        expect(arena.read(y)).toEqual(want);
      }
    }
  });

  test('copyStrided', () => {
    // [shape, strides of x, strides of out]
    const cases: [number[], number[], number[]][] = [
      [[1000], [1], [1]],
      [
        [33, 40],
        [40, 1],
        [1, 33],
      ],
      [
        [2, 64, 300],
        [19200, 300, 1],
        [19200, 1, 64],
      ], // NCHW to NHWC
      [
        [2, 300, 64],
        [19200, 64, 1],
        [19200, 1, 300],
      ], // and back
      [
        [3, 3, 500],
        [1500, 500, 1],
        [1500, 1, 3],
      ],
      [
        [5, 6, 7, 8],
        [1, 5, 30, 210],
        [336, 56, 8, 1],
      ],
      [
        [20, 30],
        [0, 1],
        [30, 1],
      ],
      [
        [20, 30],
        [1, 0],
        [30, 1],
      ],
      [
        [20, 30],
        [90, 3],
        [30, 1],
      ],
      [
        [20, 30],
        [30, 1],
        [90, 3],
      ],
      [
        [7, 1, 0, 4],
        [4, 4, 4, 1],
        [4, 4, 4, 1],
      ],
      // Runs of which x or out has an element of each beside the others.
      ...[2, 3, 4, 5, 6, 8, 9, 10].flatMap((count): [number[], number[], number[]][] =>
        [16, 37].flatMap((length): [number[], number[], number[]][] => {
          const [apart, beside] = [
            [length + 3, 1],
            [1, count],
          ];
          return [
            [[count, length], apart, beside],
            [[count, length], beside, apart],
          ];
        }),
      ),
      // Channels that become pixels, channels last: (h, w, c, i, j) to (h, i, w, j, c), and back.
      [
        [3, 5, 18, 2, 2],
        [5 * 72, 72, 4, 2, 1],
        [5 * 72, 36, 1, 5 * 36, 18],
      ],
      [
        [3, 5, 18, 2, 2],
        [5 * 72, 36, 1, 5 * 36, 18],
        [5 * 72, 72, 4, 2, 1],
      ],
      [[], [], []],
    ];
    for (const [shape, from, to] of cases) {
      for (const dtype of ['uint8', 'float32', 'float64'] as const) {
        const reach = (strides: number[]) =>
          strides.reduce((sum, s, axis) => sum + s * Math.max(shape[axis] - 1, 0), 1);
        const inputs = values(dtype, reach(from), 9);
        arena.reset();
        const [x, y] = [arena.input(dtype, inputs), arena.output(dtype, reach(to))];
        const want = arena.read(y);
        const [s, sf, st] = [arena.ints(shape), arena.ints(from), arena.ints(to)];
        sameForAnyThreads(arena, () => {
          arena.run((k) => k.copyStrided(sizeOf(dtype), x.address, y.address, shape.length, s, sf, st));
          return y;
        });
        forEachIndex(shape, (_, index) => {
          want[offsetOf(index, to)] = inputs[offsetOf(index, from)];
        });
        expect(arena.read(y), `[${shape}] [${from}] [${to}]`).toEqual(want);
      }
    }
    arena.reset();
    const [x, y] = [arena.input('float32', [1, 2, 3, 4, 5, 6]), arena.output('float32', 6)];
    const [s, sf, st] = [arena.ints([2, 3]), arena.ints([3, -1]), arena.ints([3, 1])];
    arena.run((k) => k.copyStrided(4, x.address + 8, y.address, 2, s, sf, st));
    expect(arena.read(y)).toEqual([3, 2, 1, 6, 5, 4]);
  });

  test('fill, arange', () => {
    arena.reset();
    for (const dtype of [...numbers, 'bool'] as const) {
      const y = arena.output(dtype, 70);
      arena.run((k) => k.fill(Dtype[dtype], y.address, 70, 2.75));
      const want = dtype === 'bool' ? 1 : isFloat(dtype) ? 2.75 : 2;
      expect(arena.read(y)).toEqual(Array(70).fill(want));
    }
    const y = arena.output('float32', 1000);
    arena.run((k) => k.arange(Dtype.float32, y.address, 1000, -1, 0.1));
    arena.read(y).forEach((got, i) => {
      // Half an ulp of float32, and of float64 for a product that may or may not be rounded before the sum.
      const want = -1 + i * 0.1;
      expect(Math.abs(got - want)).toBeLessThanOrEqual(2 ** -24 * Math.abs(want) + 2 ** -53 * (1 + i * 0.1));
    });
    const z = arena.output('int64', 5);
    arena.run((k) => k.arange(Dtype.int64, z.address, 5, 2 ** 53, 1));
    const bytes = arena.bytes(z);
    expect([...new BigInt64Array(bytes.buffer, 0, 5)]).toEqual([0n, 1n, 2n, 3n, 4n].map((i) => 2n ** 53n + i));
  });

  test('cast', () => {
    const floatValues = [
      0,
      1,
      -1,
      0.9,
      -0.9,
      255.9,
      256,
      -1.5,
      3e9,
      -3e9,
      1e19,
      -1e19,
      2 ** 31,
      2 ** 63,
      NaN,
      Infinity,
      -Infinity,
    ];
    const lowest = { int32: -(2 ** 31), int64: -(2 ** 63) };
    const toInteger = (v: number, to: 'int32' | 'int64') =>
      v >= lowest[to] && v < -lowest[to] ? Math.trunc(v) + 0 : lowest[to];
    for (const from of [...numbers, 'bool'] as const) {
      for (const to of [...numbers, 'bool'] as const) {
        arena.reset();
        const inputs = rounded(
          from,
          isFloat(from) ? floatValues : from === 'bool' ? [0, 1] : [0, 1, 2, 77, 200, 255, -1, 2 ** 31 - 1],
        );
        const padded = Array.from({ length: 101 }, (_, i) => inputs[i % inputs.length]);
        const [x, y] = [arena.input(from, padded), arena.output(to, padded.length)];
        arena.run((k) => k.cast(Dtype[from], Dtype[to], x.address, y.address, padded.length));
        const want = padded.map((v) => {
          if (to === 'bool') return Number(v !== 0);
          if (isFloat(to)) return rounded(to, [v])[0];
          if (!isFloat(from)) return Number(wrapInteger[to as 'int32']?.(BigInt(v)));
          if (to === 'uint8') return Number(BigInt.asUintN(8, BigInt(toInteger(v, 'int64'))));
          return toInteger(v, to as 'int32');
        });
        expect(arena.read(y), `${from} to ${to}`).toEqual(want);
      }
    }
  });
});

test('native and wasm agree', () => {
  if (!engines().includes('native')) return;
  // Both are within 2 ulp of the truth, so within 4 of each other.
  const inputs = values('float32', 2000, 12).filter(Number.isFinite);
  const results = (['native', 'wasm'] as const).map((engine) => {
    const arena = new Arena(engine);
    const [x, y] = [arena.input('float32', inputs), arena.output('float32', inputs.length)];
    arena.run((k) => k.unary(Unary.tanh, Dtype.float32, x.address, y.address, inputs.length, 0, 0));
    return arena.read(y);
  });
  results[0].forEach((v, i) => {
    expect(ulpError('float32', v, results[1][i])).toBeLessThanOrEqual(4);
  });
});
