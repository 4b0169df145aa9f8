// One model, trained by several processes: the whole script. Alone it is a job of one; as two ranks:
// `npx evenkeel launch --nproc 2 examples/data_parallel.ts`.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { manualSeed, randn, type Tensor } from 'evenkeel';
import { DataLoader, DistributedSampler, TensorDataset } from 'evenkeel/data';
import { allGatherObject, destroyProcessGroup, getRank, getWorldSize, initProcessGroup } from 'evenkeel/distributed';
import { saveStateDict } from 'evenkeel/io';
import * as nn from 'evenkeel/nn';
import { SGD } from 'evenkeel/optim';

initProcessGroup();
try {
  const rank = getRank();
  const worldSize = getWorldSize();

  // The same samples on every rank, of which each reads its own part.
  manualSeed(0);
  const inputs = randn([96, 8]);
  const dataset = new TensorDataset(inputs, inputs.sum(1, { keepdim: true }));
  const sampler = new DistributedSampler(dataset, { seed: 0 });
  const loader = new DataLoader(dataset, { batchSize: 24 / worldSize, sampler });

  const net = new nn.Sequential(new nn.Linear(8, 16), new nn.BatchNorm1d(16), new nn.ReLU(), new nn.Linear(16, 1));
  const model = new nn.DistributedDataParallel(nn.convertSyncBatchNorm(net));
  const optimizer = new SGD(model.parameters(), { lr: 0.05 });

  let loss = Number.POSITIVE_INFINITY;
  for (let epoch = 0; epoch < 10; epoch++) {
    sampler.setEpoch(epoch);
    for (const [x, y] of loader) {
      optimizer.zeroGrad();
      const error = nn.functional.mseLoss(model(x) as Tensor, y);
      error.backward();
      optimizer.step();
      loss = error.item();
    }
  }
  console.log(`rank ${rank} of ${worldSize}: the loss of its last batch is ${loss.toFixed(4)}`);

  // All ranks have the same weights.
  const weights = allGatherObject(model.module.parameters().map((parameter) => parameter.toArray()));
  for (const each of weights) assert.deepEqual(each, weights[0]);
  assert(loss < 1);

  if (rank === 0) {
    const file = join(tmpdir(), `data_parallel_${process.pid}.pt`);
    await saveStateDict(file, model.module.stateDict());
    rmSync(file);
  }
} finally {
  destroyProcessGroup();
}
