// Reads batches ahead in worker threads and hands them out in order. The workers' side is loader_worker.ts.
// Sampling stays in the main thread; what a batch becomes is the loader's business. Node only.

import { Worker } from 'node:worker_threads';
import { type Dataset, Subset, WorkerDataset } from './dataset.ts';
import { DataArgumentError, DataWorkerError } from './errors.ts';

/** What a worker is started with. */
export type WorkerSetup = { module: string; args: unknown; length: number; seed: bigint };
/** One batch to read: its number, and its indices (one index alone is a sample that is not collated). */
export type WorkerTask = { batch: number; indices: number | number[] };
/** What a worker answers: the batch, or what failed while doing what. */
export type WorkerAnswer =
  | { batch: number; value: unknown }
  | { batch: number; doing: string; error: { name: string; message: string; stack: string | undefined } };

type Options = { numWorkers: number; prefetch: number; baseSeed: bigint };
type Waiting = { task: WorkerTask; resolve: (value: unknown) => void; reject: (error: Error) => void };

/**
 * The batches of `tasks`, in their order, each read by one of the workers.
 *
 * Batch k goes to worker k mod numWorkers; each has up to `prefetch` batches in hand. Ending the iteration ends the workers.
 * Throws DataWorkerError, naming batch and samples, when a worker fails.
 */
export async function* batchesFromWorkers(
  dataset: Dataset<unknown>,
  tasks: Iterable<number | number[]>,
  { numWorkers, prefetch, baseSeed }: Options,
): AsyncGenerator<unknown, void, undefined> {
  const { source, toSource } = unwrap(dataset);
  const pool: PoolWorker[] = [];
  const ahead: Promise<unknown>[] = [];
  const remaining = tasks[Symbol.iterator]();
  let count = 0;
  let done = false;
  const readAhead = () => {
    while (!done && ahead.length < numWorkers * prefetch) {
      const next = remaining.next();
      done = next.done === true;
      if (next.done) return;
      const indices = typeof next.value === 'number' ? toSource(next.value) : next.value.map(toSource);
      // Workers start with the first batch they are needed for.
      pool[count % numWorkers] ??= new PoolWorker(source, count % numWorkers, baseSeed);
      const result = pool[count % numWorkers]!.read({ batch: count++, indices });
      // It may fail long before its turn; that is no unhandled rejection.
      result.catch(() => undefined);
      ahead.push(result);
    }
  };
  try {
    for (readAhead(); ahead.length > 0; readAhead()) {
      for (const worker of pool) worker.keepProcessAlive(true);
      const batch = await ahead.shift()!;
      for (const worker of pool) worker.keepProcessAlive(false);
      readAhead();
      yield batch;
    }
  } finally {
    remaining.return?.();
    await Promise.all(pool.map((worker) => worker.close()));
  }
}

// A part of a worker's dataset is read by the same worker under the whole's indices.
function unwrap(dataset: Dataset<unknown>): {
  source: WorkerDataset<unknown>;
  toSource: (index: number) => number;
} {
  const subsets: Subset<unknown>[] = [];
  let source = dataset;
  while (source instanceof Subset) {
    subsets.push(source);
    source = source.dataset as Dataset<unknown>;
  }
  if (!(source instanceof WorkerDataset)) {
    throw new DataArgumentError(
      '[DataLoader] expected a WorkerDataset with numWorkers > 0: a dataset object cannot be sent to a thread, a module that makes it can',
    );
  }
  const toSource = (index: number) => subsets.reduce((at, subset) => subset.indices[at]!, index);
  return { source, toSource };
}

class PoolWorker {
  private readonly worker: Worker;
  private readonly id: number;
  private readonly waiting = new Map<number, Waiting>();
  private dead: Error | undefined;

  constructor(dataset: WorkerDataset<unknown>, id: number, baseSeed: bigint) {
    this.id = id;
    // PyTorch seeds worker i with base seed + i.
    const setup: WorkerSetup = {
      module: dataset.module,
      args: dataset.args,
      length: dataset.length,
      seed: baseSeed + BigInt(id),
    };
    this.worker = startWorker(setup);
    this.worker.unref();
    this.worker.on('message', (answer: WorkerAnswer) => this.settle(answer));
    this.worker.on('error', (error) => this.fail(error));
    this.worker.on('messageerror', (error) => this.fail(error));
    this.worker.on('exit', (code) => this.fail(new Error(`the worker ended with exit code ${code}`)));
  }

  read(task: WorkerTask): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const waiting = { task, resolve, reject };
      if (this.dead) {
        reject(this.describe(waiting, 'the worker failed', this.dead));
        return;
      }
      this.waiting.set(task.batch, waiting);
      this.worker.postMessage(task);
    });
  }

  /** While somebody waits for a batch the process must not end; otherwise idle workers must not hold it. */
  keepProcessAlive(yes: boolean): void {
    if (yes) this.worker.ref();
    else this.worker.unref();
  }

  async close(): Promise<void> {
    this.waiting.clear();
    await this.worker.terminate();
  }

  private settle(answer: WorkerAnswer): void {
    const waiting = this.waiting.get(answer.batch);
    if (!waiting) return;
    this.waiting.delete(answer.batch);
    if ('value' in answer) {
      waiting.resolve(answer.value);
      return;
    }
    const cause = new Error(answer.error.message);
    cause.name = answer.error.name;
    cause.stack = answer.error.stack;
    waiting.reject(this.describe(waiting, `could not ${answer.doing}`, cause));
  }

  private fail(error: Error): void {
    this.dead ??= error;
    for (const waiting of this.waiting.values()) waiting.reject(this.describe(waiting, 'the worker failed', this.dead));
    this.waiting.clear();
  }

  private describe({ task }: Waiting, what: string, cause: Error): DataWorkerError {
    const indices = typeof task.indices === 'number' ? [task.indices] : task.indices;
    const shown = indices.length > 8 ? `${indices.slice(0, 8).join(', ')}, …` : indices.join(', ');
    return new DataWorkerError(
      `[DataLoader] worker ${this.id}, batch ${task.batch} (samples ${shown}): ${what}: ${cause.name}: ${cause.message}`,
      task.batch,
      indices,
      { cause },
    );
  }
}

function startWorker(setup: WorkerSetup): Worker {
  // Source or built, the worker stands beside this file and ends as it does.
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
  const url = new URL(`./loader_worker${extension}`, import.meta.url);
  const isTypeScript = [url.pathname, setup.module].some((path) => /\.m?tsx?$/.test(path));
  const runsTypeScript = (process.features as { typescript?: string | false }).typescript;
  if (!isTypeScript || runsTypeScript) return new Worker(url, { workerData: setup });

  // tsx does not reach into worker threads by itself, so the thread registers it before anything else is loaded.
  let tsx: string;
  try {
    tsx = import.meta.resolve('tsx/esm/api');
  } catch (cause) {
    throw new DataArgumentError(
      `[DataLoader] expected JavaScript for worker threads, got TypeScript (${setup.module}), and tsx, which runs it, is not installed`,
      { cause },
    );
  }
  const start = `import(${JSON.stringify(tsx)}).then(({ register }) => { register(); return import(${JSON.stringify(url)}); });`;
  return new Worker(start, { eval: true, workerData: setup });
}
