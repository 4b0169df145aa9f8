// MNIST, PyTorch's first example (pytorch/examples/mnist): two convolutions, dropout, Adadelta, a rate that falls by
// 0.7 after each epoch. Here with a part of the digits.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { manualSeed, noGrad, type Tensor } from 'evenkeel';
import { DataLoader, TensorDataset } from 'evenkeel/data';
import * as nn from 'evenkeel/nn';
import { Adadelta, type Optimizer, StepLR } from 'evenkeel/optim';
import { digits } from './data/images.ts';

const F = nn.functional;

export class Net extends nn.Module {
  conv1 = new nn.Conv2d(1, 32, 3);
  conv2 = new nn.Conv2d(32, 64, 3);
  dropout1 = new nn.Dropout(0.25);
  dropout2 = new nn.Dropout(0.5);
  fc1 = new nn.Linear(9216, 128);
  fc2 = new nn.Linear(128, 10);

  forward(x: Tensor): Tensor {
    let y = this.conv1(x).relu();
    y = this.conv2(y).relu();
    y = this.dropout1(F.maxPool2d(y, 2)).flatten(1);
    y = this.dropout2(this.fc1(y).relu());
    return this.fc2(y).logSoftmax(1);
  }
}

export function trainStep(model: Net, optimizer: Optimizer, images: Tensor, labels: Tensor): Tensor {
  optimizer.zeroGrad();
  const loss = F.nllLoss(model(images), labels);
  loss.backward();
  optimizer.step();
  return loss;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  manualSeed(1);
  const model = new Net();
  const optimizer = new Adadelta(model.parameters(), { lr: 1 });
  const scheduler = new StepLR(optimizer, 1, { gamma: 0.7 });
  const loader = new DataLoader(new TensorDataset(...digits(1024)), { batchSize: 64, shuffle: true });
  const [images, labels] = digits(500, 'test');

  let correct = 0;
  for (let epoch = 1; epoch <= 2; epoch++) {
    model.train();
    for (const [x, y] of loader) trainStep(model, optimizer, x, y);
    scheduler.step();
    model.eval();
    correct = noGrad(() => model(images).argmax(1).eq(labels).sum().item());
    console.log(`epoch ${epoch}: ${correct} of 500 digits are recognized`);
  }
  assert(correct > 350);
}
