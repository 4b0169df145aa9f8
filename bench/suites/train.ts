// Training steps and inference of whole networks, what batch norm and ReLU add to a step, and how cost grows with size
// and threads.
import { setEngine, setNumThreads } from '../../src/device/engine.ts';
import { type Bounds, boundOf } from '../isa.ts';
import { inference, textOf, trainingStep, type Workload } from '../networks.ts';
import { everyTorch } from '../peers/peers.ts';
import { bestOfTorch } from '../target.ts';
import { batchNormCost } from './batch_norm_cost.ts';
import type { Case, TimedCase } from './index.ts';
import { stepMemory } from './memory.ts';
import { scaling } from './scaling.ts';
import { webAssembly } from './webassembly.ts';

const threads = 2;

const image = (side: number) => [3, side, side];

interface Training extends Workload {
  readonly title: string;
  /** The least ratio to PyTorch's best mode that is aimed at. */
  readonly target: Bounds;
}

const trainings: Training[] = [
  {
    title: 'ResNet-18',
    network: 'resnet18',
    shape: [16, ...image(224)],
    classes: 1000,
    target: { avx2: 1.9, avx512: 2 },
  },
  {
    title: 'ResNet-50',
    network: 'resnet50',
    shape: [8, ...image(224)],
    classes: 1000,
    target: { avx2: 1.6, avx512: 1.8 },
  },
  {
    title: 'MobileNetV2',
    network: 'mobilenet_v2',
    shape: [16, ...image(224)],
    classes: 1000,
    target: { avx2: 1.7, avx512: 2 },
  },
  { title: 'VGG-11-BN', network: 'vgg11_bn', shape: [64, ...image(32)], classes: 10, target: { avx2: 2, avx512: 2.3 } },
  {
    title: 'DenseNet-121',
    network: 'densenet121',
    shape: [8, ...image(224)],
    classes: 1000,
    target: { avx2: 1.6, avx512: 1.8 },
  },
  { title: 'LeNet-BN', network: 'lenet', shape: [256, 1, 28, 28], classes: 10, target: { avx2: 2, avx512: 2.3 } },
  {
    title: 'MLP 784-512-512-10 with BatchNorm1d',
    network: 'mlp',
    shape: [256, 784],
    classes: 10,
    target: { avx2: 1.6, avx512: 2 },
  },
];

const onNative = <R>(make: () => R): R => {
  setEngine('native');
  setNumThreads(threads);
  return make();
};

function trainingCase({ title, target, ...work }: Training): TimedCase {
  return {
    name: `${title} ${work.shape.join('x')}: training step`,
    engine: 'native',
    threads,
    budget: 300,
    withPlain: true,
    peers: everyTorch(`train:${textOf(work)}`, threads),
    target: { figure: bestOfTorch, atLeast: boundOf(target) },
    prepare: () => onNative(() => trainingStep(work)),
  };
}

function inferenceCase(batch: number): TimedCase {
  const work: Workload = { network: 'resnet50', shape: [batch, ...image(224)], classes: 1000 };
  return {
    name: `ResNet-50 ${work.shape.join('x')}: inference, batch norms folded`,
    engine: 'native',
    threads,
    budget: 500,
    peers: everyTorch(`inference:${textOf(work)}`, threads),
    target: { figure: bestOfTorch, atLeast: boundOf({ avx2: 1.3, avx512: 1.4 }) },
    prepare: () => onNative(() => inference(work, true)),
  };
}

export function train(): Case[] {
  return [
    ...trainings.map(trainingCase),
    ...[1, 8].map(inferenceCase),
    ...batchNormCost(threads),
    stepMemory(threads),
    ...scaling(threads),
    ...webAssembly(),
  ];
}
