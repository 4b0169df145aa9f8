// Functions of a norm's values in one pass give the bits of the two kernels that they are made of.
import { describe, expect, test } from 'vitest';
import { Dtype, Format, Unary } from '../../src/device/generated/abi.ts';
import { Arena, engines, Source, sameForAnyThreads } from './arena.ts';

const functions = [Unary.silu, Unary.leakyRelu, Unary.tanh, Unary.elu, Unary.hardswish] as const;
/** Rows and planes of all kinds, among them several pieces and blocks. */
const shapes = [
  [1, 1, 1],
  [7, 5, 1],
  [2, 3, 49],
  [3, 70, 20],
  [2, 6, 784],
  [2, 1100, 9],
  [1, 2, 70000],
  [40, 64, 56],
] as const;

for (const engine of engines()) {
  const arena = new Arena(engine);
  describe(`functions of a norm, ${engine} (${arena.backend.instructionSet})`, () => {
    test.each(shapes)('(%i, %i, %i)', (n, c, s) => {
      const source = new Source(n + c + s);
      for (const format of [Format.contiguous, Format.channelsLast])
        for (const [i, op] of functions.entries()) {
          const type = i % 2 ? 'float64' : 'float32';
          const dtype = Dtype[type];
          const size = n * c * s;
          const values = [size, size, c, c, c, c].map((length) => source.values(length, type));
          const [p, q] = [0.25, 0];
          const out = sameForAnyThreads(arena, () => {
            arena.reset();
            const [x, dy, weight, bias] = values.slice(0, 4).map((v) => arena.input(type, v).address);
            const mean = arena.input('float64', values[4]).address;
            const invstd = arena.input(
              'float64',
              values[5].map((v) => 0.5 + v * v),
            ).address;
            const scratch = arena.output('uint8', arena.kernels.batchNormScratch(n, c, s, format)).address;
            const [z, y, dz, once, back] = Array.from({ length: 5 }, () => arena.output(type, size));
            const view = [dtype, x, n, c, s, format, mean, invstd, weight, bias] as const;
            arena.run((k) => k.batchNormApply(...view, 0, 0, z.address, scratch));
            arena.run((k) => k.unary(op, dtype, z.address, y.address, size, p, q));
            arena.run((k) => k.unaryBackward(op, dtype, z.address, y.address, dy, dz.address, size, p, q));
            arena.run((k) => k.batchNormFunction(op, ...view, p, q, 0, 0, once.address, scratch));
            arena.run((k) => k.batchNormFunction(op, ...view, p, q, y.address, dy, back.address, scratch));
            return { y, dz, once, back };
          });
          expect(arena.read(out.once)).toEqual(arena.read(out.y));
          expect(arena.read(out.back)).toEqual(arena.read(out.dz));
        }
    });

    test('no tests, and no functions that do not exist', () => {
      arena.reset();
      const at = arena.output('float32', 4).address;
      for (const op of [Unary.isnan, 999])
        expect(
          arena.status((k) => k.batchNormFunction(op, 0, at, 1, 1, 1, 0, 0, at, 0, 0, 0, 0, 0, 0, at, at)),
        ).toBeGreaterThan(0);
    });
  });
}
