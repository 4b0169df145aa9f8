// Convolution kernels against their definition: ranks, formats, strides, groups, odd sizes, thread counts, both
// engines.
import { describe, expect, test } from 'vitest';
import { Dtype, Format } from '../../src/device/generated/abi.ts';
import { type ConvCase, convReference } from '../reference/conv.ts';
import { elements, type Volume } from '../reference/layout.ts';
import {
  Arena,
  engines,
  type FloatName,
  floats,
  largestError,
  type Place,
  roundoff,
  Source,
  sameForAnyThreads,
} from './arena.ts';

function volume(values: readonly number[], fill: number): Volume {
  return [...new Array<number>(3 - values.length).fill(fill), ...values] as unknown as Volume;
}

interface Shape {
  n: number;
  c: number;
  o: number;
  input: number[];
  kernel: number[];
  stride?: number;
  padding?: number;
  dilation?: number;
  groups?: number;
}

function convCase(s: Shape, xFormat: Format, yFormat: Format): ConvCase {
  const { stride = 1, padding = 0, dilation = 1, groups = 1 } = s;
  const out = s.input.map(
    (size, d) => Math.floor((size + 2 * padding - dilation * (s.kernel[d] - 1) - 1) / stride) + 1,
  );
  const all = (value: number, fill: number) =>
    volume(
      s.input.map(() => value),
      fill,
    );
  return {
    n: s.n,
    c: s.c,
    o: s.o,
    groups,
    input: volume(s.input, 1),
    output: volume(out, 1),
    kernel: volume(s.kernel, 1),
    stride: all(stride, 1),
    padding: all(padding, 0),
    dilation: all(dilation, 1),
    xFormat,
    yFormat,
  };
}

function check(arena: Arena, type: FloatName, g: ConvCase, seed: number): void {
  const source = new Source(seed);
  const dtype = Dtype[type];
  const taps = elements(g.kernel);
  const x = source.values(g.n * g.c * elements(g.input), type);
  const w = source.values((g.o * g.c * taps) / g.groups, type);
  const bias = source.values(g.o, type);
  const dy = source.values(g.n * g.o * elements(g.output), type);
  const numbers = [
    g.n,
    g.c,
    g.o,
    g.groups,
    g.input,
    g.output,
    g.kernel,
    g.stride,
    g.padding,
    g.dilation,
    g.xFormat,
    g.yFormat,
  ].flat();

  const limit = 0.25;
  const actual = sameForAnyThreads(arena, () => {
    arena.reset();
    const geometry = arena.input('int32', numbers);
    const [bx, bw, bb, bdy] = [x, w, bias, dy].map((values) => arena.input(type, values));
    const scratch = [0, 1, 2].map((which) => {
      const bytes = arena.kernels.convScratch(which, dtype, geometry.address);
      expect(bytes % 64).toBe(0);
      return arena.output('uint8', bytes);
    });
    const out = {
      y: arena.output(type, dy.length),
      yLimited: arena.output(type, dy.length),
      dx: arena.output(type, x.length),
      dxPlus: arena.output(type, x.length),
      dw: arena.output(type, w.length),
      dbias: arena.output(type, g.o),
    };
    const forward = (y: Place, residual: number, limit: number) =>
      arena.run((k) =>
        k.conv(
          dtype,
          geometry.address,
          ...([bx.address, 0, 0, bw.address, bb.address, y.address, 0, 0, 0, residual, limit] as const),
          scratch[0].address,
        ),
      );
    forward(out.y, 0, 0);
    forward(out.yLimited, bdy.address, limit);
    const backwardData = (dx: Place, plus: number) =>
      arena.run((k) =>
        k.convBackwardData(
          dtype,
          geometry.address,
          ...([bdy.address, 0, 0, 0, bw.address, dx.address, 0, 0, 0, 0, plus, 0, 0] as const),
          scratch[1].address,
        ),
      );
    backwardData(out.dx, 0);
    backwardData(out.dxPlus, bx.address);
    arena.run((k) =>
      k.convBackwardWeight(
        dtype,
        geometry.address,
        ...([bx.address, 0, 0, bdy.address, 0, 0, 0] as const),
        out.dw.address,
        out.dbias.address,
        scratch[2].address,
      ),
    );
    return out;
  });

  // A sum of K products of magnitude <= 1/4, rounded at each step, is off by some √K·u·√K/12; 2 leaves room for the
  // tails.
  const expected = convReference(g, x, w, bias, dy);
  const tolerance = (terms: number) => 2 * roundoff[type] * (4 + terms / 6 + 4 * Math.sqrt(terms));
  const pixels = g.n * elements(g.output);
  expect(largestError(arena.read(actual.y), expected.y)).toBeLessThanOrEqual(tolerance((g.c / g.groups) * taps));
  expect(largestError(arena.read(actual.dx), expected.dx)).toBeLessThanOrEqual(tolerance((g.o / g.groups) * taps));
  const [input, residual] = [x, dy].map((values) => arena.read(arena.input(type, values)));
  const rounded = type === 'float32' ? Math.fround : (value: number) => value;
  expect(arena.read(actual.yLimited)).toEqual(
    arena.read(actual.y).map((value, i) => Math.min(limit, Math.max(0, rounded(value + residual[i])))),
  );
  expect(arena.read(actual.dxPlus)).toEqual(arena.read(actual.dx).map((value, i) => rounded(value + input[i])));
  expect(largestError(arena.read(actual.dw), expected.dw)).toBeLessThanOrEqual(tolerance(pixels));
  expect(largestError(arena.read(actual.dbias), expected.dbias)).toBeLessThanOrEqual(tolerance(pixels));
}

const shapes: Record<string, Shape> = {
  'first layer of LeNet': { n: 3, c: 1, o: 6, input: [28, 28], kernel: [5, 5], padding: 2 },
  'second layer of LeNet': { n: 3, c: 6, o: 16, input: [14, 14], kernel: [5, 5] },
  '3x3, channels no multiple of anything': { n: 2, c: 19, o: 37, input: [9, 11], kernel: [3, 3], padding: 1 },
  '3x3, many channels on few pixels': { n: 2, c: 98, o: 130, input: [5, 7], kernel: [3, 3], padding: 1 },
  // In tiles of 2x2 outputs on every instruction set: odd sizes, several blocks of images, of rows and of channels,
  // parts of a row.
  'tiles of outputs': { n: 3, c: 34, o: 40, input: [10, 11], kernel: [3, 3], padding: 1 },
  'tiles of outputs, no padding': { n: 2, c: 48, o: 34, input: [11, 12], kernel: [3, 3] },
  'tiles of outputs, wide padding': { n: 1, c: 48, o: 64, input: [12, 13], kernel: [3, 3], padding: 2 },
  'tiles of outputs, many blocks': { n: 7, c: 66, o: 34, input: [8, 9], kernel: [3, 3], padding: 1 },
  'tiles of outputs, fewer than channels': { n: 8, c: 34, o: 130, input: [8, 7], kernel: [3, 3], padding: 1 },
  'tiles of outputs, long rows': { n: 1, c: 64, o: 64, input: [4, 150], kernel: [3, 3], padding: 1 },
  'stride 2, odd size': { n: 2, c: 20, o: 33, input: [15, 13], kernel: [3, 3], padding: 1, stride: 2 },
  'stride 3 over a smaller kernel': { n: 2, c: 3, o: 5, input: [14, 10], kernel: [2, 2], stride: 3 },
  'stem of a ResNet': { n: 1, c: 3, o: 40, input: [21, 21], kernel: [7, 7], padding: 3, stride: 2 },
  pointwise: { n: 2, c: 35, o: 18, input: [7, 9], kernel: [1, 1] },
  'pointwise, stride 2': { n: 2, c: 18, o: 35, input: [7, 9], kernel: [1, 1], stride: 2 },
  dilated: { n: 2, c: 5, o: 20, input: [12, 12], kernel: [3, 3], padding: 2, dilation: 2 },
  'dilation 2 and stride 2': { n: 2, c: 4, o: 6, input: [13, 12], kernel: [3, 3], padding: 3, dilation: 2, stride: 2 },
  'dilation 3 and stride 2': { n: 2, c: 4, o: 18, input: [13, 12], kernel: [3, 2], padding: 3, dilation: 3, stride: 2 },
  grouped: { n: 2, c: 12, o: 20, input: [8, 8], kernel: [3, 3], padding: 1, groups: 4 },
  'grouped, many channels': { n: 1, c: 40, o: 80, input: [6, 6], kernel: [3, 3], padding: 1, groups: 2 },
  depthwise: { n: 2, c: 37, o: 37, input: [9, 9], kernel: [3, 3], padding: 1, groups: 37 },
  'depthwise with a multiplier, stride 2': {
    n: 2,
    c: 9,
    o: 18,
    input: [9, 8],
    kernel: [3, 3],
    padding: 1,
    stride: 2,
    groups: 9,
  },
  'depthwise, a wide image': { n: 2, c: 24, o: 24, input: [13, 40], kernel: [3, 3], padding: 1, groups: 24 },
  'depthwise, a long kernel, stride 2': {
    n: 2,
    c: 20,
    o: 20,
    input: [12, 21],
    kernel: [4, 7],
    padding: 3,
    stride: 2,
    groups: 20,
  },
  'depthwise, narrower than the kernel reaches': {
    n: 3,
    c: 48,
    o: 48,
    input: [2, 3],
    kernel: [7, 7],
    padding: 3,
    groups: 48,
  },
  'depthwise, padding beyond the kernel': { n: 2, c: 32, o: 32, input: [4, 9], kernel: [3, 3], padding: 5, groups: 32 },
  'depthwise, several images in a unit': { n: 9, c: 80, o: 80, input: [4, 5], kernel: [3, 3], padding: 1, groups: 80 },
  'depthwise, parts of rows, stride 2': {
    n: 2,
    c: 16,
    o: 16,
    input: [11, 233],
    kernel: [5, 5],
    padding: 2,
    stride: 2,
    groups: 16,
  },
  'depthwise, many rows and chunks of channels': {
    n: 2,
    c: 300,
    o: 300,
    input: [31, 19],
    kernel: [3, 3],
    padding: 1,
    groups: 300,
  },
  'depthwise, stride 3': { n: 1, c: 18, o: 18, input: [14, 16], kernel: [3, 3], padding: 1, stride: 3, groups: 18 },
  'depthwise, dilated': { n: 1, c: 18, o: 18, input: [14, 16], kernel: [3, 3], padding: 2, dilation: 2, groups: 18 },
  'depthwise, 3-D': { n: 2, c: 17, o: 17, input: [4, 5, 6], kernel: [3, 3, 3], padding: 1, groups: 17 },
  'groups of 2': { n: 2, c: 38, o: 38, input: [9, 10], kernel: [3, 5], padding: 2, groups: 19 },
  'groups of 4, stride 2': { n: 2, c: 40, o: 40, input: [11, 18], kernel: [3, 3], padding: 1, stride: 2, groups: 10 },
  'groups of 8 that share a panel': { n: 2, c: 16, o: 16, input: [7, 9], kernel: [3, 3], padding: 1, groups: 2 },
  'groups of 8': { n: 2, c: 48, o: 48, input: [7, 9], kernel: [3, 3], padding: 1, groups: 6 },
  '1-D': { n: 2, c: 7, o: 20, input: [50], kernel: [5], padding: 2 },
  '1-D, long': { n: 1, c: 2, o: 20, input: [3000], kernel: [3] },
  '1-D, long, few channels': { n: 1, c: 2, o: 2, input: [9000], kernel: [3], dilation: 2 },
  '3-D': { n: 2, c: 4, o: 20, input: [5, 6, 7], kernel: [3, 2, 3], padding: 1 },
  '3-D, stride 2, few channels': { n: 2, c: 3, o: 4, input: [5, 6, 7], kernel: [3, 3, 3], padding: 1, stride: 2 },
  'small images, stride 2, dilated': {
    n: 17,
    c: 6,
    o: 35,
    input: [6, 7],
    kernel: [3, 3],
    padding: 2,
    stride: 2,
    dilation: 2,
  },
  'small images in groups': { n: 9, c: 34, o: 40, input: [5, 6], kernel: [3, 3], padding: 1, groups: 2 },
  'one output': { n: 3, c: 5, o: 3, input: [4, 4], kernel: [4, 4] },
  'padding beyond the kernel': { n: 1, c: 2, o: 3, input: [3, 3], kernel: [2, 2], padding: 4 },
  'padding beyond the kernel, many channels': { n: 1, c: 2, o: 40, input: [3, 3], kernel: [2, 2], padding: 4 },
  'empty batch': { n: 0, c: 3, o: 4, input: [5, 5], kernel: [3, 3] },
};

for (const engine of engines()) {
  const arena = new Arena(engine);
  describe(`convolution, ${engine} (${arena.backend.instructionSet})`, () => {
    for (const [name, shape] of Object.entries(shapes))
      test(name, () => {
        let seed = 1;
        for (const xFormat of [Format.contiguous, Format.channelsLast])
          for (const yFormat of [Format.contiguous, Format.channelsLast])
            for (const type of floats) check(arena, type, convCase(shape, xFormat, yFormat), seed++);
      });

    test('random geometries', () => {
      const source = new Source(7);
      const pick = (low: number, high: number) => source.integer(low, high);
      for (let made = 0; made < 60; ) {
        const rank = pick(1, 3);
        const groups = pick(0, 2) === 0 ? pick(1, 5) : 1;
        const shape: Shape = {
          n: pick(1, 4),
          c: groups * pick(1, 9),
          o: groups * pick(1, 20),
          groups,
          input: Array.from({ length: rank }, () => pick(1, rank === 1 ? 80 : rank === 2 ? 16 : 6)),
          kernel: Array.from({ length: rank }, () => pick(1, 4)),
          stride: pick(1, 3),
          padding: pick(0, 3),
          dilation: pick(1, 3),
        };
        const g = convCase(shape, pick(0, 1) as Format, pick(0, 1) as Format);
        if (g.output.some((size) => size < 1)) continue;
        check(arena, made++ % 3 ? 'float32' : 'float64', g, made);
      }
    });

    test('refuses a geometry whose groups do not divide the channels', () => {
      arena.reset();
      const geometry = arena.input('int32', [1, 3, 4, 2, 1, 5, 5, 1, 3, 3, 1, 3, 3, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0]);
      expect(arena.call((k) => k.convScratch(0, 0, geometry.address))).toBe(-1);
    });
  });
}
