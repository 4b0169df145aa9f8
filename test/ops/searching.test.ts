// Searches, counts, values each once, random choices: results that no gradient describes, and what is refused.
// PyTorch's inventory is run on all of them too (conformance/).
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  bincount,
  broadcastShapes,
  bucketize,
  cdist,
  cov,
  cummax,
  type DType,
  dsplit,
  gcd,
  histc,
  histogram,
  isin,
  isNonzero,
  lcm,
  logspace,
  manualSeed,
  matrixPower,
  mode,
  multinomial,
  normal,
  ones,
  quantile,
  randint,
  randn,
  scatterReduce,
  searchsorted,
  take,
  tensor,
  unique,
  uniqueConsecutive,
  uniqueConsecutiveWithCounts,
  uniqueWithCounts,
  unravelIndex,
  zeros,
} from '../../src/index.ts';

const long = { dtype: 'int64' } as const;

describe('places in sorted values', () => {
  test('before or behind equal ones, in every row', () => {
    const sorted = tensor([
      [1, 3, 3, 7],
      [2, 4, 6, 8],
    ]);
    const wanted = tensor([
      [3, 0, 9],
      [6, 2, 5],
    ]);
    expect(searchsorted(sorted, wanted).toArray()).toEqual([
      [1, 0, 4],
      [2, 0, 2],
    ]);
    expect(searchsorted(sorted, wanted, { right: true, outInt32: true }).toArray()).toEqual([
      [3, 0, 4],
      [3, 1, 2],
    ]);
    expect(searchsorted(tensor([3, 1, 2]), 2, { sorter: tensor([1, 2, 0], long), side: 'right' }).item()).toBe(2);
    expect(bucketize(tensor([3, Number.NaN]), tensor([1, 3, 5])).toArray()).toEqual([1, 3]);
  });
  test('refusals', () => {
    expect(() => searchsorted(zeros([2, 3]), zeros([3, 3]))).toThrow('boundaries tensor should be 1 dimension or');
    expect(() => searchsorted(zeros([3]), zeros([3]), { sorter: tensor([0, 1, 7], long) })).toThrow(
      'sorter index out of range',
    );
    expect(() => searchsorted(zeros([3]), 1, { side: 'left', right: true })).toThrow("can't be set to opposites");
    expect(() => bucketize(zeros([3]), zeros([2, 2]))).toThrow('boundaries tensor must be 1 dimension, but got dim(2)');
  });
});

describe('counts', () => {
  test('bincount', () => {
    expect(bincount(tensor([0, 2, 2, 5], long)).toArray()).toEqual([1, 0, 2, 0, 0, 1]);
    expect(bincount(tensor([1, 1], long), { weights: tensor([0.5, 2]), minlength: 4 }).toArray()).toEqual([
      0, 2.5, 0, 0,
    ]);
    expect(() => bincount(tensor([-1], long))).toThrow('bincount only supports 1-d non-negative integral inputs.');
    expect(() => bincount(tensor([1.5]))).toThrow("not implemented for 'float32'");
  });
  test('histograms', () => {
    expect(histc(tensor([1, 2, 1]), 4, 0, 3).toArray()).toEqual([0, 2, 1, 0]);
    expect(histc(ones([3]), 3).toArray()).toEqual([0, 3, 0]);
    const { hist, binEdges } = histogram(tensor([1, 2, 4]), tensor([0, 2, 4]), {
      weight: tensor([1, 2, 4]),
      density: true,
    });
    expect(binEdges.toArray()).toEqual([0, 2, 4]);
    expect(hist.mul(14).toArray().toString()).toBe('1,6');
    expect(histogram(tensor([0, 1, 2]), 2).binEdges.toArray()).toEqual([0, 1, 2]);
    expect(() => histc(tensor([1]), 0)).toThrow('bins must be > 0');
  });
});

describe('values each once', () => {
  test('elements', () => {
    const x = tensor([
      [3, 1],
      [1, 3],
    ]);
    const { output, inverseIndices, counts } = uniqueWithCounts(x);
    expect([output, inverseIndices, counts].map((t) => t.toArray())).toEqual([
      [1, 3],
      [
        [1, 0],
        [0, 1],
      ],
      [2, 2],
    ]);
    expect(unique(tensor([true, false, true])).toArray()).toEqual([false, true]);
    expect(unique(zeros([0])).shape).toEqual([0]);
    expect(uniqueConsecutive(tensor([1, 1, 2, 1])).toArray()).toEqual([1, 2, 1]);
  });
  test('slices', () => {
    const rows = tensor([
      [2, 1],
      [1, 5],
      [2, 1],
    ]);
    const { output, inverseIndices, counts } = uniqueWithCounts(rows, { dim: 0 });
    expect([output, inverseIndices, counts].map((t) => t.toArray())).toEqual([
      [
        [1, 5],
        [2, 1],
      ],
      [1, 0, 1],
      [1, 2],
    ]);
    expect(uniqueConsecutiveWithCounts(rows, { dim: 0 }).counts.toArray()).toEqual([1, 1, 1]);
    expect(() => unique(zeros([0, 2]), { dim: 1 })).toThrow('There are 0 sized dimensions');
  });
  test('isin and mode', () => {
    expect(isin(tensor([1, 2, Number.NaN]), tensor([2, Number.NaN])).toArray()).toEqual([false, true, false]);
    expect(isin(tensor([1, 2]), 2, { invert: true }).toArray()).toEqual([true, false]);
    const { values, indices } = mode(tensor([[1, 2, 2, 1, 3]]), 1, { keepdim: true });
    expect([values.toArray(), indices.toArray()]).toEqual([[[1]], [[3]]]);
  });
});

describe('integers', () => {
  test('divisors and multiples', () => {
    expect(gcd(tensor([12, -18, 0], long), tensor([18, 12, 5], long)).toArray()).toEqual([6, 6, 5]);
    expect(lcm(tensor([4, -6, 0], long), 6).toArray()).toEqual([12, 6, 0]);
    expect(() => gcd(tensor([1.5]), 2)).toThrow("not implemented for 'float32'");
  });
  test('extrema of int64 where nothing of x counts', () => {
    const got = scatterReduce(tensor([9, 9], long), 0, tensor([0, 0], long), tensor([-5, -7], long), 'amax', {
      includeSelf: false,
    });
    expect(got.toArray()).toEqual([-5, 9]);
    expect(cummax(tensor([1, 3, 3, 2], long), 0).indices.toArray()).toEqual([0, 1, 2, 2]);
    expect(unravelIndex(tensor([5], long), [2, 3]).map((t) => t.toArray())).toEqual([[1], [2]]);
  });
});

test('what does not fit is refused', () => {
  expect(() => quantile(ones([3]), 1.5)).toThrow('q must be in the range [0, 1] but got 1.5');
  expect(() => quantile(ones([3], long), 0.5)).toThrow('input tensor must be either float or double dtype');
  expect(() => dsplit(ones([2, 2]), 2)).toThrow('dsplit requires a tensor with at least 3 dimensions');
  expect(() => take(ones([2]), tensor([2], long))).toThrow('index 2 is out of bounds');
  expect(() => scatterReduce(ones([2]), 0, tensor([0], long), ones([1]), 'max' as 'amax')).toThrow(
    'reduce argument must be either sum, prod, mean, amax or amin',
  );
  expect(() => cdist(ones([2, 3]), ones([2, 4]))).toThrow('must have the same number of columns. X1: 3 X2: 4');
  expect(() => cov(ones([1, 1, 1]))).toThrow('expected input to have two or fewer dimensions');
  expect(() => matrixPower(ones([2, 2]), -1)).toThrow('needs an inverse');
  expect(() => isNonzero(ones([2]))).toThrow('more than one value is ambiguous');
  expect(broadcastShapes([2, 1], 3)).toEqual([2, 3]);
  expect(logspace(-1, 1, 3, 10, { dtype: 'float64' }).toArray()).toEqual([0.1, 1, 10]);
});

describe("random choices are PyTorch's", () => {
  interface Drawn {
    dtype: DType;
    weights: number[];
    samples: number;
    replacement: boolean;
    drawn: number[];
  }
  const golden = JSON.parse(readFileSync(new URL('../golden/choices.golden.json', import.meta.url), 'utf8')) as {
    multinomial: Drawn[];
    normal: number[][];
  };
  test.each(golden.multinomial)('multinomial: $samples of $dtype, replacement $replacement', (one) => {
    manualSeed(7);
    const weights = tensor(one.weights, { dtype: one.dtype });
    expect(multinomial(weights, one.samples, { replacement: one.replacement }).toArray()).toEqual(one.drawn);
  });
  test('normal', () => {
    const deviations = tensor([0.1, 0.575, 1.05, 1.525, 2]);
    const means = tensor(Array.from({ length: 4 }, (_, i) => Array.from({ length: 5 }, (_, j) => 5 * i + j)));
    const calls = [() => normal(means, deviations), () => normal(2, deviations), () => normal(1.5, 0.5, [3, 7])];
    calls.forEach((call, i) => {
      manualSeed(3);
      const difference = call().sub(tensor(golden.normal[i])).abs().max().item();
      expect(difference).toBeLessThan(1e-5);
    });
  });
  test('multinomial refuses what is no distribution', () => {
    expect(() => multinomial(tensor([1, -1]), 1)).toThrow('probability tensor contains either');
    expect(() => multinomial(zeros([2]), 1)).toThrow('invalid multinomial distribution');
    expect(() => multinomial(ones([2]), 3)).toThrow('without replacement');
    expect(multinomial(ones([2, 3]), 2).shape).toEqual([2, 2]);
    expect(randn([2]).isNonzero).toBeTypeOf('function');
    expect(randint(0, 2, [3]).newFull([2], 7).toArray()).toEqual([7, 7]);
  });
});
