// Running statistics move in forward, not in optimizer.step(): a forward in training mode under noGrad, with no
// optimizer anywhere, moves them. `withStatistics` normalizes by the batch and leaves them alone.
import assert from 'node:assert/strict';
import { manualSeed, noGrad, randn } from 'evenkeel';
import * as nn from 'evenkeel/nn';

manualSeed(0);
const bn = new nn.BatchNorm1d(1);
const x = randn([256, 1]).add(10);
const mean = () => bn.runningMean?.item() as number;
const trace = [mean()];
const show = (what: string) => {
  trace.push(mean());
  console.log(`${what.padEnd(46)} running mean ${mean().toFixed(4)}, batches ${bn.numBatchesTracked?.item()}`);
};

bn(x);
show('forward, no backward, no step:');
noGrad(() => bn(x));
show('forward under noGrad:');
bn.requiresGrad_(false);
bn(x);
show('forward with all parameters frozen:');
nn.withStatistics(bn, 'batch', () => bn(x));
show("inside withStatistics(bn, 'batch', …):");
bn.eval();
bn(x);
show('forward in evaluation mode:');

const [start, first, second, third, ...rest] = trace;
assert(start < first && first < second && second < third);
assert.deepEqual(rest, [third, third]);
