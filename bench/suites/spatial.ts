// Padding and resizing of feature maps of a network's size, forward alone and with backward, in both memory formats and
// with one thread and two, against PyTorch in the same format.
import { grad } from '../../src/autograd/backward.ts';
import { setEngine, setNumThreads } from '../../src/device/engine.ts';
import { unfold } from '../../src/ops/fold.ts';
import { type PadMode, pad } from '../../src/ops/pad.ts';
import { type InterpolateOptions, interpolate } from '../../src/ops/resample.ts';
import { pixelShuffle, pixelUnshuffle } from '../../src/ops/shuffle.ts';
import { randn } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import { type MemoryFormat, memoryFormats, type Shape } from '../../src/tensor/shape.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import type { TimedCase } from './index.ts';

export interface Work {
  readonly name: string;
  readonly shape: Shape;
  run(x: Tensor): Tensor;
  /** The same in Python, of x. */
  readonly torch: string;
}

const padModes: readonly PadMode[] = ['constant', 'reflect', 'replicate', 'circular'];
const padWork = (mode: PadMode, shape: Shape, padding: readonly number[]): Work => ({
  name: `pad ${mode} ${padding.join(',')} of ${shape.join('x')}`,
  shape,
  run: (x) => pad(x, padding, { mode }),
  torch: `F.pad(x, ${JSON.stringify(padding)}, "${mode}")`,
});

const resizeWork = (shape: Shape, options: InterpolateOptions, torch: string): Work => ({
  name: `interpolate ${torch} of ${shape.join('x')}`,
  shape,
  run: (x) => interpolate(x, options),
  torch: `F.interpolate(x, ${torch})`,
});

const works: readonly Work[] = [
  ...padModes.flatMap((mode) => [
    padWork(mode, [8, 64, 56, 56], [1, 1, 1, 1]),
    padWork(mode, [2, 3, 224, 224], [3, 3, 3, 3]),
  ]),
  padWork('reflect', [16, 64, 1024], [4, 4]),
  padWork('replicate', [2, 16, 16, 28, 28], [1, 1, 1, 1, 1, 1]),
  resizeWork([4, 64, 28, 28], { scaleFactor: 2, mode: 'bilinear' }, 'scale_factor=2, mode="bilinear"'),
  resizeWork([4, 64, 28, 28], { scaleFactor: 2 }, 'scale_factor=2'),
  resizeWork(
    [8, 3, 224, 224],
    { size: 96, mode: 'bilinear', antialias: true },
    'size=96, mode="bilinear", antialias=True',
  ),
  {
    name: 'unfold 3 of 4x64x56x56',
    shape: [4, 64, 56, 56],
    run: (x) => unfold(x, 3, { padding: 1 }),
    torch: 'F.unfold(x, 3, padding=1)',
  },
  {
    name: 'unfold 4, stride 4, of 4x64x56x56',
    shape: [4, 64, 56, 56],
    run: (x) => unfold(x, 4, { stride: 4 }),
    torch: 'F.unfold(x, 4, stride=4)',
  },
  {
    name: 'pixelShuffle 2 of 4x256x28x28',
    shape: [4, 256, 28, 28],
    run: (x) => pixelShuffle(x, 2),
    torch: 'F.pixel_shuffle(x, 2)',
  },
  {
    name: 'pixelUnshuffle 2 of 4x64x56x56',
    shape: [4, 64, 56, 56],
    run: (x) => pixelUnshuffle(x, 2),
    torch: 'F.pixel_unshuffle(x, 2)',
  },
];

/** As the peer has it. */
const repetitions = 5;

/** Times an expression against the same in PyTorch. */
export function timed(work: Work, format: MemoryFormat, backward: boolean, threads: number): TimedCase {
  const { name, shape, torch } = work;
  const text = Buffer.from(JSON.stringify({ torch, shape, format, backward, repetitions })).toString('base64');
  return {
    name: `${name}, ${format}: forward${backward ? ' and backward' : ''}, ${threads} thread${threads > 1 ? 's' : ''}`,
    engine: 'native',
    threads,
    budget: 30,
    peers: [{ name: 'torch', work: `expression:${text}`, threads }],
    target: { figure: 'torch', atLeast: 1 },
    prepare() {
      setEngine('native');
      setNumThreads(threads);
      const x = randn([...shape])
        .contiguous(format)
        .requiresGrad_(backward);
      const gradOutputs = backward ? [randn([...work.run(x).shape]).contiguous(format)] : [];
      return () => {
        for (let i = 0; i < repetitions; i++)
          scope(() => void (backward ? grad([work.run(x)], [x], { gradOutputs }) : work.run(x)));
      };
    },
  };
}

/** The suite. Formats differ only where there are channels and an image. */
export const spatial = (): TimedCase[] =>
  works.flatMap((work) =>
    memoryFormats
      .filter((format) => format === 'contiguous' || work.shape.length === 4)
      .flatMap((format) =>
        [1, 2].flatMap((threads) => [false, true].map((backward) => timed(work, format, backward, threads))),
      ),
  );
