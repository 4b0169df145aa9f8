// Truth values and numbers beside tensors, ranges of integers, paddings that cut, order and tests of special tensors:
// dtype, shape and values as PyTorch 2.13 gives them. The inventory in conformance/ has many more; these are the kinds
// that once differed.
import { describe, expect, test } from 'vitest';
import {
  amax,
  arange,
  full,
  fullLike,
  grad,
  linspace,
  max,
  nonzero,
  type Operand,
  setWarningHandler,
  sub,
  type Tensor,
  tensor,
  var as variance,
  where,
  zeros,
} from '../../src/index.ts';
import { functional } from '../../src/nn/index.ts';

const mask = () => tensor([true, false]);
const bytes = (...values: number[]) => tensor(values, { dtype: 'uint8' });
const ints = (...values: number[]) => tensor(values, { dtype: 'int32' });
const longs = (...values: number[]) => tensor(values, { dtype: 'int64' });
const row = () => arange(0, 4, 1, { dtype: 'float32' }).reshape([1, 4]);
const padded = (before: number, after: number, mode: 'reflect' | 'replicate' | 'circular') =>
  functional.pad(row(), [before, after], { mode });

// biome-ignore format: one line a row reads better
const values: [name: string, run: () => Tensor, dtype: string, values: unknown][] = [
  // A truth value beside a tensor changes no dtype.
  ['bool eq true', () => mask().eq(true), 'bool', [true, false]],
  ['bool · true', () => mask().mul(true), 'bool', [true, false]],
  ['bool + true', () => mask().add(true), 'bool', [true, true]],
  ['bool + 1', () => mask().add(1), 'int64', [2, 1]],
  ['bool / true', () => mask().div(true), 'float32', [1, 0]],
  ['uint8 · true', () => bytes(3, 0).mul(true), 'uint8', [3, 0]],
  ['true ** uint8', () => tensor(true).pow(bytes(0, 2)), 'uint8', [1, 1]],
  ['alpha true', () => mask().add(tensor([false, true]), { alpha: true }), 'bool', [true, true]],
  ['alpha false', () => mask().add(tensor([false, true]), { alpha: false }), 'bool', [true, false]],
  ['where, two truth values', () => where(mask(), true, false), 'bool', [true, false]],
  ['where, a truth value and a number', () => where(mask(), true, 2), 'int64', [1, 2]],
  ['where, a truth value and a fraction', () => where(mask(), 1.5, true), 'float32', [1.5, 1]],
  ['maskedFill true', () => bytes(5, 6).maskedFill(mask(), true), 'uint8', [1, 6]],
  ['fill_ true', () => zeros([2]).fill_(true), 'float32', [1, 1]],
  ['full true', () => full([2], true), 'bool', [true, true]],
  ['fullLike true', () => fullLike(bytes(5, 6), true), 'uint8', [1, 1]],
  ['pad with true', () => mask().pad([1, 1], { value: true }), 'bool', [true, true, false, true]],
  ['indexAdd, alpha true', () => mask().indexAdd(0, longs(1), tensor([true]), { alpha: true }), 'bool', [true, true]],
  ['mul_ true', () => mask().mul_(true), 'bool', [true, false]],
  // Numbers beside uint8 go around the circle.
  ['uint8 eq -1', () => bytes(0, 255).eq(-1), 'bool', [false, true]],
  ['uint8 clamp -1', () => bytes(0, 255, 3).clamp(-1), 'uint8', [255, 255, 255]],
  ['uint8 clamp to -1', () => bytes(0, 255, 3).clamp(undefined, -1), 'uint8', [0, 255, 3]],
  ['maskedFill -1 of uint8', () => bytes(5, 6).maskedFill(mask(), -1), 'uint8', [255, 6]],
  // Integers wrap around.
  ['int32 + 1', () => ints(2 ** 31 - 1).add(1), 'int32', [-(2 ** 31)]],
  ['int32 + 3·int32', () => ints(1).add(ints(2 ** 30), { alpha: 3 }), 'int32', [-(2 ** 30) + 1]],
  ['int32 − 1', () => ints(-(2 ** 31)).sub(ints(1)), 'int32', [2 ** 31 - 1]],
  ['int32 · int32', () => ints(65536, 65535).mul(ints(65536, 65535)), 'int32', [0, -131071]],
  ['square of int32', () => ints(65536, -46341).square(), 'int32', [0, -2147479015]],
  ['neg of the least', () => ints(-(2 ** 31), 7).neg(), 'int32', [-(2 ** 31), -7]],
  ['abs of the least', () => ints(-(2 ** 31), -7).abs(), 'int32', [-(2 ** 31), 7]],
  ['prod', () => longs(2 ** 40, 2 ** 24).prod(), 'int64', 0],
  // clamp promotes integers with a fraction, hardtanh cuts it off.
  ['hardtanh of integers', () => functional.hardtanh(longs(1, 5, -3), { minVal: -1.5, maxVal: 2.7 }), 'int64', [1, 2, -1]],
  ['hardtanh of uint8', () => functional.hardtanh(bytes(1, 5, 3), { minVal: -0.5, maxVal: 2.7 }), 'uint8', [1, 2, 2]],
  // Ranges of integers are of integers, before or after they are counted.
  ['arange int64', () => arange(-0.9, 2.1, 2, { dtype: 'int64' }), 'int64', [0]],
  ['arange int32', () => arange(-0.9, 2.1, 2, { dtype: 'int32' }), 'int32', [0, 2]],
  ['arange int32, step below 1', () => arange(0, 2, 0.5, { dtype: 'int32' }), 'int32', [0, 0, 0, 0]],
  ['arange int64, fractions', () => arange(0.5, 5.5, 1.5, { dtype: 'int64' }), 'int64', [0, 1, 2, 3, 4]],
  ['arange uint8', () => arange(-1, 2, 2, { dtype: 'uint8' }), 'uint8', [255, 1]],
  ['linspace int64', () => linspace(4.3, 0, 5, { dtype: 'int64' }), 'int64', [4, 3, 2, 1, 0]],
  ['linspace int64, fractions', () => linspace(0.9, 9.9, 5, { dtype: 'int64' }), 'int64', [0, 2, 4, 6, 9]],
  ['linspace int32', () => linspace(-4.3, 9.9, 7, { dtype: 'int32' }), 'int32', [-4, -1, 0, 2, 4, 6, 9]],
  ['linspace of one', () => linspace(0.7, 3, 1, { dtype: 'int64' }), 'int64', [0]],
  // Tests of uint8 are uint8.
  ['any of uint8', () => bytes(0, 2).any(), 'uint8', 1],
  ['all of uint8', () => bytes(0, 2).all(0), 'uint8', 0],
  ['any of int64', () => longs(0, 2).any(), 'bool', true],
  // What has no dimension keeps none.
  ['sort of a number', () => tensor(5).sort().values, 'float32', 5],
  ['indices of that', () => tensor(true).sort().indices, 'int64', 0],
  ['topk of a number', () => bytes(5).reshape([]).topk(1).values, 'uint8', 5],
  ['none of one', () => tensor(5).topk(0).values, 'float32', 5],
  ['nonzero', () => nonzero(tensor([[0, 5], [7, 0]])), 'int64', [[0, 1], [1, 0]]],
  ['nonzero of cubes', () => nonzero(tensor([[[0, 0, 1]], [[2, 0, 0]]])), 'int64', [[0, 0, 2], [1, 0, 0]]],
  ['gather nothing', () => tensor([1, 2]).gather(0, bytes()), 'float32', []],
  ['var of nothing', () => variance(zeros([0, 2]), 0), 'float32', [Number.NaN, Number.NaN]],
  // Negative paddings cut; what goes around is what is left.
  ['reflect', () => padded(-1, 2, 'reflect'), 'float32', [[1, 2, 3, 2, 1]]],
  ['reflect, all cut', () => padded(-4, 1, 'reflect'), 'float32', [[2]]],
  ['replicate', () => padded(-1, 2, 'replicate'), 'float32', [[1, 2, 3, 3, 3]]],
  ['replicate, all cut', () => padded(-5, 2, 'replicate'), 'float32', [[3]]],
  ['circular', () => padded(-1, 2, 'circular'), 'float32', [[1, 2, 3, 1, 2]]],
  ['circular, cut behind', () => padded(1, -1, 'circular'), 'float32', [[2, 0, 1, 2]]],
  ['circular, twice around', () => padded(-3, 3, 'circular'), 'float32', [[3, 3, 3, 3]]],
];
test.each(values)('%s', (_, run, dtype, expected) => {
  const result = run();
  expect([result.dtype, JSON.stringify(result.toArray())]).toEqual([dtype, JSON.stringify(expected)]);
});

test('nonzero has a column for each dimension', () => {
  expect([nonzero(tensor(3)).shape, nonzero(tensor(0)).shape, nonzero(zeros([2, 3])).shape]).toEqual([
    [1, 0],
    [0, 0],
    [0, 2],
  ]);
});

// biome-ignore format: one line a row reads better
const refused: [name: string, run: () => unknown, text: string][] = [
  ['bool · 0 in place', () => mask().mul_(0), "result type int64 can't be cast to the desired output type bool"],
  ['bool + uint8 in place', () => mask().add_(bytes(1, 1)), "result type uint8 can't be cast to the desired output type bool"],
  ['bool / bool in place', () => mask().div_(mask()), "result type float32 can't be cast to the desired output type bool"],
  ['int64 · 0.5 in place', () => longs(1).mul_(0.5), "result type float32 can't be cast to the desired output type int64"],
  ['alpha true of numbers', () => tensor([1]).add(1, { alpha: true }), 'Boolean alpha only supported for Boolean results.'],
  ['uint8 − true', () => bytes(1).sub(true), 'Subtraction, the `-` operator, with a bool tensor is not supported'],
  ['two truth values', () => sub(true as Operand, false as Operand), '[sub] expected at least one tensor'],
  ['maskedFill of uint8 with -1 as a float', () => bytes(1, 2).maskedFill(mask(), tensor(-1)), 'value cannot be converted to type uint8 without overflow'],
  ['indexFill of uint8 with -1 as a float', () => bytes(1, 2).indexFill(0, longs(0), tensor(-1)), 'value cannot be converted to type uint8 without overflow'],
  ['setIndex of uint8 with -1 as a float', () => bytes(1, 2).setIndex(mask(), tensor(-1)), 'value cannot be converted to type uint8 without overflow'],
  ['hardtanh of uint8 below 0', () => functional.hardtanh(bytes(1)), 'cannot do hardtanh on an unsigned type with negative limits'],
  ['arange away from its end', () => arange(3, 2.5), 'upper bound and lower bound inconsistent with step sign'],
  ['arange, a step that is 0 as an integer', () => arange(0, 5, 0.5, { dtype: 'int64' }), 'step must be nonzero'],
  ['arange of truth values', () => arange(0, 2, 1, { dtype: 'bool' }), "not implemented for 'Bool'"],
  ['linspace of truth values', () => linspace(0, 1, 2, { dtype: 'bool' }), "not implemented for 'Bool'"],
  ['linspace beyond uint8', () => linspace(0, 300, 4, { dtype: 'uint8' }), 'value cannot be converted to type uint8 without overflow'],
  ['more than a number has', () => tensor(5).topk(2), 'selected index k out of range'],
  ['nothing left to go around', () => padded(-4, 1, 'circular'), 'at least one position left in dimension 1 of size 4'],
  ['more cut than there is', () => padded(-3, -2, 'reflect'), 'at least one position left in dimension 1 of size 4'],
];
test.each(refused)('refused: %s', (_, run, text) => {
  expect(run).toThrow(text);
});

test('where takes a uint8 condition, and warns', () => {
  const texts: string[] = [];
  const before = setWarningHandler((text) => texts.push(text));
  try {
    expect(where(bytes(1, 0, 2), 1, 0).toArray()).toEqual([1, 0, 1]);
    expect(texts).toEqual([expect.stringContaining('where received a uint8 condition tensor')]);
    expect(() => where(longs(1), 1, 0)).toThrow('where expected condition to be a boolean tensor');
  } finally {
    setWarningHandler(before);
  }
});

describe('gradients', () => {
  const gradient = (f: (x: Tensor) => Tensor, ...at: number[]) => {
    const x = tensor(at).requiresGrad_(true);
    return grad([f(x).sum()], [x])[0].toArray();
  };
  test('of amax, all is NaN where the extremum is; max shares it between the NaNs', () => {
    expect(gradient((x) => amax(x), 1, NaN, 2)).toEqual([NaN, NaN, NaN]);
    expect(gradient((x) => amax(x, 0), 1, NaN)).toEqual([NaN, NaN]);
    expect(gradient((x) => max(x), 1, NaN, 2)).toEqual([0, 1, 0]);
    expect(gradient((x) => max(x), NaN, NaN)).toEqual([0.5, 0.5]);
    expect(gradient((x) => amax(x), 1, Infinity, Infinity)).toEqual([0, 0.5, 0.5]);
  });
  test('of a remainder by 0', () => {
    expect(gradient((x) => tensor([1.75, -1.75]).remainder(x), 0, 0)).toEqual([-Infinity, Infinity]);
  });
  test('of var of nothing', () => {
    const x = zeros([0, 5]).requiresGrad_(true);
    expect(grad([variance(x, 0).sum()], [x])[0].shape).toEqual([0, 5]);
  });
  test('nothing reaches what was overwritten, whatever was there', () => {
    for (const write of [(y: Tensor) => y.copy_(tensor([3])), (y: Tensor) => y.fill_(3), (y: Tensor) => y.uniform_()]) {
      const x = tensor([0]).requiresGrad_(true);
      const y = write(x.div(0));
      const [g] = grad([y.mul(y)], [x], { createGraph: true });
      expect(g.requiresGrad).toBe(false);
    }
  });
});
