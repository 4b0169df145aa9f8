// A small vision transformer (Dosovitskiy et al. 2021): patches of a digit become tokens, and one token more gathers
// what is said about the class.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { cat, manualSeed, noGrad, type Tensor, zeros } from 'evenkeel';
import { DataLoader, TensorDataset } from 'evenkeel/data';
import * as nn from 'evenkeel/nn';
import { AdamW, CosineAnnealingLR, type Optimizer } from 'evenkeel/optim';
import { digits } from './data/images.ts';

export class VisionTransformer extends nn.Module {
  patches: nn.Conv2d;
  classToken: nn.Parameter;
  positions: nn.Parameter;
  encoder: nn.TransformerEncoder;
  norm: nn.LayerNorm;
  head: nn.Linear;

  constructor({ patch = 7, width = 64, depth = 3, heads = 4, dropout = 0.1 } = {}) {
    super();
    this.patches = new nn.Conv2d(1, width, patch, { stride: patch });
    this.classToken = new nn.Parameter(zeros([1, 1, width]));
    this.positions = new nn.Parameter(zeros([1, (28 / patch) ** 2 + 1, width]));
    nn.init.truncNormal_(this.positions, 0, 0.02);
    const layer = new nn.TransformerEncoderLayer(width, heads, {
      dimFeedforward: width * 2,
      dropout,
      activation: 'gelu',
      batchFirst: true,
      normFirst: true,
    });
    this.encoder = new nn.TransformerEncoder(layer, depth);
    this.norm = new nn.LayerNorm(width);
    this.head = new nn.Linear(width, 10);
  }

  forward(images: Tensor): Tensor {
    const tokens = this.patches(images).flatten(2).transpose(1, 2);
    const first = this.classToken.expand(images.shape[0]!, -1, -1);
    const encoded = this.encoder(cat([first, tokens], 1).add(this.positions));
    return this.head(this.norm(encoded.index(':', 0)));
  }
}

export function trainStep(model: VisionTransformer, optimizer: Optimizer, images: Tensor, labels: Tensor): Tensor {
  optimizer.zeroGrad();
  const loss = nn.functional.crossEntropy(model(images), labels);
  loss.backward();
  optimizer.step();
  return loss;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  manualSeed(0);
  const model = new VisionTransformer();
  const optimizer = new AdamW(model.parameters(), { lr: 2e-3, weightDecay: 0.05 });
  const loader = new DataLoader(new TensorDataset(...digits(4096)), { batchSize: 64, shuffle: true });
  const scheduler = new CosineAnnealingLR(optimizer, 3);
  for (let epoch = 1; epoch <= 3; epoch++) {
    for (const [x, y] of loader) trainStep(model, optimizer, x, y);
    scheduler.step();
  }
  model.eval();
  const [images, labels] = digits(500, 'test');
  const correct = noGrad(() => model(images).argmax(1).eq(labels).sum().item());
  console.log(`${correct} of 500 digits are recognized`);
  assert(correct > 350);
}
