// Transforms of images as torchvision's (golden/transforms_golden.py): the same numbers drawn, the same pixels. And
// what is refused.
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import * as data from '../../src/data/index.ts';
import { type DType, Generator, manualSeed, ones, tensor, zeros } from '../../src/index.ts';
import { randint } from '../../src/tensor/random/index.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { image } from './golden_image.ts';

interface Packed {
  shape: number[];
  dtype: DType;
  data: string;
}
interface Spec {
  name: string;
  args?: unknown[];
  options?: Record<string, unknown>;
}
interface Case extends Spec {
  shape: number[];
  dtype: DType;
  calls: number;
  seed: number;
  outs: Packed[];
  next: number;
}
interface MixCase {
  name: 'MixUp' | 'CutMix';
  options: { numClasses?: number };
  dtype: DType;
  seed: number;
  outs: [Packed, Packed][];
  next: number;
}
const read = <T>(name: string): T =>
  JSON.parse(gunzipSync(readFileSync(new URL(`../golden/${name}`, import.meta.url))).toString()) as T;
const golden = read<{ transforms: Case[]; mixes: MixCase[] }>('transforms.golden.json.gz');

const arrays = {
  uint8: Uint8Array,
  int32: Int32Array,
  int64: BigInt64Array,
  float32: Float32Array,
  float64: Float64Array,
};
function valuesOf({ dtype, data }: Packed): number[] {
  const bytes = Uint8Array.from(Buffer.from(data, 'base64'));
  return Array.from(new arrays[dtype as keyof typeof arrays](bytes.buffer) as Iterable<number | bigint>, Number);
}

type Make = new (...args: unknown[]) => (image: Tensor) => Tensor;
function build({ name, args = [], options }: Spec): (image: Tensor) => Tensor {
  const given = args.map((each) =>
    name === 'Compose' || name === 'RandomApply' ? (Array.isArray(each) ? each.map(build) : each) : each,
  );
  // What has a default stands before the options.
  if (options && Object.keys(options).length > 0) {
    if (name === 'RandomErasing' && given.length === 0) given.push(undefined);
    given.push(options);
  }
  return new (data as unknown as Record<string, Make>)[name](...given);
}
const next = () => Number(randint(new BigInt64Array(1), 0, 2 ** 31)[0]);
const most = (values: readonly number[]) => values.reduce((a, b) => Math.max(a, b), 0);
const differences = (a: readonly number[], b: readonly number[]) => a.map((x, i) => Math.abs(x - b[i]));

describe('transforms give what torchvision gives', () => {
  const rows = golden.transforms.map((each) => {
    const { name, args, options, shape, dtype } = each;
    return [`${name} ${JSON.stringify(args)} ${JSON.stringify(options)} of ${shape}, ${dtype}`, each] as const;
  });
  test.each(rows)('%s', (_, { shape, dtype, seed, outs, next: following, ...spec }) => {
    const transform = build(spec);
    const x = image(shape, dtype);
    const before = x.dataSync();
    manualSeed(seed);
    for (const out of outs) {
      const y = transform(x);
      expect([y.shape, y.dtype]).toEqual([out.shape, out.dtype]);
      const expected = valuesOf(out);
      const off = differences(Array.from(y.dataSync() as Iterable<number | bigint>, Number), expected);
      // Bytes are torchvision's; floats differ where sums are in another order, by a few roundings.
      const bar = out.dtype === 'float32' ? 1e-6 * Math.max(1, most(expected.map(Math.abs))) : 0;
      const others = off.filter((x) => x > bar);
      // A mean of four that is a half but for such a rounding may become either of two bytes.
      const isMean =
        dtype === 'uint8' && spec.options?.interpolation === 'bilinear' && spec.name !== 'RandomResizedCrop';
      expect(others.length).toBeLessThanOrEqual(isMean ? off.length / 500 : 0);
      expect(most(off)).toBeLessThanOrEqual(isMean ? 1 : bar);
    }
    expect(next()).toBe(following);
    expect(x.dataSync()).toEqual(before);
  });

  test.each(golden.mixes.map((each) => [`${each.name} ${JSON.stringify(each.options)}, ${each.dtype}`, each] as const))(
    '%s',
    (_, { name, options, dtype, seed, outs, next: following }) => {
      const mix = new (name === 'MixUp' ? data.MixUp : data.CutMix)(options);
      const x = image([4, 3, 8, 10], dtype);
      const classes = [0, 3, 1, 4];
      const labels =
        options.numClasses === undefined
          ? tensor(classes.map((own) => [0, 1, 2, 3, 4].map((c) => (c === own ? 1 : 0))))
              .mul(0.9)
              .add(0.02)
          : tensor(classes, { dtype: 'int64' });
      manualSeed(seed);
      for (const [images, probabilities] of outs) {
        const [mixed, soft] = mix(x, labels);
        expect(most(differences(Array.from(mixed.dataSync() as Iterable<number>), valuesOf(images)))).toBe(0);
        expect(soft.shape).toEqual(probabilities.shape);
        expect(most(differences(Array.from(soft.dataSync() as Iterable<number>), valuesOf(probabilities)))).toBe(0);
      }
      expect(next()).toBe(following);
    },
  );
});

describe('what a transform is', () => {
  const crop = new data.Compose([new data.RandomCrop(3), (x: Tensor) => x.mul(2), new data.ToDtype('float32')]);

  test('makes an array of an array, a tensor of a tensor, with the same draws', () => {
    const x = image([3, 9, 9]);
    manualSeed(4);
    const { data: values, shape } = crop({ data: x.dataSync(), shape: [3, 9, 9] });
    manualSeed(4);
    const y = crop(x);
    expect([values, shape]).toEqual([y.dataSync(), [3, 3, 3]]);
    const [images, labels] = new data.MixUp({ numClasses: 2 })(
      { data: new Float32Array(8), shape: [2, 1, 2, 2] },
      { data: BigInt64Array.of(0n, 1n), shape: [2] },
    );
    expect([images.data.constructor, images.shape, labels.shape]).toEqual([Float32Array, [2, 1, 2, 2], [2, 2]]);
  });

  test('draws from a generator of its own', () => {
    const x = image([3, 9, 9]);
    const generator = new Generator(3);
    const [first, second] = [3, 3].map((seed) => {
      generator.manualSeed(seed);
      return new data.RandomCrop(3, { generator })(x).toArray();
    });
    expect(first).toEqual(second);
    manualSeed(8);
    const following = next();
    manualSeed(8);
    new data.ColorJitter({ hue: 0.1, generator })(x);
    new data.MixUp({ numClasses: 2, generator })(ones([1, 1, 2, 2]), tensor([1], { dtype: 'int64' }));
    expect(next()).toBe(following);
  });

  test('works in workers, whose draws are those of their seeds', async () => {
    const dataset = new data.WorkerDataset({
      module: new URL('./fixtures/transformed_module.ts', import.meta.url),
      args: 8,
      length: 8,
    });
    const seeds = new Generator(5);
    const base = seeds.random64() & 0x7fffffffffffffffn;
    const batches = async (numWorkers: number) => {
      const loader = new data.DataLoader(dataset, { batchSize: 2, numWorkers, generator: new Generator(5) });
      const all: unknown[] = [];
      for await (const batch of loader) all.push((batch as unknown as Tensor[]).map((each) => each.toArray()));
      return all;
    };
    // What worker i does, here: its batches in their order, with the seed base + i.
    const { default: make, collate } = await import('./fixtures/transformed_module.ts');
    const here = make(8);
    const expected: unknown[] = [];
    for (const worker of [0, 1]) {
      manualSeed(base + BigInt(worker));
      for (const batch of [worker, worker + 2]) {
        const mixed = collate([2 * batch, 2 * batch + 1].map((index) => here.get(index)) as never[]);
        expected[batch] = mixed.map((each) => each.toArray());
      }
    }
    expect(await batches(2)).toEqual(expected);
    const single = new data.DataLoader(dataset, { batchSize: null, numWorkers: 1, sampler: [3] });
    for await (const [image, label] of single as unknown as AsyncIterable<[Tensor, Tensor]>)
      expect([image.shape, image.dtype, label.item()]).toEqual([[1, 3, 3], 'float32', 3]);
  }, 30_000);

  test('gradients go through it', () => {
    const x = ones([1, 4, 4], { requiresGrad: true });
    new data.Compose([new data.CenterCrop(2), new data.Normalize([0], [0.5])])(x).sum().backward();
    expect(x.grad!.sum().item()).toBe(8);
  });

  test('an empty batch stays one', () => {
    const none = zeros([0, 3, 8, 8], { dtype: 'uint8' });
    const shapes = [
      new data.Resize(4),
      new data.RandomCrop(4),
      new data.RandomResizedCrop(4),
      new data.CenterCrop(4),
      new data.RandomAffine(20),
      new data.ColorJitter({ brightness: 0.5, contrast: 0.5, saturation: 0.5, hue: 0.5 }),
      new data.GaussianBlur(3),
      new data.RandomErasing(1),
    ].map((each) => each(none).shape);
    expect(shapes).toEqual([...Array(4).fill([0, 3, 4, 4]), ...Array(4).fill([0, 3, 8, 8])]);
  });
});

describe('refuses', () => {
  const x = image([3, 8, 8]);
  test.each<[string, () => unknown, string]>([
    ['no image', () => new data.CenterCrop(2)(ones([4, 4])), '[CenterCrop] expected an image of channels × rows'],
    ['what is none', () => new data.CenterCrop(2)('image' as never), "[Transform] expected an image, got 'image'"],
    ['an empty list', () => new data.Compose([]), '[Compose] Pass at least one transform'],
    [
      'no list',
      () => new data.Compose(new data.CenterCrop(2) as never),
      'transforms should be a sequence of callables',
    ],
    [
      'a large window',
      () => new data.RandomCrop(9)(x),
      'Required crop size (9, 9) is larger than input image size (8, 8).',
    ],
    [
      'a large window of a padded image',
      () => new data.RandomCrop(11, { padding: 1 })(x),
      'is larger than padded input image size (10, 10).',
    ],
    [
      'three paddings',
      () => new data.RandomCrop(2, { padding: [1, 2, 3] }),
      'Padding must be an integer or an array of 1, 2 or 4',
    ],
    [
      'too much mirroring',
      () => new data.RandomCrop(2, { padding: 9, paddingMode: 'symmetric' })(x),
      '[RandomCrop] expected symmetric padding of at most 8 pixels, got 9, 9',
    ],
    [
      'fills of other channels',
      () => new data.RandomCrop(2, { padding: 1, fill: [1, 2] })(x),
      "The number of elements in 'fill' cannot broadcast",
    ],
    [
      'a scale of three',
      () => new data.RandomResizedCrop(2, { scale: [1, 2, 3] as never }),
      'scale should be a sequence',
    ],
    [
      'a negative angle',
      () => new data.RandomRotation(-3),
      '[RandomRotation] If degrees is a single number, it must be',
    ],
    ['three angles', () => new data.RandomRotation([1, 2, 3]), 'degrees should be a sequence of length 2.'],
    ['a shear of three', () => new data.RandomAffine(1, { shear: [1, 2, 3] }), 'sequence of length 2 or 4.'],
    [
      'a far translation',
      () => new data.RandomAffine(1, { translate: [0, 2] }),
      'translation values should be between 0',
    ],
    ['no scale', () => new data.RandomAffine(1, { scale: [0, 1] }), 'scale values should be positive'],
    ['two colours', () => new data.Grayscale()(ones([2, 4, 4])), 'permitted channel values are 1 or 3, but found 2'],
    ['two channels', () => new data.Grayscale({ numOutputChannels: 2 }), 'numOutputChannels must be 1 or 3, got 2.'],
    ['negative brightness', () => new data.ColorJitter({ brightness: -1 }), 'If brightness is a single number'],
    ['much hue', () => new data.ColorJitter({ hue: 0.6 }), 'hue values should be between [-0.5, 0.5] and increasing'],
    ['three contrasts', () => new data.ColorJitter({ contrast: [1, 2, 3] }), 'should be a single number or a sequence'],
    ['an even kernel', () => new data.GaussianBlur(4), 'Kernel size value should be an odd and positive number.'],
    ['no sigma', () => new data.GaussianBlur(3, { sigma: 0 }), 'sigma values should be positive'],
    ['a std of 0', () => new data.Normalize([0], [0]), 'std evaluated to zero, leading to division by zero.'],
    ['bytes normalized', () => new data.Normalize([0], [1])(x), 'should be a float tensor. Got uint8.'],
    [
      'two means',
      () => new data.Normalize([0, 1], [1])(ones([3, 2, 2])),
      'expected mean of 1 value or 3 (one per channel)',
    ],
    [
      'unsafe integers',
      () => new data.ToDtype('int32', { scale: true })(ones([1, 1, 1])),
      'cannot be performed safely',
    ],
    ['no dtype', () => new data.ToDtype('float' as never), "[ToDtype] expected a dtype, got 'float'"],
    ['a large area', () => new data.RandomErasing(1, { scale: [0, 2] }), 'Scale should be between 0 and 1'],
    ['another word', () => new data.RandomErasing(1, { value: 'noise' as never }), "it should be 'random'"],
    ['two values', () => new data.RandomErasing(1, { value: [1, 2] })(x), 'either a single value or 3'],
    [
      'labels alone',
      () => new data.MixUp()(ones([2, 3, 4, 4]), tensor([0, 1], { dtype: 'int64' })),
      'numClasses must be',
    ],
    [
      'one image',
      () => new data.CutMix({ numClasses: 2 })(ones([3, 4, 4]), ones([3])),
      'Expected a batched input with 4',
    ],
    ['fewer labels', () => new data.CutMix()(ones([3, 1, 4, 4]), ones([2, 2])), 'does not match the batch size'],
    ['other classes', () => new data.CutMix({ numClasses: 3 })(ones([2, 1, 4, 4]), ones([2, 2])), '2 != 3'],
    ['bytes mixed', () => new data.MixUp()(zeros([2, 1, 4, 4], { dtype: 'uint8' }), ones([2, 2])), "can't be cast"],
    ['no alpha', () => new data.MixUp({ alpha: 0 }), '[MixUp] expected alpha above 0, got 0'],
  ])('%s', (_, call, text) => {
    expect(call).toThrow(text);
  });
});
