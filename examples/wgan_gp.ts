// WGAN with gradient penalty (Gulrajani et al. 2017): the critic's slope between real and generated images is held at
// 1. The penalty is a gradient that is itself differentiated. The generator has batch norm; the critic has none, since
// the penalty is one of each image by itself.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { grad, manualSeed, rand, randn, type Tensor } from 'evenkeel';
import { DataLoader, TensorDataset } from 'evenkeel/data';
import * as nn from 'evenkeel/nn';
import { Adam } from 'evenkeel/optim';
import { digits } from './data/images.ts';

/** From noise (N, latent) to images (N, 1, 28, 28). */
export const makeGenerator = (latent: number) =>
  new nn.Sequential(
    new nn.Linear(latent, 32 * 7 * 7),
    new nn.BatchNorm1d(32 * 7 * 7),
    new nn.ReLU(),
    new nn.Unflatten(1, [32, 7, 7]),
    new nn.ConvTranspose2d(32, 16, 4, { stride: 2, padding: 1 }),
    new nn.BatchNorm2d(16),
    new nn.ReLU(),
    new nn.ConvTranspose2d(16, 1, 4, { stride: 2, padding: 1 }),
    new nn.Tanh(),
  );

/** One number for each image, (N, 1). */
export const makeCritic = () =>
  new nn.Sequential(
    new nn.Conv2d(1, 16, 4, { stride: 2, padding: 1 }),
    new nn.LeakyReLU({ negativeSlope: 0.2 }),
    new nn.Conv2d(16, 32, 4, { stride: 2, padding: 1 }),
    new nn.LeakyReLU({ negativeSlope: 0.2 }),
    new nn.Flatten(),
    new nn.Linear(32 * 7 * 7, 1),
  );

/** The mean of (‖∂critic/∂x‖ − 1)², at a point x between each real and each generated image. */
export function gradientPenalty(critic: nn.Sequential, real: Tensor, fake: Tensor): Tensor {
  const share = rand([real.shape[0]!, 1, 1, 1], { dtype: real.dtype });
  const between = share.mul(real).add(share.rsub(1).mul(fake)).requiresGrad_();
  const [slope] = grad([critic(between).sum()], [between], { createGraph: true });
  return slope!.flatten(1).norm(2, 1).sub(1).square().mean();
}

export class Wgan {
  readonly generator: nn.Sequential;
  readonly critic: nn.Sequential;
  readonly latent: number;
  readonly optimizerC: Adam;
  readonly optimizerG: Adam;

  constructor(generator: nn.Sequential, critic: nn.Sequential, latent: number) {
    this.generator = generator;
    this.critic = critic;
    this.latent = latent;
    this.optimizerC = new Adam(critic.parameters(), { lr: 2e-4, betas: [0.5, 0.9] });
    this.optimizerG = new Adam(generator.parameters(), { lr: 2e-4, betas: [0.5, 0.9] });
  }

  private noise = ({ shape, dtype }: Tensor): Tensor => randn([shape[0]!, this.latent], { dtype });

  stepCritic(real: Tensor): Tensor {
    const { critic, generator, optimizerC } = this;
    const fake = generator(this.noise(real)).detach();
    optimizerC.zeroGrad();
    const distance = critic(real).mean().sub(critic(fake).mean());
    const loss = gradientPenalty(critic, real, fake).mul(10).sub(distance);
    loss.backward();
    optimizerC.step();
    return loss;
  }

  stepGenerator(real: Tensor): Tensor {
    this.optimizerG.zeroGrad();
    const loss = this.critic(this.generator(this.noise(real)))
      .mean()
      .neg();
    loss.backward();
    this.optimizerG.step();
    return loss;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  manualSeed(0);
  const gan = new Wgan(makeGenerator(32), makeCritic(), 32);
  const loader = new DataLoader(new TensorDataset(digits(960)[0].mul(2).sub(1)), { batchSize: 32, shuffle: true });
  const losses: number[] = [];
  let step = 0;
  for (const [real] of loader) {
    const loss = gan.stepCritic(real);
    losses.push(loss.item());
    // Five steps of the critic for each of the generator.
    if (++step % 5 !== 0) continue;
    const lossG = gan.stepGenerator(real);
    console.log(`step ${step}: critic ${loss.item().toFixed(3)}, generator ${lossG.item().toFixed(3)}`);
  }
  assert(losses.at(-1)! < losses[0]!);
}
