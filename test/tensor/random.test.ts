// Random tensors are drawn by kernels: the numbers that JavaScript draws one by one, which test/random.test.ts compares
// with PyTorch's, and the same generator afterwards.
import { afterAll, describe, expect, test } from 'vitest';
import { currentBackend, setNumThreads } from '../../src/device/engine.ts';
import { functional } from '../../src/nn/index.ts';
import { full, zeros } from '../../src/tensor/create.ts';
import * as draw from '../../src/tensor/random/index.ts';
import { defaultGenerator, Generator, manualSeed } from '../../src/tensor/random/index.ts';
import { bernoulli, normal_, rand, randint, randn, randperm, truncNormal_, uniform_ } from '../../src/tensor/random.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';

// Around a vector, 16, a block of the generator, and the tiles of several threads.
const sizes = [0, 1, 7, 15, 16, 17, 31, 32, 40, 311, 312, 313, 623, 624, 625, 5000, 16384, 16385, 3 * 16384 + 13];
const floats = ['float32', 'float64'] as const;
type Floats = (typeof floats)[number];
const arrayOf = (dtype: Floats, n: number) => (dtype === 'float32' ? new Float32Array(n) : new Float64Array(n));

/** Draws with both, begun after `before` words, and compares numbers and generators. */
function compare(
  byKernel: (generator: Generator) => Tensor,
  inJavaScript: (generator: Generator) => ArrayLike<number | bigint>,
  before = 0,
  tolerance = 0,
) {
  const [ours, theirs] = [new Generator(11), new Generator(11)];
  for (let i = 0; i < before; i++) {
    ours.random32();
    theirs.random32();
  }
  const found = byKernel(ours).dataSync();
  const expected = inJavaScript(theirs);
  expect(found.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++)
    if (
      found[i] !== expected[i] &&
      !(Math.abs(Number(found[i]) - Number(expected[i])) <= tolerance * Math.abs(Number(expected[i])))
    )
      expect.fail(`[${i}] of ${expected.length}: ${found[i]} instead of ${expected[i]}`);
  const state = (generator: Generator) => Buffer.from(generator.getState()).toString('hex');
  expect(state(ours)).toBe(state(theirs));
  // The kernel's words, taken over by JavaScript, and back.
  expect(ours.random32()).toBe(theirs.random32());
  expect([...rand([5], { generator: ours }).dataSync()]).toEqual([...draw.uniform(new Float32Array(5), 0, 1, theirs)]);
}

const threads = currentBackend().name === 'native' ? [1, 2] : [1];
afterAll(() => setNumThreads(2));

describe.each(threads)('%i threads', (count) => {
  // Words drawn before. JavaScript takes long for many numbers.
  const beginningsOf = (n: number) => (n > 1000 ? [1, 624] : [0, 1, 300, 623, 624]);

  test.each(sizes)('%i numbers', (n) => {
    setNumThreads(count);
    for (const before of beginningsOf(n))
      for (const dtype of floats) {
        compare(
          (generator) => rand([n], { dtype, generator }),
          (g) => draw.uniform(arrayOf(dtype, n), 0, 1, g),
          before,
        );
        compare(
          (generator) => uniform_(zeros([n], { dtype }), -0.3, 1.7, { generator }),
          (g) => draw.uniform(arrayOf(dtype, n), -0.3, 1.7, g),
          before,
        );
        // In double the logarithm and the sine are others than JavaScript's.
        const tolerance = dtype === 'float64' ? 1e-14 : 0;
        compare(
          (generator) => randn([n], { dtype, generator }),
          (g) => draw.normal(arrayOf(dtype, n), 0, 1, g),
          before,
          tolerance,
        );
        if (dtype === 'float32')
          compare(
            (generator) => normal_(zeros([n]), 2.5, 0.3, { generator }),
            (g) => draw.normal(new Float32Array(n), 2.5, 0.3, g),
            before,
          );
        const p = draw.uniform(arrayOf(dtype, n), 0, 1, new Generator(5));
        const given = zeros([n], { dtype });
        given.storage.write(new Uint8Array(p.buffer));
        compare(
          (generator) => bernoulli(given, { generator }),
          (g) => draw.bernoulli(arrayOf(dtype, n), p, g),
          before,
        );
      }
  });

  test.each(sizes)('%i integers', (n) => {
    setNumThreads(count);
    const ranges: [number, number][] = [
      [0, 10],
      [-7, 1],
      [3, 3 + 2 ** 28 - 1],
      [0, 2 ** 28],
      [-(2 ** 31), 2 ** 31 - 1],
      [0, 1],
      [-5, 249],
    ];
    for (const before of beginningsOf(n)) {
      for (const [low, high] of ranges) {
        compare(
          (generator) => randint(low, high, [n], { generator }),
          (g) => draw.randint(new BigInt64Array(n), low, high, g),
          before,
        );
        compare(
          (generator) => randint(low, high, [n], { generator, dtype: 'int32' }),
          (g) => draw.randint(new Int32Array(n), low, high, g),
          before,
        );
      }
      compare(
        (generator) => randint(-(2 ** 52), 2 ** 52, [n], { generator, dtype: 'float64' }),
        (g) => draw.randint(new Float64Array(n), -(2 ** 52), 2 ** 52, g),
        before,
      );
      compare(
        (generator) => randint(0, 100, [n], { generator, dtype: 'float32' }),
        (g) => draw.randint(new Float32Array(n), 0, 100, g),
        before,
      );
      compare(
        (generator) => randint(0, 256, [n], { generator, dtype: 'uint8' }),
        (g) => draw.randint(new Uint8Array(n), 0, 256, g),
        before,
      );
      compare(
        (generator) => randint(0, 2, [n], { generator, dtype: 'bool' }),
        (g) => draw.randint(new Uint8Array(n), 0, 2, g),
        before,
      );
      compare(
        (generator) => randperm(n, { generator }),
        (g) => BigInt64Array.from(draw.randperm(n, g), BigInt),
        before,
      );
      compare(
        (generator) => randperm(n, { generator, dtype: 'int32' }),
        (g) => draw.randperm(n, g),
        before,
      );
    }
  });

  test.each(sizes.filter((n) => n > 0))('dropout of %i numbers', (n) => {
    setNumThreads(count);
    for (const dtype of floats)
      for (const p of [0.1, 0.5, 0.9]) {
        manualSeed(3);
        const found = functional.dropout(full([n], 1, { dtype }), p).dataSync();
        const generator = new Generator(3);
        const kept = draw.bernoulli(arrayOf(dtype, n), 1 - p, generator);
        const round = dtype === 'float32' ? Math.fround : (value: number) => value;
        const scale = round(1 / round(1 - p));
        expect(
          Buffer.compare(
            Buffer.from(found.buffer, found.byteOffset, found.byteLength),
            Buffer.from(kept.map((each) => each * scale).buffer),
          ),
        ).toBe(0);
        expect(defaultGenerator.getState()).toEqual(generator.getState());
      }
  });
});

test('channelsLast: numbers are drawn in row-major order', () => {
  const shape = [3, 5, 4, 6];
  for (const make of [
    (x: Tensor) => uniform_(x, -1, 1, { generator: new Generator(2) }),
    (x: Tensor) => normal_(x, 0, 1, { generator: new Generator(2) }),
    (x: Tensor) => truncNormal_(x, 0, 1, -2, 2, { generator: new Generator(2) }),
  ]) {
    const [plain, last] = [zeros(shape), zeros(shape, { memoryFormat: 'channelsLast' })];
    expect(make(last)).toBe(last);
    expect(last.memoryFormat).toBe('channelsLast');
    expect(last.toArray()).toEqual(make(plain).toArray());
  }
  const generator = () => new Generator(4);
  const last = randn(shape, { memoryFormat: 'channelsLast', generator: generator() });
  expect(last.memoryFormat).toBe('channelsLast');
  expect(last.toArray()).toEqual(randn(shape, { generator: generator() }).toArray());
});

test('a probability that is none draws nothing', () => {
  const generator = new Generator(1);
  for (const wrong of [1.5, -0.25, Number.NaN])
    expect(() => bernoulli(full([40], wrong), { generator })).toThrow(
      `Expected p >= 0 && p <= 1 to be true, but got ${wrong}`,
    );
  expect(generator.getState()).toEqual(new Generator(1).getState());
});

test('the meta device draws nothing', () => {
  const generator = new Generator(1);
  const x = randn([20], { device: 'meta', generator });
  normal_(x, 0, 1, { generator });
  bernoulli(x, { generator });
  randperm(20, { device: 'meta', generator });
  randint(0, 5, [20], { device: 'meta', generator });
  expect(generator.getState()).toEqual(new Generator(1).getState());
});
