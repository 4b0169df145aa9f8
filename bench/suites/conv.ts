// Convolutions of well-known networks and matrix products of linear layers, each direction for itself, against the
// faster of PyTorch's two memory formats and against the machine's peak of multiply-adds.
import { grad } from '../../src/autograd/backward.ts';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import { setEngine, setNumThreads } from '../../src/device/engine.ts';
import { withFusion } from '../../src/fusion/switch.ts';
import { conv2d } from '../../src/ops/conv.ts';
import { linear } from '../../src/ops/linear.ts';
import { randn } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import type { MemoryFormat } from '../../src/tensor/shape.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { fmaPeak } from '../fma_peak.ts';
import type { TimedCase } from './index.ts';

const threads = 2;
const budget = 100;

const directions = ['forward', 'backward_data', 'backward_weight'] as const;
type Direction = (typeof directions)[number];

/** One layer's work; `run` is differentiable in both operands. */
interface Work {
  readonly name: string;
  /** As the peer calls it. */
  readonly peer: string;
  /** Of the definition; kernels of 3x3 may take fewer. */
  readonly multiplyAdds: number;
  /** Of PyTorch's time over ours. */
  readonly target?: number;
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

/** "Same" padding, as all of these networks have. */
function convWork(
  network: string,
  { n, c, o, size, kernel, stride = 1, groups = 1 }: Conv,
  format: MemoryFormat,
): Work {
  const padding = kernel >> 1;
  const out = Math.floor((size + 2 * padding - kernel) / stride) + 1;
  const plain = format === 'contiguous' ? ' contiguous' : '';
  const grouped = groups > 1 ? ` groups ${groups}` : '';
  return {
    name: `${network}: ${kernel}x${kernel}${stride > 1 ? `/${stride}` : ''} ${n}x${c}x${size}x${size} to ${o}${grouped}${plain}`,
    peer: `conv:${[n, c, o, size, kernel, stride, groups].join(':')}`,
    multiplyAdds: (n * out * out * o * c * kernel * kernel) / groups,
    ...(c === o &&
      kernel === 3 &&
      stride === 1 &&
      groups === 1 &&
      c >= 64 &&
      format === 'channelsLast' && { target: 0.95 }),
    make: () => ({
      x: randn([n, c, size, size]).contiguous(format),
      weight: randn([o, c / groups, kernel, kernel]),
      run: (x, weight) => conv2d(x, weight, null, { stride, padding, groups }),
    }),
  };
}

function linearWork(n: number, c: number, o: number): Work {
  return {
    name: `Linear: ${n}x${c} to ${o}`,
    peer: `linear:${n}:${c}:${o}`,
    multiplyAdds: n * c * o,
    make: () => ({ x: randn([n, c]), weight: randn([o, c]), run: (x, weight) => linear(x, weight, null) }),
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

function timed({ name, peer, multiplyAdds, target, make }: Work, direction: Direction): TimedCase {
  let peak: number | null = null;
  return {
    name: `${name} ${direction}`,
    engine: 'native',
    threads,
    budget,
    peers: [{ name: 'torch', work: `${peer}:${direction}`, threads }],
    ...(target && { target: { figure: 'torch', atLeast: target } }),
    prepare() {
      setEngine('native');
      setNumThreads(threads);
      peak = fmaPeak(threads);
      const { x, weight, run } = make();
      // Without fusion, which would leave out a result that nobody looks at.
      if (direction === 'forward') return () => withFusion(false, () => noGrad(() => scope(() => void run(x, weight))));
      const wanted = (direction === 'backward_data' ? x : weight).requiresGrad_();
      const y = run(x, weight);
      const g = randn([...y.shape]).contiguous(y.memoryFormat);
      return () => scope(() => void grad([y], [wanted], { gradOutputs: [g], retainGraph: true }));
    },
    extra(ms) {
      const gflops = (2 * multiplyAdds) / ms / 1e6;
      return { 'GFLOP/s': gflops, ...(peak && { '% of FMA peak': (100 * gflops) / peak }) };
    },
  };
}

/** The suite: all networks channels last, 3x3 of ResNet contiguous as well, linear layers. */
export function conv2dAndLinear(): TimedCase[] {
  const work = [
    ...Object.entries(networks).flatMap(([network, shapes]) =>
      shapes.map((shape) => convWork(network, shape, 'channelsLast')),
    ),
    ...resnet3x3.map((shape) => convWork('ResNet-18', shape, 'contiguous')),
    linearWork(256, 784, 512),
    linearWork(256, 512, 512),
    linearWork(256, 512, 10),
  ];
  return work.flatMap((one) => directions.map((direction) => timed(one, direction)));
}
