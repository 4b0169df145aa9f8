// GroupNorm and its functional form, row by row of what PyTorch does with them, and where it is wrong.
import { describe, expect, it } from 'vitest';
import { functional, GroupNorm } from '../../src/nn/index.ts';
import { ones, zeros } from '../../src/tensor/create.ts';
import { expectClose, readGolden } from '../support/golden.ts';
import { det, list, make, type Plain, walkLayers, walkTexts } from '../support/norm_layers.ts';

const { groupNorm, layerNorm, instanceNorm } = functional;

interface Golden extends Record<'x' | 'weight' | 'bias' | 'dy' | 'y' | 'dx' | 'dweight' | 'dbias', Plain> {
  kind: 'group_norm';
  groups: number;
  eps: number;
}
const goldens = readGolden<{ cases: { kind: string }[] }>('norm_golden.json').cases.filter(
  (c): c is Golden => c.kind === 'group_norm',
);

describe('norm_golden.json', () => {
  it('has five cases', () => expect(goldens.length).toBe(5));
  it.each(goldens)('$groups groups of [$x.shape]', (c) => {
    const [x, weight, bias] = [c.x, c.weight, c.bias].map((value) => make(value, 'float64', true));
    const y = groupNorm(x, c.groups, { weight, bias, eps: c.eps });
    expectClose(y, c.y.data, 1e-12);
    y.backward(make(c.dy));
    expectClose(x.grad!, c.dx.data, 1e-12);
    expectClose(weight.grad!, c.dweight.data, 1e-12);
    expectClose(bias.grad!, c.dbias.data, 1e-12);
  });
});

walkLayers(GroupNorm, true);

describe('errors', () => {
  const x = ones([2, 4, 3]);
  walkTexts({
    'groupNorm: rank 1': () => groupNorm(ones([3]), 1),
    'groupNorm: one value': () => groupNorm(ones([1, 4]), 4),
    'groupNorm: groups -1': () => groupNorm(x, -1),
    'groupNorm: eps null': () => groupNorm(x, 2, { eps: null as unknown as number }),
    'groupNorm: channels': () => groupNorm(ones([2, 5, 3]), 2, { weight: ones([3]) }),
    'groupNorm: weight': () => groupNorm(x, 2, { weight: ones([3]), bias: ones([3]) }),
    'groupNorm: weight of rank 2': () => groupNorm(x, 2, { weight: ones([1, 4]) }),
    'groupNorm: bias': () => groupNorm(x, 2, { weight: ones([4]), bias: ones([5]) }),
    'groupNorm: bias without weight': () => groupNorm(x, 2, { bias: ones([5]) }),
    'groupNorm: int64': () => groupNorm(ones([2, 4], { dtype: 'int64' }), 2),
    'groupNorm: float64 weight': () => groupNorm(ones([2, 4]), 2, { weight: ones([4], { dtype: 'float64' }) }),
    'groupNorm: float64 input': () => groupNorm(ones([2, 4], { dtype: 'float64' }), 2, { weight: ones([4]) }),
    'GroupNorm(3, 4)': () => new GroupNorm(3, 4),
    'GroupNorm(2, -4)': () => new GroupNorm(2, -4),
    'GroupNorm(-2, 4), called': () => new GroupNorm(-2, 4)(x),
    'GroupNorm(2, 4), 6 channels': () => new GroupNorm(2, 4)(ones([2, 6, 3])),
  });
  it('without groups, where Python divides by zero', () => {
    expect(() => new GroupNorm(0, 4)).toThrow('numChannels (4) must be divisible by numGroups (0)');
    expect(() => groupNorm(x, 0)).toThrow('Expected num groups to be greater than 0, got 0');
  });
});

describe('GroupNorm', () => {
  it('is the same in training and evaluation', () => {
    const [norm, x] = [new GroupNorm(2, 4), det([2, 4, 3], 1, 'float32')];
    expect(list(norm.eval()(x))).toEqual(list(norm.train()(x)));
  });

  it.each([[[2, 6, 5]], [[2, 6, 3, 2]], [[3, 6]]])('one group is layer norm over (C, …), %j', (shape) => {
    const x = det(shape, 3);
    expectClose(groupNorm(x, 1), list(layerNorm(x, shape.slice(1)))!, 1e-14);
  });
  it('groups of one channel are instance norm', () => {
    const x = det([2, 6, 3, 2], 3);
    expectClose(groupNorm(x, 6), list(instanceNorm(x))!, 1e-14);
  });

  it('a single value per group: an error in a batch of one, zeros in a larger one', () => {
    const norm = new GroupNorm(4, 4);
    expect(() => norm(ones([1, 4]))).toThrow('Expected more than 1 value per channel when training');
    // pytorch#94288: exactly 0, affine or not.
    expect(list(norm(det([2, 4], 1, 'float32')))).toEqual(Array(8).fill(0));
  });

  it('divides by the biased variance', () => {
    // pytorch#22617: five values of variance 1 · 4/4, 1.25 unbiased.
    const y = list(groupNorm(det([1, 1, 5], 1), 1, { eps: 0 }))!;
    const squares = y.reduce((total, v) => total + v * v, 0);
    expectClose([squares / 5, squares / 4], [1, 1.25], 1e-12);
  });

  it.each([[[0, 4, 3]], [[2, 4, 0]], [[0, 4]]])('without elements, %j: empty, and zeros as gradients', (shape) => {
    const norm = new GroupNorm(2, 4);
    const x = zeros(shape, { requiresGrad: true });
    const y = norm(x);
    expect(y.shape).toEqual(shape);
    y.sum().backward();
    // PyTorch has NaN in weight.grad where the spatial size is 0.
    expect([x.grad!.shape, list(norm.weight!.grad), list(norm.bias!.grad)]).toEqual([
      shape,
      [0, 0, 0, 0],
      [0, 0, 0, 0],
    ]);
  });
  it('without channels: empty', () => {
    expect(new GroupNorm(2, 0)(zeros([2, 0, 3])).shape).toEqual([2, 0, 3]);
  });

  it.each(['contiguous', 'channelsLast'] as const)('is exact far from 0, %s', (format) => {
    // PyTorch subtracts squares for channels-last input: an error of 1193 at a mean of 1e4.
    const x = det([2, 4, 8, 8], 1, 'float32').add(1e4).contiguous(format);
    const truth = list(groupNorm(x.to('float64'), 2))!;
    // The statistics are float64, so what is left is the result's rounding and that of one difference of exact values.
    expectClose(groupNorm(x, 2), truth, 1e-6);
  });

  it('resets in place', () => {
    const norm = new GroupNorm(2, 4);
    const { weight, bias } = norm;
    for (const p of [weight!, bias!]) p.detach().fill_(5);
    norm.resetParameters();
    expect([norm.weight, list(weight), list(bias)]).toEqual([weight, [1, 1, 1, 1], [0, 0, 0, 0]]);
  });
});
