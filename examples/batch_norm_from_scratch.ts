// Batch norm written by hand, with running buffers of its own and the gradient mode as the switch between batch and
// running statistics, trained beside the built-in layer on the same data from the same weights: the same loss, step by
// step.
import assert from 'node:assert/strict';
import { isGradEnabled, manualSeed, noGrad, ones, randint, randn, type Tensor, zeros } from 'evenkeel';
import * as nn from 'evenkeel/nn';
import { SGD } from 'evenkeel/optim';

/** x (N, C, H, W), normalized per channel; the running statistics are moved in place. */
function batchNorm(x: Tensor, weight: Tensor, bias: Tensor, runningMean: Tensor, runningVar: Tensor, momentum: number) {
  const perChannel = (t: Tensor) => t.reshape([1, -1, 1, 1]);
  const eps = 1e-5;
  if (!isGradEnabled()) {
    // Prediction: the statistics that training has collected.
    const normal = x.sub(perChannel(runningMean)).div(perChannel(runningVar).add(eps).sqrt());
    return normal.mul(perChannel(weight)).add(perChannel(bias));
  }
  const mean = x.mean([0, 2, 3]);
  const centred = x.sub(perChannel(mean));
  const variance = centred.square().mean([0, 2, 3]);
  const normal = centred.div(perChannel(variance).add(eps).sqrt());
  noGrad(() => {
    const count = x.size / x.shape[1];
    runningMean.mul_(1 - momentum).add_(mean.mul(momentum));
    runningVar.mul_(1 - momentum).add_(variance.mul((momentum * count) / (count - 1)));
  });
  return normal.mul(perChannel(weight)).add(perChannel(bias));
}

class OwnBatchNorm extends nn.Module {
  weight: nn.Parameter;
  bias: nn.Parameter;
  declare runningMean: Tensor;
  declare runningVar: Tensor;

  constructor(channels: number) {
    super();
    this.weight = new nn.Parameter(ones([channels]));
    this.bias = new nn.Parameter(zeros([channels]));
    this.registerBuffer('runningMean', zeros([channels]));
    this.registerBuffer('runningVar', ones([channels]));
  }

  forward(x: Tensor): Tensor {
    return batchNorm(x, this.weight, this.bias, this.runningMean, this.runningVar, 0.1);
  }
}

function net(norm: nn.Module): nn.Sequential {
  manualSeed(0);
  return new nn.Sequential(
    new nn.Conv2d(1, 8, 3),
    norm,
    new nn.ReLU(),
    new nn.AdaptiveAvgPool2d(2),
    new nn.Flatten(),
    new nn.Linear(32, 10),
  );
}
const own = new OwnBatchNorm(8);
const builtIn = new nn.BatchNorm2d(8);
const contenders = [net(own), net(builtIn)].map((model) => ({
  model,
  optimizer: new SGD(model.parameters(), { lr: 0.1 }),
}));

manualSeed(1);
const [images, labels] = [randn([64, 1, 12, 12]), randint(0, 10, [64])];
console.log('step  by hand   built in');
for (let step = 1; step <= 30; step++) {
  const [a, b] = contenders.map(({ model, optimizer }) => {
    optimizer.zeroGrad();
    const loss = nn.functional.crossEntropy(model(images), labels);
    loss.backward();
    optimizer.step();
    return loss.item() as number;
  });
  if (step % 10 === 0) console.log(`${String(step).padStart(4)}  ${a.toFixed(6)}  ${b.toFixed(6)}`);
  // float32 roundings of two ways to compute the same.
  assert(Math.abs(a - b) < 1e-4, `step ${step}: ${a} and ${b}`);
}

const gap = own.runningVar
  .sub(builtIn.runningVar as Tensor)
  .abs()
  .max()
  .item() as number;
console.log(`largest difference of the running variances: ${gap.toExponential(1)}`);
assert(gap < 1e-5);
