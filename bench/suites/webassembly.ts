// The WebAssembly engine against the JavaScript libraries, a thread each.
import { grad } from '../../src/autograd/backward.ts';
import { setEngine } from '../../src/device/engine.ts';
import { withFusion } from '../../src/fusion/switch.ts';
import { BatchNorm2d } from '../../src/nn/index.ts';
import { randn } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import { inference, textOf, trainingStep, type Workload } from '../networks.ts';
import type { Target } from '../target.ts';
import type { TimedCase } from './index.ts';

const engine = 'wasm';

const onWasm = (make: () => () => unknown) => () => {
  setEngine(engine);
  return make();
};

/** Each peer needs many times ours: few turns, single runs. */
const slowly = { engine, threads: 1, budget: 1, rounds: 2 } as const;

function batchNorm(peer: string, target: Target): TimedCase {
  const shape = [32, 64, 28, 28];
  return {
    name: `BatchNorm2d ${shape.join('x')} forward and backward`,
    engine,
    threads: 1,
    peers: [{ name: peer, work: `batch_norm:${shape.join('x')}`, threads: 1 }],
    target,
    prepare: onWasm(() => {
      const norm = new BatchNorm2d(shape[1]);
      const [x, dy] = [0, 1].map(() => randn(shape).contiguous('channelsLast'));
      x.requiresGrad_();
      const wanted = [x, ...norm.parameters()];
      // Without fusion, which would leave out the output that nobody looks at.
      return () => withFusion(false, () => scope(() => void grad([norm(x)], wanted, { gradOutputs: [dy] })));
    }),
  };
}

export function webAssembly(): TimedCase[] {
  const resnet: Workload = { network: 'resnet18', shape: [1, 3, 224, 224], classes: 1000 };
  const lenet: Workload = { network: 'lenet', shape: [256, 1, 28, 28], classes: 10 };
  const onCpu = (work: string) => [{ name: 'tfjs-cpu', work, threads: 1 }];
  const target = { figure: 'tfjs-cpu', atLeast: 20 };
  return [
    {
      ...slowly,
      name: 'ResNet-18 1x3x224x224: inference',
      peers: onCpu(`inference:${textOf(resnet)}`),
      target,
      prepare: onWasm(() => inference(resnet, false)),
    },
    {
      ...slowly,
      name: 'LeNet-BN 256x1x28x28: training step',
      peers: onCpu(`train:${textOf(lenet)}`),
      target,
      prepare: onWasm(() => trainingStep(lenet)),
    },
    batchNorm('tfjs-wasm', { figure: 'tfjs-wasm', atLeast: 10 }),
    batchNorm('jax-js', { figure: 'jax-js', atLeast: 10 }),
  ];
}
