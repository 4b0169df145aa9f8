// The kernels of gridSample against a definition element by element, in float64.
import { describe, expect, test } from 'vitest';
import { Dtype, GridMode, GridPadding } from '../../src/device/generated/abi.ts';
import { Arena, engines, type FloatName, floats, largestError, roundoff, Source, sameForAnyThreads } from './arena.ts';

interface Sampling {
  readonly mode: keyof typeof GridMode;
  readonly padding: keyof typeof GridPadding;
  readonly align: boolean;
  /** Depth, height, width; images have no depth. */
  readonly sizes: readonly number[];
}

function padded(at: number, size: number, { padding, align }: Sampling): number {
  if (padding === 'zeros') return at;
  let inside = at;
  if (padding === 'reflection') {
    const [low, high] = align ? [0, size - 1] : [-0.5, size - 0.5];
    if (high === low) return 0;
    while (inside < low || inside > high) inside = inside < low ? 2 * low - inside : 2 * high - inside;
  }
  return Math.min(Math.max(inside, 0), size - 1);
}
const cubic = (x: number): number =>
  x < 1 ? 1.25 * x ** 3 - 2.25 * x ** 2 + 1 : x < 2 ? -0.75 * (x ** 3 - 5 * x ** 2 + 8 * x - 4) : 0;

/** Where an axis is read, with which weights. */
function taps(coordinate: number, size: number, how: Sampling): [at: number, weight: number][] {
  const at = ((coordinate + 1) * (how.align ? size - 1 : size)) / 2 - (how.align ? 0 : 0.5);
  const near = how.mode === 'bicubic' ? at : padded(at, size, how);
  if (how.mode === 'nearest') return [[Math.round(near), 1]];
  const first = Math.floor(near);
  if (how.mode === 'bilinear') return [0, 1].map((k) => [first + k, 1 - Math.abs(near - first - k)]);
  return [-1, 0, 1, 2].map((k) => [padded(first + k, size, how), cubic(Math.abs(near - first - k))]);
}

/** Each element of a plane that a place reads, with its weight. */
function read(place: readonly number[], how: Sampling): Map<number, number> {
  let found: [number, number][] = [[0, 1]];
  how.sizes.forEach((size, d) => {
    const along = taps(place[how.sizes.length - 1 - d], size, how);
    found = found.flatMap(([at, weight]) =>
      along.filter(([k]) => k >= 0 && k < size).map(([k, w]): [number, number] => [at * size + k, weight * w]),
    );
  });
  const weights = new Map<number, number>();
  for (const [at, weight] of found) weights.set(at, (weights.get(at) ?? 0) + weight);
  return weights;
}

function check(arena: Arena, type: FloatName, how: Sampling, n: number, c: number, places: number, source: Source) {
  const dims = how.sizes.length;
  const volume = how.sizes.reduce((a, b) => a * b);
  const x = source.values(n * c * volume, type);
  const dy = source.values(n * c * places, type);
  // Values of −0.5 … 0.5: some places lie outside. Steps of a 64th keep away from where float32 rounds to another side.
  const grid = source.values(n * places * dims, type).map((v) => (Math.round(v * 160) + 0.37) / 64);
  for (const isLast of [false, true]) {
    const at = (image: number, channel: number, k: number, count: number) =>
      isLast ? (image * count + k) * c + channel : (image * c + channel) * count + k;
    const sizes = dims === 2 ? [1, ...how.sizes] : how.sizes;
    const codes = [GridMode[how.mode], GridPadding[how.padding], Number(how.align), Number(isLast)];
    const out = sameForAnyThreads(arena, () => {
      arena.reset();
      const geometry = arena.input('int32', [n, c, dims, ...sizes, places, ...codes]).address;
      const [input, gradient, at] = [x, dy, grid].map((values) => arena.input(type, values).address);
      const y = arena.output(type, dy.length);
      arena.run((k) => k.gridSample(Dtype[type], geometry, input, at, y.address));
      const dx = arena.output(type, x.length);
      arena.run((k) => k.fill(Dtype[type], dx.address, x.length, 0));
      arena.run((k) => k.gridSampleBackward(Dtype[type], geometry, gradient, at, dx.address));
      const dgrid = arena.output(type, grid.length);
      arena.run((k) => k.gridSampleBackwardGrid(Dtype[type], geometry, gradient, input, at, dgrid.address));
      return { y, dx, dgrid };
    });
    const [y, dx] = [new Array<number>(dy.length).fill(0), new Array<number>(x.length).fill(0)];
    const slopes = new Array<number>(grid.length).fill(0);
    const step = 1e-6;
    for (let image = 0; image < n; image++)
      for (let k = 0; k < places; k++) {
        const first = (image * places + k) * dims;
        const place = Array.from(grid.slice(first, first + dims));
        const weights = read(place, how);
        const moved = place.map((_, d) =>
          [step, -step].map((by) =>
            read(
              place.map((v, i) => (i === d ? v + by : v)),
              how,
            ),
          ),
        );
        for (let channel = 0; channel < c; channel++) {
          const g = dy[at(image, channel, k, places)];
          for (const [i, w] of weights) {
            y[at(image, channel, k, places)] += w * x[at(image, channel, i, volume)];
            dx[at(image, channel, i, volume)] += w * g;
          }
          const value = (ws: Map<number, number>) =>
            [...ws].reduce((sum, [i, w]) => sum + w * x[at(image, channel, i, volume)], 0);
          moved.forEach(([ahead, behind], d) => {
            slopes[first + d] += (g * (value(ahead) - value(behind))) / (2 * step);
          });
        }
      }
    // Positions of up to 20 are known to so many roundings; an element is read by all places at most.
    const bound = 100 * roundoff[type];
    expect(largestError(arena.read(out.y), y)).toBeLessThanOrEqual(bound * 4);
    expect(largestError(arena.read(out.dx), dx)).toBeLessThanOrEqual(bound * places);
    // Differences leave 1e-8 of slopes of up to 20 for each channel.
    expect(largestError(arena.read(out.dgrid), slopes)).toBeLessThanOrEqual((bound * 40 + 1e-7) * c);
  }
}

for (const engine of engines()) {
  const arena = new Arena(engine);
  describe(`sampling at places, ${engine} (${arena.backend.instructionSet})`, () => {
    for (const padding of Object.keys(GridPadding) as (keyof typeof GridPadding)[])
      test.each(Object.keys(GridMode) as (keyof typeof GridMode)[])(`%s, ${padding}: random sizes`, (mode) => {
        const source = new Source(5);
        const pick = (low: number, high: number) => source.integer(low, high);
        for (let made = 0; made < 24; made++) {
          const dims = mode === 'bicubic' ? 2 : pick(2, 3);
          const sizes = Array.from({ length: dims }, () => pick(1, 9));
          const how = { mode, padding, align: pick(0, 1) === 1, sizes };
          check(
            arena,
            floats[made % 2],
            how,
            pick(1, 2),
            [1, 3, 17, 20][pick(0, 3)],
            [1, 7, 32, 70][pick(0, 3)],
            source,
          );
        }
      });
  });
}
