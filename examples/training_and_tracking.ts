// The four combinations of training mode and trackRunningStats: by what a layer normalizes, and whether its running
// mean moves.
import assert from 'node:assert/strict';
import { manualSeed, randn } from 'evenkeel';
import * as nn from 'evenkeel/nn';

manualSeed(0);
const x = randn([64, 1, 4, 4]).mul(2).add(5);

console.log('training  tracks  mean of y  running mean before → after');
const seen: Record<string, [mean: number, moved: boolean]> = {};
for (const training of [true, false])
  for (const trackRunningStats of [true, false]) {
    const bn = new nn.BatchNorm2d(1, { trackRunningStats }).train(training);
    const before = bn.runningMean?.item() as number | undefined;
    const mean = bn(x).mean().item() as number;
    const after = bn.runningMean?.item() as number | undefined;
    seen[`${training} ${trackRunningStats}`] = [mean, before !== after];
    const statistics = after === undefined ? 'none' : `${before?.toFixed(4)} → ${after.toFixed(4)}`;
    console.log(
      `${String(training).padEnd(9)} ${String(trackRunningStats).padEnd(7)} ${mean.toFixed(4).padStart(8)}   ${statistics}`,
    );
  }
console.log('Only evaluation with running statistics uses them; only training with them moves them.');

const isNormalized = (key: string) => Math.abs(seen[key][0]) < 1e-5;
assert(isNormalized('true true') && isNormalized('true false') && isNormalized('false false'));
// Fresh running statistics are 0 and 1: nothing happens to x.
assert(Math.abs(seen['false true'][0] - 5) < 0.5);
assert.deepEqual(
  Object.entries(seen).filter(([, [, moved]]) => moved),
  [['true true', seen['true true']]],
);
