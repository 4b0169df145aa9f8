// Checkpoints of torchvision's and timm's architectures, as training scripts save them, into ours: the same logits to
// 1e-4. `npm run test:torchvision`, where EVENKEEL_PYTHON has torchvision 0.29; `npm run test:timm`, where it has timm
// 1.0.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { manualSeed, noGrad } from '../src/index.ts';
import { loadStateDict } from '../src/io/index.ts';
import type { Weights } from '../src/models/index.ts';
import * as models from '../src/models/index.ts';
import { BatchNorm2d, type Module } from '../src/nn/index.ts';
import type { Tensor } from '../src/tensor/tensor.ts';
import { python, startLinePeer } from './line_peer.ts';

type Make = (options: { weights: Weights }) => Promise<Module>;
const torchvision: Record<string, Make> = {
  resnet18: models.resnet18,
  resnet34: models.resnet34,
  resnet50: models.resnet50,
  resnet101: models.resnet101,
  resnext50_32x4d: models.resnext50_32x4d,
  vgg11: models.vgg11,
  vgg11_bn: models.vgg11Bn,
  vgg16: models.vgg16,
  vgg16_bn: models.vgg16Bn,
  mobilenet_v2: models.mobilenetV2,
  mobilenet_v3_large: models.mobilenetV3Large,
  mobilenet_v3_small: models.mobilenetV3Small,
  efficientnet_b0: models.efficientnetB0,
  densenet121: models.densenet121,
};
const { mobilenet_v2, mobilenet_v3_large: _, mobilenet_v3_small: __, ...same } = torchvision;
const normLayer = (channels: number) => new BatchNorm2d(channels);
const timm: Record<string, Make> = {
  ...same,
  mobilenetv2_100: mobilenet_v2,
  mobilenetv3_large_100: (options) => models.mobilenetV3Large({ ...options, normLayer }),
  mobilenetv3_small_100: (options) => models.mobilenetV3Small({ ...options, normLayer }),
};

const [library, only] = process.argv.slice(2) as ['torchvision' | 'timm', string?];
const architectures = { torchvision, timm }[library];
const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'build', 'library_weights');
mkdirSync(folder, { recursive: true });
const peer = startLinePeer(python, [join(root, 'scripts', 'library_weights_peer.py'), library]);
for (const [name, make] of Object.entries(architectures)) {
  if (only && name !== only) continue;
  peer.send(`${name} ${folder}`);
  if ((await peer.receive()) !== name) throw new Error(`${library} ended: ${await peer.ended()}`);
  // Other weights than theirs, so that each must come from the file.
  manualSeed(1);
  const model = await make({ weights: { from: join(folder, 'weights.pt'), print: false } });
  const { images, logits } = Object.fromEntries(await loadStateDict(join(folder, 'logits.npz')));
  model.eval();
  const ours = noGrad(() => (model as unknown as (x: Tensor) => Tensor)(images));
  const largest = logits.abs().max().item();
  const error = ours.sub(logits).abs().max().item();
  console.log(
    `${name.padEnd(22)} logits up to ${largest.toExponential(1)}, largest difference ${error.toExponential(1)}`,
  );
  // Relative to the logits, which seeded networks make as small as 1e-6.
  assert(error < 1e-4 * largest);
}
peer.close();
