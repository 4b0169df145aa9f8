// Networks that are trained and run by several suites, under the names that the peers know them by, and one step of
// each.
import { noGrad } from '../src/autograd/grad_mode.ts';
import { densenet121, lenetBatchNorm, mobilenetV2, resnet18, resnet50, vgg11Bn } from '../src/models/index.ts';
import { BatchNorm1d, fold, Linear, type Module, ReLU, Sequential } from '../src/nn/index.ts';
import { crossEntropy } from '../src/ops/loss.ts';
import { SGD } from '../src/optim/index.ts';
import { manualSeed } from '../src/tensor/random/index.ts';
import { randint, randn } from '../src/tensor/random.ts';
import { scope } from '../src/tensor/scope.ts';
import type { Tensor } from '../src/tensor/tensor.ts';

const mlp = (classes: number) =>
  new Sequential(
    new Linear(784, 512),
    new BatchNorm1d(512),
    new ReLU(),
    new Linear(512, 512),
    new BatchNorm1d(512),
    new ReLU(),
    new Linear(512, classes),
  );

const makers = {
  resnet18: (numClasses: number) => resnet18({ numClasses }),
  resnet50: (numClasses: number) => resnet50({ numClasses }),
  mobilenet_v2: (numClasses: number) => mobilenetV2({ numClasses }),
  vgg11_bn: (numClasses: number) => vgg11Bn({ numClasses }),
  densenet121: (numClasses: number) => densenet121({ numClasses }),
  lenet: (numClasses: number) => lenetBatchNorm({ numClasses }),
  mlp,
} satisfies Record<string, (classes: number) => Module>;

export interface Workload {
  readonly network: keyof typeof makers;
  /** Shape of the input, its batch included. */
  readonly shape: readonly number[];
  readonly classes: number;
}

/** "resnet18:16x3x224x224:1000", as peers and processes of their own are told. */
export const textOf = ({ network, shape, classes }: Workload): string => [network, shape.join('x'), classes].join(':');

export function workOf(text: string): Workload {
  const [network, shape, classes] = text.split(':');
  return { network: network as Workload['network'], shape: shape.split('x').map(Number), classes: Number(classes) };
}

export const networkOf = ({ network, classes }: Workload): Module => makers[network](classes);

const inputOf = ({ shape }: Workload): Tensor => {
  const x = randn([...shape]);
  return x.rank === 4 ? x.contiguous('channelsLast') : x;
};

/**
 * A training step by SGD with momentum, on the same random batch each time; its memory goes when the collector finds
 * it.
 */
export function unscopedStep(work: Workload): () => void {
  manualSeed(0);
  const model = networkOf(work);
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
  const x = inputOf(work);
  const labels = randint(0, work.classes, [work.shape[0]]);
  return () => {
    optimizer.zeroGrad();
    crossEntropy(model(x) as Tensor, labels).backward();
    optimizer.step();
  };
}

/** The same in a scope, as a loader's loop has it. */
export function trainingStep(work: Workload): () => void {
  const step = unscopedStep(work);
  return () => scope(step);
}

/** One forward of the network in evaluation mode, its batch norms folded where `folded`. */
export function inference(work: Workload, folded: boolean): () => void {
  manualSeed(0);
  const x = inputOf(work);
  const model = networkOf(work).eval();
  const deployed = folded ? fold(model, x).model : model;
  return () => noGrad(() => scope(() => void (deployed(x) as Tensor).materialize()));
}
