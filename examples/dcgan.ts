// DCGAN (Radford et al. 2016; pytorch/examples/dcgan): two networks with an optimizer each. The discriminator learns to
// tell images of clothes from generated ones, the generator to be taken for the former.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { full, manualSeed, noGrad, randn, type Tensor } from 'evenkeel';
import { DataLoader, TensorDataset } from 'evenkeel/data';
import * as nn from 'evenkeel/nn';
import { Adam } from 'evenkeel/optim';
import { clothes } from './data/images.ts';

const { binaryCrossEntropy } = nn.functional;

/** From noise (N, latent, 1, 1) to images (N, 1, 32, 32). */
export const makeGenerator = (latent: number, width: number) =>
  new nn.Sequential(
    new nn.ConvTranspose2d(latent, width * 4, 4, { bias: false }),
    new nn.BatchNorm2d(width * 4),
    new nn.ReLU(),
    new nn.ConvTranspose2d(width * 4, width * 2, 4, { stride: 2, padding: 1, bias: false }),
    new nn.BatchNorm2d(width * 2),
    new nn.ReLU(),
    new nn.ConvTranspose2d(width * 2, width, 4, { stride: 2, padding: 1, bias: false }),
    new nn.BatchNorm2d(width),
    new nn.ReLU(),
    new nn.ConvTranspose2d(width, 1, 4, { stride: 2, padding: 1, bias: false }),
    new nn.Tanh(),
  );

/** The probability, (N), that an image (N, 1, 32, 32) is none that was generated. */
export const makeDiscriminator = (width: number) =>
  new nn.Sequential(
    new nn.Conv2d(1, width, 4, { stride: 2, padding: 1, bias: false }),
    new nn.LeakyReLU({ negativeSlope: 0.2 }),
    new nn.Conv2d(width, width * 2, 4, { stride: 2, padding: 1, bias: false }),
    new nn.BatchNorm2d(width * 2),
    new nn.LeakyReLU({ negativeSlope: 0.2 }),
    new nn.Conv2d(width * 2, width * 4, 4, { stride: 2, padding: 1, bias: false }),
    new nn.BatchNorm2d(width * 4),
    new nn.LeakyReLU({ negativeSlope: 0.2 }),
    new nn.Conv2d(width * 4, 1, 4, { bias: false }),
    new nn.Sigmoid(),
    new nn.Flatten(0),
  );

export function initWeights(module: nn.Module): void {
  if (module instanceof nn.Conv2d || module instanceof nn.ConvTranspose2d) nn.init.normal_(module.weight, 0, 0.02);
  if (module instanceof nn.BatchNorm2d) nn.init.normal_(module.weight!, 1, 0.02);
}

export class Gan {
  readonly generator: nn.Sequential;
  readonly discriminator: nn.Sequential;
  readonly latent: number;
  readonly optimizerD: Adam;
  readonly optimizerG: Adam;

  constructor(generator: nn.Sequential, discriminator: nn.Sequential, latent: number) {
    this.generator = generator;
    this.discriminator = discriminator;
    this.latent = latent;
    this.optimizerD = new Adam(discriminator.parameters(), { lr: 2e-4, betas: [0.5, 0.999] });
    this.optimizerG = new Adam(generator.parameters(), { lr: 2e-4, betas: [0.5, 0.999] });
  }

  /** One step of each network; the losses of both. */
  trainStep(real: Tensor): { lossD: Tensor; lossG: Tensor } {
    const { generator, discriminator, optimizerD, optimizerG } = this;
    const n = real.shape[0]!;
    const [isReal, isFake] = [1, 0].map((value) => full([n], value, { dtype: real.dtype })) as [Tensor, Tensor];

    optimizerD.zeroGrad();
    const lossReal = binaryCrossEntropy(discriminator(real), isReal);
    lossReal.backward();
    const fake = generator(randn([n, this.latent, 1, 1], { dtype: real.dtype }));
    // detach: this loss moves the discriminator alone.
    const lossFake = binaryCrossEntropy(discriminator(fake.detach()), isFake);
    lossFake.backward();
    optimizerD.step();

    optimizerG.zeroGrad();
    const lossG = binaryCrossEntropy(discriminator(fake), isReal);
    lossG.backward();
    optimizerG.step();
    return { lossD: lossReal.add(lossFake), lossG };
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  manualSeed(999);
  const gan = new Gan(makeGenerator(32, 16), makeDiscriminator(16), 32);
  gan.generator.apply(initWeights);
  gan.discriminator.apply(initWeights);
  const images = clothes(512)[0].pad([2, 2, 2, 2]).mul(2).sub(1);
  let last = 0;
  for (let epoch = 1; epoch <= 2; epoch++)
    for (const [real] of new DataLoader(new TensorDataset(images), { batchSize: 64, shuffle: true })) {
      const { lossD, lossG } = gan.trainStep(real);
      last = lossD.item();
      console.log(`discriminator ${lossD.item().toFixed(3)}, generator ${lossG.item().toFixed(3)}`);
    }
  gan.generator.eval();
  const sample = noGrad(() => gan.generator(randn([1, 32, 1, 1])));
  assert.deepEqual(sample.shape, [1, 1, 32, 32]);
  // 2·ln 2 is the loss of one who guesses.
  assert(last < 2 * Math.LN2);
}
