// Reads batches ahead in worker threads and hands them out in order. The workers' side is loader_worker.ts.
// Sampling stays in the main thread; what a batch becomes is the loader's business. Node only.

import type { Worker } from 'node:worker_threads';
import { nodeModule } from '../files/node.ts';
import { warn } from '../warnings.ts';
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

type Options = { numWorkers: number; prefetch: number; baseSeed: bigint; timeout: number };
type Waiting = { task: WorkerTask; resolve: (value: unknown) => void; reject: (error: Error) => void };

/** Seconds after which a wait without an end is worth a warning. */
const longWait = 60;

/**
 * The batches of `tasks`, in their order, each read by one of the workers.
 *
 * Batch k goes to worker k mod numWorkers; each has up to `prefetch` batches in hand. Ending the iteration ends the
 * workers. Throws DataWorkerError, naming batch and samples, when a worker fails, or when `timeout` (in seconds, 0 for
 * none) passes while one is waited for.
 */
export async function* batchesFromWorkers(
  dataset: Dataset<unknown>,
  tasks: Iterable<number | number[]>,
  { numWorkers, prefetch, baseSeed, timeout }: Options,
): AsyncGenerator<unknown, void, undefined> {
  const { source, toSource } = unwrap(dataset);
  const pool: PoolWorker[] = [];
  const ahead: { batch: number; worker: PoolWorker; result: Promise<unknown> }[] = [];
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
      const worker = (pool[count % numWorkers] ??= new PoolWorker(source, count % numWorkers, baseSeed));
      const result = worker.read({ batch: count, indices });
      // It may fail long before its turn; that is no unhandled rejection.
      result.catch(() => undefined);
      ahead.push({ batch: count++, worker, result });
    }
  };
  try {
    for (readAhead(); ahead.length > 0; readAhead()) {
      for (const worker of pool) worker.keepProcessAlive(true);
      const { batch: number, worker, result } = ahead.shift()!;
      const timer = setTimeout(
        () => worker.tooLate(number, timeout),
        Math.min(1000 * (timeout || longWait), 2 ** 31 - 1),
      );
      const batch = await result.finally(() => clearTimeout(timer));
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

  /**
   * A batch that is waited for has not come within `timeout` seconds; 0: within a time that is long for a wait without
   * an end.
   */
  tooLate(batch: number, timeout: number): void {
    const waiting = this.waiting.get(batch);
    if (!waiting) return;
    if (timeout === 0) {
      const { message } = this.describe(waiting, `no answer for ${longWait} seconds`);
      warn(`${message}; the option timeout ends such a wait`);
    } else waiting.reject(this.describe(waiting, `timed out after ${timeout} seconds`));
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

  private describe({ task }: Waiting, what: string, cause?: Error): DataWorkerError {
    const indices = typeof task.indices === 'number' ? [task.indices] : task.indices;
    const shown = indices.length > 8 ? `${indices.slice(0, 8).join(', ')}, …` : indices.join(', ');
    return new DataWorkerError(
      `[DataLoader] worker ${this.id}, batch ${task.batch} (samples ${shown}): ${what}${cause ? `: ${cause.name}: ${cause.message}` : ''}`,
      task.batch,
      indices,
      cause && { cause },
    );
  }
}

function startWorker(setup: WorkerSetup): Worker {
  const { Worker } = nodeModule('DataLoader', 'worker_threads');
  // Source or built, the worker stands beside this file and ends as it does.
  const here = import.meta.url;
  const { dirname, extname, join } = nodeModule('DataLoader', 'path');
  const { fileURLToPath, pathToFileURL } = nodeModule('DataLoader', 'url');
  const file = join(dirname(fileURLToPath(here)), `loader_worker${extname(here)}`);
  const url = pathToFileURL(file);
  if (!nodeModule('DataLoader', 'fs').existsSync(file))
    throw new DataArgumentError(
      `[DataLoader] numWorkers > 0 needs ${file}, which is not there: leave evenkeel out of the bundle, as an external package`,
    );
  const isTypeScript = [url.pathname, setup.module].some((path) => /\.m?tsx?$/.test(path));
  const runsTypeScript = (process.features as { typescript?: string | false }).typescript;
  if (!isTypeScript || runsTypeScript) return new Worker(url, { workerData: setup });

  // tsx does not reach into worker threads by itself, so the thread registers it before anything else is loaded.
  const { createRequire } = nodeModule('DataLoader', 'module');
  let tsx: string;
  try {
    // What import.meta.resolve does, which bundlers would follow into tsx.
    const manifest = createRequire(here).resolve('tsx/package.json');
    const { exports } = createRequire(here)(manifest) as { exports: Record<string, { import: { default: string } }> };
    tsx = new URL(exports['./esm/api'].import.default, pathToFileURL(manifest)).href;
  } catch (cause) {
    throw new DataArgumentError(
      `[DataLoader] expected JavaScript for worker threads, got TypeScript (${setup.module}), and tsx, which runs it, is not installed`,
      { cause },
    );
  }
  const start = `import(${JSON.stringify(tsx)}).then(({ register }) => { register(); return import(${JSON.stringify(url)}); });`;
  return new Worker(start, { eval: true, workerData: setup });
}
