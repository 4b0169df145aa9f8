// LayerNorm, RMSNorm and their functional forms, row by row of what PyTorch does with them.
import { describe, expect, it } from 'vitest';
import { ArgumentTypeError } from '../../src/errors.ts';
import { functional, LayerNorm, RMSNorm } from '../../src/nn/index.ts';
import { fromTypedArray, ones, tensor, zeros } from '../../src/tensor/create.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import { expectClose, readGolden } from '../support/golden.ts';
import { det, golden, list, make, type Plain, walkLayers, walkTexts } from '../support/norm_layers.ts';
import { warningsOf } from '../support/warnings.ts';

const { layerNorm, rmsNorm } = functional;

interface Golden extends Record<'x' | 'weight' | 'dy' | 'y' | 'dx' | 'dweight', Plain> {
  kind: 'layer_norm' | 'rms_norm_by_definition';
  normalized_shape: number[];
  eps: number;
  bias?: Plain;
  dbias?: Plain;
}
const goldens = readGolden<{ cases: { kind: string }[] }>('norm_golden.json').cases.filter(
  (c): c is Golden => c.kind === 'layer_norm' || c.kind === 'rms_norm_by_definition',
);

describe('norm_golden.json', () => {
  it('has four cases', () => expect(goldens.length).toBe(4));
  it.each(goldens)('$kind of [$x.shape] over [$normalized_shape]', (c) => {
    const [x, weight] = [c.x, c.weight].map((value) => make(value, 'float64', true));
    const bias = c.bias ? make(c.bias, 'float64', true) : null;
    const { eps } = c;
    const y = bias
      ? layerNorm(x, c.normalized_shape, { weight, bias, eps })
      : rmsNorm(x, c.normalized_shape, { weight, eps });
    expectClose(y, c.y.data, 1e-12);
    y.backward(make(c.dy));
    expectClose(x.grad!, c.dx.data, 1e-12);
    expect(weight.grad!.shape).toEqual(c.weight.shape);
    expectClose(weight.grad!, c.dweight.data, 1e-12);
    if (bias) expectClose(bias.grad!, c.dbias!.data, 1e-12);
  });
});

walkLayers(LayerNorm, false);
walkLayers(RMSNorm, false);

describe('errors', () => {
  const x = ones([2, 4]);
  const odd = <T>(value: unknown) => value as T;
  walkTexts({
    'layerNorm: no shape': () => layerNorm(ones([2, 3]), [], { weight: ones([2]) }),
    'layerNorm: weight': () => layerNorm(x, [3], { weight: ones([2]), bias: ones([2]) }),
    'layerNorm: bias': () => layerNorm(x, [3], { weight: ones([3]), bias: ones([1, 3]) }),
    'layerNorm: input': () => layerNorm(x, [3]),
    'layerNorm: input of rank 0': () => layerNorm(ones([]), [1]),
    'layerNorm: more dimensions': () => layerNorm(ones([3]), [2, 3]),
    'layerNorm: eps null': () => layerNorm(ones([2, 3]), [3], { eps: odd(null) }),
    'layerNorm: int64': () => layerNorm(ones([2, 3], { dtype: 'int64' }), [3]),
    'layerNorm: float64 weight': () => layerNorm(ones([2, 3]), [3], { weight: ones([3], { dtype: 'float64' }) }),
    'LayerNorm([]), called': () => new LayerNorm([])(ones([2, 3])),
    'LayerNorm(-1)': () => new LayerNorm(-1),
    'rmsNorm: no shape': () => rmsNorm(ones([2, 3]), []),
    'rmsNorm: weight': () => rmsNorm(x, [3], { weight: ones([2]) }),
    'rmsNorm: int64': () => rmsNorm(ones([2, 3], { dtype: 'int64' }), [3]),
  });
  it('a shape that is none', () => {
    for (const [name, norm] of Object.entries({ layerNorm, rmsNorm }))
      expect(() => norm(ones([2, 3]), odd(3))).toThrow(
        new ArgumentTypeError(`[${name}] expected an array of integers as normalizedShape, got 3`),
      );
    expect(() => rmsNorm(ones([2, 3]), [2, 3.5])).toThrow(
      '[rmsNorm] expected integers as normalizedShape, got [2, 3.5]',
    );
    for (const Layer of [LayerNorm, RMSNorm])
      expect(() => new Layer(3.5)).toThrow(`[${Layer.name}] expected an integer as normalizedShape, got 3.5`);
  });
  it('RMSNorm: an input of another shape', () => {
    // PyTorch 2.13 leaves out the comma.
    expect(() => rmsNorm(x, [3])).toThrow(
      'Given normalizedShape=[3], expected input with shape [*, 3], but got input of size[2, 4]',
    );
  });
});

describe.each([
  ['LayerNorm', LayerNorm],
  ['RMSNorm', RMSNorm],
] as const)('%s', (name, Layer) => {
  it('is the same in training and evaluation', () => {
    const [norm, x] = [new Layer([4, 3]), det([2, 4, 3], 1, 'float32')];
    expect(list(norm.eval()(x))).toEqual(list(norm.train()(x)));
  });
  it('takes a row alone, and rows of one value', () => {
    expect(new Layer(3)(ones([3])).shape).toEqual([3]);
    const y = list(new Layer(1)(tensor([[2], [-3]])))!;
    expectClose(y, name === 'LayerNorm' ? [0, 0] : [1, -1], 1e-6);
  });
  it.each([
    [[0, 3], [3]],
    [[2, 0], [0]],
    [
      [2, 0, 3],
      [0, 3],
    ],
  ])('without elements, %j over %j: empty, and zeros as gradients', (shape, normalized) => {
    const norm = new Layer(normalized);
    const x = zeros(shape, { requiresGrad: true });
    const y = norm(x);
    y.sum().backward();
    expect([y.shape, x.grad!.shape, norm.weight!.grad!.shape]).toEqual([shape, shape, normalized]);
    expect(list(norm.weight!.grad)).toEqual(list(zeros(normalized)));
  });
  it('a broken row leaves the others alone', () => {
    const x = tensor([
      [1, 2, 3],
      [1, Number.NaN, 3],
      [1, Number.POSITIVE_INFINITY, 3],
    ]);
    const y = new Layer(3)(x).toArray() as number[][];
    expect(y[0].every(Number.isFinite)).toBe(true);
    expect(y[1].every(Number.isNaN)).toBe(true);
    // What is finite over an infinite mean square is 0.
    expect(y[2].map((v) => Number.isNaN(v))).toEqual(name === 'LayerNorm' ? [true, true, true] : [false, true, false]);
  });
  it('resets in place', () => {
    const norm = new Layer([2]);
    const { weight } = norm;
    weight!.detach().fill_(5);
    norm.resetParameters();
    expect([norm.weight, list(weight)]).toEqual([weight, [1, 1]]);
  });
});

describe('numerics', () => {
  it('standard normal rows (pytorch#51102)', () => {
    manualSeed(0);
    const x = randn([5, 4]).mul(2000);
    const y = list(layerNorm(x, [4]))!;
    const truth = list(layerNorm(x.to('float64'), [4]))!;
    expectClose(y, truth, 1e-6);
    for (let row = 0; row < 5; row++)
      expect(Math.abs(truth.slice(4 * row, 4 * row + 4).reduce((total, v) => total + v, 0) / 4)).toBeLessThan(1e-12);
  });
  it('a small variance far from 0 (pytorch#40302)', () => {
    manualSeed(0);
    const x = randn([32768]).mul(0.01).add(100);
    const y = list(layerNorm(x, [32768], { eps: 0 }))!;
    // The variance of the result is 1 only if that of x was found.
    expectClose([y.reduce((total, v) => total + v * v, 0) / 32768], [1], 1e-4);
  });
  it('a constant row far from 0 gives exactly the bias', () => {
    // PyTorch: 10.02 (pytorch#5410).
    const x = ones([3, 64]).mul(1000000.3);
    expect(list(layerNorm(x, [64]))).toEqual(Array(192).fill(0));
    expect(list(layerNorm(x, [64], { bias: ones([64]) }))).toEqual(Array(192).fill(1));
  });
  it('keeps its accuracy at any mean', () => {
    manualSeed(1);
    for (const mean of [1e2, 1e4, 1e6]) {
      const x = randn([4, 4096]).add(mean);
      // The error that PyTorch makes at 1e6 is 9.1e-2.
      expectClose(layerNorm(x, [4096]), list(layerNorm(x.to('float64'), [4096]))!, 1e-6);
    }
  });
});

describe('RMSNorm', () => {
  it.each(['float32', 'float64'] as const)('takes the eps of %s by default', (dtype) => {
    const scale = dtype === 'float32' ? 1 : 1e-4;
    const x = fromTypedArray(
      Float64Array.from([1e-5, 2e-5, -3e-5], (v) => v * scale),
      [3],
      { dtype },
    );
    expectClose(rmsNorm(x, [3]), golden.rms[dtype], dtype === 'float32' ? 1e-6 : 1e-12);
    expectClose(new RMSNorm(3, { dtype })(x), golden.rms[dtype], dtype === 'float32' ? 1e-6 : 1e-12);
  });
  it('gives the input’s dtype, and warns of another in the weight', () => {
    const x = det([2, 3], 1, 'float32');
    const weight = det([3], 2);
    const texts = warningsOf(() => {
      const y = rmsNorm(x, [3], { weight });
      expect(y.dtype).toBe('float32');
      expectClose(y, list(rmsNorm(x, [3], { weight: weight.to('float32') }))!, 0);
    });
    expect(texts).toEqual(['Mismatch dtype between input and weight: input dtype = float32, weight dtype = float64']);
  });
});
