// Training steps of popular scripts, with one thread and two, and what a recorded operation on 16 elements costs.
import type { EngineName } from '../../src/device/backend.ts';
import { setEngine, setNumThreads } from '../../src/device/engine.ts';
import { tensor } from '../../src/tensor/create.ts';
import { type ScriptName, scriptStep } from '../scripts.ts';
import type { Case, TimedCase } from './index.ts';

interface Script {
  readonly title: string;
  readonly name: ScriptName;
  /** The least ratio to PyTorch that is aimed at. */
  readonly target?: number;
}

const scripts: readonly Script[] = [
  { title: 'Vision transformer: width 192, 6 layers, 64 tokens, batch 32', name: 'vit', target: 1 },
  { title: 'LSTM: 128 hidden values, 28 steps, batch 64', name: 'lstm', target: 1 },
  { title: 'GRU: 128 hidden values, 28 steps, batch 64', name: 'gru', target: 1 },
  { title: 'LSTM by hand, of the same size', name: 'lstm_by_hand' },
  { title: 'Triplet and cosine losses, batch 64', name: 'metric_losses', target: 1 },
  { title: 'WGAN-GP with batch norm, batch 32', name: 'wgan_gp', target: 1.1 },
  { title: 'MobileNetV2 on 32x32, batch 32', name: 'mobilenet_v2', target: 1.2 },
  { title: 'Squeeze and excitation on 32x32, batch 32', name: 'senet', target: 1.2 },
  { title: 'MNIST script with dropout, batch 64', name: 'mnist', target: 1.3 },
];

function scriptCase({ title, name, target }: Script, threads: number): TimedCase {
  return {
    name: title,
    engine: 'native',
    threads,
    peers: [{ name: 'torch', work: `script:${name}`, threads }],
    ...(target && { target: { figure: 'torch', atLeast: target } }),
    prepare() {
      setEngine('native');
      setNumThreads(threads);
      return scriptStep(name);
    },
  };
}

const pairs = 100;

/** A chain of products and sums of 16 elements, forward and backward. */
function chainOfSmall(engine: EngineName, atMost: number): TimedCase {
  return {
    name: `${2 * pairs} recorded products and sums of 16 elements, with backward`,
    engine,
    threads: 1,
    peers: [{ name: 'torch', work: `small_chain:${pairs}`, threads: 1 }],
    extra: (ms) => ({ 'µs per op': (ms * 1000) / (2 * pairs) }),
    target: { figure: 'µs per op', atMost },
    prepare() {
      const values = Array.from({ length: 16 }, (_, i) => 0.9 + i / 100);
      setEngine(engine);
      setNumThreads(1);
      const [w, b] = [tensor(values, { requiresGrad: true }), tensor(values, { requiresGrad: true })];
      return () => {
        setEngine(engine);
        w.grad = null;
        b.grad = null;
        let y = w;
        for (let i = 0; i < pairs; i++) y = y.mul(w).add(b);
        y.sum().backward();
      };
    },
  };
}

export const scriptSuite = (): Case[] => [
  ...scripts.flatMap((script) => [1, 2].map((threads) => scriptCase(script, threads))),
  chainOfSmall('native', 3.5),
  chainOfSmall('wasm', 5),
];
