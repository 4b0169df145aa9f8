// Forward and backward of every normalization on shapes of real networks, in both memory formats, against PyTorch and
// against copying the same tensor.
import { grad } from '../../src/autograd/backward.ts';
import { setEngine, setNumThreads } from '../../src/device/engine.ts';
import { withFusion } from '../../src/fusion/switch.ts';
import * as nn from '../../src/nn/index.ts';
import { clone } from '../../src/ops/convert.ts';
import { randn } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import type { MemoryFormat } from '../../src/tensor/shape.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { median, timeRuns } from '../measure.ts';
import type { TimedCase } from './index.ts';

const threads = 2;
const budget = 120;
/**
 * Reads and writes of the tensor that the definitions need, when nothing stays in a cache: x for the statistics, x and
 * y; then x and dy for the sums, x and dy again, and dx.
 */
const passes = 8;

const shapes = [
  [32, 64, 56, 56],
  [256, 6, 28, 28],
  [64, 256, 14, 14],
  [8, 64, 112, 112],
  [256, 128, 8, 8],
  [4096, 512],
  [16, 32, 16, 32, 32],
];

interface Layer {
  /** As the peer calls it. */
  readonly kind: string;
  make(shape: readonly number[]): nn.Module;
  /** Ranks that the layer takes. Default: all. */
  readonly ranks?: readonly number[];
}

/** The class for a shape, of the three that differ by rank. */
type ModuleClass<O> = new (channels: number, options?: O) => nn.Module;
const byRank = <O>(shape: readonly number[], classes: readonly ModuleClass<O>[]): ModuleClass<O> =>
  classes[Math.max(shape.length - 3, 0)];

const groupsOf = (channels: number) => (channels < 32 ? channels / 2 : 32);

/** Batch norm of any rank with the ReLU in the same pass. */
class BatchNormRelu extends nn.BatchNormBase {
  constructor(channels: number) {
    super(channels, {});
  }
  protected checkInputDim(): void {}
  protected override normalize(...[x, mean, variance, options]: Parameters<typeof nn.functional.batchNorm>): Tensor {
    return super.normalize(x, mean, variance, { ...options, relu: true });
  }
}

const layers: Layer[] = [
  {
    kind: 'batch_norm',
    make: (shape) => new (byRank(shape, [nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d]))(shape[1]),
  },
  { kind: 'batch_norm_relu', make: (shape) => new BatchNormRelu(shape[1]) },
  {
    kind: 'instance_norm',
    ranks: [4, 5],
    make: (shape) =>
      new (byRank(shape, [nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d]))(shape[1], { affine: true }),
  },
  { kind: 'group_norm', make: (shape) => new nn.GroupNorm(groupsOf(shape[1]), shape[1]) },
  { kind: 'layer_norm', make: (shape) => new nn.LayerNorm(shape.slice(1)) },
  { kind: 'rms_norm', make: (shape) => new nn.RMSNorm(shape.slice(1)) },
  { kind: 'frozen_batch_norm', ranks: [4], make: (shape) => new nn.FrozenBatchNorm2d(shape[1]) },
  {
    kind: 'ghost_batch_norm',
    ranks: [2],
    make: (shape) => new nn.ChunkedGhostBatchNorm1d(shape[1], { virtualBatchSize: shape[0] / 2 }),
  },
  { kind: 'local_response_norm', ranks: [4, 5], make: () => new nn.LocalResponseNorm(5) },
];

/** Milliseconds of one copy of a tensor like x, by our own kernel: what any reading and writing can reach. */
function copyTime(x: Tensor): number {
  return median(timeRuns(() => scope(() => void clone(x)), budget));
}

function timed({ kind, make }: Layer, shape: readonly number[], format: MemoryFormat): TimedCase {
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
      const module = make(shape);
      const x = randn([...shape])
        .contiguous(format)
        .requiresGrad_();
      const g = randn([...shape]).contiguous(format);
      copy = copyTime(g);
      const wanted = [x, ...module.parameters()];
      // Without fusion, which would leave out results that nobody looks at.
      return () => withFusion(false, () => scope(() => void grad([module(x)], wanted, { gradOutputs: [g] })));
    },
    // A copy is two passes: it reads and writes.
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
