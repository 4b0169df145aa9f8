// What scripts of ranks share that compare a job with one process: values that every rank makes alike, comparisons, and
// the line in which a rank reports them.
import { allGather, allReduce, getRank, getWorldSize } from '../../src/distributed/index.ts';
import { fromTypedArray, type Tensor } from '../../src/index.ts';

import type { RankResult } from './ranks.ts';

export type Float = 'float32' | 'float64';

/** Numbers from a seed, the same on every rank (mulberry32). */
export class Numbers {
  private state: number;
  constructor(seed: number) {
    this.state = seed;
  }
  /** From 0 to 1. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
  /** An integer from `low` to `high`, both included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }
  oneOf<V>(values: readonly V[]): V {
    return values[this.integer(0, values.length - 1)];
  }
  chance(share = 0.5): boolean {
    return this.next() < share;
  }
  /** Values around `centre`. */
  tensor(shape: readonly number[], dtype: Float, centre = 0): Tensor {
    const size = shape.reduce((a, b) => a * b, 1);
    const values = Float64Array.from({ length: size }, () => centre + 3 * this.next() - 1.5);
    return fromTypedArray(values, shape, { dtype });
  }
}

/** How many samples each rank has: anything, also none, but two of them at least somewhere. */
export function unevenSplit(numbers: Numbers, ranks: number): number[] {
  const sizes = Array.from({ length: ranks }, () => (numbers.chance(0.25) ? 0 : numbers.integer(1, 5)));
  if (sizes.reduce((a, b) => a + b) < 2) sizes[numbers.integer(0, ranks - 1)] += 2;
  return sizes;
}

/** What this rank has of a batch that is split so. */
export function ownPart(whole: Tensor, sizes: readonly number[], rank = getRank()): Tensor {
  const before = sizes.slice(0, rank).reduce((a, b) => a + b, 0);
  return whole.detach().narrow(0, before, sizes[rank]).contiguous(whole.memoryFormat);
}

/** The sum over all ranks, in float64. */
export function sumOfRanks(x: Tensor): Tensor {
  const sum = x.detach().to('float64').clone();
  allReduce(sum);
  return sum;
}

const valuesOf = (x: Tensor) => Array.from(x.contiguous().dataSync() as Float64Array, Number);

/** FNV-1a of a tensor's bytes. */
function hashOf(x: Tensor, start = 0x811c9dc5): number {
  const { buffer, byteOffset, byteLength } = x.detach().contiguous().dataSync();
  let hash = start;
  for (const byte of new Uint8Array(buffer, byteOffset, byteLength)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash | 0;
}

/** What ranks report of their checks; the hash is of all that was compared. */
export interface CheckResult extends RankResult {
  readonly hash: number;
}

export class Checks {
  count = 0;
  readonly failures: string[] = [];
  /** Of everything that was compared so far: a second run must come to the same bits. */
  private hash = 0x811c9dc5;
  private readonly shared: [name: string, hash: number][] = [];

  fail(text: string): void {
    if (this.failures.length < 20) this.failures.push(text);
  }

  equal(name: string, got: unknown, expected: unknown): void {
    this.count++;
    const [a, b] = [JSON.stringify(got), JSON.stringify(expected)];
    if (a !== b) this.fail(`${name}: expected ${b}, got ${a}`);
  }

  /** Values that differ by `tolerance` of the largest at most. */
  close(name: string, got: Tensor | null, expected: Tensor | null, tolerance: number): void {
    this.count++;
    if (!got || !expected) {
      if (got || expected) this.fail(`${name}: expected ${expected && 'a tensor'}, got ${got && 'a tensor'}`);
      return;
    }
    this.add(got);
    const [a, b] = [valuesOf(got.detach()), valuesOf(expected.detach())];
    if (a.length !== b.length) this.fail(`${name}: expected shape ${expected.shape}, got ${got.shape}`);
    const scale = b.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const error = a.reduce((most, value, i) => {
      const difference = Object.is(value, b[i]) ? 0 : Math.abs(value - b[i]);
      // A NaN is as far off as can be.
      return difference <= most ? most : difference >= 0 ? difference : Number.POSITIVE_INFINITY;
    }, 0);
    if (error > tolerance * scale)
      this.fail(`${name}: off by ${(error / scale).toExponential(1)} of ${scale}, at most ${tolerance} is right`);
  }

  /** The same bits on every rank of the job, all of which call this alike; `report` compares them. */
  same(name: string, x: Tensor): void {
    this.count++;
    this.shared.push([name, hashOf(x)]);
    this.add(x);
  }

  private add(x: Tensor): void {
    this.hash = hashOf(x, this.hash);
  }

  /** Prints what a test reads by `resultsOf`. */
  report(): void {
    const hashes = allGather(
      fromTypedArray(
        Int32Array.from(this.shared, ([, hash]) => hash),
        [this.shared.length],
      ),
    );
    const [first, ...others] = hashes.map((t) => t.dataSync());
    for (const [i, [name]] of this.shared.entries())
      if (others.some((other) => other[i] !== first[i])) this.fail(`${name}: ranks have different bits`);
    const { count, failures, hash } = this;
    const result: CheckResult = { rank: getRank(), worldSize: getWorldSize(), count, failures, hash: hash >>> 0 };
    console.log(`RESULT ${JSON.stringify(result)}`);
  }
}
