// Forward and backward of every normalization on shapes of real networks, in both memory formats, against PyTorch and against copying
// the same tensor.
import { grad } from '../../src/autograd/backward.ts';
import { setEngine, setNumThreads } from '../../src/kernels/engine.ts';
import * as nn from '../../src/nn/index.ts';
import { batchNorm } from '../../src/ops/batch_norm.ts';
import { clone } from '../../src/ops/launch.ts';
import { normalizeRows } from '../../src/ops/row_norm.ts';
import { ones, zeros } from '../../src/tensor/create.ts';
import { randn } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import type { MemoryFormat } from '../../src/tensor/shape.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { median, timeRuns } from '../measure.ts';
import type { TimedCase } from './index.ts';

const threads = 2;
const budget = 120;

const shapes = [
  [32, 64, 56, 56],
  [256, 6, 28, 28],
  [64, 256, 14, 14],
  [8, 64, 112, 112],
  [256, 128, 8, 8],
  [4096, 512],
  [16, 32, 16, 32, 32],
];

interface Work {
  forward(x: Tensor): Tensor;
  readonly parameters: readonly Tensor[];
}
interface Layer {
  /** As the peer calls it. */
  readonly kind: string;
  make(shape: readonly number[]): Work;
  /** Reads and writes of the tensor that the definition needs, forward + backward, when nothing stays in a cache. */
  readonly passes: number;
  /** Ranks that the layer takes. Default: all. */
  readonly ranks?: readonly number[];
}

const batchNormOf = (shape: readonly number[]) =>
  new ({ 2: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d })[shape.length as 2 | 4 | 5](shape[1]);
const of = (module: nn.Module): Work => ({ forward: (x) => module.call(x), parameters: [...module.parameters()] });
const rows =
  (view: (shape: readonly number[]) => [g: number, k: number, s: number], centred = true, hasBias = true) =>
  (shape: readonly number[]): Work => {
    const [g, k, s] = view(shape);
    const weight = ones([g * k], { requiresGrad: true });
    const bias = hasBias ? zeros([g * k], { requiresGrad: true }) : null;
    return {
      forward: (x: Tensor) => normalizeRows(x, { n: shape[0], g, k, s }, weight, bias, 1e-5, centred).y,
      parameters: bias ? [weight, bias] : [weight],
    };
  };
const plane = (shape: readonly number[]) => sizeOf(shape.slice(2));
const layers: Layer[] = [
  // Forward: read for the statistics, read, write; backward: x and dy for the sums, x and dy again, write.
  { kind: 'batch_norm', passes: 8, make: (shape) => of(batchNormOf(shape)) },
  {
    kind: 'batch_norm_relu',
    passes: 8,
    make: (shape) => {
      const bn = batchNormOf(shape);
      return {
        forward: (x) =>
          batchNorm(x, bn.runningMean, bn.runningVar, { weight: bn.weight, bias: bn.bias, training: true, relu: true }),
        parameters: [...bn.parameters()],
      };
    },
  },
  { kind: 'layer_norm', passes: 8, make: rows((shape) => [1, sizeOf(shape.slice(1)), 1]) },
  { kind: 'rms_norm', passes: 8, make: rows((shape) => [1, sizeOf(shape.slice(1)), 1], false, false) },
  {
    kind: 'group_norm',
    passes: 8,
    make: rows((shape) => {
      const g = shape[1] < 32 ? shape[1] / 2 : 32;
      return [g, shape[1] / g, plane(shape)];
    }),
  },
  { kind: 'instance_norm', passes: 8, ranks: [4, 5], make: rows((shape) => [shape[1], 1, plane(shape)]) },
];

/** Milliseconds of one copy of a tensor like x, by our own kernel: what any reading and writing can reach. */
function copyTime(x: Tensor): number {
  return median(timeRuns(() => scope(() => void clone(x)), budget));
}

function timed({ kind, make, passes }: Layer, shape: readonly number[], format: MemoryFormat): TimedCase {
  let copy = 0;
  return {
    name: `${kind} ${shape.join('x')} ${format}`,
    engine: 'native',
    threads,
    budget,
    peers: [{ name: 'torch', work: `norm:${kind}:${shape.join('x')}:${Number(format === 'channelsLast')}`, threads }],
    prepare() {
      setEngine('native');
      setNumThreads(threads);
      const { forward, parameters } = make(shape);
      const x = randn([...shape])
        .contiguous(format)
        .requiresGrad_();
      const g = randn([...shape]).contiguous(format);
      copy = copyTime(g);
      const wanted = [x, ...parameters];
      return () => scope(() => void grad([forward(x)], wanted, { gradOutputs: [g] }));
    },
    // A copy reads and writes once: two passes.
    extra: (ms) => ({ '% of copy bandwidth': (100 * (passes / 2) * copy) / ms }),
  };
}

/** The suite: every layer on every shape it takes, in the memory formats that differ there. */
export function norm(): TimedCase[] {
  return layers.flatMap((layer) =>
    shapes
      .filter((shape) => layer.ranks?.includes(shape.length) ?? true)
      .flatMap((shape) => {
        const formats: MemoryFormat[] = shape.length > 2 ? ['contiguous', 'channelsLast'] : ['contiguous'];
        return formats.map((format) => timed(layer, shape, format));
      }),
  );
}
