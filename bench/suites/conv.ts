// Convolutions of well-known networks and matrix products of linear layers, each direction for itself, against the
// faster of PyTorch's two memory formats and against what the machine could do.
import { grad } from '../../src/autograd/backward.ts';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import { setEngine, setNumThreads } from '../../src/device/engine.ts';
import { withFusion } from '../../src/fusion/switch.ts';
import { conv2d } from '../../src/ops/conv.ts';
import { linear } from '../../src/ops/linear.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { randn } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import type { MemoryFormat } from '../../src/tensor/shape.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { type Bounds, boundOf } from '../isa.ts';
import type { Work } from '../machine.ts';
import { median, type Row, rowOf, timesOf } from '../measure.ts';
import { shareOfLimit, type Target } from '../target.ts';
import type { Case, SpecialCase, TimedCase } from './index.ts';

const threads = 2;
const budget = 100;

const directions = ['forward', 'backward_data', 'backward_weight'] as const;
type Direction = (typeof directions)[number];

/** One layer's work; `run` is differentiable in both operands. */
interface Layer {
  readonly name: string;
  /** As the peer calls it. */
  readonly peer: string;
  readonly work: Work;
  readonly target?: Target;
  make(): { x: Tensor; weight: Tensor; run: (x: Tensor, weight: Tensor) => Tensor };
}

interface Conv {
  readonly n: number;
  readonly c: number;
  readonly o: number;
  readonly size: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly groups?: number;
}

const isDepthwise = ({ c, groups }: Conv) => groups === c;

/** The least ratio to PyTorch. */
function leastRatio(conv: Conv, format: MemoryFormat): Bounds | undefined {
  const { c, o, kernel, stride = 1, groups = 1 } = conv;
  if (kernel === 1 || format === 'contiguous') return undefined;
  if (isDepthwise(conv)) return { avx2: 1.1, avx512: 1.1 };
  if (stride > 1) return { avx2: 1, avx512: 1 };
  return c === o && c >= 64 && groups === 1 ? { avx2: 0.95, avx512: 0.95 } : undefined;
}

/** Pairs of an output and an element of the kernel, along one side, that lie inside the image. */
function pairsInside(size: number, out: number, kernel: number, stride: number): number {
  const isInside = (at: number) => at >= 0 && at < size;
  const offsets = Array.from({ length: kernel }, (_, i) => i - (kernel >> 1));
  return Array.from({ length: out }, (_, i) => offsets.filter((k) => isInside(i * stride + k)).length).reduce(
    (sum, count) => sum + count,
    0,
  );
}

/** "Same" padding, as all of these networks have. */
function convLayer(network: string, conv: Conv, format: MemoryFormat): Layer {
  const { n, c, o, size, kernel, stride = 1, groups = 1 } = conv;
  const padding = kernel >> 1;
  const out = Math.floor((size + 2 * padding - kernel) / stride) + 1;
  const least = leastRatio(conv, format);
  const plain = format === 'contiguous' ? ' contiguous' : '';
  const grouped = groups > 1 ? ` groups ${groups}` : '';
  return {
    name: `${network}: ${kernel}x${kernel}${stride > 1 ? `/${stride}` : ''} ${n}x${c}x${size}x${size} to ${o}${grouped}${plain}`,
    peer: `conv:${[n, c, o, size, kernel, stride, groups].join(':')}`,
    work: {
      multiplyAdds: (n * o * c * pairsInside(size, out, kernel, stride) ** 2) / groups,
      held: 4 * (n * c * size * size + (o * c * kernel * kernel) / groups + n * o * out * out),
      mayTakeFewer: kernel === 3 && stride === 1 && groups === 1,
    },
    ...(least && { target: { figure: 'torch', atLeast: boundOf(least) } }),
    make: () => ({
      x: randn([n, c, size, size]).contiguous(format),
      weight: randn([o, c / groups, kernel, kernel]),
      run: (x, weight) => conv2d(x, weight, null, { stride, padding, groups }),
    }),
  };
}

const productWork = (n: number, c: number, o: number): Work => ({
  multiplyAdds: n * c * o,
  held: 4 * (n * c + c * o + n * o),
});
const nearLimit: Target = { figure: shareOfLimit, atLeast: 85 };

function linearLayer(n: number, c: number, o: number): Layer {
  return {
    name: `Linear: ${n}x${c} to ${o}`,
    peer: `linear:${n}:${c}:${o}`,
    work: productWork(n, c, o),
    target: nearLimit,
    make: () => ({ x: randn([n, c]), weight: randn([o, c]), run: (x, weight) => linear(x, weight, null) }),
  };
}

function matrixProduct(n: number): Layer {
  return {
    name: `GEMM: ${n}x${n} by ${n}x${n}`,
    peer: `matmul:${n}`,
    work: productWork(n, n, n),
    target: nearLimit,
    make: () => ({ x: randn([n, n]), weight: randn([n, n]), run: (x, weight) => matmul(x, weight) }),
  };
}

const conv = (n: number, kernel: number, c: number, o: number, size: number, stride = 1, groups = 1): Conv => ({
  n,
  c,
  o,
  size,
  kernel,
  stride,
  groups,
});

const resnet3x3 = [
  conv(16, 3, 64, 64, 56),
  conv(16, 3, 128, 128, 28),
  conv(16, 3, 256, 256, 14),
  conv(16, 3, 512, 512, 7),
  conv(16, 3, 64, 128, 56, 2),
  conv(16, 3, 128, 256, 28, 2),
  conv(16, 3, 256, 512, 14, 2),
];
const networks: Record<string, Conv[]> = {
  'ResNet-18': resnet3x3,
  'ResNet-50': [
    conv(8, 1, 64, 64, 56),
    conv(8, 1, 64, 256, 56),
    conv(8, 1, 256, 64, 56),
    conv(8, 1, 256, 128, 28),
    conv(8, 1, 128, 512, 28),
    conv(8, 1, 512, 128, 28),
    conv(8, 1, 512, 256, 14),
    conv(8, 1, 256, 1024, 14),
    conv(8, 1, 1024, 256, 14),
    conv(8, 1, 1024, 512, 7),
    conv(8, 1, 512, 2048, 7),
    conv(8, 1, 2048, 512, 7),
    conv(8, 1, 256, 512, 56, 2),
    conv(8, 1, 512, 1024, 28, 2),
    conv(8, 1, 1024, 2048, 14, 2),
    conv(8, 3, 128, 128, 56, 2),
    conv(8, 3, 256, 256, 28, 2),
    conv(8, 3, 512, 512, 14, 2),
    conv(8, 7, 3, 64, 224, 2),
  ],
  MobileNetV2: [
    conv(16, 3, 3, 32, 224, 2),
    conv(16, 3, 32, 32, 112, 1, 32),
    conv(16, 3, 96, 96, 112, 2, 96),
    conv(16, 3, 144, 144, 56, 1, 144),
    conv(16, 3, 192, 192, 28, 1, 192),
    conv(16, 3, 576, 576, 14, 1, 576),
    conv(16, 3, 576, 576, 14, 2, 576),
    conv(16, 3, 960, 960, 7, 1, 960),
  ],
  'ResNeXt-50': [
    conv(8, 3, 128, 128, 56, 1, 32),
    conv(8, 3, 256, 256, 56, 2, 32),
    conv(8, 3, 256, 256, 28, 1, 32),
    conv(8, 3, 512, 512, 14, 1, 32),
    conv(8, 3, 1024, 1024, 7, 1, 32),
  ],
  'few channels': [
    conv(256, 5, 1, 6, 28),
    conv(256, 5, 6, 16, 14),
    conv(64, 3, 3, 16, 32),
    conv(64, 3, 16, 16, 32),
    conv(64, 3, 16, 32, 32, 2),
  ],
};

function timed({ name, peer, work, target, make }: Layer, direction: Direction): TimedCase {
  return {
    name: `${name} ${direction}`,
    engine: 'native',
    threads,
    budget,
    peers: [{ name: 'torch', work: `${peer}:${direction}`, threads }],
    target,
    work,
    prepare() {
      setEngine('native');
      setNumThreads(threads);
      const { x, weight, run } = make();
      // Without fusion, which would leave out a result that nobody looks at.
      if (direction === 'forward') return () => withFusion(false, () => noGrad(() => scope(() => void run(x, weight))));
      const wanted = (direction === 'backward_data' ? x : weight).requiresGrad_();
      const y = run(x, weight);
      const g = randn([...y.shape]).contiguous(y.memoryFormat);
      return () => scope(() => void grad([y], [wanted], { gradOutputs: [g], retainGraph: true }));
    },
    extra: (ms) => ({ 'GFLOP/s': (2 * work.multiplyAdds) / ms / 1e6 }),
  };
}

/** A figure of all rows of ResNet-50's 1x1 convolutions that are measured before; its time is that of all of them. */
function ofPointwise(
  title: string,
  target: Target,
  ending: string,
  figureOf: (rows: readonly Row[]) => number,
): SpecialCase {
  return {
    name: `ResNet-50: 1x1, ${title}`,
    engine: 'native',
    threads,
    peers: [],
    target,
    async measure(one, _turns, before) {
      const rows = before.filter(({ name }) => /^ResNet-50: 1x1.* to /.test(name) && name.endsWith(ending));
      const own = [timesOf([[rows.reduce((sum, { ms }) => sum + ms, 0)]])];
      const row = rowOf(one, { own, peers: [], speeds: [] }, []);
      // Not a number where nothing was measured that it could be made of.
      const value = rows.length > 0 ? figureOf(rows) : NaN;
      if (!Number.isNaN(value)) row.extra = { [target.figure]: value };
      const disturbed = rows.filter((row) => row.disturbed).length;
      return disturbed > 0 ? { ...row, disturbed: `${disturbed} of ${rows.length} rows` } : row;
    },
  };
}
const medianShare = (direction: Direction): SpecialCase =>
  ofPointwise(direction, { figure: `median ${shareOfLimit}`, atLeast: 85 }, ` ${direction}`, (rows) =>
    median(rows.flatMap(({ extra }) => extra?.[shareOfLimit] ?? [])),
  );
const worstRatio = ofPointwise('all directions', { figure: 'worst ratio', atLeast: 1 }, '', (rows) =>
  Math.min(...rows.map(({ ratio }) => ratio.torch)),
);

/** The suite: all networks channels last, 3x3 of ResNet contiguous as well, linear layers. */
export function conv2dAndLinear(): Case[] {
  const layers = [
    ...Object.entries(networks).flatMap(([network, shapes]) =>
      shapes.map((shape) => convLayer(network, shape, 'channelsLast')),
    ),
    ...resnet3x3.map((shape) => convLayer('ResNet-18', shape, 'contiguous')),
    linearLayer(256, 784, 512),
    linearLayer(256, 512, 512),
    linearLayer(256, 512, 10),
    matrixProduct(1024),
  ];
  return [
    ...layers.flatMap((layer) => directions.map((direction) => timed(layer, direction))),
    ...directions.map(medianShare),
    worstRatio,
  ];
}
