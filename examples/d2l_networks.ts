// ResNet and DenseNet as "Dive into Deep Learning" builds them (chapters 8.6 and 8.7), with lazy layers, whose number
// of input channels shows when the first batch comes; trained by `fit` on Fashion-MNIST.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { cat, manualSeed, type Tensor } from 'evenkeel';
import { DataLoader, TensorDataset } from 'evenkeel/data';
import * as nn from 'evenkeel/nn';
import { type Optimizer, SGD } from 'evenkeel/optim';
import { accuracy, evaluate, fit } from 'evenkeel/train';
import { clothes } from './data/images.ts';

const { crossEntropy } = nn.functional;

/** Chapter 8.6. */
class Residual extends nn.Module {
  conv1: nn.Conv2d;
  conv2: nn.Conv2d;
  conv3: nn.Conv2d | null;
  bn1 = new nn.LazyBatchNorm2d();
  bn2 = new nn.LazyBatchNorm2d();

  constructor(channels: number, { useConv = false, stride = 1 } = {}) {
    super();
    this.conv1 = new nn.LazyConv2d(channels, 3, { padding: 1, stride });
    this.conv2 = new nn.LazyConv2d(channels, 3, { padding: 1 });
    this.conv3 = useConv ? new nn.LazyConv2d(channels, 1, { stride }) : null;
  }

  forward(x: Tensor): Tensor {
    const y = this.bn2(this.conv2(this.bn1(this.conv1(x)).relu()));
    return y.add(this.conv3 ? this.conv3(x) : x).relu();
  }
}

const stem = (channels: number) =>
  new nn.Sequential(
    new nn.LazyConv2d(channels, 7, { stride: 2, padding: 3 }),
    new nn.LazyBatchNorm2d(),
    new nn.ReLU(),
    new nn.MaxPool2d(3, { stride: 2, padding: 1 }),
  );

/** `stages`: how many blocks of how many channels. */
export function makeResnet(
  stages: readonly (readonly [blocks: number, channels: number])[],
  classes = 10,
): nn.Sequential {
  const body = stages.map(([blocks, channels], stage) => {
    const residuals = Array.from({ length: blocks }, (_, i) =>
      i === 0 && stage > 0 ? new Residual(channels, { useConv: true, stride: 2 }) : new Residual(channels),
    );
    return new nn.Sequential(...residuals);
  });
  const head = new nn.Sequential(new nn.AdaptiveAvgPool2d(1), new nn.Flatten(), new nn.LazyLinear(classes));
  return new nn.Sequential(stem(stages[0]![1]), ...body, head);
}

/** Chapter 8.7. */
const convBlock = (channels: number) =>
  new nn.Sequential(new nn.LazyBatchNorm2d(), new nn.ReLU(), new nn.LazyConv2d(channels, 3, { padding: 1 }));

class DenseBlock extends nn.Module {
  net: nn.Sequential;

  constructor(convolutions: number, growth: number) {
    super();
    this.net = new nn.Sequential(...Array.from({ length: convolutions }, () => convBlock(growth)));
  }

  forward(x: Tensor): Tensor {
    let y = x;
    for (const block of this.net) y = cat([y, (block as nn.Sequential)(y)], 1);
    return y;
  }
}

const transition = (channels: number) =>
  new nn.Sequential(
    new nn.LazyBatchNorm2d(),
    new nn.ReLU(),
    new nn.LazyConv2d(channels, 1),
    new nn.AvgPool2d(2, { stride: 2 }),
  );

export function makeDensenet(channels: number, growth: number, blocks: readonly number[], classes = 10): nn.Sequential {
  const body: nn.Module[] = [];
  let now = channels;
  for (const [i, convolutions] of blocks.entries()) {
    if (i > 0) {
      now = Math.floor(now / 2);
      body.push(transition(now));
    }
    body.push(new DenseBlock(convolutions, growth));
    now += convolutions * growth;
  }
  return new nn.Sequential(
    stem(channels),
    ...body,
    new nn.LazyBatchNorm2d(),
    new nn.ReLU(),
    new nn.AdaptiveAvgPool2d(1),
    new nn.Flatten(),
    new nn.LazyLinear(classes),
  );
}

/** A first batch tells lazy layers their sizes; then they can be given initial values. */
export function initialize(net: nn.Sequential, images: Tensor): void {
  net(images);
  net.apply((module) => {
    if (module instanceof nn.Linear || module instanceof nn.Conv2d) nn.init.xavierUniform_(module.weight);
  });
}

export function trainStep(net: nn.Sequential, optimizer: Optimizer, images: Tensor, labels: Tensor): Tensor {
  optimizer.zeroGrad();
  const loss = crossEntropy(net(images), labels);
  loss.backward();
  optimizer.step();
  return loss;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const loader = new DataLoader(new TensorDataset(...clothes(1024)), { batchSize: 64, shuffle: true });
  const held = new DataLoader(new TensorDataset(...clothes(500, 'test')), { batchSize: 100 });
  for (const [name, make] of [
    [
      'ResNet',
      () =>
        makeResnet([
          [1, 16],
          [1, 32],
          [1, 64],
        ]),
    ],
    ['DenseNet', () => makeDensenet(16, 8, [3, 3, 3])],
  ] as const) {
    manualSeed(0);
    const net = make();
    initialize(net, clothes(2)[0]);
    const optimizer = new SGD(net.parameters(), { lr: 0.1 });
    await fit(net, { loader, loss: crossEntropy, optimizer, epochs: 3 });
    const { accuracy: share } = await evaluate(net, held, { metrics: { accuracy } });
    console.log(`${name}: ${(100 * share!).toFixed(1)} % of the clothes are recognized`);
    assert(share! > 0.4);
  }
}
