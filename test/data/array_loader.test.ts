// Orders of samplers, loaders and splits against PyTorch 2.13 (golden/data_loader_golden.py), and the loader's own
// rules.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  ArrayLoader,
  type ArraySample,
  BatchSampler,
  DataArgumentError,
  type Dataset,
  DistributedSampler,
  RandomSampler,
  randomSplit,
  SequentialSampler,
  SubsetRandomSampler,
  TensorDataset,
  WeightedRandomSampler,
} from '../../src/data/index.ts';
import { defaultGenerator, Generator, manualSeed, randint } from '../../src/tensor/random/index.ts';

type LoaderCase = {
  n: number;
  seed: number;
  own: boolean;
  stopAfter: number | null;
  options: { batchSize: number | null; shuffle: boolean; dropLast: boolean };
  length: number;
  epochs: unknown[];
  after: number;
};
type SamplerCase = {
  kind: 'random' | 'subset' | 'weighted' | 'batch';
  seed: number;
  own: boolean;
  arguments: {
    n: number;
    numSamples: number | null;
    replacement: boolean;
    indices: number[];
    weights: number[];
    batchSize: number;
    dropLast: boolean;
  };
  length: number;
  epochs: unknown[];
  after: number;
};
type DistributedCase = {
  n: number;
  numReplicas: number;
  shuffle: boolean;
  dropLast: boolean;
  ranks: { length: number; epochs: number[][] }[];
};
const golden = JSON.parse(readFileSync(new URL('../golden/data_loader.golden.json', import.meta.url), 'utf8')) as {
  loaders: LoaderCase[];
  samplers: SamplerCase[];
  splits: { n: number; lengths: number[]; own: boolean; parts: number[][] }[];
  distributed: DistributedCase[];
};

const count = (n: number): Dataset<number> => ({ length: n, get: (index) => index });
const nextDraw = (gen: Generator) => randint(new Int32Array(1), 0, 1_000_000, gen)[0];

describe('orders of PyTorch', () => {
  describe.each(golden.loaders)('DataLoader of $n, own generator $own, stop after $stopAfter: $options', (wanted) => {
    const open = () => {
      manualSeed(wanted.seed);
      const generator = wanted.own ? new Generator(wanted.seed) : undefined;
      const loader = new ArrayLoader(count(wanted.n), {
        ...wanted.options,
        generator,
        collate: (samples) => [...samples],
      });
      return { loader, generator: generator ?? defaultGenerator };
    };
    it('synchronously', () => {
      const { loader, generator } = open();
      expect(loader.length).toBe(wanted.length);
      for (const epoch of wanted.epochs) {
        const batches: unknown[] = [];
        for (const batch of loader) {
          batches.push(batch);
          if (batches.length === wanted.stopAfter) break;
        }
        expect(batches).toEqual(epoch);
      }
      expect(nextDraw(generator)).toBe(wanted.after);
    });
    it('asynchronously', async () => {
      const { loader, generator } = open();
      for (const epoch of wanted.epochs) {
        const batches: unknown[] = [];
        for await (const batch of loader) {
          batches.push(batch);
          if (batches.length === wanted.stopAfter) break;
        }
        expect(batches).toEqual(epoch);
      }
      expect(nextDraw(generator)).toBe(wanted.after);
    });
  });

  it.each(golden.samplers)('$kind sampler, own generator $own: $arguments', (wanted) => {
    manualSeed(wanted.seed);
    const generator = wanted.own ? new Generator(wanted.seed) : undefined;
    const { n, replacement, indices, weights, batchSize, dropLast } = wanted.arguments;
    const numSamples = wanted.arguments.numSamples ?? undefined;
    const sampler = {
      random: () => new RandomSampler(count(n), { replacement, numSamples, generator }),
      subset: () => new SubsetRandomSampler(indices, { generator }),
      weighted: () => new WeightedRandomSampler(weights, numSamples!, { replacement, generator }),
      batch: () => new BatchSampler(new SequentialSampler(count(n)), batchSize, dropLast),
    }[wanted.kind]();
    expect(sampler.length).toBe(wanted.length);
    for (const epoch of wanted.epochs) expect([...sampler]).toEqual(epoch);
    expect(nextDraw(generator ?? defaultGenerator)).toBe(wanted.after);
  });

  it.each(golden.splits)('randomSplit of $n into $lengths, own generator $own', ({ n, lengths, own, parts }) => {
    manualSeed(42);
    const split = own
      ? randomSplit(count(n), lengths, { generator: new Generator(17) })
      : randomSplit(count(n), lengths);
    expect(split.map((part) => Array.from(part.indices))).toEqual(parts);
    expect(split.map((part) => Array.from({ length: part.length }, (_, i) => part.get(i)))).toEqual(parts);
  });

  it.each(golden.distributed)(
    'DistributedSampler of $n over $numReplicas, shuffle $shuffle, dropLast $dropLast',
    (wanted) => {
      const { n, numReplicas, shuffle, dropLast, ranks } = wanted;
      ranks.forEach(({ length, epochs }, rank) => {
        const sampler = new DistributedSampler(count(n), { numReplicas, rank, shuffle, seed: 7, dropLast });
        expect(sampler.length).toBe(length);
        epochs.forEach((epoch, number) => {
          sampler.setEpoch(number);
          expect([...sampler]).toEqual(epoch);
        });
      });
    },
  );
});

describe('DataLoader', () => {
  it('draws its seed when iteration starts, before the sampler draws', () => {
    manualSeed(1);
    const loader = new ArrayLoader(count(4), { shuffle: true });
    const iterator = loader[Symbol.iterator]();
    const started = defaultGenerator.getState();
    manualSeed(1);
    defaultGenerator.random64();
    expect(defaultGenerator.getState()).toEqual(started);
    iterator.return?.();
  });

  it('stacks arrays and numbers with the default collate', () => {
    const images: ArraySample<Uint8Array> = { data: Uint8Array.from({ length: 12 }, (_, i) => i), shape: [3, 2, 2] };
    const labels: ArraySample<BigInt64Array> = { data: BigInt64Array.of(7n, 8n, 9n), shape: [3] };
    const batches = [...new ArrayLoader(new TensorDataset(images, labels), { batchSize: 2 })];
    expect(batches).toEqual([
      [
        { data: Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7), shape: [2, 2, 2] },
        { data: BigInt64Array.of(7n, 8n), shape: [2] },
      ],
      [
        { data: Uint8Array.of(8, 9, 10, 11), shape: [1, 2, 2] },
        { data: BigInt64Array.of(9n), shape: [1] },
      ],
    ]);
    // A batch is a copy: writing to it leaves the dataset alone.
    batches[0]![0].data.fill(99);
    expect(images.data[0]).toBe(0);
  });

  it('passes batches through convert', () => {
    class Sums extends ArrayLoader<number, number> {
      protected override convert(batch: unknown): number {
        return Number((batch as ArraySample<BigInt64Array>).data.reduce((a, b) => a + b, 0n));
      }
    }
    expect([...new Sums(count(5), { batchSize: 2 })]).toEqual([1, 5, 4]);
  });

  it('reads asynchronous datasets with for await only', async () => {
    const later: Dataset<number> = { length: 3, get: async (index) => index * 10 };
    const loader = new ArrayLoader(later, { batchSize: 2, collate: (samples) => samples });
    expect(() => [...loader]).toThrow(/for await.*promises/);
    const batches: unknown[] = [];
    for await (const batch of loader) batches.push(batch);
    expect(batches).toEqual([[0, 10], [20]]);
  });

  it('streams iterable datasets', async () => {
    const stream = {
      length: 5,
      *[Symbol.iterator]() {
        yield* [1, 2, 3, 4, 5];
      },
    };
    const collate = (samples: number[]) => [...samples];
    expect([...new ArrayLoader(stream, { batchSize: 2, collate })]).toEqual([[1, 2], [3, 4], [5]]);
    expect([...new ArrayLoader(stream, { batchSize: 2, dropLast: true, collate })]).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect([...new ArrayLoader(stream, { batchSize: null })]).toEqual([1, 2, 3, 4, 5]);
    expect(new ArrayLoader(stream, { batchSize: 2 }).length).toBe(3);
    expect(new ArrayLoader(stream, { batchSize: 2, dropLast: true }).length).toBe(2);

    const slow = {
      async *[Symbol.asyncIterator]() {
        yield* [1, 2, 3];
      },
    };
    const loader = new ArrayLoader<number, number[]>(slow, { batchSize: 2, collate });
    expect(() => [...loader]).toThrow(/for await/);
    expect(() => loader.length).toThrow(/iterable one has none/);
    const batches: number[][] = [];
    for await (const batch of loader) batches.push(batch);
    expect(batches).toEqual([[1, 2], [3]]);
  });

  it('takes any iterable of indices or of batches', () => {
    const collate = (samples: number[]) => [...samples];
    expect([...new ArrayLoader(count(9), { sampler: [8, 1, 1], batchSize: 2, collate })]).toEqual([[8, 1], [1]]);
    const batchSampler = [[5], [1, 2, 3]];
    const loader = new ArrayLoader(count(9), { batchSampler, collate });
    expect(loader.length).toBe(2);
    expect([...loader]).toEqual(batchSampler);
    const endless = {
      *[Symbol.iterator]() {
        while (true) yield 3;
      },
    };
    expect(() => new ArrayLoader(count(9), { sampler: endless }).length).toThrow(/has none/);
  });

  it('passes an error of the dataset on as it is', () => {
    const failing: Dataset<number> = {
      length: 2,
      get: () => {
        throw new TypeError('broken sample');
      },
    };
    expect(() => [...new ArrayLoader(failing)]).toThrow(new TypeError('broken sample'));
  });

  const stream = {
    *[Symbol.iterator]() {
      yield 1;
    },
  };
  it.each<[() => unknown, string]>([
    [
      () => new ArrayLoader(count(3), { batchSize: 0 }),
      'batchSize should be a positive integer value, but got batchSize=0',
    ],
    [() => new ArrayLoader(count(3), { batchSize: 1.5 }), 'positive integer'],
    [() => new ArrayLoader(stream, { batchSize: 0 }), 'positive integer'],
    [() => new ArrayLoader(count(3), { numWorkers: -1 }), 'numWorkers option should be non-negative'],
    [() => new ArrayLoader(count(3), { prefetch: 0 }), 'prefetch of 1 or more'],
    [
      () => new ArrayLoader(count(3), { sampler: [1], shuffle: true }),
      'sampler option is mutually exclusive with shuffle',
    ],
    [
      () => new ArrayLoader(count(3), { batchSampler: [[1]], batchSize: 2 }),
      'batchSampler option is mutually exclusive',
    ],
    [
      () => new ArrayLoader(count(3), { batchSampler: [[1]], dropLast: true }),
      'batchSampler option is mutually exclusive',
    ],
    [() => new ArrayLoader(count(3), { batchSize: null, dropLast: true }), 'batchSize: null disables auto-batching'],
    [
      () => new ArrayLoader(count(0), { shuffle: true }),
      'numSamples should be a positive integer value, but got numSamples=0',
    ],
    [() => new ArrayLoader(stream, { shuffle: true }), 'expected unspecified shuffle option, but got shuffle=true'],
    [() => new ArrayLoader(stream, { sampler: [1] }), 'unspecified sampler option'],
    [() => new ArrayLoader(stream, { batchSampler: [[1]] }), 'unspecified batchSampler option'],
    [() => new ArrayLoader(stream, { numWorkers: 1 }), 'expected a WorkerDataset'],
    [() => new WeightedRandomSampler([1], 0), 'numSamples=0'],
    [
      () => new DistributedSampler(count(3), { numReplicas: 3, rank: 3 }),
      'Invalid rank 3, rank should be in the interval [0, 2]',
    ],
    [() => randomSplit(count(10), [3, 6]), 'Sum of input lengths does not equal the length of the input dataset!'],
    [() => randomSplit(count(10), [2.5, 7.5]), 'expected whole lengths'],
    [() => randomSplit(count(10), [1.5, -0.5]), 'Fraction at index 0 is not between 0 and 1'],
  ])('%s', (make, text) => {
    expect(make).toThrow(DataArgumentError);
    expect(make).toThrow(text);
  });
});
