// The kernel of resampling against its definition: a matrix of weights for each axis, and its transpose for the
// gradient.
import { describe, expect, test } from 'vitest';
import { Dtype, Resampling } from '../../src/device/generated/abi.ts';
import { Arena, engines, type FloatName, floats, largestError, roundoff, Source, sameForAnyThreads } from './arena.ts';

interface Axis {
  readonly from: number;
  readonly to: number;
  readonly align: boolean;
  readonly antialias: boolean;
}
type Mode = keyof typeof Resampling;

const cubic = (x: number, a: number): number =>
  x < 1 ? (a + 2) * x ** 3 - (a + 3) * x ** 2 + 1 : x < 2 ? a * (x ** 3 - 5 * x ** 2 + 8 * x - 4) : 0;
const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
/** The weight at a distance, and the distance from which on it is 0. */
const filters: Partial<Record<Mode, [reach: number, (x: number, antialias: boolean) => number]>> = {
  linear: [1, (x) => Math.max(0, 1 - x)],
  cubic: [2, (x, antialias) => cubic(x, antialias ? -0.5 : -0.75)],
  lanczos: [3, (x) => (x < 3 ? sinc(x) * sinc(x / 3) : 0)],
};

/** weights[i][j]: how much of position j is in position i of the result. */
function matrix(mode: Mode, { from, to, align, antialias }: Axis): number[][] {
  const rows = Array.from({ length: to }, () => new Array<number>(from).fill(0));
  const limited = (j: number) => Math.min(Math.max(j, 0), from - 1);
  const isAligned = align && mode !== 'area';
  const scale = isAligned ? (to > 1 ? (from - 1) / (to - 1) : 0) : from / to;
  rows.forEach((row, i) => {
    const filter = filters[mode];
    if (mode === 'area') {
      const [first, stop] = [Math.floor((i * from) / to), Math.ceil(((i + 1) * from) / to)];
      row.fill(1 / (stop - first), first, stop);
    } else if (!filter) {
      const ratio = Math.fround(from / to);
      row[limited(Math.floor(Math.fround((mode === 'nearest' ? i : i + 0.5) * ratio)))] = 1;
    } else if (antialias) {
      const [center, stretch] = [scale * (i + 0.5), Math.max(scale, 1)];
      const support = filter[0] * stretch;
      const [first, stop] = [Math.trunc(center - support + 0.5), Math.trunc(center + support + 0.5)];
      for (let j = Math.max(first, 0); j < Math.min(stop, from); j++)
        row[j] = filter[1](Math.abs(j - center + 0.5) / stretch, true);
      const sum = row.reduce((a, b) => a + b, 0);
      for (let j = 0; j < from; j++) row[j] /= sum;
    } else {
      const at = isAligned ? scale * i : scale * (i + 0.5) - 0.5;
      const place = mode === 'linear' ? Math.max(at, 0) : at;
      for (let j = Math.floor(place) - 1; j <= Math.floor(place) + 2; j++)
        row[limited(j)] += filter[1](Math.abs(place - j), false);
    }
  });
  return rows;
}

/** y[o, i, k, c] = Σ rows[i][a] · columns[k][b] · x[o, a, b, c] */
function apply(rows: number[][], columns: number[][], x: readonly number[], outer: number, inner: number): number[] {
  const [height, width] = [rows[0].length, columns[0].length];
  const y: number[] = [];
  for (let o = 0; o < outer; o++)
    for (const row of rows)
      for (const column of columns)
        for (let c = 0; c < inner; c++) {
          let sum = 0;
          for (let a = 0; a < height; a++)
            if (row[a] !== 0)
              for (let b = 0; b < width; b++) sum += row[a] * column[b] * x[((o * height + a) * width + b) * inner + c];
          y.push(sum);
        }
  return y;
}
/** The same of bytes: along columns, then along rows, with weights of 16 bits, and rounded after each. */
function applyToBytes(rows: number[][], columns: number[][], x: readonly number[], outer: number, inner: number) {
  const along = (m: number[][], x: readonly number[], before: number, inner: number): number[] => {
    const size = m[0].length;
    if (m.length === size) return [...x];
    const largest = Math.max(...m.flat());
    let bits = 0;
    while (bits < 22 && Math.trunc(0.5 + largest * 2 ** (bits + 1)) < 2 ** 15) bits++;
    const weights = m.map((row) => row.map((w) => Math.sign(w) * Math.floor(Math.abs(w) * 2 ** bits + 0.5)));
    const y: number[] = [];
    for (let o = 0; o < before; o++)
      for (const row of weights)
        for (let c = 0; c < inner; c++) {
          const sum = row.reduce((sum, w, a) => sum + w * x[(o * size + a) * inner + c], 2 ** (bits - 1));
          y.push(Math.min(Math.max(Math.floor(sum / 2 ** bits), 0), 255));
        }
    return y;
  };
  return along(rows, along(columns, x, outer * rows[0].length, inner), outer, columns.length * inner);
}
const transposed = (m: number[][]): number[][] => m[0].map((_, j) => m.map((row) => row[j]));

function check(
  arena: Arena,
  type: FloatName,
  mode: Mode,
  outer: number,
  axes: [Axis, Axis],
  inner: number,
  source: Source,
) {
  const [h, w] = axes;
  const x = source.values(outer * h.from * w.from * inner, type);
  const dy = source.values(outer * h.to * w.to * inner, type);
  const out = sameForAnyThreads(arena, () => {
    arena.reset();
    const results = [x, dy].map((values, isTransposed) => {
      const sizes = [outer, h.from, w.from, h.to, w.to, inner];
      const flags = [h.align, h.antialias, isTransposed === 1].map(Number);
      const geometry = arena.input('int32', [...sizes, Resampling[mode], ...flags]).address;
      const given = arena.input(type, values).address;
      const result = arena.output(type, isTransposed ? x.length : dy.length);
      const bytes = arena.kernels.resampleScratch(Dtype[type], geometry, 0, 0);
      const scratch = arena.output('uint8', bytes);
      arena.run((k) => k.resample(Dtype[type], geometry, 0, 0, given, result.address, scratch.address));
      return result;
    });
    return { y: results[0], dx: results[1] };
  });
  const [rows, columns] = axes.map((axis) => matrix(mode, axis));
  // Positions of up to 80 are known to so many roundings, and weights change by at most 3 per position. A sum has
  // values of at most 0.5 and weights of at most 1.5 per axis.
  const readers = (m: number[][]) => Math.max(...transposed(m).map((row) => row.filter((one) => one !== 0).length));
  const most = Math.max(rows[0].length, columns[0].length, readers(rows) * readers(columns), 16);
  const bound = filters[mode] ? 80 * most * roundoff[type] : most * most * roundoff[type];
  expect(largestError(arena.read(out.y), apply(rows, columns, x, outer, inner))).toBeLessThanOrEqual(bound);
  const dx = apply(transposed(rows), transposed(columns), dy, outer, inner);
  expect(largestError(arena.read(out.dx), dx)).toBeLessThanOrEqual(bound);
}

for (const engine of engines()) {
  const arena = new Arena(engine);
  describe(`resampling, ${engine} (${arena.backend.instructionSet})`, () => {
    test.each(Object.keys(Resampling) as Mode[])('%s: random sizes, and its gradient', (mode) => {
      const source = new Source(21);
      const pick = (low: number, high: number) => source.integer(low, high);
      for (let made = 0; made < 40; made++) {
        const [align, smooth] = [pick(0, 1) === 1, mode === 'lanczos' || pick(0, 1) === 1];
        const antialias = smooth && filters[mode] !== undefined;
        const size = (most: number) => (pick(0, 3) === 0 ? 1 : pick(1, most));
        const axis = (most: number): Axis => ({ from: size(most), to: size(most), align, antialias });
        check(arena, floats[made % 2], mode, pick(1, 3), [axis(9), axis(60)], [1, 1, 3, 20][pick(0, 3)], source);
      }
    });
    test.each(Object.keys(Resampling) as Mode[])(
      '%s: all small sizes, of which windows end at whole numbers',
      (mode) => {
        const source = new Source(25);
        for (const antialias of mode === 'lanczos' ? [true] : filters[mode] ? [false, true] : [false])
          for (let from = 1; from <= 12; from++)
            for (let to = 1; to <= 12; to++) {
              const axis = { from, to, align: false, antialias };
              check(arena, 'float32', mode, 1, [{ ...axis, from: 1, to: 1 }, axis], 1, source);
            }
      },
    );
    test.each(['linear', 'cubic', 'lanczos'] as const)('%s: images of bytes', (mode) => {
      const source = new Source(27);
      const pick = (low: number, high: number) => source.integer(low, high);
      for (let made = 0; made < 60; made++) {
        const antialias = mode === 'lanczos' || pick(0, 1) === 1;
        const axis = (most: number): Axis => {
          const from = pick(1, most);
          return { from, to: pick(0, 3) === 0 ? from : pick(1, most), align: false, antialias };
        };
        const [outer, inner, h, w] = [pick(1, 3), [1, 1, 3, 4, 20][pick(0, 4)], axis(40), axis(60)];
        const x = Array.from({ length: outer * h.from * w.from * inner }, () => pick(0, 255));
        const want = applyToBytes(matrix(mode, h), matrix(mode, w), x, outer, inner);
        const y = sameForAnyThreads(arena, () => {
          arena.reset();
          const sizes = [outer, h.from, w.from, h.to, w.to, inner];
          const geometry = arena.input('int32', [...sizes, Resampling[mode], 0, Number(antialias), 0]).address;
          const given = arena.input('uint8', x).address;
          const y = arena.output('uint8', want.length);
          const scratch = arena.output('uint8', arena.kernels.resampleScratch(Dtype.uint8, geometry, 0, 0));
          arena.run((k) => k.resample(Dtype.uint8, geometry, 0, 0, given, y.address, scratch.address));
          return y;
        });
        expect(arena.read(y), `${[outer, h.from, w.from, h.to, w.to, inner]}`).toEqual(want);
      }
    });
    test('many rows, which several threads share', () => {
      const [h, w] = [
        { from: 20, to: 33, align: false, antialias: false },
        { from: 33, to: 70, align: false, antialias: false },
      ];
      check(arena, 'float32', 'linear', 30, [h, w], 1, new Source(22));
      check(arena, 'float32', 'linear', 3, [h, w], 17, new Source(23));
    });
    test('nearest neighbours of bytes', () => {
      const source = new Source(24);
      const x = Array.from({ length: 2 * 5 * 7 * 3 }, () => source.integer(0, 255));
      const [rows, columns] = [
        matrix('nearest', { from: 5, to: 8, align: false, antialias: false }),
        matrix('nearest', { from: 7, to: 4, align: false, antialias: false }),
      ];
      arena.reset();
      const geometry = arena.input('int32', [2, 5, 7, 8, 4, 3, Resampling.nearest, 0, 0, 0]).address;
      const given = arena.input('uint8', x).address;
      const y = arena.output('uint8', 2 * 8 * 4 * 3);
      const scratch = arena.output('uint8', arena.kernels.resampleScratch(Dtype.uint8, geometry, 0, 0));
      arena.run((k) => k.resample(Dtype.uint8, geometry, 0, 0, given, y.address, scratch.address));
      expect(arena.read(y)).toEqual(apply(rows, columns, x, 2, 3));
    });
  });
}
