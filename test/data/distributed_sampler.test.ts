// DistributedSampler over any number of ranks: what the shares have to do with each other. PyTorch's own results are in
// array_loader.test.ts, ranks of a real job in test/distributed/.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ArrayLoader, DistributedSampler } from '../../src/data/index.ts';
import { destroyProcessGroup, initProcessGroup } from '../../src/distributed/index.ts';

const cases = fc.record({
  length: fc.oneof(fc.integer({ min: 0, max: 8 }), fc.integer({ min: 0, max: 500 })),
  numReplicas: fc.integer({ min: 1, max: 9 }),
  dropLast: fc.boolean(),
  shuffle: fc.boolean(),
  seed: fc.integer({ min: 0, max: 2 ** 33 }),
  epoch: fc.integer({ min: 0, max: 5 }),
});
const sharesOf = ({ length, epoch, ...options }: typeof cases extends fc.Arbitrary<infer C> ? C : never) =>
  Array.from({ length: options.numReplicas }, (_, rank) => {
    const sampler = new DistributedSampler({ length }, { ...options, rank });
    sampler.setEpoch(epoch);
    const share = [...sampler];
    expect(share.length).toBe(sampler.length);
    return share;
  });

describe('DistributedSampler', () => {
  it('gives all samples to exactly one rank each, but for padding, and all ranks as many', () => {
    fc.assert(
      fc.property(cases, (given) => {
        const { length, numReplicas, dropLast } = given;
        const shares = sharesOf(given);
        const size = dropLast ? Math.floor(length / numReplicas) : Math.ceil(length / numReplicas);
        expect(shares.map((share) => share.length)).toEqual(Array(numReplicas).fill(size));
        // In the common order: rank 0's first, rank 1's first, …
        const order = Array.from(
          { length: size * numReplicas },
          (_, i) => shares[i % numReplicas][Math.floor(i / numReplicas)],
        );
        const kept = order.slice(0, length);
        expect(new Set(kept).size).toBe(kept.length);
        for (const index of kept) expect(index >= 0 && index < length).toBe(true);
        if (!dropLast) expect(kept.length).toBe(length);
        // What pads is the order again, from its start.
        expect(order.slice(length)).toEqual(order.slice(length).map((_, i) => order[i % length]));
      }),
      { numRuns: 300 },
    );
  });

  it('shuffles anew in each epoch, by seed + epoch', () => {
    const of = (seed: number, epoch: number) =>
      sharesOf({ length: 30, numReplicas: 3, dropLast: false, shuffle: true, seed, epoch });
    expect(of(4, 0)).not.toEqual(of(4, 1));
    expect(of(4, 1)).toEqual(of(5, 0));
  });

  it('goes on in the middle of an epoch: the same epoch again, without the batches that are done', () => {
    const dataset = { length: 23, get: (i: number) => i };
    const batchesOf = (epoch: number, done = 0) => {
      const sampler = new DistributedSampler(dataset, { numReplicas: 2, rank: 1, seed: 9 });
      sampler.setEpoch(epoch);
      const loader = new ArrayLoader(dataset, { batchSize: 3, sampler, collate: (samples) => samples });
      expect(loader.length).toBe(4);
      return [...loader].slice(done);
    };
    expect(batchesOf(2, 1)).toEqual(batchesOf(2).slice(1));
    expect(batchesOf(2).flat().length).toBe(12);
  });

  it('asks the job for ranks that it is not told, each by itself', () => {
    const missing =
      '[DistributedSampler] Default process group has not been initialized, please make sure to call initProcessGroup().';
    for (const options of [undefined, {}, { numReplicas: 2 }, { rank: 0 }])
      expect(() => new DistributedSampler({ length: 3 }, options)).toThrow(missing);
    initProcessGroup();
    try {
      const alone = new DistributedSampler({ length: 3 });
      expect([alone.numReplicas, alone.rank, alone.length]).toEqual([1, 0, 3]);
      expect(new DistributedSampler({ length: 3 }, { numReplicas: 2 }).rank).toBe(0);
      expect(() => new DistributedSampler({ length: 3 }, { rank: 1 })).toThrow(
        'Invalid rank 1, rank should be in the interval [0, 0]',
      );
    } finally {
      destroyProcessGroup();
    }
  });
});
