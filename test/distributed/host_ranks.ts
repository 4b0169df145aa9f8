// Run by the ranks of two hosts: training, which goes on from its checkpoint where it has been started again. Prints
// the hash of the weights.
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { DataLoader, DistributedSampler, TensorDataset } from '../../src/data/index.ts';
import { destroyProcessGroup, getRank, initProcessGroup } from '../../src/distributed/index.ts';
import { manualSeed, randn, type Tensor } from '../../src/index.ts';
import { mseLoss } from '../../src/nn/functional.ts';
import {
  BatchNorm1d,
  convertSyncBatchNorm,
  DistributedDataParallel,
  Linear,
  ReLU,
  Sequential,
} from '../../src/nn/index.ts';
import { SGD } from '../../src/optim/index.ts';
import { type FitOptions, fit } from '../../src/train/index.ts';

const [checkpoint] = process.argv.slice(2);
initProcessGroup({ timeout: 4 });
try {
  manualSeed(0);
  const inputs = randn([96, 16]);
  const dataset = new TensorDataset(inputs, inputs.sum(1, { keepdim: true }));
  const net = new Sequential(new Linear(16, 400), new BatchNorm1d(400), new ReLU(), new Linear(400, 1));
  const model = new DistributedDataParallel(convertSyncBatchNorm(net));
  const loader = new DataLoader(dataset, { batchSize: 4, sampler: new DistributedSampler(dataset) });
  await fit(model, {
    loader: loader as unknown as FitOptions['loader'],
    loss: mseLoss,
    optimizer: new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 }),
    epochs: 20,
    checkpoint,
    checkpointEvery: 1,
    resume: true,
    callbacks: [
      {
        onTrainBegin: ({ position }) =>
          console.log(`READY ${process.pid} on ${hostname()} from step ${position.epoch * 12 + position.step}`),
        onStepEnd: ({ position: { epoch, step } }) => {
          if (getRank() === 0 && epoch === 3 && step === 6) console.log('AT WORK');
        },
      },
    ],
  });
  const hash = createHash('sha256');
  for (const [, value] of model.module.stateDict()) hash.update(new Uint8Array((value as Tensor).dataSync().buffer));
  console.log(`RESULT ${hash.digest('hex')} on ${hostname()}`);
} finally {
  destroyProcessGroup();
}
