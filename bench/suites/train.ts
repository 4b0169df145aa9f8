// Training steps and inference of whole networks, what batch norm and ReLU add to a step, and how cost grows with size
// and threads.
import { setEngine, setNumThreads } from '../../src/device/engine.ts';
import { inference, textOf, trainingStep, type Workload } from '../networks.ts';
import { batchNormCost } from './batch_norm_cost.ts';
import type { Case, TimedCase } from './index.ts';
import { stepMemory } from './memory.ts';
import { scaling } from './scaling.ts';
import { webAssembly } from './webassembly.ts';

const threads = 2;

const image = (side: number) => [3, side, side];

interface Training extends Workload {
  readonly title: string;
  /** The least ratio to PyTorch that is aimed at. */
  readonly target: number;
}

const trainings: Training[] = [
  { title: 'ResNet-18', network: 'resnet18', shape: [16, ...image(224)], classes: 1000, target: 1.5 },
  { title: 'ResNet-50', network: 'resnet50', shape: [8, ...image(224)], classes: 1000, target: 1.7 },
  { title: 'MobileNetV2', network: 'mobilenet_v2', shape: [16, ...image(224)], classes: 1000, target: 1.3 },
  { title: 'VGG-11-BN', network: 'vgg11_bn', shape: [64, ...image(32)], classes: 10, target: 1.3 },
  { title: 'DenseNet-121', network: 'densenet121', shape: [8, ...image(224)], classes: 1000, target: 1.3 },
  { title: 'LeNet-BN', network: 'lenet', shape: [256, 1, 28, 28], classes: 10, target: 2 },
  { title: 'MLP 784-512-512-10 with BatchNorm1d', network: 'mlp', shape: [256, 784], classes: 10, target: 2 },
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
    peers: [{ name: 'torch', work: `train:${textOf(work)}`, threads }],
    target: { figure: 'torch', atLeast: target },
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
    peers: [{ name: 'torch', work: `inference:${textOf(work)}`, threads }],
    target: { figure: 'torch', atLeast: 1.2 },
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
