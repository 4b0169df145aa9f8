// Convolutions and linear layers that wait for their first input.
import { describe, expect, test } from 'vitest';
import {
  Conv2d,
  ConvTranspose2d,
  isUninitialized,
  LazyConv2d,
  LazyConvTranspose2d,
  LazyLinear,
  Linear,
} from '../../src/nn/index.ts';
import { SGD } from '../../src/optim/index.ts';
import { ones } from '../../src/tensor/create.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';

describe('a lazy layer', () => {
  test('becomes the plain one, with its draws, and keeps the parameters that an optimizer has', () => {
    const layer = new LazyConv2d(4, 3, { groups: 2 });
    const optimizer = new SGD(layer.parameters(), { lr: 0.5 });
    expect(isUninitialized(layer.weight)).toBe(true);
    expect(() => layer.weight.sum()).toThrow();
    const x = randn([2, 6, 5, 5]);
    manualSeed(3);
    layer(x).sum().backward();
    expect(layer).toBeInstanceOf(Conv2d);
    expect(layer.constructor).toBe(Conv2d);
    expect([layer.inChannels, layer.weight.shape]).toEqual([6, [4, 3, 3, 3]]);
    manualSeed(3);
    const plain = new Conv2d(6, 4, 3, { groups: 2 });
    expect(layer.weight.toArray()).toEqual(plain.weight.toArray());
    expect(layer.bias!.toArray()).toEqual(plain.bias!.toArray());
    optimizer.step();
    expect(layer.weight.toArray()).not.toEqual(plain.weight.toArray());
  });
  test('takes an unbatched input, and another number of dimensions is refused before anything is known', () => {
    const layer = new LazyConvTranspose2d(4, 3);
    expect(() => layer(ones([5, 5]))).toThrow('(unbatched) or 4D (batched) input to LazyConvTranspose2d');
    expect(isUninitialized(layer.weight)).toBe(true);
    expect(layer(ones([6, 5, 5])).shape).toEqual([4, 7, 7]);
    expect(layer).toBeInstanceOf(ConvTranspose2d);
  });
  test('refuses channels that its groups do not divide', () => {
    expect(() => new LazyConv2d(4, 3, { groups: 2 })(ones([1, 3, 5, 5]))).toThrow('divisible by groups');
  });
  test('keeps a state that was loaded before the first input', () => {
    const given = new Linear(3, 2);
    const layer = new LazyLinear(2);
    layer.loadStateDict(given.stateDict());
    const x = randn([4, 3]);
    expect(layer(x).toArray()).toEqual(given(x).toArray());
    expect(layer.inFeatures).toBe(3);
    expect(layer.constructor).toBe(Linear);
  });
});

test('a transposed convolution is asked for a size', () => {
  const layer = new ConvTranspose2d(2, 3, 3, { stride: 2, padding: 1 });
  const x = randn([1, 2, 4, 4]);
  expect(layer(x).shape).toEqual([1, 3, 7, 7]);
  expect(layer(x, [8, 7]).shape).toEqual([1, 3, 8, 7]);
  expect(layer(x, [1, 3, 8, 8]).shape).toEqual([1, 3, 8, 8]);
  expect(() => layer(x, [9, 8])).toThrow('valid sizes range from [7, 7] to [8, 8]');
  expect(() => layer(x, [8])).toThrow('must have 2 or 4 elements (got 1)');
});
