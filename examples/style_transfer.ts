// Fast style transfer (Johnson et al. 2016; pytorch/examples/fast_neural_style): a network repaints images in one pass.
// It is judged by another, frozen one: the same content in a deep layer, the same correlations between channels (Gram
// matrices) as the style's image in all of them. There that is VGG-16 with ImageNet's weights, in
// `vgg16({ weights: 'vgg16.pth' }).features`; here, to run without a download, a small one with random weights.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { linspace, manualSeed, noGrad, type Tensor } from 'evenkeel';
import { DataLoader, TensorDataset } from 'evenkeel/data';
import * as nn from 'evenkeel/nn';
import { Adam, type Optimizer } from 'evenkeel/optim';
import { clothes } from './data/images.ts';

const F = nn.functional;

const padded = (inChannels: number, outChannels: number, size: number, stride = 1) =>
  new nn.Sequential(
    new nn.ReflectionPad2d(Math.floor(size / 2)),
    new nn.Conv2d(inChannels, outChannels, size, { stride }),
  );
const norm = (channels: number) => new nn.InstanceNorm2d(channels, { affine: true });

class ResidualBlock extends nn.Module {
  body: nn.Sequential;

  constructor(channels: number) {
    super();
    this.body = new nn.Sequential(
      padded(channels, channels, 3),
      norm(channels),
      new nn.ReLU(),
      padded(channels, channels, 3),
      norm(channels),
    );
  }

  forward(x: Tensor): Tensor {
    return this.body(x).add(x);
  }
}

/** Images (N, 3, H, W) to images of the same size, where H and W are multiples of 4. */
export const makePainter = (width: number, blocks: number) =>
  new nn.Sequential(
    padded(3, width, 9),
    norm(width),
    new nn.ReLU(),
    padded(width, width * 2, 3, 2),
    norm(width * 2),
    new nn.ReLU(),
    padded(width * 2, width * 4, 3, 2),
    norm(width * 4),
    new nn.ReLU(),
    ...Array.from({ length: blocks }, () => new ResidualBlock(width * 4)),
    new nn.Upsample({ scaleFactor: 2, mode: 'nearest' }),
    padded(width * 4, width * 2, 3),
    norm(width * 2),
    new nn.ReLU(),
    new nn.Upsample({ scaleFactor: 2, mode: 'nearest' }),
    padded(width * 2, width, 3),
    norm(width),
    new nn.ReLU(),
    padded(width, 3, 9),
  );

/** The activations of three layers. */
export class LossNetwork extends nn.Module {
  layers: nn.ModuleList;

  constructor(width: number) {
    super();
    const sizes = [3, width, width * 2, width * 4];
    this.layers = new nn.ModuleList(
      [0, 1, 2].map((i) => {
        const conv = new nn.Conv2d(sizes[i]!, sizes[i + 1]!, 3, { padding: 1, stride: i > 0 ? 2 : 1 });
        return new nn.Sequential(conv, new nn.ReLU());
      }),
    );
    this.requiresGrad_(false);
  }

  forward(x: Tensor): Tensor[] {
    const found: Tensor[] = [];
    for (const layer of this.layers) found.push((layer as nn.Sequential)(found.at(-1) ?? x));
    return found;
  }
}

/** How channels go together: (N, C, H, W) to (N, C, C). */
export function gram(features: Tensor): Tensor {
  const [n, c, h, w] = features.shape as [number, number, number, number];
  const rows = features.view(n, c, h * w);
  return rows.bmm(rows.mT).div(c * h * w);
}

export function trainStep(
  painter: nn.Sequential,
  judge: LossNetwork,
  optimizer: Optimizer,
  images: Tensor,
  styleGrams: readonly Tensor[],
): Tensor {
  optimizer.zeroGrad();
  const painted = judge(painter(images));
  const original = judge(images);
  const content = F.mseLoss(painted[1]!, original[1]!);
  const style = painted.map((features, i) => {
    const own = gram(features);
    return F.mseLoss(own, styleGrams[i]!.expand(own.shape));
  });
  const loss = style
    .reduce((sum, part) => sum.add(part))
    .mul(1e4)
    .add(content);
  loss.backward();
  optimizer.step();
  return loss;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  manualSeed(42);
  const painter = makePainter(8, 2);
  const judge = new LossNetwork(8);
  const optimizer = new Adam(painter.parameters(), { lr: 1e-3 });
  // The style: slanted stripes of two colours.
  const across = linspace(0, 40, 28);
  const stripes = across.view(28, 1).add(across).sin().mul(0.5).add(0.5);
  const style = noGrad(() => judge(stripes.mul(linspace(1, 0.2, 3).view(3, 1, 1)).unsqueeze(0)).map(gram));

  const images = clothes(320)[0].repeat([1, 3, 1, 1]);
  const losses: number[] = [];
  for (let epoch = 1; epoch <= 2; epoch++)
    for (const [batch] of new DataLoader(new TensorDataset(images), { batchSize: 16, shuffle: true }))
      losses.push(trainStep(painter, judge, optimizer, batch, style).item());
  console.log(`loss ${losses[0]!.toFixed(3)}, after ${losses.length} steps ${losses.at(-1)!.toFixed(3)}`);
  assert(losses.at(-1)! < 0.5 * losses[0]!);
}
