// Each rank's batch norm sees its own data only: the ranks' running statistics drift apart, and only those of rank 0
// would be saved. `syncBuffers` merges them; with SyncBatchNorm they never part. It takes several ranks:
// `npx evenkeel launch --nproc 2 examples/statistics_of_ranks.ts`.
import assert from 'node:assert/strict';
import { manualSeed, randn, type Tensor } from 'evenkeel';
import { destroyProcessGroup, getRank, getWorldSize, initProcessGroup } from 'evenkeel/distributed';
import * as nn from 'evenkeel/nn';

initProcessGroup();
try {
  const rank = getRank();
  const worldSize = getWorldSize();
  if (worldSize === 1) console.log('alone there is nothing to drift apart: npx evenkeel launch --nproc 2 …');
  const print = (text: string) => rank === 0 && console.log(text);

  /** 50 steps; each rank's images are brighter than those of the one before. */
  const train = (model: nn.Module): void => {
    manualSeed(rank);
    for (let step = 0; step < 50; step++) (model(randn([16, 3]).add(rank)) as Tensor).mean().backward();
  };
  const spreadOf = (model: nn.Module): number => nn.statisticsSpread(model).worst?.mean ?? 0;

  const plain = new nn.Sequential(new nn.BatchNorm1d(3), new nn.Linear(3, 1));
  train(new nn.DistributedDataParallel(plain, { broadcastBuffers: false }));
  print(`batch norm:\n${nn.statisticsSpread(plain)}`);
  if (worldSize > 1) assert(spreadOf(plain) > 0.1);

  nn.syncBuffers(plain);
  print(`merged:\n${nn.statisticsSpread(plain)}`);
  assert.equal(spreadOf(plain), 0);

  const sync = nn.convertSyncBatchNorm(new nn.Sequential(new nn.BatchNorm1d(3), new nn.Linear(3, 1)));
  train(new nn.DistributedDataParallel(sync, { broadcastBuffers: false }));
  print(`SyncBatchNorm:\n${nn.statisticsSpread(sync)}`);
  assert.equal(spreadOf(sync), 0);
} finally {
  destroyProcessGroup();
}
