// The memory of gradients: given back when they are dropped, unless somebody holds them.
import { describe, expect, it } from 'vitest';
import * as nn from '../../src/nn/index.ts';
import { SGD } from '../../src/optim/index.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { randn } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';

function training() {
  manualSeed(2);
  const layer = new nn.Linear(6, 5);
  const optimizer = new SGD(layer.parameters(), { lr: 0.1 });
  const x = randn([4, 6]);
  const backward = () => scope(() => layer.call(x).sum().backward());
  return { layer, optimizer, backward };
}
const numbers = (x: Tensor) => Array.from(x.dataSync(), Number);

describe('a dropped gradient', () => {
  it('gives its memory to the next one where nobody has asked for it', () => {
    const { layer, optimizer, backward } = training();
    backward();
    const { storage } = layer.weight.peekGrad()!;
    optimizer.step();
    optimizer.zeroGrad();
    expect(storage.isReleased).toBe(true);
    expect(layer.weight.grad).toBeNull();
    backward();
    layer.zeroGrad();
    expect(layer.weight.peekGrad()).toBeNull();
  });

  it('stays where somebody has asked for it, or has set it', () => {
    const { layer, optimizer, backward } = training();
    backward();
    const held = layer.weight.grad!;
    const values = numbers(held);
    optimizer.zeroGrad();
    backward();
    expect(numbers(held)).toEqual(values);
    const own = randn([5]);
    const set = numbers(own);
    layer.bias!.grad = own;
    optimizer.zeroGrad();
    expect(numbers(own)).toEqual(set);
  });

  it('stays where it is the gradient of the caller, passed on as it is', () => {
    const x = randn([2, 3, 1, 1]).contiguous('channelsLast').requiresGrad_();
    const cotangent = randn([2, 3, 1, 1]);
    const values = numbers(cotangent);
    x.backward(cotangent);
    x.dropGrad();
    expect(numbers(cotangent)).toEqual(values);
  });

  it('is still summed over backwards, with hooks too', () => {
    const { layer, backward } = training();
    let calls = 0;
    layer.weight.registerHook(() => void calls++);
    backward();
    const once = numbers(layer.weight.peekGrad()!);
    backward();
    expect(numbers(layer.weight.peekGrad()!)).toEqual(once.map((v) => 2 * v));
    layer.zeroGrad();
    expect(layer.weight.grad).toBeNull();
    expect(calls).toBe(2);
  });
});
