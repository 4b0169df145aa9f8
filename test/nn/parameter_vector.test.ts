// Parameters as one vector, and back.

import { describe, expect, it } from 'vitest';
import '../../src/ops/methods.ts';
import { grad } from '../../src/autograd/backward.ts';
import { Conv2d, Linear, Parameter, parametersToVector, vectorToParameters } from '../../src/nn/index.ts';
import { arange, ones, zeros } from '../../src/tensor/create.ts';
import type { DType } from '../../src/tensor/dtype.ts';
import { scope } from '../../src/tensor/scope.ts';

const floats: DType[] = ['float32', 'float64'];

describe('parametersToVector', () => {
  it.each(floats)('joins all in their order, whatever their memory format: %s', (dtype) => {
    const conv = new Conv2d(2, 3, 2, { dtype });
    const weight = new Parameter(conv.weight.detach().contiguous('channelsLast'));
    expect(weight.memoryFormat).toBe('channelsLast');
    const vector = parametersToVector([weight, conv.bias!, new Parameter(ones([], { dtype }))]);
    expect([vector.shape, vector.dtype]).toEqual([[28], dtype]);
    expect(vector.toArray()).toEqual([...conv.weight.dataSync(), ...conv.bias!.dataSync(), 1]);
  });

  it('lets gradients flow, of second order too', () => {
    const list = [new Parameter(ones([2, 2])), new Parameter(ones([3]))];
    const first = grad([parametersToVector(list).pow(3).sum()], list, { createGraph: true });
    expect(first.map((each) => [...each.dataSync()])).toEqual([
      [3, 3, 3, 3],
      [3, 3, 3],
    ]);
    const second = grad([parametersToVector(first).sum()], list);
    expect(second.map((each) => [...each.dataSync()])).toEqual([
      [6, 6, 6, 6],
      [6, 6, 6],
    ]);
  });

  it('promotes dtypes, and refuses what PyTorch refuses', () => {
    const double = ones([1], { dtype: 'float64' });
    expect(parametersToVector([ones([1]), double]).dtype).toBe('float64');
    expect(parametersToVector([ones([2, 0]), ones([1])]).shape).toEqual([1]);
    expect(parametersToVector(new Linear(3, 2).to('meta').parameters()).shape).toEqual([8]);
    expect(() => parametersToVector([])).toThrow('cat(): expected a non-empty list of Tensors');
    expect(() => parametersToVector([ones([1]), ones([1]).to('meta')])).toThrow(/device/);
    expect(() => parametersToVector(ones([1]) as never)).toThrow('expected parameters to iterate over, got a Tensor');
    expect(() => parametersToVector(3 as never)).toThrow('expected parameters to iterate over, got 3');
    expect(() => parametersToVector([3] as never)).toThrow(/expected a Tensor/);
  });
});

describe('vectorToParameters', () => {
  it.each(floats)('is the inverse: %s', (dtype) => {
    const [from, to] = [new Conv2d(2, 3, 2, { dtype }), new Conv2d(2, 3, 2, { dtype })];
    const weight = new Parameter(to.weight.detach().contiguous('channelsLast'));
    const { storage } = weight;
    scope(() => vectorToParameters(parametersToVector(from.parameters()), [weight, to.bias!]));
    expect([weight.storage, weight.memoryFormat, weight.dtype]).toEqual([storage, 'channelsLast', dtype]);
    expect(weight.toArray()).toEqual(from.weight.toArray());
    expect(to.bias!.toArray()).toEqual(from.bias!.toArray());
    expect([weight.isLeaf, weight.requiresGrad, weight.gradFn]).toEqual([true, true, null]);
  });

  it('ignores what is left over, and keeps the dtype of the parameters', () => {
    const parameter = new Parameter(zeros([2]));
    vectorToParameters(arange(0, 9, 1, { dtype: 'float64' }), [parameter]);
    expect([parameter.dtype, parameter.toArray()]).toEqual(['float32', [0, 1]]);
  });

  it('refuses a vector that is too short, or none, having changed nothing', () => {
    const list = [new Parameter(zeros([2])), new Parameter(zeros([2, 3]))];
    const short = ones([7]);
    expect(() => vectorToParameters(short, list)).toThrow("shape '[2, 3]' is invalid for input of size 5");
    expect(() => vectorToParameters(ones([8, 1]), list)).toThrow('expected a vector, got a tensor of shape [8, 1]');
    expect(() => vectorToParameters([1] as never, list)).toThrow(/expected a Tensor/);
    expect(list[0].toArray()).toEqual([0, 0]);
  });

  it('a backward notices the change of what it has saved', () => {
    const parameter = new Parameter(ones([2]));
    const loss = parameter.square().sum();
    vectorToParameters(zeros([2]), [parameter]);
    expect(() => loss.backward()).toThrow('has been modified by an inplace operation');
  });
});
