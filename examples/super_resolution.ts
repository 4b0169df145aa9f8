// Super-resolution by sub-pixel convolution (Shi et al. 2016; pytorch/examples/super_resolution): all work is done at
// the small size; the last convolution gives r² channels, which pixelShuffle lays out as pixels.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { manualSeed, noGrad, type Tensor } from 'evenkeel';
import { DataLoader, TensorDataset } from 'evenkeel/data';
import * as nn from 'evenkeel/nn';
import { Adam, type Optimizer } from 'evenkeel/optim';
import { clothes } from './data/images.ts';

const F = nn.functional;

export class SuperResolution extends nn.Module {
  conv1 = new nn.Conv2d(1, 64, 5, { padding: 2 });
  conv2 = new nn.Conv2d(64, 64, 3, { padding: 1 });
  conv3 = new nn.Conv2d(64, 32, 3, { padding: 1 });
  conv4: nn.Conv2d;
  pixelShuffle: nn.PixelShuffle;

  constructor(factor: number) {
    super();
    this.conv4 = new nn.Conv2d(32, factor ** 2, 3, { padding: 1 });
    this.pixelShuffle = new nn.PixelShuffle(factor);
    this.initializeWeights();
  }

  initializeWeights(): void {
    const gain = nn.init.calculateGain('relu');
    for (const conv of [this.conv1, this.conv2, this.conv3]) nn.init.orthogonal_(conv.weight, { gain });
    nn.init.orthogonal_(this.conv4.weight);
  }

  forward(x: Tensor): Tensor {
    const y = this.conv3(this.conv2(this.conv1(x).relu()).relu()).relu();
    return this.pixelShuffle(this.conv4(y));
  }
}

export function trainStep(model: SuperResolution, optimizer: Optimizer, small: Tensor, large: Tensor): Tensor {
  optimizer.zeroGrad();
  const loss = F.mseLoss(model(small), large);
  loss.backward();
  optimizer.step();
  return loss;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const decibels = (error: Tensor) => 10 * Math.log10(1 / error.item());
  const half = (images: Tensor) => F.interpolate(images, { scaleFactor: 0.5, mode: 'bilinear', antialias: true });

  manualSeed(123);
  const model = new SuperResolution(2);
  const optimizer = new Adam(model.parameters(), { lr: 1e-3 });
  const loader = new DataLoader(new TensorDataset(clothes(640)[0]), { batchSize: 16, shuffle: true });
  for (let epoch = 1; epoch <= 2; epoch++)
    for (const [images] of loader) trainStep(model, optimizer, half(images), images);

  model.eval();
  const [images] = clothes(100, 'test');
  const learned = noGrad(() => decibels(F.mseLoss(model(half(images)), images)));
  const bicubic = decibels(F.mseLoss(F.interpolate(half(images), { scaleFactor: 2, mode: 'bicubic' }), images));
  console.log(`peak signal to noise: bicubic ${bicubic.toFixed(2)} dB, learned ${learned.toFixed(2)} dB`);
  assert(learned > bicubic);
}
