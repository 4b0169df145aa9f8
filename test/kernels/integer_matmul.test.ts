// ek_integer_matmul against sums of bigints, on both engines: shapes that fill no vector, shared matrices, any number
// of threads.
import { describe, expect, test } from 'vitest';
import { Dtype, Status } from '../../src/device/generated/abi.ts';
import { Arena, engines, random, sameForAnyThreads } from './arena.ts';

const wrap = {
  int32: (x: bigint) => BigInt.asIntN(32, x),
  int64: (x: bigint) => BigInt.asIntN(64, x),
  uint8: (x: bigint) => BigInt.asUintN(8, x),
};
const shapes = [
  [1, 1, 1, 1],
  [1, 7, 5, 3],
  [3, 9, 33, 17],
  [2, 4, 3, 0],
];

describe.each(engines())('%s', (engine) => {
  const arena = new Arena(engine);
  describe.each(['int32', 'int64', 'uint8'] as const)('%s', (dtype) => {
    test.each(shapes)('%s matrices, %s x %s, inner %s', (batch, m, n, k) => {
      for (const isShared of [false, true]) {
        arena.reset();
        const next = random(batch + m + n + k);
        const large = dtype === 'int32' ? 2 ** 20 : 200;
        const values = (count: number) => Array.from({ length: count }, () => Math.floor(next() * large));
        const [left, right] = [values(batch * m * k), values((isShared ? 1 : batch) * k * n)];
        const [a, b] = [arena.input(dtype, left), arena.input(dtype, right)];
        const c = arena.output(dtype, batch * m * n);
        const step = isShared ? 0 : k * n;
        sameForAnyThreads(arena, () => {
          arena.run((f) => f.integerMatmul(Dtype[dtype], batch, m, n, k, a.address, m * k, b.address, step, c.address));
          return c;
        });
        arena.read(c).forEach((got, at) => {
          const [matrix, row, column] = [Math.floor(at / (m * n)), Math.floor(at / n) % m, at % n];
          let sum = 0n;
          for (let i = 0; i < k; i++)
            sum += BigInt(left[(matrix * m + row) * k + i]) * BigInt(right[matrix * step + i * n + column]);
          if (got !== Number(wrap[dtype](sum))) expect.fail(`${got} at ${at}, expected ${wrap[dtype](sum)}`);
        });
      }
    });
  });
  test('floats are refused', () => {
    arena.reset();
    const x = arena.input('float32', [1]);
    const c = arena.output('float32', 1);
    expect(arena.status((f) => f.integerMatmul(Dtype.float32, 1, 1, 1, 1, x.address, 1, x.address, 1, c.address))).toBe(
      Status.badDtype,
    );
  });
});
