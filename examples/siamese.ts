// Siamese network with contrastive loss (Hadsell et al. 2006): one network sees both images of a pair; codes of equal
// digits move together, codes of different ones apart.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { manualSeed, noGrad, randperm, type Tensor } from 'evenkeel';
import { DataLoader, TensorDataset } from 'evenkeel/data';
import * as nn from 'evenkeel/nn';
import { Adam, type Optimizer } from 'evenkeel/optim';
import { digits } from './data/images.ts';

const F = nn.functional;

export class Siamese extends nn.Module {
  features = new nn.Sequential(
    new nn.Conv2d(1, 16, 5),
    new nn.BatchNorm2d(16),
    new nn.PReLU(),
    new nn.MaxPool2d(2),
    new nn.Conv2d(16, 32, 5),
    new nn.BatchNorm2d(32),
    new nn.PReLU(),
    new nn.MaxPool2d(2),
    new nn.Flatten(),
    new nn.Linear(512, 64),
    new nn.PReLU(),
    new nn.Linear(64, 8),
  );

  forward(a: Tensor, b: Tensor): [codeA: Tensor, codeB: Tensor] {
    return [this.features(a), this.features(b)];
  }
}

/** d² of pairs that are the same, max(0, margin − d)² of others; their mean, halved. */
export function contrastiveLoss(a: Tensor, b: Tensor, isSame: Tensor, margin = 1): Tensor {
  const distance = F.pairwiseDistance(a, b);
  const together = isSame.mul(distance.square());
  const apart = isSame.rsub(1).mul(distance.rsub(margin).relu().square());
  return together.add(apart).mean().mul(0.5);
}

export function trainStep(model: Siamese, optimizer: Optimizer, a: Tensor, b: Tensor, isSame: Tensor): Tensor {
  optimizer.zeroGrad();
  const loss = contrastiveLoss(...model(a, b), isSame);
  loss.backward();
  optimizer.step();
  return loss;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  manualSeed(0);
  const model = new Siamese();
  const optimizer = new Adam(model.parameters(), { lr: 1e-3 });
  const loader = new DataLoader(new TensorDataset(...digits(1024)), { batchSize: 128, shuffle: true });
  for (let epoch = 1; epoch <= 4; epoch++)
    for (const [images, labels] of loader) {
      const other = randperm(labels.shape[0]!);
      const isSame = labels.eq(labels.index(other)).to('float32');
      trainStep(model, optimizer, images, images.index(other), isSame);
    }
  model.eval();
  const [images, labels] = digits(200, 'test');
  const [a, b] = noGrad(() => model(images.index('0:100'), images.index('100:200')));
  const distance = F.pairwiseDistance(a, b);
  const isSame = labels.index('0:100').eq(labels.index('100:200'));
  const [same, different] = [isSame, isSame.logicalNot()].map((mask) => distance.index(mask).mean().item()) as [
    number,
    number,
  ];
  console.log(`mean distance of equal digits ${same.toFixed(2)}, of different ones ${different.toFixed(2)}`);
  assert(same < 0.7 * different);
}
