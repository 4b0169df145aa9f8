// Pooling kernels against their definition.
import { describe, expect, test } from 'vitest';
import { Dtype, Format } from '../../src/device/generated/abi.ts';
import { elements, type Volume } from '../reference/layout.ts';
import { type PoolCase, poolReference } from '../reference/pool.ts';
import { Arena, engines, type FloatName, largestError, roundoff, Source, sameForAnyThreads } from './arena.ts';

function check(
  arena: Arena,
  type: FloatName,
  g: PoolCase,
  x: number[],
  dy: number[],
  includePad: boolean,
  divisor: number,
): void {
  const dtype = Dtype[type];
  const numbers = [
    g.n,
    g.c,
    g.input,
    g.output,
    g.kernel,
    g.stride,
    g.padding,
    g.dilation,
    g.format,
    g.adaptive ? 1 : 0,
  ].flat();
  const actual = sameForAnyThreads(arena, () => {
    arena.reset();
    const geometry = arena.input('int32', numbers);
    const [bx, bdy] = [x, dy].map((values) => arena.input(type, values));
    const out = {
      average: arena.output(type, dy.length),
      averageDx: arena.output(type, x.length),
      maximum: arena.output(type, dy.length),
      maximumDx: arena.output(type, x.length),
      indices: arena.output('int64', dy.length),
      values: arena.output(type, dy.length),
    };
    const pad = includePad ? 1 : 0;
    arena.run((k) => k.avgPool(dtype, geometry.address, pad, divisor, bx.address, 0, 0, out.average.address));
    arena.run((k) => k.avgPoolBackward(dtype, geometry.address, pad, divisor, bdy.address, out.averageDx.address));
    arena.run((k) => k.maxPool(dtype, geometry.address, bx.address, 0, 0, out.maximum.address, out.indices.address));
    arena.run((k) => k.maxPool(dtype, geometry.address, bx.address, 0, 0, out.values.address, 0));
    arena.run((k) =>
      k.maxPoolBackward(dtype, geometry.address, bdy.address, out.indices.address, out.maximumDx.address),
    );
    return out;
  });
  const expected = poolReference(g, x, dy, includePad, divisor);
  // Sums of at most 64 terms below 2 in magnitude.
  const tolerance = 128 * roundoff[type];
  expect(arena.read(actual.maximum)).toEqual(expected.maximum);
  expect(arena.read(actual.values)).toEqual(expected.maximum);
  expect(arena.read(actual.indices)).toEqual(expected.indices);
  expect(largestError(arena.read(actual.maximumDx), expected.maximumDx)).toBeLessThanOrEqual(tolerance);
  expect(largestError(arena.read(actual.average), expected.average)).toBeLessThanOrEqual(tolerance);
  expect(largestError(arena.read(actual.averageDx), expected.averageDx)).toBeLessThanOrEqual(tolerance);
  if (x.length > 0) checkNormalized(arena, type, g, numbers, x, dy.length, includePad ? 1 : 0, divisor);
}

/** What a pooling makes of a norm that it carries out itself, and of the values of that norm. */
function checkNormalized(
  arena: Arena,
  type: FloatName,
  g: PoolCase,
  numbers: readonly number[],
  x: number[],
  outputs: number,
  pad: number,
  divisor: number,
): void {
  const dtype = Dtype[type];
  const [n, c, s] = [g.n, g.c, elements(g.input)];
  const channel = (f: (i: number) => number) => Array.from({ length: c }, (_, i) => f(i));
  const given = [
    ['float64', channel((i) => (i % 5) / 4 - 0.5)],
    ['float64', channel((i) => 1 + (i % 3) / 2)],
    [type, channel((i) => (i % 2 ? -1.5 : 0.75))],
    [type, channel((i) => (i % 7) / 8)],
  ] as const;
  for (const relu of [0, 1.25, Number.POSITIVE_INFINITY]) {
    const out = sameForAnyThreads(arena, () => {
      arena.reset();
      const geometry = arena.input('int32', numbers).address;
      const bx = arena.input(type, x).address;
      const norm = given.map(([name, values]) => arena.input(name, values).address) as [number, number, number, number];
      const [values, coefficients] = [arena.output(type, x.length), arena.output(type, 7 * c)];
      const scratch = arena.output('uint8', arena.kernels.batchNormScratch(n, c, s, g.format)).address;
      arena.run((k) => k.batchNormCoefficients(dtype, c, 0, ...norm, relu, 0, 0, coefficients.address));
      arena.run((k) => k.batchNormApply(dtype, bx, n, c, s, g.format, ...norm, relu, 0, values.address, scratch));
      const pooled = (input: number, by: number) => {
        const made = {
          maximum: arena.output(type, outputs),
          indices: arena.output('int64', outputs),
          average: arena.output(type, outputs),
        };
        const flag = relu > 0 ? 1 : 0;
        arena.run((k) => k.maxPool(dtype, geometry, input, by, flag, made.maximum.address, made.indices.address));
        arena.run((k) => k.avgPool(dtype, geometry, pad, divisor, input, by, flag, made.average.address));
        return made;
      };
      const [inside, before] = [pooled(bx, coefficients.address), pooled(values.address, 0)];
      return { ...inside, maximumBefore: before.maximum, indicesBefore: before.indices, averageBefore: before.average };
    });
    expect(arena.read(out.maximum)).toEqual(arena.read(out.maximumBefore));
    expect(arena.read(out.indices)).toEqual(arena.read(out.indicesBefore));
    // Sums of at most 64 terms below 8 in magnitude, in another order where planes are pooled one by one.
    const expected = arena.read(out.averageBefore);
    expect(largestError(arena.read(out.average), expected)).toBeLessThanOrEqual(512 * roundoff[type]);
  }
}

function volume(values: readonly number[], fill: number): Volume {
  return [...new Array<number>(3 - values.length).fill(fill), ...values] as unknown as Volume;
}

for (const engine of engines()) {
  const arena = new Arena(engine);
  describe(`pooling, ${engine} (${arena.backend.instructionSet})`, () => {
    test('random geometries, both formats, with ties, NaN and −∞', () => {
      const source = new Source(3);
      const pick = (low: number, high: number) => source.integer(low, high);
      for (let made = 0; made < 150; ) {
        const rank = pick(1, 3);
        const adaptive = pick(0, 3) === 0;
        const input = Array.from({ length: rank }, () => pick(1, rank === 1 ? 90 : rank === 2 ? 24 : 7));
        const kernel = input.map(() => pick(1, 4));
        const stride = kernel.map((size) => (pick(0, 1) ? size : pick(1, 3)));
        const padding = kernel.map((size) => pick(0, size >> 1));
        const ceil = pick(0, 1) === 1;
        const output = input.map((size, d) => {
          if (adaptive) return pick(1, 9);
          const room = size + 2 * padding[d] - kernel[d];
          const count = Math.floor(room / stride[d]) + 1;
          // ceil_mode: one more window if it starts inside the input or its left padding.
          return ceil && room % stride[d] !== 0 && count * stride[d] < size + padding[d] ? count + 1 : count;
        });
        if (output.some((size) => size < 1)) continue;
        const g: PoolCase = {
          n: pick(0, 3),
          c: pick(1, pick(0, 3) ? 8 : 70),
          input: volume(input, 1),
          output: volume(output, 1),
          kernel: volume(kernel, 1),
          stride: volume(stride, 1),
          padding: volume(padding, 0),
          dilation: [1, 1, 1],
          format: pick(0, 1) as Format,
          adaptive,
        };
        const type = made++ % 2 ? 'float32' : 'float64';
        const x = source.values(g.n * g.c * elements(g.input), type).map((v) => (made % 3 ? v : Math.round(v * 4)));
        if (x.length && made % 5 === 0) x[pick(0, x.length - 1)] = made % 2 ? Number.NaN : Number.NEGATIVE_INFINITY;
        const dy = source.values(g.n * g.c * elements(g.output), type);
        check(arena, type, g, x, dy, pick(0, 1) === 1, pick(0, 3) ? 0 : pick(1, 9));
      }
    });

    test('the pooling of LeNet', () => {
      const source = new Source(4);
      for (const format of [Format.contiguous, Format.channelsLast])
        for (const [c, size] of [
          [6, 28],
          [16, 10],
        ]) {
          const g: PoolCase = {
            n: 3,
            c,
            input: [1, size, size],
            output: [1, size / 2, size / 2],
            kernel: [1, 2, 2],
            stride: [1, 2, 2],
            padding: [0, 0, 0],
            dilation: [1, 1, 1],
            format,
            adaptive: false,
          };
          check(
            arena,
            'float32',
            g,
            source.values(3 * c * size * size, 'float32'),
            source.values((3 * c * size * size) / 4, 'float32'),
            true,
            0,
          );
        }
    });

    test('rows longer than the sums a kernel holds at once, windows wider than them', () => {
      const source = new Source(6);
      const wide = (c: number, input: Volume, output: Volume, kernel: Volume, stride: Volume, padding: Volume) => {
        for (const format of [Format.contiguous, Format.channelsLast])
          for (const adaptive of [false, true]) {
            const g: PoolCase = {
              n: 1,
              c,
              input,
              output,
              kernel,
              stride,
              padding,
              dilation: [1, 1, 1],
              format,
              adaptive,
            };
            const type = adaptive ? 'float64' : 'float32';
            const x = source.values(c * elements(input), type);
            check(arena, type, g, x, source.values(c * elements(output), type), true, 0);
          }
      };
      wide(1, [1, 3, 9001], [1, 2, 4501], [1, 2, 3], [1, 1, 2], [0, 0, 1]);
      wide(1, [1, 4, 9000], [1, 2, 4500], [1, 2, 2], [1, 2, 2], [0, 0, 0]);
      wide(1, [1, 2, 9000], [1, 1, 2], [1, 2, 4501], [1, 2, 4499], [0, 0, 0]);
      wide(70, [1, 4, 130], [1, 2, 65], [1, 2, 2], [1, 2, 2], [0, 0, 0]);
      wide(70, [1, 3, 150], [1, 3, 2], [1, 2, 100], [1, 1, 50], [0, 1, 0]);
    });

    test('maximum with dilation', () => {
      const source = new Source(5);
      const g: PoolCase = {
        n: 2,
        c: 5,
        input: [1, 11, 20],
        output: [1, 9, 9],
        kernel: [1, 3, 3],
        stride: [1, 1, 2],
        padding: [0, 1, 1],
        dilation: [1, 2, 2],
        format: Format.contiguous,
        adaptive: false,
      };
      for (const format of [Format.contiguous, Format.channelsLast])
        check(
          arena,
          'float64',
          { ...g, format },
          source.values(2 * 5 * 220, 'float64'),
          source.values(2 * 5 * 81, 'float64'),
          false,
          0,
        );
    });
  });
}
