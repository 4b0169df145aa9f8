// Calls kernels directly: places arguments in one block of device memory, each between guard bytes, and checks after
// every call that nothing outside the outputs was written. No tensors here.
import { expect } from 'vitest';
import type { AddressBackend } from '../../src/device/address_backend.ts';
import { setEngine } from '../../src/device/engine.ts';
import type { Dtype, Kernels, Pointer } from '../../src/device/generated/abi.ts';
import { addressBackend } from '../support/address_backend.ts';

export type DtypeName = keyof typeof Dtype;
export type NumberName = Exclude<DtypeName, 'bool'>;
export const floats = ['float32', 'float64'] as const;
export type FloatName = (typeof floats)[number];
export const numbers = ['float32', 'float64', 'int32', 'int64', 'uint8'] as const;

const guard = 64;
const guardByte = 0xa5;
const arrays = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as const;

export function isFloat(dtype: DtypeName): boolean {
  return dtype === 'float32' || dtype === 'float64';
}

export function sizeOf(dtype: DtypeName): number {
  return arrays[dtype].BYTES_PER_ELEMENT;
}

/** The values as an array of that dtype: what storing them in a tensor makes of them. */
export function encode(dtype: DtypeName, values: ArrayLike<number>): ArrayBufferView & { buffer: ArrayBufferLike } {
  if (dtype === 'int64') return BigInt64Array.from(Array.from(values), (v) => BigInt(v));
  return arrays[dtype].from(values);
}

/** The values rounded or wrapped to the dtype. */
export function rounded(dtype: DtypeName, values: ArrayLike<number>): number[] {
  return Array.from(encode(dtype, values) as unknown as ArrayLike<number>, Number);
}

export interface Place {
  readonly address: Pointer;
  readonly offset: number;
  readonly dtype: DtypeName;
  readonly length: number;
}

export class Arena {
  readonly backend: AddressBackend;
  readonly kernels: Kernels;
  private readonly block;
  private next = 0;
  private base = 0;
  private places: Place[] = [];

  constructor(engine: 'native' | 'wasm', byteLength = 1 << 25) {
    setEngine(engine);
    this.backend = addressBackend();
    this.kernels = this.backend.kernels;
    this.block = this.backend.allocate(byteLength);
    this.reset();
  }

  /** Forgets all places. */
  reset(): void {
    this.base = this.block.pin();
    this.next = 0;
    this.places = [];
  }

  /** Room for `length` elements, filled with guard bytes, 64 of which also lie before and behind it. */
  output(dtype: DtypeName, length: number): Place {
    const size = length * sizeOf(dtype);
    const offset = this.next + guard;
    this.next = offset + Math.ceil(size / 64) * 64 + guard;
    if (this.next > this.block.byteLength) throw new Error('the test arena is too small');
    this.block.bytes().fill(guardByte, offset - guard, this.next);
    const place = { address: this.base + offset, offset, dtype, length };
    this.places.push(place);
    return place;
  }

  input(dtype: DtypeName, values: ArrayLike<number>): Place {
    const place = this.output(dtype, values.length);
    const data = encode(dtype, values);
    this.block.bytes().set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), place.offset);
    return place;
  }

  /** The address of small integers: shapes, strides. */
  ints(values: readonly number[]): Pointer {
    return this.input('int32', values).address;
  }

  /** Runs one kernel call and returns its status; fails where a guard byte has changed. */
  call(run: (kernels: Kernels) => number): number {
    this.base = this.block.pin();
    const status = run(this.kernels);
    this.backend.check('test', 0);
    const bytes = this.block.bytes();
    for (const { offset, length, dtype } of this.places) {
      const end = offset + length * sizeOf(dtype);
      for (let i = offset - guard; i < offset; i++)
        if (bytes[i] !== guardByte) expect.fail('a kernel wrote before its output');
      for (let i = end; i < Math.ceil(end / 64) * 64 + guard; i++)
        if (bytes[i] !== guardByte) expect.fail('a kernel wrote behind its output');
    }
    return status;
  }

  /** The status, also of a kernel that otherwise runs later: with one thread all run at once. */
  status(run: (kernels: Kernels) => number): number {
    const threads = this.backend.getNumThreads();
    this.backend.setNumThreads(1);
    try {
      return this.call(run);
    } finally {
      this.backend.setNumThreads(threads);
    }
  }

  /** As call, and the status must be ok. */
  run(run: (kernels: Kernels) => number): void {
    expect(this.call(run)).toBe(0);
  }

  /** The place's memory itself, and a copy of it. */
  view(place: Place): Uint8Array {
    return this.block.bytes().subarray(place.offset, place.offset + place.length * sizeOf(place.dtype));
  }
  bytes(place: Place): Uint8Array {
    return this.view(place).slice();
  }

  read(place: Place): number[] {
    const bytes = this.bytes(place);
    return Array.from(
      new arrays[place.dtype](bytes.buffer as ArrayBuffer, 0, place.length) as unknown as ArrayLike<number>,
      Number,
    );
  }
}

/** Engines to test: the native one where it was built, wasm always. */
export function engines(): ('native' | 'wasm')[] {
  try {
    setEngine('native');
    return ['native', 'wasm'];
  } catch {
    return ['wasm'];
  }
}

/**
 * Runs `body` with 1, 2 and 3 threads and expects the same bytes in what it returns; where an engine has only one
 * thread, once.
 */
export function sameForAnyThreads<R extends Place | Record<string, Place>>(arena: Arena, body: () => R): R {
  const { backend } = arena;
  if (backend.name === 'wasm') return body();
  const bytes = (result: R) =>
    Object.entries('address' in result ? { output: result as Place } : result).map(
      ([name, place]) => [name, arena.bytes(place as Place)] as const,
    );
  const before = backend.getNumThreads();
  backend.setNumThreads(1);
  const first = bytes(body());
  let last: R | null = null;
  for (const threads of [2, 3]) {
    backend.setNumThreads(threads);
    last = body();
    bytes(last).forEach(([name, now], i) => {
      expect(Buffer.compare(now, first[i][1]), `${name} with ${threads} threads`).toBe(0);
    });
  }
  backend.setNumThreads(before);
  return last as R;
}

/** Deterministic numbers in [0, 1) (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** The distance between x and its neighbour in the dtype, away from 0. */
export function ulp(dtype: DtypeName, x: number): number {
  const [mantissa, lowest] = dtype === 'float32' ? [23, -126] : [52, -1022];
  if (x === 0) return 2 ** (lowest - mantissa);
  const exponent = Math.floor(Math.log2(Math.abs(x)));
  const exact =
    2 ** exponent > Math.abs(x) ? exponent - 1 : 2 ** (exponent + 1) <= Math.abs(x) ? exponent + 1 : exponent;
  return 2 ** (Math.max(exact, lowest) - mantissa);
}

/** The error of `got` in ulps of the dtype; NaN and infinities must be met exactly, an overflow only to rounding. */
export function ulpError(dtype: DtypeName, got: number, want: number): number {
  if (Number.isNaN(want)) return Number.isNaN(got) ? 0 : Infinity;
  const target = dtype === 'float32' ? Math.fround(want) : want;
  if (got === target) return 0;
  if (!Number.isFinite(target) || !Number.isFinite(got)) return Infinity;
  return Math.abs(got - want) / ulp(dtype, want);
}

export const epsilon = { float32: 2 ** -23, float64: 2 ** -52 } as const;
/** Unit roundoff: half the distance between 1 and the next number. */
export const roundoff = { float32: 2 ** -24, float64: 2 ** -53 } as const;

/** Seeded test data. */
export class Source {
  readonly uniform: () => number;

  constructor(seed: number) {
    this.uniform = random(seed);
  }

  integer(low: number, high: number): number {
    return low + Math.floor(this.uniform() * (high - low + 1));
  }

  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** n numbers of −0.5 … 0.5 that the type can hold exactly. */
  values(n: number, type: FloatName): number[] {
    return Array.from({ length: n }, () =>
      type === 'float32' ? Math.fround(this.uniform() - 0.5) : this.uniform() - 0.5,
    );
  }
}

/** The largest |actual − expected|; a NaN must meet a NaN. */
export function largestError(actual: readonly number[], expected: readonly number[]): number {
  expect(actual.length).toBe(expected.length);
  let worst = 0;
  for (let i = 0; i < actual.length; i++) {
    if (Object.is(actual[i], expected[i]) || actual[i] === expected[i]) continue;
    const error = Math.abs(actual[i] - expected[i]);
    worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(worst, error);
  }
  return worst;
}
