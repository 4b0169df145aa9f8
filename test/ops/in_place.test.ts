// In-place methods of tensors that are not leaves: gradients of what was computed, although the input's memory is
// overwritten.
import { describe, expect, it } from 'vitest';
import '../../src/ops/methods.ts';
import { grad } from '../../src/autograd/backward.ts';
import { tensor } from '../../src/tensor/create.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';

const cases: [string, (x: Tensor) => Tensor, (x: Tensor) => Tensor][] = [
  ['mul_', (x) => x.mul_(3), (x) => x.mul(3)],
  ['div_', (x) => x.div_(2), (x) => x.div(2)],
  ['pow_', (x) => x.pow_(3), (x) => x.pow(3)],
  ['neg_', (x) => x.neg_(), (x) => x.neg()],
  ['exp_', (x) => x.exp_(), (x) => x.exp()],
  ['clamp_', (x) => x.clamp_(0.4, 1), (x) => x.clamp(0.4, 1)],
  ['add_', (x) => x.add_(x.mul(2)), (x) => x.add(x.mul(2))],
  ['twice', (x) => x.mul_(2).mul_(3).sigmoid_(), (x) => x.mul(2).mul(3).sigmoid()],
];

describe('in place', () => {
  it.each(cases)('%s has the gradient of the form that makes a new tensor', (_name, inPlace, plain) => {
    const gradient = (f: (x: Tensor) => Tensor) => {
      const leaf = tensor([0.25, -0.5, 2], { dtype: 'float64', requiresGrad: true });
      const y = f(leaf.mul(1));
      const [first] = grad([y.mul(y).sum()], [leaf], { createGraph: true });
      const [second] = grad([first.sum()], [leaf]);
      return [y.toArray(), first.toArray(), second.toArray()];
    };
    expect(gradient(inPlace)).toEqual(gradient(plain));
  });

  it('a backward that kept the values by another name still notices', () => {
    const x = tensor([1, 2], { requiresGrad: true }).mul(1);
    const y = x.mul(x);
    const z = x.mul(3).add(x.div(tensor([1, 2])));
    x.mul_(2);
    // A product with a constant needs no more than the constant.
    expect(() => z.sum().backward()).not.toThrow();
    expect(() => y.sum().backward()).toThrow('modified by an inplace operation');
  });
});
