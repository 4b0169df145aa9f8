// Activations with slopes and gates: PyTorch's random slopes (golden/nn_golden.py), errors, empty tensors. Values and
// gradients of the others are in test/cases.
import { describe, expect, it, test } from 'vitest';
import { PReLU, RReLU, Softmax2d } from '../../src/nn/index.ts';
import { glu, prelu, rrelu, softmin } from '../../src/ops/activation.ts';
import { fromTypedArray, ones, tensor, zeros } from '../../src/tensor/create.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { rand } from '../../src/tensor/random.ts';
import { decode, readGolden } from '../support/golden.ts';

const { rrelu: drawn } = readGolden<{
  rrelu: {
    shape: number[];
    dtype: 'float32' | 'float64';
    lower: number;
    upper: number;
    channelsLast: boolean;
    x: string;
    y: string;
    dx: string;
    after: string;
  }[];
}>('nn.golden.json');

describe('rrelu', () => {
  it.each(drawn)('draws $shape $dtype from $lower to $upper, channelsLast=$channelsLast', (c) => {
    const { lower, upper, dtype } = c;
    const given = fromTypedArray(decode(c.x, dtype), c.shape);
    const x = (c.channelsLast ? given.contiguous('channelsLast') : given).requiresGrad_();
    manualSeed(3);
    const y = rrelu(x, { lower, upper, training: true });
    // As many draws as PyTorch's, so that what follows is the same too.
    expect([...rand([1]).dataSync()]).toEqual([...decode(c.after, 'float32')]);
    y.sum().backward();
    expect(y.memoryFormat).toBe(x.memoryFormat);
    expect([...y.contiguous().dataSync()]).toEqual([...decode(c.y, dtype)]);
    expect([...x.grad!.contiguous().dataSync()]).toEqual([...decode(c.dx, dtype)]);
  });

  it('draws in training alone, and overwrites in place', () => {
    const layer = new RReLU({ lower: 0.25, upper: 0.75, inplace: true });
    const x = tensor([-1, 0, 2]);
    expect(layer(x)).toBe(x);
    expect(x.index(0).item()).not.toBe(-0.5);
    expect(
      layer
        .eval()(tensor([-1, 0, 2]))
        .toArray(),
    ).toEqual([-0.5, 0, 2]);
  });

  it('refuses limits that are none', () => {
    expect(() => rrelu(ones([2]), { lower: 0.5, upper: 0.2 })).toThrow(
      'Lower bound should be less than or equal to the upper bound',
    );
    expect(() => rrelu(ones([2]).to('int32'))).toThrow('"rrelu" not implemented for \'int32\'');
  });

  it('has no values on the meta device', () => {
    expect(rrelu(zeros([2, 3], { device: 'meta' }), { training: true }).shape).toEqual([2, 3]);
  });
});

test('prelu: infinite values take no part in the gradient where they are not chosen', () => {
  const [x, weight] = [tensor([Infinity, 1, -2], { requiresGrad: true }), tensor([0.5], { requiresGrad: true })];
  prelu(x, weight).sum().backward();
  expect(weight.grad!.toArray()).toEqual([-2]);
  expect(x.grad!.toArray()).toEqual([1, 1, 0.5]);
});

test('prelu: errors and empty tensors', () => {
  const x = ones([2, 3, 4]);
  expect(() => prelu(x, ones([2]))).toThrow(
    'Mismatch of parameter numbers and input channel size. Found parameter numbers = 2 and channel size = 3.',
  );
  expect(() => prelu(x, ones([3, 1]))).toThrow(
    'prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = 2',
  );
  expect(() => prelu(x, ones([3], { dtype: 'float64' }))).toThrow(
    'prelu: Type promoting not supported. Got float32 and float64',
  );
  expect(() => prelu(tensor(1), ones([2]))).toThrow('Not allow zero-dim input tensor.');
  expect(prelu(zeros([2, 0]), zeros([0])).shape).toEqual([2, 0]);
  expect(prelu(tensor(-2), tensor([0.5])).item()).toBe(-1);
  expect([...new PReLU(2, { init: 0.5, dtype: 'float64' }).stateDict().keys()]).toEqual(['weight']);
});

test('glu and softmin: errors and empty tensors', () => {
  expect(() => glu(ones([2, 3]), 1)).toThrow('Halving dimension must be even, but dimension 1 is size 3');
  expect(() => glu(tensor(1))).toThrow('glu does not support scalars because halving size must be even');
  expect(() => glu(ones([2, 4]), 2)).toThrow('Dimension out of range (expected to be in range of [-2, 1], but got 2)');
  expect(glu(zeros([0, 4])).shape).toEqual([0, 2]);
  expect(() => softmin(ones([2]).to('int32'), 0)).toThrow("not implemented for 'int32'");
  expect(softmin(ones([2]).to('int32'), 0, { dtype: 'float64' }).toArray()).toEqual([0.5, 0.5]);
  expect(() => new Softmax2d()(ones([2]))).toThrow('Softmax2d: expected input to be 3D or 4D, got 1D instead');
});
