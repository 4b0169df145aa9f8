// The random generator and its distributions against what PyTorch 2.13 drew (golden/random_golden.py).

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fusedMultiplyAdd32, fusedMultiplyAdd64 } from '../src/tensor/random/fused_multiply_add.ts';
import {
  bernoulli,
  defaultGenerator,
  exponential,
  type FloatArray,
  Generator,
  GeneratorError,
  manualSeed,
  multinomial,
  normal,
  RandomArgumentError,
  randint,
  randomInt64,
  randperm,
  truncNormal,
  uniform,
} from '../src/tensor/random/index.ts';
import { permuteWithWideDraws } from '../src/tensor/random/permutation.ts';

type Call = {
  op: string;
  dtype: keyof typeof arrays;
  n: number;
  data?: string;
  sha256?: string;
  low?: number | string;
  high?: number | string;
  mean?: number;
  std?: number;
  p?: number | number[];
  rate?: number;
  a?: number;
  b?: number;
  weights?: number[];
  weightType?: 'float32' | 'float64';
  replacement?: boolean;
};
type AnyArray = FloatArray | BigInt64Array | Int32Array | Uint8Array;

const arrays = {
  float32: Float32Array,
  float64: Float64Array,
  int64: BigInt64Array,
  int32: Int32Array,
  uint8: Uint8Array,
} as const;
const golden = JSON.parse(readFileSync(new URL('./golden/random.golden.json', import.meta.url), 'utf8')) as {
  cases: { seed: string | null; calls: Call[] }[];
};

// What must agree only closely: these go through the platform's log, sin and cos in double, which differ in the last
// bits.
const TOLERANT = new Set(['normal', 'exponential', 'truncNormal']);

function draw(call: Call, gen: Generator): AnyArray {
  const floats = () => new arrays[call.dtype](call.n) as FloatArray;
  switch (call.op) {
    case 'uniform':
      return uniform(floats(), Number(call.low), Number(call.high), gen);
    case 'normal':
      return normal(floats(), call.mean, call.std, gen);
    case 'randint':
      return randint(new arrays[call.dtype](call.n), BigInt(call.low!), BigInt(call.high!), gen);
    case 'randomInt64':
      return BigInt64Array.of(randomInt64(gen));
    case 'randperm':
      return randperm(call.n, gen);
    case 'bernoulli': {
      const p = Array.isArray(call.p) ? (arrays[call.dtype] as typeof Float32Array).from(call.p) : call.p!;
      return bernoulli(floats(), p, gen);
    }
    case 'exponential':
      return exponential(floats(), call.rate, gen);
    case 'truncNormal':
      return truncNormal(floats(), call.mean, call.std, call.a, call.b, gen);
    case 'multinomial':
      return multinomial(arrays[call.weightType!].from(call.weights!) as FloatArray, call.n, call.replacement, gen);
    case 'state':
      return gen.getState();
    default:
      throw new Error(`no such operation: ${call.op}`);
  }
}

function ulp32(x: number): number {
  return 2 ** (Math.floor(Math.log2(Math.max(Math.abs(x), 2 ** -126))) - 23);
}

function compare(call: Call, got: AnyArray): void {
  const bytes = new Uint8Array(got.buffer, got.byteOffset, got.byteLength);
  if (call.sha256 !== undefined) {
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(call.sha256);
    return;
  }
  const raw = Uint8Array.from(Buffer.from(call.data!, 'base64'));
  const want = new arrays[call.dtype](raw.buffer);
  if (call.op === 'state') {
    // The cached normal inside the state is a double that went through sin and log.
    const normalAt = 24 + 624 * 8 + 8;
    const [a, b] = [got.buffer, raw.buffer].map((buffer) =>
      new DataView(buffer as ArrayBuffer).getFloat64(normalAt, true),
    );
    expect(Math.abs(a! - b!)).toBeLessThanOrEqual(1e-14 * Math.abs(b!));
    bytes.fill(0, normalAt, normalAt + 8);
    raw.fill(0, normalAt, normalAt + 8);
  }
  if (!TOLERANT.has(call.op)) {
    expect(bytes).toEqual(raw);
    return;
  }
  expect(got.length).toBe(want.length);
  // A mean added at the end can cancel most of a value, so float64 is measured against the larger of the two.
  const scale = Math.abs(call.mean ?? 0);
  for (let i = 0; i < want.length; i++) {
    const [g, w] = [Number(got[i]), Number(want[i])];
    const tolerance = call.dtype === 'float32' ? 2 * ulp32(w) : 1e-14 * Math.max(Math.abs(w), scale);
    if (!(Math.abs(g - w) <= tolerance)) expect.fail(`${call.op} [${i}] of ${call.n}: got ${g}, PyTorch ${w}`);
  }
}

describe('draws PyTorch draws', () => {
  golden.cases.forEach(({ seed, calls }, index) => {
    it(`case ${index}, seed ${seed ?? 'default'}: ${calls.length} calls starting with ${calls[0]!.op}(${calls[0]!.n})`, () => {
      const gen = new Generator();
      if (seed !== null) gen.manualSeed(BigInt(seed));
      for (const call of calls) compare(call, draw(call, gen));
    });
  });
});

describe('Generator', () => {
  it('starts from the seed of torch.default_generator', () => {
    expect(new Generator().initialSeed()).toBe(67280421310721n);
    expect(defaultGenerator.initialSeed()).toBe(67280421310721n);
  });

  it('continues the sequence from a saved state, with the cached normal', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, (1n << 64n) - 1n), fc.nat(1500), fc.nat(3), (seed, skip, normals) => {
        const gen = new Generator(seed);
        for (let i = 0; i < skip; i++) gen.random32();
        normal(new Float64Array(normals), 0, 1, gen);
        const saved = gen.getState();
        const next = () => [...normal(new Float64Array(3), 0, 1, gen), gen.random64()];
        const first = next();
        gen.setState(saved);
        expect(next()).toEqual(first);
        const other = new Generator(1).setState(saved);
        expect(other.initialSeed()).toBe(seed);
        expect(other.getState()).toEqual(saved);
      }),
      { numRuns: 50 },
    );
  });

  it('seeds the default generator and forgets its cached normal', () => {
    manualSeed(5);
    const [first] = normal(new Float64Array(1));
    manualSeed(5);
    expect(normal(new Float64Array(1))[0]).toBe(first);
  });

  it('takes a new seed from the system', () => {
    const gen = new Generator();
    const seed = gen.seed();
    expect(gen.initialSeed()).toBe(seed);
    expect(gen.random32()).toBe(new Generator(seed).random32());
    expect(gen.seed()).not.toBe(seed);
  });

  it('refuses seeds and states that cannot be', () => {
    expect(() => new Generator(1.5)).toThrow(GeneratorError);
    expect(() => new Generator(2 ** 60)).toThrow(/bigint beyond 2\^53/);
    expect(() => new Generator(1n << 64n)).toThrow(GeneratorError);
    expect(() => new Generator(-(1n << 63n) - 1n)).toThrow(GeneratorError);
    expect(() => new Generator().setState(new Uint8Array(10))).toThrow(/5056 bytes, got 10/);
    expect(() => new Generator().setState(new Uint8Array(5056))).toThrow(/valid MT19937 state/);
    const broken = new Generator().getState();
    broken[8] = 77;
    expect(() => new Generator().setState(broken)).toThrow(/left=77/);
  });
});

describe('arguments', () => {
  const out = new Float32Array(4);
  it.each([
    [() => uniform(out, 2, 1), 'found from=2 > to=1'],
    [() => uniform(out, Number.NaN, 1), 'range'],
    [() => uniform(out, -3e38, 3e38), 'to-from <='],
    [() => normal(out, 0, -1), 'normal expects std >= 0.0, but found std -1'],
    [() => randint(out, 3, 3), "random_ expects 'from' to be less than 'to', but got from=3 >= to=3"],
    [() => randint(out, 0, 1.5), 'high to be an integer'],
    [() => randint(new Uint8Array(1), 0, 257), 'to - 1 is out of bounds for Uint8Array'],
    [() => randint(new Int32Array(1), -(2 ** 31) - 1, 0), 'from is out of bounds for Int32Array'],
    [() => randperm(-1), 'count'],
    [() => bernoulli(out, 1.1), 'bernoulli_ expects p to be in [0, 1], but got p=1.1'],
    [() => bernoulli(out, Float32Array.of(0.5)), 'one probability per element'],
    [() => exponential(out, 0), 'lambda > 0.0'],
    [() => truncNormal(out, 0, 1, 2, 2), 'a < b'],
    [() => multinomial(Float64Array.of(1, 1), 3), 'without replacement'],
    [() => multinomial(Float64Array.of(1, 1), 0), 'numSamples <= 0'],
    [() => multinomial(Float64Array.of(1, -1), 1), '`inf`, `nan` or element < 0'],
    [() => multinomial(Float64Array.of(0, 0), 1, true), 'sum of probabilities <= 0'],
  ])('%s', (call, text) => {
    expect(call).toThrow(RandomArgumentError);
    expect(call).toThrow(text);
  });
});

describe('parts that goldens cannot reach', () => {
  it('shuffles with 64-bit draws, position i from i + 1 choices', () => {
    const order = permuteWithWideDraws(new Int32Array(2000), new Generator(11));
    const gen = new Generator(11);
    const want: number[] = [];
    for (let i = 0; i < 2000; i++) {
      const j = Number(gen.random64() % BigInt(i + 1));
      want.push(i);
      want[i] = want[j]!;
      want[j] = i;
    }
    expect([...order]).toEqual(want);
    expect(new Set(order).size).toBe(2000);
  });

  // Exact a·b + c as an integer multiple of 2^-shift, rounded once by BigInt arithmetic.
  const exactSum = (a: number, b: number, c: number, toDouble: (n: bigint, shift: number) => number) => {
    const fixed = (x: number) => BigInt(Math.round(x * 2 ** 52));
    return toDouble(fixed(a) * fixed(b) + (fixed(c) << 52n), 104);
  };
  const roundTo = (bits: number) => (n: bigint, shift: number) => {
    const sign = n < 0n ? -1 : 1;
    let magnitude = n < 0n ? -n : n;
    const excess = magnitude.toString(2).length - bits;
    if (excess <= 0) return sign * Number(magnitude) * 2 ** -shift;
    const cut = BigInt(excess);
    const rest = magnitude & ((1n << cut) - 1n);
    const half = 1n << (cut - 1n);
    magnitude >>= cut;
    if (rest > half || (rest === half && (magnitude & 1n) === 1n)) magnitude += 1n;
    return sign * Number(magnitude) * 2 ** (excess - shift);
  };

  it('multiplies and adds with a single rounding', () => {
    // Multiples of 2^-52 below 2 in magnitude, so that the exact result is a BigInt.
    const grid = fc.bigInt(-(1n << 53n) + 1n, (1n << 53n) - 1n).map((k) => Number(k) * 2 ** -52);
    const grid32 = fc.integer({ min: -(2 ** 24), max: 2 ** 24 }).map((k) => k * 2 ** -23);
    fc.assert(
      fc.property(grid, grid, grid, (a, b, c) => {
        expect(fusedMultiplyAdd64(a, b, c)).toBe(exactSum(a, b, c, roundTo(53)) + 0);
      }),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(grid32, grid32, fc.oneof(grid32, grid.map(Math.fround)), (a, b, c) => {
        const exact = exactSum(a, b, c, roundTo(24));
        expect(fusedMultiplyAdd32(a, b, c) + 0).toBe(exact + 0);
      }),
      { numRuns: 2000 },
    );
    // A tie that rounding twice would break the wrong way: 1 + 2^-24 + 2^-60 must go up.
    expect(fusedMultiplyAdd32(2 ** -30, 2 ** -30, Math.fround(1))).toBe(1);
    const justAboveTie = fusedMultiplyAdd32(
      Math.fround(1 + 2 ** -23),
      Math.fround(1 + 2 ** -23),
      Math.fround(2 ** -24 - 2 ** -47),
    );
    expect(justAboveTie).toBe(Math.fround(1 + 2 ** -22 + 2 ** -23));
  });
});
