// Fine-tuning as it is mostly done: a network that knows digits learns clothes. Batch norm is frozen, early layers move
// less than late ones, the rate makes one cycle, targets are smoothed, images and labels mixed up, and what is kept is
// the moving average of the weights.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { manualSeed, noGrad, rand, randperm, type Tensor } from 'evenkeel';
import { DataLoader, TensorDataset } from 'evenkeel/data';
import * as nn from 'evenkeel/nn';
import { AdamW, OneCycleLR, SGD } from 'evenkeel/optim';
import { clothes, digits } from './data/images.ts';

const { crossEntropy } = nn.functional;

const stage = (inChannels: number, outChannels: number) =>
  new nn.Sequential(
    new nn.Conv2d(inChannels, outChannels, 3, { stride: 2, padding: 1, bias: false }),
    new nn.BatchNorm2d(outChannels),
    new nn.ReLU(),
  );

export class Net extends nn.Module {
  stem = stage(1, 16);
  body = new nn.Sequential(stage(16, 32), stage(32, 64));
  head = new nn.Linear(64, 10);

  forward(x: Tensor): Tensor {
    return this.head(this.body(this.stem(x)).mean([2, 3]));
  }
}

/** Everything of a run beside the data. */
export class FineTuning {
  readonly model: Net;
  readonly optimizer: AdamW;
  readonly scheduler: OneCycleLR;
  readonly average: nn.AveragedModel;

  constructor(model: Net, totalSteps: number) {
    this.model = model;
    nn.freezeBatchNorm(model);
    const groups = [model.stem, model.body, model.head].map((part) => ({
      params: part.parameters().filter((parameter) => parameter.requiresGrad),
    }));
    this.optimizer = new AdamW(groups, { weightDecay: 0.01 });
    this.scheduler = new OneCycleLR(this.optimizer, [1e-3, 3e-3, 1e-2], { totalSteps });
    this.average = new nn.AveragedModel(model, { decay: 0.9 });
  }

  trainStep(images: Tensor, labels: Tensor): Tensor {
    const { model, optimizer, scheduler, average } = this;
    // Mixup (Zhang et al. 2018) with Beta(1, 1), which is uniform.
    const share = rand([1]).item();
    const other = randperm(labels.shape[0]!);
    const mixed = images.mul(share).add(images.index(other).mul(1 - share));
    const lossFor = (output: Tensor, target: Tensor) => crossEntropy(output, target, { labelSmoothing: 0.1 });

    optimizer.zeroGrad();
    const output = model(mixed);
    const loss = lossFor(output, labels)
      .mul(share)
      .add(lossFor(output, labels.index(other)).mul(1 - share));
    loss.backward();
    optimizer.step();
    scheduler.step();
    average.updateParameters(model);
    return loss;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  manualSeed(0);
  const model = new Net();
  const pretraining = new SGD(model.parameters(), { lr: 0.1, momentum: 0.9 });
  for (const [images, labels] of new DataLoader(new TensorDataset(...digits(2048)), { batchSize: 64, shuffle: true })) {
    pretraining.zeroGrad();
    crossEntropy(model(images), labels).backward();
    pretraining.step();
  }
  const statistics = model.stem.stateDict().get('1.running_mean')!.toArray();
  model.head = new nn.Linear(64, 10);

  const loader = new DataLoader(new TensorDataset(...clothes(2048)), { batchSize: 64, shuffle: true });
  const run = new FineTuning(model, 4 * loader.length);
  for (let epoch = 1; epoch <= 4; epoch++) for (const [images, labels] of loader) run.trainStep(images, labels);

  const [images, labels] = clothes(500, 'test');
  run.average.eval();
  const correct = noGrad(() => run.average(images).argmax(1).eq(labels).sum().item());
  console.log(`${correct} of 500 pieces of clothing are recognized`);
  assert(correct > 300);
  assert.deepEqual(model.stem.stateDict().get('1.running_mean')!.toArray(), statistics);
}
