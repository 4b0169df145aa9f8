// Normalization of rows against float64 truth: every way through memory, means far from zero, constant rows, NaN.
import { describe, expect, test } from 'vitest';
import { Dtype, Format } from '../../src/device/generated/abi.ts';
import { type RowNormCase, rowNormReference } from '../reference/row_norm.ts';
import { Arena, engines, type FloatName, largestError, Source, sameForAnyThreads } from './arena.ts';

for (const engine of engines()) {
  const arena = new Arena(engine);

  const compute = (
    type: FloatName,
    c: RowNormCase,
    x: number[],
    dy: number[],
    weight: number[] | null,
    bias: number[] | null,
    eps: number,
  ) =>
    sameForAnyThreads(arena, () => {
      arena.reset();
      const { n, g, k, s } = c;
      const format = c.channelsLast ? Format.channelsLast : Format.contiguous;
      const view = [n, g, k, s, format, Number(c.centred)] as const;
      const [bx, bdy] = [x, dy].map((values) => arena.input(type, values));
      const [bw, bb] = [weight, bias].map((values) => (values ? arena.input(type, values).address : 0));
      const scratch = arena.output('uint8', arena.kernels.rowNormScratch(n, g, k, s, format));
      const rows = () => arena.output('float64', n * g);
      const out = {
        mean: rows(),
        m2: rows(),
        invstd: rows(),
        y: arena.output(type, x.length),
        dx: arena.output(type, x.length),
        dweight: arena.output('float64', g * k),
        dbias: arena.output('float64', g * k),
      };
      const { mean, m2, invstd, y, dx, dweight, dbias } = out;
      const dtype = Dtype[type];
      arena.run((kernels) =>
        kernels.rowNormForward(
          dtype,
          bx.address,
          ...view,
          eps,
          bw,
          bb,
          mean.address,
          m2.address,
          invstd.address,
          y.address,
          scratch.address,
        ),
      );
      const backward = (to: number, dw: number, db: number) =>
        arena.run((kernels) =>
          kernels.rowNormBackward(
            dtype,
            bx.address,
            bdy.address,
            ...view,
            mean.address,
            invstd.address,
            bw,
            to,
            dw,
            db,
            scratch.address,
          ),
        );
      backward(dx.address, dweight.address, dbias.address);
      // Each half alone gives the same.
      const alone = {
        dx: arena.output(type, x.length),
        dweight: arena.output('float64', g * k),
        dbias: arena.output('float64', g * k),
      };
      backward(alone.dx.address, 0, 0);
      backward(0, alone.dweight.address, alone.dbias.address);
      for (const name of ['dx', 'dweight', 'dbias'] as const)
        expect(arena.read(alone[name])).toEqual(arena.read(out[name]));
      return out;
    });

  const check = (type: FloatName, c: RowNormCase, mean: number, source: Source, affine = true) => {
    const hold = (v: number) => (type === 'float32' ? Math.fround(v) : v);
    const [channels, size] = [c.g * c.k, c.n * c.g * c.k * c.s];
    const x = Array.from({ length: size }, () => hold(mean + source.normal()));
    const dy = source.values(size, type);
    const weight = affine ? Array.from({ length: channels }, () => hold(0.5 + source.uniform() / 2)) : null;
    const bias = affine ? source.values(channels, type) : null;
    const out = compute(type, c, x, dy, weight, bias, 1e-5);
    const [w, b] = [weight ?? new Array(channels).fill(1), bias ?? new Array(channels).fill(0)];
    const expected = rowNormReference(c, x, dy, w, b, 1e-5);
    // float32: within 1e-6 whatever the mean. float64: the data themselves resolve the spread to |mean| ulps.
    const tolerance = type === 'float32' ? 1e-6 : 1e-14 * (1 + Math.abs(mean));
    const scale = Math.max(1, ...expected.rows.map((row) => row.invstd));
    expect(largestError(arena.read(out.y), expected.y)).toBeLessThanOrEqual(tolerance);
    expect(largestError(arena.read(out.dx), expected.dx)).toBeLessThanOrEqual(tolerance * scale);
    // Sums over n·s values of size 1 to 3, rounded where they are added in the tensor's own type.
    const summed = tolerance * scale * Math.sqrt(c.n * c.s) * 3;
    expect(largestError(arena.read(out.dweight), expected.dweight)).toBeLessThanOrEqual(summed);
    expect(largestError(arena.read(out.dbias), expected.dbias)).toBeLessThanOrEqual(summed);
    arena.read(out.m2).forEach((m2, i) => {
      const { m2: truth } = expected.rows[i];
      expect(Math.abs(m2 - truth)).toBeLessThanOrEqual(1e-10 * truth + 1e-300);
    });
  };

  describe(`row norm, ${engine} (${arena.backend.instructionSet})`, () => {
    test('random geometries of lines, planes and images', () => {
      const source = new Source(31);
      const pick = (low: number, high: number) => source.integer(low, high);
      for (let i = 0; i < 90; i++) {
        const s = i % 3 ? [pick(2, 20), pick(30, 300)][i % 2] : 1;
        const g = pick(1, i % 2 ? 1 : 5);
        const k = pick(s === 1 ? 3 : 1, s === 1 ? 200 : 6);
        const n = Math.max(1, Math.min(pick(1, 40), Math.floor(10000 / (g * k * s))));
        const centred = pick(0, 3) > 0;
        const c = { n, g, k, s, channelsLast: i % 3 === 1, centred };
        check(
          pick(0, 2) ? 'float32' : 'float64',
          c,
          centred ? [0, 1, 100, 1e4][pick(0, 3)] : 0,
          source,
          pick(0, 3) > 0,
        );
      }
    });

    test('long lines in blocks of columns, many lines in blocks of rows', () => {
      const source = new Source(32);
      const line = { g: 1, s: 1, channelsLast: false, centred: true };
      check('float32', { ...line, n: 3, k: 5003 }, 3, source);
      check('float32', { ...line, n: 300, k: 4100 }, 3, source);
      check('float32', { ...line, n: 700, k: 67 }, 3, source);
      check('float32', { ...line, n: 40, g: 3, k: 33 }, 3, source);
    });

    test('a constant row gives the bias, a NaN stays in its row', () => {
      const source = new Source(33);
      for (const c of [
        { n: 3, g: 1, k: 50, s: 1, channelsLast: false, centred: true },
        { n: 3, g: 1, k: 2, s: 25, channelsLast: false, centred: true },
        { n: 3, g: 1, k: 2, s: 25, channelsLast: true, centred: true },
      ]) {
        const x = source.values(150, 'float32');
        for (let i = 0; i < 50; i++) x[i] = Math.fround(1000000.3);
        x[70] = Number.NaN;
        const channels = c.g * c.k;
        const out = compute('float32', c, x, source.values(150, 'float32'), null, new Array(channels).fill(0.5), 1e-5);
        const y = arena.read(out.y);
        expect(y.slice(0, 50)).toEqual(new Array(50).fill(0.5));
        expect(y.slice(50, 100).every(Number.isNaN)).toBe(true);
        expect(y.slice(100).every(Number.isFinite)).toBe(true);
      }
    });

    test('no rows: gradients of the parameters are zeros', () => {
      const out = compute(
        'float32',
        { n: 0, g: 1, k: 4, s: 1, channelsLast: false, centred: true },
        [],
        [],
        null,
        null,
        1,
      );
      expect(arena.read(out.dweight)).toEqual([0, 0, 0, 0]);
      expect(arena.read(out.dbias)).toEqual([0, 0, 0, 0]);
    });
  });
}
