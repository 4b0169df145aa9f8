// Variational autoencoder (Kingma and Welling 2014; pytorch/examples/vae): digits through 20 numbers and back.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { manualSeed, noGrad, randn, randnLike, type Tensor } from 'evenkeel';
import { DataLoader, TensorDataset } from 'evenkeel/data';
import * as nn from 'evenkeel/nn';
import { Adam, type Optimizer } from 'evenkeel/optim';
import { digits } from './data/images.ts';

export class VAE extends nn.Module {
  fc1 = new nn.Linear(784, 400);
  fc21 = new nn.Linear(400, 20);
  fc22 = new nn.Linear(400, 20);
  fc3 = new nn.Linear(20, 400);
  fc4 = new nn.Linear(400, 784);

  encode(x: Tensor): [mu: Tensor, logvar: Tensor] {
    const h = this.fc1(x).relu();
    return [this.fc21(h), this.fc22(h)];
  }

  /** A draw from N(mu, e^logvar), through which gradients reach mu and logvar. */
  reparameterize(mu: Tensor, logvar: Tensor): Tensor {
    const std = logvar.mul(0.5).exp();
    return mu.add(randnLike(std).mul(std));
  }

  decode(z: Tensor): Tensor {
    return this.fc4(this.fc3(z).relu()).sigmoid();
  }

  forward(x: Tensor): [reconstruction: Tensor, mu: Tensor, logvar: Tensor] {
    const [mu, logvar] = this.encode(x.view(-1, 784));
    return [this.decode(this.reparameterize(mu, logvar)), mu, logvar];
  }
}

/** What the reconstruction misses, and how far the codes are from N(0, 1). */
export function lossOf(reconstruction: Tensor, x: Tensor, mu: Tensor, logvar: Tensor): Tensor {
  const missed = nn.functional.binaryCrossEntropy(reconstruction, x.view(-1, 784), { reduction: 'sum' });
  const divergence = logvar.add(1).sub(mu.square()).sub(logvar.exp()).sum().mul(-0.5);
  return missed.add(divergence);
}

export function trainStep(model: VAE, optimizer: Optimizer, images: Tensor): Tensor {
  optimizer.zeroGrad();
  const [reconstruction, mu, logvar] = model(images);
  const loss = lossOf(reconstruction, images, mu, logvar);
  loss.backward();
  optimizer.step();
  return loss;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  manualSeed(1);
  const model = new VAE();
  const optimizer = new Adam(model.parameters(), { lr: 1e-3 });
  const loader = new DataLoader(new TensorDataset(digits(4096)[0]), { batchSize: 128, shuffle: true });
  const means: number[] = [];
  for (let epoch = 1; epoch <= 3; epoch++) {
    let total = 0;
    for (const [images] of loader) total += trainStep(model, optimizer, images).item();
    means.push(total / 4096);
    console.log(`epoch ${epoch}: loss per image ${means.at(-1)!.toFixed(1)}`);
  }
  const drawn = noGrad(() => model.decode(randn([4, 20])));
  assert.deepEqual(drawn.shape, [4, 784]);
  assert(means.at(-1)! < 0.75 * means[0]!);
}
