// Checkpoints of torchvision's architectures, as training scripts save them, into ours: the same logits to 1e-4. `npm run test:torchvision`, where EVENKEEL_PYTHON
// has torchvision 0.29.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { manualSeed, noGrad } from '../src/index.ts';
import { loadStateDict, loadWeights } from '../src/io/index.ts';
import * as models from '../src/models/index.ts';
import type { Module } from '../src/nn/index.ts';
import type { Tensor } from '../src/tensor/tensor.ts';
import { python, startLinePeer } from './line_peer.ts';

const architectures: Record<string, () => Module> = {
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

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'build', 'torchvision');
mkdirSync(folder, { recursive: true });
const peer = startLinePeer(python, [join(root, 'scripts', 'torchvision_peer.py')]);
for (const [name, make] of Object.entries(architectures)) {
  peer.send(`${name} ${folder}`);
  if ((await peer.receive()) !== name) throw new Error(`torchvision ended: ${await peer.ended()}`);
  // Other weights than theirs, so that each must come from the file.
  manualSeed(1);
  const model = make();
  const report = await loadWeights(model, join(folder, 'weights.pt'), { print: false });
  const { images, logits } = Object.fromEntries(await loadStateDict(join(folder, 'logits.npz')));
  model.eval();
  const ours = noGrad(() => (model as unknown as (x: Tensor) => Tensor)(images));
  const error = ours.sub(logits).abs().max().item();
  console.log(
    `${name.padEnd(20)} ${String(report.loaded.length).padStart(4)} tensors, logits up to ${logits.abs().max().item().toExponential(1)}, largest difference ${error.toExponential(1)}`,
  );
  assert.equal(report.loaded.length, model.stateDict().size);
  // Relative to the logits, which seeded networks make as small as 1e-6.
  assert(error < 1e-4 * logits.abs().max().item());
}
peer.close();
