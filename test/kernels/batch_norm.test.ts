// The steps of batch norm against float64 truth: layouts, means far from zero, constant channels, huge values, NaN.
import { describe, expect, test } from 'vitest';
import { Dtype, Format } from '../../src/device/generated/abi.ts';
import { type BatchNormCase, batchNormReference, channelPlaces } from '../reference/batch_norm.ts';
import { Arena, engines, type FloatName, largestError, Source, sameForAnyThreads } from './arena.ts';

const eps = 1e-5;

for (const engine of engines()) {
  const arena = new Arena(engine);

  const compute = (
    type: FloatName,
    g: BatchNormCase,
    x: number[],
    dy: number[],
    weight: number[],
    bias: number[],
    epsilon = eps,
    relu = 0,
  ) =>
    sameForAnyThreads(arena, () => {
      arena.reset();
      const dtype = Dtype[type];
      const format = g.channelsLast ? Format.channelsLast : Format.contiguous;
      const [bx, bdy, bw, bb] = [x, dy, weight, bias].map((values) => arena.input(type, values));
      const scratch = arena.output('uint8', arena.kernels.batchNormScratch(g.n, g.c, g.s, format));
      const doubles = () => arena.output('float64', g.c);
      const out = {
        mean: doubles(),
        m2: doubles(),
        invstd: doubles(),
        sumDy: doubles(),
        sumDyXmu: doubles(),
        y: arena.output(type, x.length),
        dx: arena.output(type, x.length),
        evalDx: arena.output(type, x.length),
      };
      const { mean, m2, invstd, sumDy, sumDyXmu } = out;
      const count = g.n * g.s;
      arena.run((k) =>
        k.batchNormStats(dtype, bx.address, g.n, g.c, g.s, format, mean.address, m2.address, scratch.address),
      );
      arena.run((k) => k.batchNormInvstd(g.c, count, m2.address, epsilon, invstd.address));
      const view = [g.n, g.c, g.s, format] as const;
      const [xs, gs] = [bx.address, bdy.address];
      const given = [mean.address, invstd.address, bw.address, bb.address, relu] as const;
      const sums = [sumDy.address, sumDyXmu.address] as const;
      arena.run((k) => k.batchNormApply(dtype, xs, ...view, ...given, 0, out.y.address, scratch.address));
      arena.run((k) => k.batchNormBackwardReduce(dtype, xs, gs, ...view, ...given, ...sums, scratch.address));
      arena.run((k) =>
        k.batchNormBackwardApply(dtype, xs, gs, ...view, count, ...given, ...sums, out.dx.address, scratch.address),
      );
      arena.run((k) =>
        k.batchNormBackwardApply(dtype, xs, gs, ...view, count, ...given, 0, 0, out.evalDx.address, scratch.address),
      );
      // The pairs give the same bits as their parts.
      const same = { mean: doubles(), m2: doubles(), invstd: doubles(), sumDy: doubles(), sumDyXmu: doubles() };
      const [y, dx] = [arena.output(type, x.length), arena.output(type, x.length)];
      arena.run((k) =>
        k.batchNormForward(
          dtype,
          xs,
          ...view,
          epsilon,
          bw.address,
          bb.address,
          relu,
          same.mean.address,
          same.m2.address,
          same.invstd.address,
          y.address,
          scratch.address,
        ),
      );
      arena.run((k) =>
        k.batchNormBackward(
          dtype,
          xs,
          gs,
          ...view,
          ...given,
          same.sumDy.address,
          same.sumDyXmu.address,
          dx.address,
          scratch.address,
        ),
      );
      expect(arena.read(y)).toEqual(arena.read(out.y));
      expect(arena.read(dx)).toEqual(arena.read(out.dx));
      for (const name of ['mean', 'm2', 'invstd', 'sumDy', 'sumDyXmu'] as const)
        expect(arena.read(same[name])).toEqual(arena.read(out[name]));
      return out;
    });

  const check = (type: FloatName, g: BatchNormCase, mean: number, std: number, source: Source, relu = 0) => {
    const hold = (v: number) => (type === 'float32' ? Math.fround(v) : v);
    const x = Array.from({ length: g.n * g.c * g.s }, () => hold(mean + std * source.normal()));
    const dy = source.values(x.length, type);
    const weight = Array.from({ length: g.c }, () => hold(0.5 + source.uniform() / 2));
    const bias = source.values(g.c, type);
    const out = compute(type, g, x, dy, weight, bias, eps, relu);
    const plain = batchNormReference(g, x, dy, weight, bias, eps);
    // Whether a ReLU is open is taken from the kernel's own result: a rounding may decide it.
    const open = relu ? arena.read(out.y).map((y) => y > 0 && y < relu) : [];
    const masked = relu ? dy.map((v, i) => (open[i] ? v : 0)) : dy;
    const expected = relu ? batchNormReference(g, x, masked, weight, bias, eps) : plain;
    if (relu) for (const [i, y] of plain.y.entries()) expected.y[i] = Math.min(Math.max(y, 0), relu);
    // float32: y must be within 1e-6 whatever the mean. float64: the data themselves resolve the spread to |mean|/std
    // ulps.
    const tolerance = type === 'float32' ? 1e-6 : 1e-14 * (1 + Math.abs(mean) / std);
    expect(largestError(arena.read(out.y), expected.y)).toBeLessThanOrEqual(tolerance);
    const scale = Math.max(1, ...expected.channels.map((channel) => channel.invstd));
    expect(largestError(arena.read(out.dx), expected.dx)).toBeLessThanOrEqual(tolerance * scale);
    arena.read(out.m2).forEach((m2, i) => {
      // Sums in double of data shifted by one of them: 1e-10 is four orders above their rounding, far below 2e-7.
      const { m2: truth } = expected.channels[i];
      expect(Math.abs(m2 - truth)).toBeLessThanOrEqual(1e-10 * truth);
    });
  };

  describe(`batch norm, ${engine} (${arena.backend.instructionSet})`, () => {
    test('without statistics the mean is 0 and 1/std is 1', () => {
      const [n, c, s, limit] = [3, 19, 35, 0.5];
      const source = new Source(5);
      const [x, residual] = [0, 1].map(() => source.values(n * c * s, 'float32'));
      const bias = source.values(c, 'float32');
      for (const format of [Format.contiguous, Format.channelsLast]) {
        const y = sameForAnyThreads(arena, () => {
          arena.reset();
          const [bx, br, bb] = [x, residual, bias].map((values) => arena.input('float32', values));
          const scratch = arena.output('uint8', arena.kernels.batchNormScratch(n, c, s, format));
          const out = { y: arena.output('float32', x.length) };
          const view = [Dtype.float32, bx.address, n, c, s, format] as const;
          arena.run((k) =>
            k.batchNormApply(
              ...([...view, 0, 0, 0, bb.address, limit, br.address, out.y.address] as const),
              scratch.address,
            ),
          );
          return out;
        }).y;
        const channel = (i: number) => (format === Format.channelsLast ? i % c : Math.floor(i / s) % c);
        const expected = x.map((v, i) =>
          Math.min(limit, Math.max(0, Math.fround(Math.fround(v + bias[channel(i)]) + residual[i]))),
        );
        expect(arena.read(y)).toEqual(expected);
      }
    });

    test('layouts and sizes', () => {
      const source = new Source(21);
      const pick = (low: number, high: number) => source.integer(low, high);
      for (let i = 0; i < 60; i++) {
        const s = [1, pick(2, 63), pick(64, 300)][i % 3];
        const c = pick(1, i % 4 ? 12 : 150);
        const g = {
          n: Math.max(2, Math.min(pick(2, 40), Math.floor(20000 / (c * s)))),
          c,
          s,
          channelsLast: pick(0, 1) === 1,
        };
        check(
          pick(0, 2) ? 'float32' : 'float64',
          g,
          [0, 1, 100, 1e4][pick(0, 3)],
          1,
          source,
          [Infinity, 0, 0.75, 0][i % 4],
        );
      }
    });

    test('a plane of several blocks, a row of several blocks', () => {
      const source = new Source(22);
      check('float32', { n: 1, c: 2, s: 70000, channelsLast: false }, 5, 1, source);
      check('float32', { n: 3, c: 3000, s: 3, channelsLast: false }, 5, 1, source);
      check('float32', { n: 5, c: 3000, s: 2, channelsLast: true }, 5, 1, source);
      check('float32', { n: 3001, c: 6, s: 1, channelsLast: true }, 5, 1, source);
    });

    test('channels in groups that fit a cache', () => {
      const source = new Source(25);
      check('float32', { n: 300, c: 24, s: 64, channelsLast: false }, 5, 1, source, 0.75);
      check('float32', { n: 130, c: 80, s: 49, channelsLast: false }, 5, 1, source);
    });

    test('constant, huge and infinite channels keep to themselves', () => {
      const source = new Source(23);
      for (const s of [1, 7, 100])
        for (const channelsLast of [false, true]) {
          const g = { n: 33, c: 5, s, channelsLast };
          const x = source.values(33 * 5 * s, 'float32');
          for (const p of channelPlaces(g, 0)) x[p] = Math.fround(Math.PI);
          for (const p of channelPlaces(g, 1)) x[p] = Math.fround(source.uniform() < 0.5 ? 1e30 : -1e30);
          x[channelPlaces(g, 2)[5]] = Number.POSITIVE_INFINITY;
          x[channelPlaces(g, 3)[6]] = Number.NaN;
          const bias = source.values(5, 'float32');
          const out = compute('float32', g, x, source.values(x.length, 'float32'), [1, 1, 1, 1, 1], bias, 0);
          const [y, dx] = [arena.read(out.y), arena.read(out.dx)];
          for (const p of channelPlaces(g, 0)) expect([y[p], Math.abs(dx[p])]).toEqual([bias[0], 0]);
          for (const p of channelPlaces(g, 1)) expect(Math.abs(y[p])).toBeLessThan(10);
          for (const channel of [2, 3]) for (const p of channelPlaces(g, channel)) expect(y[p]).toBeNaN();
          for (const p of channelPlaces(g, 4)) expect([y[p], dx[p]].every(Number.isFinite)).toBe(true);
          expect(arena.read(out.mean)[2]).toBe(Number.POSITIVE_INFINITY);
          expect(arena.read(out.m2)[2]).toBeNaN();
        }
    });

    test('a first value far from all others costs no digits', () => {
      const source = new Source(26);
      const grid = 2 ** 20; // of the values, which are exact as integers
      const n = 24;
      for (let i = 0; i < 40; i++) {
        const x = Array.from({ length: n }, () => Math.round(source.normal() * grid) / grid);
        x[0] = Math.round(1e6 * (1 + source.uniform()) * grid) / grid;
        const g = { n, c: 1, s: 1, channelsLast: false };
        const out = compute('float64', g, x, source.values(n, 'float64'), [1], [0]);
        let [sum, squares] = [0n, 0n];
        for (const v of x.map((value) => BigInt(value * grid))) [sum, squares] = [sum + v, squares + v * v];
        const exact = Number(BigInt(n) * squares - sum * sum) / n / grid ** 2;
        // A rounding for each term, and a few more.
        expect(Math.abs(arena.read(out.m2)[0] - exact)).toBeLessThanOrEqual((n + 8) * 2 ** -53 * exact);
      }
    });

    test('combine merges parts as if they had been one; parts without elements are absent', () => {
      const source = new Source(24);
      const parts = [5, 0, 1, 12].map((count) => Array.from({ length: count }, () => 100 + source.normal()));
      const moments = (values: number[]) => {
        const mean = values.reduce((a, b) => a + b, 0) / Math.max(values.length, 1);
        return { mean, m2: values.reduce((a, b) => a + (b - mean) ** 2, 0) };
      };
      arena.reset();
      const double = (values: number[]) => arena.input('float64', values);
      const counts = double(parts.map((part) => part.length));
      const means = double(parts.map((part) => moments(part).mean));
      const m2s = double(parts.map((part) => moments(part).m2));
      const [count, mean, m2] = [1, 1, 1].map((length) => arena.output('float64', length));
      arena.run((k) =>
        k.batchNormCombine(
          4,
          1,
          1,
          counts.address,
          means.address,
          m2s.address,
          count.address,
          mean.address,
          m2.address,
        ),
      );
      const truth = moments(parts.flat());
      expect(arena.read(count)).toEqual([18]);
      expect(arena.read(mean)[0]).toBeCloseTo(truth.mean, 11);
      expect(arena.read(m2)[0]).toBeCloseTo(truth.m2, 10);
    });

    test('running statistics: unbiased variance, momentum or cumulative average', () => {
      arena.reset();
      const double = (values: number[]) => arena.input('float64', values);
      for (const [momentum, factor] of [
        [0.1, 0.1],
        [Number.NaN, 0.25],
      ]) {
        const [mean, variance] = [arena.input('float32', [1, 2]), arena.input('float32', [3, 4])];
        const tracked = arena.input('int64', [4]);
        const [batchMean, m2] = [double([5, 6]), double([14, 21])];
        arena.run((k) =>
          k.batchNormUpdateRunning(
            Dtype.float32,
            2,
            8,
            batchMean.address,
            m2.address,
            momentum,
            tracked.address,
            mean.address,
            variance.address,
          ),
        );
        expect(arena.read(mean)).toEqual([1 + factor * 4, 2 + factor * 4].map(Math.fround));
        expect(arena.read(variance)).toEqual(
          [(1 - factor) * 3 + factor * 2, (1 - factor) * 4 + factor * 3].map(Math.fround),
        );
      }
    });

    test('invstd: 0 where variance and eps are 0, in training only', () => {
      arena.reset();
      const m2 = arena.input('float64', [0, 12, 8]);
      const invstd = arena.output('float64', 3);
      arena.run((k) => k.batchNormInvstd(3, 4, m2.address, 0, invstd.address));
      expect(arena.read(invstd)).toEqual([0, 1 / Math.sqrt(3), 1 / Math.sqrt(2)]);
      const [means, variances] = [arena.input('float64', [1, 2, 3]), arena.input('float64', [0, 4, -1])];
      const mean = arena.output('float64', 3);
      arena.run((k) =>
        k.batchNormFromRunning(Dtype.float64, 3, means.address, variances.address, 0, mean.address, invstd.address),
      );
      expect(arena.read(mean)).toEqual([1, 2, 3]);
      expect(arena.read(invstd)).toEqual([Number.POSITIVE_INFINITY, 0.5, Number.NaN]);
    });
  });
}
