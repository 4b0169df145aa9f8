// A pretrained network A, frozen by requiresGrad_(false), feeds a trainable network B on data from another domain. A's
// weights stay, but its batch norm goes on following the new data, so A is no longer the network that was pretrained.
// freezeBatchNorm repairs it.
import assert from 'node:assert/strict';
import { manualSeed, noGrad, randint, randn, type Tensor } from 'evenkeel';
import * as nn from 'evenkeel/nn';
import { SGD } from 'evenkeel/optim';

function pretrained(): nn.Sequential {
  manualSeed(0);
  const a = new nn.Sequential(new nn.Conv2d(1, 4, 3), new nn.BatchNorm2d(4), new nn.ReLU());
  for (let i = 0; i < 100; i++) a(randn([16, 1, 8, 8]));
  return a;
}
const probe = randn([8, 1, 8, 8]);
/** What A says about fixed inputs in evaluation mode. */
const outputOf = (a: nn.Sequential): Tensor => {
  a.eval();
  const y = noGrad(() => a(probe));
  a.train();
  return y;
};

function trainBehind(a: nn.Sequential): number {
  a.requiresGrad_(false);
  const b = new nn.Sequential(new nn.AdaptiveAvgPool2d(1), new nn.Flatten(), new nn.Linear(4, 2));
  const model = new nn.Sequential(a, b).train();
  const optimizer = new SGD(b.parameters(), { lr: 0.1 });
  const before = outputOf(a);
  for (let i = 0; i < 50; i++) {
    const [x, y] = [randn([16, 1, 8, 8]).mul(3).add(2), randint(0, 2, [16])]; // the other domain
    optimizer.zeroGrad();
    nn.functional.crossEntropy(model(x), y).backward();
    optimizer.step();
  }
  return outputOf(a).sub(before).abs().max().item() as number;
}

// The library warns here, once per layer: every parameter is frozen, but the statistics move.
const drift = trainBehind(pretrained());
console.log(`requiresGrad_(false) alone: A's outputs moved by ${drift.toFixed(3)}`);

const a = pretrained();
console.log(`freezeBatchNorm(a) froze: ${nn.freezeBatchNorm(a).join(', ')}`);
const repaired = trainBehind(a);
console.log(`with freezeBatchNorm: moved by ${repaired}`);
console.log(String(a));

assert(drift > 0.1);
assert.equal(repaired, 0);
