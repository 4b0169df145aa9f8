// Reading ahead in worker threads: order, seeds, errors, ending early. The workers run TypeScript source here.

import { Worker } from 'node:worker_threads';
import { describe, expect, it, vi } from 'vitest';
import { ArrayLoader, DataArgumentError, DataWorkerError, Subset, WorkerDataset } from '../../src/data/index.ts';
import { Generator, manualSeed, randint } from '../../src/tensor/random/index.ts';
import type { NumbersArgs, NumbersSample } from './fixtures/numbers_module.ts';

const numbers = (args: NumbersArgs) =>
  new WorkerDataset<NumbersSample, NumbersArgs>({
    module: new URL('./fixtures/numbers_module.ts', import.meta.url),
    args,
    length: args.length,
  });
const labels = async (loader: ArrayLoader<NumbersSample>) => {
  const seen: number[][] = [];
  for await (const batch of loader) seen.push(Array.from(batch.label.data, Number));
  return seen;
};

describe('ArrayLoader with workers', { timeout: 30_000 }, () => {
  it('yields the same batches in the same order as without, epoch after epoch', async () => {
    const dataset = numbers({ length: 23, slowBatch: 12 });
    const epochs = async (numWorkers: number) => {
      // A generator of its own: without workers the dataset draws from the default one.
      const generator = new Generator(3);
      const loader = new ArrayLoader(dataset, { batchSize: 4, shuffle: true, numWorkers, generator });
      return [await labels(loader), await labels(loader)];
    };
    const alone = await epochs(0);
    expect(alone[0]).not.toEqual(alone[1]);
    expect(alone[0]!.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: 23 }, (_, i) => i));
    expect(await epochs(2)).toEqual(alone);
    expect(await epochs(3)).toEqual(alone);
  });

  it('brings arrays, numbers, bigints and strings across', async () => {
    for await (const batch of new ArrayLoader(numbers({ length: 3 }), { batchSize: 3, numWorkers: 1 })) {
      expect(batch.image).toEqual({ data: Float32Array.of(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2), shape: [3, 2, 2] });
      expect(batch.label).toEqual({ data: BigInt64Array.of(0n, 1n, 2n), shape: [3] });
      expect(batch.draw.data).toBeInstanceOf(BigInt64Array);
      expect(batch.name).toEqual(['n0', 'n1', 'n2']);
    }
  });

  it('seeds worker i with the base seed + i', async () => {
    manualSeed(8);
    const seeds = new Generator(8);
    const base = seeds.random64() & 0x7fffffffffffffffn;
    const draws: bigint[][] = [];
    for await (const batch of new ArrayLoader(numbers({ length: 8 }), { batchSize: 2, numWorkers: 2 })) {
      draws.push([...batch.draw.data]);
    }
    const want = [0n, 1n].map((id) => randint(new BigInt64Array(4), 0, 1_000_000, new Generator(base + id)));
    expect(draws).toEqual([
      [...want[0]!.subarray(0, 2)],
      [...want[1]!.subarray(0, 2)],
      [...want[0]!.subarray(2)],
      [...want[1]!.subarray(2)],
    ]);
  });

  it('reads parts of a worker dataset, and single samples', async () => {
    const part = new Subset(new Subset(numbers({ length: 50 }), [10, 20, 30, 40]), [3, 1]);
    expect(await labels(new ArrayLoader(part, { batchSize: 2, numWorkers: 1 }))).toEqual([[40, 20]]);
    const singles: string[] = [];
    const loader = new ArrayLoader<NumbersSample, NumbersSample>(part, { batchSize: null, numWorkers: 1 });
    for await (const sample of loader) singles.push(sample.name);
    expect(singles).toEqual(['n40', 'n20']);
  });

  it("uses the module's own collate, and copies what that returns", async () => {
    const dataset = new WorkerDataset<number>({
      module: new URL('./fixtures/collate_module.ts', import.meta.url),
      length: 4,
    });
    const batches: unknown[] = [];
    for await (const batch of new ArrayLoader(dataset, { batchSize: 2, numWorkers: 1 })) batches.push(batch);
    const kept = Float64Array.of(1, 2, 3, 4);
    expect(batches).toEqual([
      { sum: 1, kept },
      { sum: 5, kept },
    ]);
  });

  it('rethrows an error with the sample and the batch, after the batches before it', async () => {
    const seen: number[] = [];
    const run = async () => {
      const loader = new ArrayLoader(numbers({ length: 12, failAt: 7 }), { batchSize: 2, numWorkers: 2 });
      for await (const batch of loader) seen.push(Number(batch.label.data[0]));
    };
    const error = await run().then(
      () => expect.fail('no error'),
      (thrown: unknown) => thrown as DataWorkerError,
    );
    expect(error).toBeInstanceOf(DataWorkerError);
    expect(error.message).toBe(
      '[DataLoader] worker 1, batch 3 (samples 6, 7): could not read sample 7: RangeError: pixel 7 is broken',
    );
    expect([error.batch, error.indices]).toEqual([3, [6, 7]]);
    expect((error.cause as Error).stack).toContain('numbers_module.ts');
    expect(seen).toEqual([0, 2, 4]);
  });

  it.each<[string, NumbersArgs, RegExp]>([
    [
      'samples that do not stack',
      { length: 4, raggedAt: 1 },
      /batch 0 \(samples 0, 1\): could not collate the samples: SampleMismatchError: .*\[2, 2\].*\[3, 2\]/,
    ],
    [
      'a worker that ends',
      { length: 4, exitAt: 1 },
      /worker 0, batch 0 \(samples 0, 1\): the worker failed: .*exit code 3/,
    ],
  ])('reports %s', async (_, args, text) => {
    const loader = new ArrayLoader(numbers(args), { batchSize: 2, numWorkers: 1 });
    await expect(labels(loader)).rejects.toThrow(text);
    await expect(labels(loader)).rejects.toBeInstanceOf(DataWorkerError);
  });

  it('ends the wait for a worker that hangs, and the worker', async () => {
    const loader = new ArrayLoader(numbers({ length: 8, hangAt: 5 }), { batchSize: 2, numWorkers: 2, timeout: 2 });
    const seen: number[][] = [];
    const read = async () => {
      for await (const batch of loader) seen.push(Array.from(batch.label.data, Number));
    };
    const error = await read().then(
      () => undefined,
      (thrown: DataWorkerError) => thrown,
    );
    expect(error).toBeInstanceOf(DataWorkerError);
    expect(error!.message).toBe('[DataLoader] worker 0, batch 2 (samples 4, 5): timed out after 2 seconds');
    expect(seen).toEqual([
      [0, 1],
      [2, 3],
    ]);
  });

  it('refuses a timeout that is none', () => {
    for (const timeout of [-1, Number.NaN])
      expect(() => new ArrayLoader(numbers({ length: 8 }), { numWorkers: 1, timeout })).toThrow(
        '[DataLoader] timeout option should be non-negative',
      );
  });

  it('reports a module that is missing, exports nothing, or has another length', async () => {
    const load = (module: string, length: number, args?: unknown) => {
      const dataset = new WorkerDataset<NumbersSample>({ module: new URL(module, import.meta.url), length, args });
      return labels(new ArrayLoader(dataset, { numWorkers: 1 }));
    };
    await expect(load('./fixtures/nowhere.ts', 3)).rejects.toThrow(/could not open the dataset: .*nowhere/);
    await expect(load('./fixtures/no_factory_module.ts', 3)).rejects.toThrow(/default-export a function/);
    await expect(load('./fixtures/numbers_module.ts', 3, { length: 4 })).rejects.toThrow(/of 3 samples, got 4/);
  });

  it('ends the workers when the loop is left, and when it ends', async () => {
    const terminate = vi.spyOn(Worker.prototype, 'terminate');
    const loader = new ArrayLoader(numbers({ length: 1000 }), { batchSize: 1, numWorkers: 2, prefetch: 3 });
    for await (const batch of loader) {
      expect(batch.label.data[0]).toBe(0n);
      break;
    }
    expect(terminate).toHaveBeenCalledTimes(2);
    await labels(new ArrayLoader(numbers({ length: 3 }), { numWorkers: 2 }));
    expect(terminate).toHaveBeenCalledTimes(4);
    await expect(labels(new ArrayLoader(numbers({ length: 9, failAt: 0 }), { numWorkers: 3 }))).rejects.toThrow();
    expect(terminate).toHaveBeenCalledTimes(7);
    terminate.mockRestore();
  });

  it('reads no further ahead than told', async () => {
    let asked = 0;
    const sampler = {
      length: 40,
      *[Symbol.iterator]() {
        for (let i = 0; i < 40; i++) {
          asked++;
          yield i;
        }
      },
    };
    const loader = new ArrayLoader(numbers({ length: 40 }), { batchSize: 2, sampler, numWorkers: 2, prefetch: 2 });
    for await (const _ of loader) {
      // One batch here, 2 × 2 ahead.
      expect(asked).toBe(10);
      break;
    }
  });

  it('refuses what workers cannot do', async () => {
    const dataset = numbers({ length: 4 });
    expect(() => [...new ArrayLoader(dataset, { numWorkers: 1 })]).toThrow(/for await/);
    expect(() => new ArrayLoader(dataset, { numWorkers: 1, collate: (x) => x })).toThrow(/export it as `collate`/);
    const object = { length: 1, get: () => 1 };
    await expect(new ArrayLoader(object, { numWorkers: 1 })[Symbol.asyncIterator]().next()).rejects.toThrow(
      DataArgumentError,
    );
    expect(() => new WorkerDataset({ module: 'x', length: -1 })).toThrow(DataArgumentError);
  });
});
