// Forward and backward of every normalization on shapes of real networks, in both memory formats, against PyTorch and
// against copying as many bytes.
import { grad } from '../../src/autograd/backward.ts';
import { setEngine, setNumThreads } from '../../src/device/engine.ts';
import { withFusion } from '../../src/fusion/switch.ts';
import * as nn from '../../src/nn/index.ts';
import { randn } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import type { MemoryFormat } from '../../src/tensor/shape.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { type Bounds, boundOf } from '../isa.ts';
import { shareOfLimit } from '../target.ts';
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

interface Layer {
  /** As the peer calls it. */
  readonly kind: string;
  make(shape: readonly number[]): nn.Module;
  /** Ranks that the layer takes. Default: all. */
  readonly ranks?: readonly number[];
  /** The least ratio to PyTorch. Default: 1.2, or 85 % of the limit. */
  readonly least?: Bounds;
  /** How often tensors like x are read or written at least. Default: 5. */
  passes?(bytes: number, lastCache: number, isApart: boolean): number;
}

/**
 * What is normalized together is read for its numbers, and read again with them: from a cache, if it fits one. Then
 * memory gives x once and takes y, and gives x and dy once and takes dx. Rows of layer and group norms fit, and so do
 * channels that lie apart. Where the channels lie beside each other a batch norm goes twice through all of x, or of x
 * and dy.
 */
const leastPasses = 5;
const passesOfBatchNorm = (bytes: number, lastCache: number, isApart: boolean): number =>
  isApart ? leastPasses : (bytes <= lastCache ? 2 : 3) + (2 * bytes <= lastCache ? 3 : 5);

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
    least: { avx2: 1.5, avx512: 2 },
    passes: passesOfBatchNorm,
  },
  {
    kind: 'batch_norm_relu',
    make: (shape) => new BatchNormRelu(shape[1]),
    least: { avx2: 2.5, avx512: 3 },
    passes: passesOfBatchNorm,
  },
  {
    kind: 'instance_norm',
    ranks: [4, 5],
    make: (shape) =>
      new (byRank(shape, [nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d]))(shape[1], { affine: true }),
  },
  { kind: 'group_norm', make: (shape) => new nn.GroupNorm(groupsOf(shape[1]), shape[1]) },
  { kind: 'layer_norm', make: (shape) => new nn.LayerNorm(shape.slice(1)) },
  { kind: 'rms_norm', make: (shape) => new nn.RMSNorm(shape.slice(1)) },
  {
    kind: 'frozen_batch_norm',
    ranks: [4],
    make: (shape) => new nn.FrozenBatchNorm2d(shape[1]),
    // It has no statistics, and its backward no need of x.
    passes: () => 4,
  },
  {
    kind: 'ghost_batch_norm',
    ranks: [2],
    make: (shape) => new nn.ChunkedGhostBatchNorm1d(shape[1], { virtualBatchSize: shape[0] / 2 }),
    passes: (bytes, lastCache, isApart) => passesOfBatchNorm(bytes / 2, lastCache, isApart),
  },
  { kind: 'local_response_norm', ranks: [4, 5], make: () => new nn.LocalResponseNorm(5) },
];

function timed(layer: Layer, shape: readonly number[], format: MemoryFormat): TimedCase {
  const { kind, make, least, passes = () => leastPasses } = layer;
  const bytes = 4 * shape.reduce((product, d) => product * d, 1);
  const isApart = format === 'contiguous' && shape.length > 2;
  return {
    name: `${kind} ${shape.join('x')} ${format}`,
    engine: 'native',
    threads,
    budget,
    peers: [{ name: 'torch', work: `norm:${kind}:${shape.join('x')}:${Number(format === 'channelsLast')}`, threads }],
    target: least
      ? { figure: 'torch', atLeast: boundOf(least) }
      : { figure: 'torch', atLeast: 1.2, or: { figure: shareOfLimit, atLeast: 85 } },
    // Four tensors: x, y and their gradients. The arithmetic is little beside them.
    work: { multiplyAdds: 0, held: 4 * bytes, moved: (lastCache) => bytes * passes(bytes, lastCache, isApart) },
    prepare() {
      setEngine('native');
      setNumThreads(threads);
      const module = make(shape);
      const x = randn([...shape])
        .contiguous(format)
        .requiresGrad_();
      const g = randn([...shape]).contiguous(format);
      const wanted = [x, ...module.parameters()];
      // Without fusion, which would leave out results that nobody looks at.
      return () => withFusion(false, () => scope(() => void grad([module(x)], wanted, { gradOutputs: [g] })));
    },
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
