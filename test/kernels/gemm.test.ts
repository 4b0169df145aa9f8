// Matrix products against their definition: transposes, batches, bias, accumulation, sizes around every tile.
import { describe, expect, test } from 'vitest';
import { Dtype } from '../../src/device/generated/abi.ts';
import { type GemmCase, gemmReference } from '../reference/gemm.ts';
import { Arena, engines, type FloatName, largestError, roundoff, Source, sameForAnyThreads } from './arena.ts';

for (const engine of engines()) {
  const arena = new Arena(engine);
  const check = (type: FloatName, g: GemmCase, withBias: boolean, source: Source) => {
    const dtype = Dtype[type];
    const a = source.values(g.batch * g.m * g.k, type);
    const b = source.values((g.sharedB ? 1 : g.batch) * g.k * g.n, type);
    const bias = withBias ? source.values(g.n, type) : null;
    const c = source.values(g.batch * g.m * g.n, type);
    const actual = sameForAnyThreads(arena, () => {
      arena.reset();
      const [ba, bb, bc] = [a, b, c].map((values) => arena.input(type, values));
      const plus = bias && arena.input(type, bias);
      const scratch = arena.output('uint8', arena.kernels.gemmScratch(dtype, g.batch, g.m, g.n, g.k));
      arena.run((k) =>
        k.gemm(
          dtype,
          g.transposeA ? 1 : 0,
          g.transposeB ? 1 : 0,
          g.batch,
          g.m,
          g.n,
          g.k,
          ba.address,
          g.m * g.k,
          bb.address,
          g.sharedB ? 0 : g.k * g.n,
          plus ? plus.address : 0,
          bc.address,
          g.accumulate ? 1 : 0,
          scratch.address,
        ),
      );
      return { c: bc };
    });
    // K products of magnitude <= 1/4, rounded at each step.
    const tolerance = 2 * roundoff[type] * (4 + g.k / 6 + 4 * Math.sqrt(g.k));
    expect(largestError(arena.read(actual.c), gemmReference(g, a, b, bias, c))).toBeLessThanOrEqual(tolerance);
  };

  describe(`matrix product, ${engine} (${arena.backend.instructionSet})`, () => {
    test('random sizes', () => {
      const source = new Source(11);
      const pick = (low: number, high: number) => source.integer(low, high);
      for (let i = 0; i < 150; i++) {
        const large = i % 15 === 0;
        const size = (low: number, most: number) => pick(low, large ? 4 * most : most);
        const g: GemmCase = {
          transposeA: pick(0, 1) === 1,
          transposeB: pick(0, 1) === 1,
          batch: pick(0, large ? 1 : 3),
          m: size(1, 40),
          n: size(1, 70),
          k: size(0, 70),
          sharedB: pick(0, 1) === 1,
          accumulate: pick(0, 1) === 1,
        };
        check(i % 3 ? 'float32' : 'float64', g, pick(0, 1) === 1, source);
      }
    });

    test('more than one block of the reduction, of rows and of columns', () => {
      const source = new Source(12);
      for (const [transposeA, transposeB] of [
        [false, false],
        [false, true],
        [true, false],
        [true, true],
      ])
        check(
          'float32',
          { transposeA, transposeB, batch: 1, m: 61, n: 1030, k: 300, sharedB: false, accumulate: false },
          true,
          source,
        );
      check(
        'float32',
        { transposeA: false, transposeB: true, batch: 1, m: 1040, n: 20, k: 270, sharedB: false, accumulate: true },
        false,
        source,
      );
      // Of a batch no operand is packed for all.
      check(
        'float32',
        { transposeA: true, transposeB: false, batch: 2, m: 530, n: 70, k: 270, sharedB: true, accumulate: false },
        true,
        source,
      );
    });
  });
}
