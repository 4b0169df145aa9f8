// Padding kernels against their definition: lists of positions.
import { describe, expect, test } from 'vitest';
import { Dtype, PadMode } from '../../src/device/generated/abi.ts';
import { Arena, engines, type FloatName, floats, largestError, roundoff, Source, sameForAnyThreads } from './arena.ts';

type Axis = readonly [size: number, before: number, after: number];

/** Where a position of the result reads; −1: nowhere. */
function sourceOf(mode: keyof typeof PadMode, [n, before, after]: Axis, p: number): number {
  const i = p - before;
  if (mode === 'constant') return i >= 0 && i < n ? i : -1;
  if (mode === 'replicate') return Math.min(Math.max(i, 0), n - 1);
  if (mode === 'reflect') return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i;
  const low = Math.max(0, -before);
  const kept = n + Math.min(0, before) + Math.min(0, after);
  return low + ((((i - low) % kept) + kept) % kept);
}

/** For each element of the padded tensor the place of the element of x that it reads, or −1. */
function places(mode: keyof typeof PadMode, outer: number, axes: readonly Axis[], inner: number): number[] {
  let found = Array.from({ length: outer }, (_, o) => o);
  for (const axis of axes) {
    const [n, before, after] = axis;
    found = found.flatMap((at) =>
      Array.from({ length: n + before + after }, (_, p) => {
        const i = sourceOf(mode, axis, p);
        return at < 0 || i < 0 ? -1 : at * n + i;
      }),
    );
  }
  return found.flatMap((at) => Array.from({ length: inner }, (_, k) => (at < 0 ? -1 : at * inner + k)));
}

function check(
  arena: Arena,
  type: FloatName,
  mode: keyof typeof PadMode,
  outer: number,
  axes: readonly Axis[],
  inner: number,
  source: Source,
): void {
  const from = places(mode, outer, axes, inner);
  const size = axes.reduce((product, [n]) => product * n, outer * inner);
  const x = source.values(size, type);
  const dy = source.values(from.length, type);
  const numbers = [outer, ...[0, 1, 2].flatMap((k) => axes.map((axis) => axis[k])), inner];
  const out = sameForAnyThreads(arena, () => {
    arena.reset();
    const geometry = arena.input('int32', numbers).address;
    const [bx, bdy] = [x, dy].map((values) => arena.input(type, values).address);
    const [y, dx] = [arena.output(type, from.length), arena.output(type, size)];
    arena.run((k) => k.pad(Dtype[type], PadMode[mode], geometry, 7, bx, y.address));
    arena.run((k) => k.padBackward(Dtype[type], PadMode[mode], geometry, bdy, dx.address));
    return { y, dx };
  });
  expect(arena.read(out.y)).toEqual(from.map((i) => (i < 0 ? 7 : x[i])));
  const dx = new Array<number>(size).fill(0);
  const readers = new Array<number>(size).fill(0);
  from.forEach((i, p) => {
    if (i < 0) return;
    dx[i] += dy[p];
    readers[i]++;
  });
  // As many terms below 0.5 in magnitude as the most read element has readers.
  const most = Math.max(1, ...readers);
  expect(largestError(arena.read(out.dx), dx)).toBeLessThanOrEqual(most * most * roundoff[type]);
}

for (const engine of engines()) {
  const arena = new Arena(engine);
  describe(`padding, ${engine} (${arena.backend.instructionSet})`, () => {
    test.each(Object.keys(PadMode) as (keyof typeof PadMode)[])('%s: random sizes, with and without cuts', (mode) => {
      const source = new Source(11);
      const pick = (low: number, high: number) => source.integer(low, high);
      for (let made = 0; made < 60; ) {
        const axes = [0, 1, 2].map((i): Axis => {
          const n = pick(1, i === 2 ? 70 : 5);
          const most = mode === 'reflect' ? n - 1 : mode === 'circular' ? n : n + 3;
          const ends = () => (pick(0, 3) === 0 ? 0 : pick(-Math.min(2, n - 1), Math.min(most, 20)));
          return [n, ends(), ends()];
        });
        const isPossible = axes.every(
          ([n, before, after]) => n + Math.min(0, before) + Math.min(0, after) >= (mode === 'constant' ? 0 : 1),
        );
        if (!isPossible) continue;
        made++;
        check(arena, floats[made % 2], mode, pick(1, 3), axes, [1, 1, 3, 20][pick(0, 3)], source);
      }
    });
    test('many rows, which several threads share', () => {
      const source = new Source(12);
      check(
        arena,
        'float32',
        'reflect',
        40,
        [
          [3, 1, 1],
          [20, 2, 0],
          [33, 5, 4],
        ],
        1,
        source,
      );
    });
  });
}
