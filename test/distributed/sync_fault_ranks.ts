// Run by every rank of a job in which rank 1 does not run the same layers as the others: how, is the argument.
import { destroyProcessGroup, getRank, initProcessGroup } from '../../src/distributed/index.ts';
import { randn, type Tensor } from '../../src/index.ts';
import { BatchNorm2d, Conv2d, convertSyncBatchNorm, Module } from '../../src/nn/index.ts';

const [fault] = process.argv.slice(2);
initProcessGroup({ timeout: 2 });

class Net extends Module {
  stem = new Conv2d(3, 4, 3);
  bn1 = new BatchNorm2d(4);
  bn2 = new BatchNorm2d(4);
  forward(x: Tensor): Tensor {
    const h = this.stem(x) as Tensor;
    const skips = getRank() === 1 && fault === 'skip';
    return this.bn2(skips ? h : this.bn1(h)) as Tensor;
  }
}

try {
  const net = convertSyncBatchNorm(new Net());
  if (getRank() === 1 && fault === 'eval') net.eval();
  net(randn([2, 3, 5, 5]))
    .sum()
    .backward();
  // Whoever evaluates goes on with something else, or with nothing for a long time.
  if (getRank() === 1) await new Promise((done) => setTimeout(done, 60_000));
} finally {
  destroyProcessGroup();
}
