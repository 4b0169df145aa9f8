// Metric learning with batch-hard triplets (Hermans et al. 2017): each image is drawn to the farthest one of its class
// in the batch, and driven from the nearest one of another. Clothes are then recognized by their nearest neighbours.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { manualSeed, noGrad, type Tensor } from 'evenkeel';
import { DataLoader, TensorDataset } from 'evenkeel/data';
import * as nn from 'evenkeel/nn';
import { Adam, type Optimizer } from 'evenkeel/optim';
import { clothes } from './data/images.ts';

const F = nn.functional;

/** Images (N, 1, 28, 28) to points (N, 32) of the unit sphere. */
export class Embedding extends nn.Module {
  features = new nn.Sequential(
    new nn.Conv2d(1, 16, 3, { stride: 2, padding: 1 }),
    new nn.GroupNorm(4, 16),
    new nn.SiLU(),
    new nn.Conv2d(16, 32, 3, { stride: 2, padding: 1 }),
    new nn.GroupNorm(4, 32),
    new nn.SiLU(),
    new nn.Flatten(),
    new nn.Linear(32 * 7 * 7, 32),
  );

  forward(x: Tensor): Tensor {
    return F.normalize(this.features(x));
  }
}

/** Squared distances of each point of a (N, D) to each of b (M, D): (N, M). */
export const squaredDistances = (a: Tensor, b: Tensor): Tensor => a.unsqueeze(1).sub(b).square().sum(2);

export function batchHardLoss(points: Tensor, labels: Tensor, margin = 0.2): Tensor {
  const distances = squaredDistances(points, points);
  const isSame = labels.unsqueeze(1).eq(labels);
  const farthest = distances.maskedFill(isSame.logicalNot(), 0).amax(1);
  const nearest = distances.maskedFill(isSame, Infinity).amin(1);
  return farthest.sub(nearest).add(margin).relu().mean();
}

export function trainStep(model: Embedding, optimizer: Optimizer, images: Tensor, labels: Tensor): Tensor {
  optimizer.zeroGrad();
  const loss = batchHardLoss(model(images), labels);
  loss.backward();
  optimizer.step();
  return loss;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  manualSeed(0);
  const model = new Embedding();
  const optimizer = new Adam(model.parameters(), { lr: 1e-3 });
  const [images, labels] = clothes(2048);
  const loader = new DataLoader(new TensorDataset(images, labels), { batchSize: 128, shuffle: true });
  for (let epoch = 1; epoch <= 5; epoch++) for (const [x, y] of loader) trainStep(model, optimizer, x, y);

  model.eval();
  const [queries, truth] = clothes(200, 'test');
  const nearest = noGrad(() => squaredDistances(model(queries), model(images)).topk(5, 1, { largest: false }).indices);
  const correct = labels.index(nearest).mode(1).values.eq(truth).sum().item();
  console.log(`${correct} of 200 pieces of clothing have the class of most of their five nearest neighbours`);
  assert(correct > 120);
}
