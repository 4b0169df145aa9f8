// Run by every rank of a job: `fit` with a DistributedDataParallel. The first argument is what to do, the second a file
// for the checkpoint. Prints one line, `RESULT` and JSON: the weights' hash, their values, and what fit gave.
import { createHash } from 'node:crypto';
import { DataLoader, DistributedSampler, TensorDataset } from '../../src/data/index.ts';
import { destroyProcessGroup, getRank, getWorldSize, initProcessGroup } from '../../src/distributed/index.ts';
import { manualSeed, randn, type Tensor } from '../../src/index.ts';
import { mseLoss } from '../../src/nn/functional.ts';
import {
  BatchNorm1d,
  convertSyncBatchNorm,
  DistributedDataParallel,
  Dropout,
  Linear,
  Module,
  ReLU,
  Sequential,
} from '../../src/nn/index.ts';
import { SGD } from '../../src/optim/index.ts';
import {
  BestCheckpoints,
  type Callback,
  EarlyStopping,
  evaluate,
  type FitOptions,
  fit,
  lrFinder,
  TensorBoard,
} from '../../src/train/index.ts';

const [task, checkpoint] = process.argv.slice(2);
initProcessGroup({ timeout: 20 });
const rank = getRank();
const worldSize = getWorldSize();

/** A layer that makes NaN of a batch with a value above 100, on whichever rank that is. */
class Fragile extends Module {
  forward(x: Tensor): Tensor {
    return x.max().item() > 100 ? x.mul(Number.NaN) : x;
  }
}
const samples = 48;
manualSeed(3);
const inputs = randn([samples, 4], { dtype: 'float64' });
const targets = randn([samples, 2], { dtype: 'float64' });
const isBad = task.startsWith('nan') || task === 'skip';
if (isBad) inputs.setIndex([17, 0], 1000);
const dataset = new TensorDataset(inputs, targets);

const usesDropout = task.startsWith('dropout');
manualSeed(5);
const net = new Sequential(
  new Fragile(),
  new Linear(4, 8, { dtype: 'float64' }),
  new BatchNorm1d(8, { dtype: 'float64' }),
  new ReLU(),
  ...(usesDropout ? [new Dropout(0.3)] : []),
  new Linear(8, 2, { dtype: 'float64' }),
);
const isSync = !task.endsWith('plain');
const ddp = new DistributedDataParallel(isSync ? convertSyncBatchNorm(net) : net, { bucketCapMb: 0.0002 });
// Each rank drops other values.
manualSeed(100 + rank);
const batchSize = 12;
const part = batchSize / worldSize;
const loader = new DataLoader(dataset, {
  batchSize: part,
  sampler: new DistributedSampler(dataset, { numReplicas: worldSize, rank, seed: 7 }),
});
const optimizer = new SGD(ddp.parameters(), { lr: 0.05, momentum: 0.9 });

/** What a test wants to happen on one rank, after so many steps of all. */
const [, after] = /(\d+)$/.exec(task) ?? [null, '0'];
let steps = 0;
const callback: Callback = {
  onStepEnd(run) {
    if (++steps !== Number(after)) return;
    if (task.includes('stop') && run.rank === run.worldSize - 1) run.stop();
    if (
      task.includes('kill') &&
      run.rank === run.worldSize - 1 &&
      !process.env.TORCHELASTIC_RESTART_COUNT?.match(/[1-9]/)
    )
      process.kill(process.pid, 'SIGKILL');
  },
  async onEpochEnd(run) {
    (run.notes.evaluated as number[]).push(
      (await evaluate(run.model, loader as unknown as Iterable<Tensor[]>, { loss: mseLoss })).loss,
    );
  },
  onTrainBegin(run) {
    run.notes.evaluated ??= [];
  },
};
/** With a validation loader, and all callbacks of the library. */
const isFull = task === 'callbacks';
const stopping = new EarlyStopping({ patience: 1, minDelta: 10, restoreBest: true });
const best = new BestCheckpoints(`${checkpoint}.best`, { k: 2 });
const more: Partial<FitOptions> = {
  validation: loader as unknown as FitOptions['loader'],
  callbacks: [callback, stopping, best, new TensorBoard(`${checkpoint}.events`, { histogramEvery: 4 })],
};
const positive = { count: (output: Tensor) => output.gt(0).sum(0), value: (counts: Tensor) => counts.sum().item() };
const options: FitOptions = {
  loader: loader as unknown as FitOptions['loader'],
  loss: mseLoss,
  optimizer,
  epochs: 3,
  accumulate: task === 'accumulate' ? 2 : 1,
  metrics: { first: (output) => output.select(1, 0).mean().item(), ...(isFull ? { positive } : {}) },
  callbacks: [callback],
  skipNonFinite: task === 'skip',
  ...(isFull ? more : checkpoint ? { checkpoint, checkpointEvery: 3, resume: true } : {}),
};
try {
  const { history, isInterrupted } = await fit(ddp, options);
  const search = { loader: options.loader, loss: mseLoss, optimizer, minLr: 1e-3, maxLr: 1, steps: 16 };
  const sweep = isFull ? (await lrFinder(ddp, search)).losses : [];
  const state = ddp.module.stateDict();
  const values = [...state].flatMap(([, x]) => Array.from((x as Tensor).dataSync() as Float64Array, Number));
  const hash = createHash('sha256')
    .update(new Uint8Array(new Float64Array(values).buffer))
    .digest('hex');
  const plain = history.map(({ seconds: _, ...rest }) => rest);
  console.log(
    `RESULT ${JSON.stringify({ rank, worldSize, steps, hash, values, history: plain, isInterrupted, sweep, kept: best.kept })}`,
  );
} finally {
  destroyProcessGroup();
}
