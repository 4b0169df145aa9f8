// The kernels of kernels/index/: exact, so compared exactly.
import { describe, expect, test } from 'vitest';
import { Dtype, Status } from '../../src/device/generated/abi.ts';
import { Arena, engines, numbers, random, rounded, sameForAnyThreads, sizeOf } from './arena.ts';

// (outer, n, count, inner)
const shapes: [number, number, number, number][] = [
  [1, 1, 1, 1],
  [3, 5, 7, 1],
  [2, 10, 3, 17],
  [1, 50, 2000, 64],
  [4, 3, 300, 300],
  [1, 3, 2, 20000],
];

describe.each(engines())('%s', (engine) => {
  const arena = new Arena(engine);
  describe.each(shapes)('(%i, %i → %i, %i)', (outer, n, count, inner) => {
    test.each(numbers)('%s', (dtype) => {
      const next = random(outer + n + count + inner);
      const integers = (length: number, limit: number) => Array.from({ length }, () => Math.floor(next() * limit));
      const source = integers(outer * n * inner, 100);
      const shared = integers(count, n);
      const own = integers(outer * count * inner, n);
      const terms = integers(outer * count * inner, 100); // integers: float sums are exact in any order
      arena.reset();
      const [x, index, full, t] = [
        arena.input(dtype, source),
        arena.input('int64', shared),
        arena.input('int64', own),
        arena.input(dtype, terms),
      ];
      const [selected, gathered] = [arena.output(dtype, terms.length), arena.output(dtype, terms.length)];
      const size = sizeOf(dtype);
      sameForAnyThreads(arena, () => {
        arena.run((k) => k.indexSelect(size, x.address, index.address, selected.address, outer, n, count, inner));
        return selected;
      });
      arena.run((k) => k.gather(size, x.address, full.address, gathered.address, outer, n, count, inner));
      const added = arena.input(dtype, source);
      const scattered = arena.input(dtype, source);
      arena.run((k) => k.indexAdd(Dtype[dtype], t.address, index.address, added.address, outer, n, count, inner));
      arena.run((k) => k.scatterAdd(Dtype[dtype], t.address, full.address, scattered.address, outer, n, count, inner));

      const put = arena.input(dtype, source);
      arena.run((k) => k.indexPut(size, t.address, index.address, put.address, outer, n, count, inner));

      const replaced = [...source];
      const want = { selected: [] as number[], gathered: [] as number[], added: [...source], scattered: [...source] };
      for (let o = 0; o < outer; o++) {
        for (let k = 0; k < count; k++) {
          for (let i = 0; i < inner; i++) {
            const at = (o * count + k) * inner + i;
            want.selected.push(source[(o * n + shared[k]) * inner + i]);
            want.gathered.push(source[(o * n + own[at]) * inner + i]);
            replaced[(o * n + shared[k]) * inner + i] = terms[at];
            want.added[(o * n + shared[k]) * inner + i] += terms[at];
            want.scattered[(o * n + own[at]) * inner + i] += terms[at];
          }
        }
      }
      expect(arena.read(selected)).toEqual(want.selected);
      expect(arena.read(gathered)).toEqual(want.gathered);
      expect(arena.read(put)).toEqual(replaced);
      expect(arena.read(added)).toEqual(rounded(dtype, want.added));
      expect(arena.read(scattered)).toEqual(rounded(dtype, want.scattered));
    });
  });

  test('an index out of range is refused and writes nowhere else', () => {
    for (const bad of [3, -1, 2 ** 40]) {
      arena.reset();
      const [x, index] = [arena.input('float32', [1, 2, 3]), arena.input('int64', [0, bad])];
      const y = arena.output('float32', 3);
      const status = [
        arena.status((k) => k.indexSelect(4, x.address, index.address, y.address, 1, 3, 2, 1)),
        arena.status((k) => k.gather(4, x.address, index.address, y.address, 1, 3, 2, 1)),
        arena.status((k) => k.indexAdd(Dtype.float32, x.address, index.address, y.address, 1, 3, 2, 1)),
        arena.status((k) => k.scatterAdd(Dtype.float32, x.address, index.address, y.address, 1, 3, 2, 1)),
        arena.status((k) => k.indexPut(4, x.address, index.address, y.address, 1, 3, 2, 1)),
        arena.status((k) =>
          k.indexPositions(index.address, y.address, 1, arena.ints([2]), arena.ints([1]), arena.ints([0]), 3, 1, 0, 0),
        ),
      ];
      expect(status).toEqual(Array(6).fill(Status.badIndex));
    }
  });

  test('positions: of several broadcast index tensors, with a ramp, negative ones from the end', () => {
    arena.reset();
    // x is (4, 2, 3): index a (2, 1) along the first dimension, b (3) along the last, the one between them runs.
    const [a, b] = [arena.input('int64', [3, -4]), arena.input('int64', [0, 2, -1])];
    const positions = arena.output('int64', 12);
    const shape = arena.ints([2, 3, 2]);
    arena.run((k) =>
      k.indexPositions(
        a.address,
        positions.address,
        3,
        shape,
        arena.ints([1, 0, 0]),
        arena.ints([0, 0, 3]),
        4,
        6,
        1,
        0,
      ),
    );
    arena.run((k) =>
      k.indexPositions(
        b.address,
        positions.address,
        3,
        shape,
        arena.ints([0, 1, 0]),
        arena.ints([0, 0, 0]),
        3,
        1,
        1,
        1,
      ),
    );
    expect(arena.read(positions)).toEqual([18, 21, 20, 23, 20, 23, 0, 3, 2, 5, 2, 5]);
  });

  test('repeated indices are added in index order', () => {
    arena.reset();
    const terms = [1, 2 ** -24, 2 ** -24, -1]; // in another order the small terms would survive
    const [x, index] = [arena.input('float32', terms), arena.input('int64', [0, 0, 0, 0])];
    const y = arena.input('float32', [0]);
    arena.run((k) => k.indexAdd(Dtype.float32, x.address, index.address, y.address, 1, 1, 4, 1));
    expect(arena.read(y)).toEqual([0]);
  });
});
