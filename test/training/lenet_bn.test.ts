// A LeNet with batch norm from a seed: weights, data, dropout, losses, clipping, schedule and running statistics as in
// PyTorch (golden/lenet_bn_golden.py), in both precisions and memory formats.
import { expect, it } from 'vitest';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import {
  AvgPool2d,
  BatchNorm1d,
  BatchNorm2d,
  Conv2d,
  CrossEntropyLoss,
  Dropout,
  Flatten,
  Linear,
  MaxPool2d,
  ReLU,
  Sequential,
  Sigmoid,
} from '../../src/nn/index.ts';
import { clipGradNorm, OneCycleLR, SGD } from '../../src/optim/index.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randint, randn } from '../../src/tensor/random.ts';
import { expectClose, readGolden } from '../support/golden.ts';

type Float = 'float32' | 'float64';
interface Run {
  losses: number[];
  norms: number[];
  evaluation: number;
  runningVar: number[];
  seen: number;
}
const golden = readGolden<Record<Float, Run>>('lenet_bn.golden.json');

it.each([
  ['float32', 'contiguous', 2e-4],
  ['float32', 'channelsLast', 2e-4],
  ['float64', 'contiguous', 1e-10],
  ['float64', 'channelsLast', 1e-10],
] as const)('ten steps in %s, %s', (dtype, memoryFormat, tolerance) => {
  const expected = golden[dtype];
  manualSeed(0);
  const bn = new BatchNorm2d(6, { dtype });
  const conv = new Conv2d(1, 6, 5, { dtype });
  const last = new BatchNorm1d(20, { momentum: null, dtype });
  const net = new Sequential(
    conv,
    bn,
    new Sigmoid(),
    new AvgPool2d(2),
    new Conv2d(6, 16, 5, { dtype }),
    new BatchNorm2d(16, { dtype }),
    new ReLU({ inplace: true }),
    new MaxPool2d(2),
    new Flatten(),
    new Dropout(0.2),
    new Linear(64, 20, { bias: false, dtype }),
    last,
    new Sigmoid(),
    new Linear(20, 10, { dtype }),
  );
  const x = randn([16, 1, 20, 20], { dtype }).contiguous(memoryFormat);
  const y = randint(0, 10, [16]);
  const optimizer = new SGD(net.parameters(), { lr: 0.5, momentum: 0.9, weightDecay: 1e-3 });
  const schedule = new OneCycleLR(optimizer, 0.5, { totalSteps: 10 });
  const loss = new CrossEntropyLoss({ labelSmoothing: 0.1 });
  const [losses, norms]: [number[], number[]] = [[], []];
  for (let step = 0; step < 10; step++) {
    optimizer.zeroGrad();
    const value = loss(net(x), y);
    value.backward();
    norms.push(clipGradNorm(net.parameters(), 2).item());
    optimizer.step();
    schedule.step();
    losses.push(value.item());
  }
  expectClose(losses, expected.losses, tolerance, tolerance, 'losses');
  expectClose(norms, expected.norms, 10 * tolerance, 10 * tolerance, 'norms');
  net.eval();
  const final = noGrad(() => loss(net(x), y).item());
  expectClose([final], [expected.evaluation], 10 * tolerance, tolerance, 'evaluation');
  expectClose(last.runningVar!, expected.runningVar, 10 * tolerance, tolerance, 'running variance');
  expect(bn.numBatchesTracked!.item()).toBe(expected.seen);
});
