// Runs in a worker thread: builds the dataset from its module, reads and collates the batches it is told to, in order.
// The main thread's side is worker_pool.ts.

import { parentPort, type TransferListItem, workerData } from 'node:worker_threads';
import { manualSeed } from '../tensor/random/index.ts';
import { defaultCollate, mapArrays, withoutTensors } from './collate.ts';
import { openWorkerDataset } from './dataset.ts';
import type { WorkerAnswer, WorkerSetup, WorkerTask } from './worker_pool.ts';

const setup = workerData as WorkerSetup;
manualSeed(setup.seed);

const opened = open();
// Reported with the first batch; until then it is no unhandled rejection.
opened.catch(() => undefined);

async function open() {
  const dataset = await openWorkerDataset<unknown>(setup.module, setup.args, setup.length);
  const { collate } = (await import(setup.module)) as { collate?: (samples: unknown[]) => unknown };
  return { dataset, collate };
}

// One batch after the other, so that random draws of the dataset follow the order of the batches.
let queue = Promise.resolve();
parentPort!.on('message', (task: WorkerTask) => {
  queue = queue.then(() => answer(task));
});

async function answer(task: WorkerTask): Promise<void> {
  let doing = 'open the dataset';
  try {
    const { dataset, collate } = await opened;
    if (typeof task.indices === 'number') {
      doing = `read sample ${task.indices}`;
      parentPort!.postMessage({
        batch: task.batch,
        value: withoutTensors(await dataset.get(task.indices)),
      } satisfies WorkerAnswer);
      return;
    }
    const samples: unknown[] = [];
    for (const index of task.indices) {
      doing = `read sample ${index}`;
      samples.push(await dataset.get(index));
    }
    doing = 'collate the samples';
    const value = collate ? withoutTensors(collate(samples)) : defaultCollate(samples);
    // Only what defaultCollate made is surely nobody else's memory and may be moved instead of copied.
    parentPort!.postMessage({ batch: task.batch, value } satisfies WorkerAnswer, collate ? [] : buffersOf(value));
  } catch (thrown) {
    const { name, message, stack } = thrown instanceof Error ? thrown : new Error(String(thrown));
    parentPort!.postMessage({ batch: task.batch, doing, error: { name, message, stack } } satisfies WorkerAnswer);
  }
}

function buffersOf(batch: unknown): TransferListItem[] {
  const buffers = new Set<TransferListItem>();
  mapArrays(batch, (array) => buffers.add(array.data.buffer as ArrayBuffer));
  return [...buffers];
}
