// The smaller the batch, the noisier the statistics a network is trained with, and the further they are from the
// running ones it is evaluated with. Group norm, which knows no batch, has no such gap.
import assert from 'node:assert/strict';
import { manualSeed, noGrad, randint, randn, type Tensor } from 'evenkeel';
import * as nn from 'evenkeel/nn';
import { SGD } from 'evenkeel/optim';

manualSeed(0);
const samples = 256;
const labels = randint(0, 4, [samples]);
const prototypes = randn([4, 1, 8, 8]);
const images = prototypes.indexSelect(0, labels).add(randn([samples, 1, 8, 8]).mul(1.5));

/** Trains with batches of `size`; the loss of the same batches by batch and by running statistics. */
function gap(norm: () => nn.Module, size: number): [train: number, evaluated: number] {
  manualSeed(1);
  const model = new nn.Sequential(
    new nn.Conv2d(1, 8, 3),
    norm(),
    new nn.ReLU(),
    new nn.AdaptiveAvgPool2d(2),
    new nn.Flatten(),
    new nn.Linear(32, 4),
  );
  const optimizer = new SGD(model.parameters(), { lr: 0.05 });
  const batches = Array.from({ length: samples / size }, (_, i): [Tensor, Tensor] => [
    images.narrow(0, i * size, size),
    labels.narrow(0, i * size, size),
  ]);
  for (let epoch = 0; epoch < 3; epoch++)
    for (const [x, y] of batches) {
      optimizer.zeroGrad();
      nn.functional.crossEntropy(model(x), y).backward();
      optimizer.step();
    }
  const average = () =>
    noGrad(() =>
      batches
        .map(([x, y]) => nn.functional.crossEntropy(model(x), y).item() as number)
        .reduce((a, b) => a + b / batches.length, 0),
    );
  const train = nn.withStatistics(model, 'batch', average);
  model.eval();
  return [train, average()];
}

console.log('batch size   loss by batch   by running statistics   gap');
const gaps = [2, 4, 16, 64].map((size) => {
  const [train, evaluated] = gap(() => new nn.BatchNorm2d(8), size);
  console.log(
    `${String(size).padStart(10)} ${train.toFixed(4).padStart(15)} ${evaluated.toFixed(4).padStart(23)} ${Math.abs(
      evaluated - train,
    )
      .toFixed(4)
      .padStart(8)}`,
  );
  return Math.abs(evaluated - train);
});
const [train, evaluated] = gap(() => new nn.GroupNorm(2, 8), 2);
console.log(`group norm, batches of 2: ${train.toFixed(4)} and ${evaluated.toFixed(4)}`);

assert(gaps[0] > gaps[3], 'batches of 2 must have a larger gap than batches of 64');
assert.equal(train, evaluated);
