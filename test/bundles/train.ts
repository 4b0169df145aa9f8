// What the bundle tests run, in a page, in a module worker and in Node.js: a small network with batch norm learns to
// tell three patterns apart, with everything that a training script in a browser uses.
import { getEngine, manualSeed, ones, setEngine } from 'evenkeel';
import { DataLoader, TensorDataset, WorkerDataset } from 'evenkeel/data';
import { encodeStateDict } from 'evenkeel/io';
import { lenetBatchNorm, resnet18 } from 'evenkeel/models';
import * as nn from 'evenkeel/nn';
import { SGD } from 'evenkeel/optim';
import { accuracy, evaluate, fit } from 'evenkeel/train';

export interface Result {
  engine: string;
  losses: number[];
  accuracy: number;
  text: string;
  parameters: number;
  prepared: number[];
}

const side = 12;
/** Stripes along x, along y, and a checkerboard, with noise. */
function images(count: number): { pixels: Float32Array; labels: BigInt64Array } {
  const pixels = new Float32Array(count * side * side);
  const labels = new BigInt64Array(count);
  for (let i = 0; i < pixels.length; i++) {
    const [image, y, x] = [Math.floor(i / side ** 2), Math.floor(i / side) % side, i % side];
    const label = image % 3;
    labels[image] = BigInt(label);
    const bright = label === 0 ? x % 4 < 2 : label === 1 ? y % 4 < 2 : x % 4 < 2 !== y % 4 < 2;
    pixels[i] = (bright ? 1 : 0) + ((((i * 7919) % 997) / 997) * 2 - 1) * 0.8;
  }
  return { pixels, labels };
}

async function messageOf(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`;
  }
  return 'no error';
}

export async function train(): Promise<Result> {
  manualSeed(0);
  const model = new nn.Sequential(
    new nn.Conv2d(1, 8, 3, { padding: 1, bias: false }),
    new nn.BatchNorm2d(8),
    new nn.ReLU(),
    new nn.AdaptiveAvgPool2d(3),
    new nn.Flatten(),
    new nn.Linear(72, 3),
  );
  const { pixels, labels } = images(192);
  const dataset = new TensorDataset({ data: pixels, shape: [192, 1, side, side] }, { data: labels, shape: [192] });
  const loader = new DataLoader(dataset, { batchSize: 32, shuffle: true });
  const loss = nn.functional.crossEntropy;
  const optimizer = new SGD(model.parameters(), { lr: 0.2, momentum: 0.9 });
  const { history } = await fit(model, {
    loader,
    loss,
    optimizer,
    epochs: 4,
    metrics: { accuracy },
    handleInterrupt: true,
  });
  // A file that somebody chose, and the weights of a network for pictures.
  const file = await encodeStateDict(lenetBatchNorm().stateDict(), 'safetensors');
  const weights = { from: new Blob([file]), head: false, print: false };
  const loaded = await lenetBatchNorm({ numClasses: 3, weights });
  const picture = { data: new Uint8Array(3 * 40 * 30).map((_, i) => i), shape: [3, 40, 30] };
  const prepared = resnet18.transforms()(picture);
  const seen = await evaluate(model, loader, { loss, metrics: { accuracy } });
  return {
    engine: getEngine(),
    losses: history.map(({ train }) => train.loss!),
    accuracy: seen.accuracy!,
    text: String(model),
    parameters: loaded.parameters().length,
    prepared: [...prepared.shape, prepared.data.reduce((sum, value) => sum + value)],
  };
}

/** What browsers cannot do, as they say it. */
export async function refusals(): Promise<string[]> {
  const model = new nn.Linear(1, 1);
  const optimizer = new SGD(model.parameters(), { lr: 1 });
  const loader = new DataLoader(new TensorDataset(ones([2, 1]), ones([2, 1])));
  const workers = new DataLoader(new WorkerDataset({ module: 'x', length: 1 }), { numWorkers: 1 });
  return Promise.all([
    messageOf(() => fit(model, { loader, loss: nn.functional.mseLoss, optimizer, epochs: 1, checkpoint: 'x' })),
    messageOf(() => workers[Symbol.asyncIterator]().next()),
    messageOf(() => setEngine('native')),
  ]);
}
