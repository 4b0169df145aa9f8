// The CTC loss against its definition: the sum of the probabilities of all alignments, one by one. PyTorch's values
// are in test/cases and in the conformance run.
import { describe, expect, test } from 'vitest';
import { gradcheck } from '../../src/autograd/gradcheck.ts';
import { grad, IndexError, logSoftmax, RuntimeError, randn, type Tensor, tensor } from '../../src/index.ts';
import { CTCLoss, functional as F } from '../../src/nn/index.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';

const long = { dtype: 'int64' } as const;

/** What an alignment says: repeated labels once, without blanks. */
const spoken = (path: readonly number[], blank: number) =>
  path.filter((label, t) => label !== blank && label !== path[t - 1]);

/** −log of the sum over all paths of one sample's (steps, classes) that say `labels`. */
function byPaths(logP: number[][], labels: readonly number[], blank: number): number {
  const classes = logP[0]?.length ?? 1;
  let sum = 0;
  for (let code = 0; code < classes ** logP.length; code++) {
    const path = logP.map((_, t) => Math.floor(code / classes ** t) % classes);
    if (spoken(path, blank).join() !== labels.join()) continue;
    sum += Math.exp(path.reduce((total, label, t) => total + logP[t][label], 0));
  }
  return -Math.log(sum);
}

const samples: readonly (readonly [steps: number, labels: number[]])[] = [
  [5, [1, 2]],
  [5, [2, 2]], // a blank must stand between them
  [4, [1]],
  [3, []],
  [5, [1, 2, 1]],
  [2, [2, 2]], // cannot be aligned
  [0, []],
];
const [steps, classes] = [5, 3];

describe.each(['float32', 'float64'] as const)('%s', (dtype) => {
  const logits = () => {
    manualSeed(3);
    return randn([steps, samples.length, classes], { dtype });
  };
  const padded = tensor(
    samples.map(([, labels]) => [...labels, 0, 0, 0].slice(0, 3)),
    long,
  );
  const inputs = samples.map(([n]) => n);
  const lengths = samples.map(([, labels]) => labels.length);

  test('is the sum over all alignments', () => {
    const logP = logSoftmax(logits(), 2);
    const values = logP.toArray() as number[][][];
    const expected = samples.map(([n, labels], i) =>
      byPaths(
        values.slice(0, n).map((step) => step[i]),
        labels,
        0,
      ),
    );
    const found = F.ctcLoss(logP, padded, inputs, lengths, { reduction: 'none' }).toArray() as number[];
    found.forEach((value, i) => {
      if (Number.isFinite(expected[i])) expect(value).toBeCloseTo(expected[i], dtype === 'float32' ? 4 : 12);
      else expect(value).toBe(Infinity);
    });
    // Targets in a row, and lengths as tensors, are the same.
    const inRow = tensor(
      samples.flatMap(([, labels]) => labels),
      long,
    );
    const again = F.ctcLoss(logP, inRow, tensor(inputs, long), tensor(lengths, long), { reduction: 'none' });
    expect(again.toArray()).toEqual(found);
    expect(F.ctcLoss(logP, padded, inputs, lengths, { reduction: 'sum', zeroInfinity: true }).item()).toBeCloseTo(
      found.filter(Number.isFinite).reduce((a, b) => a + b),
      dtype === 'float32' ? 4 : 12,
    );
  });

  test('an infinite loss has no gradient with zeroInfinity, and steps behind an input never have one', () => {
    const x = logits().requiresGrad_();
    F.ctcLoss(logSoftmax(x, 2), padded, inputs, lengths, { reduction: 'sum', zeroInfinity: true }).backward();
    const g = x.grad!.toArray() as number[][][];
    samples.forEach(([n], i) => {
      const isLost = i === 5;
      for (let t = 0; t < steps; t++) {
        const isUsed = g[t][i].some((v) => v !== 0);
        expect(isUsed, `sample ${i}, step ${t}`).toBe(t < n && !isLost);
      }
    });
  });
});

test('gradients are differences', () => {
  manualSeed(5);
  const labels = tensor(
    [
      [1, 3, 3, 1, 2],
      [2, 1, 0, 0, 0],
    ],
    long,
  );
  const run = (x: Tensor) => F.ctcLoss(logSoftmax(x, 2), labels, [9, 6], [5, 2], { blank: 4 });
  gradcheck(run, [randn([9, 2, 5], { dtype: 'float64', requiresGrad: true })]);
});

test('one sample without a batch', () => {
  manualSeed(5);
  const logP = logSoftmax(randn([6, 4]), 1);
  const one = new CTCLoss()(logP, tensor([1, 2], long), [6], [2]);
  expect(one.shape).toEqual([]);
  const batch = new CTCLoss()(logP.reshape(6, 1, 4), tensor([[1, 2]], long), [6], [2]);
  expect(one.item()).toBe(batch.item());
});

test('refusals', () => {
  const logP = logSoftmax(randn([4, 1, 3]), 2).requiresGrad_();
  const run = (labels: number[], inputs: number[], lengths: number[], options = {}) =>
    F.ctcLoss(logP, tensor([labels], long), inputs, lengths, options);
  expect(() => run([3], [4], [1])).toThrow(IndexError);
  expect(() => run([-1], [4], [1])).toThrow('[ctcLoss] expected labels from 0 to 2 in targets');
  expect(run([1, -1], [4], [1]).item()).toBeGreaterThan(0); // what lies behind the length is not read
  expect(() => run([1], [5], [1])).toThrow(RuntimeError);
  expect(() => run([1], [4], [2])).toThrow(RuntimeError);
  expect(() => run([1], [4, 4], [1])).toThrow(RuntimeError);
  expect(() => run([1], [4], [1], { blank: 3 })).toThrow('blank must be in label range');
  const loss = run([1], [4], [1]);
  expect(() => grad([loss], [logP], { createGraph: true })).toThrow('is not implemented');
});
