// The steps of batch norm against float64 truth: layouts, means far from zero, constant channels, huge values, NaN.
import { describe, expect, test } from 'vitest';
import { Format } from '../../src/kernels/generated/abi.ts';
import { type BatchNormCase, batchNormReference, channelPlaces } from '../reference/batch_norm.ts';
import { Buffer, devices, dtypeOf, type FloatName, largestError, onAnyThreads, run, Source } from './harness.ts';

const eps = 1e-5;

for (const device of devices) {
  const k = device.kernels;

  const compute = (
    type: FloatName,
    g: BatchNormCase,
    x: number[],
    dy: number[],
    weight: number[],
    bias: number[],
    epsilon = eps,
  ) =>
    onAnyThreads(device, () => {
      const dtype = dtypeOf[type];
      const format = g.channelsLast ? Format.channelsLast : Format.contiguous;
      const [bx, bdy, bw, bb] = [x, dy, weight, bias].map((values) => new Buffer(device, type, values));
      const scratch = new Buffer(device, 'byte', k.batchNormScratch(g.n, g.c, g.s, format));
      const doubles = () => new Buffer(device, 'float64', g.c);
      const out = {
        mean: doubles(),
        m2: doubles(),
        invstd: doubles(),
        sumDy: doubles(),
        sumDyXmu: doubles(),
        y: new Buffer(device, type, x.length),
        dx: new Buffer(device, type, x.length),
        evalDx: new Buffer(device, type, x.length),
      };
      const all = [scratch, ...Object.values(out)];
      const { mean, m2, invstd, sumDy, sumDyXmu } = out;
      const count = g.n * g.s;
      run(device, all, () =>
        k.batchNormStats(dtype, bx.pin(), g.n, g.c, g.s, format, mean.pin(), m2.pin(), scratch.pin()),
      );
      run(device, all, () => k.batchNormInvstd(g.c, count, m2.pin(), epsilon, invstd.pin()));
      run(device, all, () =>
        k.batchNormApply(
          dtype,
          bx.pin(),
          g.n,
          g.c,
          g.s,
          format,
          mean.pin(),
          invstd.pin(),
          bw.pin(),
          bb.pin(),
          out.y.pin(),
        ),
      );
      run(device, all, () =>
        k.batchNormBackwardReduce(
          dtype,
          bx.pin(),
          bdy.pin(),
          g.n,
          g.c,
          g.s,
          format,
          mean.pin(),
          sumDy.pin(),
          sumDyXmu.pin(),
          scratch.pin(),
        ),
      );
      run(device, all, () =>
        k.batchNormBackwardApply(
          dtype,
          bx.pin(),
          bdy.pin(),
          g.n,
          g.c,
          g.s,
          format,
          count,
          mean.pin(),
          invstd.pin(),
          bw.pin(),
          sumDy.pin(),
          sumDyXmu.pin(),
          out.dx.pin(),
        ),
      );
      run(device, all, () =>
        k.batchNormBackwardApply(
          dtype,
          0,
          bdy.pin(),
          g.n,
          g.c,
          g.s,
          format,
          count,
          0,
          invstd.pin(),
          bw.pin(),
          0,
          0,
          out.evalDx.pin(),
        ),
      );
      return out;
    });

  const check = (type: FloatName, g: BatchNormCase, mean: number, std: number, source: Source) => {
    const hold = (v: number) => (type === 'float32' ? Math.fround(v) : v);
    const x = Array.from({ length: g.n * g.c * g.s }, () => hold(mean + std * source.normal()));
    const dy = source.values(x.length, type);
    const weight = Array.from({ length: g.c }, () => hold(0.5 + source.uniform() / 2));
    const bias = source.values(g.c, type);
    const out = compute(type, g, x, dy, weight, bias);
    const expected = batchNormReference(g, x, dy, weight, bias, eps);
    // float32: y must be within 1e-6 whatever the mean. float64: the data themselves resolve the spread to |mean|/std ulps.
    const tolerance = type === 'float32' ? 1e-6 : 1e-14 * (1 + Math.abs(mean) / std);
    expect(largestError(out.y.numbers(), expected.y)).toBeLessThanOrEqual(tolerance);
    const scale = Math.max(1, ...expected.channels.map((channel) => channel.invstd));
    expect(largestError(out.dx.numbers(), expected.dx)).toBeLessThanOrEqual(tolerance * scale);
    out.m2.numbers().forEach((m2, i) => {
      // Sums in double of data shifted by one of them: 1e-10 is four orders above their rounding, far below 2e-7.
      const { m2: truth } = expected.channels[i];
      expect(Math.abs(m2 - truth)).toBeLessThanOrEqual(1e-10 * truth);
    });
  };

  describe(`batch norm, ${device.name} (${device.instructionSet})`, () => {
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
        check(pick(0, 2) ? 'float32' : 'float64', g, [0, 1, 100, 1e4][pick(0, 3)], 1, source);
      }
    });

    test('a plane of several blocks, a row of several blocks', () => {
      const source = new Source(22);
      check('float32', { n: 1, c: 2, s: 70000, channelsLast: false }, 5, 1, source);
      check('float32', { n: 3, c: 3000, s: 3, channelsLast: false }, 5, 1, source);
      check('float32', { n: 5, c: 3000, s: 2, channelsLast: true }, 5, 1, source);
      check('float32', { n: 3001, c: 6, s: 1, channelsLast: true }, 5, 1, source);
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
          const [y, dx] = [out.y.numbers(), out.dx.numbers()];
          for (const p of channelPlaces(g, 0)) expect([y[p], Math.abs(dx[p])]).toEqual([bias[0], 0]);
          for (const p of channelPlaces(g, 1)) expect(Math.abs(y[p])).toBeLessThan(10);
          for (const channel of [2, 3]) for (const p of channelPlaces(g, channel)) expect(y[p]).toBeNaN();
          for (const p of channelPlaces(g, 4)) expect([y[p], dx[p]].every(Number.isFinite)).toBe(true);
          expect(out.mean.numbers()[2]).toBe(Number.POSITIVE_INFINITY);
          expect(out.m2.numbers()[2]).toBeNaN();
        }
    });

    test('combine merges parts as if they had been one; parts without elements are absent', () => {
      const source = new Source(24);
      const parts = [5, 0, 1, 12].map((count) => Array.from({ length: count }, () => 100 + source.normal()));
      const moments = (values: number[]) => {
        const mean = values.reduce((a, b) => a + b, 0) / Math.max(values.length, 1);
        return { mean, m2: values.reduce((a, b) => a + (b - mean) ** 2, 0) };
      };
      const double = (values: number | number[]) => new Buffer(device, 'float64', values);
      const counts = double(parts.map((part) => part.length));
      const means = double(parts.map((part) => moments(part).mean));
      const m2s = double(parts.map((part) => moments(part).m2));
      const [count, mean, m2] = [double(1), double(1), double(1)];
      run(device, [count, mean, m2], () =>
        k.batchNormCombine(4, 1, counts.pin(), means.pin(), m2s.pin(), count.pin(), mean.pin(), m2.pin()),
      );
      const truth = moments(parts.flat());
      expect(count.numbers()).toEqual([18]);
      expect(mean.numbers()[0]).toBeCloseTo(truth.mean, 11);
      expect(m2.numbers()[0]).toBeCloseTo(truth.m2, 10);
    });

    test('running statistics: unbiased variance, momentum or cumulative average', () => {
      const double = (values: number[]) => new Buffer(device, 'float64', values);
      for (const [momentum, factor] of [
        [0.1, 0.1],
        [Number.NaN, 0.25],
      ]) {
        const [mean, variance] = [new Buffer(device, 'float32', [1, 2]), new Buffer(device, 'float32', [3, 4])];
        const tracked = new Buffer(device, 'int64', [4]);
        const [batchMean, m2] = [double([5, 6]), double([14, 21])];
        run(device, [mean, variance], () =>
          k.batchNormUpdateRunning(
            dtypeOf.float32,
            2,
            8,
            batchMean.pin(),
            m2.pin(),
            momentum,
            tracked.pin(),
            mean.pin(),
            variance.pin(),
          ),
        );
        expect(mean.numbers()).toEqual([1 + factor * 4, 2 + factor * 4].map(Math.fround));
        expect(variance.numbers()).toEqual(
          [(1 - factor) * 3 + factor * 2, (1 - factor) * 4 + factor * 3].map(Math.fround),
        );
      }
    });

    test('invstd: 0 where variance and eps are 0, in training only', () => {
      const m2 = new Buffer(device, 'float64', [0, 12, 8]);
      const invstd = new Buffer(device, 'float64', 3);
      run(device, [invstd], () => k.batchNormInvstd(3, 4, m2.pin(), 0, invstd.pin()));
      expect(invstd.numbers()).toEqual([0, 1 / Math.sqrt(3), 1 / Math.sqrt(2)]);
      const [means, variances] = [new Buffer(device, 'float64', [1, 2, 3]), new Buffer(device, 'float64', [0, 4, -1])];
      const mean = new Buffer(device, 'float64', 3);
      run(device, [mean, invstd], () =>
        k.batchNormFromRunning(dtypeOf.float64, 3, means.pin(), variances.pin(), 0, mean.pin(), invstd.pin()),
      );
      expect(mean.numbers()).toEqual([1, 2, 3]);
      expect(invstd.numbers()).toEqual([Number.POSITIVE_INFINITY, 0.5, Number.NaN]);
    });
  });
}
