// What kernel tests share: the devices under test, buffers of device memory between sentinels, seeded numbers, comparison.
import { existsSync } from 'node:fs';
import { expect } from 'vitest';
import type { Block, Device } from '../../src/kernels/device.ts';
import { Dtype, type Pointer, Status } from '../../src/kernels/generated/abi.ts';
import { loadNative } from '../../src/kernels/native.ts';
import { WasmDevice } from '../../src/kernels/wasm.ts';

const native = existsSync('build/native/evenkeel.node') || process.env.EVENKEEL_ADDON ? loadNative().device : null;
/** WebAssembly always; the addon where it was built. */
export const devices: Device[] = native ? [native, new WasmDevice()] : [new WasmDevice()];

export type FloatName = 'float32' | 'float64';
export const floats: readonly FloatName[] = ['float32', 'float64'];
/** Unit roundoff: half the distance between 1 and the next number. */
export const roundoff: Record<FloatName, number> = { float32: 2 ** -24, float64: 2 ** -53 };

type Numbers = Float32Array | Float64Array | BigInt64Array | Int32Array;
const guard = 64; // bytes before and behind, filled with 0xa5

/** Device memory for one kernel call, with sentinels around it. */
export class Buffer {
  readonly length: number;
  private readonly block: Block;
  private readonly make: (bytes: Uint8Array) => Numbers;

  constructor(device: Device, type: FloatName | 'int64' | 'int32' | 'byte', content: number | ArrayLike<number>) {
    const size = { float32: 4, float64: 8, int64: 8, int32: 4, byte: 1 }[type];
    this.length = typeof content === 'number' ? content : content.length;
    this.block = device.allocate(this.length * size + 2 * guard);
    const end = guard + this.length * size;
    this.make = (bytes) => {
      const at = bytes.byteOffset + guard;
      if (type === 'float32') return new Float32Array(bytes.buffer, at, this.length);
      if (type === 'int64') return new BigInt64Array(bytes.buffer, at, this.length);
      if (type === 'int32') return new Int32Array(bytes.buffer, at, this.length);
      return new Float64Array(bytes.buffer, at, type === 'byte' ? 0 : this.length);
    };
    const bytes = this.block.bytes();
    bytes.fill(0xa5); // outputs start as garbage too
    if (typeof content !== 'number') {
      const values = this.make(bytes);
      for (let i = 0; i < content.length; i++) values[i] = type === 'int64' ? BigInt(content[i]) : content[i];
    }
    this.intact = () => {
      const now = this.block.bytes();
      return [...now.subarray(0, guard), ...now.subarray(end, end + guard)].every((byte) => byte === 0xa5);
    };
    this.bits = () => this.block.bytes().slice(guard, end);
  }

  readonly intact: () => boolean;
  /** The content, for comparing bit by bit. */
  readonly bits: () => Uint8Array;

  pin(): Pointer {
    return this.block.pin() + guard;
  }

  numbers(): number[] {
    return Array.from(this.make(this.block.bytes()) as ArrayLike<number | bigint>, Number);
  }
}

export const dtypeOf: Record<FloatName, Dtype> = { float32: Dtype.float32, float64: Dtype.float64 };

/** Runs `call` and expects status ok and intact sentinels around every buffer. */
export function run(device: Device, buffers: readonly Buffer[], call: () => number): void {
  const status = call();
  device.check('test', status);
  expect(status).toBe(Status.ok);
  for (const buffer of buffers) expect(buffer.intact(), 'wrote outside its buffer').toBe(true);
}

/** mulberry32: small, seeded, good enough for test data. */
export class Source {
  private state: number;
  constructor(seed: number) {
    this.state = seed >>> 0;
  }
  uniform(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
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

// vitest's toEqual takes seconds for what is compared here.
function sameBits(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Expects the same bits from `compute` with 1, 2 and 3 threads, and returns the last result. */
export function onAnyThreads<R extends Record<string, Buffer>>(device: Device, compute: () => R): R {
  const before = device.getNumThreads();
  const first = compute();
  let last = first;
  if (device.name === 'native') {
    for (const threads of [1, 2, 3]) {
      device.setNumThreads(threads);
      last = compute();
      for (const name of Object.keys(first))
        expect(sameBits(last[name].bits(), first[name].bits()), `${name} with ${threads} threads`).toBe(true);
    }
    device.setNumThreads(before);
  }
  return last;
}
