// LeNet with batch norm, batch 256: the training step and inference, as a user writes them.
import { noGrad } from '../../src/autograd/grad_mode.ts';
import type { EngineName } from '../../src/device/backend.ts';
import { setEngine, setNumThreads } from '../../src/device/engine.ts';
import { lenetBatchNorm } from '../../src/models/lenet.ts';
import { add } from '../../src/ops/elementwise.ts';
import { crossEntropy } from '../../src/ops/loss.ts';
import { SGD } from '../../src/optim/index.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randint, randn } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import type { Case } from './index.ts';

const batch = 256;
const opsPerRun = 1000;

function setUp(engine: EngineName, threads: number) {
  setEngine(engine);
  if (engine === 'native') setNumThreads(threads);
  manualSeed(0);
  return { model: lenetBatchNorm(), x: randn([batch, 1, 28, 28]), y: randint(0, 10, [batch]) };
}

function step(engine: EngineName, threads: number, scoped: boolean): () => unknown {
  const { model, x, y } = setUp(engine, threads);
  const optimizer = new SGD(model.parameters(), { lr: 1 });
  const body = () => {
    optimizer.zeroGrad();
    crossEntropy(model(x), y).backward();
    optimizer.step();
  };
  return () => {
    // Cases of one run live side by side.
    setEngine(engine);
    if (scoped) scope(body);
    else body();
  };
}

function inference(engine: EngineName, threads: number): () => unknown {
  const { model, x } = setUp(engine, threads);
  model.eval();
  return () => {
    setEngine(engine);
    noGrad(() => scope(() => void model(x)));
  };
}

/** What an op costs apart from its arithmetic: a chain of additions of one element, recorded for gradients. */
function dispatch(engine: EngineName): () => unknown {
  setEngine(engine);
  const x = randn([1], { requiresGrad: true });
  return () => {
    setEngine(engine);
    scope(() => {
      let y = x;
      for (let i = 0; i < opsPerRun; i++) y = add(y, x);
    });
  };
}

const torch = (work: string, threads: number) => ({ name: 'torch', work: `${work}:${batch}`, threads });

export function lenet(): Case[] {
  return [
    {
      name: 'LeNet-BN training step',
      engine: 'native',
      threads: 2,
      peers: [torch('lenet_step', 2)],
      prepare: () => step('native', 2, true),
    },
    {
      name: 'LeNet-BN training step',
      engine: 'native',
      threads: 1,
      peers: [torch('lenet_step', 1)],
      prepare: () => step('native', 1, true),
    },
    {
      name: 'LeNet-BN training step, no scope',
      engine: 'native',
      threads: 2,
      peers: [torch('lenet_step', 2)],
      prepare: () => step('native', 2, false),
    },
    {
      name: 'LeNet-BN training step',
      engine: 'wasm',
      threads: 1,
      peers: [torch('lenet_step', 2), { name: 'tfjs-cpu', work: `train:lenet:${batch}x1x28x28:10`, threads: 1 }],
      prepare: () => step('wasm', 1, true),
    },
    {
      name: 'LeNet-BN training step, no scope',
      engine: 'wasm',
      threads: 1,
      peers: [torch('lenet_step', 2)],
      prepare: () => step('wasm', 1, false),
    },
    {
      name: 'LeNet-BN inference',
      engine: 'native',
      threads: 2,
      peers: [torch('lenet_inference', 2)],
      prepare: () => inference('native', 2),
    },
    ...(['native', 'wasm'] as const).map((engine) => ({
      name: `dispatch of ${opsPerRun} recorded additions of one element`,
      engine,
      threads: 1,
      peers: [{ name: 'torch', work: `dispatch:${opsPerRun}`, threads: 1 }],
      prepare: () => dispatch(engine),
      extra: (ms: number) => ({ 'µs per op': (ms * 1000) / opsPerRun }),
    })),
  ];
}
