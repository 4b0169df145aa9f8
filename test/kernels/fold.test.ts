// Windows as columns against their definition, and their sums back into planes.
import { describe, expect, test } from 'vitest';
import { Dtype } from '../../src/device/generated/abi.ts';
import { Arena, engines, type FloatName, floats, largestError, roundoff, Source, sameForAnyThreads } from './arena.ts';

interface Axis {
  readonly size: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
  readonly dilation: number;
}
const blocks = (a: Axis): number =>
  Math.floor((a.size + 2 * a.padding - a.dilation * (a.kernel - 1) - 1) / a.stride) + 1;

/** For each element of the columns the place of the element that it reads, or −1. */
function places(planes: number, h: Axis, w: Axis): number[] {
  const found: number[] = [];
  for (let plane = 0; plane < planes; plane++)
    for (let ki = 0; ki < h.kernel; ki++)
      for (let kj = 0; kj < w.kernel; kj++)
        for (let oy = 0; oy < blocks(h); oy++)
          for (let ox = 0; ox < blocks(w); ox++) {
            const y = oy * h.stride - h.padding + ki * h.dilation;
            const x = ox * w.stride - w.padding + kj * w.dilation;
            const isInside = y >= 0 && y < h.size && x >= 0 && x < w.size;
            found.push(isInside ? (plane * h.size + y) * w.size + x : -1);
          }
  return found;
}

function check(arena: Arena, type: FloatName, planes: number, h: Axis, w: Axis, source: Source): void {
  const from = places(planes, h, w);
  const size = planes * h.size * w.size;
  const [x, columns] = [source.values(size, type), source.values(from.length, type)];
  const both = (key: keyof Axis) => [h[key], w[key]];
  const numbers = [planes, ...both('size'), blocks(h), blocks(w), ...both('kernel'), ...both('stride')];
  const out = sameForAnyThreads(arena, () => {
    arena.reset();
    const geometry = arena.input('int32', [...numbers, ...both('padding'), ...both('dilation')]).address;
    const [bx, bcolumns] = [x, columns].map((values) => arena.input(type, values).address);
    const [unfolded, folded] = [arena.output(type, from.length), arena.output(type, size)];
    arena.run((k) => k.unfold(Dtype[type], geometry, bx, unfolded.address));
    arena.run((k) => k.fold(Dtype[type], geometry, bcolumns, folded.address));
    return { unfolded, folded };
  });
  expect(arena.read(out.unfolded)).toEqual(from.map((i) => (i < 0 ? 0 : x[i])));
  const sums = new Array<number>(size).fill(0);
  from.forEach((i, p) => {
    if (i >= 0) sums[i] += columns[p];
  });
  // Values of at most 0.5, and at most one of each element of a window.
  const most = h.kernel * w.kernel;
  expect(largestError(arena.read(out.folded), sums)).toBeLessThanOrEqual(most * most * roundoff[type]);
}

for (const engine of engines()) {
  const arena = new Arena(engine);
  describe(`windows as columns, ${engine} (${arena.backend.instructionSet})`, () => {
    test('random sizes, also of windows that lie in the padding alone', () => {
      const source = new Source(31);
      const pick = (low: number, high: number) => source.integer(low, high);
      for (let made = 0; made < 150; ) {
        const axis = (most: number): Axis => ({
          size: pick(1, most),
          kernel: pick(1, 4),
          stride: pick(0, 1) ? 1 : pick(1, 5),
          padding: pick(0, 1) ? 0 : pick(0, 6),
          dilation: pick(1, 3),
        });
        const [h, w] = [axis(7), axis(45)];
        if (blocks(h) < 1 || blocks(w) < 1) continue;
        check(arena, floats[made++ % 2], pick(1, 3), h, w, source);
      }
    });
    test('many rows, which several threads share', () => {
      const axis = (size: number): Axis => ({ size, kernel: 3, stride: 1, padding: 1, dilation: 1 });
      check(arena, 'float32', 6, axis(40), axis(43), new Source(32));
    });
  });
}
