// An LSTM reads a digit row by row: each of the 28 rows is one step of a sequence.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { manualSeed, noGrad, type Tensor } from 'evenkeel';
import { DataLoader, TensorDataset } from 'evenkeel/data';
import * as nn from 'evenkeel/nn';
import { Adam, clipGradNorm, type Optimizer } from 'evenkeel/optim';
import { digits } from './data/images.ts';

export class RowReader extends nn.Module {
  lstm: nn.LSTM;
  fc: nn.Linear;

  constructor(hidden: number, layers: number) {
    super();
    this.lstm = new nn.LSTM(28, hidden, { numLayers: layers, batchFirst: true, dropout: 0.1 });
    this.fc = new nn.Linear(hidden, 10);
  }

  forward(images: Tensor): Tensor {
    const [output] = this.lstm(images.squeeze(1));
    return this.fc(output.index(':', -1));
  }
}

export function trainStep(model: RowReader, optimizer: Optimizer, images: Tensor, labels: Tensor): Tensor {
  optimizer.zeroGrad();
  const loss = nn.functional.crossEntropy(model(images), labels);
  loss.backward();
  clipGradNorm(model.parameters(), 1);
  optimizer.step();
  return loss;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  manualSeed(0);
  const model = new RowReader(64, 2);
  const optimizer = new Adam(model.parameters(), { lr: 3e-3 });
  const loader = new DataLoader(new TensorDataset(...digits(4096)), { batchSize: 64, shuffle: true });
  for (let epoch = 1; epoch <= 2; epoch++) for (const [x, y] of loader) trainStep(model, optimizer, x, y);
  model.eval();
  const [images, labels] = digits(500, 'test');
  const correct = noGrad(() => model(images).argmax(1).eq(labels).sum().item());
  console.log(`${correct} of 500 digits are recognized`);
  assert(correct > 350);
}
