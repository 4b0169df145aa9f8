// What is computed to see whether two machines give the same bits: every case of test/cases, forward and backward, and
// the first steps of some networks' training. Each gives a hash.
import { createHash, type Hash } from 'node:crypto';
import { grad } from '../../src/autograd/backward.ts';
import { densenet121, lenetBatchNorm, mobilenetV2, resnet18 } from '../../src/models/index.ts';
import { Linear, Module } from '../../src/nn/index.ts';
import { crossEntropy } from '../../src/ops/loss.ts';
import {
  Adadelta,
  Adafactor,
  Adagrad,
  Adam,
  Adamax,
  AdamW,
  ASGD,
  clipGradNorm,
  LBFGS,
  Muon,
  NAdam,
  RAdam,
  RMSprop,
  Rprop,
  SGD,
} from '../../src/optim/index.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randint, randn } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import type { MemoryFormat, Shape } from '../../src/tensor/shape.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import type { Case } from '../cases/case.ts';
import { cotangentsOf, inputsOf, listOf } from '../cases/inputs.ts';
import { cases } from '../cases/table.ts';
import { type Layer, layers } from './layers.ts';

/** Adds a tensor's bytes, row by row. All NaNs count as one: which one an operation makes is nobody's promise. */
function add(hash: Hash, tensor: Tensor): void {
  const values = tensor.contiguous().dataSync().slice();
  if (values instanceof Float32Array || values instanceof Float64Array)
    for (const [i, value] of values.entries()) if (Number.isNaN(value)) values[i] = Number.NaN;
  hash.update(tensor.dtype).update(new Uint8Array(values.buffer));
}
const endOf = (hash: Hash): string => hash.digest('hex').slice(0, 12);

/** Results and gradients of a case in both float types and both formats. */
function hashOfCase(one: Case): string {
  const hash = createHash('sha256');
  for (const dtype of ['float32', 'float64'] as const)
    for (const format of ['contiguous', 'channelsLast'] as const) {
      const inputs = inputsOf(one, dtype, format);
      manualSeed(0);
      const outputs = listOf(one.run(...inputs));
      const wanted = inputs.filter((input) => input.requiresGrad);
      const found = grad(outputs, wanted, { gradOutputs: cotangentsOf(outputs), allowUnused: true });
      for (const tensor of [...outputs, ...found]) if (tensor) add(hash, tensor);
    }
  return endOf(hash);
}

/** Output and gradients of a layer, in both float types and in its formats. */
function hashOfLayer({ shape, formats = ['contiguous'], ...one }: Layer): string {
  const hash = createHash('sha256');
  for (const dtype of ['float32', 'float64'] as const)
    for (const format of formats) {
      manualSeed(0);
      const layer = 'make' in one ? one.make().to(dtype) : one.run;
      const parameters = layer instanceof Module ? [...layer.parameters()] : [];
      // Drawn in float32, where every engine has PyTorch's bits.
      const x = randn([...shape])
        .to(dtype)
        .contiguous(format)
        .requiresGrad_();
      const result = layer(x) as Tensor | Tensor[];
      const y = Array.isArray(result) ? result[0] : result;
      const found = grad([y], [x, ...parameters], { gradOutputs: cotangentsOf([y]), allowUnused: true });
      for (const tensor of [y, ...found]) if (tensor) add(hash, tensor);
    }
  return endOf(hash);
}

interface Training {
  readonly make: () => Module;
  readonly shape: Shape;
  readonly format: MemoryFormat;
}
const trainings: Record<string, Training> = {
  'resnet18, channels last': {
    make: () => resnet18({ numClasses: 10 }),
    shape: [6, 3, 80, 80],
    format: 'channelsLast',
  },
  'resnet18, contiguous': { make: () => resnet18({ numClasses: 10 }), shape: [4, 3, 64, 64], format: 'contiguous' },
  'mobilenetV2, channels last': {
    make: () => mobilenetV2({ numClasses: 10 }),
    shape: [6, 3, 80, 80],
    format: 'channelsLast',
  },
  'densenet121, channels last': {
    make: () => densenet121({ numClasses: 10 }),
    shape: [4, 3, 64, 64],
    format: 'channelsLast',
  },
  'lenetBatchNorm, contiguous': {
    make: () => lenetBatchNorm({ numClasses: 10 }),
    shape: [64, 1, 28, 28],
    format: 'contiguous',
  },
};
const steps = 20;

/** Losses, and after the last step the weights, the statistics and the optimizer's momenta. */
function hashOfTraining({ make, shape, format }: Training): string {
  const hash = createHash('sha256');
  manualSeed(0);
  const model = make();
  const optimizer = new SGD(model.parameters(), { lr: 0.05, momentum: 0.9, weightDecay: 1e-4 });
  for (let i = 0; i < steps; i++)
    scope(() => {
      const x = randn([...shape]).contiguous(format);
      const labels = randint(0, 10, [shape[0]]);
      optimizer.zeroGrad();
      const loss = crossEntropy(model(x) as Tensor, labels);
      loss.backward();
      optimizer.step();
      add(hash, loss);
    });
  for (const value of model.stateDict().values()) add(hash, value as Tensor);
  for (const { momentumBuffer } of optimizer.state.values()) if (momentumBuffer) add(hash, momentumBuffer as Tensor);
  return endOf(hash);
}

const optimizers = [
  ...[Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, ASGD, LBFGS, NAdam, RAdam, RMSprop, Rprop, SGD],
  ...[Muon],
];
/** The weights after some steps, and clipped gradients, with an optimizer's own settings. */
function hashOfOptimizer(Optimizer: (typeof optimizers)[number]): string {
  const hash = createHash('sha256');
  for (const dtype of ['float32', 'float64'] as const) {
    manualSeed(0);
    const model = new Linear(70, 30, { bias: false }).to(dtype);
    const optimizer = new Optimizer(model.parameters());
    const x = randn([16, 70]).to(dtype);
    for (let i = 0; i < 6; i++)
      optimizer.step(() => {
        optimizer.zeroGrad();
        const loss = (model(x) as Tensor).square().mean();
        loss.backward();
        clipGradNorm(model.parameters(), 0.3);
        return loss;
      });
    add(hash, model.weight);
  }
  return endOf(hash);
}

export const kinds = ['cases', 'layers', 'trainings'] as const;

/** The hash of every program of a kind. Cases of one name are told apart by their number. */
export function hashesOf(kind: (typeof kinds)[number]): Record<string, string> {
  const hashes: Record<string, string> = {};
  if (kind === 'trainings') for (const [name, one] of Object.entries(trainings)) hashes[name] = hashOfTraining(one);
  if (kind === 'layers') {
    for (const [name, one] of Object.entries(layers)) hashes[name] = scope(() => hashOfLayer(one)) as string;
    for (const one of optimizers) hashes[one.name] = hashOfOptimizer(one);
  }
  if (kind === 'cases')
    for (const one of cases) {
      let name = one.name;
      for (let k = 2; name in hashes; k++) name = `${one.name} (${k})`;
      hashes[name] = scope(() => hashOfCase(one)) as string;
    }
  return hashes;
}
