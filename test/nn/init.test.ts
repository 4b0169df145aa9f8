// Initial values of layers and the functions of nn.init against PyTorch's (golden/nn_golden.py): uniforms bit for bit,
// normals to two units in the last place.
import { describe, expect, it } from 'vitest';
import { inOurWords } from '../../fuzz/our_words.ts';
import {
  BatchNorm2d,
  Bilinear,
  Conv1d,
  Conv2d,
  Conv3d,
  ConvTranspose1d,
  ConvTranspose2d,
  ConvTranspose3d,
  Embedding,
  init,
  Linear,
  type Module,
  Sequential,
} from '../../src/nn/index.ts';
import { empty } from '../../src/tensor/create.ts';
import { Generator, manualSeed } from '../../src/tensor/random/index.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { decode, expectClose, readGolden } from '../support/golden.ts';

type Float = 'float32' | 'float64';
const golden = readGolden<{
  layers: Record<string, Record<string, string>>;
  inits: Record<string, string>;
  gains: [init.Nonlinearity, number | null, number][];
  errors: Record<string, string>;
}>('nn.golden.json');

const layers: Record<string, (dtype: Float) => Module> = {
  Linear: (dtype) => new Linear(7, 5, { dtype }),
  'Linear no bias': (dtype) => new Linear(3, 4, { bias: false, dtype }),
  Conv1d: (dtype) => new Conv1d(4, 6, 3, { groups: 2, dtype }),
  Conv2d: (dtype) => new Conv2d(3, 4, [3, 2], { dtype }),
  Conv3d: (dtype) => new Conv3d(2, 2, 2, { dtype }),
  ConvTranspose1d: (dtype) => new ConvTranspose1d(4, 6, 3, { groups: 2, dtype }),
  ConvTranspose3d: (dtype) => new ConvTranspose3d(2, 3, 2, { dtype }),
  Bilinear: (dtype) => new Bilinear(4, 3, 2, { dtype }),
  ConvTranspose2d: (dtype) => new ConvTranspose2d(4, 6, 3, { groups: 2, dtype }),
  Embedding: (dtype) => new Embedding(6, 5, { paddingIdx: 2, dtype }),
  Sequential: (dtype) =>
    new Sequential(new Conv2d(1, 2, 3, { dtype }), new BatchNorm2d(2, { dtype }), new Linear(4, 3, { dtype })),
};
const inits: Record<string, (x: Tensor) => Tensor> = {
  uniform_: (x) => init.uniform_(x, -0.5, 2),
  normal_: (x) => init.normal_(x, 1, 0.5),
  truncNormal_: (x) => init.truncNormal_(x, 0.1, 0.7, -1, 0.8),
  constant_: (x) => init.constant_(x, 0.3),
  ones_: init.ones_,
  zeros_: init.zeros_,
  eye_: init.eye_,
  orthogonal_: (x) => init.orthogonal_(x, { gain: 1.7 }),
  xavierUniform_: (x) => init.xavierUniform_(x, { gain: 1.7 }),
  xavierNormal_: (x) => init.xavierNormal_(x),
  kaimingUniform_: (x) => init.kaimingUniform_(x, { a: 0.2 }),
  'kaimingUniform_ fan_out relu': (x) => init.kaimingUniform_(x, { mode: 'fanOut', nonlinearity: 'relu' }),
  kaimingNormal_: (x) => init.kaimingNormal_(x, { mode: 'fanOut', nonlinearity: 'relu' }),
  'kaimingNormal_ selu': (x) => init.kaimingNormal_(x, { nonlinearity: 'selu' }),
};
const isNormal = (name: string) => /ormal|Embedding/.test(name);

function expectDrawn(name: string, actual: Tensor, expected: Float32Array | Float64Array): void {
  if (name.startsWith('orthogonal_')) {
    // LAPACK's roundings in the tensor's own dtype.
    const bound = expected instanceof Float32Array ? 1e-5 : 1e-13;
    expectClose(actual, expected, bound, bound, name);
  } else if (!isNormal(name)) expect([...actual.dataSync()], name).toEqual([...expected]);
  else {
    const unit = expected instanceof Float32Array ? 2 ** -23 : 2 ** -52;
    expectClose(actual, expected, 2 * unit, 2 * unit, name);
  }
}

describe('initial values', () => {
  for (const [key, expected] of Object.entries(golden.layers))
    it(`of ${key}`, () => {
      const dtype = key.slice(key.lastIndexOf(' ') + 1) as Float;
      manualSeed(7);
      const state = layers[key.slice(0, key.lastIndexOf(' '))](dtype).stateDict();
      expect([...state.keys()].filter((name) => !name.endsWith('tracked'))).toEqual(Object.keys(expected));
      for (const [name, text] of Object.entries(expected))
        expectDrawn(`${key} ${name}`, state.get(name)!, decode(text, dtype));
    });

  for (const [key, text] of Object.entries(golden.inits))
    it(`by init.${key}`, () => {
      const [, name, shape, dtype] = /^(.*) (\[.*\]) (\w+)$/.exec(key)!;
      const x = empty(JSON.parse(shape), { dtype: dtype as Float });
      const { version } = x;
      manualSeed(11);
      expect(inits[name](x)).toBe(x);
      expect(x.version).toBeGreaterThan(version);
      expectDrawn(key, x, decode(text, dtype as Float));
    });

  it.each([
    [[40, 7], 'contiguous'],
    [[6, 3, 3, 2], 'channelsLast'],
    [[5, 5], 'contiguous'],
    [[1, 3], 'contiguous'],
  ] as const)('is orthogonal for %j', (shape, memoryFormat) => {
    const x = init.orthogonal_(empty([...shape], { dtype: 'float64', memoryFormat }), { gain: 2 });
    const matrix = x.reshape(shape[0], -1);
    const [rows, columns] = matrix.shape;
    const product = rows < columns ? matrix.matmul(matrix.t()) : matrix.t().matmul(matrix);
    const size = Math.min(rows, columns);
    const expected = Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 4 : 0));
    expectClose(product, expected, 1e-13, 1e-13, 'product');
  });

  it('keeps the inputs of a convolution, in every group', () => {
    const conv = new Conv2d(4, 4, 3, { padding: 1, groups: 2, bias: false });
    init.dirac_(conv.weight, 2);
    const x = init.normal_(empty([2, 4, 5, 6]));
    expect(conv(x).toArray()).toEqual(x.toArray());
    expect(() => init.dirac_(empty([3, 2, 1]), 2)).toThrow('dim 0 must be divisible by groups');
    expect(() => init.dirac_(empty([3, 2]))).toThrow('Only tensors with 3, 4, or 5 dimensions are supported');
  });

  it('leaves a share of every column zero', () => {
    const x = init.sparse_(empty([10, 4]), 0.25, 2);
    expect(x.eq(0).sum(0).toArray()).toEqual([3, 3, 3, 3]);
    expect(() => init.sparse_(empty([3]), 0.5)).toThrow('Only tensors with 2 dimensions are supported');
    expect(() => init.sparse_(x, 1.5)).toThrow('[sparse_] expected sparsity to be between 0 and 1, got 1.5');
    expect(() => init.orthogonal_(empty([3]))).toThrow('Only tensors with 2 or more dimensions are supported');
  });

  it('computes gains', () => {
    for (const [nonlinearity, param, gain] of golden.gains)
      expect(init.calculateGain(inOurWords(nonlinearity) as init.Nonlinearity, param ?? undefined)).toBeCloseTo(
        gain,
        14,
      );
  });

  it('computes fans', () => {
    expect(init.calculateFanInAndFanOut([6, 3, 5, 2])).toEqual({ fanIn: 30, fanOut: 60 });
  });

  it('draws from a generator of its own where one is given', () => {
    const draw = () => init.kaimingUniform_(empty([3, 3]), { generator: new Generator(5) }).toArray();
    manualSeed(1);
    const first = draw();
    expect(draw()).toEqual(first);
  });

  it('leaves an empty tensor alone and writes through a memory format', () => {
    expect(init.kaimingNormal_(empty([0, 3])).shape).toEqual([0, 3]);
    const values = (memoryFormat: 'contiguous' | 'channelsLast') => {
      manualSeed(2);
      return init.uniform_(empty([2, 3, 2, 2], { memoryFormat })).toArray();
    };
    expect(values('channelsLast')).toEqual(values('contiguous'));
  });

  it.each([
    ['fan', () => init.kaimingUniform_(empty([3]))],
    ['mode', () => init.kaimingUniform_(empty([3, 3]), { mode: 'fan' as init.FanMode })],
    ['gain', () => init.calculateGain('cosine' as init.Nonlinearity)],
    ['eye', () => init.eye_(empty([3]))],
  ])('refuses a wrong %s as PyTorch does', (name, call) => {
    expect(call).toThrow(inOurWords(golden.errors[name].replace(/^\w+: /, '')));
  });
});
