// U-Net (Ronneberger et al. 2015) with cross-entropy of each pixel and Dice: finds the strokes of a digit under noise.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { cat, manualSeed, noGrad, randn, type Tensor } from 'evenkeel';
import { DataLoader, TensorDataset } from 'evenkeel/data';
import * as nn from 'evenkeel/nn';
import { type Optimizer, RMSprop } from 'evenkeel/optim';
import { digits } from './data/images.ts';

const F = nn.functional;

const twoConvolutions = (inChannels: number, outChannels: number) =>
  new nn.Sequential(
    new nn.Conv2d(inChannels, outChannels, 3, { padding: 1, bias: false }),
    new nn.BatchNorm2d(outChannels),
    new nn.ReLU(),
    new nn.Conv2d(outChannels, outChannels, 3, { padding: 1, bias: false }),
    new nn.BatchNorm2d(outChannels),
    new nn.ReLU(),
  );

/** Down twice and up again; what each size had on the way down is laid beside what comes up. */
export class UNet extends nn.Module {
  first: nn.Sequential;
  down1: nn.Sequential;
  down2: nn.Sequential;
  up1: nn.ConvTranspose2d;
  merge1: nn.Sequential;
  up2: nn.ConvTranspose2d;
  merge2: nn.Sequential;
  last: nn.Conv2d;

  constructor(inChannels: number, classes: number, width: number) {
    super();
    this.first = twoConvolutions(inChannels, width);
    this.down1 = twoConvolutions(width, width * 2);
    this.down2 = twoConvolutions(width * 2, width * 4);
    this.up1 = new nn.ConvTranspose2d(width * 4, width * 2, 2, { stride: 2 });
    this.merge1 = twoConvolutions(width * 4, width * 2);
    this.up2 = new nn.ConvTranspose2d(width * 2, width, 2, { stride: 2 });
    this.merge2 = twoConvolutions(width * 2, width);
    this.last = new nn.Conv2d(width, classes, 1);
  }

  forward(x: Tensor): Tensor {
    const large = this.first(x);
    const middle = this.down1(F.maxPool2d(large, 2));
    const small = this.down2(F.maxPool2d(middle, 2));
    const up = this.merge1(cat([middle, this.up1(small)], 1));
    return this.last(this.merge2(cat([large, this.up2(up)], 1)));
  }
}

/** 2·|A ∩ B| / (|A| + |B|) of probabilities and masks, over all images and classes. */
export function dice(probabilities: Tensor, masks: Tensor, eps = 1e-6): Tensor {
  const both = probabilities.mul(masks).sum().mul(2);
  return both.add(eps).div(probabilities.sum().add(masks.sum()).add(eps));
}

export function trainStep(model: UNet, optimizer: Optimizer, images: Tensor, classes: Tensor): Tensor {
  optimizer.zeroGrad();
  const logits = model(images);
  const masks = F.oneHot(classes, logits.shape[1]).permute([0, 3, 1, 2]).to(logits.dtype);
  const loss = F.crossEntropy(logits, classes).add(dice(logits.softmax(1), masks).rsub(1));
  loss.backward();
  optimizer.step();
  return loss;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const noisy = (images: Tensor) => images.add(randn(images.shape).mul(0.5));
  const strokes = (images: Tensor) => images.squeeze(1).gt(0.5).to('int64');

  manualSeed(0);
  const model = new UNet(1, 2, 8);
  const optimizer = new RMSprop(model.parameters(), { lr: 1e-3, momentum: 0.9 });
  for (const [images] of new DataLoader(new TensorDataset(digits(640)[0]), { batchSize: 16, shuffle: true }))
    trainStep(model, optimizer, noisy(images), strokes(images));

  model.eval();
  const [images] = digits(100, 'test');
  const found = noGrad(() => model(noisy(images)).argmax(1).to('float32'));
  const score = dice(found, strokes(images).to('float32')).item();
  console.log(`Dice of the strokes: ${score.toFixed(3)}`);
  assert(score > 0.75);
}
