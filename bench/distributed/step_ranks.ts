// Run by every rank, of which there may be one: training steps of a network, each rank with its part of the batch.
// Arguments: the work with the global batch, `ddp` or `sync` (SyncBatchNorm), and seconds. Rank 0 prints JSON: the
// milliseconds of a step, of which it waits for gradients, of a step that exchanges nothing, and of averaging all
// gradients alone.
import {
  allReduce,
  barrier,
  destroyProcessGroup,
  getRank,
  getWorldSize,
  initProcessGroup,
} from '../../src/distributed/index.ts';
import { full, manualSeed, randint, randn, scope, type Tensor } from '../../src/index.ts';
import { crossEntropy } from '../../src/nn/functional.ts';
import { convertSyncBatchNorm, DistributedDataParallel } from '../../src/nn/index.ts';
import { SGD } from '../../src/optim/index.ts';
import { median } from '../measure.ts';
import { networkOf, workOf } from '../networks.ts';

const [text, mode, seconds] = process.argv.slice(2);
initProcessGroup({ timeout: 120 });
const worldSize = getWorldSize();
const work = workOf(text);
const shape = [work.shape[0] / worldSize, ...work.shape.slice(1)];
manualSeed(getRank());
const model = networkOf(work);
const ddp = new DistributedDataParallel(mode === 'sync' ? convertSyncBatchNorm(model) : model);
const optimizer = new SGD(ddp.parameters(), { lr: 0.01, momentum: 0.9 });
const drawn = randn(shape);
const x = drawn.rank === 4 ? drawn.contiguous('channelsLast') : drawn;
const labels = randint(0, work.classes, [shape[0]]);
/** Until it has been computed. */
const waitFor = (x: Tensor) => void x.reshape([-1]).select(0, 0).item();
const first = ddp.parameters()[0];
/** Milliseconds from the end of each backward to its last gradient, which is that of the first parameter. */
const waits: number[] = [];
const step = () =>
  scope(() => {
    optimizer.zeroGrad();
    crossEntropy(ddp(x) as Tensor, labels).backward();
    const start = performance.now();
    waitFor(first.grad!);
    waits.push(performance.now() - start);
    optimizer.step();
    waitFor(first);
  });

/** As many steps on every rank. */
const timesOf = (run: () => void, count: number): number[] => {
  barrier();
  waits.length = 0;
  return Array.from({ length: count }, () => {
    const start = performance.now();
    run();
    return performance.now() - start;
  });
};
timesOf(step, 3);
const estimate = full([], Math.max(...timesOf(step, 2)));
allReduce(estimate, { op: 'max' });
const count = Math.max(3, Math.round((Number(seconds) * 1000) / estimate.item() / 2));
const steps: number[] = [];
const waiting: number[] = [];
const quiet: number[] = [];
// In turns, so that the machine's moods hit both alike.
for (let turn = 0; turn < 3; turn++) {
  steps.push(...timesOf(step, Math.ceil(count / 3)));
  waiting.push(...waits);
  quiet.push(...timesOf(() => ddp.noSync(step), Math.ceil(count / 3)));
}
const bytes = ddp.parameters().reduce((sum, { size }) => sum + size, 0);
const gradients = full([bytes], 0);
const alone = timesOf(() => allReduce(gradients).wait(), 8).slice(2);
if (getRank() === 0) {
  const [ms, waited, ofQuiet, communication] = [steps, waiting, quiet, alone].map(median);
  console.log(`RESULT ${JSON.stringify({ ms, waiting: waited, quiet: ofQuiet, communication })}`);
}
destroyProcessGroup();
