// syncBuffers, statisticsSpread, preciseBatchNorm and averages in a process that is alone, with a job and without.
// Several ranks: test/distributed/statistics.test.ts.
import { expect, it } from 'vitest';
import { destroyProcessGroup, initProcessGroup, worldGroup } from '../../src/distributed/index.ts';
import { BatchNorm2d, preciseBatchNorm, Sequential, statisticsSpread, syncBuffers } from '../../src/nn/index.ts';
import { full } from '../../src/tensor/create.ts';
import { Averages } from '../../src/train/index.ts';
import { det, list } from '../support/norm_layers.ts';

it.each([false, true])('alone there is nothing to do: in a job %s', async (isJob) => {
  if (isJob) initProcessGroup();
  try {
    const bn = new BatchNorm2d(2);
    bn.runningMean!.copy_(full([2], 3));
    const net = new Sequential(bn);
    for (const mode of ['merge', 'broadcast'] as const) syncBuffers(net, { mode });
    expect(list(bn.runningMean)).toEqual([3, 3]);
    const spread = statisticsSpread(net);
    expect(spread.layers).toEqual([{ name: '0', mean: 0, meanRank: 0, variance: 0, varianceRank: 0 }]);
    expect(String(spread)).toBe(
      '1 rank\nlayer  mean apart  rank  variance apart  rank\n0       0.000 std     0           0.0 %     0',
    );
    expect(statisticsSpread(new Sequential()).worst).toBeNull();
    const report = await preciseBatchNorm(net, [det([4, 2, 3, 3], 1, 'float32')], isJob ? { group: worldGroup() } : {});
    expect(report.batches).toBe(1);
    const averages = new Averages();
    averages.add({ loss: 2 }, 4);
    const all = averages.ofAllRanks();
    expect([all.get('loss'), all.samples, all === averages]).toEqual([2, 4, false]);
  } finally {
    if (isJob) destroyProcessGroup();
  }
});
